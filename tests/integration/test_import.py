"""JDBC sink connectors' configurations turned into ods-sink's two files: every property is accounted
for, what comes out passes `check`, and no password stands in it."""

import json
import re
import stat

import pytest
import yaml
from lib.sink import Exit

JSON = "org.apache.kafka.connect.json.JsonConverter"
DEBEZIUM = {
    "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
    "topics.regex": r"shop\.inv\..*", "connection.url": "jdbc:postgresql://db:5433/ods_db",
    "connection.username": "ods", "connection.password": "it's $ecret",
    "insert.mode": "upsert", "primary.key.mode": "record_key", "delete.enabled": "true",
    "schema.evolution": "basic", "collection.name.format": "${source.table}",
    "quote.identifiers": "true", "errors.tolerance": "all",
    "errors.deadletterqueue.topic.name": "letters",
}
CONFLUENT = {
    "connector.class": "io.confluent.connect.jdbc.JdbcSinkConnector",
    "topics": "shop.inv.orders", "connection.url": "jdbc:postgresql://db/ods_db",
    "connection.user": "ods", "connection.password": "secret", "insert.mode": "upsert",
    "pk.mode": "record_key", "auto.create": "true", "auto.evolve": "true",
}
# Of each connector, every property of its own and of Kafka Connect's sinks.
EVERY = {
    "debezium": (DEBEZIUM, """connection.provider connection.pool.min_size connection.pool.max_size
        connection.pool.acquire_increment connection.pool.timeout connection.restart.on.errors
        truncate.enabled use.time.zone database.time_zone collection.naming.strategy
        column.naming.strategy column.naming.prefix batch.size use.reduction.buffer
        field.include.list flush.max.retries flush.retry.delay.ms primary.key.fields
        dialect.postgres.postgis.schema dialect.postgres.unnest.insert.enabled
        dialect.sqlserver.identity.insert cloud.events.schema.name.pattern
        hibernate.connection.isolation"""),
    "confluent": (CONFLUENT, """connection.attempts connection.backoff.ms dialect.name batch.size
        table.types table.name.format pk.fields fields.whitelist db.timezone date.timezone
        date.calendar.system timestamp.precision.mode timestamp.fields.list delete.enabled
        quote.sql.identifiers mssql.use.merge.holdlock max.retries retry.backoff.ms
        trim.sensitive.log replace.null.with.default jdbc.credentials.provider.class.name
        connection.loginTimeout"""),
}
OF_CONNECT = """tasks.max key.converter value.converter header.converter
    value.converter.schemas.enable value.converter.schema.registry.url config.action.reload
    transforms predicates errors.retry.timeout errors.retry.delay.max.ms errors.log.enable
    errors.log.include.messages errors.deadletterqueue.context.headers.enable
    errors.deadletterqueue.topic.replication.factor consumer.override.max.poll.records
    producer.override.acks"""


class Imported:
    def __init__(self, sink, config, *options, name="jdbc"):
        source = sink.folder / "connector.json"
        source.write_text(json.dumps({"name": name, "config": config}))
        self.folder = sink.folder / f"out-{len(list(sink.folder.iterdir()))}"
        done = sink.run("import", source, "-o", self.folder, "--json", *options)
        self.lines = json.loads(done.stdout)
        self.texts = done.stdout + done.stderr + "".join(
            (self.folder / file).read_text() for file in ("ods-sink.conf", "tables.yaml"))
        self.conf = (self.folder / "ods-sink.conf").read_text()
        (self.pipeline,) = yaml.safe_load((self.folder / "tables.yaml").read_text())["pipelines"]
        self.defaults = self.pipeline["defaults"]
        self.checked = sink.run("check", "-c", self.folder / "ods-sink.conf").stdout

    def verdict(self, property):
        (found,) = {line["verdict"] for line in self.lines if line["property"] == property}
        return found


@pytest.fixture
def imported(sink):
    return lambda config, *options, **more: Imported(sink, config, *options, **more)


def test_debezium(imported):
    done = imported({**DEBEZIUM, "tasks.max": "3"}, name="to-ods")
    assert re.search(r'dsn = "host=db port=5433 dbname=ods_db user=ods password=', done.conf)
    assert "lanes = 3;" in done.conf and 'topic = "letters"' in done.conf
    assert done.pipeline["name"] == "to-ods"
    assert done.pipeline["group_id"] == "connect-to-ods"  # so that it goes on where that one stood
    assert done.pipeline["on_error"] == "dead_letter"
    assert done.defaults["on_delete"] == "hard" and done.defaults["evolve"] == "add"
    assert done.defaults["create_tables"] is True and "target" not in done.defaults
    assert done.defaults["cdc_operation"] == "off" and done.defaults["cdc_timestamp"] == "off"


