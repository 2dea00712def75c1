"""The comparison sees what it is there to see: rows that are right, and then one thing wrong at a time.
And the page with the figures is the one that the driver's results make."""

import json

import publish
import pytest
import soak

from chaos import bad
from chaos.compare import compare
from chaos.workload import Workload


class Letter:
    def __init__(self, place, sent):
        self.place, self.stage, self.sent_key, self.sent_value = place, sent.stage, sent.key, sent.value

    def key(self):
        return self.sent_key

    def value(self):
        return self.sent_value

    def headers(self):
        return [*((f"ods.{name}", str(value).encode())
                  for name, value in zip(("topic", "partition", "offset"), self.place)),
                ("ods.stage", self.stage.encode())]


def letter_of(topic, partition, offset):
    return Letter((topic, partition, offset), bad.Letter("none", "apply", b"1", b"{}"))


class Target:
    """What a target that is right would answer to the comparison's queries."""

    def __init__(self, workload):
        rows, changes = workload.rows, workload.changes
        self.tables = {
            "items": [[row["id"], row["name"], row["amount"], op, changes["items", key]]
                      for key, (row, op) in rows["items"].items()],
            "orders": [[row["region"], row["number"], row["note"], row["amount"], 1]
                       for row in rows["orders"].values()],
            "documents": [[row["id"], row["title"], row["body"], row["version"], 1]
                          for row in rows["documents"].values()],
            "events": [[number, text] for number, (text, _) in sorted(workload.appended.items())],
        }
        self.letters = [Letter(*letter) for letter in workload.letters.items()]

    def query(self, sql):
        return self.tables[sql.split(" from ")[1].split()[0]]


def swap_two_events(target, workload):
    """Of one partition; rows of different partitions may stand in any order."""
    events = target.tables["events"]
    one, other = [place for place, (number, _) in enumerate(events)
                  if workload.appended[number][1] == 0][:2]
    events[one], events[other] = events[other], events[one]


BREAKS = {
    "lost": lambda target, _: target.tables["items"].pop(),
    "lost event": lambda target, _: target.tables["events"].pop(),
    "twice": lambda target, _: target.tables["events"].append(target.tables["events"][-1]),
    "rewritten": lambda target, _: target.tables["items"][0].__setitem__(4, 10**6),
    "wrong value": lambda target, _: target.tables["documents"][0].__setitem__(2, "other"),
    "wrong operation": lambda target, _: target.tables["items"][0].__setitem__(3, "x"),
    "wrong row": lambda target, _: target.tables["orders"].append(["x", 1, None, None, 0]),
    "wrong order": swap_two_events,
    "letters_lost": lambda target, _: target.letters.pop(),
    "letters_wrong": lambda target, _: target.letters.append(letter_of("t", 0, 7)),
    "letters_wrong stage": lambda target, _: setattr(target.letters[0], "stage", "x"),
    "letters_wrong value": lambda target, _: setattr(target.letters[0], "sent_value", b"x"),
    "letters_wrong key": lambda target, _: setattr(target.letters[0], "sent_key", b"x"),
    "letters_twice": lambda target, _: target.letters.append(target.letters[0]),
}


@pytest.fixture
def workload():
    workload = Workload("test", seed=7, keys=200, poison=20)
    for _ in range(3000):
        workload.step()
    return workload


def test_what_is_right_is_exact(workload):
    target = Target(workload)
    verdict = compare(workload, target.query, target.letters)
    assert verdict.exact and verdict.rows > 500 and verdict.letters == 150, verdict
    assert sum(verdict.kinds.values()) == 150 and len(verdict.kinds) > 20
    assert workload.withheld > 50


@pytest.mark.parametrize("name", BREAKS)
def test_each_kind_of_damage_is_seen(workload, name):
    target = Target(workload)
    BREAKS[name](target, workload)
    verdict = compare(workload, target.query, target.letters)
    assert getattr(verdict, name.split()[0]) == 1, verdict.examples
    assert verdict.exact == (name == "letters_twice")


@pytest.mark.parametrize("name", soak.MEASURES)
def test_a_soak_sees_what_grows(name):
    steady = [dict.fromkeys(soak.MEASURES, 100) for _ in range(30)]
    assert all(found["last"] <= found["allowed"] for found in soak.grown(steady).values())
    leaking = [{**one, name: 100 + 600 * second} for second, one in enumerate(steady)]
    grown = soak.grown(leaking)
    assert [one for one in grown if grown[one]["last"] > grown[one]["allowed"]] == [name]


def test_page_shows_what_was_measured():
    data, page = json.loads(publish.DATA.read_text()), publish.PAGE.read_text()
    assert publish.render(data, page) == page, "run tests/fault/publish.py"
    own = [found for found in data["results"].values() if not found["name"].startswith("jdbc-")]
    assert own and not any(found["lost"] or found["twice"] or found["wrong"]
                            or found["rewritten"] for found in own)
