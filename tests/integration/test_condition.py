"""How a pipeline is, in the same words in /status, in `ods-sink status` and on a terminal that watches."""

import fcntl
import json
import os
import re
import select
import struct
import termios
import time

from lib.postgres import administer
from lib.records import Table, pipeline, row
from lib.sink import Exit
from lib.terminal import Terminal, width
from lib.waiting import wait_for


def status_of(daemon):
    code, body = daemon.get("/status")
    assert code == 200, daemon.tail()
    return json.loads(body)


def told(daemon):
    """The only pipeline's state, level and sentence."""
    assert daemon.running(), daemon.tail()
    one, = status_of(daemon)["pipelines"]
    return one["state"], one["level"], one["says"]


def waiting(daemon, topic):
    partitions = [one for lane in status_of(daemon)["lanes"] for one in lane["partitions"]]
    return sum(one["lag"] or 0 for one in partitions if one["topic"] == topic)


def terminate(stack, database):
    administer(stack, f"select pg_terminate_backend(pid) from pg_stat_activity "
                      f"where datname = '{database.name}' and application_name = 'ods-sink'")


def lags(daemon):
    """By lane, of /metrics."""
    return {int(lane): int(lag) for lane, lag in re.findall(r'ods_sink_lane_lag_records\{.*lane="(\d)"\} (\d+)', daemon.get("/metrics")[1])}


def test_one_lane_stands_still(sink, database, kafka, prefix):
    """What waits is told of each lane: a lock that one of two meets, while the other goes on."""
    items, orders = Table(prefix=prefix), Table("orders", prefix=prefix)
    for table in (items, orders):
        kafka.create(table.topic, 1)
    sink.write(pipeline(f"^{prefix}\\.shop\\..*", name="shop", group_id=f"{prefix}-group"), database=database, kafka=True, lanes=2)
    daemon = sink.daemon().await_ready()
    kafka.produce([table.create(row(1)) for table in (items, orders)])
    daemon.await_that(lambda: all(database.exists(name) and database.count(name) == 1 for name in ("items", "orders")))
    daemon.await_that(lambda: [len(lane["partitions"]) for lane in status_of(daemon)["lanes"]] == [1, 1], what="a partition each")
    daemon.await_that(lambda: lags(daemon) == {0: 0, 1: 0}, what="nothing waits")
    session = database.connect()
    session.autocommit = False
    session.cursor().execute("lock table items in access exclusive mode")
    kafka.produce([items.create(row(number)) for number in range(2, 42)])
    daemon.await_that(lambda: waiting(daemon, items.topic) == 40, what="what waits")
    kafka.produce([orders.create(row(2))])
    daemon.await_that(lambda: database.count("orders") == 2, what="the other lane goes on")
    stands = next(lane["lane"] for lane in status_of(daemon)["lanes"] if lane["partitions"][0]["topic"] == items.topic)
    daemon.await_that(lambda: lags(daemon) == {stands: 40, 1 - stands: 0}, what="the lane's lag")
    session.rollback()
    session.close()
    daemon.await_that(lambda: lags(daemon) == {0: 0, 1: 0}, what="the end")
    daemon.stop()


