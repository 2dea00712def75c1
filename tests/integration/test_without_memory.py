"""Allocations that fail, one after the other: an error that passes, never a crash, a leak, a record
taken for bad, or another outcome. without_memory.c says what is covered."""

import os
import random
import shutil
import subprocess

import pytest

from conftest import GOLDEN, build
from lib import maxwell
from lib.records import INT, TEXT, Table, pipeline
from lib.sink import assert_clean, write_lines
from lib.size import FULL
from lib.stack import ROOT

# Every allocation, but of the largest cases only every so manieth: a run costs what all runs cost.
STRIDES = {"numeric": 11, "temporal": 11, "semantic": 7, "arrays": 3, "text": 3}


def without_memory(*arguments, env=None):
    program = build("asan").parent / "tests" / "integration" / "without_memory"
    done = subprocess.run([program, *map(str, arguments)], text=True, capture_output=True,
                          timeout=600, env={**os.environ, **(env or {})})
    assert_clean(done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("case", sorted(path.parent.name for path in GOLDEN.glob("*/input.jsonl")))
def test_decoding(case, report):
    report(without_memory("decode", GOLDEN / case / "input.jsonl", STRIDES.get(case, 1),
                          "debezium").strip())


@pytest.mark.parametrize("table, stride", [("orders", 1), ("composite", 1), ("mx_types", 3)])
def test_decoding_maxwell(table, stride, report):
    path = GOLDEN / "maxwell" / f"app_producer.{table}.jsonl"
    report(without_memory("decode", path, stride, "maxwell").strip())


@pytest.mark.parametrize("name", ["mks_finance", "substitution"])
def test_configuration(name, tmp_path, report):
    folder = ROOT / "tests" / "unit" / "config" / "valid"
    shutil.copy(folder / f"{name}.yaml", tmp_path / "tables.yaml")
    shutil.copy(folder / f"{name}.conf", tmp_path / "ods-sink.conf")
    env = {"ODS_TEST_WORD": "x", "ODS_TEST_SECRET": "y", "ODS_TEST_EMPTY": ""}
    report(without_memory("config", tmp_path / "ods-sink.conf", env=env).strip())


def changes():
    """All that applying does: tables made and widened, poison among neighbours, keys that change,
    rows without a key, a truncate, records that can't be decoded."""
    items = Table(columns={"id": INT, "name": TEXT, "amount": INT})
    wider = Table(columns={"id": INT, "name": TEXT, "amount": INT, "note": TEXT})
    loose = Table("loose", key=())
    typed = {"type": "struct", "fields": [
        {"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "field": "d",
         "parameters": {"scale": "2"}}]}
    gone = Table("gone", columns={"id": INT, "name": {**TEXT, "default": "it's"}, "amount": INT,
                                  "typed": typed})
    wider._offsets = items._offsets
    one = {"id": 1, "name": "one", "amount": 1}
    poison = {"id": 66, "name": "poison", "amount": -1}
    row = {"id": 5, "name": "five", "amount": 5}
    return [
        *(items.create({"id": number, "name": f"n{number}", "amount": number})
          for number in range(2, 6)),
        items.create(one), items.create(poison), items.record('{"id":7}', "{no json"),
        loose.create(row), loose.create({**row, "id": 6}), gone.create(row),
        items.update(one, {**one, "amount": 2}), items.delete(one), items.tombstone(one),
        loose.update(row, {**row, "amount": 50}), loose.delete({**row, "id": 6}),
        wider.create({"id": 8, "name": "eight", "amount": 8, "note": "a 'quoted' \\ text"}),
        wider.create({"id": 9, "name": "nine", "amount": -9, "note": None}),
        gone.truncate(), gone.create({**row, "id": 50, "typed": {"d": "MDk="}}),
    ]


SETUP = """
create table items (id integer primary key, name text, amount integer check (amount >= 0),
                    cdc_operation text, cdc_timestamp timestamp);
"""


def rows():
    """Enough to be copied, with one that PostgreSQL refuses in the middle."""
    items = Table()
    return [items.create({"id": number, "name": "n", "amount": -1 if number == 60 else 1})
            for number in range(120)]


def literals():
    """Maxwell's: values of every coding, keys that change, rows that come too late."""
    items, letters = maxwell.Table(prefix="src"), {"s": "s", "j": {"a": "b"}, "l": ["x", "y"]}
    kinds = {"id": "int", "s": "json", "j": "json", "l": "set", "b": "blob", "n": "bit"}
    one = {"id": 1, **letters, "b": "AP8A", "n": 5}
    late = {**maxwell.Table(prefix="src").insert(one), "partition": 1}
    return [items.ddl("table-create", kinds), items.update({**one, "id": 3}, one), late,
            items.insert({**one, "id": 2}), items.update({**one, "id": 2}, {**one, "id": 4}),
            items.update(one, {**one, "id": 9, "s": 7}), items.delete({**one, "id": 4})]


@pytest.mark.parametrize("records, batch, stride, source", [
    (changes, 12, 47, {}), (rows, 200, 5, {}),
    (literals, 3, 11, {"format": "maxwell", "source": {"schema_topic": "src.ddl"}}),
], ids=["changes", "copied", "literals"])
def test_applying(sink, database, stack, tmp_path, report, records, batch, stride, source):
    sink.write(pipeline("^src.*", **source, defaults={
        "create_tables": True, "evolve": "full", "keyless": "match_before",
        "on_truncate": "apply"}), database=database)
    (tmp_path / "setup.sql").write_text(SETUP)
    write_lines(tmp_path / "records.jsonl", records())
    # A short run has half of them, each run others.
    stride = os.environ.get("ODS_TEST_STRIDE", stride if FULL else 2 * stride + random.choice([-1, 0, 1]))
    print(f"ODS_TEST_STRIDE={stride}")
    report(f"ODS_TEST_STRIDE={stride}: " + without_memory(
        "apply", sink.conf, tmp_path / "records.jsonl", tmp_path / "setup.sql", stride, batch,
        env=stack.environment()).strip())
