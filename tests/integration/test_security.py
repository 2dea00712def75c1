"""Encryption and passwords on both sides: what works, and how it fails: clearly, without the secret,
and without giving up."""

import json
import signal
import subprocess
import time
from pathlib import Path

import psycopg2
import pytest
from conftest import build
from lib.kafka import Kafka
from lib.postgres import Database
from lib.records import Table, pipeline
from lib.rotation import anew, replace
from lib.secure import (MECHANISMS, PASSWORD, USER, Certificates, Login, SecureKafka,
                        SecurePostgres)
from lib.sink import Exit, Setup, assert_clean
from lib.size import size

WRONG = "wr0ng-secret"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    for above in [folder, *folder.parents][:3]:
        above.chmod(0o755)
    return Certificates(folder)


@pytest.fixture(scope="module")
def broker(stack, certificates):
    stack.up("postgres", "kafka")
    broker = SecureKafka(certificates, stack)
    yield broker
    broker.close()


@pytest.fixture(scope="module")
def server(stack, certificates):
    stack.up("postgres")
    server = SecurePostgres(certificates, stack["POSTGRES_BIN"])
    yield server
    server.close()


@pytest.fixture
def secured(broker, stack):
    """Topics of the secured broker."""
    return Kafka({"KAFKA_BOOTSTRAP": broker.bootstrap, "KAFKA_LIBS": stack["KAFKA_LIBS"]})


@pytest.fixture
def table(secured, prefix):
    table = Table(prefix=prefix)
    secured.create(table.topic, 1)
    secured.produce([table.create({"id": number, "name": "n", "amount": 1}) for number in range(5)])
    return table


def tls(certificates, **properties):
    return {"security.protocol": "SSL", "ssl.ca.location": str(certificates.path("ca.crt")),
            "ssl.certificate.location": str(certificates.path("client.crt")),
            "ssl.key.location": str(certificates.path("client.key")), **properties}


def sasl(certificates, mechanism, password=PASSWORD):
    return {"security.protocol": "SASL_SSL", "sasl.mechanism": mechanism,
            "ssl.ca.location": str(certificates.path("ca.crt")), "sasl.username": USER,
            "sasl.password": password}


def configure(sink, table, broker, listener, properties, database=None, **settings):
    sink.write(pipeline(table), database=database, kafka=True, kafka_properties=properties,
               **settings)
    text = sink.conf.read_text()
    sink.conf.write_text(text.replace(sink.stack["KAFKA_BOOTSTRAP"],
                                      f"127.0.0.1:{broker.ports[listener]}"))
    sink.conf.chmod(0o600)


def start(sink, *arguments, **settings):
    configure(sink, *arguments, **settings)
    return sink.daemon()


def assert_no_secret(daemon, *secrets):
    cmdline = Path(f"/proc/{daemon.pid}/cmdline").read_bytes().decode()
    pages = "".join(daemon.get(path)[1] for path in ("/status", "/metrics", "/readyz", "/healthz"))
    for secret in secrets:
        assert secret not in daemon.log() + cmdline + pages


@pytest.mark.parametrize("way", ["TLS", *MECHANISMS])
def test_kafka(sink, broker, certificates, database, table, way):
    properties = tls(certificates) if way == "TLS" else sasl(certificates, way)
    daemon = start(sink, table, broker, "tls" if way == "TLS" else "sasl", properties, database,
                   log={"level": "debug"})
    daemon.await_that(lambda: database.count("items") == 5, what="the rows")
    assert_no_secret(daemon, PASSWORD)
    daemon.stop()
    done = sink.check("--connect")
    assert "Kafka answers" in done.stdout and PASSWORD not in done.stdout + done.stderr


def wrong(certificates):
    """listener, properties, and a word of what is said."""
    stranger = str(certificates.path("stranger.crt"))
    return {
        "no certificate": ("tls", {name: value for name, value in tls(certificates).items()
                                   if name not in ("ssl.certificate.location",
                                                   "ssl.key.location")}, "certificate"),
        "unknown authority": ("tls", tls(certificates, **{"ssl.ca.location": stranger}),
                              "certificate verify failed"),
        "another host": ("elsewhere", tls(certificates), "verify failed"),
        "no encryption": ("tls", {"security.protocol": "PLAINTEXT"}, "security.protocol"),
        "wrong password, PLAIN": ("sasl", sasl(certificates, "PLAIN", WRONG), "uthentication"),
        "wrong password, SCRAM": ("sasl", sasl(certificates, "SCRAM-SHA-512", WRONG),
                                  "uthentication"),
    }


@pytest.fixture(scope="module")
def checks(tmp_path_factory, stack, broker, certificates):
    """`check --connect` of each wrong case: all wait at the same time for what does not come."""
    running = {}
    for case, (listener, properties, _) in wrong(certificates).items():
        sink = Setup(tmp_path_factory.mktemp("check"), build("asan"), stack)
        configure(sink, "t", broker, listener, properties, Database(stack, stack["POSTGRES_DATABASE"]))
        running[case] = subprocess.Popen(
            [sink.binary, "check", "-c", sink.conf, "--connect"], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=stack.environment())
    yield running
    for process in running.values():
        process.kill()
        process.wait()


