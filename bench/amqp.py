#!/usr/bin/python3
"""Messages a second from a queue of ActiveMQ Artemis into PostgreSQL, and into files: a queue is filled, then
the release build reads it to its end.

    bench/amqp.py [--messages N] [--runs N]
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from lib.amqp import Broker  # noqa: E402
from lib.postgres import create_database  # noqa: E402
from lib.records import Table, pipeline, row  # noqa: E402
from lib.sink import Setup  # noqa: E402
from lib.stack import Stack  # noqa: E402


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--messages", type=int, default=200000)
    options.add_argument("--runs", type=int, default=3)
    options = options.parse_args()
    stack = Stack()
    try:
        stack.up("postgres", "artemis")
        for run in range(options.runs):
            for target in ("postgres", "file"):
                measure(stack, target, options.messages, run)
    finally:
        stack.close()


def measure(stack, target, count, run):
    broker, table = Broker(stack), Table()
    name = f"bench-{target}-{run}"
    bodies = [table.create(row(number))["payload"] for number in range(count)]
    broker.blast(name, bodies, identity=name)
    folder = stack.folder / name
    (folder / "out").mkdir(parents=True)
    if target == "postgres":
        database = create_database(stack, f"bench_{run}")
        ods = {"name": "ods", "type": "postgres", "dsn": database.dsn}
    else:
        ods = {"name": "ods", "type": "file", "directory": str(folder / "out")}
    sink = Setup(folder, ROOT / "build" / "release" / "ods-sink", stack)
    sink.write({**pipeline(table), "topics": [name], "input": {"type": "amqp"},
                "defaults": {"key": ["id"], "on_delete": "hard"}}, targets=[ods],
               amqp=[broker.settings()])
    began = time.monotonic()
    daemon = sink.daemon()
    while broker.count(name):
        time.sleep(0.02)
    took = time.monotonic() - began
    usage = daemon.peak_rss_bytes(), cpu_seconds(daemon.pid)
    daemon.stop()
    print(json.dumps({"target": target, "messages": count, "bytes": len(bodies[-1]),
                      "seconds": round(took, 2), "messages_per_second": round(count / took),
                      "cpu_us_per_message": round(usage[1] * 1e6 / count, 2),
                      "peak_mb": round(usage[0] / 1e6, 1)}), flush=True)


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
