"""`ods-sink plan` says what run would do to the target's tables: the same statements, and for each the
rewrite and the lock that PostgreSQL really has for it; and it changes nothing."""

import json

import pytest

from lib.postgres import administer
from lib.records import BIGINT, DATETIME, INT, TEXT, Table, pipeline
from lib.sink import Exit, write_lines
from lib.waiting import wait_for

SMALLINT = {"type": "int16"}


def versions(*schemas, name="items", key=("id",)):
    tables = [Table(columns={"id": INT, **schema}, key=key, name=name) for schema in schemas]
    for table in tables[1:]:
        table._offsets = tables[0]._offsets
    return tables


def plan(sink, *arguments, expect=Exit.NEGATIVE, text=None):
    done = sink.run("plan", "-c", sink.conf, "--json", *arguments, expect=expect, text=text)
    return json.loads(done.stdout)["pipelines"] if done.stdout else done.stderr


def statements(sink, *arguments, **options):
    found = [one for pipe in plan(sink, *arguments, **options) for one in pipe["statements"]]
    return [one for one in found if one["table"] != "the sink's own"]


def file_of(tmp_path, records, name="sample.jsonl"):
    write_lines(tmp_path / name, records)
    return tmp_path / name


def traces(database):
    """What a change of anything in the database would change."""
    return database.execute("""
        select c.oid::regclass::text, c.relfilenode, c.relnatts, obj_description(c.oid)
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema' order by 1
        """) + [database.state()]


def files_of(database):
    return dict(database.execute("select oid::regclass::text, pg_relation_filenode(oid) "
                                 "from pg_class where relkind in ('r', 'i')"))


# name: columns before, columns after, rows, evolve.
CHANGES = {
    "added": ({"v": INT}, {"v": INT, "a": TEXT, "b": DATETIME}, "add"),
    "wider": ({"v": INT, "w": SMALLINT}, {"v": BIGINT, "w": INT}, "widen"),
    "to text": ({"v": INT}, {"v": TEXT}, "widen"),
    "gone": ({"v": {**INT, "optional": False}}, {"u": INT}, "widen"),
    "kept": ({"v": INT}, {"v": DATETIME}, "full"),
    "nothing": ({"v": INT}, {"v": INT}, "full"),
}


def test_it_says_what_replay_then_does(sink, database, tmp_path):
    """The statements, in order, and whether the table's file is another one afterwards."""
    pairs = {name: versions(before, after, name=name.replace(" ", "_"))
             for name, (before, after, _) in CHANGES.items()}
    pipelines = [{**pipeline(old, name=old.name), "defaults": {"evolve": CHANGES[name][2]}}
                 for name, (old, _) in pairs.items()]
    sink.write(*pipelines, database=database)

    def row(table, number):
        return {"id": number, **{name: None for name in table.columns if name != "id"}}

    first = [old.create({**row(old, 1), **({"v": 1} if "v" in old.columns else {})})
             for old, _ in pairs.values()]
    then = [new.create(row(new, 2)) for _, new in pairs.values()]
    made = statements(sink, "--records", file_of(tmp_path, first))
    assert not database.exists("added")
    assert not database.value("select to_regclass('ods_sink.offsets') is not null")
    sink.replay(first)
    history = "select sql, table_name from ods_sink.schema_history where id > %s order by id"
    assert [(one["sql"], one["table"].split(".")[1]) for one in made] == \
        database.execute(history, 0)
    assert all(one["new"] and one["lock"] is None and not one["rewrites"] for one in made)
    assert statements(sink, "--records", file_of(tmp_path, first), expect=Exit.OK) == []

    before = traces(database)
    changed = statements(sink, "--records", file_of(tmp_path, then))
    assert traces(database) == before
    last, files = database.value("select max(id) from ods_sink.schema_history"), files_of(database)
    sink.replay(then)
    assert [(one["sql"], one["table"].split(".")[1]) for one in changed] == \
        database.execute(history, last)
    now = files_of(database)
    for name, (old, _) in pairs.items():
        mine = [one for one in changed if one["table"] == f"public.{old.name}"]
        quoted = f'"{old.name}"' if " " in old.name else old.name
        assert any(one["rewrites"] for one in mine) == (files[quoted] != now[quoted]), name
        for one in mine:
            assert one["lock"] == "AccessExclusiveLock"
            assert one["bytes"] > 0 and not one["new"]
            assert one["cause"]["topic"] == old.topic
    assert {one["table"] for one in changed if one["rewrites"]} == {"public.wider", "public.to_text"}
    assert statements(sink, "--records", file_of(tmp_path, then), expect=Exit.OK) == []


