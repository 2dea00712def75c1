"""Bodies of the HTTP target that Lua makes: an expression, and a script's function."""

import json

import pytest

from lib.endpoint import Endpoint
from lib.records import INT, TEXT, Table, pipeline, row
from lib.sink import Exit, read_lines

DECIMAL = {"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "version": 1,
           "parameters": {"scale": "2"}}


@pytest.fixture
def endpoint():
    made = Endpoint()
    yield made
    made.close()


def target(endpoint, **settings):
    return [{"name": "ods", "type": "http", "url": endpoint.url + "/orders", **settings}]


def test_an_expression(sink, endpoint):
    table = Table(columns={"id": INT, "name": TEXT, "amount": INT, "price": DECIMAL})
    lua = """{ id = after.id, text = "order " .. after.id .. ": " .. (after.name or "none"),
               price = number(after.price), as_text = after.price, list = { 1, 2.5, null, "x" },
               row = after, op = op, where = source.topic, empty = {}, yes = op == "c" }"""
    sink.write(pipeline(table), targets=target(endpoint, body_lua=" ".join(lua.split())))
    first = {**row(1), "name": 'a "q"\\ \u00fc', "price": "BNI="}  # 12.34
    sink.replay([table.create(first), table.create({**row(2), "name": None, "price": "AQ=="})])
    one, two = endpoint.requests
    assert one.headers["Content-Type"] == "application/json"
    assert b'"price":12.34' in one.body and list(one.json()) == sorted(one.json())
    assert one.json() == {
        "id": 1, "text": f"order 1: {first['name']}", "price": 12.34, "as_text": "12.34",
        "list": [1, 2.5, None, "x"], "op": "c", "where": table.topic, "empty": {}, "yes": True,
        "row": {"id": 1, "name": first["name"], "amount": 0, "price": 12.34}}
    assert two.json()["text"] == "order 2: none" and two.json()["price"] == 0.01


@pytest.mark.parametrize("body", [{"body": '{"was": {{before.amount}}}'},
                                  {"body_lua": "{ was = before and before.amount or null }"}])
def test_what_an_updated_row_was(sink, endpoint, body):
    table = Table()
    sink.write(pipeline(table), targets=target(endpoint, **body))
    sink.replay([table.create(row(1, 3)), table.update(row(1, 3), row(1, 4))])
    assert [request.json() for request in endpoint.requests] == [{"was": None}, {"was": 3}]


def test_what_was_not_sent(sink, endpoint):
    table = Table()
    sink.write(pipeline(table), targets=target(
        endpoint, body_lua="{ name = after.name, sent = sent(after, 'name'), row = after }"))
    sink.replay([table.update(row(1), {**row(1), "name": "__debezium_unavailable_value"})])
    assert [request.json() for request in endpoint.requests] == [
        {"name": None, "sent": False, "row": {"id": 1, "amount": 0}}]


def test_a_script(sink, endpoint, tmp_path):
    """Functions of its own, a text as it is, and a body for each operation."""
    script = tmp_path / "body.lua"
    script.write_text("""
        local function line(c) return c.op .. "," .. c.table .. "," .. c.offset end
        function body(c)
            if c.op == "d" then return "gone," .. c.before.id end
            if c.before then return line(c) .. ",was " .. c.before.amount end
            return line(c)
        end""")
    table = Table()
    sink.write(pipeline(table), targets=target(
        endpoint, body_script=str(script), content_type="text/csv",
        batch={"max_changes": 10, "as": "lines"}, max_in_flight=1))
    sink.replay([table.create(row(1)), table.update(row(1, 3), row(1, 4)),
                 table.delete(row(1, 4))])
    assert [line for request in endpoint.requests for line in request.body.decode().split("\n")] == [
        "c,items,0", "u,items,1,was 3", "gone,1"]


def test_what_fails_is_a_letter(sink, endpoint, tmp_path):
    script = tmp_path / "body.lua"
    script.write_text("""
        function body(c)
            local id = c.after.id
            if id == 1 then return nil end
            if id == 2 then error("a bad order") end
            if id == 3 then while true do end end
            if id == 4 then return string.rep("x", 1 << 30) end
            if id == 5 then return { 1, a = 2 } end
            if id == 6 then local t = {} t.t = t return t end
            if id == 7 then return { a = 0 / 0 } end
            if id == 8 then return { a = "\\xff" } end
            if id == 9 then return { a = number("1,5") } end
            if id == 10 then return { a = has } end
            if id == 11 then return { a = c.after.nothing } end
            if id == 12 then return os.time() end
            return { id = id }
        end""")
    table = Table()
    sink.write(pipeline(table), targets=target(endpoint, body_script=str(script),
                                               max_in_flight=1))
    letters = tmp_path / "letters.jsonl"
    sink.replay([table.create(row(number)) for number in range(1, 15)], dead_letter=letters)
    assert [request.json() for request in endpoint.requests] == [{"id": 13}, {"id": 14}]
    errors = [dict(zip(letter["headers"][::2], letter["headers"][1::2]))["ods.error"]
              for letter in read_lines(letters)]
    words = ["nothing to send", "a bad order", "instructions", "memory", "a list, or has names",
             "levels", "NaN", "not UTF-8", "not a number", "can't stand in JSON", "no column nothing",
             "os"]
    assert len(errors) == len(words)
    assert [(word, error) for word, error in zip(words, errors) if word not in error] == []


@pytest.mark.parametrize("settings, words", [
    ({"body_lua": "{ a = "}, "body_lua: "), ({"body_script": "/nowhere.lua"}, "can't be opened"),
    ({"body_lua": "1", "body": "{{key}}"}, "set one of body, body_lua and body_script"),
])
def test_what_check_refuses(sink, endpoint, settings, words):
    sink.write(pipeline(Table()), targets=target(endpoint, **settings))
    done = sink.check(expect=Exit.CONFIG)
    assert words in done.stdout + done.stderr


def test_the_same_text_at_every_try(sink, endpoint):
    """A request that comes again is byte for byte the one before, by which signatures are compared."""
    table = Table()
    sink.write(pipeline(table), targets=target(
        endpoint, body_lua="{ z = 1, a = after.id, m = { y = 1, b = 2 } }"))
    sink.replay([table.create(row(1))])
    assert endpoint.requests[0].body == json.dumps(
        {"a": 1, "m": {"b": 2, "y": 1}, "z": 1}, separators=(",", ":")).encode()
