"""Dead letters in a table of the target: there before the position moves, read by the commands."""

import json

import pytest
from lib.records import Table, pipeline, row
from lib.sink import Exit, free_port
from lib.waiting import wait_for


@pytest.fixture
def letters(sink, database):
    """A pipeline from the outbox into a table that can't take every row."""
    return Letters(sink, database)


class Letters:
    def __init__(self, sink, database):
        self.sink, self.database = sink, database

    def write(self, dead_letter=None, **more):
        self.sink.http_port = self.sink.http_port or free_port()
        self.sink.write(
            {"name": "in", "topics": ["amounts"], "format": "debezium", "input": {"type": "outbox"},
             "target": "ods", "defaults": {"on_delete": "hard"}},
            targets=[{"name": "ods", "type": "postgres", "dsn": self.database.dsn}],
            dead_letter=dead_letter or {"table": "dead_letters"},
            http={"listen": f"127.0.0.1:{self.sink.http_port}"}, **more)
        self.database.execute("create table if not exists amounts (id int primary key, amount int, "
                              "cdc_operation text, cdc_timestamp timestamptz)")
        return self

    def daemon(self):
        daemon = self.sink.daemon()
        daemon.await_that(lambda: self.database.value(
            "select to_regclass('ods_sink.outbox_reads') is not null"), what="the outbox is made")
        return daemon

    def append(self, number, amount, op="c", **columns):
        names = ["name", "op", "key", "after", *columns]
        self.database.execute(
            f"insert into ods_sink.outbox ({', '.join(names)}) values ({', '.join(['%s'] * len(names))})",
            "amounts", op, json.dumps({"id": number}),
            None if op == "e" else json.dumps({"id": number, "amount": amount}), *columns.values())

    def left(self):
        return self.database.count("ods_sink.outbox")

    def dlq(self, *arguments, expect=Exit.OK):
        return self.sink.run("dlq", arguments[0], "-c", self.sink.conf, *arguments[1:], expect=expect)

    def listed(self, *arguments):
        return json.loads(self.dlq("list", "--json", *arguments).stdout)


def test_letters_are_rows_that_commands_read(letters):
    daemon = letters.write().daemon()
    letters.append(1, 10)
    letters.append(2, "many \x7f \u2028")
    letters.append(3, 30)
    letters.append(4, None, "e", error=json.dumps({"code": "22012", "message": "division by zero"}))
    daemon.await_that(lambda: letters.left() == 0, what="all is sent on")
    daemon.stop()
    assert letters.database.execute("select id, amount from amounts order by id") == [(1, 10), (3, 30)]
    found = letters.database.execute("select id, pipeline, topic, partition, record_offset, stage, code, error, "
                                     "letter ->> 'payload' from ods_sink.dead_letters order by record_offset")
    assert [(one[1], one[2], one[3], one[4], one[5]) for one in found] == [
        ("in", "amounts", 0, 1, "apply"), ("in", "amounts", 0, 3, "derived")]
    assert "division by zero" in found[1][7] and "many" in json.loads(found[0][8])["after"]["amount"]

    listed = letters.listed()
    assert (listed["table"], listed["letters"]) == ("dead_letters", 2)
    assert letters.listed("--stage", "derived")["letters"] == 1
    shown = json.loads(letters.dlq("show", "--json", "amounts:0:1").stdout)
    assert shown["letter"]["table"] == "dead_letters" and shown["record"]["offset"] == 1
    assert {"name": "outbox.name", "value": "amounts"} in shown["headers"]
    assert json.loads(letters.dlq("show", "--json", str(found[0][0])).stdout)["record"]["offset"] == 1

    letters.dlq("replay", "--stage", "apply", expect=Exit.NEGATIVE)
    letters.database.execute("alter table amounts alter amount type text")
    letters.dlq("replay", "--stage", "apply", "--force")
    assert letters.database.value("select amount from amounts where id = 2").startswith("many")
    assert letters.listed()["letters"] == 1
    letters.dlq("skip", "--all")
    assert letters.listed()["letters"] == 0 and letters.listed("--all")["letters"] == 2


