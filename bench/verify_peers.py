#!/usr/bin/python3
"""ods-sink verify beside reladiff (PyPI), on the same rows of MySQL and PostgreSQL; what each of them
sees; and what verify costs the lag.

    scripts/stack --dir DIR --free-ports up postgres mysql kafka
    bench/verify_peers.py DIR [--rows 1000000] [--rounds 3] [--parts speed,blind,lag] [--publish]

speed  the benchmark's customers, equal, then with 1,000 rows changed in the target: seconds, CPU and
       memory of each, in turns
blind  a column of each family of types: how many of 100 equal rows are called different, and whether a
       planted difference is found
lag    2,000 changes a second through a daemon while it compares, and while it stands still, in turns

reladiff is installed into a virtual environment in ~/.cache/ods-sink. --publish writes the section
of docs/performance.md. The programs are build/release/ods-sink and bench's latency.
"""

from __future__ import annotations

import argparse
import bisect
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from confluent_kafka.admin import AdminClient, NewTopic
from verify import ROOT, configure, environment, fill, mysql, postgres, server_cpu

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ods-sink" / "reladiff"
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- Written by bench/verify_peers.py --publish. -->", "<!-- End of verify. -->"
COLUMNS = ("full_name", "email", "phone", "date_of_birth", "monthly_income", "created_at",
           "updated_at")
WRONG = 1000
STANDING = ("--wait", "2", "--settle", "1")
RATE, WARM_UP = 2000, 5
LINGER = 5  # ms, as of a producer that sends what a source's log gave it; each record alone fills the broker
TURN, SETTLE = 4, 0.3  # s: verify runs or stands still so long; what of it is not counted

# Column: MySQL's type, PostgreSQL's as ods-sink makes it, the value of row n in each, and what makes a
# row wrong in the target.
KINDS = {
    "c_int": ("int", "integer", "n", "n", "c_int + 1"),
    "c_ubig": ("bigint unsigned", "numeric(20,0)", "18446744073709551000 + n",
               "18446744073709551000 + n", "c_ubig + 1"),
    "c_decimal": ("decimal(30,10)", "numeric(30,10)", "n + 0.0000000001", "n + 0.0000000001",
                  "c_decimal + 0.0000000001"),
    "c_double": ("double", "double precision", "n / 3e0", "n / 3e0", "c_double + 1e-9"),
    "c_date": ("date", "date", "date_add('2020-01-01', interval n day)", "'2020-01-01'::date + n",
               "c_date + 1"),
    "c_datetime": ("datetime(6)", "timestamp(6)",
                   "date_add('2020-01-01 01:02:03.000001', interval n second)",
                   "'2020-01-01 01:02:03.000001'::timestamp + n * interval '1 s'",
                   "c_datetime + interval '1 us'"),
    "c_timestamp": ("timestamp(3)", "timestamptz(3)",
                    "date_add('2020-01-01 01:02:03.001', interval n second)",
                    "'2020-01-01 01:02:03.001+00'::timestamptz + n * interval '1 s'",
                    "c_timestamp + interval '1 ms'"),
    "c_time": ("time(3)", "time(3)", "sec_to_time(n + 0.001)", "'00:00:00.001'::time + n * interval '1 s'",
               "c_time + interval '1 ms'"),
    "c_zero_date": ("date", "date", "'0000-00-00'", "null", "'2020-01-01'"),
    "c_text": ("varchar(40)", "text", "concat('été ', n)", "'été ' || n", "c_text || ' '"),
    "c_case": ("varchar(40)", "text", "concat('Case ', n)", "'Case ' || n", "upper(c_case)"),
    "c_enum": ("enum('one','two')", "text", "if(n % 2, 'one', 'two')",
               "case n % 2 when 1 then 'one' else 'two' end", "'three'"),
    "c_set": ("set('x','y')", "text", "'x,y'", "'x,y'", "'x'"),
    "c_json": ("json", "jsonb", "json_object('b', n, 'a', 1)", "jsonb_build_object('a', 1, 'b', n)",
               "c_json || '{\"a\": 2}'"),
    "c_blob": ("blob", "bytea", "concat(x'00ff', n)", "'\\x00ff'::bytea || n::text::bytea",
               "c_blob || '\\x00'"),
    "c_bit": ("bit(20)", "bit(20)", "n", "n::bit(20)", "~c_bit"),
    "c_bool": ("tinyint(1)", "smallint", "n % 2", "n % 2", "1 - c_bool"),
    "c_year": ("year", "integer", "2000 + n % 100", "2000 + n % 100", "c_year + 1"),
}


