"""Passwords and certificates that are replaced in their files while the daemon runs: the same process goes on
with the new ones, by itself or at once by SIGHUP, and each row is there once."""

import signal
import ssl
import subprocess

import pytest
from lib.avro import Schemas
from lib.endpoint import Endpoint, tls_of
from lib.kafka import Kafka
from lib.otlp import spans_of
from lib.postgres import administer
from lib.records import Table, pipeline, row
from lib.registry import Registry, basic
from lib.rotation import ANEW, Recorded, anew, replace, replace_pair
from lib.secure import PASSWORD, USER, Certificates, SecureKafka
from lib.sink import free_port
from lib.waiting import wait_for
from test_http import ask


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


def peer(port):
    """The certificate that a server shows, as PEM."""
    try:
        return ssl.get_server_certificate(("127.0.0.1", port))
    except OSError:
        return ""


def test_postgresql_and_the_page(sink, stack, database, certificates, tmp_path):
    """By themselves: a role's password, certificate and key of the page, its token."""
    role = f"rotating_{database.name}"
    administer(stack, f"create role {role} login password 'the-first-one' in role ods; "
               f"alter role {role} set role ods")
    password, token, certificate, key = (tmp_path / name for name in
                                         ("password", "token", "page.crt", "page.key"))

    def put(word, name):
        replace(password, f"{word}\n")
        replace(token, f"token of {word}\n")
        replace_pair(certificate, key, certificates, name)

    put("the-first-one", "server")
    port, recorded = free_port(), Recorded(sink, tmp_path)
    dsn = (f"host=127.0.0.1 port={stack['POSTGRES_PORT']} dbname={database.name} user={role} "
           f"password=${{file:{password}}}")
    sink.write(recorded.pipeline, targets=[{"name": "ods", "type": "postgres", "dsn": dsn}],
               http={"listen": f"127.0.0.1:{port}", "certificate": str(certificate), "key": str(key),
                     "token": f"${{file:{token}}}"})
    daemon = sink.daemon()
    try:
        daemon.await_that(lambda: database.exists("items") and database.count("items") == 1)
        assert peer(port) == certificates.path("server.crt").read_text()
        # Nobody has to have anything open that still works: sessions are ended, then rows come.
        administer(stack, f"alter role {role} password 'the-second-one'")
        administer(stack, f"select pg_terminate_backend(pid) from pg_stat_activity where usename = '{role}'")
        recorded.send()
        certificates.certificate("other", "ca", "IP:127.0.0.1,DNS:localhost")
        put("the-second-one", "other")
        daemon.await_that(lambda: database.count("items") == 2, 90, "a row by the new password")
        anew(daemon, 1)
        wait_for(lambda: peer(port) == certificates.path("other.crt").read_text(), 30,
                 "the new certificate")
        url, authority = f"https://localhost:{port}/status", certificates.path("ca.crt")
        assert ask(url, authority, "Bearer token of the-second-one")[0] == 200
        assert ask(url, authority, "Bearer token of the-first-one")[0] == 401
        # What is not valid changes nothing, and does not end what works.
        password.unlink()
        daemon.signal(signal.SIGHUP)
        daemon.await_that(lambda: "is not valid: going on" in daemon.log())
        recorded.send()
        daemon.await_that(lambda: database.count("items") == 3)
        assert "the-second-one" not in daemon.log() and daemon.log().count(ANEW) == 1
        daemon.stop()
    finally:
        daemon.kill()
        administer(stack, f"drop role {role}")


def test_a_certificate_without_its_key_is_waited_for(sink, database, certificates, tmp_path):
    """Nothing can go on with such a pair: the daemon says so and looks again until the key is there."""
    certificate, key, port = tmp_path / "page.crt", tmp_path / "page.key", free_port()
    certificates.certificate("later", "ca", "IP:127.0.0.1,DNS:localhost")
    replace_pair(certificate, key, certificates, "server")
    recorded = Recorded(sink, tmp_path)
    sink.write(recorded.pipeline, database=database,
               http={"listen": f"127.0.0.1:{port}", "certificate": str(certificate), "key": str(key)})
    daemon = sink.daemon()
    try:
        daemon.await_that(lambda: database.exists("items") and database.count("items") == 1)
        replace(certificate, certificates.path("later.crt").read_text())
        daemon.signal(signal.SIGHUP)
        daemon.await_that(lambda: daemon.log().count("tried again with what they have") >= 2, 60)
        replace(key, certificates.path("later.key").read_text())
        wait_for(lambda: peer(port) == certificates.path("later.crt").read_text(), 60,
                 "the new certificate")
        recorded.send()
        daemon.await_that(lambda: database.count("items") == 2)
        replace(certificate, certificates.path("server.crt").read_text())
        daemon.signal(signal.SIGHUP)
        said = daemon.log().count("tried again with what they have")
        daemon.await_that(lambda: daemon.log().count("tried again with what they have") > said, 60)
        daemon.stop()  # a signal ends it while it waits
    finally:
        daemon.kill()


