"""The captured records of every shape give the rows that the source had: by replay from a file, and
through Kafka with several lanes."""

import json
from collections import defaultdict

import pytest
from conftest import GOLDEN
from lib.records import pipeline
from lib.sink import read_lines
from lib.text import assert_same_rows

CAPTURED = GOLDEN / "debezium-mysql"
TABLES = ["customers", "credit_applications", "vehicle_ownership", "alltypes", "composite"]
SHAPES = ["full", "flat", "lean"]

# Records without a schema do not tell types, so their tables are there beforehand, with the types
# that ods-sink itself would choose for the same source.
LEAN_TABLES = """
create table customers (customer_id integer primary key, full_name varchar(100) not null,
    email varchar(120), phone varchar(20), date_of_birth date, monthly_income numeric(15,2),
    created_at timestamp(3), updated_at timestamptz(3), cdc_operation text,
    cdc_timestamp timestamptz);
create table credit_applications (application_id integer primary key, customer_id integer not null,
    loan_amount numeric(15,2), tenure_months smallint, interest_rate numeric(5,2),
    application_status text, application_date date, approved_at timestamp(6), cdc_operation text,
    cdc_timestamp timestamptz);
create table vehicle_ownership (ownership_id integer primary key, customer_id integer not null,
    vehicle_type varchar(40), brand varchar(200), purchase_price numeric(15,2), purchase_date date,
    is_active smallint, color varchar(20), cdc_operation text, cdc_timestamp timestamptz);
create table composite (a integer, b varchar(20), v integer, cdc_operation text,
    cdc_timestamp timestamptz, primary key (a, b));
create table nopk (a integer, b varchar(20), cdc_operation text, cdc_timestamp timestamptz);
create table alltypes (id numeric(20,0) primary key, c_tiny smallint, c_utiny smallint,
    c_small smallint, c_usmall integer, c_medium integer, c_int integer, c_uint bigint,
    c_big bigint, c_ubig numeric(20,0), c_float real, c_double double precision,
    c_dec numeric(38,10), c_dec0 numeric(20,0), c_bit1 boolean, c_bit20 bit(20), c_bool smallint,
    c_date date, c_time interval, c_time6 interval, c_dt timestamp(3), c_dt3 timestamp(3),
    c_dt6 timestamp(6), c_ts timestamptz, c_ts6 timestamptz, c_year integer, c_char varchar(10),
    c_varchar varchar(255), c_text text, c_binary bytea, c_varbinary bytea, c_blob bytea,
    c_enum text, c_set text, c_json jsonb, c_point text, c_geom text, cdc_operation text,
    cdc_timestamp timestamptz);
"""


def captured(shape):
    """Every topic of a shape: tables, schema changes and transactions, in the order of their time."""
    records = []
    for path in sorted(CAPTURED.glob(f"{shape}*.jsonl")):
        records += read_lines(path)
    return records


def source_rows(table):
    return read_lines(CAPTURED / f"expect.{table}.jsonl")


def expected(table):
    """The source's rows, but for one value that its connector did not send: without
    bigint.unsigned.handling.mode=precise what is above 2^63 arrives as a negative number."""
    rows = source_rows(table)
    for pair in (pair for row in rows for pair in row):
        if pair == ["c_ubig", str(2**64 - 1)]:
            pair[1] = "-1"
    return rows


def configured(shape, **defaults):
    return pipeline(f"^{shape}(\\..*)?$", name=shape, source={"connector": "mysql"},
                    defaults=defaults)


@pytest.fixture(params=SHAPES)
def shape(request):
    return request.param


@pytest.fixture
def target(shape, database):
    if shape == "lean":
        database.execute(LEAN_TABLES)
    return database


def assert_source_rows(database, where="true", expect=expected):
    for table in TABLES:
        rows = expect(table)
        columns = [pair[0] for pair in rows[0]]
        assert_same_rows(rows, database.rows(table, columns, where), table)


def test_replay_gives_the_rows_of_the_source(sink, target, shape):
    sink.write(configured(shape, on_delete="hard"), database=target)
    sink.replay(captured(shape))
    assert_source_rows(target)


def test_records_carry_the_one_value_that_differs(shape):
    payloads = [record["payload"] for record in captured(shape)
                if record["topic"].endswith("alltypes")]
    assert any('"c_ubig":-1,' in payload for payload in payloads)
    assert not any(str(2**64 - 1) in payload for payload in payloads)


def test_soft_deletes_keep_the_row_and_say_so(sink, target, shape):
    sink.write(configured(shape, on_delete="soft"), database=target)
    sink.replay(captured(shape))
    assert_source_rows(target, "cdc_operation <> 'd'")
    deleted = target.execute("select customer_id from customers where cdc_operation = 'd' order by 1")
    assert deleted == [(2,), (3,)], "2 was deleted, 3 became 30"


