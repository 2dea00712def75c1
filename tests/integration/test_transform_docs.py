"""docs/transforms.md and examples/ are true: what they show is what the program prints.

In the page `<!-- records: NAME -->` and `<!-- file: NAME -->` name the block behind them; a block of
`transforms:` is tried on the records named last (or by `<!-- on: NAME -->`), and the block of text behind it is what
`decode --transform` prints. ODS_DOCS_REGENERATE=1 writes what it prints now.
"""

import json
import os
import re

import pytest
from conftest import ROOT

from lib.sink import read_lines

PAGE = ROOT / "docs" / "transforms.md"
EXAMPLES = ROOT / "examples"
CONF = """targets = ( {{ name = "out"; type = "file"; directory = "{folder}"; }} );
tables = "tables.yaml";
http = {{ listen = ""; }};
"""
BLOCK = re.compile(r"(?:<!-- (records|file|on): ([\w.]+) -->\n)?```(\w*)\n(.*?)```\n", re.DOTALL)


def test_page(sink):
    text, folder = PAGE.read_text(), sink.folder
    sink.conf.write_text(CONF.format(folder=folder))
    records, printed, tried = None, None, 0

    def again(match):
        nonlocal records, printed, tried
        role, name, kind, body = match.groups()
        if role == "on":
            records = name
        elif role:
            (folder / name).write_text(body)
            (folder / name).chmod(0o600)
            records = name if role == "records" else records
        if kind == "yaml":
            indented = "".join(f"  {line}\n" for line in body.splitlines())
            (folder / "tables.yaml").write_text(
                f"pipelines:\n- name: shop\n  topics: ['^shop']\n{indented}")
            sink.check("--sample", folder / records)
            printed = sink.run("decode", "--transform", "-c", sink.conf, folder / records).stdout
            printed = "".join(line.rstrip() + "\n" for line in printed.splitlines())
        elif kind == "text":
            tried += 1
            return f"```text\n{printed}```\n"
        return match[0]

    now = BLOCK.sub(again, text)
    assert tried >= 7
    if os.environ.get("ODS_DOCS_REGENERATE") == "1":
        PAGE.write_text(now)
    assert PAGE.read_text() == now, "ODS_DOCS_REGENERATE=1 writes it anew"


def test_masking(sink, database, tmp_path):
    """The example as it stands, in a database of its own."""
    folder = EXAMPLES / "masking"
    env = {"ODS_DSN": database.dsn.replace("${ODS_STACK_POSTGRES_PASSWORD}",
                                           sink.stack["POSTGRES_PASSWORD"]),
           "MASK_KEY": "a key that only this test has"}
    conf, records = folder / "ods-sink.conf", folder / "records.jsonl"
    sink.run("check", "-c", conf, "--sample", records, env=env)
    sink.run("replay", "-c", conf, "--dead-letter", tmp_path / "letters", records, env=env)
    rows = database.execute("select id, email, card, notes, born from customers order by id")
    assert [row[0] for row in rows] == [1, 2] and all(len(row[1]) == 64 for row in rows)
    assert rows[0][2] == "************1111" and rows[0][3] == "***" and rows[0][4] is None
    assert "ada@example.com" not in json.dumps(rows, default=str)
    orders = database.execute("select o.id from orders o join customers c on c.email = o.email "
                              "order by 1")
    assert orders == [(7,)]


def test_shards(sink, databases, tmp_path):
    folder = EXAMPLES / "shards"
    eu, us = databases(), databases()
    env = {name: made.dsn.replace("${ODS_STACK_POSTGRES_PASSWORD}",
                                  sink.stack["POSTGRES_PASSWORD"])
           for name, made in (("EU_DSN", eu), ("US_DSN", us))}
    conf, records = folder / "ods-sink.conf", folder / "records.jsonl"
    letters = tmp_path / "letters.jsonl"
    for _ in range(2):  # the second time changes nothing
        sink.run("replay", "-c", conf, "--dead-letter", letters, records, env=env)
        assert eu.execute("select id, region from customers order by 1") == [(1, "eu"), (4, "eu")]
        assert us.execute("select id, region from customers order by 1") == [(2, "us")]
    refused = read_lines(letters)
    assert len(refused) == 2 and "no value or pattern fits" in json.dumps(refused)


@pytest.mark.parametrize("name", ["masking", "shards"])
def test_examples_say_how_they_are_run(name):
    text = (EXAMPLES / name / "README.md").read_text()
    assert f"examples/{name}/ods-sink.conf" in text
