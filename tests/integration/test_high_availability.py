"""What a failover, a restore, another cluster and more partitions do to offsets: nothing lost, nothing
twice. With load, and measured: scripts/ha."""

import re
import socket
import threading

import pytest
from lib.brokers import Brokers
from lib.postgres import administer
from lib.records import Table, pipeline, row
from lib.sink import Exit
from lib.standby import Pair, Reachable
from lib.toxiproxy import Toxiproxy
from lib.waiting import wait_for


def ids(database, table="items"):
    return [number for number, in database.execute(f"select id from {table} order by id")]


def produce(kafka, table, numbers, partitions=1):
    kafka.produce([table.create(row(number), partition=number % partitions) for number in numbers])


def committed(kafka, sink, table, partitions=1):
    return kafka.committed(f"{sink.group}.items", table.topic, partitions)


# --- a partition that the target has forgotten ---------------------------------------------------


def forget(database, keeps):
    """What a restore of an older backup leaves, or a standby that lagged behind."""
    database.execute("delete from ods_sink.offsets where partition = 0")
    database.execute(f"delete from items where not ({keeps})")


def test_a_lost_first_offset_loses_nothing(sink, database, kafka, table):
    """The target's row of a partition and its rows are gone, and the group has committed: while the daemon
    runs, and before one starts."""
    produce(kafka, table, range(10))
    sink.write(pipeline(table), database=database, kafka=True)
    daemon = sink.daemon()
    daemon.await_that(lambda: committed(kafka, sink, table) == [10], what="the group has committed")
    forget(database, "false")
    produce(kafka, table, range(10, 12))
    daemon.await_that(lambda: database.count("items") == 12, what="all are there again")
    daemon.stop()
    assert committed(kafka, sink, table) == [12]
    assert "begins again at offset 0" in daemon.log()

    forget(database, "false")
    daemon = sink.daemon()
    daemon.await_that(lambda: database.count("items") == 12, what="all are there again")
    daemon.stop()
    # Nothing is lost that Kafka itself has not any more: then it says so.
    forget(database, "false")
    kafka.delete_records(table.topic, 0, 5)
    daemon = sink.daemon()
    assert daemon.process.wait(60) == Exit.SOURCE
    assert "records are gone" in daemon.log() and "ods-sink reset" in daemon.log()
    sink.run("reset", "-c", sink.conf, "--topic", table.topic, "--to", "earliest")
    daemon = sink.daemon()
    daemon.await_that(lambda: ids(database) == list(range(5, 12)), what="what Kafka has")
    daemon.stop()


@pytest.mark.parametrize("begins", ["takeover", "latest", "reset"])
def test_it_begins_again_where_it_began(sink, database, kafka, table, begins):
    """Not at the topic's beginning: another program was before, or the configuration says latest, or an
    operator has said where."""
    produce(kafka, table, range(5))
    sink.write(pipeline(table), database=database, kafka=True)
    if begins == "latest":
        sink.conf.write_text(sink.conf.read_text().replace(
            "kafka = { ", 'kafka = { auto_offset_reset = "latest"; ', 1))
    if begins == "takeover":
        kafka.commit(f"{sink.group}.items", table.topic, [5])
    elif begins == "reset":
        sink.run("reset", "-c", sink.conf, "--topic", table.topic, "--to", "5")
    daemon = sink.daemon().await_ready()
    if begins == "latest":
        daemon.await_that(lambda: committed(kafka, sink, table) == [5], what="where it begins")
    produce(kafka, table, range(5, 8))
    daemon.await_that(lambda: database.count("items") == 3, what="what came since")
    daemon.stop()
    assert committed(kafka, sink, table) == [8]
    for _ in range(2):  # and again
        forget(database, "false")
        daemon = sink.daemon()
        daemon.await_that(lambda: database.count("items") == 3, what="the same again")
        daemon.stop()
        assert ids(database) == [5, 6, 7]
    if begins == "reset":  # an operator goes back, and further than it began
        sink.run("reset", "-c", sink.conf, "--topic", table.topic, "--to", "2")
        forget(database, "false")
        daemon = sink.daemon()
        daemon.await_that(lambda: ids(database) == list(range(2, 8)), what="from there")
        daemon.stop()


def test_an_empty_partition_is_no_loss(sink, database, kafka, table):
    sink.write(pipeline(table), database=database, kafka=True)
    for _ in range(2):
        daemon = sink.daemon().await_ready()
        daemon.await_that(lambda: committed(kafka, sink, table) == [0], what="it is at its end")
        daemon.stop()
        assert "begins again" not in daemon.log()


# --- PostgreSQL -------------------------------------------------------------------------------------


