"""docs/reliability.md from what `scripts/test --faults` has measured: the figures go from its result
files to docs/reliability.json, and from there into the page's tables. Nothing is written by hand.

publish.py [RESULTS]    take over the results of a run (default: build/faults), and write the page;
                        what the run did not repeat stays, with its day
publish.py --page       write the page from what is there
"""

import json
import os
import platform
import sys
from datetime import datetime, timezone
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from chaos.bad import KINDS  # noqa: E402
from chaos.faults import ANY_TARGET, FAULTS  # noqa: E402
from chaos.file_faults import FILE_FAULTS  # noqa: E402
from chaos.http_faults import HTTP_FAULTS  # noqa: E402
from chaos.mysql_faults import MYSQL_FAULTS  # noqa: E402
from chaos.peer import PEER_FAULTS  # noqa: E402
import sqlstates  # noqa: E402
from chaos.queue_faults import QUEUE_FAULTS  # noqa: E402
from lib.stack import ROOT  # noqa: E402

DATA = ROOT / "docs" / "reliability.json"
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- {}: written by tests/fault/publish.py -->", "<!-- {}: end -->"
KEPT = ("name", "kinds", "seed", "injected", "records", "rows", "in_flight", "recovery_s", "lost", "twice",
        "repeats", "rewritten", "wrong", "letters", "letters_lost", "letters_wrong", "letters_twice", "counted", "stuck",
        "seconds", "faults", "again")

QUEUE_ONLY = ("faults", "again")


def gather(folder):
    results = {}
    for path in sorted(folder.glob("*.json")):
        found = json.loads(path.read_text())
        results[found["name"]] = {name: found.get(name, 0) for name in KEPT
                                  if name in found or name not in QUEUE_ONLY}
        results[found["name"]]["day"] = datetime.fromtimestamp(
            path.stat().st_mtime, timezone.utc).strftime("%Y-%m-%d")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"machine": f"{os.cpu_count()} processors, {memory:.0f} GiB, {platform.machine()}",
            "results": results}


def number(value):
    return f"{value:,}"


def seconds(pair):
    return f"{pair['median']:.1f} ({pair['most']:.1f})"


def row(cells):
    return "| " + " | ".join(map(str, cells)) + " |"


def ours(data):
    lines = [row(["fault", "injected", "records", "in flight", "rows lost", "rows twice",
                  "rows wrong", "dead letters", "seconds to recover"]),
             row(["---", *["---:"] * 8])]
    entries = [(name, fault.text) for name, fault in FAULTS.items()]
    for name, text in [*entries, ("mixture", "**all of them in a random order**")]:
        found = data["results"].get(name)
        if not found:
            lines.append(row([text, "not in this run", *[""] * 7]))
            continue
        flying = f"{number(found['in_flight']['median'])} ({number(found['in_flight']['most'])})"
        letters = number(found["letters"])
        if found["letters_lost"] or found["letters_wrong"]:
            letters += f", {found['letters_lost']} lost, {found['letters_wrong']} wrong"
        lines.append(row([text, found["injected"], number(found["records"]), flying,
                          found["lost"], found["twice"] + found["rewritten"], found["wrong"],
                          letters,
                          seconds(found["recovery_s"])]))
    return lines


def of_target(name, catalogue, again=False):
    """The table of a target; again: changes may come again, and are counted."""
    def table(data):
        lines = [row(["fault", "injected", "records", "in flight", "lost",
                      "sent again, the same" if again else "twice", "wrong", "dead letters",
                      "seconds to recover"]), row(["---", *["---:"] * 8])]
        entries = [(fault_name, fault.text) for fault_name, fault in catalogue.items()]
        for fault_name, text in [*entries, ("mixture", "**all of them in a random order**")]:
            found = data["results"].get(f"{name} {fault_name}")
            if not found:
                lines.append(row([text, "not in this run", *[""] * 7]))
                continue
            flying = f"{number(found['in_flight']['median'])} ({number(found['in_flight']['most'])})"
            twice = found["repeats"] if again else found["twice"] + found["rewritten"]
            lines.append(row([text, found["injected"], number(found["records"]), flying,
                              found["lost"], number(twice), found["wrong"], number(found["letters"]),
                              seconds(found["recovery_s"])]))
        return lines
    return table


def queue(data):
    """All faults on one load, so that rows and messages are those of the whole run."""
    found = data["results"].get("queue")
    if not found:
        return ["Not in this run."]
    kinds = found["faults"]
    return [row(["fault", "injected", "seconds until rows come again"]), row(["---", "---:", "---:"]),
            *(row([text, kinds[name]["injected"], seconds(kinds[name])])
              for name, (_, text) in QUEUE_FAULTS.items() if name in kinds),
            "", f"{number(found['records'])} messages, {number(found['again'])} of them sent again, "
            f"{number(found['rows'])} joined rows compared at the end: {found['lost']} lost, "
            f"{found['twice']} twice, {found['wrong']} wrong or stale."]


