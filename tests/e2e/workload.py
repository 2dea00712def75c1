"""A random workload on the source's tables, the same for the same seed."""

import datetime
import random

# Keys by table: the finance tables, one of every type, and one whose key has two columns.
TABLES = {
    "customers": ("customer_id",),
    "credit_applications": ("application_id",),
    "vehicle_ownership": ("ownership_id",),
    "every_type": ("id",),
    "pairs": ("a", "b"),
}

EVERY_TYPE = """
create table if not exists every_type (
    id bigint unsigned primary key, c_tiny tinyint, c_utiny tinyint unsigned, c_small smallint,
    c_usmall smallint unsigned, c_medium mediumint, c_int int, c_uint int unsigned, c_big bigint,
    c_ubig bigint unsigned, c_float float, c_double double, c_dec decimal(38,10),
    c_dec0 decimal(20,0), c_bit1 bit(1), c_bit20 bit(20), c_bool boolean default true, c_date date,
    c_time time, c_time6 time(6), c_dt datetime, c_dt3 datetime(3), c_dt6 datetime(6),
    c_ts timestamp null, c_ts6 timestamp(6) null, c_year year, c_char char(10) default 'x',
    c_varchar varchar(255) default 'a default', c_text text, c_varbinary varbinary(32),
    c_blob blob, c_enum enum('a','b','c') default 'c', c_set set('x','y','z'), c_json json)"""

PAIRS = "create table if not exists pairs (a int, b varchar(20), v int default 5, primary key (a, b))"

TEXTS = ["", " ", "plain", "O'Brien \\ \"quoted\"\ttab\nnewline\r", "Änderung 😀👩‍👩‍👧", "\\N", "NULL",
         "中文字", "null", "{\"a\": 1}", "%s %d", "é", "\u0001\u007f", "x" * 90]


