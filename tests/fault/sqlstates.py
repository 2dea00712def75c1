"""The table of SQLSTATEs for docs/reliability.md, from the one that decides: src/sink/postgres/wire/sqlstate.c."""

import re

from lib.stack import ROOT

SOURCE = ROOT / "src" / "sink" / "postgres" / "wire" / "sqlstate.c"

MEANINGS = {
    "ROW": "a row's: dead letter",
    "TABLE_OR_ROW": "the table's: read again, once more; then a row's: dead letter",
    "TABLE": "the table's: read again, once more; then the lane stops",
    "OUTAGE": "an outage: waits, and tries again until it works",
    "STOP": "configuration, or an error of the sink's: the lane stops",
    "FENCE": "another process has the partition: the batch is dropped",
}


def table():
    """Lines of Markdown: each class and code that is listed, by what it is."""
    rows = re.findall(r'^    \{"(\w*)", SQLSTATE_(\w+), "(.*)"\},$', SOURCE.read_text(), re.M)
    lines = ["| class or code | what it says | what it is |", "| --- | --- | --- |"]
    for prefix, meaning, why in rows:
        name = f"`{prefix}`" if prefix else "none"
        lines.append(f"| {name} | {why} | {MEANINGS[meaning]} |")
    return [*lines, "| any other | a code that PostgreSQL has not, from a function in C | the lane stops |"]
