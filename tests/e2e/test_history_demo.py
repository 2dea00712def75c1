"""scripts/demo history, on the tests' own servers, in Avro: tables as they were, equal to what MySQL
had."""

import json
import os
import subprocess
import urllib.request

import pytest
from conftest import ROOT
from lib.sink import free_port
from lib.size import size


@pytest.fixture
def connect(stack):
    """Connect, started after the registry's converter was there, which it looks for as it starts."""
    stack.up("registry")
    stack.up("postgres", "mysql", "kafka", "connect")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{stack['CONNECT_URL']}/connector-plugins?connectorsOnly=false") as answer:
        found = any("AvroConverter" in plugin["class"] for plugin in json.load(answer))
    if not found:
        stack.down("connect")
        stack.up("connect")
    return stack


def test_the_demo_of_histories(connect, source, database, binary, tmp_path, prefix):
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
