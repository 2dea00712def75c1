"""`ods-sink reset --all` of a pipeline that reads a file: its offsets and tables go, and what it has not is said."""

import json

from lib.records import Table, pipeline
from lib.sink import Exit, write_lines


def test_all_of_a_file(sink, database, tmp_path):
    first, second = Table("items"), Table("others")
    path = tmp_path / "in.jsonl"
    write_lines(path, [table.create({"id": number, "name": "x", "amount": 1})
                       for number in range(3) for table in (first, second)])
    sink.write({**pipeline("^src\\."), "input": {"type": "file", "path": str(path)}}, database=database)
    database.execute("create table others (id int primary key, name text, amount int, cdc_operation text, "
                     "cdc_timestamp timestamptz)")

    def reset(*arguments, expect=Exit.OK):
        return sink.run("reset", "-c", sink.conf, "--all", *arguments, expect=expect)

    daemon = sink.daemon()
    daemon.await_that(lambda: database.exists("items") and database.count("items") == 3
                      and database.count("others") == 3)
    assert "stop every daemon" in reset("--yes", expect=Exit.NEGATIVE).stderr
    daemon.stop()
    said = reset("--dry-run").stdout
    assert "table public.items" in said and "dropped" in said and "emptied" in said and str(path) in said
    assert "Kafka" not in said.split("What stays")[0] and "nothing was changed" in said
    assert database.count("items") == 3
    plan = json.loads(reset("--dry-run", "--json").stdout)
    assert {table["table"]: table["what"] for table in plan["tables"]} == {
        "public.items": "dropped", "public.others": "emptied"} and plan["offsets"] == 2
    assert "done" in reset("--yes").stdout
    assert not database.exists("items") and database.count("others") == 0 and not database.offsets()
    daemon = sink.daemon()
    daemon.await_that(lambda: database.exists("items") and database.count("items") == 3
                      and database.count("others") == 3)
    daemon.stop()


def test_what_can_not_be_read_again(sink, database, tmp_path):
    sink.write({**pipeline("src.shop.items"), "input": {"type": "file", "path": str(tmp_path / "none.jsonl")}},
               database=database)
    assert "none.jsonl" in sink.run("reset", "-c", sink.conf, "--all", "--yes", expect=Exit.SOURCE).stderr
