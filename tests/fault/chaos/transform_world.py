"""The same load through a pipeline with transforms: rows that a filter takes out and lets in again, columns
that are set by Lua, and masked ones. What must be there is what they make of the reference's rows."""

from types import SimpleNamespace

from .bad import DECODE, KINDS
from .compare import compare
from .workload import Workload
from .world import World, load_pipeline

TRANSFORMS = [
    {"type": "filter", "lua": "after.amount % 3 ~= 0", "tables": ["items"]},
    {"type": "filter", "where": {"region": {"not": "west"}}, "tables": ["orders"]},
    {"type": "set", "columns": {"amount": {"lua": "after.amount + 1000", "type": "integer"}}, "tables": ["items"]},
    {"type": "mask", "columns": {"note": {"keep_last": 6}}, "tables": ["orders"]},
    {"type": "mask", "columns": {"title": {"redact": "a title"}}, "tables": ["documents"]},
]


class Transformed(Workload):
    def __init__(self, *arguments, **settings):
        settings.update(soft=False, kinds=[kind.name for kind in KINDS.values() if kind.stage == DECODE])
        super().__init__(*arguments, **settings)

    def seen_through(self):
        """The reference as the transforms show it. Notes are unique: their numbers are left."""
        items = {key: ({**row, "amount": row["amount"] + 1000}, op)
                 for key, (row, op) in self.rows["items"].items() if row["amount"] % 3}
        orders = {key: {**row, "note": "*" * (len(row["note"]) - 6) + row["note"][-6:]}
                  for key, row in self.rows["orders"].items() if key[0] not in ("west", "poison")}
        poison = {key: row for key, row in self.rows["orders"].items() if key[0] == "poison"}
        documents = {key: {**row, "title": "a title"} for key, row in self.rows["documents"].items()}
        return SimpleNamespace(rows={"items": items, "orders": {**orders, **poison}, "documents": documents},
                               changes=self.changes, appended=self.appended, letters=self.letters, soft=False)


class TransformWorld(World):
    workload_class = Transformed

    def pipeline(self):
        told = load_pipeline(self.prefix, group_id=self.group, transforms=TRANSFORMS)
        told["tables"]["items"] = {}
        return told

    def compare(self, letters):
        return compare(self.workload.seen_through(), self.observer.query, letters, told=self.letters_tell)
