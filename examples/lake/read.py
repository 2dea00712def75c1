"""read.py READER TABLE COLUMNS: the rows of a table of the lake, each as a line of JSON, as a program reads
them that others wrote. Run by scripts/lake-readers.

READER is deltalake or duckdb (TABLE is a folder), or pyiceberg (TABLE is namespace.name; the catalog is in
CATALOG_URI, the bucket's address in AWS_ENDPOINT_URL).
"""

import glob
import json
import os
import sys


def deltalake(table, columns):
    from deltalake import DeltaTable, QueryBuilder
    import pyarrow
    return pyarrow.table(QueryBuilder().register("t", DeltaTable(table)).execute(
        f"select {', '.join(columns)} from t").read_all())


def duckdb(table, columns):
    import duckdb
    database = duckdb.connect()
    database.execute("set TimeZone = 'UTC'")
    # The extension comes from a wheel: nothing is downloaded.
    wheel = os.path.join(os.path.dirname(os.path.dirname(duckdb.__file__)), "duckdb_extension_delta")
    database.execute(f"load '{glob.glob(f'{wheel}/extensions/*/delta.duckdb_extension')[0]}'")
    return database.execute(f"select {', '.join(columns)} from delta_scan('{table}')").to_arrow_table()


def pyiceberg(table, columns):
    from pyiceberg.catalog.sql import SqlCatalog
    catalog = SqlCatalog("ods", uri=os.environ["CATALOG_URI"], init_catalog_tables="false", **{
        "s3.endpoint": os.environ["AWS_ENDPOINT_URL"], "s3.region": os.environ["AWS_REGION"],
        "s3.access-key-id": os.environ["AWS_ACCESS_KEY_ID"],
        "s3.secret-access-key": os.environ["AWS_SECRET_ACCESS_KEY"]})
    return catalog.load_table(table).scan(selected_fields=tuple(columns)).to_arrow()


READERS = {"deltalake": deltalake, "duckdb": duckdb, "pyiceberg": pyiceberg}

if __name__ == "__main__":
    reader, table, columns = sys.argv[1:]
    names = columns.split(",")
    found = READERS[reader](table, names)
    for row in found.select(names).to_pylist():
        print(json.dumps([row[name] for name in names], default=str))
