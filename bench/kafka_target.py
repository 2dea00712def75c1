#!/usr/bin/python3
"""The kafka target by itself, from topics to a topic of the same cluster, in transactions.

    scripts/stack --dir DIR --free-ports up kafka
    make -C bench OUT=DIR/bin && bench/kafka_target.py DIR [PROGRAM]

Prints events a second in and out, from the first record that is committed to the last one, for each
form of record, the sink's CPU and the broker's and the largest memory; the same of a program that copies
keys and as many bytes of the values and does nothing else (kafka_floor.c); then, at 1,000 changes a second for 20 s, after as
many that warm the broker's code up, the time from the moment that a record tells as its source's (when it
was given to the producer, which gathers for 5 ms) to its receipt by a reader of committed records. The
broker, the producer and the reader share the machine. A broker that compiles as one in production does is
started with ODS_STACK_KAFKA_JAVA="-Xms1g -Xmx1g -XX:+UseParallelGC".
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from lib.records import Table, row  # noqa: E402

EVENTS, RATE, WARM, SECONDS, PARTITIONS, LANES = 1_500_000, 1_000, 20, 20, 4, 2
FORMS = {"plain": {"format": "plain", "key": "columns"}, "envelope": {"schemas": False},
         "flattened": {"format": "flattened", "schemas": False}}
FLOORS = {"floor of plain": 200, "floor of envelope": 1_000_000}  # bytes of a value


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def libconfig(value) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"'


class Bench:
    def __init__(self, folder: Path, program: str):
        lines = (folder / "env").read_text().splitlines()
        env = dict(line.split("=", 1) for line in lines)
        self.folder, self.program = folder, program
        self.brokers = env["ODS_STACK_KAFKA_BOOTSTRAP"]
        self.admin = AdminClient({"bootstrap.servers": self.brokers})

    def create(self, topic: str) -> str:
        made = self.admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic]
        try:
            made.result(30)
        except Exception as failure:  # from an earlier run
            assert "exists" in str(failure), failure
        return topic

    def generate(self) -> str:
        """The load "lean", as scripts/bench has it."""
        prefix = f"bench_kafka_lean_{EVENTS}"
        topic = f"{prefix}.mks_finance_dw.customers"
        if topic not in self.admin.list_topics(timeout=20).topics:
            self.create(topic)
            out = self.folder / "lean"
            out.mkdir(parents=True, exist_ok=True)
            subprocess.run([self.folder / "bin" / "generate", "--mix", "mixed", "--wire", "lean",
                            "--table", "customers", "--tables", "1", "--partitions",
                            str(PARTITIONS), "--events", str(EVENTS), "--preload", "0",
                            "--prefix", prefix, "--brokers", self.brokers, "--out", out],
                           check=True, stdout=subprocess.DEVNULL)
        return topic

    def configure(self, name: str, topic: str, out: str, settings: dict) -> tuple[Path, str]:
        folder = self.folder / "kafka-target"
        folder.mkdir(parents=True, exist_ok=True)
        group = f"bench-{os.getpid()}-{name}"
        (folder / "tables.yaml").write_text(json.dumps({"pipelines": [
            {"name": "out", "topics": [topic], "format": "debezium", "target": "out",
             "group_id": group}]}))
        conf = folder / f"{name}.conf"
        told = "".join(f"{key} = {libconfig(value)}; " for key, value in settings.items())
        conf.write_text(f'kafka = {{ bootstrap_servers = "{self.brokers}"; }};\n'
                        f'targets = ( {{ name = "out"; type = "kafka"; topic = "{out}"; {told}}} );\n'
                        f'lanes = {LANES}; tables = "tables.yaml"; http = {{ listen = ""; }};\n')
        return conf, group

    def run(self, conf: Path) -> subprocess.Popen:
        return subprocess.Popen([self.program, "run", "-c", conf], stderr=subprocess.DEVNULL)

    def committed(self, group: str, topic: str) -> int:
        """What the group's transactions have moved its offsets to."""
        asker = Consumer({"bootstrap.servers": self.brokers, "group.id": group})
        found = asker.committed([TopicPartition(topic, number) for number in range(PARTITIONS)], 20)
        asker.close()
        return sum(max(place.offset, 0) for place in found)

    def end_of(self, topic: str) -> int:
        consumer = Consumer({"bootstrap.servers": self.brokers, "group.id": "bench"})
        end = sum(consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=20)[1]
                  for number in range(PARTITIONS))
        consumer.close()
        return end

    def start(self, name: str, topic: str, out: str) -> tuple[subprocess.Popen, str]:
        if name in FORMS:
            conf, group = self.configure(name, topic, out, FORMS[name])
            return self.run(conf), group
        group = f"floor-{os.getpid()}-{FLOORS[name]}"
        return subprocess.Popen([self.folder / "bin" / "kafka_floor", self.brokers, group, topic,
                                 out, str(LANES), str(FLOORS[name])]), group

    def speed(self, name: str, topic: str) -> None:
        out = self.create(f"out-{name.replace(' ', '-')}-{os.getpid()}")
        broker = int((self.folder / "run" / "kafka.pid").read_text())
        end = self.end_of(topic)
        before = cpu_s(broker)
        sink, group = self.start(name, topic, out)
        first = done = 0
        while not first:
            time.sleep(0.02)
            done, first = self.committed(group, topic), time.monotonic()
            first = first if done else 0
        begun, seen = first, done
        while done < end:
            time.sleep(0.05)
            done = self.committed(group, topic)
        took = time.monotonic() - begun
        broker_s = cpu_s(broker) - before
        sink.send_signal(signal.SIGTERM)
        _, _, usage = os.wait4(sink.pid, 0)
        cpu = usage.ru_utime + usage.ru_stime
        print(f"{name}: {(end - seen) / took:,.0f} events/s, its CPU {cpu * 1e6 / end:.2f} us an "
              f"event, the broker's {broker_s * 1e6 / end:.2f} us, peak {usage.ru_maxrss // 1024} "
              "MB", flush=True)
        self.admin.delete_topics([out])[out].result(30)

    def latency(self) -> None:
        table = Table(f"late{os.getpid()}", shape="envelope-plain")
        self.create(table.topic)
        out = self.create(f"out-late-{os.getpid()}")
        conf, _ = self.configure("late", table.topic, out, {"schemas": False})
        sink = self.run(conf)
        time.sleep(5)  # joined, before the clock of the records begins
        # In a process of its own: beside the producer's thread each would wait for the other's GIL.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            ages = pool.submit(read, self.brokers, out, RATE * (WARM + SECONDS))
            time.sleep(2)
            fill(self.brokers, table, RATE * (WARM + SECONDS), RATE)
            times = sorted(ages.result()[RATE * WARM:])
        sink.send_signal(signal.SIGTERM)
        os.wait4(sink.pid, 0)
        p50, p99 = (times[int(len(times) * part)] for part in (0.5, 0.99))
        print(f"{RATE}/s: {len(times)} records, p50 {p50:.0f} ms, p99 {p99:.0f} ms, longest "
              f"{times[-1]:.0f} ms", flush=True)


