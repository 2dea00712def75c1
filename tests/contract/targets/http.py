"""HTTP: a server that keeps what it was sent, reached through a proxy that can be cut."""

import json

from lib.endpoint import Endpoint

from .target import FATAL, OUTAGE, ROW, Fault, Target, change_of


class Http(Target):
    name = "http"
    exact = stores = False
    rights = "the server; what it allows is not asked"

    def __init__(self, request):
        super().__init__(request)
        self.endpoint = Endpoint()
        self.endpoint.answer = self.answer
        self.status, self.headers = 200, {}
        self.address = self.proxied(self.endpoint.url.removeprefix("http://"))

    def answer(self, request):
        if (request.json()["after"] or {}).get("name") == "refused":
            return 422, {}, b"no such name"
        return self.status, self.headers, b""

    def settings(self):
        return {"type": "http", "url": f"http://{self.address}/changes", "max_in_flight": 8}

    def changes(self):
        bodies, found = {}, []
        for request in self.endpoint.taken():
            assert bodies.setdefault(request.identity, request.body) == request.body, \
                f"{request.identity} came again with another body"
            found.append(change_of(json.loads(request.body), request.identity))
        return found

    def refused(self):
        return {"name": "refused"}, "422"

    def faults(self):
        def answers(status, **headers):
            def begin():
                self.status, self.headers = status, headers
            return begin

        done = answers(200)
        return [Fault("422", ROW, "answers 422", row={"id": 5, "name": "refused", "amount": 5}),
                Fault("503", OUTAGE, "answers 503", answers(503), done),
                Fault("429", OUTAGE, "answers 429", answers(429), done),
                Fault("401", OUTAGE, "answers 401", answers(401), done),
                Fault("308", FATAL, "answers 308", answers(308, Location="https://else.test/"), done)]

    def without_rights(self):
        """No request is sent, so what the server would allow is not known; but whether it is there."""
        self.cut()
        return [self.address]

    def close(self):
        super().close()
        self.endpoint.close()