def test_confluent(imported):
    done = imported({**CONFLUENT, "pk.fields": "id", "fields.whitelist": "name", "tasks.max": 2})
    assert done.defaults["key"] == ["id"]
    assert sorted(done.defaults["columns"]["include"]) == ["id", "name"]  # its keys come anyway
    assert done.defaults["on_delete"] == "ignore" and done.pipeline["on_error"] == "stop"
    assert "fold" not in done.defaults


@pytest.mark.parametrize("kind", EVERY)
def test_every_property_is_accounted_for(imported, kind):
    config, names = EVERY[kind]
    config = {**{name: "1" for name in names.split() + OF_CONNECT.split()}, **config,
              "no.such.property": "x"}
    done = imported(config)
    told = {line["property"] for line in done.lines}
    assert set(config) <= told
    unknown = {line["property"] for line in done.lines if line["verdict"] == "unknown"}
    assert unknown == {"no.such.property"}
    assert all(line["note"] for line in done.lines)


def test_passwords_stand_in_files_of_their_own(imported):
    jaas = ('org.apache.kafka.common.security.scram.ScramLoginModule required username="u" '
            'password="p$ssw0rd";')
    done = imported({**DEBEZIUM, "consumer.override.sasl.jaas.config": jaas,
                     "connection.url": "jdbc:postgresql://db/ods_db?password=another1&sslmode=require"})
    for secret in ("ecret", "p$ssw0rd", "another1"):
        assert secret not in done.texts + done.checked
    for name in ("ods-password", "kafka-password"):
        assert stat.S_IMODE((done.folder / name).stat().st_mode) == 0o600
    assert (done.folder / "kafka-password").read_text() == "p$ssw0rd"


def test_the_password_is_that_of_the_connector(imported, sink, stack):
    """With quotes and blanks in it, it connects."""
    stack.up("postgres")
    password = r"a b'c\d$e"
    from lib.postgres import administer
    administer(stack, "drop role if exists importer")
    administer(stack, "create role importer login password 'a b''c\\d$e'")
    host, port = stack["POSTGRES_HOST"], stack["POSTGRES_PORT"]
    done = imported({**DEBEZIUM, "connection.username": "importer",
                     "connection.url": f"jdbc:postgresql://{host}:{port}/postgres",
                     "connection.password": password})
    said = sink.run("check", "-c", done.folder / "ods-sink.conf", "--connect", expect=None)
    assert "user importer, database postgres" in said.stdout, said.stdout + said.stderr


def test_a_reference_becomes_an_environment_variable(imported):
    done = imported({**DEBEZIUM, "connection.password": "${file:/etc/secrets.properties:ods}"})
    assert "${ODS_PASSWORD:-}" in done.conf
    done = imported({**DEBEZIUM, "connection.password": "${env:DB_PW}"})
    assert "${DB_PW:-}" in done.conf


@pytest.mark.parametrize("regex, good, bad", [
    (r"shop\.inv\..*", "shop.inv.a", "my.shop.inv.a"),
    (r"(?:a|b)\.\d+\.\w+?", "a.12.x_1", "c.12.x"),
    (r"a[\w\-]+", "ax-1", "a.x"),
    (r"^x.*y$", "x1y", "x1yz"),
])
def test_expressions_match_what_they_matched(imported, regex, good, bad):
    done = imported({**DEBEZIUM, "topics.regex": regex})
    (pattern,) = done.pipeline["topics"]
    pattern = pattern.replace("$$", "$")
    assert re.search(pattern, good) and not re.search(pattern, bad)


@pytest.mark.parametrize("regex", [r"(?!x).*", r"a++", r"\p{Lower}", r"(?i)a", r"[a-z&&[^b]]"])
def test_expressions_that_posix_has_not(sink, regex):
    source = sink.folder / "connector.json"
    source.write_text(json.dumps({"name": "a", "config": {**DEBEZIUM, "topics.regex": regex}}))
    done = sink.run("import", source, "-o", sink.folder / "out", expect=Exit.CONFIG)
    assert "topics.regex" in done.stderr and "--topics" in done.stderr
    assert not (sink.folder / "out").exists()
    sink.run("import", source, "-o", sink.folder / "out", "--topics", "a.b.c,a.b.d")


ROUTER = "org.apache.kafka.connect.transforms.RegexRouter"


