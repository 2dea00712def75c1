"""`ods-sink xml suggest`: what it writes for samples runs in PostgreSQL as it stands, and gives what is in
them."""

import datetime
import json
from decimal import Decimal

import pytest
import yaml
from lib.generator import Generator
from lib.records import INT, TEXT, Table, pipeline
from lib.sink import Exit, write_lines

XML = {"type": "string", "name": "io.debezium.data.Xml", "version": 1}


@pytest.fixture
def suggest(sink):
    """The entries for these documents, which are rows of the table docs."""

    def run(*documents, name="DOC", options=()):
        table = Table("docs", {"id": INT, name: TEXT})
        path = sink.folder / "records.jsonl"
        write_lines(path, [table.create({"id": number, name: document})
                           for number, document in enumerate(documents)])
        done = sink.run("xml", "suggest", "--file", path, "--column", name, "--lower", *options)
        return yaml.safe_load(done.stdout)["derived"]

    return run


def rows(database, entry, documents):
    """What the query gives in PostgreSQL; the key tells rows apart."""
    database.execute("drop table if exists docs; create table docs (id int primary key, doc text)")
    for number, document in enumerate(documents):
        database.execute("insert into docs values (%s, %s)", number, document)
    database.execute(f"drop table if exists result; create table result as {entry['query']}")
    names = ", ".join('"' + name.replace('"', '""') + '"' for name in entry["key"])
    database.execute(f"alter table result add primary key ({names})")
    return database.execute(f"select * from result order by {names}")


def columns(database):
    return list(database.columns("result"))


def test_elements_attributes_and_types(suggest, database):
    documents = [
        '<o a="1" b="x"><n>12</n><m>-0.50</m><t>true</t><d>2024-02-29</d><z>007</z>'
        '<s>2026-01-31T12:00:00</s><u>2026-01-31T12:00:00.5+02:00</u><w>  7 </w><v>2023-02-29</v></o>',
        '<o a="-7" b="y"><n>9999999999</n><m>3</m><t>false</t><d>1999-12-31</d><z>8</z>'
        '<s>2026-01-31T12:00:00.25</s><u>2026-01-31T12:00:00Z</u><w>8</w><v>2023-02-28</v></o>']
    [entry] = suggest(*documents)
    assert entry["key"] == ["id"] and entry["depends"] == {"docs": {"by": ["id"]}}
    first, _ = rows(database, entry, documents)
    types = database.columns("result")
    assert list(types) == ["id", "a", "b", "n", "m", "t", "d", "z", "s", "u", "w", "v"]
    assert [types[name] for name in ("a", "b", "n", "m", "t", "d", "z", "w", "v")] == [
        "bigint", "text", "bigint", "numeric", "boolean", "date", "text", "bigint", "text"]
    assert first[1:7] == (1, "x", 12, Decimal("-0.50"), True, datetime.date(2024, 2, 29))
    assert first[7:9] == ("007", datetime.datetime(2026, 1, 31, 12))
    assert first[9].astimezone(datetime.timezone.utc).hour == 10 and first[10] == 7


def test_nested_repeats(suggest, database):
    """Several levels, each a table; what repeats in one document alone is a table too."""
    documents = [
        "<o><h>1</h><ls><l s='a'><d>5</d><d c='x'>6</d></l><l s='b'><e><f/><f>q</f></e></l></ls></o>",
        "<o><h>2</h><ls/></o>", "<o><h>3</h><ls><l s='c'><d>7</d></l></ls></o>"]
    entries = {entry["name"]: entry for entry in suggest(*documents)}
    assert {name: entry["key"] for name, entry in entries.items()} == {
        "docs_doc": ["id"], "docs_doc_l": ["id", "l"], "docs_doc_d": ["id", "l", "d"],
        "docs_doc_f": ["id", "l", "f"]}
    assert entries["docs_doc_d"]["anchor"] == ["id"]
    assert rows(database, entries["docs_doc"], documents) == [(0, 1), (1, 2), (2, 3)]
    assert rows(database, entries["docs_doc_l"], documents) == [(0, 1, "a"), (0, 2, "b"), (2, 1, "c")]
    assert rows(database, entries["docs_doc_d"], documents) == [
        (0, 1, 1, 5, None), (0, 1, 2, 6, "x"), (2, 1, 1, 7, None)]
    assert rows(database, entries["docs_doc_f"], documents) == [(0, 2, 1, ""), (0, 2, 2, "q")]


