#!/usr/bin/python3
"""verify by itself: the benchmark's customers, so many rows, the same in MySQL and in PostgreSQL.

    scripts/stack --dir DIR --free-ports up postgres mysql
    bench/verify.py DIR [ROWS] [PROGRAM]

Makes the rows once (a database bench_verify on either side, kept until the stack is reset), runs
verify and prints rows a second, the CPU that verify and each server took, and verify's largest
memory. ROWS: 1000000 unless given.
"""

from __future__ import annotations

import datetime
import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

import psycopg2
import pymysql

ROOT = Path(__file__).resolve().parents[1]
MYSQL_TABLE = """create table customers (
    customer_id int auto_increment primary key, full_name varchar(100) not null, email varchar(120),
    phone varchar(20), date_of_birth date, monthly_income decimal(15,2),
    created_at datetime default current_timestamp, updated_at timestamp(3) null)"""
ODS_TABLE = """create table customers (
    customer_id integer primary key, full_name text not null, email text, phone text,
    date_of_birth date, monthly_income numeric(15,2), created_at timestamp(0),
    updated_at timestamp(3) with time zone, cdc_operation text default 'c',
    cdc_timestamp timestamp with time zone default now())"""


def environment(folder: Path) -> dict[str, str]:
    lines = (folder / "env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def rows(count: int):
    """Lines as MySQL's load and PostgreSQL's copy both read them."""
    choose = random.Random(1)
    begin = datetime.datetime(2020, 1, 1)
    for key in range(1, count + 1):
        moment = begin + datetime.timedelta(seconds=choose.randrange(10**8))
        fraction = choose.randrange(1000)
        yield (f"{key}\tName {choose.randrange(10**6)} Wijaya\tperson{key}@example.com\t"
               f"+62{choose.randrange(10**9):09}\t{moment:%Y-%m-%d}\t"
               f"{choose.randrange(10**9) / 100:.2f}\t{moment:%Y-%m-%d %H:%M:%S}\t"
               f"{moment:%Y-%m-%d %H:%M:%S}.{fraction:03}\n")


def mysql(env: dict[str, str], database: str | None = None):
    return pymysql.connect(unix_socket=env["ODS_STACK_MYSQL_SOCKET"], user="root", autocommit=True,
                           local_infile=True, database=database, charset="utf8mb4",
                           init_command="set time_zone = '+00:00'")


def postgres(env: dict[str, str], database: str):
    connection = psycopg2.connect(host=env["ODS_STACK_POSTGRES_SOCKET_DIR"], user="postgres",
                                  port=env["ODS_STACK_POSTGRES_PORT"], dbname=database)
    connection.autocommit = True
    return connection


def fill(env: dict[str, str], folder: Path, count: int) -> None:
    source, admin = mysql(env), postgres(env, "postgres")
    with source.cursor() as cursor, admin.cursor() as target:
        cursor.execute("select count(*) from information_schema.schemata "
                       "where schema_name = 'bench_verify'")
        there = cursor.fetchone()[0]
        if there:
            cursor.execute("select count(*) from bench_verify.customers")
            if cursor.fetchone()[0] == count:
                return
        print(f"making {count:,} rows", flush=True)
        path = folder / "mysql" / "customers.tsv"  # the server may read there
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(rows(count))
        cursor.execute("set sql_log_bin = 0")
        cursor.execute("drop database if exists bench_verify")
        cursor.execute("create database bench_verify character set utf8mb4")
        cursor.execute("use bench_verify")
        cursor.execute(MYSQL_TABLE)
        cursor.execute(f"load data infile '{path}' into table customers character set utf8mb4")
        cursor.execute("analyze table customers")
        target.execute("drop database if exists bench_verify")
        target.execute("create database bench_verify")
    ods = postgres(env, "bench_verify")
    with ods.cursor() as cursor, open(path, encoding="utf-8") as file:
        cursor.execute("set timezone = 'UTC'")
        cursor.execute((ROOT / "sql" / "ods_sink.sql").read_text())
        cursor.execute(ODS_TABLE)
        cursor.copy_from(file, "customers", columns=(
            "customer_id", "full_name", "email", "phone", "date_of_birth", "monthly_income",
            "created_at", "updated_at"))
        cursor.execute("insert into ods_sink.table_sources values "
                       "('public', 'customers', '', 'bench_verify', 'customers', false)")
        cursor.execute("vacuum analyze customers")
    path.unlink()


def configure(env: dict[str, str], folder: Path) -> Path:
    conf = folder / "conf" / "bench_verify.conf"
    conf.write_text(f"""
targets = ( {{ name = "ods"; type = "postgres";
  dsn = "host={env['ODS_STACK_POSTGRES_SOCKET_DIR']} port={env['ODS_STACK_POSTGRES_PORT']} dbname=bench_verify user=postgres"; }} );
databases = ( {{ name = "shop"; type = "mysql"; max_lag = 0;
  dsn = "host={env['ODS_STACK_MYSQL_SOCKET']} user=root dbname=bench_verify"; }} );
tables = "bench_verify.yaml";
""")
    (folder / "conf" / "bench_verify.yaml").write_text(
        "pipelines: [{name: bench, topics: [bench], defaults: {on_delete: soft}}]\n")
    return conf


def server_cpu(pid: int) -> float:
    """Seconds of a process and of its children that are there."""
    ticks, total = os.sysconf("SC_CLK_TCK"), 0.0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(folder.name) == pid or int(fields[1]) == pid:
            total += (int(fields[11]) + int(fields[12])) / ticks
            if int(folder.name) == pid:  # and those that have ended
                total += (int(fields[13]) + int(fields[14])) / ticks
    return total


def main() -> None:
    folder, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    program = sys.argv[3] if len(sys.argv) > 3 else ROOT / "build" / "release" / "ods-sink"
    env = environment(folder)
    fill(env, folder, count)
    conf = configure(env, folder)
    pids = {name: int((folder / "run" / f"{name}.pid").read_text())
            for name in ("mysql", "postgres")}
    before = {name: server_cpu(pid) for name, pid in pids.items()}
    began = time.monotonic()
    code = subprocess.run([program, "verify", "-c", conf], check=False).returncode
    took = time.monotonic() - began
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"exit code {code}; {took:.1f} s, {count / took:,.0f} rows/s; CPU: verify "
          f"{own.ru_utime + own.ru_stime:.1f} s, " +
          ", ".join(f"{name} {server_cpu(pid) - before[name]:.1f} s"
                    for name, pid in pids.items()) +
          f"; verify's largest memory {own.ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