def test_a_column_that_stays_too_narrow_is_named(sink, database, tmp_path):
    """Nothing is changed, and it is said what that means."""
    old, new = versions({"v": INT}, {"v": BIGINT})
    sink.write(pipeline(old, defaults={"evolve": "add"}), database=database)
    sink.replay([old.create({"id": 1, "v": 1})])
    sample = file_of(tmp_path, [new.create({"id": n, "v": 1}) for n in range(2, 5)])
    [pipe] = plan(sink, "--records", sample, expect=Exit.OK)
    assert not pipe["statements"] and pipe["notes"] == [
        "table public.items: column v stays integer, and values that need bigint are refused, each with "
        "its record: evolve: widen changes it"]


def test_what_holds_a_table_and_what_would_be_refused(sink, database, tmp_path):
    old, new = versions({"v": INT, "k": INT}, {"v": BIGINT, "k": INT, "extra": TEXT})
    sink.write(pipeline(old, defaults={"evolve": "widen"}), database=database)
    sink.replay([old.create({"id": 1, "v": 1, "k": 1})])
    database.execute("create view reads as select v from items")
    sample = file_of(tmp_path, [new.create({"id": 2, "v": 2**40, "k": 1, "extra": "x"})])
    [pipe] = plan(sink, "--records", sample)
    assert [one["sql"] for one in pipe["statements"]] == \
        ['alter table "public"."items" add column "extra" text compression lz4']
    assert any("view reads" in note and "keeps its type" in note for note in pipe["notes"])
    database.execute("drop view reads")

    # a foreign key of the column locks the other table as well
    database.execute("alter table items add unique (v); create table other "
                     "(v integer constraint of_items references items (v))")
    [alter] = statements(sink, "--records", sample)
    assert alter["also_locks"] == ["other (foreign key of_items)"]
    assert alter["rewrites"]
    text = sink.run("plan", "-c", sink.conf, "--records", sample, expect=Exit.NEGATIVE).stdout
    assert "the table is rewritten with its indexes" in text
    assert "locks on other (foreign key of_items)" in text

    # rows that share the new key
    database.execute("drop table other; insert into items (id, v, k) values (5, 5, 1)")
    rekeyed = Table(columns=old.columns, key=("k",))
    sink.write(pipeline(old, defaults={"evolve": "full"}), database=database)
    sample = file_of(tmp_path, [rekeyed.create({"id": 2, "v": 2, "k": 9})])
    [pipe] = plan(sink, "--records", sample)
    assert not pipe["statements"]
    assert "rows that would share a key: (1) 2 times" in pipe["refused"][0]["reason"]
    sink.write(pipeline(old, defaults={"evolve": "full"}, tables={"items": {"redact": ["k"]}}),
               database=database)
    assert "([redacted]) 2 times" in plan(sink, "--records", sample)[0]["refused"][0]["reason"]
    sink.write(pipeline(old, defaults={"evolve": "full"}), database=database)
    database.execute("delete from items where id = 5")
    [alter] = statements(sink, "--records", sample)
    assert alter["sql"] == ('alter table "public"."items" drop constraint items_pkey, '
                            'add primary key ("k"), alter column "id" drop not null')
    assert alter["builds_indexes"] == ["items_pkey"] and not alter["rewrites"]

    # a table that may not be made, and one that another source has
    sink.write(pipeline(Table(name="new"), defaults={"create_tables": False}), database=database)
    [pipe] = plan(sink, "--records", file_of(tmp_path, [Table(name="new").create(
        {"id": 1, "name": "x", "amount": 1})]))
    assert pipe["refused"][0]["stops"] and "create_tables" in pipe["refused"][0]["reason"]
    one, two = Table(name="a", database="one"), Table(name="a", database="two")
    sink.write(pipeline(one, name="one"), pipeline(two, name="two"), database=database)
    sink.write({**pipeline(one), "topics": [one.topic, two.topic]}, database=database)
    row = {"id": 1, "name": "x", "amount": 1}
    [pipe] = plan(sink, "--records", file_of(tmp_path, [one.create(row), two.create(row)]))
    assert [refused["source_table"] for refused in pipe["refused"]] == ["two.a"]


