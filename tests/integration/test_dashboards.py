"""The dashboards of config/observability: written from their description, and each query of them, as of the alerts, is
answered by a Prometheus that reads a daemon."""

import json
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import yaml
from conftest import ROOT
from lib.records import pipeline, row
from lib.sink import free_port
from lib.waiting import wait_for

FOLDER = ROOT / "config" / "observability"


def test_files_are_what_the_description_says():
    done = subprocess.run([ROOT / "scripts" / "dashboards", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for path in (FOLDER / "grafana" / "dashboards").glob("*.json"):
        ids = [panel["id"] for panel in json.loads(path.read_text())["panels"]]
        assert len(set(ids)) == len(ids)


class Prometheus:
    def __init__(self, folder, target):
        program = shutil.which("prometheus")
        assert program, "scripts/setup installs Debian's prometheus"
        self.port = free_port()
        for path in FOLDER.glob("*.rules.yaml"):
            shutil.copy(path, folder)
        (folder / "prometheus.yml").write_text(yaml.safe_dump({
            "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"}, "rule_files": ["*.rules.yaml"],
            "scrape_configs": [{"job_name": "ods-sink", "static_configs": [{"targets": [target]}]}]}))
        self.process = subprocess.Popen(
            [program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
             f"--web.listen-address=127.0.0.1:{self.port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def get(self, path, **parameters):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with opener.open(url, timeout=10) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return json.loads(error.read()) if error.code != 503 else {"status": "away"}
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return {"status": "away"}

    def query(self, expression):
        return self.get("query", query=expression)

    def close(self):
        self.process.terminate()
        self.process.wait()


def test_each_query_has_an_answer(sink, database, kafka, table, tmp_path):
    sink.write({**pipeline(table), "name": "items"}, database=database, kafka=True)
    daemon = sink.daemon().await_ready()
    prometheus = Prometheus(tmp_path, f"127.0.0.1:{sink.http_port}")
    try:
        wait_for(lambda: prometheus.query("ods_sink_lane_ready").get("data", {}).get("result"), what="a scrape")
        for number in range(12):  # so that there is a rate
            kafka.produce([table.create(row(number))])
            daemon.await_that(lambda number=number: database.count("items") == number + 1, what="the row")
        said = daemon.get("/metrics")[1]
        known = set(re.findall(r"^# TYPE (\S+)", said, re.M))
        for board in yaml.safe_load((FOLDER / "dashboards.yaml").read_text()):
            for panel in (panel for one in board["rows"] for panel in one["panels"]):
                for expression in panel["queries"].values():
                    asked = expression.replace("$pipeline", ".*").replace("$__rate_interval", "20s")
                    if panel.get("sometimes"):
                        answer = prometheus.query(asked)
                    else:
                        answer = wait_for(lambda asked=asked: (lambda one: one["status"] == "error" or
                                          one.get("data", {}).get("result") and one)(prometheus.query(asked)),
                                          what=f"{panel['title']}: {asked}")
                        assert answer is not True, (asked, prometheus.query(asked))
                    assert answer["status"] == "success", (asked, answer)
                    if not panel.get("sometimes"):  # tests/packaging/test_alerts.py knows all names
                        for name in re.findall(r"ods_sink_\w+", asked):
                            assert {name, re.sub(r"_(bucket|sum|count)$", "", name)} & known, name
        groups = prometheus.get("rules")["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert rules and all(rule["health"] in ("ok", "unknown") for rule in rules), rules
        firing = {rule["name"] for rule in rules if rule.get("state") == "firing"}
        assert not firing, "all is well"
    finally:
        prometheus.close()
        daemon.stop()
