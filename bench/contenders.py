"""The contenders: how each is started, watched and ended."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

import measure
from loads import Kafka, Load, Made, lines_file

HERE = Path(__file__).resolve().parent


@dataclass
class Place:
    """Where everything is."""

    env: dict[str, str]  # of scripts/stack, without ODS_STACK_
    folder: Path         # for files of the runs
    binaries: Path       # of bench/Makefile
    ods_sink: Path | None
    kafka: Kafka
    target: measure.Target
    properties: list[str] = field(default_factory=list)  # of ods-sink's librdkafka: name=value

    def pid(self, part: str) -> int:
        return int((Path(self.env["PID_DIR"]) / f"{part}.pid").read_text())

    @property
    def brokers(self) -> str:
        return self.env["KAFKA_BOOTSTRAP"]

    @property
    def dsn(self) -> str:
        return self.env["POSTGRES_URL"]


class Failed(Exception):
    """This run came to no end that could be measured."""


def tail(path: Path, lines: int = 8) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


@dataclass
class Sink:
    """A sink that reads Kafka: started by `start`, which sets pid and group, ended by `stop`."""

    name: str
    label: str
    place: Place
    pid: int = 0
    pids: list[int] = field(default_factory=list)  # where there is more than one
    group: str = ""
    process: subprocess.Popen[bytes] | None = None
    log: Path = field(default_factory=Path)

    def lacks(self, load: Load) -> str | None:
        """Why it cannot take part, or None."""
        return None

    def start(self, prefix: str, space: str, tables: list[str], wire: str) -> None:
        raise NotImplementedError

    def watched(self, tables: list[str]) -> list[str]:
        """The tables in which its rows are seen to come."""
        return tables

    def prepare(self, tables: list[str]) -> None:
        """Before the run: what it needs in the target beside the rows' tables."""

    def settle(self, tables: list[str]) -> None:
        """After the run, before its rows are compared."""

    def launch(self, command: list[str]) -> None:
        self.log = self.place.folder / "log" / f"{self.name}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.pid = self.process.pid

    def check(self) -> None:
        """Raise Failed when it has given up."""
        if self.process and self.process.poll() is not None:
            raise Failed(f"{self.name} ended with {self.process.returncode}:\n{tail(self.log)}")

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
        self.place.kafka.forget(self.group)


def run_id() -> str:
    return f"{os.getpid()}-{time.time_ns() // 1_000_000 % 100_000_000}"


def ods_sink_config(place: Place, group: str, prefix: str, space: str, connector: str,
                    lanes: int, mode: str = "upsert", wire: str = "") -> Path:
    folder = place.folder / "conf"
    folder.mkdir(parents=True, exist_ok=True)
    pairs = (pair.partition("=") for pair in place.properties)
    properties = " ".join(f'"{name}" = "{value}";' for name, _, value in pairs)
    conf = folder / "ods-sink.conf"
    conf.write_text(
        f'kafka = {{ bootstrap_servers = "{place.brokers}"; group_id = "{group}";'
        f" properties = {{ {properties} }}; }};\n"
        'targets = ( { name = "ods"; type = "postgres"; dsn = "${ODS_STACK_POSTGRES_URL}"; } );\n'
        f'lanes = {lanes};\nhttp = {{ listen = ""; }};\nlog = {{ level = "warn"; }};\n'
        'tables = "tables.yaml";\n')
    reads = f"debezium-avro\n    registry: {{ url: '{schemas_of(place, prefix)}' }}" \
        if wire == "avro" else "debezium"
    makes = "false" if mode == "upsert" else "true"  # the history's table
    (folder / "tables.yaml").write_text(
        "pipelines:\n"
        f"  - name: bench\n    topics: ['^{prefix}\\.{space}\\..*$']\n"
        f"    format: {reads}\n    target: ods\n"
        f"    source: {{ connector: {connector} }}\n"
        f"    defaults: {{ schema: public, on_delete: hard, create_tables: {makes},\n"
        f"                cdc_operation: off, cdc_timestamp: off, mode: {mode} }}\n")
    os.environ["ODS_STACK_POSTGRES_URL"] = place.dsn
    return conf


