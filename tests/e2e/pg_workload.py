"""A random workload on tables of PostgreSQL, the same for the same seed.

Values are SQL, so that the source itself makes them of every notation that it reads.
"""

import random
from typing import NamedTuple

TEXTS = ["''", "' '", "'plain'", "'O''Brien \"quoted\"'", "E'tab\\tnew\\nline\\r\\\\'", "'\\N'",
         "'NULL'", "'Änderung 😀👩‍👩‍👧'", "'中文字'", "'{\"a\": 1}'", "'%s'", "E'\\u0001\\u007f'",
         "repeat('x', 300)"]
UUIDS = ["'b68a35a7-17ad-35b3-af2a-ae46edb4545b'", "'00000000-0000-0000-0000-000000000000'"]
JSONS = ["'{\"a\": [1, 2, {\"b\": \"c\"}], \"n\": null}'", "'[]'", "'\"text\"'", "'17'", "'null'",
         "'{\"é\": \"😀\", \"big\": 123456789012345678901234567890.123}'"]


class Column(NamedTuple):
    name: str
    type: str
    values: list
    streamed: list = []   # values that a snapshot of Debezium's spoils: only after it
    texts: list = []      # and those that take decimal.handling.mode=string
    compared: str = "{}"  # what must be equal, where it is not the whole text
    made: str = "{}"      # how the source's value reads as the column that ods-sink makes for it


