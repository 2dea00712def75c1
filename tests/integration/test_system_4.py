"""The scenarios of docs/system-4.md that are about what a source sends: changes of its schema (S1 to S6) and
shapes of XML (X1 to X8), each through a daemon into PostgreSQL, with a join and a table out of XML that the
target keeps. What is asserted is all that the tables have in the end."""

import datetime
import json

import pytest
from lib.derived import Kept, await_equal
from lib.postgres import create_database, drop_database
from lib.records import INT, TEXT, Table
from lib.sink import Setup, free_port

from conftest import build

SMALL, LONG = {"type": "int16"}, {"type": "int64"}
DATE = {"type": "int64", "name": "io.debezium.time.Timestamp", "version": 1}
DEFAULTS = {"fold": "lower", "on_delete": "hard", "evolve": "full"}
STEPS = ("s1", "s2", "s3", "s4", "s5", "s6")


class Oracle(Table):
    """A table of the schema SHOP; all share one topic, so that their changes are in one order."""

    def __init__(self, name, columns, key=("ID",)):
        super().__init__(name, columns, key=key, database="SHOP", prefix="ora")
        self.topic = "ora.all"

    def with_columns(self, **columns):
        """The table after a change of its schema."""
        self.columns = {name: schema for name, schema in columns.items() if schema}
        return self

    def _source(self, ts_ms):
        return {"version": "3.3.1.Final", "connector": "oracle", "name": "ora", "ts_ms": ts_ms,
                "snapshot": "false", "db": "ORCLPDB1", "schema": "SHOP", "table": self.name,
                "txId": "0500", "scn": str(ts_ms), "commit_scn": str(ts_ms + 1), "rs_id": "1", "ssn": 0,
                "redo_thread": 1}


def columns_of(**more):
    return {"ID": INT, "OWNER": INT, **more, "DOC": TEXT}


def join_of(step, *columns):
    """Its rows with their owners' names, and a row for each <n> in their documents."""
    named = "".join(f", t.{column}" for column in columns)
    return [{"name": f"{step}_view", "key": ["id"],
             "query": f"select t.id, p.name{named} from {step} t join people p on p.id = t.owner",
             "depends": {step: {"by": ["id"]},
                         "people": {"by": ["id"],
                                    "keys": f"select t.id from changed join {step} t on t.owner = "
                                            "changed.id"}}},
            xml_of(step, f"{step}_xml", "'/o/n' passing (t.doc::xml) columns i for ordinality, n int path '.'",
                   ["i"])]


def xml_of(table, name, xmltable, key=()):
    return {"name": name, "anchor": ["id"], "key": ["id", *key],
            "query": f"select t.id, x.* from {table} t, xmltable({xmltable}) x",
            "depends": {table: {"by": ["id"]}}}


# What each shape is taken out with.
SHAPES = [
    xml_of("x1", "x1_rows", "'/o' passing (t.doc::xml) columns a text path 'a', b int path 'b/c'"),
    xml_of("x2", "x2_lines", "'/o/l' passing (t.doc::xml) columns l for ordinality, s text path 's'", ["l"]),
    {"name": "x2_parts", "anchor": ["id"], "key": ["id", "l", "p"],
     "query": "select t.id, x.l, y.p, y.v from x2 t, xmltable('/o/l' passing (t.doc::xml) columns "
              "l for ordinality, inner_xml xml path '.') x, xmltable('/l/p' passing x.inner_xml columns "
              "p for ordinality, v int path '.') y", "depends": {"x2": {"by": ["id"]}}},
    xml_of("x3", "x3_rows", "'/o' passing (t.doc::xml) columns a text path '@a', b int path 'c/@b'"),
    xml_of("x4", "x4_rows", "xmlnamespaces('urn:a' as a, 'urn:b' as b), '/a:o' passing (t.doc::xml) columns "
                            "n int path 'a:n', m int path 'b:m', k int path '@b:k'"),
    xml_of("x5", "x5_rows", "'/o' passing (t.doc::xml) columns a text path 'a', b text path 'b'"),
    {"name": "x6_rows", "key": ["id"], "depends": {"x6": {"by": ["id"]}},
     "query": "select t.id, nullif(x.n, '')::int as n, x.s from x6 t, xmltable('/o' passing (t.doc::xml) "
              "columns n text path 'n', s text path 's') x"},
    {**xml_of("x7", "x7_rows", "'/o' passing (t.doc::xml) columns n int path 'n'"), "outbox": True},
    xml_of("x8", "x8_rows", "'/o/n' passing (t.doc::xml) columns i for ordinality, n int path '.'", ["i"]),
]
DERIVED = [*join_of("s1", "amount"), *join_of("s2", "note"), *join_of("s3", "note"),
           *join_of("s4", "amount"), *join_of("s5", "amount"), *join_of("s6", "amount"), *SHAPES]


