"""Keys that the target calls equal and the source spells in several ways: they are one row, the last
spelling stands, and two of them in one batch are one change."""

import pytest
from lib import maxwell
from lib.records import INT, SHAPES, TEXT, Table, pipeline
from lib.sink import read_lines

DOUBLE = {"type": "double"}
# Types of a key column: spellings of one key, oldest first; another key; how the last one reads.
KINDS = {
    "mails": ("citext", ["Bob", "bOB", "BOB"], "Bo", "BOB"),
    "ci": ('text collate "ci"', ["Zoë", "zoë", "ZOË"], "Zo", "ZOË"),
    "accents": ('varchar(20) collate "ai"', ["cafe", "café", "CAFÉ"], "caff", "CAFÉ"),
    "numerics": ("numeric", ["1.0", "1.00", "1"], "10", "1"),
    "fraction": ("numeric", ["0.5", "0.500000", "0.50"], "0.05", "0.50"),
    "scaled": ("numeric(12,4)", ["1", "1.00", "1.0"], "1.0001", "1.0000"),
    "chars": ("character(6)", ["ab", "ab   ", "ab "], "a", "ab"),
    "inets": ("inet", ["10.0.0.1", "10.0.0.1/32", "10.0.0.1"], "10.0.0.2", "10.0.0.1/32"),
    "inet6": ("inet", ["::1", "0:0::1", "0:0:0:0:0:0:0:1"], "::2", "::1/128"),
    "intervals": ("interval", ["24 hours", "PT24H", "1 day"], "2 days", "1 day"),
    "uuids": ("uuid", ["6ECD8C99-4036-403D-BF84-CF8400F67836", "{6ecd8c99-4036-403d-bf84-cf8400f67836}",
                      "6ecd8c99-4036-403d-bf84-cf8400f67836"],
             "6ecd8c99-4036-403d-bf84-cf8400f67837", "6ecd8c99-4036-403d-bf84-cf8400f67836"),
    "moment": ("timestamptz", ["2024-05-10T12:00:00Z", "2024-05-10T14:00:00+02:00",
                               "2024-05-10T12:00:00.000Z"], "2024-05-10T12:00:01Z",
               "2024-05-10 12:00:00+00"),
    "jsonbs": ("jsonb", ['{"a": 1, "b": 2}', '{"b":2,"a":1}', '{"a":1.0,"b":2}'], '{"a": 2}',
              '{"a": 1.0, "b": 2}'),
    "enums": ("mood", ["sad", "sad", "sad"], "glad", "sad"),
    "domains": ("mail", ["A@x", "a@X", "a@x"], "b@x", "a@x"),
}
LETTERS = "letters.jsonl"


def make(database, tables):
    database.execute("""
        create extension if not exists citext;
        create collation ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
        create collation ai (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
        create type mood as enum ('sad', 'glad'); create domain mail as citext check (value like '%@%')""")
    for name, kind in tables.items():
        database.execute(f"create table {name} (k {kind} primary key, v text, "
                         "cdc_operation text, cdc_timestamp timestamptz)")


def source_of(kind, shape="envelope"):
    return Table(name=kind, columns={"k": TEXT, "v": TEXT}, key=("k",), shape=shape)


def replay(sink, records):
    path = sink.folder / LETTERS
    path.unlink(missing_ok=True)
    summary = sink.replay(records, dead_letter=path)["pipelines"][0]
    return summary, read_lines(path) if path.exists() else []


def rows(database, table, where="true"):
    return sorted(database.execute(f"select k::text, v, cdc_operation::text from {table} where {where}"))


def in_turn(lists):
    """The records of many tables, mixed."""
    return [record for group in zip(*lists) for record in group]


@pytest.mark.parametrize("shape, apart", [*((shape, False) for shape in SHAPES), ("envelope", True)])
def test_spellings(sink, database, shape, apart):
    """`apart`: in a batch of its own each."""
    make(database, {name: kind for name, (kind, *_) in KINDS.items()})
    sink.write(pipeline(r"^src\.shop\..*"), database=database,
               batch={"max_events": 1 if apart else 10000})
    sources = {name: source_of(name, shape) for name in KINDS}

    def story(name):
        source, (_, (one, two, three), other, _) = sources[name], KINDS[name]
        return [source.create({"k": one, "v": "1"}), source.create({"k": other, "v": "o"}),
                source.update({"k": two, "v": "1"}, {"k": two, "v": "2"}),
                source.update({"k": three, "v": "2"}, {"k": three, "v": "3"})]

    records = in_turn([story(name) for name in KINDS])
    for _ in range(2):  # read again, the outcome is the same
        summary, letters = replay(sink, records)
        assert not letters
        for name, (_, _, _, last) in KINDS.items():
            found = rows(database, name)
            assert len(found) == 2, name
            assert (last, "3", "u") in found, name
        database.execute("delete from ods_sink.offsets")
    # Gone by another spelling, and there again by a third.
    gone = [sources[name].delete({"k": KINDS[name][1][1], "v": "3"}) for name in KINDS]
    back = [sources[name].create({"k": KINDS[name][1][2], "v": "4"}) for name in KINDS]
    assert not replay(sink, gone)[1]
    for name in KINDS:
        assert [row[1:] for row in rows(database, name, "v <> 'o'")] == [("3", "d")], name
    assert not replay(sink, back)[1]
    for name, (_, _, _, last) in KINDS.items():
        assert rows(database, name, "v <> 'o'") == [(last, "4", "c")], name


