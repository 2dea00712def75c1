"""What ExtractNewRecordState adds to flattened rows: under other names, in headers, or not at all;
and what MongoDB's connector writes."""

import json

import pytest

from lib.records import BIGINT, INT, TEXT, Table, pipeline
from lib.sink import Exit, read_lines

STAMP = 1_760_000_000_000  # 2025-10-09 08:53:20
CONVERTERS = ("simple", "json", "json-schemas")
SCHEMAS = {str: "string", int: "int64", type(None): "string"}


def names_of(added, prefix):
    """{field: name} as AbstractExtractNewRecordState.FieldReference makes them."""
    names = {}
    for entry in filter(None, (entry.strip() for entry in added.split(","))):
        field, _, renamed = entry.partition(":")
        names[field] = prefix + (renamed or field.replace(".", "_"))
    return names


def header_text(value, converter):
    if converter == "simple":
        return None if value is None else str(value)
    if converter == "json":
        return json.dumps(value)
    schema = {"type": SCHEMAS[type(value)], "optional": True}
    return json.dumps({"schema": schema, "payload": value})


class Flattened(Table):
    """Rows as ExtractNewRecordState writes them with these settings."""

    def __init__(self, name, fields="", prefix="__", headers="", header_prefix="__",
                 converter="simple", deleted="__deleted", schema_name=None, **options):
        super().__init__(name, **options)
        self.added = names_of(fields, prefix)
        self.headed = names_of(headers, header_prefix)
        self.converter, self.deleted_field = converter, deleted
        self.schema_name = schema_name or f"{self.topic}.Value"

    def metadata(self, operation):
        return {"op": operation, "source.ts_ms": STAMP, "ts_ms": STAMP + 7, "table": self.name,
                "source.table": self.name, "db": self.database, "lsn": 4711, "connector": "mysql",
                "source.ts_us": STAMP * 1000 + 1, "name": self.prefix, "deleted":
                "true" if operation == "d" else "false"}

    def headers(self, operation):
        known = self.metadata(operation)
        return [part for field, name in self.headed.items()
                for part in (name, header_text(known[field], self.converter))]

    def change(self, operation, before, after, partition=0, ts_ms=None):
        known = self.metadata(operation)
        payload = dict(after or before)
        if self.deleted_field:
            payload[self.deleted_field] = known["deleted"]
        payload.update({name: known[field] for field, name in self.added.items()})
        value = json.dumps(payload)
        if self.schemas:
            fields = [{"type": SCHEMAS[type(content)], **self.columns.get(name, {}),
                       "optional": True, "field": name} for name, content in payload.items()]
            value = json.dumps({"schema": {"type": "struct", "fields": fields, "optional": False,
                                           "name": self.schema_name}, "payload": payload})
        return self.record(self._key_of(after or before), value, partition,
                           self.headers(operation))

    def gone(self, row):
        """delete-to-tombstone: no value, and the headers of the delete."""
        return self.record(self._key_of(row), None, headers=self.headers("d"))


def settings(fields=None, prefix=None, headers=None, header_prefix=None):
    given = {"add_fields": fields, "add_fields_prefix": prefix, "add_headers": headers,
             "add_headers_prefix": header_prefix}
    return {"metadata": {name: value for name, value in given.items() if value is not None}}


def columns(database, table):
    return [name for name, in database.execute(
        "select column_name from information_schema.columns where table_name = %s "
        "and table_schema = 'public' order by column_name", table)]


def rows(database, table):
    return database.execute(
        f'select id, name, cdc_operation, cdc_timestamp::text from "{table}" order by id')


STORY = [("c", 1, "a"), ("u", 1, "b"), ("r", 2, "c"), ("c", 3, "d"), ("d", 3, "d")]
TOLD = [(1, "b", "u"), (2, "c", "r"), (3, "d", "d")]


def story(table):
    return [table.change(operation, None, {"id": number, "name": name})
            for operation, number, name in STORY]


PLAIN = {"id": INT, "name": TEXT}

