"""The failures of docs/system-4.md, F1 to F10: from a broker's queues into PostgreSQL, where two tables are
joined, and from there to a REST API. Each test breaks something while messages come, and compares in the end
both tables, the join and what the API knows with what was sent."""

import os
import re
import signal
import time

import psycopg2
import pytest
from lib.amqp import Broker, text_message
from lib.derived import add_derived, differences, quiet
from lib.endpoint import Endpoint, tls_of
from lib.postgres import create_database, drop_database
from lib.records import INT, TEXT, Table
from lib.secure import Certificates
from lib.sink import Setup, free_port
from lib.small_disk import SmallDisk
from lib.toxiproxy import Toxiproxy
from lib.waiting import wait_for

from conftest import build

LARGE = 900  # from this amount on an order is an alert
VIEW = {"name": "order_view", "key": ["id"], "outbox": True,
        "query": "select o.id, o.customer, c.name, o.amount from orders o join customers c on c.id = o.customer",
        "depends": {"orders": {"by": ["id"]},
                    "customers": {"by": ["id"],
                                  "keys": "select o.id from changed c join orders o on o.customer = c.id"}}}
PER_CUSTOMER = 50  # orders; a customer that nobody has told of is the last one


class World:
    def __init__(self, stack, folder):
        self.stack, self.broker, self.toxiproxy = stack, Broker(stack), Toxiproxy(stack)
        self.database = create_database(stack, "failures")
        self.sink = Setup(folder, build("asan"), stack)
        self.certificates = Certificates(folder)
        self.tls = tls_of(self.certificates)
        self.api = Endpoint(self.tls)
        self.listens = self.toxiproxy.create("failures-api", self.api.url.split("//")[1])
        self.orders = Table("orders", {"id": INT, "customer": INT, "amount": INT, "note": TEXT})
        self.customers = Table("customers", {"id": INT, "name": TEXT})
        self.rows, self.names, self.sent, self.number, self.bad = {}, {}, [], 0, 0
        self.write()
        self.daemon = self.sink.daemon().await_ready()

    def write(self):
        dsn = re.sub(r"port=\d+", f"port={self.stack['POSTGRES_PROXY_PORT']}", self.database.dsn)
        self.sink.http_port = free_port()
        self.sink.write(
            {"name": "shop", "topics": ["failures.orders", "failures.customers"], "format": "debezium",
             "target": "ods", "lanes": 2, "input": {"type": "amqp"},
             "defaults": {"key": ["id"], "on_delete": "hard"}},
            {"name": "alerts", "input": {"type": "outbox", "target": "ods", "idle_ms": 50},
             "topics": ["order_view"], "format": "debezium", "target": "api",
             "transforms": [{"type": "filter", "lua": f"after.amount >= {LARGE}"}]},
            targets=[{"name": "ods", "type": "postgres", "dsn": dsn},
                     {"name": "api", "type": "http", "url": f"https://{self.listens}/alerts",
                      "ca": str(self.certificates.path("ca.crt")), "timeout_ms": 1000}],
            amqp=[self.broker.settings(f"amqp://127.0.0.1:{self.stack['ARTEMIS_PROXY_PORT']}",
                                       idle_timeout_ms=1000)],
            dead_letter={"table": "letters"}, batch={"max_events": 50},
            http={"listen": f"127.0.0.1:{self.sink.http_port}"})
        add_derived(self.sink, [VIEW])

    # What is sent.

    def message(self, table, record, identity=None):
        self.number += 1
        message = (f"failures.{table.name}", identity or f"m{self.number}", record["payload"])
        self.sent.append(message)
        return message

    def order(self, customer=None, note="", **more):
        number = len(self.rows) + 1
        row = {"id": number, "customer": customer or number % PER_CUSTOMER, "note": note,
               "amount": number * 7 % 1000, **more}
        self.rows[number] = row
        return self.message(self.orders, self.orders.create(row))

    def customer(self, number):
        old, new = self.names.get(number), {"id": number, "name": f"name {self.number}"}
        self.names[number] = new
        return self.message(self.customers, self.customers.update(old, new) if old
                            else self.customers.create(new))

    def leave(self, number):
        return self.message(self.customers, self.customers.delete(self.names.pop(number)))

    def some(self, count=60):
        """New orders, and customers who change their names."""
        return [message for number in range(count) for message in
                (self.order(), *([self.customer(number % (PER_CUSTOMER - 1))] if number % 3 == 0 else []))]

    def send(self, messages):
        for queue in ("failures.orders", "failures.customers"):
            self.broker.blast_messages(queue, [text_message(body, identity) for name, identity, body in
                                               messages if name == queue])

    # What must be.

    def joined(self):
        return [(row["id"], row["customer"], self.names[row["customer"]]["name"], row["amount"])
                for _, row in sorted(self.rows.items()) if row["customer"] in self.names]

    def tables_hold(self):
        try:
            return (self.database.count("orders") == len(self.rows) and
                    self.database.count("customers") == len(self.names) and
                    quiet(self.database, "order_view") and
                    self.database.execute("select * from order_view order by id") == self.joined())
        except psycopg2.OperationalError:
            return False  # it is starting

    def known(self):
        """What the API knows of each order."""
        return {request.json()["key"]["id"]: request.json()["after"] for request in self.api.taken()
                if request.json()["op"] != "d"}

    def api_knows(self):
        known = self.known()
        return all(known.get(number, {}).get("name") == name
                   for number, _, name, amount in self.joined() if amount >= LARGE)

    def await_tables(self, what):
        began = time.monotonic()
        self.daemon.await_that(self.tables_hold, 60, what)
        return time.monotonic() - began

    def settle(self, what):
        """Everything is right again; the seconds that it took."""
        began = time.monotonic()
        self.await_tables(f"{what}: the tables")
        self.daemon.await_that(self.api_knows, 60, f"{what}: the API")
        self.daemon.await_that(lambda: all(self.broker.count(f"failures.{name}") == 0
                                           for name in ("orders", "customers")), 60, "all settled")
        took = time.monotonic() - began
        assert not differences(self.database, "order_view", VIEW["query"])
        assert self.database.execute("select id, customer, amount, note from orders order by id") == \
            [(row["id"], row["customer"], row["amount"], row["note"]) for row in self.rows.values()]
        bodies = {}
        for request in self.api.requests:  # what goes again has the same key
            assert bodies.setdefault(request.identity, request.body) == request.body
        assert {request.json()["after"]["id"] for request in self.api.taken()
                if request.json()["op"] != "d"} <= \
            {number for number, row in self.rows.items() if row["amount"] >= LARGE}
        return took

    def postgres_is_up(self):
        try:
            return self.database.value("select true")
        except psycopg2.OperationalError:
            return False

    def close(self):
        self.sink.close()
        self.api.close()
        self.toxiproxy.delete("failures-api")
        for proxy in ("artemis", "postgres"):
            self.toxiproxy.clear(proxy)
        self.database.close()
        drop_database(self.stack, "failures")


