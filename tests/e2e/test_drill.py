"""scripts/drill: each alert comes, is told to whom it should be, and goes by what the runbook says. It is long, so only a
full run has it (scripts/test --full)."""

import os
import subprocess

import pytest
from conftest import ROOT, build
from lib.size import FULL


@pytest.mark.skipif(not FULL, reason="minutes: scripts/test --full")
def test_every_fault_is_noticed_and_ends():
    done = subprocess.run([ROOT / "scripts" / "drill"], capture_output=True, text=True, timeout=1200,
                          env={**os.environ, "ODS_DRILL_BINARY": str(build("release"))})
    assert done.returncode == 0, done.stdout + done.stderr[-6000:]
    for fault in ("stalled", "poison", "connector", "task", "slot", "lag", "derived", "verify", "postgres"):
        assert f"\n{fault}: " in f"\n{done.stdout}", done.stdout


def test_the_drill_knows_its_faults():
    done = subprocess.run([ROOT / "scripts" / "drill", "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "stalled" in done.stdout and "runbook" in done.stdout
