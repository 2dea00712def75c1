"""Upserts by LOAD DATA … REPLACE, and by statements where REPLACE would not do what an upsert does."""

import json

import pytest

from lib.mysql_target import Database, server  # noqa: F401 (a fixture)
from lib.records import INT, TEXT, Table, pipeline, row

BARE = {"cdc_operation": "off", "cdc_timestamp": "off", "on_delete": "hard"}
ROWS = 600  # so many go by a load
PLAIN = "create table items (id int primary key, name varchar(20), amount int)"


@pytest.fixture
def target(server):
    target = Database(server, "ods_replace")
    target.execute("set global log_output = 'TABLE'")
    target.execute("set global general_log = 1")
    yield target
    target.execute("set global general_log = 0")
    target.execute("truncate table mysql.general_log")
    target.close()


def statements(target):
    """What the sink has sent since the last call, of rows and of the session's checks."""
    found = [str(words, "utf8") if isinstance(words, bytes) else words for (words,) in target.execute(
        "select argument from mysql.general_log where command_type = 'Query' and ("
        "argument like 'load data%' or argument like 'insert into `ods_replace`.`items`%' or "
        "argument like 'set session foreign_key_checks%') order by event_time")]
    target.execute("truncate table mysql.general_log")
    return found


def ways(target):
    """{"replace", "load", "insert"}: how rows went into the table since the last call."""
    return {"replace" if " replace into " in words else words.split()[0]
            for words in statements(target) if not words.startswith("set ")}


def fill(target, columns="id, name, amount", values="({0}, 'old', {0})"):
    target.execute(f"insert into items ({columns}) values " +
                   ", ".join(values.format(number) for number in range(ROWS)))
    ways(target)


def updates(table, amount=7):
    return [table.update(row(number, number), row(number, amount)) for number in range(ROWS)]


def written(amount=7):
    return [(number, f"n{number}", amount) for number in range(ROWS)]


@pytest.fixture
def ods(sink, target):
    def configure(table, user=None, **settings):
        there = target.target()
        if user:
            there["dsn"] = there["dsn"].replace("user=ods ", f"user={user} ")
        sink.write({**pipeline(table), "defaults": {**BARE, **settings}}, targets=[there])
    return configure


def letters_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_updates_replace_rows(sink, target, ods):
    table = Table()
    ods(table)
    target.execute(PLAIN)
    fill(target)
    target.execute("insert into items values (-1, 'stays', 1)")
    target.execute("truncate table mysql.general_log")
    sink.replay(updates(table))
    assert target.rows() == [(-1, "stays", 1), *written()]
    sent = statements(target)
    assert [words.split(" (")[0] for words in sent] == [
        "set session foreign_key_checks = 0",
        "load data local infile 'ods' replace into table `ods_replace`.`items` "
        "character set utf8mb4", "set session foreign_key_checks = 1"]


def test_few_rows_go_by_statements(sink, target, ods):
    table = Table()
    ods(table)
    target.execute(PLAIN)
    fill(target)
    sink.replay(updates(table)[:100])
    assert ways(target) == {"insert"} and target.count("items", "amount = 7 and name <> 'old'") >= 99


def test_creates_that_meet_rows(sink, target, ods):
    """A topic that is read again: what a plain load does not take replaces."""
    table = Table()
    ods(table)
    target.execute(PLAIN)
    fill(target)
    sink.replay([table.create(row(number, 7)) for number in range(ROWS)])
    assert target.rows() == written() and ways(target) == {"load", "replace"}


def test_deletes_come_first(sink, target, ods):
    table = Table()
    ods(table)
    target.execute(PLAIN)
    fill(target)
    records = updates(table)
    records += [table.delete(row(number, 7)) for number in range(0, ROWS, 10)]
    records += [table.create(row(number, 8)) for number in range(0, ROWS, 20)]
    sink.replay(records)
    assert target.rows() == [(number, f"n{number}", 7 if number % 20 else 8)
                             for number in range(ROWS) if number % 10 or not number % 20]
    assert "replace" in ways(target)