def test_namespaces(suggest, database):
    """Default and prefixed ones, under whatever prefix a document has for them."""
    documents = [
        '<a xmlns="urn:one" xmlns:two="urn:it\'s" two:k="5"><two:b>x</two:b><c xml:lang="en">y</c></a>',
        '<p:a xmlns:p="urn:one" xmlns:q="urn:it\'s" q:k="6"><q:b>z</q:b>'
        '<p:c xml:lang="de"/><r><p:i>1</p:i><p:i>2</p:i></r></p:a>']
    one, two = suggest(*documents)
    assert rows(database, one, documents) == [(0, 5, "x", "y", "en"), (1, 6, "z", "", "de")]
    assert rows(database, two, documents) == [(1, 1, 1), (1, 2, 2)]


def test_missing_empty_nil(suggest, database):
    documents = ["<o><n>1</n><t>a</t></o>", "<o><n/><t/></o>", "<o/>",
                 '<o xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><n i:nil="true"></n></o>']
    [entry] = suggest(*documents)
    assert rows(database, entry, documents) == [
        (0, 1, "a"), (1, None, ""), (2, None, None), (3, None, None)]


def test_texts(suggest, database):
    """CDATA, entities of XML itself, declarations, instructions, elements among words, blanks."""
    documents = [
        "<?xml version='1.0' encoding='ISO-8859-1'?><?x y?><!-- z -->"
        "<o><a><![CDATA[<&>]]></a><b>&lt;&#233;&#x1F4E6;</b><c>one <i>two</i> three</c><d> </d></o>",
        "<o><a>1</a><b>2</b><c>3</c><d>4</d></o>"]
    [entry] = suggest(*documents)
    assert rows(database, entry, documents)[0] == (
        0, "<&>", "<\u00e9\U0001F4E6", "one two three", "two", " ")
    assert columns(database) == ["id", "a", "b", "c", "i", "d"]


