"""Run the benchmark: every load, every contender in turn, as many rounds as asked.

Called by scripts/bench, which builds the programs and starts the servers.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import measure
import report
from contenders import (Failed, Place, Sink, Tool, connector_of, contenders, ods_sink_config,
                        processes, run_id)
from loads import LOADS, Kafka, Made, choose, differences, make

Result = dict[str, Any]
HERE = Path(__file__).resolve().parent


def say(*words: Any) -> None:
    print(*words, flush=True)


# ---- one run -------------------------------------------------------------------------------------

def reset_target(place: Place, made: Made, one: Sink | Tool | None = None) -> None:
    """The same empty (or preloaded) tables for everyone, no offsets, and no checkpoint due."""
    target, load = place.target, made.load
    target.run("drop schema if exists ods_sink cascade")
    target.make_tables("public", made.definition)
    if load.preload:
        target.run(f"insert into public.{load.table} select * from bench_preload.preloaded")
        target.run(f"vacuum (freeze, analyze) public.{load.table}")
    for table in load.table_names if load.tables == 1 else []:
        target.run(f"drop table if exists public.{table}_cdc cascade")
    if isinstance(one, Sink):
        one.prepare(load.table_names)
    watched = one.watched(load.table_names) if isinstance(one, Sink) else load.table_names
    target.make_watch(watched, load.key)
    target.run("checkpoint")


class Meter:
    """CPU of the server and of the broker from its making on."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.postmaster, self.broker = place.pid("postgres"), place.pid("kafka")
        self.server = measure.server_cpu(self.postmaster, place.target.backend)
        self.kafka = measure.cpu_seconds(self.broker)

    def read(self) -> Result:
        return {"server_cpu": measure.server_cpu(self.postmaster, self.place.target.backend)
                - self.server, "kafka_cpu": measure.cpu_seconds(self.broker) - self.kafka}


def watch(place: Place, made: Made, sink: Sink, launched: float, limit_s: float) -> Result:
    """Poll until every partition's last row is visible.

    Consumption starts when the group has given its partitions out, or with the first row, if that
    is seen earlier.
    """
    started: float | None = None
    first: float | None = None
    pace, checked = measure.Pace(), launched
    while True:
        polled = time.monotonic()
        if started is None and place.kafka.stable(sink.group):
            started = time.monotonic()
        if first is None and not made.load.preload and place.target.one("select bench.any_row()"):
            first = time.monotonic()
            started = started or first
        if place.target.one("select bench.markers()") >= made.load.markers:
            ended = time.monotonic()
            return {"seconds": ended - (started or launched), "start_s": (started or ended)
                    - launched, "first_row_s": first - launched if first else None}
        if time.monotonic() - checked > 1:
            checked = time.monotonic()
            sink.check()
            if checked - launched > limit_s:
                done = place.target.one("select bench.markers()")
                raise Failed(f"not done after {limit_s:.0f} s:"
                             f" {done} of {made.load.markers} partitions")
        pace.after(polled)


def run_sink(place: Place, made: Made, sink: Sink, limit_s: float) -> Result:
    load = made.load
    meter, launched = Meter(place), time.monotonic()
    try:
        sink.start(load.prefix, load.space, load.table_names, load.wire)
        before = measure.cpu_seconds(sink.pid) if sink.process is None else 0.0
        result = watch(place, made, sink, launched, limit_s)
        result |= meter.read()
        pids = sink.pids or [sink.pid]
        result["cpu_seconds"] = sum(map(measure.cpu_seconds, pids)) - before
        result["peak_rss_kb"] = max(measure.memory_kb(pid, "VmHWM") for pid in pids)
        return result
    finally:
        sink.stop()


def run_tool(place: Place, made: Made, tool: Tool) -> Result:
    meter = Meter(place)
    result = tool.run(place, made)
    result.pop("out")
    return result | meter.read()


