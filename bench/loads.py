"""The loads: what each is, and how it comes into Kafka and into files, once for all contenders."""

from __future__ import annotations

import json
import re
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from measure import Target


@dataclass(frozen=True)
class Load:
    name: str
    about: str
    mix: str = "mixed"
    wire: str = "lean"
    table: str = "customers"
    events: int = 720_000
    tables: int = 1
    partitions: int = 4
    preload: int = 0

    @property
    def prefix(self) -> str:
        """Begins the topics' names: everything that decides what is in them."""
        return f"bench_{re.sub('[^a-z0-9]', '_', self.name)}_{self.events}"

    @property
    def space(self) -> str:
        return "public" if self.table == "documents" else "mks_finance_dw"

    @property
    def table_names(self) -> list[str]:
        return [self.table] if self.tables == 1 else [f"t{n:03d}" for n in range(self.tables)]

    @property
    def topics(self) -> list[str]:
        return [f"{self.prefix}.{self.space}.{name}" for name in self.table_names]

    @property
    def key(self) -> str:
        return "customer_id" if self.table == "customers" else "id"

    @property
    def markers(self) -> int:
        return self.partitions * self.tables

    @property
    def arguments(self) -> list[str]:
        return ["--mix", self.mix, "--wire", self.wire, "--table", self.table,
                "--tables", str(self.tables), "--partitions", str(self.partitions),
                "--events", str(self.events), "--preload", str(self.preload),
                "--prefix", self.prefix]


LOADS = {load.name: load for load in (
    Load("envelope", "mix, envelope with schema", wire="envelope"),
    Load("lean", "mix, envelope without schema"),
    Load("flat", "mix, flattened, with schema", wire="flat"),
    Load("avro", "mix, envelope in Avro, schemas by id", wire="avro"),
    Load("snapshot", "a snapshot's creates into an empty table", mix="snapshot"),
    Load("hot", "updates of 100 keys", mix="hot"),
    Load("wide", "mix, 200 columns", table="wide", events=72_000),
    Load("tables", "mix over {tables} tables evenly", tables=500, partitions=1),
    Load("toast", "mix, a third of the updates without the large columns", table="documents",
         events=180_000),
    Load("bigtable", "mix onto a table of {preload:,} rows", preload=10_000_000),
)}


VARIED = ("tables", "partitions", "preload")


def choose(names: list[str], scale: float) -> list[Load]:
    """Loads by name; `name:wire` takes another wire shape, so that every peer can take part, and
    `name@partitions=32` another number of what VARIED lists."""
    chosen = []
    for name in names:
        base, _, change = name.partition("@")
        base, _, wire = base.partition(":")
        field, _, number = change.partition("=")
        if base not in LOADS or wire not in ("", "envelope", "lean", "flat", "avro") or \
                (change and (field not in VARIED or not number.isdigit())):
            raise SystemExit(f"bench: no load '{name}'; there are: {' '.join(LOADS)},"
                             " each as NAME:envelope, NAME:lean, NAME:flat, NAME:avro, and with another"
                             f" number as NAME@NUMBER_OF=N, of {', '.join(VARIED)}")
        load = LOADS[base]
        load = replace(load, name=name, wire=wire or load.wire,
                       events=max(2000, int(load.events * scale)),
                       preload=load.preload if scale > 0.1 else int(load.preload * scale))
        load = replace(load, **{field: int(number)}) if change else load
        about = load.about.format(tables=load.tables, preload=load.preload)
        if field == "partitions":
            about += f", {number} partitions"
        chosen.append(replace(load, about=about))
    return chosen


@dataclass
class Made:
    """A load that is ready: in Kafka, and its files in a folder."""

    load: Load
    folder: Path
    facts: dict[str, Any]
    reference: tuple[int, str] = (0, "")

    @property
    def definition(self) -> str:
        return (self.folder / "target.sql").read_text()