LAKE_FAULTS = {
    "kill": "`kill -9` of the daemon", "killed within a commit": "`kill -9` at a step of a commit",
    "lost answer": "the answer of a commit lost", "409": "commits refused by 409", "429": "commits refused by 429",
    "5xx": "commits refused by 500, 502, 503", "5xx, and it was made": "500 and 503, although the commit was made",
    "half an upload": "a data file's upload cut off in the middle",
    "expired snapshots": "all versions but the newest expired by others, meanwhile",
    "concurrent compaction": "compacted by another process after each of its commits, meanwhile",
    "foreign compaction": "files put together by delta-rs, meanwhile",
    "foreign overwrite": "all rows replaced by delta-rs or PyIceberg, meanwhile: of each row the last writer's counts",
    "a foreign writer": "rows appended by delta-rs or PyIceberg, meanwhile",
    "expired and vacuumed": "`kill -9` of a daemon that expires and vacuums after each commit, while delta-rs or PyIceberg appends",
    "a zombie": "stands still before its commit while another process applies the same records and more",
    "killed while it is read": "`kill -9` of a daemon that brings the table's changes into PostgreSQL"}


def lakes(data):
    lines = [row(["fault", "table", "injected", "records", "lost", "twice", "wrong"]),
             row(["---", "---", *["---:"] * 5])]
    for name, text in LAKE_FAULTS.items():
        for kind, its in (("delta", "Delta Lake"), ("iceberg", "Iceberg")):
            if (kind, name) == ("iceberg", "foreign compaction"):
                continue  # PyIceberg has none
            found = data["results"].get(f"lake {kind} {name}")
            figures = [found["injected"], number(found["records"]), found["lost"], found["twice"], found["wrong"]] \
                if found else ["not in this run", *[""] * 4]
            lines.append(row([text, its, *figures]))
    return lines


def peer(data):
    lines = [row(["fault", "", "injected", "records", "rows lost", "appended twice", "written again",
                  "rows wrong", "seconds to recover", "remarks"]),
             row(["---", "---", *["---:"] * 7, "---"])]
    for name, fault in PEER_FAULTS.items():
        for who, key in (("ods-sink", OURS.get(name, name)), ("JDBC sink", f"jdbc-{name}")):
            found = data["results"].get(key)
            text = fault.text.replace("of the Connect worker", "of the process")
            if not found:
                lines.append(row([text, who, "not in this run", *[""] * 7]))
                continue
            lines.append(row([text, who, found["injected"], number(found["records"]),
                              number(found["lost"]), number(found["twice"]),
                              number(found["rewritten"]), number(found["wrong"]), seconds(found["recovery_s"]),
                              remarks(found)]))
    return lines


def kinds(data):
    """Of each kind of bad record, how many stood in the dead letters of the runs that counted them."""
    counting = [found["kinds"] for name, found in data["results"].items()
                if found.get("kinds") and not name.startswith("jdbc-")]
    lines = [row(["a bad record", "noticed by", "dead letters"]), row(["---", "---", "---:"])]
    for name, entry in KINDS.items():
        counts = [found[name] for found in counting if name in found]
        lines.append(row([entry.text, entry.stage, number(sum(counts)) if counts
                          else "not in this run"]))
    return lines


# What the peer's fault is called with us: each of our loads has TOAST values.
OURS = {"toast": "calm"}


def remarks(found):
    restarts = found["counted"].get("restarts", 0)
    said = [f"task restarted by hand {restarts} times"] if restarts else []
    if found["stuck"]:
        said.append("stopped for good: " + found["stuck"].replace("|", "/")[:160])
    return "; ".join(said)


def head(data):
    results = data["results"].values()
    own = [found for found in results if not found["name"].startswith("jdbc-")]
    days = sorted({found["day"] for found in results})
    return [f"Measured on {', '.join(days)} ({data['machine']}, shared with other work): "
            f"{number(sum(found['injected'] for found in own))} faults, "
            f"{number(sum(found['records'] for found in own))} records, "
            f"{number(sum(found['letters'] for found in own))} dead letters; "
            f"**{number(sum(found['lost'] for found in own))} rows lost, "
            f"{number(sum(found['twice'] + found['rewritten'] for found in own))} twice, "
            f"{number(sum(found['wrong'] for found in own))} wrong**. Seeds: "
            + ", ".join(f"`{seed}`" for seed in sorted({found['seed'] for found in own})) + "."]


def codes(_data):
    return sqlstates.table()


PARTS = {"measured": head, "faults": ours, "mysql": of_target("mysql", MYSQL_FAULTS),
         "kafka": of_target("kafka", {name: FAULTS[name] for name in ANY_TARGET}),
         "files": of_target("files", FILE_FAULTS), "http": of_target("http", HTTP_FAULTS, again=True),
         "queue": queue, "lakes": lakes, "kinds": kinds, "peer": peer, "sqlstates": codes}


def render(data, page):
    for name, part in PARTS.items():
        begin, end = BEGIN.format(name), END.format(name)
        before, _, rest = page.partition(begin)
        assert rest, f"{PAGE} has no place for {name}"
        _, _, after = rest.partition(end)
        page = before + begin + "\n" + "\n".join(part(data)) + "\n" + end + after
    return page


def main():
    if sys.argv[1:] == ["--page"]:
        PAGE.write_text(render(json.loads(DATA.read_text()), PAGE.read_text()))
        return
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "faults"
    data = gather(folder)
    assert data["results"], f"no results in {folder}: run scripts/test --faults first"
    if DATA.exists():
        earlier = json.loads(DATA.read_text())["results"]
        data["results"] = dict(sorted({**earlier, **data["results"]}.items()))
    DATA.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(render(data, PAGE.read_text()))
    print(f"{PAGE.relative_to(ROOT)}: {len(data['results'])} results")


if __name__ == "__main__":
    main()
