"""What the pages in docs/cli/ are tried on: worlds with fixed data, by the name that a page gives in
`<!-- world: NAME -->`. A new kind of world is a function here and a line in WORLDS.

A world is a folder with ods-sink.conf, tables.yaml and records.jsonl, in which a page's commands are
run; what it started is ended by Setup.close().
"""

import json

import pymysql
import pytest

from lib.connect import Connect
from lib.lake import WHY_NOT, engine
from lib.postgres import Database
from lib.records import TEXT, INT, Table, pipeline
from lib.sink import write_lines
from lib.stack import ROOT

LETTERS = "ods.letters"


def customers():
    return Table("customers", {"id": INT, "name": TEXT, "city": TEXT}, database="store",
                 prefix="shop")


def orders():
    return Table("orders", {"id": INT, "customer": INT, "note": TEXT}, database="store",
                 prefix="shop")


def records():
    """Seven: one order's note is longer than its column."""
    people, sales = customers(), orders()
    ada = {"id": 1, "name": "Ada", "city": "London"}
    return [people.create(ada), people.create({"id": 2, "name": "Grace", "city": "New York"}),
            people.update(ada, {**ada, "city": "Turin"}),
            sales.create({"id": 1, "customer": 1, "note": "gift"}),
            sales.create({"id": 2, "customer": 2, "note": "leave it at the neighbour's door"}),
            sales.create({"id": 3, "customer": 2, "note": "fragile"}),
            sales.delete({"id": 1, "customer": 1, "note": "gift"})]


def write(sink, fixtures, page, tables=None, **settings):
    """The configuration; its pipeline is called shop."""
    shop = pipeline("", name="shop", topics=[table().topic for table in (customers, orders)],
                    **({"tables": tables} if tables else {}))
    sink.write(shop, database=fixtures("database"), lanes=1, **settings)
    text = sink.conf.read_text().replace(sink.group, f"shop-{page}")
    sink.conf.write_text(text)
    write_lines(sink.folder / "records.jsonl", records())


def files(sink, fixtures, page):
    """A target, and records in a file; no Kafka."""
    fixtures("database").execute("create table orders (id int primary key, customer int, "
                                 "note varchar(20), cdc_operation text, cdc_timestamp timestamptz)")
    write(sink, fixtures, page)


def shop(sink, fixtures, page, running=False, place=None, tables=None, **settings):
    """The records in Kafka and applied; one is a dead letter. The daemon has ended. `place`: where
    the records say that their source's log stood."""
    kafka, database = fixtures("kafka"), fixtures("database")
    database.execute("create table orders (id int primary key, customer int, note varchar(20), "
                     "cdc_operation text, cdc_timestamp timestamptz)")
    for topic in (customers().topic, orders().topic, LETTERS):
        if topic in kafka.topics():
            kafka.delete(topic)
        kafka.create(topic, 1)
    kafka.produce([placed(record, place) if place else record for record in records()])
    write(sink, fixtures, page, tables, kafka=True, dead_letter={"topic": LETTERS}, **settings)
    daemon = sink.daemon()
    daemon.await_that(lambda: sorted(database.offsets().values()) == [3, 4], what="all records")
    if running:
        daemon.await_ready()
        daemon.await_that(lambda: places_known(daemon), what="the lag of each partition is known")
    else:
        daemon.stop()


def places_known(daemon):
    parts = [part for lane in json.loads(daemon.get("/status")[1])["lanes"] for part in lane["partitions"]]
    return len(parts) == 2 and all(part["lag"] == 0 and part["applied"] for part in parts)


def shop_running(sink, fixtures, page):
    """The same while the daemon runs."""
    shop(sink, fixtures, page, running=True)


def shop_left_out(sink, fixtures, page):
    """Orders were left out."""
    shop(sink, fixtures, page, tables={"orders": {"skip": True}})


def shop_rules(sink, fixtures, page):
    """With rules about the data, of which the note of an order breaks one."""
    shop(sink, fixtures, page, tables={
        "customers": {"quality": [
            {"check": "not_null", "columns": ["name"], "on_fail": "letter"},
            {"check": "unique", "columns": ["name"]}]},
        "orders": {"quality": [
            {"check": "reference", "columns": ["customer"], "references": "customers(id)"},
            {"name": "notes", "check": "set", "columns": ["note"], "values": ["gift", "urgent"]},
            {"check": "lag", "max": "1000"}]}})


def placed(record, place):
    value = json.loads(record["payload"])
    value.get("payload", value)["source"].update(file=place[0], pos=place[1])
    return {**record, "payload": json.dumps(value)}


