"""Derived tables: XML, keys whose query fails, columns that come and go, what the configuration
refuses, and what commands say."""

import json
import re

import pytest
from conftest import ROOT
from lib.derived import Kept, await_equal, differences, quiet
from lib.records import INT, TEXT, Table
from lib.sink import Exit, free_port
from test_derived import DEPENDS, IDLE, JOIN, RICH, SCHEMA, TOTALS, VIEW, foreign

LINES = {
    "name": "order_lines", "anchor": ["order_id"], "key": ["order_id", "line"], "outbox": True,
    "query": "select o.order_id, x.* from docs o, xmltable(xmlnamespaces('urn:shop' as s), "
             "'/order/line' passing (o.doc::xml) columns line for ordinality, sku text path '@sku', "
             "qty int path 'qty', note text path 's:note') x where o.cdc_operation <> 'd'",
    "depends": {"docs": {"by": ["order_id"]}}}
PARTS = {
    "name": "line_parts", "anchor": ["order_id"], "key": ["order_id", "line", "part"],
    "query": "select o.order_id, l.line, p.part, p.name from docs o, xmltable('/order/line' passing "
             "(o.doc::xml) columns line for ordinality, body xml path '.') l, xmltable('/line/part' "
             "passing l.body columns part for ordinality, name text path '.') p "
             "where o.cdc_operation <> 'd'",
    "depends": {"docs": {"by": ["order_id"]}}}
EXAMPLE = ROOT / "examples" / "derived"
DEEP = "<a>" * 1000 + "</a>" * 1000
BOMB = "<!DOCTYPE o [<!ENTITY a 'aaaaaaaaaa'>" + "".join(
    f"<!ENTITY {chr(98 + n)} '{('&' + chr(97 + n) + ';') * 10}'>" for n in range(9)) + \
    "]><order><line sku='b'><qty>1</qty>&j;</line></order>"
OUTSIDE = "<!DOCTYPE o [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>" \
    "<order><line sku='x'><qty>1</qty><part>&x;</part></line></order>"


def docs():
    return Table("docs", {"order_id": INT, "doc": TEXT}, key=("order_id",))


def line(sku, qty, more=""):
    return f"<line sku='{sku}'><qty>{qty}</qty>{more}</line>"


def text_of(*lines):
    return f"<order>{''.join(lines)}</order>"


def test_xml(sink, database, tmp_path):
    """Elements, attributes, namespaces, children of children, CDATA and entities; documents that
    can't be read are set aside, and come back when they are mended."""
    table = docs()
    kept = Kept(sink, database, tmp_path, [table], [LINES, PARTS])
    good = [text_of(line("a", 1, "<part>p</part><part>q</part>"), line("b", 2)),
            "<order xmlns:s='urn:shop'><line sku='n'><qty>3</qty><s:note>&lt;x&gt;</s:note>"
            "<part><![CDATA[<&]]></part></line></order>",
            "<?xml version='1.0'?><?pi x?><order><line sku='e'/></order>", "<order/>",
            text_of(*(line("m", n) for n in range(2000)))]
    bad = ["<order><line></order>", DEEP, BOMB, "", "no xml"]
    texts = dict(enumerate(good)) | {100 + n: text for n, text in enumerate(bad)} | {200: OUTSIDE}
    kept.append(*(table.create({"order_id": n, "doc": text}) for n, text in texts.items()))
    daemon = kept.start()
    daemon.await_that(lambda: all(quiet(database, one) for one in ("order_lines", "line_parts"))
                      and database.count("ods_sink.derived_errors") == 2 * len(bad) + 1)
    assert database.count("docs") == len(texts)
    for one in kept.derived:
        # The query itself, of documents that can be read.
        query = one["query"] + " and o.order_id not between 100 and 200"
        database.execute(f"delete from {one['name']} where order_id = 200")
        assert not differences(database, one["name"], query)
    assert database.count("order_lines", "order_id = 4") == 2000
    assert database.execute("select name from line_parts where order_id = 0 order by part") == \
        [("p",), ("q",)]
    assert database.value("select note from order_lines where order_id = 1") == "<x>"
    # A reference to a file stays a reference, of which the parts can make nothing.
    assert database.value("select message like '%Entity%' from ods_sink.derived_errors where derived "
                          "= 'public.line_parts' and key->>'order_id' = '200'")
    errors = dict(database.execute("select (key->>'order_id')::int, code || ' ' || message from "
                                   "ods_sink.derived_errors where derived = 'public.order_lines'"))
    assert set(errors) == set(range(100, 100 + len(bad)))
    assert errors[100].startswith("2200M invalid XML document") or \
        errors[100].startswith("2200N invalid XML content"), errors[100]
    assert "line" in errors[100] and "target" not in errors[100], errors[100]
    assert database.value("select count(*) from ods_sink.outbox where op = 'e' and error->>'code' "
                          "like '2200%'") == len(bad)
    # A document is mended, another one loses a line, a third one breaks: its rows stay.
    kept.append(table.update({"order_id": 100, "doc": bad[0]},
                             {"order_id": 100, "doc": text_of(line("z", 9))}),
                table.update({"order_id": 0, "doc": good[0]},
                             {"order_id": 0, "doc": text_of(line("b", 2))}),
                table.update({"order_id": 1, "doc": good[1]}, {"order_id": 1, "doc": "<broken"}))
    daemon.await_that(lambda: database.count("order_lines", "sku = 'z'") == 1 and
                      database.count("ods_sink.derived_errors", "key->>'order_id' = '1'") == 2)
    assert database.count("ods_sink.derived_errors", "key->>'order_id' = '100'") == 0
    assert database.count("order_lines", "order_id = 0") == 1
    assert database.count("order_lines", "order_id = 1") == 1
    kept.append(table.delete({"order_id": 1, "doc": "<broken"}))
    daemon.await_that(lambda: database.count("order_lines", "order_id = 1") == 0)
    daemon.await_that(lambda: not database.count("ods_sink.derived_errors",
                                                 "key->>'order_id' = '1'"))
    daemon.stop()


