"""The alert rules for Prometheus: each fires when it should, and asks for metrics that there are."""

import re
import subprocess

import yaml
from conftest import ROOT

FOLDER = ROOT / "config" / "observability"
RULES = [path for path in sorted(FOLDER.glob("*.rules.yaml"))
         if path.with_suffix("").with_suffix(".rules.test.yaml").exists()]


def rules(path):
    return [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def test_each_rule_as_promtool_tries_it():
    assert RULES
    for path in RULES:
        test = path.with_suffix("").with_suffix(".rules.test.yaml")
        done = subprocess.run(["promtool", "test", "rules", test.name], cwd=FOLDER, text=True,
                              capture_output=True)
        assert done.returncode == 0, done.stdout + done.stderr
        fired = {alert["alertname"] for one in yaml.safe_load(test.read_text())["tests"]
                 for alert in one["alert_rule_test"] if alert["exp_alerts"]}
        assert fired == {rule["alert"] for rule in rules(path)}


def test_metrics_and_words_are_there():
    names = set(re.findall(r'"((?:source|verify|partition|retention|records)[a-z_]*)"', "".join(
        path.read_text() for path in (ROOT / "src" / "pipeline").glob("*.c"))))
    for path in RULES:
        for rule in rules(path):
            for metric in re.findall(r"ods_sink_(\w+)", rule["expr"]):
                assert metric in names or metric.removeprefix("partition_") in names, metric
            assert {"summary", "description", "runbook"} <= set(rule["annotations"])
            assert rule["labels"]["severity"] in ("warning", "critical")