def test_children_stay(sink, target, ods):
    """REPLACE deletes a row that others refer to; nothing cascades, and keys are checked again."""
    table = Table()
    ods(table)
    target.execute(PLAIN)
    fill(target)
    target.execute("create table parts (id int primary key, item int not null, foreign key (item) "
                   "references items (id) on delete cascade on update cascade)")
    target.execute("insert into parts select id, id from items")
    ways(target)
    sink.replay(updates(table))
    assert target.rows() == written() and ways(target) == {"replace"}
    assert target.count("parts") == ROWS
    with pytest.raises(Exception, match="foreign key"):
        target.execute("insert into parts values (-1, -1)")
    target.execute("delete from items where id = 1")
    assert target.count("parts") == ROWS - 1


AUDIT = "create table audit (id int, amount int)"
BARS = {
    "an update trigger": [
        PLAIN, AUDIT, "create trigger t after update on items for each row "
        "insert into audit values (new.id, new.amount)"],
    "a second unique key": [PLAIN[:-1] + ", unique (name, id))"],
    "no primary key": ["create table items (id int not null, name varchar(20), amount int, "
                       "unique (id))"],
    "a foreign key": [
        "create table sums (amount int primary key)",
        f"insert into sums values (7), {', '.join(f'({n})' for n in range(ROWS) if n != 7)}",
        PLAIN[:-1] + ", foreign key (amount) references sums (amount))"],
    "a child of another column": [
        PLAIN[:-1] + ", key (amount))",
        "create table parts (amount int, foreign key (amount) references items (amount) "
        "on update cascade)"],
    "a column that the record lacks": [PLAIN[:-1] + ", note varchar(20) default 'none')"],
    "a column that is set by updates": [
        PLAIN[:-1] + ", at timestamp null on update current_timestamp)"],
}


@pytest.mark.parametrize("why", BARS)
def test_rows_go_by_statements(sink, target, ods, why):
    table = Table()
    ods(table)
    for statement in BARS[why]:
        target.execute(statement)
    fill(target)
    if "note" in BARS[why][0]:
        target.execute("update items set note = 'kept'")
    if "parts" in BARS[why][-1]:
        target.execute("insert into parts values (5)")
        target.execute("update items set amount = 9 where id = 5")
        assert target.rows("parts", "amount") == [(9,)]
    ways(target)
    sink.replay(updates(table))
    assert target.rows() == written()
    tried = ways(target)
    if why == "a child of another column":  # that it is referred to is seen by what the load does
        assert tried == {"replace", "insert"} and target.rows("parts", "amount") == [(7,)]
        return
    assert tried == {"insert"}
    if why == "an update trigger":
        assert target.count("audit", "amount = 7") == ROWS
    if "note" in BARS[why][0]:
        assert target.count("items", "note = 'kept'") == ROWS
    if "at timestamp" in BARS[why][0]:
        assert target.count("items", "at is not null") == ROWS


def test_history_of_the_server_is_kept(sink, target, ods):
    if target.server.flavour != "mariadb":
        pytest.skip("MariaDB's")
    table = Table()
    ods(table)
    target.execute(PLAIN + " with system versioning")
    fill(target)
    sink.replay(updates(table))
    assert target.rows() == written() and ways(target) == {"insert"}
    assert target.value("select count(*) from items for system_time all") == 2 * ROWS


def test_an_index_that_nobody_refers_to(sink, target, ods):
    table = Table()
    ods(table)
    target.execute(PLAIN[:-1] + ", key (amount))")
    fill(target)
    sink.replay(updates(table))
    assert target.rows() == written() and ways(target) == {"replace"}


def test_a_right_that_can_not_be_seen(sink, target, ods):
    """Without the right the triggers are not shown; a pattern's may be another database's."""
    table = Table()
    target.execute("drop user if exists lean@'127.0.0.1'")
    target.execute(f"create user lean@'127.0.0.1' identified by '{target.server.password}'")
    rights = "select, insert, update, delete, create"
    for grant, way in [(f"{rights} on ods_replace.*", "insert"), ("trigger on `%`.*", "insert"),
                       ("trigger on ods_replace.*", "replace")]:
        target.execute("drop table if exists items, ods_sink_offsets, ods_sink_tables")
        target.execute(PLAIN)
        target.execute(f"grant {grant} to lean@'127.0.0.1'")
        fill(target)
        ods(table, user="lean")
        table._offsets = {}
        sink.replay(updates(table))
        assert target.rows() == written() and ways(target) == {way}, grant
    target.execute("revoke delete on ods_replace.* from lean@'127.0.0.1'")
    table._offsets = {0: ROWS}
    sink.replay(updates(table, 8))
    assert target.rows() == written(8) and ways(target) == {"replace", "insert"}
    target.execute("drop user lean@'127.0.0.1'")


