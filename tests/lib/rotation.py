"""Secrets that are replaced while the daemon runs."""

import json
import os

from lib.records import Table, pipeline, row

ANEW = "starting all pipelines anew"
STARTED = "info  pipeline "


def replace(path, text):
    """As those who rotate do: a new file in the place of the old one."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text)
    new.chmod(0o600)
    os.replace(new, path)


def replace_pair(certificate, key, certificates, name):
    """By the certificate of that name, and its key."""
    replace(key, certificates.path(f"{name}.key").read_text())
    replace(certificate, certificates.path(f"{name}.crt").read_text())


def anew(daemon, times):
    """Not before they have: until then a lane takes records by what the files had."""
    def started():
        log = daemon.log().split(ANEW)
        return len(log) == times + 1 and STARTED in log[-1]

    daemon.await_that(started, 60, "the pipelines start anew")


class Recorded:
    """A table whose records come from a file, one after the other."""

    def __init__(self, sink, folder, **target):
        self.sink, self.path, self.table = sink, folder / "records.jsonl", Table()
        self.count = 0
        self.pipeline = {**pipeline(self.table), "input": {"type": "file", "path": str(self.path)},
                         **target}
        self.send()

    def send(self):
        self.count += 1
        with open(self.path, "a") as file:
            file.write(json.dumps(self.table.create(row(self.count))) + "\n")
