"""A terminal of some width, for what a program shows there."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
import unicodedata


class Terminal:
    """A program whose standard output, standard error or both are a terminal."""

    def __init__(self, command, columns=80, rows=50, env=None, stdout=True, stderr=True,
                 cwd=None):
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = {**os.environ, "TERM": "xterm", **(env or {})}
        for name in ("NO_COLOR", "COLUMNS"):
            if name not in (env or {}):
                environment.pop(name, None)
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=slave,
            stdout=slave if stdout else subprocess.PIPE,
            stderr=slave if stderr else subprocess.PIPE, env=environment, cwd=cwd,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.text = ""

    def write(self, text):
        os.write(self._master, text.encode())

    def read(self, until=None, timeout_s=60):
        """All that comes until a text is there, or until the program has ended."""
        deadline = time.monotonic() + timeout_s
        while until is None or until not in self.text:
            left = deadline - time.monotonic()
            assert left > 0, f"no {until!r} within {timeout_s} s:\n{self.text}"
            if not select.select([self._master], [], [], left)[0]:
                continue
            try:
                data = os.read(self._master, 65536)
            except OSError:
                data = b""
            if not data:
                break
            self.text += data.decode(errors="replace").replace("\r\n", "\n")
        return self.text

    def wait(self, timeout_s=60):
        """What was shown, and the exit code."""
        self.read(timeout_s=timeout_s)
        code = self.process.wait(timeout_s)
        os.close(self._master)
        return self.text, code


def shown(command, **options):
    """What the program shows on a terminal; its exit code."""
    return Terminal(command, **options).wait()


def width(line):
    """Columns that a line takes, without colours."""
    return sum(0 if unicodedata.combining(character) else
               2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in line)
