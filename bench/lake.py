#!/usr/bin/python3
"""Kafka into tables of Delta Lake and Iceberg, beside a Python writer with the format's own library.

    scripts/stack --dir DIR --free-ports up kafka
    make -C bench OUT=DIR/bin && bench/lake.py DIR [PROGRAM] [--json FILE] [--publish]

history   each change of `lean` is a row: from the moment that the group has its partitions until nine
          tenths are committed (the last batch waits until it is old enough). The peer appends the same batches by deltalake or PyIceberg
upsert    changes of random keys of a table of --rows rows, which ods-sink has made of a snapshot before:
          from the first commit on, likewise. The peer merges, or upserts by PyIceberg, --peer-events of them
          into a copy of the table
scan      then DuckDB reads the table, and one of the same rows that the format's own library has written,
          in turns

Two lanes, batches and commits by default. Every table is compared with the reference, in both
directions. Broker, program and reader share the machine. --publish writes the section of docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from confluent_kafka.admin import NewTopic

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "bench")]
from loads import Kafka  # noqa: E402
from measure import cpu_seconds, memory_kb  # noqa: E402

PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- Written by bench/lake.py --publish. -->", "<!-- End of lakes. -->"
ROWS = {"on_delete": "hard", "cdc_operation": "off", "cdc_timestamp": "off"}
FORMATS = {"delta": "Delta Lake", "iceberg": "Iceberg"}
PARTITIONS = 4


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Helper:
    """bench/lake_peer.py, with the packages of scripts/lake-readers: one process a question, so that its
    memory and time are its own."""

    def __init__(self) -> None:
        self.python = subprocess.run([ROOT / "scripts" / "lake-readers", "--prepare"], text=True, check=True,
                                     stdout=subprocess.PIPE).stdout.strip()

    def ask(self, word: str, **options: Any) -> Any:
        done = subprocess.run([self.python, ROOT / "bench" / "lake_peer.py"], text=True, stdout=subprocess.PIPE,
                              input=json.dumps({"word": word, **options}), check=True)
        return json.loads(done.stdout.splitlines()[-1])


class Topic:
    def __init__(self, folder: Path, kafka: Kafka, name: str, mix: str, events: int, preload: int = 0) -> None:
        self.prefix = f"bench_lake_{name}_{events}_{preload}"
        self.name = f"{self.prefix}.mks_finance_dw.customers"
        self.folder = folder / self.prefix
        note = self.folder / "made.json"
        if not note.exists() or kafka.records([self.name]) != json.loads(note.read_text())["records"]:
            if self.name in kafka.admin.list_topics(timeout=10).topics:
                kafka.delete_topics([self.name])
                time.sleep(2)
            made = kafka.admin.create_topics([NewTopic(self.name, PARTITIONS, 1)], operation_timeout=30)
            made[self.name].result()
            self.folder.mkdir(parents=True, exist_ok=True)
            said = subprocess.run(
                [folder / "bin" / "generate", "--mix", mix, "--wire", "lean", "--table", "customers", "--tables", "1",
                 "--partitions", str(PARTITIONS), "--events", str(events), "--preload", str(preload),
                 "--prefix", self.prefix, "--brokers", kafka.brokers, "--out", self.folder],
                check=True, text=True, stdout=subprocess.PIPE).stdout
            note.write_text(said)
        facts = json.loads(note.read_text())
        self.records, self.events = facts["records"], facts["records"] - facts["tombstones"]

    @property
    def reference(self) -> Path:
        return self.folder / "reference" / "customers.copy"


class Daemon:
    def __init__(self, bench: "Bench", kind: str, topic: Topic, defaults: dict, more: str = "") -> None:
        self.group = f"bench-lake-{os.getpid()}-{time.time_ns()}"
        self.port, self.kafka, self.topic = free_port(), bench.kafka, topic
        folder = bench.folder / "lake-conf"
        folder.mkdir(exist_ok=True)
        (folder / "tables.yaml").write_text(json.dumps({"pipelines": [{
            "name": "bench", "topics": [topic.name], "format": "debezium", "target": "lake", "defaults": defaults}]}))
        conf = folder / "ods-sink.conf"
        conf.write_text(
            f'kafka = {{ bootstrap_servers = "{bench.kafka.brokers}"; group_id = "{self.group}"; }};\n'
            f'targets = ( {{ name = "lake"; type = "{kind}"; location = "{bench.place(kind)}"; {more} }} );\n'
            f'lanes = 2; tables = "tables.yaml"; http = {{ listen = "127.0.0.1:{self.port}"; }};\n')
        self.log = bench.folder / "lake-bench.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([bench.program, "run", "-c", conf], stderr=log)

    def counted(self) -> tuple[int, int, int]:
        """How many records are behind the offsets that the target has, the batches that it committed, and how many
        partitions were given out."""
        if self.process.poll() is not None:
            raise SystemExit(self.log.read_text()[-2000:])
        try:
            text = urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5).read().decode()
        except OSError:
            return 0, 0, 0
        places: dict[str, int] = {}
        batches = 0
        for line in text.splitlines():
            if line.startswith("ods_sink_partition_offset{"):
                partition = line.partition('partition="')[2].partition('"')[0]
                places[partition] = max(places.get(partition, 0), int(float(line.rsplit(" ", 1)[1])))
            elif line.startswith("ods_sink_batches_total{"):
                batches += int(float(line.rsplit(" ", 1)[1]))
        return sum(places.values()), batches, len(places)

    def run(self, sustained: bool) -> dict[str, Any]:
        """Until all is committed; sustained: the clock begins with the first commit, else with the assignment."""
        while self.counted()[2] < PARTITIONS:
            time.sleep(0.02)
        begun, seen, batches = time.monotonic(), 0, 0
        while sustained and not seen:
            time.sleep(0.02)
            seen, batches, _ = self.counted()
            begun = time.monotonic()
        cpu, done, fast = cpu_seconds(self.process.pid), seen, 0.0
        while done < self.topic.records:
            time.sleep(0.2)  # what /metrics takes is the same processor's
            done, after, _ = self.counted()
            # The last batch waits until it is old enough.
            if not fast and done >= seen + 0.9 * (self.topic.records - seen):
                fast = (done - seen) / (time.monotonic() - begun)
        share = self.topic.events / self.topic.records
        spent = cpu_seconds(self.process.pid) - cpu
        return {"events_s": fast * share, "cpu_us": spent / ((self.topic.records - seen) * share) * 1e6,
                "commits": after - batches}

    def stop(self) -> int:
        """MB at most."""
        time.sleep(1)  # maintenance follows the last commit
        peak = memory_kb(self.process.pid, "VmHWM") // 1024
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(300)
        return peak


class Bench:
    def __init__(self, options: argparse.Namespace) -> None:
        lines = (options.folder / "env").read_text().splitlines()
        env = dict(line.split("=", 1) for line in lines)
        self.folder, self.program, self.options = options.folder.resolve(), options.program, options
        self.kafka = Kafka(env["ODS_STACK_KAFKA_BOOTSTRAP"])
        self.helper = Helper()
        self.found: list[dict[str, Any]] = []

    def place(self, kind: str) -> Path:
        return self.folder / "lake" / kind

    def table(self, kind: str, name: str) -> str:
        return str(self.place(kind) / "mks_finance_dw" / name)

    def say(self, part: str, kind: str, who: str, **figures: Any) -> None:
        self.found.append({"part": part, "kind": kind, "who": who, **figures})
        told = ", ".join(f"{name} {value:,.1f}" if isinstance(value, float) else f"{name} {value}"
                         for name, value in figures.items())
        print(f"{part:8} {FORMATS[kind]:10} {who:28} {told}", flush=True)

    def history(self, kind: str) -> None:
        topic = Topic(self.folder, self.kafka, "lean", "mixed", self.options.events)
        shutil.rmtree(self.place(kind), ignore_errors=True)
        daemon = Daemon(self, kind, topic, {"mode": "history"})
        try:
            figures = daemon.run(sustained=False)
        finally:
            peak = daemon.stop()
        wrong = self.helper.ask("events", kind=kind, path=self.table(kind, "customers_cdc"), brokers=self.kafka.brokers,
                                topic=topic.name, records=topic.records)
        self.say("history", kind, "ods-sink", **figures, peak_mb=peak, wrong=wrong)
        if self.options.peer:
            self.say("history", kind, self.options.words[kind]["history"], **self.helper.ask(
                "append", kind=kind, brokers=self.kafka.brokers, topic=topic.name, records=topic.records,
                path=str(self.folder / "lake" / f"peer-{kind}")))

    def upsert(self, kind: str, more: str, name: str) -> None:
        rows, options = self.options.rows, self.options
        snapshot = Topic(self.folder, self.kafka, "snapshot", "snapshot", rows)
        topic = Topic(self.folder, self.kafka, "changes", "mixed", options.changes, rows)
        shutil.rmtree(self.place(kind), ignore_errors=True)
        daemon = Daemon(self, kind, snapshot, ROWS, more)
        try:
            figures = daemon.run(sustained=False)
        finally:
            peak = daemon.stop()
        self.say("snapshot", kind, name, **figures, peak_mb=peak)
        if options.peer and not more:
            self.helper.ask("copy", kind=kind, path=self.table(kind, "customers"),
                            to=str(self.folder / "lake" / f"peer-{kind}"))
        daemon = Daemon(self, kind, topic, ROWS, more)
        try:
            figures = daemon.run(sustained=True)
        finally:
            peak = daemon.stop()
        wrong = self.helper.ask("differences", kind=kind, path=self.table(kind, "customers"),
                                reference=str(topic.reference))
        self.say("upsert", kind, name, **figures, peak_mb=peak, wrong=wrong)
        if options.peer and not more:
            self.say("upsert", kind, options.words[kind]["upsert"], **self.helper.ask(
                "upsert", kind=kind, brokers=self.kafka.brokers, topic=topic.name, records=options.peer_events,
                path=str(self.folder / "lake" / f"peer-{kind}")))
        figures = self.helper.ask("scan", kind=kind, path=self.table(kind, "customers"),
                                  clean=str(self.folder / "lake" / f"clean-{kind}"))
        self.say("scan", kind, name, **figures)


def table(found: list[dict[str, Any]]) -> list[str]:
    lines = ["| | | events/s | CPU, µs an event | commits | peak MB | wrong rows |",
             "| --- | --- | ---: | ---: | ---: | ---: | ---: |"]
    for one in found:
        if one["part"] != "scan":
            lines.append(f"| {one['part']}, {FORMATS[one['kind']]} | {one['who']} | {one['events_s']:,.0f} | "
                         f"{one['cpu_us']:.2f} | {one.get('commits', '')} | {one['peak_mb']:,} | "
                         f"{one.get('wrong', '')} |")
    lines += ["", "| scan by DuckDB | s | of a clean table, s | times | files | deleted rows |",
              "| --- | ---: | ---: | ---: | ---: | ---: |"]
    lines += [f"| {FORMATS[one['kind']]}, {one['who']} | {one['seconds']:.2f} | {one['clean_seconds']:.2f} | "
              f"{one['seconds'] / one['clean_seconds']:.2f} | {one['files']} | {one['deleted']:,} |"
              for one in found if one["part"] == "scan"]
    return lines


def publish(data: dict[str, Any]) -> None:
    o = data["options"]
    text = "\n".join([
        BEGIN, "", "## Lakes", "",
        f"Measured {data['when']} by `bench/lake.py DIR {' '.join(data['arguments'])}`, load average {data['load']:.1f} "
        f"on {os.cpu_count()} cores when it began: {o['events']:,} events of `lean` as histories, {o['changes']:,} "
        f"changes of random keys of a table of {o['rows']:,} rows, two lanes. CPU is that of the writing process, with "
        "its own compression, and not the broker's. Each table of rows was compared with what it must be, row by row; of each "
        "history it was counted whether every event is in it once.",
        "", *table(data["found"]), "", END])
    old = PAGE.read_text(encoding="utf-8")
    before, found, rest = old.partition(BEGIN)
    after = rest.partition(END)[2] if found else "\n"
    PAGE.write_text((before if found else old.rstrip() + "\n\n") + text + after, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("program", nargs="?", default=str(ROOT / "build/release/ods-sink"))
    parser.add_argument("--events", type=int, default=1_500_000)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--changes", type=int, default=1_500_000)
    parser.add_argument("--peer-events", type=int, default=100_000)
    parser.add_argument("--parts", default="history,upsert")
    parser.add_argument("--formats", default="delta,iceberg")
    parser.add_argument("--without-peer", dest="peer", action="store_false")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--publish", action="store_true")
    options = parser.parse_args()
    options.words = {"delta": {"history": "deltalake, append", "upsert": "deltalake, merge"},
                     "iceberg": {"history": "PyIceberg, append", "upsert": "PyIceberg, upsert"}}
    data: dict[str, Any] = {
        "when": time.strftime("%Y-%m-%d %H:%M", time.gmtime()) + " UTC", "load": os.getloadavg()[0],
        "arguments": [word for word in sys.argv[2:] if word.startswith("--") and word != "--publish"],
        "options": {name: getattr(options, name) for name in ("events", "rows", "changes")}}
    bench = Bench(options)
    for kind in options.formats.split(","):
        if "history" in options.parts:
            bench.history(kind)
        if "upsert" in options.parts:
            bench.upsert(kind, "", "ods-sink")
        if "upsert" in options.parts and kind == "delta":
            bench.upsert(kind, "change_data = false;", "ods-sink, no change feed")
    data["found"] = bench.found
    if options.json:
        options.json.write_text(json.dumps(data, indent=1))
    if options.publish:
        publish(data)


if __name__ == "__main__":
    main()