def test_words(sink, database, kafka, prefix, stack):
    items, orders = Table(prefix=prefix), Table("orders", prefix=prefix)
    for table in (items, orders):
        kafka.create(table.topic, 2)
    sink.write(pipeline(f"^{prefix}\\.shop\\..*", name="shop", group_id=f"{prefix}-group"),
               database=database, kafka=True, lanes=2)
    daemon = sink.daemon().await_ready()

    # Nothing to do is "caught up", of the pipeline and of each lane.
    daemon.await_that(lambda: told(daemon) == ("caught up", "good", "caught up"), what="caught up")
    daemon.await_that(lambda: {lane["state"] for lane in status_of(daemon)["lanes"]} == {"caught up"})
    said = sink.run("status", "-c", sink.conf).stdout
    assert "● shop: caught up\n" in said and "filling" not in said

    # A rebalance is one line that says what moved.
    daemon.await_that(lambda: "rebalance: " in daemon.log(), what="the line")
    lines = [line for line in daemon.log().splitlines() if "assigned" in line or "revoked" in line]
    assert all("rebalance: " in line and "pipeline=shop" in line for line in lines), lines
    assert re.search(r"\d partitions assigned: lane \d " + re.escape(items.topic) + r" [01]", lines[0]), lines

    # Rows that are read, not streamed, are a snapshot.
    kafka.produce([items.read(row(number), partition=number % 2) for number in range(500)])
    daemon.await_that(lambda: told(daemon)[0] == "snapshot" and database.count("items") == 500, what="a snapshot")
    assert re.fullmatch(r"snapshot: 500 rows so far(, .*)?", told(daemon)[2])

    daemon.await_that(lambda: told(daemon)[0] == "caught up", what="the snapshot's end")

    # Held by an order: by whom, since when, why. What waits in it is nobody's lag.
    sink.run("pause", "items", "-c", sink.conf, "--reason", "an index is built")
    daemon.await_that(lambda: "paused" in told(daemon)[2], what="the order")
    state, level, says = told(daemon)
    assert level == "warn" and state != "paused" and f"; {items.topic} is paused by " in says
    assert re.search(r"@\S+ since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC \(\d+ s\): an index is built$", says), says
    kafka.produce([items.create(row(10_000 + number), partition=number % 2) for number in range(3000)])
    daemon.await_that(lambda: waiting(daemon, items.topic) == 3000, what="a backlog")
    state, level, says = told(daemon)
    assert (state, level) == ("caught up", "warn") and says.startswith("caught up; "), says
    one, = status_of(daemon)["pipelines"]
    assert (one["seconds_left"], one["lag"]) == (0, 0)
    said = daemon.get("/metrics")[1]
    assert f'lag_records{{pipeline="shop",topic="{items.topic}"' not in said
    assert f'lag_records{{pipeline="shop",topic="{orders.topic}"' in said
    assert daemon.metric("ods_sink_lag_seconds") == 0
    daemon.await_that(lambda: daemon.metric("ods_sink_paused_backlog_records") == 3000, what="the whole backlog")
    sink.run("pause", "orders", "-c", sink.conf, "--reason", "so is another")
    daemon.await_that(lambda: told(daemon)[0] == "paused", what="all of it")
    assert told(daemon)[2].startswith(f"{items.topic} is paused by ") and told(daemon)[2].endswith("; so is 1 more")
    for name in ("items", "orders"):
        sink.run("resume", name, "-c", sink.conf)
    daemon.await_that(lambda: told(daemon)[2] == "caught up", what="the end of both")

    # An outage: of what, since when, why.
    administer(stack, f"alter database {database.name} allow_connections false")
    terminate(stack, database)
    kafka.produce([items.create(row(1000))])
    daemon.await_that(lambda: "not currently accepting connections" in told(daemon)[2], what="the outage")
    state, level, says = told(daemon)
    assert level == "bad" and re.match(r"waits for its target \S+ since \S+ \S+ UTC \(\d+ s\): \S",
                                       says), says
    since, = {one["since"] for one in status_of(daemon)["pipelines"]}
    assert abs(time.time() - since) < 120
    bad = sink.run("status", "-c", sink.conf, expect=Exit.NEGATIVE).stdout
    assert "■ shop: waits for its target" in bad
    administer(stack, f"alter database {database.name} allow_connections true")
    daemon.await_that(lambda: told(daemon)[2] == "caught up", what="the end of it")
    told_of = daemon.log().count("rebalance: ")
    daemon.stop()
    assert daemon.log().count("rebalance: ") == told_of, "what ends gives up its partitions silently"


