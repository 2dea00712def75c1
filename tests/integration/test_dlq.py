"""ods-sink dlq: what the dead-letter topic holds, and applying it once the cause is gone."""

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from lib.records import TEXT, Table, pipeline
from lib.sink import Exit, free_port
from lib.waiting import wait_for

MALFORMED = '{"schema": {"type": "struct"'
LONG = "x" * 50


@pytest.fixture
def letters(kafka, prefix, table):
    return kafka.create(f"{prefix}.letters", 1)


@pytest.fixture
def narrow(database):
    database.execute("create table items (id int primary key, name varchar(10), amount int, "
                     "cdc_operation text, cdc_timestamp timestamptz)")
    return database


@pytest.fixture
def rejected(sink, narrow, kafka, table, letters):
    """Five letters: a malformed record (offset 2), an update of row 1 whose text is too long (3), and
    three creates of that sort (4, 5, 6)."""
    records = [table.create({"id": 1, "name": "one", "amount": 1}),
               table.create({"id": 2, "name": "two", "amount": 2}),
               table.record('{"id": 9}', MALFORMED),
               table.update({"id": 1, "name": "one", "amount": 1},
                            {"id": 1, "name": LONG, "amount": 10})]
    records += [table.create({"id": number, "name": LONG, "amount": number})
                for number in (3, 4, 5)]
    kafka.produce(records)
    write(sink, narrow, table, letters)
    run_daemon(sink, narrow, 7)
    return narrow


def write(sink, database, table, letters, defaults=None, **settings):
    sink.write(pipeline(table, defaults=defaults or {}), database=database, kafka=True,
               dead_letter={"topic": letters}, **settings)


def run_daemon(sink, database, offset):
    """Until all records below the offset are in the target or in the dead letters."""
    daemon = sink.daemon()
    daemon.await_that(lambda: stored(sink, database) == [offset], what=f"offset {offset}")
    daemon.stop()


def stored(sink, database):
    return [offset for (group, _, _), offset in database.offsets().items()
            if group == f"{sink.group}.items"]


def dlq(sink, what, *arguments, expect=Exit.OK):
    return sink.run("dlq", what, "-c", sink.conf, *arguments, expect=expect)


def listed(sink, *filters):
    return json.loads(dlq(sink, "list", "--json", *filters).stdout)


def replayed(sink, *arguments, expect=Exit.OK):
    return json.loads(dlq(sink, "replay", "--json", *arguments, expect=expect).stdout)


def widen(database):
    database.execute("alter table items alter column name type text")


def names(database):
    return dict(database.execute("select id, length(name) from items order by id"))


def test_list_counts_by_reason(sink, rejected, table, letters):
    everything = listed(sink)
    assert (everything["topic"], everything["letters"], everything["handled"]) == (letters, 5, 0)
    kinds = {(kind["stage"], kind["sqlstate"]): kind for kind in everything["kinds"]}
    assert {key: kind["count"] for key, kind in kinds.items()} == \
        {("decode", ""): 1, ("apply", "22001"): 4}
    assert all(kind["code"] == kind["sqlstate"] for kind in everything["kinds"])
    long = kinds["apply", "22001"]
    assert (long["pipeline"], long["topic"], long["first_offset"], long["last_offset"],
            long["state"]) == ("items", table.topic, 3, 6, "open")
    assert abs(long["newest_ms"] / 1000 - time.time()) < 600
    text = dlq(sink, "list").stdout
    assert "22001" in text and table.topic in text and "5 letters" in text


@pytest.mark.parametrize("filters, count", [
    (["--stage", "decode"], 1), (["--sqlstate", "22001"], 4), (["--code", "22001"], 4),
    (["--code", "22003"], 0), (["--reason", "the text has 50"], 4),
    (["--reason", "no such words"], 0), (["--offset", "3"], 1), (["--offsets", "3-5"], 3),
    (["--partition", "0"], 5), (["--partition", "1"], 0), (["--pipeline", "items"], 5),
    (["--pipeline", "others"], 0), (["--topic", "others"], 0), (["--since", "1h"], 5),
    (["--since", "2099-01-01"], 0), (["--stage", "apply", "--offsets", "0-3"], 1)],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "")
def test_filters(sink, rejected, filters, count):
    assert listed(sink, *filters)["letters"] == count


