"""The schema-change topic gives records without schema their types, each those of its time."""

import json

import pytest
from lib.records import INT, Table, pipeline
from lib.sink import read_lines
from lib.text import assert_same_rows
from test_fixtures import CAPTURED, TABLES, configured, source_rows

ITEMS = {"id": "INT", "total": "BIGINT UNSIGNED", "price": ("DECIMAL", 10, 2),
         "seen": ("DATETIME", 3), "at": ("TIMESTAMP", 6), "kind": "ENUM", "photo": "BLOB",
         "flag": ("BIT", 1), "wait": "TIME"}
ROW = {"id": 1, "total": -1, "price": "AeIT", "seen": 1529507596945,
       "at": "2018-06-20T15:13:16.945104Z", "kind": "a", "photo": "AQID", "flag": True,
       "wait": -3020399000000}
MADE = {"id": "integer", "total": "numeric(20,0)", "price": "numeric(10,2)",
        "seen": "timestamp(3) without time zone", "at": "timestamp with time zone", "kind": "text",
        "photo": "bytea", "flag": "boolean", "wait": "interval"}
SHOWN = ("18446744073709551615", "1234.11", "2018-06-20 15:13:16.945",
         "2018-06-20 15:13:16.945104+00", "a", "\\x010203", "true", "-838:59:59")


class Source(Table):
    """Rows without schema, and the topic that tells of the table."""

    def __init__(self, **columns):
        super().__init__(schemas=False, columns=dict.fromkeys(ITEMS, INT))
        self.types = {**ITEMS, **columns}

    def statement(self, kind="CREATE", connector="mysql", **columns):
        """What Debezium writes of a DDL statement, a second after what happened last."""
        self._clock_ms += 1000
        self.types.update(columns)
        described = [self._column(name, place) for place, name in enumerate(self.types, 1)]
        value = {"source": {**self._source(self._clock_ms), "connector": connector},
                 "ts_ms": self._clock_ms, "databaseName": self.database, "schemaName": None,
                 "ddl": "…", "tableChanges": [{
                     "type": kind, "id": f'"{self.database}"."{self.name}"',
                     "table": {"primaryKeyColumnNames": ["id"], "columns": described}}]}
        offset = self._offsets["ddl"] = self._offsets.get("ddl", -1) + 1
        return {"topic": self.prefix, "partition": 0, "offset": offset, "ts": self._clock_ms,
                "headers": [], "key": json.dumps({"databaseName": self.database}),
                "payload": json.dumps(value)}

    def _column(self, name, place):
        kind = self.types[name]
        kind, *numbers = kind if isinstance(kind, tuple) else (kind,)
        return {"name": name, "typeName": kind, "typeExpression": kind, "position": place,
                "length": (numbers + [None])[0], "scale": (numbers + [None, None])[1],
                "optional": name != "id", "enumValues": ["'a'", "'b'"] if kind == "ENUM" else None}

    def pipeline(self, **settings):
        defaults = {"on_delete": "hard", "evolve": "full", **settings.pop("defaults", {})}
        return {**pipeline(f"^{self.prefix}(\\..*)?$", **settings), "defaults": defaults,
                "source": {"connector": "mysql", "schema_topic": self.prefix}}


def columns(database):
    return {name: kind for name, kind in database.columns("items").items()
            if not name.startswith("cdc_")}


def row(database, number=1):
    names = ", ".join(f"{name}::text" for name in MADE if name != "id")
    found = database.execute(f"select {names} from items where id = %s", number)
    return found[0] if found else None


def test_table_is_made_with_the_types_of_the_source(sink, database):
    source = Source()
    sink.write(source.pipeline(), database=database)
    summary = sink.replay([source.statement(), source.create(ROW), source.delete({"id": 7})])
    assert columns(database) == MADE
    assert row(database) == SHOWN
    assert summary["pipelines"][0]["rejected"] == {"decode": 0, "apply": 0}


def test_key_alone_has_its_types_too(sink, database):
    """A tombstone of a bigint unsigned key."""
    source = Source(id="BIGINT UNSIGNED")
    sink.write(source.pipeline(), database=database)
    big = {**ROW, "id": -1}
    sink.replay([source.statement(), source.create(big), source.create({**ROW, "id": 2}),
                 source.tombstone({"id": -1})])
    assert database.execute("select id::text from items") == [("2",)]


def test_each_record_is_read_as_its_time_has_it(sink, database):
    """seen becomes microseconds; the rows from before come after the statement, as another
    partition's may."""
    source = Source()
    before = source.statement()
    early = [source.create(ROW), source.create({**ROW, "id": 2})]
    after = source.statement("ALTER", seen=("DATETIME", 6))
    late = source.create({**ROW, "id": 3, "seen": 1529507596945104})
    sink.write(source.pipeline(), database=database)
    sink.replay([before, after, *early, late])
    seen = database.execute("select id, seen::text from items order by id")
    assert seen == [(1, "2018-06-20 15:13:16.945"), (2, "2018-06-20 15:13:16.945"),
                    (3, "2018-06-20 15:13:16.945104")]
    assert columns(database)["seen"] == "timestamp without time zone"


