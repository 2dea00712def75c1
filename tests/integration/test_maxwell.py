"""Maxwell's records give the rows that the source had, through changes of keys and columns."""

from collections import Counter

import pytest
from conftest import GOLDEN
from lib.maxwell import Table, letters_of, object_of, pipeline
from lib.sink import Exit, read_lines
from lib.text import assert_same_rows

CDC = "cdc_operation text, cdc_timestamp timestamptz"

# --- captured records -----------------------------------------------------------------------------

EXACT_TABLES = f"""
create table orders (id bigint primary key, customer varchar(200) not null, amount numeric(12,2),
    status text, created_at timestamptz, note text, payload jsonb, flag boolean, d date, t time,
    b bytea, {CDC});
create table mx_types (id numeric(20,0) primary key, c_bool smallint, c_bool2 boolean,
    c_tiny smallint, c_utiny smallint, c_small smallint, c_usmall integer, c_medium integer,
    c_umedium integer, c_int integer, c_uint bigint, c_big bigint, c_ubig numeric(20,0),
    c_float real, c_double double precision, c_dec numeric(38,10), c_dec0 numeric(20,0),
    c_bit1 boolean, c_bit20 bit(20), c_bit40 bit(40), c_bit64 bit(64), c_date date, c_time time,
    c_time3 interval, c_time6 time(6), c_dt timestamp(0), c_dt3 timestamp(3), c_dt6 timestamp(6),
    c_ts timestamptz, c_ts3 timestamptz(3), c_ts6 timestamptz(6), c_year integer,
    c_char varchar(10), c_varchar varchar(255), c_latin1 varchar(50), c_text text, c_binary bytea,
    c_varbinary bytea, c_blob bytea, c_txtbin bytea, c_enum text, c_set varchar(20), c_json jsonb,
    c_point point, c_geom text, {CDC});
create table composite (a integer, b varchar(20), v integer, {CDC}, primary key (a, b));
create table nopk (a integer, b varchar(20), {CDC});
create table tmp_t (i integer primary key, {CDC});
create table tmp_u (i integer primary key, {CDC});
"""


def typed(text):
    return dict(column.strip().split(" ", 1) for column in text.split(";"))


# What the DDL topic has ods-sink make of the same source.
UNSIGNED = "numeric(20,0)"
DATETIME3 = "timestamp(3) without time zone"
MOMENT = "timestamp with time zone"
MADE = {
    "orders": typed(
        f"id bigint; customer text; amount numeric; status text; created_at {MOMENT}; note text; "
        f"payload jsonb; flag {UNSIGNED}; d date; t interval; b bytea"),
    "mx_types": typed(
        f"id {UNSIGNED}; c_bool smallint; c_bool2 smallint; c_tiny smallint; c_utiny smallint; "
        "c_small smallint; c_usmall integer; c_medium integer; c_umedium integer; c_int integer; "
        f"c_uint bigint; c_big bigint; c_ubig {UNSIGNED}; c_float double precision; "
        f"c_double double precision; c_dec numeric; c_dec0 numeric; c_bit1 {UNSIGNED}; c_bit20 {UNSIGNED}; "
        f"c_bit40 {UNSIGNED}; c_bit64 {UNSIGNED}; c_date date; c_time interval; c_time3 interval; "
        f"c_time6 interval; c_dt {DATETIME3}; c_dt3 {DATETIME3}; "
        f"c_dt6 timestamp without time zone; c_ts {MOMENT}; c_ts3 {MOMENT}; c_ts6 {MOMENT}; "
        "c_year integer; c_char text; c_varchar text; c_latin1 text; c_text text; c_binary bytea; "
        "c_varbinary bytea; c_blob bytea; c_txtbin bytea; c_enum text; c_set text; c_json jsonb; "
        "c_point point; c_geom text"),
    "composite": typed("a integer; b text; v integer"),
    "nopk": typed("a integer; b text"),
    "tmp_t": typed("i integer"),
    "tmp_u": typed("i integer"),
}


def of(table, **values):
    """A row as changes.sql leaves it: what is not named is NULL."""
    return {**dict.fromkeys(MADE[table]), **values}


