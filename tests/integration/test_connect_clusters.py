"""Several clusters of Kafka Connect: which one a command asks, and which connectors `reset --all` takes
along. The clusters are stand-ins that know the part of Connect's REST which the commands use; that
they do as Connect does is tests/e2e/test_connectors_commands.py's to see."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lib.records import Table, pipeline
from lib.sink import Exit


class Cluster:
    """Connectors by name: {config, state}."""

    def __init__(self):
        self.connectors = {}
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                code, found = cluster.handle(self.command, self.path.split("?")[0].strip("/"),
                                             json.loads(body) if body else None)
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(found).encode())

            do_GET = do_PUT = do_POST = do_DELETE = answer

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add(self, name, **config):
        self.connectors[name] = {"state": "RUNNING", "config": {
            "connector.class": "io.debezium.connector.mysql.MySqlConnector", **config}}

    def status(self, name):
        state = self.connectors[name]["state"]
        return {"name": name, "type": "source", "connector": {"state": state, "worker_id": "w"},
                "tasks": [{"id": 0, "state": state, "worker_id": "w"}]}

    def handle(self, method, path, body):
        parts = path.split("/")
        if path == "connectors":
            return 200, {name: {"status": self.status(name), "info": {
                "name": name, "config": one["config"], "tasks": []}}
                for name, one in self.connectors.items()}
        if parts[0] == "connector-plugins":
            return 200, {"error_count": 0, "configs": []}
        name, rest = parts[1], parts[2:]
        if method == "PUT" and rest == ["config"]:
            self.connectors.setdefault(name, {"state": "RUNNING"})["config"] = body
        if name not in self.connectors:
            return 404, {"error_code": 404, "message": f"Connector {name} not found"}
        if method == "DELETE" and not rest:
            del self.connectors[name]
            return 204, None
        if method == "PUT" and rest and rest[0] in ("pause", "stop", "resume"):
            self.connectors[name]["state"] = {"pause": "PAUSED", "stop": "STOPPED",
                                              "resume": "RUNNING"}[rest[0]]
        if method == "GET" and rest == ["status"]:
            return 200, self.status(name)
        return 200, self.connectors[name]["config"]


@pytest.fixture
def clusters():
    both = Cluster(), Cluster()
    yield both
    for cluster in both:
        cluster.server.shutdown()
        cluster.server.server_close()


def named(*clusters):
    return [{"name": name, "url": cluster.url} for name, cluster in zip(("eu", "us"), clusters)]


def test_a_connector_is_looked_for_in_each(sink, database, clusters):
    eu, us = clusters
    eu.add("shop", **{"topic.prefix": "a"})
    us.add("bank", **{"topic.prefix": "b"})
    eu.add("both")
    us.add("both")
    sink.write(pipeline(Table()), database=database, connect_clusters=named(eu, us))

    def run(*arguments, expect=Exit.OK):
        return sink.run("connectors", arguments[0], "-c", sink.conf, *arguments[1:], expect=expect)

    found = json.loads(run("list", "--json").stdout)
    assert sorted((one["cluster"], one["name"]) for one in found) == [
        ("eu", "both"), ("eu", "shop"), ("us", "bank"), ("us", "both")]
    table = run("list").stdout.splitlines()
    assert table[0].split()[:2] == ["CLUSTER", "CONNECTOR"] and len(table) == 5
    assert "CLUSTER" not in run("list", "--cluster", "eu").stdout
    assert "cluster" not in run("list", "--cluster", "us", "--json").stdout
    run("pause", "bank")
    assert us.connectors["bank"]["state"] == "PAUSED"
    assert "--cluster" in run("pause", "both", expect=Exit.USAGE).stderr
    run("pause", "both", "--cluster", "us")
    assert (us.connectors["both"]["state"], eu.connectors["both"]["state"]) == ("PAUSED", "RUNNING")
    assert "none of the clusters" in run("pause", "nobody", expect=Exit.NEGATIVE).stderr
    assert '"asia"' in run("list", "--cluster", "asia", expect=Exit.USAGE).stderr
    run("delete", "bank", "--yes")
    assert "bank" not in us.connectors
    file = sink.folder / "new.json"
    file.write_text(json.dumps({"name": "new", "config": {"connector.class": "x"}}))
    assert "--cluster" in run("apply", str(file), expect=Exit.NEGATIVE).stderr
    run("apply", str(file), "--cluster", "us", "--dry-run")
    eu.server.shutdown()
    eu.server.server_close()
    done = run("list", expect=Exit.SOURCE)
    assert "both" in done.stdout and eu.url in done.stderr


def test_settings(sink, database, clusters):
    one, other = named(*clusters)
    with_two = {"database": database, "connect_clusters": [one, other]}
    sink.write(pipeline(Table(), connect="us"), **with_two).check()
    said = sink.write(pipeline(Table(), connect="uss"), **with_two).check(expect=Exit.CONFIG).stderr
    assert "unknown connect 'uss'; did you mean 'us'?; known: eu, us" in said
    said = sink.write(pipeline(Table(), connect="us"), database=database).check(
        expect=Exit.CONFIG).stderr
    assert "no 'connect_clusters'" in said
    said = sink.write(pipeline(Table()), database=database, connect_clusters=[one, one]).check(
        expect=Exit.CONFIG).stderr
    assert "two clusters are named 'eu'" in said
    said = sink.write(pipeline(Table()), database=database, connect_clusters=[
        {**one, "password": "geheim"}]).check().stdout
    assert "geheim" not in said
    said = sink.write(pipeline(Table()), database=database, connect_clusters=[
        {"name": "eu", "url": "ftp://x"}]).check(expect=Exit.CONFIG).stderr
    assert "'url' expects" in said


def test_setup_registers_at_the_pipelines_cluster(sink, database, kafka, clusters, prefix):
    eu, us = clusters
    tables = {"eu": Table(prefix=f"{prefix}e"), "us": Table(prefix=f"{prefix}u")}
    for table in tables.values():
        kafka.create(table.topic, 1)
        kafka.produce([table.create({"id": 1, "name": "x", "amount": 1})])
    sink.write(*[pipeline(table, name=name, connect=name) for name, table in tables.items()],
               kafka=True, database=database, connect_clusters=named(eu, us))
    file = sink.folder / "c.json"
    config = {"connector.class": "io.debezium.connector.mysql.MySqlConnector",
              "topic.prefix": f"{prefix}u", "table.include.list": "shop.items"}
    file.write_text(json.dumps({"name": "c", "config": config}))
    arguments = ["setup", "-c", sink.conf, "--connector", file, "--yes", "--wait", "20"]
    sink.run(*arguments)
    assert "c" in us.connectors and "c" not in eu.connectors
    del config["table.include.list"]
    file.write_text(json.dumps({"name": "d", "config": config}))
    assert "--cluster" in sink.run(*arguments, expect=Exit.USAGE).stderr
    sink.run(*arguments, "--cluster", "eu")
    assert "d" in eu.connectors and "d" not in us.connectors


def test_reset_all_leaves_a_connector_that_feeds_two_pipelines(sink, database, kafka, clusters,
                                                               prefix):
    """Of its own cluster; one whose topics another pipeline reads too stays, and is named."""
    eu, us = clusters
    names = ("items", "others")
    tables = [Table(name=name, prefix=prefix) for name in names] + [Table(prefix=f"{prefix}own")]
    for table in tables:
        kafka.create(table.topic, 1)
    eu.add("shared", **{"topic.prefix": prefix})
    eu.add("own", **{"topic.prefix": f"{prefix}own"})
    us.add("elsewhere", **{"topic.prefix": f"{prefix}own"})
    first = {**pipeline("t", name="first", connect="eu"),
             "topics": [tables[0].topic, tables[2].topic]}
    sink.write(first, pipeline(tables[1], name="second", connect="us"), kafka=True,
               database=database, connect_clusters=named(eu, us))

    def reset(*arguments):
        return json.loads(sink.run("reset", "-c", sink.conf, "--all", "--pipeline", "first",
                                   "--json", *arguments).stdout)

    plan = reset("--dry-run")
    assert [one["name"] for one in plan["connectors"]] == ["own"]
    assert {"what": "shared", "why": "a connector that feeds other pipelines too"} in plan["kept"]
    assert reset("--yes")["changed"]
    assert set(eu.connectors) == {"shared"} and set(us.connectors) == {"elsewhere"}


def test_the_daemon_tells_how_connectors_are(sink, database, kafka, clusters):
    """Of each cluster, of 500 connectors by name; what it heard last where one is away."""
    eu, us = clusters
    eu.add("shop")
    eu.add('odd "name"')
    for number in range(503):
        us.add(f"c{number}")
        us.connectors[f"c{number}"]["state"] = "FAILED" if number >= 501 else "RUNNING"
    both = [{**one, "check_every": "100ms"} for one in named(eu, us)]
    sink.write(pipeline(Table()), database=database, kafka=True, connect_clusters=both)
    daemon = sink.daemon()

    def value(kind, cluster, connector, state):
        start = f'ods_sink_connector_{kind}{{cluster="{cluster}",connector="{connector}",state="{state}"}} '
        found = [line for line in daemon.get("/metrics")[1].splitlines() if line.startswith(start)]
        return int(found[0].rsplit(" ", 1)[1]) if found else None

    def reached(cluster):
        return daemon.get("/metrics")[1].count(f'ods_sink_connect_reachable{{cluster="{cluster}"}} 1\n')

    daemon.await_that(lambda: reached("eu") and reached("us"), 30, "both answered")
    assert (value("tasks", "eu", "shop", "running"), value("tasks", "eu", "shop", "failed")) == (1, 0)
    assert value("state", "eu", 'odd \\"name\\"', "running") == 1
    assert (value("tasks", "us", "(others)", "running"), value("tasks", "us", "(others)", "failed")) == (1, 2)
    assert value("state", "us", "c499", "running") == 1 and value("state", "us", "c500", "running") is None
    eu.connectors["shop"]["state"] = "FAILED"
    daemon.await_that(lambda: value("state", "eu", "shop", "failed"), 30, "it failed")
    eu.server.shutdown()
    eu.server.server_close()
    daemon.await_that(lambda: not reached("eu"), 30, "it is away")
    assert value("state", "eu", "shop", "failed") == 1 and reached("us")
    told = {one["cluster"]: one for one in json.loads(daemon.get("/status")[1])["connect"]}
    shop = {one["name"]: one for one in told["eu"]["connectors"]}["shop"]
    assert (shop["state"], shop["level"], shop["says"]) == ("failed", "bad", "failed")
    assert not told["eu"]["reachable"] and eu.url in told["eu"]["failure"] and told["us"]["reachable"]
    assert (len(told["us"]["connectors"]), told["us"]["connectors"][500]["tasks_failed"]) == (501, 2)
    said = sink.run("status", "-c", sink.conf).stdout
    assert re.search(r"\n *shop +eu +failed +no answer +\d+ s\n", said) and re.search(r"\n *\(others\) +us +1 of 3 run, with 1 of 3 tasks ", said)
    assert "\n500 other connectors run\n" in said and f"\nconnectors: Kafka Connect at {eu.url}: " in said
    assert daemon.log().count("connector shop of cluster eu has failed") == 1
    assert daemon.log().count(f"connectors: Kafka Connect at {eu.url}: ") == 1
    daemon.stop()
