"""scripts/demo lake as a user types it: two sources, three targets, each table equal by readers that others wrote."""

import subprocess

import pytest
from conftest import ROOT
from lib.lake import WHY_NOT, engine
from lib.size import FULL


@pytest.mark.skipif(not FULL, reason="minutes: scripts/test --full")
@pytest.mark.timeout(1800)
def test_the_demo_of_the_lake(binary):
    if not engine(binary):
        pytest.skip(WHY_NOT)
    done = subprocess.run([ROOT / "scripts" / "demo", "lake"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("rows, equal") == 12 and "NOT EQUAL" not in done.stdout, done.stdout