def test_names(suggest, database):
    """Words of SQL and of YAML, names that SQL does not tell apart, long and foreign ones."""
    long = "l" * 80
    documents = [f"<order><select>1</select><user>2</user><orderLine>3</orderLine><order_line>4</order_line>"
                 f"<sub><select>5</select></sub><id>6</id><gr\u00f6\u00dfe>7</gr\u00f6\u00dfe><{long}>8</{long}>"
                 f"<{long}m>9</{long}m><a.b-c>10</a.b-c><no>11</no><no>12</no></order>"]
    one, two = suggest(*documents)
    assert rows(database, one, documents)[0] == (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
    names = columns(database)
    assert names[1:8] == ["select", "user", "order_line", "order_order_line", "sub_select", "order_id",
                          "gr\u00f6\u00dfe"]
    assert len(set(names)) == 11 and all(len(name.encode()) <= 63 for name in names)
    assert two["key"] == ["id", "no"]
    assert rows(database, two, documents) == [(0, 1, 11), (0, 2, 12)]


def test_one_element(suggest, database):
    documents = ["<n>5</n>", "<n>6</n>"]
    [entry] = suggest(*documents)
    assert rows(database, entry, documents) == [(0, 5), (1, 6)]


HOSTILE = {
    "not well-formed": "<a><b></a>",
    "no document": "paid in cash",
    "entities": '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
    "external": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "parameter": '<!DOCTYPE a [<!ENTITY % x SYSTEM "http://localhost/x"> %x;]><a/>',
    "deep": "<a>" * 1000 + "</a>" * 1000,
    "long name": f"<{'n' * 600}/>",
    "large": "<a>" + "x" * (16 << 20) + "</a>",
}


def test_hostile_documents(sink, suggest):
    """They are left out, the reason is told; what can be read is enough."""
    for name, document in HOSTILE.items():
        table = Table("docs", {"id": INT, "DOC": TEXT})
        path = sink.folder / f"{name}.jsonl"
        write_lines(path, [table.create({"id": 1, "DOC": document})])
        done = sink.run("xml", "suggest", "--file", path, "--column", "DOC", expect=Exit.NEGATIVE)
        assert done.stdout == "" and "no document can be read: src.shop.docs 0@0: " in done.stderr
        write_lines(path, [table.create({"id": 1, "DOC": document}),
                           table.create({"id": 2, "DOC": "<a><good>1</good></a>"})])
        done = sink.run("xml", "suggest", "--file", path, "--column", "DOC")
        assert "# Not looked at: 1, as src.shop.docs 0@1: " in done.stdout and "good" in done.stdout
    # Thousands of different elements: some are left out.
    [entry] = suggest("<a>" + "".join(f"<e{i}/>" for i in range(5000)) + "</a>")
    assert entry["query"].count(" path ") == 200


def test_a_document_in_a_file(sink, database):
    path = sink.folder / "order.xml"
    path.write_bytes("<?xml version='1.0' encoding='ISO-8859-1'?><o><n>\u00e9</n></o>".encode("latin-1"))
    done = sink.run("xml", "suggest", "--file", path)
    [entry] = yaml.safe_load(done.stdout)["derived"]
    assert entry["name"] == "documents_document" and "Replace documents, document and id" in done.stdout
    path.write_text("<o><n></o>")
    done = sink.run("xml", "suggest", "--file", path, expect=Exit.NEGATIVE)
    assert "line 1: mismatched tag" in done.stderr


def test_from_a_topic(sink, kafka, prefix, database):
    """Names are those of the target: folded, renamed, in its schema, with the configured key."""
    table = Table("Docs", {"ID": INT, "REGION": TEXT, "Doc": XML}, key=("ID",), prefix=prefix)
    kafka.create(table.topic, 2)
    sink.write({**pipeline(table), "defaults": {"fold": "lower", "schema": "shop"},
                "tables": {"Docs": {"key": ["REGION", "ID"], "columns": {"rename": {"Doc": "body"}}}}},
               kafka=True, database=database)
    kafka.produce([table.create({"ID": number, "REGION": "eu", "Doc": f"<o><n>{number}</n></o>"})
                   for number in range(20)])
    done = sink.run("xml", "suggest", "-c", sink.conf, "--topic", table.topic, "--column", "doc")
    [entry] = yaml.safe_load(done.stdout)["derived"]
    assert entry["key"] == ["region", "id"] and entry["depends"] == {"shop.docs": {"by": ["region", "id"]}}
    assert "from shop.docs t" in entry["query"] and "t.body::xml" in entry["query"]
    assert done.stdout.startswith("# From 20 documents in Doc of Docs (topic ")
    done = sink.run("xml", "suggest", "-c", sink.conf, "--topic", table.topic, "--column", "doc",
                    "--samples", 5, "--json")
    assert json.loads(done.stdout)["documents"] == 5
    done = sink.run("xml", "suggest", "-c", sink.conf, "--topic", table.topic, "--column", "nope",
                    expect=Exit.NEGATIVE)
    assert "none of the 20 records has a column nope" in done.stderr


@pytest.mark.parametrize("arguments, words", [
    ([], "either --topic TOPIC or --file FILE"),
    (["--topic", "t", "--file", "f"], "either --topic TOPIC or --file FILE"),
    (["--topic", "t", "--column", "c"], "--topic needs -c"),
])
def test_what_it_asks_for(sink, arguments, words):
    assert words in sink.run("xml", "suggest", *arguments, expect=Exit.USAGE).stderr


def test_files_that_are_none(sink):
    assert "No such file" in sink.run("xml", "suggest", "--file", sink.folder / "no", "--column", "c",
                                      expect=Exit.SOURCE).stderr
    path = sink.folder / "lines"
    path.write_text("no record\n")
    assert "line 1: " in sink.run("xml", "suggest", "--file", path, "--column", "c",
                                  expect=Exit.SOURCE).stderr


def test_columns_of_the_generator(sink, database):
    """Entries for its documents give the rows that it says are in them."""
    generator = Generator(sink)
    generator.run("--events", 400, "--no-schema-changes", "--no-hostile")
    sink.write({"name": "shop", "topics": ["^ora"], "format": "debezium", "target": "ods",
                "defaults": {"fold": "lower", "on_delete": "hard"}}, database=database)
    sink.replay(generator.records)
    generator.truth(database)
    for column, name, truth in (("DOC", "orders_doc", "order_heads"),
                                ("DOC", "orders_doc_line", "order_lines"),
                                ("PROFILE", "customers_profile", "customer_profiles"),
                                ("SPEC", "products_spec", "product_specs"),
                                ("MANIFEST", "shipments_manifest_item", "shipment_items")):
        done = sink.run("xml", "suggest", "-c", sink.conf, "--file", generator.records,
                        "--column", column)
        entry = {entry["name"]: entry for entry in yaml.safe_load(done.stdout)["derived"]}[name]
        assert database.value(f"select count(*) from truth.{truth}") > 5
        assert database.execute(f"select * from truth.{truth} except all ({entry['query']})") == []
        assert database.execute(f"({entry['query']}) except all select * from truth.{truth}") == []
