"""Rows that a unique or foreign key of the target refuses, and that are right: they need another row,
of their batch, of another partition or of another lane, to come or to go first."""

import json

import pytest
from lib.records import INT, TEXT, Table, pipeline
from lib.sink import read_lines

PEOPLE = {"id": INT, "email": TEXT, "note": TEXT}
UNAVAILABLE = "__debezium_unavailable_value"


def person(number, email, note="n"):
    return {"id": number, "email": email, "note": note}


@pytest.fixture
def people(database):
    database.execute("create table people (id int primary key, email text not null unique, "
                     "note text, own text default 'mine', cdc_operation text, "
                     "cdc_timestamp timestamptz)")
    return database


A, B, C = person(1, "a"), person(2, "b"), person(3, "c")


def moved(row, email, note="m"):
    return {**row, "email": email, "note": note}


# What happens, and who has which address afterwards.
MOVES = {
    "swap": (lambda t: [t.update(A, moved(A, "b")), t.update(B, moved(B, "a"))],
             {1: "b", 2: "a", 3: "c"}),
    "swap by way of a third value": (
        lambda t: [t.update(A, moved(A, "t")), t.update(B, moved(B, "a")),
                   t.update(moved(A, "t"), moved(A, "b"))], {1: "b", 2: "a", 3: "c"}),
    "three in a ring": (lambda t: [t.update(A, moved(A, "b")), t.update(B, moved(B, "c")),
                                   t.update(C, moved(C, "a"))], {1: "b", 2: "c", 3: "a"}),
    "a chain": (lambda t: [t.update(C, moved(C, "d")), t.update(B, moved(B, "c")),
                           t.update(A, moved(A, "b"))], {1: "b", 2: "c", 3: "d"}),
    "a chain told backwards": (
        lambda t: [t.update(A, moved(A, "b")), t.update(B, moved(B, "c")),
                   t.update(C, moved(C, "d"))], {1: "b", 2: "c", 3: "d"}),
    "deleted, and its value taken over": (
        lambda t: [t.create(person(4, "d")), t.delete(A), t.create(person(5, "a"))],
        {2: "b", 3: "c", 4: "d", 5: "a"}),
    "taken over by a new row": (
        lambda t: [t.update(A, moved(A, "z")), t.create(person(9, "a"))],
        {1: "z", 2: "b", 3: "c", 9: "a"}),
    "a new row in the ring": (
        lambda t: [t.create(person(9, "a")), t.update(A, moved(A, "b")),
                   t.update(B, moved(B, "x"))], {1: "b", 2: "x", 3: "c", 9: "a"}),
    "swap of rows with values in TOAST": (
        lambda t: [t.update(A, moved(A, "b", UNAVAILABLE)), t.update(B, moved(B, "a"))],
        {1: "b", 2: "a", 3: "c"}),
    "deleted and made again in a swap": (
        lambda t: [t.delete(A), t.update(B, moved(B, "a")), t.create(person(1, "b"))],
        {1: "b", 2: "a", 3: "c"}),
}


@pytest.mark.parametrize("what", MOVES)
def test_unique_values_move_between_rows(sink, people, what):
    table = Table("people", columns=PEOPLE)
    sink.write(pipeline(table, defaults={"on_delete": "hard"}), database=people)
    sink.replay([table.create(A), table.create(B), table.create(C)])
    people.execute("update people set own = 'kept' where id = 1")
    changes, left = MOVES[what]
    summary = sink.replay(changes(table))
    assert summary["rejected"] == 0
    assert dict(people.execute("select id, email from people")) == left
    if "TOAST" in what:
        assert people.value("select note from people where id = 1") == "n"
    if 1 in left and "deleted" not in what:
        assert people.value("select own from people where id = 1") == "kept"