def run_once(place: Place, made: Made, one: Sink | Tool, limit_s: float) -> Result:
    """A run with its verdict: OK, WRONG (other rows than the reference), or FAILED."""
    result: Result = {"load": made.load.name, "contender": one.name}
    events = made.facts["events"]
    try:
        writes = isinstance(one, Sink) or one.writes
        if writes:
            reset_target(place, made, one)
        if isinstance(one, Sink):
            result |= run_sink(place, made, one, limit_s)
        else:
            result |= run_tool(place, made, one)
        result["events_per_s"] = events / result["seconds"]
        if isinstance(one, Sink):
            one.settle(made.load.table_names)
        rows = place.target.checksum("public", made.load.table_names) if writes else None
        result["state"] = "OK" if rows in (None, made.reference) else "WRONG"
        if result["state"] == "WRONG":
            result["why"] = differences(made, place.target)
    except Failed as failure:
        result |= {"state": "FAILED", "why": str(failure)}
    return result


def tell(result: Result) -> None:
    line = f"  {result['contender']:<12}"
    if "events_per_s" in result:
        line += f"{result['events_per_s']:>10,.0f} events/s  {result['seconds']:7.2f} s" \
                f"  cpu {result['cpu_seconds']:6.2f} s  pg {result['server_cpu']:6.2f} s" \
                f"  rss {result['peak_rss_kb'] / 1024:6.0f} MB"
    say(line + ("" if result["state"] == "OK" else f"  {result['state']}: {result['why']}"))


def run_load(place: Place, made: Made, chosen: list[Sink | Tool], rounds: int,
             limit_s: float) -> list[Result]:
    results: list[Result] = []
    taking_part = []
    for one in chosen:
        reason = one.lacks(made.load)
        if reason:
            results.append({"load": made.load.name, "contender": one.name, "state": "N/A",
                            "why": reason})
            say(f"  {one.name:<12}  not available: {reason}")
        else:
            taking_part.append(one)
    for number in range(rounds):
        say(f"  -- round {number + 1} of {rounds}")
        turn = number % max(1, len(taking_part))
        for one in taking_part[turn:] + taking_part[:turn]:
            result = run_once(place, made, one, limit_s) | {"round": number + 1}
            tell(result)
            results.append(result)
    return results


# ---- latency -------------------------------------------------------------------------------------

def run_latency(place: Place, sink: Sink, wire: str, rate: int, seconds: int) -> Result:
    result: Result = {"contender": sink.name, "wire": wire, "rate": rate}
    prefix = f"latency_{run_id().replace('-', '_')}"
    topic = f"{prefix}.mks_finance_dw.customers"
    place.kafka.make_topics([topic], 4)
    subprocess.run([str(place.binaries / "generate"), "--events", "1", "--out",
                    str(place.folder / "latency")], check=True, stdout=subprocess.DEVNULL)
    place.target.run("drop schema if exists ods_sink cascade")
    place.target.make_tables("public", (place.folder / "latency" / "target.sql").read_text())
    place.target.run("checkpoint")
    try:
        sink.start(prefix, "mks_finance_dw", ["customers"], wire)
        time.sleep(2)
        sink.check()
        result["idle_rss_kb"] = measure.memory_kb(sink.pid, "VmRSS")
        answer = subprocess.run(
            [str(place.binaries / "latency"), "--brokers", place.brokers, "--prefix", prefix,
             "--wire", wire, "--rate", str(rate), "--seconds", str(seconds)],
            env={**os.environ, "LATENCY_DSN": place.dsn}, capture_output=True, text=True)
        sink.check()
        if answer.returncode != 0:
            raise Failed(answer.stderr.strip())
        result |= json.loads(answer.stdout) | {"state": "OK"}
    except Failed as failure:
        result |= {"state": "FAILED", "why": str(failure)}
    finally:
        sink.stop()
        place.kafka.delete_topics([topic])
    return result


def tell_latency(result: Result) -> None:
    line = f"  {result['contender']:<12} {result['rate']:>6} events/s  "
    if result["state"] == "OK":
        ms = result["latency_ms"]
        line += f"p50 {ms['p50']:.2f}  p99 {ms['p99']:.2f}  p99.9 {ms['p999']:.2f} ms"
        line += f"  ({result['missing']} never seen)" if result["missing"] else ""
    else:
        line += f"{result['state']}: {result['why']}"
    say(line)