# (name, what the connector's transform is set to, what source.metadata is set to)
CONFIGURED = [
    ("as_ever", dict(fields="op,table,source.ts_ms"), None),
    ("other_prefix", dict(fields="op,table,source.ts_ms", prefix="dbz_"), dict(prefix="dbz_")),
    ("prefix_and_list", dict(fields="op,lsn,source.ts_ms", prefix="_m."),
     dict(fields="op,lsn,source.ts_ms", prefix="_m.")),
    ("no_prefix", dict(fields="op,db,source.ts_ms", prefix=""),
     dict(fields="op,db,source.ts_ms", prefix="")),
    ("renamed", dict(fields="op:kind,source.ts_ms:at"), dict(fields="op:kind,source.ts_ms:at")),
    ("renamed_without_prefix", dict(fields="op:kind, source.ts_ms:at ,table:t", prefix=""),
     dict(fields="op:kind, source.ts_ms:at ,table:t", prefix="")),
    ("time_of_connector", dict(fields="op,source.ts_us:us"), dict(fields="op,source.ts_us:us")),
    ("deleted_renamed", dict(fields="op,source.ts_ms", deleted="__is_deleted"),
     dict(fields="op,source.ts_ms,deleted:is_deleted")),
    ("headers", dict(headers="op,source.ts_ms"), dict(headers="op,source.ts_ms")),
    ("headers_prefix", dict(headers="op,source.ts_ms,name", header_prefix="x-"),
     dict(headers="op,source.ts_ms,name", header_prefix="x-")),
    ("headers_renamed", dict(headers="op:what,source.ts_ms:when", header_prefix=""),
     dict(headers="op:what,source.ts_ms:when", header_prefix="")),
    ("both", dict(fields="source.ts_ms", headers="op"), dict(fields="source.ts_ms", headers="op")),
    ("headers_only", dict(headers="op,source.ts_ms", deleted=None),
     dict(headers="op,source.ts_ms")),
    ("deleted_in_header", dict(fields="source.ts_ms", headers="deleted,op", deleted=None),
     dict(fields="source.ts_ms", headers="deleted,op")),
]


def test_metadata_is_read_where_the_configuration_says(sink, database):
    """Each configuration with and without schemas, its schema named as a row's or not; headers as
    each converter writes them."""
    tables, pipelines = [], []
    for name, written, read in CONFIGURED:
        for schemas in (True, False):
            for converter in CONVERTERS if "headers" in written else ("simple",):
                table = Flattened(f"{name}_{schemas}_{converter}".lower(), columns=PLAIN,
                                  schemas=schemas, converter=converter,
                                  schema_name="renamed.by.SetSchemaMetadata", **written)
                source = {"source": settings(**read)} if read else {}
                tables.append(table)
                pipelines.append(pipeline(table, table.name, **source))
    sink.write(*pipelines, database=database)
    done = sink.run("replay", "-c", sink.conf,
                    sink.file_of([record for table in tables for record in story(table)]))
    found = {table.name: rows(database, table.name) for table in tables}
    at = {name: "2025-10-09 08:53:20" + (".000001" if "of_connector" in name else "") + "+00"
          for name in found}
    assert found == {name: [(*row, at[name]) for row in TOLD] for name in found}
    assert {table.name: columns(database, table.name) for table in tables} == \
        {table.name: ["cdc_operation", "cdc_timestamp", "id", "name"] for table in tables}
    assert "do not say" not in done.stderr


@pytest.mark.parametrize("schemas", [True, False])
def test_a_column_of_a_usual_name_is_a_column(sink, database, schemas):
    """Where the configuration says what is metadata, nothing else is."""
    business = {"__op": TEXT, "__table": TEXT, "op": TEXT, "__source_ts_ms": BIGINT}
    row = {"id": 1, "name": "a", "__op": "amputation", "__table": "7b", "op": "x",
           "__source_ts_ms": 5}
    made = [("by_fields", dict(fields="op:kind"), dict(fields="op:kind")),
            ("by_headers", dict(headers="op"), dict(headers="op"))]
    tables = [(Flattened(name, columns={**PLAIN, **business}, schemas=schemas, **written), read)
              for name, written, read in made]
    sink.write(*[pipeline(table, table.name, source=settings(**read)) for table, read in tables],
               database=database)
    sink.replay([table.change("c", None, row) for table, _ in tables])
    for table, _ in tables:
        assert database.execute(f'select "__op", "__table", op, "__source_ts_ms", cdc_operation '
                                f"from {table.name}") == [("amputation", "7b", "x", 5, "c")]