def schemas_of(place: Place, prefix: str) -> str:
    """In place of a registry: a schema is asked for once, and the records are counted."""
    return f"file://{place.folder}/loads/{prefix}/schemas.json"


def connector_of(space: str) -> str:
    return "postgresql" if space == "public" else "mysql"


# As ods-sink makes them (include/ods/history.h).
HISTORY_COLUMNS = ", ".join("add " + column for column in (
    "op text not null", "cdc_timestamp timestamptz not null", 'topic text collate "C" not null',
    "partition integer not null", '"offset" bigint not null', "part smallint not null",
    "lsn bigint", "binlog_file text", "binlog_pos bigint", "binlog_row integer", "gtid text",
    "tx_id text", "tx_order bigint", "unchanged text[]", "before jsonb",
    "ingested_at timestamptz not null default now()",
    'primary key ("offset", partition, part, topic)'))


@dataclass
class OdsSink(Sink):
    lanes: int = 2
    processes: int = 1
    mode: str = "upsert"  # or history, both
    named: bool = True
    others: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def lacks(self, load: Load) -> str | None:
        if not self.named or (self.mode != "upsert" and load.tables > 1):
            return "histories are measured where --contenders names them, for one table"
        return None if self.place.ods_sink else "no ods-sink binary"

    def watched(self, tables: list[str]) -> list[str]:
        return [f"{table}_cdc" if self.mode == "history" else table for table in tables]

    def prepare(self, tables: list[str]) -> None:
        """The history's table with the types of the rows' table, as the records have no schema."""
        for table in tables if self.mode != "upsert" else []:
            self.place.target.run(
                f"create table public.{table}_cdc as table public.{table} with no data;"
                f" alter table public.{table}_cdc {HISTORY_COLUMNS};"
                f" create index on public.{table}_cdc using brin (cdc_timestamp);"
                f" grant all on public.{table}_cdc to public")

    def settle(self, tables: list[str]) -> None:
        """What a history alone says of the rows is put where they are compared."""
        for table in tables if self.mode == "history" else []:
            self.place.target.run(f"insert into public.{table} select * from "
                                  f"ods_sink.as_of(null::public.{table}, 'infinity')")

    def start(self, prefix: str, space: str, tables: list[str], wire: str) -> None:
        group = f"bench-{run_id()}"
        self.group = f"{group}.bench"
        conf = ods_sink_config(self.place, group, prefix, space, connector_of(space), self.lanes,
                               self.mode, wire)
        command = [str(self.place.ods_sink), "run", "-c", str(conf)]
        self.others = [subprocess.Popen(command, stderr=subprocess.DEVNULL)
                       for _ in range(self.processes - 1)]
        self.launch(command)
        self.pids = [self.pid, *(other.pid for other in self.others)]

    def stop(self) -> None:
        for other in self.others:
            other.terminate()
        for other in self.others:
            other.wait(30)
        super().stop()


@dataclass
class PythonSink(Sink):
    named: bool = False  # on the command line

    def lacks(self, load: Load) -> str | None:
        if load.wire == "avro":
            return "reads JSON"
        return None if self.named or load.name == "envelope" else \
            "takes minutes: elsewhere only where --contenders names it"

    def start(self, prefix: str, space: str, tables: list[str], wire: str) -> None:
        self.group = f"bench-python-{run_id()}"
        self.launch([sys.executable, str(HERE / "python_sink.py"), "--brokers", self.place.brokers,
                     "--dsn", self.place.dsn, "--group", self.group,
                     "--topics", f"^{prefix}\\.{space}\\..*"])


TUNED = {
    "tasks.max": "2", "batch.size": "5000", "use.reduction.buffer": "true",
    "consumer.override.max.poll.records": "5000",
}


