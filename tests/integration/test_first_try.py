"""What commands answer to whoever tries them for the first time, and mistypes: what is wrong, and what to do."""

import json

from lib import cli_worlds
from lib.sink import Exit


def test_a_first_try(sink, request):
    cli_worlds.shop(sink, request.getfixturevalue, "first")

    def tried(*words, expect):
        done = sink.run(*words[:1], "-c", sink.conf, *words[1:], expect=expect,
                        env={"XDG_STATE_HOME": str(sink.folder)})
        return done.stdout + done.stderr

    assert "--topic TOPIC or --all is missing" in tried("reset", expect=Exit.USAGE)
    assert "ods-sink topics" in tried("query", "custmers", expect=Exit.USAGE)
    said = tried("trace", "custmers", "--key", "1", expect=Exit.NEGATIVE)
    assert "no topic is named like the table" in said and "`ods-sink topics` lists the tables" in said
    # Without a source database nothing is compared; the table is not said to be unknown, nor memory out.
    for table in ("customers", "store.customers"):
        said = tried("verify", table, expect=6)
        assert "no source database is configured" in said and "no pipeline has" not in said
    report = json.loads(sink.run("verify", "-c", sink.conf, "--json", expect=6).stdout)
    assert report["error"] is None and report["tables"][0]["why"]
    said = sink.run("status", "--url", "http://127.0.0.1:1", expect=Exit.SOURCE).stderr
    assert "nobody answers" in said and "-c FILE" not in said