@pytest.mark.parametrize("converter", CONVERTERS)
def test_deletes_by_header(sink, database, converter):
    """A delete whose row says nothing; a tombstone whose headers name its table and time."""
    listed = "op,source.ts_ms,table,db"
    table = Flattened("items", columns=PLAIN, headers=listed, deleted=None, converter=converter,
                      schemas=False)
    table.topic = "all-tables-in-one"
    other = Flattened("others", columns=PLAIN, headers=listed, deleted=None, converter=converter,
                      schemas=False)
    other.topic, other._offsets = table.topic, table._offsets
    sink.write(pipeline(table, source=settings(headers=listed), defaults={"on_delete": "hard"}),
               database=database)
    records = [side.change("c", None, {"id": number, "name": side.name})
               for side in (table, other) for number in (1, 2, 3)]
    records.append(table.change("d", {"id": 1, "name": "items"}, None))
    records.append(other.gone({"id": 2}))
    sink.replay(records)
    # Of a topic with two tables, in a process that has seen none of them.
    sink.replay([table.gone({"id": 3})])
    assert database.execute("select id from items order by id") == [(2,)]
    assert database.execute("select id from others order by id") == [(1,), (3,)]


def test_the_last_header_of_a_name_counts_and_fields_go_before(sink, database):
    table = Flattened("items", columns=PLAIN, fields="source.ts_ms", headers="op", schemas=False)
    sink.write(pipeline(table, source=settings(fields="source.ts_ms,op", headers="op")),
               database=database)
    records = [table.change("c", None, {"id": number, "name": "x"}) for number in range(1, 7)]
    for record, headers in zip(records, [["__op", "u", "__op", "r"], ["__op", None], [],
                                         ["__OP", "d"], ["__op", '"r"', "other", "d"]]):
        record["headers"] = headers
    records[5]["headers"] = [part for number in range(40) for part in (f"h{number}", "c")]
    records[5]["headers"] += ["__op", "r"]
    records.append(table.record('{"id":7}', '{"id":7,"name":"x","__op":"r","__source_ts_ms":1}',
                                headers=["__op", "d"]))
    done = sink.run("replay", "-c", sink.conf, sink.file_of(records))
    assert database.execute("select id, cdc_operation from items order by id") == [
        (1, "r"), (2, "u"), (3, "u"), (4, "u"), (5, "r"), (6, "r"), (7, "r")]
    assert done.stderr.count("do not say their operation (no __op)") == 1


def test_headers_of_kafka_and_many_lanes(sink, database, kafka, prefix):
    """As a broker delivers them; what all lanes have to say is said once."""
    table = Flattened("items", columns=PLAIN, headers="op,source.ts_ms", deleted=None,
                      schemas=False, prefix=prefix)
    kafka.create(table.topic, 4)
    sink.write(pipeline(table, source=settings(headers="op,source.ts_ms")), database=database,
               kafka=True, lanes=4)
    records = [table.change("c", None, {"id": number, "name": "x"}, partition=number % 4)
               for number in range(40)]
    records += [table.change("d", {"id": number, "name": "x"}, None, partition=number % 4)
                for number in range(8)]
    silent = [table.record(json.dumps({"id": number}), json.dumps({"id": number, "name": "y"}),
                           number % 4) for number in range(8, 16)]
    kafka.produce(records + silent)
    daemon = sink.daemon()
    daemon.await_that(lambda: database.count("items") >= 40 and database.execute(
        "select cdc_operation, count(*) from items group by 1 order by 1") == [
            ("c", 24), ("d", 8), ("u", 8)], what="all operations")
    daemon.stop()
    assert daemon.log().count("do not say their operation (no header __op)") == 1


BAD_OPERATIONS = [
    ({"__op": "x"}, [], "__op 'x', expected one of c r u d t"),
    ({"__op": "delete"}, [], "__op 'delete', expected one of c r u d t"),
    ({"__op": ""}, [], "__op '', expected one of c r u d t"),
    ({"__op": 5}, [], "__op '', expected one of c r u d t"),
    ({"__op": {"a": 1}}, [], "__op '', expected one of c r u d t"),
    ({"__op": "u", "__deleted": 1}, [], "__deleted is neither true nor false"),
    ({"__deleted": "yes"}, [], "__deleted is neither true nor false"),
    ({}, ["__op", "z"], "__op 'z', expected one of c r u d t"),
    ({}, ["__op", '{"schema":null,"payload":"z"}'], "__op 'z', expected one of c r u d t"),
    ({}, ["__op", "{"], "__op '{', expected one of c r u d t"),
    ({}, ["__op", ""], "__op '', expected one of c r u d t"),
]


