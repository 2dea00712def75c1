"""What looks at the daemon's page: Playwright, which drives Debian's Chromium, and axe-core, as scripts/page-tools prepares them."""

import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

from conftest import ROOT


@lru_cache
def prepare():
    """The folder of the packages; from then on they can be imported. What can't be prepared fails a test: it would show nothing."""
    done = subprocess.run([ROOT / "scripts" / "page-tools", "--prepare"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr.strip()
    [packages] = Path(done.stdout.strip()).parents[1].glob("lib/python3*/site-packages")
    sys.path.append(str(packages))
    return packages


def launch(playwright):
    program = shutil.which("chromium")
    assert program, "scripts/setup installs Debian's chromium"
    return playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
