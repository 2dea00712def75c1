"""Reads tables of the lake with programs that others wrote: a line of JSON in, a line of JSON out. Run by
the Python of scripts/lake-readers, whose packages the tests' own does not have."""

import glob
import json
import os
import sys

import duckdb
import pyarrow
from deltalake import DeltaTable, QueryBuilder

EXTENSIONS = f"{os.path.dirname(os.path.dirname(duckdb.__file__))}/duckdb_extension_delta/extensions"
database = duckdb.connect()
database.execute("set TimeZone = 'UTC'")
database.execute(f"load '{glob.glob(f'{EXTENSIONS}/*/delta.duckdb_extension')[0]}'")


def table(path):
    return DeltaTable(path)


def plain(value):
    """What JSON has no form for is its text; bytes are hexadecimal."""
    return value.hex() if isinstance(value, bytes) else str(value)


def records(found):
    return [dict(zip(found.column_names, values))
            for values in zip(*(column.to_pylist() for column in found.columns))]


def of_duckdb(path, columns="*", **options):
    found = database.execute(f"select {columns} from delta_scan('{path}')")
    names = [column[0] for column in found.description]
    return [dict(zip(names, values)) for values in found.fetchall()]


def of_deltalake(path, columns="*", version=None):
    opened = DeltaTable(path, version=version)
    return records(pyarrow.table(QueryBuilder().register("t", opened).execute(f"select {columns} from t")
                                 .read_all()))


def changes(path, first=0, last=None):
    """Of the change data feed."""
    return records(pyarrow.table(table(path).load_cdf(starting_version=first, ending_version=last).read_all()))


def described(path):
    opened = table(path)
    return {"version": opened.version(), "files": len(opened.file_uris()),
            "properties": opened.metadata().configuration,
            "partitions": opened.metadata().partition_columns,
            "types": {field.name: str(field.type) for field in pyarrow.schema(opened.schema().to_arrow())}}


def offset(path, id):
    return table(path).transaction_version(id)


WORDS = {"duckdb": of_duckdb, "deltalake": of_deltalake, "changes": changes, "described": described,
         "offset": offset}

for line in sys.stdin:
    asked = json.loads(line)
    try:
        answer = {"answer": WORDS[asked.pop("word")](**asked)}
    except Exception as error:  # noqa: BLE001: who asks says what is wrong
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer, default=plain), flush=True)