def test_without_a_record_there_is_no_telling(sink, database, tmp_path):
    table = Table()
    sink.write(pipeline(table), database=database)
    sink.replay([table.create({"id": 1, "name": "x", "amount": 1})])
    for records in ([], [table.record('{"id": 1}', "no JSON")]):
        [pipe] = plan(sink, "--records", file_of(tmp_path, records), expect=6)
        assert pipe["unreadable"] == len(records)


def test_rights(sink, databases, tmp_path, stack):
    """With least rights; and without those it says which is missing."""
    database = databases()
    role = f"planner_{database.name}"
    administer(stack, f"create role {role} login password 'pw'")
    try:
        old, new = versions({"v": INT}, {"v": INT, "a": TEXT})
        sink.write(pipeline(old), database=database)
        sink.replay([old.create({"id": 1, "v": 1})])
        sample = file_of(tmp_path, [new.create({"id": 2, "v": 2, "a": "x"})])
        database.execute(f"grant usage on schema ods_sink to {role}; grant select, insert, update, "
                         f"delete, truncate on all tables in schema ods_sink to {role}")
        sink.write(pipeline(old), targets=[{"name": "ods", "type": "postgres", "dsn":
                                            f"{database.dsn} user={role} password=pw"}])
        [pipe] = plan(sink, "--records", sample)
        assert pipe["refused"][0]["stops"]
        assert "must be owner" in pipe["refused"][0]["reason"] or "permission denied" in \
            pipe["refused"][0]["reason"]
        administer(stack, f"alter table items owner to {role}", database.name)
        assert len(statements(sink, "--records", sample)) == 1
        administer(stack, f"revoke temporary on database {database.name} from public")
        said = plan(sink, "--records", sample, expect=Exit.TARGET)
        assert "TEMPORARY" in said
    finally:
        administer(stack, f"drop owned by {role}", database.name)
        administer(stack, f"drop role {role}")


# --- schemas in place of records ---------------------------------------------------------------

CHANGE = {"source": {"connector": "mysql", "name": "src", "ts_ms": 1}, "databaseName": "shop",
          "ddl": "alter table items …", "tableChanges": [{
              "type": "ALTER", "id": '"shop"."items"', "table": {
                  "primaryKeyColumnNames": ["id"], "columns": [
                      {"name": "id", "jdbcType": 4, "typeName": "INT", "typeExpression": "INT",
                       "length": None, "position": 1, "optional": False},
                      {"name": "v", "jdbcType": -5, "typeName": "BIGINT", "typeExpression": "BIGINT",
                       "length": None, "position": 2, "optional": True},
                      {"name": "price", "jdbcType": 3, "typeName": "DECIMAL",
                       "typeExpression": "DECIMAL", "length": 12, "scale": 2, "position": 3,
                       "optional": True}]}}]}

AVRO = {"type": "record", "name": "Envelope", "namespace": "src.shop.items", "fields": [
    {"name": "before", "default": None, "type": ["null", {
        "type": "record", "name": "Value", "fields": [
            {"name": "id", "type": "int"},
            {"name": "v", "type": ["null", "long"], "default": None},
            {"name": "price", "default": None, "type": ["null", {
                "type": "bytes", "scale": 2, "precision": 12, "logicalType": "decimal",
                "connect.version": 1, "connect.name": "org.apache.kafka.connect.data.Decimal",
                "connect.parameters": {"scale": "2", "connect.decimal.precision": "12"}}]}]}]},
    {"name": "after", "type": ["null", "Value"], "default": None},
    {"name": "source", "type": {"type": "record", "name": "Source", "namespace":
                                "io.debezium.connector.mysql", "fields": [
                                    {"name": "connector", "type": "string"}]}},
    {"name": "op", "type": "string"}]}

KEY = {"type": "record", "name": "Key", "namespace": "src.shop.items",
       "fields": [{"name": "id", "type": "int"}]}


