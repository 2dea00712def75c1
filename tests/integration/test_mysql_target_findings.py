"""The MySQL target where a row could be lost, written twice or wrongly, or shown to others."""

import json

import pytest

from lib import maxwell
from lib.mysql_target import Database, Server
from lib.records import DATETIME, DOUBLE, INT, TEXT, Table, pipeline, row
from lib.sink import Exit

BARE = {"cdc_operation": "off", "cdc_timestamp": "off", "on_delete": "hard"}
BOTH = pytest.mark.parametrize("server", ["mysql", "mariadb"], indirect=True)
PARENTS = {"id": INT}


@pytest.fixture(scope="module")
def servers():
    made = {}
    yield made
    for server in made.values():
        server.close()


@pytest.fixture
def server(servers, request):
    flavour = getattr(request, "param", "mysql")
    if flavour not in servers:
        servers[flavour] = Server(flavour)
    return servers[flavour]


@pytest.fixture
def target(server):
    target = Database(server, "ods_test")
    yield target
    target.close()


@pytest.fixture
def ods(sink, target):
    """A pipeline of these tables' topics; answers the letters that a replay of records leaves."""
    def configure(*tables, **settings):
        sink.write({**pipeline(tables[0]), "topics": [table.topic for table in tables],
                    "defaults": {**BARE, **settings}}, targets=[target.target()])

        def replay(*records):
            letters = sink.folder / "letters.jsonl"
            letters.unlink(missing_ok=True)
            sink.replay(list(records), dead_letter=letters)
            return [json.loads(line) for line in letters.read_text().splitlines()] \
                if letters.exists() else []
        return replay
    return configure


def families(target, prefix="src"):
    target.execute("create table parents (id int primary key)")
    target.execute("create table items (id int primary key, name varchar(20), amount int, "
                   "foreign key (amount) references parents (id))")
    return (Table("parents", columns=PARENTS, prefix=prefix), Table(prefix=prefix))


# --- rows that wait -------------------------------------------------------------------------------

def test_a_delete_does_not_come_after_the_row_that_follows_it(ods, target):
    """It is refused while a child is there; tried again at the end it would take the new row."""
    parents, items = families(target)
    replay = ods(parents, items)
    target.execute("insert into parents values (1)")
    target.execute("insert into items values (7, 'n7', 1)")
    letters = replay(parents.delete({"id": 1}), parents.create({"id": 1}), items.delete(row(7, 1)))
    assert target.rows("parents", "id") or len(letters) == 1
    assert target.rows() == []


def test_an_insert_does_not_come_after_its_own_delete(ods, target):
    """Of a table without a key: its parent comes later in the batch, the delete as well."""
    target.execute("create table parents (id int primary key)")
    target.execute("create table items (id int, name varchar(20), amount int, "
                   "foreign key (amount) references parents (id))")
    parents, items = Table("parents", columns=PARENTS), Table(key=())
    replay = ods(parents, items, keyless="match_before")
    letters = replay(items.create(row(1, 5)), items.delete(row(1, 5)), parents.create({"id": 5}))
    assert target.rows() == [] and target.rows("parents", "id") == [(5,)]
    assert len(letters) == 1


def test_what_waits_is_written_in_the_end(sink, target, kafka, prefix):
    """Rows that are made again, a truncate, and a row without a key: each waits for what another
    pipeline deletes first."""
    parents, items = families(target, prefix)
    target.execute("create table kin (id int, index (id))")
    target.execute("create table heirs (id int primary key, foreign key (id) references kin (id))")
    kin = Table("kin", columns=PARENTS, key=(), prefix=prefix)
    heirs = Table("heirs", columns=PARENTS, prefix=prefix)
    for table in (parents, items, kin, heirs):
        kafka.create(table.topic, 1)
    settings = {"defaults": {**BARE, "on_truncate": "apply", "keyless": "match_before"}}
    sink.write({**pipeline(parents, "old"), **settings, "topics": [parents.topic, kin.topic]},
               {**pipeline(items, "young"), **settings, "topics": [items.topic, heirs.topic]},
               kafka=kafka, targets=[target.target()], retry={"constraint_attempts": 1000})
    target.execute("insert into parents values (1), (2)")
    target.execute("insert into items values (7, 'n7', 1), (8, 'n8', 2)")
    target.execute("insert into kin values (1), (2)")
    target.execute("insert into heirs values (1)")
    daemon = sink.daemon().await_ready()
    waiting = lambda: daemon.log().count("waits for the row")  # noqa: E731

    def stage(old, young, done):
        before = waiting()
        kafka.produce(old)
        daemon.await_that(lambda: waiting() > before, what="a row that waits")
        kafka.produce(young)
        daemon.await_that(done)

    stage([parents.delete({"id": 1}), parents.create({"id": 1}), parents.create({"id": 3})],
          [items.delete(row(7, 1))],
          lambda: target.rows("parents", "id") == [(1,), (2,), (3,)]
          and target.offset(parents.topic) == 3)
    stage([parents.truncate(), parents.create({"id": 4})], [items.truncate()],
          lambda: target.rows("parents", "id") == [(4,)] and target.offset(parents.topic) == 5)
    stage([kin.delete({"id": 1})], [heirs.delete({"id": 1})],
          lambda: target.rows("kin", "id") == [(2,)] and target.offset(kin.topic) == 1)
    assert target.rows() == [] and target.rows("heirs", "id") == []
    daemon.stop()


