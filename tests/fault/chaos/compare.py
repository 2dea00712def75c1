"""Every row of the target against the reference, every appended row counted, every dead letter."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Verdict:
    """How many, and a few of them in words."""

    lost: int = 0           # rows that are not there, and appended rows that never came
    twice: int = 0          # appended rows too many
    rewritten: int = 0      # rows written oftener than changed; an upsert hides that it was
    wrong: int = 0          # rows that show other values, are there although deleted, or disordered
    letters: int = 0        # distinct dead letters that had to come and came
    letters_lost: int = 0
    letters_wrong: int = 0  # records that had no reason to be there
    letters_twice: int = 0  # the same record once more, which a crash may cause
    rows: int = 0
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


def compare_letters(verdict, workload, letters, told):
    seen = Counter()
    for letter in letters:
        notes = dict(letter.headers() or [])
        place = tuple(notes.get(f"ods.{name}") for name in ("topic", "partition", "offset"))
        stage = (notes.get("ods.stage") or b"").decode()
        seen[letter.value()] += 1
        expected = workload.letters.get(letter.value())
        if expected is None or told and (expected != stage or None in place):
            verdict.add("letters_wrong", f"{place} {stage}: {notes.get('ods.error', b'')[:120]}")
        elif seen[letter.value()] > 1:
            verdict.add("letters_twice", f"{place}")
    for payload in workload.letters.keys() - seen.keys():
        verdict.add("letters_lost", payload[-120:].decode(errors="replace"))
    verdict.letters = len(workload.letters.keys() & seen.keys())
