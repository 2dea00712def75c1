"""The same load with histories beside the tables: each change that was sent is one row, with its
values, in the order of its partition; and the target finds no gap by itself."""

import json
from collections import defaultdict

from .bad import DECODE, KINDS
from .compare import compare
from .workload import UNAVAILABLE, Workload
from .world import World, load_pipeline

# Per table: the columns that are compared.
COLUMNS = {"items": ("id", "name", "amount"), "orders": ("region", "number", "note", "amount"),
           "documents": ("id", "title", "body", "version"), "events": ("n", "text")}


class Told(Workload):
    """Knows, of each partition, the rows that are to come of what was sent."""

    def __init__(self, *arguments, **settings):
        settings.setdefault("kinds", [kind.name for kind in KINDS.values() if kind.stage == DECODE])
        super().__init__(*arguments, **settings)
        self.told = defaultdict(dict)  # (topic, partition): {offset: row}

    def step(self):
        records = super().step()
        for record in records:
            place = record["topic"], record["partition"]
            if record["payload"] is not None and (*place, record["offset"]) not in self.letters:
                self.told[place][record["offset"]] = expected(record)
        return records


def expected(record):
    table = record["topic"].rsplit(".", 1)[1]
    change = json.loads(record["payload"])["payload"]
    image = change["after"] or change["before"]
    values = [image.get(name) for name in COLUMNS[table]]
    unchanged = [name for name, value in zip(COLUMNS[table], values) if value == UNAVAILABLE]
    return (change["op"], tuple(None if value == UNAVAILABLE else value for value in values),
            unchanged or None)


class HistoryWorld(World):
    workload_class = Told

    def pipeline(self):
        told = load_pipeline(self.prefix, group_id=self.group)
        told["defaults"]["history"] = True
        return told

    def compare(self, letters):
        verdict = compare(self.workload, self.observer.query, letters, told=self.letters_tell)
        for table, columns in COLUMNS.items():
            self.compare_history(verdict, table, columns)
        wanted = {place for place in self.workload.letters}
        for topic, partition, first, upto, problem in self.observer.query(
                "select topic, partition, from_offset, upto_offset, problem "
                "from ods_sink.history_gaps where topic <> all(%s)",
                [self.workload.accounts.topic, self.workload.small.topic]):
            missing = {(topic, partition, offset) for offset in range(first, upto)}
            if problem != "gap":
                verdict.add("twice", f"{problem}: {topic} {partition} {first}")
            elif not missing <= wanted:
                verdict.add("lost", f"{topic} {partition} from {first} to {upto}")
        return verdict

    def compare_history(self, verdict, table, columns):
        found = defaultdict(dict)
        # One row of a history is written after another: the order of a partition is that of offsets.
        for topic, partition, offset, op, unchanged, *values in self.observer.query(
                f'select topic, partition, "offset", op, unchanged, {", ".join(columns)} '
                f"from {table}_cdc"):
            verdict.rows += 1
            if offset in found[topic, partition]:
                verdict.add("twice", f"{topic} {partition} {offset}")
            found[topic, partition][offset] = op, tuple(values), unchanged
        topic = getattr(self.workload, table).topic
        for place, told in self.workload.told.items():
            if place[0] != topic:
                continue
            for offset, row in told.items():
                there = found[place].pop(offset, None)
                if there is None:
                    verdict.add("lost", f"history of {table}: {place} {offset}")
                elif there != row:
                    verdict.add("wrong", f"history of {table}: {place} {offset} {there} not {row}")
        for place, rows in found.items():
            for offset in rows:
                verdict.add("wrong", f"history of {table}: {place} {offset} was not sent")
