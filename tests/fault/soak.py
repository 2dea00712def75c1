"""A steady load for a long time, a fault now and then, and what the process has grown by.

soak.py [--minutes N] [--rate STEPS] [--every SECONDS] [--binary FILE] [--out FILE] [--publish]

Samples the process's resident memory, file descriptors and threads, the plans that its sessions keep
in the server (a prepared statement is one), those backends' memory, and the lag; each scrape of
/metrics is kept whole. After each fault the load is held, and every row compared. Meanwhile the daemon
compares its tables with the load's source by itself, again and again (verify.every). Fails when something
has grown (soak_report.grown), when a row is not as it must be at any of these times, or when the daemon finds
a difference, or comes to no end.
"""

import argparse
import gzip
import itertools
import json
import os
import random
import re
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from chaos.compare import Verdict, compare, compare_keyed  # noqa: E402
from chaos.driver import finish  # noqa: E402
from chaos.faults import FAULTS  # noqa: E402
from chaos.sourced_world import SourcedWorld  # noqa: E402
from lib.kafka import Kafka  # noqa: E402
from lib.postgres import create_database  # noqa: E402
from lib.stack import ROOT, Stack  # noqa: E402
from soak_report import MEASURES, grew, grown, publish, warm_up  # noqa: E402

# Those that the process survives: what it grows by is what matters here.
DISTURBANCES = ("terminate_backend", "postgres_cut", "kafka_cut", "lock_timeout", "scale",
                "postgres_answers_lost", "read_only", "cancel_backend", "letters_refused",
                "kafka_cut_in_the_middle", "postgres_restart")


def proc(pid, name):
    return Path(f"/proc/{pid}/{name}").read_text()


def metrics(page):
    """Name with labels -> value, of a page of /metrics."""
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in page.splitlines())
            if name and not name.startswith("#")}


def sample(world, began, scrapes):
    """None while the server is away or starts."""
    daemon = world.member(0).daemon
    applied, (code, page) = world.applied(), daemon.get("/metrics")
    if applied is None or code != 200:
        return None
    scraped = metrics(page)
    backends = world.observer.query("select pid from pg_stat_activity where usename = 'ods' and "
                                    "datname = %s", world.database.name)
    plans = plans_of(world, [backend for backend, in backends])
    private = sum(int(kb) for backend, in backends
                  for kb in re.findall(r"^Private_\w+:\s+(\d+)", smaps(backend), re.M))
    status = {name: int(value) for name, value in re.findall(r"^(\w+):\s+(\d+)", proc(daemon.pid, "status"), re.M)}
    found = {
        "second": round(time.monotonic() - began),
        "rss_mb": round(status["VmRSS"] / 1024, 2), "mapped_mb": round(status["RssFile"] / 1024, 2),
        "heap_mb": round(scraped["process_heap_allocated_bytes"] / 2**20, 3),
        "free_mb": round(scraped["process_heap_free_bytes"] / 2**20, 2),
        "descriptors": len(os.listdir(f"/proc/{daemon.pid}/fd")), "threads": status["Threads"],
        "plans": plans, "backend_mb": round(private / 1024, 1), "applied": applied,
        "lag_records": max(world.load.acknowledged - applied, 0), "records": world.load.acknowledged,
    }
    scrapes.append({"second": found["second"], "metrics": scraped})
    return found


def smaps(pid):
    """Nothing of a session that has ended meanwhile."""
    try:
        return proc(pid, "smaps_rollup")
    except (FileNotFoundError, ProcessLookupError):
        return ""


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


class Watch:
    """Compares while the load goes on: every row that has a key, and of appended ones those that have come
    since the last time, each once. The load is held for as long as that takes."""

    def __init__(self):
        self.seen, self.last = 0, 0  # numbers that the load has appended; the newest row that was looked at

    def look(self, world):
        with world.load.held():
            world.await_applied(world.load.reached(), "all that was sent")
            verdict = Verdict()
            compare_keyed(verdict, world.workload, world.observer.query)
            new = dict(itertools.islice(world.workload.appended.items(), self.seen, None))
            rows = world.observer.query("select n, text, seq from events where seq > %s", self.last)
            came = [(number, text) for number, text, _ in rows]
            for number, text in set(came) ^ {(number, text) for number, (text, _) in new.items()}:
                verdict.add("wrong" if number not in new else "lost", f"events {number} {text[:40]!r}")
            if len(came) != len(set(came)):
                verdict.add("twice", "events")
            self.seen += len(new)
            self.last = max((seq for *_, seq in rows), default=self.last)
            verdict.rows += len(rows)
        return verdict


class Comparisons:
    """What the daemon's own comparisons came to, each once."""

    def __init__(self):
        self.ended = {}  # when it began: what it found

    def look(self, world, began):
        last = world.reports().get("last")
        if not last or last["began_at"] in self.ended:
            return
        compared = [table for table in last["tables"] if table["result"] != "not compared"]
        assert last["result"] != "differs", last
        self.ended[last["began_at"]] = {
            "second": round(time.monotonic() - began), "rows": sum(table["source_rows"] for table in compared),
            "equal": sum(table["result"] == "equal" for table in compared), "tables": len(compared)}

    def of(self):
        return list(self.ended.values())

    def await_equal(self, world, began):
        """One that began after the load's end, of which nothing is left open: of tables without a key every change
        is a row, and there is nothing to compare."""
        now = time.time()

        def found():
            self.look(world, began)
            newest = max(self.ended, default=0)
            return newest > now and self.ended[newest]["equal"] == self.ended[newest]["tables"] == 3

        world.await_that(found, "the daemon's own comparison at the end")


