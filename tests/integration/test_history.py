"""Histories: a row for each change, as it came; what they hold, what they never lose or have twice,
and the table as it was."""

import json

import pytest

from lib.avro import Schemas
from lib.records import BIGINT, INT, TEXT, Table, pipeline, row

MODES = {"history": False, "both": True}


def keeping(table, **settings):
    return {**pipeline(table), "defaults": {"history": True, **settings}}


def story(table):
    """A row's life, and another's; six records."""
    return [table.read(row(1, 10)), table.create(row(2, 20)), table.update(row(1, 10), row(1, 11)),
            table.update(row(1, 11), row(1, 12)), table.delete(row(2, 20)),
            table.tombstone(row(2, 20))]


@pytest.mark.parametrize("mode", MODES)
def test_every_change_is_a_row_in_order(sink, database, mode):
    table = Table()
    sink.write(keeping(table, mode=mode), database=database)
    sink.replay(story(table))
    assert database.execute(
        'select op, id, name, amount, topic, partition, "offset", part, binlog_file, binlog_pos, '
        'binlog_row, unchanged, lsn from items_cdc order by "offset"') == [
        (op, key, f"n{key}", amount, table.topic, 0, offset, 0, "mysql-bin.000001", 4, 0, None, None)
        for offset, (op, key, amount) in enumerate(
            [("r", 1, 10), ("c", 2, 20), ("u", 1, 11), ("u", 1, 12), ("d", 2, 20)])]
    assert database.exists("items") == MODES[mode]
    if MODES[mode]:
        assert database.execute("select id, amount, cdc_operation from items order by id") == [
            (1, 12, "u"), (2, 20, "d")]
    assert database.execute("select * from ods_sink.history_gaps") == []
    assert database.value("select bool_and(ingested_at <= now() and ingested_at > now() - interval "
                          "'1 hour') from items_cdc")


def test_columns_of_a_history_may_be_null_and_follow_the_source(sink, database):
    old = Table()
    new = Table(columns={"id": INT, "name": TEXT, "note": TEXT, "amount": BIGINT})
    new._offsets = old._offsets
    new._clock_ms += 1_000_000
    sink.write(keeping(old, mode="history", history={"view": True}), database=database)
    first = old.create(row(1, 10))
    sink.replay([first])
    sink.replay([first, new.update({**row(1, 10), "note": None}, {**row(1, 2**40), "note": "new"})])
    assert database.columns("items_cdc")["amount"] == "bigint"
    assert database.columns("items_cdc")["amount__v1"] == "integer"
    assert database.execute('select amount__v1, amount, note from items_cdc order by "offset"') == [
        (10, None, None), (None, 2**40, "new")]
    assert database.execute("select id, amount__v1, amount, note from items_asof") == [
        (1, None, 2**40, "new")]
    assert database.execute(
        "select attname::text from pg_attribute where attrelid = 'items_cdc'::regclass and "
        "attnotnull and attnum > 0 order by 1") == [
        (name,) for name in ("cdc_timestamp", "ingested_at", "offset", "op", "part", "partition",
                             "topic")]


POSTGRES = ('{"before":null,"after":{"id":%d,"name":"%s","body":"%s"},"source":{"version":"3.3.1.Final",'
            '"connector":"postgresql","name":"src","ts_ms":%d,"db":"shop","schema":"public",'
            '"table":"notes","txId":%d,"lsn":%d,"xmin":null},"transaction":%s,"op":"%s","ts_ms":1}')
GONE = "__debezium_unavailable_value"


def notes(*changes):
    """Records of a PostgreSQL table: (op, id, name, body, tx, order)."""
    for offset, (op, key, name, body, tx, order) in enumerate(changes):
        transaction = ('{"id":"%d:1","total_order":%d,"data_collection_order":1}' % (tx, order)
                       if order else "null")
        yield {"topic": "src.public.notes", "partition": 0, "offset": offset, "ts": 1,
               "key": '{"id":%d}' % key,
               "payload": POSTGRES % (key, name, body, 1_760_000_000_000 + offset * 1000, tx,
                                      1000 + offset, transaction, op)}