@pytest.fixture(scope="module")
def world(stack, tmp_path_factory):
    os.environ.setdefault("ODS_STACK_ARTEMIS_SYNC", "false")  # machines are not killed here
    stack.up("postgres", "artemis", "toxiproxy")
    world = World(stack, tmp_path_factory.mktemp("failures"))
    try:
        world.send([world.customer(number) for number in range(PER_CUSTOMER - 1)] + world.some())
        world.settle("the first rows")
        yield world
        world.daemon.stop()
    finally:
        world.close()


def test_f1_the_broker_is_down_and_back(world, report):
    world.send(world.some())
    os.kill(world.stack.pid("artemis"), signal.SIGKILL)
    world.daemon.await_that(lambda: world.daemon.get("/readyz")[0] != 200, what="it is not ready")
    world.stack.run("up", "artemis")
    world.send(world.some())
    report(f"F1: {world.settle('the broker is back'):.1f} s")


def test_f2_postgresql_is_down_and_back(world, report):
    """By a crash: what was settled was on its disk."""
    world.send(world.some())
    world.await_tables("a part")
    world.send(world.some())
    world.database.close()
    os.kill(world.stack.pid("postgres"), signal.SIGQUIT)
    world.daemon.await_that(lambda: not world.postgres_is_up(), what="PostgreSQL is gone")
    world.send(world.some())
    time.sleep(1)
    world.stack.run("up", "postgres")
    report(f"F2: {world.settle('PostgreSQL is back'):.1f} s")


def test_f3_the_consumer_is_killed(world, report):
    for _ in range(3):
        world.send(world.some())
        world.daemon.kill()
        world.daemon = world.sink.daemon()
    report(f"F3: {world.settle('killed three times'):.1f} s")


def test_f4_the_network_is_cut_and_half_open(world, report):
    for _ in range(3):
        world.send(world.some(20))
        world.toxiproxy.enable("artemis", False)
        world.toxiproxy.enable("artemis")
    world.settle("cut")
    for stream in ("upstream", "downstream"):
        world.toxiproxy.add("artemis", "timeout", stream, timeout=0)  # silence, and nobody says so
    world.send(world.some())
    world.daemon.await_that(lambda: world.daemon.get("/readyz")[0] != 200, what="silence is noticed")
    world.toxiproxy.clear("artemis")
    report(f"F4: {world.settle('half open'):.1f} s")


def test_f5_a_redelivery_storm_and_duplicates(world, report):
    """All that was ever sent comes again, older changes after newer ones; connections end meanwhile."""
    world.settle("before")
    before = world.daemon.metric("ods_sink_changes_redelivered_total")
    world.send(world.sent + world.some() + world.sent[-100:])
    world.toxiproxy.enable("artemis", False)
    world.toxiproxy.enable("artemis")
    took = world.settle("the storm is over")
    again = world.daemon.metric("ods_sink_changes_redelivered_total") - before
    assert again > len(world.sent) / 2
    report(f"F5: {again:.0f} changes came again, {took:.1f} s")