# What was lost before it came to Kafka, and is as the records have it:
# - orders 40 was made at current_timestamp;
# - a bootstrap reads bits in the other order of bytes, and more than 32 of them wrap: c_bit20 was
#   1, c_bit40 549755813889;
# - year 0 is 1900; the enum's 'bad', which MySQL keeps as '', is NULL; 2026-00-00 is 0000-00-00;
# - of truncate and drop nothing is told that ods-sink follows: tmp_t and tmp_u keep their rows.
# TIME beyond 24 hours wraps and binary loses trailing zeros in rows that are deleted in the end.
ROWS = {
    "orders": [
        of("orders", id="1", customer="Budi Santoso", amount="20000000.5", status="shipped",
           created_at="2025-12-19T08:02:27.000000", flag="1", d="2025-12-19", t="23:59:59",
           b="00ff00ff", payload='{"a": [1, 2, {"b": "c"}], "f": 1.0, "n": null, '
                                 '"u": 18446744073709551615}'),
        of("orders", id="2", customer="Siti Änderung 😀", amount="0.1", status="new", flag="1",
           created_at="2026-01-01T00:00:00.000000", note="now set", payload='{"k": "w"}',
           d="2026-02-28", b="cafe"),
        of("orders", id="40", customer="Json scalars", amount="0", status="new", note="x",
           created_at="2026-11-21T02:41:49.000000", payload="[]", d="9999-12-31", t="0:00:00",
           b="01"),
        of("orders", id="41", customer="tx-a", amount="1", status="new",
           created_at="2026-03-01T00:00:00.000000"),
        of("orders", id="42", customer="tx-b", amount="2", status="new",
           created_at="2026-03-01T00:00:00.000000"),
        of("orders", id="44", customer="after alter", amount="3.33", status="new",
           created_at="2026-03-02T00:00:00.000000"),
    ],
    "mx_types": [
        of("mx_types", id="1", c_bool="1", c_bool2="0", c_tiny="-128", c_utiny="255",
           c_small="-32768", c_usmall="65535", c_medium="-8388608", c_umedium="16777215",
           c_int="-2147483648", c_uint="4294967295", c_big="-9223372036854775808",
           c_ubig="18446744073709551615", c_float="1.5", c_double="2.718281828459045",
           c_dec="1234567890123456789012345678.0123456789", c_dec0="99999999999999999999",
           c_bit1="1", c_bit20="65536", c_bit40="129", c_bit64="18446744073709551615",
           c_date="2025-12-19", c_time="23:59:59", c_time3="1:02:03.450000",
           c_time6="12:34:56.789012", c_dt="2025-12-19T08:02:27.000000",
           c_dt3="2025-12-19T08:02:27.120000", c_dt6="2025-12-19T08:02:27.123456",
           c_ts="2025-12-19T08:02:27.000000", c_ts3="2025-12-19T08:02:27.100000",
           c_ts6="2025-12-19T08:02:27.654321", c_year="2025", c_char="char",
           c_varchar="varchar é 😀", c_latin1="latin é", c_text="text\twith\ttabs\\N",
           c_binary="0102030405060708", c_varbinary="deadbeef", c_blob="ff", c_txtbin="62696e",
           c_enum="b", c_set="y", c_point="(1.5,-2)", c_geom="LINESTRING (0 0, 1 1, 2 2)"),
        of("mx_types", id="2"),
        of("mx_types", id="3", c_year="1900"),
        of("mx_types", id="4", c_dt="2026-01-01T07:00:00.000000",
           c_ts="2026-01-01T00:00:00.000000"),
    ],
    "composite": [of("composite", a="1", b="x", v="99"), of("composite", a="1", b="z", v="5")],
    "nopk": [of("nopk", a="1")],
    "tmp_t": [of("tmp_t", i="1")],
    "tmp_u": [of("tmp_u", i="2")],
}
ZEROES = 4  # c_date, c_dt, c_dt6 and c_ts of row 3
# Its bit(40) came as -2147483648, which is no 40 bits: it can't go where the column has as many.
WRAPPED = '{"database":"app_producer","table":"mx_types","pk.id":18446744073709551615}'


@pytest.fixture(params=["exact", "made"])
def layout(request):
    """Tables that are there beforehand, or those that the DDL topic tells of."""
    return request.param


def is_ddl(topic):
    return topic.endswith(".ddl")


def captured(layout):
    """In the order of their time in Kafka, as the partitions have none against each other; the DDL
    goes before where it is to be learned from."""
    records = [record for path in sorted((GOLDEN / "maxwell").glob("app_producer.*.jsonl"))
               for record in read_lines(path)]
    return sorted(records, key=lambda record: (
        layout == "exact" or not is_ddl(record["topic"]), record["ts"]))


def configure(sink, database, layout, prefix="", on_delete="hard", **settings):
    if layout == "exact":
        database.execute(EXACT_TABLES)
    ddl = f"{prefix}app_producer.ddl" if layout == "made" else None
    sink.write(pipeline(f"^{prefix}app_producer\\..*", schema_topic=ddl,
                        defaults={"on_delete": on_delete}), database=database, **settings)