# --- unique keys ----------------------------------------------------------------------------------

@BOTH
def test_a_numbered_row_is_not_written_over(ods, target):
    """NULL in an auto_increment column is no error, but another number."""
    table = Table()
    replay = ods(table)
    target.execute("create table items (id int auto_increment primary key, name varchar(20) unique,"
                   " amount int)")
    target.execute("insert into items values (1, 'taken', 1)")
    letters = replay(table.create(row(3)), table.create({"id": 2, "name": "taken", "amount": 2}),
                     table.create(row(4)))
    assert target.rows() == [(1, "taken", 1), (3, "n3", 0), (4, "n4", 0)]
    assert len(letters) == 1 and "1062" in json.dumps(letters)


@pytest.mark.parametrize("column,value", [
    ("external_ref varchar(20) null unique", "'ref'"),
    ("lower_name varchar(20) as (lower(name)) unique", "default"),
])
def test_a_swap_leaves_other_columns_alone(ods, target, column, value):
    table = Table()
    replay = ods(table)
    target.execute("create table items (id int primary key, name varchar(20) null unique, "
                   f"amount int, {column})")
    target.execute(f"insert into items values (1, 'a', 0, {value}), (2, 'b', 0, default)")
    named = lambda number, name: {"id": number, "name": name, "amount": 0}  # noqa: E731
    letters = replay(table.update(named(1, "a"), named(1, "x")),
                     table.update(named(2, "b"), named(2, "a")),
                     table.update(named(1, "x"), named(1, "b")))
    assert target.rows() == [(1, "b", 0), (2, "a", 0)] and letters == []
    shown = target.rows(columns=f"id, {column.split()[0]}")
    assert shown == ([(1, "ref"), (2, None)] if value != "default" else [(1, "b"), (2, "a")])


# --- whose tables ---------------------------------------------------------------------------------

def test_reset_leaves_what_others_have_written(sink, target, kafka, table):
    target.execute("create table items (id int primary key, name varchar(20), amount int)")
    target.execute("create table foreigners (id int primary key)")
    target.execute("insert into foreigners values (1)")

    def write(name, **more):
        sink.write({**pipeline(table, name), "defaults": BARE, **more}, kafka=kafka,
                   targets=[target.target()])
        return sink

    untouched = {"tables": {"foreigners": {"target": "foreigners"}}}
    write("first", **untouched).replay([table.create(row(1))])
    write("second").replay([table.create(row(2))])
    assert sorted(found[0] for found in target.execute(
        "select consumer_group from ods_sink_tables where table_name = 'items'")) == \
        [f"{sink.group}.first", f"{sink.group}.second"]
    said = write("first", **untouched).run("reset", "-c", sink.conf, "--all", "--yes")
    assert f"{sink.group}.second" in said.stdout
    assert target.count("items") == 2 and target.count("foreigners") == 1
    write("second").run("reset", "-c", sink.conf, "--all", "--yes")
    assert target.count("items") == 0  # nobody else writes it any more
    assert target.offset(table.topic) is None


# --- values ---------------------------------------------------------------------------------------

