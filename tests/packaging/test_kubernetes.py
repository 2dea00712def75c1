"""config/kubernetes: each manifest against the schemas of what it is for, the base and docs/kubernetes.md's overlay,
alone and with both components, as kustomize renders them, and what the parts say of each other. No cluster is here."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, build
from lib.set_up import lacking

FOLDER = ROOT / "config/kubernetes"
BASE = FOLDER / "base"
LABEL = {"app.kubernetes.io/name": "ods-sink"}


def documents():
    """Kind -> manifest, of the base and both examples as they stand in their files."""
    found = {}
    for path in manifests():
        for document in yaml.safe_load_all(path.read_text()):
            found[document["kind"]] = document
    return found


def manifests():
    return sorted(path for path in FOLDER.rglob("*.yaml")
                  if path.name not in ("kustomization.yaml", "tables.yaml"))


WRONG = {  # what is made wrong of a manifest: file, what stands there, what stands there then
    "member": ("base/statefulset.yaml", "readOnlyRootFilesystem", "readonlyRootFilesystem"),
    "type": ("base/poddisruptionbudget.yaml", "maxUnavailable: 1", "maxUnavailable: [1]"),
    "keda": ("examples/autoscaling/scaledobject.yaml", "maxReplicaCount", "maxReplicas"),
    "prometheus": ("examples/monitoring/servicemonitor.yaml", "interval", "every"),
    "rule": ("examples/monitoring/prometheusrule.yaml", "expr: max", "expression: max")}
KUSTOMIZED = ["base", "overlay", "all"]


def overlays(folder):
    """A copy of config/kubernetes, and beside its base the overlay of docs/kubernetes.md: as it is, and with its last line."""
    shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
    text = re.search(r"^```yaml\n(# kustomization.yaml\n.*?)^```", (ROOT / "docs/kubernetes.md").read_text(),
                     re.MULTILINE | re.DOTALL).group(1)
    assert "\n# components: " in text
    for name, content in (("overlay", text), ("all", text.replace("# components: ", "components: "))):
        (folder / name).mkdir()
        (folder / name / "kustomization.yaml").write_text(content)
        for file in ("ods-sink.conf", "tables.yaml"):
            shutil.copy(BASE / file, folder / name)


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Name -> what the schemas say, line by line, of all that is looked at: one process reads them."""
    folder = tmp_path_factory.mktemp("manifests")
    for path in manifests():
        shutil.copy(path, folder / f"plain-{path.stem}.yaml")
    for name, (path, old, new) in WRONG.items():
        text = (FOLDER / path).read_text()
        assert old in text
        (folder / f"wrong-{name}.yaml").write_text(text.replace(old, new))
    copy = tmp_path_factory.mktemp("kubernetes")
    overlays(copy)
    for name in KUSTOMIZED:
        done = subprocess.run([ROOT / "scripts/manifests", "--render", copy / name],
                              capture_output=True, text=True)
        if done.returncode == 77:
            break
        assert done.returncode == 0 and "deprecated" not in done.stderr, done.stderr
        (folder / f"rendered-{name}.yaml").write_text(done.stdout)
    done = subprocess.run([ROOT / "scripts/manifests", *sorted(folder.iterdir())],
                          capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    said = {path.stem: [line for line in done.stdout.splitlines() if f"/{path.name}: " in line]
            for path in folder.iterdir()}
    return folder, said


def test_schemas_take_each_manifest(judged):
    plain = [line for name, lines in judged[1].items() if name.startswith("plain-") for line in lines]
    assert len(plain) == len(documents()) and all(line.endswith(": good") for line in plain), plain


@pytest.mark.parametrize("name", WRONG)
def test_schemas_refuse_what_is_wrong(judged, name):
    assert judged[1][f"wrong-{name}"] and not judged[1][f"wrong-{name}"][0].endswith(": good")


@pytest.mark.parametrize("what", KUSTOMIZED)
def test_is_rendered(judged, what):
    folder, said = judged
    name = f"rendered-{what}"
    if name not in said:
        lacking("neither a kubectl with a kustomize of today, nor kustomize, nor Go to build it")
    assert said[name] and all(line.endswith(": good") for line in said[name]), said[name]
    parts = {part["kind"]: part for part in yaml.safe_load_all((folder / f"{name}.yaml").read_text())}
    pod = parts["StatefulSet"]["spec"]["template"]["spec"]
    assert pod["volumes"][0]["configMap"]["name"] == parts["ConfigMap"]["metadata"]["name"]
    version = re.search(r"VERSION (\S+) ", (ROOT / "CMakeLists.txt").read_text()).group(1)
    assert pod["containers"][0]["image"] == f"{'' if what == 'base' else 'registry.example/'}ods-sink:{version}"
    added = {"ServiceMonitor", "PrometheusRule", "ScaledObject", "TriggerAuthentication"}
    assert added & set(parts) == (added if what == "all" else set())
    assert ("replicas" in parts["StatefulSet"]["spec"]) == ("ScaledObject" not in parts)
    assert what == "base" or {part["metadata"]["namespace"] for part in parts.values()} == {"ods"}


def test_the_operators_rules_are_prometheus_own():
    done = subprocess.run([ROOT / "scripts/alert-manifest", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_pages_commands_begin_with_the_namespace_that_all_have():
    """The overlay's `namespace` is where things go; it makes none."""
    lines = re.findall(r"^`?(kubectl .*)", (ROOT / "docs/kubernetes.md").read_text(), re.MULTILINE)
    name = re.search(r"^namespace: (\S+)", (ROOT / "docs/kubernetes.md").read_text(), re.MULTILINE).group(1)
    assert lines[0] == f"kubectl create namespace {name}"
    assert all(f" -n {name} " in line for line in lines[1:] if "apply -k" not in line), lines


def test_nothing_is_allowed_that_is_not_needed():
    pod = documents()["StatefulSet"]["spec"]["template"]["spec"]
    security = pod["containers"][0]["securityContext"]
    assert security == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]}}
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["seccompProfile"]
    assert pod["automountServiceAccountToken"] is False
    user = re.search(r"--uid (\d+) --no-create-home", (ROOT / "Dockerfile").read_text()).group(1)
    assert pod["securityContext"]["runAsUser"] == int(user)
    assert all(mount["readOnly"] for mount in pod["containers"][0]["volumeMounts"])
    assert [entry["name"] for entry in pod["containers"][0]["env"]] == ["POD_NAME"]


