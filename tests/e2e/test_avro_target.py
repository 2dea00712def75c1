"""The Kafka target in Avro with a real registry, Apicurio's: schemas are registered, found by others, refused."""

import json
import urllib.request

import pytest

from lib.avro_reader import Reader
from lib.committed import read_committed
from lib.records import TEXT, Table, pipeline, row
from lib.sink import read_lines


class Apicurio:
    def __init__(self, url):
        self.url = url
        self.reader = Reader(lambda number: self.ask(f"/schemas/ids/{number}")["schema"])

    def ask(self, path, method="GET", body=None):
        request = urllib.request.Request(self.url + path, method=method, data=body and json.dumps(body).encode(),
                                         headers={"Content-Type": "application/vnd.schemaregistry.v1+json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=20) as answer:
            return json.loads(answer.read())


@pytest.fixture
def apicurio(stack):
    stack.up("registry")
    apicurio = Apicurio(stack["REGISTRY_URL"])
    yield apicurio
    apicurio.reader.close()


def test_schemas_of_a_table_as_it_changes(sink, kafka, database, apicurio, prefix):
    table = Table(prefix=prefix)
    topic = kafka.create(f"{prefix}-out", 1)
    value = f"{topic}-value"
    letters = sink.folder / "letters.jsonl"

    def write(*records, **settings):
        sink.write(pipeline(table), kafka=True, registry={"url": apicurio.url}, targets=[
            {"name": "ods", "type": "kafka", "topic": topic, "encoding": "avro", **settings}])
        letters.unlink(missing_ok=True)
        sink.replay(list(records), dead_letter=letters)
        return read_lines(letters) if letters.exists() else []

    def versions():
        return apicurio.ask(f"/subjects/{value}/versions")

    assert not write(table.create(row(1)))
    assert versions() == [1]
    apicurio.ask(f"/config/{value}", "PUT", {"compatibility": "BACKWARD"})
    # A column more is one that readers of the new schema have a default for.
    table.columns = {**table.columns, "note": TEXT}
    assert not write(table.create({**row(2), "note": "x"}))
    assert versions() == [1, 2]
    # The same again is no new version, and is found without registering.
    assert not write(table.create({**row(3), "note": "y"}), register_schemas=False)
    assert versions() == [1, 2]
    # A number that becomes a boolean is not: its records are letters, and those of the old schema are written.
    was = table.columns
    table.columns = {**table.columns, "amount": {"type": "boolean"}}
    refused = table.create({**row(4), "amount": True, "note": "z"})
    table.columns = was
    (letter,) = write(refused, table.create({**row(5), "note": "z"}))
    assert f"subject {value} does not take the schema of table shop.items" in json.dumps(letter)
    assert "HTTP 409" in json.dumps(letter)
    assert versions() == [1, 2]
    found = [apicurio.reader.read(record.value)["after"] for record in read_committed(
        kafka.bootstrap, topic, raw=True)]
    assert found == [row(1), {**row(2), "note": "x"}, {**row(3), "note": "y"}, {**row(5), "note": "z"}]
    # And what is there is read into a table.
    sink.write({"name": "back", "topics": [topic], "format": "debezium-avro", "target": "ods",
                "registry": {"url": apicurio.url},
                "defaults": {"create_tables": True, "on_delete": "hard", "cdc_operation": "off",
                             "cdc_timestamp": "off"}},
               kafka=True, database=database)
    daemon = sink.daemon().await_ready()
    daemon.await_that(lambda: database.count("items") == 4)
    daemon.stop()
    assert sorted(database.execute("select id, name, amount, note from items")) == [
        (number, f"n{number}", 0, note) for number, note in ((1, None), (2, "x"), (3, "y"), (5, "z"))]