@pytest.mark.parametrize("on_delete", ["hard", "soft"])
def test_a_key_that_changes_its_spelling(sink, database, on_delete):
    """The source tells of it as a delete and a create, in one batch or two."""
    make(database, {name: kind for name, (kind, *_) in KINDS.items()})
    sink.write(pipeline(r"^src\.shop\..*", defaults={"on_delete": on_delete}), database=database)
    sources = {name: source_of(name) for name in KINDS}
    first = [sources[name].create({"k": KINDS[name][1][0], "v": "1"}) for name in KINDS]

    def respell(old, new):
        for name in KINDS:
            source, spellings = sources[name], KINDS[name][1]
            yield source.delete({"k": spellings[old], "v": "1"})
            yield source.tombstone({"k": spellings[old], "v": "1"})
            yield source.create({"k": spellings[new], "v": "2"})

    assert not replay(sink, first + list(respell(0, 1)))[1]
    assert not replay(sink, list(respell(1, 2)))[1]
    for name, (_, _, _, last) in KINDS.items():
        assert rows(database, name) == [(last, "2", "c")], name
    ended = [sources[name].delete({"k": KINDS[name][1][0], "v": "2"}) for name in KINDS]
    assert not replay(sink, ended)[1]
    for name, (_, _, _, last) in KINDS.items():
        assert database.count(name, "cdc_operation <> 'd'") == 0, name


def test_many_rows_at_once(sink, database):
    """A COPY, guessed inserts and updates: two spellings of each key in each batch."""
    make(database, {"mails": "citext", "ci": 'text collate "ci"', "numerics": "numeric"})
    sink.write(pipeline(r"^src\.shop\..*"), database=database, batch={"max_events": 100000})
    spellings = {"mails": (str.lower, str.upper), "ci": (str.lower, str.upper),
                 "numerics": (lambda key: key[1:] + ".0", lambda key: key[1:] + ".00")}
    sources = {name: source_of(name) for name in spellings}

    def batch(make_one, ways):
        return [make_one(sources[name], {"k": ways(name)[turn](f"k{number}"), "v": f"{turn}"})
                for turn in (0, 1) for number in range(300) for name in spellings]

    assert not replay(sink, batch(lambda source, row: source.read(row), spellings.get))[1]
    assert not replay(sink, batch(lambda source, row: source.update(row, row),
                                  lambda name: spellings[name][::-1]))[1]
    for name, (last, _) in spellings.items():
        assert database.count(name) == 300 == database.count(name, "v = '1'")
        assert database.count(name, f"k::text = '{last('k7')}'") == 1


def test_several_columns_and_text_that_is_no_key(sink, database):
    """A key of two columns folds by both; what the type refuses is a letter, and its neighbours not."""
    make(database, {"items": "citext"})
    database.execute("alter table items drop constraint items_pkey, add n numeric, add a inet, "
                     "add primary key (k, n, a)")
    source = Table(columns={"k": TEXT, "n": TEXT, "a": TEXT, "v": TEXT}, key=("k", "n", "a"))
    sink.write(pipeline(source), database=database)
    def row(k, n, a, v):
        return {"k": k, "n": n, "a": a, "v": v}
    _, letters = replay(sink, [
        source.create(row("a", "1", "::1", "1")), source.create(row("a", "1", "no address", "x")),
        source.create(row("A", "1.0", "0::1", "2")), source.create(row("A", "1.1", "::1", "3")),
        source.create(row("b", "1", "::1", "4")), source.create(row("B", "1", "512.0.0.1", "x")),
        source.update(row("B", "1", "::1", "4"), row("B", "1.000", "::1", "5"))])
    assert len(letters) == 2
    assert database.execute("select k::text, n::text, a::text, v from items order by v") == [
        ("A", "1.0", "::1/128", "2"), ("A", "1.1", "::1/128", "3"), ("B", "1.000", "::1/128", "5")]


def test_both_zeros(sink, database):
    source = Table(columns={"k": DOUBLE, "v": TEXT}, key=("k",))
    make(database, {"items": "double precision"})
    sink.write(pipeline(source), database=database)
    assert not replay(sink, [source.create({"k": 0.0, "v": "1"}),
                             source.create({"k": -0.0, "v": "2"})])[1]
    assert rows(database, "items") == [("-0", "2", "c")]


def test_a_table_without_such_keys_is_not_asked_about(sink, database):
    database.execute("create table items (id int primary key, name text, amount int, "
                     "cdc_operation text, cdc_timestamp timestamptz)")
    source = Table(columns={"id": INT, "name": TEXT, "amount": INT})
    sink.write(pipeline(source), database=database)
    replay(sink, [source.create({"id": n % 50, "name": "x", "amount": n}) for n in range(100)])
    assert database.count("items", "amount >= 50") == 50


@pytest.mark.parametrize("on_delete", ["hard", "soft"])
def test_maxwell_tells_of_it_in_one_record(sink, database, on_delete):
    make(database, {"items": "citext"})
    source = maxwell.Table(key=("k",))
    sink.write(maxwell.pipeline(defaults={"on_delete": on_delete}), database=database)
    assert not replay(sink, [
        source.insert({"k": "bob", "v": "1"}), source.insert({"k": "eve", "v": "1"}),
        source.update({"k": "bob", "v": "1"}, {"k": "BOB", "v": "2"})])[1]
    assert not replay(sink, [
        source.update({"k": "eve", "v": "1"}, {"k": "EVE", "v": "2"}),
        source.update({"k": "EVE", "v": "2"}, {"k": "Eve", "v": "3"})])[1]
    assert [row[:2] for row in rows(database, "items")] == [("BOB", "2"), ("Eve", "3")]
    assert database.count("items", "cdc_operation = 'd'") == 0