@pytest.mark.parametrize("case", [
    "no certificate", "unknown authority", "another host", "no encryption",
    "wrong password, PLAIN", "wrong password, SCRAM"])
def test_kafka_refuses(sink, broker, certificates, database, table, checks, case):
    listener, properties, word = wrong(certificates)[case]
    daemon = start(sink, table, broker, listener, properties, database)
    daemon.await_that(lambda: " warn " in daemon.log() and word in daemon.log(),
                      what=f"\"{word}\" in the log")
    assert daemon.get("/readyz")[0] == 503 and daemon.get("/healthz")[0] == 200
    assert_no_secret(daemon, WRONG, PASSWORD)
    daemon.stop()
    said, _ = checks[case].communicate(timeout=120)
    assert checks[case].returncode == Exit.SOURCE and word in said, "check says why"
    assert WRONG not in said
    assert_clean(said)


def test_stops_while_kafka_refuses(sink, broker, certificates, database, table):
    """At any moment of the handshakes that it tries again and again."""
    listener, properties, word = wrong(certificates)["another host"]
    for turn in range(size("STOPS", 5, 30)):
        daemon = start(sink, table, broker, listener, properties, database)
        daemon.await_that(lambda: word in daemon.log(), what=f"\"{word}\" in the log")
        time.sleep((turn * 0.02 + turn // 5 * 0.01) % 0.1)
        daemon.stop()


@pytest.fixture
def login():
    server = Login()
    yield server
    server.shutdown()
    server.server_close()


def bearer(certificates, login, secret=PASSWORD):
    return {"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER",
            "ssl.ca.location": str(certificates.path("ca.crt")), "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.client.id": "ods-sink", "sasl.oauthbearer.client.secret": secret,
            "sasl.oauthbearer.token.endpoint.url": login.url}


def test_tokens_are_renewed(sink, broker, certificates, login, database, table, secured):
    """OAUTHBEARER: a server gives tokens for client and secret, and again before they end."""
    daemon = start(sink, table, broker, "sasl", bearer(certificates, login), database)
    daemon.await_that(lambda: database.count("items") == 5, what="the rows")
    before = login.given
    daemon.await_that(lambda: login.given > before, what="another token")
    secured.produce([table.create({"id": 5, "name": "n", "amount": 1})])
    daemon.await_that(lambda: database.count("items") == 6, what="a row by it")
    assert_no_secret(daemon, PASSWORD)
    daemon.stop()
    done = sink.check("--connect")
    assert "Kafka answers" in done.stdout and PASSWORD not in done.stdout + done.stderr


def test_no_token_for_a_wrong_secret(sink, broker, certificates, login, database, table, secured, tmp_path):
    """Until the right one stands in its file."""
    secret = tmp_path / "secret"
    replace(secret, WRONG)
    daemon = start(sink, table, broker, "sasl", bearer(certificates, login, f"${{file:{secret}}}"), database)
    daemon.await_that(lambda: "invalid_client" in daemon.log(), what="what the server says")
    assert daemon.get("/readyz")[0] == 503 and daemon.get("/healthz")[0] == 200
    assert_no_secret(daemon, WRONG)
    assert login.refused and not login.given
    replace(secret, PASSWORD)
    daemon.signal(signal.SIGHUP)
    anew(daemon, 1)
    daemon.await_that(lambda: database.count("items") == 5, 60, "the rows by the right one")
    assert_no_secret(daemon, PASSWORD)
    daemon.stop()


@pytest.mark.parametrize("lacking", ["client.id", "client.secret", "token.endpoint.url"])
def test_what_a_token_needs(sink, broker, certificates, login, lacking):
    properties = bearer(certificates, login)
    del properties[f"sasl.oauthbearer.{lacking}"]
    configure(sink, "t", broker, "sasl", properties,
              targets=[{"name": "ods", "type": "stdout"}])
    done = sink.run("run", "-c", sink.conf, expect=Exit.CONFIG)
    assert f'set "sasl.oauthbearer.{lacking}" too' in done.stderr
    assert PASSWORD not in done.stderr


def dsn(server, certificates, host="127.0.0.1", authority="ca", password=PASSWORD, mode="verify-full"):
    root = f"sslrootcert={certificates.path(authority + '.crt')}" if mode != "disable" else ""
    return (f"host={host} port={server.port} dbname=postgres user={USER} password={password} "
            f"sslmode={mode} {root} connect_timeout=5")


def target(dsn):
    return [{"name": "ods", "type": "postgres", "dsn": dsn}]


def test_postgresql(sink, kafka, server, certificates, prefix):
    table = Table(f"items_{prefix.split('-')[0]}", prefix=prefix)
    kafka.create(table.topic, 1)
    kafka.produce([table.create({"id": 1, "name": "n", "amount": 1})])
    sink.write(pipeline(table), kafka=True, targets=target(dsn(server, certificates)))
    daemon = sink.daemon()

    def rows():
        with server.connect() as connection, connection.cursor() as cursor:
            try:
                cursor.execute(f"select count(*) from {table.name}")
                return cursor.fetchone()[0]
            except psycopg2.errors.UndefinedTable:
                return 0

    daemon.await_that(lambda: rows() == 1, what="the row")
    assert_no_secret(daemon, PASSWORD)
    daemon.stop()
    assert PASSWORD not in sink.check("--connect").stdout


@pytest.mark.parametrize("case, word", [
    ({"authority": "stranger"}, "certificate verify failed"),
    ({"host": "elsewhere.test hostaddr=127.0.0.1"}, "does not match host name"),
    ({"password": WRONG}, "password authentication failed"),
    ({"mode": "disable"}, "no encryption"),
], ids=["unknown authority", "another host", "wrong password", "no encryption"])
def test_postgresql_refuses(sink, kafka, server, certificates, prefix, case, word):
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1)
    sink.write(pipeline(table), kafka=True, targets=target(dsn(server, certificates, **case)))
    daemon = sink.daemon()
    daemon.await_that(lambda: word in daemon.log(), what=f"\"{word}\" in the log")
    daemon.await_that(lambda: word in daemon.get("/readyz")[1], what="the reason in /readyz")
    assert_no_secret(daemon, WRONG, PASSWORD)
    daemon.stop()
    done = sink.check("--connect", expect=5)
    assert word in done.stdout + done.stderr
    assert WRONG not in done.stdout + done.stderr


def test_a_new_password_of_postgresql(sink, kafka, server, certificates, prefix, tmp_path):
    """In the file that passfile= names: it counts at the next connection, without a restart."""
    table = Table(f"rotated_{prefix.split('-')[0]}", prefix=prefix)
    kafka.create(table.topic, 1)
    passwords = tmp_path / "pgpass"

    def put(password):
        passwords.write_text(f"127.0.0.1:{server.port}:*:rotated:{password}\n")
        passwords.chmod(0o600)
        execute(f"alter role rotated password '{password}'")

    def execute(statement):
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def rows():
        there = execute(f"select to_regclass('{table.name}') is not null")[0][0]
        return execute(f"select count(*) from {table.name}")[0][0] if there else 0

    execute("create role rotated login superuser")
    put("first-one")
    good = (f"host=127.0.0.1 port={server.port} dbname=postgres user=rotated sslmode=verify-full "
            f"sslrootcert={certificates.path('ca.crt')} passfile={passwords}")
    sink.write(pipeline(table), kafka=True, targets=target(good))
    kafka.produce([table.create({"id": 1, "name": "n", "amount": 1})])
    daemon = sink.daemon()
    daemon.await_that(lambda: rows() == 1, what="the row")
    put("second-one")
    execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'rotated'")
    kafka.produce([table.create({"id": 2, "name": "n", "amount": 1})])
    daemon.await_that(lambda: rows() == 2, what="a row by the new password")
    assert_no_secret(daemon, "first-one", "second-one")
    daemon.stop()
    execute("drop owned by rotated cascade; drop role rotated")


def test_secrets_in_files_that_others_read(sink, kafka):
    """A warning that names the setting; not where the file is closed, or the secret elsewhere."""
    literal = f"host=127.0.0.1 password={WRONG}"
    for mode, dsn, value, warned in ((0o644, literal, WRONG, True), (0o600, literal, WRONG, False),
                                     (0o640, "password=${PGSECRET}", "${PGSECRET}", False)):
        sink.write(pipeline("t"), targets=target(dsn), kafka=True,
                   kafka_properties={"sasl.password": value})
        sink.conf.chmod(mode)
        done = sink.run("check", "-c", sink.conf, env={"PGSECRET": WRONG})
        assert ("others may read" in done.stderr) == warned, (oct(mode), done.stderr)
        assert done.stderr.count("others may read") == (2 if warned else 0)
        assert WRONG not in done.stdout + done.stderr


def test_dead_letter_topic_that_is_not_there(sink, broker, secured, database, table, prefix):
    """Where brokers do not make topics by themselves: the lane waits until somebody does."""
    letters = f"{prefix}.letters"
    secured.produce([table.record("{}", "not JSON")])
    daemon = start(sink, table, broker, "plain", {}, database, dead_letter={"topic": letters})
    daemon.await_that(lambda: letters in daemon.log() and "is the topic there?" in daemon.log(),
                      what="the reason")
    assert list(database.offsets().values()) in ([], [5])
    assert letters in daemon.get("/readyz")[1]
    states = {lane["state"] for lane in json.loads(daemon.get("/status")[1])["lanes"]}
    assert states & {"waiting", "applying"}
    secured.create(letters, 1)
    daemon.await_that(lambda: list(database.offsets().values()) == [6], what="the end")
    daemon.stop()
    assert secured.count(letters) == 1