def test_values_that_did_not_change_are_named(sink, database):
    sink.write({**pipeline("src.public.notes"),
                "defaults": {"history": {"view": True}, "mode": "both",
                             "columns": {"rename": {"body": "content"}}}}, database=database)
    sink.replay(list(notes(("c", 1, "a", "long", 7, 0), ("u", 1, "b", GONE, 8, 0),
                           ("u", 1, "c", GONE, 9, 3), ("u", 1, "d", "longer", 10, 0),
                           ("u", 1, "e", GONE, 11, 0))))
    assert database.execute('select name, content, unchanged, lsn, tx_id, tx_order, binlog_file '
                            'from notes_cdc order by "offset"') == [
        ("a", "long", None, 1000, "7", None, None), ("b", None, ["content"], 1001, "8", None, None),
        ("c", None, ["content"], 1002, "9:1", 3, None), ("d", "longer", None, 1003, "10", None, None),
        ("e", None, ["content"], 1004, "11", None, None)]
    assert database.execute("select name, content from notes") == [("e", "longer")]
    for second, expected in enumerate([("a", "long"), ("b", "long"), ("c", "long"),
                                       ("d", "longer"), ("e", "longer")]):
        moment = f"to_timestamp({1_760_000_000 + second})"
        assert database.execute(f"select id, name, content, cdc_operation from "
                                f"ods_sink.as_of(null::notes, {moment})") == [
            (1, *expected, "c" if second == 0 else "u")]
        assert database.execute(f"select id, name, content from ods_sink.as_of(null::notes_cdc, "
                                f"{moment})") == [(1, *expected)]
        assert json.loads(database.value(f"select ods_sink.as_of('notes', {moment})")) == {
            "id": 1, "name": expected[0], "content": expected[1]}
        assert database.execute(f"select set_config('ods_sink.as_of', ({moment})::text, false)")
        assert database.execute("select * from notes_asof where id = 1") == [(1, *expected)]
    assert database.execute("select set_config('ods_sink.as_of', '', false)")
    assert database.execute("select name from notes_asof") == [("e",)]


def test_the_table_as_it_was(sink, database):
    table = Table()
    sink.write(keeping(table, mode="history"), database=database)
    records, states, state = [], [], {}
    for op, number, amount in [("c", 1, 1), ("c", 2, 2), ("u", 1, 3), ("d", 2, 2), ("c", 2, 4),
                               ("t", 0, 0), ("c", 1, 5), ("d", 1, 5), ("c", 3, 6)]:
        if op == "t":
            table._clock_ms += 1000
            records.append(table.truncate())
            state = {}
        else:
            image = row(number, amount)
            records.append(table.change(op, None if op == "c" else image,
                                        None if op == "d" else image))
            state = {**state, number: amount}
            if op == "d":
                del state[number]
        states.append((table._clock_ms, state))
    sink.replay(records)
    for ms, expected in [(1, {}), *states, (2_000_000_000_000, states[-1][1])]:
        assert dict(database.execute(
            "select id, amount from ods_sink.as_of(null::items_cdc, to_timestamp(%s / 1000.0))",
            ms)) == expected


def test_as_of_with_the_columns_of_a_table_that_somebody_made(sink, database):
    table = Table()
    database.execute("create table items (note text, amount numeric(12,2), id bigint primary key, "
                     "cdc_operation text, cdc_timestamp timestamptz)")
    sink.write(keeping(table, mode="both"), database=database)
    sink.replay([table.create(row(1, 7))])
    assert database.execute("select note, amount::text, id, cdc_operation "
                            "from ods_sink.as_of(null::items, now())") == [(None, "7.00", 1, "c")]


def test_images_before_updates(sink, database):
    table = Table()
    sink.write(keeping(table, history={"images": "both", "prefix": "cdc_", "name": "log.${table}_log"}),
               database=database)
    sink.replay(story(table))
    assert database.execute('select cdc_op, amount, cdc_before::text from log.items_log '
                            'order by cdc_offset') == [
        ("r", 10, None), ("c", 20, None), ("u", 11, '{"id": 1, "name": "n1", "amount": 10}'),
        ("u", 12, '{"id": 1, "name": "n1", "amount": 11}'), ("d", 20, None)]
    assert database.execute("select id, amount from ods_sink.as_of(null::items, now())") == [(1, 12)]
    assert database.execute("select * from ods_sink.history_gaps") == []


@pytest.mark.parametrize("mode", MODES)
def test_records_that_come_again_are_there_once(sink, database, mode):
    table = Table()
    sink.write(keeping(table, mode=mode), database=database)
    records = [table.create(row(number)) for number in range(300)]
    sink.replay(records[:200])
    before = database.execute('select "offset", xmin::text, ingested_at from items_cdc order by 1')
    database.execute("update ods_sink.offsets set next_offset = 100")
    sink.replay(records[100:])
    assert database.value("select count(*) from items_cdc") == 300
    assert database.execute('select "offset", xmin::text, ingested_at from items_cdc '
                            'where "offset" < 200 order by 1') == before
    assert database.execute("select * from ods_sink.history_gaps") == []