# ---- running -------------------------------------------------------------------------------------

def reladiff() -> Path:
    program = CACHE / "bin" / "reladiff"
    if not program.exists():
        print(f"installing reladiff into {CACHE}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", CACHE], check=True)
        subprocess.run([CACHE / "bin" / "pip", "install", "-q", "reladiff[mysql,postgresql]==0.6.0"],
                       check=True)
    return program


class Servers:
    def __init__(self, folder: Path):
        self.folder, self.env = folder, environment(folder)
        self.pids = {name: int((folder / "run" / f"{name}.pid").read_text())
                     for name in ("mysql", "postgres")}
        source = mysql(self.env)
        with source.cursor() as cursor:
            cursor.execute("create user if not exists bench@'%' identified with mysql_native_password "
                           "by 'bench'")
            cursor.execute("grant select on bench_verify.* to bench@'%'")
        source.close()

    def uris(self) -> tuple[str, str]:
        env = self.env
        return (f"mysql://bench:bench@127.0.0.1:{env['ODS_STACK_MYSQL_PORT']}/bench_verify",
                f"postgresql://{env['ODS_STACK_POSTGRES_USER']}:{env['ODS_STACK_POSTGRES_PASSWORD']}"
                f"@127.0.0.1:{env['ODS_STACK_POSTGRES_PORT']}/bench_verify")

    def run(self, *command: Any) -> dict[str, Any]:
        before = {name: server_cpu(pid) for name, pid in self.pids.items()}
        began, ended = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        out, err = child.communicate()
        took, now = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        return {"seconds": took, "code": child.returncode, "out": out, "err": err,
                "cpu": now.ru_utime + now.ru_stime - ended.ru_utime - ended.ru_stime,
                **{name: server_cpu(pid) - before[name] for name, pid in self.pids.items()}}


def peak_mb(*command: Any) -> float:
    """Of a run by itself, since the largest of all children is all that a process is told."""
    script = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, "
              "stderr=subprocess.DEVNULL); "
              "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)")
    return float(subprocess.run([sys.executable, "-c", script, *map(str, command)], check=True,
                                capture_output=True, text=True).stdout)


def with_kafka(servers: Servers) -> Path:
    """Nothing streams here, so that what differs for a second does differ."""
    conf = configure(servers.env, servers.folder)
    conf.write_text(conf.read_text() + "kafka = { bootstrap_servers = \""
                    f"{servers.env['ODS_STACK_KAFKA_BOOTSTRAP']}\"; }};\n")
    return conf


# ---- speed ---------------------------------------------------------------------------------------

def speed(servers: Servers, program: Path, rows: int, rounds: int) -> dict[str, Any]:
    fill(servers.env, servers.folder, rows)
    conf = with_kafka(servers)
    target = postgres(servers.env, "bench_verify")
    columns = [word for name in COLUMNS for word in ("-c", name)]
    source, ods = servers.uris()
    common = [reladiff(), source, "customers", ods, "customers", "-k", "customer_id", *columns, "-s"]
    contenders = {"ods-sink verify": [program, "verify", "-c", conf, *STANDING, "--json"],
                  "reladiff, 1 thread": common, "reladiff, 4 threads": [*common, "-j", "4"]}
    results: list[dict[str, Any]] = []
    heal = "update customers set full_name = rtrim(full_name, '!') where full_name like '%!'"
    with target.cursor() as cursor:
        cursor.execute(heal)  # of a run that was broken off
        cursor.execute("vacuum analyze customers")
        cursor.execute(f"grant select on customers to {servers.env['ODS_STACK_POSTGRES_USER']}")
        for state in ("equal", f"{WRONG:,} rows differ"):
            if state != "equal":
                cursor.execute("update customers set full_name = full_name || '!' where "
                               f"customer_id % {max(rows // WRONG, 1)} = 0")
            for number in range(rounds):
                order = list(contenders) if number % 2 == 0 else list(contenders)[::-1]
                for name in order:
                    one = servers.run(*contenders[name])
                    print(f"  {state:<18} {name:<20} {one['seconds']:7.1f} s, CPU {one['cpu']:.1f} s",
                          flush=True)
                    results.append({"state": state, "name": name, **{
                        key: one[key] for key in ("seconds", "code", "cpu", "mysql", "postgres")}})
        cursor.execute(heal)
    return {"rows": rows, "runs": results, "peak_mb": {
        name: peak_mb(*command) for name, command in contenders.items()}}


