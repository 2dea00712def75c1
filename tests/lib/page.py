"""What looks at the daemon's page: Playwright, which drives Debian's Chromium, and axe-core, as scripts/page-tools prepares them.
Where they can't be had (no Chromium, no index of Python's packages) the tests that need them are skipped, and fail when
scripts/test runs them."""

import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

from conftest import ROOT
from lib.set_up import lacking


@lru_cache
def _prepared():
    return subprocess.run([ROOT / "scripts" / "page-tools", "--prepare"], capture_output=True, text=True)


@lru_cache
def packages():
    """Their folder; from then on they can be imported."""
    done = _prepared()
    if done.returncode:
        lacking(done.stderr.strip())
    [folder] = Path(done.stdout.strip()).parents[1].glob("lib/python3*/site-packages")
    sys.path.append(str(folder))
    return folder


def axe_script():
    """axe-core, which finds what a screen reader or a keyboard can't use."""
    return (packages() / "axe_playwright_python" / "axe.min.js").read_text(encoding="utf-8")


def chromium_program():
    program = shutil.which("chromium")
    if not program:
        lacking("there is no chromium: scripts/setup installs Debian's")
    return program


def launch(playwright):
    return playwright.chromium.launch(executable_path=chromium_program(), args=["--no-sandbox"])
