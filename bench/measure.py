"""What the kernel says about processes, and what PostgreSQL says about the target."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

TICKS = os.sysconf("SC_CLK_TCK")
MARKER_KEY = 2_000_000_000  # as in generate.c


def stat_fields(pid: int) -> list[str]:
    """/proc/PID/stat from the state on; the name before it may hold blanks."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def cpu_seconds(pid: int, reaped: bool = False) -> float:
    """User and system time of a process; with `reaped` that of the children it waited for, too."""
    fields = stat_fields(pid)
    return sum(map(int, fields[11:15 if reaped else 13])) / TICKS


def memory_kb(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    return 0


def reset_peak(pid: int) -> None:
    """Let VmHWM begin anew: Kafka Connect lives through many runs."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    found: list[int] = []
    for task in tasks.iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


def server_cpu(postmaster: int, without: int) -> float:
    """CPU seconds of PostgreSQL with the backends that have ended, but not of the one `without`,
    which is the benchmark's own."""
    total = cpu_seconds(postmaster, reaped=True)
    for pid in children(postmaster):
        try:
            total += cpu_seconds(pid) if pid != without else 0.0
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total


@dataclass
class Target:
    """The target database: reset, watched, compared. Its connection is the superuser's, through
    the socket; the tables belong to the sinks' role."""

    connection: Any
    role: str

    @staticmethod
    def open(env: dict[str, str]) -> "Target":
        connection = psycopg2.connect(
            host=env["POSTGRES_SOCKET_DIR"], port=env["POSTGRES_PORT"],
            user=env["POSTGRES_SUPERUSER"], dbname=env["POSTGRES_DATABASE"])
        connection.autocommit = True
        target = Target(connection, env["POSTGRES_USER"])
        target.run("set enable_seqscan = off; set plan_cache_mode = force_generic_plan;"
                   "set client_min_messages = warning")
        target.run(f"create schema if not exists bench authorization {target.role}")
        return target

    def run(self, statement: str) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(statement)

    def one(self, statement: str) -> Any:
        with self.connection.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone()
            return row[0] if row else None

    @property
    def backend(self) -> int:
        return int(self.connection.info.backend_pid)

    def load_file(self, table: str, path: Path) -> None:
        with self.connection.cursor() as cursor, path.open("rb") as file:
            cursor.copy_expert(f"copy {table} from stdin", file)

    def make_tables(self, schema: str, definition: str) -> None:
        """Make the tables of target.sql anew in a schema, empty."""
        tables = "select format('drop table %%I.%%I', schemaname, tablename) from pg_tables" \
                 " where schemaname = %s"
        with self.connection.cursor() as cursor:
            cursor.execute(tables, (schema,))
            for (drop,) in cursor.fetchall():
                cursor.execute(drop)
            cursor.execute(f"set role {self.role}; set search_path = {schema}")
            cursor.execute(definition or "select")
            cursor.execute("reset role; reset search_path")
        self.compress(schema)

    def compress(self, schema: str) -> None:
        """Large values by lz4 where the server has it, as in tables that ods-sink makes."""
        columns = "select format('alter table %%I.%%I alter %%I set compression lz4'," \
                  " nspname, relname, attname) from pg_attribute a" \
                  " join pg_class c on c.oid = attrelid join pg_namespace n on n.oid = relnamespace" \
                  " where nspname = %s and relkind = 'r' and attnum > 0 and not attisdropped" \
                  " and atttypid in ('text'::regtype, 'json'::regtype, 'jsonb'::regtype," \
                  " 'bytea'::regtype) and exists (select from pg_settings" \
                  " where name = 'default_toast_compression' and 'lz4' = any (enumvals))"
        with self.connection.cursor() as cursor:
            cursor.execute(columns, (schema,))
            for (alter,) in cursor.fetchall():
                cursor.execute(alter)

    def make_watch(self, tables: list[str], key: str) -> None:
        """Functions that tell cheaply how many markers are there, and whether any row is."""
        count = " + ".join(
            f"(select count(*) from public.{t} where {key} >= {MARKER_KEY})" for t in tables)
        first = " or ".join(f"exists (select from public.{t})" for t in tables)
        for name, kind, expression, none in (("markers", "bigint", count, "0"),
                                             ("any_row", "boolean", first, "false")):
            # A table that the sink makes is not there at first.
            self.run(f"create or replace function bench.{name}() returns {kind} language plpgsql"
                     f" as $$ begin if to_regclass('public.{tables[0]}') is null then return {none};"
                     f" end if; return ({expression}); end $$")

    def checksum(self, schema: str, tables: list[str]) -> tuple[int, str]:
        """Count and sum of row hashes: equal sets of rows give equal answers, in any order."""
        rows, total = 0, 0
        for at in range(0, len(tables), 50):
            union = " union all ".join(
                f"select hashtextextended('{t}' || r::text, 0) as hash from {schema}.{t} r"
                for t in tables[at:at + 50])
            with self.connection.cursor() as cursor:
                cursor.execute(f"select count(*), coalesce(sum(hash::numeric), 0) from ({union}) u")
                row = cursor.fetchone()
                rows, total = rows + int(row[0]), total + int(row[1])
        return rows, str(total)


    def differences(self, tables: list[str], key: str) -> str:
        """Which columns differ from the reference, in how many rows, with one example each."""
        found: dict[str, list[Any]] = {}
        with self.connection.cursor() as cursor:
            for table in tables:
                cursor.execute("select column_name from information_schema.columns where"
                               " table_schema = 'public' and table_name = %s", (table,))
                for (column,) in cursor.fetchall():
                    cursor.execute(
                        f"select count(*), min(format('%s %s: %s in place of %s', '{table}',"
                        f" {key}, left(a.{column}::text, 40), left(b.{column}::text, 40)))"
                        f" from public.{table} a full join bench_reference.{table} b"
                        f" using ({key}) where a.{column}::text is distinct from b.{column}::text")
                    rows, example = cursor.fetchone()
                    if rows:
                        seen = found.setdefault(column, [0, example])
                        seen[0] += rows
        return "; ".join(f"{column} in {rows} rows ({example})"
                         for column, (rows, example) in found.items())


class Pace:
    """Sleep between polls in proportion to what a poll costs, so that watching stays cheap."""

    def __init__(self, least: float = 0.005, share: float = 0.05) -> None:
        self.least, self.share = least, share

    def after(self, started: float) -> None:
        took = time.monotonic() - started
        time.sleep(max(self.least, min(0.25, took / self.share)))