def shop_mysql(sink, fixtures, page, tables=None):
    """The same, and the source that the records come from: the database store in MySQL."""
    stack = sink.stack.up("mysql")
    root = pymysql.connect(unix_socket=stack["MYSQL_SOCKET"], user="root", autocommit=True)
    with root.cursor() as cursor:
        for sql in ("drop database if exists store", "create database store character set utf8mb4",
                    "create table store.customers (id int primary key, name varchar(50), "
                    "city varchar(50))",
                    "create table store.orders (id int primary key, customer int, note varchar(50))",
                    "insert into store.customers values (1, 'Ada', 'Turin'), (2, 'Grace', 'New York')",
                    "insert into store.orders values (2, 2, 'leave it at the neighbour''s door'), "
                    "(3, 2, 'fragile')"):
            cursor.execute(sql)
        cursor.execute("show master status")
        place = cursor.fetchone()[:2]
    root.close()
    shop(sink, fixtures, page, place=place, tables=tables, databases=[
        {"name": "store", "type": "mysql",
         "dsn": f"host=127.0.0.1 port={stack['MYSQL_PORT']} dbname=store user=debezium "
                "password=${ODS_STACK_MYSQL_DEBEZIUM_PASSWORD}"}])


def jdbc(sink, fixtures, page):
    """A JDBC sink connector's configuration in a file, and nothing else."""
    (sink.folder / "jdbc-sink.json").write_text(json.dumps({"name": "shop-to-ods", "config": {
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "tasks.max": "2",
        "topics.regex": r"shop\.store\..*",
        "connection.url": "jdbc:postgresql://db.example:5432/ods?reWriteBatchedInserts=true",
        "connection.username": "ods", "connection.password": "not-to-be-seen",
        "insert.mode": "upsert", "primary.key.mode": "record_key", "delete.enabled": "true",
        "schema.evolution": "basic", "collection.name.format": "${source.table}",
        "batch.size": "5000", "errors.tolerance": "all",
        "errors.deadletterqueue.topic.name": "shop.letters"}}, indent=2))


def connect(sink, fixtures, page):
    """Kafka Connect, a PostgreSQL source with a table of two rows, and a connector for it in a file."""
    stack, kafka = fixtures("postgres_source"), fixtures("kafka")
    rest = Connect(stack["CONNECT_URL"])
    if "shop" in rest.call("GET", "/connectors"):
        rest.insist("PUT", "/connectors/shop/stop")
        rest.insist("DELETE", "/connectors/shop/offsets")
        rest.insist("DELETE", "/connectors/shop")
    for topic in ("shop.public.shelves", "shop-signal", LETTERS):
        if topic in kafka.topics():
            kafka.delete(topic)
    source = Database(stack, stack["POSTGRES_SOURCE_DATABASE"], "POSTGRES_SOURCE")
    source.execute("drop table if exists shelves; drop publication if exists shop; "
                   "create table shelves (id int primary key, place text); "
                   "insert into shelves values (1, 'left'), (2, 'right')")
    source.close()
    connector = json.loads((ROOT / "config" / "connectors" / "pg_finance.json").read_text())
    connector["name"] = "shop"
    connector["config"].update({"topic.prefix": "shop", "slot.name": "shop_docs",
                                "table.include.list": "public.shelves",
                                "topic.creation.default.partitions": "1"})
    sink.write(pipeline("", name="shop", topics=["^shop\\.public\\..*$"]), kafka=True,
               database=fixtures("database"), connect={"url": stack["CONNECT_URL"]},
               dead_letter={"topic": LETTERS})
    (sink.folder / "shop.json").write_text(json.dumps(connector, indent=2))


def lake(sink, fixtures, page):
    """Tables of Delta Lake and, in `ice`, of Iceberg, to which the records were applied one by one."""
    if not engine(sink.binary):
        pytest.skip(WHY_NOT)
    shop = pipeline("", name="shop", topics=[table().topic for table in (customers, orders)],
                    defaults={"on_delete": "hard", "cdc_operation": "off", "cdc_timestamp": "off"})
    for kind, folder in (("iceberg", "ice"), ("delta", "lake")):
        sink.write(shop, targets=[{"name": "ods", "type": kind, "location": str(sink.folder / folder)}],
                   lanes=1, batch={"max_events": 1})
        sink.run("replay", "-c", sink.conf, sink.file_of(records()))


WORLDS = {"files": files, "shop": shop, "shop-running": shop_running,
          "shop-left-out": shop_left_out, "shop-rules": shop_rules, "shop-mysql": shop_mysql, "jdbc": jdbc,
          "connect": connect, "lake": lake}
