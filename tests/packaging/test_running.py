"""A run ends, and names what was running, whatever a test does: see lib/running.py."""

import os
import subprocess
import sys

from lib.stack import ROOT

CONFTEST = f"""
import sys
sys.path.insert(0, {str(ROOT / "tests")!r})
from lib.running import Running
def pytest_configure(config):
    config.pluginmanager.register(Running(config))
"""
FILES = {
    "pytest.ini": "[pytest]\ntimeout = 1\n",
    "conftest.py": CONFTEST,
    # Alone in its file: what replaces the worker has a single test to run, or none.
    "test_dies.py": "import os\ndef test_dies(): os.abort()\n",
    "test_waits.py": "import time\ndef test_waits(): time.sleep(100)\ndef test_then(): pass\n",
    "test_hangs.py": """
import ctypes, signal
def test_hangs():  # a library that neither lets Python go on nor hears signals
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    ctypes.PyDLL(None).sleep(100)
def test_left(): pass
""",
}


def test_what_dies_or_hangs_is_named_and_the_rest_runs(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", "-n", "2", "--dist",
         "loadfile", f"--basetemp={tmp_path / 'base'}"], cwd=tmp_path, text=True, timeout=100,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "ODS_TEST_GRACE_S": "4"})
    lines = done.stdout.splitlines()
    assert done.returncode == 1 and "3 failed, 2 passed" in lines[-1], done.stdout
    for name in ("test_dies", "test_hangs", "test_waits"):
        assert any(name in line and "FAILED" in line for line in lines), done.stdout
    # On a busy machine execnet (below 2.1) begins a worker's tests in another thread than the main
    # one, where pytest-timeout can't fail a test: its worker goes down, as with one that hangs.
    heard = "Timeout >1.0s" in done.stdout
    assert done.stdout.count("crashed while running") == (2 if heard else 3), done.stdout
    assert any('in test_hangs' in line for line in lines), "the stack of what hangs is shown"


def test_no_two_files_of_tests_have_one_name():
    """Pytest imports them by their names alone, and takes the second one for the first."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) > 100 and sorted(names) == sorted(set(names))
