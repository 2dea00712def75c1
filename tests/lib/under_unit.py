"""The program under the system calls that the shipped unit allows."""

import sys

from lib.stack import ROOT

UNIT = ROOT / "config/systemd/ods-sink.service"
CONFINE = [sys.executable, ROOT / "tests/support/under_unit.py", UNIT]


def under_unit(folder, program):
    """A program in that folder that runs the other one so."""
    made = folder / "confined"
    words = " ".join(f"'{word}'" for word in [*CONFINE, program])
    made.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    made.chmod(0o755)
    return made
