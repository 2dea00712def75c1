"""A real Prometheus that is told to keep native histograms and exemplars: it asks for protobuf, and has both."""

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml
from lib.records import pipeline, row
from lib.sink import free_port
from lib.waiting import wait_for

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_prometheus_keeps_native_histograms_and_exemplars(sink, database, kafka, table, tmp_path):
    sink.write({**pipeline(table), "name": 'a "b" \\c'}, database=database, kafka=True)
    port, program = free_port(), shutil.which("prometheus")
    assert program, "scripts/setup installs Debian's prometheus"
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump({
        "global": {"scrape_interval": "500ms"},
        "scrape_configs": [{"job_name": "ods-sink",
                            "static_configs": [{"targets": [f"127.0.0.1:{sink.http_port}"]}]}]}))

    def ask(path, **parameters):
        url = f"http://127.0.0.1:{port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10) as answer:
                return json.loads(answer.read())["data"]
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return None

    def value(expression):
        found = (ask("query", query=expression) or {}).get("result")
        return float(found[0]["value"][1]) if found else None

    daemon = sink.daemon().await_ready()
    prometheus = subprocess.Popen(
        [program, f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/tsdb",
         f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=native-histograms,exemplar-storage"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        began = time.time()
        record = table.create(row(1), ts_ms=int(began * 1000))
        kafka.produce([{**record, "headers": ["traceparent", f"00-{TRACE}-00f067aa0ba902b7-01"]}])
        daemon.await_that(lambda: daemon.metric("ods_sink_latency_seconds_count") == 1, what="the row")
        took = time.time() - began
        wait_for(lambda: value("sum(histogram_count(ods_sink_latency_seconds))") == 1, what="a native histogram")
        assert 0 < value("sum(histogram_sum(ods_sink_latency_seconds))") <= took
        half = value("histogram_quantile(0.5, sum(ods_sink_latency_seconds))")
        assert 0 < half <= took * 1.1, "buckets are 9 % wide"
        assert value('sum(ods_sink_changes_total{pipeline="a \\"b\\" \\\\c"})') == 1
        assert value("count(ods_sink_lane_ready)") == 2 and value("sum(up)") == 1
        (series,) = wait_for(lambda: ask("query_exemplars", query="ods_sink_append_latency_seconds",
                                         start=began - 60, end=began + 60), what="an exemplar")
        (exemplar,) = series["exemplars"]
        assert exemplar["labels"] == {"trace_id": TRACE} and 0 < float(exemplar["value"]) <= took
    finally:
        prometheus.terminate()
        prometheus.wait()
        daemon.stop()
