"""`ods-sink connectors` with the real Kafka Connect and Debezium's PostgreSQL connector."""

import base64
import http.server
import json
import re
import ssl
import threading
import urllib.request

import pytest
from confluent_kafka.admin import ConfigResource
from conftest import ROOT
from lib.connect import Connect
from lib.postgres import Database, administer
from lib.secure import Certificates
from lib.sink import Exit
from lib.waiting import wait_for

FILE = ROOT / "config" / "connectors" / "pg_finance.json"


class Connectors:
    """The command, with a configuration that knows where Connect is."""

    def __init__(self, sink, stack, prefix):
        self.sink, self.stack, self.name = sink, stack, prefix
        self.rest = Connect(stack["CONNECT_URL"])
        self.slot = prefix.replace("-", "_")
        self.write(url=stack["CONNECT_URL"])

    def write(self, **connect):
        self.sink.write({"name": "p", "topics": ["^x"]}, kafka=True, connect=connect,
                        targets=[{"name": "ods", "type": "postgres", "dsn": "host=127.0.0.1"}])

    def run(self, verb, *arguments, expect=Exit.OK, wait="60"):
        options = ["--wait", wait] if verb not in ("list", "status") else []
        done = self.sink.run("connectors", verb, "-c", self.sink.conf, *options, *arguments,
                             expect=expect)
        assert self.stack["POSTGRES_DEBEZIUM_PASSWORD"] not in done.stdout + done.stderr
        return done

    def apply(self, *changes, expect=Exit.OK):
        settings = [f"name={self.name}", f"topic.prefix={self.name}", f"slot.name={self.slot}",
                    "snapshot.mode=no_data", *changes]
        return self.run("apply", FILE, *[word for setting in settings for word in ("--set", setting)],
                        expect=expect)

    def status(self, expect=Exit.OK):
        (found,) = json.loads(self.run("status", "--json", self.name, expect=expect).stdout)
        return found


@pytest.fixture
def connectors(sink, postgres_source, prefix):
    administer(postgres_source, "drop publication if exists late", "mks_finance")
    found = Connectors(sink, postgres_source, prefix)
    yield found
    found.rest.try_call("DELETE", f"/connectors/{prefix}")


def test_a_connector_is_applied_and_stays_so(connectors):
    done = connectors.apply()
    assert "is new" in done.stdout and "+ database.password = ***" in done.stdout
    assert "running, with 1 task" in done.stdout
    assert connectors.status()["state"] == "running"

    again = connectors.apply()
    assert "is there with these settings" in again.stdout and "~" not in again.stdout

    changed = connectors.apply("max.batch.size=100", "poll.interval.ms=70")
    assert "+ max.batch.size = 100" in changed.stdout
    assert "~ poll.interval.ms = 70, was 50" in changed.stdout
    config = connectors.rest.call("GET", f"/connectors/{connectors.name}/config")
    assert config["max.batch.size"] == "100"

    assert "paused" in connectors.run("pause", connectors.name).stdout
    assert connectors.status(expect=Exit.NEGATIVE)["state"] == "paused"
    assert "resume" in connectors.run("restart", connectors.name, expect=Exit.NEGATIVE).stderr
    connectors.run("resume", connectors.name)

    assert "--yes" in connectors.run("delete", connectors.name, expect=Exit.USAGE).stderr
    assert connectors.status()["state"] == "running"
    gone = connectors.run("delete", connectors.name, "--yes", "--offsets")
    assert "pg_drop_replication_slot" in gone.stdout
    assert connectors.name not in connectors.run("list").stdout
    connectors.run("status", connectors.name, expect=Exit.NEGATIVE)


def test_what_connect_refuses_changes_nothing(connectors):
    done = connectors.apply("database.password=wrong", expect=Exit.CONFIG)
    assert "password authentication failed" in done.stderr and "nothing was changed" in done.stderr
    assert connectors.name not in connectors.run("list").stdout


def states(daemon, kind, name):
    """By state: {"running": 1}, those of which there is none left out."""
    found = re.findall(rf'^ods_sink_connector_{kind}{{cluster="",connector="{name}",state="(\w+)"}} (\d+)$',
                       daemon.get("/metrics")[1], re.M)
    return {state: int(count) for state, count in found if count != "0"}


