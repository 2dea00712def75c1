"""scripts/demo history, on the tests' own servers, in Avro: tables as they were, equal to what MySQL
had."""

import os
import subprocess

import pytest
from conftest import ROOT
from lib.sink import free_port
from lib.size import DEMO_LEFT_OUT, size
from test_avro import connect  # noqa: F401: a fixture


@pytest.mark.skipif("history" in DEMO_LEFT_OUT, reason="its like has its turn in this run")
def test_the_demo_of_histories(connect, source, database, binary, tmp_path, prefix):  # noqa: F811
    url = database.dsn.replace("${ODS_STACK_POSTGRES_PASSWORD}", connect["POSTGRES_PASSWORD"])
    environment = {**connect.environment(), "ODS_DEMO_BINARY": str(binary),
                   "ODS_STACK_DIR": str(connect.folder),
                   "ODS_DEMO_FOLDER": str(tmp_path), "ODS_STACK_POSTGRES_URL": url,
                   "ODS_DEMO_GROUP": prefix, "ODS_HTTP_LISTEN": f"127.0.0.1:{free_port()}"}
    done = subprocess.run(["/usr/bin/python3", str(ROOT / "scripts" / "demo-history"), "--seconds",
                           str(size("DEMO_SECONDS", 2, 4))], env={**os.environ, **environment},
                          capture_output=True, text=True, timeout=280)
    for name in ("history", "history-addresses"):
        subprocess.run([str(ROOT / "scripts" / "connector"), "delete", "--offsets",
                        str(ROOT / "examples" / "history" / "connector.json"), f"name={name}"],
                       env={**os.environ, **environment}, capture_output=True)
    for table in ("customers", "addresses"):  # other tests have these names with other columns
        source.execute(f"drop table if exists {table}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(", equal") >= 7 and "history_gaps: none" in done.stdout
    assert "NOT EQUAL" not in done.stdout