@pytest.mark.parametrize("wrong", [{"name": "x" * 21}, {"amount": -13}])
def test_a_bad_row_among_others(sink, target, ods, wrong):
    """Found by ourselves, or by the server, which has a rule of its own."""
    if "amount" in wrong and target.server.flavour == "mysql":
        pytest.skip("8.0.15 reads checks and forgets them")
    table = Table()
    ods(table)
    target.execute(PLAIN[:-1] + ", check (amount <> -13))")
    fill(target)
    target.execute("update items set amount = 1")
    records = updates(table)
    records[300] = table.update(row(300, 1), {**row(300, 7), **wrong})
    records[300]["offset"] = 300
    letters = sink.folder / "letters.jsonl"
    sink.replay(records, dead_letter=letters)
    assert len(letters_of(letters)) == 1
    assert target.rows() == [each if each[0] != 300 else (300, "old", 1) for each in written()]


def test_spellings_of_one_key(sink, target, ods):
    """The last one counts, as in an upsert; and a child's is taken along where it says so."""
    table = Table(columns={"id": TEXT, "amount": INT})
    ods(table)
    target.execute("create table items (id varchar(20) character set utf8mb4 "
                   "collate utf8mb4_general_ci primary key, amount int)")
    fill(target, "id, amount", "('a{0}', 1)")
    records = [table.update({"id": f"a{number}", "amount": 1}, {"id": f"A{number}", "amount": 2})
               for number in range(ROWS)]
    sink.replay(records)
    assert target.count("items", "amount = 2 and binary id like binary 'A%'") == ROWS
    assert ways(target) == {"replace"}
    target.execute("create table parts (id varchar(20) character set utf8mb4 "
                   "collate utf8mb4_general_ci, foreign key (id) references items (id) "
                   "on update cascade)")
    target.execute("insert into parts values ('A5')")
    ways(target)
    sink.replay([table.update({"id": f"A{number}", "amount": 2}, {"id": f"a{number}", "amount": 3})
                 for number in range(ROWS)])
    assert target.rows("parts", "id") == [("a5",)] and target.rows("items", "count(*)") == [(ROWS,)]
    assert "insert" in ways(target)


@pytest.mark.parametrize("change,kept", [
    ("alter table items add note varchar(20) default 'kept'", "select count(*) from items "
     "where note = 'by hand'"),
    ("create trigger t after update on items for each row "
     "insert into audit values (new.id, new.amount)", "select count(*) from audit")])
def test_what_changes_between_two_batches(sink, target, ods, kafka, prefix, change, kept):
    """Behind the load it is seen that the table has a new column, or a trigger: it is taken back."""
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1)
    target.execute(PLAIN)
    target.execute(AUDIT)
    fill(target)
    sink.write({**pipeline(table), "defaults": BARE}, kafka=kafka, targets=[target.target()])
    daemon = sink.daemon()

    def apply(amount):
        """The first batch is one row, and waits for it, so that the second has all others."""
        def waits(seconds):
            daemon.await_that(lambda: target.value(
                "select max(time) from information_schema.processlist where command = 'Query' "
                "and info like 'insert into%'") in range(seconds, 10), what="it waits")
        holder = target.server.connect("ods_replace")
        holder.begin()
        holder.cursor().execute("select * from items where id = 0 for update")
        records = updates(table, amount)
        kafka.produce(records[:1])
        waits(0)
        kafka.produce(records[1:])
        waits(4)
        holder.rollback()
        holder.close()
        daemon.await_that(lambda: target.count("items", f"amount = {amount}") == ROWS,
                          what=f"all rows have {amount}")
        return ways(target)

    assert "replace" in apply(10)
    target.execute(change)
    if "note" in change:
        target.execute("update items set note = 'by hand'")
    ways(target)
    assert apply(30) == {"replace", "insert"}
    assert target.value(kept) == ROWS
    daemon.stop()