def test_gaps_are_found(sink, database):
    table = Table()
    sink.write(keeping(table, mode="history"), database=database)
    sink.replay([table.create(row(number)) for number in range(50)])
    database.execute('delete from items_cdc where "offset" in (7, 8, 30) or "offset" > 47')
    assert database.execute("select from_offset, upto_offset, problem, records "
                            "from ods_sink.history_gaps") == [
        (7, 9, "gap", 2), (30, 31, "gap", 1), (48, 50, "gap", 2)]
    assert database.execute("select count(*) from ods_sink.find_history_gaps('items')") == [(3,)]
    database.execute("update ods_sink.offsets set next_offset = 40")
    assert ("beyond the stored offset",) in database.execute(
        "select problem from ods_sink.history_gaps")


def test_a_topic_made_anew_does_not_replace_what_is_there(sink, database, tmp_path):
    table, anew = Table(), Table()
    anew._clock_ms += 5_000_000
    sink.write(keeping(table, mode="history"), database=database)
    sink.replay([table.create(row(number)) for number in range(3)])
    before = database.rows("items_cdc")
    database.execute("delete from ods_sink.offsets")
    letters = tmp_path / "letters"
    sink.replay([anew.create(row(number + 10)) for number in range(5)], dead_letter=letters)
    assert sorted(database.execute("select id from items_cdc")) == [
        (0,), (1,), (2,), (13,), (14,)]
    assert database.rows("items_cdc", where='"offset" < 3') == before
    found = letters.read_text().splitlines()
    assert len(found) == 3 and all("was made anew" in letter for letter in found)


def test_a_bad_value_keeps_its_record_out_of_both(sink, database, tmp_path):
    table = Table()
    sink.write(keeping(table, mode="both"), database=database)
    records = [table.create(row(number)) for number in range(300)]
    bad = records[7], records[250]
    for record in bad:
        record["payload"] = record["payload"].replace('"name": "n', '"name": "\\u0000')
    letters = tmp_path / "letters"
    sink.replay(records, dead_letter=letters)
    assert len(letters.read_text().splitlines()) == 2
    for name in ("items", "items_cdc"):
        assert database.count(name) == 298, name
    assert database.execute("select from_offset, upto_offset from ods_sink.history_gaps") == [
        (7, 8), (250, 251)]


@pytest.mark.parametrize("unit, days", [("day", 1), ("month", 31)])
def test_partitions(sink, database, unit, days):
    table = Table()
    sink.write(keeping(table, mode="history", history={"partition_by": unit, "ahead": 2,
                                                       "retain": "400 days"}), database=database)
    now = int(database.value("select extract(epoch from now())")) * 1000
    day = 86_400_000
    records = [table.create(row(n), ts_ms=now - age * day)
               for n, age in enumerate([0, 0, 3, 70, 500, 501])]
    sink.replay(records)
    # What is of the present has its partition from the first row on.
    assert database.count("items_cdc") == 6
    assert database.count("items_cdc_default") == database.value(
        "select count(*) from items_cdc where cdc_timestamp < date_trunc(%s, now())", unit)
    due = [sql for sql, in database.execute("select sql from ods_sink.history_due()")]
    assert "make_history_partition" in " ".join(due) and "delete" in " ".join(due)
    while due:
        for sql in due:
            database.execute(sql)
        due = [sql for sql, in database.execute("select sql from ods_sink.history_due()")]
    assert database.count("items_cdc_default") == 0 and database.count("items_cdc") == 4
    database.execute("update ods_sink.offsets set next_offset = 0")
    sink.replay(records[:4])  # what is there stays, in whatever partition it is
    assert database.count("items_cdc") == 4
    database.execute("update ods_sink.history_tables set retain = interval '40 days'")
    for sql, in database.execute("select sql from ods_sink.history_due()"):
        database.execute(sql)
    assert database.count("items_cdc") == 3
    assert database.value("select count(*) from pg_indexes where indexdef like '%brin%' and "
                          "tablename = 'items_cdc'") == 1
    assert database.execute("select count(*) from ods_sink.as_of(null::items_cdc, now())") == [(3,)]