def test_parts_find_each_other():
    parts = documents()
    stateful = parts["StatefulSet"]
    labels = stateful["spec"]["template"]["metadata"]["labels"]
    assert labels == LABEL == parts["Service"]["metadata"]["labels"] == parts["Service"]["spec"]["selector"]
    for kind, member in (("StatefulSet", "selector"), ("PodDisruptionBudget", "selector"),
                         ("NetworkPolicy", "podSelector"), ("ServiceMonitor", "selector")):
        assert parts[kind]["spec"][member]["matchLabels"] == LABEL, kind
    assert stateful["spec"]["serviceName"] == parts["Service"]["metadata"]["name"]
    container = stateful["spec"]["template"]["spec"]["containers"][0]
    assert parts["Service"]["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
    assert parts["ScaledObject"]["spec"]["scaleTargetRef"]["kind"] == "StatefulSet"


def configured(tmp_path):
    """All that `check` says of the base's configuration in a pod."""
    for name in ("ods-sink.conf", "tables.yaml"):
        shutil.copy(BASE / name, tmp_path)
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    conf = tmp_path / "ods-sink.conf"
    text = conf.read_text()
    for name in re.findall(r"/run/secrets/ods-sink/([\w.-]+)", text):
        (secrets / name).write_text("host=db dbname=ods" if name == "dsn" else "s3cret")
    conf.write_text(text.replace("/run/secrets/ods-sink", str(secrets)))
    done = subprocess.run([build("release"), "check", "-c", conf], capture_output=True, text=True,
                          env={**os.environ, "POD_NAME": "ods-sink-0"})
    assert done.returncode == 0 and "s3cret" not in done.stdout + done.stderr, done.stderr
    return done.stdout


def test_the_daemon_takes_its_configuration_and_has_the_time_and_memory_for_it(tmp_path):
    said = configured(tmp_path)
    pod = documents()["StatefulSet"]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert '"group.instance.id" = "ods-sink-0"' in said
    shutdown_ms = int(re.search(r"^shutdown_timeout_ms = (\d+)", said, re.MULTILINE).group(1))
    assert pod["terminationGracePeriodSeconds"] * 1000 >= 1.5 * shutdown_ms
    ceiling = int(re.search(r"takes? at most (\d+) MiB", said).group(1))
    limit = int(container["resources"]["limits"]["memory"].removesuffix("Mi"))
    assert limit >= 2 * ceiling + 40, "what a larger record takes, and the process itself"
    port = int(re.search(r'http.listen = "?[\d.]+:(\d+)', said).group(1))
    assert port == container["ports"][0]["containerPort"]
    group = documents()["ScaledObject"]["spec"]["triggers"][0]["metadata"]["consumerGroup"]
    pipeline = yaml.safe_load((BASE / "tables.yaml").read_text())["pipelines"][0]["name"]
    assert group == f"ods-sink.{pipeline}"


@pytest.mark.parametrize("probe, path", [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"),
                                         ("readinessProbe", "/readyz")])
def test_probes_ask_what_the_daemon_answers(probe, path):
    container = documents()["StatefulSet"]["spec"]["template"]["spec"]["containers"][0]
    assert container[probe]["httpGet"] == {"path": path, "port": "http"}
    assert Path(ROOT / "src/pipeline/http.c").read_text().count(f'"{path}"')
