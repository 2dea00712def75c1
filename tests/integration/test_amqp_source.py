"""Queues of a real AMQP 1.0 broker, ActiveMQ Artemis."""

import json
import os
import re
import signal
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from lib.amqp import Broker, background, symbol, text_message
from lib.avro import Schemas
from lib.network import Network
from lib.records import Table, pipeline, row
from lib.registry import Registry
from lib.rights import block
from lib.rotation import anew, replace
from lib.secure import run
from lib.sink import Exit, free_port
from lib.toxiproxy import Toxiproxy
from lib.waiting import wait_for
from proton import Message, ulong
from proton.reactor import SenderOption


@pytest.fixture(scope="module")
def broker(stack):
    os.environ.setdefault("ODS_STACK_ARTEMIS_SYNC", "false")  # machines are not killed here
    stack.up("postgres", "artemis")
    return Broker(stack)


@pytest.fixture
def queue(sink, broker, prefix):
    return Queue(sink, broker, prefix)


class Queue:
    """A queue of the test's own, and the pipeline that reads it."""

    def __init__(self, sink, broker, prefix):
        self.sink, self.broker, self.address = sink, broker, prefix

    def write(self, database=None, *, table=None, urls=(), amqp=None, input=None, target=None,
              topics=None, defaults=None, batch=None, brokers=(), conf=None, **settings):
        table = table or Table()
        ods = ({"name": "ods", "type": "postgres", "dsn": database.dsn, **(target or {})}
               if database else target)
        self.sink.http_port = self.sink.http_port or free_port()
        self.sink.write(
            {**pipeline(table), "topics": topics or [self.address],
             "defaults": {"key": ["id"], "on_delete": "hard", **(defaults or {})},
             "input": {"type": "amqp", **(input or {})}, **settings},
            targets=[ods], batch=batch or {}, amqp=[self.broker.settings(*urls, **(amqp or {})), *brokers],
            http={"listen": f"127.0.0.1:{self.sink.http_port}"}, **(conf or {}))
        return table

    def send(self, messages):
        self.broker.send(self.address, messages)

    def left(self):
        return self.broker.count(self.address)

    def drained(self):
        return self.left() == 0


def bodies(table, count, start=0):
    return [table.create(row(number))["payload"] for number in range(start, start + count)]


def ids(database):
    if not database.exists("items"):
        return None
    return database.value("select array_agg(id order by id) from items")


def test_each_operation(queue, database):
    table = queue.write(database, input={"key": "property:key"})
    one, other = row(1, 10), row(1, 20)
    records = [table.create(one), table.create(row(2)), table.update(one, other), table.create(row(3)),
               table.delete(row(2)), table.read(row(4)), table.create(row(5))]
    messages = [text_message(record["payload"], f"m{number}", key=record["key"])
                for number, record in enumerate(records)]
    messages.append(Message(id="gone", properties={"key": records[-1]["key"]}, durable=True))
    queue.send(messages)
    daemon = queue.sink.daemon().await_ready()
    daemon.await_that(queue.drained, what="all of them settled")
    daemon.stop()
    assert database.execute("select id, amount from items order by id") == [(1, 20), (3, 0), (4, 0)]
    assert database.delivered() == len(messages)
    assert database.offsets() == {}


def test_bodies_and_identities(queue, database):
    """A body as strings and bytes; identities of each kind; what is sent twice is there once."""
    table = queue.write(database)
    text = bodies(table, 9)
    queue.send([
        Message(id="a", body=text[0], durable=True),
        Message(id=ulong(7), body=text[1].encode(), inferred=True),  # a number may come again
        Message(id=ulong(7), body=text[8].encode(), inferred=True),
        Message(body=text[2].encode(), inferred=True),  # by its content
        Message(body=text[2].encode(), inferred=True),
        Message(id="a", body=text[3]),  # the same id is the same message
        Message(id=b"\0\1", body=text[4].encode()),
    ])
    daemon = queue.sink.daemon()
    daemon.await_that(queue.drained, what="all of them settled")
    assert ids(database) == [0, 1, 2, 4, 8]
    daemon.stop()
    table = queue.write(database, input={"identity": "property:no"})
    queue.send([Message(id="x", body=text[5], properties={"no": 1}),
                Message(id="x", body=text[6], properties={"no": 2}),
                Message(id="y", body=text[7], properties={"no": 2})])
    daemon = queue.sink.daemon()
    daemon.await_that(queue.drained, what="all of them settled")
    daemon.stop()
    assert ids(database) == [0, 1, 2, 4, 5, 6, 8]


