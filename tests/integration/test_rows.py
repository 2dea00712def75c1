"""What becomes of rows: operations, keys, columns, tables. By replay, which needs no Kafka."""

import pytest
from lib.records import BIGINT, DATE, INT, TEXT, Table, pipeline
from lib.sink import Exit


def values(database, table, *columns):
    names = ", ".join(columns)
    return database.execute(f"select {names} from {table} order by 1")


A = {"id": 1, "name": "one", "amount": 10}
A2 = {"id": 1, "name": "one", "amount": 11}
B = {"id": 2, "name": "two", "amount": 20}


@pytest.mark.parametrize("on_delete, left", [
    ("soft", [(1, "one", "d"), (2, "two", "c")]),
    ("hard", [(2, "two", "c")]),
    ("ignore", [(1, "one", "c"), (2, "two", "c")]),
])
@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
def test_deletes(sink, database, on_delete, left, together):
    table = Table()
    sink.write(pipeline(table, defaults={"on_delete": on_delete}), database=database,
               batch={"max_events": 1000 if together else 1})
    sink.replay([table.create(A), table.create(B), table.delete(A), table.tombstone(A)])
    assert values(database, "items", "id", "name", "cdc_operation") == left


@pytest.mark.parametrize("on_delete", ["soft", "hard"])
def test_tombstones_and_repeated_deletes_are_harmless(sink, database, on_delete):
    table = Table()
    sink.write(pipeline(table, defaults={"on_delete": on_delete}), database=database)
    sink.replay([table.create(A), table.create(B)])
    sink.replay([table.delete(A), table.tombstone(A), table.delete(A), table.tombstone(A),
                 table.tombstone({"id": 99}), table.delete({"id": 77, "name": "?", "amount": 0})])
    kept = values(database, "items", "id", "cdc_operation")
    assert (2, "c") in kept
    assert (1, "d") in kept if on_delete == "soft" else (1,) not in [row[:1] for row in kept]


@pytest.mark.parametrize("on_delete", ["soft", "hard"])
@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
def test_created_again(sink, database, on_delete, together):
    table = Table()
    sink.write(pipeline(table, defaults={"on_delete": on_delete}), database=database,
               batch={"max_events": 1000 if together else 1})
    again = {"id": 1, "name": "again", "amount": None}
    sink.replay([table.create(A), table.delete(A), table.tombstone(A), table.create(again)])
    assert values(database, "items", "id", "name", "amount", "cdc_operation") == \
        [(1, "again", None, "c")]


@pytest.mark.parametrize("on_delete", ["soft", "hard"])
def test_last_change_of_a_key_wins_in_a_batch(sink, database, on_delete):
    table = Table()
    sink.write(pipeline(table, defaults={"on_delete": on_delete}), database=database)
    records = []
    for amount in range(50):
        row = {"id": 1, "name": f"v{amount}", "amount": amount}
        records += [table.create(row), table.update(row, {**row, "name": "u"}), table.create(B),
                    table.delete(row), table.tombstone(row)]
    records.append(table.create({"id": 1, "name": "last", "amount": 7}))
    sink.replay(records)
    assert values(database, "items", "id", "name", "amount", "cdc_operation") == \
        [(1, "last", 7, "c"), (2, "two", 20, "c")]


def test_the_database_sees_each_key_once_a_batch(sink, database):
    """A trigger counts what the database is asked to write."""
    table = Table()
    sink.write(pipeline(table), database=database)
    sink.replay([table.create(A), table.create(B)])
    database.execute("""
        create table writes (id int, op text);
        create function note() returns trigger language plpgsql as
            'begin insert into writes values (new.id, tg_op); return new; end';
        create trigger note after insert or update on items for each row execute function note()""")
    sink.replay([table.update(A, {**A, "amount": amount}) for amount in range(100)])
    assert database.execute("select * from writes") == [(1, "UPDATE")]


def test_update_of_a_key_is_a_delete_and_a_create(sink, database):
    table = Table()
    sink.write(pipeline(table, defaults={"on_delete": "hard"}), database=database)
    sink.replay([table.create(A), table.delete(A), table.tombstone(A),
                 table.create({**A, "id": 100}, partition=1)])
    assert values(database, "items", "id", "name") == [(100, "one")]


@pytest.mark.parametrize("on_truncate, left", [("ignore", [(1,), (2,)]), ("apply", [(2,)])])
def test_truncate(sink, database, on_truncate, left):
    table = Table()
    sink.write(pipeline(table, defaults={"on_truncate": on_truncate}), database=database)
    sink.replay([table.create(A), table.truncate(), table.create(B)])
    assert values(database, "items", "id") == left


