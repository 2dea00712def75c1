"""A user who has the rights of docs/security.md and no other, in Kafka and in a PostgreSQL of tables that are
there, is enough; and without any one of them it is said which lacks."""

import pytest
from lib.committed import read_committed
from lib.kafka import Kafka
from lib.postgres import administer
from lib.records import Table, pipeline, row
from lib.rights import Acls, block, grants, rules
from lib.secure import PASSWORD, USER, Certificates, SecureKafka
from lib.sink import Exit
from lib.stack import ROOT

ROLE_PASSWORD = "r0le-secret"
PLAIN = {"on_delete": "hard", "cdc_operation": "off", "cdc_timestamp": "off"}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def broker(stack, certificates):
    """With rules, so that nothing is open for lack of one."""
    stack.up("postgres")
    broker = SecureKafka(certificates, stack)
    broker.acls = Acls(broker.bootstrap)
    for everything in ("--topic *", "--group *", "--transactional-id *", "--cluster"):
        broker.acls.allow("nobody", f"--operation All {everything}")
    yield broker
    broker.close()


@pytest.fixture(scope="module")
def secured(stack, broker):
    return Kafka({"KAFKA_BOOTSTRAP": broker.bootstrap, "KAFKA_LIBS": stack["KAFKA_LIBS"]})


@pytest.fixture
def role(stack, database):
    """The page's statements, for two tables that somebody else has made."""
    name = f"least_{database.name}"
    for table in ("customers", "orders"):
        administer(stack, f"create table {table} (id int primary key, name text, amount int)",
                   database.name)
    administer(stack, (ROOT / "sql/ods_sink.sql").read_text(), database.name)
    # What everybody may do unless it is taken away is no right of the role's.
    administer(stack, f"revoke all on database {database.name} from public; "
               "revoke all on schema public from public", database.name)
    statements = [line.replace("ods_sink_daemon", name).replace("database ods ", f"database {database.name} ")
                  for line in block("PostgreSQL, tables made by somebody else")]
    administer(stack, "\n".join(statements), database.name)
    administer(stack, f"alter role {name} password '{ROLE_PASSWORD}'")
    yield name
    administer(stack, f"drop owned by {name}; drop role {name}", database.name)


def dsn(stack, database, role):
    return (f"host=127.0.0.1 port={stack['POSTGRES_PORT']} dbname={database.name} user={role} "
            f"password={ROLE_PASSWORD}")


def login(certificates):
    return {"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512",
            "ssl.ca.location": str(certificates.path("ca.crt")), "sasl.username": USER,
            "sasl.password": PASSWORD}


@pytest.fixture
def ready(sink, stack, broker, secured, certificates, prefix):
    """A function that configures a pipeline from the secured broker and gives the user the page's rights;
    it answers a function that takes one away, asks `check --connect`, and gives it back."""
    given = []

    def allow(lines):
        for line in lines:
            broker.acls.allow(USER, line)
            given.append(line)

    def prepare(table, targets, *headings, letters=None, **settings):
        secured.create(table.topic, 1)
        sink.write({**pipeline(table), "defaults": PLAIN}, kafka=True, targets=targets,
                   kafka_properties=login(certificates), bootstrap=f"127.0.0.1:{broker.ports['sasl']}",
                   dead_letter={"topic": letters or ""}, **settings)
        sink.conf.chmod(0o600)
        names = {"shop.orders": table.topic, "ods.shop": f"{sink.group}.{pipeline(table)['name']}",
                 "ods.letters": letters or "none", "shop.out": f"{prefix}.out", "shop.made": f"{prefix}.made"}
        for heading in headings:
            allow(rules(heading, names))

    def without(line, expect):
        broker.acls.take(USER, line)
        said = sink.check("--connect", expect=expect)
        broker.acls.allow(USER, line)
        return said.stdout + said.stderr

    prepare.given, prepare.without = given, without
    yield prepare
    for line in given:
        broker.acls.take(USER, line)


def test_reading_and_a_postgresql_of_tables_that_are_there(sink, stack, secured, database, role, prefix, ready):
    table, letters = Table("orders", prefix=prefix), f"{prefix}.letters"
    secured.create(letters, 1)
    ready(table, [{"name": "ods", "type": "postgres", "dsn": dsn(stack, database, role)}], "Kafka, reading",
          letters=letters)
    sink.check("--connect")
    secured.produce([table.create(row(1)), table.create(row(2)), table.update(row(1), row(1)),
                     table.record("{}", "not JSON"), table.delete(row(2))])
    daemon = sink.daemon()
    daemon.await_that(lambda: secured.count(letters) == 1, what="the letter")
    daemon.await_that(lambda: orders_of(stack, database) == [(1,)], what="one row")
    assert "denied" not in daemon.log() and "uthoriz" not in daemon.log(), daemon.log()
    daemon.stop()
    assert "uthoriz" not in daemon.log(), daemon.log()
    said = {line.split()[1] + line.split()[2]: ready.without(
        line, Exit.OK if "DescribeConfigs" in line else Exit.SOURCE) for line in ready.given}
    assert f"topic {table.topic}: the user may not see it: grant Read" in said["Read--topic"]
    assert f"consumer group {sink.group}.items: the user may not join it: grant Read" in said["Read--group"]
    assert f"topic {table.topic}: the user may not read its settings, so nothing will tell what retention is " \
        "about to take: grant DescribeConfigs" in said["DescribeConfigs--topic"]
    assert f"dead-letter topic {letters}: the user may not see it: grant Write" in said["Write--topic"]
    sink.check("--connect")