class Kafka:
    def __init__(self, brokers: str) -> None:
        self.brokers = brokers
        self.admin = AdminClient({"bootstrap.servers": brokers})

    def records(self, topics: list[str]) -> int:
        """What the topics hold, 0 if one is missing."""
        known = self.admin.list_topics(timeout=10).topics
        if any(topic not in known for topic in topics):
            return 0
        consumer = Consumer({"bootstrap.servers": self.brokers, "group.id": "bench-count"})
        total = 0
        for topic in topics:
            for partition in known[topic].partitions:
                low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), 10)
                total += high - low
        consumer.close()
        return total

    def make_topics(self, topics: list[str], partitions: int) -> None:
        known = self.admin.list_topics(timeout=10).topics
        old = [topic for topic in topics if topic in known]
        if old:
            for future in self.admin.delete_topics(old).values():
                future.result()
            while any(topic in self.admin.list_topics(timeout=10).topics for topic in old):
                time.sleep(0.1)
            time.sleep(1)
        for future in self.admin.create_topics(
                [NewTopic(t, partitions, 1) for t in topics], operation_timeout=30).values():
            future.result()

    def delete_topics(self, topics: list[str]) -> None:
        for future in self.admin.delete_topics(topics).values():
            future.result()

    def stable(self, group: str) -> bool:
        """Whether the group has members that were given partitions."""
        try:
            answer = self.admin.describe_consumer_groups([group], request_timeout=5)[group]
            return any(m.assignment and m.assignment.topic_partitions
                       for m in answer.result().members)
        except Exception:  # not there yet; the client says so in several ways
            return False

    def forget(self, group: str) -> None:
        try:
            self.admin.delete_consumer_groups([group], request_timeout=5)[group].result()
        except Exception:  # it never came to be, or a member has not left yet
            pass


def make(load: Load, kafka: Kafka, target: Target, generate: Path, folder: Path) -> Made:
    """Generate the load unless the very same is there, and load its reference into the target."""
    folder = folder / load.prefix
    note = folder / "made.json"
    command = [str(generate), *load.arguments, "--out", str(folder)]
    wanted = {"arguments": load.arguments, "generate": generate.stat().st_mtime_ns}
    if load.tables == 1:
        command.append("--merge")
    made = json.loads(note.read_text()) if note.exists() else {}
    fresh = made.get("wanted") == wanted and kafka.records(load.topics) == made["records"]
    if not fresh:
        folder.mkdir(parents=True, exist_ok=True)
        note.unlink(missing_ok=True)
        (folder / "lines.jsonl").unlink(missing_ok=True)
        kafka.make_topics(load.topics, load.partitions)
        answer = subprocess.run([*command, "--brokers", kafka.brokers], check=True,
                                stdout=subprocess.PIPE, text=True)
        made = {"wanted": wanted, **json.loads(answer.stdout)}
        if kafka.records(load.topics) != made["records"]:
            raise SystemExit(f"bench: {load.prefix}: Kafka does not hold what was produced")
        note.write_text(json.dumps(made))
    ready = Made(load, folder, {k: v for k, v in made.items() if k != "wanted"})
    load_reference(ready, target)
    return ready


def fill_reference(made: Made, target: Target) -> None:
    """The reference's rows in bench_reference. Not for long: the JDBC sink writes to the first
    table of the name that it finds, in whatever schema."""
    target.run("create schema if not exists bench_reference authorization " + target.role)
    target.make_tables("bench_reference", made.definition)
    for name in made.load.table_names:
        target.load_file(f"bench_reference.{name}", made.folder / "reference" / f"{name}.copy")


def load_reference(made: Made, target: Target) -> None:
    fill_reference(made, target)
    made.reference = target.checksum("bench_reference", made.load.table_names)
    target.make_tables("bench_reference", "")
    if made.reference[0] != made.facts["rows"]:
        raise SystemExit(f"bench: {made.load.prefix}: the reference has {made.reference[0]} rows,"
                         f" the generator wrote {made.facts['rows']}")
    if made.load.preload:
        target.run("create schema if not exists bench_preload authorization " + target.role)
        target.make_tables("bench_preload", made.definition)
        target.load_file(f"bench_preload.{made.load.table}", made.folder / "preload.copy")
        target.run(f"alter table bench_preload.{made.load.table} rename to preloaded")


def differences(made: Made, target: Target) -> str:
    fill_reference(made, target)
    found = target.differences(made.load.table_names, made.load.key)
    target.make_tables("bench_reference", "")
    return found


def lines_file(made: Made, generate: Path, events: int | None = None) -> Path:
    """The load's records as lines of JSON; fewer events make another, smaller load."""
    load = replace(made.load, events=events) if events else made.load
    folder = made.folder if not events else made.folder / f"first_{events}"
    path = folder / "lines.jsonl"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([str(generate), *load.arguments, "--lines", "--out", str(folder)],
                       check=True, stdout=subprocess.DEVNULL)
    return path