def test_an_operation_that_is_none_is_refused(sink, database, tmp_path):
    table = Flattened("items", columns=PLAIN)
    source = settings(fields="op,source.ts_ms", headers="op")
    sink.write(pipeline(table, source=source), database=database)
    records = [table.record(json.dumps({"id": number}),
                            json.dumps({"id": number, "name": "x", **added}), headers=headers)
               for number, (added, headers, _) in enumerate(BAD_OPERATIONS)]
    records.append(table.change("c", None, {"id": 99, "name": "x"}))
    sink.replay(records, dead_letter=tmp_path / "letters")
    letters = read_lines(tmp_path / "letters")
    said = [dict(zip(letter["headers"][::2], letter["headers"][1::2]))["ods.error"]
            for letter in letters]
    assert len(said) == len(BAD_OPERATIONS)
    for text, (_, _, expected) in zip(said, BAD_OPERATIONS):
        assert expected in text
    assert database.execute("select id from items") == [(99,)]


@pytest.mark.parametrize("shape", ["flat", "flat-plain"])
def test_rows_that_do_not_say_their_operation_are_told_of_once(sink, database, shape):
    """Not one line a record, a batch or a schema: one a table that writes the operation."""
    schemas = shape == "flat"
    named = [Flattened(name, columns=PLAIN, schemas=schemas) for name in ("a", "b", "c", "said")]
    named[3].added = {"op": "__op"}
    more = Flattened("a", columns={**PLAIN, "more": INT}, schemas=schemas)
    more._offsets = named[0]._offsets
    topics = [table.topic for table in named]
    sink.write({"name": "all", "topics": topics, "format": "debezium", "target": "ods",
                "tables": {"c": {"cdc_operation": "off", "on_delete": "hard"}}}, database=database)
    records = [record for table in named for record in story(table)]
    records += [more.change("u", None, {"id": 9, "name": "x", "more": 1}) for _ in range(3)]
    said = [line for line in sink.run("replay", "-c", sink.conf, sink.file_of(records))
            .stderr.splitlines() if "do not say their operation" in line]
    assert [line.split("rows of ")[1].split(" in topic")[0] for line in said] == \
        ["shop.a", "shop.b"]
    assert "(no __op): cdc_operation is written as u" in said[0]
    assert "transforms.unwrap.add.fields=op,source.ts_ms" in said[0] and \
        "source.metadata" in said[0]
    assert rows(database, "a")[2][2] == "d"


def test_without_metadata_the_configuration_says_that_they_are_rows(sink, database, tmp_path):
    """Nothing but columns: a letter as such, a row where source.metadata expects headers."""
    bare = [Flattened(name, columns=PLAIN, schemas=schemas, deleted=None, schema_name="a.row")
            for name, schemas in (("no_plain", False), ("no_typed", True),
                                  ("yes_plain", False), ("yes_typed", True))]
    sink.write(*[pipeline(table, table.name, **({"source": settings(headers="op")}
                                                if table.name.startswith("yes") else {}))
                 for table in bare], database=database)
    sink.replay([table.change("u", None, {"id": 1, "name": "x"}) for table in bare],
                dead_letter=tmp_path / "letters")
    assert [letter["topic"] for letter in read_lines(tmp_path / "letters")] == \
        [table.topic for table in bare[:2]]
    assert rows(database, "yes_plain") == rows(database, "yes_typed") == [(1, "x", "u", None)]


@pytest.mark.parametrize("given,expected", [
    (dict(fields="op,,table"), "it has an empty entry"),
    (dict(fields="op:"), "expected one new name after the colon"),
    (dict(headers="op:a:b"), "expected one new name after the colon"),
    (dict(headers="source."), "expected a field as op, or as source.ts_ms"),
    (dict(fields="a.b.c"), "expected a field as op, or as source.ts_ms"),
    (dict(fields="op:x,table:x"), "two of its entries have the same name"),
    (dict(fields="source.ts_ms,op:source_ts_ms"), "two of its entries have the same name"),
    (dict(fields="op,"), "it ends in a comma"),
    (dict(prefix=""), "without a prefix metadata can't be told from columns"),
])
def test_a_list_that_is_none(sink, database, given, expected):
    sink.write(pipeline("t", source=settings(**given)), database=database)
    assert expected in sink.check(expect=Exit.CONFIG).stderr


# --- MongoDB ---

MONGO_SOURCE = {"version": "3.0.0.Final", "connector": "mongodb", "name": "mongo", "ts_ms": STAMP,
                "snapshot": "false", "db": "shop", "collection": "orders", "ord": 1}
DOCUMENT = '{"_id": {"$oid": "5f1e"},"name": "x"}'
ENVELOPES = [
    {"before": None, "after": DOCUMENT, "op": "c"},
    {"before": None, "after": DOCUMENT, "op": "r", "updateDescription": None},
    {"before": DOCUMENT, "after": DOCUMENT, "op": "u"},
    {"before": None, "after": None, "op": "u",
     "updateDescription": {"removedFields": None, "updatedFields": '{"name": "y"}'}},
    {"after": None, "patch": '{"$set": {"name": "y"}}', "filter": '{"_id": 1}', "op": "u"},
    {"after": DOCUMENT, "patch": None, "filter": None, "op": "c"},
    {"before": None, "after": None, "op": "d", "updateDescription": None},
]


