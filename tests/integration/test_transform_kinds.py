"""Each transform by what `decode --transform` says of it: before and after, side by side."""

import hashlib
import hmac
import json

import pytest

from lib.avro import Schemas
from lib.records import DOUBLE, INT, TEXT, Table, pipeline, row
from lib.sink import Exit

DECIMAL = {"type": "string"}
KEY = "a key of sixteen bytes"
DOC = {"id": INT, "doc": TEXT}


@pytest.fixture
def tried(sink, tmp_path):
    """What transforms make of records: for each record a list of (op, table, row), or its error."""
    def do(transforms, records, expect=Exit.OK, tables=None, raw=False, **settings):
        stream = {**pipeline(records[0]["topic"]), "transforms": transforms, **settings}
        if tables:
            stream["tables"] = tables
        sink.write(stream, targets=[{"name": "ods", "type": "file",
                                     "directory": str(tmp_path / "out")}])
        done = sink.run("decode", "--transform", "--json", "-c", sink.conf,
                        sink.file_of(records), expect=expect)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        if raw:
            return lines
        return [line["error"] or [(change["op"], change["table"],
                                   change["after"] or change["before"])
                                  for change in line["after"]] for line in lines]
    return do


def rows_of(results):
    return [[change[2] for change in changes] for changes in results]


def test_columns_are_renamed_dropped_cast_and_set(tried):
    table = Table()
    (changes,) = tried([
        {"rename": {"name": "label", "amount": "total"}},
        {"set": {"region": "eu", "twin": {"column": "label"}, "nothing": None,
                 "where": {"metadata": "topic"}, "count": {"value": "7", "type": "integer"}}},
        {"cast": {"total": "decimal(6,2)"}},
        {"drop": ["label"]}], [table.create(row(1, 5))])
    assert changes == [("c", "items", {
        "id": "1", "total": "5", "region": "eu", "twin": "n1", "nothing": None,
        "where": table.topic, "count": "7"})]


@pytest.mark.parametrize("type_name,good,bad", [
    ("integer", "12", "12.5"), ("decimal(4,2)", "12.50", "123.00"), ("date", "2026-01-31", "31.1."),
    ("timestamp", "2026-01-31 10:00:00", "noon"), ("boolean", "true", "maybe"),
    ("uuid", "00000000-0000-4000-8000-000000000000", "0000"), ("json", '{"a": 1}', "{"),
    ("bigint", "9223372036854775807", "9223372036854775808"), ("double", "1.5", "one")])
def test_a_cast_reads_text_exactly_or_refuses_it(tried, type_name, good, bad):
    table = Table(columns={"id": INT, "name": TEXT})
    first, second = tried([{"cast": {"name": type_name}}],
                          [table.create({"id": 1, "name": good}),
                           table.create({"id": 2, "name": bad})], expect=Exit.NEGATIVE)
    assert first[0][2]["name"] == good
    assert "transform cast (tables.yaml:" in second and "c of shop.items, id = 2" in second
    assert "its text is no" in second and bad not in second


def test_masks_hide_values_in_all_images(tried):
    table = Table(columns={"id": INT, "a": TEXT, "b": TEXT, "c": TEXT, "d": INT})
    image = {"id": 1, "a": "ada@example.com", "b": "4111222233334444", "c": "secret", "d": 5}
    lines = tried([{"type": "mask", "key": KEY, "columns": {
        "a": "hmac", "b": {"keep_last": 4}, "c": {"redact": "-"}, "d": None}}],
        [table.create(image), table.update(image, {**image, "b": "44"}), table.delete(image)],
        raw=True)
    created, updated, deleted = (line["after"][0] for line in lines)
    masked = created["after"]
    assert masked == {"id": "1", "a": hmac.new(KEY.encode(), b"ada@example.com",
                                               hashlib.sha256).hexdigest(),
                      "b": "************4444", "c": "-", "d": None}
    assert updated["before"] == masked and updated["after"] == {**masked, "b": "**"}
    assert deleted["before"] == masked