def test_f6_partners_out_of_order_late_and_never(world, report):
    missing = PER_CUSTOMER + 1  # whose customers come later, or not at all
    orders = [world.order(customer=number, amount=999) for number in (missing, missing + 1) * 20]
    world.send(orders)
    world.settle("orders without their customers")
    assert world.database.count("order_view", f"customer >= {missing}") == 0
    world.send([world.customer(missing)])
    late = world.settle("a late customer")
    assert world.database.count("order_view", f"customer = {missing}") == 20
    world.send([world.leave(missing)])
    world.settle("gone again")
    assert world.database.count("order_view", f"customer >= {missing}") == 0
    report(f"F6: the late partner's 20 rows {late:.1f} s")


def test_f7_a_poison_message(world, report):
    """A letter each, in a table of the target; what stands around it goes on."""
    bad = ["no json", '{"op": "x"}', world.orders.create({"id": "seven", "customer": 1, "amount": 1,
                                                          "note": ""})["payload"]]
    messages = world.some(30)
    for number, body in enumerate(bad):
        messages.insert(10 * number, ("failures.orders", f"bad-{number}", body))
    world.send(messages)
    took = world.settle("between bad messages")
    assert world.database.count("ods_sink.letters") == len(bad)
    told = world.sink.run("dlq", "list", "-c", world.sink.conf).stdout
    assert told.count("failures.orders") >= len(bad), told
    report(f"F7: {took:.1f} s")


def test_f8_twenty_times_the_load_and_drain(world, report):
    """5,000 a minute are 83 a second."""
    messages = world.some(2500)
    world.send(messages)
    began = time.monotonic()
    took = world.settle("drained")
    report(f"F8: {len(messages)} messages at once, {len(messages) / (time.monotonic() - began):.0f} a second, "
           f"{took:.1f} s")


def test_f9_the_target_is_slow(world, report):
    world.toxiproxy.add("postgres", "latency", latency=150, jitter=50)
    world.toxiproxy.add("postgres", "bandwidth", "upstream", rate=200)
    for _ in range(3):
        world.send(world.some())
        time.sleep(0.4)
    slow = world.settle("slow")
    world.toxiproxy.clear("postgres")
    world.send(world.some())
    report(f"F9: slow {slow:.1f} s, then {world.settle('quick again'):.1f} s")


def test_f9_the_targets_disk_is_full(world, report):
    """The messages stay with the broker until there is room; none becomes a dead letter."""
    try:
        disk = SmallDisk(world.stack, "failures")
    except OSError as why:
        pytest.skip(f"no small disk can be mounted here: {why}")
    letters = world.database.count("ods_sink.letters")
    admin = psycopg2.connect(host=world.stack["POSTGRES_SOCKET_DIR"], port=world.stack["POSTGRES_PORT"],
                             user=world.stack["POSTGRES_SUPERUSER"], dbname="failures")
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute(f"create tablespace {disk.name} location '{disk.data}'")
        try:
            cursor.execute(f"alter table orders set tablespace {disk.name}")
            disk.fill()
            world.send([world.order(note="x" * 1500) for _ in range(200)])
            world.daemon.await_that(lambda: "No space left on device" in world.daemon.get("/status")[1],
                                    what="it says that the disk is full")
            assert world.broker.count("failures.orders") > 0
            disk.clear()
            took = world.settle("there is room again")
            assert world.database.count("ods_sink.letters") == letters
        finally:
            disk.clear()
            cursor.execute("alter table orders set tablespace pg_default")
            cursor.execute(f"drop tablespace {disk.name}")
            admin.close()
            disk.close()
    report(f"F9: disk full, then {took:.1f} s")


@pytest.mark.parametrize("how", ["5xx", "slow", "refusing", "wrong certificate"])
def test_f10_the_rest_api_fails(world, report, how):
    """Tables and join go on; the alerts wait in the outbox and come when it works again."""
    fail_api(world, how)
    world.send([world.order(amount=950 + number, customer=1) for number in range(20)])
    world.await_tables("the tables while the API fails")
    world.daemon.await_that(lambda: SAYS[how] in world.daemon.get("/status")[1], what=f"it says {SAYS[how]}")
    assert world.database.count("ods_sink.outbox") > 0
    world.api.answer = lambda request: 200
    world.tls.load_cert_chain(world.certificates.path("server.crt"), world.certificates.path("server.key"))
    world.toxiproxy.clear("failures-api")
    report(f"F10: {how}, then {world.settle('the API works'):.1f} s")


SAYS = {"5xx": "503", "slow": "imed out", "refusing": "onnect", "wrong certificate": "certificate"}


def fail_api(world, how):
    if how == "5xx":
        world.api.answer = lambda request: 503
    elif how == "slow":  # beyond the target's timeout_ms
        world.toxiproxy.add("failures-api", "latency", latency=1500)
    elif how == "refusing":
        world.toxiproxy.enable("failures-api", False)
    else:
        world.tls.load_cert_chain(world.certificates.path("elsewhere.crt"),
                                  world.certificates.path("elsewhere.key"))
        world.toxiproxy.enable("failures-api", False)  # connections that are open end
        world.toxiproxy.enable("failures-api")
