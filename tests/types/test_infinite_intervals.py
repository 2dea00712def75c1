"""PostgreSQL knows infinite intervals from 17 on. A text that says so goes in there and is refused
before; the infinity of a moment is no lapse of time, in any version."""

import pytest
from conftest import build
from lib.records import DATE, INT, TEXT, Table, pipeline
from lib.sink import Setup, read_lines
from types_cases import MICROTIMESTAMP, TIME, t

ISO = t("string", TIME + "Interval")
ROWS = {  # number: schema of the column, value, what a server from 17 on shows; None: a dead letter
    1: (TEXT, "infinity", "infinity"),
    2: (TEXT, "-infinity", "-infinity"),
    3: (ISO, "infinity", "infinity"),
    4: (ISO, "-infinity", "-infinity"),
    5: (MICROTIMESTAMP, 9223372036825200000, None),
    6: (MICROTIMESTAMP, -9223372036832400000, None),
    7: (DATE, -2147472692, None),
    8: (t("int64", TIME + "MicroDuration"), 2**63 - 1, "2562047788:00:54.775807"),
    9: (ISO, "P1Y", "1 year"),
}


@pytest.fixture
def replay(database, tmp_path, stack):
    def run(shape):
        database.execute("drop table if exists items; drop schema if exists ods_sink cascade;"
                         "create table items (id int primary key, v interval)")
        sink = Setup(tmp_path / shape, build("asan"), stack)
        table, records = Table(shape=shape), []
        for number, (schema, value, _) in ROWS.items():
            table.columns = {"id": INT, "v": schema}
            records.append(table.create({"id": number, "v": value}))
        sink.write(pipeline(table, source={"connector": "postgresql"}, defaults={
            "cdc_operation": False, "cdc_timestamp": False, "on_delete": "hard"}), database=database)
        letters = tmp_path / shape / "letters.jsonl"
        sink.replay(records, dead_letter=letters)
        rows = dict(database.execute("select id, v::text from items"))
        return rows, read_lines(letters) if letters.exists() else []

    return run


@pytest.mark.parametrize("shape", ["envelope", "flat"])
def test_infinite_intervals(replay, database, shape):
    known = int(database.value("show server_version_num")) >= 170000
    rows, letters = replay(shape)
    right = {number: text for number, (_, _, text) in ROWS.items()
             if text and (known or "infinity" not in text)}
    assert rows == right
    assert len(letters) == len(ROWS) - len(right)