def test_the_key_of_a_mask_is_shown_nowhere(sink, tmp_path):
    secret = tmp_path / "mask.key"
    secret.write_text("sixteen bytes or more\n")
    secret.chmod(0o600)
    sink.write({**pipeline("t"), "transforms": [
        {"mask": {"columns": {"a": "hmac", "b": {"hmac": f"${{file:{secret}}}"}},
                  "key": f"${{file:{secret}}}"}}]},
        targets=[{"name": "ods", "type": "file", "directory": str(tmp_path)}])
    for options in ([], ["--json"]):
        done = sink.check(*options)
        assert "sixteen bytes" not in done.stdout + done.stderr
        assert "***" in done.stdout


def test_a_row_leaves_and_enters_a_filter(tried):
    table = Table()
    records = [table.create(row(1, 5)), table.create(row(2, 1)),
               table.update(row(1, 5), row(1, 1)), table.update(row(2, 1), row(2, 9)),
               table.update(row(2, 9), row(2, 8)), table.update(row(1, 1), row(1, 0)),
               table.delete(row(1, 0)), table.delete(row(2, 8)),
               table.update(None, row(3, 0)), table.tombstone(row(4))]
    for condition in ({"where": {"amount": {"gt": 4}}},
                      {"lua": "after.amount > 4"}):
        found = tried([{"filter": condition}], records)
        assert [[(op, image["id"]) for op, _, image in changes] for changes in found] == [
            [("c", "1")], [], [("d", "1")], [("c", "2")], [("u", "2")], [], [], [("d", "2")],
            [("d", "3")],  # nobody knows whether it was there
            [("d", "4")]]


@pytest.mark.parametrize("where,ids", [
    ({"name": "n1"}, "1"), ({"name": ["n1", "n3"]}, "13"), ({"name": {"not": "n1"}}, "23"),
    ({"name": {"matches": "^n[23]$"}}, "23"), ({"amount": {"ge": 2, "lt": 10}}, "2"),
    ({"amount": None}, "3"), ({"amount": {"null": False}}, "12"),
    ({"name": "n1", "amount": 10}, "1")])
def test_conditions_on_columns(tried, where, ids):
    table = Table()
    records = [table.create(row(1, 10)), table.create(row(2, 2)), table.create(row(3, None))]
    found = tried([{"filter": {"where": where}}], records)
    assert "".join(changes[0][2]["id"] for changes in found if changes) == ids


def test_rows_are_routed_by_value_and_moved(tried):
    table = Table()

    def at(number, name):
        return {**row(number), "name": name}

    found = tried([{"route": {"column": "name", "to": {"eu": "items_eu", "^us": "items_{value}"},
                              "otherwise": "keep"}}],
                  [table.create(at(1, "eu")), table.create(at(2, "us1")), table.create(at(3, "x")),
                   table.update(at(1, "eu"), at(1, "us2")), table.delete(at(3, "x"))])
    assert [[(op, name) for op, name, _ in changes] for changes in found] == [
        [("c", "items_eu")], [("c", "items_us1")], [("c", "items")],
        [("c", "items_us2"), ("d", "items_eu")], [("d", "items")]]


def test_a_value_names_no_other_schema(tried):
    table = Table()
    records = [table.create({**row(1), "name": name}) for name in ("us", "x.customers")]
    for form in ("{value}", "other.{value}"):
        lines = tried([{"route": {"column": "name", "to": {"^": form}}}], records,
                      expect=Exit.NEGATIVE, raw=True)
        assert lines[0]["after"][0]["table"] == "us"
        assert "makes no name of a table" in lines[1]["error"]


def test_where_an_old_place_is_not_known_all_are_cleared(tried):
    table = Table()
    found = tried([{"route": {"column": "name", "to": {"n1": "one", "n2": "two"}}}],
                  [table.update(None, row(1)), table.tombstone(row(2)),
                   table.create(row(3))], expect=Exit.NEGATIVE)
    assert sorted((op, name) for op, name, _ in found[0]) == [("d", "two"), ("u", "one")]
    assert sorted((op, name) for op, name, _ in found[1]) == [("d", "one"), ("d", "two")]
    assert "no value or pattern fits" in found[2]