def test_a_failed_task_and_its_cause(connectors, postgres_source):
    """Connect itself calls such a connector RUNNING; the daemon's metrics and log tell of its task."""
    done = connectors.apply("publication.name=late", expect=Exit.NEGATIVE)
    assert "The publication that the connector is to read is not there" in done.stdout
    found = connectors.status(expect=Exit.NEGATIVE)
    assert found["state"] == "failed"
    (task,) = found["tasks"]
    assert "Publication" in task["failure"]["cause"] and "\n" not in task["failure"]["cause"]
    assert task["failure"]["advice"]
    rest = connectors.rest.call("GET", f"/connectors/{connectors.name}/status")
    assert rest["connector"]["state"] == "RUNNING"
    connectors.write(url=postgres_source["CONNECT_URL"], check_every="100ms")
    daemon, name = connectors.sink.daemon(), connectors.name
    daemon.await_that(lambda: states(daemon, "tasks", name) == {"failed": 1}, 30, daemon.tail)
    assert states(daemon, "state", name) == {"running": 1}
    assert daemon.log().count(f"connector {name}: 1 of its 1 tasks have failed") == 1

    said = connectors.run("restart", connectors.name, expect=Exit.NEGATIVE).stdout
    assert "did not help" in said
    administer(postgres_source, "create publication late for all tables", "mks_finance")
    said = connectors.run("restart", connectors.name).stdout
    assert "the restart helped" in said
    assert connectors.status()["state"] == "running"
    daemon.await_that(lambda: states(daemon, "tasks", name) == {"running": 1}, 30, daemon.tail)
    connectors.rest.insist("PUT", f"/connectors/{name}/stop")
    daemon.await_that(lambda: (states(daemon, "state", name), states(daemon, "tasks", name)) ==
                      ({"stopped": 1}, {}), 30, daemon.tail)
    daemon.stop()


def test_settings_that_make_trouble(connectors):
    connectors.apply("decimal.handling.mode=double", "skipped.operations=d", "slot.drop.on.stop=true",
                     "heartbeat.interval.ms=0", "errors.tolerance=all",
                     "value.converter.replace.null.with.default=true")
    weights = {trouble["property"]: trouble["weight"]
               for trouble in connectors.status()["troubles"]}
    assert weights["value.converter.replace.null.with.default"] == "wrong"
    assert weights["decimal.handling.mode"] == "wrong"
    assert weights["skipped.operations"] == "wrong"
    assert weights["slot.drop.on.stop"] == "wrong"
    assert weights["errors.tolerance"] == "wrong"
    assert weights["heartbeat.interval.ms"] == "risk"
    assert weights["snapshot.mode"] == "risk"
    assert weights["database.password"] == "note"
    assert "publication.autocreate.mode" not in weights  # which the file sets


class Guarded(http.server.BaseHTTPRequestHandler):
    """Connect behind TLS and a password."""

    def answer(self):
        wanted = "Basic " + base64.b64encode(b"ops:s3cret-of-ops").decode()
        code, body = 401, b'{"message": "who are you?"}'
        if self.headers["Authorization"] == wanted:
            request = urllib.request.Request(self.server.behind + self.path, method=self.command)
            with urllib.request.urlopen(request) as answer:
                code, body = answer.status, answer.read()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = answer

    def log_message(self, *arguments):
        pass


