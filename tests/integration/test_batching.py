"""However a history is cut into batches, the table ends the same.

Random histories over few keys, so that every kind of neighbour meets: create, update with and
without unchanged TOAST values, delete, tombstone, re-creation, a column that appears, a column that
goes. Each is applied a change at a time, in small batches and as one batch, and the tables are
compared whole. The seed is printed with a failure.
"""

import json
import random

import pytest

from lib.records import INT, TEXT, Table, pipeline

UNAVAILABLE = "__debezium_unavailable_value"
KEYS = 6
CHANGES = 150
BATCHES = (1, 2, 7, 10000)


def history(seed, key=("id",)):
    """Records of one partition. A source row is a dict; what TOAST hides is not sent."""
    chance = random.Random(seed)
    old = Table(columns={"id": INT, "name": TEXT, "big": TEXT, "amount": INT}, key=key)
    new = Table(columns={"id": INT, "name": TEXT, "big": TEXT, "amount": INT, "extra": TEXT},
                key=key)
    new._offsets = old._offsets  # two versions of one table, one topic
    rows, records = {}, []
    for step in range(CHANGES):
        table = new if step > CHANGES // 3 and chance.random() < 0.7 else old
        table._clock_ms = 1_760_000_000_000 + step * 1000
        number = chance.randrange(KEYS)
        fresh = {"id": number, "name": f"n{step}", "amount": chance.choice([None, step]),
                 "big": f"big {step}", "extra": chance.choice([None, f"e{step}"])}
        row = rows.get(number)
        if row is None:
            records.append(table.create(fresh))
            rows[number] = fresh
        elif chance.random() < 0.3:
            records.append(table.delete(row))
            if chance.random() < 0.5:
                records.append(table.tombstone(row))
            if chance.random() < 0.1:
                records.append(table.delete(row))  # delivered again
            del rows[number]
        else:
            hidden = chance.random() < 0.4
            if hidden:
                fresh["big"] = row["big"]
            sent = {**fresh, "big": UNAVAILABLE} if hidden else fresh
            records.append(table.update(row, sent))
            rows[number] = fresh
    return old, rows, records


def contents(database):
    return database.execute("select id, name, big, amount, extra, cdc_operation, cdc_timestamp "
                            "from items order by 1, 2, 3, 4, 5")


@pytest.mark.parametrize("on_delete", ["soft", "hard", "ignore"])
@pytest.mark.parametrize("seed", range(2))
def test_batches_do_not_matter(databases, sink, on_delete, seed):
    table, rows, records = history(seed)
    seen = {}
    for size in BATCHES:
        database = databases()
        sink.write(pipeline(table, defaults={"on_delete": on_delete}), database=database,
                   batch={"max_events": size})
        summary = sink.replay(records)
        assert summary["rejected"] == 0
        seen[size] = contents(database)
    for size in BATCHES[1:]:
        assert seen[size] == seen[1], f"seed {seed}: batches of {size} differ from single changes"
    if on_delete == "hard":
        # And it is what the source has: the columns that every version carries.
        assert [(row[0], row[1], row[2], row[3]) for row in seen[1]] == \
            [(row["id"], row["name"], row["big"], row["amount"])
             for _, row in sorted(rows.items())]


@pytest.mark.parametrize("seed", range(2))
def test_batches_do_not_matter_with_bad_records_between(databases, sink, seed, tmp_path):
    """A refused change leaves its key as the change before it made it, in any batch. (One that a
    later change of its batch made superfluous is not even looked at.)"""
    table, _, records = history(seed + 100)
    chance = random.Random(seed)
    for record in records:
        value = json.loads(record["payload"]) if record["payload"] else None
        if value and value["payload"]["op"] in "cu" and chance.random() < 0.3:
            value["payload"]["after"]["amount"] = 99999999999  # an int32, says the schema
            record["payload"] = json.dumps(value)
    seen = {}
    for size in BATCHES:
        database = databases()
        sink.write(pipeline(table, defaults={"on_delete": "hard"}), database=database,
                   batch={"max_events": size})
        summary = sink.replay(records, dead_letter=tmp_path / f"dead-{size}.jsonl")
        assert summary["rejected"] > 0 or size > 1
        seen[size] = contents(database)
    for size in BATCHES[1:]:
        assert seen[size] == seen[1], f"seed {seed}: batches of {size} differ from single changes"


