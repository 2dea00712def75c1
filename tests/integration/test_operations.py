"""ods-sink status and ods-sink reset."""

import json
import signal
import socket
import time

import pytest
from lib.records import Table, pipeline, row
from lib.sink import Exit, free_port
from lib.waiting import wait_for

PARTITIONS = 2  # of the table's topic


def produce(kafka, table, numbers):
    kafka.produce([table.create(row(number), partition=number % 2) for number in numbers])


def start(sink, database, table, **settings):
    sink.write(pipeline(table), database=database, kafka=True, **settings)
    return sink.daemon()


# status


def test_status_of_a_daemon(sink, database, kafka, table):
    produce(kafka, table, range(10))
    daemon = start(sink, database, table).await_ready()
    daemon.await_that(lambda: database.count("items") == 10, what="the rows")
    daemon.await_that(lambda: '"lag": 0' in daemon.get("/status")[1], what="known lag")
    done = sink.run("status", "-c", sink.conf)
    assert "is ready" in done.stdout.splitlines()[0]
    assert "PIPELINE" in done.stdout and "items" in done.stdout
    url = f"http://127.0.0.1:{sink.http_port}"
    assert table.topic in sink.run("status", "--url", url, "--partitions").stdout
    [heading, line] = sink.run("status", "--url", url, "--tables").stdout.strip().splitlines()[-2:]
    assert heading.split("  ")[0] == "TABLE" and line.split()[:5] == ["shop.items", "items", "caught", "up", "0"], line
    state = json.loads(sink.run("status", "--url", url, "--json").stdout)
    assert state["ready"] is True and state["lanes"][0]["pipeline"] == "items"
    assert sink.run("status", "--url", url, "--health").stdout == "ok\n"
    daemon.stop()
    assert "nobody answers" in sink.run("status", "--url", url, expect=Exit.SOURCE).stderr


def test_status_while_the_target_is_away(sink, database, kafka, table, stack):
    daemon = start(sink, database, table).await_ready()
    produce(kafka, table, range(2))
    daemon.await_that(lambda: database.count("items") == 2, what="the rows")
    database.close()
    stack.down("postgres")
    try:
        produce(kafka, table, range(2, 4))
        daemon.await_that(lambda: daemon.get("/readyz")[0] == 503, what="not ready")
        done = sink.run("status", "-c", sink.conf, expect=Exit.NEGATIVE)
        assert "not ready" in done.stdout and "target" in done.stdout
        assert "last error of pipeline items" in done.stdout
        sink.run("status", "-c", sink.conf, "--health")
    finally:
        stack.up("postgres")
    daemon.await_ready()
    sink.run("status", "-c", sink.conf)
    daemon.stop()


def test_status_of_something_else(sink):
    """A server that speaks no HTTP, and one that says nothing."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        sink.run("status", "--url", url, expect=Exit.SOURCE)
    sink.run("status", "--url", f"127.0.0.1:{free_port()}", expect=Exit.SOURCE)
    sink.run("status", "--url", "nonsense", expect=Exit.USAGE)


def test_status_without_http(sink, database):
    sink.write(pipeline("t"), database=database)
    assert "http.listen" in sink.run("status", "-c", sink.conf, expect=Exit.CONFIG).stderr


# reset


def reset(sink, table, *arguments, expect=Exit.OK):
    return sink.run("reset", "-c", sink.conf, "--topic", table.topic, *arguments, expect=expect)


def stored(database):
    return [offset for _, offset in sorted(database.offsets().items())]


@pytest.fixture
def applied(sink, database, kafka, table):
    """Ten records in each of two partitions, all applied, and the daemon gone."""
    produce(kafka, table, range(20))
    daemon = start(sink, database, table)
    daemon.await_that(lambda: stored(database) == [10, 10], what="the end")
    daemon.stop()
    return database


def test_reset_refuses_while_a_consumer_is_alive(sink, database, kafka, table):
    produce(kafka, table, range(20))
    daemon = start(sink, database, table).await_ready()
    daemon.await_that(lambda: stored(database) == [10, 10], what="the end")
    done = reset(sink, table, "--to", "earliest", expect=Exit.NEGATIVE)
    assert "member" in done.stderr and "stop" in done.stderr
    assert stored(database) == [10, 10]
    daemon.signal(signal.SIGKILL)
    daemon.process.wait()
    reset(sink, table, "--to", "earliest", expect=Exit.NEGATIVE)

    def accepted():
        done = sink.run("reset", "-c", sink.conf, "--topic", table.topic, "--to", "earliest",
                        expect=None)
        return done.returncode == Exit.OK

    wait_for(accepted, what="its session is over", interval_s=0.5)
    assert stored(database) == [0, 0]


def test_reset_applies_again_from_there(sink, applied, kafka, table):
    applied.execute("delete from items")
    done = reset(sink, table, "--to", "4", "--partition", "1")
    assert done.stdout.splitlines()[-1].split() == [table.topic, "1", "10", "4"]
    assert stored(applied) == [10, 4]
    assert kafka.committed(f"{sink.group}.items", table.topic, 2) == [10, 4]
    daemon = sink.daemon()
    daemon.await_that(lambda: stored(applied) == [10, 10], what="the end again")
    daemon.stop()
    assert [number for number, in applied.execute("select id from items order by id")] == \
        [9, 11, 13, 15, 17, 19]


def test_reset_places(sink, applied, kafka, table):
    begin = kafka.read(table.topic)
    moment = next(message.timestamp()[1] for message in begin
                  if message.partition() == 0 and message.offset() == 0)
    iso = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment / 1000 - 5)) + "Z"
    for place, offsets in (("earliest", [0, 0]), ("latest", [10, 10]), ("7", [7, 7]),
                           (iso, [0, 0]), ("2099-01-01", [10, 10]), ("1d", [0, 0])):
        before = stored(applied)
        assert "nothing was changed" in reset(sink, table, "--to", place, "--dry-run").stdout
        assert stored(applied) == before
        reset(sink, table, "--to", place)
        assert stored(applied) == offsets, place


def test_reset_before_the_first_start(sink, database, kafka, table):
    produce(kafka, table, range(20))
    sink.write(pipeline(table), database=database, kafka=True)
    assert "none" in reset(sink, table, "--to", "latest").stdout
    assert stored(database) == [10, 10]


@pytest.mark.parametrize("arguments, words", [
    (("--to", "11"), "0 to 10"), (("--to", "0", "--partition", "2"), "2 partitions"),
    (("--to", "soon"), "earliest"), ((), "--to"), (("--to", "0", "--pipeline", "x"), "\"x\""),
], ids=range(5))
def test_reset_that_can_not_be(sink, applied, table, arguments, words):
    assert words in reset(sink, table, *arguments, expect=Exit.USAGE).stderr
    assert stored(applied) == [10, 10]


def test_reset_of_other_topics(sink, applied, table, prefix):
    other = Table("other", prefix=prefix)
    assert "no pipeline" in reset(sink, other, "--to", "0", expect=Exit.USAGE).stderr
    sink.write(pipeline(table), pipeline(table, name="twice"), database=applied, kafka=True)
    assert "--pipeline" in reset(sink, table, "--to", "0", expect=Exit.USAGE).stderr
    reset(sink, table, "--to", "0", "--pipeline", "twice")
    assert sorted(applied.offsets().values()) == [0, 0, 10, 10]
