"""Runs scenarios: a load, faults, the end, the comparison; and what was measured of it.

How long it takes to recover is measured from the end of a fault (for a killed process: from the
start of the next) until the target shows everything that Kafka held at that moment.
"""

import random
import statistics
import time
from dataclasses import asdict

from lib.size import size

from . import faults as catalogue
from .world import Stuck, World

RATE = size("FAULT_RATE", 400, 800)  # steps a second: about 1.2 records each


def run(world, name, schedule, say=print, between_s=(0.1, 0.8)):
    """Faults in their order on one load. Answers what was measured, as the JSON has it."""
    choose = random.Random(f"faults {world.seed} {name}")
    recoveries, began, stuck = [], time.monotonic(), ""
    try:
        world.prepare()
        world.start(0)
        world.load.start()
        try:
            world.await_progress(500)
            for number, fault in enumerate(schedule):
                time.sleep(choose.uniform(*between_s))
                took, lasted = strike(world, fault, choose)
                recoveries.append(took)
                if len(schedule) <= 50 or number % 10 == 9:
                    say(f"    {number + 1}/{len(schedule)} {fault.name}: {lasted:.1f} s, "
                        f"recovered in {took:.2f} s")
        except Stuck as why:
            stuck = str(why)
        finish(world, stuck)
        return {**measured(world, name, len(schedule), recoveries), "stuck": stuck,
                "seconds": round(time.monotonic() - began, 1)}
    finally:
        world.close()


def strike(world, fault, choose):
    """How long it took to recover, and how long the fault lasted."""
    began = time.monotonic()
    fault.inject(world, choose)
    ended, goal = time.monotonic(), world.load.reached()
    world.await_applied(goal, f"recovered from {fault.name}")
    return time.monotonic() - ended, ended - began


def finish(world, stuck):
    world.load.finish()
    held = sum(world.kafka.count(topic) for topic in world.workload.topics)
    assert held == world.load.sent, f"Kafka holds {held} records, {world.load.sent} were sent"
    if not stuck:
        world.await_applied(world.load.reached(), "the end")
    for number, member in enumerate(world.members):
        if member.running():
            world.stop(number)


def measured(world, name, injected, recoveries):
    letters = world.kafka.read(world.letter_topic)
    verdict = world.compare(letters)
    recoveries = recoveries or [0]
    return {
        "name": name, "seed": world.seed, "injected": injected, "records": world.load.sent,
        "in_flight": {"median": int(statistics.median(world.in_flight or [0])),
                      "most": max(world.in_flight or [0])},
        "recovery_s": {"median": round(statistics.median(recoveries), 2),
                       "most": round(max(recoveries), 2)},
        "withheld_values": world.workload.withheld, "counted": world.counted, **asdict(verdict),
    }


def mixture(seed, count, available):
    """Every fault once while there is room, then any; in random order."""
    choose = random.Random(f"mixture {seed}")
    faults = [fault for fault in catalogue.FAULTS.values() if not fault.alone and available(fault)]
    chosen = choose.sample(faults, min(count, len(faults)))
    chosen += choose.choices(faults, k=count - len(chosen))
    choose.shuffle(chosen)
    return chosen


def world_for(fault, stack, kafka, database, binary, folder, prefix, seed, **more):
    """The world that this fault needs; None: the mixture's."""
    settings = {"proxied": fault is None or fault.needs == "proxy", "rate": RATE}
    if fault is not None and fault.name == "poison":
        # Of many kinds: to find some of them costs a slow machine more than the rest of a batch.
        settings.update(poison=20, rate=RATE // 2)
    if fault is not None and fault.needs == "clock":
        settings["env"] = catalogue.clock_environment(folder)
    return World(stack, kafka, database, binary, folder, prefix, seed, **{**settings, **more})