def test_table_of_nothing_but_its_key(sink, database):
    table = Table(columns={"a": INT, "b": TEXT}, key=("a", "b"))
    sink.write(pipeline(table, defaults={"cdc_operation": False, "cdc_timestamp": False,
                                         "on_delete": "hard"}),
               database=database)
    row = {"a": 1, "b": "x"}
    sink.replay([table.create(row), table.update(row, row)])
    sink.replay([table.update(row, row)])
    assert values(database, "items", "a", "b") == [(1, "x")]


def test_keyless_rows_are_appended_or_refused(sink, database, tmp_path):
    table = Table(key=(), columns={"a": INT, "b": TEXT})
    sink.write(pipeline(table), database=database)
    sink.replay([table.create({"a": 1, "b": "x"}), table.create({"a": 1, "b": "x"})])
    assert values(database, "items", "a", "b") == [(1, "x"), (1, "x")]

    refused = Table("other", key=(), columns={"a": INT, "b": TEXT})
    sink.write(pipeline(refused, name="other", defaults={"keyless": "reject"}), database=database)
    letters = tmp_path / "letters.jsonl"
    sink.replay([refused.create({"a": 1, "b": "x"})], dead_letter=letters)
    assert len(letters.read_text().splitlines()) == 1
    assert database.count("other") <= 0


def test_configured_key(sink, database):
    table = Table(key=())
    sink.write(pipeline(table, tables={"items": {"key": ["id"]}}), database=database)
    sink.replay([table.create(A), table.update(A, A2), table.create(B)])
    assert values(database, "items", "id", "amount") == [(1, 11), (2, 20)]


def test_rename_exclude_and_target(sink, database):
    table = Table("vehicle", columns={"id": INT, "brand": TEXT, "notes": TEXT})
    sink.write(pipeline(table, tables={"vehicle": {
        "target": "fleet.ownership",
        "columns": {"rename": {"brand": "make"}, "exclude": ["notes"]}}}), database=database)
    sink.replay([table.create({"id": 1, "brand": "Toyota", "notes": "secret"})])
    assert list(database.columns("fleet.ownership")) == \
        ["id", "make", "cdc_operation", "cdc_timestamp"]
    assert values(database, "fleet.ownership", "id", "make") == [(1, "Toyota")]
    assert not database.exists("vehicle")


def test_include_only(sink, database):
    table = Table()
    sink.write(pipeline(table, defaults={"columns": {"include": ["id", "amount"]}}),
               database=database)
    sink.replay([table.create(A)])
    assert list(database.columns("items")) == ["id", "amount", "cdc_operation", "cdc_timestamp"]


def test_skipped_table(sink, database):
    kept, skipped = Table("items"), Table("audit_log")
    sink.write(pipeline("^src\\.shop\\..*", tables={"audit_log": {"skip": True}}),
               database=database)
    sink.replay([kept.create(A), skipped.create(A), kept.create(B)])
    assert database.count("items") == 2
    assert not database.exists("audit_log")
    assert database.offsets()["test.items", skipped.topic, 0] == 1, "passed over, and done with"


def test_cdc_columns_by_other_names_or_off(sink, database):
    table, plain = Table(), Table("plain")
    sink.write(pipeline("^src\\.shop\\..*",
                        defaults={"cdc_operation": "op", "cdc_timestamp": "changed_at"},
                        tables={"plain": {"cdc_operation": False, "cdc_timestamp": False,
                                          "on_delete": "hard"}}), database=database)
    sink.replay([table.create(A, ts_ms=1_766_131_347_123), plain.create(A)])
    assert list(database.columns("plain")) == ["id", "name", "amount"]
    assert database.columns("items")["changed_at"] == "timestamp with time zone"
    assert database.rows("items", ["op", "changed_at"]) == \
        [[["changed_at", "2025-12-19T08:02:27.123000"], ["op", "c"]]]


def test_table_that_must_exist(sink, database):
    table = Table()
    sink.write(pipeline(table, defaults={"create_tables": False}), database=database)
    done = sink.replay_fails([table.create(A)], Exit.TARGET)
    assert "items" in done.stderr and "create_tables" in done.stderr
    assert not database.exists("items")
    assert not database.offsets(), "what was not applied is not done with"

    database.execute("create table items (id int primary key, name text, amount int, "
                     "cdc_operation text, cdc_timestamp timestamptz)")
    sink.replay([table.create(A)])
    assert values(database, "items", "id", "name", "amount") == [(1, "one", 10)]


def test_column_that_appears_later(sink, database):
    old = Table()
    sink.write(pipeline(old), database=database)
    records = [old.create(A), old.create(B)]
    old.columns = {**old.columns, "since": DATE, "more": BIGINT}
    records += [old.update(A, {**A, "since": 2909, "more": 2**40}),
                old.create({"id": 3, "name": None, "amount": None, "since": None, "more": None})]
    sink.replay(records)
    assert database.columns("items")["since"] == "date"
    assert database.rows("items", ["id", "since", "more"]) == [
        [["id", "1"], ["more", str(2**40)], ["since", "1977-12-19"]],
        [["id", "2"], ["more", None], ["since", None]],
        [["id", "3"], ["more", None], ["since", None]]]


