"""Protobuf with a real registry: schemas are registered there, one of them in two files, and records
that Google's library has written are read by their ids."""

import base64
import json
import subprocess
import urllib.request

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from lib.protobuf import lengthened, path_bytes

PARTS = """syntax = "proto3";
package shop.parts;
message Image { int32 id = 1; optional string name = 2; optional double price = 3; }
"""

ENVELOPE = """syntax = "proto3";
package real.shop.items;
import "shop/parts.proto";
message Envelope {
  .shop.parts.Image before = 1;
  .shop.parts.Image after = 2;
  Source source = 3;
  string op = 4;
  int64 ts_ms = 5;
  message Source { string connector = 1; string db = 2; string table = 3; int64 ts_ms = 4; }
}
"""


def post(url, document):
    request = urllib.request.Request(url, json.dumps(document).encode(), method="POST", headers={
        "Content-Type": "application/vnd.schemaregistry.v1+json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        return json.load(answer)


@pytest.fixture
def envelope(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/parts.proto").write_text(PARTS)
    (tmp_path / "envelope.proto").write_text(ENVELOPE)
    subprocess.run(["protoc", "-I", tmp_path, "--include_imports", "--descriptor_set_out",
                    tmp_path / "set", "envelope.proto"], check=True, cwd=tmp_path)
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString((tmp_path / "set").read_bytes()).file:
        pool.Add(file)
    return message_factory.MessageFactory(pool).GetPrototype(
        pool.FindMessageTypeByName("real.shop.items.Envelope"))


def test_schemas_of_a_real_registry(stack, sink, kafka, database, prefix, envelope):
    stack.up("registry")
    url, topic = stack["REGISTRY_URL"], f"{prefix}.shop.items"
    kafka.create(topic, 1)
    post(f"{url}/subjects/{prefix}-parts/versions", {"schemaType": "PROTOBUF", "schema": PARTS})
    made = post(f"{url}/subjects/{topic}-value/versions", {
        "schemaType": "PROTOBUF", "schema": ENVELOPE, "references": [
            {"name": "shop/parts.proto", "subject": f"{prefix}-parts", "version": 1}]})
    head = b"\0" + made["id"].to_bytes(4, "big") + path_bytes([0])

    def record(offset, op, **images):
        message = envelope(op=op, ts_ms=5, source={"connector": "mysql", "db": "shop",
                                                   "table": "items", "ts_ms": 5}, **images)
        return {"topic": topic, "partition": 0, "offset": offset, "key": '{"id":%d}' % offset,
                "value_b64": base64.b64encode(head + message.SerializeToString()).decode()}

    kafka.produce([record(number, "c", after={"id": number, "name": f"n{number}"} if number % 2
                          else {"id": number, "price": 0.0}) for number in range(1, 101)] +
                  [record(1, "u", before={"id": 1, "name": "n1"},
                          after={"id": 1, "name": "", "price": 0.1}),
                   record(2, "d", before={"id": 2, "price": 0.0})] +
                  [{"topic": topic, "partition": 0, "offset": 9, "key": '{"id":9}', "value_b64":
                    base64.b64encode(head + lengthened(99, b"")).decode()}])
    letters = kafka.create(f"{prefix}.letters", 1)
    sink.write({"name": "shop", "topics": [topic], "format": "debezium-protobuf", "target": "ods",
                "registry": {"url": url, "timeout_ms": 5000},
                "defaults": {"create_tables": True, "on_delete": "hard"}},
               kafka=True, database=database, dead_letter={"topic": letters})
    daemon = sink.daemon().await_ready()
    daemon.await_that(lambda: database.exists("items") and database.count("items") == 99 and
                      daemon.metric("ods_sink_records_rejected_total") == 1, what="the rows")
    assert database.execute("select id, name, price from items where id in (1, 3, 4) order by id") \
        == [(1, "", 0.1), (3, "n3", None), (4, None, 0.0)]
    assert "a field that its schema does not have" in daemon.log()
    daemon.stop()
