#!/usr/bin/python3
"""The mysql target beside Debezium's JDBC sink, in its MySQL dialect, and beside a client that loads
the same changes by LOAD DATA into a temporary table and merges them: out of the same topic, and
out of files that are made beforehand, so that it does nothing else.

    scripts/stack fetch jdbc
    scripts/stack --dir DIR --free-ports up kafka connect
    make -C bench OUT=DIR/bin && bench/mysql_target.py DIR [PROGRAM] [--events N] [--flavour mariadb]

Each gets the same topic and an empty table in turn, two rounds. The time runs from the first row in the
table to the last (each starts at its own pace); of the client with files, from the first load to
the last commit: it neither reads Kafka nor decodes. Prints changes a second, the server's CPU, the ratios
of the medians, and the largest memory.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pymysql
from confluent_kafka import Consumer

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]
from contenders import TUNED  # noqa: E402
from lib.mysql_target import Database, Server  # noqa: E402

TABLE = """create table customers (customer_id int primary key, full_name varchar(100) not null,
    email varchar(120), phone varchar(20), date_of_birth date, monthly_income decimal(15, 2),
    created_at datetime, updated_at timestamp(3) null)"""
COLUMNS = ["customer_id", "full_name", "email", "phone", "date_of_birth", "monthly_income",
           "created_at", "updated_at"]
BATCH = 10_000
ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n"}


def stack_env(folder: Path) -> dict[str, str]:
    found = {}
    for line in (folder / "env").read_text().splitlines():
        name, _, value = line.removeprefix("export ").partition("=")
        found[name.removeprefix("ODS_STACK_")] = value.strip("'\"")
    return found


def peak_mb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) // 1024
    return 0


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Load:
    """The topic, and what is in the table when all of it is applied."""

    def __init__(self, env: dict[str, str], folder: Path, events: int):
        self.events, self.prefix = events, f"bench_mysql_{events}_{os.getpid()}"
        self.topic = f"{self.prefix}.mks_finance_dw.customers"
        base = [folder / "bin/generate", "--mix", "mixed", "--wire", "envelope", "--table",
                "customers", "--tables", "1", "--partitions", "4", "--events", str(events),
                "--preload", "0", "--prefix", self.prefix]
        place = folder / self.prefix
        subprocess.run([*base, "--brokers", env["KAFKA_BOOTSTRAP"], "--out", str(place)],
                       check=True, stdout=subprocess.DEVNULL)
        lean = [*base, "--lines", "--out", str(place / "lines")]
        lean[lean.index("envelope")] = "lean"
        (place / "lines").mkdir(parents=True, exist_ok=True)
        subprocess.run(lean, check=True, stdout=subprocess.DEVNULL)
        self.changes = 0
        self.rows: dict[int, dict] = {}
        self.batches: list[tuple[list[int], list[dict]]] = []
        self._read(place / "lines" / "lines.jsonl")

    def _read(self, path: Path) -> None:
        """Batches as a client would fold them: keys that go, rows that come."""
        batch: dict[int, dict | None] = {}
        with path.open() as lines:
            for number, line in enumerate(lines, 1):
                record = json.loads(line)
                if record.get("payload") is not None:
                    self.changes += 1
                    change = json.loads(record["payload"])
                    row = change["after"]
                    batch[(row or change["before"])["customer_id"]] = row
                if number % BATCH == 0:
                    self._close(batch)
                    batch = {}
        self._close(batch)

    def _close(self, batch: dict[int, dict | None]) -> None:
        gone = [key for key, row in batch.items() if row is None]
        for key in gone:
            self.rows.pop(key, None)
        come = {key: row for key, row in batch.items() if row is not None}
        self.rows.update(come)
        self.batches.append((gone, list(come.values())))


def text_of(column: str, value) -> str:
    if value is None:
        return "\\N"
    if column == "date_of_birth":
        return time.strftime("%Y-%m-%d", time.gmtime(value * 86400))
    if column == "created_at":
        return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(value / 1000))
    if column == "updated_at":
        return str(value).replace("T", " ").removesuffix("Z")
    return "".join(ESCAPES.get(character, character) for character in str(value))


class Watch:
    """When the first row was there and when all were."""

    def __init__(self, database: Database, load: Load):
        self.database, self.load = database, load

    def run(self, check, timeout_s: int = 900) -> float:
        database, count = self.database, len(self.load.rows)
        last = sorted(self.load.rows)[-4:]  # each partition ends in a row of its own
        until, began = time.monotonic() + timeout_s, None
        while time.monotonic() < until:
            check()
            if began is None:
                began = time.monotonic() if database.execute("select 1 from customers limit 1") \
                    else None
            elif database.count("customers", f"customer_id in {tuple(last)}") == 4 and \
                    database.count("customers") == count:
                return time.monotonic() - began
            time.sleep(0.05)
        raise SystemExit(f"{database.count('customers')} of {count} rows after {timeout_s} s")


def ods_sink(env, folder, program, database, load) -> tuple[float, int]:
    conf = folder / "conf"
    conf.mkdir(exist_ok=True)
    (conf / "tables.yaml").write_text(json.dumps({"pipelines": [{
        "name": "bench", "topics": [load.topic], "format": "debezium", "target": "ods",
        "defaults": {"on_delete": "hard", "cdc_operation": "off", "cdc_timestamp": "off"}}]}))
    (conf / "ods-sink.conf").write_text(
        f'kafka = {{ bootstrap_servers = "{env["KAFKA_BOOTSTRAP"]}"; '
        f'group_id = "bench-{os.getpid()}-{time.time_ns()}"; }};\n'
        f'targets = ( {{ name = "ods"; type = "mysql"; dsn = "{database.dsn}"; }} );\n'
        'lanes = 2; tables = "tables.yaml"; http = { listen = ""; };\n')
    with (folder / "ods-sink.log").open("wb") as log:
        sink = subprocess.Popen([program, "run", "-c", str(conf / "ods-sink.conf")], stderr=log)

    def check():
        if sink.poll() is not None:
            raise SystemExit((folder / "ods-sink.log").read_text()[-2000:])
    try:
        return Watch(database, load).run(check), peak_mb(sink.pid)
    finally:
        sink.send_signal(signal.SIGTERM)
        sink.wait(60)


def rest(env, method: str, path: str, body=None):
    request = urllib.request.Request(
        env["CONNECT_URL"] + path, method=method,
        data=json.dumps(body).encode() if body is not None else None,
        headers={"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as answer:
        text = answer.read()
        return json.loads(text) if text else None


def jdbc(env, folder, program, database, load) -> tuple[float, int]:
    name = f"bench-mysql-{os.getpid()}-{time.time_ns() // 10**6}"
    converter = "org.apache.kafka.connect.json.JsonConverter"
    server = database.server
    rest(env, "PUT", f"/connectors/{name}/config", {
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "topics": load.topic,
        "connection.url": f"jdbc:mysql://127.0.0.1:{server.port}/{database.name}"
                          "?rewriteBatchedStatements=true&useSSL=false"
                          "&allowPublicKeyRetrieval=true&connectionTimeZone=UTC",
        "connection.username": "ods", "connection.password": server.password,
        "insert.mode": "upsert", "delete.enabled": "true", "primary.key.mode": "record_key",
        "schema.evolution": "none", "collection.name.format": "customers",
        "key.converter": converter, "value.converter": converter,
        "key.converter.schemas.enable": "true", "value.converter.schemas.enable": "true",
        "value.converter.replace.null.with.default": "false", **TUNED})

    def check():
        state = rest(env, "GET", f"/connectors/{name}/status")
        for task in state["tasks"]:
            if task["state"] == "FAILED":
                raise SystemExit("the JDBC sink: " + task["trace"][:1500])
    pid = int((folder / "run" / "connect.pid").read_text())
    time.sleep(1)  # else its status is not there yet
    try:
        return Watch(database, load).run(check), peak_mb(pid)
    finally:
        rest(env, "DELETE", f"/connectors/{name}")


def place_of(database: Database) -> tuple[int, str, str]:
    return database.server.port, database.server.password, database.name


class Client:
    """Loads rows into a temporary table and merges them: a transaction a batch."""

    def __init__(self, port: int, password: str, name: str):
        self.connection = pymysql.connect(
            host="127.0.0.1", port=port, user="ods", password=password, database=name,
            charset="utf8mb4", local_infile=True, init_command="set time_zone = '+00:00'")
        self.cursor = self.connection.cursor()
        self.cursor.execute(TABLE.replace("create table customers", "create temporary table staged"))
        self.names = ", ".join(COLUMNS)
        self.sets = ", ".join(f"{name} = values({name})" for name in COLUMNS[1:])

    @staticmethod
    def write(path: Path, rows: list[dict]) -> None:
        path.write_text("".join("\t".join(text_of(column, row[column]) for column in COLUMNS) + "\n"
                                for row in rows))

    def merge(self, path: Path, gone: list[int], any_rows: bool) -> None:
        self.cursor.execute("delete from staged")
        if gone:
            self.cursor.execute("delete from customers where customer_id in "
                                f"({', '.join(map(str, gone))})")
        if any_rows:
            self.cursor.execute(f"load data local infile '{path}' into table staged "
                                f"character set utf8mb4 ({self.names})")
            self.cursor.execute(f"insert into customers ({self.names}) select {self.names} from staged "
                                f"on duplicate key update {self.sets}")
        self.connection.commit()


def merge(env, folder, program, database, load) -> tuple[float, int]:
    """Its files are made before the clock starts: it has no decoding to do."""
    files = [folder / f"merge-{number}.tsv" for number in range(len(load.batches))]
    for path, (_, rows) in zip(files, load.batches):
        Client.write(path, rows)
    client = Client(*place_of(database))
    began = time.monotonic()
    for path, (gone, rows) in zip(files, load.batches):
        client.merge(path, gone, bool(rows))
    took = time.monotonic() - began
    client.connection.close()
    for path in files:
        path.unlink()
    assert database.count("customers") == len(load.rows)
    return took, peak_mb(os.getpid())


def follow(bootstrap: str, topic: str, left: int, path: Path, place: tuple[int, str, str]) -> None:
    """The same client where it does the whole of the job: a process that reads the topic, with librdkafka,
    takes the last state of each key of 10,000 records, and keeps its place in the group after the merge."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"bench-{time.time_ns()}",
                         "auto.offset.reset": "earliest", "enable.auto.commit": False})
    consumer.subscribe([topic])
    client = Client(*place)
    while left > 0:
        batch: dict[int, dict | None] = {}
        messages = consumer.consume(BATCH, 0.5)
        for message in messages:
            if message.value() is None:  # the tombstone behind a delete, which is no change
                continue
            change = json.loads(message.value())["payload"]
            row = change["after"]
            batch[(row or change["before"])["customer_id"]] = row
            left -= 1
        rows = [row for row in batch.values() if row is not None]
        Client.write(path, rows)
        client.merge(path, [key for key, row in batch.items() if row is None], bool(rows))
        if messages:
            consumer.commit(asynchronous=False)
    time.sleep(2)  # its memory is looked at
    consumer.close()