def test_the_position_waits_for_the_letter(letters):
    """A letter that can't be written holds its row, and nothing is lost when the daemon is killed then."""
    daemon = letters.write({"table": "public.bad", "target": "ods"}).daemon()
    letters.append(1, 10)
    letters.append(2, "x")
    daemon.await_that(lambda: letters.left() == 0, what="both are sent on")
    other = letters.database.connect()
    other.autocommit = False
    other.cursor().execute("lock table public.bad")
    letters.append(3, "y")
    letters.append(4, 40)
    daemon.await_that(lambda: letters.database.value(
        "select count(*) from pg_locks where not granted and relation = 'public.bad'::regclass") == 1,
        what="the letter waits")
    assert letters.left() == 2 and letters.database.count("amounts") == 1
    daemon.kill()
    other.rollback()
    other.close()
    daemon = letters.daemon()
    daemon.await_that(lambda: letters.left() == 0, what="all is sent on")
    daemon.stop()
    assert letters.database.execute("select id from amounts order by id") == [(1,), (4,)]
    assert {one for one, in letters.database.execute("select record_offset from public.bad")} == {1, 2}


def test_bytes_that_a_text_can_not_hold(letters):
    """A header of any bytes and a NUL: the letter is written all the same."""
    letters.write()
    table = Table()
    record = {**table.create(row(1)), "payload": "no JSON \u0000", "headers": ["h", "v\u0000"]}
    lines = letters.sink.folder / "in.jsonl"
    letters.sink.write(pipeline(table, input={"type": "file", "path": str(lines)}, target="ods"),
                       targets=[{"name": "ods", "type": "postgres", "dsn": letters.database.dsn}],
                       dead_letter={"table": "dead_letters"})
    lines.write_text(json.dumps(record) + "\n")
    daemon = letters.sink.daemon()
    daemon.await_that(lambda: letters.database.count("ods_sink.dead_letters") == 1, what="a letter")
    daemon.stop()
    shown = json.loads(letters.dlq("show", "--json", "1").stdout)
    assert shown["value"] == "no JSON \u0000"


WAITING = "ods_sink_dead_letters_waiting"


def waiting(daemon):
    """What /status tells of it too."""
    told = json.loads(daemon.get("/status")[1])["dead_letters"]
    assert all((one["oldest_at"] is None) == (one["waiting"] == 0) for one in told)
    return {one["pipeline"]: one["waiting"] for one in told}


def test_how_many_wait(letters):
    """Over a restart, and until they are replayed or skipped, by whomever; the last letter of a record counts."""
    daemon = letters.write(log={"level": "info"}).daemon()
    daemon.await_that(lambda: daemon.metric(WAITING) == 0, what="there is no table, so none waits")
    for number in range(1, 4):
        letters.append(number, "many")
    daemon.await_that(lambda: daemon.metric(WAITING) == 3, what="three wait")
    daemon.stop()
    daemon = letters.daemon()
    daemon.await_that(lambda: daemon.metric(WAITING) == 3, what="they still wait")
    assert waiting(daemon) == {"in": 3}
    assert "▲ in: 3 dead letters wait, the oldest since 20" in letters.sink.run("status", "-c", letters.sink.conf).stdout
    letters.database.execute("insert into ods_sink.dead_letters (pipeline, topic, partition, record_offset, stage, error, letter) "
                             "select pipeline, topic, partition, record_offset, stage, error, letter "
                             "from ods_sink.dead_letters where record_offset = 1")
    letters.database.execute("alter table amounts alter amount type text")
    letters.dlq("replay", "--offset", "0-1", "--force")
    daemon.await_that(lambda: daemon.metric(WAITING) == 1, what="two were replayed, one of them by its last letter")
    letters.dlq("skip", "--all")
    daemon.await_that(lambda: daemon.metric(WAITING) == 0, what="one was skipped")
    assert "▲" not in letters.sink.run("status", "-c", letters.sink.conf).stdout
    assert waiting(daemon) == {"in": 0} and letters.listed("--all")["letters"] == 3
    letters.database.execute("alter table ods_sink.dead_letters rename column at to at_")
    daemon.await_that(lambda: "dead letters that wait in the table dead_letters can't be counted" in daemon.log(),
                      what="the log says so")
    assert daemon.metric(WAITING) == 0
    daemon.stop()


