"""What may happen to a schema registry while the Kafka target writes Avro. A process knows the ids that it has
asked for, so each fault also begins one anew, which has to ask. See faults.py."""

import threading
import time
from contextlib import contextmanager

from .faults import ANY_TARGET, FAULTS, Fault, remember
from .kafka_avro_world import TIMEOUT_MS

KAFKA_AVRO_FAULTS = {name: FAULTS[name] for name in ANY_TARGET}


def fault(text, whole, **more):
    def keep(function):
        name = function.__name__
        KAFKA_AVRO_FAULTS[name] = Fault(name, text, function, whole, **more)
        return function
    return keep


def kill(world):
    member = world.member(0)
    world.collect(member)
    member.daemon.kill()


def begin_anew(world):
    kill(world)
    world.start(0)


def await_waiting(world, said):
    """The lane says for what it waits."""
    daemon = world.member(0).daemon
    world.await_that(lambda: said in daemon.get("/status")[1], f"a lane waits: {said}")


@contextmanager
def set_for_now(world, **settings):
    """The registry's settings are others for a moment, whatever happens."""
    registry = world.registry
    before = {name: getattr(registry, name) for name in settings}
    undo = remember(world, lambda: registry.__dict__.update(before))
    registry.__dict__.update(settings)
    try:
        yield
    finally:
        undo()


@fault("registry: away", 10)
def registry_away(world, choose):
    world.strike()
    undo = remember(world, world.registry.start)
    world.registry.stop()
    begin_anew(world)
    await_waiting(world, "registry http://")
    time.sleep(choose.random() * 2)
    undo()


@fault("registry: answers 500, 503, 429 or 401", 10)
def registry_refuses(world, choose):
    world.strike()
    status = choose.choice([500, 503, 429, 401])
    with set_for_now(world, status=status):
        begin_anew(world)
        await_waiting(world, f"HTTP {status}")
        time.sleep(choose.random() * 2)


@fault("registry: does not answer in time", 5)
def registry_slow(world, choose):
    world.strike()
    with set_for_now(world, delay_s=1.5 * TIMEOUT_MS / 1000):
        begin_anew(world)
        await_waiting(world, "registry http://")
        time.sleep(choose.random() * 2)


@fault("registry: a schema is registered, and nobody hears of it", 10)
def registry_answers_lost(world, choose):
    world.strike()
    with set_for_now(world, answers=lambda subject: choose.random() < 0.2):
        begin_anew(world)
        await_waiting(world, "registry http://")
        time.sleep(choose.random())


@fault("`kill -9` of the daemon while a schema is being registered", 30)
def killed_while_registering(world, choose):
    """Before the registry has taken note of it, or behind that."""
    came, killed = threading.Event(), threading.Event()

    def stands_still(*_):
        came.set()
        killed.wait(60)

    world.strike()
    late = choose.random() < 0.5
    with set_for_now(world, **({"answers": stands_still} if late else {"refuses": stands_still})):
        try:
            begin_anew(world)
            world.await_that(came.is_set, "a schema is being registered")
            kill(world)
        finally:
            killed.set()
    world.start(0)