def routed(regex, replacement):
    return {"transforms": "r", "transforms.r.type": ROUTER, "transforms.r.regex": regex,
            "transforms.r.replacement": replacement}


@pytest.mark.parametrize("changes, target", [
    # A topic's dots become underscores; Confluent's sink takes them for schema and table.
    ({"collection.name.format": "${topic}"}, "shop_inv_${table}"),
    ({"collection.name.format": "x_${topic}", "quote.identifiers": "false"}, "x_shop_inv_${table}"),
    ({"collection.name.format": "ODS.${source.table}", "quote.identifiers": "false"}, "ods.${table}"),
    ({"collection.name.format": "${topic}", **routed(r".*\.(.*)", "$1")}, None),
    ({"collection.name.format": "${topic}", **routed(r"([^.]+)\.([^.]+)\.([^.]+)", "$2_$3")},
     "inv_${table}"),
])
def test_tables_of_an_expression(imported, changes, target):
    assert imported({**DEBEZIUM, **changes}).defaults.get("target") == target


@pytest.mark.parametrize("changes, tables", [
    ({}, {}),
    ({"table.name.format": "${topic}"}, {}),
    ({"table.name.format": "t_${topic}", "topics": "orders"}, {"orders": "t_orders"}),
    ({"topics": "shop.inv.orders", **routed(r"shop\.(.*)\.(.*)", "$1.${2}_x")},
     {"inv.orders": "inv.orders_x"}),
])
def test_tables_of_named_topics(imported, changes, tables):
    done = imported({**CONFLUENT, "table.name.format": "${topic}", **changes})
    found = {name: table["target"] for name, table in done.pipeline.get("tables", {}).items()
             if table["target"].split(".")[-1] != name.split(".")[-1]}
    assert found == tables


def test_transforms(imported):
    done = imported({
        **CONFLUENT, "transforms": "unwrap,fields,key,cast,mine",
        "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
        "transforms.unwrap.add.fields": "op",
        "transforms.fields.type": "org.apache.kafka.connect.transforms.ReplaceField$Value",
        "transforms.fields.exclude": "ssn", "transforms.fields.renames": "a:b",
        "transforms.key.type": "org.apache.kafka.connect.transforms.ExtractField$Key",
        "transforms.key.field": "id",
        "transforms.cast.type": "org.apache.kafka.connect.transforms.Cast$Value",
        "transforms.cast.spec": "a:string", "transforms.mine.type": "com.example.Mine",
        "transforms.mine.knob": "1"})
    assert done.defaults["cdc_operation"] == "__op" and done.defaults["key"] == ["id"]
    assert done.defaults["columns"] == {"exclude": ["ssn"], "rename": {"a": "b"}}
    assert done.verdict("transforms.unwrap.type") == "same"
    assert done.verdict("transforms.cast.type") == "differs"
    assert done.verdict("transforms.mine.type") == "left"
    assert done.verdict("transforms.mine.knob") == "left"


@pytest.mark.parametrize("config, word", [
    ({**DEBEZIUM, "connection.url": "jdbc:oracle:thin:@db:1521:x"}, "oracle"),
    ({**DEBEZIUM, "connector.class": "io.debezium.connector.mysql.MySqlConnector"}, "JDBC sinks"),
    ({key: value for key, value in DEBEZIUM.items() if key != "topics.regex"}, "topics"),
])
def test_what_can_not_be_imported(sink, config, word):
    source = sink.folder / "connector.json"
    source.write_text(json.dumps({"name": "a", "config": config}))
    assert word in sink.run("import", source, expect=Exit.CONFIG).stderr


def test_without_a_folder_nothing_is_written(sink):
    source = sink.folder / "connector.json"
    source.write_text(json.dumps({"name": "a", **DEBEZIUM}))
    done = sink.run("import", source)
    assert "pipelines:" in done.stdout and "ecret" not in done.stdout
    assert [path.name for path in sink.folder.iterdir()] == ["connector.json"]


def test_files_that_are_there_stay(sink):
    source = sink.folder / "connector.json"
    source.write_text(json.dumps({"name": "a", **DEBEZIUM}))
    sink.run("import", source, "-o", sink.folder / "out")
    conf = sink.folder / "out" / "ods-sink.conf"
    conf.write_text("mine")
    assert "--force" in sink.run("import", source, "-o", sink.folder / "out",
                                 expect=Exit.CONFIG).stderr
    assert conf.read_text() == "mine"
    sink.run("import", source, "-o", sink.folder / "out", "--force")
    assert "targets" in conf.read_text()
