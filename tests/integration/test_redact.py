"""`redact`: values of such columns are in no message."""

from lib.records import TEXT, Table, pipeline
from lib.sink import read_lines


def test_a_reason_quotes_no_value(sink, database, tmp_path):
    """Why a value can't be written is told without the value."""
    table, letters = Table(), tmp_path / "letters.jsonl"
    database.execute("create table items (id int primary key, name_ date, amount inet, "
                     "cdc_operation text, cdc_timestamp timestamptz)")
    sink.write({**pipeline(table), "tables": {"items": {
        "redact": ["name"], "columns": {"rename": {"name": "name_"}}}}}, database=database)
    done = sink.run("replay", "-c", sink.conf, "--dead-letter", letters,
                    sink.file_of([table.create({"id": 1, "name": "hidden words", "amount": None}),
                                  table.create({"id": 2, "name": None, "amount": None})]))
    assert database.count("items") == 1
    notes = [letter["headers"] for letter in read_lines(letters)]
    assert len(notes) == 1 and 'column "name_"' in str(notes), notes
    assert "hidden" not in str(notes) + done.stdout + done.stderr


def test_nor_does_that_of_a_key(sink, database, tmp_path):
    table, letters = Table(columns={"id": TEXT, "name": TEXT}), tmp_path / "letters.jsonl"
    database.execute("create table items (id date primary key, name text, cdc_operation text, "
                     "cdc_timestamp timestamptz)")
    sink.write({**pipeline(table), "tables": {"items": {"redact": ["id"]}}}, database=database)
    done = sink.run("replay", "-c", sink.conf, "--dead-letter", letters,
                    sink.file_of([table.create({"id": "hidden words", "name": "x"})]))
    notes = [letter["headers"] for letter in read_lines(letters)]
    assert len(notes) == 1 and 'column "id"' in str(notes), notes
    assert "hidden" not in str(notes) + done.stdout + done.stderr