def mongo_schema():
    text = {"type": "string", "optional": True, "name": "io.debezium.data.Json", "version": 1}
    return {"type": "struct", "name": "mongo.shop.orders.Envelope", "optional": False, "fields": [
        {**text, "field": "before"}, {**text, "field": "after"},
        {"type": "struct", "optional": True, "field": "updateDescription", "fields": [
            {"type": "array", "items": {"type": "string"}, "optional": True,
             "field": "removedFields"}, {**text, "field": "updatedFields"}]},
        {"type": "struct", "optional": False, "field": "source", "fields": [
            {"type": "string", "field": "connector", "optional": False}]},
        {"type": "string", "field": "op", "optional": True}]}


def test_mongodb_envelopes_are_refused_in_words(sink, database, tmp_path):
    table = Table("orders", database="shop", prefix="mongo")
    sink.write(pipeline(table), database=database)
    key = json.dumps({"id": '{"$oid": "5f1e"}'})
    payloads = [{**envelope, "source": MONGO_SOURCE, "ts_ms": STAMP} for envelope in ENVELOPES]
    values = payloads + [{"schema": mongo_schema(), "payload": payload} for payload in payloads]
    others = [{"op": "c", "before": None, "after": "10:00", "source": source}
              for source in ({}, {"connector": "mysql"}, {"db": "mongodb"}, "mongodb", None)]
    values.append({"id": "1", "source": "/debezium/mongodb/mongo", "specversion": "1.0",
                   "type": "io.debezium.connector.mongodb.DataChangeEvent",
                   "iodebeziumop": "c", "iodebeziumconnector": "mongodb",
                   "data": {"before": None, "after": DOCUMENT}})
    sink.replay([table.record(key, json.dumps(value)) for value in values + others],
                dead_letter=tmp_path / "letters")
    letters = read_lines(tmp_path / "letters")
    assert [letter["offset"] for letter in letters] == list(range(len(values + others)))
    assert "MongoDB" not in json.dumps(letters[len(values):])
    for letter in letters[:len(values)]:
        text = json.dumps(letter["headers"])
        assert "Debezium's MongoDB connector" in text and "ExtractNewDocumentState" in text
    assert columns(database, "orders") == []


@pytest.mark.parametrize("schemas", [True, False])
def test_mongodb_flattened(sink, database, schemas):
    """ExtractNewDocumentState: __deleted is a boolean there, a delete has no columns, the key is
    called id where the document says _id, and there are no source.table and schema."""
    table = Flattened("orders", database="shop", prefix="mongo", schemas=schemas, key=("id",),
                      columns={"id": TEXT, "_id": TEXT, "n": INT})
    sink.write(pipeline(table), database=database)

    def record(operation, number, payload, deleted):
        payload = {**payload, "__deleted": deleted, "__op": operation, "__collection": "orders",
                   "__db": "shop", "__source_ts_ms": STAMP}
        key, value = json.dumps({"id": number}), json.dumps(payload)
        if schemas:
            types = {"n": "int32", "__deleted": "boolean", "__source_ts_ms": "int64"}
            fields = [{"type": types.get(name, "string"), "optional": True, "field": name}
                      for name in payload]
            value = json.dumps({"payload": payload, "schema": {
                "type": "struct", "fields": fields, "name": "mongo.shop.orders"}})
            key = json.dumps({"payload": {"id": number}, "schema": {"type": "struct", "fields": [
                {"type": "string", "optional": True, "field": "id"}]}})
        return table.record(key, value)

    sink.replay([record("c", "a", {"_id": "a", "n": 1}, False),
                 record("u", "a", {"_id": "a", "n": 2}, False),
                 record("r", "b", {"_id": "b", "n": 3}, False),
                 record("d", "b", {}, True),
                 record("c", "c", {"_id": "c", "n": 4}, False),
                 record("d", "c", {"_id": "c"}, True)])
    assert database.execute('select id, _id, n, cdc_operation from orders order by id') == [
        ("a", "a", 2, "u"), ("b", "b", 3, "d"), ("c", "c", 4, "d")]
    assert columns(database, "orders") == ["_id", "cdc_operation", "cdc_timestamp", "id", "n"]
