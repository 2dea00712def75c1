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


def documented_fields():
    """{form: names} as the table of docs/logs.md has them, and the names of OpenTelemetry by that of text."""
    rows = LOGS.split("| `text` | `json` |")[1].split("\n\n")[0].splitlines()[2:]
    forms, otel = {form: set() for form in ("text", "json", "otel", "journal")}, {}
    for row in rows:
        cells = [set(re.findall(r"`([^`]+)`", cell)) - {"Attributes", "Resource"} for cell in row.split("|")[1:5]]
        for form, names in zip(forms, cells):
            assert not forms[form] & names, f"twice: {row}"
            forms[form] |= names
        if cells[0]:
            otel[min(cells[0]).removesuffix("=")] = cells[2]
    return forms, otel


def test_fields():
    """Each field that a line can have, by all of its names, and no other."""
    written, (forms, otel) = messages.fields(), documented_fields()
    assert {"pipeline", "lane", "trace_id"} <= set(written)
    fixed = messages.fixed_fields()
    assert {"time", "message"} <= fixed["json"] and {"Timestamp", "Body"} <= fixed["otel"] and "MESSAGE" in fixed["journal"]
    names = {name: {f"ods_sink.{name}"} for name in written} | {"trace_id": {"TraceId"}}
    for form, expected in (("text", {f"{name}=" for name in written}), ("json", fixed["json"] | set(written)),
                           ("otel", fixed["otel"] - {"Attributes", "Resource"} | set.union(*names.values())),
                           ("journal", fixed["journal"] | {f"ODS_{name.upper()}" for name in written})):
        assert forms[form] == expected, f"{form}: docs/logs.md lacks {expected - forms[form]}, and nothing writes {forms[form] - expected}"
    assert otel == names, "a field has OpenTelemetry's name of another"