# ---- blind ---------------------------------------------------------------------------------------

def make_kinds(servers: Servers) -> None:
    source, ods = mysql(servers.env, "bench_verify"), postgres(servers.env, "bench_verify")
    names = ", ".join(KINDS)
    with source.cursor() as cursor, ods.cursor() as target:
        cursor.execute("set session sql_mode = ''")
        cursor.execute("drop table if exists kinds")
        cursor.execute("create table kinds (id int primary key, " + ", ".join(
            f"{name} {kind[0]}{' null' if 'timestamp' in kind[0] else ''}"
            for name, kind in KINDS.items()) + ")")
        cursor.executemany("insert into kinds (id, " + names + ") select n, " + ", ".join(
            kind[2].replace("%", "%%") for kind in KINDS.values()) + " from (select %s as n) as one",
            [(number,) for number in range(100)])
        target.execute("set timezone = 'UTC'; drop table if exists kinds; create table kinds (id integer "
                       "primary key, " + ", ".join(f"{name} {kind[1]}" for name, kind in KINDS.items()) +
                       ", cdc_operation text default 'c', cdc_timestamp timestamptz default now())")
        target.execute("insert into kinds (id, " + names + ") select n, " + ", ".join(
            kind[3] for kind in KINDS.values()) + " from generate_series(0, 99) n")
        target.execute(f"grant select on kinds to {servers.env['ODS_STACK_POSTGRES_USER']}")
        target.execute("insert into ods_sink.table_sources values "
                       "('public', 'kinds', '', 'bench_verify', 'kinds', false) on conflict do nothing")
    source.close()
    ods.close()


def seen_by_verify(program: Path, conf: Path) -> dict[str, int]:
    done = subprocess.run([program, "verify", "-c", conf, "kinds", "--json", *STANDING],
                          capture_output=True, text=True)
    seen = dict.fromkeys(KINDS, 0)
    for table in json.loads(done.stdout)["tables"]:
        for difference in table["differences"]:
            for column in difference["columns"]:
                seen[column["column"]] += 1
    return seen


def seen_by_reladiff(servers: Servers) -> dict[str, int | str]:
    source, ods = servers.uris()
    seen: dict[str, int | str] = {}
    for name in KINDS:
        done = subprocess.run([reladiff(), source, "kinds", ods, "kinds", "-k", "id", "-c", name,
                               "--json"], capture_output=True, text=True)
        failed = done.returncode or "ERROR" in done.stderr  # which ends with exit code 0
        lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
        seen[name] = "error" if failed else len({str(json.loads(line)[1][0]) for line in lines})
    return seen


def blind(servers: Servers, program: Path) -> dict[str, Any]:
    fill(servers.env, servers.folder, 1000) if not there(servers) else None
    make_kinds(servers)
    conf = with_kafka(servers)
    equal = {"verify": seen_by_verify(program, conf), "reladiff": seen_by_reladiff(servers)}
    ods = postgres(servers.env, "bench_verify")
    with ods.cursor() as cursor:
        for number, (name, kind) in enumerate(KINDS.items()):
            cursor.execute(f"update kinds set {name} = {kind[4]} where id = {number + 1}")
    ods.close()
    planted = {"verify": seen_by_verify(program, conf), "reladiff": seen_by_reladiff(servers)}
    result = {name: {who: [equal[who][name], planted[who][name]] for who in equal} for name in KINDS}
    for name, one in result.items():
        print(f"  {name:<12} verify {one['verify']}, reladiff {one['reladiff']}", flush=True)
    return result