class World:
    def __init__(self, stack, folder):
        self.database = create_database(stack, "system_4")
        self.sink = Setup(folder, build("asan"), stack)
        self.kept = Kept(self.sink, self.database, folder, [Oracle("none", {"ID": INT})], DERIVED,
                         listen=f"127.0.0.1:{free_port()}",
                         pipeline={"format": "debezium", "defaults": DEFAULTS})
        self.people = Oracle("PEOPLE", {"ID": INT, "NAME": TEXT})
        self.daemon = self.kept.start()
        self.offset = 0

    def send(self, *records):
        """And wait until the target has them."""
        for record in records:
            self.kept.append({**record, "offset": self.offset})
            self.offset += 1
        self.daemon.await_that(lambda: sum(self.database.offsets().values()) == self.offset,
                               what=f"{self.offset} records applied")

    def start(self, table):
        """Its first rows, one of which has no partner yet."""
        rows = [{"ID": n, "OWNER": n, "AMOUNT": n * 10, "NOTE": f"note {n}", "DOC": doc(n)}
                for n in (1, 2)]
        self.send(*[table.create(row) for row in rows])
        self.send(self.people.create({"ID": 1, "NAME": "Ada"}))
        return rows

    def equal(self, name):
        """Waits until the table is its query; its rows."""
        [one] = [one for one in DERIVED if one["name"] == name]
        await_equal(self.daemon, self.database, name, one["query"])
        return self.rows(name)

    def rows(self, table, columns="*"):
        return self.database.execute(f"select {columns} from {table} order by 1, 2")

    def took(self, step, base, view, xml=3):
        """The three tables of a step, and that the next changes still arrive."""
        assert self.equal(f"{step}_view") == view
        assert len(self.equal(f"{step}_xml")) == xml
        assert self.rows(step, base[0]) == base[1]


def doc(*numbers):
    return "<o>" + "".join(f"<n>{number}</n>" for number in numbers) + "</o>"


@pytest.fixture(scope="module")
def world(stack, tmp_path_factory):
    stack.up("postgres")
    world = World(stack, tmp_path_factory.mktemp("system-4"))
    try:
        yield world
        world.daemon.stop()
    finally:
        world.sink.close()
        world.database.close()
        drop_database(stack, "system_4")


def third(**more):
    return {"ID": 3, "OWNER": 1, "DOC": doc(5), **more}


def test_s1_column_added(world):
    """It is added; the join does not name it and stays as it was."""
    table = Oracle("S1", columns_of(AMOUNT=INT))
    world.start(table)
    table.with_columns(**columns_of(AMOUNT=INT, EXTRA=TEXT))
    world.send(table.create(third(AMOUNT=30, EXTRA="new")))
    world.took("s1", ("id, amount, extra", [(1, 10, None), (2, 20, None), (3, 30, "new")]),
               [(1, "Ada", 10), (3, "Ada", 30)])
    assert list(world.database.columns("s1_view")) == ["id", "name", "amount"]


def test_s2_column_dropped(world):
    """It stays, with what it had; rows written from now on have NULL, also in the join that names it."""
    table = Oracle("S2", columns_of(NOTE=TEXT))
    first, _ = world.start(table)
    table.with_columns(**columns_of())
    world.send(table.create(third()), table.update(first, {**first, "DOC": doc(1, 2)}))
    world.took("s2", ("id, note", [(1, "note 1"), (2, "note 2"), (3, None)]),
               [(1, "Ada", "note 1"), (3, "Ada", None)], xml=4)


def test_s3_column_renamed(world):
    """To a target it is one that goes and one that comes: nothing says that they are the same."""
    table = Oracle("S3", columns_of(NOTE=TEXT))
    first, _ = world.start(table)
    table.with_columns(**columns_of(REMARK=TEXT))
    world.send(table.create(third(REMARK="third")),
               table.update(first, {**first, "REMARK": "again"}))
    world.took("s3", ("id, note, remark", [(1, "note 1", "again"), (2, "note 2", None),
                                           (3, None, "third")]),
               [(1, "Ada", "note 1"), (3, "Ada", None)])


def test_s4_column_widened(world):
    """In place; the join's column gets the wider type too."""
    table = Oracle("S4", columns_of(AMOUNT=SMALL))
    world.start(table)
    world.equal("s4_view")
    table.with_columns(**columns_of(AMOUNT=LONG))
    world.send(table.create(third(AMOUNT=3_000_000_000)))
    world.took("s4", ("id, amount", [(1, 10), (2, 20), (3, 3_000_000_000)]),
               [(1, "Ada", 10), (3, "Ada", 3_000_000_000)])
    assert world.database.columns("s4")["amount"] == "bigint"
    assert world.database.columns("s4_view")["amount"] == "bigint"


