"""The file target writes each change exactly once, whatever fails; see test_faults.py."""

import random

import pytest

from chaos import driver, faults
from chaos.file_faults import FILE_FAULTS
from chaos.file_world import FileWorld
from conftest import build
from lib.size import FULL, size
from test_faults import SEED, SHARE, WHOLE, assert_exact, keep, often

# In the short run: kills, and some of what only this target has, each run others.
OWN = [name for name, fault in FILE_FAULTS.items() if fault.text.startswith("files:")]


@pytest.fixture
def run(stack, kafka, tmp_path, prefix, report):
    """A function that runs faults in their order and answers what was measured."""
    def run_it(name, schedule, preset="release", **settings):
        program = build(preset)
        assert program.exists(), f"{program} is not built: scripts/test"
        print(f"{name}: ODS_FAULT_SEED={SEED}")
        world = FileWorld(stack, kafka, None, program, tmp_path, prefix, SEED,
                          **{"proxied": False, "rate": driver.RATE, **settings})
        result = driver.run(world, f"files {name}", schedule)
        report(f"ODS_FAULT_SEED={SEED}: {result['injected']} × {name}, {result['records']} records,"
               f" {result['in_flight']['most']} in flight, recovered in "
               f"{result['recovery_s']['median']:.2f} s; lost {result['lost']}, twice "
               f"{result['twice']}, wrong {result['wrong']}, {result['letters']} dead letters")
        keep(result)
        assert_exact(result)
        return result

    return run_it


def possible(names):
    return [FILE_FAULTS[name] for name in names if not faults.missing(FILE_FAULTS[name])]


@pytest.mark.skipif(WHOLE, reason="of the short run")
def test_some_faults_under_the_sanitizers(run):
    choose, own = random.Random(f"files {SEED}"), possible(OWN)
    schedule = choose.sample(own, min(len(own), size("FILE_FAULTS", 3, len(own))))
    schedule += [FILE_FAULTS["kill_daemon"]] * size("FILE_KILLS", 1, 15)
    choose.shuffle(schedule)
    run("short", schedule, preset="asan", rate=driver.RATE // 2)


@pytest.mark.skipif(not FULL, reason="of the long runs")
def test_many_faults_in_a_random_order(run):
    choose = random.Random(f"files {SEED}")
    usual = possible(name for name, fault in FILE_FAULTS.items() if not fault.alone)
    run("mixture", choose.choices(usual, k=int(60 * SHARE) if WHOLE else len(usual)),
        proxied=True)


@pytest.mark.skipif(not WHOLE, reason="of the whole run")
@pytest.mark.parametrize("name", FILE_FAULTS)
def test_fault_alone(run, tmp_path, name):
    fault = FILE_FAULTS[name]
    if reason := faults.missing(fault):
        pytest.skip(reason)
    settings = {"proxied": fault.needs == "proxy"}
    if name == "poison":
        settings.update(poison=20, rate=driver.RATE // 2)
    if fault.needs == "clock":
        settings["env"] = faults.clock_environment(tmp_path)
    run(name, [fault] * often(fault), **settings)