def there(servers: Servers) -> bool:
    source = mysql(servers.env)
    with source.cursor() as cursor:
        cursor.execute("select count(*) from information_schema.tables where table_schema = "
                       "'bench_verify'")
        return bool(cursor.fetchone()[0])


# ---- lag -----------------------------------------------------------------------------------------

def lag_configuration(servers: Servers, prefix: str, topic: str, throttle: int) -> tuple[Path, Path]:
    """Of the daemon through which changes stream, and of verify."""
    env, folder = servers.env, servers.folder / "conf"
    target = (f"host={env['ODS_STACK_POSTGRES_SOCKET_DIR']} port={env['ODS_STACK_POSTGRES_PORT']} "
              "dbname=bench_verify user=postgres")
    pipelines = {
        "lag": f"{{name: lag, topics: ['{topic}'], database: '', lanes: 2, defaults: {{schema: lag, "
               "on_delete: hard, cdc_operation: off, cdc_timestamp: off}}",
        "lag_verify": f"{{name: bench, topics: ['{prefix}.none'], database: shop, "
                      "tables: {kinds: {skip: true}}}"}
    for name, text in pipelines.items():
        (folder / f"{name}.yaml").write_text(f"pipelines: [{text}]\n")
        (folder / f"{name}.conf").write_text(f"""
kafka = {{ bootstrap_servers = "{env['ODS_STACK_KAFKA_BOOTSTRAP']}"; group_id = "{prefix}"; }};
targets = ( {{ name = "ods"; type = "postgres"; dsn = "{target}"; }} );
databases = ( {{ name = "shop"; type = "mysql"; throttle = {throttle};
  dsn = "host={env['ODS_STACK_MYSQL_SOCKET']} user=root dbname=bench_verify"; }} );
http = {{ listen = ""; }};
tables = "{name}.yaml";
""")
    return folder / "lag.conf", folder / "lag_verify.conf"


def prepare_lag(servers: Servers, topic: str) -> str:
    """The topic and the table; answers the table's DSN."""
    env, made = servers.env, servers.folder / "latency"
    admin = AdminClient({"bootstrap.servers": env["ODS_STACK_KAFKA_BOOTSTRAP"]})
    admin.create_topics([NewTopic(topic, 4, 1)])[topic].result(30)
    subprocess.run([ROOT / "build" / "bench" / "generate", "--events", "1", "--out", made], check=True,
                   stdout=subprocess.DEVNULL)
    with postgres(env, "bench_verify").cursor() as cursor:
        cursor.execute("drop schema if exists lag cascade; create schema lag; set search_path to lag")
        cursor.execute((made / "target.sql").read_text())
        cursor.execute("reset search_path; checkpoint")
    return (f"host={env['ODS_STACK_POSTGRES_SOCKET_DIR']} port={env['ODS_STACK_POSTGRES_PORT']} "
            "dbname=bench_verify user=postgres options='-c search_path=lag'")


def alternate(verifier: subprocess.Popen[Any], pairs: int) -> list[tuple[bool, float, float]]:
    """verify stands still and goes on in turns, in an order by chance: (does it run, from, until)."""
    choose, spans = random.Random(1), []
    for _ in range(pairs):
        for running in choose.sample((False, True), 2):
            if verifier.poll() is not None:
                raise SystemExit("verify ended: see lag.log")
            verifier.send_signal(signal.SIGCONT if running else signal.SIGSTOP)
            began = time.monotonic()
            time.sleep(TURN)
            spans.append((running, began + SETTLE, began + TURN))
    verifier.send_signal(signal.SIGCONT)
    return spans


def quantile(values: list[int], part: float) -> float:
    return sorted(values)[int(part * len(values))] / 1000


