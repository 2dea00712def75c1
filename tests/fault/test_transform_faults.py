"""What transforms make of the changes is there exactly once, whatever fails; see test_faults.py."""

import random

import pytest

from chaos import driver
from chaos.faults import FAULTS, missing
from chaos.transform_world import TransformWorld
from lib.size import FULL, size
from test_faults import SEED, SHARE, WHOLE, assert_exact, run, say  # noqa: F401: fixtures


def world(fault, stack, kafka, database, binary, folder, prefix, seed, **more):
    return TransformWorld(stack, kafka, database, binary, folder, prefix, seed,
                          **{"proxied": False, "rate": driver.RATE, **more})


def test_kills(run):  # noqa: F811
    kills = 100 if WHOLE else size("TRANSFORM_KILLS", 2, 10)
    result = run("transforms", [FAULTS["kill_daemon"]] * kills, preset="release" if FULL else "asan",
                 world_for=world, rate=driver.RATE if FULL else driver.RATE // 2)
    assert_exact(result)


@pytest.mark.skipif(not FULL, reason="of the long runs")
def test_many_faults_in_a_random_order(run):  # noqa: F811
    choose = random.Random(f"transforms {SEED}")
    usual = [fault for fault in FAULTS.values() if not fault.alone and not missing(fault)]
    result = run("transforms-mixture", choose.choices(usual, k=int(60 * SHARE) if WHOLE else 10),
                 world_for=world, proxied=True)
    assert_exact(result)