def assert_source_rows(database, where="true"):
    for table, rows in ROWS.items():
        assert_same_rows([sorted(map(list, row.items())) for row in rows],
                         database.rows(table, MADE[table], where), table)


@pytest.mark.parametrize("events", [10000, 1], ids=["one batch", "one by one"])
def test_captured_records_give_the_rows_of_the_source(sink, database, layout, events, tmp_path):
    letters = tmp_path / "letters.jsonl"
    configure(sink, database, layout, batch={"max_events": events})
    counts = sink.replay(captured(layout), dead_letter=letters)["pipelines"][0]
    assert_source_rows(database)
    refused = [letter["key"] for letter in letters_of(letters)]
    # In one batch its delete may make up for it.
    wrapped = {"made": [[]], "exact": [[WRAPPED]] if events == 1 else [[], [WRAPPED]]}
    assert refused in wrapped[layout]
    assert counts["rejected"] == {"decode": 0, "apply": len(refused)}
    assert counts["passed"] == {"schema_change": 13, "bootstrap": 8}
    # 62 records, and two of them change a key.
    assert (counts["changes"], counts["zero_dates"]) == (62 - 13 - 8 + 2, ZEROES)
    tables = database.execute("select tablename::text from pg_tables where schemaname = 'public'")
    assert {name for name, in tables} == set(ROWS)


def test_second_replay_changes_nothing(sink, database, layout, tmp_path):
    configure(sink, database, layout)
    sink.replay(captured(layout), dead_letter=tmp_path / "letters.jsonl")
    before = database.state()
    assert sink.replay(captured(layout))["applied"] == 0
    assert database.state() == before
    assert before["public.orders"] and before["public.nopk"]


def test_made_tables_have_the_types_of_the_source(sink, database):
    """And the columns that came and went."""
    configure(sink, database, "made")
    sink.replay(captured("made"))
    cdc = {"cdc_operation": "text", "cdc_timestamp": MOMENT}
    later = {"orders": {"color": "text", "colour": "text"}}
    for table, columns in MADE.items():
        assert database.columns(table) == {**columns, **later.get(table, {}), **cdc}, table
    assert database.value("select color from orders where id = 44") == "blue"


def test_soft_deletes_keep_the_row_and_say_so(sink, database):
    configure(sink, database, "made", on_delete="soft")
    sink.replay(captured("made"))
    assert_source_rows(database, "cdc_operation <> 'd'")
    deleted = database.execute("select id::text, customer, t::text from orders "
                               "where cdc_operation = 'd' order by id")
    assert deleted == [("3", "Edge", "17:04:05"), ("4", "Json scalars", "00:00:00")]
    assert database.execute("select b from composite where cdc_operation = 'd'") == [("y",)]


def test_cdc_columns_tell_operation_and_source_time(sink, database):
    configure(sink, database, "made")
    sink.replay(captured("made"))
    told = database.execute("select id, cdc_operation, extract(epoch from cdc_timestamp)::bigint "
                            "from mx_types order by id")
    assert told == [(1, "r", 1795228916), (2, "r", 1795228916), (3, "c", 1795228909),
                    (4, "c", 1795228909)]


def test_through_kafka(sink, database, layout, kafka, prefix):
    """A table's records stand in one partition, as producer_partition_by=table has them."""
    topics = sorted({record["topic"] for record in captured(layout)})
    place = {topic: 0 if is_ddl(topic) else number % 4 for number, topic in enumerate(topics)}
    for topic in topics:
        kafka.create(prefix + topic, 1 if is_ddl(topic) else 4)
    kafka.create(f"letters-{prefix}", 1)
    kafka.produce([{**record, "topic": prefix + record["topic"], "payload": record["value"],
                    "partition": place[record["topic"]]} for record in captured(layout)])
    configure(sink, database, layout, prefix, kafka=True, lanes=2,
              dead_letter={"topic": f"letters-{prefix}"})
    daemon = sink.daemon()
    counts = Counter(record["topic"] for record in captured(layout))
    ends = {(prefix + topic, place[topic]): count for topic, count in counts.items()
            if not is_ddl(topic)}

    def caught_up():
        offsets = {key[1:]: offset for key, offset in database.offsets().items()}
        return all(offsets.get(where) == end for where, end in ends.items())

    daemon.await_that(caught_up, what="every partition at its end")
    daemon.await_that(lambda: daemon.metric("ods_sink_zero_dates_total") == ZEROES, what="counts")
    assert kafka.count(f"letters-{prefix}") <= (layout == "exact")
    daemon.stop()
    assert_source_rows(database)