def test_time_left(sink, database, kafka, table, stack):
    """Behind and becoming less: how long yet."""
    slow = {**pipeline(table), "name": "items"}
    sink.write(slow, database=database, kafka=True, batch={"max_events": 20, "per_lane": 2})
    daemon = sink.daemon().await_ready()
    kafka.produce([table.create(row(0))])
    daemon.await_that(lambda: database.count("items") == 1, what="the table")
    database.execute("create function slowly() returns trigger language plpgsql as "
                     "$$ begin perform pg_sleep(0.005); return null; end $$")
    database.execute("create trigger slowly after insert on items for each row execute function slowly()")
    kafka.produce([table.create(row(number)) for number in range(1, 12000)])
    daemon.await_that(lambda: told(daemon)[0] == "catching up", what="what waits")
    daemon.await_that(lambda: re.fullmatch(r"catching up: \d+ records behind, about \d+ \S+ yet",
                                           told(daemon)[2]), what="how long yet")
    one, = status_of(daemon)["pipelines"]
    assert 1 < one["seconds_left"] < 600 and one["lag"] > 1000
    database.execute("drop trigger slowly on items")
    daemon.await_that(lambda: told(daemon)[0] == "caught up", what="the end")
    daemon.stop()


class Screen:
    """What stands on a terminal, of the few sequences that --watch uses."""

    def __init__(self, terminal):
        self.terminal = terminal

    def frames(self):
        begun = self.terminal.text.split("\033[?2026h\033[H")[1:]
        return [frame.split("\033[J\033[?2026l")[0] for frame in begun if "\033[J\033[?2026l" in frame]

    def rows(self):
        return [re.sub(r"\033\[[0-9;]*[mK]", "", line) for line in self.frames()[-1].replace("\r", "").split("\n")]

    def await_that(self, condition):
        def look():
            seen = len(self.terminal.text)
            self.terminal.read(until="\033[?2026l") if not seen else self.more()
            return self.frames() and condition(self.rows())
        wait_for(look, what="a frame")

    def more(self):
        assert self.terminal.process.poll() is None, self.terminal.text[-3000:]
        if select.select([self.terminal._master], [], [], 0.2)[0]:
            self.terminal.text += os.read(self.terminal._master, 65536).decode(errors="replace")

    def resize(self, columns, rows):
        fcntl.ioctl(self.terminal._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def test_watch(sink, database, kafka, table, binary):
    sink.write(pipeline(table), database=database, kafka=True, lanes=2)
    daemon = sink.daemon().await_ready()
    daemon.await_that(lambda: told(daemon)[0] == "caught up", what="caught up")
    terminal = Terminal([binary, "status", "--url", f"127.0.0.1:{daemon.setup.http_port}", "--watch"], columns=120, rows=30)
    screen = Screen(terminal)
    screen.await_that(lambda rows: "● items: caught up" in rows)
    assert all(width(row) <= 120 for row in screen.rows()) and "q ends" in screen.rows()[-1]
    kafka.produce([table.create(row(number)) for number in range(10)])
    screen.await_that(lambda rows: any(re.search(r" 10 +0 +\d", row) for row in rows))
    screen.resize(50, 8)
    screen.await_that(lambda rows: len(rows) <= 8 and all(width(row) <= 50 for row in rows)
                      and "rows more than fit" in rows[-1])
    screen.resize(120, 30)
    screen.await_that(lambda rows: "● items: caught up" in rows and "rows more" not in rows[-1])
    daemon.stop()
    screen.await_that(lambda rows: any("■ nobody answers at" in row for row in rows)
                      and "● items: caught up" in rows)
    terminal.write("q")
    text, code = terminal.wait()
    assert code == 0 and text.endswith("\033[?25h\033[?1049l"), "the terminal is as it was"
    assert text.count("\033[2J") == 1, "the screen is not emptied between two frames: it would flicker"
    assert "needs" not in text
    piped = sink.run("status", "-c", sink.conf, "--watch", expect=Exit.USAGE)
    assert "draws on a terminal" in piped.stderr