def test_new_column_has_its_type(sink, database):
    source = Source()
    records = [source.statement(), source.create(ROW)]
    source.columns["born"] = INT
    records += [source.statement("ALTER", born="DATE"),
                source.create({**ROW, "id": 2, "born": 16576})]
    sink.write(source.pipeline(), database=database)
    sink.replay(records)
    assert columns(database) == {**MADE, "born": "date"}
    assert database.execute("select born::text from items order by id") == [(None,), ("2015-05-21",)]


def test_source_types_go_before(sink, database):
    source = Source()
    sink.write(source.pipeline(defaults={"source_types": {"seen": "bigint", "kind": "varchar(3)"}}),
               database=database)
    sink.replay([source.statement(), source.create(ROW)])
    assert columns(database) == {**MADE, "seen": "bigint", "kind": "character varying(3)"}


def test_unit_of_the_settings_goes_before_the_precision(sink, database):
    source = Source(seen=("DATETIME", 6))
    settings = source.pipeline()
    settings["source"]["timestamp_unit"] = "ms"  # time.precision.mode=connect
    sink.write(settings, database=database)
    sink.replay([source.statement(), source.create(ROW)])
    assert row(database) == SHOWN


@pytest.mark.parametrize("payload", ["not json", "{}", '{"ddl": "…", "databaseName": 1}', None])
def test_a_record_that_says_nothing_teaches_nothing(sink, database, payload):
    source = Source()
    bad = {**source.statement(), "offset": 0, "payload": payload}
    good = {**source.statement(), "offset": 1}
    sink.write(source.pipeline(), database=database)
    sink.replay([bad, good, source.create(ROW)], dead_letter=sink.folder / "letters")
    assert row(database) == SHOWN


def test_another_connector_is_refused(sink, database):
    """Its names of types mean other things."""
    source = Source()
    sink.write(source.pipeline(), database=database)
    letters = sink.folder / "letters"
    sink.replay([source.statement(connector="sqlserver"), source.create(ROW)], dead_letter=letters)
    assert "neither MySQL's nor MariaDB's" in letters.read_text()
    assert columns(database)["seen"] == "bigint"


@pytest.mark.parametrize("shape", ["lean", "flat"])
def test_daemon_follows_the_topic(sink, database, kafka, shape, prefix):
    """Its partitions are read by other members than the tables'; here none but the follower reads
    it. The flattened records are the captured ones without their schemas."""
    records = [record for path in sorted(CAPTURED.glob(f"{shape}*.jsonl"))
               for record in read_lines(path)]
    for record in records:
        record["topic"] = prefix + record["topic"]
        for part in ("key", "payload"):
            value = json.loads(record[part] or "null")
            if value and "schema" in value:
                record[part] = json.dumps(value["payload"])
    schema_topic = prefix + shape
    for topic in {record["topic"] for record in records}:
        kafka.create(topic, 1 if topic == schema_topic else 4)
    settings = configured(prefix + shape, on_delete="hard", evolve="full")
    sink.write({**settings, "topics": [f"^{prefix}{shape}\\."],
                "source": {"connector": "mysql", "schema_topic": schema_topic}},
               database=database, kafka=True, lanes=2, dead_letter={"topic": f"letters-{prefix}"})
    kafka.produce(records)
    daemon = sink.daemon()

    def equal():
        for table in TABLES:
            rows = source_rows(table)
            names = [pair[0] for pair in rows[0]]
            if not database.exists(table) or not set(names) <= set(database.columns(table)):
                return False
            if database.rows(table, names) != rows:
                return False
        return True

    def different():
        for table in TABLES:
            rows = source_rows(table)
            assert_same_rows(rows, database.rows(table, [pair[0] for pair in rows[0]]), table)
        return "equal"

    daemon.await_that(equal, 60, different)
    assert database.columns("alltypes")["c_ubig"] == "numeric(20,0)"
    assert daemon.metric("ods_sink_records_rejected_total") == 0, daemon.tail()
    daemon.stop()


def test_daemon_learns_while_it_runs(sink, database, kafka, prefix):
    """A table that is new, and one whose column changes: the statement is in Kafka before the row,
    on another topic."""
    source = Source()
    source.prefix, source.topic = prefix, f"{prefix}.shop.items"
    kafka.create(source.topic, 4)
    sink.write(source.pipeline(), database=database, kafka=True, lanes=2,
               dead_letter={"topic": f"letters-{prefix}"})
    daemon = sink.daemon().await_ready()
    kafka.create(prefix, 1)
    kafka.produce([source.statement()])
    kafka.produce([source.create(ROW, partition=1)])
    daemon.await_that(lambda: database.exists("items") and row(database), 60, "the row")
    assert f"schema topic {prefix} is there" in sink.check("--connect").stdout
    assert row(database) == SHOWN
    source.columns["born"] = INT
    kafka.produce([source.statement("ALTER", born="DATE", seen=("DATETIME", 6))])
    kafka.produce([source.create({**ROW, "id": 2, "seen": 1529507596945104, "born": 16576},
                                 partition=2)])
    daemon.await_that(lambda: row(database, 2), 60, "the second row")
    assert database.execute("select seen::text, born::text from items where id = 2") == \
        [("2018-06-20 15:13:16.945104", "2015-05-21")]
    daemon.stop()