def read_and_merge(env, folder, program, database, load) -> tuple[float, int]:
    child = multiprocessing.get_context("spawn").Process(target=follow, args=(
        env["KAFKA_BOOTSTRAP"], load.topic, load.changes, folder / "follow.tsv", place_of(database)))
    child.start()

    def check():
        if child.exitcode is not None:
            raise SystemExit("the client that reads the topic has ended")
    try:
        return Watch(database, load).run(check), peak_mb(child.pid)
    finally:
        child.join(60)
        child.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("program", nargs="?", default=str(ROOT / "build/release/ods-sink"))
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--flavour", choices=("mysql", "mariadb"), default="mysql")
    parser.add_argument("--without-jdbc", action="store_true")
    options = parser.parse_args()
    env = stack_env(options.folder)
    load = Load(env, options.folder, options.events)
    server = Server(options.flavour)
    contenders = {"ods-sink, 2 lanes": ods_sink, "the topic, LOAD DATA": read_and_merge,
                  "LOAD DATA and merge": merge, "JDBC sink, tuned": jdbc}
    if options.without_jdbc:
        del contenders["JDBC sink, tuned"]
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    memory: dict[str, int] = dict.fromkeys(contenders, 0)
    try:
        for _ in range(options.rounds):
            for name, run in contenders.items():
                database = Database(server, "bench")
                database.execute(TABLE)
                before = cpu_s(server.process.pid)
                took, peak = run(env, options.folder, options.program, database, load)
                rates[name].append(options.events / took)
                memory[name] = max(memory[name], peak)
                spent = (cpu_s(server.process.pid) - before) / options.events * 1e6
                print(f"{name:22} {options.events / took:10,.0f} changes/s {spent:6.1f} µs of the "
                      f"server's CPU a change {peak:6} MB", flush=True)
                database.close()
    finally:
        server.close()
    ours = statistics.median(rates["ods-sink, 2 lanes"])
    for name in contenders:
        rate = statistics.median(rates[name])
        print(f"{name:22} {rate:10,.0f} changes/s in the median, ods-sink has {ours / rate:.1f} "
              f"times as many; at most {memory[name]} MB")


if __name__ == "__main__":
    main()
