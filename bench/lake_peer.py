"""The peers and the readers of bench/lake.py, by the packages of scripts/lake-readers. A question as JSON
on the standard input, its answer as JSON on the standard output.

The peers are what one writes in Python without a framework: poll many records, decode them, make one Arrow
table, hand it to the format's library.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import sys
import time

import duckdb
import pyarrow
from deltalake import DeltaTable, write_deltalake

sys.path.append("/usr/lib/python3/dist-packages")  # confluent_kafka
BATCH = 50_000
# Records without a schema: numbers and texts are what they are in JSON.
COLUMNS = pyarrow.schema([
    ("customer_id", pyarrow.int64()), ("full_name", pyarrow.string()), ("email", pyarrow.string()),
    ("phone", pyarrow.string()), ("date_of_birth", pyarrow.int64()), ("monthly_income", pyarrow.string()),
    ("created_at", pyarrow.int64()), ("updated_at", pyarrow.string())])
NAMES = COLUMNS.names
EXTENSIONS = f"{os.path.dirname(os.path.dirname(duckdb.__file__))}/duckdb_extension_"


# ---- reading -------------------------------------------------------------------------------------

def connect(kind):
    from glob import glob
    database = duckdb.connect()
    database.execute("set TimeZone = 'UTC'")
    for name in ("delta",) if kind == "delta" else ("avro", "iceberg"):
        database.execute(f"load '{glob(f'{EXTENSIONS}{name}/extensions/*/{name}.duckdb_extension')[0]}'")
    return database


def catalog_of(path):
    from pyiceberg.catalog.sql import SqlCatalog
    location, namespace, name = path.rsplit("/", 2)
    return SqlCatalog("ods", uri=f"sqlite:///{location}/catalog.sqlite", warehouse=f"file://{location}"), \
        (namespace, name)


def source(kind, path):
    if kind == "delta":
        return f"delta_scan('{path}')"
    catalog, name = catalog_of(path)
    return f"iceberg_scan('{catalog.load_table(name).metadata_location}')"


DIFFERENCES = """select (select count(*) from (select * from wanted except select * from seen))
    + (select count(*) from (select * from seen except select * from wanted))
    + (select abs((select count(*) from seen) - (select count(*) from wanted)))"""


def events(kind, path, brokers, topic, records):
    """How many of the topic's changes are not in the history once, with their values, and what else is there. What they
    are Python's own decoder says."""
    database = connect(kind)
    columns = f"""op, "partition", "offset", {', '.join(f"{name}::varchar as {name}" for name in NAMES)}"""
    database.execute(f"create table seen as select {columns} from {source(kind, path)}")
    database.execute("create table wanted as from seen limit 0")
    for found in batches(brokers, topic, records):
        sent = as_history(topic, found)  # noqa: F841: DuckDB reads it by its name
        database.execute(f"insert into wanted select {columns} from sent")
    return database.execute(DIFFERENCES).fetchone()[0]


def differences(kind, path, reference):
    database = connect(kind)
    types = dict(zip(NAMES, ("INTEGER", "VARCHAR", "VARCHAR", "VARCHAR", "DATE", "DECIMAL(15,2)", "TIMESTAMP",
                             "TIMESTAMPTZ")))
    database.execute(f"""create table reference as select * from read_csv('{reference}', delim='\t', header=false,
        nullstr='\\N', quote='', escape='', columns={types})""")
    # COPY's escapes.
    database.execute(r"""update reference set full_name =
        replace(replace(replace(replace(full_name, '\\', chr(1)), '\t', chr(9)), '\n', chr(10)), chr(1), '\')""")
    plain = """customer_id::bigint, full_name, email, phone, {}, monthly_income::decimal(15, 2), {},
        updated_at::timestamptz"""
    database.execute(f"""create table wanted as select {plain.format("date_of_birth - date '1970-01-01'",
                     "epoch_ms(created_at)")} from reference""")
    database.execute(f"""create table seen as select {plain.format("date_of_birth", "created_at")}
        from {source(kind, path)}""")
    return database.execute(DIFFERENCES).fetchone()[0]


def whole(kind, path):
    """All rows, as batches: by the reader, since not every library reads every deletion vector."""
    return connect(kind).execute(f"select {', '.join(NAMES)} from {source(kind, path)}").to_arrow_reader(500_000)


def copy(kind, path, to):
    """The same rows in a table that the format's own library writes."""
    shutil.rmtree(to, ignore_errors=True)
    if kind == "delta":
        write_deltalake(f"{to}/db/customers", whole(kind, path))
        return None
    os.makedirs(to)
    catalog, name = catalog_of(f"{to}/db/customers")
    catalog.create_namespace("db")
    made = catalog.create_table(name, COLUMNS, properties={"write.parquet.compression-codec": "snappy"})
    for batch in whole(kind, path):
        made.append(pyarrow.Table.from_batches([batch], COLUMNS))
    return None