def test_show_prints_a_record_whole(sink, rejected, table, letters):
    shown = json.loads(dlq(sink, "show", "--json", f"{table.topic}:0:3").stdout)
    assert shown["state"] == "open" and shown["code"] == shown["sqlstate"] == "22001"
    assert json.loads(shown["value"])["payload"]["after"]["name"] == LONG
    assert {"name": "ods.offset", "value": "3"} in shown["headers"]
    change, = shown["changes"]
    assert (change["op"], change["after"]["name"], change["table"]) == ("u", LONG, "items")
    first = dlq(sink, "show", "0").stdout
    assert MALFORMED in first and "error" in first
    assert "no such letter" in dlq(sink, "show", "77", expect=Exit.NEGATIVE).stderr


def test_replay_after_a_fix(sink, rejected):
    offsets = stored(sink, rejected)
    before = names(rejected)
    refused = replayed(sink, expect=Exit.NEGATIVE)
    assert (refused["replayed"], refused["refused"]) == (0, 5)
    assert names(rejected) == before and listed(sink)["letters"] == 5
    widen(rejected)
    some = replayed(sink, "--offset", "4")
    assert some["replayed"] == 1 and names(rejected) == {1: 3, 2: 3, 3: 50}
    rest = replayed(sink, expect=Exit.NEGATIVE)
    assert (rest["replayed"], rest["refused"]) == (3, 1), "the malformed one is refused again"
    assert names(rejected) == {1: 50, 2: 3, 3: 50, 4: 50, 5: 50}
    assert rejected.value("select amount from items where id = 1") == 10
    assert stored(sink, rejected) == offsets, "the pipeline's own offsets stay"
    left = listed(sink)
    assert (left["letters"], left["handled"]) == (1, 4)
    assert listed(sink, "--all")["letters"] == 5


def test_second_replay_changes_nothing(sink, rejected):
    widen(rejected)
    replayed(sink, "--stage", "apply")
    before = rejected.state()
    again = replayed(sink, "--stage", "apply")
    assert (again["replayed"], again["refused"]) == (0, 0)
    assert rejected.state() == before
    # Even when asked to: the rows are as new as the records.
    kept = replayed(sink, "--stage", "apply", "--again", expect=Exit.NEGATIVE)
    assert (kept["replayed"], kept["refused"]) == (0, 4)
    assert rejected.state() == before


def test_replay_leaves_newer_rows_alone(sink, rejected, kafka, table):
    """Row 1 was changed, row 3 created and row 4 deleted (softly) after their letters."""
    widen(rejected)
    changed = [table.update({"id": 1}, {"id": 1, "name": "newer", "amount": 99}),
               table.create({"id": 3, "name": "newer", "amount": 99}),
               table.create({"id": 4, "name": "newer", "amount": 99}), table.delete({"id": 4})]
    kafka.produce(changed)
    run_daemon(sink, rejected, 11)
    before = rejected.execute("select * from items order by id")
    summary = replayed(sink, "--stage", "apply", expect=Exit.NEGATIVE)
    assert (summary["replayed"], summary["refused"]) == (1, 3)
    assert all("newer" in refusal["error"] for refusal in summary["refusals"])
    assert rejected.execute("select * from items where id <> 5 order by id") == before
    assert rejected.value("select name from items where id = 5") == LONG
    forced = replayed(sink, "--stage", "apply", "--force")
    assert forced["replayed"] == 3
    assert names(rejected) == {1: 50, 2: 3, 3: 50, 4: 50, 5: 50}


@pytest.mark.parametrize("on_delete", ["soft", "hard"])
def test_replayed_deletes_obey_the_rows_age(sink, database, kafka, table, letters, on_delete):
    """Two deletes are refused by a trigger; one of the rows is made anew meanwhile."""
    database.execute("""
        create table items (id int primary key, name text, amount int, cdc_operation text,
                            cdc_timestamp timestamptz);
        create function refuse() returns trigger language plpgsql as
            $$ begin raise exception 'no' using errcode = '23514'; end $$;
        create trigger refuse before delete or update on items for each row
            execute function refuse()""")
    rows = [{"id": number, "name": "a", "amount": 1} for number in (1, 2)]
    kafka.produce([table.create(row) for row in rows])
    write(sink, database, table, letters, {"on_delete": on_delete})
    run_daemon(sink, database, 2)
    kafka.produce([table.delete(row) for row in rows])
    run_daemon(sink, database, 4)
    assert listed(sink)["letters"] == 2
    database.execute("drop trigger refuse on items")
    kafka.produce([table.update(rows[1], {**rows[1], "name": "newer"})])
    run_daemon(sink, database, 5)
    summary = replayed(sink, expect=Exit.NEGATIVE)
    assert (summary["replayed"], summary["refused"]) == (1, 1)
    assert database.value("select cdc_operation from items where id = 2") == "u"
    first = database.execute("select cdc_operation from items where id = 1")
    assert first == ([("d",)] if on_delete == "soft" else [])