# --- keys -----------------------------------------------------------------------------------------

ONE = {"id": 1, "name": "one", "amount": 10}
TWO = {"id": 2, "name": "two", "amount": 20}
MOVED = {"id": 100, "name": "moved", "amount": 10}


def rows_of(database, *columns):
    names = ", ".join(columns or ("id", "name", "cdc_operation"))
    return database.execute(f"select {names} from items order by 1")


@pytest.mark.parametrize("on_delete, left", [
    ("soft", [(1, "one", "d"), (2, "two", "c"), (100, "moved", "c")]),
    ("hard", [(2, "two", "c"), (100, "moved", "c")]),
    ("ignore", [(1, "one", "c"), (2, "two", "c"), (100, "moved", "c")]),
])
@pytest.mark.parametrize("events", [1000, 1], ids=["one batch", "one by one"])
def test_key_change(sink, database, on_delete, left, events):
    table = Table()
    sink.write(pipeline(defaults={"on_delete": on_delete}), database=database,
               batch={"max_events": events})
    sink.replay([table.insert(ONE), table.insert(TWO), table.update(ONE, MOVED)])
    assert rows_of(database) == left


def test_key_change_that_no_key_takes_is_one_dead_letter(sink, database, tmp_path):
    """Neither of its two rows has a key that the column could hold."""
    table, letters = Table(key=("name",)), tmp_path / "letters.jsonl"
    database.execute("create table items (id int, name int primary key, amount int, "
                     "cdc_operation text, cdc_timestamp timestamptz)")
    sink.write(pipeline(), database=database)
    records = [table.update(ONE, MOVED), table.insert({**TWO, "name": 2})]
    counts = sink.replay(records, dead_letter=letters)["pipelines"][0]
    assert rows_of(database, "id", "name") == [(2, 2)]
    assert [letter["payload"] for letter in read_lines(letters)] == [records[0]["payload"]]
    assert counts["rejected"] == {"decode": 0, "apply": 1}


@pytest.mark.parametrize("on_delete", ["soft", "hard"])
@pytest.mark.parametrize("events", [1000, 1], ids=["one batch", "one by one"])
def test_key_change_whose_new_row_is_refused(sink, database, tmp_path, events, on_delete):
    """Nothing of it is applied, and its neighbours are."""
    table, letters = Table(), tmp_path / "letters.jsonl"
    database.execute("create table items (id int primary key, name varchar(5), amount int, "
                     "cdc_operation text, cdc_timestamp timestamptz)")
    sink.write(pipeline(defaults={"on_delete": on_delete}), database=database,
               batch={"max_events": events})
    sink.replay([table.insert(ONE), table.update(ONE, {**MOVED, "name": "too long"}),
                 table.insert(TWO)], dead_letter=letters)
    assert rows_of(database) == [(1, "one", "c"), (2, "two", "c")]
    assert len(letters_of(letters)) == 1


@pytest.mark.parametrize("events", [1000, 1], ids=["one batch", "one by one"])
def test_key_change_whose_old_row_must_stay(sink, database, tmp_path, events):
    table, letters = Table(), tmp_path / "letters.jsonl"
    database.execute(
        "create table items (id int primary key, name text, amount int, cdc_operation text, "
        "cdc_timestamp timestamptz); create table parts (item int references items)")
    sink.write(pipeline(defaults={"on_delete": "hard"}), database=database,
               batch={"max_events": events}, retry={"constraint_attempts": 1})
    sink.replay([table.insert(ONE)])
    database.execute("insert into parts values (1)")
    sink.replay([*[table.update(ONE, MOVED), table.insert(TWO)]], dead_letter=letters)
    assert rows_of(database) == [(1, "one", "c"), (2, "two", "c")]
    assert len(letters_of(letters)) == 1


def test_key_that_the_configuration_gets_wrong(sink, database):
    """It is the configuration's fault, not the records'."""
    table = Table()
    sink.write(pipeline(tables={"items": {"key": ["idd"]}}), database=database)
    done = sink.replay_fails([table.insert(ONE)], Exit.TARGET)
    assert '"idd"' in done.stderr and "tables.yaml" in done.stderr


