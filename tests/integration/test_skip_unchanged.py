"""Large values that an update carries and that the target has already stay where they lie; whatever the
target has instead, the row is the source's afterwards."""

import base64
import json
import random

import psycopg2
import pytest
from lib.records import INT, TEXT, Table, pipeline
from lib.sink import read_lines

KINDS = {"text": (TEXT, str), "varchar(20000)": (TEXT, str), "varchar": (TEXT, str),
         "json": ({"type": "string", "name": "io.debezium.data.Json"}, lambda text: json.dumps({"t": text})),
         "jsonb": ({"type": "string", "name": "io.debezium.data.Json"},
                   lambda text: json.dumps({"t": text, "n": 1.50})),
         "bytea": ({"type": "bytes"}, lambda text: base64.b64encode(text.encode()).decode())}


def long(number, length=5000):
    """What no compression makes small, with characters that JSON escapes."""
    letters = random.Random(number).choices('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRS0123456789"\\\né',
                                            k=length)
    return "".join(letters)


def documents(kind="text", **settings):
    schema, written = KINDS[kind]
    table = Table("documents", columns={"id": INT, "body": schema, "version": INT}, **settings)
    return table, lambda number, body, version: {"id": number, "body": written(long(body)),
                                                 "version": version}


def make(database, kind="text", more=""):
    database.execute(f"create table documents (id int primary key, body {kind}, version int{more})")


def configure(sink, database, table, **settings):
    sink.write(pipeline(table, defaults={"cdc_operation": "off", "cdc_timestamp": "off",
                                         "on_delete": "hard", **settings}), database=database)


@pytest.fixture
def places(stack, database):
    """Where the large values lie: one that is stored again has another number."""
    def ask():
        connection = psycopg2.connect(host=stack["POSTGRES_SOCKET_DIR"], port=stack["POSTGRES_PORT"],
                                      user="postgres", dbname=database.name)
        with connection, connection.cursor() as cursor:
            cursor.execute("select reltoastrelid::regclass::text from pg_class "
                           "where relname = 'documents'")
            toast, = cursor.fetchone()
            cursor.execute(f"select distinct chunk_id from {toast} order by 1")
            found = [place for place, in cursor.fetchall()]
        connection.close()
        return found

    return ask


def bodies(database):
    return dict(database.execute("select id, md5(body::text) from documents order by id"))


def expected(database, *rows, kind="text"):
    made = "decode({}, 'base64')" if kind == "bytea" else "{}::" + kind
    return {row["id"]: database.execute(f"select md5(({made.format('%s')})::text)", row["body"])[0][0]
            for row in rows}


@pytest.mark.parametrize("shape,policy,stays", [
    ("envelope", "auto", True), ("envelope-plain", "auto", True), ("flat", "auto", False),
    ("flat-plain", "auto", False), ("flat", "always", True), ("flat-plain", "always", True),
    ("envelope", "never", False), ("envelope-plain", "never", False)])
def test_it_stays_where_the_policy_says(sink, database, places, shape, policy, stays):
    make(database)
    table, row = documents(shape=shape)
    configure(sink, database, table, skip_unchanged=policy)
    sink.replay([table.create(row(1, 1, 0))])
    before = places()
    sink.replay([table.create(row(2, 2, 0)), table.update(row(1, 1, 0), row(1, 1, 5))])
    assert (set(before) <= set(places())) == stays
    assert bodies(database) == expected(database, row(1, 1, 5), row(2, 2, 0))
    assert database.execute("select version from documents where id = 1") == [(5,)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [3, 70])
def test_each_type(sink, database, places, kind, count):
    """Few rows are upserted, many are updates of rows that are guessed to be there."""
    make(database, kind)
    table, row = documents(kind)
    configure(sink, database, table)
    rows = [(row(n, n, 0), row(n, n, 1)) for n in range(count)]
    sink.replay([table.read(old) for old, _ in rows])
    before = places()
    sink.replay([table.update(old, new) for old, new in rows])
    if (kind, count) != ("varchar(20000)", 70):
        assert places() == before
    assert bodies(database) == expected(database, *(new for _, new in rows), kind=kind)
    changed = [(new, row(new["id"], -new["id"] - 1, 2)) for _, new in rows]
    sink.replay([table.update(old, new) for old, new in changed])
    assert bodies(database) == expected(database, *(new for _, new in changed), kind=kind)
    assert {version for version, in database.execute("select version from documents")} == {2}


