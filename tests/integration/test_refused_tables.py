"""Tables that PostgreSQL can't have as their records want them: their records are dead letters with that
reason, and every other table goes on. So is a truncate that it refuses."""

import pytest
from lib.records import INT, TEXT, Table, pipeline
from lib.sink import read_lines

ROW = {"id": 1, "name": "one", "amount": 1}
MANY = {f"c{number}": INT for number in range(1596)}


def letters_of(sink, records):
    path = sink.folder / "letters.jsonl"
    path.unlink(missing_ok=True)
    summary = sink.replay(records, dead_letter=path)
    return summary["pipelines"][0], read_lines(path) if path.exists() else []


def reasons(letters):
    return [header(letter, "ods.error") for letter in letters]


def header(letter, name):
    pairs = letter["headers"]
    return pairs[pairs.index(name) + 1]


@pytest.mark.parametrize("columns, reason", [
    ({"id": INT, "": TEXT}, "0 bytes"),
    ({"id": INT, "ctid": TEXT}, "system column"),
    ({"id": INT, **MANY, "more": TEXT, "most": TEXT}, "1600 columns"),
], ids=["no name", "a system column's name", "too many"])
def test_a_table_that_cant_be_made(sink, database, columns, reason):
    odd, items = Table("odd", columns=columns), Table()
    sink.write(pipeline(r"^src\.shop\..*"), database=database)
    applied, letters = letters_of(sink, [
        odd.create({"id": 1}), items.create(ROW), odd.update({"id": 1}, {"id": 1}),
        odd.delete({"id": 1}), items.create({**ROW, "id": 2})])
    assert len(letters) == 3
    assert all(reason in text for text in reasons(letters))
    assert database.count("items") == 2 and not database.exists("odd")
    assert applied["rejected"]["apply"] == 3


def test_columns_that_cant_be_added(sink, database):
    """What the table has room for still goes in, and once there is room all does."""
    small, large = Table(columns={"id": INT, **MANY}), Table()
    large.columns = {**small.columns, "more": TEXT, "most": TEXT}
    large._offsets = small._offsets
    sink.write(pipeline(small), database=database)
    _, letters = letters_of(sink, [small.create({"id": 1}), large.create({"id": 2}),
                                   small.create({"id": 3})])
    assert len(letters) == 1 and "1600 columns" in reasons(letters)[0]
    assert database.execute("select id from items order by id") == [(1,), (3,)]
    database.execute("drop table items")
    database.execute("create table items (id int primary key, more text, most text, "
                     "cdc_operation text, cdc_timestamp timestamp)")
    _, letters = letters_of(sink, [large.create({"id": 4, "most": "m"})])
    assert not letters and database.execute("select id, most from items") == [(4, "m")]


def test_a_truncate_that_is_refused(sink, database):
    """A foreign key refers to the table. What came before the truncate counts, as what came after."""
    table = Table()
    database.execute(
        "create table items (id int primary key, name text, amount int, cdc_operation text, "
        "cdc_timestamp timestamp); create table lines (item int references items)")
    sink.write(pipeline(table, defaults={"on_truncate": "apply", "on_delete": "hard"}), database=database)
    _, letters = letters_of(sink, [table.create(ROW), table.truncate(),
                                   table.create({**ROW, "id": 2})])
    assert len(letters) == 1 and "foreign key" in reasons(letters)[0]
    assert header(letters[0], "ods.sqlstate") == "0A000"
    assert database.execute("select id from items order by id") == [(1,), (2,)]
    database.execute("drop table lines")
    _, letters = letters_of(sink, [table.truncate(), table.create({**ROW, "id": 3})])
    assert not letters and database.execute("select id from items") == [(3,)]
