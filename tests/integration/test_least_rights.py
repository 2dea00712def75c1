"""A role that has the rights of docs/security.md and no other, in PostgreSQL and in Kafka, is enough."""

import re

import psycopg2
import pytest
from lib.kafka import Kafka
from lib.postgres import administer
from lib.records import Table, pipeline, row
from lib.secure import PASSWORD, USER, Certificates, SecureKafka, run
from lib.stack import ROOT

ROLE_PASSWORD = "r0le-secret"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def broker(stack, certificates):
    stack.up("postgres")
    broker = SecureKafka(certificates, stack["KAFKA_LIBS"])
    yield broker
    broker.close()


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
    page = (ROOT / "docs/security.md").read_text()
    block = re.search(r"```sql\n(.*?)```", page, re.DOTALL).group(1)
    block = re.sub(r"--.*", "", block).replace("ods_sink_daemon", name)
    administer(stack, block.replace("database ods ", f"database {database.name} "), database.name)
    administer(stack, f"alter role {name} password '{ROLE_PASSWORD}'")
    yield name
    administer(stack, f"drop owned by {name}; drop role {name}", database.name)


def allow(broker, *grants):
    """Who is nobody may do all, so that nothing is open for lack of an ACL; the user may do these."""
    everything = ["All", "--topic", "*", "--group", "*", "--transactional-id", "*", "--cluster"]
    for principal, words in [("nobody", everything), *((USER, grant) for grant in grants)]:
        run(*broker.java, "kafka.admin.AclCommand", "--bootstrap-server", broker.bootstrap, "--add",
            "--allow-principal", f"User:{principal}", "--operation", *words)


def test_the_rights_of_the_page_are_enough(sink, stack, broker, certificates, database, role, prefix):
    secured = Kafka({"KAFKA_BOOTSTRAP": broker.bootstrap, "KAFKA_LIBS": stack["KAFKA_LIBS"]})
    table, letters = Table("orders", prefix=prefix), f"{prefix}.letters"
    secured.create(table.topic, 1)
    secured.create(letters, 1)
    sink.write({**pipeline(table), "defaults": {"on_delete": "hard", "cdc_operation": "off",
                                                "cdc_timestamp": "off"}},
               kafka=True, dead_letter={"topic": letters},
               kafka_properties={"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512",
                                 "ssl.ca.location": str(certificates.path("ca.crt")),
                                 "sasl.username": USER, "sasl.password": PASSWORD},
               targets=[{"name": "ods", "type": "postgres", "dsn":
                         f"host=127.0.0.1 port={stack['POSTGRES_PORT']} dbname={database.name} "
                         f"user={role} password={ROLE_PASSWORD}"}])
    text = sink.conf.read_text()
    sink.conf.write_text(text.replace(stack["KAFKA_BOOTSTRAP"], f"127.0.0.1:{broker.ports['sasl']}"))
    sink.conf.chmod(0o600)
    group = f"{sink.group}.{pipeline(table)['name']}"
    allow(broker, ["Read", "--topic", table.topic, "--group", group],
          ["DescribeConfigs", "--topic", table.topic], ["Write", "--topic", letters])
    sink.check("--connect")
    secured.produce([table.create(row(1)), table.create(row(2)), table.update(row(1), row(1)),
                     table.record("{}", "not JSON"), table.delete(row(2))])
    daemon = sink.daemon()
    daemon.await_that(lambda: secured.count(letters) == 1, what="the letter")
    daemon.await_that(lambda: orders_of(stack, database) == [(1,)], what="one row")
    assert "denied" not in daemon.log() and "uthoriz" not in daemon.log(), daemon.log()
    daemon.stop()
    assert "uthoriz" not in daemon.log(), daemon.log()


def orders_of(stack, database):
    connection = psycopg2.connect(host=stack["POSTGRES_SOCKET_DIR"], port=stack["POSTGRES_PORT"],
                                  user="postgres", dbname=database.name)
    try:
        with connection.cursor() as cursor:
            cursor.execute("select id from orders")
            return cursor.fetchall()
    finally:
        connection.close()
