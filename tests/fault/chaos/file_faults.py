"""What may happen to the file target: those of faults.py that know nothing of PostgreSQL, and some of
its own. See faults.py."""

import fcntl
import os
import signal
import subprocess
import time
from contextlib import contextmanager

from lib.sink import Exit
from lib.waiting import wait_for

from .faults import ANY_TARGET, FAULTS, Fault, assigned, remember

FILE_FAULTS = {name: FAULTS[name] for name in ANY_TARGET}


def fault(text, whole, **more):
    def keep(function):
        name = function.__name__
        FILE_FAULTS[name] = Fault(name, text, function, whole, **more)
        return function
    return keep


def listen(world, text, number=0):
    """Waits, when it is called, until a process has said this since now: what it says while it is
    struck counts, since it does not repeat it soon."""
    daemon = world.member(number).daemon
    before = daemon.log().count(text)
    return lambda: world.await_that(lambda: daemon.log().count(text) > before, text)


@fault("files: disk full", 5, needs="mount")
def disk_full(world, choose):
    ballast = world.directory / "ballast"
    await_said = listen(world, "No space left on device")
    world.strike()
    try:
        with open(ballast, "wb", buffering=0) as file:
            while file.write(b"\0" * 65536):
                pass
    except OSError:
        pass
    try:
        await_said()
        time.sleep(choose.random())
    finally:
        ballast.unlink(missing_ok=True)


@fault("files: the folder is made read-only", 5, needs="mount")
def read_only(world, choose):
    def remount(option):
        return subprocess.run(["mount", "-o", f"remount,{option}", world.directory],
                              capture_output=True).returncode == 0

    undo = remember(world, lambda: remount("rw"))
    await_said = listen(world, "Read-only file system")
    world.strike()
    wait_for(lambda: remount("ro"), 30, "nobody writes for a moment", interval_s=0.001)
    await_said()
    undo()


@contextmanager
def locked(world):
    """Between two commits."""
    folder = os.open(world.group_folder, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


@fault("files: another program locks the folder", 5)
def folder_locked(world, choose):
    await_said = listen(world, "holds the folder")
    world.strike()
    with locked(world):
        await_said()


def refused(world, text, put_back):
    """It ends, says why, and touches nothing; what somebody puts back is gone on with."""
    daemon = world.member(0).daemon
    daemon.ended = True
    world.load.burst()
    wait_for(lambda: not daemon.running(), 60, lambda: f"the process ends: {daemon.tail()}")
    assert daemon.process.returncode == Exit.TARGET, daemon.tail()
    assert text in daemon.log(), daemon.tail()
    put_back()
    world.start(0)


@fault("files: `state.json` damaged, and put back", 5)
def state_damaged(world, choose):
    state = world.group_folder / "state.json"
    world.strike()
    with locked(world):
        good = state.read_bytes()
        state.write_bytes(choose.choice([b"", good[:choose.randrange(1, len(good) - 2)], b"\0" * 99,
                                         b"{}", b"[1]", good.replace(b'"file": ', b'"file": -')]))
    refused(world, "state.json", lambda: state.write_bytes(good))


@fault("files: `state.json` removed, and put back", 5)
def state_removed(world, choose):
    state, away = world.group_folder / "state.json", world.folder / "away"
    world.strike()
    with locked(world):
        away.write_bytes(state.read_bytes())
        state.unlink()
    refused(world, "it is gone", lambda: state.write_bytes(away.read_bytes()))


@fault("files: committed lines cut off, and put back", 5)
def lines_cut_off(world, choose):
    world.strike()
    world.await_that(lambda: world.state()["length"], "a file with lines")
    with locked(world):
        state = world.state()
        path = world.file_of(state["file"])
        good = path.read_bytes()[:state["length"]]
        os.truncate(path, choose.randrange(len(good) or 1))
    if not good:  # begun anew this moment: nothing of it was committed
        return
    daemon = world.member(0).daemon
    daemon.ended = True
    world.load.burst()
    wait_for(lambda: not daemon.running() or world.state()["file"] != state["file"], 60,
             lambda: f"the process ends, or begins the next file: {daemon.tail()}")
    if world.state()["file"] != state["file"]:  # which it does not look at any more
        path.write_bytes(good)
        daemon.ended = False
    else:
        refused(world, "state.json counts", lambda: path.write_bytes(good))


@fault("files: stopped (`SIGSTOP`) while it holds the lock, then continued or killed", 10)
def stopped_with_lock(world, choose):
    """Nobody can take a lock away from a process that lives: the other one waits, and says so."""
    world.start(1)
    world.member(1).daemon.await_that(lambda: assigned(world.member(1)), 60, "an assignment")
    await_said = listen(world, "holds the folder", 1)
    world.strike()
    holder = world.member(0).daemon
    world.await_that(lambda: stopped_while_locked(world, holder), "stopped with the lock")
    await_said()
    if choose.random() < 0.5:
        holder.kill()
        world.start(0)
    else:
        holder.signal(signal.SIGCONT)
    world.await_progress()
    world.stop(1)


def stopped_while_locked(world, daemon):
    inode = world.group_folder.stat().st_ino

    def holds():
        with open("/proc/locks", encoding="ascii") as locks:
            return any(f" {daemon.pid} " in line and f":{inode} " in line and "FLOCK" in line
                       and "->" not in line for line in locks)

    for _ in range(500):
        if holds():
            daemon.signal(signal.SIGSTOP)
            time.sleep(0.01)
            if holds():
                return True
            daemon.signal(signal.SIGCONT)
    world.load.burst()
    return False
