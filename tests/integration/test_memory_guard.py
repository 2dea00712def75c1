"""Nobody but root sees what a process of ods-sink has in memory, and it leaves no core dump. What it is
started with is in everybody's list of processes, and has no password."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from lib.records import pipeline
from lib.sink import Exit
from lib.waiting import wait_for

NOBODY = 65534


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("core, owner", [(None, 0), ("1", NOBODY)])
def test_memory_is_roots(sink, core, owner):
    """The kernel gives the files of such a process in /proc to root."""
    binary = Path("/tmp") / f"ods-sink-{os.getpid()}"
    shutil.copy(sink.binary, binary)
    os.chmod(binary, 0o755)
    environment = {"PATH": os.environ["PATH"], **({"ODS_SINK_CORE": core} if core else {})}
    process = subprocess.Popen([binary, "decode", "-"], stdin=subprocess.PIPE, cwd="/",
                               stdout=subprocess.DEVNULL, env=environment,
                               user=NOBODY, group=NOBODY, extra_groups=[])
    try:
        wait_for(lambda: os.stat(f"/proc/{process.pid}/environ").st_uid == owner, what="the owner")
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert f"Uid:\t{NOBODY}" in status
    finally:
        process.stdin.close()
        process.wait(30)
        binary.unlink()


def test_no_password_among_arguments(sink, database, kafka, table):
    """Nor in what is said of a password that is wrong."""
    dsn = database.dsn + " password=zq7hidden"
    sink.write(pipeline(table), kafka=True, targets=[{"name": "ods", "type": "postgres", "dsn": dsn}])
    daemon = sink.daemon()
    daemon.await_that(lambda: "password authentication failed" in daemon.log())
    listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    daemon.stop()
    checked = sink.run("check", "-c", sink.conf, "--connect", expect=Exit.TARGET)
    assert str(sink.conf) in listing
    assert "zq7hidden" not in listing + daemon.log() + checked.stdout + checked.stderr
