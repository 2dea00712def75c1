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