class Silent:
    """A port that takes connections and says nothing."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.taken = []
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self):
        while True:
            try:
                self.taken.append(self.server.accept()[0])
            except OSError:
                return

    def close(self):
        self.server.close()
        for one in self.taken:
            one.close()


def two_hosts(database, first, more=""):
    """The first host, then the stack's server."""
    port = re.search(r"port=(\d+)", database.dsn).group(1)
    dsn = database.dsn.replace("host=127.0.0.1", "host=127.0.0.1,127.0.0.1") \
        .replace(f"port={port}", f"port={first},{port}")
    return [{"name": "ods", "type": "postgres", "dsn": f"{dsn} {more}"}]


def test_a_silent_host_does_not_hold_up_the_next(sink, database, kafka, table):
    silent = Silent()
    try:
        sink.write(pipeline(table), kafka=True,
                   targets=two_hosts(database, silent.port, "connect_timeout=1"))
        produce(kafka, table, range(3))
        daemon = sink.daemon()
        daemon.await_that(lambda: database.count("items") == 3, what="rows through the second")
        daemon.stop()
        assert silent.taken, "the first one was tried"
        # Of two that are silent both are named.
        sink.write(pipeline(table), kafka=True, targets=[{
            "name": "ods", "type": "postgres", "dsn": "host=127.0.0.1,localhost dbname=x user=x "
            f"port={silent.port},1 connect_timeout=1"}])
        said = sink.check("--connect", expect=Exit.TARGET).stdout
        assert f"no answer from 127.0.0.1 port {silent.port} within 1 s" in said, said
        assert "port 1 failed" in said, said
    finally:
        silent.close()


def test_a_server_that_refuses_to_write_is_left(sink, database, stack, kafka, table):
    """Its session stays open while it is made read-only, as a switch-over does that ends no sessions."""
    sink.write(pipeline(table), kafka=True, database=database, lanes=1)
    daemon = sink.daemon()
    produce(kafka, table, range(3))
    daemon.await_that(lambda: database.count("items") == 3, what="rows")
    sessions = ("select array_agg(pid order by pid) from pg_stat_activity where datname = "
                "current_database() and application_name = 'ods-sink'")
    before = database.value(sessions)
    administer(stack, "alter system set default_transaction_read_only = on")
    try:
        administer(stack, "select pg_reload_conf()")
        produce(kafka, table, range(3, 6))
        daemon.await_that(lambda: "25006" in daemon.get("/status")[1] or "read-only" in
                          daemon.get("/status")[1], what="it says so")
        daemon.await_that(lambda: set(database.value(sessions) or ()) - set(before), what="new sessions")
    finally:
        administer(stack, "alter system reset default_transaction_read_only")
        administer(stack, "select pg_reload_conf()")
    daemon.await_that(lambda: database.count("items") == 6, what="the rest")
    daemon.stop()


@pytest.mark.parametrize("synchronous", [True, False], ids=["synchronous", "asynchronous"])
def test_failover(sink, stack, kafka, table, synchronous):
    """The primary dies, the standby is promoted. Asynchronous: it has never heard of the partition, and
    Kafka's group is further."""
    stack.up("postgres")
    pair = Pair(stack["POSTGRES_BIN"], synchronous, "fsync = off\n")
    database = Reachable(pair)
    try:
        sink.write(pipeline(table), kafka=True, targets=[{
            "name": "ods", "type": "postgres", "dsn": pair.dsn, "synchronous_commit": synchronous}])
        daemon = sink.daemon().await_ready()
        daemon.await_that(lambda: database.exists("ods_sink.offsets"), what="its own schema")
        if not synchronous:
            wait_for(lambda: pair.standby.execute(
                "select to_regclass('ods_sink.offsets') is not null", database="ods") == [(True,)],
                what="the standby has it too")
            pair.cut()
        produce(kafka, table, range(200))
        daemon.await_that(lambda: committed(kafka, sink, table) == [200], what="committed")
        pair.fail_over()
        if synchronous:
            assert database.count("items") == 200, "what was acknowledged is there"
        else:
            assert database.count("items") <= 0, "what was not sent is lost"
        produce(kafka, table, range(200, 210))
        daemon.await_that(lambda: database.count("items") == 210, what="all of them")
        daemon.stop()
        assert ids(database) == list(range(210))
        assert ("begins again" in daemon.log()) == (not synchronous)
    finally:
        database.close()
        pair.close()


# --- Kafka ------------------------------------------------------------------------------------------


