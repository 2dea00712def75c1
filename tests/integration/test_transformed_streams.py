"""The captured streams of each shape through Kafka and a daemon of several lanes whose pipeline has transforms
of every kind: the target has what the transforms make of the source's rows."""

import hashlib
import hmac
import json
from collections import defaultdict
from decimal import Decimal

import pytest
from lib.records import pipeline
from lib.text import assert_same_rows
from test_fixtures import LEAN_TABLES, SHAPES, captured, expected

KEY = "a key of sixteen bytes"
SCRIPT = """
function change(c)
  if c.table ~= "composite" or c.op == "d" then return c end
  c.after.v = c.after.v and c.after.v * 2
  return { c, { op = "c", table = "audit", key = { "a", "b" }, after = { a = c.after.a, b = c.after.b, v = c.after.v } } }
end
"""
TRANSFORMS = [
    {"filter": {"lua": "op ~= 'x'"}},
    {"type": "filter", "where": {"application_status": "approved"}, "tables": ["credit_applications"]},
    {"type": "mask", "columns": {"email": "hmac", "phone": {"keep_last": 2}}, "key": KEY, "tables": ["customers"]},
    {"type": "rename", "columns": {"full_name": "name"}, "tables": ["customers"]},
    {"type": "set", "columns": {"region": "eu", "twice": {"lua": "after.monthly_income * 2", "type": "decimal(16,2)"}},
     "tables": ["customers"]},
    {"type": "extract", "from": "c_json", "columns": {"deep": "a[2].b"}, "tables": ["alltypes"]},
    {"type": "drop", "columns": ["c_blob"], "tables": ["alltypes"]},
    {"type": "cast", "columns": {"c_int": "string"}, "tables": ["alltypes"]},
    {"type": "route", "to": {"vehicle_ownership": "vehicles"}, "tables": ["vehicle_ownership"]},
    {"type": "script", "file": "double.lua", "tables": ["composite"]},
    {"type": "dedupe", "window": 1000},
]
LEAN = LEAN_TABLES + """
alter table customers rename full_name to name;
alter table customers add region text, add twice numeric(16,2);
alter table vehicle_ownership rename to vehicles;
alter table alltypes drop c_blob, add deep text, alter c_int type text;
create table audit (a integer, b varchar(20), v integer, cdc_operation text, cdc_timestamp timestamptz,
    primary key (a, b));
"""


def hidden(text):
    return text and hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()


def without(row, *names):
    return {name: value for name, value in row.items() if name not in names}


def customers(row):
    income = row["monthly_income"]
    twice = income and format((2 * Decimal(income)).normalize(), "f")
    return {**without(row, "full_name"), "name": row["full_name"], "email": hidden(row["email"]), "region": "eu",
            "phone": row["phone"] and "*" * (len(row["phone"]) - 2) + row["phone"][-2:], "twice": twice}


def alltypes(row):
    document = json.loads(row["c_json"]) if row["c_json"] else {}
    return {**without(row, "c_blob"), "deep": document["a"][2]["b"] if "a" in document else None}


def wanted():
    """table of the target: its rows."""
    source = {name: [dict(row) for row in expected(name)]
              for name in ("customers", "alltypes", "credit_applications", "vehicle_ownership", "composite")}
    composite = [{**row, "v": row["v"] and str(2 * int(row["v"]))} for row in source["composite"]]
    return {"customers": [customers(row) for row in source["customers"]],
            "alltypes": [alltypes(row) for row in source["alltypes"]],
            "credit_applications": [row for row in source["credit_applications"]
                                    if row["application_status"] == "approved"],
            "vehicles": source["vehicle_ownership"], "composite": composite}


@pytest.mark.parametrize("shape", SHAPES)
def test_through_kafka_with_two_lanes(sink, database, kafka, shape):
    if shape == "lean":
        database.execute(LEAN)
    records = [{**record, "topic": "t" + record["topic"]} for record in captured(shape)]
    ends = defaultdict(int)
    for record in records:
        ends[record["topic"], record["partition"]] += 1
    for topic in {topic for topic, _ in ends}:
        kafka.create(topic, 4)
    kafka.produce(records)
    settings = pipeline(f"^t{shape}(\\..*)?$", source={"connector": "mysql"}, defaults={"on_delete": "hard"},
                        transforms=TRANSFORMS)
    sink.write(settings, database=database, kafka=True, lanes=2, dead_letter={"topic": f"t{shape}-letters"})
    (sink.folder / "double.lua").write_text(SCRIPT)
    daemon = sink.daemon()
    daemon.await_that(lambda: {key[1:]: end for key, end in database.offsets().items()} == ends,
                      what="every partition at its end")
    daemon.stop()
    letters = kafka.read(f"t{shape}-letters") if f"t{shape}-letters" in kafka.topics() else []
    assert not letters, [dict(letter.headers())["ods.error"] for letter in letters]
    for table, rows in wanted().items():
        columns = sorted(rows[0])
        assert_same_rows([[[name, row[name]] for name in columns] for row in rows],
                         database.rows(table, columns), table)
    assert {tuple(row) for row in database.execute("select a, b from audit")} >= \
        {tuple(row) for row in database.execute("select a, b from composite")}
    if shape != "lean":
        assert not {"c_blob"} & set(database.columns("alltypes"))
