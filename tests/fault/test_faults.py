"""Nothing lost, nothing twice, whatever fails. What is done here stands in chaos/.

By itself a part of each: `scripts/test --faults` sets ODS_FAULTS=whole, which injects every fault as
often as docs/reliability.md says, each on a load of its own, and then many in a random order.
ODS_FAULT_SEED repeats the choices of a run, ODS_FAULT_SHARE=0.2 does a fifth of a whole one.
"""

import json
import os
import random

import pytest

from chaos import driver, peer
from chaos.faults import FAULTS, missing
from conftest import build
from lib.size import left_out, size
from lib.stack import ROOT

WHOLE = os.environ.get("ODS_FAULTS") == "whole"
SEED = int(os.environ.get("ODS_FAULT_SEED") or random.randrange(10**9))
RESULTS = ROOT / "build" / "faults"
# By themselves in the short run too: the daemon's own death, and what the mixture cannot have.
SHORT = {"kill_daemon": size("KILLS", 2, 15), "stopped_in_pipeline": 1, "stopped_holding_locks": 1,
         "clock_jump": size("JUMPS", 1, 3), "poison": 1, "table_paused": size("PAUSES", 1, 5),
         "table_resynced": 1}
LEFT_OUT = left_out(SEED, ("stopped_in_pipeline", "stopped_holding_locks"), ("poison", "clock_jump"),
                    ("table_paused", "table_resynced"))
SHARE = float(os.environ.get("ODS_FAULT_SHARE") or 1)
# Of a short mixture each run has other faults.
MIXTURE = int(200 * SHARE) if WHOLE else size("MIXTURE", 6, len(FAULTS))


@pytest.fixture
def say(capsys):
    """Whoever waits for a long run sees how it goes."""
    def tell(text):
        if WHOLE:
            with capsys.disabled():
                print(text, flush=True)
        else:
            print(text, flush=True)

    return tell


@pytest.fixture
def run(stack, kafka, database, tmp_path, prefix, report, say):
    """A function that runs a schedule of faults and answers what was measured."""
    stack.up("postgres", "kafka")

    def run_it(name, schedule, fault=None, preset="release", world_for=driver.world_for, **more):
        program = build(preset)
        assert program.exists(), f"{program} is not built: scripts/test"
        say(f"\n  {name}: ODS_FAULT_SEED={SEED}")
        world = world_for(fault, stack, kafka, database, program, tmp_path, prefix, SEED, **more)
        result = driver.run(world, name, schedule, say)
        report(f"ODS_FAULT_SEED={SEED}: {result['injected']} × {name}, {result['records']} records,"
               f" {result['in_flight']['most']} in flight, recovered in "
               f"{result['recovery_s']['median']:.2f} s (at most {result['recovery_s']['most']:.2f})"
               f"; lost {result['lost']}, twice {result['twice']}, wrong {result['wrong']}, "
               f"{result['letters']} dead letters")
        keep(result)
        return result

    return run_it


def keep(result):
    """What a whole run has measured, for publish.py."""
    if WHOLE:
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / f"{result['name']}.json").write_text(json.dumps(result, indent=1))


def often(fault):
    return max(1, round(fault.whole * SHARE))


def assert_exact(result):
    names = ("lost", "twice", "rewritten", "wrong", "letters_lost", "letters_wrong")
    found = {name: result[name] for name in names}
    assert not any(found.values()), (found, result["examples"])
    assert result["rows"] and result["records"] > result["rows"] / 2


@pytest.mark.parametrize("name", list(FAULTS) if WHOLE else list(SHORT))
def test_fault_alone(run, name):
    fault = FAULTS[name]
    if reason := missing(fault):
        pytest.skip(reason)
    if name in LEFT_OUT:
        pytest.skip("its like has its turn in this run (ODS_FAULT_SEED)")
    result = run(name, [fault] * (often(fault) if WHOLE else SHORT[name]), fault)
    assert_exact(result)
    if name == "poison":
        assert result["letters"] > result["records"] / 50


def test_many_faults_in_a_random_order(run):
    schedule = driver.mixture(SEED, MIXTURE, lambda fault: not missing(fault))
    assert_exact(run("mixture", schedule))


@pytest.mark.skipif(WHOLE, reason="of the short run")
def test_some_faults_under_the_sanitizers(run):
    names = ("terminate_backend", "stopped_process", "postgres_cut_in_the_middle", "cancel_backend",
             "kafka_cut", "scale")
    chosen = random.Random(f"sanitizers {SEED}").sample(names, size("SANITIZER_FAULTS", 3, len(names)))
    assert_exact(run("sanitizers", [FAULTS[name] for name in chosen], preset="asan", rate=150))


@pytest.mark.skipif(not WHOLE, reason="another program's figures: scripts/test --faults")
@pytest.mark.parametrize("name", list(peer.PEER_FAULTS))
def test_peer(run, stack, name):
    """What the same load and faults do to Debezium's JDBC sink. Measured, not judged."""
    fault = peer.PEER_FAULTS[name]
    result = run(f"jdbc-{name}", [fault] * often(fault), fault, world_for=peer.world_for)
    assert result["rows"]
