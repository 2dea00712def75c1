"""Two tables, a hundred rows of which break a rule, each exactly one, and the rules that say so."""

import random

from lib.records import BIGINT, INT, TEXT, Table

CUSTOMER = {"id": INT, "name": TEXT, "email": TEXT, "country": TEXT, "age": INT}
ORDER = {"id": INT, "customer": INT, "amount": BIGINT, "status": TEXT, "code": TEXT}

RULES = {
    "customers": [
        {"check": "not_null", "columns": ["name"]},
        {"check": "pattern", "columns": ["email"], "pattern": r"^[^@ ]+@[^@ ]+\.[a-z]+$"},
        {"check": "set", "columns": ["country"], "values": ["de", "fr", "it"]},
        {"check": "range", "columns": ["age"], "min": "0", "max": "120"},
        {"check": "unique", "columns": ["email"]},
    ],
    "orders": [
        {"check": "range", "columns": ["amount"], "min": "1"},
        {"check": "set", "columns": ["status"], "values": ["new", "paid", "sent"]},
        {"check": "reference", "columns": ["customer"], "references": "customers(id)"},
        {"check": "not_null", "columns": ["customer"]},
        {"check": "pattern", "columns": ["code"], "pattern": "^[A-Z]{3}-[0-9]+$"},
    ],
}

PLANTED = {"not_null_name": 12, "pattern_email": 11, "set_country": 9, "range_age": 10,
           "unique_email": 8, "range_amount": 13, "set_status": 7, "reference_customer": 15,
           "not_null_customer": 5, "pattern_code": 10}
assert sum(PLANTED.values()) == 100

SPOIL = {
    "not_null_name": lambda row, n: row | {"name": None},
    "pattern_email": lambda row, n: row | {"email": f"c{n} at example.com"},
    "set_country": lambda row, n: row | {"country": "DE"},
    "range_age": lambda row, n: row | {"age": [-1, 121][n % 2]},
    "unique_email": lambda row, n: row | {"email": f"c{n - 1}@example.com"},
    "range_amount": lambda row, n: row | {"amount": -n},
    "set_status": lambda row, n: row | {"status": "lost"},
    "reference_customer": lambda row, n: row | {"customer": 10_000_000 + n},
    "not_null_customer": lambda row, n: row | {"customer": None},
    "pattern_code": lambda row, n: row | {"code": "abc-1"},
}


def customer(n):
    return {"id": n, "name": f"n{n}", "email": f"c{n}@example.com", "country": ["de", "fr", "it"][n % 3],
            "age": n % 121}


def order(n, customers):
    return {"id": n, "customer": n % customers, "amount": 1 + n % 900, "code": f"ABC-{n}",
            "status": ["new", "paid", "sent"][n % 3]}


def world(rows, seed=1, prefix="src", database="shop"):
    """(the two tables, their rows, the rule that each spoiled row breaks by table and id). Records of very many
    rows have no schemas, which are all the same."""
    schemas = rows < 100_000
    chance = random.Random(seed)
    made = {"customers": [customer(n) for n in range(rows // 2)],
            "orders": [order(n, rows // 2) for n in range(rows // 2)]}
    spoiled = {"customers": {}, "orders": {}}
    for table, rules in RULES.items():
        names = [name for rule in rules for name in [f"{rule['check']}_{rule['columns'][0]}"]
                 for _ in range(PLANTED[name])]
        # Odd places: what is next to one stays whole, and another row's email may be taken.
        for place, name in zip(chance.sample(range(1, rows // 2, 2), len(names)), names):
            made[table][place] = SPOIL[name](made[table][place], place)
            spoiled[table][place] = name
    tables = {name: Table(name, columns, prefix=prefix, database=database, schemas=schemas)
              for name, columns in (("customers", CUSTOMER), ("orders", ORDER))}
    return tables, made, spoiled


def pipeline(of_tables=RULES, prefix="src", database="shop", **quality):
    topics = [f"{prefix}.{database}.{table}" for table in ("customers", "orders")]
    return {"name": "shop", "topics": topics, "lanes": 1,
            "quality": {"settle": "0s", **quality},
            "tables": {table: {"quality": some} for table, some in of_tables.items()}}
