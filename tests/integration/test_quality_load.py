"""All checks of `quality` at once, under load: the daemon finds what is planted in rows, in the target and in Kafka,
and nothing else; ODS_QUALITY_ROWS, _SEED and _FIGURES as in test_quality.py."""

import os
import secrets
import shutil
from datetime import datetime, timedelta, timezone

import pymysql
import pytest
from lib.cli_worlds import placed
from lib.faulty import CUSTOMER, ORDER, PLANTED, RULES, pipeline, world
from lib.sink import Exit
from test_quality import FLYING, PATIENCE_S, ROWS, SEED, keep, quality, shown

TYPES = {"int32": "int", "int64": "bigint", "string": "varchar(50)"}
# What is planted behind the pipeline's back, as each of the orders' rules measures it.
BEHIND = {"checksum": 13, "row_count": 1}


@pytest.fixture
def source(sink):
    """A database in MySQL, made for the test."""
    stack, name = sink.stack.up("mysql"), f"quality_{secrets.token_hex(3)}"
    root = pymysql.connect(unix_socket=stack["MYSQL_SOCKET"], user="root", autocommit=False)
    yield Source(root, name, stack)
    root.cursor().execute(f"drop database if exists {name}")
    root.close()


class Source:
    def __init__(self, root, name, stack):
        self.root, self.name = root, name
        self.setting = {"name": "shop", "type": "mysql", "busy_share": 100,
                        "dsn": f"host=127.0.0.1 port={stack['MYSQL_PORT']} dbname={name} user=debezium "
                               "password=${ODS_STACK_MYSQL_DEBEZIUM_PASSWORD}"}

    def fill(self, made):
        """With these rows; where the log stands then."""
        with self.root.cursor() as cursor:
            cursor.execute(f"create database {self.name} character set utf8mb4")
            for table, columns in (("customers", CUSTOMER), ("orders", ORDER)):
                types = ", ".join(f"{name} {TYPES[of['type']]}" for name, of in columns.items())
                cursor.execute(f"create table {self.name}.{table} ({types}, primary key (id))")
                cursor.executemany(
                    f"insert into {self.name}.{table} values ({', '.join(['%s'] * len(columns))})",
                    [tuple(row[name] for name in columns) for row in made[table]])
            self.root.commit()
            cursor.execute("show master status")
            return cursor.fetchone()[:2]