def lies(seed, keys=300, changes=1200):
    """Many keys, so that batches are large enough for the sink to rely on what a change says about
    the row that it meets; and changes that are wrong about it: creates of rows that are there, as
    when a snapshot is taken again, and updates and deletes of rows that are not."""
    chance = random.Random(seed)
    table = Table(columns={"id": INT, "name": TEXT, "big": TEXT, "amount": INT})
    records, rows = [], {}
    for step in range(changes):
        truthful = chance.random() < (0.999 if step < changes // 2 else 0.9)
        there = sorted(rows) if truthful else sorted(set(range(keys)) - set(rows))
        away = sorted(set(range(keys)) - set(rows)) if truthful else sorted(rows)
        kind = chance.choice("ccud") if step < keys else chance.choice("cuuud")
        number = chance.choice((away if kind == "c" else there) or [0])
        row = {"id": number, "name": f"n{step}", "amount": step, "big": f"big {step}"}
        if kind == "c":
            records.append(table.create(row) if chance.random() < 0.5 else table.read(row))
        elif kind == "u":
            sent = {**row, "big": UNAVAILABLE} if chance.random() < 0.3 else row
            records.append(table.update(rows.get(number, row), sent))
        else:
            records.append(table.delete(rows.get(number, row)))
        if kind == "d":
            rows.pop(number, None)
        else:
            rows[number] = row
    return table, records


@pytest.mark.parametrize("on_delete", ["soft", "hard"])
@pytest.mark.parametrize("seed", range(2))
def test_a_change_that_is_wrong_about_its_row(databases, sink, on_delete, seed):
    table, records = lies(seed)
    seen = {}
    for size in (1, 150, 400, 10000):
        database = databases()
        sink.write(pipeline(table, defaults={"on_delete": on_delete}), database=database,
                   batch={"max_events": size})
        summary = sink.replay(records)
        assert summary["rejected"] == 0
        seen[size] = database.execute("select id, name, big, amount, cdc_operation from items "
                                      "order by 1")
    for size in (150, 400, 10000):
        assert seen[size] == seen[1], f"seed {seed}: batches of {size} differ from single changes"


def moves(seed):
    """People who pass unique addresses on, orders that refer to them, an unchanged TOAST value now and
    then: in every state of the source each address is had once and each order's person is there."""
    chance = random.Random(seed)
    people = Table("people", columns={"id": INT, "email": TEXT, "big": TEXT})
    orders = Table("orders", columns={"id": INT, "person": INT})
    rows, placed, records, clock = {}, {}, [], 1_760_000_000_000

    def write(id_, email, big):
        row = {"id": id_, "email": email, "big": big}
        old = rows.get(id_)
        hidden = old and chance.random() < 0.4
        if hidden:
            row["big"] = old["big"]
        sent = {**row, "big": UNAVAILABLE} if hidden else row
        records.append(people.update(old, sent) if old else people.create(row))
        rows[id_] = row

    for step in range(CHANGES):
        clock += 1000
        people._clock_ms = orders._clock_ms = clock
        held = {row["email"] for row in rows.values()}
        free = [f"e{n}" for n in range(KEYS + 1) if f"e{n}" not in held]
        what, id_ = chance.random(), chance.randrange(KEYS)
        if what < 0.25 and len(rows) > 1:
            one, two = chance.sample(sorted(rows), 2)
            first, second = rows[one]["email"], rows[two]["email"]
            write(one, f"parked {step}", f"b{step}")
            write(two, first, f"b{step}")
            write(one, second, f"b{step}")
        elif what < 0.4 and id_ in rows:
            for number in [n for n, order in placed.items() if order["person"] == id_]:
                records.append(orders.delete(placed.pop(number)))
            records.append(people.delete(rows.pop(id_)))
        elif what < 0.6 and rows:
            order = {"id": chance.randrange(KEYS), "person": chance.choice(sorted(rows))}
            old = placed.get(order["id"])
            records.append(orders.update(old, order) if old else orders.create(order))
            placed[order["id"]] = order
        else:
            write(id_, chance.choice(free), f"b{step}")
    return rows, placed, records


@pytest.mark.parametrize("foreign_key", ["", "deferrable initially deferred"])
@pytest.mark.parametrize("seed", range(2))
def test_batches_do_not_matter_where_keys_bind_rows(databases, sink, seed, foreign_key):
    rows, placed, records = moves(seed)
    for size in BATCHES:
        database = databases()
        database.execute(f"""
            create table people (id int primary key, email text not null unique, big text,
                                 cdc_operation text, cdc_timestamp timestamptz);
            create table orders (id int primary key, person int references people {foreign_key},
                                 cdc_operation text, cdc_timestamp timestamptz)""")
        sink.write(pipeline("^src\\.shop\\..*", defaults={"on_delete": "hard"}),
                   database=database, batch={"max_events": size})
        summary = sink.replay(records)
        assert summary["rejected"] == 0, f"seed {seed}, batches of {size}"
        assert database.execute("select id, email, big from people order by 1") == \
            [(n, row["email"], row["big"]) for n, row in sorted(rows.items())], \
            f"seed {seed}, batches of {size}"
        assert database.execute("select id, person from orders order by 1") == \
            [(n, order["person"]) for n, order in sorted(placed.items())]