def test_keys_that_fail(sink, database, tmp_path):
    """A division by zero, two rows of one key and NULL in a key among many keys: each is set aside
    by itself."""
    database.execute("create table n (id int primary key, by_ int, twice bool, none bool)")
    database.execute("insert into n select i, i % 50, false, false from generate_series(1, 1000) i")
    query = ("select case when none then null else id end as id, coalesce(id, 0) as anchor, 100 / "
             "nullif(by_, -1) as part from n cross join generate_series(1, case when twice then 2 "
             "else 1 end)")
    entry = {"name": "parts", "key": ["id"], "query": query,
             "depends": {"n": {"by": ["id"], "triggers": True}}}
    kept = Kept(sink, database, tmp_path, derived=[entry])
    daemon = kept.start()
    daemon.await_that(lambda: quiet(database, "parts"))
    assert database.count("parts") == 980
    assert database.count("ods_sink.derived_errors", "code = '22012'") == 20
    database.execute("update n set by_ = 1 where by_ = 0; update n set twice = true where id = 7")
    daemon.await_that(lambda: database.count("ods_sink.derived_errors") == 1 and
                      quiet(database, "parts"))
    assert database.execute("select key->>'id', code from ods_sink.derived_errors") == \
        [("7", "21000")]
    assert database.count("parts") == 1000
    database.execute("update n set twice = false where id = 7")
    daemon.await_that(lambda: database.count("ods_sink.derived_errors") == 0)
    daemon.stop()


