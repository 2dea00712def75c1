"""One table of a running group at a time: paused, resumed, moved forward, taken up; by order of a command,
obeyed by every process."""

import json
import signal

import pytest

from lib.records import Table, pipeline, row
from lib.sink import Exit
from lib.waiting import wait_for

NAMES = ("items", "orders", "returns")


class Shop:
    """Three tables, a topic each, and the daemons that move them."""

    def __init__(self, sink, kafka, database, prefix):
        self.sink, self.kafka, self.database, self.prefix = sink, kafka, database, prefix
        self.tables = {name: Table(name, prefix=prefix) for name in NAMES}
        self.next = dict.fromkeys(NAMES, 1)
        for table in self.tables.values():
            kafka.create(table.topic, 2)

    def configure(self, **settings):
        settings = {"lanes": 2, **settings}
        self.sink.write(pipeline(f"^{self.prefix}\\.shop\\..*", name="shop", group_id=self.group,
                                 **settings.pop("pipeline", {})),
                        database=self.database, kafka=True, **settings)

    @property
    def group(self):
        return f"{self.prefix}-group"

    def topic(self, name):
        return self.tables[name].topic

    def send(self, count=5, names=NAMES):
        records = []
        for name in names:
            for _ in range(count):
                records.append(self.tables[name].create(row(self.next[name]),
                                                        partition=self.next[name] % 2))
                self.next[name] += 1
        self.kafka.produce(records)

    def has_all(self, *names):
        return all(self.database.count(name) == self.next[name] - 1 for name in names or NAMES)

    def command(self, name, *arguments, expect=Exit.OK):
        done = self.sink.run(name, "-c", self.sink.conf, *arguments, "--json", expect=expect)
        return json.loads(done.stdout) if done.stdout else done.stderr

    def history(self, *actions):
        return self.database.execute(
            "select action, table_name, reason, details, ordered_by from ods_sink.control_history "
            "where action = any (%s) order by id", list(actions))


@pytest.fixture
def shop(sink, kafka, database, prefix):
    shop = Shop(sink, kafka, database, prefix)
    shop.configure()
    return shop


def states(daemon, topic):
    return [partition["state"] for lane in json.loads(daemon.get("/status")[1])["lanes"]
            for partition in lane["partitions"] if partition["topic"] == topic]


def held(daemon):
    return json.loads(daemon.get("/status")[1])["paused"]


def test_a_table_is_paused_while_the_others_go_on(shop):
    """By all processes, over a restart, with what waits told; and goes on where it stood."""
    one, sink = shop.sink.daemon().await_ready(), shop.sink
    port, sink.http_port = sink.http_port, None
    shop.configure()
    other = sink.daemon().await_ready()
    shop.send()
    one.await_that(shop.has_all, what="everything")
    one.await_that(lambda: all("partitions assigned" in d.log() for d in (one, other)))
    told = shop.command("pause", "items", "--reason", "an index is built")
    assert sorted(process["lanes"] for process in told["obeyed_by"]) == [2, 2]
    assert (told["state"], told["reason"]) == ("paused", "an index is built")
    assert [topic["topic"] for topic in told["topics"]] == [shop.topic("items")]
    before = shop.database.count("items")
    shop.send()
    one.await_that(lambda: shop.has_all("orders", "returns"), what="the others")
    assert shop.database.count("items") == before
    # Again is no other order; who asks is told what stands.
    assert shop.command("pause", "items", "--reason", "x")["reason"] == "an index is built"
    # A process that takes over, and one that is started anew.
    other.stop()
    shop.send()
    one.await_that(lambda: shop.has_all("orders", "returns"))
    one.stop()
    sink.http_port = port
    shop.configure()
    one = sink.daemon().await_ready()
    shop.send()
    one.await_that(lambda: shop.has_all("orders", "returns"))
    assert shop.database.count("items") == before
    waits = shop.next["items"] - 1 - before
    one.await_that(lambda: one.metric("ods_sink_paused_backlog_records") == waits, 30)
    assert one.metric("ods_sink_paused_topics") == 1
    status, = held(one)
    assert (status["table"], status["reason"], status["backlog"]) == (
        "items", "an index is built", waits)
    assert status["by"] and status["since"]
    page = sink.run("status", "-c", sink.conf).stdout
    assert "an index is built" in page and f" {waits} " in page
    one.await_that(lambda: states(one, shop.topic("items")) == ["paused"] * 2)
    told = shop.command("resume", "items")
    assert told["state"] == "running" and len(told["obeyed_by"]) == 1
    one.await_that(shop.has_all, what="items too")
    assert not held(one) and one.metric("ods_sink_paused_topics") == 0
    assert one.metric("ods_sink_batches_fenced_total") == 0
    assert [action for action, *_ in shop.history("pause", "resume")] == ["pause", "resume"]
    one.stop()