def test_schemas_in_place_of_records(sink, database, tmp_path):
    old, new = versions({"v": INT}, {"v": BIGINT, "price": {
        "type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "version": 1,
        "parameters": {"scale": "2", "connect.decimal.precision": "12"}}})
    sink.write(pipeline(old, defaults={"evolve": "widen"}), database=database)
    (tmp_path / "key.avsc").write_text(json.dumps(KEY))
    files = {"change": CHANGE, "recorded": {"topic": "src", "payload": json.dumps(CHANGE)},
             "with a schema": {"schema": {"type": "struct"}, "payload": CHANGE},
             "avro": AVRO, "connect": new._schema(),
             "registry": {"subject": "src.shop.items-value", "version": 2, "id": 7,
                          "schema": json.dumps(AVRO)}}
    made = ('create table "public"."items" ("id" integer not null, "v" bigint, '
            '"price" numeric(12,2), "__op" text, ')
    for name, content in files.items():
        keys = [] if name in ("change", "recorded", "with a schema") else \
            ["--schema", tmp_path / "key.avsc"]
        [one] = statements(sink, "--schema", "-", *keys, text=json.dumps(content))
        assert one["sql"].startswith(made[:made.index('"__op"')]), name
        assert one["sql"].endswith('primary key ("id"))'), name
    sink.replay([old.create({"id": 1, "v": 1})])
    for name, content in files.items():  # the key is the table's now
        [one] = statements(sink, "--schema", "-", text=json.dumps(content))
        assert one["sql"] == ('alter table "public"."items" alter column "v" type bigint using '
                              '"v"::bigint, add column "price" numeric(12,2)'), name
        assert one["rewrites"] and one["cause"] is None
    sink.replay([new.create({"id": 2, "v": 1, "price": None})])
    for name, content in files.items():
        assert statements(sink, "--schema", "-", text=json.dumps(content), expect=Exit.OK) == []


@pytest.mark.parametrize("text, said", [
    ("{", "'}'"), ("", "it is empty"), ("{}", "it holds no schema"), ('{"type": "record"}', "fields"),
    ('{"schemaType": "PROTOBUF", "schema": "syntax"}', "not Avro"),
    (json.dumps(KEY), "schemas of keys alone"),
    (json.dumps({**AVRO, "namespace": "other.shop.items"}), "--topic"),
])
def test_a_schema_that_is_none(sink, database, text, said):
    sink.write(pipeline(Table()), database=database)
    assert said in plan(sink, "--schema", "-", text=text, expect=Exit.USAGE)


def test_maxwell_schema(sink, database):
    sink.write({"name": "m", "topics": ["maxwell"], "format": "maxwell", "target": "ods"},
               database=database)
    change = {"type": "table-create", "database": "shop", "table": "items", "ts": 1, "def": {
        "database": "shop", "table": "items", "charset": "utf8mb4", "primary-key": ["id"],
        "columns": [{"type": "int", "name": "id", "signed": True},
                    {"type": "varchar", "name": "v", "charset": "utf8mb4"}]}}
    [one] = statements(sink, "--schema", "-", text=json.dumps(change))
    assert '"id" integer' in one["sql"] and 'primary key ("id")' in one["sql"]


# --- from Kafka ---------------------------------------------------------------------------------


def test_the_newest_records_of_the_topics(sink, kafka, database, prefix):
    table = Table(prefix=prefix)
    kafka.create(table.topic, 2)
    sink.write(pipeline(table), kafka=True, database=database)
    wait_for(lambda: sink.run("plan", "-c", sink.conf, expect=None).returncode != Exit.SOURCE, 30,
             "the brokers know the topic")
    assert "no change of a row was seen" in plan(sink)[0]["notes"][0]
    kafka.produce([table.create({"id": i, "name": "x", "amount": 1}, partition=i % 2)
                   for i in range(30)])
    [pipe] = plan(sink, "--sample", 5)
    assert pipe["records"] == 10
    assert [one["sql"].split(" (")[0] for one in pipe["statements"]] == \
        ["sql/ods_sink.sql: the sink's own schema, or what this version adds to it",
         'create table "public"."items"']
    assert sink.run("plan", "-c", sink.conf, expect=Exit.NEGATIVE).stdout.count("create table") == 1