EVERY_TYPE = [
    Column("c_bool", "boolean", ["true", "false"]),
    Column("c_int2", "smallint", ["-32768", "32767", "0"]),
    Column("c_int4", "integer", ["-2147483648", "2147483647", "0"]),
    Column("c_int8", "bigint", ["-9223372036854775808", "9223372036854775807", "0"]),
    Column("c_oid", "oid", ["0", "4294967295"]),
    Column("c_num", "numeric(20,6)", ["12345678901234.567890", "-0.000001", "0"], texts=["'NaN'"]),
    Column("c_num0", "numeric(38,0)", ["99999999999999999999999999999999999999", "-1"]),
    Column("c_numfree", "numeric", ["123.4567890123456789", "1e100", "-1e-50", "0"],
           texts=["'NaN'"]),
    Column("c_float4", "real", ["1.5", "0.1", "1e-30", "3.4028235e38", "'NaN'", "'Infinity'",
                                "'-Infinity'", "'-0'"]),
    Column("c_float8", "double precision", ["0.1", "1.7976931348623157e308", "5e-324", "'NaN'",
                                            "'Infinity'", "'-Infinity'", "'-0'"]),
    Column("c_money", "money", ["'12.34'", "'-1234567.89'", "0"], made="{}::numeric"),
    Column("c_char", "char(5)", ["'ab'", "''", "'äöü😀'"]),
    Column("c_onechar", '"char"', ["'x'"]),
    Column("c_varchar", "varchar(300)", TEXTS),
    Column("c_text", "text", TEXTS),
    Column("c_name", "name", ["'a name'"]),
    Column("c_bytea", "bytea", ["'\\x00ff10'", "''", "'\\xdeadbeef'"]),
    Column("c_bit1", "bit(1)", ["B'0'", "B'1'"], made="({}::text = '1')"),
    Column("c_bit4", "bit(4)", ["B'1010'", "B'0001'", "B'0000'"]),
    Column("c_bit70", "bit(70)", ["repeat('10', 35)::bit(70)", "repeat('0', 70)::bit(70)"]),
    # The connector drops leading zeros.
    Column("c_varbit", "varbit(10)", ["B'101'", "B''", "B'1010101010'", "B'0001'"],
           compared="ltrim({}::text, '0')"),
    Column("c_varbitfree", "varbit", ["B'101'", "repeat('01', 90)::varbit"],
           compared="ltrim({}::text, '0')"),
    Column("c_date", "date", ["'2025-12-19'", "'1969-12-31'", "'0001-01-01'", "'12345-01-01'",
                              "'infinity'", "'-infinity'"], ["'1582-10-10'", "'0044-03-15 BC'"]),
    Column("c_time", "time", ["'00:00:00'", "'12:34:56.789012'", "'24:00:00'"]),
    Column("c_time3", "time(3)", ["'12:34:56.789'", "'24:00:00'"]),
    # The connector sends it in UTC.
    Column("c_timetz", "timetz", ["'12:34:56.789012+07'", "'00:00:00-12:30'"], ["'24:00:00+00'"],
           compared="({} at time zone 'UTC')"),
    Column("c_ts", "timestamp", ["'2025-12-19 08:02:27.123456'", "'1969-12-31 23:59:59.999999'",
                                 "'294246-12-31 23:59:59.999999'", "'infinity'", "'-infinity'"],
           ["'0044-03-15 12:00:00 BC'", "'1500-01-01 00:00:00.5'", "'4713-01-01 00:00:00 BC'"]),
    Column("c_ts0", "timestamp(0)", ["'2025-12-19 08:02:27'", "'infinity'"], ["'1500-01-01'"]),
    Column("c_ts3", "timestamp(3)", ["'2025-12-19 08:02:27.123'", "'-infinity'", "'1969-12-31'"]),
    Column("c_tstz", "timestamptz", ["'2025-12-19 08:02:27.123456+07'", "'1583-01-01 00:00:00.5+00'",
                                     "'21016-11-04 06:51:30.123456+00'", "'infinity'", "'-infinity'"],
           ["'0044-03-15 12:00:00+00 BC'", "'1500-01-01 00:00:00.5+00'"]),
    Column("c_tstz3", "timestamptz(3)", ["'2025-12-19 08:02:27.123+00'", "'infinity'"]),
    Column("c_interval", "interval", ["'1 year 2 mons 3 days 04:05:06.78'", "'-1 day'", "'0'",
                                      "'1 mon -1 day +01:00:00.000001'", "'-04:00:00.5'",
                                      "'1000000 hours'", "'100000000 years'"]),
    Column("c_uuid", "uuid", UUIDS),
    Column("c_json", "json", JSONS, made="{}::jsonb"),
    Column("c_jsonb", "jsonb", JSONS),
    Column("c_xml", "xml", ["'<foo>bar</foo>'", "'<a b=\"c\">é</a>'"]),
    Column("c_hstore", "hstore", ["'a=>1, b=>NULL'", "''", "hstore('k\"1\\', 'v''\\\"=>😀')"]),
    Column("c_ltree", "ltree", ["'a.b.c'", "''", "'Top.Science_1'"]),
    Column("c_citext", "citext", TEXTS),
    Column("c_inet", "inet", ["'10.0.0.1'", "'10.0.0.1/8'", "'::1'", "'2001:db8::/32'"]),
    Column("c_cidr", "cidr", ["'10.0.0.0/8'", "'2001:db8::/32'"]),
    Column("c_macaddr", "macaddr", ["'08:00:2b:01:02:03'"]),
    Column("c_macaddr8", "macaddr8", ["'08:00:2b:01:02:03:04:05'"]),
    Column("c_int4range", "int4range", ["'[1,10)'", "'empty'", "'(,5]'", "'(,)'"]),
    Column("c_int8range", "int8range", ["'[1,9223372036854775807)'"]),
    Column("c_numrange", "numrange", ["'(1.5,NaN]'", "'[0,)'"]),
    Column("c_tsrange", "tsrange", ["'[2025-01-01,infinity)'", "'empty'"]),
    Column("c_tstzrange", "tstzrange", ["'[2025-01-01 00:00+07,)'"]),
    Column("c_daterange", "daterange", ["'[2025-01-01,2025-02-01]'"]),
    Column("c_enum", "mood", ["'sad'", "'very happy, \"really\"'"]),
    Column("c_posint", "posint", ["1", "2147483647"]),
    Column("c_code", "code", ["'ab'", "'abcde'"]),
    Column("c_price", "price", ["0.01", "99999999.99"]),
    Column("c_point", "point", ["'(1.5,-2)'", "'(0,0)'", "'(1e300,0.1)'"]),
    Column("c_tsvector", "tsvector", ["to_tsvector('simple', 'The fat cat''s 3 rats')", "''"]),
    Column("c_int2s", "smallint[]", ["'{1,NULL,-32768}'", "'{}'"]),
    Column("c_ints", "integer[]", ["'{1,NULL,3}'", "'{}'"]),
    Column("c_int8s", "bigint[]", ["'{9223372036854775807,NULL}'"]),
    Column("c_bools", "boolean[]", ["'{t,f,NULL}'"]),
    Column("c_float4s", "real[]", ["'{1.5,NULL,0.1}'"]),
    Column("c_float8s", "double precision[]", ["'{0.1,1e300,NULL}'"]),
    Column("c_nums", "numeric(10,2)[]", ["'{1.10,-2.25,NULL}'"]),
    Column("c_numfrees", "numeric[]", ["'{1.123456789,NULL,1e30}'"]),
    Column("c_texts", "text[]", ["array['a \"q\"','NULL',null,'','b\\c','{x}','😀,']", "'{}'"]),
    Column("c_varchars", "varchar(5)[]", ["'{abc,NULL}'"]),
    Column("c_dates", "date[]", ["'{2016-11-04,NULL,1969-12-31}'"]),
    Column("c_times", "time[]", ["'{12:34:56.789,NULL}'"]),
    Column("c_tss", "timestamp[]", ["'{2025-12-19 08:02:27.123456,NULL}'"]),
    Column("c_tstzs", "timestamptz[]", ["'{2025-12-19 08:02:27.5+07,NULL}'"]),
    Column("c_uuids", "uuid[]", ["'{b68a35a7-17ad-35b3-af2a-ae46edb4545b,NULL}'"]),
    Column("c_jsonbs", "jsonb[]", ["array['{\"a\": \"b,c\"}'::jsonb, null, '[1]']"]),
    Column("c_byteas", "bytea[]", ["array['\\x00ff'::bytea, null]"]),
    Column("c_inets", "inet[]", ["'{10.0.0.1/8,NULL}'"]),
    Column("c_enums", "mood[]", ["'{sad}'"]),
    Column("c_citexts", "citext[]", ["'{Ab,NULL}'"]),
    # pgoutput's reader in Debezium 3.3 spoils a name that is not ASCII.
    Column('Weird "Col\' $1', "text", ["'weird'"]),
    Column("select", "integer", ["1"]),
]