def test_columns_come_and_go(sink, database, tmp_path):
    """What the base tables get changes nothing until the query names it; the table is readable
    meanwhile. Types follow. A missing column stops this table alone."""
    database.execute(SCHEMA)
    database.execute("insert into customers select i, 'n' from generate_series(1, 5) i")
    database.execute("insert into orders select i, i % 5 + 1, 'a', i from generate_series(1, 50) i")
    kept = Kept(sink, database, tmp_path, derived=[foreign(VIEW), foreign(TOTALS)])
    daemon = kept.start()
    await_equal(daemon, database, "order_view", JOIN)
    database.execute("alter table orders add extra text default 'x'")
    database.execute("update orders set amount = 7 where order_id = 1")
    await_equal(daemon, database, "order_view", JOIN)
    assert "extra" not in database.columns("order_view")
    database.execute("alter table orders alter amount type bigint")
    database.execute("update orders set amount = 7000000000 where order_id = 2")
    await_equal(daemon, database, "order_view", JOIN)
    assert database.columns("order_view")["amount"] == "bigint"
    daemon.stop()
    named = JOIN.replace("o.amount", "o.amount, o.extra").replace("c.name, ", "")
    kept.derived[0] = {**kept.derived[0], "query": named}
    daemon = kept.write().start()
    daemon.await_that(lambda: "extra" in database.columns("order_view"))
    daemon.await_that(lambda: quiet(database, "order_view") and
                      database.count("order_view", "extra = 'x'") == 50)
    assert "name" not in database.columns("order_view")
    # A column that the query names is gone: the other table goes on, and this one when it is back.
    database.execute("alter table orders rename extra to other")
    database.execute("update orders set amount = 8 where order_id = 1")
    await_equal(daemon, database, "totals", kept.derived[1]["query"])
    daemon.await_that(lambda: database.value("select problem like '%extra%' from ods_sink.derived "
                                             "where name = 'public.order_view'"))
    assert database.count("order_view") == 50
    database.execute("alter table orders rename other to extra")
    daemon.await_that(lambda: database.count("order_view", "amount = 8") == 1)
    # Another key, and a truncate.
    daemon.stop()
    kept.derived[1] = {**foreign(IDLE), "name": "totals"}
    daemon = kept.write().start()
    daemon.await_that(lambda: list(database.columns("totals")) == ["customer_id", "name"])
    await_equal(daemon, database, "totals", IDLE["query"])
    database.execute("truncate orders")
    daemon.await_that(lambda: database.count("totals") == 5 and database.count("order_view") == 0)
    daemon.stop()


BASE = {"name": "d", "key": ["a"], "query": "select 1 as a", "depends": {"t": {"by": ["a"]}}}
REFUSED = [
    ({"depends": {"t": {"by": ["a", "b"]}}}, "'by' of 't' has 2 columns and the anchor 1"),
    ({"anchor": ["b"]}, "column 'b' of the anchor is not among those of 'key'"),
    ({"key": ["a", "a"]}, "column 'a' stands twice in 'key'"),
    ({"depends": {}}, "'depends' needs at least one table"),
    ({"depends": {"t": {}}}, "'by' is missing"),
    ({"target": "nowhere"}, "'target' names 'nowhere', which is no target"),
    ({"name": "a.b.c"}, "expects \"table\" or \"schema.table\""),
    ({"depends": {"d": {"by": ["a"]}}}, "depends on itself"),
    ({"max_keys_per_pass": 0}, "max_keys_per_pass"),
    ({"quary": "x"}, "did you mean"),
]


@pytest.mark.parametrize("change, said", REFUSED, ids=[said for _, said in REFUSED])
def test_refused(sink, database, tmp_path, change, said):
    Kept(sink, database, tmp_path, derived=[{**BASE, **change}])
    done = sink.check(expect=Exit.CONFIG)
    lines = [text for text in done.stderr.splitlines() if said in text]
    assert lines and "tables.yaml:" in lines[0], done.stderr


def test_circles(sink, database, tmp_path):
    one = {**BASE, "name": "one", "depends": {"two": {"by": ["a"]}}}
    two = {**BASE, "name": "two", "depends": {"one": {"by": ["a"]}}}
    Kept(sink, database, tmp_path, derived=[one, two])
    assert "a circle can't be computed" in sink.check(expect=Exit.CONFIG).stderr
    Kept(sink, database, tmp_path, derived=[one, {**two, "name": "two", "depends": BASE["depends"]}])
    sink.check()


def test_others_tables_are_left_alone(sink, database, tmp_path):
    database.execute(SCHEMA + "; create table order_view (order_id int primary key, mine text)")
    kept = Kept(sink, database, tmp_path, derived=[foreign(VIEW), foreign(TOTALS)])
    daemon = kept.start()
    await_equal(daemon, database, "totals", TOTALS["query"])
    daemon.await_that(lambda: "ods-sink has not made" in daemon.log())
    assert list(database.columns("order_view")) == ["order_id", "mine"]
    daemon.stop()


