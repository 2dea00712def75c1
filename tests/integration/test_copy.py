"""New rows go by COPY, and nobody can tell by the table: a row that is there after all, a value that
is refused, a table that COPY can't write, a crash in the middle.

A statement trigger notes by which command the rows came."""

import pytest
from lib.records import DATE, INT, TEXT, Table, pipeline
from lib.sink import read_lines
from lib.waiting import wait_for

ROWS = 300
ITEMS = "id int primary key, name text, amount int, cdc_operation text, cdc_timestamp timestamp"


def row(number, amount=0):
    return {"id": number, "name": f"n{number} 😀", "amount": amount}


def watched(database, columns=ITEMS, table="items", rest=""):
    """The table, which notes the commands that insert into it."""
    database.execute(f"""
        create table {table} ({columns}) {rest};
        create table if not exists commands (place serial, command text);
        create or replace function note() returns trigger language plpgsql as
            'begin insert into commands (command) values (split_part(current_query(), '' '', 1));
                   return null; end';
        create trigger note after insert on {table} for each statement execute function note()""")


def commands(database):
    """Since it was asked last."""
    return [command for command, in
            database.execute("with gone as (delete from commands returning *) "
                             "select command from gone order by place")]


def deliver_again(database):
    database.execute("truncate ods_sink.offsets")


WITHOUT_OURS = {"cdc_operation": False, "cdc_timestamp": False, "on_delete": "ignore"}


def amounts(database, where="true"):
    return dict(database.execute(f"select id, amount from items where {where}"))


@pytest.mark.parametrize("operation", ["read", "create"])
def test_many_new_rows_are_copied_and_few_are_merged(sink, database, operation):
    table = Table()
    watched(database)
    sink.write(pipeline(table), database=database)
    change = getattr(table, operation)
    summary = sink.replay([change(row(number, number)) for number in range(ROWS)])
    assert commands(database) == ["copy"]
    assert summary["pipelines"][0]["upserted"] == ROWS
    assert amounts(database) == {number: number for number in range(ROWS)}
    assert database.execute("select distinct cdc_operation from items") == [(operation[0],)]
    sink.replay([change(row(number)) for number in range(ROWS, ROWS + 10)])
    assert commands(database) == ["insert"]


def test_copied_and_merged_rows_are_the_same(sink, databases):
    columns = {
        "id": INT, "short": TEXT, "padded": TEXT, "day": DATE, "flag": {"type": "boolean"},
        "ratio": {"type": "double"}, "bytes": {"type": "bytes"},
        "price": {"type": "string"}, "document": {"type": "string"}, "note": TEXT}
    target = ("id int primary key, short varchar(6), padded char(6), day date, flag boolean, "
              "ratio double precision, bytes bytea, price numeric(12,3), document jsonb, note text, "
              "cdc_operation text, cdc_timestamp timestamptz(3)")
    table = Table(columns=columns)
    records = [table.read({
        "id": number, "short": f"é{number}  "[:6], "padded": f"p{number}", "day": number - 5000,
        "flag": None if number % 3 == 0 else number % 2 == 0, "ratio": number / 7,
        "bytes": "AAEC", "price": f"-{number}.125", "document": '{"a": [%d, null]}' % number,
        "note": [None, "", "a\tb\\\n\"q\""][number % 3]}) for number in range(ROWS)]
    found = []
    for most, way in ((ROWS, {"copy"}), (50, {"insert"})):
        database = databases()
        watched(database, target)
        sink.write(pipeline(table), database=database, batch={"max_events": most})
        sink.replay(records)
        assert set(commands(database)) == way
        found.append(database.execute("select t::text, octet_length(padded) from items t "
                                      "order by id"))
    assert len(found[0]) == ROWS and found[0] == found[1]


@pytest.mark.parametrize("there", ["all", "one"])
def test_rows_that_are_there_after_all(sink, database, there):
    table = Table()
    watched(database)
    sink.write(pipeline(table), database=database)
    if there == "all":
        records = [table.read(row(number)) for number in range(ROWS)]
        sink.replay(records)
        deliver_again(database)
    else:
        database.execute("insert into items values (150, 'old', -1)")
        records = [table.read(row(number)) for number in range(ROWS)]
    commands(database)
    sink.replay(records)
    # What stands before the row that is there, that row, and the rest.
    assert commands(database) == ["copy"] * (there == "one") + ["insert"] * 2
    assert amounts(database) == dict.fromkeys(range(ROWS), 0)
    assert database.count("items", "name like 'n%'") == ROWS


