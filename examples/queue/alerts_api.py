#!/usr/bin/env python3
"""A small REST API that takes alerts, for trying examples/queue: POST /alerts, GET /alerts,
GET /openapi.json, and a page about it at /.

    alerts_api.py [--listen HOST:PORT] [--log FILE]

Each alert is a line of JSON in the file: when it came, its Idempotency-Key, its body.
"""

import argparse
import html
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ALERT = {
    "type": "object", "required": ["op", "order_id", "amount"],
    "properties": {"op": {"type": "string", "enum": ["c", "u", "d"]}, "order_id": {"type": "integer"},
                   "amount": {"type": "number"}, "customer": {"type": "string"},
                   "status": {"type": "string", "nullable": True}}}
OPENAPI = {
    "openapi": "3.0.3",
    "info": {"title": "Alerts of large orders", "version": "1.0"},
    "paths": {"/alerts": {
        "post": {
            "summary": "Take an alert. One that comes again has the same Idempotency-Key.",
            "parameters": [{"name": "Idempotency-Key", "in": "header", "required": True,
                            "schema": {"type": "string"}}],
            "requestBody": {"required": True, "content": {"application/json": {"schema": ALERT}}},
            "responses": {"201": {"description": "It is new."},
                          "200": {"description": "It was here already."},
                          "400": {"description": "It is no alert."}}},
        "get": {"summary": "The last 100 alerts.",
                "responses": {"200": {"description": "A list.", "content": {"application/json": {
                    "schema": {"type": "array", "items": ALERT}}}}}}}},
}


def page():
    """What the API takes, for people."""
    rows = "".join(
        f"<h2><code>{method.upper()} {path}</code></h2><p>{html.escape(told['summary'])}</p><ul>"
        + "".join(f"<li><code>{code}</code> {html.escape(answer['description'])}</li>"
                  for code, answer in told["responses"].items()) + "</ul>"
        for path, methods in OPENAPI["paths"].items() for method, told in methods.items())
    return (f"<!doctype html><meta charset=utf-8><title>{OPENAPI['info']['title']}</title>"
            f"<h1>{OPENAPI['info']['title']}</h1><p><a href=openapi.json>openapi.json</a></p>{rows}"
            f"<h2>An alert</h2><pre>{html.escape(json.dumps(ALERT, indent=2))}</pre>").encode()


class Alerts:
    def __init__(self, path):
        self.lock, self.keys, self.last = threading.Lock(), set(), []
        self.log = open(path, "a", encoding="utf-8") if path else None

    def take(self, key, body):
        """Whether it is new."""
        with self.lock:
            new = key not in self.keys
            self.keys.add(key)
            self.last = [*self.last[-99:], body]
            if self.log:
                self.log.write(json.dumps({"received_us": time.time_ns() // 1000, "key": key,
                                           "body": body}) + "\n")
                self.log.flush()
        return new


def handler_of(alerts):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, code, body, kind="application/json"):
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            if self.path == "/openapi.json":
                self.answer(200, json.dumps(OPENAPI).encode())
            elif self.path == "/alerts":
                self.answer(200, json.dumps(alerts.last).encode())
            elif self.path == "/":
                self.answer(200, page(), "text/html; charset=utf-8")
            else:
                self.answer(404, b'{"error": "there is /, /openapi.json, /alerts"}')

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            key = self.headers.get("Idempotency-Key")
            try:
                alert = json.loads(body)
                fine = (key and self.path == "/alerts" and isinstance(alert, dict)
                        and all(name in alert for name in ALERT["required"]))
            except ValueError:
                fine = False
            if not fine:
                self.answer(400, b'{"error": "it is no alert, see /openapi.json"}')
                return
            new = alerts.take(key, alert)
            self.answer(201 if new else 200, json.dumps({"new": new}).encode())

        def log_message(self, *_):
            pass

    return Handler


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listen", default="127.0.0.1:8095")
    parser.add_argument("--log")
    told = parser.parse_args()
    host, _, port = told.listen.rpartition(":")
    ThreadingHTTPServer.request_queue_size = 128
    server = ThreadingHTTPServer((host, int(port)), handler_of(Alerts(told.log)))
    server.daemon_threads = True
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
