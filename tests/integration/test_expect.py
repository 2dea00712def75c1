"""The guard: records of a shape that is not expected are letters that say why; all others pass."""

import json

import pytest

from lib.maxwell import Raw, Table, letters_of, pipeline
from lib.sink import Exit

GOOD = {"id": 1, "customer": "Ada", "amount": Raw("12.50"), "status": "new", "d": "2026-01-31",
        "doc": Raw('{"a":[1]}')}
GUARD = {"table": ["items"], "where": {"status": ["new", "paid"], "customer": {"null": False}},
         "columns": {"id": "bigint", "customer": "text", "amount": "decimal(5,2)", "d": "date",
                     "doc": "json"}}


@pytest.fixture
def guarded(sink, tmp_path):
    """(what passed, letters' errors) of records; the target is a folder of files."""
    def do(guard, records):
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "letters.jsonl").unlink(missing_ok=True)
        stream = {**pipeline(), "transforms": [{"expect": guard}]}
        sink.write(stream, targets=[{"name": "ods", "type": "file",
                                     "directory": str(tmp_path / "out")}])
        sink.replay(records, dead_letter=tmp_path / "letters.jsonl")
        lines = [json.loads(line) for path in sorted((tmp_path / "out").rglob("*.jsonl"))
                 for line in path.read_text().splitlines()]
        notes = [letter["headers"] for letter in letters_of(tmp_path / "letters.jsonl")]
        return lines, [note[note.index("ods.error") + 1] for note in notes]
    return do


BAD = {
    "a column is missing": ({key: GOOD[key] for key in GOOD if key != "amount"},
                            "the row has no column amount"),
    "an object in the place of text": ({**GOOD, "customer": Raw('{"name":"hidden"}')},
                                       "column customer is an object or array, and text is expected"),
    "a number in the place of text": ({**GOOD, "customer": 771234}, "column customer is a number"),
    "text in the place of a number": ({**GOOD, "amount": "hidden"},
                                      "column amount is text that is no decimal(5,2)"),
    "too many digits": ({**GOOD, "amount": Raw("1234.50")}, "that is no decimal(5,2)"),
    "too fine": ({**GOOD, "amount": Raw("1.555")}, "that is no decimal(5,2)"),
    "no date": ({**GOOD, "d": "0000-00-00"}, "column d is text that is no date"),
    "an object in the place of a date": ({**GOOD, "d": Raw('{"hidden":1}')},
                                         "column d is an object or array that is no date"),
    "a value that is none of those": ({**GOOD, "status": "hidden"},
                                      "column status is not what 'where' expects"),
    "NULL where it may not be": ({**GOOD, "customer": None}, "column customer is not what 'where'"),
}


def test_what_is_not_expected_is_set_aside_and_its_neighbours_pass(guarded):
    table = Table()
    records = [table.insert({**GOOD, "id": 100})]
    for number, (row, _) in enumerate(BAD.values()):
        records += [table.insert({**row, "id": number}), table.update(
            {**GOOD, "id": 100}, {**GOOD, "id": 100, "amount": Raw(f"{number}.00")})]
    other = Table("others", prefix="mx")
    records += [other.insert(GOOD), table.delete({"id": 100, "odd": 1})]
    passed, errors = guarded(GUARD, records)
    assert len(passed) == 2 + len(BAD)
    assert [line["op"] for line in passed] == ["c"] + ["u"] * len(BAD) + ["d"]
    assert len(errors) == len(BAD) + 1
    for (name, (_, why)), error in zip(BAD.items(), errors):
        assert why in error and "transform expect (tables.yaml:" in error, name
        assert "hidden" not in error and "771234" not in error
    assert "a record of table others is not expected" in errors[-1]


def test_null_and_columns_of_ones_own(guarded):
    table = Table()
    empty = {**dict.fromkeys(GOOD), "id": 1, "customer": "x", "status": "paid"}
    more = {**GOOD, "extra": 1}
    passed, errors = guarded(GUARD, [table.insert(empty), table.insert(more)])
    assert len(passed) == 2 and not errors
    # A document may be a text or a number too.
    passed, errors = guarded(GUARD, [table.insert({**GOOD, "doc": doc}) for doc in ("text", 5)])
    assert len(passed) == 4 and not errors
    passed, errors = guarded({**GUARD, "others": False}, [table.insert(empty), table.insert(more)])
    assert len(passed) == 5 and "column extra is not expected" in errors[0]


@pytest.mark.parametrize("guard, why", [
    ({}, "'columns' is missing here"), ({"columns": {"a": "sausage"}}, "there is no type 'sausage'"),
    ({"where": {"a": {"matches": "("}}}, "not a regular expression")])
def test_what_can_not_be_expected(sink, tmp_path, guard, why):
    sink.write({**pipeline(), "transforms": [{"type": "expect", **guard}]},
               targets=[{"name": "ods", "type": "file", "directory": str(tmp_path / "out")}])
    assert why in sink.check(expect=Exit.CONFIG).stderr


def test_records_that_are_no_rows_pass_by(guarded):
    """DDL and bootstraps' ends have no row; a tombstone has a key alone."""
    table = Table()
    passed, errors = guarded(GUARD, [table.ddl("table-alter", {"id": "int"}),
                                     table.change("bootstrap-complete", {"id": None}),
                                     table.bootstrap(GOOD)])
    assert [line["op"] for line in passed] == ["r"] and not errors