@BOTH
def test_null_is_not_taken_for_something_else(ods, target):
    """In a timestamp it means now, in an auto_increment column the next number."""
    columns = {"id": INT, "at": DATETIME, "n": INT}
    table = Table(columns=columns)
    replay = ods(table)
    kept = target.value("select @@global.explicit_defaults_for_timestamp")
    target.execute("set global explicit_defaults_for_timestamp = 0")
    try:
        target.execute("create table items (id int primary key, at timestamp(3) not null default "
                       "current_timestamp(3), n int not null auto_increment unique)")
        rows = [{"id": n, "at": 1_700_000_000_000, "n": n} for n in range(1, 151)]
        rows[7]["at"] = None
        rows[9]["n"] = None
        letters = replay(*(table.create(each) for each in rows))
    finally:
        target.execute(f"set global explicit_defaults_for_timestamp = {kept}")
    assert len(letters) == 2 and all('"1048"' in json.dumps(letter) for letter in letters)
    assert target.count("items") == 148 and target.count("items", "at > '2024-01-01'") == 0


def test_a_key_that_is_not_the_primary_one_loses_nothing(ods, target):
    table = Table(columns={"name": TEXT, "at": DATETIME, "amount": INT}, key=("name", "at"))
    replay = ods(table, inexact="round")
    target.execute("create table items (number int auto_increment primary key, name varchar(20) "
                   "character set utf8mb4 collate utf8mb4_bin not null, at datetime not null, "
                   "amount int, unique (name, at))")
    of = lambda name, at: {"name": name, "at": at, "amount": 1}  # noqa: E731
    letters = replay(table.create(of("a", 1_700_000_000_000)),
                     table.create(of("a ", 1_700_000_000_000)),
                     table.create(of("a", 1_700_000_001_500)))
    assert target.rows(columns="name, amount") == [("a", 1)] and len(letters) == 2


@BOTH
def test_an_engine_without_transactions_is_refused(sink, ods, target, server):
    table = Table()
    engine = {"mysql": "MyISAM", "mariadb": "Aria"}[server.flavour]
    ods(table)
    target.execute("create table items (id int primary key, name varchar(20), amount int) "
                   f"engine = {engine}")
    said = sink.replay_fails([table.create(row(1))], Exit.TARGET)
    assert engine in said.stderr and "engine=InnoDB" in said.stderr
    assert target.rows() == []
    sink.write({**pipeline(table), "tables": {"items": BARE}}, targets=[target.target()])
    said = sink.check("--connect", expect=None)
    assert said.returncode != Exit.OK and "engine=InnoDB" in said.stdout + said.stderr


# --- what is shown --------------------------------------------------------------------------------

def test_a_row_that_waits_shows_no_redacted_value(sink, target, kafka, table):
    target.execute("create table items (id int primary key, name varchar(20) unique, amount int)")
    target.execute("insert into items values (1, 'secret-name', 0), (2, 'n2', 0)")
    sink.write({**pipeline(table), "defaults": BARE, "tables": {"items": {"redact": ["name"]}}},
               kafka=kafka, targets=[target.target()])
    kafka.produce([table.update(row(2), {**row(2), "name": "secret-name"})])
    daemon = sink.daemon()
    daemon.await_that(lambda: "waits for the row" in daemon.log())
    assert "1062" in daemon.log()
    assert "secret-name" not in daemon.log() + json.dumps(daemon.get("/status"), default=str)
    daemon.kill()


def test_a_trigger_shows_no_redacted_value(sink, ods, target):
    table = Table()
    target.execute("create table items (id int primary key, name varchar(20), amount int)")
    target.execute("create trigger t before insert on items for each row begin declare m "
                   "varchar(99); set m = concat('column ''id'' and ', new.name); "
                   "signal sqlstate '45000' set message_text = m; end")
    sink.write({**pipeline(table), "defaults": {**BARE, "on_trigger_error": "stop"},
                "tables": {"items": {"redact": ["name"]}}}, targets=[target.target()])
    said = sink.replay_fails([table.create({**row(1), "name": "secret-name"})], Exit.TARGET)
    assert "on_trigger_error" in said.stderr and "secret-name" not in said.stderr


# --- changed keys ---------------------------------------------------------------------------------

def test_a_changed_key_of_maxwell_in_several_partitions(sink, target, kafka, prefix):
    """One record, in the new key's partition: meanwhile another row may have got the old key."""
    table = maxwell.Table(prefix=prefix)
    letters = kafka.create(f"{table.topic}.letters", 1)
    kafka.create(table.topic, 2)
    sink.write({"name": "items", "format": "maxwell", "topics": [table.topic], "target": "ods",
                "defaults": BARE}, dead_letter={"topic": letters}, kafka=kafka,
               targets=[target.target()])
    target.execute("create table items (id int primary key, name varchar(20), amount int)")
    first, reused = table.insert(row(1)), table.insert(row(2, 5))
    moved = {**table.update(row(2), row(3)), "partition": 1}
    kafka.produce([first, reused])
    daemon = sink.daemon()
    daemon.await_that(lambda: target.count("items") == 2)
    kafka.produce([moved])
    daemon.await_that(lambda: target.offset(table.topic, 1) == 1)
    daemon.stop()
    assert target.rows() == [(1, "n1", 0), (2, "n2", 5)]
    assert kafka.count(letters) == 1


