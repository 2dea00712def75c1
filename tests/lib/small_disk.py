"""A tablespace of PostgreSQL's that is full when a test says so."""

import subprocess


def fill(ballast):
    """Writes a file until its disk is full."""
    with open(ballast, "wb") as file:
        try:
            while True:
                file.write(b"\0" * 65536)
                file.flush()
        except OSError:
            pass


class SmallDisk:
    """A file system of its own in memory. OSError: this machine lets nobody mount one."""

    def __init__(self, stack, name, megabytes=16):
        self.place, self.name = stack.folder / f"small-{name}", f"small_{name}"
        self.place.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=777", "tmpfs",
                               self.place], capture_output=True, text=True)
        if done.returncode:
            self.place.rmdir()
            raise OSError(done.stderr)
        self.data = self.place / "data"
        self.data.mkdir(mode=0o700)
        subprocess.run(["chown", "postgres:", self.data], check=True)

    def fill(self):
        fill(self.place / "ballast")

    def clear(self):
        (self.place / "ballast").unlink(missing_ok=True)

    def close(self):
        subprocess.run(["umount", "-l", self.place], check=True)
        self.place.rmdir()
