#!/usr/bin/python3
"""The http target by itself, against a server on this machine that answers every request with 204.

    scripts/stack --dir DIR --free-ports up kafka
    make -C bench OUT=DIR/bin && bench/http_target.py DIR [PROGRAM]

Prints requests a second for 200,000 changes out of Kafka, the sink's CPU and largest memory; then,
at 1,000 changes a second for 20 s, the time from the moment that a record tells as its source's
(when it was given to the producer) to the receipt of its request.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from lib.records import Table, row  # noqa: E402
from lib.sink import free_port  # noqa: E402

CHANGES, RATE, SECONDS = 200_000, 1_000, 20


def configure(folder: Path, env: dict, topic: str, port: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tables.yaml").write_text(json.dumps({"pipelines": [
        {"name": "hook", "topics": [topic], "format": "debezium", "target": "hook"}]}))
    conf = folder / "ods-sink.conf"
    conf.write_text(
        f'kafka = {{ bootstrap_servers = "{env["ODS_STACK_KAFKA_BOOTSTRAP"]}"; '
        f'group_id = "bench-{os.getpid()}-{topic}"; }};\n'
        f'targets = ( {{ name = "hook"; type = "http"; url = "http://127.0.0.1:{port}/"; }} );\n'
        'lanes = 2; tables = "tables.yaml"; http = { listen = ""; };\n')
    return conf


def fill(env: dict, table: Table, count: int, rate: int | None) -> None:
    producer = Producer({"bootstrap.servers": env["ODS_STACK_KAFKA_BOOTSTRAP"], "linger.ms": 5,
                         "queue.buffering.max.messages": 1_000_000})
    began = time.time()
    for number in range(count):
        if rate and (wait := began + number / rate - time.time()) > 0:
            producer.poll(0)
            time.sleep(wait)
        record = table.create(row(number), partition=number % 4, ts_ms=int(time.time() * 1000))
        producer.produce(record["topic"], record["payload"], record["key"], number % 4)
        producer.poll(0)
    producer.flush(60)


def run(folder: Path, env: dict, program: str, count: int, rate: int | None) -> None:
    table = Table(f"hook{rate or 0}x{os.getpid()}", shape="envelope-plain")
    admin = AdminClient({"bootstrap.servers": env["ODS_STACK_KAFKA_BOOTSTRAP"]})
    admin.create_topics([NewTopic(table.topic, 4, 1)])[table.topic].result(30)
    port = free_port()
    server = subprocess.Popen([folder / "bin" / "endpoint", str(port)], stdout=subprocess.PIPE)
    if not rate:
        fill(env, table, count, None)
    conf = configure(folder / "hook", env, table.topic, port)
    sink = subprocess.Popen([program, "run", "-c", conf], stderr=subprocess.DEVNULL)
    if rate:
        time.sleep(5)  # joined, before the clock of the records begins
        fill(env, table, count, rate)
    while True:  # the server counts; the sink is done when its offsets are
        done = subprocess.run([program, "topics", "-c", conf, "--json"], capture_output=True)
        topics = json.loads(done.stdout or "{}").get("topics", [])
        if any(topic.get("topic") == table.topic and topic.get("lag") == 0 for topic in topics):
            break
        time.sleep(0.5)
    sink.send_signal(signal.SIGTERM)
    _, _, usage = os.wait4(sink.pid, 0)
    server.send_signal(signal.SIGTERM)
    seen = json.loads(server.communicate()[0])
    cpu = usage.ru_utime + usage.ru_stime
    if rate:
        print(f"{rate}/s: p50 {seen['p50_ms']} ms, p99 {seen['p99_ms']} ms")
    else:
        print(f"{seen['requests']} requests, {seen['requests'] / seen['seconds']:,.0f}/s, sink CPU "
              f"{cpu * 1e6 / seen['requests']:.0f} us a request, peak {usage.ru_maxrss // 1024} MB")


def main() -> None:
    folder = Path(sys.argv[1])
    program = sys.argv[2] if len(sys.argv) > 2 else str(ROOT / "build" / "release" / "ods-sink")
    lines = (folder / "env").read_text().splitlines()
    env = dict(line.split("=", 1) for line in lines)
    run(folder, env, program, CHANGES, None)
    run(folder, env, program, RATE * SECONDS, RATE)


if __name__ == "__main__":
    main()
