"""One row stops neither its lane nor the daemon, whatever SQLSTATE PostgreSQL or a function of the
target's own gives it: the row is a dead letter, and the rows beside it are applied. An outage stays
one."""

import json
import re
import sys
from pathlib import Path

import pytest
from lib.postgres import administer
from lib.records import BIGINT, INT, SHAPES, TEXT, Table, pipeline
from lib.sink import Exit, read_lines
from lib.stack import ROOT

sys.path.append(str(ROOT / "tests" / "fault"))
import sqlstates  # noqa: E402

REPORTED = Path(__file__).parent / "reported"
ROWS = 300 # enough to be copied
BAD = (1, 7, 150, 299)
ITEMS = "id int primary key, v text, cdc_operation text, cdc_timestamp timestamptz"
COLUMNS = {"id": INT, "v": TEXT}
DEFAULTS = {"on_delete": "hard"}


def header(letter, name):
    pairs = letter["headers"]
    return pairs[pairs.index(name) + 1]


def apply(sink, records):
    """Replayed; the dead letters as (SQLSTATE, reason, letter)."""
    path = sink.folder / "letters.jsonl"
    path.unlink(missing_ok=True)
    sink.replay(records, dead_letter=path)
    return [(header(letter, "ods.sqlstate"), header(letter, "ods.error"), letter)
            for letter in (read_lines(path) if path.exists() else [])]


def offsets_of(letters):
    return [letter["offset"] for _, _, letter in letters]


def trigger(body, when="before insert or update", each="row", table="items", constraint=""):
    """A trigger of items, whose function has this body, and its own name."""
    name = f"on_{table}_{re.sub(r'[^a-z]+', '_', when + each)}"
    return f"""
        create or replace function {name}() returns trigger language plpgsql as $body$
            begin {body} return coalesce(new, old); end $body$;
        create {constraint} trigger {name} {when} on {table} {'deferrable initially deferred'
            if constraint else ''} for each {each} execute function {name}()"""


def new_rows(table, bad=BAD, rows=ROWS):
    return [table.create({"id": number, "v": "bad" if number in bad else f"v{number}"})
            for number in range(rows)]


def ids(database, table="items"):
    return [number for number, in database.execute(f"select id from {table} order by id")]


GOOD = [number for number in range(ROWS) if number not in BAD]


# --- what was reported ---------------------------------------------------------------------------


@pytest.mark.parametrize("file, columns, there, sqlstate", [
    ("c13", "", ["a", "b"], "54000"), ("c29", ITEMS, [0, 2], "P0001")])
def test_reported(sink, database, file, columns, there, sqlstate):
    if columns:
        database.execute(f"create table t ({columns})")
        database.execute(trigger("if new.v = 'bad' then raise exception 'not that: %', new.v; end if;",
                                 table="t"))
    sink.write(pipeline(f"^{file}.*", defaults={
        "schema": "public", "on_delete": "hard", "create_tables": True, "evolve": "widen"}),
        database=database)
    letters = apply(sink, REPORTED / f"{file}.jsonl")
    assert [code for code, *_ in letters] == [sqlstate]
    assert ids(database, "t") == there


# --- whatever a trigger does ---------------------------------------------------------------------

RAISES = {
    "P0001": "raise exception 'no';",
    "22012": "perform 1 / 0;",
    "ZZ001": "raise exception 'no' using errcode = 'ZZ001';",
    "45000": "raise exception 'no' using errcode = '45000';",
    "OS001": "raise exception 'no' using errcode = 'OS001';",
    "09000": "raise exception 'no' using errcode = '09000';",
    "42501": "raise exception 'no' using errcode = '42501';",
    "XX000": "raise exception 'no' using errcode = 'XX000';",
    "26000": "raise exception 'no' using errcode = '26000';",
    "23505": "raise exception 'no' using errcode = 'unique_violation';",
    "23514": "raise exception 'no' using errcode = 'check_violation';",
    "42P01": "perform from missing_table;",
    "42703": "perform new.missing_column;",
    "42883": "perform missing_function();",
    "2F005": "if new.v = 'bad' then return null_function(); end if;",
    "P0002": "perform strictly();",
    "P0004": "assert false, 'no';",
    "20000": "case when false then null; end case;",
    "24000": "close cursor_of_none;",
    "2D000": "commit;",
    "25001": "raise exception 'no' using errcode = '25001';",
}
HELPERS = """
    create function null_function() returns int language plpgsql as 'begin end';
    create function strictly() returns void language plpgsql as
        'declare x int; begin select 1 into strict x where false; end'"""


