"""Tables of the source that would share one of the target: refused unless the configuration says so,
whoever comes first, also after a restart. And many shards into one table, by a pattern."""

import json

import pytest
from lib import maxwell
from lib.records import INT, SHAPES, TEXT, Table, pipeline
from lib.sink import read_lines

TOPICS = r"^src\..*"


def replay(sink, records):
    path = sink.folder / "letters.jsonl"
    path.unlink(missing_ok=True)
    summary = sink.replay(records, dead_letter=path)["pipelines"][0]
    letters = read_lines(path) if path.exists() else []
    return summary, [letter["headers"][letter["headers"].index("ods.error") + 1] for letter in letters]


def row(number, name):
    return {"id": number, "name": name, "amount": 1}


def pair(shape="envelope"):
    return Table("users", database="shop", shape=shape), Table("users", database="audit", shape=shape)


def sources(database, table="users"):
    return database.execute("select source_database, source_schema, source_table, named "
                            "from ods_sink.table_sources where table_name = %s order by 1, 2, 3", table)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_second_source_is_refused(sink, database, shape):
    one, two = pair(shape)
    items = Table("items", database="audit", shape=shape)
    sink.write(pipeline(TOPICS), database=database)
    _, reasons = replay(sink, [one.create(row(1, "shop")), two.create(row(1, "audit")),
                               items.create(row(1, "item")), two.delete(row(1, "audit")),
                               two.tombstone(row(1, "audit")), one.create(row(2, "shop"))])
    assert len(reasons) >= 2  # a bare tombstone behind its delete may be passed over
    for reason in reasons:
        assert "audit.users" in reason and "shop.users" in reason and "public.users" in reason
        assert "target:" in reason and "table_sources" in reason
    assert database.execute("select id, name, cdc_operation from users order by id") == [
        (1, "shop", "c"), (2, "shop", "c")]
    assert database.count("items") == 1
    # Nothing of it is a process's memory, nor the order within one.
    _, reasons = replay(sink, [two.create(row(3, "audit")), one.update(row(1, "shop"), row(1, "new"))])
    assert len(reasons) == 1
    assert database.execute("select id, name from users order by id") == [(1, "new"), (2, "shop")]
    assert sources(database) == [("", "shop", "users", False)]


def test_the_configuration_says_so(sink, database):
    """By one entry for both, by entries of their own, or by one of them."""
    for number, tables in enumerate([{"users": {"target": "users"}},
                                     {"shop.users": {"target": "users"},
                                      "audit.users": {"target": "public.users"}},
                                     {"audit.users": {"target": "users"}},
                                     {r"^users$": {"target": "users"}}]):
        for turn in (1, -1):
            one, two = pair()
            sink.write(pipeline(TOPICS, tables=tables), database=database)
            _, reasons = replay(sink, [one.create(row(1, "shop")), two.create(row(2, "audit"))][::turn])
            assert not reasons, number
            assert database.execute("select id, name from users order by id") == [
                (1, "shop"), (2, "audit")]
            database.execute("drop table users; drop schema ods_sink cascade")


def test_a_table_made_by_hand_and_one_that_is_dropped(sink, database):
    """The first source owns a table, whoever made it; with the table its owner goes."""
    one, two = pair()
    database.execute("create table users (id int primary key, name text, amount int, "
                     "cdc_operation text, cdc_timestamp timestamptz)")
    sink.write(pipeline(TOPICS), database=database)
    _, reasons = replay(sink, [two.create(row(1, "audit")), one.create(row(1, "shop"))])
    assert len(reasons) == 1 and "shop.users" in reasons[0]
    database.execute("drop table users")
    _, reasons = replay(sink, [one.create(row(2, "shop")), two.create(row(2, "audit"))])
    assert len(reasons) == 1
    assert database.execute("select id, name from users") == [(2, "shop")]
    # As the message says.
    database.execute("delete from ods_sink.table_sources where table_name = 'users'")
    _, reasons = replay(sink, [two.create(row(3, "audit"))])
    assert not reasons and database.count("users") == 2


def test_what_says_nothing_of_the_source(sink, database):
    """Another prefix, another topic, another shape, and names that topics can't have."""
    one = Table("users", database="shop")
    odd = Table("größe", database="my shop")
    moved = Table("users", database="shop", prefix="src.new")
    plain = Table("users", database="shop", prefix="src.other", shape="flat-plain")
    odd.topic = "src.my_shop.gr__e"
    odd_flat = Table("größe", database="my_shop", shape="flat")
    sink.write(pipeline(TOPICS), database=database)
    _, reasons = replay(sink, [one.create(row(1, "a")), moved.create(row(2, "b")),
                               plain.create(row(3, "c")), odd.create(row(1, "d")),
                               odd_flat.create(row(2, "e"))])
    assert not reasons
    assert database.count("users") == 3 and database.count('"größe"') == 2


