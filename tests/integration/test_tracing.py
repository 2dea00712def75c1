"""A record's trace: in its dead letter, in the log, as an exemplar, and as spans at a collector."""

import json
import os
import subprocess
import time
import urllib.request

import pytest
import yaml
from lib.endpoint import Endpoint
from lib.otlp import spans_of
from lib.records import pipeline, row
from lib.sink import free_port
from lib.waiting import wait_for
from prometheus_client.openmetrics.parser import text_string_to_metric_families

TRACE = "{:032x}".format
OPENMETRICS = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5"


def traced(record, number, sampled=True):
    header = f"00-{TRACE(number)}-{number:016x}-0{int(sampled)}"
    return {**record, "headers": ["other", "x", "traceparent", header]}


@pytest.fixture
def collector():
    endpoint = Endpoint()
    yield endpoint
    endpoint.close()


def told_by(collector):
    """All spans that the collector took."""
    return [span for request in collector.taken() for span in spans_of(request.body)[1]]


def scrape(sink, accept):
    request = urllib.request.Request(f"http://127.0.0.1:{sink.http_port}/metrics", headers={"Accept": accept})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def test_a_trace_is_followed(sink, database, kafka, table, prefix, collector):
    """Of five records one is not sampled, one has no trace and one is no JSON."""
    letters = kafka.create(f"{prefix}.letters", 1)
    now_ms = int(time.time() * 1000)
    records = [traced(table.create(row(number), ts_ms=now_ms), number, number != 2) for number in (1, 2, 3)]
    records += [table.create(row(4), ts_ms=now_ms), traced(table.record("{}", "no JSON, but a secret"), 5)]
    sink.write(pipeline(table), database=database, kafka=True, dead_letter={"topic": letters},
               log={"format": "otel"}, tracing={"endpoint": collector.url, "token": "t0k3n", "service_name": "ods"})
    began = time.time_ns() - 1_000_000  # the broker's time has milliseconds
    kafka.produce(records)
    daemon = sink.daemon().await_ready()
    daemon.await_that(lambda: list(database.offsets().values()) == [5], what="the end")
    daemon.await_that(lambda: len(told_by(collector)) == 15, what="the spans of three records")

    request = collector.taken()[0]
    assert (request.path, request.headers["Content-Type"]) == ("/v1/traces", "application/json")
    assert request.headers["Authorization"] == "Bearer t0k3n"
    resource = spans_of(request.body)[0]
    assert resource["service.name"] == "ods" and resource["service.version"]
    for one in collector.taken():
        assert b"secret" not in one.body and b"t0k3n" not in one.body
    spans = told_by(collector)
    for number, offset in ((1, 0), (3, 2), (5, 4)):
        own = {span.name.split()[0]: span for span in spans if span.trace == TRACE(number)}
        assert list(own) == ["process", "fetch", "decode", "apply", "commit"]
        whole = own.pop("process")
        assert (whole.name, whole.kind, whole.parent) == (f"process {table.topic}", 5, f"{number:016x}")
        assert all(span.parent == whole.id and span.kind == 1 for span in own.values())
        assert whole.begin >= began and whole.end <= time.time_ns()
        moments = [moment for span in own.values() for moment in (span.begin, span.end)]
        assert moments == sorted(moments) and (moments[0], moments[-1]) == (whole.begin, whole.end)
        assert own["commit"].end > own["commit"].begin
        said = whole.attributes
        assert (said["messaging.system"], said["messaging.destination.name"]) == ("kafka", table.topic)
        assert (said["messaging.destination.partition.id"], said["messaging.kafka.offset"]) == ("0", offset)
        assert (said["ods_sink.pipeline"], said["ods_sink.target"]) == ("items", "ods")
        if number == 5:
            assert whole.status == {"code": 2, "message": "set aside: decode"} and said["error.type"] == "decode"
        else:
            assert not whole.status and "error.type" not in said

    (letter,) = kafka.read(letters)
    assert dict(letter.headers())["ods.trace_id"].decode() == TRACE(5)
    lines = [json.loads(line) for line in daemon.log().splitlines() if line.startswith("{")]
    assert [line.get("TraceId") for line in lines if "set aside" in line["Body"]] == [TRACE(5)]
    assert all("TraceId" not in line for line in lines if "set aside" not in line["Body"])

    kind, text = scrape(sink, OPENMETRICS)
    assert kind == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["ods_sink_records"].type == "counter" and families["ods_sink"].type == "info"
    for name in ("latency_seconds", "append_latency_seconds"):
        found = [(sample, sample.exemplar) for sample in families[f"ods_sink_{name}"].samples if sample.exemplar]
        assert found, name
        for sample, exemplar in found:
            assert exemplar.labels["trace_id"] in [TRACE(number) for number in (1, 2, 3, 5)]
            assert exemplar.value <= float(sample.labels["le"]) and float(exemplar.timestamp) > now_ms / 1000 - 60
    kind, text = scrape(sink, "*/*")
    assert kind.startswith("text/plain; version=0.0.4") and "trace_id" not in text and "EOF" not in text
    # Each in the phases of applying, by table, and in what Kafka's client tells.
    for name in ("prepare", "write", "letters", "commit"):
        assert any(f'phase="{name}"' in line and float(line.split()[-1]) > 0 for line in text.splitlines()), name
    assert f'ods_sink_table_changes_total{{pipeline="items",table="shop.items",op="create"}} 4' in text
    daemon.stop()