def rules():
    """Those about rows, and for both tables every other one."""
    def columns(of):
        return {name: "any" for name in of}

    others = [{"check": "checksum"}, {"check": "row_count"}, {"check": "freshness", "within": "30m"},
              {"check": "volume"}, {"check": "lag", "max": str(max(1000, ROWS // 100))}]
    return {table: [{**rule, **({"on_fail": "pass"} if rule["check"] in FLYING else {})} for rule in some] +
            [*others, {"check": "schema", "key": ["id"], "types": columns(of), "others": False}]
            for (table, some), of in zip(RULES.items(), (CUSTOMER, ORDER))}


class Load:
    """The daemon, what it found, and updates that change nothing, which go on meanwhile."""

    def __init__(self, daemon, kafka, database, updates):
        self.daemon, self.kafka, self.database, self.updates = daemon, kafka, database, updates

    def go_on(self):
        self.kafka.produce(self.updates())

    def await_run(self):
        """The results of a whole run that begins from now on: (table, rule) to (state, measured)."""
        begun = self.database.value("select clock_timestamp()")

        def done():
            self.go_on()
            return self.database.value(
                "select count(distinct began_at) from ods_sink.quality where by_daemon and not in_flight "
                "and began_at > %s", begun) >= 2

        self.daemon.await_that(done, PATIENCE_S * 2, "a run")
        results = self.database.execute(
            "select source_table, rule, state, measured::bigint, seconds, why from ods_sink.quality "
            "where by_daemon and not in_flight and began_at = (select min(began_at) from ods_sink.quality "
            "where by_daemon and not in_flight and began_at > %s)", begun)
        keep(f"all-{begun:%H%M%S}", [list(one) for one in results])
        return {(table.rpartition(".")[2], rule): (state, measured, why)
                for table, rule, state, measured, _, why in results}


def assert_found(found, broken):
    """`broken`: (table, rule) to what is measured, None where that is not looked at."""
    assert len(found) == len(PLANTED) + 12
    assert {place for place, (state, _, _) in found.items() if state == "fail"} == set(broken), found
    assert {state for state, _, _ in found.values()} == {"fail", "pass"}, found
    for place, measured in broken.items():
        assert measured in (None, found[place][1]), (place, found[place])


def plant(database, spoiled):
    """Behind the pipeline's back, in rows of orders that are right so far."""
    whole = [number for number in range(2, ROWS // 2, 2) if number not in spoiled["orders"]]
    database.execute("delete from orders where id = any(%s)", whole[:4])
    database.execute("update orders set amount = amount + 1 where id = any(%s)", whole[4:10])
    database.execute("insert into orders (id, customer, amount, status, code, cdc_timestamp) "
                     "select 20000000 + n, 1, 1, 'new', 'ABC-1', now() at time zone 'UTC' from generate_series(1, 3) n")
    database.execute("update orders set cdc_timestamp = cdc_timestamp - interval '1 hour'")
    database.execute("alter table customers add column extra bigint")
    for week, ahead in ((week, ahead) for week in (1, 2, 3) for ahead in (0, 1)):  # an hour may end meanwhile
        hour = datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0) - timedelta(
            hours=1 - ahead, days=7 * week)
        database.execute(
            "insert into ods_sink.quality select (jsonb_populate_record(null::ods_sink.quality, to_jsonb(q) || "
            f"jsonb_build_object('of_hour', '{hour.isoformat()}', 'measured', {5_000_000 + week}))).* "
            "from ods_sink.quality q where rule = 'volume' and source_table like '%orders' and of_hour is not null "
            "order by began_at desc limit 1")


def test_all_kinds_of_faults_under_load(sink, kafka, database, source):
    tables, made, spoiled = world(ROWS, SEED + 2, f"l{secrets.token_hex(3)}", source.name)
    place = source.fill(made)
    for table in tables.values():
        kafka.create(table.topic, 1)
    now_ms = int(datetime.now(timezone.utc).timestamp() * 1000)
    stream = {**pipeline(rules(), tables["orders"].prefix, source.name, every="1s", settle="0s"), "lanes": 2,
              "database": "shop"}
    sink.write(stream, kafka=True, database=database, databases=[source.setting])
    daemon = sink.daemon().await_ready()

    def created(table, some):
        return (placed(tables[table].create(one, ts_ms=now_ms), place) for one in some)

    def updates():
        now = int(datetime.now(timezone.utc).timestamp() * 1000)
        return [placed(tables["customers"].update(one, one, ts_ms=now), place) for one in made["customers"][:50]]

    load, some = Load(daemon, kafka, database, updates), max(400, ROWS // 1000)
    kafka.produce(created("customers", made["customers"]))
    for start in range(0, ROWS // 2, some):
        kafka.produce(created("orders", made["orders"][start:start + some]))
        load.go_on()
    daemon.await_that(lambda: all(database.count(table) == len(made[table]) for table in made),
                      PATIENCE_S, "all rows")
    in_rows = {(table, name): PLANTED[name] for table, some in spoiled.items() for name in some.values()}
    assert_found(load.await_run(), in_rows)
    plant(database, spoiled)
    expected = {**in_rows, **{("orders", rule): measured for rule, measured in BEHIND.items()},
                ("orders", "freshness"): None, ("orders", "volume"): None, ("customers", "schema"): None}
    found = load.await_run()
    assert_found(found, expected)
    assert "4 rows are missing, 3 extra, 6 changed" in found["orders", "checksum"][2]
    assert "column extra is not expected" in found["customers", "schema"][2]
    for rule in {rule for _, rule in expected} - set(BEHIND) - {"freshness", "volume", "schema"}:
        assert shown(daemon, "quality_broken", rule) == 1
    daemon.stop()
    page = sink.folder / "quality.html"
    report = quality(sink, "report", "--html", page, expect=Exit.NEGATIVE)
    if os.environ.get("PAGE_SHOTS"):
        shutil.copy(page, os.environ["PAGE_SHOTS"])
    assert {(one["table"].rpartition(".")[2], one["rule"]) for one in report["rules"]
            if one["state"] == "fail" and not one["in_flight"]} == set(expected)
    assert quality(sink, "run", "--rule", "lag")["verdict"] == "pass"
    while_away = max(1000, ROWS // 100) + 1
    kafka.produce(record for _ in range(while_away // 50 + 1) for record in updates())
    result = quality(sink, "run", "--rule", "lag", "customers", expect=Exit.NEGATIVE)
    assert result["rules"][0]["measured"] >= while_away