def test_a_batch_is_rolled_back_once_at_most(sink, database):
    """Whatever the number of tables whose rows are there: after the first there are savepoints."""
    tables = [Table(name) for name in ("one", "two", "three")]
    sink.write(pipeline(r"^src\.shop\..*"), database=database)
    records = [table.read(row(number)) for number in range(100) for table in tables]
    sink.replay(records)
    deliver_again(database)
    rolled_back = "select xact_rollback from pg_stat_database where datname = current_database()"
    before = settled(database, rolled_back)
    sink.replay(records)
    assert settled(database, rolled_back) == before + 1
    assert [database.count(table.name) for table in tables] == [100] * 3


def settled(database, query):
    """A statistic, once the sink's connections are gone and have told theirs."""
    alone = "select count(*) = 0 from pg_stat_activity where datname = current_database() " \
        "and pid <> pg_backend_pid()"
    wait_for(lambda: database.value(alone), what="the sink's connections are gone")
    return database.value(query)


def test_after_a_lost_bet_batches_are_merged_for_a_while(sink, database):
    """The first conflict costs 16 merges, the next one 32."""
    table = Table()
    watched(database)
    batches, size = 60, 100
    sink.write(pipeline(table), database=database, batch={"max_events": size})
    for number in (50, 20 * size):  # in the first batch, and in one that is copied again
        database.execute("insert into items values (%s, 'old', -1)", number)
    commands(database)
    sink.replay([table.read(row(number)) for number in range(batches * size)])
    assert commands(database) == \
        ["insert"] * (3 + 16) + ["copy"] * 3 + ["insert"] * (2 + 32) + ["copy"] * (batches - 53)
    assert amounts(database) == dict.fromkeys(range(batches * size), 0)


def test_mixed_batch(sink, database):
    """A delete frees a unique value for a row that is copied; the rest is merged."""
    table = Table()
    watched(database, ITEMS + ", unique (name)")
    sink.write(pipeline(table, defaults={"on_delete": "hard"}), database=database)
    sink.replay([table.create(row(number)) for number in range(50)])
    commands(database)
    records = [table.delete(row(7)), table.tombstone(row(7))]
    for number in range(50, 50 + ROWS):
        records.append(table.create({**row(number), "name": "n7 😀" if number == 65
                                     else f"n{number}"}))
        if number % 10 == 0:
            old = row(number - 50)
            records.append(table.update(old, {**old, "amount": 5}))
    records += [table.delete(row(70)), table.tombstone(row(70)), table.delete(row(20))]
    sink.replay(records)
    assert commands(database) == ["copy"]
    expected = dict.fromkeys(range(50 + ROWS), 0)
    expected.update(dict.fromkeys((number - 50 for number in range(50, 50 + ROWS, 10)), 5))
    for gone in (7, 20, 70):
        expected.pop(gone, None)
    assert amounts(database) == expected
    assert database.value("select id from items where name = 'n7 😀'") == 65


def test_updates_of_rows_that_are_not_there_before_a_copy(sink, database):
    """What an update did not find is written before the pipeline is left for a COPY."""
    one, two = Table("one"), Table("two")
    for table in ("one", "two"):
        watched(database, table=table)
    sink.write(pipeline(r"^src\.shop\..*"), database=database)
    records = [one.update(row(number), row(number, 1)) for number in range(ROWS)]
    records += [one.create(row(number, 2)) for number in range(ROWS, 2 * ROWS)]
    records += [two.create(row(number)) for number in range(ROWS)]
    summary = sink.replay(records)
    assert commands(database) == ["insert", "copy", "copy"]
    assert summary["pipelines"][0]["upserted"] == 3 * ROWS
    assert dict(database.execute("select id, amount from one")) == \
        {number: 1 if number < ROWS else 2 for number in range(2 * ROWS)}
    assert database.count("two") == ROWS


def test_a_key_twice_in_a_batch(sink, database):
    table = Table()
    watched(database)
    sink.write(pipeline(table), database=database)
    records = [table.read(row(number)) for number in range(ROWS)]
    records += [table.read(row(number, 1)) for number in range(100)]
    records += [table.update(row(number), row(number, 2)) for number in range(50)]
    sink.replay(records)
    assert commands(database) == ["copy"]
    assert amounts(database) == {number: 2 if number < 50 else 1 if number < 100 else 0
                                 for number in range(ROWS)}


def test_a_row_that_comes_back_while_its_mark_of_deletion_stays(sink, database):
    table = Table()
    watched(database)
    sink.write(pipeline(table, defaults={"on_delete": "soft"}), database=database)
    sink.replay([table.create(row(0)), table.delete(row(0)), table.tombstone(row(0))])
    sink.replay([table.create(row(number, 1)) for number in range(ROWS)])
    assert amounts(database, "cdc_operation = 'c'") == dict.fromkeys(range(ROWS), 1)


