"""The outbox: what transactions leave there goes on to any target, in commit order, and is then gone."""

import json
import signal
import threading
import time

import pytest
from lib.derived import add_derived
from lib.endpoint import Endpoint
from lib.records import Table, pipeline, row
from lib.sink import Exit, free_port
from lib.waiting import wait_for


@pytest.fixture
def endpoint():
    made = Endpoint()
    yield made
    made.close()


@pytest.fixture
def outbox(sink, database):
    return Outbox(sink, database)


class Outbox:
    """Configurations with an outbox in `database`, and what a writer leaves in it."""

    def __init__(self, sink, database):
        self.sink, self.database = sink, database
        self.home = {"name": "home", "type": "postgres", "dsn": database.dsn}

    def write(self, *targets, names=("alerts",), inputs=None, **settings):
        self.sink.http_port = self.sink.http_port or free_port()
        pipe = {"name": "out", "topics": list(names), "format": "debezium",
                "input": {"type": "outbox", "target": "home", **(inputs or {})}, **settings}
        pipe.setdefault("target", targets[0]["name"] if targets else "home")
        self.sink.write(pipe, targets=[self.home, *targets],
                        http={"listen": f"127.0.0.1:{self.sink.http_port}"})
        return self

    def daemon(self):
        daemon = self.sink.daemon()
        daemon.await_that(lambda: self.database.value(
            "select to_regclass('ods_sink.outbox_reads') is not null"), what="the outbox is made")
        return daemon

    def transaction(self):
        connection = self.database.connect()
        connection.autocommit = False
        return connection

    def append(self, *numbers, name="alerts", connection=None, **columns):
        execute = self.database.execute if connection is None else (
            lambda sql, *values: connection.cursor().execute(sql, values))
        for number in numbers:
            execute("insert into ods_sink.outbox (name, op, key, after) values (%s, 'c', %s, %s)",
                    name, json.dumps({"id": number}),
                    json.dumps({"id": number, "text": f"alert {number}", **columns}))

    def left(self, name="alerts"):
        return self.database.count("ods_sink.outbox", f"name = '{name}'")

    def await_empty(self, daemon, name="alerts"):
        daemon.await_that(lambda: self.left(name) == 0, what="the outbox is empty")


def http(endpoint, **settings):
    return {"name": "api", "type": "http", "url": endpoint.url + "/alerts",
            "max_in_flight": 1, **settings}


def ids(requests):
    return [request.json()["key"]["id"] for request in requests]


def test_rows_are_sent_on_in_order_and_deleted(outbox, endpoint):
    outbox.write(http(endpoint))
    daemon = outbox.daemon()
    outbox.append(*range(20))
    outbox.database.execute(
        "insert into ods_sink.outbox (name, op, key, before) values ('alerts', 'd', '{\"id\": 3}', "
        "'{\"id\": 3, \"text\": \"old\"}'), ('others', 'd', '{\"id\": 3}', '{}')")
    outbox.await_empty(daemon)
    daemon.stop()
    assert ids(endpoint.requests) == [*range(20), 3]
    last = endpoint.requests[-1].json()
    assert (last["op"], last["before"]["text"], last["table"]) == ("d", "old", "alerts")
    assert endpoint.requests[0].json()["after"] == {"id": 0, "text": "alert 0"}
    assert len({request.identity for request in endpoint.requests}) == 21
    assert outbox.left("others") == 1
    assert outbox.database.count("ods_sink.outbox_reads") == 0


def test_a_condition_decides_what_is_an_alert(outbox, endpoint):
    outbox.write(http(endpoint), transforms=[
        {"type": "filter", "lua": "after.total > 100"},
        {"type": "set", "columns": {"level": "high"}}])
    daemon = outbox.daemon()
    for number, total in enumerate((50, 150, 99, 101)):
        outbox.append(number, total=total)
    outbox.await_empty(daemon)
    daemon.stop()
    assert ids(endpoint.requests) == [1, 3]
    assert endpoint.requests[0].json()["after"]["level"] == "high"


