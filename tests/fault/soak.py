"""A steady load for a long time, a fault now and then, and what the process has grown by.

soak.py [--minutes N] [--rate STEPS] [--every SECONDS] [--binary FILE] [--out FILE]

Samples the process's resident memory, file descriptors and threads, the plans that its sessions keep
in the server (a prepared statement is one), those backends' memory, and the lag. Fails when one of
them has grown from the first third to the last, or when a row is not as it must be.
"""

import argparse
import json
import os
import random
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from chaos.compare import compare  # noqa: E402
from chaos.driver import finish  # noqa: E402
from chaos.faults import FAULTS  # noqa: E402
from chaos.world import World  # noqa: E402
from lib.kafka import Kafka  # noqa: E402
from lib.postgres import create_database  # noqa: E402
from lib.stack import ROOT, Stack  # noqa: E402

# Those that the process survives: what it grows by is what matters here.
DISTURBANCES = ("terminate_backend", "postgres_cut", "kafka_cut", "lock_timeout", "scale",
                "postgres_answers_lost", "read_only", "cancel_backend", "letters_refused",
                "kafka_cut_in_the_middle", "postgres_restart")
# What may come on top of the first third's median: a share of it, and so many.
MEASURES = {"rss_mb": (0.15, 4), "descriptors": (0, 8), "threads": (0, 3), "plans": (0.1, 6),
            "backend_mb": (0.15, 4), "lag_records": (1.0, 1000)}


def proc(pid, name):
    return Path(f"/proc/{pid}/{name}").read_text()


def sample(world, began):
    """None while the server is away or starts."""
    pid = world.member(0).daemon.pid
    applied = world.applied()
    if applied is None:
        return None
    backends = world.observer.query("select pid from pg_stat_activity where usename = 'ods' and "
                                    "datname = %s", world.database.name)
    plans = plans_of(world, [backend for backend, in backends])
    private = sum(int(kb) for backend, in backends
                  for kb in re.findall(r"^Private_\w+:\s+(\d+)", proc(backend, "smaps_rollup"), re.M))
    status = proc(pid, "status")
    return {
        "second": round(time.monotonic() - began),
        "rss_mb": round(int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024, 1),
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": int(re.search(r"Threads:\s+(\d+)", status).group(1)),
        "plans": plans, "backend_mb": round(private / 1024, 1),
        "lag_records": max(world.load.acknowledged - applied, 0), "records": world.load.acknowledged,
    }


def plans_of(world, backends):
    """pg_prepared_statements shows only one's own; the server's log tells of another session's
    memory, in which each plan has a context."""
    log = world.stack.folder / "log" / "postgres.log"
    before = log.stat().st_size
    for backend in backends:
        world.observer.query("select pg_log_backend_memory_contexts(%s)", backend)
    time.sleep(0.3)
    with open(log, errors="replace") as file:
        file.seek(before)
        text = file.read()
    return len(re.findall(r"level: \d+; CachedPlanSource:", text))


def grown(samples):
    """The measures whose last third lies above what the first one allows."""
    third = max(len(samples) // 3, 1)
    found = {}
    for name, (share, room) in MEASURES.items():
        first = statistics.median(one[name] for one in samples[:third])
        last = statistics.median(one[name] for one in samples[-third:])
        found[name] = {"first": first, "last": last, "allowed": round(first * (1 + share) + room, 1)}
    return found


def show(samples, growth):
    names = ["second", *MEASURES, "records"]
    print("  ".join(f"{name:>12}" for name in names))
    step = max(len(samples) // 20, 1)
    for one in samples[::step]:
        print("  ".join(f"{one[name]:>12}" for name in names))
    for name, found in growth.items():
        verdict = "GREW" if found["last"] > found["allowed"] else "ok"
        print(f"{name:>12}: {found['first']} in the first third, {found['last']} in the last, "
              f"up to {found['allowed']} allowed: {verdict}")


def soak(world, minutes, every):
    choose = random.Random(f"soak {world.seed}")
    samples, done = [], []
    world.prepare()
    world.start(0)
    world.load.start()
    world.await_progress(500)
    began = time.monotonic()
    until, warm = began + minutes * 60, began + min(60, minutes * 12)
    next_fault = warm + every
    while time.monotonic() < until:
        time.sleep(2)
        if not world.member(0).running():
            raise AssertionError(f"the daemon ended:\n{world.member(0).daemon.tail()}")
        if time.monotonic() > next_fault:
            fault = FAULTS[choose.choice(DISTURBANCES)]
            fault.inject(world, choose)
            world.await_applied(world.load.reached(), f"recovered from {fault.name}")
            done.append(fault.name)
            next_fault = time.monotonic() + every
        elif time.monotonic() > warm and (one := sample(world, began)):
            samples.append(one)
    finish(world, stuck="")
    verdict = compare(world.workload, world.observer.query, world.kafka.read(world.letter_topic))
    return samples, done, verdict


def main():
    parser = argparse.ArgumentParser(usage="scripts/soak [--minutes N] [--rate STEPS] "
                                           "[--every SECONDS] [--binary FILE] [--out FILE]")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=int, default=500, help="steps of the load a second")
    parser.add_argument("--every", type=float, default=30, help="seconds between two faults")
    parser.add_argument("--binary", type=Path, default=ROOT / "build" / "release" / "ods-sink")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "soak.json")
    options = parser.parse_args()
    seed = int(os.environ.get("ODS_FAULT_SEED") or random.randrange(10**9))
    print(f"soak: {options.minutes:g} minutes, {options.rate} steps a second, a fault every "
          f"{options.every:g} s, ODS_FAULT_SEED={seed}", flush=True)
    stack = Stack()
    world = None
    try:
        stack.up("postgres", "kafka", "toxiproxy")
        with tempfile.TemporaryDirectory() as folder:
            world = World(stack, Kafka(stack), create_database(stack, "soak"), options.binary,
                          Path(folder), "soak", seed, proxied=True, rate=options.rate)
            try:
                samples, done, verdict = soak(world, options.minutes, options.every)
            finally:
                world.close()
    finally:
        stack.close()
    growth = grown(samples)
    show(samples, growth)
    print(f"{len(done)} faults, {verdict.rows} rows compared: {verdict.lost} lost, "
          f"{verdict.twice + verdict.rewritten} twice, {verdict.wrong} wrong; {verdict.letters} dead letters, "
          f"{verdict.letters_lost} lost, {verdict.letters_wrong} wrong")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"seed": seed, "faults": done, "growth": growth,
                                       "samples": samples, "exact": verdict.exact}, indent=1))
    bad = [name for name, found in growth.items() if found["last"] > found["allowed"]]
    return 0 if verdict.exact and not bad else 1


if __name__ == "__main__":
    sys.exit(main())
