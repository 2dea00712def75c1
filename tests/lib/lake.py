"""Tables of the lake, as readers see them that others wrote."""

import json
import os
import shutil
import subprocess
from pathlib import Path

from lib.stack import ROOT

LIBRARY = "libods_lake.so"


def engine(binary):
    """The lake engine, which is not there where no Rust was; else None."""
    named = os.environ.get("ODS_LAKE_LIBRARY")
    place = Path(named) if named else Path(binary).parent / LIBRARY
    return place if place.exists() else None


WHY_NOT = "the lake engine is not built: no Rust 1.95 or later is on the PATH"


class Missing(Exception):
    """A table that is not there yet."""


class Reader:
    """One process for all questions, since to start it takes longer than to read."""

    def __init__(self):
        python = subprocess.run([ROOT / "scripts" / "lake-readers", "--prepare"], text=True, check=True,
                                stdout=subprocess.PIPE).stdout.strip()
        self.process = subprocess.Popen([python, ROOT / "tests" / "support" / "lake_reader.py"], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, word, path, **options):
        self.process.stdin.write(json.dumps({"word": word, "path": str(path), **options}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if any(why in answer.get("error", "")
               for why in ("TableNotFound", "NoSuchTable", "no such table: iceberg_tables")):
            raise Missing(answer["error"])
        assert "error" not in answer, answer["error"]
        return answer["answer"]

    def rows(self, path, columns="*", reader="deltalake"):
        return self.ask(reader, path, columns=columns)

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:  # of a machine that has much to do: nothing of it is needed any more
            self.process.kill()
            self.process.wait()


def keep(kind, fault, seed, injected, records, rows, lost=0, twice=0, wrong=0):
    """What a long run has measured, for tests/fault/publish.py."""
    if os.environ.get("ODS_FAULTS") == "whole" or {"ODS_LAKE_FAULTS", "ODS_LAKE_KILLS", "ODS_FEED_KILLS"} & os.environ.keys():
        folder, name = ROOT / "build" / "faults", f"lake {kind} {fault}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps({
            "name": name, "seed": seed, "injected": injected, "records": records, "rows": rows, "lost": lost,
            "twice": twice, "wrong": wrong, "rewritten": 0, "letters": 0, "stuck": ""}, indent=1))


def target(folder, **settings):
    return {"name": "ods", "type": "delta", "location": str(folder), "commit_ms": 50, **settings}


def forget(folder):
    shutil.rmtree(folder, ignore_errors=True)