def test_how_many_of_a_queue_wait(letters):
    """Records of a queue are known by their identity; another schema and a name that has to be quoted; what stands elsewhere
    is not counted."""
    queue = {"name": "the \"queue\"", "topics": ["queued"], "format": "json", "input": {"type": "messages", "listen": f"127.0.0.1:{free_port()}"},
             "target": "ods", "defaults": {"key": ["id"]}}
    files = {"name": "files", "topics": ["lines"], "format": "json", "input": {"type": "file", "path": str(letters.sink.folder / "in.jsonl")},
             "target": "files"}
    letters.sink.http_port = free_port()
    letters.sink.write(queue, files, dead_letter={"table": "public.Late ones", "target": "ods"},
                       targets=[{"name": "ods", "type": "postgres", "dsn": letters.database.dsn, "schema": "own schema"},
                                {"name": "files", "type": "file", "directory": str(letters.sink.folder)}],
                       http={"listen": f"127.0.0.1:{letters.sink.http_port}"})
    daemon = letters.sink.daemon()
    daemon.await_that(lambda: daemon.metric(WAITING) == 0)
    place = 'public."Late ones"'
    letters.database.execute(f"create table {place} (id bigint generated always as identity primary key, at timestamptz not null default "
                             "clock_timestamp(), pipeline text, topic text, partition int, record_offset bigint, stage text, code "
                             "text, error text, letter json)")
    for pipeline_, offset, identity in ((queue, 0, "a"), (queue, 7, "a"), (queue, 7, "b\u0000"), (queue, 9, None),
                                        (files, 1, None)):
        headers = {"ods.topic": "queued", "ods.partition": "0", "ods.offset": str(offset), **({"ods.identity": identity} if identity else {}),
                   "ods.pipeline": pipeline_["name"], "ods.stage": "apply", "ods.error": "ods.identity"}
        line = {"topic": "queued", "partition": 0, "offset": offset, "ts": 1, "payload": "{}",
                "headers": [text for pair in headers.items() for text in pair]}
        letters.database.execute(f"insert into {place} (pipeline, topic, partition, record_offset, stage, error, letter) "
                                 "values (%s, 'queued', 0, %s, 'apply', 'x', %s)", pipeline_["name"], offset, json.dumps(line, separators=(",", ":")))
    assert letters.listed("--pipeline", queue["name"])["letters"] == 3
    daemon.await_that(lambda: daemon.metric(WAITING) == 3, what="those of the queue")
    assert waiting(daemon) == {queue["name"]: 3}
    letters.dlq("skip", "--pipeline", queue["name"], "--offset", "7")
    assert letters.listed("--pipeline", queue["name"])["letters"] == 1
    daemon.await_that(lambda: daemon.metric(WAITING) == 1, what="two were skipped")
    daemon.stop()


def test_what_is_refused(letters):
    def refused(text, dead_letter):
        done = letters.write(dead_letter).sink.check(expect=Exit.CONFIG)
        assert text in done.stderr

    refused("set one of them", {"table": "a", "topic": "b"})
    refused("dead_letter.target names no target of type postgres", {"table": "a", "target": "b"})
    refused("expects \"table\" or \"schema.table\"", {"table": "a.b.c"})
    letters.write({"address": "x", "broker": "y"}).sink.check(expect=Exit.CONFIG)
