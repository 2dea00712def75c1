"""Kafka Connect's REST interface."""

import json
import time
import urllib.error
import urllib.request

from lib.kafka import Kafka
from lib.stack import ROOT


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


def follow_postgres(stack, source, prefix, tables):
    """Registers the connector of PostgreSQL as it is shipped, for these of the source's tables; the name of its
    slot. It takes signals from its topic. Where other databases of the server write, the slot follows by the
    connector's own changes alone: it writes to the table `beat`."""
    source.execute("drop table if exists beat; create table beat (id int primary key, at timestamptz); "
                   "grant all on beat to debezium")
    Kafka(stack).create(f"{prefix}-signal", 1)
    slot = prefix.replace("-", "_")
    stack.connector("register", ROOT / "config" / "connectors" / "pg_finance.json", f"name={prefix}",
                    f"topic.prefix={prefix}", f"slot.name={slot}", "heartbeat.interval.ms=300",
                    "heartbeat.action.query=insert into beat values (1, now()) on conflict (id) "
                    "do update set at = now()",
                    "signal.poll.interval.ms=300", f"table.include.list={tables},public.beat")
    return slot
