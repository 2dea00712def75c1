"""ods-generate: the source of system 4, and what its tables must be in the end."""

import json
import os
import subprocess
from pathlib import Path

from lib.sink import assert_clean

# As examples/queue/tables.yaml has them.
TOPICS = "^ora\\.SHOP\\."
DEFAULTS = {"fold": "lower", "on_delete": "hard", "evolve": "full"}


def pipeline(**more):
    """Of all tables of the source."""
    return {"name": "shop", "topics": [TOPICS], "format": "debezium", "target": "ods",
            "defaults": DEFAULTS, **more}


class Generator:
    def __init__(self, sink):
        self.binary = Path(sink.binary).with_name("ods-generate")
        self.folder = sink.folder

    def run(self, *arguments, to=None, expect=0, **environment):
        """The summary; the truth is in the folder `truth`."""
        options = ["--to", to or f"file:{self.records}", "--per-minute", "max", "--truth",
                   self.folder / "truth", "--large-bytes", "300000", *arguments]
        done = subprocess.run([self.binary, *map(str, options)], capture_output=True, text=True,
                              timeout=300, env={**os.environ, **environment})
        assert_clean(done.stderr)
        assert done.returncode == expect, done.stderr
        return json.loads(done.stderr) if not expect else done.stderr

    @property
    def records(self):
        return self.folder / "generated.jsonl"

    def truth(self, database):
        """Into the schema `truth` of the database."""
        folder = self.folder / "truth"
        with database.connect() as connection, connection.cursor() as cursor:
            for line in (folder / "truth.sql").read_text().splitlines():
                if line.startswith("\\copy"):
                    _, table, _, name = line.split()
                    with open(folder / name.strip("'"), encoding="utf-8") as rows:
                        cursor.copy_expert(f"copy {table} from stdin", rows)
                elif not line.startswith("\\"):
                    cursor.execute(line)

    def differences(self, database, script="compare.sql"):
        """{table: (rows, missing, wrong)}."""
        found = {}
        for statement in (self.folder / "truth" / script).read_text().split(";\n"):
            if statement.strip():
                what, rows, missing, wrong = database.execute(statement)[0]
                found[what] = rows, missing, wrong
        return found