def test_a_swap_beside_a_true_conflict(sink, people, tmp_path):
    """Row 3 wants what nobody gives up; the other two get what they want."""
    table = Table("people", columns=PEOPLE)
    sink.write(pipeline(table), database=people)
    sink.replay([table.create(A), table.create(B), table.create(C), table.create(person(4, "d"))])
    letters = tmp_path / "letters.jsonl"
    sink.replay([table.update(A, moved(A, "b")), table.update(C, moved(C, "d")),
                 table.update(B, moved(B, "a")), table.update(person(4, "d"), person(4, "d", "x"))],
                dead_letter=letters)
    assert dict(people.execute("select id, email from people")) == {1: "b", 2: "a", 3: "c", 4: "d"}
    assert people.value("select note from people where id = 4") == "x"
    letter, = read_lines(letters)
    assert json.loads(letter["payload"])["payload"]["after"]["id"] == 3


def test_a_swap_is_no_delete_to_others(sink, people, tmp_path):
    """Taking rows out for a moment would take away what refers to them: then it isn't done."""
    people.execute("create table visits (person int references people on delete cascade)")
    table = Table("people", columns=PEOPLE)
    sink.write(pipeline(table), database=people)
    sink.replay([table.create(A), table.create(B)])
    people.execute("insert into visits values (1), (2)")
    letters = tmp_path / "letters.jsonl"
    sink.replay([table.update(A, moved(A, "b")), table.update(B, moved(B, "a"))],
                dead_letter=letters)
    assert people.count("visits") == 2
    assert dict(people.execute("select id, email from people")) == {1: "a", 2: "b"}
    assert len(read_lines(letters)) == 2


# Foreign keys

ORDERS = {"id": INT, "person": INT}


@pytest.fixture
def family(people):
    people.execute("create table orders (id int primary key, person int references people, "
                   "cdc_operation text, cdc_timestamp timestamptz)")
    return people


def order(number, who):
    return {"id": number, "person": who}


@pytest.mark.parametrize("deferred", [False, True], ids=["checked at once", "deferred"])
def test_child_before_its_parent_in_a_batch(sink, family, tmp_path, deferred):
    if deferred:
        family.execute("alter table orders alter constraint orders_person_fkey "
                       "deferrable initially deferred")
    people, orders = Table("people", columns=PEOPLE), Table("orders", columns=ORDERS)
    sink.write(pipeline("^src\\.shop\\..*", defaults={"on_delete": "hard"}), database=family)
    records = [orders.create(order(number, number % 3 + 1)) for number in range(50)]
    records += [orders.create(order(99, 77)), people.create(A), people.create(B), people.create(C)]
    letters = tmp_path / "letters.jsonl"
    summary = sink.replay(records, dead_letter=letters)
    assert (family.count("people"), family.count("orders")) == (3, 50)
    assert summary["rejected"] == 1
    told = dict(zip(*[iter(read_lines(letters)[0]["headers"])] * 2))
    assert told["ods.sqlstate"] == "23503"
    # A parent that goes before its children do.
    sink.replay([people.delete(A)] + [orders.delete(order(number, 1))
                                      for number in range(0, 50, 3)])
    assert family.count("people") == 2 and family.count("orders", "person = 1") == 0


def ends(database):
    return {(topic.split(".")[-1], partition): offset
            for (_, topic, partition), offset in database.offsets().items()}


