"""Records that can't be decoded or applied are set aside with their reasons; the others are there."""

import json

import pytest
from lib.records import Table, pipeline
from lib.sink import Exit, read_lines

MALFORMED = '{"schema": {"type": "struct"'


def good(table, first, count):
    return [table.create({"id": number, "name": f"n{number}", "amount": number})
            for number in range(first, first + count)]


def mixed(table):
    """20 good rows with a malformed record (offset 10) and an unappliable one (11) between them:
    its text is longer than the column."""
    records = good(table, 0, 10)
    records.append(table.record(table.create({"id": 100})["key"], MALFORMED,
                                headers=["trace", "abc"]))
    # create() above took an offset of its own for the key alone.
    records[-1]["offset"] = 10
    table._offsets[0] = 11
    records.append({**table.create({"id": 101, "name": "x" * 50, "amount": 1}),
                    "headers": ["trace", "def"]})
    return records + good(table, 10, 10)


@pytest.fixture
def narrow(database):
    """The target's column is narrower than the values may be."""
    database.execute("create table items (id int primary key, name varchar(10), amount int, "
                     "cdc_operation text, cdc_timestamp timestamptz)")
    return database


def assert_good_rows(database):
    assert database.execute("select id from items order by id") == [(n,) for n in range(20)]


def notes(headers):
    return dict(zip(headers[::2], headers[1::2]))


@pytest.mark.parametrize("events", [1000, 3, 1])
def test_replay_sets_aside_into_a_file(sink, narrow, tmp_path, events):
    table = Table()
    records = mixed(table)
    letters = tmp_path / "letters.jsonl"
    sink.write(pipeline(table), database=narrow, batch={"max_events": events})
    summary = sink.replay(records, dead_letter=letters)
    assert_good_rows(narrow)
    malformed, unappliable = sorted(read_lines(letters), key=lambda letter: letter["key"])
    assert (malformed["key"], malformed["payload"]) == (records[10]["key"], MALFORMED)
    assert unappliable["payload"] == records[11]["payload"]
    told = notes(malformed["headers"])
    assert (told["trace"], told["ods.topic"], told["ods.partition"], told["ods.offset"],
            told["ods.stage"]) == ("abc", table.topic, "0", "10", "decode")
    assert told["ods.error"]
    told = notes(unappliable["headers"])
    assert (told["trace"], told["ods.offset"], told["ods.stage"], told["ods.sqlstate"]) == \
        ("def", "11", "apply", "22001")
    assert "name" in told["ods.error"] or told.get("ods.column") == "name"
    assert narrow.offsets() == {("test.items", table.topic, 0): 22}
    assert summary, "replay prints a summary"


def test_dead_letters_can_be_replayed_when_the_cause_is_gone(sink, narrow, tmp_path):
    table = Table()
    letters = tmp_path / "letters.jsonl"
    sink.write(pipeline(table), database=narrow)
    sink.replay(mixed(table), dead_letter=letters)
    narrow.execute("alter table items alter column name type text")
    again = [letter for letter in read_lines(letters)
             if notes(letter["headers"])["ods.stage"] == "apply"]
    sink.write(pipeline(table, group_id="again"), database=narrow)
    sink.replay([{**letter, "topic": table.topic} for letter in again])
    assert narrow.value("select name from items where id = 101") == "x" * 50


def test_replay_without_a_file_does_not_drop(sink, narrow):
    table = Table()
    sink.write(pipeline(table), database=narrow)
    done = sink.run("replay", "-c", sink.conf, sink.file_of(mixed(table)), expect=None)
    assert done.returncode not in (Exit.OK, -6, -11)
    assert "10" in done.stderr and table.topic in done.stderr
    offset = narrow.offsets().get(("test.items", table.topic, 0), 0)
    assert offset <= 10, "the offset must not pass what was neither applied nor set aside"


def test_through_kafka(sink, narrow, kafka, prefix):
    table = Table(prefix=prefix)
    letter_topic = kafka.create(f"{prefix}.letters", 1)
    kafka.create(table.topic, 1)
    records = mixed(table)
    kafka.produce(records)
    sink.write(pipeline(table), database=narrow, kafka=True, dead_letter={"topic": letter_topic})
    daemon = sink.daemon()
    daemon.await_that(lambda: narrow.count("items") == 20, what="the good rows")
    daemon.await_that(lambda: list(narrow.offsets().values()) == [22], what="the end")
    letters = kafka.read(letter_topic)
    daemon.stop()
    assert_good_rows(narrow)
    by_offset = {dict(letter.headers())["ods.offset"]: letter for letter in letters}
    assert sorted(by_offset) == [b"10", b"11"]
    for number, stage, trace in ((10, b"decode", b"abc"), (11, b"apply", b"def")):
        letter = by_offset[str(number).encode()]
        told = dict(letter.headers())
        assert letter.key() == records[number]["key"].encode()
        assert letter.value() == records[number]["payload"].encode()
        assert (told["trace"], told["ods.stage"]) == (trace, stage)
        assert (told["ods.topic"], told["ods.partition"]) == (table.topic.encode(), b"0")
        assert told["ods.error"]
    assert dict(by_offset[b"11"].headers())["ods.sqlstate"] == b"22001"


def test_without_a_topic_a_bad_record_stops_the_daemon(sink, narrow, kafka, prefix):
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1)
    kafka.produce(mixed(table))
    sink.write(pipeline(table), database=narrow, kafka=True)
    daemon = sink.daemon()
    code = daemon.process.wait(60)
    assert code not in (Exit.OK, -6, -11), daemon.tail()
    assert "partition 0 offset 10 can't be applied" in daemon.log()
    assert list(narrow.offsets().values() or [0])[0] <= 10


