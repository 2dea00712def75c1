"""ods-sink erase: a person's row goes from the target, its history and the dead letters."""

import json
import threading

import pytest
from lib.records import TEXT, Table, pipeline
from lib.sink import Exit
from test_letter_encryption import make_keys

NAME = "zq7 Somebody"
LONG = NAME + " with more words than fit"


@pytest.fixture
def world(sink, databases, kafka, table, prefix):
    """A table with a history beside it, its source, and a dead-letter topic."""
    database, source = databases(), databases()
    columns = "id int, name varchar(20), amount int, cdc_operation text, cdc_timestamp timestamptz"
    database.execute(f"create table items ({columns}, primary key (id)); "
                     f"create table items_cdc ({columns}, change text)")
    source.execute("create schema shop; create table shop.items (id int primary key, name text, "
                   "amount int)")
    letters = kafka.create(f"{prefix}.letters", 2)
    sink.folder.mkdir(parents=True, exist_ok=True)
    world = type("World", (), {})()

    def write(source_known=True, public=None, **settings):
        encrypt = {"encrypt": {"public_key": str(public)}} if public else {}
        known = {"databases": [{"name": "shop", "type": "postgres", "dsn": source.dsn}]}
        sink.write(pipeline(table, **({"database": "shop"} if source_known else {}),
                            tables={"shop.items": {"redact": ["name"]}}), database=database,
                   kafka=True, dead_letter={"topic": letters, **encrypt},
                   **(known if source_known else {}), **settings)

    def erase(key, *options, expect=Exit.OK):
        done = sink.run("erase", "-c", sink.conf, "shop.items", "--key", key, *options,
                        expect=expect)
        world.said += done.stdout + done.stderr
        return done

    world.__dict__.update(sink=sink, database=database, source=source, kafka=kafka, table=table,
                          letters=letters, write=write, erase=erase, said="")
    write()
    yield world
    assert NAME not in world.said


def fill(world):
    """Rows 1 and 2, each with history; two letters of row 1, one of row 2."""
    table = world.table
    world.kafka.produce([table.create({"id": number, "name": NAME, "amount": number})
                         for number in (1, 2)])
    world.kafka.produce([table.update({"id": number, "name": NAME, "amount": 0},
                                      {"id": number, "name": LONG, "amount": amount})
                         for number, amount in ((1, 1), (1, 2), (2, 3))])
    world.database.execute("insert into items_cdc (id, name, change) select id, $$zq7$$, 'x' "
                           "from generate_series(1, 2) id, generate_series(1, 3)")
    daemon = world.sink.daemon()
    daemon.await_that(lambda: world.kafka.count(world.letters) == 3 and
                      world.database.count("items") == 2, what="letters and rows")
    return daemon


def answer(done):
    return json.loads(done.stdout)


def listed(world):
    done = world.sink.run("dlq", "list", "-c", world.sink.conf, "--json")
    return answer(done)["letters"]


def test_erases_everything_of_one_row(world):
    daemon = fill(world)
    plan = world.erase("1", "--dry-run").stdout
    assert "nothing was changed" in plan and "backups" in plan and world.table.topic in plan
    assert "days after" in plan and world.letters in plan
    assert answer(world.erase("1", "--dry-run", "--json"))["letters"] == 2
    assert (world.database.count("items"), world.database.count("items_cdc")) == (2, 6)
    assert listed(world) == 3 and world.database.count("ods_sink.erasures") == 0
    assert "--yes" in world.erase("1", expect=Exit.USAGE).stderr

    told = answer(world.erase("1", "--yes", "--json"))
    assert told["erased"] and told["source"] == "gone"
    assert (told["rows"], told["history_rows"], told["letters"], told["shadow_rows"]) == \
        (1, 3, 2, None)
    assert world.database.execute("select id from items") == [(2,)]
    assert world.database.execute("select distinct id from items_cdc") == [(2,)]
    assert listed(world) == 1
    kept = world.database.execute("select to_jsonb(e)::text from ods_sink.erasures e")
    assert len(kept) == 1 and NAME not in kept[0][0]
    assert json.loads(kept[0][0])["key_columns"] == ["id"] and '"rows": 1' in kept[0][0]

    tombstones = [message for message in world.kafka.read(world.letters)
                  if message.value() is None]
    assert len(tombstones) == 2
    again = world.sink.run("dlq", "replay", "-c", world.sink.conf, "--again", "--force", "--json",
                           expect=None)
    assert answer(again)["refused"] == 1 and world.database.count("items") == 1
    assert "no such letter" in world.sink.run(
        "dlq", "show", "-c", world.sink.conf, f"{world.table.topic}:0:2",
        expect=Exit.NEGATIVE).stderr
    trace = world.sink.run("trace", "-c", world.sink.conf, "shop.items", "--key", "1", "--json",
                           expect=None).stdout
    assert '"waiting"' not in trace
    once_more = answer(world.erase("1", "--yes", "--json"))
    assert once_more["erased"] and (once_more["rows"], once_more["letters"]) == (0, 0)
    daemon.stop()


