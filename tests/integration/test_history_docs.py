"""docs/history.md is true: its sessions are run again (see test_cli_docs.py), and what it lists of
columns is what a history has."""

import re
import subprocess

from lib.records import TEXT, INT, Table
from lib.sink import write_lines
from test_cli_docs import DOCS, REGENERATE, Session, squeezed

PAGE = DOCS / "history.md"


def world(sink, database):
    table = Table("customers", {"id": INT, "name": TEXT, "city": TEXT}, database="store",
                  prefix="shop")
    ada, grace = ({"id": 1, "name": "Ada", "city": "London"},
                  {"id": 2, "name": "Grace", "city": "New York"})
    sink.write({"name": "shop", "topics": [table.topic], "format": "debezium", "target": "ods"},
               database=database)
    (sink.folder / "tables.yaml").write_text(
        "pipelines:\n  - name: shop\n    topics: [shop.store.customers]\n    format: debezium\n"
        "    target: ods\n    defaults: { history: { view: true } }\n")
    moved = {**ada, "city": "Turin"}
    write_lines(sink.folder / "records.jsonl", [
        table.create(ada), table.create(grace), table.update(ada, moved), table.delete(grace)])


class Page(Session):
    """Its times are those of the records, so they are the same in each run."""

    def run(self, line):
        done = subprocess.run(["bash", "-c", line], cwd=self.setup.folder, env=self.env,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        return done.stdout + done.stderr


def test_page(sink, database):
    world(sink, database)
    session, blocks, before = Page(sink), [], PAGE.read_text()

    def again(match):
        blocks.append((match[1], session.block(match[1])))
        return f"```console\n{blocks[-1][1]}```\n"

    now = re.sub(r"```console\n(.*?)```\n", again, before, flags=re.DOTALL)
    sink.close()
    if REGENERATE:
        PAGE.write_text(now)
        return
    assert len(blocks) >= 4
    for written, printed in blocks:
        assert squeezed(written) == squeezed(printed)


def test_columns_are_listed(sink, database):
    world(sink, database)
    sink.run("replay", "-c", sink.conf, sink.folder / "records.jsonl")
    section = PAGE.read_text().split("## What a row has")[1].split("## ")[0]
    listed = {name for line in section.splitlines() if line.startswith("| `")
              for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert listed == set(database.columns("customers_cdc")) - {"id", "name", "city"}