# What is long enough lies in TOAST, and an update that leaves it alone does not carry it. Stored
# without compression, so that it really goes there.
TOASTED = [
    Column("note", "text", TEXTS),
    Column("big_text", "text", ["repeat('toast é ', 900)", "'small'"]),
    Column("big_varchar", "varchar", ["repeat('v', 5000)"]),
    Column("big_bytes", "bytea", ["decode(repeat('00ff10', 2000), 'hex')", "'\\x01'"]),
    Column("big_json", "json", ["json_build_object('k', repeat('j', 6000))"], made="{}::jsonb"),
    Column("big_jsonb", "jsonb", ["jsonb_build_object('k', repeat('b', 6000))"]),
    Column("big_xml", "xml", ["xmlparse(content '<a>' || repeat('x', 6000) || '</a>')"]),
    Column("big_hstore", "hstore", ["hstore('k', repeat('h', 6000))"]),
    Column("big_citext", "citext", ["repeat('C', 6000)"]),
    Column("big_texts", "text[]", ["array[repeat('t', 5000), null, 'u']"]),
    Column("big_ints", "integer[]", ["(select array_agg(g) from generate_series(1, 2500) g)"]),
    Column("big_int8s", "bigint[]", ["(select array_agg(g::bigint) from generate_series(1, 2500) g)"]),
    Column("big_uuids", "uuid[]", ["array_fill('b68a35a7-17ad-35b3-af2a-ae46edb4545b'::uuid, array[400])"]),
    Column("big_dates", "date[]", ["array_fill('2025-12-19'::date, array[1500])"]),
    Column("big_bytess", "bytea[]", ["array[decode(repeat('00ff', 3000), 'hex')]"]),
    Column("big_jsonbs", "jsonb[]", ["array[jsonb_build_object('k', repeat('b', 6000))]"]),
]
# What the connector sends as null when it is left alone in TOAST.
FULL = TOASTED + [
    Column("big_num", "numeric", ["repeat('123456789', 1200)::numeric"]),
    Column("big_nums", "numeric[]", ["array_fill(1234567.89::numeric, array[1200])"]),
    Column("big_tstzs", "timestamptz[]", ["array_fill('2025-12-19 08:00+00'::timestamptz, array[1200])"]),
    Column("big_times", "time[]", ["array_fill('08:00:00.5'::time, array[1200])"]),
    Column("big_float8s", "double precision[]", ["array_fill(0.5::float8, array[1200])"]),
    Column("big_inets", "inet[]", ["array_fill('10.0.0.1/8'::inet, array[1200])"]),
    Column("big_bools", "boolean[]", ["array_fill(true, array[9000])"]),
    Column("big_citexts", "citext[]", ["array[repeat('C', 6000)]"]),
]

TYPES = """
create extension if not exists hstore; create extension if not exists citext;
create extension if not exists ltree;
drop type if exists mood cascade; create type mood as enum ('sad', 'very happy, "really"');
drop domain if exists posint cascade; create domain posint as integer check (value > 0);
drop domain if exists code cascade; create domain code as varchar(5);
drop domain if exists price cascade; create domain price as numeric(10,2);
"""


class Table(NamedTuple):
    name: str
    key: str         # columns with their types, "" for none
    primary: str
    columns: list
    identity: str = "default"
    changes: str = "iudk"  # what happens: inserts, updates, deletes, key changes


