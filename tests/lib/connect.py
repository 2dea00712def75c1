"""Kafka Connect's REST interface."""

import json
import time
import urllib.error
import urllib.request


class Connect:
    def __init__(self, url):
        self.url = url

    def call(self, method, path, body=None):
        request = urllib.request.Request(
            self.url + path, method=method, headers={"Content-Type": "application/json"},
            data=None if body is None else json.dumps(body).encode())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def try_call(self, *arguments):
        """None while the worker rebalances, starts, or is not there."""
        try:
            return self.call(*arguments)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return None

    def insist(self, method, path, body=None):
        """Until the worker, which rebalances or has not heard of the connector yet, does it."""
        for _ in range(300):
            try:
                return self.call(method, path, body)
            except urllib.error.HTTPError as error:
                if error.code not in (404, 409):
                    raise RuntimeError(f"Kafka Connect: {error.code} {error.read()!r}") from error
                time.sleep(0.2)
        raise RuntimeError(f"Kafka Connect does not answer {method} {path}")