def test_column_that_appears_later_is_not_added_to_a_table_of_others(sink, database):
    database.execute("create table items (id int primary key, name text, cdc_operation text, "
                     "cdc_timestamp timestamptz)")
    table = Table()
    sink.write(pipeline(table), database=database)
    sink.replay([table.create(A)])
    assert "amount" not in database.columns("items")
    assert values(database, "items", "id", "name") == [(1, "one")]


def test_awkward_names_and_values(sink, database):
    name = 'od"d na%me ü😀'
    columns = {"id": INT, "select": TEXT, 'quo"te': TEXT, "Mixed Case": TEXT, "%s": TEXT}
    table = Table("order", columns=columns)
    sink.write(pipeline(table, tables={"order": {"target": name}}), database=database)
    row = {"id": 1, "select": "'; drop table x; --", 'quo"te': "\\N\t\n\\.", "Mixed Case": "ü😀",
           "%s": ""}
    sink.replay([table.create(row), table.create({**row, "id": 2, "select": None})])
    found = database.execute('select * from "od""d na%me ü😀" order by id')
    assert found[0][:5] == tuple(row.values())
    assert found[1][:5] == (2, None, *list(row.values())[2:])


def test_large_values(sink, database):
    table = Table()
    sink.write(pipeline(table), database=database)
    big = "x" * 3_000_000 + "ü😀"
    sink.replay([table.create({"id": 1, "name": big, "amount": 1}), table.create(B)])
    assert database.value("select name from items where id = 1") == big
    assert database.count("items") == 2


def test_many_rows_in_few_statements(sink, database):
    table = Table()
    sink.write(pipeline(table), database=database, batch={"max_bytes": 64 * 2**20})
    sink.replay([table.create({"id": number, "name": f"n{number}", "amount": number})
                 for number in range(5000)])
    assert database.value("select count(*) from items where name = 'n' || id and amount = id") == 5000
    # Rows between two savepoints are of one statement and one subtransaction.
    assert database.value("select count(distinct xmin::text) from items") <= 3


def test_what_is_stored_is_obeyed(sink, database):
    """Records below the stored offset are passed over, even when they say something else."""
    table = Table()
    sink.write(pipeline(table), database=database)
    sink.replay([table.create(A), table.update(A, A2)])
    other = Table()
    sink.replay([other.create({"id": 5, "name": "old", "amount": 0}), other.delete(A),
                 other.create(B)])
    assert values(database, "items", "id", "amount") == [(1, 11), (2, 20)]
    assert database.offsets() == {("test.items", table.topic, 0): 3}


@pytest.mark.parametrize("on_delete", ["soft", "hard"])
def test_batch_that_begins_with_deletes(sink, database, on_delete):
    """A delete says less of its table than the create behind it."""
    table = Table()
    sink.write(pipeline(table, defaults={"on_delete": on_delete}), database=database)
    sink.replay([table.create(A), table.create(B)])
    sink.replay([table.delete(A), table.tombstone(A), table.delete(B),
                 table.create({**A, "name": "again"})])
    assert (1, "again") in values(database, "items", "id", "name")
    assert database.count("items", "cdc_operation <> 'd'") == 1


def test_row_without_key_is_found_by_its_before_image(sink, database):
    """One of those that look alike, each time."""
    table = Table(key=(), columns={"a": INT, "b": TEXT})
    sink.write(pipeline(table, defaults={"on_delete": "hard"}), database=database)
    row, null = {"a": 1, "b": "x"}, {"a": 1, "b": None}
    sink.replay([table.create(row), table.create(row), table.create(row), table.create(null),
                 table.update(row, {**row, "a": 2}), table.delete(row), table.delete(null)])
    assert values(database, "items", "a", "b") == [(1, "x"), (2, "x")]


@pytest.mark.parametrize("on_truncate, expected", [("ignore", (1, 1, 0)), ("apply", (0, 0, 1))])
def test_what_changes_nothing_is_counted(sink, database, on_truncate, expected):
    """A delete of a row that is not there (unless a truncate follows); a truncate that is not
    followed."""
    table = Table()
    sink.write(pipeline(table, defaults={"on_delete": "hard", "on_truncate": on_truncate}),
               database=database)
    counts = sink.replay([table.create(A), table.delete(B), table.truncate()])["pipelines"][0]
    assert (counts["missing"], counts["left_out"], counts["truncated"]) == expected