class Workload:
    def __init__(self, source, seed):
        self.source = source
        self.random = random.Random(seed)
        self.next_id = 1

    # Values.

    def maybe(self, value):
        return None if self.random.random() < 0.15 else value

    def integer(self, low, high):
        return self.maybe(self.random.choice([low, high, 0, self.random.randint(low, high)]))

    def decimal(self, digits, scale):
        digits = self.random.randint(1, digits)
        number = self.random.randrange(10**digits)
        text = str(number).rjust(scale + 1, "0")
        sign = self.random.choice(["", "-"])
        return self.maybe(f"{sign}{text[:-scale]}.{text[-scale:]}" if scale else f"{sign}{number}")

    def moment(self, first=1000, last=9999, fraction=0):
        if self.random.random() < 0.5:
            first, last = 1971, 2037
        at = datetime.datetime(self.random.randint(first, last), self.random.randint(1, 12),
                               self.random.randint(1, 28), self.random.randint(0, 23),
                               self.random.randint(0, 59), self.random.randint(0, 59))
        text = at.isoformat(" ")
        if fraction:
            text += "." + str(self.random.randrange(10**fraction)).rjust(fraction, "0")
        return self.maybe(text)

    def date(self):
        return (self.moment() or "1969-12-31 ")[:10]

    def time(self, fraction=0):
        text = f"{self.random.choice(['', '-'])}{self.random.randint(0, 838)}:59:58"
        return self.maybe(text + (f".{self.random.randrange(10**6):06}" if fraction else ""))

    def text(self, most=100):
        return self.maybe(self.random.choice(TEXTS)[:most])

    def bytes(self, most=32):
        return self.maybe(self.random.randbytes(self.random.randint(0, most)))

    # Rows: all columns but the key.

    def customers(self):
        return {"full_name": self.random.choice(TEXTS), "email": self.text(), "phone": self.text(20),
                "date_of_birth": self.maybe(self.date()), "monthly_income": self.decimal(15, 2),
                "created_at": self.moment(), "updated_at": self.moment(1971, 2037, 3)}

    def credit_applications(self):
        return {"customer_id": self.random.randrange(1000), "loan_amount": self.decimal(15, 2),
                "tenure_months": self.integer(-2**15, 2**15 - 1),
                "interest_rate": self.decimal(5, 2),
                "application_status": self.maybe(self.random.choice(
                    ["pending", "approved", "rejected"])),
                "application_date": self.maybe(self.date()), "approved_at": self.moment(fraction=6)}

    def vehicle_ownership(self):
        return {"customer_id": self.random.randrange(1000), "vehicle_type": self.text(40),
                "brand": self.text(40), "purchase_price": self.decimal(15, 2),
                "purchase_date": self.maybe(self.date()), "is_active": self.integer(-128, 127)}

    def pairs(self):
        return {"v": self.integer(-2**31, 2**31 - 1)}

    def every_type(self):
        return {
            "c_tiny": self.integer(-128, 127), "c_utiny": self.integer(0, 255),
            "c_small": self.integer(-2**15, 2**15 - 1), "c_usmall": self.integer(0, 2**16 - 1),
            "c_medium": self.integer(-2**23, 2**23 - 1), "c_int": self.integer(-2**31, 2**31 - 1),
            "c_uint": self.integer(0, 2**32 - 1), "c_big": self.integer(-2**63, 2**63 - 1),
            "c_ubig": self.integer(0, 2**64 - 1),
            "c_float": self.maybe(self.random.choice([0, 1.5, -0.25, 1e10, 3.0])),
            "c_double": self.maybe(self.random.uniform(-1e9, 1e9)),
            "c_dec": self.decimal(38, 10), "c_dec0": self.decimal(20, 0),
            "c_bit1": self.integer(0, 1), "c_bit20": self.integer(0, 2**20 - 1),
            "c_bool": self.integer(0, 1), "c_date": self.maybe(self.date()), "c_time": self.time(),
            "c_time6": self.time(6), "c_dt": self.moment(), "c_dt3": self.moment(fraction=3),
            "c_dt6": self.moment(fraction=6), "c_ts": self.moment(1971, 2037),
            "c_ts6": self.moment(1971, 2037, 6), "c_year": self.maybe(self.random.randint(1901, 2155)),
            "c_char": self.maybe(self.random.choice(["", "abc", "ü😀"])), "c_varchar": self.text(),
            "c_text": self.maybe(self.random.choice(TEXTS) * self.random.randint(1, 30)),
            "c_varbinary": self.bytes(), "c_blob": self.bytes(2000),
            "c_enum": self.maybe(self.random.choice("abc")),
            "c_set": self.maybe(self.random.choice(["", "x", "x,z", "x,y,z"])),
            "c_json": self.maybe(self.random.choice(
                ['{"a": [1, 2, {"b": "c"}], "n": null}', "[]", '"text"', "17", "null", '{"é": "😀"}'])),
        }

    # Statements.

    def key(self, table):
        if table == "pairs":
            return {"a": self.random.randrange(50), "b": self.random.choice(TEXTS[2:6])[:20]}
        self.next_id += 1
        return {TABLES[table][0]: self.next_id}

    def some_key(self, table):
        """A row that is probably there."""
        if table == "pairs":
            return self.key(table)
        return {TABLES[table][0]: self.random.randint(1, self.next_id)}

    def insert(self, table, rows=1):
        for _ in range(rows):
            row = {**self.key(table), **getattr(self, table)()}
            names = ", ".join(row)
            places = ", ".join(["%s"] * len(row))
            self.source.execute(f"insert ignore into {table} ({names}) values ({places})",
                                list(row.values()))

    def update(self, table):
        row = getattr(self, table)()
        chosen = dict(self.random.sample(sorted(row.items()), self.random.randint(1, len(row))))
        self._where(f"update {table} set " + ", ".join(f"{name} = %s" for name in chosen), table,
                    list(chosen.values()))

    def change_key(self, table):
        new = self.key(table)
        self._where(f"update ignore {table} set " + ", ".join(f"{name} = %s" for name in new), table,
                    list(new.values()))

    def delete(self, table):
        self._where(f"delete from {table}", table, [])

    def delete_and_insert_again(self, table):
        key = self.some_key(table)
        row = {**key, **getattr(self, table)()}
        self.source.execute(f"delete from {table} where " + equals(key), list(key.values()))
        self.source.execute(f"insert into {table} ({', '.join(row)}) values "
                            f"({', '.join(['%s'] * len(row))})", list(row.values()))

    def update_many(self, table):
        name, value = self.random.choice(sorted(getattr(self, table)().items()))
        key = TABLES[table][0]
        self.source.execute(f"update {table} set {name} = %s where {key} %% 7 = %s",
                            [value, self.random.randrange(7)])

    def _where(self, statement, table, values):
        key = self.some_key(table)
        self.source.execute(f"{statement} where {equals(key)}", values + list(key.values()))

    def step(self):
        """A statement, or a transaction of several over the tables, sometimes rolled back."""
        acts = [self.insert] * 6 + [self.update] * 8 + [self.delete] * 2 + \
            [self.change_key, self.delete_and_insert_again]
        if self.random.random() < 0.005:
            acts = [self.update_many]
        if self.random.random() < 0.8:
            self.random.choice(acts)(self.random.choice(list(TABLES)))
            return
        self.source.execute("begin")
        for _ in range(self.random.randint(2, 12)):
            self.random.choice(acts)(self.random.choice(list(TABLES)))
        self.source.execute("rollback" if self.random.random() < 0.1 else "commit")


def equals(key):
    return " and ".join(f"{name} = %s" for name in key)
