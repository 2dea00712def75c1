"""docs/logs.md knows each message that the daemon logs, and its fields; docs/runbook.md what each kind of error is."""

import re

import messages
from conftest import ROOT

LOGS = (ROOT / "docs" / "logs.md").read_text(encoding="utf-8")
LEVELS = ("error", "warn", "info")


def entries():
    return [found[1] for found in re.finditer(rf"^\| (?:{'|'.join(LEVELS)}) \| `(.*?)` \|", LOGS, re.M)]


def test_each_message_is_explained():
    known = entries()
    missing = {f"{where}: {text}" for where, text in messages.logged()
               if re.search(r"[A-Za-z]{3}", text)
               and not any(messages.matches(entry, text) for entry in known)}
    assert not missing, "docs/logs.md lacks " + "; ".join(sorted(missing))
    assert len(list(messages.logged())) > 40, "the sources are read"


def test_what_is_explained_is_there():
    texts = [text for _, text in messages.logged()]
    # Put together from several literals.
    others = ("stopped: …", "… record… set aside; topic … partition … offset …: …: …", "rebalance: … partition… assigned…")
    gone = [entry for entry in entries() if entry not in others
            and not any(messages.matches(entry, text) for text in texts)]
    assert not gone, gone


def test_fields():
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.[ch]"))
    fields = set()
    for found in re.finditer(r"(?:const char \*const (?:\w+_)?fields\[\]\s*=\s*|\(const char \*const\[\]\)\s*)\{(.*?)NULL", source, re.S):
        fields.update(re.findall(r'"([a-z_]+)",', found[1])[:1] + re.findall(r', "([a-z_]+)", ', found[1]))
    fields -= {"0"}
    assert {"pipeline", "lane"} <= fields
    for field in fields & {"pipeline", "lane", "database", "target", "derived", "table"}:
        assert f"`{field}=`" in LOGS and f"`ODS_{field.upper()}`" in LOGS, field


# The kinds of errors: a heading of the runbook, where such errors come from, and what they say. The first that fits.
KINDS = [
    ("Out of memory, threads or descriptors", "", r"out of memory|no thread|can't start (a|the) thread|descriptor|signalfd|OpenSSL can't|libcurl"),
    ("A record waits for another partition", "core/batch|pipeline/later", r"needs (…|the row)"),
    ("The HTTP port can't be had", "pipeline/http", ""),
    ("A key for letters can't be used", "core/jwe", ""),
    ("Kafka Connect does not answer", "pipeline/connect(_rest|or_)", ""),
    ("An HTTP server answers wrongly", "http/", ""),
    ("Dead letters have no place", "pipeline/(deadletter|actions_do)", ""),
    ("Out of memory, threads or descriptors", "pipeline/child", ""),
    ("A record stops its lane", "", r"can't be applied|no place for dead letters|on_trigger_error is stop"),
    ("Records are gone, or not as they were", "",
     r"records are gone|made anew|has been rotated|was cut short|must stand in order|read once more|nor the group"),
    ("Another writer has the partition", "", r"stored offset|(another|other) (writer|process)|is held by|fenced|given up"),
    ("A right is missing", "", r"\blacks\b|may not|run sql/ods_sink\.sql|grants the rights|does not let it"),
    ("A table or column is missing", "sink/", r"has no (table|column)|create_tables|is a view|would both be named|neither the dsn"),
    ("A key has no place", "sink/", r"key column|a key of|in its key"),
    ("A comparison can't be made", "verify/", ""),
    ("A derived table can't be kept", "derived/", ""),
    ("A schema is not there", "format/", ""),
    ("A lake or a folder is not as it was left", "sink/(lake|file)/", ""),
    ("Configuration that is found wrong at the start",
     "transform/|sink/template|source/.*(settings|_check|_conf)|sink/.*settings|pipeline/(worker|lane|pipeline|run_report)|source/lines|sink/kafka/topics", ""),
    ("Kafka is away or refuses", "source/kafka/|sink/kafka/", ""),
    ("Another source is away or refuses", "source/", ""),
    ("The target's own settings", "sink/", r"dsn|redirects are not followed|version of"),
    ("The target is away or refuses for now", "sink/", ""),
    ("Kafka is away or refuses", "pipeline/(guard|history|recording|watch|writer|source_guard|verifier|keeper)", ""),
    ("Out of memory, threads or descriptors", "core/", ""),
]


def test_each_kind_of_error_is_in_the_runbook():
    runbook = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    headings = re.findall(r"^#### (.*)$", runbook, re.M)
    unknown, used = [], {"A record is set aside"}
    for where, status, text in messages.errors():
        kind = next((kind for kind, place, words in KINDS
                     if re.match(place, where) and re.search(words, text)), None)
        if kind:
            used.add(kind)
        else:
            unknown.append(f"{where}: {status} {text}")
    assert not unknown, "\n".join(["no kind of the runbook fits these; is there one, or is it new?", *unknown])
    assert used == set(headings)
    for section in re.split(r"^#### ", runbook, flags=re.M)[1:]:
        assert "**Means:** " in section and "**Do:** " in section, section.splitlines()[0]
    for section in re.split(r"^### ", runbook.split("## Error messages")[0], flags=re.M)[1:]:
        assert all(f"**{part}:** " in section for part in ("Means", "Look", "Do")), section.splitlines()[0]
    assert len(list(messages.errors())) > 250, "the sources are read"