def test_pause_says_who_does_not_obey(shop):
    one = shop.sink.daemon().await_ready()
    shop.send()
    one.await_that(shop.has_all)
    one.signal(signal.SIGSTOP)
    told = shop.command("pause", "orders", "--reason", "y", "--wait", "2", expect=Exit.NEGATIVE)
    assert f"process {one.pid}, " in told and "(2 lanes) has not confirmed within 2 s" in told
    one.signal(signal.SIGCONT)
    assert len(shop.command("pause", "orders", "--reason", "y")["obeyed_by"]) == 1
    one.kill()
    # Whoever is gone has nothing to confirm.
    assert shop.command("pause", "items", "--reason", "z")["obeyed_by"] == []


def test_a_table_that_can_not_be_written_is_paused(shop):
    """A lock on it holds its whole lane up; paused, the others go on."""
    shop.configure(lanes=1, targets=[{"name": "ods", "type": "postgres", "dsn": shop.database.dsn,
                                      "lock_timeout_ms": 300}])
    one = shop.sink.daemon().await_ready()
    shop.send()
    one.await_that(shop.has_all)
    blocker = shop.database.connect()
    blocker.autocommit = False
    try:
        blocker.cursor().execute("lock table items in access exclusive mode")
        shop.send(names=["items"])
        one.await_that(lambda: one.metric("ods_sink_retries_total") > 1)
        shop.send(names=["orders"])
        shop.command("pause", "items", "--reason", "locked")
        one.await_that(lambda: shop.has_all("orders"))
    finally:
        blocker.close()
    shop.command("resume", "items")
    one.await_that(shop.has_all)
    one.stop()


def test_records_of_one_table_are_passed_over(shop):
    one = shop.sink.daemon().await_ready()
    shop.send()
    one.await_that(shop.has_all)
    shop.command("pause", "items", "--reason", "a bad load")
    before = shop.database.count("items")
    shop.send(8)
    one.await_that(lambda: shop.has_all("orders", "returns"))
    ends = {place[2]: offset for place, offset in shop.database.offsets().items()
            if place[1] == shop.topic("items")}
    # An offset is that of one partition.
    assert "--partition" in shop.command("skip-until", "items", ends[0] + 3, "--reason", "r",
                                         expect=Exit.USAGE)
    told = shop.command("skip-until", "items", ends[0] + 3, "--partition", 0, "--reason", "bad")
    assert [move["passed_over"] for move in told["moved"]] == [3, 0] and told["state"] == "paused"
    assert "forward only" in shop.command("skip-until", "items", 0, "--partition", 0, "--reason",
                                          "r", expect=Exit.USAGE)
    shop.command("resume", "items")
    one.await_that(lambda: shop.database.count("items") == before + 5, what="all but three")
    # While it runs, by time: what is older than the next records has been applied by then.
    told = shop.command("skip-until", "items", "2099-01-01", "--reason", "the rest")
    assert told["state"] == "running" and len(told["obeyed_by"]) == 1
    shop.send(names=["items"])
    one.await_that(lambda: shop.database.count("items") == before + 10, what="new ones")
    first, second = shop.history("skip-until")
    assert first[2] == "bad" and f"[0] {ends[0]} to {ends[0] + 3}" in first[3] and first[4]
    assert second[2] == "the rest"
    one.stop()


def test_a_table_is_taken_up_from_the_beginning(shop):
    """One that the configuration left out, and one whose topic has just come and would be begun at its
    end; a table that has been moved is refused."""
    shop.configure(pipeline={"tables": {"returns": {"skip": True}}},
                   kafka_properties={"topic.metadata.refresh.interval.ms": "300000"})
    one = shop.sink.daemon().await_ready()
    shop.send()
    one.await_that(lambda: shop.has_all("items", "orders"))
    one.await_that(lambda: sum(offset for place, offset in shop.database.offsets().items()
                               if place[1] == shop.topic("returns")) == 5)
    assert "skip: true" in shop.command("attach", "shop.returns", expect=Exit.NEGATIVE)
    one.stop()
    shop.configure(kafka_properties={"topic.metadata.refresh.interval.ms": "300000"})
    conf = shop.sink.conf
    conf.write_text(conf.read_text().replace("group_id", 'auto_offset_reset = "latest"; group_id', 1))
    one = shop.sink.daemon().await_ready()
    assert "resync" in shop.command("attach", "items", expect=Exit.NEGATIVE)
    shop.command("attach", "shop.returns")
    one.await_that(shop.has_all, what="returns too")
    late = shop.tables["late"] = Table("late", prefix=shop.prefix)
    shop.kafka.create(late.topic, 2)
    shop.next["late"] = 1
    shop.send(names=["late"])
    shop.command("attach", "late")
    one.await_that(lambda: shop.has_all("late"), what="the one that has just come")
    one.stop()