def test_another_cluster_under_the_same_names(sink, database, stack):
    """Made anew at the same address, and with more records than before when it is seen: under a daemon
    that has had no record since it started, and before one starts. (Under one that has applied some:
    scripts/ha cluster-anew.)"""
    stack.up("kafka")
    proxies, brokers = Toxiproxy(stack), Brokers(stack)
    broker = brokers.brokers[0]
    broker.proxy = proxies.create("anew", f"127.0.0.1:{broker.proxied}")
    try:
        table = Table(prefix="anew")

        def anew(first, count):
            brokers.start()
            kafka = brokers.client()
            kafka.create(table.topic, 1)
            table._offsets.clear()
            produce(kafka, table, range(first, first + count))

        anew(0, 10)
        sink.write(pipeline(table), database=database, kafka=True, bootstrap=brokers.proxied)
        daemon = sink.daemon()
        daemon.await_that(lambda: database.count("items") == 10, what="the first cluster's")
        known = database.value("select cluster_id from ods_sink.offsets")
        assert known
        daemon.stop()
        daemon = sink.daemon().await_ready()
        proxies.enable("anew", False)
        broker.kill()
        anew(100, 25)
        proxies.enable("anew")
        assert daemon.process.wait(120) == Exit.SOURCE
        daemon_2 = sink.daemon()
        assert daemon_2.process.wait(60) == Exit.SOURCE
        for one in (daemon, daemon_2):
            error = next(line for line in one.log().splitlines() if " error " in line)
            for word in (known, "made anew", f"--topic {table.topic}", "kafka.on_topic_recreated"):
                assert word in error, error
        assert database.count("items") == 10, "nothing of the new one is taken for the old one's"
        sink.run("reset", "-c", sink.conf, "--topic", table.topic, "--to", "earliest")
        daemon = sink.daemon()
        daemon.await_that(lambda: database.count("items") == 35, what="the new cluster's")
        daemon.stop()
        assert database.value("select cluster_id from ods_sink.offsets") not in (None, known)
        # An operator may say that an offset is this cluster's, where it is.
        database.execute("update ods_sink.offsets set cluster_id = 'another'")
        sink.run("reset", "-c", sink.conf, "--topic", table.topic, "--to", "25")
        assert database.value("select cluster_id from ods_sink.offsets") is None
        produce(brokers.client(), table, [900])
        daemon = sink.daemon()
        daemon.await_that(lambda: database.count("items") == 36, what="one more")
        daemon.stop()
        assert database.value("select cluster_id from ods_sink.offsets") not in (None, "another")
    finally:
        proxies.delete("anew")
        brokers.close()


def test_more_partitions(sink, database, kafka, prefix):
    """Keys move. With no lag when they are added, nothing is out of order."""
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1)
    sink.write(pipeline(table), database=database, kafka=True)
    produce(kafka, table, range(20))
    daemon = sink.daemon()
    daemon.await_that(lambda: database.count("items") == 20, what="the rows")
    kafka.add_partitions(table.topic, 4)
    kafka.produce([table.update(row(number), row(number, 100 + number), partition=number % 4)
                   for number in range(20)])
    daemon.await_that(lambda: len(database.offsets()) == 4, 60, "the new partitions are read")
    daemon.await_that(lambda: database.count("items", "amount = 100 + id") == 20,
                      what="the last change of each")
    daemon.stop()
    assert sum(database.offsets().values()) == 40


def test_an_older_change_of_a_key_that_moved(sink, database, kafka, prefix):
    """Partitions are added while the old one has an unread change of a key, and the newer one is read first: the
    older one is applied last, and counts once as any. The row, or that it is gone, stays wrong until the key
    changes again; other keys are as they should be."""
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1)
    sink.write(pipeline(table), database=database, kafka=True)
    older = [table.update(row(number), row(number, 100)) for number in (1, 2)]
    newer = [table.update(row(1, 100), row(1, 200), partition=1), table.delete(row(2, 100), partition=1),
             table.update(row(3), row(3, 200), partition=1)]
    produce(kafka, table, range(4))
    daemon = sink.daemon()
    daemon.await_that(lambda: database.count("items") == 4, what="the rows")
    kafka.add_partitions(table.topic, 2)
    kafka.produce(newer)
    daemon.await_that(lambda: amounts(database) == {0: 0, 1: 200, 3: 200}, what="the new partition's changes")
    kafka.produce(older)
    daemon.await_that(lambda: sum(database.offsets().values()) == 9, what="the old partition's")
    assert amounts(database) == {0: 0, 1: 100, 2: 100, 3: 200}
    kafka.produce([table.update(row(1, 200), row(1, 300), partition=1), table.create(row(2, 300), partition=1)])
    daemon.await_that(lambda: amounts(database) == {0: 0, 1: 300, 2: 300, 3: 200}, what="their next changes")
    daemon.stop()
    assert {partition: offset for (_, _, partition), offset in database.offsets().items()} == {0: 6, 1: 5}


def amounts(database):
    return dict(database.execute("select id, amount from items where cdc_operation <> 'd'"))