def test_open_transactions_hold_up_nothing_and_lose_nothing(outbox, endpoint):
    """Ids are taken before the commit: what is committed later has lower ids than what was sent on."""
    outbox.write(http(endpoint))
    daemon = outbox.daemon()
    slow, gone = outbox.transaction(), outbox.transaction()
    outbox.append(1, 2, connection=slow)
    outbox.append(3, connection=gone)
    outbox.append(4, 5)
    wait_for(lambda: ids(endpoint.requests) == [4, 5], 20)
    outbox.append(6, connection=slow)
    outbox.append(7)
    wait_for(lambda: ids(endpoint.requests) == [4, 5, 7], 20)
    gone.rollback()
    slow.commit()
    wait_for(lambda: ids(endpoint.requests) == [4, 5, 7, 1, 2, 6], 20,
             lambda: str(ids(endpoint.requests)))
    outbox.append(8)
    outbox.await_empty(daemon)
    daemon.stop()
    assert ids(endpoint.requests) == [4, 5, 7, 1, 2, 6, 8]
    slow.close()
    gone.close()


def test_what_no_transaction_has_committed_is_not_sent(outbox, endpoint):
    outbox.write(http(endpoint))
    daemon = outbox.daemon()
    other = outbox.transaction()
    outbox.append(1, connection=other)
    other.rollback()
    outbox.append(2)
    outbox.await_empty(daemon)
    daemon.stop()
    assert ids(endpoint.requests) == [2]
    other.close()


@pytest.mark.parametrize("target", ["http", "postgres", "file"])
def test_kills_lose_nothing(outbox, endpoint, databases, tmp_path, target):
    """Killed again and again: nothing is lost; twice comes only what an endpoint was asked twice, under
    the same key; where the target stores offsets each row comes once."""
    elsewhere = databases() if target == "postgres" else None
    out = {"http": http(endpoint),
           "postgres": elsewhere and {"name": "ods", "type": "postgres", "dsn": elsewhere.dsn},
           "file": {"name": "files", "type": "file", "directory": str(tmp_path / "out"),
                    "flush_ms": 20}}[target]
    if target == "file":
        (tmp_path / "out").mkdir()
    settings = {"defaults": {"key": ["id"], "on_delete": "hard"}} if target == "postgres" else {}
    outbox.write(out, inputs={"prefetch_bytes": 65536}, **settings)
    total = 1500
    writer = outbox.transaction()
    daemon = outbox.daemon()

    def append():
        for first in range(0, total, 25):
            outbox.append(*range(first, first + 25), connection=writer)
            if first % 100 == 50:
                writer.rollback()
                outbox.append(*range(first, first + 25), connection=writer)
            writer.commit()
            time.sleep(0.01)

    thread = threading.Thread(target=append)
    thread.start()
    for _ in range(5):
        time.sleep(0.25)
        daemon.kill()
        daemon = outbox.sink.daemon()
    thread.join()
    outbox.await_empty(daemon)
    daemon.stop()
    writer.close()
    if target == "http":
        taken = endpoint.taken()
        assert set(ids(taken)) == set(range(total))
        by_key = {}
        for request in taken:
            by_key.setdefault(request.identity, set()).add(request.body)
        assert len(by_key) == total and all(len(bodies) == 1 for bodies in by_key.values())
    elif target == "postgres":
        assert elsewhere.count("alerts") == total
        assert elsewhere.value("select next_offset from ods_sink.offsets where topic = 'alerts'") == total
    else:
        lines = [json.loads(line) for path in sorted((tmp_path / "out").rglob("*"))
                 if path.is_file() and path.name.startswith("changes")
                 for line in path.read_text().splitlines()]
        assert [line["key"]["id"] for line in lines] == list(range(total))


def test_each_row_comes_once_where_the_target_stores_offsets(outbox, databases):
    """The database of the outbox goes away in the middle, and what was read has its number again."""
    elsewhere = databases()
    outbox.write({"name": "ods", "type": "postgres", "dsn": elsewhere.dsn},
                 defaults={"history": True, "key": ["id"]})
    daemon = outbox.daemon()
    for round_ in range(4):
        outbox.append(*range(round_ * 100, round_ * 100 + 100))
        outbox.database.execute(
            "select pg_terminate_backend(l.pid) from pg_locks l where l.locktype = 'advisory' "
            "and l.pid <> pg_backend_pid() and l.database = (select oid from pg_database "
            "where datname = current_database())")
    outbox.await_empty(daemon)
    daemon.stop()
    assert elsewhere.count("alerts") == 400 and elsewhere.count("alerts_cdc") == 400