@pytest.mark.parametrize("way", ["copy", "arrays"])
def test_codes_of_triggers(sink, databases, way):
    """Each in a table of its own, new rows by COPY or by statements."""
    database = databases()
    database.execute(HELPERS)
    rows, bad = (ROWS, BAD) if way == "copy" else (20, (0, 3, 19))
    records, names = [], {}
    for code, body in RAISES.items():
        table = Table(f"t{code.lower()}", columns=COLUMNS)
        names[code] = table
        database.execute(f"create table {table.name} ({ITEMS})")
        body = body if "new.v" in body and "if " in body else f"if new.v = 'bad' then {body} end if;"
        declared = "declare cursor_of_none refcursor; " if "cursor" in body else ""
        database.execute(trigger(body, table=table.name).replace("begin", declared + "begin", 1))
        records += new_rows(table, bad, rows)
    sink.write(pipeline(r"^src\..*", defaults=DEFAULTS), database=database,
               retry={"initial_ms": 1, "max_ms": 2})
    letters = apply(sink, records)
    for code, table in names.items():
        assert ids(database, table.name) == [n for n in range(rows) if n not in bad], code
        mine = [(found, text) for found, text, letter in letters if letter["topic"] == table.topic]
        expected = {"2F005": "2F005", "24000": "22004"}.get(code, code)
        assert [found for found, _ in mine] == [expected] * len(bad), (code, mine)
        assert all("PL/pgSQL function" in text for _, text in mine), mine


def test_outages_that_are_raised_for_a_row(sink, database):
    """They are tried again, as outages are, but not for ever."""
    codes = ["40001", "55P03", "57014", "53200", "57P01", "08006", "25006"]
    tables = {code: Table(f"t{code.lower()}", columns=COLUMNS) for code in codes}
    for code, table in tables.items():
        database.execute(f"create table {table.name} ({ITEMS})")
        database.execute(trigger(f"if new.v = 'bad' then raise exception 'no' using "
                                 f"errcode = '{code}'; end if;", table=table.name))
    sink.write(pipeline(r"^src\..*", defaults=DEFAULTS), database=database,
               retry={"initial_ms": 1, "max_ms": 2})
    letters = apply(sink, [record for table in tables.values() for record in new_rows(table)])
    for code, table in tables.items():
        assert [found for found, _, letter in letters if letter["topic"] == table.topic] == \
            [code] * len(BAD)
        assert ids(database, table.name) == GOOD


def test_an_outage_that_is_raised_and_passes(sink, database):
    """No row is at fault: a sequence, which no rollback turns back, counts the tries."""
    database.execute(f"create table items ({ITEMS}); create sequence tries")
    database.execute(trigger("if new.v = 'bad' and nextval('tries') < 4 then "
                             "raise exception 'not yet' using errcode = '40001'; end if;"))
    table = Table(columns=COLUMNS)
    sink.write(pipeline(table), database=database, retry={"initial_ms": 1, "max_ms": 2})
    assert not apply(sink, new_rows(table, bad=(7,)))
    assert len(ids(database)) == ROWS


def test_a_row_that_takes_longer_than_statement_timeout(sink, database):
    database.execute(f"create table items ({ITEMS})")
    database.execute(trigger("if new.v = 'bad' then perform pg_sleep(60); end if;"))
    table = Table(columns=COLUMNS)
    sink.write(pipeline(table), retry={"initial_ms": 1, "max_ms": 2}, targets=[{
        "name": "ods", "type": "postgres", "dsn": database.dsn, "statement_timeout_ms": 300}])
    letters = apply(sink, new_rows(table, bad=(7,), rows=20))
    assert [found for found, *_ in letters] == ["57014"]
    assert len(ids(database)) == 19


# --- other places where functions of the target's own run ----------------------------------------