@pytest.mark.parametrize("payload", [
    "", " ", "{", "null-ish", "[]", "42", '"text"', "{}", '{"payload": 1}',
    '{"schema": null, "payload": {"op": "x", "after": {"id": 1}}}',
    '{"before": null, "after": null, "op": "c", "source": {}}',
    '{"a": ' * 2000, '{"id": 1}\u0000', '{"op": "c", "after": {"id": "\\ud800"}}',
], ids=range(14))
def test_odd_records_are_letters_and_never_stop_the_rest(sink, database, tmp_path, payload):
    table = Table()
    records = good(table, 0, 2)
    records.append(table.record(records[0]["key"], payload))
    records += good(table, 2, 2)
    letters = tmp_path / "letters.jsonl"
    sink.write(pipeline(table), database=database)
    sink.replay(records, dead_letter=letters)
    assert database.execute("select id from items order by id") == [(0,), (1,), (2,), (3,)]
    assert [json.loads(line)["payload"] for line in letters.read_text().splitlines()] == [payload]


def test_a_connection_that_breaks_with_a_bad_record_at_hand_is_an_outage(sink, database, kafka,
                                                                         prefix):
    """The server ends the session in the delete that goes before the row that can't be encoded: that
    says nothing about rows, and the batch is looked through again."""
    table = Table(prefix=prefix)
    letter_topic = kafka.create(f"{prefix}.letters", 1)
    kafka.create(table.topic, 1)
    database.execute("""
        create table items (id int primary key, name text, amount int, cdc_operation text,
                            cdc_timestamp timestamptz);
        insert into items values (7, 'old', 7);
        create sequence ended;
        create function end_once() returns trigger language plpgsql as $body$
            begin
                if nextval('ended') = 1 then
                    perform pg_terminate_backend(pg_backend_pid());
                end if;
                return old;
            end $body$;
        create trigger end_once before delete on items for each row execute function end_once()""")
    kafka.produce([table.delete({"id": 7, "name": "old", "amount": 7}),
                   table.create({"id": 1, "name": "a", "amount": 2**40}),
                   table.create({"id": 2, "name": "b", "amount": 2})])
    sink.write(pipeline(table, defaults={"on_delete": "hard"}), database=database, kafka=True,
               dead_letter={"topic": letter_topic})
    daemon = sink.daemon()
    daemon.await_that(lambda: list(database.offsets().values()) == [3], what="the end")
    daemon.stop()
    assert database.value("select last_value from ended") >= 2, "the session was ended"
    assert database.execute("select id, amount from items") == [(2, 2)]
    assert kafka.count(letter_topic) == 1


def test_fuse_stops_the_lane_before_a_topic_is_emptied(sink, narrow, kafka, prefix):
    """Three a minute are put aside; the batch with the fourth is not, and nothing of it is lost."""
    table = Table(prefix=prefix)
    letter_topic = kafka.create(f"{prefix}.letters", 1)
    kafka.create(table.topic, 1)

    def bad(first, count):
        return [table.create({"id": number, "name": "x" * 50, "amount": 1})
                for number in range(first, first + count)]

    kafka.produce(good(table, 0, 5) + bad(100, 3))
    sink.write(pipeline(table), database=narrow, kafka=True,
               dead_letter={"topic": letter_topic, "max_per_minute": 3})
    daemon = sink.daemon()
    daemon.await_that(lambda: list(narrow.offsets().values()) == [8], what="three put aside")
    kafka.produce(good(table, 5, 5) + bad(200, 1))
    assert daemon.process.wait(60) == Exit.NEGATIVE, daemon.tail()
    assert "dead_letter.max_per_minute" in daemon.log()
    assert kafka.count(letter_topic) == 3
    assert 8 <= list(narrow.offsets().values())[0] <= 13
    narrow.execute("alter table items alter column name type text")
    daemon = sink.daemon()
    daemon.await_that(lambda: list(narrow.offsets().values()) == [14], what="the end")
    daemon.stop()
    assert narrow.count("items") == 11 and kafka.count(letter_topic) == 3


def test_fuse_is_the_pipelines(sink, narrow, kafka, prefix):
    """What one lane has put aside counts for the others, and when it stops they don't go on with its
    partition. Five of each of two partitions, each another lane's, where seven are allowed."""
    table = Table(prefix=prefix)
    letter_topic = kafka.create(f"{prefix}.letters", 1)
    kafka.create(table.topic, 2)
    sink.write(pipeline(table), database=narrow, kafka=True, lanes=2,
               dead_letter={"topic": letter_topic, "max_per_minute": 7})
    daemon = sink.daemon().await_ready()
    daemon.await_that(lambda: [len(lane["partitions"]) for lane in
                               json.loads(daemon.get("/status")[1])["lanes"]] == [1, 1],
                      what="a partition for each lane")
    kafka.produce([table.create({"id": number, "name": "x" * 50, "amount": 1},
                                partition=number % 2) for number in range(10)])
    assert daemon.process.wait(60) == Exit.NEGATIVE, daemon.tail()
    assert "dead_letter.max_per_minute" in daemon.log()
    assert kafka.count(letter_topic) <= 7


def test_on_error_stop(sink, narrow, kafka, prefix):
    table = Table(prefix=prefix)
    letter_topic = kafka.create(f"{prefix}.letters", 1)
    kafka.create(table.topic, 1)
    kafka.produce(mixed(table))
    sink.write(pipeline(table, on_error="stop"), database=narrow, kafka=True,
               dead_letter={"topic": letter_topic})
    daemon = sink.daemon()
    assert daemon.process.wait(60) == Exit.NEGATIVE, daemon.tail()
    assert "on_error is stop" in daemon.log() and "offset 10" in daemon.log()
    assert kafka.count(letter_topic) == 0
    assert list(narrow.offsets().values() or [0])[0] <= 10
