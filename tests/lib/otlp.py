"""What stands in a request of OTLP over HTTP, as JSON: read as strictly as the protocol has it (opentelemetry-proto's
mapping to JSON: ids are hexadecimal digits, 64-bit numbers are texts, no member that a message does not have)."""

import json
import re

SPAN = {"traceId", "spanId", "parentSpanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano", "attributes",
        "status"}


def _only(message, names):
    assert set(message) <= set(names), sorted(set(message) - set(names))
    return message


def attributes_of(message):
    """{key: value} of a message's attributes."""
    found = {}
    for one in message.get("attributes", []):
        _only(one, {"key", "value"})
        (kind, value), = one["value"].items()
        assert kind in ("stringValue", "intValue") and isinstance(value, str), one
        assert one["key"] not in found
        found[one["key"]] = int(value) if kind == "intValue" else value
    return found


class Span:
    def __init__(self, span):
        _only(span, SPAN)
        assert re.fullmatch("[0-9a-f]{32}", span["traceId"]) and re.fullmatch("[0-9a-f]{16}", span["spanId"])
        assert re.fullmatch("[0-9a-f]{16}", span["parentSpanId"]) and isinstance(span["kind"], int)
        self.trace, self.id, self.parent = span["traceId"], span["spanId"], span["parentSpanId"]
        self.name, self.kind = span["name"], span["kind"]
        self.begin, self.end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
        assert isinstance(span["startTimeUnixNano"], str) and 0 < self.begin <= self.end
        self.attributes = attributes_of(span)
        self.status = span.get("status", {})
        _only(self.status, {"code", "message"})


def spans_of(body):
    """(the resource's attributes, the spans) of an ExportTraceServiceRequest."""
    request = json.loads(body)
    (resource_spans,) = _only(request, {"resourceSpans"})["resourceSpans"]
    (scope_spans,) = _only(resource_spans, {"resource", "scopeSpans"})["scopeSpans"]
    _only(scope_spans["scope"], {"name", "version"})
    spans = [Span(span) for span in _only(scope_spans, {"scope", "spans"})["spans"]]
    assert len({span.id for span in spans}) == len(spans)
    return attributes_of(resource_spans["resource"]), spans
