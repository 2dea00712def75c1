"""Every row of the target against the reference, every appended row counted, every dead letter."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Verdict:
    """How many, and a few of them in words."""

    lost: int = 0           # rows that are not there, and appended rows that never came
    twice: int = 0          # appended rows too many
    repeats: int = 0        # changes sent again, as they were, where the guarantee is at least once
    rewritten: int = 0      # rows written oftener than changed; an upsert hides that it was
    wrong: int = 0          # rows that show other values, are there although deleted, or disordered
    letters: int = 0        # distinct dead letters that had to come and came
    letters_lost: int = 0
    letters_wrong: int = 0  # records that had no reason to be there
    letters_twice: int = 0  # the same record once more, which a crash may cause
    rows: int = 0
    kinds: dict = field(default_factory=dict)  # dead letters that are right, by kind
    examples: list = field(default_factory=list)

    def add(self, kind, text):
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.examples) < 10:
            self.examples.append(f"{kind}: {text}")

    @property
    def exact(self):
        return not (self.lost or self.twice or self.rewritten or self.wrong or self.letters_lost
                    or self.letters_wrong)


def compare(workload, query, letters=(), told=True):
    """query: a function that runs SQL in the target; letters: messages of the dead-letter topic,
    which say where they come from and why if `told`."""
    verdict = Verdict()
    compare_keyed(verdict, workload, query)
    compare_appended(verdict, workload, query)
    compare_letters(verdict, workload, letters, told)
    return verdict


def compare_keyed(verdict, workload, query):
    operation = "cdc_operation" if workload.soft else "null"
    # Per table: the columns of its key, those of its row, and how a reference row reads.
    tables = {
        "items": (1, f"id, name, amount, {operation}", lambda row: (
            row[0]["id"], row[0]["name"], row[0]["amount"], row[1] if workload.soft else None)),
        "orders": (2, "region, number, note, amount", lambda row: (
            row["region"], row["number"], row["note"], row["amount"])),
        "documents": (1, "id, title, body, version", lambda row: (
            row["id"], row["title"], row["body"], row["version"])),
    }
    for table, (key_columns, columns, shown) in tables.items():
        expected = {key: shown(row) for key, row in workload.rows[table].items()}
        found = {}
        for row in query(f"select {columns}, writes from {table}"):
            key = row[0] if key_columns == 1 else tuple(row[:2])
            found[key] = tuple(row[:-1])
            if (row[-1] or 0) > workload.changes[table, key]:
                verdict.add("rewritten", f"{table} {key} was written {row[-1]} times for "
                                     f"{workload.changes[table, key]} changes")
        verdict.rows += len(found)
        for key in expected.keys() - found.keys():
            verdict.add("lost", f"{table} {key}")
        for key in found.keys() - expected.keys():
            verdict.add("wrong", f"{table} {key} is there: {str(found[key])[:80]}")
        for key in found.keys() & expected.keys():
            if found[key] != expected[key]:
                verdict.add("wrong", f"{table} {key} is {str(found[key])[:80]}, "
                                     f"not {str(expected[key])[:80]}")


def compare_appended(verdict, workload, query):
    counts, last = Counter(), {}
    for number, text in query("select n, text from events order by seq"):
        counts[number] += 1
        expected = workload.appended.get(number)
        if expected is None or expected[0] != text:
            verdict.add("wrong", f"events {number} with {text[:40]!r}")
            continue
        if counts[number] > 1:
            verdict.add("twice", f"events {number}")
        elif last.get(expected[1], 0) > number:
            verdict.add("wrong", f"events {number} came after {last[expected[1]]}")
        last[expected[1]] = number
    verdict.rows += sum(counts.values())
    for number in workload.appended.keys() - counts.keys():
        verdict.add("lost", f"events {number}")


def place_of(notes):
    """Where a letter says that it comes from; Connect's sinks say it under names of their own."""
    for prefix in ("ods.", "__connect.errors."):
        topic, partition, offset = (notes.get(prefix + name)
                                    for name in ("topic", "partition", "offset"))
        if None not in (topic, partition, offset):
            return topic.decode(), int(partition), int(offset)
    return None


def compare_letters(verdict, workload, letters, told):
    """Each planted record stands there, as it was sent, and no other does."""
    seen, kinds = set(), Counter()
    for letter in letters:
        notes = dict(letter.headers() or [])
        place, stage = place_of(notes), (notes.get("ods.stage") or b"").decode()
        said = f"{place} {stage}: {notes.get('ods.error', b'')[:120]}"
        expected = workload.letters.get(place)
        if expected is None:
            verdict.add("letters_wrong", f"had no reason: {said}")
        elif place in seen:
            verdict.add("letters_twice", said)
        elif (letter.key(), letter.value()) != (expected.key, expected.value):
            verdict.add("letters_wrong", f"{expected.kind} is not what was sent: {said}")
        elif told and stage != expected.stage:
            verdict.add("letters_wrong", f"{expected.kind} is of {expected.stage}: {said}")
        else:
            kinds[expected.kind] += 1
        seen.add(place)
    for place in workload.letters.keys() - seen:
        verdict.add("letters_lost", f"{workload.letters[place].kind} at {place}")
    verdict.letters = len(workload.letters.keys() & seen)
    verdict.kinds = dict(sorted(kinds.items()))