def test_one_reads_and_another_takes_over(outbox, endpoint):
    outbox.write(http(endpoint), lanes=2)
    first = outbox.daemon()
    outbox.append(1)
    outbox.await_empty(first)
    outbox.sink.http_port = free_port()
    outbox.write(http(endpoint))
    second = outbox.sink.daemon()
    second.await_ready()
    outbox.append(2)
    outbox.await_empty(second)
    assert "reads alerts of the outbox" in first.log()
    assert "reads alerts of the outbox" not in second.log()
    first.kill()
    outbox.append(3)
    outbox.await_empty(second)
    assert "reads alerts of the outbox" in second.log()
    second.stop()
    assert ids(endpoint.requests) == [1, 2, 3]


def test_a_reader_that_stands_still_is_replaced(outbox, databases):
    """And when it goes on it has lost its place: each row comes once where offsets are stored."""
    elsewhere = databases()
    outbox.home["idle_in_transaction_timeout_ms"] = 1000
    ods = {"name": "ods", "type": "postgres", "dsn": elsewhere.dsn}
    outbox.write(ods, defaults={"history": True, "key": ["id"]})
    first = outbox.daemon()
    outbox.append(*range(10))
    outbox.await_empty(first)
    outbox.sink.http_port = free_port()
    outbox.write(ods, defaults={"history": True, "key": ["id"]})
    second = outbox.sink.daemon().await_ready()
    first.signal(signal.SIGSTOP)
    outbox.append(*range(10, 20))
    outbox.await_empty(second)
    first.signal(signal.SIGCONT)
    outbox.append(*range(20, 30))
    outbox.await_empty(second)
    wait_for(lambda: elsewhere.count("alerts_cdc") == 30, 30)
    first.stop()
    second.stop()
    assert elsewhere.count("alerts_cdc") == elsewhere.count("alerts") == 30
    assert "reads alerts of the outbox" in second.log()


def test_an_endpoint_that_is_away_holds_rows_and_memory(outbox, endpoint):
    """Rows wait in the table, and what is read ahead of them is bounded."""
    outbox.write(http(endpoint), inputs={"prefetch_bytes": 65536})
    daemon = outbox.daemon()
    outbox.append(0)
    outbox.await_empty(daemon)
    endpoint.answer = lambda request: 503
    outbox.database.execute(
        "insert into ods_sink.outbox (name, op, key, after) select 'alerts', 'c', "
        "jsonb_build_object('id', n), json_build_object('id', n, 'text', repeat('x', 10000)) "
        "from generate_series(1, 400) n")
    daemon.await_that(lambda: (daemon.metric("ods_sink_partition_lag_records") or 0) >= 399,
                      what="what waits is counted")
    assert outbox.left() == 400
    endpoint.answer = lambda request: 200
    outbox.await_empty(daemon)
    daemon.stop()
    assert ids(endpoint.taken()) == list(range(401))


def test_what_is_refused(outbox, endpoint):
    def refused(text, **settings):
        done = outbox.write(http(endpoint), **settings).sink.check(expect=Exit.CONFIG)
        assert text in done.stderr + done.stdout

    refused("input.target names no target of type postgres", inputs={"target": "api"})
    refused("the pattern '^a' can't be looked for", names=["^a"])
    refused("'idle_ms' (2) is less than 'poll_ms' (5)", inputs={"idle_ms": 2})
    both = {"topics": ["alerts"], "format": "debezium", "input": {"type": "outbox", "target": "home"},
            "target": "api"}
    outbox.sink.write({"name": "a", **both}, {"name": "b", **both}, targets=[outbox.home, http(endpoint)])
    assert "reads alerts from the outbox, and so does \"a\"" in outbox.sink.check(expect=Exit.CONFIG).stderr


