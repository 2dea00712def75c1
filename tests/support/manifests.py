"""manifests.py FILE…: every document against the schema of its kind, and nothing that the schema does not know. Run by
scripts/manifests, whose Python has the schemas."""

import sys

import kubernetes_validate
import yaml
from cloudcoil.models.keda import v1alpha1 as keda
from cloudcoil.models.prometheus_operator import v1 as prometheus

CUSTOM = {"ScaledObject": keda.ScaledObject, "TriggerAuthentication": keda.TriggerAuthentication,
          "PrometheusRule": prometheus.PrometheusRule, "ServiceMonitor": prometheus.ServiceMonitor}


def unknown(given, known, path=""):
    """Members of what was given that the model has dropped."""
    if isinstance(given, dict):
        for name, value in given.items():
            if not isinstance(known, dict) or name not in known:
                yield f"{path}.{name}: no such member"
            else:
                yield from unknown(value, known[name], f"{path}.{name}")
    elif isinstance(given, list):
        for number, (value, kept) in enumerate(zip(given, known)):
            yield from unknown(value, kept, f"{path}[{number}]")


def faults(document):
    model = CUSTOM.get(document["kind"])
    if not model:
        try:
            kubernetes_validate.validate(document, "1.37.0", strict=True)
        except kubernetes_validate.ValidationError as fault:
            yield f"{list(fault.path)}: {fault.message}"
        return
    try:
        kept = model.model_validate(document).model_dump(mode="json", by_alias=True, exclude_none=True)
    except ValueError as fault:
        yield str(fault)
        return
    yield from unknown(document, kept)


def main():
    bad = 0
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            for document in filter(None, yaml.safe_load_all(file)):
                name = f"{path}: {document['kind']} {document['metadata']['name']}"
                found = list(faults(document))
                bad += bool(found)
                print("\n".join(f"{name}: {fault}" for fault in found) or f"{name}: good")
    return bad and 1


sys.exit(main())
