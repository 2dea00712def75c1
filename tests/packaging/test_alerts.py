"""The alert rules for Prometheus: each fires when it should, and asks for metrics that there are."""

import os
import re
import shutil
import subprocess

import yaml
from conftest import ROOT
from lib import drill_rules, metric_names

FOLDER = ROOT / "config" / "observability"
RULES = [path for path in sorted(FOLDER.glob("*.rules.yaml"))
         if path.with_suffix("").with_suffix(".rules.test.yaml").exists()]


def rules(path):
    return [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def test_each_rule_as_promtool_tries_it():
    assert RULES
    for path in RULES:
        tests = sorted(FOLDER.glob(f"{path.stem}.*test.yaml"))
        # Go collects garbage less often: it is small, and collecting it a quarter of the work.
        done = subprocess.run(["promtool", "test", "rules", *[test.name for test in tests]], cwd=FOLDER, text=True,
                              capture_output=True, env={**os.environ, "GOGC": "800"})
        assert done.returncode == 0, done.stdout + done.stderr
        fired = {alert["alertname"] for test in tests for one in yaml.safe_load(test.read_text())["tests"]
                 for alert in one["alert_rule_test"] if alert["exp_alerts"]}
        assert fired == {rule["alert"] for rule in rules(path) if "alert" in rule}


def exported():
    """Words of the sources that may be names of metrics."""
    source = "".join(path.read_text() for folder in ("pipeline", "sink", "source")
                     for path in (ROOT / "src" / folder).rglob("*.[ch]"))
    source += (ROOT / "include" / "ods" / "sink.h").read_text()
    return set(re.findall(r'"([a-z0-9_]+)"', source))


def test_rules_on_recorded_faults(tmp_path):
    """What scripts/drill --record wrote of real faults, by its rules: nothing fires before, it fires, and it ends."""
    recorded = sorted((ROOT / "tests" / "packaging" / "recorded").glob("*.yaml"))
    listed = re.search(r"^FAULTS = \{(.*?)\}", (ROOT / "scripts" / "drill").read_text(), re.M | re.S)[1]
    assert {path.stem for path in recorded} == set(re.findall(r'"(\w+)":', listed))
    for path in RULES:
        (tmp_path / path.name).write_text(drill_rules.faster(path.read_text()))
    for path in recorded:
        head = path.read_text().splitlines()[0]
        assert head.startswith(f"# Recorded by `scripts/drill --record DIR {path.stem}`"), head
        shutil.copy(path, tmp_path)
    done = subprocess.run(["promtool", "test", "rules", *[path.name for path in recorded]], cwd=tmp_path, text=True,
                          capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_metric_is_on_the_page():
    """What a daemon may export, whatever it is that has to be configured for it."""
    page = (ROOT / "docs" / "metrics.md").read_text()
    missing = [f"{name} ({file})" for name, (kind, said, file) in metric_names.exported().items()
               if f"| `{name}` | {kind} | {said} |" not in page]
    assert not missing, f"{missing}: ODS_DOCS_REGENERATE=1 tests/integration/test_metrics.py writes docs/metrics.md anew"


def asked(expression):
    """Our metrics of an expression, each as the sources may spell it: Prometheus itself has no objection to a name
    that there is not."""
    for metric in re.findall(r"(?<![:\w])(?:ods_sink|process)_(\w+)", expression):
        yield {metric, re.sub(r"_(bucket|sum|count)$", "", metric), *(metric.removeprefix(one) for one in ("partition_", "kafka_"))}


def test_panels_ask_for_metrics_that_there_are():
    """Those too of which a daemon has nothing to show unless something is configured or happens."""
    names, boards = exported(), yaml.safe_load((FOLDER / "dashboards.yaml").read_text())
    panels = [panel for board in boards for row in board["rows"] for panel in row["panels"]]
    assert any(panel.get("sometimes") for panel in panels)
    for panel in panels:
        for expression in panel["queries"].values():
            metrics = list(asked(expression))
            assert metrics and all(metric & names for metric in metrics), (panel["title"], expression)


def test_metrics_and_words_are_there():
    names = exported()
    alerts = (ROOT / "docs" / "runbook.md").read_text().split("\n## Error messages\n")[0]
    headings = {line[4:].strip().lower() for line in alerts.splitlines() if line.startswith("### ")}
    for path in RULES:
        for rule in rules(path):
            for metric in asked(rule["expr"]):
                assert metric & names, metric
            if "record" in rule:
                continue
            assert {"summary", "description", "runbook_url"} <= set(rule["annotations"])
            page, anchor = rule["annotations"]["runbook_url"].split("#")
            assert page == "{{ $externalLabels.runbooks }}docs/runbook.md" and anchor == rule["alert"].lower() and anchor in headings
            assert rule["labels"]["severity"] in ("warning", "critical")
    assert headings == {rule["alert"].lower() for path in RULES for rule in rules(path) if "alert" in rule}


def test_routes():
    """Who is told of what, as amtool reads alertmanager.yml."""
    path = FOLDER / "alertmanager.yml"
    done = subprocess.run(["amtool", "check-config", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    alerts = [rule for one in RULES for rule in rules(one) if "alert" in rule]
    expected = {"critical": "on-call", "warning": "team"}
    asked = [(rule["alert"], rule["labels"]["severity"]) for rule in alerts]
    for alert, severity in [*asked, ("Other", "critical"), ("Other", "warning")]:
        receiver = "team" if alert == "Other" else expected[severity]
        done = subprocess.run(["amtool", "config", "routes", "test", f"--config.file={path}", f"severity={severity}",
                               f"alertname={alert}"], capture_output=True, text=True)
        assert done.stdout.strip() == receiver, (alert, done.stdout, done.stderr)
    named = set(re.findall(r"OdsSink[A-Za-z]+(?=[|\"])", path.read_text()))
    assert named - {"OdsSinkFreshnessBurns"} <= {rule["alert"] for rule in alerts}