def test_names_that_are_folded_or_placed(sink, database):
    upper, lower = Table("Users"), Table("users")
    sink.write(pipeline(TOPICS, defaults={"fold": "lower"}), database=database)
    _, reasons = replay(sink, [upper.create(row(1, "U")), lower.create(row(1, "l"))])
    assert len(reasons) == 1 and "shop.Users" in reasons[0] and "shop.users" in reasons[0]
    one, two = pair()
    database.execute("delete from ods_sink.offsets")
    sink.write(pipeline(TOPICS, defaults={"schema": "${db}"}), database=database)
    _, reasons = replay(sink, [one.create(row(1, "s")), two.create(row(1, "a"))])
    assert not reasons
    assert database.count("shop.users") == database.count("audit.users") == 1
    sink.write(pipeline(TOPICS, tables={"shop.users": {"skip": True}}), database=database)
    one, two = pair()
    database.execute("delete from ods_sink.offsets")
    _, reasons = replay(sink, [one.create(row(5, "s")), two.create(row(5, "a"))])
    assert len(reasons) == 1  # public.users is of shop.Users


def test_maxwell(sink, database):
    def insert(name, offset, number):
        return {"topic": "maxwell", "partition": 0, "offset": offset, "tstype": "create",
                "ts": 1766131348000, "broker": 1, "headers": [],
                "key": json.dumps({"database": name, "table": "users", "pk.id": number}),
                "payload": json.dumps({"database": name, "table": "users", "type": "insert",
                                       "ts": 1766131348, "xid": offset, "commit": True,
                                       "data": {"id": number, "name": name}})}

    sink.write({**pipeline("maxwell"), "format": "maxwell"}, database=database)
    _, reasons = replay(sink, [insert("shop", 0, 1), insert("audit", 1, 1)])
    assert len(reasons) == 1 and "audit.users" in reasons[0]
    assert database.execute("select id, name from users") == [(1, "shop")]


# --- shards ---

SHARDS = {r"^orders_\d+$": {"target": "orders", "key": ["shard", "id"]}}
COLUMNS = {"id": INT, "shard": INT, "name": TEXT}


def test_shards_by_a_pattern(sink, database):
    """Hundreds of them, in two databases; what only looks like one is a table of its own."""
    shards = [Table(f"orders_{number}", COLUMNS, database=("one", "two")[number % 2])
              for number in range(300)]
    other = Table("orders_x", COLUMNS)
    sink.write(pipeline(TOPICS, defaults={"on_delete": "hard"}, tables=SHARDS), database=database)
    rows = [{"id": number % 7, "shard": number, "name": f"n{number}"} for number in range(300)]
    records = [shard.create(row) for shard, row in zip(shards, rows)]
    records += [other.create({"id": 1, "shard": 1, "name": "x"})]
    records += [shards[5].update(rows[5], {**rows[5], "name": "new"}), shards[6].delete(rows[6])]
    _, reasons = replay(sink, records)
    assert not reasons
    assert database.count("orders") == 299 and database.count("orders_x") == 1
    assert database.execute("select id, name from orders where shard in (5, 6)") == [(5, "new")]
    assert len(sources(database, "orders")) == 300


def test_shards_whose_columns_differ(sink, database):
    """Each adds what it has; what another lacks is NULL."""
    one = Table("orders_1", {**COLUMNS, "only_one": {"type": "int32"}})
    two = Table("orders_2", {"id": INT, "shard": INT, "only_two": TEXT})
    sink.write(pipeline(TOPICS, tables=SHARDS), database=database)
    _, reasons = replay(sink, [one.create({"id": 1, "shard": 1, "name": "a", "only_one": 7}),
                               two.create({"id": 1, "shard": 2, "only_two": "b"}),
                               one.update({"id": 1, "shard": 1}, {"id": 1, "shard": 1, "only_one": 8})])
    assert not reasons
    assert database.execute("select shard, name, only_one, only_two from orders order by shard") == [
        (1, None, 8, None), (2, None, None, "b")]


def test_a_shard_without_a_column_that_is_required(sink, database):
    """NOT NULL of one shard does not keep the rows of another out."""
    class Required(Table):
        def _fields(self):
            return [{**field, "optional": False} for field in super()._fields()]

    one = Required("orders_1", {**COLUMNS, "must": INT})
    two = Table("orders_2", COLUMNS)
    sink.write(pipeline(TOPICS, tables=SHARDS), database=database)
    _, reasons = replay(sink, [one.create({"id": 1, "shard": 1, "name": "a", "must": 7}),
                               two.create({"id": 1, "shard": 2, "name": None}),
                               one.create({"id": 2, "shard": 1, "name": "a", "must": 7})])
    assert not reasons and database.count("orders") == 3


@pytest.mark.parametrize("tables", [SHARDS, {"orders_1": {"target": "orders"},
                                             "orders_2": {"target": "orders"}}],
                         ids=["pattern", "entries"])
def test_the_truncate_of_a_shard(sink, database, tables):
    one, two = Table("orders_1", COLUMNS), Table("orders_2", COLUMNS)
    sink.write(pipeline(TOPICS, defaults={"on_truncate": "apply", "on_delete": "hard"}, tables=tables),
               database=database)
    _, reasons = replay(sink, [one.create({"id": 1, "shard": 1}), two.create({"id": 2, "shard": 2}),
                               one.truncate()])
    assert len(reasons) == 1 and "orders_1" in reasons[0] and "other tables" in reasons[0]
    assert database.count("orders") == 2