def test_a_source_without_a_key_has_a_history_too(sink, database):
    table = Table(key=())
    sink.write(keeping(table, mode="history"), database=database)
    sink.replay([table.create(row(1)), table.create(row(1)), table.delete(row(1))])
    assert database.execute('select op, id from items_cdc order by "offset"') == [
        ("c", 1), ("c", 1), ("d", 1)]
    with pytest.raises(Exception, match="has no key"):
        database.execute("select * from ods_sink.as_of(null::items_cdc, now())")


def test_names_that_are_taken_are_told(sink, database):
    table = Table(columns={"id": INT, "op": TEXT})
    sink.write(keeping(table, mode="history"), database=database)
    text = sink.replay_fails([table.create({"id": 1, "op": "x"})], 5)
    assert "history.prefix" in str(text)


@pytest.fixture
def kept(sink, database):
    """A row's life in three transactions, and a table that keeps its history alone."""
    table = Table()
    sink.write({**pipeline(table), "defaults": {"mode": "history", "redact": ["name"]}},
               database=database)
    sink.replay(story(table))
    return table


def query(sink, *arguments, expect=0):
    return sink.run("query", "-c", sink.conf, "items", *arguments, expect=expect)


def test_query_as_of(sink, kept):
    moment = lambda second: f"2025-10-09T08:53:{20 + second:02}Z"  # noqa: E731
    found = [[(each["id"], each["amount"]) for each in json.loads(
        query(sink, "--as-of", moment(second), "--json").stdout)] for second in range(6)]
    assert found == [[], [(1, 10)], [(1, 10), (2, 20)], [(1, 11), (2, 20)], [(1, 12), (2, 20)],
                     [(1, 12)]]
    assert json.loads(query(sink, "--as-of", moment(3), "--key", "2", "--json").stdout) == [
        {"id": 2, "name": "[redacted]", "amount": 20}]
    assert query(sink, "--as-of", moment(3), "--where", "amount < 15", "--format",
                 "csv").stdout.split() == ["id,name,amount", "1,[redacted],11"]
    assert query(sink, "--as-of", moment(3), "--count").stdout == "2\n"
    assert "--history show" in query(sink, expect=2).stderr
    assert "select" not in query(sink, "--as-of", moment(3), "--key", "a=1", "--key", "b=2",
                                 expect=2).stderr


def test_query_history_of_a_row(sink, kept):
    found = json.loads(query(sink, "--history", "--key", "1", "--json").stdout)
    assert [(each["op"], each["changes"], each["offset"]) for each in found] == [
        ("r", {"id": {"from": None, "to": 1}, "amount": {"from": None, "to": 10},
               "name": {"from": "[redacted]", "to": "[redacted]"}}, 0),
        ("u", {"amount": {"from": 10, "to": 11}}, 2), ("u", {"amount": {"from": 11, "to": 12}}, 3)]
    text = query(sink, "--history", "--key", "id=2", "--recent").stdout
    assert text.index("amount: 20 → ∅") < text.index("amount: ∅ → 20")
    assert "n2" not in text
    for wrong in ([], ["--key", "1", "--count"], ["--key", "1", "--as-of", "1h"]):
        query(sink, "--history", *wrong, expect=2)


def test_a_table_without_history_says_so(sink, database):
    table = Table()
    sink.write(pipeline(table), database=database)
    sink.replay([table.create(row(1))])
    assert "history: true" in query(sink, "--as-of", "1h", expect=2).stderr
    assert database.exists("items") and not database.exists("items_cdc")


def test_positions_of_records_in_avro(sink, database, tmp_path):
    """As in JSON: the log's position, and the transaction where it is told."""
    schemas, table = Schemas(), Table()
    records = [table.create(row(1)), table.update(row(1), row(1, 5)), table.delete(row(1, 5))]
    told = '"transaction": {"id": "file=1,pos=2", "total_order": 7, "data_collection_order": 1}'
    records[1]["payload"] = records[1]["payload"].replace('"transaction": null', told)
    moved = [schemas.record(record) for record in records]
    url = schemas.save(tmp_path / "schemas.json")
    sink.write({**keeping(table, mode="history"), "format": "debezium-avro",
                "registry": {"url": url}}, database=database)
    sink.replay(moved)
    assert database.execute('select op, amount, binlog_file, binlog_pos, binlog_row, tx_id, tx_order '
                            'from items_cdc order by "offset"') == [
        ("c", 0, "mysql-bin.000001", 4, 0, None, None),
        ("u", 5, "mysql-bin.000001", 4, 0, "file=1,pos=2", 7),
        ("d", 5, "mysql-bin.000001", 4, 0, None, None)]