def of_turns(samples: Path, spans: list[tuple[bool, float, float]]) -> list[dict[str, Any]]:
    found = sorted(tuple(map(int, line.split())) for line in samples.read_text().splitlines())
    turns = []
    for running, begin, end in spans:
        inside = found[bisect.bisect(found, (int(begin * 1e6), 0)):bisect.bisect(found, (int(end * 1e6), 0))]
        turns.append({"verifying": running, "us": [latency for _, latency in inside]})
    return turns


def lag(servers: Servers, program: Path, rows: int, pairs: int, throttle: int) -> dict[str, Any]:
    """One stream through one daemon, so that both are measured on the same state of all servers: runs
    of their own differ among themselves by more than what is looked for."""
    fill(servers.env, servers.folder, rows)
    prefix = f"lag{os.getpid()}"
    topic = f"{prefix}.mks_finance_dw.customers"
    dsn, samples = prepare_lag(servers, topic), servers.folder / "lag.samples"
    streaming, comparing = lag_configuration(servers, prefix, topic, throttle)
    env = {**os.environ, **servers.env, "LATENCY_DSN": dsn}
    children = []
    with open(servers.folder / "lag.log", "w", encoding="utf-8") as log:
        def start(*command: Any, **more: Any) -> subprocess.Popen[Any]:
            children.append(subprocess.Popen(command, stderr=log, env=env, **{"stdout": log, **more}))
            return children[-1]

        try:
            start(program, "run", "-c", streaming)
            time.sleep(2)
            producer = start(ROOT / "build" / "bench" / "latency", "--brokers",
                             servers.env["ODS_STACK_KAFKA_BOOTSTRAP"], "--prefix", prefix, "--wire", "lean",
                             "--rate", str(RATE), "--seconds", str(2 * pairs * TURN), "--warm-up",
                             str(WARM_UP), "--linger", str(LINGER), "--samples", samples)
            time.sleep(WARM_UP)
            verifier = start(program, "verify", "-c", comparing, "customers")
            time.sleep(WARM_UP)  # it looks for a second whether changes stream, and slows down
            spans = alternate(verifier, pairs)
            if producer.wait():
                raise SystemExit("latency failed: see lag.log")
        finally:
            for child in reversed(children):
                child.send_signal(signal.SIGCONT)
                child.terminate()
                child.wait(60)
    turns = of_turns(samples, spans)
    result: dict[str, Any] = {"rate": RATE, "seconds": TURN, "rows": rows, "throttle": throttle, "turns": len(turns)}
    for name, running in (("without", False), ("with", True)):
        mine = [turn["us"] for turn in turns if turn["verifying"] == running and turn["us"]]
        pooled = [us for turn in mine for us in turn]
        result[name] = {"p50": quantile(pooled, 0.5), "p99": quantile(pooled, 0.99),
                        "p999": quantile(pooled, 0.999),
                        "median_p99": median(quantile(turn, 0.99) for turn in mine)}
        print(f"  {name:<8} " + ", ".join(f"{key} {ms:.2f}" for key, ms in result[name].items()) + " ms",
              flush=True)
    return result


# ---- telling -------------------------------------------------------------------------------------

def middle(runs: list[dict[str, Any]], key: str) -> float:
    return median(run[key] for run in runs)


def speed_table(found: dict[str, Any]) -> list[str]:
    lines = [f"{found['rows']:,} rows of `customers`, 8 columns, medians of runs in turns; reladiff "
             "prints its statistics alone, verify every difference.", "",
             "| | | s | CPU s: own | MySQL | PostgreSQL | peak MB |",
             "|---|---|---:|---:|---:|---:|---:|"]
    for state in dict.fromkeys(run["state"] for run in found["runs"]):
        for name in found["peak_mb"]:
            runs = [run for run in found["runs"] if (run["state"], run["name"]) == (state, name)]
            lines.append(f"| {state} | {name} | " + " | ".join(
                f"{middle(runs, key):.1f}" for key in ("seconds", "cpu", "mysql", "postgres")) +
                f" | {found['peak_mb'][name]:.0f} |")
    return lines