def read(brokers: str, topic: str, count: int) -> list[float]:
    """Reads so many committed records: how old each was, in ms."""
    times: list[float] = []
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "bench-late",
                         "enable.auto.commit": False, "isolation.level": "read_committed",
                         "fetch.wait.max.ms": 10})
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    while len(times) < count:
        for message in consumer.consume(500, 0.005):
            if not message.error():
                payload = json.loads(message.value())
                times.append(time.time() * 1000 - payload["source"]["ts_ms"])
    consumer.close()
    return times


def fill(brokers: str, table: Table, count: int, rate: int) -> None:
    producer = Producer({"bootstrap.servers": brokers, "linger.ms": 5})
    began = time.time()
    for number in range(count):
        if (wait := began + number / rate - time.time()) > 0:
            producer.poll(0)
            time.sleep(wait)
        record = table.create(row(number), partition=number % PARTITIONS,
                              ts_ms=int(time.time() * 1000))
        producer.produce(record["topic"], record["payload"], record["key"], number % PARTITIONS)
    producer.flush(60)


def main() -> None:
    bench = Bench(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2
                  else str(ROOT / "build" / "release" / "ods-sink"))
    topic = bench.generate()
    for name in [*FORMS, *FLOORS]:
        bench.speed(name, topic)
    bench.latency()


if __name__ == "__main__":
    main()
