"""Delta Lake: tables in a folder, read by delta-rs, which is not what wrote them."""

import shutil
from collections import Counter

import pytest
from lib.lake import WHY_NOT, Missing, engine

from .target import FATAL, OUTAGE, ROW, Fault, Target


class Delta(Target):
    name = "delta"
    tables = True
    rights = "the folder"

    def __init__(self, request):
        super().__init__(request)
        if not engine(self.sink.binary):
            pytest.skip(WHY_NOT)
        self.reader = request.getfixturevalue("lake_reader")
        self.folder = request.getfixturevalue("tmp_path") / "lake"

    def settings(self):
        return {"type": "delta", "location": str(self.folder), "commit_ms": 20, "commit_bytes": 2**20,
                "target_file_bytes": 2**20}

    def table(self, name):
        return self.folder / "shop" / name

    def read(self, name, columns):
        try:
            return [tuple(row.values()) for row in self.reader.rows(self.table(name), columns)]
        except Missing:
            return []

    def rows(self):
        return {number: {"id": number, "name": name, "amount": amount} for number, name, amount
                in self.read("items", "id, name, amount")}

    def events(self):
        return [number for number, in self.read("events", "n")]

    def twice(self):
        events = self.events()
        return len(events) - len(set(events))

    def version(self, name):
        return self.reader.ask("described", self.table(name))["version"]

    def marks(self):
        """An event that is written once more is there twice; a commit that is made once more is another version."""
        marks = {("version", name, self.version(name)) for name in ("items", "events") if self.table(name).exists()}
        for name, columns in (("items", "id, name, amount"), ("events", "n")):
            for row, count in Counter(self.read(name, columns)).items():
                marks |= {(name, row, which) for which in range(count)}
        return marks

    def kept(self, marks):
        return {mark for mark in marks if mark[0] != "version"} <= self.marks()

    def count(self):
        return len(self.events())

    @property
    def control(self):
        return self.folder / "_ods_sink" / self.group

    def cut(self):
        """The folder's path leads nowhere, as that of storage that is not mounted."""
        self.folder.rename(self.folder.with_name("away"))
        self.folder.symlink_to(self.folder)

    def heal(self):
        self.folder.unlink()
        self.folder.with_name("away").rename(self.folder)

    def faults(self):
        return [Fault("a value that can't be read", ROW, "price", row={
                    "id": 5, "name": "n5", "amount": 5, "price": "?"}),
                Fault("the storage is away", OUTAGE, "target ods", self.cut, self.heal),
                Fault("a commit in the log is damaged", FATAL, "_ods_sink", self.damage, self.put_back)]

    def damage(self):
        log = sorted((self.control / "_delta_log").glob("*.json"))[-1]
        self._log = log, log.read_bytes()
        log.write_bytes(b'{"commitInfo":')

    def put_back(self):
        path, text = self._log
        path.write_bytes(text)

    def without_rights(self):
        """Root may write everywhere but where nothing can be written."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.write_text("no folder")
        return [f"the folder {self.folder} can't be written"]