def test_each_pipeline_keeps_the_rows_of_its_target(sink, tmp_path):
    table = Table()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    route = {"route": {"column": "name", "targets": {"n1": "one", "n2": "two"}}}
    sink.write(*({**pipeline(table.topic), "name": name, "target": name, "transforms": [route]}
                 for name in ("one", "two")),
               targets=[{"name": name, "type": "file", "directory": str(tmp_path / name)}
                        for name in ("one", "two")])
    sink.replay([table.create(row(1)), table.create(row(2)),
                 table.update(row(1), {**row(1), "name": "n2"})])

    def ops(name):
        return [(change["op"], change["key"]["id"])
                for path in sorted((tmp_path / name).rglob("*.jsonl"))
                for change in map(json.loads, path.read_text().splitlines())]

    assert ops("one") == [("c", 1), ("d", 1)] and ops("two") == [("c", 2), ("c", 1)]


def test_parts_of_json_become_columns(tried):
    table = Table(columns=DOC)
    first = {"a": {"b": [1, {"c": "x"}]}, "n": 12345678901234567890, "t": True}
    records = [table.create({"id": 1, "doc": json.dumps(first)}),
               table.create({"id": 2, "doc": json.dumps({"z": None, "a": {"d": 1.50}})}),
               table.create({"id": 3, "doc": "{"})]
    extracted = tried([{"extract": {"from": "doc", "drop": True, "columns": {
        "c": "$.a.b[1].c", "n": "n", "t": {"path": "t", "type": "text"}, "b": "a.b"}}}],
        records, expect=Exit.NEGATIVE)
    assert extracted[0][0][2] == {"id": "1", "c": "x", "n": "12345678901234567890", "t": "true",
                                  "b": '[1,{"c":"x"}]'}
    assert extracted[1][0][2] == {"id": "2", "c": None, "n": None, "t": None, "b": None}
    assert "column doc holds no JSON" in extracted[2]
    flat = tried([{"flatten": {"column": "doc", "prefix": "doc_", "depth": 2}}], records[:2])
    assert flat[0][0][2] == {"id": "1", "doc_a_b": '[1,{"c":"x"}]',
                             "doc_n": "12345678901234567890", "doc_t": "true"}
    assert flat[1][0][2] == {"id": "2", "doc_a_b": None, "doc_n": None, "doc_t": None,
                             "doc_z": None, "doc_a_d": "1.5"}


def test_an_array_becomes_rows_that_are_replaced_as_a_set(tried):
    table = Table(columns=DOC)

    def doc(*elements):
        return {"id": 1, "doc": json.dumps(list(elements))}

    found = tried([{"type": "explode", "column": "doc", "table": "lines", "tables": ["items"]}], [
        table.create(doc({"sku": "a", "n": 1}, {"sku": "b"})),
        table.update(doc({"sku": "a", "n": 1}, {"sku": "b"}), doc({"sku": "a", "n": 1})),
        table.update(doc({"sku": "a", "n": 1}), doc({"sku": "c"}, 5)),
        table.delete(doc({"sku": "c"}, 5)), table.tombstone({"id": 9})], expect=Exit.NEGATIVE)
    assert found[0] == [
        ("c", "items", {"id": "1"}),
        ("c", "lines", {"items_id": "1", "position": "0", "sku": "a", "n": "1"}),
        ("c", "lines", {"items_id": "1", "position": "1", "sku": "b", "n": None})]
    assert found[1] == [("u", "items", {"id": "1"}),  # what has not changed may not be there
                        ("u", "lines", {"items_id": "1", "position": "0", "sku": "a", "n": "1"}),
                        ("d", "lines", {"items_id": "1", "position": "1"})]
    assert [(op, image["position"], image["value"]) for op, _, image in found[2][1:]] == [
        ("u", "0", None), ("c", "1", "5")]
    assert [(op, name) for op, name, _ in found[3]] == [("d", "lines"), ("d", "lines"),
                                                         ("d", "items")]
    assert "set `most`" in found[4]
    (guessed,) = tried([{"explode": {"column": "doc", "table": "lines", "most": 3}}],
                       [table.update(None, doc({"sku": "x"}))])
    assert [(op, image.get("position")) for op, _, image in guessed] == [
        ("u", None), ("u", "0"), ("d", "1"), ("d", "2")]