# The kinds of errors: a heading of the runbook, where such errors come from, and what they say. The first that fits.
# Those without words take what is left of a folder: texts that are another library's, for the most part.
KINDS = [
    ("Out of memory, threads or descriptors", "",
     r"out of memory|no thread|hash can't be made|id can be held|no pipe for|no process can|can't start (a|the) thread|descriptor|signalfd|OpenSSL can't|libcurl|no random"),
    ("An end came in between", "", r"interrupted|^stopped$"),
    ("A record waits for another partition", "core/batch|pipeline/later", r"needs (…|the row)"),
    ("The HTTP port can't be had", "pipeline/http", r"expected address:port|does not start|no TLS|^… \"…\": ……?$"),
    ("A file or folder can't be read or written",
     "pipeline/http|transform/|sink/file/f|sink/lake/lake|sink/stdout|source/file/file_tail|format/",
     r"can't be (opened|read|written)|nothing in PEM|registry file|standard output|can't make or open|^(target …: )?…: …$"),
    ("A key for letters can't be used", "core/jwe", r"can't read|passphrase|holds no|neither|RSA key"),
    ("Kafka Connect does not answer", "connect/", r"what answers|address of Kafka Connect"),
    ("What answers is another server, or one in trouble", "http/|format/|sink/http/a",
     r"what answers|its answer|HTTP (code )?…|does not speak HTTP|answers …(?!,)"),
    ("Something is larger than its limit", "http/|format/|source/", r"longer than|larger than|more than|more schemas|too long"),
    ("Something is larger than its limit", "xml/outline", r"^…$"),
    ("A connection is refused, breaks or brings no answer", "",
     r"no answer|no broker answers|the connection (was closed|broke)|: poll:|name of the host|pipeline aborted|of the broker \"…\" answers"),
    ("Dead letters have no place", "pipeline/(deadletter|actions_do)", r"dead.letter|ended with|can't write"),
    ("A record stops its lane", "", r"can't be applied|no place for dead letters|on_trigger_error is stop"),
    ("A place in the source is gone", "source/lake", r"can't begin where|can't be read any more"),
    ("Records are gone, or not as they were", "",
     r"records are gone|made anew|has been rotated|was cut short|must stand in order|read once more|nor the group"),
    ("Another process reads the queue", "sink/postgres/postgres", r"input\.consumers is one"),
    ("A topic is held by an order", "sink/postgres/postgres", r"held by an order"),
    ("Another one has the folder", "sink/file/folder", r"holds the folder"),
    ("Another writer has the partition", "",
     r"stored offset|another writer|fenced|given up"),
    ("The server takes no writes", "sink/", r"is a standby|is read-only"),
    ("A right is missing", "", r"\blacks\b|may not|run sql/ods_sink\.sql|grants the rights|does not let it"),
    ("Something changes just now", "",
     r"went away|holds the turn has ended|another session of ods-sink|has not been asked yet|to be asked for|no member of its group|to compare yet"),
    ("A password or token does not fit", "sink/http/authorize", r"token|it is empty"),
    ("Options of Kafka's client don't suit", "source/kafka/|sink/kafka/", r"can't make a Kafka|properties|oauthbearer"),
    ("A topic is not there", "source/kafka/|sink/kafka/", r"there is no topic|is not there|can't be made"),
    ("A table or column is missing", "sink/", r"would both be named"),
    ("Settings don't go together", "",
     r"leave [\w. ]+(out|at one)|for ever|is dead_letter\.topic|and so does|can't be looked for|have the one address|needs a schema registry|"
     r"several rows of a record|is less than|either '|expected either|only one may|tables differ|is to be the name of a folder|has no topics that|"
     r"which keeps no schemas|topics is one name"),
    ("A table or column is missing", "sink/", r"has no (table|column)|create_tables|is a view|neither the dsn"),
    ("A key has no place", "sink/", r"key column|a key of|in its key"),
    ("A comparison's kept state is another's", "verify/state", r"state"),
    ("The server refuses, in its own words",
     r"sink/(postgres/(wire/conn_error|tables/rehearsal)|mysql/wire/conn)|verify/(mysql\.|postgres)|source/kafka/kafka_fault",
     r"^((target|database) …: )?…[… :]*( \(…\))?$"),
    ("A rule of quality can't be checked", "quality/(against|lake|measure|run|statement|tables)",
     r"can't be told|other rules|could not be counted|name it with|has no (table|column)|has a time|no such (check|table)|^…$"),
    ("A record is set aside", "quality/flow", r"quality|too many kinds"),
    ("The lake's engine refuses, in its own words", "sink/lake/engine", r"^…$"),
    ("A right is missing", "source/kafka/kafka_rights", r"^…$"),
    ("A setting has a value that it can't have", "quality/|transform/|sink/(template|file/settings|lake/(settings|erase))|source/|pipeline/|core/pattern",
     r"expect|there is no (type|format|transform|target)|is (missing|no absolute path|no target|not a path|no table's name)|no / in it|"
     r"and not …|whole path|has no path|may hold|is not known; there are|without its|control character|and not \"…\"|is neither|neither '|"
     r"names no table|there is no table|^partition_by|hmac needs|not a regular"),
    ("The lake's engine is not there or of another version", "sink/lake/engine", r"lake engine"),
    ("A lake or a folder is not as it was left", "sink/(lake|file)/", r"not as ods-sink left|another lane|commits were lost"),
    ("A schema is not known yet", "format/", r"not known yet|is being read"),
    ("A schema is not there", "format/", r"nothing came"),
    ("A comparison can't be made", "verify/", r"dsn can't be read|more than … columns|no pipeline"),
    ("A derived table can't be kept", "derived/", r"never computed|has not made as a derived"),
    ("Kafka is away or refuses", "source/kafka/", r"can't ask|can't read the group|seek: |Kafka( at …)?: …"),
    ("Another source is away or refuses", "source/", r"can't listen|does not take it"),
    ("A derived table can't be kept", "derived/", ""),
    ("A schema is not there", "format/", ""),
    ("An HTTP server answers wrongly", "http/", ""),
    ("Configuration that is found wrong at the start",
     "transform/|sink/template|source/.*(settings|_check|_conf)|sink/.*settings|pipeline/(worker|lane|pipeline|run_report|http)|source/lines|"
     "sink/kafka/topics|core/pattern", ""),
    ("The target's own settings", "sink/", r"dsn|redirects are not followed|version of"),
    ("The target is away or refuses for now", "sink/", ""),
]


def test_each_kind_of_error_is_in_the_runbook():
    runbook = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    headings = re.findall(r"^#### (.*)$", runbook, re.M)
    unknown, used, by_folder, rows = [], set(), [], set()
    errors = list(messages.errors())
    for where, status, text in errors:
        row = next((row for row in KINDS if re.match(row[1], where) and re.search(row[2], text)), (None,) * 3)
        kind, words = row[0], row[2]
        rows.add(row)
        if kind:
            used.add(kind)
        else:
            unknown.append(f"{where}: {status} {text}")
        if words == "":
            by_folder.append(f"{where}: {status} {text}")
    assert not unknown, "\n".join(["no kind of the runbook fits these; is there one, or is it new?", *unknown])
    assert used == set(headings)
    assert not set(KINDS) - rows, "nothing is told by these"
    for section in re.split(r"^#### ", runbook, flags=re.M)[1:]:
        assert "**Means:** " in section and "**Do:** " in section, section.splitlines()[0]
    for section in re.split(r"^### ", runbook.split("## Error messages")[0], flags=re.M)[1:]:
        assert all(f"**{part}:** " in section for part in ("Means", "Look", "Do")), section.splitlines()[0]
    count = len(errors)
    assert count > 390, "the sources are read"
    computed = [text for _, status, text in errors if not status.startswith("ODS_")]
    assert len(computed) > 15 and "target …: …… (…)" in computed, "and errors by SQLSTATE or number, too"
    # A folder tells who is on call little: most messages are of a kind by what they say.
    assert len(by_folder) < count / 8, "\n".join(["too many are told by their folder alone:", *by_folder])