@pytest.mark.parametrize("bad, constraint", [
    (row(150, 2**31), ""),  # the sink knows
    (row(150, -1), ", check (amount >= 0)"),  # PostgreSQL knows
])
def test_a_bad_row_is_a_dead_letter_and_the_rest_is_there(sink, database, tmp_path, bad, constraint):
    table = Table(columns={"id": INT, "name": TEXT, "amount": {"type": "int64"}})
    watched(database, ITEMS + constraint)
    sink.write(pipeline(table), database=database)
    letters = tmp_path / "letters.jsonl"
    sink.replay([table.read(bad if number == 150 else row(number)) for number in range(ROWS)],
                dead_letter=letters)
    assert [letter["offset"] for letter in map(origin, read_lines(letters))] == [150]
    assert amounts(database) == {number: 0 for number in range(ROWS) if number != 150}


def origin(letter):
    headers = letter["headers"]
    named = dict(zip(headers[::2], headers[1::2]))
    return {"offset": int(named["ods.offset"])}


def test_columns_of_the_target_alone(sink, database):
    table = Table()
    watched(database, "own text default 'mine', id int generated always as identity primary key, "
            "twice int generated always as (amount * 2) stored, name text, amount int")
    sink.write(pipeline(table, defaults=WITHOUT_OURS), database=database)
    sink.replay([table.read(row(number, number)) for number in range(ROWS)])
    assert commands(database) == ["copy"]
    assert database.execute("select id, own, twice from items order by id") == \
        [(number, "mine", number * 2) for number in range(ROWS)]


@pytest.mark.parametrize("columns, rest, then", [
    (ITEMS.replace("name text", "name xml"), "", ""),  # its values travel as text
    (ITEMS, "", "create table seen (id int); create rule seen as on insert to items do also "
                "insert into seen values (1)"),
    (ITEMS, "", "alter table items enable row level security; "
                "create policy all_rows on items using (true)"),
], ids=["type", "rule", "row security"])
def test_what_copy_would_do_differently_is_merged(sink, database, columns, rest, then):
    table = Table(key=())
    watched(database, columns, rest=rest)
    if then:
        database.execute(then)
    sink.write(pipeline(table), database=database)
    sink.replay([table.create({**row(number), "name": "10.0.0.1"}) for number in range(ROWS)])
    assert commands(database) == ["insert"]
    assert database.count("items") == ROWS
    assert database.count("seen") in (-1, ROWS), "the rule holds"


def test_partitions_and_row_triggers_take_part(sink, database):
    table = Table()
    watched(database, rest="partition by range (id)")
    database.execute("""
        create table low partition of items for values from (0) to (100);
        create table high partition of items default;
        create function mark() returns trigger language plpgsql as
            'begin new.amount := new.amount + 1; return new; end';
        create trigger mark before insert on items for each row execute function mark()""")
    sink.write(pipeline(table), database=database)
    sink.replay([table.read(row(number)) for number in range(ROWS)])
    assert commands(database) == ["copy"]
    assert amounts(database) == dict.fromkeys(range(ROWS), 1)
    assert database.count("low") == 100


def test_rows_without_key_are_copied_each_time(sink, database):
    table = Table(key=(), columns={"a": INT, "b": TEXT})
    watched(database, "a int, b text")
    sink.write(pipeline(table, defaults=WITHOUT_OURS), database=database)
    for _ in range(2):
        sink.replay([table.create({"a": number, "b": "x"}) for number in range(ROWS)])
    assert commands(database) == ["copy"] * 2
    assert database.execute("select count(*), count(distinct a) from items") == [(2 * ROWS, ROWS)]


def test_two_lanes_killed_in_the_middle_of_a_copy(sink, database, kafka, prefix):
    """Both lanes copy into one table, and wait inside for a lock that a row's trigger takes. (A batch
    may be too small to be copied, so the row is whichever COPY brings.)"""
    table = Table(prefix=prefix)
    kafka.create(table.topic, 2)
    watched(database)
    database.execute("""
        create function wait() returns trigger language plpgsql as
            'begin if new.id >= 1000 and current_query() like ''copy %'' then
                   perform pg_advisory_xact_lock_shared(1); end if; return new; end';
        create trigger wait before insert on items for each row execute function wait()""")
    kafka.produce([table.read(row(number), partition=number % 2) for number in range(4000)])
    sink.write(pipeline(table), database=database, kafka=True, lanes=2)
    holder = database.connect()
    holder.cursor().execute("select pg_advisory_lock(1)")
    copies = "select count(*) from pg_stat_activity where query like 'copy %items%' " \
        "and wait_event = 'advisory' and datname = current_database()"
    first = sink.daemon()
    first.await_that(lambda: database.value(copies) == 2, what="both lanes inside a COPY")
    first.kill()
    holder.close()
    wait_for(lambda: database.value(copies) == 0, what="PostgreSQL has noticed")
    second = sink.daemon()
    second.await_that(lambda: database.count("items") == 4000, what="all rows")
    second.stop()
    assert amounts(database) == dict.fromkeys(range(4000), 0)
    assert sum(database.offsets().values()) == 4000
    assert "copy" in commands(database)