def test_several_queues_and_lanes(queue, database):
    """One pipeline, four queues, two lanes; the address is made from the topic."""
    names = [f"{queue.address}-{number}" for number in range(4)]
    table = queue.write(database, topics=names, lanes=2, input={"address": "q.${topic}"})
    for number, name in enumerate(names):
        queue.broker.blast(f"q.{name}", bodies(table, 50, number * 50), identity=name)
    daemon = queue.sink.daemon()
    daemon.await_that(lambda: all(queue.broker.count(f"q.{name}") == 0 for name in names),
                      what="all of them settled")
    daemon.stop()
    assert ids(database) == list(range(200))


def test_killed_again_and_again(queue, database):
    """A table without a key shows what is written twice."""
    table = queue.write(database, table=Table(key=()), batch={"max_events": 40}, defaults={"key": []})
    count = 1500
    sending = background(queue.broker.blast, queue.address, bodies(table, count))
    for part in range(1, 5):
        daemon = queue.sink.daemon()
        daemon.await_that(lambda: database.count("items") >= count * part // 6, what=f"part {part}")
        daemon.kill()
    sending.join()
    daemon = queue.sink.daemon()
    daemon.await_that(queue.drained, what="all of them settled")
    daemon.stop()
    assert ids(database) == list(range(count))
    assert database.delivered() == count


def test_cut_and_half_open_connections(queue, stack, database):
    """The network between us and the broker is cut, and stands still until the idle time-out."""
    toxiproxy = Toxiproxy(stack)
    through = f"amqp://127.0.0.1:{stack['ARTEMIS_PROXY_PORT']}"
    table = queue.write(database, table=Table(key=()), urls=[through], batch={"max_events": 20},
                        defaults={"key": []}, amqp={"idle_timeout_ms": 1000})
    count = 1200
    sending = background(queue.broker.blast, queue.address, bodies(table, count))
    daemon = queue.sink.daemon()
    for part in range(1, 4):
        daemon.await_that(lambda: database.count("items") >= count * part // 6, what=f"part {part}")
        toxiproxy.enable("artemis", False)
        toxiproxy.enable("artemis")
    sending.join()
    daemon.await_that(queue.drained, what="all of them settled")
    losses = daemon.log().count("lost the connection")
    assert losses >= 1
    toxiproxy.add("artemis", "timeout", timeout=0)  # nothing of the broker's comes any more
    try:
        daemon.await_that(lambda: "idle" in daemon.log(), what="it is taken for dead")
    finally:
        toxiproxy.clear("artemis")
    queue.broker.send(queue.address, [text_message(text, f"late-{number}") for number, text in
                                      enumerate(bodies(table, 10, count))])
    daemon.await_that(queue.drained, what="what came later too")
    daemon.stop()
    assert ids(database) == list(range(count + 10))


def updates(table, count):
    """A row, and changes of it, the last of which makes its amount `count`."""
    return [table.create(row(1, 0)),
            *(table.update(row(1, number), row(1, number + 1)) for number in range(count))]


def test_an_older_change_never_wins(queue, database):
    """The connection is cut, and the daemon killed, in the middle of changes of one row."""
    table = queue.write(database, batch={"max_events": 15})
    count = 900
    records = updates(table, count)
    seen = [0]

    def rises():
        amount = database.value("select max(amount) from items") if database.exists("items") else None
        assert (amount or 0) >= seen[0], "the row went back"
        seen[0] = amount or seen[0]
        return seen[0]

    sending = background(queue.broker.blast, queue.address, [record["payload"] for record in records])
    for part in range(1, 4):
        daemon = queue.sink.daemon()
        daemon.await_that(lambda: rises() >= count * part // 5, what=f"part {part}")
        daemon.kill()
    sending.join()
    daemon = queue.sink.daemon()
    daemon.await_that(lambda: rises() >= 0 and queue.drained(), what="all of them settled")
    daemon.stop()
    assert rises() == count


def test_what_can_not_be_decoded_yet_comes_again_in_order(queue, database):
    """The registry that has the schemas is away: the messages are handed out again from memory."""
    schemas = Schemas()
    registry = Registry(schemas)
    try:
        table = queue.write(database, format="debezium-avro", batch={"max_events": 15},
                            registry={"url": registry.url, "timeout_ms": 1000})
        messages = [schemas.message(record["payload"], "Value") for record in updates(table, 200)]
        registry.status = 500
        queue.broker.blast(queue.address, messages)
        daemon = queue.sink.daemon()
        daemon.await_that(lambda: "waits at offset" in daemon.log(), what="it waits")
        assert queue.left() == len(messages)
        registry.status = 0
        daemon.await_that(queue.drained, what="all of them settled")
        daemon.stop()
    finally:
        registry.stop()
    assert database.execute("select id, amount from items") == [(1, 200)]
    assert "lost the connection" not in daemon.log()


@pytest.mark.parametrize("batch, most", [({"max_bytes": 262144}, 200), ({}, 300)])
def test_the_target_stands_still(queue, database, batch, most):
    """Credit ends, memory does not grow, the broker keeps the rest; afterwards all of it comes. The usual
    batch.max_bytes would hold all: a queue's batches are smaller."""
    table = queue.write(database, input={"prefetch_bytes": 262144, "max_message_bytes": 262144},
                        batch=batch,
                        conf={"retry": {"initial_ms": 100, "max_ms": 100}})
    daemon = queue.sink.daemon().await_ready()
    queue.send(bodies(table, 1))
    daemon.await_that(lambda: database.count("items") == 1, what="the table")
    large = [json.dumps(pad(body)) for body in bodies(table, 400, 1)]
    blocker = database.connect()
    blocker.autocommit = False
    with blocker.cursor() as cursor:
        cursor.execute("lock table items in access exclusive mode")
        queue.broker.blast(queue.address, large)
        taken = lambda: queue.broker.ask(queue.address, "DeliveringCount")
        wait_for(lambda: taken() > 30, 30, "some are taken")
        before = wait_for(lambda: settled_value(taken), 30, "it takes no more")
        assert before < most, "it has taken no more than batches and prefetch hold"
        blocker.rollback()
    blocker.close()
    daemon.await_that(queue.drained, what="all of them settled")
    daemon.stop()
    assert database.count("items") == 401


def test_the_target_stands_still_for_longer_than_the_idle_timeout(queue, database):
    """Small messages, then large ones: more comes than may wait, so the connection is not read as before. It
    is not taken for dead all the same, and nothing is delivered twice."""
    table = queue.write(database, input={"prefetch_bytes": 65536, "max_message_bytes": 65536},
                        batch={"max_bytes": 65536}, amqp={"idle_timeout_ms": 1000},
                        conf={"retry": {"initial_ms": 100, "max_ms": 100}})
    daemon = queue.sink.daemon().await_ready()
    queue.broker.blast(queue.address, bodies(table, 300))
    daemon.await_that(lambda: queue.drained() and database.count("items") == 300, what="the small ones")
    large = [json.dumps(pad(body, 40000)) for body in bodies(table, 300, 300)]
    blocker = database.connect()
    blocker.autocommit = False
    with blocker.cursor() as cursor:
        cursor.execute("lock table items in access exclusive mode")
        queue.broker.blast(queue.address, large, "large")
        taken = lambda: queue.broker.ask(queue.address, "DeliveringCount")
        wait_for(lambda: taken() > 2, 30, "some are taken")
        threading.Event().wait(4)  # four times the idle time-out
        assert "lost the connection" not in daemon.log()
        blocker.rollback()
    blocker.close()
    daemon.await_that(queue.drained, what="all of them settled")
    daemon.stop()
    assert ids(database) == list(range(600))
    assert daemon.log().count("connected to") == 1


def settled_value(ask):
    """What it answers, if that is the same for longer than a lane waits before it pauses."""
    value = ask()
    threading.Event().wait(1.5)
    return value if ask() == value else None


def pad(body, size=10000):
    """The record with a long name."""
    record = json.loads(body)
    payload = record.get("payload", record)
    payload["after"]["name"] = "x" * size
    return record


@pytest.mark.parametrize("how", ["rejected", "modified", "accepted"])
def test_a_poison_message_is_a_letter(queue, database, kafka, prefix, how):
    letters = f"{prefix}-letters"
    kafka.create(letters, 1)
    table = queue.write(database, input={"letters": how}, conf={
        "kafka": {"bootstrap_servers": queue.sink.stack["KAFKA_BOOTSTRAP"]},
        "dead_letter": {"topic": letters}})
    dead = queue.broker.count("DLQ")
    good = bodies(table, 4)
    queue.send([text_message(good[0], "a"), text_message("{neither", "poison", why="x"),
                text_message(good[1], "b"), Message(id="list", body=[1, 2]), text_message(good[2], "c"),
                Message(body='{"no": "identity"}')])
    daemon = queue.sink.daemon()
    # Modified ones stay for another consumer than this one, as this broker understands it.
    stay = 3 if how == "modified" else 0
    daemon.await_that(lambda: queue.left() == stay, what="all of them settled")
    daemon.stop()
    assert ids(database) == [0, 1, 2]
    assert queue.broker.count("DLQ") - dead == (3 if how == "rejected" else 0)
    listed = queue.sink.run("dlq", "list", "-c", queue.sink.conf, "--json").stdout
    assert json.loads(listed)["letters"] == 3
    assert "neither a string nor binary" in listed or "amqp-sequence" in listed
    assert "no identity" in listed


def test_letters_at_an_address(queue, database, tmp_path):
    """They are messages, acknowledged before what they are about is settled; a broker that does not take
    them is waited for."""
    letters = f"{queue.address}-letters"
    table = queue.write(database, input={"key": "property:key"}, amqp={"user": "ods"},
                        conf={"dead_letter": {"address": letters}})
    good = bodies(table, 2)
    queue.send([text_message(good[0], "a"), text_message("{neither", "poison", why="x", key="k"),
                text_message(good[1], "b")])
    daemon = queue.sink.daemon()
    daemon.await_that(queue.drained, what="all of them settled")
    daemon.stop()
    (letter,) = queue.broker.take(letters, 1)
    assert bytes(letter.body) == b"{neither" and letter.durable
    said = letter.properties
    assert said["ods.topic"] == queue.address and said["ods.identity"] == "poison"
    assert said["ods.stage"] == "decode" and said["why"] == "x" and said["ods.key"] == "k"
    assert "not JSON" in said["ods.error"] and letter.id.endswith("/poison")
    assert ids(database) == [0, 1]
    # Nothing is settled before its letter is safe.
    other = {**queue.broker.settings(), "name": "other", "password": "wrong"}
    table = queue.write(database, input={"broker": "broker"}, brokers=[other],
                        conf={"dead_letter": {"address": letters, "broker": "other"}})
    queue.send([text_message("{worse", "worse")])
    daemon = queue.sink.daemon()
    daemon.await_that(lambda: "dead letters: the address" in daemon.log(), what="it says so")
    assert queue.left() == 1
    daemon.stop()
    table = queue.write(database, conf={"dead_letter": {"address": letters}})
    daemon = queue.sink.daemon()
    daemon.await_that(queue.drained, what="it is settled")
    daemon.stop()
    (letter,) = queue.broker.take(letters, 1)
    assert bytes(letter.body) == b"{worse"


def test_a_letter_long_after_another_one(queue, stack, database):
    """In between the connection of the letters is dropped by the network, then ended by the server: neither
    is an outage."""
    network = Network(urlsplit(stack["ARTEMIS_URL"]).port, "amqp")
    letters = f"{queue.address}-letters"
    through = queue.broker.settings(network.url, name="letters", idle_timeout_ms=1000)
    queue.write(database, input={"broker": "broker"}, brokers=[through],
                conf={"dead_letter": {"address": letters, "broker": "letters"}})
    daemon = queue.sink.daemon()

    def send(identity):
        queue.send([text_message("{neither", identity)])
        daemon.await_that(queue.drained, what=f"{identity} is a letter")

    try:
        send("first")
        network.forget()
        threading.Event().wait(1)
        send("idle")
        network.end()
        send("ended")
        daemon.stop()
    finally:
        network.close()
    assert "the address" not in daemon.log()
    taken = [letter.properties["ods.identity"] for letter in queue.broker.take(letters, 3)]
    assert taken == ["first", "idle", "ended"]


def test_a_message_that_is_too_large(queue, database, kafka, prefix):
    letters = f"{prefix}-letters"
    kafka.create(letters, 1)
    table = queue.write(database, input={"max_message_bytes": 65536}, conf={
        "kafka": {"bootstrap_servers": queue.sink.stack["KAFKA_BOOTSTRAP"]},
        "dead_letter": {"topic": letters}})
    good = bodies(table, 2)
    queue.send([text_message(good[0], "a"), text_message("x" * 300000, "large"),
                text_message(good[1], "b")])
    daemon = queue.sink.daemon()
    daemon.await_that(queue.drained, what="all of them settled")
    daemon.stop()
    assert ids(database) == [0, 1]
    listed = queue.sink.run("dlq", "list", "-c", queue.sink.conf, "--json").stdout
    assert "max_message_bytes" in listed


def test_tls_and_ways_to_sign_in(queue, stack, database):
    tls, plain = stack["ARTEMIS_TLS_URL"], stack["ARTEMIS_URL"]
    folder = Path(stack["ARTEMIS_CA"]).parent
    ca = {"ca": stack["ARTEMIS_CA"]}
    own = {"certificate": str(folder / "ods.crt"), "key": str(folder / "ods.key")}
    ways = [
        (tls, {**ca, "sasl": "plain"}, "PLAIN over TLS"),
        (tls, {**ca, **own, "user": "", "password": ""}, "EXTERNAL over TLS"),
        (plain, {}, "SCRAM-SHA-512, not encrypted"),
        (plain, {"sasl": "scram-sha-256"}, "SCRAM-SHA-256, not encrypted"),
    ]
    for number, (url, options, said) in enumerate(ways):
        # The first handshake has the broker load what it signs with.
        table = queue.write(database, urls=[url], amqp={**options, "connect_timeout_ms": 15000})
        checked = queue.sink.check("--connect").stdout
        assert f"signed in by {said}" in checked, checked
        assert f"{queue.address}: can be read" in checked
        queue.broker.send(queue.address, [text_message(bodies(table, 1, number)[0], f"m{number}")])
        daemon = queue.sink.daemon()
        daemon.await_that(lambda: ids(database) == list(range(number + 1)), what="it is there")
        daemon.stop()
    for url, options, said in [
            (tls, {}, "certificate"),  # of an authority that nobody knows
            (tls.replace("localhost", "127.0.0.2"), ca, ""),  # another name than the certificate's
            (plain, {"password": "wrong"}, "unauthorized"),
            (plain, {"sasl": "external", **own}, "no way to sign in")]:
        queue.write(database, urls=[url], amqp=options)
        failed = queue.sink.check("--connect", expect=Exit.SOURCE)
        assert said in failed.stdout + failed.stderr, failed.stdout[-600:]
        assert "wrong" not in failed.stdout + failed.stderr


def test_a_password_and_a_certificate_are_replaced(queue, stack, database, tmp_path):
    """A user of the broker's files, who signs in by either way; the files are the broker's at once."""
    etc, tls = stack.folder / "conf/artemis", Path(stack["ARTEMIS_CA"]).parent
    kept = {name: (etc / f"{name}.properties").read_text() for name in ("users", "roles", "certificates")}
    secret, certificate, key = (tmp_path / name for name in ("secret", "own.crt", "own.key"))

    def want(word, name):
        for file, line in (("users", f"turning = {word}"), ("certificates", f"turning = CN={name}")):
            replace(etc / f"{file}.properties", f"{kept[file]}{line}\n")

    def put(word, name):
        run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", tmp_path / "new.key",
            "-out", tmp_path / "request")
        run("openssl", "x509", "-req", "-in", tmp_path / "request", "-CA", tls / "ca.pem", "-CAkey", tls / "ca.key",
            "-CAcreateserial", "-days", "2", "-out", tmp_path / "new.crt")
        replace(key, (tmp_path / "new.key").read_text())
        replace(certificate, (tmp_path / "new.crt").read_text())
        replace(secret, f"{word}\n")

    ways = {stack["ARTEMIS_URL"]: {"user": "turning", "password": f"${{file:{secret}}}"},
            stack["ARTEMIS_TLS_URL"]: {"user": "", "password": "", "ca": stack["ARTEMIS_CA"],
                                       "certificate": str(certificate), "key": str(key)}}
    replace(etc / "roles.properties", "ods = ods,turning\n")
    try:
        for number, (url, own) in enumerate(ways.items()):
            words = f"one-{number}", f"two-{number}"
            want(words[0], words[0])
            put(words[0], words[0])
            table = queue.write(database, urls=[url], amqp={**own, "connect_timeout_ms": 15000})
            queue.broker.send(queue.address, [text_message(bodies(table, 1, 2 * number)[0], f"a{number}")])
            daemon = queue.sink.daemon()
            daemon.await_that(lambda: len(ids(database) or []) == 2 * number + 1, what="by the first")
            want(words[1], words[1])
            put(words[1], words[1])
            daemon.signal(signal.SIGHUP)
            anew(daemon, 1)
            queue.broker.send(queue.address, [text_message(bodies(table, 1, 2 * number + 1)[0], f"b{number}")])
            daemon.await_that(lambda: len(ids(database)) == 2 * number + 2, what="by the second")
            daemon.stop()
    finally:
        for name, text in kept.items():
            replace(etc / f"{name}.properties", text)


def test_the_least_rights(queue, stack, database):
    """A user who has the rights of docs/security.md and no other; and what is said without each."""
    etc, letters = stack.folder / "conf/artemis", f"{queue.address}-letters"
    kept = {name: (etc / name).read_text() for name in ("broker.xml", "users.properties", "roles.properties")}
    text = "\n".join(block("AMQP, reading queues", "xml"))
    text = text.replace("shop.orders", queue.address).replace("ods.letters", letters)

    def allow(text):
        replace(etc / "broker.xml", kept["broker.xml"].replace("</security-settings>", f"{text}</security-settings>"))

    def check(word, code):
        done = queue.sink.check("--connect", expect=None)
        return done.returncode == code and word in done.stdout + done.stderr

    queue.broker.send(letters, ["the first"])  # both addresses are there
    queue.broker.take(letters, 1)
    table = queue.write(database, amqp={"user": "reader", "password": "reads"},
                        conf={"dead_letter": {"address": letters}})
    queue.send([text_message(bodies(table, 1)[0], "a"), text_message("{neither", "poison")])
    replace(etc / "users.properties", kept["users.properties"] + "reader = reads\n")
    replace(etc / "roles.properties", kept["roles.properties"] + "ods-sink = reader\n")
    try:
        wanted = re.findall(r".*<permission .*", text)
        assert len(wanted) == 2
        allow(text.replace(wanted[0], ""))
        wait_for(lambda: check("does not let it be read", Exit.SOURCE), 30, "who may not consume", interval_s=0.3)
        allow(text.replace(wanted[1], ""))
        wait_for(lambda: check("can be read", Exit.OK), 30, "who may consume", interval_s=0.3)
        daemon = queue.sink.daemon()
        daemon.await_that(lambda: "dead letters: the address" in daemon.log(), what="who may not send")
        assert queue.left() > 0
        allow(text)
        daemon.await_that(queue.drained, what="the letter is sent")
        assert ids(database) == [0]
        daemon.stop()
    finally:
        for name, content in kept.items():
            replace(etc / name, content)


def test_what_check_refuses(queue, database):
    for options, said in [
            ({"input": {"broker": "other"}}, "names none of the list amqp"),
            ({"topics": ["^q.*"]}, "name each queue"),
            ({"topics": ["a", "b"], "input": {"address": "q"}}, "${topic}")]:
        queue.write(database, **options)
        done = queue.sink.check(expect=Exit.CONFIG)
        assert said in done.stdout + done.stderr and "tables.yaml:" in done.stdout + done.stderr
        daemon = queue.sink.daemon()
        assert daemon.process.wait(60) == Exit.CONFIG
        daemon.ended = True
        assert said in daemon.log()
    table = queue.write(database)
    yaml_of = queue.sink.folder / "tables.yaml"
    document = yaml.safe_load(yaml_of.read_text())
    document["pipelines"].append({**document["pipelines"][0], "name": "again", "topics": ["x"],
                                  "input": {"type": "amqp", "address": queue.address}})
    yaml_of.write_text(yaml.safe_dump(document))
    done = queue.sink.check(expect=Exit.CONFIG)
    assert "each would get a part" in done.stdout + done.stderr
    for conf, said in [({"urls": ["amqp://me:secret@host"]}, "'urls' expects"),
                       ({"sasl": "external"}, "'certificate'"), ({"key": "k"}, "'certificate'")]:
        queue.write(database, amqp=conf)
        done = queue.sink.check(expect=Exit.CONFIG)
        assert said in done.stdout + done.stderr
    for letters in ({"address": "a", "topic": "b"}, {"address": "a", "broker": "other"}):
        queue.write(database, conf={"dead_letter": letters})
        done = queue.sink.check(expect=Exit.CONFIG)
        assert "dead_letter" in done.stdout + done.stderr
    queue.write(database, input={"identity": "nothing"})
    done = queue.sink.check(expect=Exit.CONFIG)
    assert "'identity' expects" in done.stdout + done.stderr
    queue.write(database, input={"prefetch_bytes": 262144})
    done = queue.sink.check(expect=Exit.CONFIG)
    assert "tables.yaml:" in done.stdout + done.stderr and "'max_message_bytes'" in done.stdout + done.stderr


def test_what_check_doubts(queue, database):
    """Warnings: rows without a key, messages without an identity."""
    def warned(**options):
        queue.write(database, **options)
        return queue.sink.check().stderr

    assert "tables.yaml:" not in warned(table=Table())
    assert "tables.yaml:" not in warned(defaults={"key": []}, input={"key": "property:key"})
    assert "tables.yaml:" not in warned(defaults={"key": [], "keyless": "append"})
    said = warned(defaults={"key": []})
    assert "tables.yaml:" in said and "'key' of the defaults or a table" in said, said
    assert "'key' of table items" in warned(defaults={"key": []}, tables={"items": {"key": []}})
    said = warned(format="json")
    assert "tables.yaml:" in said and "without a message-id" in said, said
    assert "so each one becomes a dead letter" in warned(format="json", input={"identity": "content"})
    assert "tables.yaml:" not in warned(format="json", input={"identity": "message-id"})


def test_a_queue_that_is_not_there_yet(queue, stack, database):
    """Nobody may read it: the daemon says so and asks again."""
    table = queue.write(database, amqp={"sasl": "anonymous"})
    daemon = queue.sink.daemon()
    daemon.await_that(lambda: "unauthorized-access" in daemon.log(), what="it says why")
    assert daemon.get("/readyz")[0] != 200
    daemon.stop()


def test_the_broker_is_killed_and_another_takes_over(queue, stack, database):
    stack.up("standby")
    table = queue.write(database, table=Table(key=()), batch={"max_events": 20}, defaults={"key": []},
                        urls=[stack["ARTEMIS_URL"], stack["STANDBY_URL"]])
    count = 600
    queue.broker.blast(queue.address, bodies(table, count))
    database.execute("""
        create table items (id int, name text, amount int, cdc_operation text,
                            cdc_timestamp timestamptz);
        create function slow() returns trigger language plpgsql as $$ begin
            perform pg_sleep(0.002); return new; end $$;
        create trigger slow before insert on items for each row execute function slow()""")
    daemon = queue.sink.daemon()
    daemon.await_that(lambda: database.count("items") >= count // 4, what="a part")
    os.kill(stack.pid("artemis"), signal.SIGKILL)
    try:
        standby = Broker(stack, stack["STANDBY_URL"])
        daemon.await_that(lambda: database.count("items") >= count, what="the rest")
        wait_for(lambda: standby.count(queue.address) == 0, 30, "all of them settled")
        assert "connected to 127.0.0.1:" + stack["STANDBY_PORT"] in daemon.log()
    finally:
        stack.down("artemis", "standby")
    stack.up("artemis")
    queue.send([text_message(body, f"later-{number}") for number, body in
                enumerate(bodies(table, 5, count))])
    daemon.await_that(queue.drained, what="from the first one again")
    daemon.stop()
    assert ids(database) == list(range(count + 5))


def test_a_durable_subscription(queue, database):
    """A topic of the broker: what was published while nobody listened comes too."""
    address = f"{queue.address}-news"
    table = queue.write(database, input={"address": address, "subscription": "ods-${topic}"},
                        topics=["news"], amqp={"container": f"c-{queue.address}"})
    daemon = queue.sink.daemon().await_ready()
    daemon.stop()
    publish(queue.broker, address, bodies(table, 20))
    daemon = queue.sink.daemon()
    daemon.await_that(lambda: ids(database) == list(range(20)), what="all of them")
    daemon.stop()


def publish(broker, address, texts):
    connection = broker.connect()
    try:
        sender = connection.create_sender(address, options=ToTopic())
        for number, text in enumerate(texts):
            sender.send(text_message(text, f"news-{number}"))
    finally:
        connection.close()


class ToTopic(SenderOption):
    def apply(self, sender):
        sender.target.capabilities.put_object(symbol("topic"))