def test_updates_deletes_and_deferred_triggers(sink, database):
    """In each wire shape: a refused update leaves the row as it was, a refused delete the row; what a
    deferred trigger refuses only at the commit is found too."""
    bad = "if {}.v = 'bad' then raise exception 'no'; end if;"
    ways = {
        "updated": trigger("if new.v = 'worse' then raise exception 'no'; end if;",
                           when="before update"),
        "deleted": trigger(bad.format("old"), when="after delete"),
        "late": trigger(bad.format("new"), when="after insert or update", constraint="constraint"),
        "marked": trigger("if new.cdc_operation = 'd' and new.v = 'bad' then "
                          "raise exception 'no'; end if;", when="before update ")}
    tables = {(way, shape): Table(f"{way}_{shape.replace('-', '_')}", columns=COLUMNS, shape=shape)
              for way in ways for shape in SHAPES}
    for (way, _), table in tables.items():
        database.execute(f"create table {table.name} ({ITEMS})")
        database.execute(ways[way].replace("items", table.name))
    sink.write(pipeline(r"^src\..*", defaults=DEFAULTS, tables={
        table.name: {"on_delete": "soft"} for (way, _), table in tables.items()
        if way == "marked"}), database=database)
    assert not apply(sink, [record for (way, _), table in tables.items() if way != "late"
                            for record in new_rows(table, rows=20)])
    records = []
    for (way, _), table in tables.items():
        for number in range(20):
            row = {"id": number, "v": "bad" if number in BAD else f"v{number}"}
            after = {"id": number, "v": "worse" if number in BAD else "better"}
            records.append(table.update(row, after) if way == "updated" else
                           table.create(row) if way == "late" else table.delete(row))
    letters = apply(sink, records)
    assert len(letters) == 4 * 4 * 2 and {code for code, *_ in letters} == {"P0001"}
    there = {"updated": "v <> 'better'", "deleted": "true", "late": "v <> 'bad'",
             "marked": "cdc_operation <> 'd'"}
    for (way, _), table in tables.items():
        found = [number for number, in database.execute(
            f"select id from {table.name} where {there[way]} order by id")]
        expected = [number for number in range(20) if number not in (1, 7)] if way == "late" else [1, 7]
        assert found == expected, table.name


@pytest.mark.parametrize("code", ["P0001", "40001"])
def test_what_came_before_in_the_batch_counts_again(sink, database, code):
    """The last change of a row is refused: then the one before it stands. A partner's wait, as a
    trigger that plays foreign key has, ends when the other row is there."""
    database.execute(f"create table items ({ITEMS}); create table parents ({ITEMS})")
    database.execute(trigger(f"""
        if new.v = 'bad' then raise exception 'no' using errcode = '{code}'; end if;
        if new.v = 'child' and not exists (select from parents) then
            raise exception 'no parent' using errcode = 'foreign_key_violation'; end if;"""))
    items, parents = Table(columns=COLUMNS), Table("parents", columns=COLUMNS)

    def row(number, value):
        return {"id": number, "v": value}

    sink.write(pipeline(r"^src\..*", defaults=DEFAULTS), database=database,
               retry={"initial_ms": 1, "max_ms": 2})
    letters = apply(sink, [
        items.create(row(1, "a")), items.update(row(1, "a"), row(1, "b")),
        items.update(row(1, "b"), row(1, "bad")), items.create(row(2, "bad")),
        items.update(row(2, "bad"), row(2, "good")), items.create(row(3, "child")),
        parents.create(row(1, "p")), items.create(row(4, "d")), items.update(row(4, "d"), row(4, "bad")),
        items.delete(row(4, "bad"))])
    assert offsets_of(letters) == [2]
    assert database.execute("select id, v from items order by id") == [
        (1, "b"), (2, "good"), (3, "child")]


def test_a_trigger_of_a_table_whose_column_is_widened(sink, database):
    """PL/pgSQL keeps plans for the old type, and says 42804 for each row until they are gone."""
    small = Table(columns={"id": INT, "amount": INT})
    large = Table(columns={"id": INT, "amount": BIGINT})
    large._offsets = small._offsets
    sink.write(pipeline(small, defaults={"evolve": "widen"}), database=database,
               batch={"max_events": 100})
    sink.replay([small.create({"id": 0, "amount": 1})])
    database.execute("create table sums (sum bigint)")
    database.execute(trigger("insert into sums values (new.amount + 1); "
                             "if new.amount > 10 then perform new.amount; end if;"))
    records = [small.create({"id": number, "amount": 20}) for number in range(1, 200)]
    records += [large.create({"id": number, "amount": 1 << 40}) for number in range(200, 300)]
    assert not apply(sink, records)
    assert len(ids(database)) == 300


