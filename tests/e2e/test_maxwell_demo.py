"""scripts/demo maxwell, on the tests' own servers: the rows of MySQL's source in MySQL's target and in
PostgreSQL, each change once, and what is no order set aside."""

import os
import re
import subprocess

import pymysql
import pytest
from conftest import ROOT
from lib.sink import free_port
from lib.size import DEMO_LEFT_OUT, size


@pytest.mark.skipif("maxwell" in DEMO_LEFT_OUT, reason="its like has its turn in this run")
def test_the_demo_of_maxwell(stack, database, binary, tmp_path, prefix):
    stack.up("postgres", "mysql", "kafka")
    url = database.dsn.replace("${ODS_STACK_POSTGRES_PASSWORD}", stack["POSTGRES_PASSWORD"])
    environment = {**stack.environment(), "ODS_DEMO_BINARY": str(binary),
                   "ODS_STACK_DIR": str(stack.folder), "ODS_DEMO_FOLDER": str(tmp_path),
                   "ODS_STACK_POSTGRES_URL": url, "ODS_DEMO_GROUP": prefix,
                   "ODS_HTTP_LISTEN": f"127.0.0.1:{free_port()}"}
    try:
        done = subprocess.run(
            ["/usr/bin/python3", str(ROOT / "scripts" / "demo-maxwell"), "--seconds",
             str(size("DEMO_SECONDS", 2, 10)), "--probes", str(size("DEMO_PROBES", 20, 200))],
            env={**os.environ, **environment}, capture_output=True, text=True, timeout=280)
    finally:
        clean(stack)
    said = done.stdout
    assert done.returncode == 0, said + done.stderr + (tmp_path / "ods-sink.log").read_text()[-3000:]
    assert said.count(" stamped: equal\n") == 2
    assert ", 0 lost, 0 twice" in said and ", 0 of them twice" in said
    changes, between, kept = re.findall(
        r"raw_orders: ([\d,]+) changes; enriched_orders: ([\d,]+) committed.*?"
        r"in PostgreSQL: ([\d,]+) changes", said, re.DOTALL)[0]
    assert changes == between == kept and int(changes.replace(",", "")) > 1000
    assert "  letters of 7 of 7 planted records" in said


def clean(stack):
    """The server is other tests' too."""
    root = pymysql.connect(unix_socket=stack["MYSQL_SOCKET"], user="root", password="")
    with root.cursor() as cursor:
        for statement in ("drop database if exists app_producer", "drop database if exists app_consumer",
                          "set global binlog_row_metadata = MINIMAL",
                          "set global log_bin_trust_function_creators = 0"):
            cursor.execute(statement)
    root.close()