def all_latencies(place: Place, chosen: list[Sink | Tool],
                  arguments: argparse.Namespace) -> list[Result]:
    results = []
    wire, rounds = arguments.latency_wire, arguments.rounds
    sinks = [one for one in chosen if isinstance(one, Sink)]
    for number in range(rounds):
        say(f"latency, {wire}, round {number + 1} of {rounds}")
        for rate in map(int, arguments.rates.split(",")):
            seconds = 5 if arguments.quick else 30 if rate < 1000 else 15
            for sink in sinks:
                if sink.lacks(LOADS["lean" if wire == "lean" else "envelope"]):
                    continue
                result = run_latency(place, sink, wire, rate, seconds) | {"round": number + 1}
                tell_latency(result)
                results.append(result)
    return results


# ---- start to first row --------------------------------------------------------------------------

def run_restart(place: Place, made: Made) -> Result | None:
    """A daemon that comes back: group, offsets and tables known. Time to its first row."""
    if not place.ods_sink:
        return None
    load = made.load
    reset_target(place, made)
    conf = ods_sink_config(place, "bench-restart-" + run_id(), load.prefix, load.space,
                           connector_of(load.space), 2)
    command = [str(place.ods_sink), "run", "-c", str(conf)]
    total = 0
    for attempt in range(2):
        with open(os.devnull, "wb") as nothing:
            launched = time.monotonic()
            process = subprocess.Popen(command, stderr=nothing)
        moved = None
        while moved is None and time.monotonic() - launched < 30:
            stored = place.target.one("select to_regclass('ods_sink.offsets') is not null") and \
                place.target.one("select sum(next_offset) from ods_sink.offsets")
            if stored and stored > total:
                moved, total = time.monotonic() - launched, stored
            time.sleep(0.002)
        process.terminate()
        process.wait(30)
        total = place.target.one("select sum(next_offset) from ods_sink.offsets") or 0
        if attempt == 1:
            return {"restart_first_row_s": moved, "left": made.facts["records"] - int(total)}
    return None


# ---- all -----------------------------------------------------------------------------------------