def test_json_is_of_a_bounded_depth(tried):
    table = Table(columns=DOC)

    def nested(depth):
        return {"id": 1, "doc": "[" * depth + "]" * depth}

    records = [table.update(nested(depth), nested(depth)) for depth in (80000, 501, 500)]
    records.append(table.create({"id": 1, "doc": json.dumps(["[" * 600 + '"{\\' * 600])}))
    for transform in ({"explode": {"column": "doc", "table": "lines"}},
                      {"extract": {"from": "doc", "columns": {"a": "[0]"}}}):
        deep, over, good, text = tried([transform], records, expect=Exit.NEGATIVE)
        assert all("more than 500 arrays and objects" in answer for answer in (deep, over))
        assert good[0][0] == "u" and text[0][0] == "c"


def test_an_exploded_array_refuses_what_its_table_cannot_have(tried):
    """A bad record is one dead letter, and those behind it are none."""
    table = Table(columns=DOC)

    def doc(*elements):
        return {"id": 1, "doc": json.dumps(list(elements))}

    taken = [table.create(doc({"a": 1, name: 2})) for name in ("position", "items_id")]
    found = tried([{"explode": {"column": "doc", "table": "lines", "most": 10000}}],
                  [*taken, table.create(doc({"a": 1})),
                   table.update(None, doc({f"m{i}": i for i in range(300)})),
                   table.update(None, doc(*[{"m0": 1}] * 7000))],
                  expect=Exit.NEGATIVE)
    assert all("the key's and a member's" in answer for answer in found[:2])
    assert found[2][1] == ("c", "lines", {"items_id": "1", "position": "0", "a": "1"})
    # A row that is deleted has its key and place alone, however many members are known.
    assert [len(found[3]), *found[3][-1]] == [10001, "d", "lines", {"items_id": "1", "position": "9999"}]
    assert "more than 2000000 values" in found[4]


def test_exploded_rows_go_with_a_truncate_and_with_a_repeated_snapshot(tried):
    table, other = Table(columns=DOC), Table("other")
    other.topic = table.topic
    one = {"id": 1, "doc": "[1]"}
    explode = {"type": "explode", "column": "doc", "table": "lines"}
    unknown, seen, both, _, alone = tried(
        [explode], [table.truncate(), table.read(one), table.truncate(), other.read(row(1)),
                    other.truncate()], expect=Exit.NEGATIVE)
    assert "name the tables that have it" in unknown
    assert [change[0] for change in seen] == ["r", "r"]
    assert both == [("t", "lines", None), ("t", "items", None)]
    assert alone == [("t", "other", None)]
    chosen, again = tried([{**explode, "tables": ["items"], "most": 3}],
                          [table.truncate(), table.read(one)])
    assert chosen == both
    assert [(op, image.get("position")) for op, _, image in again] == [
        ("r", None), ("r", "0"), ("d", "1"), ("d", "2")]


def test_changes_that_change_nothing_are_left_out(tried):
    table = Table()
    found = tried([{"dedupe": {"ignore": ["amount"], "window": 100}}], [
        table.create(row(1)), table.create(row(1)), table.update(row(1), row(1, 9)),
        table.update(row(1), {**row(1), "name": "other"}),
        {**table.create(row(2)), "offset": 10}, {**table.create(row(2)), "offset": 12},
        {**table.create(row(2)), "offset": 13}])
    # Behind a gap in the offsets another lane may have been at work: what is known is forgotten.
    assert [len(changes) for changes in found] == [1, 0, 0, 1, 1, 1, 0]


def test_a_number_that_is_another_one_is_a_change(tried, tmp_path):
    """In Avro it came as the eight bytes that it is."""
    table, schemas = Table(columns={"id": INT, "ratio": DOUBLE}), Schemas()
    one, other = {"id": 1, "ratio": 1.5}, {"id": 1, "ratio": 2.5}
    records = [table.create(one), table.update(one, one), table.update(one, other)]
    records = [schemas.record(record) for record in records]
    found = tried([{"dedupe": {}}], records, format="debezium-avro",
                  registry={"url": schemas.save(tmp_path / "schemas.json")})
    assert [len(changes) for changes in found] == [1, 0, 1]