def test_changes_of_a_table_go_into_the_outbox(outbox, endpoint):
    """In the transaction that makes them, whoever makes it; a key that changes is two changes."""
    table = Table()
    outbox.sink.write(pipeline(table, target="home", defaults={
        "on_delete": "hard", "outbox": True, "cdc_timestamp": False, "cdc_operation": False}),
        targets=[outbox.home])
    outbox.sink.replay([table.create(row(1)), table.create(row(2)), table.create(row(3))])
    outbox.sink.replay([table.update(row(1), row(1, 5)), table.update(row(2), row(2)),
                        table.delete(row(3))])
    outbox.database.execute("update items set id = 7 where id = 2")
    outbox.database.execute("update items set amount = amount")
    found = outbox.database.execute(
        "select op, key::text, before ->> 'amount', after ->> 'amount' from ods_sink.outbox "
        "where name = 'public.items' order by id")
    assert sorted(found[:3]) == [("c", f'{{"id": {number}}}', None, "0") for number in (1, 2, 3)]
    assert sorted(found[3:5]) == [("d", '{"id": 3}', "0", None), ("u", '{"id": 1}', "0", "5")]
    assert found[5:] == [("d", '{"id": 2}', "0", None), ("c", '{"id": 7}', None, "0")]
    outbox.write(http(endpoint), names=["public.items"])
    daemon = outbox.sink.daemon()
    outbox.await_empty(daemon, "public.items")
    daemon.stop()
    sent = [request.json() for request in endpoint.requests]
    assert [(one["op"], one["key"]["id"]) for one in sent] == [
        (op, json.loads(key)["id"]) for op, key, _, _ in found]
    assert sent[0]["table"] == "items" and sent[0]["schema"] == "public"


def test_a_table_leaves_the_outbox_again(outbox):
    table = Table()
    for number, follows, expected in ((1, True, 1), (2, False, 1), (3, True, 2)):
        outbox.sink.write(pipeline(table, target="home", defaults={"outbox": follows}),
                          targets=[outbox.home])
        outbox.sink.replay([table.create(row(number))])
        assert outbox.database.count("ods_sink.outbox") == expected


def test_other_targets_have_no_outbox(outbox, endpoint):
    outbox.sink.write(pipeline(Table(), target="api", defaults={"outbox": True}),
                      targets=[http(endpoint)])
    assert "needs a target of type postgres" in outbox.sink.check(expect=Exit.CONFIG).stderr


def test_alerts_of_a_derived_table(outbox, endpoint):
    """From a row of one table, joined to another, to a request: only what meets the condition, once."""
    outbox.database.execute("create table orders (id int primary key, customer int, total int)")
    outbox.database.execute("create table customers (id int primary key, name text)")
    outbox.write(http(endpoint), names=["big"], transforms=[{"type": "filter", "lua": "after.total > 100"}])
    add_derived(outbox.sink, [{
        "name": "big", "key": ["id"], "outbox": True,
        "query": "select o.id, o.total, c.name from orders o join customers c on c.id = o.customer",
        "depends": {"orders": {"by": ["id"], "triggers": True},
                    "customers": {"by": ["id"], "triggers": True,
                                  "keys": "select o.id from changed join orders o on o.customer = changed.id"}}}])
    daemon = outbox.daemon()
    daemon.await_that(lambda: outbox.database.exists("big"), what="the derived table is made")
    outbox.database.execute("insert into customers select n, 'c' || n from generate_series(1, 2) n")
    outbox.database.execute("insert into orders values (1, 1, 50), (2, 1, 500), (3, 2, 900), (4, 7, 900)")
    daemon.await_that(lambda: sorted(ids(endpoint.requests)) == [2, 3], what="two alerts")
    outbox.database.execute("insert into customers values (7, 'late')")
    daemon.await_that(lambda: sorted(ids(endpoint.requests)) == [2, 3, 4], what="that of the late partner")
    outbox.await_empty(daemon, "big")
    daemon.stop()
    assert endpoint.requests[-1].json()["after"] == {"id": 4, "total": 900, "name": "late"}