def test_rows_without_a_key(sink, database):
    database.execute("create table items (id int, v text, cdc_operation text, cdc_timestamp timestamptz)")
    for when, side, value, code in (("delete", "old", "bad", "P0001"),
                                    ("update", "new", "worse", "40001"),
                                    ("insert", "new", "worst", "ZZ999")):
        database.execute(trigger(f"if {side}.v = '{value}' then raise exception 'no' using "
                                 f"errcode = '{code}'; end if;", when=f"before {when}"))
    table = Table(columns=COLUMNS, key=())
    sink.write(pipeline(table, defaults=DEFAULTS), database=database,
               retry={"initial_ms": 1, "max_ms": 2})

    def row(number, value):
        return {"id": number, "v": value}

    letters = apply(sink, [
        table.create(row(1, "bad")), table.create(row(2, "x")), table.create(row(3, "worst")),
        table.create(row(4, "y")), table.delete(row(1, "bad")),
        table.update(row(2, "x"), row(2, "worse")), table.delete(row(4, "y")),
        table.update(row(2, "x"), row(2, "fine"))])
    assert sorted(offsets_of(letters)) == [2, 4, 5]
    assert database.execute("select id, v from items order by id") == [(1, "bad"), (2, "fine")]


def test_triggers_of_partitions(sink, database):
    """What PostgreSQL refuses on a trigger's account without a word of it, and a trigger without end."""
    database.execute("""
        create table items (id int primary key, v text, cdc_operation text, cdc_timestamp timestamptz)
            partition by range (id);
        create table items_1 partition of items for values from (0) to (100);
        create table items_2 partition of items for values from (100) to (200)""")
    database.execute(trigger("""
        if new.v = 'endless' then insert into items values (new.id, new.v); end if;
        if new.v = 'moved' then new.id := 150; end if;""", when="before insert"))
    table = Table(columns=COLUMNS)
    sink.write(pipeline(table, defaults=DEFAULTS), database=database)
    values = {1: "a", 2: "endless", 3: "moved", 300: "far", 4: "b"}
    letters = apply(sink, [table.create({"id": number, "v": value})
                           for number, value in values.items()])
    assert [code for code, *_ in letters] == ["54001", "0A000", "23514"]
    assert ids(database) == [1, 4]


def test_statement_triggers_and_truncates(sink, database):
    database.execute(f"create table items ({ITEMS}); create table fixed ({ITEMS}); "
                     "insert into fixed values (1, 'one'), (2, 'two')")
    database.execute(trigger("if exists (select from items where v = 'bad') then "
                             "raise exception 'no'; end if;", when="after insert", each="statement"))
    database.execute(trigger("raise exception 'never';", when="before truncate", each="statement",
                             table="fixed"))
    items, fixed = Table(columns=COLUMNS), Table("fixed", columns=COLUMNS)
    sink.write(pipeline(r"^src\..*", defaults={"on_truncate": "apply", "on_delete": "hard"}),
               database=database)
    letters = apply(sink, [fixed.truncate(), *new_rows(items), fixed.create({"id": 3, "v": "c"})])
    assert len(letters) == 1 + len(BAD)
    assert ids(database) == GOOD and ids(database, "fixed") == [1, 2, 3]