@dataclass
class JdbcSink(Sink):
    tuned: bool = False
    connector: str = ""

    def lacks(self, load: Load) -> str | None:
        if load.wire == "avro":
            return "needs a registry's converter, which Kafka Connect does not bring"
        return "needs records with schema" if load.wire == "lean" else None

    def rest(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            self.place.env["CONNECT_URL"] + path, method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for _ in range(100):
            try:
                with opener.open(request, timeout=60) as answer:
                    text = answer.read()
                    return json.loads(text) if text else None
            except urllib.error.HTTPError as error:
                if error.code != 409:  # 409: the worker rebalances, for a moment
                    raise Failed(f"Kafka Connect: {error.code} {error.read().decode()}") from error
                time.sleep(0.2)
        raise Failed("Kafka Connect does not come out of its rebalance")

    def start(self, prefix: str, space: str, tables: list[str], wire: str) -> None:
        env = self.place.env
        self.connector = f"bench-{self.name}-{run_id()}"
        self.group = f"connect-{self.connector}"
        self.pid = self.place.pid("connect")
        url = f"jdbc:postgresql://{env['POSTGRES_HOST']}:{env['POSTGRES_PORT']}" \
              f"/{env['POSTGRES_DATABASE']}"
        converter = "org.apache.kafka.connect.json.JsonConverter"
        config = {
            "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "tasks.max": "1",
            "topics.regex": f"{prefix}\\.{space}\\..*",
            "connection.url": url + ("?reWriteBatchedInserts=true" if self.tuned else ""),
            "connection.username": env["POSTGRES_USER"],
            "connection.password": env["POSTGRES_PASSWORD"],
            "insert.mode": "upsert", "delete.enabled": "true", "primary.key.mode": "record_key",
            "schema.evolution": "none",
            "collection.name.format": tables[0] if len(tables) == 1 else "${source.table}",
            "key.converter": converter, "value.converter": converter,
            "key.converter.schemas.enable": "true", "value.converter.schemas.enable": "true",
            # Else it writes a column's default where the record has null.
            "value.converter.replace.null.with.default": "false",
        }
        if wire == "flat":
            config |= {
                "transforms": "strip",
                "transforms.strip.type":
                    "org.apache.kafka.connect.transforms.ReplaceField$Value",
                "transforms.strip.replace.null.with.default": "false",
                "transforms.strip.exclude": "__deleted,__op,__source_ts_ms,__source_table",
            }
        measure.reset_peak(self.pid)
        self.rest("PUT", f"/connectors/{self.connector}/config",
                  config | (TUNED if self.tuned else {}))

    def check(self) -> None:
        try:
            state = self.rest("GET", f"/connectors/{self.connector}/status")
        except Failed:
            return
        for task in state["tasks"]:
            if task["state"] == "FAILED":
                trace = task.get("trace", "")
                causes = [line for line in trace.splitlines() if "aused by" in line]
                raise Failed(f"{self.name}: " + (causes[-1] if causes else trace[:300]))

    def stop(self) -> None:
        self.rest("DELETE", f"/connectors/{self.connector}")
        time.sleep(1)  # its tasks flush and leave the group
        self.place.kafka.forget(self.group)


@dataclass
class Tool:
    """A limit: a program that runs to its end by itself. `run` answers what it measured."""

    name: str
    label: str
    place: Place
    writes: bool
    lacks: Callable[[Load], str | None]
    run: Callable[[Place, Made], dict[str, Any]]


def timed(command: list[str], env: dict[str, str] | None = None) -> dict[str, Any]:
    """Run a program; its wall time, its own CPU and memory, and what it printed."""
    started = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, **(env or {})}, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    assert process.stdout and process.stderr
    out, err = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise Failed(f"{command[0]} ended with {process.returncode}: {err[-500:]}")
    return {"seconds": time.monotonic() - started, "cpu_seconds": usage.ru_utime + usage.ru_stime,
            "peak_rss_kb": usage.ru_maxrss, "out": out}


def psql(place: Place, *arguments: str) -> dict[str, Any]:
    """psql with the same safety as ods-sink by default: commits do not wait for the disk."""
    return timed([place.env["POSTGRES_BIN"] + "/psql", "-Xq", "-v", "ON_ERROR_STOP=1",
                  "-d", place.dsn, *arguments], {"PGOPTIONS": "-c synchronous_commit=off"})


def run_merge(place: Place, made: Made) -> dict[str, Any]:
    return psql(place, "-f", str(made.folder / "merge.sql"))


