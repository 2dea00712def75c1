"""Writes tables of Delta Lake as delta-rs does: a line of JSON for each thing to do, a line of JSON for each answer."""

import datetime
import decimal
import json
import sys

import pyarrow
from deltalake import DeltaTable, write_deltalake

TYPES = {"id": pyarrow.int64(), "name": pyarrow.string(), "amount": pyarrow.int64(), "note": pyarrow.string(),
         "price": pyarrow.decimal128(12, 2), "share": pyarrow.float64(), "day": pyarrow.date32(),
         "at": pyarrow.timestamp("us", "UTC"), "local": pyarrow.timestamp("us"), "raw": pyarrow.binary(),
         "good": pyarrow.bool_(), "tags": pyarrow.list_(pyarrow.string()), "small": pyarrow.int16(),
         "pair": pyarrow.struct([("a", pyarrow.int32()), ("b", pyarrow.string())])}
READ = {"price": decimal.Decimal, "day": datetime.date.fromisoformat, "at": datetime.datetime.fromisoformat,
        "local": datetime.datetime.fromisoformat, "raw": bytes.fromhex, "share": float}


def rows_of(rows):
    names = list(rows[0])
    read = [{name: READ.get(name, lambda value: value)(value) if value is not None else None
             for name, value in row.items()} for row in rows]
    return pyarrow.Table.from_pylist(read, pyarrow.schema([(name, TYPES[name]) for name in names]))


def append(path, rows, feed=True, **options):
    """Columns that the table lacks are added."""
    write_deltalake(path, rows_of(rows), mode="append", schema_mode="merge",
                    configuration={"delta.enableChangeDataFeed": "true"} if feed else None, **options)


def merge(path, rows):
    done = DeltaTable(path).merge(rows_of(rows), "t.id = s.id", source_alias="s", target_alias="t")
    done.when_matched_update_all().when_not_matched_insert_all().execute()


def delete(path, where):
    DeltaTable(path).delete(where)


def update(path, where, **values):
    DeltaTable(path).update(predicate=where, updates=values)


def optimize(path):
    DeltaTable(path).optimize.compact()


def vacuum(path):
    DeltaTable(path).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)


WORDS = {"append": append, "merge": merge, "delete": delete, "update": update, "optimize": optimize,
         "vacuum": vacuum}

for line in sys.stdin:
    asked = json.loads(line)
    try:
        WORDS[asked.pop("word")](**asked)
        answer = {"answer": None}
    except Exception as error:  # noqa: BLE001: who asks says what is wrong
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