def test_checks_domains_defaults_generated_columns_rules_and_views(sink, database):
    """None of these is a trigger, and each runs a function."""
    database.execute("""
        create function strict_check(t text) returns boolean immutable language plpgsql as
            'begin if t = ''bad'' then raise exception ''no''; end if; return true; end';
        create function double_of(t text) returns text immutable language plpgsql as
            'begin if t = ''bad'' then raise exception ''no'' using errcode = ''ZZ002''; end if;
             return t || t; end';
        create domain strict_text as text check (strict_check(value))""")
    tail = "cdc_operation text, cdc_timestamp timestamptz"
    database.execute(f"""
        create table checked (id int primary key, v text check (strict_check(v)), {tail});
        create table of_domain (id int primary key, v strict_text, {tail});
        create table generated (id int primary key, v text, w text generated always as
            (double_of(v)) stored, {tail});
        create table indexed (id int primary key, v text, {tail});
        create index on indexed (double_of(v));
        create table ruled (id int, v text, {tail});
        create rule noted as on insert to ruled do also select strict_check(new.v);
        create table base (id int primary key, v text, {tail});
        create view viewed with (security_barrier) as select * from base where v <> 'bad'
            with check option;
        create view behind as select * from base where false;""")
    database.execute("""
        create function instead() returns trigger language plpgsql as
            $$begin if new.v = 'bad' then raise exception 'no'; end if; return new; end$$;
        create trigger instead instead of insert or update or delete on behind
            for each row execute function instead()""")
    names = ["checked", "of_domain", "generated", "indexed", "ruled", "viewed", "behind"]
    tables = [Table(name, columns=COLUMNS, key=() if name == "ruled" else ("id",)) for name in names]
    sink.write(pipeline(r"^src\..*", defaults={**DEFAULTS, "create_tables": False},
                        tables={name: {"key": ["id"]} for name in ("viewed", "behind")}),
               database=database)
    bad = (0, 3, 19)
    letters = apply(sink, [record for table in tables for record in new_rows(table, bad, 20)])
    good = [number for number in range(20) if number not in bad]
    for table in tables:
        mine = [code for code, _, letter in letters if letter["topic"] == table.topic]
        assert len(mine) == len(bad), (table.name, letters)
        if table.name != "behind":
            assert ids(database, table.name) == good
    assert {code for code, _, letter in letters if "viewed" in letter["topic"]} == {"44000"}


# --- limits, types that are read by their input functions, row security --------------------------


def test_program_limits(sink, database):
    deep = "[" * 20000 + "]" * 20000
    database.execute(f"""
        create table items ({ITEMS}); create index on items (v);
        create table documents (id int primary key, v jsonb, cdc_operation text, cdc_timestamp timestamptz);
        create table texts (id int primary key, v tsvector, cdc_operation text, cdc_timestamp timestamptz);
        create table wide (id int primary key, {", ".join(f"c{n} text" for n in range(900))},
            cdc_operation text, cdc_timestamp timestamptz)""")
    long = "".join(f"{number:x}" for number in range(5000))
    word = "x" * 3000
    wide = {f"c{number}": TEXT for number in range(900)}
    tables = {"items": Table(columns=COLUMNS), "documents": Table("documents", columns=COLUMNS),
              "texts": Table("texts", columns=COLUMNS),
              "wide": Table("wide", columns={"id": INT, **wide})}
    bad = {"items": {"v": long}, "documents": {"v": deep}, "texts": {"v": word},
           "wide": {name: "0123456789abcdefg" for name in wide}}
    good = {"items": {"v": "v"}, "documents": {"v": "[]"}, "texts": {"v": "a b"}, "wide": {"c1": "x"}}
    records = [table.create({"id": number, **(bad if number == 1 else good)[name]})
               for name, table in tables.items() for number in range(3)]
    sink.write(pipeline(r"^src\..*"), database=database)
    letters = apply(sink, records)
    for name in tables:
        assert ids(database, name) == [0, 2], (name, letters)
    assert [code for code, *_ in letters] == ["54000", "54001", "54000", "54000"], letters


def test_values_that_only_their_input_functions_know(sink, database):
    """A regclass that is not there is an undefined table, and yet the value is at fault."""
    types = {"regclass": ("pg_class", "missing", "not a (name"), "regtype": ("int4", "missing", "a.b.c.d"),
             "regproc": ("now", "missing", "abs"), "regrole": ("ods", "missing", "a.b"),
             "ltree": ("a.b", "a..b", "a b"), "hstore": ("a=>1", "a=>", "=")}
    administer_extensions(sink, database, "hstore", "ltree")
    for name in types:
        database.execute(f"create table t{name} (id int primary key, v {name}, cdc_operation text, "
                         "cdc_timestamp timestamptz)")
    records = []
    for name, values in types.items():
        table = Table(f"t{name}", columns=COLUMNS)
        records += [table.create({"id": number, "v": value})
                    for number, value in enumerate((*values, values[0]))]
    sink.write(pipeline(r"^src\..*"), database=database)
    letters = apply(sink, records)
    for name in types:
        assert ids(database, f"t{name}") == [0, 3], (name, letters)


