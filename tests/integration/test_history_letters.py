"""The gaps of a history that dead letters explain are left out by the query of docs/history.md."""

import json
import os
import re
import subprocess

from lib.records import Table, pipeline, row
from lib.stack import ROOT
from test_cli_docs import target_dsn


def test_gaps_that_are_no_letters(sink, kafka, database, prefix):
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1)
    sink.write(pipeline(table, defaults={"history": True, "mode": "history"}), database=database, kafka=True,
               dead_letter={"topic": f"{prefix}.letters"})
    kafka.produce([table.create(row(number)) for number in range(5)])
    bad = [table.record('{"id": 5}', "{"), table.record('{"id": 6}', '{"op": "c"')]
    kafka.produce(bad + [table.create(row(number)) for number in range(7, 12)])
    daemon = sink.daemon()
    daemon.await_that(lambda: database.exists("items_cdc") and database.count("items_cdc") == 10)
    daemon.stop()
    places = sink.run("dlq", "list", "-c", sink.conf, "--places").stdout
    assert places == "".join(f"{table.topic}\t0\t{offset}\n" for offset in (5, 6))
    shown = json.loads(sink.run("dlq", "list", "-c", sink.conf, "--places", "--json").stdout)
    assert [place["offset"] for place in shown["places"]] == [5, 6]

    page = (ROOT / "docs/history.md").read_text()
    [script] = [block for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "generate_series" in block]

    environment = {**sink.stack.environment(), "ODS": target_dsn(sink),
                   "PATH": f"{sink.folder}:{os.environ['PATH']}"}

    def missing():
        found = subprocess.run(["bash", "-ec", script.replace("-X", "-XAt")], capture_output=True, text=True,
                               cwd=sink.folder, env=environment)
        assert found.returncode == 0, found.stderr
        return [line for line in found.stdout.splitlines() if "|" in line]

    (sink.folder / "ods-sink").symlink_to(sink.binary)
    assert database.execute("select from_offset, upto_offset from ods_sink.history_gaps") == [(5, 7)]
    assert missing() == []
    database.execute('delete from items_cdc where "offset" in (4, 9)')
    assert missing() == [f"{table.topic}|0|4", f"{table.topic}|0|9"]
