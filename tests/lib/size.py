"""How much a test does: what finds more with length is short in the usual run, and long with
ODS_TEST_FULL=1, which `scripts/test --full` sets."""

import os
import random

FULL = bool(os.environ.get("ODS_TEST_FULL")) or os.environ.get("ODS_FAULTS") == "whole"


def size(name, usual, full):
    """ODS_TEST_<name> decides by itself."""
    return int(os.environ.get(f"ODS_TEST_{name}", full if FULL else usual))


def left_out(seed, *alike):
    """Of each group of those that the same code runs, a short run does one, each run another one by its seed."""
    return set() if FULL else {name for group in alike
                               for name in set(group) - {random.Random(f"{seed} {group}").choice(group)}}


# Both take another way to the same targets: a short run takes one of them.
DEMO_LEFT_OUT = left_out(os.environ.get("PYTEST_XDIST_TESTRUNUID") or random.randrange(10**9), ("history", "maxwell"))
