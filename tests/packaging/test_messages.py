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