def test_where_deletes_take_rows_away_nothing_comes_back(sink, rejected, kafka, table, letters):
    """Row 3 may have been deleted after its letter: only rows that are there are changed."""
    widen(rejected)
    write(sink, rejected, table, letters, {"on_delete": "hard"})
    summary = replayed(sink, "--stage", "apply", expect=Exit.NEGATIVE)
    assert (summary["replayed"], summary["refused"]) == (1, 3)
    assert names(rejected) == {1: 50, 2: 3}
    assert replayed(sink, "--stage", "apply", "--force")["replayed"] == 3
    assert names(rejected) == {1: 50, 2: 3, 3: 50, 4: 50, 5: 50}


def test_without_timestamps_force_is_needed(sink, rejected, table, letters):
    widen(rejected)
    write(sink, rejected, table, letters, {"cdc_timestamp": "off"})
    summary = replayed(sink, "--stage", "apply", expect=Exit.NEGATIVE)
    assert (summary["replayed"], summary["refused"]) == (0, 4)
    assert "compare" in summary["refusals"][0]["error"]
    assert names(rejected) == {1: 3, 2: 3}
    assert replayed(sink, "--stage", "apply", "--force")["replayed"] == 4


def test_rows_that_lack_values_are_completed_or_kept(sink, database, kafka, table, letters):
    """An update without its TOAST column changes an older row and not a newer one."""
    database.execute("create table items (id int primary key, name text not null, amount smallint, "
                     "cdc_operation text, cdc_timestamp timestamptz)")
    unavailable = "__debezium_unavailable_value"
    rows = [{"id": number, "name": "long", "amount": 1} for number in (1, 2, 3)]
    kafka.produce([table.create(row) for row in rows[:2]])
    kafka.produce([table.update(row, {**row, "name": unavailable, "amount": 70000})
                   for row in rows])
    write(sink, database, table, letters)
    run_daemon(sink, database, 5)
    assert listed(sink)["letters"] == 3
    database.execute("alter table items alter column amount type int")
    kafka.produce([table.update(rows[1], {**rows[1], "amount": 5})])
    run_daemon(sink, database, 6)
    summary = replayed(sink, expect=Exit.NEGATIVE)
    assert (summary["replayed"], summary["refused"]) == (1, 2), "row 3 was never there: no name"
    assert database.execute("select id, name, amount from items order by id") == \
        [(1, "long", 70000), (2, "long", 5)]


def test_skip(sink, rejected):
    assert "filter" in dlq(sink, "skip", expect=Exit.USAGE).stderr
    before = rejected.execute("select * from items order by id")
    assert "1 skipped" in dlq(sink, "skip", "--stage", "decode").stdout
    assert "0 skipped" in dlq(sink, "skip", "--stage", "decode").stdout
    left = listed(sink)
    assert (left["letters"], left["handled"]) == (4, 1)
    states = {kind["stage"]: kind["state"] for kind in listed(sink, "--all")["kinds"]}
    assert states == {"decode": "skipped", "apply": "open"}
    widen(rejected)
    dlq(sink, "skip", "--offset", "3")
    assert replayed(sink)["replayed"] == 3, "skipped ones are passed over"
    assert rejected.execute("select * from items where id < 3 order by id") == before
    assert replayed(sink, "--offset", "3", "--again")["replayed"] == 1
    assert names(rejected)[1] == 50


def test_letters_of_one_record_count_once(sink, rejected, kafka, letters):
    """As after a crash between the letter and the commit."""
    for letter in kafka.read(letters):
        kafka.produce([{"topic": letters, "partition": 0, "key": letter.key(),
                        "payload": letter.value(),
                        "headers": [part for header in letter.headers() for part in header]}])
    once = listed(sink)
    assert (once["letters"], once["copies"]) == (5, 5)
    widen(rejected)
    assert replayed(sink, "--stage", "apply")["replayed"] == 4
    assert listed(sink)["letters"] == 1