def test_keyless_table_gets_every_row(sink, target, shape):
    sink.write(configured(shape), database=target)
    sink.replay(captured(shape))
    rows = target.rows("nopk", ["a", "b"])
    assert rows == [[["a", "1"], ["b", "one"]], [["a", "2"], ["b", "two"]],
                    [["a", "3"], ["b", "three"]]]


def test_second_replay_changes_nothing(sink, target, shape):
    sink.write(configured(shape), database=target)
    first = captured(shape)
    sink.replay(first)
    before = target.state()
    sink.replay(first)
    assert target.state() == before
    assert before["public.customers"] and before["public.nopk"]


def test_each_record_alone_gives_the_same(sink, target, shape):
    """Batches of one record: nothing depends on what happens to meet in a batch."""
    sink.write(configured(shape, on_delete="hard"), database=target, batch={"max_events": 1})
    sink.replay(captured(shape))
    assert_source_rows(target)


def test_cdc_columns_tell_operation_and_source_time(sink, target, shape):
    sink.write(configured(shape), database=target)
    sink.replay(captured(shape))
    updated = target.execute("select cdc_operation, extract(epoch from cdc_timestamp) * 1000 "
                             "from customers where customer_id = 1")[0]
    times = defaultdict(list)
    for record in read_lines(CAPTURED / f"{shape}.mks_finance_dw.customers.jsonl"):
        value = json.loads(record["payload"] or "null")
        payload = (value or {}).get("payload", value) or {}
        row = payload.get("after", payload) or {}
        at = payload.get("__source_ts_ms") or payload.get("source", {}).get("ts_ms")
        times[row.get("customer_id")].append(at)
    assert updated[0] == "u"
    assert int(updated[1]) == max(times[1])


def test_made_tables_say_where_they_come_from(sink, database):
    sink.write(configured("full"), database=database)
    sink.replay(captured("full"))
    comment = database.value("select obj_description('customers'::regclass)")
    assert "mks_finance_dw" in comment and "customers" in comment
    key = database.execute(
        "select array_agg(attname::text order by array_position(conkey, attnum)) "
        "from pg_constraint join pg_attribute on attrelid = conrelid and attnum = any (conkey) "
        "where conrelid = 'composite'::regclass and contype = 'p' group by conrelid")
    assert key == [(["a", "b"],)]
    not_null = database.execute(
        "select attname::text from pg_attribute where attrelid = 'customers'::regclass "
        "and attnotnull and attnum > 0 order by 1")
    assert not_null == [("customer_id",), ("full_name",)]


def test_what_is_no_row_change_makes_no_table(sink, target, shape):
    sink.write(configured(shape), database=target)
    sink.replay(captured(shape))
    tables = target.execute("select tablename::text from pg_tables where schemaname = 'public'")
    assert {name for name, in tables} == {*TABLES, "nopk"}


def test_schema_topic_gives_lean_records_their_types(sink, databases):
    """Tables as the full records would have them made, and what is more than 2^63 as it was."""
    made = {}
    for shape, source in (("full", {}), ("lean", {"schema_topic": "lean"})):
        database = databases()
        settings = configured(shape, on_delete="hard", evolve="full")
        sink.write({**settings, "source": {"connector": "mysql", **source}}, database=database)
        sink.replay(captured(shape))
        assert_source_rows(database, expect=source_rows if source else expected)
        made[shape] = {table: database.columns(table) for table in [*TABLES, "nopk"]}
        assert database.value("select attnotnull from pg_attribute where attname = 'full_name' "
                              "and attrelid = 'customers'::regclass")
    different = {(table, name, made["lean"][table].get(name))
                 for table, columns in made["full"].items() for name, kind in columns.items()
                 if kind != made["lean"][table].get(name)}
    assert different == {("alltypes", "id", "numeric(20,0)"), ("alltypes", "c_ubig", "numeric(20,0)")}


def test_through_kafka_with_four_lanes(sink, target, shape, kafka):
    records = captured(shape)
    partitions = defaultdict(int)
    for record in records:
        partitions[record["topic"]] = 4
    for topic, count in partitions.items():
        # The pattern of one run must not see the topics of another: each has its prefix.
        kafka.create(f"k{topic}", count)
    kafka.produce([{**record, "topic": "k" + record["topic"]} for record in records])
    sink.write(configured(f"k{shape}", on_delete="hard"), database=target, kafka=True, lanes=4)
    daemon = sink.daemon()
    ends = defaultdict(int)
    for record in records:
        ends["k" + record["topic"], record["partition"]] += 1

    def caught_up():
        offsets = {key[1:]: offset for key, offset in target.offsets().items()}
        return all(offsets.get(place) == end for place, end in ends.items())

    daemon.await_that(caught_up, what="every partition at its end")
    daemon.stop()
    assert_source_rows(target)
    assert target.count("nopk") == 3