TABLES = [
    Table("every_type", "id bigint", "id", EVERY_TYPE),
    Table("toasted", "id bigint", "id", TOASTED),
    Table("full_identity", "id bigint", "id", FULL, "full"),
    Table("pairs", "a integer, b varchar(20)", "a, b", [Column("v", "integer", ["1", "2", "3"])]),
    Table("only_key", "id bigint", "id", []),
    Table("keyless", "", "", [Column("a", "integer", ["1", "2"]), Column("b", "text", TEXTS[:5]),
                              Column("c", "numeric(10,2)", ["1.10", "-7"])], "full", "iud"),
    Table("logged", "", "", [Column("a", "integer", ["1", "2"]), Column("b", "text", TEXTS)],
          "nothing", "i"),
]


def quote(name):
    return '"' + name.replace('"', '""') + '"'


def definition(table, more=()):
    columns = [table.key] if table.key else []
    columns += [f"{quote(column.name)} {column.type}" for column in table.columns]
    columns += more
    columns += [f"primary key ({table.primary})"] if table.primary else []
    return f"create table {table.name} ({', '.join(columns)});"


def source_script():
    lines = [TYPES]
    for table in TABLES:
        lines.append(f"drop table if exists {table.name}; {definition(table)}")
        lines.append(f"alter table {table.name} replica identity {table.identity};")
        for column in table.columns:
            if column.name.startswith("big_"):
                lines.append(f"alter table {table.name} alter column {column.name} "
                             "set storage external;")
    return "\n".join(lines)


def target_script():
    """The same tables in the ODS, with ods-sink's two columns."""
    more = ["cdc_operation text", "cdc_timestamp timestamptz"]
    return TYPES + "\n".join(definition(table, more) for table in TABLES)


class Workload:
    def __init__(self, source, seed, changes, decimal_texts):
        self.source = source
        self.random = random.Random(seed)
        self.changes = {**{table.name: table.changes for table in TABLES}, **changes}
        self.decimal_texts = decimal_texts
        self.streaming = False  # until the snapshot is over
        self.next_id = 1
        self.columns = {table.name: list(table.columns) for table in TABLES}

    def add_column(self, table, column):
        self.source.execute(f"alter table {table.name} add column {column.name} {column.type}")
        self.columns[table.name].append(column)

    def value(self, column):
        return "null" if self.random.random() < 0.15 else self.random.choice(
            column.values + column.streamed * self.streaming + column.texts * self.decimal_texts)

    def new_key(self, table):
        if table.name == "pairs":
            return [str(self.random.randrange(50)), self.random.choice(TEXTS[:6])]
        self.next_id += 1
        return [str(self.next_id)] if table.key else []

    def some_row(self, table):
        """A row that is probably there."""
        if table.name == "pairs":
            a, b = self.new_key(table)
            return f"a = {a} and b = {b}"
        if table.key:
            return f"id = {self.random.randint(1, self.next_id)}"
        return f"ctid = (select ctid from {table.name} where a = {self.random.choice('12')} limit 1)"

    def insert(self, table):
        names = [name.split()[0] for name in table.key.split(", ") if name]
        names += [quote(column.name) for column in self.columns[table.name]]
        values = self.new_key(table) + [self.value(column) for column in self.columns[table.name]]
        self.source.execute(f"insert into {table.name} ({', '.join(names)}) "
                            f"values ({', '.join(values)}) on conflict do nothing")

    def update(self, table):
        columns = self.columns[table.name]
        if not columns:
            return
        chosen = self.random.sample(columns, self.random.randint(1, min(3, len(columns))))
        values = ", ".join(f"{quote(column.name)} = {self.value(column)}" for column in chosen)
        self.source.execute(f"update {table.name} set {values} where {self.some_row(table)}")

    def change_key(self, table):
        keys = [name.split()[0] for name in table.key.split(", ")]
        new = dict(zip(keys, self.new_key(table)))
        values = ", ".join(f"{name} = {value}" for name, value in new.items())
        there = " and ".join(f"{name} = {value}" for name, value in new.items())
        if self.columns[table.name] and self.random.random() < 0.5:
            column = self.random.choice(self.columns[table.name])
            values += f", {quote(column.name)} = {self.value(column)}"
        self.source.execute(f"update {table.name} set {values} where {self.some_row(table)} "
                            f"and not exists (select from {table.name} where {there})")

    def delete(self, table):
        self.source.execute(f"delete from {table.name} where {self.some_row(table)}")

    def act(self):
        table = self.random.choice(TABLES)
        acts = {"i": [self.insert] * 5, "u": [self.update] * 7, "d": [self.delete] * 2,
                "k": [self.change_key] * 2}
        kinds = self.changes[table.name]
        self.random.choice([act for kind in kinds for act in acts[kind]])(table)

    def step(self):
        """A statement, or a transaction of several over the tables, sometimes rolled back."""
        if self.random.random() < 0.7:
            self.act()
            return
        self.source.execute("begin")
        for _ in range(self.random.randint(2, 12)):
            self.act()
        self.source.execute("rollback" if self.random.random() < 0.1 else "commit")