def test_rights_that_are_told_apart(sink, stack, broker, secured, database, role, prefix, ready):
    """Who may describe a topic or a group sees it, and may not read it."""
    table = Table("orders", prefix=prefix)
    ready(table, [{"name": "ods", "type": "postgres", "dsn": dsn(stack, database, role)}], "Kafka, reading")
    for line in [line for line in ready.given if "Read --" in line]:
        described = line.replace("Read", "Describe")
        broker.acls.allow(USER, described)
        if "--topic" in line:
            said = ready.without(line, Exit.SOURCE)
            assert f"topic {table.topic}: the user may not read it: grant Read on the topic" in said
        else:  # that a group may be joined is told to who joins it
            broker.acls.take(USER, line)
            daemon = sink.daemon()
            daemon.await_that(lambda: "Group authorization failed" in daemon.log(), what="the reason")
            broker.acls.allow(USER, line)
            secured.produce([table.create(row(1))])
            daemon.await_that(lambda: orders_of(stack, database) == [(1,)], what="the row, once it may")
            daemon.stop()
        broker.acls.take(USER, described)


def test_each_right_of_the_role(sink, stack, database, role):
    recording = sink.file_of([Table("orders").create(row(1))])
    sink.write({**pipeline("orders"), "input": {"type": "file", "path": str(recording)}, "defaults": PLAIN,
                "tables": {"orders": {}}},
               targets=[{"name": "ods", "type": "postgres", "dsn": dsn(stack, database, role)}])
    sink.check("--connect")
    tried = grants(block("PostgreSQL, tables made by somebody else"))
    for right, on in tried:
        on = on.replace("database ods", f"database {database.name}")
        administer(stack, f"revoke {right} on {on} from {role}", database.name)
        done = sink.check("--connect", expect=Exit.TARGET)
        said = done.stdout + done.stderr
        own = {"usage": "grant usage on schema ods_sink to"}.get(
            right, "lacks rights on tables of schema ods_sink")
        named = own if "ods_sink" in on else {
            "connect": "permission denied for database", "usage": f"lacks usage on {on}"}.get(
                right, f"lacks {right} on public.orders: grant {right} on")
        assert named in said, (right, on, said[-1500:])
        administer(stack, f"grant {right} on {on} to {role}", database.name)
    assert len(tried) == 12
    sink.check("--connect")


def test_writing_at_the_sources_cluster(sink, broker, secured, prefix, ready):
    table, out = Table("orders", prefix=prefix), f"{prefix}.out"
    secured.create(out, 1)
    ready(table, [{"name": "ods", "type": "kafka", "topic": out}], "Kafka, reading",
          "Kafka, writing at the source's cluster")
    assert "exactly once" in sink.check("--connect").stdout
    secured.produce([table.create(row(1)), table.create(row(2))])
    daemon = sink.daemon()
    daemon.await_that(lambda: len(read_committed(broker.bootstrap, out)) == 2, what="records")
    assert sum(secured.committed(f"{sink.group}.items", table.topic, 1)) == 2
    daemon.stop()
    assert "uthoriz" not in daemon.log() and "denied" not in daemon.log(), daemon.log()
    for line in ready.given:
        if f"--topic {out}" in line:
            assert f"topic {out}: Broker: Topic authorization failed: grant Write and Describe on the topic" \
                in ready.without(line, Exit.TARGET)
            described = line.replace("Write", "Describe")
            broker.acls.allow(USER, described)
            broker.acls.take(USER, line)
            said = sink.replay_fails([table.create(row(3))], Exit.TARGET).stderr
            assert "Topic authorization failed" in said and "grant Write and Describe on the topic" in said, said
            broker.acls.allow(USER, line)
            broker.acls.take(USER, described)
        if "--transactional-id" in line:
            assert "grant Write and Describe on transactional ids" in ready.without(line, Exit.TARGET)
        if f"Read --group {sink.group}" in line or f"Read --topic {table.topic}" in line:
            assert "grant Read on the" in ready.without(line, Exit.SOURCE)
    # A topic that is made.
    made = f"{prefix}.made"
    sink.conf.write_text(sink.conf.read_text().replace(f'"{out}";', f'"{made}"; create_topics = true;'))
    sink.check("--connect")
    for line in [line for line in ready.given if "Create" in line]:
        said = ready.without(line, Exit.TARGET)
        assert f"topic {made}" in said and "uthoriz" in said, said
    secured.produce([table.create(row(3))])
    daemon = sink.daemon()
    daemon.await_that(lambda: len(read_committed(broker.bootstrap, made)) == 1, what="the record")
    daemon.stop()


def test_writing_at_another_cluster(sink, kafka, broker, secured, certificates, prefix):
    table, out = Table("orders", prefix=prefix), f"{prefix}.out"
    kafka.create(table.topic, 1)
    secured.create(out, 1)
    [line] = rules("Kafka, writing at another cluster", {"shop.out": out})
    broker.acls.allow(USER, line)
    sink.write(pipeline(table), kafka=True, targets=[{
        "name": "ods", "type": "kafka", "topic": out, "brokers": f"127.0.0.1:{broker.ports['sasl']}",
        "properties": login(certificates)}])
    sink.conf.chmod(0o600)
    sink.check("--connect")
    kafka.produce([table.create(row(1))])
    daemon = sink.daemon()
    daemon.await_that(lambda: len(read_committed(broker.bootstrap, out)) == 1, what="the record")
    daemon.stop()
    assert "uthoriz" not in daemon.log() and "denied" not in daemon.log(), daemon.log()
    broker.acls.take(USER, line)
    said = sink.check("--connect", expect=Exit.TARGET).stdout
    assert f"topic {out}: Broker: Topic authorization failed: grant Write and Describe on the topic" in said


def orders_of(stack, database):
    return administer(stack, "select id from orders", database.name)