def administer_extensions(sink, database, *names):
    for name in names:
        administer(sink.stack, f"create extension {name}", database.name)


def test_row_security_refuses_rows_and_a_missing_right_stops(sink, database):
    administer(sink.stack, f"""
        create table items ({ITEMS}); grant all on items to ods; grant all on schema public to ods;
        alter table items enable row level security;
        create policy good on items using (true) with check (v <> 'bad')""", database.name)
    table = Table(columns=COLUMNS)
    sink.write(pipeline(table, defaults={"evolve": "none"}), database=database)
    letters = apply(sink, new_rows(table))
    assert [code for code, *_ in letters] == ["42501"] * len(BAD)
    assert ids(database) == GOOD
    administer(sink.stack, "revoke insert, update on items from ods", database.name)
    said = sink.replay_fails([table.create({"id": 1000, "v": "v"})], Exit.TARGET).stderr
    assert "permission denied" in said


def test_what_is_of_nobody_stops_with_the_whole_error(sink, database):
    """A table that is published without replica identity takes no updates: configuration."""
    database.execute("create table items (id int not null, v text, cdc_operation text, "
                     "cdc_timestamp timestamptz); create unique index on items (id)")
    administer(sink.stack, "create publication everything for table items", database.name)
    table = Table(columns=COLUMNS)
    sink.write(pipeline(table), database=database)
    database.execute("insert into items values (1, 'a')")
    said = sink.replay_fails([table.update({"id": 1, "v": "a"}, {"id": 1, "v": "b"})], Exit.TARGET)
    assert "replica identity" in said.stderr


# --- on_trigger_error ----------------------------------------------------------------------------


@pytest.mark.parametrize("when, constraint", [
    ("before insert", ""), ("after insert", "constraint"), ("before truncate", "")])
def test_on_trigger_error_stop(sink, database, when, constraint):
    each = "statement" if "truncate" in when else "row"
    body = "raise exception 'not that';" if each == "statement" else \
        "if new.v = 'bad' then raise exception 'not that'; end if;"
    database.execute(f"create table items ({ITEMS}); insert into items values (-1, 'old')")
    database.execute(trigger(body, when, each, constraint=constraint))
    table = Table(columns=COLUMNS)
    sink.write(pipeline(table, defaults={"on_truncate": "apply"},
                        tables={"items": {"on_trigger_error": "stop", "on_delete": "hard"}}),
               database=database)
    path = sink.folder / "letters.jsonl"
    records = new_rows(table, bad=(7,)) if each == "row" else [table.truncate()]
    done = sink.run("replay", "-c", sink.conf, "--dead-letter", path, sink.file_of(records),
                    expect=Exit.TARGET)
    assert "not that" in done.stderr and "on_trigger_error" in done.stderr
    assert f"offset {7 if each == 'row' else 0}" in done.stderr
    assert ids(database) == [-1]
    assert not path.exists() or not read_lines(path)
    sink.write(pipeline(table, defaults={"on_truncate": "apply", "on_delete": "hard"}),
               database=database)
    assert offsets_of(apply(sink, records)) == [7 if each == "row" else 0]


def test_other_refusals_do_not_ask_on_trigger_error(sink, database):
    """Nor does a row that quotes what an error from a function looks like."""
    database.execute("create table items (id int primary key, v varchar(3), j jsonb, cdc_operation text, "
                     "cdc_timestamp timestamptz, check (v <> 'bad'))")
    table = Table(columns={**COLUMNS, "j": TEXT})
    sink.write(pipeline(table, defaults={"on_trigger_error": "stop"}), database=database)
    frame = "PL/pgSQL function x() line 1 at RAISE"
    letters = apply(sink, [
        table.create({"id": 1, "v": "bad"}), table.create({"id": 2, "v": "long"}),
        table.create({"id": 3, "v": "ok"}), table.create({"id": 4, "v": "ok", "j": f'["a",\n{frame}'}),
        table.create({"id": 5, "v": "ok", "j": f'["a", {frame}'})])
    assert sorted(offsets_of(letters)) == [0, 1, 3, 4] and ids(database) == [3]