def test_s5_incompatible_type(world):
    """With `evolve: full` the old column is kept under another name beside the new one."""
    table = Oracle("S5", columns_of(AMOUNT=INT))
    world.start(table)
    world.equal("s5_view")
    table.with_columns(**columns_of(AMOUNT=DATE))
    world.send(table.create(third(AMOUNT=1_767_225_600_000)))
    moment = datetime.datetime(2026, 1, 1)
    world.took("s5", ("id, amount__v1, amount", [(1, 10, None), (2, 20, None), (3, None, moment)]),
               [(1, "Ada", None), (3, "Ada", moment)])


def test_s5_incompatible_type_by_default(sink, database):
    """With the other policies such a row is a dead letter; the others go on."""
    table = Oracle("S5", columns_of(AMOUNT=INT))
    sink.write({"name": "shop", "topics": [table.topic], "format": "debezium", "target": "ods",
                "defaults": {**DEFAULTS, "evolve": "widen"}}, database=database)
    records = [table.create({"ID": 1, "OWNER": 1, "AMOUNT": 10, "DOC": doc(1)})]
    table.with_columns(**columns_of(AMOUNT=DATE))
    records.append(table.create(third(AMOUNT=1_767_225_600_123)))
    records.append(table.create({**third(AMOUNT=None), "ID": 4}))
    summary = sink.replay(records, dead_letter=sink.folder / "letters.jsonl")
    assert summary["rejected"] == 1
    assert database.execute("select id, amount from s5 order by id") == [(1, 10), (4, None)]


def test_s6_new_table_default_and_null(world):
    """A new table is made. A column that may be NULL from now on is so here; one that may not stays as it is,
    since old rows have NULLs."""
    table = Oracle("S6", columns_of(AMOUNT={**INT, "optional": False}, NOTE=TEXT))
    world.start(table)
    fresh = Oracle("S6_NEW", {"ID": INT, "KIND": {**TEXT, "default": "other"}})
    table.with_columns(**columns_of(AMOUNT=INT, NOTE={**TEXT, "default": "none"}))
    world.send(fresh.create({"ID": 1, "KIND": "first"}), table.create(third(AMOUNT=None, NOTE=None)),
               table.create({**third(AMOUNT=7, NOTE="x"), "ID": 4}))
    world.took("s6", ("id, amount, note", [(1, 10, "note 1"), (2, 20, "note 2"), (3, None, None),
                                           (4, 7, "x")]),
               [(1, "Ada", 10), (3, "Ada", None), (4, "Ada", 7)], xml=4)
    assert world.rows("s6_new", "id, kind") == [(1, "first")]


def documents(world, name, *documents):
    table = Oracle(name, {"ID": INT, "DOC": TEXT})
    world.send(*[table.create({"ID": number, "DOC": document})
                 for number, document in enumerate(documents, 1)])
    return table


def test_x1_elements_to_columns(world):
    documents(world, "X1", "<o><a>one</a><b><c>2</c></b></o>", "<o><b><c>-3</c></b><a>x &amp; y</a></o>")
    assert world.equal("x1_rows") == [(1, "one", 2), (2, "x & y", -3)]


def test_x2_repeated_and_nested(world):
    """Child rows of two levels, replaced as a set with their parent, and gone with it."""
    table = documents(world, "X2", "<o><l><s>a</s><p>1</p><p>2</p></l><l><s>b</s></l></o>",
                      "<o><l><s>c</s><p>3</p></l></o>", "<o/>")
    assert world.equal("x2_lines") == [(1, 1, "a"), (1, 2, "b"), (2, 1, "c")]
    assert world.equal("x2_parts") == [(1, 1, 1, 1), (1, 1, 2, 2), (2, 1, 1, 3)]
    world.send(table.update({"ID": 1, "DOC": "-"}, {"ID": 1, "DOC": "<o><l><s>d</s><p>9</p></l></o>"}),
               table.delete({"ID": 2, "DOC": None}))
    assert world.equal("x2_lines") == [(1, 1, "d")]
    assert world.equal("x2_parts") == [(1, 1, 1, 9)]


def test_x3_attributes(world):
    documents(world, "X3", "<o a='1 &lt; 2'><c b='7'/></o>", "<o><c/></o>")
    assert world.equal("x3_rows") == [(1, "1 < 2", 7), (2, None, None)]


