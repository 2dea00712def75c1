"""Toxiproxy's proxies, and what can be done to their connections: "kafka" and "postgres" are there from the
beginning, others are a test's own."""

import json
import urllib.request


class Toxiproxy:
    def __init__(self, stack):
        stack.up("toxiproxy")
        self.url = stack["TOXIPROXY_URL"]

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, method=method, data=data)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def create(self, proxy, upstream):
        """A proxy to this host:port; the address where it listens."""
        return self._call("POST", "/proxies", {"name": proxy, "listen": "127.0.0.1:0",
                                               "upstream": upstream, "enabled": True})["listen"]

    def delete(self, proxy):
        self._call("DELETE", f"/proxies/{proxy}")

    def enable(self, proxy, enabled=True):
        """Disabled, a proxy cuts its connections and listens no more."""
        self._call("POST", f"/proxies/{proxy}", {"enabled": enabled})

    def add(self, proxy, kind, stream="downstream", **attributes):
        """A toxic on a stream; upstream is towards the server."""
        self._call("POST", f"/proxies/{proxy}/toxics", {
            "name": f"{kind}_{stream}", "type": kind, "stream": stream, "attributes": attributes})

    def clear(self, proxy):
        for toxic in self._call("GET", f"/proxies/{proxy}/toxics"):
            self._call("DELETE", f"/proxies/{proxy}/toxics/{toxic['name']}")
        self.enable(proxy)
