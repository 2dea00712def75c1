"""Standard output: a pipe for each process, and a reader that may stand still."""

import json
import os
import subprocess
import threading

from lib.sink import Exit

from .target import FATAL, ROW, Fault, Target, change_of


class Reader(threading.Thread):
    """Keeps whole lines; one that a process left unfinished when it died is none."""

    def __init__(self, may_read):
        super().__init__(daemon=True)
        self.lines, self.may_read = [], may_read
        self.read_end, self.write_end = os.pipe()
        self.start()

    def run(self):
        with os.fdopen(self.read_end, "rb") as pipe:
            for line in pipe:
                self.may_read.wait()
                if line.startswith(b'{"op"') and line.endswith(b"\n"):
                    self.lines.append(line.decode())


class Stdout(Target):
    name = "stdout"
    exact = stores = False
    waits = "stands"

    def __init__(self, request):
        super().__init__(request)
        self.reads = threading.Event()
        self.reads.set()
        self.readers, self.replayed = [], []

    def settings(self):
        return {"type": "stdout"}

    def replay(self, records, dead_letter=None):
        options = ["--dead-letter", dead_letter] if dead_letter else []
        done = self.sink.run("replay", "-c", self.sink.conf, *options, self.sink.file_of(records))
        lines = done.stdout.splitlines(keepends=True)
        self.replayed += [line for line in lines if line.startswith('{"op"')]
        return json.loads("".join(line for line in lines if not line.startswith('{"op"')))[
            "pipelines"][0]

    def daemon(self):
        reader = Reader(self.reads)
        self.readers.append(reader)
        daemon = self.sink.daemon(stdout=reader.write_end)
        os.close(reader.write_end)
        return daemon

    def replay_fails(self, records):
        """Nobody reads."""
        lines = self.sink.file_of(records)
        with subprocess.Popen([self.sink.binary, "replay", "-c", self.sink.conf, "--wait", "3600",
                               lines],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=self.stack.environment(), text=True) as process:
            process.stdout.close()
            said = process.stderr.read()
            assert process.wait(60) != Exit.OK, said
        return said

    def changes(self):
        texts = self.replayed + [line for reader in self.readers for line in reader.lines]
        return [change_of(json.loads(text)) for text in texts]

    def cut(self):
        self.reads.clear()

    def heal(self):
        self.reads.set()

    def faults(self):
        return [Fault("a value that can't be read", ROW, "price", row={
                    "id": 5, "name": "n5", "amount": 5, "price": "?"}),
                Fault("the reader has gone", FATAL, "Broken pipe")]

    def without_rights(self):
        return None

    def close(self):
        self.reads.set()
        super().close()