WIDE = {"id": INT, "name": TEXT, "note": TEXT, "bytes": {"type": "bytes"}, "real": DOUBLE}
FULL = {"name": "n", "note": "kept 'é' 🎉", "bytes": "AAEC/w==", "real": 0.1}
LEAN = {"name": "m", "note": "__debezium_unavailable_value",
        "bytes": "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==", "real": 0.5}


def moved(table, old, new, **values):
    """The two records (and the tombstone) that one update of the key becomes."""
    at = table._clock_ms + 1000
    delete = table.change("d", {"id": old}, None, ts_ms=at)
    tombstone = table.tombstone({"id": old})
    create = table.change("c", None, {"id": new, **values}, ts_ms=at)
    delete["headers"] = tombstone["headers"] = ["__debezium.newkey", json.dumps({"id": new})]
    create["headers"] = ["__debezium.oldkey", json.dumps({"id": old})]
    table._clock_ms = at
    return [delete, tombstone, create]


@BOTH
def test_a_create_waits_for_the_row_of_its_old_key(sink, target, kafka, prefix):
    """It comes behind it, from another partition."""
    table = Table(columns=WIDE)
    table.topic = kafka.create(f"{prefix}-items", 2)
    sink.write({**pipeline(f"^{prefix}-items$", defaults={"on_delete": "soft"}), "lanes": 2},
               targets=[target.target()], kafka=True)
    target.execute("create table items (id int primary key, name varchar(20), note varchar(200), "
                   "bytes varbinary(20), `real` float, cdc_operation char(1), "
                   "cdc_timestamp timestamp(6) null)")
    daemon = sink.daemon()
    first = table.create({"id": 1, **FULL})
    delete, tombstone, create = moved(table, 1, 2, **LEAN)
    kafka.produce([{**create, "partition": 0}])
    daemon.await_that(lambda: (daemon.metric("ods_sink_records_put_off_total") or 0) > 0)
    kafka.produce([{**record, "partition": 1} for record in (first, delete, tombstone)])
    daemon.await_that(lambda: target.count("items") == 2)
    kept = ("m", FULL["note"], b"\x00\x01\x02\xff", 0.5)
    daemon.await_that(lambda: (2, *kept) in target.rows(columns="id, name, note, bytes, `real`"))
    assert daemon.metric("ods_sink_values_lost_total") == 0
    daemon.stop()


@BOTH
def test_a_changed_key_takes_along_what_the_record_lacks(sink, target):
    """From the batch, from the table, through two changes; what nobody has any more is counted."""
    table = Table(columns=WIDE)
    sink.write({**pipeline(table), "defaults": {"on_delete": "hard"}}, targets=[target.target()])
    target.execute("create table items (id int primary key, name varchar(20), note varchar(200), "
                   "bytes varbinary(20), `real` float, cdc_operation char(1), "
                   "cdc_timestamp timestamp(6) null)")

    def lost(*records):
        return sink.replay(list(records))["pipelines"][0]["values_lost"]

    assert lost(table.create({"id": 1, **FULL}), *moved(table, 1, 2, **LEAN)) == 0
    assert lost(*moved(table, 2, 3, **LEAN), *moved(table, 3, 4, **LEAN)) == 0
    kept = ("m", FULL["note"], b"\x00\x01\x02\xff", 0.5)
    shown = "id, name, note, bytes, `real`"
    assert target.rows(columns=shown) == [(4, *kept)]
    first, tombstone, last = moved(table, 4, 5, **LEAN)
    assert lost(first, tombstone) == 0 and lost(last) == 2
    assert target.rows(columns=shown) == [(5, "m", None, None, 0.5)]
    assert lost(table.create({"id": 6, **FULL}), table.delete({"id": 6, **FULL}),  # without headers
                table.create({"id": 7, **LEAN})) == 0
    assert target.rows(columns=shown)[1:] == [(7, *kept)]