@pytest.fixture
def guarded(postgres_source, tmp_path):
    certificates = Certificates(tmp_path)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Guarded)
    server.behind = postgres_source["CONNECT_URL"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.path("server.pem"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}", certificates
    server.shutdown()


def test_tls_and_a_password(connectors, guarded):
    url, certificates = guarded
    good = {"url": url, "ca": str(certificates.path("ca.crt")), "user": "ops",
            "password": "s3cret-of-ops"}
    connectors.write(**good)
    assert isinstance(json.loads(connectors.run("list", "--json").stdout), list)
    connectors.write(**{**good, "password": "s3cret-of-nobody"})
    said = connectors.run("list", expect=Exit.SOURCE).stderr
    assert "401" in said and "s3cret" not in said
    connectors.write(**{**good, "ca": str(certificates.path("stranger.crt"))})
    assert "certificate" in connectors.run("list", expect=Exit.SOURCE).stderr
    connectors.write(**good)
    checked = connectors.sink.run("check", "-c", connectors.sink.conf)
    assert 'connect.password = "***"' in checked.stdout
    # A worker that does not answer is passed over.
    connectors.write(**{**good, "url": f"https://127.0.0.1:1,{url}"})
    connectors.run("list")


@pytest.mark.parametrize("connect, word", [
    ({"url": "ftp://x"}, "http://"), ({"url": "http://a:b@c"}, "connect.user"),
    ({"url": "http://x", "key": "k"}, "connect.certificate"), ({"url": 5}, "connect.url"),
])
def test_settings_that_are_wrong(connectors, connect, word):
    connectors.write(**connect)
    done = connectors.sink.run("check", "-c", connectors.sink.conf, expect=Exit.CONFIG)
    assert word in done.stderr


def test_without_an_address(connectors):
    connectors.write()
    assert "connect = " in connectors.run("list", expect=Exit.CONFIG).stderr
    connectors.sink.run("connectors", "list", "--url", connectors.stack["CONNECT_URL"])


@pytest.mark.parametrize("text, word", [
    ("{", "connector.json:1"), ("[]", "expected an object"), ('{"name": "a"}', "connector.class"),
    ('{"name": "a", "connector.class": "x", "b": "${NO_SUCH_VARIABLE}"}', "NO_SUCH_VARIABLE"),
])
def test_files_that_are_no_connectors(connectors, text, word):
    path = connectors.sink.folder / "connector.json"
    path.write_text(text)
    assert word in connectors.run("apply", path, expect=Exit.CONFIG).stderr


def test_reset_takes_the_connector_with_it(connectors, kafka, databases):
    """And the next of its name takes a new snapshot."""
    connectors.apply()
    kafka.create(f"{connectors.name}.public.t", 1)
    kafka.create(f"history-{connectors.name}", 1)
    config = connectors.rest.call("GET", f"/connectors/{connectors.name}/config")
    connectors.rest.call("PUT", f"/connectors/{connectors.name}/config", {
        **config, "schema.history.internal.kafka.topic": f"history-{connectors.name}"})
    connectors.sink.write({"name": "p", "topics": [f"^{connectors.name}\\..*$"]}, kafka=True,
                          database=databases(), connect={"url": connectors.stack["CONNECT_URL"]})
    done = connectors.sink.run("reset", "-c", connectors.sink.conf, "--all", "--yes", "--json")
    plan = json.loads(done.stdout)
    assert plan["connectors"] == [{"name": connectors.name,
                                   "schema_history": f"history-{connectors.name}"}]
    assert connectors.name not in connectors.run("list").stdout
    wait_for(lambda: kafka.count(f"history-{connectors.name}") == 0, 30, "deletion")


def test_a_pipeline_is_set_up_from_its_files(connectors, kafka, databases, postgres_source):
    """Twice, with the same outcome; the second time with a daemon."""
    sink, name, table = connectors.sink, connectors.name, connectors.slot[:40] + "_rows"
    source = Database(postgres_source, "mks_finance", "POSTGRES_SOURCE")
    source.execute(f"create table {table} (id int primary key, name text)")
    source.execute(f"insert into {table} values (1, 'one'), (2, 'two')")
    target = databases()
    sink.write({"name": "shop", "topics": [f"^{name}\\.public\\..*$"]}, kafka=True, database=target,
               connect={"url": connectors.stack["CONNECT_URL"]},
               dead_letter={"topic": f"letters-{name}"})

    def setup(*arguments, topics=name, expect=Exit.OK):
        settings = [f"name={name}", f"topic.prefix={topics}", f"slot.name={connectors.slot}",
                    f"table.include.list=public.{table}", "signal.enabled.channels=source,kafka",
                    f"signal.kafka.topic=signals-{name}",
                    f"signal.kafka.bootstrap.servers={postgres_source['KAFKA_BOOTSTRAP']}"]
        done = sink.run("setup", "-c", sink.conf, "--connector", FILE, "--wait", "60", "--json",
                        *[word for one in settings for word in ("--set", one)], *arguments,
                        expect=expect)
        assert postgres_source["POSTGRES_DEBEZIUM_PASSWORD"] not in done.stdout + done.stderr
        return [(step["step"], step["state"]) for step in json.loads(done.stdout)], done

    try:
        steps, _ = setup("--dry-run")
        assert ("connector", "to do") in steps and steps.count(("topic", "to do")) == 2
        assert kafka.count(f"letters-{name}") == 0 and name not in connectors.run("list").stdout
        assert not target.exists("ods_sink.offsets")
        assert "which no pipeline reads" in setup("--yes", topics="elsewhere",
                                                  expect=Exit.NEGATIVE)[1].stdout
        assert "--yes" in setup(expect=Exit.USAGE)[1].stderr
        assert name not in connectors.run("list").stdout

        steps, _ = setup("--yes")
        assert "failed" not in [state for _, state in steps]
        assert ("records", "done") in steps and ("rows", "note") in steps
        assert target.exists("ods_sink.offsets")
        config = ConfigResource("topic", f"letters-{name}")
        (found,) = kafka._admin.describe_configs([config]).values()
        assert found.result(20)["retention.ms"].value == "-1"

        daemon = sink.daemon()
        daemon.await_that(lambda: target.exists(table) and target.count(table) == 2, 60, "rows")
        steps, _ = setup("--yes")
        assert "to do" not in [state for _, state in steps] and ("rows", "done") in steps
        daemon.stop()
    finally:
        source.execute(f"drop table {table}")
        source.close()


def test_a_pipeline_that_nothing_feeds(connectors, databases):
    connectors.sink.write({"name": "shop", "topics": ["nothing.at.all"]}, kafka=True,
                          database=databases())
    done = connectors.sink.run("setup", "-c", connectors.sink.conf, "--yes", "--wait", "1",
                               expect=Exit.NEGATIVE)
    assert "none of its topics is there" in done.stdout