def test_x4_namespaces(world):
    """Default and prefixed; whichever prefixes a document has; the same names outside of them are others."""
    documents(world, "X4", '<o xmlns="urn:a" xmlns:b="urn:b" b:k="1"><n>2</n><b:m>3</b:m></o>',
              '<q:o xmlns:q="urn:a" xmlns="urn:b" xmlns:z="urn:b" z:k="4"><q:n>5</q:n><m>6</m></q:o>',
              "<o k='7'><n>8</n></o>")
    assert world.equal("x4_rows") == [(1, 2, 3, 1), (2, 5, 6, 4)]


def test_x5_cdata_entities_encodings_instructions(world):
    documents(world, "X5", "<o><a><![CDATA[<b> & ]]></a><b>&lt;&#233;&#x1F4E6;&quot;</b></o>",
              "<?xml version='1.0' encoding='ISO-8859-1'?><?p q?><!-- c --><o><a>\u00e9</a><b>x<?r?>y</b></o>",
              '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<o><a> \u7bb1 </a><b/></o>')
    assert world.equal("x5_rows") == [(1, "<b> & ", '<\u00e9\U0001F4E6"'), (2, "\u00e9", "xy"),
                                      (3, " \u7bb1 ", "")]


def test_x6_missing_empty_nil(world):
    nil = 'xmlns:i="http://www.w3.org/2001/XMLSchema-instance"'
    table = documents(world, "X6", "<o><n>1</n><s>a</s></o>", "<o/>", "<o><n/><s></s></o>",
                      f'<o {nil}><n i:nil="true"/><s i:nil="true"/></o>')
    world.send(table.create({"ID": 5, "DOC": None}))
    assert world.equal("x6_rows") == [(1, 1, "a"), (2, None, None), (3, None, ""), (4, None, "")]
    assert world.rows("x6", "id, doc is null")[4] == (5, True)


def test_x7_not_well_formed(world):
    """Its base row is in, its key is set aside with PostgreSQL's words and told in the outbox; others go on,
    and a document that is mended is read."""
    table = documents(world, "X7", "<o><n>1</n></o>", "<o><n>2</o>", "no XML", "<o><n>x</n></o>",
                      "<o><n>5</n></o>")
    # Invalid XML, as a document or as content; no whole number.
    assert [code[:4] for code in failed(world, "x7_rows", 3)] == ["2200", "2200", "22P0"]
    assert world.rows("x7_rows") == [(1, 1), (5, 5)] and len(world.rows("x7", "id, doc")) == 5
    told = world.database.execute("select key->>'id', error->>'code', error->>'message' from "
                                  "ods_sink.outbox where name = 'x7_rows' and op = 'e' order by 1")
    assert [(key, code[:4]) for key, code, _ in told] == [("2", "2200"), ("3", "2200"), ("4", "22P0")]
    assert all(message for _, _, message in told)
    world.send(table.update({"ID": 2, "DOC": "-"}, {"ID": 2, "DOC": "<o><n>2</n></o>"}))
    world.daemon.await_that(lambda: world.rows("x7_rows") == [(1, 1), (2, 2), (5, 5)])


def failed(world, name, count):
    def codes():
        return [code for code, in world.database.execute(
            "select code from ods_sink.derived_errors where derived = %s order by key::text",
            f"public.{name}")]

    world.daemon.await_that(lambda: world.database.exists("ods_sink.derived_errors")
                            and len(codes()) == count, what=f"{count} keys of {name} set aside")
    return codes()


def test_x8_large_and_hostile(world, tmp_path):
    """10 MB and 10,000 repeats are read; what is nested 1,000 deep, and entities that multiply, are set aside;
    of an external entity nothing is read."""
    secret = tmp_path / "secret"
    secret.write_text("42")
    bomb = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 20))
    large = "<o>" + f"<!--{'x' * 990}--><n>1</n>" * 10000 + "</o>"
    assert len(large) > 10_000_000
    documents(world, "X8", large, "<o>" + "<n>" * 1000 + "</n>" * 1000 + "</o>",
              f'<!DOCTYPE o [<!ENTITY a0 "9">{bomb}]><o><n>&a19;</n></o>',
              f'<!DOCTYPE o [<!ENTITY a SYSTEM "file://{secret}">]><o><n>7&a;</n></o>', doc(8))
    assert len(failed(world, "x8_rows", 2)) == 2
    world.daemon.await_that(lambda: world.database.count("x8_rows") == 10002)
    assert world.rows("x8_rows", "id, n, count(*)".replace("count(*)", "1"))[-2:] == [(4, 7, 1), (5, 8, 1)]
    assert len(world.rows("x8", "id, 1")) == 5
