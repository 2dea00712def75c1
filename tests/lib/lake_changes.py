"""What was sent to a table of the lake, and what its changes say of it."""

import json
from collections import Counter

ORDER = {"update_preimage": 0, "delete": 0, "insert": 1, "update_postimage": 1}


def applied(found, state=None):
    """Rows as the changes leave them; each row as it was must have been so."""
    state = dict(state or {})
    for change in found:
        image = {name: value for name, value in change.items() if not name.startswith("_")}
        if ORDER[change["_change_type"]] == 0:
            before = state.pop(image["id"])
            assert all(image[name] == value for name, value in before.items()), change
        else:
            assert image["id"] not in state, change
            state[image["id"]] = image
    return state


def image(change):
    return {name: value for name, value in change.items() if not name.startswith("_")}


class Sent:
    """Records of one topic as they were sent, and what each part of them comes to."""

    def __init__(self, table):
        self.table, self.effects, self.state, self.records = table, [], {}, []

    def put(self, row):
        before = self.state.get(row["id"])
        self.records.append(self.table.update(before, row) if before else self.table.create(row))
        self.state[row["id"]] = row
        self.effects.append((row["id"], row))

    def take(self, number):
        self.records.append(self.table.delete(self.state.pop(number)))
        self.effects.append((number, None))

    def file(self):
        """What was not handed out yet."""
        records, self.records = self.records, []
        return records

    def changes(self, state, first, last):
        """What the records from `first` on and before `last` do to these rows, which are changed."""
        before = {}
        for number, row in self.effects[first:last]:
            before.setdefault(number, state.get(number))
            state.pop(number, None)
            if row:
                state[number] = row
        kinds = {(True, True): ("update_preimage", "update_postimage"), (True, False): ("delete", None),
                 (False, True): (None, "insert"), (False, False): (None, None)}
        found = []
        for number, was in before.items():
            for kind, row in zip(kinds[was is not None, number in state], (was, state.get(number))):
                if kind:
                    found.append((kind, *sorted(row.items())))
        return found


def same_as_sent(found, listed, sent):
    """Each version's changes are the effect of the records between its offset and the one before."""
    place, state, at = f"{sent.table.topic}:0", {}, 0
    for version in listed:
        mine = [change for change in found if change["_commit_version"] == version["version"]]
        assert {change.get("_commit_snapshot") for change in mine} <= {version.get("snapshot")}
        if place not in version["offsets"]:  # it was made, compacted, or got a column
            assert not mine and version["operation"] not in ("WRITE", "MERGE", "append", "overwrite", "delete")
            continue
        assert all(change["_commit_offsets"] == version["offsets"] for change in mine)
        expected = Counter(sent.changes(state, at, version["offsets"][place]))
        assert Counter((change["_change_type"], *sorted((name, value) for name, value in image(change).items()
                                                        if value is not None or name != "note"))
                       for change in mine) == expected
        order = [ORDER[change["_change_type"]] for change in mine]
        assert order == sorted(order), "rows as they were come first"
        kinds = Counter(kind for kind, *_ in expected.elements())
        assert version["rows"] == {"inserted": kinds["insert"], "updated": kinds["update_postimage"],
                                   "deleted": kinds["delete"]}
        at = version["offsets"][place]
    assert at == len(sent.effects), "all of them are there"


def feed_as_sent(found, log, sent):
    """The change data feed of a table of Delta Lake, as a reader that others wrote has it: each version's changes are the
    effect of the records between its offset, which its entry in the log has, and the one before."""
    versions, state, at = {}, {}, 0
    for change in found:
        versions.setdefault(change["_commit_version"], []).append((change["_change_type"], *sorted(image(change).items())))
    for entry in sorted(log.glob("?" * 20 + ".json")):
        moved = [action["txn"]["version"] for action in map(json.loads, entry.read_text().splitlines())
                 if action.get("txn", {}).get("appId", "").endswith(f":{sent.table.topic}:0")]
        upto = moved[0] if moved else at  # it was made, compacted, or got a column
        assert Counter(versions.pop(int(entry.stem), [])) == Counter(sent.changes(state, at, upto)), entry.name
        at = upto
    assert not versions and at == len(sent.effects), "all of them are there"
