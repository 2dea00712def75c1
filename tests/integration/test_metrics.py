"""/metrics: what promtool thinks of it, and docs/metrics.md, which is written from it and from the sources."""

import os
import re
import subprocess
import time
from pathlib import Path

from lib.metric_names import exported
from lib.records import pipeline, row

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
HEAD = """# Metrics

What `/metrics` has, in Prometheus' text format ([http.md](http.md) says who may ask). This page is written from
a running daemon's own answer. Labels are `pipeline` and `lane`, `topic` and `partition` of what is of a partition, and
words of which there are few (`stage`, `reason`, `fault`, `phase`, `op`, `action`, `state`, `pool`): nothing that comes out of a record but the
names of tables, of which each pipeline counts 20,000 at most and the rest as `(others)`.
Where a scraper prefers OpenMetrics, as Prometheus does by itself, it gets that, with exemplars ([tracing.md](tracing.md)).
Where it prefers Prometheus' protobuf messages, as Prometheus does with native histograms switched on, histograms have native
buckets too, of schema 3 (9 % wide, from 61 µs to 36 hours). Prometheus then keeps the native ones alone unless
`scrape_classic_histograms` is true, which our rules and dashboards want.
What begins with `kafka_` is librdkafka's, a bounded choice of its statistics, every `statistics.interval.ms` (15 s;
`kafka.properties` may say otherwise, 0: none). PostgreSQL works on rows that were sent while it is asked to commit, in one
round trip: the phase `commit` has that time.

## Of every daemon

| metric | type | what it is |
|---|---|---|
"""
# What is there where something is configured: how its metrics begin, the heading, what is said of them.
SOMETIMES = [
    (("dead_letters_",), "Dead letters", "Where they are in a table (`dead_letter.table`), of pipelines whose target has it; label `pipeline` "
     "([operations.md](operations.md#dead-letters) says why not of others). Each process counts those of all."),
    (("source_",), "The sources' logs", "Where a pipeline's `database` is one of `databases`; labels `pipeline`, "
     "`database`, and `slot`, which is empty of a binary log ([source-guard.md](source-guard.md))."),
    (("connect_", "connector_"), "Connectors", "Where `connect.url` or `connect_clusters` is set; labels `cluster`, "
     "`connector`, `state` ([source-guard.md](source-guard.md#connectors))."),
    (("verify_",), "Comparisons", "Of pipelines that have `verify`; the last comparison may be another process's "
     "([cli/verify.md](cli/verify.md#in-the-daemon))."),
    (("quality_",), "Rules of the data", "Of pipelines that have rules; labels `pipeline`, `table`, `rule` ([quality.md](quality.md))."),
    (("derived_",), "Derived tables", "Labels `target` and `table` ([derived.md](derived.md))."),
    (("lake_",), "Targets of type delta and iceberg", "Of the lane's own tables ([lake.md](lake.md))."),
    (("http_",), "Targets of type http", "[http.md](http.md) is about the daemon's own server; this is about requests that it makes."),
    (("kafka_target_",), "Targets of type kafka", "The producer's, as `kafka_…` above are the consumer's."),
    (("spans_",), "Traces", "Where `tracing.endpoint` is set ([tracing.md](tracing.md))."),
    (("actions_",), "Actions over HTTP", "Where operators are named ([http.md](http.md#actions))."),
]


def heads(text):
    """{name: (type, help)}"""
    helps = dict(re.findall(r"^# HELP (\S+) (.*)$", text, re.M))
    types = dict(re.findall(r"^# TYPE (\S+) (.*)$", text, re.M))
    assert list(helps) == list(types)
    return {name: (types[name], helps[name]) for name in types}


def lines_of(found):
    return "\n".join(f"| `{name}` | {kind} | {text} |" for name, (kind, text) in found.items()) + "\n"


def page_of(found):
    some = tuple(f"ods_sink_{one}" for beginnings, _, _ in SOMETIMES for one in beginnings)
    found = {name: told for name, told in found.items() if not name.startswith(some)}
    rest = {name: (kind, text) for name, (kind, text, _) in exported().items() if name not in found}
    page = HEAD + lines_of(found)
    for beginnings, title, said in SOMETIMES:
        begins = tuple(f"ods_sink_{one}" for one in beginnings)
        own = {name: rest.pop(name) for name in list(rest) if name.startswith(begins)}
        assert own, title
        page += f"\n## {title}\n\n{said}\n\n| metric | type | what it is |\n|---|---|---|\n{lines_of(own)}"
    assert not rest, "SOMETIMES says when they are there"
    return page


def test_metrics_are_as_prometheus_wants_them(sink, database, kafka, table):
    sink.write(pipeline(table), database=database, kafka=True, dead_letter={"table": "letters"})
    kafka.produce([table.create(row(1)), table.record(table.create(row(2))["key"], "no JSON")])
    began = time.time()
    daemon = sink.daemon().await_ready()
    daemon.await_that(lambda: database.exists("items") and database.count("items") == 1)
    daemon.await_that(lambda: daemon.metric("ods_sink_records_rejected_total"))
    daemon.await_that(lambda: "ods_sink_partition_lag_records{" in daemon.get("/metrics")[1])
    for name in ("decode_seconds_total", "target_connections_total", "record_bytes_total",
                 "latency_seconds_count", "append_latency_seconds_count"):
        assert daemon.metric(f"ods_sink_{name}") > 0, name
    daemon.await_that(lambda: re.search(r"_memory_bytes\{.*in_flight\"} 0\n", daemon.get("/metrics")[1]),
                      what="nothing in flight")
    daemon.await_that(lambda: daemon.metric("ods_sink_lag_seconds") == 0, what="nothing waits")
    started = daemon.metric("process_start_time_seconds")
    assert began - 1 < started < time.time() and daemon.metric("process_start_time_seconds") == started
    text = daemon.get("/metrics")[1]
    found = heads(text)
    assert all(kind in ("counter", "gauge", "histogram") for kind, _ in found.values())
    for name, (kind, _) in found.items():
        assert (kind == "counter") == name.endswith("_total"), name
    sources = exported()
    for name, (kind, said) in found.items():  # so what tests/lib/metric_names.py reads is what is shown
        if name.startswith("ods_sink_") and name != "ods_sink_info":
            assert sources[name][:2] == (kind, said)
    told = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True,
                          text=True, check=False)
    assert told.returncode == 0 and not told.stderr + told.stdout, told.stderr + told.stdout
    if os.environ.get("ODS_DOCS_REGENERATE"):
        PAGE.write_text(page_of(found))
    assert PAGE.read_text() == page_of(found), "ODS_DOCS_REGENERATE=1 writes it anew"
    daemon.stop()
