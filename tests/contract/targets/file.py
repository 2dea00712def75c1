"""Files: the folder of a group, read as docs/targets.md tells a reader to."""

import fcntl
import json
import os

from .target import FATAL, OUTAGE, ROW, Fault, Target, change_of


class File(Target):
    name = "file"
    rights = "the folder"

    def __init__(self, request):
        super().__init__(request)
        self.directory = request.getfixturevalue("tmp_path") / "out"
        self.directory.mkdir()
        self._lock = None
        self._state = None

    @property
    def folder(self):
        return self.directory / f"{self.sink.group}.items"

    def settings(self):
        return {"type": "file", "directory": str(self.directory), "flush_ms": 20, "max_bytes": 20000}

    def changes(self):
        try:
            state = json.loads((self.folder / "state.json").read_text())
        except FileNotFoundError:
            return []
        texts = []
        for number in range(1, state["file"] + bool(state["length"])):
            data = (self.folder / f"changes-{number:012}.jsonl").read_bytes()
            texts.append(data[:state["length"]] if number == state["file"] else data)
        return [change_of(json.loads(line)) for text in texts for line in text.decode().splitlines()]

    def cut(self):
        """Another program locks the folder."""
        self.folder.mkdir(exist_ok=True)
        self._lock = os.open(self.folder, os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def heal(self):
        os.close(self._lock)

    def faults(self):
        return [Fault("a value that can't be read", ROW, "price", row={
                    "id": 5, "name": "n5", "amount": 5, "price": "?"}),
                Fault("the folder is locked", OUTAGE, "holds the folder", self.cut, self.heal),
                Fault("`state.json` is damaged", FATAL, "state.json", self.damage, self.put_back)]

    def damage(self):
        path = self.folder / "state.json"
        self._state = path.read_bytes()
        path.write_bytes(self._state[:-9])

    def put_back(self):
        (self.folder / "state.json").write_bytes(self._state)

    def without_rights(self):
        """Root may write everywhere but where nothing can be written."""
        self.directory.rmdir()
        self.directory.write_text("no folder")
        return [f"the folder {self.directory} can't be written"]
