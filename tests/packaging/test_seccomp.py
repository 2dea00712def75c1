"""The daemon does its work under the system calls that the shipped unit allows, and only under those is it run here: what
the unit refuses is refused to a probe in the same way. tests/contract does it with each other target."""

import signal
import subprocess
import sys

import pytest
from conftest import build
from lib.records import pipeline, row
from lib.sink import Setup
from lib.under_unit import CONFINE, under_unit

PROBES = {
    "allowed": ("import socket; socket.socket(); socket.socket(socket.AF_UNIX); print('done')", True),
    "privileged": ("import os; os.chroot('/')", False),
    "resources": ("import os; os.nice(-1)", False),
    "packets": ("import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)", False),
    "netlink": ("import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", False),
    "memory": ("import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)", False),
    "trace": ("import ctypes; assert ctypes.CDLL(None).ptrace(0, 0, 0, 0) == 0", False),
}


@pytest.mark.parametrize("name", PROBES)
def test_a_probe(name):
    text, good = PROBES[name]
    plain = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
    confined = subprocess.run([*CONFINE, sys.executable, "-c", text], capture_output=True, text=True)
    assert (confined.returncode == 0) == good, confined.stderr
    if name in ("allowed", "memory", "netlink", "trace"):
        assert plain.returncode == 0, "nothing but the filter refuses it"


@pytest.fixture
def confined(tmp_path, stack):
    """The program under the unit's system calls."""
    sink = Setup(tmp_path, under_unit(tmp_path, build("release")), stack)
    yield sink
    sink.close()


def test_the_daemon_works(confined, kafka, table, database):
    """From topics to rows, a letter, the page, a reload, and an end that is not hurried."""
    confined.write(pipeline(table), kafka=True, database=database,
                   dead_letter={"topic": f"{table.topic}.letters"})
    kafka.create(f"{table.topic}.letters", 1)
    kafka.produce([table.create(row(number)) for number in range(500)])
    kafka.produce([table.record("{}", "not JSON")])
    daemon = confined.daemon().await_ready()
    with open(f"/proc/{daemon.pid}/status", encoding="ascii") as status:
        said = status.read()
    assert "Seccomp:\t2" in said and "NoNewPrivs:\t1" in said
    daemon.await_that(lambda: database.count("items") == 500, what="the rows")
    daemon.await_that(lambda: kafka.count(f"{table.topic}.letters") == 1, what="the letter")
    assert daemon.get("/")[0] == daemon.get("/metrics")[0] == daemon.get("/status")[0] == 200
    daemon.process.send_signal(signal.SIGHUP)
    daemon.await_that(lambda: "reloaded" in daemon.log(), what="the reload")
    kafka.produce([table.create(row(number)) for number in range(500, 510)])
    daemon.await_that(lambda: database.count("items") == 510, what="more rows")
    daemon.stop()
    assert "Operation not permitted" not in daemon.log()
    assert confined.check("--connect").returncode == 0
