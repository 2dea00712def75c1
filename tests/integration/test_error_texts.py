"""What is said of a record is UTF-8, however long it is and whatever it quotes."""

import json

from lib.records import INT, TEXT, Table, pipeline

LONG = "ä" * 25 + "ünïcödé" * 3  # a column of 50 characters, of more bytes than an error keeps


def raising(database, table, sqlstate, message):
    """A trigger that refuses each row with this text, an expression over the row."""
    database.execute(f"""
        create function refuse_{table}() returns trigger language plpgsql as $$ begin
            raise exception using errcode = '{sqlstate}', message = {message}; end $$;
        create trigger refuse before insert or update on {table}
            for each row execute function refuse_{table}()""")


def test_letters_are_json_at_every_cut(sink, database, tmp_path):
    """A text of PostgreSQL's that is cut at each place of a character of two, three, four bytes."""
    items = Table(columns={"id": INT, "name": TEXT})
    database.execute("create table items (id integer primary key, name text, "
                     "cdc_operation text, cdc_timestamp timestamp)")
    raising(database, "items", "22000", "repeat('x', new.id) || repeat(new.name, 800)")
    sink.write(pipeline(items), database=database)
    letters = tmp_path / "letters"
    characters = [character for character in "ß€🐘" for _ in range(6)]
    records = [items.create({"id": number, "name": character})
               for number, character in enumerate(characters)]
    sink.replay(records, dead_letter=letters)
    lines = letters.read_bytes().splitlines()
    assert len(lines) == len(records)
    for line, character in zip(lines, characters):
        headers = json.loads(line.decode())["headers"]
        headers = dict(zip(headers[::2], headers[1::2]))
        assert headers["ods.error"].rstrip().endswith(character), headers["ods.error"][-9:]
        assert "\ufffd" not in line.decode()
        assert character in headers["__connect.errors.exception.stacktrace"]


def test_names_are_cut_between_characters(sink, database, tmp_path):
    columns = {"id": INT, **{"x" * ahead + LONG[:31 - ahead // 2]: INT for ahead in range(4)}}
    items = Table(columns=columns)
    sink.write(pipeline(items), database=database)
    letters = tmp_path / "letters"
    sink.replay([items.create(dict.fromkeys(columns, 1)), *(
        items.create({**dict.fromkeys(columns, 2), "id": number, name: "no number"})
        for number, name in enumerate(list(columns)[1:], 2))], dead_letter=letters)
    for line, name in zip(letters.read_bytes().splitlines(), list(columns)[1:], strict=True):
        headers = json.loads(line.decode())["headers"]
        assert name[:20] in dict(zip(headers[::2], headers[1::2]))["ods.error"]


def test_what_a_record_quotes_that_is_no_utf8(sink, database, tmp_path):
    """Bytes that no JSON may hold, in each part of a record that an error speaks of."""
    items = Table(columns={"id": INT, "name": TEXT})
    sink.write(pipeline(items), database=database)
    good = items.create({"id": 1, "name": "one"})
    lines = [json.dumps(good).encode()]
    for number, bad in enumerate([b'{"op": "\xff\xfe"}', b'{"op": "c", "after": {"id": \xe2\x82}}',
                                  b'\xc3', b'{"\xf0\x9f": 1, "op": "c"}', b'caf\xe9'], 1):
        record = {**good, "offset": number, "payload": "@"}
        lines.append(json.dumps(record).encode().replace(
            b'"@"', b'"' + bad.replace(b'"', b'\\"') + b'"'))
    path, letters = tmp_path / "records", tmp_path / "letters"
    path.write_bytes(b"\n".join(lines) + b"\n")
    sink.replay(path, dead_letter=letters)
    errors = [json.loads(line.decode())["headers"] for line in letters.read_bytes().splitlines()]
    assert len(errors) == 5
    assert all(dict(zip(each[::2], each[1::2]))["ods.error"] for each in errors)


def test_a_lane_that_waits_shows_itself(sink, database, kafka, table):
    """/status and each line of the log are JSON while the target refuses with a long text."""
    database.execute("create table items (id integer primary key, name text, price numeric, "
                     "cdc_operation text, cdc_timestamp timestamp)")
    # Of one code again and again the row would be found to be at fault; these two take turns.
    database.execute("""
        create sequence attempts;
        create function refuse_items() returns trigger language plpgsql as $$ begin
            raise exception using
                errcode = case nextval('attempts') % 2 when 0 then '53100' else '53200' end,
                message = repeat('x', (random() * 7)::int) || repeat('€', 900); end $$;
        create trigger refuse before insert or update on items
            for each row execute function refuse_items()""")
    sink.write(pipeline(table), database=database, kafka=True, lanes=1, log={"format": "json"})
    daemon = sink.daemon()
    kafka.produce([table.create({name: 1 if name == "id" else None for name in table.columns})])
    for _ in range(5):
        before = daemon.metric("ods_sink_retries_total") or 0
        daemon.await_that(lambda: (daemon.metric("ods_sink_retries_total") or 0) > before, 60,
                          "another attempt")
        lanes = json.loads(daemon.get("/status")[1])["lanes"]
        assert len(lanes) == 1 and lanes[0]["last_error"].rstrip().endswith("€")
    daemon.stop()
    messages = [json.loads(line)["message"]
                for line in daemon.log_path.read_bytes().decode().splitlines()]
    assert any("€€€" in message for message in messages)
