"""The load for a server over HTTP: what it was sent, and in which order."""

import json

from lib.endpoint import Endpoint

from .file_world import told
from .sent_world import Received, SentWorld

TIMEOUT_MS = 1000  # after which a request is tried again


class HttpWorld(SentWorld):
    def prepare(self):
        super().prepare()
        self.endpoint = Endpoint()
        self.hangover.append(self.endpoint.close)
        self.address = self.endpoint.url.removeprefix("http://")
        if self.proxied:
            self.address = self.toxiproxy.create("http", self.address)
            self.hangover.append(lambda: self.toxiproxy.delete("http"))

    def target(self, number):
        return {"type": "http", "url": f"http://{self.address}/changes", "max_in_flight": 16,
                "timeout_ms": TIMEOUT_MS, "connect_timeout_ms": TIMEOUT_MS}

    def received(self):
        for request in self.endpoint.taken():
            line = json.loads(request.body)
            key = line["key"] and json.dumps(line["key"], sort_keys=True)
            yield Received((line["topic"], line["partition"]), line["offset"], told(line), key,
                           request.identity, request.body)