def blind_table(found: dict[str, Any]) -> list[str]:
    lines = ["100 rows that mean the same on both sides, then one of them wrong in that column. "
             "“False”: equal rows that are called different.", "",
             "| MySQL | PostgreSQL | verify: false | wrong one found | reladiff: false | wrong one found |",
             "|---|---|---:|---|---:|---|"]
    for name, one in found.items():
        cells = []
        for who in ("verify", "reladiff"):
            equal, planted = one[who]
            found_it = planted > equal if "error" not in (equal, planted) else False
            cells += ["–", "error"] if "error" in (equal, planted) else \
                [str(equal), "drowned" if equal == 100 else "yes" if found_it else "no"]
        lines.append(f"| {name[2:].replace('_', ' ')}: `{KINDS[name][0]}` | `{KINDS[name][1]}` | " + " | ".join(cells) + " |")
    return lines


def lag_table(found: dict[str, Any]) -> list[str]:
    throttle = f"`throttle = {found['throttle']}`" if found["throttle"] else "without `throttle`"
    lines = [f"{found['rate']:,} creates a second through one daemon, 2 lanes, while verify compares "
             f"{found['rows']:,} rows at its default pace, {throttle}: for {found['seconds']} s it runs, for "
             f"{found['seconds']} s it is stopped, {found['turns']} turns in an order by chance. ms:", "",
             "| | p50 | p99 | p99.9 | median of the turns' p99 |", "|---|---:|---:|---:|---:|"]
    for name in ("without", "with"):
        lines.append(f"| {name} verify | " + " | ".join(
            f"{found[name][key]:.2f}" for key in ("p50", "p99", "p999", "median_p99")) + " |")
    return lines


def publish(data: dict[str, Any]) -> None:
    parts = [BEGIN, "", "## verify", "", f"Measured {data['when']} by `{data['command']}`; {data['load']}.",
             ""]
    for name, table in (("speed", speed_table), ("blind", blind_table), ("lag", lag_table)):
        if name in data:
            parts += [f"### {dict(speed='Beside reladiff', blind='What each sees', lag='What it costs the lag')[name]}",
                      "", *table(data[name]), ""]
    text = "\n".join([*parts, END])
    old = PAGE.read_text(encoding="utf-8")
    before, found, rest = old.partition(BEGIN)
    after = rest.partition(END)[2] if found else "\n"
    PAGE.write_text((before if found else old.rstrip() + "\n\n") + text + after, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="pairs of turns in the part lag: ten a round")
    parser.add_argument("--throttle", type=int, default=0, help="rows a second, in the part lag")
    parser.add_argument("--parts", default="speed,blind,lag")
    parser.add_argument("--program", type=Path, default=ROOT / "build" / "release" / "ods-sink")
    parser.add_argument("--json", type=Path, help="keep what was measured; parts that are there stay")
    parser.add_argument("--publish", action="store_true")
    arguments = parser.parse_args()
    servers = Servers(arguments.folder)
    data = json.loads(arguments.json.read_text()) if arguments.json and arguments.json.exists() else {}
    data["command"] = "bench/verify_peers.py DIR " + " ".join(
        word for word in sys.argv[2:] if not word.startswith(("/", "--json", "--program")))
    data["when"] = time.strftime("%Y-%m-%d %H:%M", time.gmtime()) + " UTC"
    data["load"] = f"load average {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores when it began"
    for part in arguments.parts.split(","):
        print(part, flush=True)
        if part == "speed":
            data["speed"] = speed(servers, arguments.program, arguments.rows, arguments.rounds)
        elif part == "blind":
            data["blind"] = blind(servers, arguments.program)
        elif part == "lag":
            subprocess.run(["make", "-s", "-C", ROOT / "bench", f"OUT={ROOT}/build/bench"], check=True)
            data["lag"] = lag(servers, arguments.program, arguments.rows, 10 * arguments.rounds,
                              arguments.throttle)
        if arguments.json:
            arguments.json.write_text(json.dumps(data, indent=1) + "\n")
    if arguments.publish:
        publish(data)


if __name__ == "__main__":
    main()
