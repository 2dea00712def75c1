"""What operators do over HTTP: who may, what is said before and after, what the target's audit keeps, and that
nobody else waits for it."""

import http.client
import json
import threading
import time

import pytest
from lib.records import Table, pipeline, row
from lib.sink import Exit
from lib.waiting import wait_for

TOKEN, OTHER, READER = "ada's-token-that-nobody-guesses", "ben's-token-that-nobody-guesses", "a-reader's-token"
OPERATORS = {"operators": [{"name": "ada", "token": TOKEN}, {"name": "ben", "token": OTHER}]}
ACTIONS = ("pause", "resume", "replay", "verify")


def ask(daemon, path, body=None, token=TOKEN, method="POST", **headers):
    """(status, JSON, headers) of a request; body: an object, or text as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.setup.http_port, timeout=60)
    text = body if isinstance(body, str) else json.dumps(body or {})
    headers = {"Content-Type": "application/json", **headers}
    if token:
        headers.setdefault("Authorization", "Bearer " + token)
    try:
        connection.request(method, path, text.encode(), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read()), dict(answer.getheaders())
    finally:
        connection.close()


def act(daemon, action, expect=200, token=TOKEN, **body):
    code, said, _ = ask(daemon, "/actions/" + action, body, token)
    assert code == expect, said
    return said


def status(daemon):
    return json.loads(daemon.get("/status")[1])


def audit(database):
    return database.execute("select who, origin, action, pipeline, table_name, topics, reason, answer "
                            "from ods_sink.audit order by id")


def asked(daemon, action, result):
    label = f'ods_sink_actions_total{{action="{action}",result="{result}"}} '
    return next(float(line[len(label):]) for line in daemon.get("/metrics")[1].splitlines() if line.startswith(label))


def test_off_unless_somebody_is_named(sink, database, kafka, table):
    sink.write(pipeline(table), database=database, kafka=True)
    daemon = sink.daemon().await_ready()
    assert status(daemon)["actions"] is False
    for action in ACTIONS:
        code, said, _ = ask(daemon, "/actions/" + action, {"topic": table.topic, "reason": "x"})
        assert code == 403 and "http.operators" in said["error"]
    assert daemon.metric("ods_sink_actions_total") is None
    daemon.stop()


def test_who_may_not_and_what_is_no_request(sink, database, kafka, table):
    sink.write(pipeline(table), database=database, kafka=True, http={**OPERATORS, "token": READER})
    shown = sink.check()
    daemon = sink.daemon()
    daemon.await_that(lambda: daemon.get("/readyz")[0] == 200)
    paused = {"topic": table.topic, "reason": "x"}
    for token, headers in ((None, {}), (READER, {}), (TOKEN[:-1], {}), (None, {"Authorization": TOKEN}),
                           (None, {"Authorization": "Basic YWRhOmFkYSdzLXRva2VuLXRoYXQtbm9ib2R5LWd1ZXNzZXM="})):
        code, said, got = ask(daemon, "/actions/pause", paused, token, **headers)
        assert code == 401 and "operator" in said["error"], said
        assert got["WWW-Authenticate"].startswith("Bearer"), "no browser asks for a password"
    for headers in ({"Origin": "https://elsewhere.test"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
                    {"Sec-Fetch-Site": "same-site", "Origin": f"http://127.0.0.1:{sink.http_port}"}):
        assert ask(daemon, "/actions/pause", paused, **headers)[0] == 403, headers
    here = {"Origin": f"http://127.0.0.1:{sink.http_port}", "Sec-Fetch-Site": "same-origin"}
    for code, path, body, more in (
            (405, "pause", paused, {"method": "GET"}), (404, "stop", paused, {}), (400, "pause", "{", {}),
            (400, "pause", "[]", here), (400, "pause", {"topic": table.topic}, here), (400, "pause", {"reason": "x"}, {}),
            (400, "pause", {**paused, "table": "items"}, {}), (413, "pause", {"reason": "x" * 20000}, {}),
            (415, "pause", paused, {"Content-Type": "text/plain"}), (404, "pause", {**paused, "pipeline": "nobody's"}, {}),
            (404, "pause", {"topic": "nobody's", "reason": "x"}, {}),
            (404, "pause", {"table": "nobodys", "reason": "x"}, {}), (409, "resume", {"topic": table.topic}, {}),
            (409, "replay", {}, {}), (409, "verify", {}, {})):
        got, said, _ = ask(daemon, "/actions/" + path, body, **more)
        assert got == code and said["error"], (path, body, got, said)
    assert not status_with(daemon, READER)["paused"]
    rows = audit(database)
    assert [one[2] for one in rows] == ["resume"] and rows[0][7].startswith("refused: "), "what was tried"

    # One token may not be guessed by trying many.
    for _ in range(10):
        ask(daemon, "/actions/pause", paused, "x" * 30)
    assert ask(daemon, "/actions/pause", paused)[0] == 429, "the right one neither"
    said = daemon.log() + shown.stdout + shown.stderr
    assert TOKEN not in said and OTHER not in said and "ten wrong operators' tokens from 127.0.0.1" in said
    daemon.stop()


def status_with(daemon, token):
    return ask(daemon, "/status", method="GET", token=token)[1]


def test_a_table_is_held_and_goes_on(sink, database, kafka, prefix):
    tables = {name: Table(name, prefix=prefix) for name in ("items", "orders")}
    for one in tables.values():
        kafka.create(one.topic, 1)
    sink.write(pipeline(f"^{prefix}\\.shop\\..*", name="shop"), database=database, kafka=True, http=OPERATORS)
    daemon = sink.daemon().await_ready()
    assert status(daemon)["actions"] is True
    kafka.produce([one.create(row(1)) for one in tables.values()])
    daemon.await_that(lambda: database.count("items") == database.count("orders") == 1, what="rows")
    told = act(daemon, "pause", table="items", dry_run=True)
    assert not told["done"] and told["says"].startswith(f"public.items (topic {tables['items'].topic}) will be held")
    assert "no row is written until somebody resumes it" in told["says"] and audit(database) == []
    told = act(daemon, "pause", pipeline="shop", table="shop.items", reason="an index is built")
    assert told["done"] and told["topics"] == [tables["items"].topic]
    assert told["says"] == f"public.items (topic {tables['items'].topic}) is paused: the process of the group obeys."
    kafka.produce([one.create(row(2)) for one in tables.values()])
    daemon.await_that(lambda: database.count("orders") == 2, what="the others go on")
    held, = status(daemon)["paused"]
    assert (held["topic"], held["by"], held["reason"]) == (tables["items"].topic, "ada", "an index is built")
    daemon.await_that(lambda: status(daemon)["paused"][0]["backlog"] == 1, what="what waits")
    assert database.count("items") == 1
    assert "; 1 record waits." in act(daemon, "resume", topic=tables["items"].topic, dry_run=True)["says"]
    act(daemon, "resume", topic=tables["items"].topic, token=OTHER)
    daemon.await_that(lambda: database.count("items") == 2, what="it goes on")
    assert "is running" in act(daemon, "resume", table="items", expect=409)["error"]
    sink.run("pause", "-c", sink.conf, "orders", "--reason", "by command")
    rows = audit(database)
    topics = [tables[name].topic for name in ("items", "items", "items", "orders")]
    assert [(one[0], one[1], one[2], one[4], one[5], one[6]) for one in rows[:3]] == [
        ("ada", "127.0.0.1", "pause", "shop.items", [topics[0]], "an index is built"),
        ("ben", "127.0.0.1", "resume", "public.items", [topics[0]], ""),
        ("ada", "127.0.0.1", "resume", "items", [topics[0]], "")]
    assert "is paused" in rows[0][7] and "goes on" in rows[1][7] and rows[2][7].startswith("refused: ")
    assert rows[3][1:7] == ("command", "pause", "shop", "orders", [topics[3]], "by command") and "order" in rows[3][7]
    assert asked(daemon, "pause", "done") == 1 and asked(daemon, "resume", "refused") == 1
    assert "pause by operator ada from 127.0.0.1: public.items" in daemon.log()
    daemon.stop()


def test_tables_that_share_a_topic_stand_together(sink, database, kafka, table):
    other = Table("orders", prefix=table.prefix)
    sink.write(pipeline(table), database=database, kafka=True, http=OPERATORS)
    daemon = sink.daemon().await_ready()
    kafka.produce([table.create(row(1)), {**other.create(row(1)), "topic": table.topic}])
    daemon.await_that(lambda: database.count("items") == database.count("orders") == 1, what="both tables")
    assert "carries several tables" in act(daemon, "pause", table="items", reason="x", expect=409)["error"]
    assert act(daemon, "pause", topic=table.topic, dry_run=True)["says"].startswith("public.items, public.orders (topic ")
    assert act(daemon, "pause", table="items", whole_topic=True, reason="x")["done"]
    daemon.stop()


def test_letters_are_replayed(sink, database, kafka, prefix, table):
    letters = kafka.create(f"{prefix}.letters", 1)
    database.execute("create table items (id int primary key, name varchar(5), amount int, cdc_operation text, "
                     "cdc_timestamp timestamptz)")
    sink.write(pipeline(table), database=database, kafka=True, dead_letter={"topic": letters}, http=OPERATORS)
    daemon = sink.daemon().await_ready()
    kafka.produce([table.create({**row(number), "name": "x" * 10}) for number in (1, 2)])
    daemon.await_that(lambda: daemon.metric("ods_sink_records_rejected_total") == 2, what="letters")
    assert act(daemon, "replay", dry_run=True)["says"].startswith("2 dead letters of pipeline items will be applied")
    told = act(daemon, "replay")
    assert (told["details"]["replayed"], told["details"]["refused"]) == (0, 2) and "stay letters" in told["says"]
    database.execute("alter table items alter column name type text")
    told = act(daemon, "replay", topic=table.topic)
    assert told["says"] == "2 dead letters were applied." and database.count("items") == 2
    assert act(daemon, "replay", dry_run=True)["says"].startswith("0 dead letters")
    assert [one[2:5] + one[7:] for one in audit(database)][1] == ("replay", "items", "", told["says"])
    daemon.stop()


def test_a_comparison_begins(sink, databases, kafka, table):
    source, target = databases(), databases()
    source.execute("create schema shop")
    source.execute("create table shop.items (id int primary key, name text, amount int)")
    source.execute("insert into shop.items values (1, 'n1', 0)")
    sink.write(pipeline(table, database="shop", verify={"every": "1d"}), database=target, kafka=True, http=OPERATORS,
               databases=[{"name": "shop", "type": "postgres", "dsn": source.dsn, "check_every": "0"}])
    kafka.produce([table.create(row(1))])
    daemon = sink.daemon().await_ready()

    def last():
        return status(daemon)["verify"][0]["last"] or {}

    daemon.await_that(lambda: last().get("result") == "equal", 90, what=lambda: f"the first one: {status(daemon)['verify']}")
    first = last()["ended_at"]
    assert "compared with its source shop now" in act(daemon, "verify", dry_run=True)["says"]
    target.execute("update items set amount = 9")
    assert last()["ended_at"] == first
    assert "begins" in act(daemon, "verify")["says"]
    daemon.await_that(lambda: last()["result"] == "differs" and last()["ended_at"] > first, 90, what="another one")
    assert [one[2] for one in audit(target)] == ["verify"]
    daemon.stop()


REFUSE = """
create or replace function ods_sink.refuse() returns trigger language plpgsql as
    $$ begin raise insufficient_privilege using message = 'nothing is kept'; end $$;