def show(samples, growth):
    names = ["second", *MEASURES, "records"]
    print("  ".join(f"{name:>12}" for name in names))
    step = max(len(samples) // 20, 1)
    for one in samples[::step]:
        print("  ".join(f"{one[name]:>12}" for name in names))
    for name, found in growth.items():
        verdict = "GREW" if found["last"] > found["allowed"] else "ok"
        print(f"{name:>12}: {found['first']} at first, {found['last']} at last, "
              f"up to {found['allowed']} allowed: {verdict}")
    print(f"{'':>12}  resident memory by {growth['rss_mb']['percent']:+.3f} %, of which what is held by "
          f"{growth['heap_mb']['percent']:+.3f} % (Theil-Sen)")


def strike(world, choose):
    fault = FAULTS[choose.choice(DISTURBANCES)]
    fault.inject(world, choose)
    world.await_applied(world.load.reached(), f"recovered from {fault.name}")
    return fault.name


def soak(world, minutes, every, calm_s=60):
    """Samples, scrapes, faults, what each comparison found, the daemon's own, and the last one of all."""
    choose = random.Random(f"soak {world.seed}")
    samples, scrapes, done, verified, watch, own = [], [], [], [], Watch(), Comparisons()
    world.prepare()
    world.start(0)
    world.load.start()
    world.await_progress(500)
    began = time.monotonic()
    until, next_fault = began + minutes * 60, began + min(calm_s, minutes * 12) + every
    while time.monotonic() < until:
        time.sleep(2)
        own.look(world, began)
        if not world.member(0).running():
            raise AssertionError(f"the daemon ended:\n{world.member(0).daemon.tail()}")
        if time.monotonic() > next_fault:
            second = round(time.monotonic() - began)
            done.append({"second": second, "fault": strike(world, choose)})
            verdict = watch.look(world)
            verified.append({"second": second, "rows": verdict.rows, "exact": verdict.exact})
            assert verdict.exact, f"after {done[-1]}: {verdict.examples}"
            next_fault = time.monotonic() + every
        elif one := sample(world, began, scrapes):
            samples.append(one)
    with world.load.held():
        world.await_applied(world.load.reached(), "the end")
        own.await_equal(world, began)
    finish(world, stuck="")
    verdict = compare(world.workload, world.observer.query, world.kafka.read(world.letter_topic))
    verified.append({"second": round(time.monotonic() - began), "rows": verdict.rows, "exact": verdict.exact})
    return samples, scrapes, done, verified, own.of(), verdict


def main():
    parser = argparse.ArgumentParser(usage="scripts/soak [--minutes N] [--rate STEPS] "
                                           "[--every SECONDS] [--binary FILE] [--out FILE] [--publish]")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=int, default=2000, help="steps of the load a second")
    parser.add_argument("--every", type=float, default=30, help="seconds between two faults")
    parser.add_argument("--binary", type=Path, default=ROOT / "build" / "release" / "ods-sink")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "soak.json")
    parser.add_argument("--publish", action="store_true", help="write docs/soak.* and the page's section")
    options = parser.parse_args()
    seed = int(os.environ.get("ODS_FAULT_SEED") or random.randrange(10**9))
    print(f"soak: {options.minutes:g} minutes, {options.rate} steps a second, a fault every "
          f"{options.every:g} s, ODS_FAULT_SEED={seed}", flush=True)
    stack = Stack()
    world = None
    try:
        stack.up("postgres", "kafka", "toxiproxy")
        with tempfile.TemporaryDirectory() as folder:
            world = SourcedWorld(stack, Kafka(stack), create_database(stack, "soak"), options.binary,
                          Path(folder), "soak", seed, proxied=True, rate=options.rate)
            try:
                samples, scrapes, done, verified, own, verdict = soak(world, options.minutes, options.every)
            finally:
                world.close()
    finally:
        stack.close()
    warm_s = warm_up(options.minutes)
    growth = grown([one for one in samples if one["second"] >= warm_s] or samples)
    show(samples, growth)
    print(f"{len(done)} faults, {len(verified)} comparisons, {verdict.rows} rows at the end: {verdict.lost} lost, "
          f"{verdict.twice + verdict.rewritten} twice, {verdict.wrong} wrong; {verdict.letters} dead letters, "
          f"{verdict.letters_lost} lost, {verdict.letters_wrong} wrong")
    print(f"{len(own)} comparisons by the daemon itself, {sum(one['rows'] for one in own)} rows: "
          f"{sum(one['equal'] for one in own)} of {sum(one['tables'] for one in own)} tables equal, 0 differ")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    data = {"day": time.strftime("%Y-%m-%d", time.gmtime()), "seed": seed, "warm_s": warm_s,
            "records": world.load.acknowledged, "faults": done, "verified": verified, "own": own, "growth": growth,
            "exact": verdict.exact and all(one["exact"] for one in verified), "samples": samples}
    options.out.write_text(json.dumps(data, indent=1))
    with gzip.open(options.out.with_suffix(".metrics.jsonl.gz"), "wt") as file:
        file.writelines(json.dumps(one) + "\n" for one in scrapes)
    if options.publish:
        publish(data)
    return 0 if data["exact"] and not grew(growth) else 1


if __name__ == "__main__":
    sys.exit(main())