def test_http_target(sink, certificates, tmp_path):
    """At once by SIGHUP. What waited for the new token and the client's new certificate comes by them."""
    certificates.certificate("sender", "ca", "DNS:client.test")
    endpoint = Endpoint(tls_of(certificates, "ca"))
    token, certificate, key = (tmp_path / name for name in ("token", "own.crt", "own.key"))

    def put(word, name):
        replace(token, f"{word}\n")
        replace_pair(certificate, key, certificates, name)

    wanted = ["Bearer one", "client"]
    endpoint.answer = lambda request: 200 if [request.headers.get("Authorization"), request.peer] == wanted else 401
    put("one", "client")
    recorded = Recorded(sink, tmp_path)
    sink.write(recorded.pipeline, targets=[{
        "name": "ods", "type": "http", "url": endpoint.url, "token": f"${{file:{token}}}",
        "ca": str(certificates.path("ca.crt")), "certificate": str(certificate), "key": str(key)}])
    daemon = sink.daemon()
    try:
        daemon.await_that(lambda: len(endpoint.taken()) == 1)
        wanted[:] = "Bearer two", "sender"
        recorded.send()
        daemon.await_that(lambda: any(request.status == 401 for request in endpoint.requests))
        put("two", "sender")
        daemon.signal(signal.SIGHUP)
        daemon.await_that(lambda: len({request.identity for request in endpoint.taken()}) == 2, 60)
        anew(daemon, 1)
        daemon.stop()
    finally:
        endpoint.close()


def test_registry(sink, kafka, database, prefix, tmp_path):
    schemas, password = Schemas(), tmp_path / "password"
    registry = Registry(schemas)
    try:
        tables = [Table(name, prefix=prefix) for name in ("items", "others")]
        for table in tables:
            kafka.create(table.topic, 1)
        replace(password, "one\n")
        registry.authorization = basic("u", "one")
        sink.write({**pipeline(f"^{prefix}.*"), "format": "debezium-avro"}, kafka=True,
                   database=database, registry={"url": registry.url, "user": "u",
                                                "password": f"${{file:{password}}}"})
        kafka.produce([schemas.record(tables[0].create(row(1)))])
        daemon = sink.daemon()
        daemon.await_that(lambda: database.count("items") == 1)
        registry.authorization = basic("u", "two")
        replace(password, "two\n")
        daemon.signal(signal.SIGHUP)
        anew(daemon, 1)
        kafka.produce([schemas.record(tables[1].create(row(1)))])
        daemon.await_that(lambda: database.count("others") == 1, 60, "a schema by the new password")
        daemon.stop()
    finally:
        registry.stop()


def test_kafka(sink, stack, kafka, database, prefix, certificates, tmp_path):
    """A password that is another one with SCRAM, and then an authority and a client's certificate."""
    broker = SecureKafka(certificates, stack)
    try:
        own = Kafka({"KAFKA_BOOTSTRAP": broker.bootstrap, "KAFKA_LIBS": stack["KAFKA_LIBS"]})
        table, password = Table(prefix=prefix), tmp_path / "password"
        own.create(table.topic, 1)
        authority, certificate, key = (tmp_path / name for name in ("ca.crt", "client.crt", "client.key"))

        def put(name, word, vouching="ca"):
            replace(authority, certificates.path(f"{vouching}.crt").read_text())
            replace_pair(certificate, key, certificates, name)
            replace(password, f"{word}\n")

        def configure(listener, properties):
            sink.write(pipeline(table), database=database, kafka=True, shutdown_timeout_ms=4000,
                       bootstrap=f"127.0.0.1:{broker.ports[listener]}",
                       kafka_properties={"ssl.ca.location": str(authority), **properties})

        put("client", PASSWORD)
        configure("sasl", {"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-256",
                           "sasl.username": USER, "sasl.password": f"${{file:{password}}}"})
        daemon = sink.daemon()
        own.produce([table.create(row(1))])
        daemon.await_that(lambda: database.count("items") == 1)
        subprocess.run([*broker.java, "kafka.admin.ConfigCommand", "--bootstrap-server", broker.bootstrap,
                        "--alter", "--entity-type", "users", "--entity-name", USER, "--add-config",
                        "SCRAM-SHA-256=[password=another-one]"], check=True, capture_output=True)
        put("client", "another-one")
        daemon.signal(signal.SIGHUP)
        anew(daemon, 1)
        own.produce([table.create(row(2))])
        daemon.await_that(lambda: database.count("items") == 2, 60, "a record by the new password")
        daemon.stop()

        # A stranger's authority is taken, so nothing comes; then the right one again.
        configure("tls", {"security.protocol": "SSL", "ssl.certificate.location": str(certificate),
                          "ssl.key.location": str(key)})
        daemon = sink.daemon()
        own.produce([table.create(row(3))])
        daemon.await_that(lambda: database.count("items") == 3)
        put("client", PASSWORD, vouching="stranger")
        daemon.signal(signal.SIGHUP)
        anew(daemon, 1)
        daemon.await_that(lambda: "certificate verify failed" in daemon.log(), 60, "the stranger's")
        certificates.certificate("renewed", "ca", "DNS:client.test")
        put("renewed", PASSWORD)
        daemon.signal(signal.SIGHUP)
        anew(daemon, 2)
        own.produce([table.create(row(4))])
        daemon.await_that(lambda: database.count("items") == 4, 60, "a record by the new certificate")
        daemon.stop()
    finally:
        broker.close()


