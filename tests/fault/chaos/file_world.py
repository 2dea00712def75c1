"""The same load for the file target: what its folder says, and each of its lines against what was
sent. A folder of its own on a small file system where that can be mounted, so that it can be full or
read-only."""

import json
import subprocess
from collections import defaultdict

from .bad import DECODE, KINDS
from .compare import Verdict, compare_letters
from .faults import can_mount
from .workload import UNAVAILABLE, Workload
from .world import World

PLAIN = ("id", "name", "amount", "region", "number", "note", "title", "body", "version", "n", "text")
DISK_MB = 64


class Journal(Workload):
    """Knows, of each partition, the lines that are to come of what was sent."""

    def __init__(self, *arguments, **settings):
        settings.setdefault("kinds", [kind.name for kind in KINDS.values() if kind.stage == DECODE])
        super().__init__(*arguments, **settings)
        self.lines = defaultdict(list)  # (topic, partition): (offset, what the line says)

    def step(self):
        records = super().step()
        for record in records:
            place = record["topic"], record["partition"]
            if record["payload"] is not None and (*place, record["offset"]) not in self.letters:
                self.lines[place].append((record["offset"], expected(record)))
        return records


def expected(record):
    change = json.loads(record["payload"])["payload"]
    return (change["op"], record["topic"].rsplit(".", 1)[1],
            plain(change["after"] or change["before"]) if change["after"] else None)


def told(line):
    return line["op"], line["table"], plain(line["after"]) if line["after"] else None


def plain(image):
    """The columns that read as they were sent."""
    return {name: value for name, value in image.items()
            if name in PLAIN and value != UNAVAILABLE}


class FileWorld(World):
    workload_class = Journal

    def prepare(self):
        for topic, partitions in self.workload.topics.items():
            self.kafka.create(topic, partitions)
        self.kafka.create(self.letter_topic, 1)
        self.directory = self.folder / "out"
        self.directory.mkdir()
        self.mounted = can_mount()
        if self.mounted:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs",
                            self.directory], check=True)
            self.hangover.append(
                lambda: subprocess.run(["umount", "-l", self.directory], check=True))
        self.group_folder = self.directory / self.group

    def target(self, number):
        return {"type": "file", "directory": str(self.directory), "flush_ms": 10,
                "max_bytes": 300_000}

    # Where it stands.

    def state(self):
        return json.loads((self.group_folder / "state.json").read_text())

    def file_of(self, number):
        return self.group_folder / f"changes-{number:012}.jsonl"

    def stands(self):
        try:
            state = self.state()
        except FileNotFoundError:
            return {}
        except ValueError:
            return None
        if state["length"]:
            assert self.file_of(state["file"]).stat().st_size >= state["length"]
        return {(topic, int(partition)): place[0]
                for topic, places in state["positions"].items()
                for partition, place in places.items()}

    def read(self):
        """All committed lines, as a reader takes them."""
        state = self.state()
        for number in range(1, state["file"] + 1):
            data = self.file_of(number).read_bytes()
            if number == state["file"]:
                data = data[:state["length"]]
            assert data.endswith(b"\n"), f"file {number} ends in the middle of a line"
            yield from (json.loads(line) for line in data.decode().splitlines())

    def compare(self, letters):
        verdict, found = Verdict(), defaultdict(list)
        for line in self.read():
            found[line["topic"], line["partition"]].append((line["offset"], told(line)))
        for place in self.workload.lines.keys() | found.keys():
            compare_lines(verdict, place, dict(self.workload.lines.get(place, ())), found[place])
        compare_letters(verdict, self.workload, letters, told=True)
        return verdict


def compare_lines(verdict, place, wanted, found):
    seen, last = set(), -1
    for offset, line in found:
        verdict.rows += 1
        if offset in seen:
            verdict.add("twice", f"{place} {offset}")
        elif offset not in wanted:
            verdict.add("wrong", f"{place} {offset} is no line: {line}")
        elif line != wanted[offset]:
            verdict.add("wrong", f"{place} {offset} is {line}, not {wanted[offset]}")
        elif offset < last:
            verdict.add("wrong", f"{place} {offset} came after {last}")
        seen.add(offset)
        last = max(last, offset)
    for offset in wanted.keys() - seen:
        verdict.add("lost", f"{place} {offset}")