def test_commands(sink, database, tmp_path):
    """check --connect: columns, missing indexes, wrong queries; verify --derived."""
    kept = Kept(sink, database, tmp_path, derived=[foreign(VIEW), foreign(IDLE)])
    assert "will be made when" in sink.check("--connect").stdout
    database.execute(SCHEMA.split("create index")[0])
    done = sink.check("--connect")
    assert "order_view: derived table public.order_view: order_id integer, customer_id integer, " \
        "name text, title text, amount integer" in done.stdout
    for column in ("customer_id", "sku"):
        assert f'create index concurrently on "public"."orders" ({column})' in done.stdout, done.stdout
        database.execute(f"create index on orders ({column})")
    done = sink.check("--connect", "--json")
    assert "create index" not in done.stdout, done.stdout
    database.execute("insert into customers values (1, 'a'), (2, 'b'); "
                     "insert into orders select i, i % 3, 's', i from generate_series(1, 30) i")
    assert "never computed" in sink.run("verify", "-c", sink.conf, "--derived", expect=6).stderr
    daemon = kept.start()
    for one in (VIEW, IDLE):
        await_equal(daemon, database, one["name"], one["query"])
    daemon.stop()
    done = sink.run("verify", "-c", sink.conf, "--derived")
    assert [row.split() for row in done.stdout.splitlines()[1:]] == [
        ["order_view", "30", "0", "0", "0", "0", "equal"],
        ["idle", "3", "0", "0", "0", "0", "equal"]], done.stdout
    # Somebody writes the table; what waits is left out.
    database.execute("delete from order_view where order_id = 1; insert into order_view (order_id) "
                     "values (77); update order_view set name = 'x' where order_id in (2, 4); "
                     "update customers set name = 'c' where customer_id = 2")
    done = sink.run("verify", "-c", sink.conf, "--derived", "order_view", "--json",
                    expect=Exit.NEGATIVE)
    told, = json.loads(done.stdout)["derived"]
    # Orders of customer 2 are marked: 2, 5, 8 and so on.
    assert (told["waiting"], told["missing"], told["extra"], told["changed"]) == (10, 1, 1, 1), told
    assert {"kind": "changed", "key": {"order_id": 4}} in told["differences"]
    assert "no such derived table" in sink.run("verify", "-c", sink.conf, "--derived", "nothing",
                                               expect=Exit.CONFIG).stderr
    kept.derived[0] = {**kept.derived[0], "query": JOIN.replace("p.title", "p.titel")}
    kept.write()
    done = sink.check("--connect", expect=Exit.TARGET)
    assert 'column p.titel does not exist' in done.stdout


def exported(name):
    """What the example's page has its reader export, in the repository's folder."""
    line = re.search(rf"^export {name}=(.*)$", (EXAMPLE / "README.md").read_text(), re.MULTILINE)
    return line.group(1).replace("$PWD", str(EXAMPLE.parents[1]))


def test_example(sink, database, tmp_path):
    """examples/derived as it stands."""
    port = free_port()
    env = {"ODS_DSN": database.dsn.replace("${ODS_STACK_POSTGRES_PASSWORD}",
                                           sink.stack.env["ODS_STACK_POSTGRES_PASSWORD"]),
           "ODS_PORT": str(port), "ODS_RECORDS": exported("ODS_RECORDS")}
    sink.conf, sink.http_port = EXAMPLE / "ods-sink.conf", port
    daemon = sink.daemon(env=env)
    daemon.await_that(lambda: database.count("customer_totals") == 2 and
                      database.count("order_lines", "qty = 4") == 1 and
                      database.count("order_view", "name = 'Ada L.' and amount <> 30") == 3)
    daemon.await_that(lambda: all(quiet(database, name) for name in
                                  ("order_view", "order_lines", "customer_totals")))
    assert database.execute("select * from customer_totals order by 1") == [(1, 3, 57), (2, 1, 7)]
    assert database.execute("select order_id, line, sku, qty from order_lines order by 1, 2") == [
        (1, 1, "pen", 4), (2, 1, "cup", 2), (3, 1, "map", 1)]
    assert database.value("select key->>'order_id' from ods_sink.derived_errors") == "4"
    def row():
        table = sink.run("status", "-c", sink.conf, env=env).stdout
        return next(line for line in table.splitlines() if line.removeprefix("public.").startswith("order_lines"))

    daemon.await_that(lambda: "keeps, but 1 key fails" in row() and row().split()[-2:] == ["0", "1"])
    done = sink.run("verify", "-c", sink.conf, "--derived", env=env)
    assert done.stdout.count("equal") == 3
    # Who is erased goes out of what was derived too.
    database.execute("delete from ods_sink.outbox; delete from orders where order_id = 2; "
                     "select ods_sink.derived_mark_all('public', 'orders')")
    daemon.await_that(lambda: database.count("order_view", "order_id = 2") == 0)
    assert database.execute("select op, key::text from ods_sink.outbox") == [("d", '{"order_id": 2}')]
    daemon.stop()
