"""SQL that the sink owns: each file is a statement that PostgreSQL takes as it stands, with its types told
by the statement itself, and none is left that nobody includes."""

import re

import pytest
from conftest import ROOT

STATEMENTS = sorted((ROOT / "sql" / "postgres").glob("*.sql"))


def defines(path):
    text = path.read_text()
    return text.split("\n", text.count("\n--") + 1)[-1].startswith("create")


def test_each_can_be_prepared(database):
    database.execute((ROOT / "sql" / "ods_sink.sql").read_text())
    prepared = 0
    for path in sorted(STATEMENTS, key=lambda path: not defines(path)):
        database.execute(("" if defines(path) else f"prepare {path.stem} as ") + path.read_text())
        prepared += not defines(path)
    assert len(database.execute("select name from pg_prepared_statements")) == prepared > 15


@pytest.mark.parametrize("path", STATEMENTS, ids=lambda path: path.stem)
def test_says_what_it_is_and_is_used_where_it_is_included(path):
    text = path.read_text()
    comment, _, statement = text.partition("\n" + next(
        line for line in text.splitlines() if not line.startswith("--")))
    for number in set(re.findall(r"\$(\d+)", statement)):
        assert f"${number}" in comment, "each parameter is explained"
    users = [source for source in (ROOT / "src").rglob("*.c")
             if f'"sql/postgres/{path.stem}.h"' in source.read_text()]
    assert users and all(re.search(rf"\bsql_{path.stem}\b", user.read_text()) for user in users)
