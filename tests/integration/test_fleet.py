"""The processes of a group find each other through the target: what any one of them says of all."""

import json

import pytest
from lib.postgres import administer
from lib.records import Table, pipeline, row
from lib.sink import Setup
from lib.waiting import wait_for


def fleet(daemon):
    return json.loads(daemon.get("/status")[1])["fleet"][0]


def members(daemon, **wanted):
    return [one for one in fleet(daemon)["members"]
            if all(one[name] == value for name, value in wanted.items())]


@pytest.fixture
def other(tmp_path, sink):
    """Another process of the same group, on a port of its own."""
    setup = Setup(tmp_path / "other" / tmp_path.name, sink.binary, sink.stack)
    yield setup
    setup.close()


def of_state(daemon, state):
    for line in daemon.get("/metrics")[1].splitlines():
        if line.startswith("ods_sink_group_members{") and f'state="{state}"' in line:
            return float(line.rsplit(" ", 1)[1])
    return None


def test_any_one_shows_all(sink, other, database, kafka, prefix):
    table = Table("parts", prefix=prefix)
    kafka.create(table.topic, 4)
    sink.write({**pipeline(table), "name": "it's <b>"}, database=database, kafka=True)
    other.write({**pipeline(table), "name": "it's <b>"}, database=database, kafka=True)
    first = sink.daemon().await_ready()
    first.await_that(lambda: len(members(first, self=True, partitions=4)) == 1, what="a beat of its own")
    second = other.daemon().await_ready()
    kafka.produce([table.create(row(number)) for number in range(100)])
    for asked, number in ((first, second.pid), (second, first.pid)):
        asked.await_that(lambda asked=asked, number=number:
                         members(asked, self=False, process=number, partitions=2, state="caught up"),
                         what=lambda asked=asked: f"the other in {asked.get('/status')[1]}")
    one = members(first, self=False)[0]
    assert one["address"] == f"http://127.0.0.1:{other.http_port}/"
    assert one["assigned"].startswith(table.topic + " ") and one["lag"] == 0 and one["level"] == "good"
    places = {member["assigned"] for member in members(first)}
    assert len(places) == 2, "no partition is of both"
    assert of_state(first, "there") == 2 and of_state(first, "silent") == 0
    shown = sink.run("status", "-c", sink.conf).stdout
    assert f"process {first.pid} (asked)" in shown and f"process {second.pid} " in shown, shown

    # One that is killed falls silent; that time has passed is played.
    second.kill()
    administer(sink.stack, "update ods_sink.members set beat_at = beat_at - interval '1 minute' "
               f"where process_id = {second.pid}", database.name)
    first.await_that(lambda: members(first, process=second.pid, state="silent", level="warn"), what="silence")
    assert "ended without leaving" in members(first, state="silent")[0]["says"]
    assert of_state(first, "there") == 1 and of_state(first, "silent") == 1
    assert "silent" in sink.run("status", "-c", sink.conf).stdout
    administer(sink.stack, "update ods_sink.members set beat_at = beat_at - interval '2 hours' "
               f"where process_id = {second.pid}", database.name)
    first.await_that(lambda: database.count("ods_sink.members") == 1, what="an old row goes")
    first.stop()
    assert database.count("ods_sink.members") == 0, "who ends in order takes leave"


REFUSE = """
create or replace function ods_sink.refuse() returns trigger language plpgsql as
    $$ begin raise insufficient_privilege using message = 'no beats here'; end $$;
create trigger refuse before insert on ods_sink.members execute function ods_sink.refuse();
"""


def test_without_the_right_rows_go_on(sink, database, kafka, table):
    """A schema of an earlier version gets the table; where that is refused it is told once."""
    sink.write(pipeline(table), database=database, kafka=True)
    daemon = sink.daemon().await_ready()
    daemon.stop()
    administer(sink.stack, "drop table ods_sink.members", database.name)
    daemon = sink.daemon().await_ready()
    daemon.await_that(lambda: len(members(daemon, self=True)) == 1, what="the table")
    administer(sink.stack, REFUSE, database.name)
    daemon.await_that(lambda: fleet(daemon)["problem"], what="a refusal")
    kafka.produce([table.create(row(number)) for number in range(10)])
    daemon.await_that(lambda: database.exists("items") and database.count("items") == 10, what="the rows")
    wait_for(lambda: daemon.log().count("do not learn of each other") == 1, 10, "a word in the log")
    assert "no beats here" in daemon.log() and daemon.get("/readyz")[0] == 200
    assert "no beats here" in sink.run("status", "-c", sink.conf).stdout
    daemon.stop()