def test_an_event_trigger_that_forbids_a_table(sink, database):
    """Other tables go on; with `stop` the lane does not."""
    administer(sink.stack, """
        create function forbid() returns event_trigger language plpgsql as $$
            declare made record; begin
            for made in select * from pg_event_trigger_ddl_commands() loop
                if made.object_identity like '%odd%' then raise exception 'no such table here'; end if;
            end loop; end $$;
        create event trigger forbid on ddl_command_end execute function forbid()""", database.name)
    odd, items = Table("odd", columns=COLUMNS), Table(columns=COLUMNS)
    sink.write(pipeline(r"^src\..*"), database=database)
    letters = apply(sink, [odd.create({"id": 1, "v": "a"}), items.create({"id": 1, "v": "a"})])
    assert len(letters) == 1 and "no such table here" in letters[0][1]
    assert ids(database) == [1]
    sink.write(pipeline(r"^src\..*", defaults={"on_trigger_error": "stop"}), database=database)
    said = sink.replay_fails([odd.create({"id": 2, "v": "a"})], Exit.TARGET).stderr
    assert "no such table here" in said and "on_trigger_error" in said


# --- the list ------------------------------------------------------------------------------------


def test_each_code_of_the_server_is_in_the_list():
    """tests/unit/sqlstates.txt, against which the sink's table is held, lacks no class of codes that
    the installed server has. A code that a minor version adds to a class is what the class is."""
    listed = {line.split()[0] for line in (ROOT / "tests/unit/sqlstates.txt").read_text().splitlines()
              if line and not line.startswith("#")}
    classes = {code[:2] for code in listed}
    for path in Path("/usr/share/postgresql").glob("*/errcodes.txt"):
        codes = set(re.findall(r"^([0-9A-Z]{5})\s+[EWS]\s", path.read_text(), re.M))
        assert len(codes & listed) > 200, path
        assert {code[:2] for code in codes} <= classes, f"{path}: {sorted(codes - listed)}"


def test_the_page_has_the_table_that_decides():
    """python3 tests/fault/publish.py --page writes it."""
    page = (ROOT / "docs/reliability.md").read_text()
    assert "\n".join(sqlstates.table()) in page


# --- the daemon, and letters that are replayed ---------------------------------------------------


def test_the_daemon_goes_on_and_letters_are_replayed(sink, database, kafka, table, prefix):
    """A letter whose trigger still refuses it stays one, by whatever code; once the trigger is gone
    it is applied."""
    letters = kafka.create(f"{prefix}.letters", 1)
    table.columns = COLUMNS
    database.execute(f"create table items ({ITEMS})")
    database.execute(trigger("if new.v = 'bad' then raise exception 'no'; end if;"))
    database.execute(trigger("if new.v = 'late' then raise exception 'no' using errcode = '40001'; "
                             "end if;", when="after insert", constraint="constraint"))
    values = ["a", "bad", "b", "late", "c"]
    kafka.produce([table.create({"id": number, "v": value})
                   for number, value in enumerate(values)])
    sink.write(pipeline(table), database=database, kafka=True, dead_letter={"topic": letters},
               retry={"initial_ms": 1, "max_ms": 2})
    daemon = sink.daemon()
    daemon.await_that(lambda: list(database.offsets().values()) == [5], what="the end")
    daemon.stop()
    assert ids(database) == [0, 2, 4] and kafka.count(letters) == 2
    refused = json.loads(sink.run("dlq", "replay", "-c", sink.conf, "--json",
                                  expect=Exit.NEGATIVE).stdout)
    assert (refused["replayed"], refused["refused"]) == (0, 2)
    database.execute("drop function on_items_before_insert_or_updaterow cascade; "
                     "drop function on_items_after_insertrow cascade")
    replayed = json.loads(sink.run("dlq", "replay", "-c", sink.conf, "--json").stdout)
    assert (replayed["replayed"], replayed["refused"]) == (2, 0)
    assert ids(database) == [0, 1, 2, 3, 4]