def run_copy(place: Place, made: Made) -> dict[str, Any]:
    name = made.load.table
    return psql(place, "-c", f"\\copy {name} from '{made.folder}/reference/{name}.copy'")


def run_consume(place: Place, made: Made) -> dict[str, Any]:
    result = timed([str(place.binaries / "consume"), place.brokers, made.load.prefix + "."])
    answer = json.loads(result["out"])
    if answer["records"] != made.facts["records"]:
        raise Failed(f"{answer['records']} of {made.facts['records']} records came")
    return result | {"seconds": answer["seconds"]}


def run_apply(place: Place, made: Made) -> dict[str, Any]:
    conf = ods_sink_config(place, f"bench-{run_id()}", made.load.prefix, made.load.space,
                           connector_of(made.load.space), 2, wire=made.load.wire)
    lines = lines_file(made, place.binaries / "generate")
    result = timed([str(place.ods_sink), "bench", "apply", "-c", str(conf), str(lines)])
    answer = json.loads(result["out"])
    return result | {"seconds": answer["seconds"], "cpu_seconds": answer["cpu_seconds"]}


def run_decode(place: Place, made: Made) -> dict[str, Any]:
    """Records of a part of the load, over and over for some seconds: a rate, not a run."""
    lines = lines_file(made, place.binaries / "generate", min(made.load.events, 50_000))
    options = ["--format", "debezium-avro", "--registry", schemas_of(place, made.load.prefix)] \
        if made.load.wire == "avro" else []
    result = timed([str(place.ods_sink), "bench", "decode", "--seconds", "3", *options, str(lines)])
    answer = json.loads(result["out"])
    scale = made.facts["events"] / answer["records"]
    return result | {"seconds": answer["seconds"] * scale,
                     "cpu_seconds": answer["cpu_seconds"] * scale}


def has_bench(place: Place) -> bool:
    if not place.ods_sink:
        return False
    answer = subprocess.run([str(place.ods_sink), "help", "bench"], capture_output=True, text=True)
    return answer.returncode == 0 and "apply" in answer.stdout


def contenders(place: Place, named: str) -> dict[str, Sink | Tool]:
    bench = has_bench(place)

    def ours(_load: Load) -> str | None:
        return None if bench else "ods-sink bench is not available"

    def single(load: Load) -> str | None:
        return "knows one table" if load.tables > 1 else None

    def creates(load: Load) -> str | None:
        return None if load.mix == "snapshot" else "only where all events are creates"

    everyone: list[Sink | Tool] = [
        OdsSink("ods-sink-2", "ods-sink, 2 lanes", place, lanes=2),
        OdsSink("ods-sink-1", "ods-sink, 1 lane", place, lanes=1),
        OdsSink("history", "ods-sink, 2 lanes, history alone", place, mode="history",
                named="history" in named.split(",")),
        OdsSink("both", "ods-sink, 2 lanes, rows and history", place, mode="both",
                named="both" in named.split(",")),
        JdbcSink("jdbc", "Debezium JDBC sink, defaults", place),
        JdbcSink("jdbc-tuned", "Debezium JDBC sink, tuned", place, tuned=True),
        PythonSink("python", "Python sink", place, named="python" in named),
        Tool("pg-merge", "PostgreSQL alone: COPY + merge", place, True, single, run_merge),
        Tool("pg-copy", "PostgreSQL alone: plain COPY", place, True,
             lambda load: single(load) or creates(load), run_copy),
        Tool("consume", "bare consumer", place, False, lambda load: None, run_consume),
        Tool("apply", "ods-sink's write path, from memory", place, True, ours, run_apply),
        Tool("decode", "ods-sink's decoder, one core", place, False, ours, run_decode),
    ]
    return {one.name: one for one in everyone}


def processes(place: Place, name: str) -> Sink | None:
    """ods-sink-1x4: four processes of a lane each."""
    shape = re.fullmatch(r"ods-sink-(\d)x(\d+)", name)
    if not shape:
        return None
    lanes, count = int(shape[1]), int(shape[2])
    return OdsSink(name, f"ods-sink, {count} × {lanes} lane{'s' * (lanes > 1)}", place,
                   lanes=lanes, processes=count)
