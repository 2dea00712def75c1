"""The real servers: a stack of scripts/stack in a folder of its own, on free ports."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from lib.size import FULL

ROOT = Path(__file__).resolve().parents[2]
# Processes are killed here, machines are not: what PostgreSQL wrote is safe with the kernel. A whole
# run of the fault driver keeps to the stack's own settings all the same.
OPTIONS = {} if FULL else {"ODS_STACK_POSTGRES_OPTIONS": "-c fsync=off -c max_wal_size=512MB"}
PREFIX = "ods-test-"  # of a stack's folder; then the process that made it
# A database is 300 files and more, made and removed for each test. On ext4 without a journal, which virtual machines
# have, that takes 1.4 s, since each new file is looked for a place behind all that were just removed; in memory 0.4 s.
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 8 << 30  # that must be free: several processes have a server each


def memory_is_free():
    try:
        there = os.statvfs(MEMORY)
        free = [int(line.split()[1]) * 1024 for line in Path("/proc/meminfo").read_text().splitlines()
                if line.startswith("MemAvailable:")]
    except OSError:
        return False
    return min(there.f_bavail * there.f_frsize, *free) >= MEMORY_BYTES


def folder_of_postgres():
    """None: in the stack's own folder."""
    if FULL or not memory_is_free():
        return None
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=MEMORY))
    folder.chmod(0o755)
    return folder


class Stack:
    """Parts are started when first asked for; close() ends them and deletes the folder."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        self.folder.chmod(0o755)  # PostgreSQL runs as another user
        self._memory = folder_of_postgres()
        self._options = {**OPTIONS, **({"ODS_STACK_POSTGRES_DIR": str(self._memory / "postgres")}
                                       if self._memory else {})}
        self.env = {}
        self._up = set()

    def up(self, *parts):
        missing = [part for part in parts if part not in self._up]
        if missing:
            self.run("up", *missing)
            self._up.update(missing)
            self._read_env()
        return self

    def down(self, *parts):
        self.run("down", *parts)
        self._up.difference_update(parts)

    def run(self, command, *parts, script="stack", check=True):
        arguments = [ROOT / "scripts" / script, "--dir", self.folder]
        arguments += ["--free-ports"] if script == "stack" else []
        done = subprocess.run([*arguments, command, *parts], capture_output=True, text=True,
                              env={**os.environ, **self._options})
        if check and done.returncode != 0:
            raise RuntimeError(f"scripts/{script} {command} {' '.join(map(str, parts))} failed:\n"
                               f"{done.stdout}{done.stderr}")
        return done.stdout

    def connector(self, command, *arguments):
        return self.run(command, *arguments, script="connector")

    def pid(self, part):
        return int((self.folder / "run" / f"{part}.pid").read_text())

    def close(self):
        if (self.folder / ".ods-sink-stack").exists():
            self.run("reset", check=False)
        for folder in (self.folder, self._memory):
            if folder:
                shutil.rmtree(folder, ignore_errors=True)

    def __getitem__(self, name):
        return self.env[f"ODS_STACK_{name}"]

    def _read_env(self):
        lines = (self.folder / "env").read_text().splitlines()
        self.env = dict(line.split("=", 1) for line in lines)

    def environment(self):
        """For a child process: this one's environment and the stack's settings."""
        return {**os.environ, **self.env}
