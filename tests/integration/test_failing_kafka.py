"""What Kafka fails to do is done later: a record whose types stand in a schema topic that can't be
read yet waits, and it alone; a commit to the group is repeated."""

import subprocess

from lib.records import INT, TEXT, Table, pipeline, row
from lib.stack import ROOT
from test_schema_topic import ROW, Source


def failing_kafka(folder, **settings):
    """The environment of a daemon whose Kafka fails as tests/support/failing_kafka.c says."""
    library = folder / "failing_kafka.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library,
                    ROOT / "tests" / "support" / "failing_kafka.c", "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "ASAN_OPTIONS": "verify_asan_link_order=0",
            **{name: str(value) for name, value in settings.items()}}


def test_other_partitions_go_on(sink, database, kafka, prefix, tmp_path):
    """The record fills a batch by itself: what its decoding takes must not pile up until the lane
    thinks that it has no room, and listens to Kafka no more."""
    waiting = Source()
    waiting.prefix, waiting.topic = prefix, f"{prefix}.shop.items"
    waiting.columns["note"] = TEXT
    waiting.types["note"] = "LONGTEXT"
    other = Table(prefix=prefix, name="others", columns={"id": INT, "name": TEXT})
    for topic in (prefix, waiting.topic, other.topic):
        kafka.create(topic, 1)
    settings = {**pipeline(f"^{prefix}\\..*"), **{
        key: value for key, value in waiting.pipeline().items() if key in ("source", "defaults")}}
    sink.write(settings, database=database, kafka=True, lanes=1, batch={"max_bytes": 65536},
               kafka_properties={"max.poll.interval.ms": "4000"})
    said = tmp_path / "deaf"
    said.write_text(prefix)
    environment = failing_kafka(tmp_path, ODS_DEAF_TOPIC=said)
    kafka.produce([waiting.statement()])
    kafka.produce([waiting.create({**ROW, "note": 'a "quoted" text\n' * 4000}),
                   waiting.create({**ROW, "id": 2, "note": "short"}),
                   other.create({"id": 1, "name": "one"})])
    daemon = sink.daemon(env=environment)

    def put_off():
        return daemon.metric("ods_sink_records_put_off_total") or 0

    daemon.await_that(lambda: put_off() >= 6, 60, "six attempts at the record")
    for number in range(2, 5):
        kafka.produce([other.create({"id": number, "name": "x" * 40000})])
        daemon.await_that(lambda: database.exists("others") and database.execute(
            "select 1 from others where id = %s", number), 60, "the other topic's rows")
    assert not database.exists("items")
    assert f"topic {prefix} (source.schema_topic)" in daemon.get("/status")[1]
    assert daemon.metric("ods_sink_rebalances_total") == 1, daemon.tail()
    assert daemon.log().count("waits at offset 0: ") == 1
    said.unlink()
    daemon.await_that(lambda: database.exists("items") and database.execute(
        "select count(*) from items where total = 18446744073709551615") == [(2,)], 60, "the rows")
    assert daemon.metric("ods_sink_rebalances_total") == 1, daemon.tail()
    daemon.stop()


def test_a_commit_to_the_group_that_failed_is_repeated(sink, database, kafka, table, tmp_path):
    sink.write(pipeline(table), database=database, kafka=True, lanes=1)
    daemon = sink.daemon(env=failing_kafka(tmp_path, ODS_LOST_COMMITS=1))
    kafka.produce([table.create(row(number)) for number in range(5)])
    daemon.await_that(lambda: database.exists("items") and database.count("items") == 5, 60, "rows")
    daemon.await_that(lambda: kafka.committed(f"{sink.group}.items", table.topic, 1) == [5], 60,
                      "the group's offset")
    daemon.stop()