def test_a_topic_of_several_tables_is_held_as_a_whole(sink, kafka, database, prefix):
    topic = kafka.create(f"{prefix}.all", 1)
    tables = {name: Table(name, prefix=prefix) for name in ("items", "orders")}
    for table in tables.values():
        table.topic = topic
    sink.write(pipeline(topic, name="all"), database=database, kafka=True)
    daemon = sink.daemon().await_ready()
    kafka.produce([table.create(row(1)) for table in tables.values()])
    daemon.await_that(lambda: all(database.count(name) == 1 for name in tables))
    pause = ("pause", "-c", sink.conf, "--reason", "r")
    refused = sink.run(*pause, "items", expect=Exit.NEGATIVE).stderr
    assert "public.orders" in refused and "--whole-topic" in refused
    assert "public.orders" in sink.run(*pause, "items", "--whole-topic").stdout
    kafka.produce([table.create(row(2)) for table in tables.values()])
    daemon.await_that(lambda: daemon.metric("ods_sink_paused_backlog_records") == 2, 30)
    assert all(database.count(name) == 1 for name in tables)
    sink.run("resume", "-c", sink.conf, "items", "--whole-topic")
    daemon.await_that(lambda: all(database.count(name) == 2 for name in tables))
    daemon.stop()


def test_two_topics_of_one_table_are_held_together(sink, kafka, database, prefix):
    """As of a connector that was given another prefix."""
    tables = [Table("items", prefix=f"{prefix}.{name}") for name in ("old", "new")]
    for table in tables:
        kafka.create(table.topic, 1)
    sink.write(pipeline(f"^{prefix}\\..*", name="both"), database=database, kafka=True)
    daemon = sink.daemon().await_ready()
    for number, table in enumerate(tables):
        kafka.produce([table.create(row(number))])
        daemon.await_that(lambda: database.count("items") == number + 1)
    sink.run("pause", "-c", sink.conf, "items", "--reason", "r")
    assert {order["topic"] for order in held(daemon)} == {table.topic for table in tables}
    daemon.stop()


def test_what_can_not_be_is_said(shop, tmp_path):
    assert "no topic carries nothing" in shop.command("pause", "nothing", "--reason", "r",
                                                      expect=Exit.USAGE)
    assert "no pipeline \"x\"" in shop.command("pause", "items", "--reason", "r", "--pipeline", "x",
                                               expect=Exit.USAGE)
    shop.command("pause", "items", expect=Exit.USAGE)
    crm = Table("items", database="crm", prefix=f"{shop.prefix}.shop")
    shop.kafka.create(crm.topic, 1)
    said = shop.command("pause", "items", "--reason", "r", expect=Exit.USAGE)
    assert crm.topic in said and shop.topic("items") in said
    shop.command("pause", "shop.items", "--reason", "r", expect=Exit.OK)
    # Whoever else would write with the group's offsets is kept from it.
    said = shop.sink.replay_fails([shop.tables["items"].create(row(1))], Exit.TARGET).stderr
    assert "held by an order" in said and shop.database.count("items") <= 0
    shop.configure(targets=[{"name": "ods", "type": "file", "directory": str(tmp_path)}])
    for command in (("pause", "orders", "--reason", "r"), ("resume", "orders"), ("attach", "orders"),
                    ("skip-until", "orders", "1h", "--reason", "r")):
        assert "not supported" in shop.command(*command, expect=Exit.NEGATIVE)


def test_an_older_schema_gets_what_it_lacks(shop):
    """And the function that moves offsets stays as it was."""
    one = shop.sink.daemon().await_ready()
    shop.send()
    one.await_that(shop.has_all)
    one.stop()
    shop.database.execute("drop table ods_sink.table_control, ods_sink.control_members, "
                          "ods_sink.control_history, ods_sink.topic_tables cascade")
    shop.database.execute("drop function ods_sink.order_topics")
    one = shop.sink.daemon().await_ready()
    shop.send()
    one.await_that(shop.has_all)
    shop.command("pause", "items", "--reason", "r")
    one.stop()


def test_a_process_that_missed_the_order_writes_nothing(shop):
    """Its sessions are lost with a batch on its way, and a table is paused before they come back."""
    shop.configure(lanes=1, retry={"initial_ms": 3000, "max_ms": 3000})
    one = shop.sink.daemon().await_ready()
    shop.send()
    one.await_that(shop.has_all)
    before = shop.database.count("items")
    blocker = shop.database.connect()
    blocker.autocommit = False
    blocker.cursor().execute("lock table items in access exclusive mode")
    shop.send(names=["items"])
    waiting = ("select pid from pg_stat_activity where datname = current_database() "
               "and wait_event_type = 'Lock'")
    wait_for(lambda: shop.database.execute(waiting), what="the batch waits")
    shop.database.end_sessions("application_name = 'ods-sink'")
    shop.database.execute("select * from ods_sink.order_topics(%s, %s, '{running}', 'paused', "
                          "'items', 'pause', '', 'r', 'me')", shop.group, [shop.topic("items")])
    blocker.close()
    one.await_that(lambda: held(one), what="the order is known")
    shop.send(names=["orders"])
    one.await_that(lambda: shop.has_all("orders"))
    assert shop.database.count("items") == before
    assert "held by an order" in one.log() or one.metric("ods_sink_batches_abandoned_total")
    one.stop()