def test_what_may_mend_the_target_is_passed_on(tried):
    """A row that is read again, and one that a truncate or a record of two changes hid."""
    table = Table(columns=DOC)
    one, two = {"id": 1, "doc": "[]"}, {"id": 2, "doc": "[1]"}
    dedupe = {"dedupe": {"window": 100}}
    found = tried([dedupe], [table.read(one), table.read(one), table.create(one), table.create(one),
                             table.truncate(), table.create(one)])
    assert [len(changes) for changes in found] == [1, 1, 1, 0, 1, 1]
    # The row that was at a key is gone when its key has changed, though the record is one update.
    found = tried([dedupe], [table.create(one), table.update(one, {**one, "id": 3}), table.create(one)])
    assert [len(changes) > 0 for changes in found] == [True] * 3
    found = tried([{"explode": {"column": "doc", "table": "lines"}}, dedupe],
                  [table.create(each) for each in (one, two, one, one)])
    assert [len(changes) for changes in found] == [1, 2, 1, 0]


def test_columns_are_copied_as_the_row_has_them(tried):
    table = Table()
    (refused,) = tried([{"set": {"region": "eu", "copy": {"column": "region"}}}],
                       [table.create(row(1))], expect=Exit.NEGATIVE)
    assert "table items has no column region" in refused
    created, gone = tried([{"set": {"name": "x", "copy": {"column": "name"}}}],
                          [table.create(row(1)), table.tombstone(row(1))])
    assert created[0][2] == {"id": "1", "name": "x", "amount": "0", "copy": "n1"}
    assert gone == [("d", "items", {"id": "1"})]
    for rekey, key, why in ((True, {"column": "name"}, "has no column name"),
                            (False, "5", "is in the key of table items")):
        (refused,) = tried([{"type": "set", "rekey": rekey,
                             "columns": {"copy": {"column": "name"}, "id": key}}],
                           [table.tombstone(row(1))], expect=Exit.NEGATIVE)
        assert why in refused


def test_key_columns_change_only_where_it_is_said(tried):
    table = Table()
    records = [table.create(row(1)), table.update(row(1), row(1, 2)), table.tombstone(row(1)),
               table.update(row(1), {**row(1), "name": "moved"})]
    for transform in ({"set": {"id": 5}}, {"cast": {"id": "text"}}, {"drop": ["id"]},
                      {"mask": {"id": "redact"}}, {"set": {"id": {"lua": "after.id + 1"}}}):
        for answer in tried([transform], records, expect=Exit.NEGATIVE):
            assert "is in the key of table items" in answer and "rekey: true" in answer
    hashed = tried([{"type": "mask", "rekey": True, "key": KEY, "columns": {"id": "hmac"}}],
                   records)
    assert len({changes[0][2]["id"] for changes in hashed}) == 1
    moved = tried([{"type": "set", "rekey": True,
                    "columns": {"id": {"lua": "#after.name == 2 and 7 or 8"}}}],
                  [records[0], records[3], table.update(None, row(1)), records[2]],
                  expect=Exit.NEGATIVE)
    assert [(op, image["id"]) for op, _, image in moved[1]] == [("d", "7"), ("c", "8")]
    assert "the old key of the row is not known" in moved[2]
    assert "was not sent" in moved[3]


def test_a_row_with_a_new_key_is_whole(tried):
    table = Table()
    unsent = {**row(1), "name": "__debezium_unavailable_value"}
    filled, refused = tried(
        [{"type": "set", "rekey": True, "columns": {"id": {"lua": "after.amount + 7"}}}],
        [table.update(row(1), {**unsent, "amount": 1}),
         table.update(unsent, {**unsent, "amount": 1})], expect=Exit.NEGATIVE)
    assert [(op, image["id"], image["name"]) for op, _, image in filled] == [
        ("d", "7", "n1"), ("c", "8", "n1")]
    assert "its column name was not sent" in refused


def test_transforms_of_tables_stand_behind_the_pipelines(tried):
    table = Table()
    (changes,) = tried([{"rename": {"name": "label"}},
                        {"type": "set", "constants": {"x": "1"}, "tables": ["other"]}],
                       [table.create(row(1))], tables={
                           "items": {"transforms": [{"drop": ["label"]}]},
                           "other": {"transforms": [{"drop": ["amount"]}]}})
    assert changes[0][2] == {"id": "1", "amount": "0"}


