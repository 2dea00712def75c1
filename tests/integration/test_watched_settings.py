"""Settings of what the daemon looks at by itself: durations, and what can't be compared."""

import json

from lib.records import Table, pipeline
from lib.sink import Exit

DATABASE = {"name": "shop", "type": "mysql", "dsn": "host=127.0.0.1 dbname=shop user=reader"}


def written(sink, verify, target=None, check_every="1m", **more):
    target = target or {"name": "ods", "type": "postgres", "dsn": "host=127.0.0.1 port=1"}
    sink.write({**pipeline(Table()), "target": "ods", "verify": verify, **more}, targets=[target],
               databases=[{**DATABASE, "check_every": check_every}])
    return sink


def test_durations(sink):
    """As `check` shows them, whether or not its target answers."""
    for every, shown in (("90s", "90s"), ("15m", "15m"), ("120 min", "2h"), ("1h", "1h"), ("48h", "2d"),
                         ("1500ms", "1500ms"), ("0", "0"), (0, "0")):
        said = written(sink, {"every": every, "mode": "counts"}, check_every="300s").check(
            expect=None).stdout
        assert f'verify.every = "{shown}"' in said, said
        assert 'verify.mode = counts' in said and 'check_every = "5m"' in said


def test_what_is_no_duration(sink):
    for verify, words in (
            ({"every": "3600"}, "a duration, as 90s, 15m or 1h"), ({"every": 3600}, "a duration"),
            ({"every": "1 fortnight"}, "a duration"), ({"every": "-1h"}, "a duration"),
            ({"every": "999ms"}, "from 1s to 365d"), ({"every": "9223372036854775807d"}, "a duration"),
            ({"every": ["1h"]}, "a duration"), ({"every": "1h", "mode": "fast"}, "sample"),
            ({"evry": "1h"}, "unknown setting 'verify.evry'")):
        said = written(sink, verify).check(expect=Exit.CONFIG).stderr
        assert words in said and "tables.yaml" in said


def test_what_cannot_be_compared(sink, tmp_path):
    target = {"name": "ods", "type": "file", "directory": str(tmp_path / "out")}
    said = written(sink, {"every": "1h"}, target=target).check(expect=Exit.CONFIG).stderr
    assert "'verify.every' needs a target of type postgres; 'ods' is of type file" in said
    said = written(sink, {"every": "1h"}, input={"type": "file", "path": "/x"}).check(
        expect=Exit.CONFIG).stderr
    assert "'verify.every' needs a pipeline that reads Kafka" in said


def test_a_source_that_is_away_disturbs_nothing(sink, kafka, table, database):
    """Nobody listens there: it is said, and rows go on."""
    source = {**DATABASE, "dsn": "host=127.0.0.1 port=1 dbname=shop user=reader", "check_every": "200ms"}
    sink.write({**pipeline(table), "verify": {"every": "1s"}}, database=database, kafka=True, lanes=1,
               databases=[source])
    daemon = sink.daemon()
    kafka.produce([table.create({"id": 1, "name": "x", "amount": 1})])
    daemon.await_that(lambda: database.count("items") == 1, 60, "a row")

    def page():
        return json.loads(daemon.get("/status")[1] or "{}")

    daemon.await_that(lambda: page()["sources"][0]["failure"], 60, "the guard")
    assert "database shop: connecting" in page()["sources"][0]["failure"]
    assert daemon.metric("ods_sink_source_reachable") == 0
    daemon.await_that(lambda: page()["verify"][0]["failure"], 60, "the comparison")
    assert daemon.metric("ods_sink_verify_failed") == 1
    assert "broken off, to be continued later" in daemon.log()
    said = sink.run("status", "--url", f"http://127.0.0.1:{sink.http_port}", expect=None).stdout
    assert "away" in said and "broken off" in said and "database shop: connecting" in said
    kafka.produce([table.create({"id": 2, "name": "x", "amount": 1})])
    daemon.await_that(lambda: database.count("items") == 2, 60, "another row")
    daemon.stop()


def test_a_source_without_a_slot(sink, kafka, table, database):
    """Before the first record the connector has not begun; after it its place is lost."""
    source = {"name": "shop", "type": "postgres", "dsn": database.dsn, "slot": "gone",
              "check_every": "200ms"}
    sink.write(pipeline(table), database=database, kafka=True, lanes=1, databases=[source])
    daemon = sink.daemon()

    def log():
        return (json.loads(daemon.get("/status")[1] or "{}").get("sources") or [{"logs": []}])[0]["logs"]

    daemon.await_that(lambda: log() and log()[0]["state"] == "unknown", 60, "nothing has begun")
    assert "it has no logical replication slot gone" in log()[0]["why"]
    assert daemon.metric("ods_sink_source_log_lost") is None and "ERROR" not in daemon.log().upper()
    kafka.produce([table.create({"id": 1, "name": "x", "amount": 1})])
    daemon.await_that(lambda: log()[0]["state"] == "lost", 60, "the loss")
    assert daemon.metric("ods_sink_source_log_lost") == 1
    daemon.stop()