create trigger refuse before insert on ods_sink.audit execute function ods_sink.refuse();
"""


def test_what_cannot_be_audited_is_not_done(sink, database, kafka, table, tmp_path):
    sink.write(pipeline(table), database=database, kafka=True, http=OPERATORS)
    daemon = sink.daemon().await_ready()
    database.execute(REFUSE)
    said = act(daemon, "pause", topic=table.topic, reason="x", expect=503)["error"]
    assert said.startswith("nothing was done, since it can't be audited: ") and "nothing is kept" in said
    assert not status(daemon)["paused"] and database.count("ods_sink.table_control") == 0
    # A command's order stands all the same: it says so.
    said = sink.run("pause", "-c", sink.conf, table.topic, "--reason", "x").stderr
    assert "it is not in the audit" in said and database.count("ods_sink.table_control") == 1
    daemon.stop()
    # A schema that an older version made gets the table.
    database.execute("drop table ods_sink.audit")
    daemon = sink.daemon().await_ready()
    act(daemon, "resume", topic=table.topic)
    assert len(audit(database)) == 1
    daemon.stop()
    (tmp_path / "out").mkdir()
    sink.write(pipeline(table), targets=[{"name": "ods", "type": "file", "directory": str(tmp_path / "out")}], kafka=True,
               http=OPERATORS)
    daemon = sink.daemon()
    daemon.await_that(lambda: daemon.get("/readyz")[0] == 200)
    assert "keeps no audit" in act(daemon, "pause", topic=table.topic, reason="x", expect=409)["error"]
    daemon.stop()


def test_nobody_waits_for_one_that_does(sink, database, kafka, table):
    """Four that hang in the target: what reads is answered, a fifth refused; and the daemon ends in time."""
    sink.write(pipeline(table), database=database, kafka=True, http=OPERATORS)
    daemon = sink.daemon().await_ready()
    lock = database.connect()
    lock.autocommit = False
    answers = []

    def pause():
        try:
            answers.append(ask(daemon, "/actions/pause", {"topic": table.topic, "reason": "x"})[0])
        except (OSError, http.client.HTTPException):
            answers.append(None)

    def hang():
        lock.cursor().execute("lock table ods_sink.table_control in share row exclusive mode")
        threads = [threading.Thread(target=pause) for _ in range(4)]
        for thread in threads:
            thread.start()
        wait_for(lambda: database.count("ods_sink.audit", "answer is null") == 4, 60, "four that hang")
        return threads

    threads = hang()
    took = []
    for _ in range(20):
        began = time.monotonic()
        assert daemon.get("/metrics")[0] == 200
        took.append(time.monotonic() - began)
    assert sorted(took)[10] < 1, took
    assert "too many" in act(daemon, "pause", topic=table.topic, reason="x", expect=503)["error"]
    kafka.produce([table.create(row(1))])
    lock.rollback()
    for thread in threads:
        thread.join(60)
    assert answers == [200] * 4 and len(status(daemon)["paused"]) == 1
    act(daemon, "resume", topic=table.topic)
    daemon.await_that(lambda: database.count("items") == 1)

    # What came of these is not known, and so the audit has it.
    answers.clear()
    database.execute("delete from ods_sink.audit")
    threads = hang()
    daemon.stop(timeout_s=30)
    for thread in threads:
        thread.join(60)
    lock.close()
    assert all(code in (503, None) for code in answers) and len(answers) == 4, answers
    kept = audit(database)
    assert len(kept) == 4 and all(one[7] is None or "is not known" in one[7] for one in kept)


@pytest.mark.parametrize("operators, says", [
    ([{"name": "ada", "token": "short"}], "at least 16 bytes"),
    ([{"name": "ada"}], "token"),
    ([{"name": "ada", "token": TOKEN}, {"name": "ada", "token": OTHER}], "same name or token"),
    ([{"name": "ada", "token": TOKEN}, {"name": "ben", "token": TOKEN}], "same name or token"),
    ([{"name": "ada", "token": READER}], "http.token too"),
])
def test_operators_that_are_refused(sink, database, table, operators, says):
    sink.write(pipeline(table), database=database, http={"listen": "127.0.0.1:0", "token": READER, "operators": operators})
    refused = sink.check(expect=Exit.CONFIG)
    said = refused.stdout + refused.stderr
    assert says in said and TOKEN not in said and READER not in said
