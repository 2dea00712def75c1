"""ods-generate and a broker of AMQP 1.0: everything arrives, once by its message-id, in order."""

import json
import os
import re
import socket
import subprocess

import pytest
import yaml
from conftest import ROOT
from lib.amqp import Broker
from lib.generator import Generator, pipeline
from lib.sink import free_port
from lib.waiting import wait_for

TABLES = ["CUSTOMERS", "PRODUCTS", "ORDERS", "PAYMENTS", "SHIPMENTS", "RETURNS"]


@pytest.fixture(scope="module")
def broker(stack):
    os.environ.setdefault("ODS_STACK_ARTEMIS_SYNC", "false")  # machines are not killed here
    stack.up("postgres", "artemis")
    return Broker(stack)


def test_from_the_generator_to_tables(sink, broker, database, prefix):
    """At a pace, with duplicates, through all changes of the schema."""
    generator = Generator(sink)
    prefix = prefix.replace(".", "_").replace("-", "_")
    topics = [f"{prefix}.SHOP.{table}" for table in TABLES]
    sink.http_port = free_port()
    sink.write(pipeline(topics=topics, input={"type": "amqp", "broker": "broker",
                                                   "key": "property:key"}),
               database=database, amqp=[broker.settings()],
               http={"listen": f"127.0.0.1:{sink.http_port}"})
    daemon = sink.daemon().await_ready()
    made = generator.run("--events", 1000, "--prefix", prefix, "--duplicates", 10,
                         "--user", broker.user, "--per-minute", 60000,
                         to=broker.url, AMQP_PASSWORD=broker.password)
    assert (made["events"], made["messages"]) == (1000, 1100)
    daemon.await_that(lambda: not any(broker.count(topic) for topic in topics),
                      what="all of them settled")
    daemon.stop()
    generator.truth(database)
    found = generator.differences(database)
    assert len(found) == 6 and all(not missing and not wrong
                                   for _, missing, wrong in found.values()), found
    assert database.delivered() == 1000


def answers(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_example(sink, broker, database, tmp_path):
    """examples/queue: the commands of its README as they stand; tables, what is derived, and alerts."""
    text = (ROOT / "examples/queue/README.md").read_text()
    api, sink.http_port = free_port(), free_port()
    env = {"AMQP_URL": broker.url, "AMQP_USER": broker.user, "AMQP_PASSWORD": broker.password,
           "ODS_DSN": database.dsn.replace("${ODS_STACK_POSTGRES_PASSWORD}", sink.stack["POSTGRES_PASSWORD"]),
           "ALERTS_URL": f"http://127.0.0.1:{api}", "ODS_HTTP_LISTEN": f"127.0.0.1:{sink.http_port}"}
    alerts = tmp_path / "alerts.jsonl"
    for old, new in (("8095", str(api)), ("alerts.jsonl", str(alerts)), ("--truth truth", f"--truth {tmp_path}/truth")):
        text = text.replace(old, new)
    start, check, run, generate = re.search(r"^```sh\n(.*?)^```", text, re.M | re.S)[1].splitlines()
    shell = {**os.environ, **env, "PATH": f"{sink.binary.parent}:{os.environ['PATH']}"}
    server = subprocess.Popen(["bash", "-c", f"exec {start.removesuffix('&')}"], cwd=ROOT, env=shell,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers(api), 60, "the server of alerts")
        done = subprocess.run(["bash", "-c", check], cwd=ROOT, env=shell, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert run == "ods-sink run -c examples/queue/ods-sink.conf &"
        sink.conf = ROOT / "examples/queue/ods-sink.conf"
        daemon = sink.daemon(env=env).await_ready()
        done = subprocess.run(["bash", "-c", generate], cwd=ROOT, env=shell, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        generator = Generator(sink)
        generator.folder = tmp_path
        generator.truth(database)

        def differences():
            return {what: found for script in ("compare.sql", "compare_derived.sql")
                    for what, found in generator.differences(database, script).items()}

        daemon.await_that(lambda: not any(broker.count(f"ora.SHOP.{table}") for table in TABLES), what="all settled")
        tables = yaml.safe_load((ROOT / "examples/queue/tables.yaml").read_text())
        daemon.await_that(lambda: all(database.exists(one["name"]) for one in tables["derived"]),
                          what="all derived tables are made")
        daemon.await_that(lambda: not any(missing or wrong for _, missing, wrong in differences().values()),
                          what=differences)
        assert len(differences()) == 15

        def told():
            bodies = [json.loads(line)["body"] for line in alerts.read_text().splitlines()]
            last = {body["order_id"]: body for body in bodies}
            return {order: body["amount"] for order, body in last.items() if body["op"] != "d"}

        large = {order: float(amount) for order, amount in
                 database.execute("select order_id, amount from truth.order_view where amount >= 9000")}
        assert large
        wait_for(lambda: told() == large, 60, lambda: f"{told()} is not {large}")
        daemon.stop()
    finally:
        server.terminate()
        server.wait()