def scan(kind, path, clean):
    copy(kind, path, clean)
    database = connect(kind)
    asked = "select count(*), sum(created_at), max(full_name), max(email), max(updated_at) from "
    places = {"seconds": source(kind, path), "clean_seconds": source(kind, f"{clean}/db/customers")}
    took = {name: [] for name in places}
    answers = set()
    for _ in range(7):
        for name, place in places.items():
            begun = time.monotonic()
            answers.add(database.execute(asked + place).fetchall()[0])
            took[name].append(time.monotonic() - begun)
    assert len(answers) == 1, answers
    found = {name: statistics.median(each) for name, each in took.items()}
    if kind == "delta":
        adds = DeltaTable(path).get_add_actions(flatten=True)
        found["files"] = pyarrow.table(adds).num_rows
        rows = sum(pyarrow.table(adds)["num_records"].to_pylist())
    else:
        catalog, name = catalog_of(path)
        tasks = list(catalog.load_table(name).scan().plan_files())
        found["files"] = len(tasks)
        rows = sum(task.file.record_count for task in tasks)
    return {**found, "deleted": rows - next(iter(answers))[0]}


# ---- the peers -----------------------------------------------------------------------------------

def columns_of(rows):
    """Of row images: one array a column."""
    return [pyarrow.array([row[field.name] for row in rows], field.type) for field in COLUMNS]


def batches(brokers, topic, records):
    from confluent_kafka import Consumer
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": f"peer-{os.getpid()}", "enable.auto.commit": False,
                         "auto.offset.reset": "earliest", "queued.max.messages.kbytes": 65536})
    consumer.subscribe([topic])
    seen = 0
    while seen < records:
        found = []
        while len(found) < BATCH and seen + len(found) < records:
            found += [message for message in consumer.consume(10_000, 1.0) if not message.error()]
        seen += len(found)
        yield found
        consumer.commit(asynchronous=False)
    consumer.close()


def figures(begun, cpu, events):
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {"events_s": events / (time.monotonic() - begun),
            "cpu_us": (used.ru_utime + used.ru_stime - cpu) / events * 1e6, "peak_mb": used.ru_maxrss // 1024}


def spent():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


HISTORY = COLUMNS.append(pyarrow.field("op", pyarrow.string())).append(pyarrow.field("topic", pyarrow.string())) \
    .append(pyarrow.field("partition", pyarrow.int32())).append(pyarrow.field("offset", pyarrow.int64()))


def as_history(topic, found):
    """Each change as a row; of a delete the one that went."""
    changes = [(json.loads(message.value()), message) for message in found if message.value()]
    return pyarrow.Table.from_arrays(
        columns_of([change["after"] or change["before"] for change, _ in changes]) + [
            pyarrow.array([change["op"] for change, _ in changes], pyarrow.string()),
            pyarrow.array([topic] * len(changes), pyarrow.string()),
            pyarrow.array([message.partition() for _, message in changes], pyarrow.int32()),
            pyarrow.array([message.offset() for _, message in changes], pyarrow.int64())], schema=HISTORY)


def append(kind, brokers, topic, records, path):
    """Each change as a row, from the first batch on."""
    shutil.rmtree(path, ignore_errors=True)
    made = None
    if kind == "iceberg":
        os.makedirs(path)
        catalog, name = catalog_of(f"{path}/db/customers")
        catalog.create_namespace("db")
        made = catalog.create_table(name, HISTORY, properties={"write.parquet.compression-codec": "snappy"})
    begun = cpu = None
    count = 0
    for found in batches(brokers, topic, records):
        if begun is None:
            begun, cpu = time.monotonic(), spent()
        table = as_history(topic, found)
        count += table.num_rows
        if made is not None:
            made.append(table)
        else:
            write_deltalake(f"{path}/db/customers", table, mode="append")
    return {**figures(begun, cpu, count), "commits": -(-records // BATCH)}


def upsert(kind, brokers, topic, records, path):
    """The last change of a key in a batch counts."""
    begun = cpu = None
    count = 0
    if kind == "iceberg":
        catalog, name = catalog_of(f"{path}/db/customers")
        made = catalog.load_table(name)
    for found in batches(brokers, topic, records):
        if begun is None:
            begun, cpu = time.monotonic(), spent()
        last = {}
        for message in found:
            if message.value():
                change = json.loads(message.value())
                count += 1
                last[(change["after"] or change["before"])["customer_id"]] = change
        kept = [change["after"] for change in last.values() if change["after"]]
        gone = [key for key, change in last.items() if not change["after"]]
        if kind == "iceberg":
            from pyiceberg.expressions import In
            made.upsert(pyarrow.Table.from_arrays(columns_of(kept), schema=COLUMNS), join_cols=["customer_id"])
            if gone:
                made.delete(In("customer_id", gone))
            continue
        rows = kept + [{**dict.fromkeys(NAMES), "customer_id": key} for key in gone]
        table = pyarrow.Table.from_arrays(
            columns_of(rows) + [pyarrow.array([False] * len(kept) + [True] * len(gone))],
            schema=COLUMNS.append(pyarrow.field("gone", pyarrow.bool_())))
        sets = {name: f"s.{name}" for name in NAMES}
        DeltaTable(f"{path}/db/customers").merge(
            table, "t.customer_id = s.customer_id", source_alias="s", target_alias="t") \
            .when_matched_delete("s.gone").when_matched_update(sets) \
            .when_not_matched_insert(sets, "not s.gone").execute()
    return {**figures(begun, cpu, count), "commits": -(-records // BATCH)}


WORDS = {"events": events, "differences": differences, "copy": copy, "scan": scan, "append": append, "upsert": upsert}

if __name__ == "__main__":
    asked = json.loads(sys.stdin.read())
    print(json.dumps(WORDS[asked.pop("word")](**asked)))