def test_a_collector_that_is_away_holds_nobody_up(sink, database, kafka, table, collector):
    """It takes nothing, then goes on: lanes write on, spans that find no room are dropped and counted."""
    collector.answer = lambda request: 503
    sink.write(pipeline(table), database=database, kafka=True,
               tracing={"endpoint": f"{collector.url}/custom/path", "queue": 16})
    kafka.produce([traced(table.create(row(number)), number + 1) for number in range(400)])
    daemon = sink.daemon().await_ready()
    daemon.await_that(lambda: database.exists("items") and database.count("items") == 400)
    daemon.await_that(lambda: "takes no spans: it answers 503" in daemon.log())
    dropped = daemon.metric("ods_sink_spans_total")
    assert 5 * 300 < dropped < 5 * 400 and not told_by(collector)
    assert daemon.metric("ods_sink_spans_waiting_records") <= 16
    collector.answer = lambda request: (200, {}, b'{"partialSuccess":{"rejectedSpans":"2"}}')
    daemon.await_that(lambda: "takes spans again" in daemon.log())
    taken = len(told_by(collector))
    assert taken and collector.requests[0].path == "/custom/path"
    kafka.produce([traced(table.create(row(1000)), 1000)])
    daemon.await_that(lambda: database.count("items") == 401)
    daemon.stop()  # what waits is sent before it ends
    assert [span.name for span in told_by(collector) if span.trace == TRACE(1000)] == [
        f"process {table.topic}", "fetch", "decode", "apply", "commit"]


def test_a_collector_that_hears_nothing_does_not_hold_up_the_end(sink, database, kafka, table):
    sink.write(pipeline(table), database=database, kafka=True, tracing={"endpoint": "http://127.0.0.1:1"})
    kafka.produce([traced(table.create(row(1)), 1)])
    daemon = sink.daemon().await_ready()
    daemon.await_that(lambda: database.exists("items") and database.count("items") == 1)
    wait_for(lambda: "takes no spans: Connection refused" in daemon.log(), what="the warning")
    daemon.stop(timeout_s=20)


@pytest.mark.parametrize("tracing, said", [
    ({"endpoint": "collector:4318"}, "'tracing.endpoint' expects http://host:port"),
    ({"endpoint": "http://me:pw@collector:4318"}, "'tracing.endpoint' expects http://host:port"),
    ({"endpoint": "http://collector:4318", "key": "/k.pem"}, "'tracing.certificate' and 'tracing.key' go together"),
    ({"endpoint": "http://collector:4318", "queue": 1}, "tracing.queue")])
def test_settings_are_checked(sink, database, table, tracing, said):
    sink.write(pipeline(table), database=database, tracing=tracing)
    assert said in sink.check(expect=3).stderr.replace("\n", " ")


def test_its_token_is_not_printed(sink, database, table):
    sink.write(pipeline(table), database=database, tracing={"endpoint": "http://127.0.0.1:1", "token": "t0k3n"})
    done = sink.check()
    assert "t0k3n" not in done.stdout + done.stderr


@pytest.mark.skipif("ODS_TEST_COLLECTOR" not in os.environ, reason="the program of tests/support/collector: "
                    "go mod tidy && go build, then ODS_TEST_COLLECTOR=its path")
def test_opentelemetrys_own_collector_takes_them(sink, database, kafka, table, tmp_path):
    port, log = free_port(), tmp_path / "collector.log"
    (tmp_path / "collector.yaml").write_text(yaml.safe_dump({
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
        "exporters": {"debug": {"verbosity": "detailed"}},
        "service": {"telemetry": {"metrics": {"level": "none"}},
                    "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["debug"]}}}}))
    with log.open("wb") as out:
        collector = subprocess.Popen([os.environ["ODS_TEST_COLLECTOR"], f"--config=file:{tmp_path}/collector.yaml"],
                                     stdout=out, stderr=out)
    try:
        wait_for(lambda: "Everything is ready" in log.read_text(), what="the collector")
        sink.write(pipeline(table), database=database, kafka=True, dead_letter={"table": "letters"},
                   tracing={"endpoint": f"http://127.0.0.1:{port}"})
        kafka.produce([traced(table.create(row(1)), 1), traced(table.record("{}", "no JSON"), 2)])
        daemon = sink.daemon().await_ready()
        daemon.await_that(lambda: log.read_text().count("Parent ID") == 10, what=log.read_text)
        said = log.read_text()
        for text in (TRACE(1), TRACE(2), f"process {table.topic}", "service.name: Str(ods-sink)", "Kind           : Consumer",
                     "Status code    : Error", "set aside: decode", "messaging.kafka.offset: Int(1)"):
            assert text in said, said
        daemon.await_that(lambda: daemon.metric("ods_sink_spans_total") == 10, what="all taken")
        daemon.stop()
    finally:
        collector.terminate()
        collector.wait()