def test_refuses_while_it_would_come_back(world):
    fill(world).stop()
    world.source.execute("insert into shop.items values (1, 'x', 1)")
    refused = world.erase("1", "--yes", expect=Exit.NEGATIVE).stderr
    assert "delete it there first" in refused
    world.source.execute("delete from shop.items")
    world.kafka.produce([world.table.create({"id": 9, "name": "late", "amount": 1})])
    refused = world.erase("1", "--yes", "--wait", "1", expect=Exit.NEGATIVE).stderr
    assert "1 records of the table's topics are not applied" in refused
    assert world.database.count("items") == 2 and listed(world) == 3
    daemon = world.sink.daemon()
    assert answer(world.erase("1", "--yes", "--json"))["rows"] == 1  # waits for it
    assert world.database.execute("select id from items order by id") == [(2,), (9,)]
    daemon.stop()
    world.write(source_known=False)
    told = answer(world.erase("2", "--yes", "--json"))
    assert told["source"] == "unknown" and told["rows"] == 1


def test_encrypted_letters_and_compaction(world):
    private, public = make_keys(world.sink.folder, "letters")
    world.kafka.alter(world.letters, cleanup_policy="compact")
    world.write(public=public)
    daemon = fill(world)
    blind = answer(world.erase("1", "--dry-run", "--json"))
    assert (blind["letters"], blind["letters_encrypted"]) == (0, 3)
    assert "--private-key" in json.dumps(blind["not_reached"])
    told = answer(world.erase("1", "--yes", "--json", "--private-key", private))
    assert (told["rows"], told["letters"], told["letters_encrypted"]) == (1, 2, 0)
    messages = world.kafka.read(world.letters)
    erased = {message.key() for message in messages if message.value() is None}
    of_them = [message for message in messages if message.value() and message.key() in erased]
    assert len(erased) == 2 and len(of_them) == 2  # the same key and partition: compaction's
    assert {(m.key(), m.partition()) for m in of_them} == \
        {(m.key(), m.partition()) for m in messages if m.value() is None}
    assert listed(world) == 1
    daemon.stop()


def test_exact_while_changes_stream(world):
    """Every erased row stays away, though its changes were in flight a moment before."""
    fill(world).stop()
    daemon = world.sink.daemon()
    ended = threading.Event()
    table = world.table

    def stream():
        number = 0
        while not ended.is_set():
            number += 1
            world.kafka.produce([table.create({"id": 1000 + number % 50, "name": "n",
                                               "amount": number})])

    writer = threading.Thread(target=stream)
    writer.start()
    try:
        for number in range(100, 105):
            rows = [{"id": number, "name": "n", "amount": step} for step in range(20)]
            world.kafka.produce([table.create(row) for row in rows])
            told = answer(world.erase(str(number), "--yes", "--json"))
            assert told["erased"] and told["rows"] == 1, told
    finally:
        ended.set()
        writer.join()
    world.kafka.produce([table.create({"id": 999, "name": "last", "amount": 0})])
    daemon.await_that(lambda: world.database.execute("select 1 from items where id = 999"))
    assert world.database.execute("select id from items where id between 100 and 110") == []
    daemon.stop()


def test_the_history_that_the_target_keeps(world):
    """Under a name of its own."""
    world.database.execute("drop table items, items_cdc")
    world.sink.write(pipeline(world.table, tables={"shop.items": {
        "history": {"name": "audit.everything"}}}), database=world.database, kafka=True)
    rows = [{"id": number, "name": "n", "amount": amount} for number in (1, 2) for amount in (1, 2)]
    world.database.execute("create schema audit")
    world.kafka.produce([world.table.create(row) for row in rows])
    daemon = world.sink.daemon()
    daemon.await_that(lambda: world.database.count("audit.everything") == 4)
    told = answer(world.erase("1", "--yes", "--json"))
    assert (told["rows"], told["history_rows"]) == (1, 2)
    assert world.database.execute("select distinct id from audit.everything") == [(2,)]
    daemon.stop()


def test_a_key_of_padded_characters(world, sink, database):
    """char(n) and bit(n): the value is compared whole."""
    table = Table(columns={"code": TEXT, "name": TEXT}, key=("code",))
    database.execute("create table padded (code char(3) primary key, name text)")
    sink.write(pipeline(table, tables={"shop.items": {"target": "padded"}}), database=database,
               kafka=True)
    database.execute("insert into padded values ('a', 'x'), ('abc', 'y')")
    sink.run("erase", "-c", sink.conf, "shop.items", "--key", "abc", "--yes", "--force")
    assert database.execute("select code from padded") == [("a  ",)]