def test_child_waits_for_its_parent(sink, family, kafka, prefix):
    """The parent's record comes while the child waits. What stands before the child is there; what
    stands behind it waits with it."""
    people = Table("people", columns=PEOPLE, prefix=prefix)
    orders = Table("orders", columns=ORDERS, prefix=prefix)
    for table in (people, orders):
        kafka.create(table.topic, 1)
    kafka.produce([people.create(A)])
    kafka.produce([orders.create(order(1, 1)), orders.create(order(2, 2)),
                   orders.create(order(3, 1))])
    letters = kafka.create(f"{prefix}.letters", 1)
    sink.write(pipeline(f"^{prefix}\\.shop\\..*"), database=family, kafka=True,
               dead_letter={"topic": letters},
               retry={"initial_ms": 500, "max_ms": 500, "constraint_attempts": 1000})
    daemon = sink.daemon()
    daemon.await_that(lambda: ends(family).get(("orders", 0)) == 1, what="the first order")
    daemon.await_that(lambda: "waits for the row" in daemon.log(), what="a line about it")
    daemon.await_that(lambda: '"waiting"' in daemon.get("/status")[1], what="the lane's state")
    daemon.await_that(lambda: daemon.get("/readyz")[0] == 200, what="readiness: it is no outage")
    kafka.produce([people.create(B)])
    if len(json.loads(daemon.get("/status")[1])["lanes"]) == 1:
        family.execute("insert into people values (2, 'b')")
    daemon.await_that(lambda: ends(family).get(("orders", 0)) == 3, what="all orders")
    daemon.await_that(lambda: ends(family).get(("people", 0)) == 2, what="both people")
    assert family.count("orders") == 3
    assert kafka.count(letters) == 0
    daemon.stop()


def test_orphans_become_letters_together(sink, family, kafka, prefix):
    """However many rows of a batch wait in vain, they wait together."""
    people = Table("people", columns=PEOPLE, prefix=prefix)
    orders = Table("orders", columns=ORDERS, prefix=prefix)
    for table in (people, orders):
        kafka.create(table.topic, 1)
    letters = kafka.create(f"{prefix}.letters", 1)
    family.execute("insert into people values (1, 'a')")
    kafka.produce([orders.create(order(number, 1 if number % 2 else 77)) for number in range(100)])
    sink.write(pipeline(f"^{prefix}\\.shop\\..*"), database=family, kafka=True,
               dead_letter={"topic": letters}, lanes=1,
               retry={"initial_ms": 50, "max_ms": 200, "constraint_attempts": 3})
    daemon = sink.daemon()
    daemon.await_that(lambda: ends(family).get(("orders", 0)) == 100, what="the end")
    assert family.count("orders") == 50 and kafka.count(letters) == 50
    # Three waits a batch at most; how the records fell into batches is Kafka's doing.
    assert daemon.metric("ods_sink_retries_total") <= 30
    daemon.stop()


# Truncates


def test_a_truncate_among_partitions_is_not_applied(sink, database, kafka, prefix):
    """Four partitions, two lanes: what came after the truncate elsewhere is not taken away."""
    table = Table(prefix=prefix)
    kafka.create(table.topic, 4)
    letters = kafka.create(f"{prefix}.letters", 1)
    rows = [{"id": number, "name": "n", "amount": number} for number in range(40)]
    kafka.produce([table.create(row, partition=row["id"] % 4) for row in rows[:20]])
    kafka.produce([table.truncate(partition=2)])
    kafka.produce([table.create(row, partition=row["id"] % 4) for row in rows[20:]])
    sink.write(pipeline(table, defaults={"on_truncate": "apply"}), database=database, kafka=True,
               lanes=2, dead_letter={"topic": letters})
    daemon = sink.daemon()
    daemon.await_that(lambda: sum(database.offsets().values()) == 41, what="the end")
    daemon.await_that(lambda: kafka.count(letters) == 1, what="the letter")
    daemon.stop()
    assert database.count("items") == 40
    headers = dict(kafka.read(letters)[0].headers())
    assert b"4 partitions" in headers["ods.error"]


def test_a_truncate_of_one_partition_is_applied_in_order(sink, database, kafka, prefix):
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1)
    rows = [{"id": number, "name": "n", "amount": number} for number in range(40)]
    kafka.produce([table.create(row) for row in rows[:20]] + [table.truncate()] +
                  [table.create(row) for row in rows[15:25]])
    sink.write(pipeline(table, defaults={"on_truncate": "apply", "on_delete": "hard"}),
               database=database, kafka=True, lanes=2)
    daemon = sink.daemon()
    daemon.await_that(lambda: sum(database.offsets().values()) == 31, what="the end")
    daemon.stop()
    assert database.execute("select min(id), max(id), count(*) from items") == [(15, 24, 10)]
