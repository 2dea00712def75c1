"""ods-sink plan --schema of pipelines whose records are Avro: the statements that it tells are those that the
records of such a schema then bring about."""

import base64
import json

from lib.avro import Schemas, number, text
from lib.records import BIGINT, INT, TEXT, Table, pipeline
from lib.sink import Exit

PRICE = {"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "version": 1,
         "parameters": {"scale": "2", "connect.decimal.precision": "12"}}


def framed(schema, data):
    return base64.b64encode(b"\0" + schema.to_bytes(4, "big") + data).decode()


def plan(sink, *files, text=None, expect=Exit.NEGATIVE):
    schemas = [word for path in files for word in ("--schema", path)]
    done = sink.run("plan", "-c", sink.conf, "--json", *schemas, text=text, expect=expect)
    return [one["sql"] for pipe in json.loads(done.stdout)["pipelines"] for one in pipe["statements"]
            if one["table"] != "the sink's own"]


def test_envelopes_and_flattened_rows(sink, databases, tmp_path):
    """Each of a registry's answers, before and after the change of a schema."""
    for shape in ("envelope", "flat"):
        for name in ("debezium-avro", "auto"):
            database, schemas = databases(), Schemas()
            old = Table(columns={"id": INT, "v": INT}, shape=shape)
            new = Table(columns={"id": INT, "v": BIGINT, "price": PRICE, "note": TEXT}, shape=shape)
            new._offsets = old._offsets
            records = [schemas.record(old.create({"id": 1, "v": 1})),
                       schemas.record(new.create({"id": 2, "v": 2, "price": "AQ==", "note": "a"}))]
            sink.write({**pipeline(old), "format": name, "defaults": {"evolve": "widen"},
                        "registry": {"url": schemas.save(tmp_path / "schemas.json")}}, database=database)
            registry = json.loads((tmp_path / "schemas.json").read_text())
            answers = []
            for number_of, entry in registry.items():
                schema = json.loads(entry["schema"])
                kind = "key" if schema["name"] == "Key" else "value"
                path = tmp_path / f"{number_of}-{kind}.json"
                path.write_text(json.dumps({"subject": f"{old.topic}-{kind}", "version": 1,
                                            "id": int(number_of), "schema": entry["schema"]}))
                answers.append((kind, path))
            key = next(path for kind, path in answers if kind == "key")
            first, second = [path for kind, path in answers if kind == "value"]
            [made] = plan(sink, first, key)
            assert made.startswith('create table "public"."items" ("id" integer not null, "v" integer')
            assert 'primary key ("id")' in made and '"__' not in made
            sink.replay(records[:1])
            assert plan(sink, first, expect=Exit.OK) == []
            [altered] = plan(sink, second)
            assert ('alter column "v" type bigint' in altered and 'add column "price" numeric(12,2)' in altered
                    and 'add column "note" text' in altered), (shape, name)
            sink.replay(records[1:])
            assert plan(sink, second, expect=Exit.OK) == []


def test_plain_rows(sink, database, tmp_path):
    schemas = Schemas()
    fields = [{"name": "id", "type": "long"}, {"name": "name", "type": ["null", "string"]}]
    value = schemas.add({"type": "record", "name": "Customer", "namespace": "shop", "fields": fields})
    wider = {"type": "record", "name": "Customer", "namespace": "shop", "fields": fields + [
        {"name": "born", "type": {"type": "int", "logicalType": "date"}}]}
    key = schemas.add('"long"')
    sink.write({"name": "plain", "topics": ["shop.customers"], "format": "avro", "target": "ods",
                "registry": {"url": schemas.save(tmp_path / "schemas.json")},
                "tables": {"customers": {"key": ["id"]}}}, database=database)

    def answer(schema):
        return json.dumps({"subject": "shop.customers-value", "schema": json.dumps(schema)})

    [made] = plan(sink, "-", text=answer({**wider, "fields": fields}))
    assert made.startswith('create table "public"."customers" ("id" bigint not null, "name" text')
    sink.replay([{"topic": "shop.customers", "partition": 0, "offset": 0, "headers": [], "ts": 1,
                  "key_b64": framed(key, number(1)),
                  "value_b64": framed(value, number(1) + number(1) + text("a"))}])
    assert database.execute("select id, name from customers") == [(1, "a")]
    assert plan(sink, "-", text=answer({**wider, "fields": fields}), expect=Exit.OK) == []
    assert plan(sink, "-", text=answer(wider)) == ['alter table "public"."customers" add column "born" date']