def test_a_domain_over_json(sink, database):
    database.execute("create domain page as json")
    make(database, "page")
    table, row = documents("json")
    configure(sink, database, table)
    for count in (3, 70):
        rows = [(row(n, n, 0), row(n, n, 1)) for n in range(count)]
        sink.replay([table.create(old) for old, _ in rows] + [
            table.update(old, new) for old, new in rows])
        assert bodies(database) == expected(database, *(new for _, new in rows), kind="json")


@pytest.mark.parametrize("count", [3, 70])
def test_what_the_target_has_instead_is_replaced(sink, database, count):
    make(database)
    table, row = documents()
    configure(sink, database, table)
    rows = [(row(n, n, 0), row(n, n, 1)) for n in range(count)]
    sink.replay([table.create(old) for old, _ in rows])
    database.execute("update documents set body = 'by hand' where id = 0")
    database.execute("update documents set body = null where id = 1")
    database.execute("delete from documents where id = 2")
    sink.replay([table.update(old, new) for old, new in rows])
    assert bodies(database) == expected(database, *(new for _, new in rows))


def test_the_change_that_brought_it_was_set_aside(sink, database, tmp_path):
    make(database, more=" check (version < 100)")
    table, row = documents()
    configure(sink, database, table)
    letters = tmp_path / "letters.jsonl"
    sink.replay([table.create(row(1, 1, 0))])
    sink.replay([table.update(row(1, 1, 0), row(1, 2, 100))], dead_letter=letters)
    assert len(read_lines(letters)) == 1
    sink.replay([table.update(row(1, 2, 100), row(1, 2, 3))])
    assert bodies(database) == expected(database, row(1, 2, 3))


def test_within_a_batch(sink, database):
    """The last change repeats what one before it in the batch has brought, or withholds it."""
    make(database)
    table, row = documents()
    configure(sink, database, table)
    sink.replay([table.create(row(n, n, 0)) for n in range(5)])
    withheld = {"id": 2, "body": "__debezium_unavailable_value", "version": 9}
    sink.replay([
        table.update(row(0, 0, 0), row(0, 10, 1)), table.update(row(0, 10, 1), row(0, 10, 2)),
        table.update(row(1, 1, 0), row(1, 1, 1)), table.update(row(1, 1, 1), row(1, 11, 2)),
        table.update(row(2, 2, 0), row(2, 12, 1)), table.update(row(2, 12, 1), withheld),
        table.update(withheld, row(2, 12, 10)),
        table.delete(row(3, 3, 0)), table.update(row(3, 13, 0), row(3, 13, 1)),
        table.update(row(4, 4, 0), row(4, 4, 1)), table.delete(row(4, 4, 1)),
        table.create(row(4, 14, 0)), table.update(row(4, 14, 0), row(4, 14, 7))])
    assert bodies(database) == expected(
        database, row(0, 10, 0), row(1, 11, 0), row(2, 12, 0), row(3, 13, 0), row(4, 14, 0))
    assert [version for version, in database.execute("select version from documents order by id")] \
        == [2, 2, 10, 1, 7]


def test_soft_deleted_rows_come_back_whole(sink, database):
    make(database, more=", cdc_operation text, cdc_timestamp timestamptz")
    table, row = documents()
    sink.write(pipeline(table), database=database)
    sink.replay([table.create(row(1, 1, 0)), table.delete(row(1, 1, 0))])
    sink.replay([table.update(row(1, 1, 0), row(1, 1, 3))])
    assert database.execute("select version, cdc_operation from documents") == [(3, "u")]
    assert bodies(database) == expected(database, row(1, 1, 3))


def test_a_changed_key_takes_the_value_along(sink, database):
    make(database)
    table, row = documents()
    configure(sink, database, table, key=["id"])
    other, _ = documents(key=("version",))
    other._offsets = table._offsets
    sink.replay([table.create(row(1, 1, 0))])
    sink.replay([other.update(row(1, 1, 0), row(2, 1, 0))])
    assert bodies(database) == expected(database, row(2, 1, 0))
