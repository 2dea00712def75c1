"""ods-generate and a broker of AMQP 1.0: everything arrives, once by its message-id, in order."""

import os

import pytest
from lib.amqp import Broker
from lib.generator import Generator, pipeline
from lib.sink import free_port

TABLES = ["CUSTOMERS", "PRODUCTS", "ORDERS", "PAYMENTS", "SHIPMENTS", "RETURNS"]


@pytest.fixture(scope="module")
def broker(stack):
    os.environ.setdefault("ODS_STACK_ARTEMIS_SYNC", "false")  # machines are not killed here
    stack.up("postgres", "artemis")
    return Broker(stack)


def test_from_the_generator_to_tables(sink, broker, database, prefix):
    """At a pace, with duplicates, through all changes of the schema."""
    generator = Generator(sink)
    prefix = prefix.replace(".", "_").replace("-", "_")
    topics = [f"{prefix}.SHOP.{table}" for table in TABLES]
    sink.http_port = free_port()
    sink.write(pipeline(topics=topics, input={"type": "amqp", "broker": "broker",
                                                   "key": "property:key"}),
               database=database, amqp=[broker.settings()],
               http={"listen": f"127.0.0.1:{sink.http_port}"})
    daemon = sink.daemon().await_ready()
    made = generator.run("--events", 1000, "--prefix", prefix, "--duplicates", 10,
                         "--user", broker.user, "--per-minute", 60000,
                         to=broker.url, AMQP_PASSWORD=broker.password)
    assert (made["events"], made["messages"]) == (1000, 1100)
    daemon.await_that(lambda: not any(broker.count(topic) for topic in topics),
                      what="all of them settled")
    daemon.stop()
    generator.truth(database)
    found = generator.differences(database)
    assert len(found) == 6 and all(not missing and not wrong
                                   for _, missing, wrong in found.values()), found
    assert database.delivered() == 1000