def test_connect_and_the_collector_of_traces(sink, kafka, database, table, certificates, tmp_path):
    """Each wants a password or token, and a client's certificate: another one of both, at once. The database whose
    connector Connect is asked about is away, as it is none of this."""
    certificates.certificate("renewed", "ca", "DNS:client.test")
    connect, collector = (Endpoint(tls_of(certificates, "ca")) for _ in range(2))
    secret, certificate, key = (tmp_path / name for name in ("secret", "own.crt", "own.key"))
    wanted = {}

    def put(word, name):
        replace(secret, f"{word}\n")
        replace_pair(certificate, key, certificates, name)

    def want(word, name):
        wanted.update({connect: (basic("u", word), name), collector: (f"Bearer {word}", name)})

    def answers(server, body):
        def answer(request):
            known = (request.headers.get("Authorization"), request.peer) == wanted[server]
            return (200, {}, body) if known else 403
        return answer

    def told():
        return {span.trace for request in collector.taken() for span in spans_of(request.body)[1]}

    def send(number):
        record = table.create(row(number))
        kafka.produce([{**record, "headers": ["traceparent", f"00-{number:032x}-{number:016x}-01"]}])
        return f"{number:032x}"

    try:
        connect.answer, collector.answer = answers(connect, b"{}"), answers(collector, b"{}")
        want("one", "client")
        put("one", "client")
        own = {"ca": str(certificates.path("ca.crt")), "certificate": str(certificate), "key": str(key)}
        sink.write({**pipeline(table), "database": "shop"}, database=database, kafka=True, lanes=1,
                   databases=[{"name": "shop", "type": "mysql", "check_every": "100ms",
                               "dsn": "host=127.0.0.1 port=1 dbname=shop user=reader"}],
                   connect={"url": connect.url, "user": "u", "password": f"${{file:{secret}}}", **own},
                   tracing={"endpoint": collector.url, "token": f"${{file:{secret}}}", **own})
        daemon = sink.daemon()
        first = send(1)
        daemon.await_that(lambda: connect.taken() and first in told(), what="both take the first ones")
        want("two", "renewed")
        daemon.await_that(lambda: connect.requests[-1].status == 403, what="Connect takes no more")
        put("two", "renewed")
        daemon.signal(signal.SIGHUP)
        anew(daemon, 1)
        before, second = len(connect.taken()), send(2)
        daemon.await_that(lambda: len(connect.taken()) > before and second in told(), what="both take the others")
        daemon.stop()
    finally:
        connect.close()
        collector.close()


def test_what_is_read_only_once_is_no_reason(sink, database, tmp_path):
    """A SIGHUP without a new file leaves the lanes as they are."""
    password = tmp_path / "unused"
    replace(password, "x")
    recorded = Recorded(sink, tmp_path)
    sink.write(recorded.pipeline, database=database)
    daemon = sink.daemon()
    daemon.await_that(lambda: database.exists("items") and database.count("items") == 1)
    replace(password, "y")
    daemon.signal(signal.SIGHUP)
    daemon.await_that(lambda: "reloaded" in daemon.log())
    recorded.send()
    daemon.await_that(lambda: database.count("items") == 2)
    assert ANEW not in daemon.log()
    daemon.stop()
