"""Transforms of records whose values are as they are written: what a transform makes of them reaches
a target of types, and one that it makes itself, as from any other format."""

import pytest

from lib.maxwell import Raw, Table, letters_of, pipeline

ROW = {"id": 1, "amount": "12.50", "day": "2026-02-28", "moment": "2026-02-28 10:11:12.345678",
       "clock": "01:02:03", "raw": "\\x00ff", "doc": Raw('{"at": "2026-02-28"}')}
TRANSFORMS = [
    {"set": {"flag": "synced", "sync_at": {"now": True}, "changed_at": {"metadata": "source_timestamp"},
             "sent_at": {"metadata": "timestamp"}, "place": {"metadata": "offset"},
             "due": {"value": "2026-03-01", "type": "date"}}},
    {"extract": {"from": "doc", "columns": {"at": {"path": "at", "type": "date"}}}},
    {"cast": {"amount": "decimal(8,2)", "day": "date", "moment": "timestamp", "clock": "time",
              "raw": "bytes"}}]
TABLE = """create table items (id int primary key, amount numeric(8,2), day date, moment timestamp,
    clock time, raw bytea, doc jsonb, flag text, sync_at timestamp, changed_at timestamp,
    sent_at timestamp, place bigint, due date, at date, cdc_operation text, cdc_timestamp timestamp)"""


@pytest.mark.parametrize("made", [True, False], ids=["made", "its own"])
def test_what_transforms_make(sink, database, tmp_path, made):
    if not made:
        database.execute(TABLE)
    table = Table()
    sink.write({**pipeline(), "transforms": TRANSFORMS}, database=database)
    record = table.insert(ROW)
    sink.replay([record], dead_letter=tmp_path / "letters")
    assert not letters_of(tmp_path / "letters")
    (row,) = database.execute(
        "select amount::text, day::text, moment::text, clock::text, encode(raw::bytea, 'hex'), flag, "
        "changed_at::text, sent_at::text, place, due::text, at::text, now() at time zone 'UTC' - sync_at "
        "between '0' and '1 hour' from items")
    assert row == ("12.50", "2026-02-28", "2026-02-28 10:11:12.345678", "01:02:03", "00ff", "synced",
                   "2025-10-09 08:53:21", "2025-10-09 08:53:21", 0, "2026-03-01", "2026-02-28", True)
    types = dict(database.execute("select column_name, data_type from information_schema.columns where "
                                  "table_name = 'items'"))
    assert (types["day"], types["due"], types["raw"]) == ("date", "date", "bytea")
    assert types["sync_at"] == types["moment"] == "timestamp without time zone"


@pytest.mark.parametrize("form", ["maxwell", "json"])
def test_their_history(sink, database, tmp_path, form):
    """A history's own columns are moments and operations whatever form the row's values have."""
    table = Table()
    records = [table.insert({"id": 1, "day": "2026-01-31"}),
               table.update({"id": 1, "day": "2026-01-31"}, {"id": 1, "day": None})]
    if form == "json":
        records = [{**record, "key": '{"id": 1}', "payload": row} for record, row in
                   zip(records, ('{"id": 1, "day": "2026-01-31"}', '{"id": 1, "day": null}'))]
    sink.write(pipeline(defaults={"mode": "history"}) | {"format": form}, database=database)
    sink.replay(records, dead_letter=tmp_path / "letters")
    assert not letters_of(tmp_path / "letters")
    rows = database.execute("select id::text, day::text, op, cdc_timestamp is not null "
                            "from items_cdc order by \"offset\"")
    second = "u" if form == "maxwell" else "c"  # a plain row does not tell
    assert rows == [("1", "2026-01-31", "c", True), ("1", None, second, True)]