# --- Lua --------------------------------------------------------------------------------------

def test_values_are_exact_in_lua(tried):
    table = Table(columns={"id": INT, "big": {"type": "int64"}, "price": {
        "type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "version": 1,
        "parameters": {"scale": "2"}}, "note": TEXT})
    record = table.create({"id": 1, "big": 9223372036854775807, "price": "A+g=", "note": None})
    expressions = {
        "big_same": "after.big == 9223372036854775807", "big": "after.big - 1",
        "price_text": "after.price", "price": "decimal.mul(after.price, '1.10')",
        "more": "after.price > 9.99 and after.price < 10.01", "twice": "after.price + after.price",
        "minus": "-after.price", "far": "-'-12345678901234567890.10'",
        "third": "decimal.div('10', 3, 4)", "rounded": "decimal.round('2.345', 2)",
        "order": "decimal.compare('-1.5', '1')", "is_nil": "after.note == nil",
        "sent": "sent(after, 'note')", "has": "has(after, 'nothing')",
        "who": "source.table .. op .. source.offset"}
    (changes,) = tried([{"set": {name: {"lua": text} for name, text in expressions.items()}}],
                       [record])
    found = changes[0][2]
    assert found["big"] == "9223372036854775806" and found["price_text"] == "10.00"
    assert found["price"] == "11.0000" or found["price"] == "11.00"
    assert {name: found[name] for name in expressions if name not in ("big", "price",
                                                                       "price_text")} == {
        "big_same": "true", "more": "true", "minus": "-10.00", "far": "12345678901234567890.10",
        "twice": "20.00", "third": "3.3333",
        "rounded": "2.35", "order": "-1", "is_nil": "true", "sent": "true", "has": "false",
        "who": "itemsc0"}


@pytest.mark.parametrize("text,why", [
    ("io.open('/etc/passwd')", "nil value"), ("os.time()", "nil value"),
    ("load('return 1')()", "nil value"), ("debug.getregistry()", "nil value"),
    ("require('x')", "nil value"), ("dofile('/x')", "nil value"),
    ("getmetatable('').__index", "nil value"), ("string.rep('x', 1 << 30)", "MiB of memory"),
    ("(function() while true do end end)()", "more than 5000000 instructions"),
    ("(function() while true do pcall(function() while true do end end) end end)()",
     "more than 5000000 instructions"),
    ("after.nothing", "has no column nothing"), ("(function() x = 1 end)()", "sets nothing")])
def test_expressions_are_in_a_sandbox(tried, text, why):
    table = Table()
    (answer,) = tried([{"set": {"flag": {"lua": text}}}], [table.create(row(1))],
                      expect=Exit.NEGATIVE)
    assert why in answer and "transform set (tables.yaml:" in answer


SCRIPT = """
local seen = 0
function change(c)
    if c.op == "d" then return c end
    if c.after.amount == 0 then return nil end
    if c.after.amount == 13 then error("unlucky " .. c.after.id) end
    c.after.name = c.after.name .. "!"
    c.after.total = decimal.mul("1.50", c.after.amount)
    return { c, { op = "c", table = "log", key = { "id" },
                  after = { id = c.after.id, what = c.op, price = c.after.amount * 2 } } }
end
"""


def test_a_script_drops_changes_and_adds(sink, tried):
    (sink.folder / "enrich.lua").parent.mkdir(parents=True, exist_ok=True)
    (sink.folder / "enrich.lua").write_text(SCRIPT)
    table = Table()
    found = tried([{"script": "enrich.lua"}],
                  [table.create(row(1, 2)), table.create(row(2)), table.create(row(3, 13)),
                   table.delete(row(1, 2))], expect=Exit.NEGATIVE)
    assert found[0] == [
        ("c", "items", {"id": "1", "name": "n1!", "amount": "2", "total": "3.00"}),
        ("c", "log", {"id": "1", "price": "4", "what": "c"})]
    assert found[1] == [] and found[3][0][:2] == ("d", "items")
    assert "transform script (tables.yaml:" in found[2] and "id = 3" in found[2]
    assert "enrich.lua:6: unlucky 3" in found[2]
    (sink.folder / "enrich.lua").write_text("function change(c) c.after.id = 9 return c end")
    assert "say rekey: true" in tried([{"script": "enrich.lua"}], [table.create(row(1))],
                                      expect=Exit.NEGATIVE)[0]
    (sink.folder / "enrich.lua").write_text("function chang(c) end")
    assert "has no function change(c)" in sink.check(expect=Exit.CONFIG).stderr