def command_output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def describe(place: Place, arguments: argparse.Namespace) -> Result:
    cpu = next((line.partition(":")[2].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
                if line.startswith("model name")), platform.machine())
    memory = int(open("/proc/meminfo", encoding="utf-8").readline().split()[1])
    settings = {name: place.target.one(f"show {name}") for name in (
        "server_version", "shared_buffers", "max_wal_size", "fsync", "synchronous_commit",
        "wal_level")}
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "command": "scripts/bench " + " ".join(arguments.as_typed),
        "cpu": cpu, "cores": os.cpu_count(), "memory_gb": round(memory / 1048576),
        "system": f"{platform.freedesktop_os_release().get('PRETTY_NAME', '')},"
                  f" Linux {platform.release()}",
        "versions": {
            "ods-sink": command_output(str(place.ods_sink), "--version") if place.ods_sink else "-",
            "librdkafka": command_output("pkg-config", "--modversion", "rdkafka"),
            "PostgreSQL": settings.pop("server_version"),
            "Kafka": place.env["KAFKA_LIBS"].split("kafka-")[1].split("/")[0],
            "Debezium": "3.3.1.Final", "Python": platform.python_version(),
            "Java": command_output("sh", "-c", "java -version 2>&1 | head -1"),
        },
        "postgresql": settings, "rounds": arguments.rounds, "scale": arguments.scale,
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("--loads", default=",".join(LOADS))
    parser.add_argument("--contenders", default="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--events", type=int, help="of a load of 720,000; others in proportion")
    parser.add_argument("--latency", action="store_true", help="measure latency too")
    parser.add_argument("--latency-only", action="store_true")
    parser.add_argument("--latency-wire", default="envelope", choices=("envelope", "lean"))
    parser.add_argument("--rates", default="100,1000,10000")
    parser.add_argument("--limit", type=float, default=900, help="seconds a run may take")
    parser.add_argument("--property", action="append", default=[])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--append", action="store_true")
    parser.add_argument("--publish", action="store_true")
    parser.add_argument("--env", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--binary", type=Path)
    arguments = parser.parse_args()
    events = arguments.events or (60_000 if arguments.quick else 720_000)
    arguments.scale = events / 720_000
    hidden = ("--env", "--folder", "--binary")
    arguments.as_typed = [word for at, word in enumerate(sys.argv[1:], 1)
                          if word not in hidden and sys.argv[at - 1] not in hidden]
    return arguments


def continued(data: Result, about: Result) -> Result:
    """An older file to go on with, if it is of the same machine and programs."""
    for field in ("cpu", "cores", "system", "versions", "postgresql", "rounds"):
        if data["about"][field] != about[field]:
            raise SystemExit(f"bench: --append: {field} was {data['about'][field]},"
                             f" and is {about[field]} now")
    data["about"]["command"] += "; " + about["command"]
    return data


def read_env(path: Path) -> dict[str, str]:
    lines = (line.partition("=") for line in path.read_text().splitlines())
    return {name.removeprefix("ODS_STACK_"): value for name, _, value in lines}


def pick(place: Place, names: str) -> list[Sink | Tool]:
    known = contenders(place, names)
    wanted = names.split(",") if names else list(known)
    found = {name: known.get(name) or processes(place, name) for name in wanted}
    unknown = [name for name, one in found.items() if not one]
    if unknown:
        raise SystemExit(f"bench: no contender {', '.join(unknown)}; there are:"
                         f" {' '.join(known)}, and ods-sink-1x4 for four processes of a lane")
    return [one for one in found.values() if one]


def main() -> int:
    arguments = parse()
    env = read_env(arguments.env)
    place = Place(env, arguments.folder, arguments.folder / "bin", arguments.binary,
                  Kafka(env["KAFKA_BOOTSTRAP"]), measure.Target.open(env), arguments.property)
    chosen = pick(place, arguments.contenders)
    data: Result = {"about": describe(place, arguments), "loads": {}, "runs": [], "latency": [],
                    "labels": {}}
    output = arguments.json or HERE / "results" / f"{data['about']['when'].replace(':', '')}.json"
    if arguments.append and output.exists():
        data = continued(json.loads(output.read_text()), data["about"])
    data["labels"] |= {one.name: one.label for one in chosen}
    output.parent.mkdir(parents=True, exist_ok=True)

    def save() -> None:
        output.write_text(json.dumps(data, indent=1) + "\n")

    names = [] if arguments.latency_only else arguments.loads.split(",")
    for load in choose(names, arguments.scale):
        say(f"{load.name}: {load.about}")
        data["runs"] = [run for run in data["runs"] if run["load"] != load.name
                        or run["contender"] not in [one.name for one in chosen]]
        made = make(load, place.kafka, place.target, place.binaries / "generate",
                    place.folder / "loads")
        data["loads"][load.name] = {"about": load.about, "wire": load.wire, **made.facts}
        say(f"  {made.facts['events']:,} events, {made.facts['bytes'] / 1e6:,.0f} MB,"
            f" {made.facts['bytes'] / made.facts['records']:,.0f} bytes a record")
        data["runs"] += run_load(place, made, chosen, arguments.rounds, arguments.limit)
        if load.name == "lean" and any(one.name.startswith("ods-sink") for one in chosen):
            data["restart"] = run_restart(place, made)
        save()
    if arguments.latency or arguments.latency_only:
        data["latency"] += all_latencies(place, chosen, arguments)
        save()
    say("\n" + report.text(data) + f"\nwritten: {output}")
    if arguments.publish:
        report.publish(data, HERE.parent / "docs")
        say("written: docs/performance.md")
    failed = [run for run in data["runs"] if run["state"] in ("WRONG", "FAILED")]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
