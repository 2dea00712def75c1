"""A secret is planted in every kind of redacted column, everything goes wrong that can, and no output has
it in any form. What this must not find it finds without `redact`: test_it_would_be_found."""

import base64
import json

import pytest
from lib.records import DATE, DATETIME, DOUBLE, INT, BIGINT, TEXT, Table, pipeline
from lib.sink import write_lines
from test_letter_encryption import make_keys

BYTES = {"type": "bytes"}
JSON = {"type": "string", "name": "io.debezium.data.Json", "version": 1}
COLUMNS = {"id": INT, "must": INT, "email": TEXT, "code": TEXT, "born": DATE, "phone": BIGINT,
           "photo": BYTES, "score": DOUBLE, "doc": JSON, "at": DATETIME}
REDACTED = [name for name in COLUMNS if name not in ("id", "must")]
PHOTO = b"zq7 photo \x00\xff of somebody"
ROW = {"must": 1, "email": "zq7.somebody@mail.example", "code": "zq7 \"code\" \\ of ünder",
       "born": 12345, "phone": 7700112233445566, "photo": base64.b64encode(PHOTO).decode(),
       "score": 77123.456789, "doc": '{"inner": "zq7 document"}', "at": 1234567890123}
# As somebody may read them, in whatever words.
SECRETS = [ROW["email"], ROW["code"], "2003-10-20", str(ROW["phone"]), ROW["photo"],
           "77123.456", "zq7 document", "23:31:30", "1234567890123"]


def forms():
    for text in SECRETS:
        raw = text.encode()
        yield text, raw
        for escaped in (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1],
                        text.replace('"', "&quot;"), text.replace('"', '""')):
            yield text, escaped.encode()
        yield text, raw.hex().encode()
        for shift in range(3):
            yield text, base64.b64encode(b"\0" * shift + raw)[4:-4]
    yield "photo", PHOTO.hex().encode()
    yield "photo", PHOTO


def found_in(outputs):
    return sorted({(name, secret) for name, output in outputs.items() for secret, form in forms()
                   if len(form) > 7 and form in (output if isinstance(output, bytes)
                                                 else output.encode(errors="surrogateescape"))})


TARGET = """
create table items (id int primary key, must int not null, email text unique, code inet,
    born date, phone bigint check (phone <> 7700112233445566 or id <> 3), photo bytea,
    score double precision, doc jsonb, at timestamp, cdc_operation text, cdc_timestamp timestamptz);
create function refuse() returns trigger language plpgsql as $$ begin
    if new.id = 4 then raise exception 'no % please', new; end if;
    if new.id = 5 then perform new.doc::text::int; end if;
    return new; end $$;
create trigger refuse before insert or update on items for each row execute function refuse();
insert into items (id, must, email) values (100, 1, 'zq7.somebody@mail.example');
"""


def records(table):
    """Each is refused in another way: 1 by a unique key, 2 as NULL, 3 by a check, 4 by a trigger, 5 in a
    cast of a function, 6 in a text that the column's type can't read, 7 as it is no JSON."""
    fine = {**ROW, "code": None}
    return [table.create({**fine, "id": 1}), table.create({**fine, "id": 2, "must": None,
                                                           "email": "2"}),
            table.create({**fine, "id": 3, "email": "3"}),
            table.create({**fine, "id": 4, "email": ROW["email"] + "4"}),
            table.create({**fine, "id": 5, "email": "5"}),
            table.create({**ROW, "id": 6, "email": "6"}),
            table.record('{"id": 7}', '{"schema": {}, "payload": {"after": ' +
                         json.dumps({**ROW, "id": 7})),
            table.create({**fine, "id": 8, "email": "8"})]