def test_check_tries_a_sample(sink, tmp_path):
    table = Table()
    sink.write({**pipeline(table.topic), "transforms": [{"cast": {"name": "integer"}}]},
               targets=[{"name": "ods", "type": "file", "directory": str(tmp_path / "out")}])
    records = sink.file_of([table.create(row(1)), table.create({**row(2), "name": "2"})])
    done = sink.check("--sample", records, expect=Exit.NEGATIVE)
    assert "offset 0: transform cast (tables.yaml:" in done.stderr
    assert "of 2 records of the sample 2 changes, transformed 1; dead letters 1" in done.stdout
    answer = json.loads(sink.check("--json", "--sample", records, expect=Exit.NEGATIVE).stdout)
    assert answer["samples"][0]["dead_letters"] == 1 and len(answer["problems"]) == 1
    assert not (tmp_path / "out").exists()
    side_by_side = sink.run("decode", "--transform", "-c", sink.conf, records,
                            expect=Exit.NEGATIVE).stdout
    assert "decoded" in side_by_side and "dead letter: transform cast" in side_by_side


# --- in the target ----------------------------------------------------------------------------

def test_what_comes_into_postgres(sink, database):
    """Rows that leave are deleted, arrays are rows, and a table's own transforms are obeyed."""
    table = Table("orders", columns={"id": INT, "state": TEXT, "lines": TEXT})

    def order(number, state, *lines):
        return {"id": number, "state": state, "lines": json.dumps(lines)}

    sink.write({**pipeline(table.topic), "defaults": {"on_delete": "hard", "on_truncate": "apply"},
                "transforms": [
        {"filter": {"where": {"state": {"not": "draft"}}}}],
        "tables": {"orders": {"transforms": [
            {"explode": {"column": "lines", "table": "order_lines", "key": {"id": "order_id"}}}]},
            "order_lines": {"cdc_operation": "off", "cdc_timestamp": "off"}}}, database=database)
    first = order(1, "new", {"sku": "a", "n": 1}, {"sku": "b", "n": 2})
    second = order(1, "new", {"sku": "b", "n": 3})
    records = [table.create(order(2, "draft", {"sku": "z"})), table.create(first),
               table.create(order(3, "new", {"sku": "x"})), table.update(first, second),
               table.update(order(3, "new", {"sku": "x"}), order(3, "draft", {"sku": "x"})),
               table.update(order(2, "draft", {"sku": "z"}), order(2, "new", {"sku": "y"}))]
    for _ in range(2):
        sink.replay(records)
        assert database.execute("select id, state from orders order by id") == [
            (1, "new"), (2, "new")]
        assert database.execute("select order_id, position, sku, n from order_lines "
                                "order by 1, 2") == [(1, 0, "b", 3), (2, 0, "y", None)]
    last = [*records, table.delete(second)]
    sink.replay(last)
    assert database.execute("select order_id from order_lines") == [(2,)]
    database.execute("delete from order_lines")
    third = order(2, "new", {"sku": "y"})
    sink.replay([table.update(third, third)])
    assert database.execute("select order_id, sku from order_lines") == [(2, "y")]
    sink.replay([table.truncate()])
    assert database.execute("select (select count(*) from orders), count(*) from order_lines") == [
        (0, 0)]


def test_a_topic_is_watched(sink, kafka, table, tmp_path):
    sink.write({**pipeline(table.topic), "transforms": [{"set": {"region": "eu"}}]}, kafka=True,
               targets=[{"name": "ods", "type": "file", "directory": str(tmp_path)}])
    kafka.produce([table.create(row(1)), table.create(row(2))])
    done = sink.run("decode", "--transform", "--json", "-c", sink.conf, "--watch", table.topic,
                    "--from-beginning", "--count", 2)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["after"][0]["after"]["region"] for line in lines] == ["eu", "eu"]
    assert "region" not in lines[0]["before"][0]["after"]
