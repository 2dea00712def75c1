"""How a run ends, whatever its tests do: none may hang it, and what a worker that went down was running
has failed, by name.

A test has a limit (pytest.ini, or its own marker `timeout`), at which it fails and the run goes on. One
that does not hear of that, deep inside a library, takes its worker down GRACE_S later, with the stacks
of all threads on standard error; the other tests go on in a new worker.
"""

import faulthandler
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling

from lib.stack import MEMORY, PREFIX, ROOT

GRACE_S = int(os.environ.get("ODS_TEST_GRACE_S", 60))
# Long ones go first, so that the workers end at about the same time. What is named here is one unit:
# its files share servers that take long to start.
FIRST = ["tests/e2e/", "tests/fault/test_faults.py", "tests/fault/", "tests/packaging/",
         "tests/contract/", "tests/integration/"]
UNITS = ["tests/e2e/"]


class Running:
    """A plug-in of pytest: in each worker and in the process that hands the tests out."""

    def __init__(self, config):
        self._config = config
        self._running = []
        capture = config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            self._stderr = os.fdopen(os.dup(2), "w")

    def _limit_s(self, item):
        marker = item.get_closest_marker("timeout")
        given = marker.args[0] if marker else self._config.getoption("timeout", None)
        return float(given or self._config.getini("timeout") or 0)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item):
        limit_s = self._limit_s(item)
        if limit_s:
            faulthandler.dump_traceback_later(limit_s + GRACE_S, exit=True, file=self._stderr)
        yield
        faulthandler.cancel_dump_traceback_later()

    def pytest_runtest_logstart(self, nodeid):
        self._running.append(nodeid)

    def pytest_runtest_logfinish(self, nodeid):
        if nodeid in self._running:
            self._running.remove(nodeid)

    def pytest_keyboard_interrupt(self):
        if self._running and not hasattr(self._config, "workerinput"):
            print("\ninterrupted while running:", *self._running, sep="\n  ", file=self._stderr)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config, log):
        return Files(config, log)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node, error):
        """A worker that ended by itself has ended its servers."""
        if error:
            folder = self._config._tmp_path_factory.getbasetemp()
            kill_all_of(folder / f"popen-{node.gateway.id}")
            end_stacks_of_the_gone()


class Files(LoadFileScheduling):
    """The tests of a file run in one worker. Two things are not as xdist has them (3.1 to 3.6)."""

    def _split_scope(self, nodeid):
        file = nodeid.split("::", 1)[0]
        return next((unit for unit in UNITS if file.startswith(unit)), file)

    def _assign_work_unit(self, node):
        def place(scope):
            return next((number for number, start in enumerate(FIRST) if scope.startswith(start)),
                        len(FIRST))

        self.workqueue.move_to_end(min(self.workqueue, key=place), last=False)
        super()._assign_work_unit(node)

    def remove_node(self, node):
        """What a worker was running is not begun again: it would take the next one down, too."""
        workload = self.assigned_work.pop(node)
        left = [(unit, nodeid) for unit in workload.values()
                for nodeid, done in unit.items() if not done]
        if not left:
            return None
        unit, running = left[0]
        unit[running] = True
        self.workqueue.update({scope: unit for scope, unit in workload.items()
                               if not all(unit.values())})
        for other in self.assigned_work:
            self._reschedule(other)
        return running

    def _reschedule(self, node):
        """A worker begins a test when it knows the next one, or that there is none. xdist does not see
        to that where a worker replaces another: with a single test in its file it would wait for good.
        """
        if node.shutting_down or node not in self.registered_collections:
            return
        while self.workqueue and self._pending_of(self.assigned_work[node]) <= 2:
            self._assign_work_unit(node)
        if not self.workqueue:
            node.shutdown()


def command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""


def kill_all_of(folder):
    """What was started with files of this folder."""
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        if f"{folder}/" in command_line(pid):
            os.kill(int(pid), signal.SIGKILL)


def end_stacks_of_the_gone():
    """Servers whose process could not end them itself."""
    for folder in [*Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"), *MEMORY.glob(f"{PREFIX}*-*")]:
        owner = folder.name.removeprefix(PREFIX).split("-")[0]
        if owner.isdecimal() and "python" not in command_line(owner):
            if folder.parent != MEMORY:  # what its server has there is removed after it
                subprocess.run([ROOT / "scripts" / "stack", "--dir", folder, "reset"],
                               capture_output=True, timeout=120, check=False)
            shutil.rmtree(folder, ignore_errors=True)