@pytest.fixture
def outputs(sink, databases, kafka, prefix, request):
    """What everything says of such records. The parameter: what redact says, and encryption."""
    redact, encrypted = request.param
    database, source = databases(), databases()
    table = Table("items", COLUMNS, prefix=prefix)
    database.execute(TARGET)
    source.execute("create schema shop; create table shop.items (id int primary key, must int, email "
                   "text, code text, born date, phone bigint, photo bytea, score double precision, "
                   "doc jsonb, at timestamp(3)); insert into shop.items select 8, 1, '8 of the source', "
                   "null, '2003-10-20', 7700112233445566, '\\x00', 77123.456789, '{}', "
                   "'2009-02-13 23:31:30.123'; insert into shop.items (id, must, email, phone) values "
                   "(9, 1, 'zq7.somebody@mail.example', 7700112233445566)")
    kafka.create(table.topic, 1)
    letters = kafka.create(f"{prefix}.letters", 1)
    sink.folder.mkdir(parents=True, exist_ok=True)
    private, public = make_keys(sink.folder, "key")
    encrypt = {"encrypt": {"public_key": public.name}} if encrypted else {}
    sink.write(pipeline(table, database="shop", tables={"shop.items": {"redact": redact}}),
               database=database, kafka=True, dead_letter={"topic": letters, **encrypt},
               databases=[{"name": "shop", "type": "postgres", "dsn": source.dsn}])
    kafka.produce(records(table))
    daemon = sink.daemon()
    daemon.await_that(lambda: kafka.count(letters) == 7 and database.count("items") == 2,
                      what="seven letters and a row")
    said = {path: daemon.get(path)[1] for path in ("/status", "/metrics", "/", "/healthz")}
    status = sink.run("status", "--json", "--url", f"http://127.0.0.1:{sink.http_port}", expect=None)
    # What processes tell each other stands in the target until they end.
    daemon.await_that(lambda: database.count("ods_sink.members") == 1, what="a beat")
    said["members"] = str(database.execute("select * from ods_sink.members"))
    daemon.stop()
    said["log"] = daemon.log()
    said["status"] = status.stdout + status.stderr

    def run(name, *arguments):
        done = sink.run(*arguments, expect=None)
        said[name] = done.stdout + done.stderr
        return said[name]

    conf = ("-c", sink.conf)
    run("check", "check", *conf, "--connect")
    run("dlq list", "dlq", "list", *conf)
    run("dlq list --json", "dlq", "list", *conf, "--json")
    for offset in (1, 5, 6):
        text = ("--json",) if offset == 6 else ()
        run(f"dlq show {offset}", "dlq", "show", *conf, *text, str(offset))
    run("dlq replay", "dlq", "replay", *conf, "--key", private)
    run("dlq replay --json", "dlq", "replay", *conf, "--json", "--force")
    for key in (1, 6, 8):
        run(f"trace {key}", "trace", *conf, "shop.items", "--key", str(key))
    for key in (4, 9):
        run(f"trace --json {key}", "trace", *conf, "shop.items", "--key", str(key), "--json",
            "--private-key", private)
    for shape in ("csv", "json"):
        run(f"query {shape}", "query", *conf, "shop.items", "--format", shape)
    run("query --where", "query", *conf, "shop.items", "--where", "email::int = 1")
    page = sink.folder / "report.html"
    run("verify", "verify", *conf, "--full", "--report", page)
    run("verify --json", "verify", *conf, "--full", "--json")
    said["report"] = page.read_text()
    run("erase", "erase", *conf, "shop.items", "--key", "8", "--dry-run")
    run("erase --json", "erase", *conf, "shop.items", "--key", "1", "--dry-run", "--json")
    database.execute("delete from ods_sink.offsets")
    for number, record in list(enumerate(records(table)))[:6]:  # each stops a replay
        path = sink.folder / f"{number}.jsonl"
        write_lines(path, [record])
        run(f"replay {number}", "replay", *conf, path)
    for message in kafka.read(letters):
        place = f"letter {message.offset()}"
        said[f"{place} headers"] = str([value for name, value in message.headers()
                                        if name.startswith(("ods.", "__connect."))])
        if encrypted:
            said[place] = message.value() + (message.key() or b"")
    return said


PLAIN, SEALED, SHOWN = (REDACTED, False), (REDACTED, True), ([], False)


@pytest.mark.parametrize("outputs", [PLAIN, SEALED], ids=["plain", "encrypted"], indirect=True)
def test_no_secret_leaves(outputs):
    assert found_in(outputs) == []
    assert "items" in outputs["members"]
    assert "[redacted]" in outputs["trace 8"] + outputs["query json"] and \
        "[redacted]" in outputs["report"]
    assert "23505" in outputs["dlq list"] and "items_email_key" in outputs["dlq list --json"]


@pytest.mark.parametrize("outputs", [SHOWN], ids=[""], indirect=True)
def test_it_would_be_found(outputs):
    """The search sees what is not redacted, in all places where values are."""
    places = {name for name, _ in found_in(outputs)}
    seen = {"log", "report", "verify --json", "query csv", "query --where", "trace 8", "dlq show 5",
            "dlq show 6", "replay 3"}
    assert not seen - places, seen - places
    assert any(name.endswith("headers") for name in places)