def test_a_long_reason_is_cut_between_two_characters(sink, rejected, kafka, letters):
    letter = kafka.read(letters)[0]
    headers = dict(letter.headers()) | {"ods.offset": b"77",
                                        "ods.error": ("x" * 198 + "\u20ac" * 9).encode()}
    kafka.produce([{"topic": letters, "partition": 0, "key": letter.key(),
                    "payload": letter.value(),
                    "headers": [part for header in headers.items() for part in header]}])
    assert "x" * 198 in [kind["example"]["error"] for kind in listed(sink)["kinds"]]


def rejected_events(sink, rejected, kafka, table, letters, count):
    """A table without a key, where a second insert would be a second row. All are refused, and would
    not be any more."""
    keyless = Table("events", {"note": TEXT}, key=(), prefix=table.prefix)
    kafka.create(keyless.topic, 1)
    rejected.execute("create table events (note varchar(10), cdc_operation text, "
                     "cdc_timestamp timestamptz)")
    kafka.produce([keyless.create({"note": f"{number} {LONG}"}) for number in range(count)])
    sink.write(pipeline(keyless), database=rejected, kafka=True, dead_letter={"topic": letters})
    daemon = sink.daemon()
    daemon.await_that(lambda: count in stored(sink, rejected), what="the end")
    daemon.stop()
    rejected.execute("alter table events alter column note type text")
    return keyless


def test_two_replays_at_once_apply_each_letter_once(sink, rejected, kafka, table, letters):
    keyless = rejected_events(sink, rejected, kafka, table, letters, 200)
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: replayed(sink, "--topic", keyless.topic), range(2)))
    assert sum(one["replayed"] for one in both) == 200, both
    assert rejected.execute("select count(*), count(distinct note) from events") == [(200, 200)]
    replayed(sink, "--topic", keyless.topic)
    assert rejected.count("events") == 200


def test_killed_replay_goes_on_and_repeats_nothing(sink, rejected, kafka, table, letters, stack):
    keyless = rejected_events(sink, rejected, kafka, table, letters, 1000)
    for turn in (1, 2, 3):
        process = subprocess.Popen([sink.binary, "dlq", "replay", "-c", sink.conf, "--topic",
                                    keyless.topic], env=stack.environment())
        wait_for(lambda: rejected.count("events") >= turn * 200 or process.poll() is not None)
        process.kill()
        process.wait()
    assert 0 < rejected.count("events") <= 1000
    replayed(sink, "--topic", keyless.topic)
    assert rejected.execute("select count(*), count(distinct note) from events") == [(1000, 1000)]


def test_foreign_records_are_told(sink, rejected, kafka, letters):
    kafka.produce([{"topic": letters, "partition": 0, "key": None, "payload": "hello"}])
    assert listed(sink)["foreign"] == 1


def test_a_target_that_is_away_is_waited_for_and_told(sink, rejected, table, letters):
    dsn = f"host=127.0.0.1 port={free_port()} dbname=x user=y"
    write(sink, rejected, table, letters, targets=[{"name": "ods", "type": "postgres",
                                                    "dsn": dsn}])
    done = dlq(sink, "replay", "--wait", "1", expect=Exit.TARGET)
    assert "refused" in done.stderr


@pytest.mark.parametrize("arguments", [
    (), ("lst",), ("list",), ("list", "-c"), ("show", "-c", "x"), ("show", "-c", "x", "one"),
    ("list", "-c", "x", "--offsets", "5-3"), ("list", "-c", "x", "--since", "noon"),
    ("list", "-c", "x", "--stage", "write"), ("list", "-c", "x", "--force"),
    ("list", "-c", "x", "more")], ids=lambda value: " ".join(value) or "nothing")
def test_command_line(sink, arguments):
    assert sink.run("dlq", *arguments, expect=Exit.USAGE).stderr


def test_without_a_dead_letter_topic(sink, database):
    sink.write(pipeline("t"), database=database)
    assert "dead_letter.topic" in dlq(sink, "list", expect=Exit.CONFIG).stderr
