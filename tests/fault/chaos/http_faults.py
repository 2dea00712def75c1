"""What may happen to the HTTP target: those of faults.py that know nothing of PostgreSQL, and some of its
own. See faults.py."""

import time
from contextlib import contextmanager

from .faults import ANY_TARGET, FAULTS, Fault, network
from .http_world import TIMEOUT_MS

HTTP_FAULTS = {name: FAULTS[name] for name in ANY_TARGET}
network("http", "the server", HTTP_FAULTS)


def fault(text, whole, **more):
    def keep(function):
        name = function.__name__
        HTTP_FAULTS[name] = Fault(name, text, function, whole, **more)
        return function
    return keep


@contextmanager
def answering(world, answer):
    """Something else than 200, which somebody is told of before it is over."""
    world.endpoint.answer = answer
    try:
        before = len(world.endpoint.requests)
        world.await_that(lambda: len(world.endpoint.requests) > before, "a request")
        yield
    finally:
        world.endpoint.answer = lambda request: 200


@fault("http: the server answers 503", 10)
def server_error(world, choose):
    world.strike()
    with answering(world, lambda request: 503):
        time.sleep(choose.random() * 2)


@fault("http: every second request is answered 500", 10)
def some_errors(world, choose):
    world.strike()
    with answering(world, lambda request: 500 if choose.random() < 0.5 else 200):
        time.sleep(choose.random() * 2)


@fault("http: too many requests (429), come again in a second", 10)
def too_many(world, choose):
    world.strike()
    with answering(world, lambda request: (429, {"Retry-After": "1"}, b"")):
        time.sleep(choose.random())


@fault("http: the token is refused (401) for a moment", 5)
def refused(world, choose):
    world.strike()
    with answering(world, lambda request: 401):
        time.sleep(choose.random())


@fault("http: the server takes requests and does not answer in time", 5)
def no_answer(world, choose):
    """What it was sent it has: it comes again."""
    world.strike()
    with answering(world, lambda request: time.sleep(2 * TIMEOUT_MS / 1000) or 200):
        time.sleep(2 * TIMEOUT_MS / 1000)


@fault("http: the connection breaks when the request is taken, before its answer", 10)
def answer_lost(world, choose):
    world.strike()
    with answering(world, lambda request: None if choose.random() < 0.2 else 200):
        time.sleep(choose.random() * 2)