@pytest.mark.parametrize("events", [1000, 1], ids=["one batch", "one by one"])
def test_keys_that_change_places(sink, database, events):
    """By way of a third one, and the first row comes back."""
    table, three = Table(), {**ONE, "id": 3}
    sink.write(pipeline(defaults={"on_delete": "hard"}), database=database,
               batch={"max_events": events})
    sink.replay([table.insert(ONE), table.insert(TWO), table.update(ONE, three),
                 table.update(TWO, {**TWO, "id": 1}), table.update(three, {**three, "id": 2}),
                 table.delete({**ONE, "id": 2}), table.insert({**TWO, "name": "again"})])
    assert rows_of(database) == [(1, "two", "c"), (2, "again", "c")]


@pytest.mark.parametrize("own", [(), ("name",)], ids=["keyless", "another key"])
def test_configured_key(sink, database, own):
    """A change of it is a change of the key, whatever the record's own key is."""
    table = Table(key=own)
    sink.write(pipeline(defaults={"on_delete": "hard"}, tables={"items": {"key": ["id"]}}),
               database=database)
    sink.replay([table.insert(ONE), table.insert(TWO), table.update(ONE, {**ONE, "amount": 11}),
                 table.update({**ONE, "amount": 11}, {**ONE, "id": 100}), table.delete(TWO)])
    assert rows_of(database, "id", "name", "amount") == [(100, "one", 10)]


def test_update_that_says_nothing_is_another(sink, database):
    """What changed is a column that Maxwell excludes: the row without a key is as it was."""
    table = Table(key=())
    sink.write(pipeline(), database=database)
    counts = sink.replay([table.insert(ONE), table.update(ONE, ONE), table.insert(TWO)])
    assert counts["rejected"] == 0
    assert rows_of(database, "id", "name") == [(1, "one"), (2, "two")]


def test_columns_in_upper_case(sink, database):
    table = Table(key=("Id", "CODE"))
    row = {"Id": 1, "CODE": "a", "Name": "x"}
    sink.write(pipeline(defaults={"on_delete": "hard"}), database=database)
    sink.replay([table.insert(row), table.insert({**row, "Id": 2}),
                 table.update(row, {**row, "CODE": "b", "Name": "y"}),
                 table.delete({**row, "Id": 2})])
    assert rows_of(database, '"Id"', '"CODE"', '"Name"') == [(1, "b", "y")]


# --- columns and records --------------------------------------------------------------------------


@pytest.mark.parametrize("told, kinds", [(True, ("integer", "date")), (False, ("bigint", "text"))],
                         ids=["DDL topic", "values alone"])
@pytest.mark.parametrize("events", [1000, 1], ids=["one batch", "one by one"])
def test_column_that_appears_later(sink, database, told, kinds, events):
    table, columns = Table(), {"id": {"type": "int", "signed": True}, "name": "varchar"}
    before, after = {"id": 1, "name": "a"}, {"id": 2, "name": "b", "born": "2015-05-21"}
    sink.write(pipeline(schema_topic=table.ddl_topic if told else None,
                        defaults={"evolve": "add"}), database=database,
               batch={"max_events": events})
    sink.replay([table.ddl("table-create", columns), table.insert(before),
                 table.ddl("table-alter", {**columns, "born": "date"}), table.insert(after)])
    made = database.columns("items")
    assert (made["id"], made["name"], made["born"]) == (kinds[0], "text", kinds[1])
    assert rows_of(database, "id", "name", "born::text") == \
        [(1, "a", None), (2, "b", "2015-05-21")]


def test_bad_records_are_set_aside_and_their_neighbours_are_applied(sink, database, tmp_path):
    table, letters = Table(), tmp_path / "letters.jsonl"
    unknown = {"type": "replace", "database": "shop", "table": "items", "data": ONE}
    bad = ["", "{", "[]", '{"type":"insert"}', object_of(unknown)]
    first = table.insert(ONE)
    records = [first, *(table.record(table.topic, first["key"], value) for value in bad),
               table.record(table.topic, first["key"], None), table.insert(TWO)]
    sink.write(pipeline(), database=database)
    counts = sink.replay(records, dead_letter=letters)["pipelines"][0]
    assert rows_of(database) == [(1, "one", "c"), (2, "two", "c")]
    # Maxwell writes no tombstones: what one means nobody can tell.
    assert [letter["payload"] for letter in read_lines(letters)] == [*bad, None]
    assert counts["rejected"] == {"decode": len(bad) + 1, "apply": 0}
    assert counts["passed"] == {}
    sink.write(pipeline(defaults={"on_tombstone": "ignore"}), database=database)
    more = table.record(table.topic, first["key"], None)
    assert sink.replay([more])["pipelines"][0]["passed"] == {"tombstone": 1}
