"""Tables, targets and plot of a benchmark, from its JSON.

    python3 bench/report.py FILE.json            print the text table
    python3 bench/report.py --publish FILE.json  write docs/performance.md, its plot, and the capacity table of
                                                 docs/operations.md
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any, Callable
from xml.sax.saxutils import escape

import capacity

Data = dict[str, Any]
BEGIN, END = "<!-- Written by scripts/bench --publish. -->", "<!-- End of what is written. -->"


# ---- medians -------------------------------------------------------------------------------------

def runs_of(data: Data, load: str, contender: str) -> list[Data]:
    return [r for r in data["runs"] if r["load"] == load and r["contender"] == contender]


def middle(data: Data, load: str, contender: str, field: str) -> float | None:
    """The median over the runs that count."""
    values = [r[field] for r in runs_of(data, load, contender)
              if r["state"] == "OK" and r.get(field) is not None]
    return median(values) if values else None


def rate(data: Data, load: str, contender: str) -> float | None:
    return middle(data, load, contender, "events_per_s")


def best(data: Data, load: str) -> float | None:
    rates = [r for r in (rate(data, load, f"ods-sink-{n}") for n in (1, 2)) if r]
    return max(rates) if rates else None


def cpu_per_million(data: Data, load: str, contender: str, field: str) -> float | None:
    seconds = middle(data, load, contender, field)
    return seconds * 1e6 / data["loads"][load]["events"] if seconds is not None else None


def latency(data: Data, contender: str, events: int, quantile: str) -> float | None:
    values = [r["latency_ms"][quantile] for r in data["latency"]
              if r["contender"] == contender and r["rate"] == events and r["state"] == "OK"]
    return median(values) if values else None


def ratio(a: float | None, b: float | None) -> float | None:
    return a / b if a and b else None


def number(value: float | None, digits: int = 0, unit: str = "") -> str:
    return "–" if value is None else f"{value:,.{digits}f}{unit}"


# ---- tables --------------------------------------------------------------------------------------

Table = tuple[list[str], list[list[str]]]


def state(runs: list[Data]) -> str:
    bad = [r for r in runs if r["state"] in ("WRONG", "FAILED")]
    if not bad:
        return ""
    kind = "WRONG" if any(r["state"] == "WRONG" for r in bad) else "FAILED"
    return f"{kind} ({len(bad)} of {len(runs)})"


def load_table(data: Data, load: str) -> Table:
    head = ["contender", "events/s", "ods-sink is", "sink CPU s/M", "PostgreSQL CPU s/M",
            "peak RSS MB", "first row s", ""]
    rows = []
    ours = best(data, load)
    for name, label in data["labels"].items():
        runs = runs_of(data, load, name)
        if not runs:
            continue
        if runs[0]["state"] == "N/A":
            rows.append([label, "n/a", "", "", "", "", "", runs[0]["why"]])
            continue
        own = name.startswith("ods-sink") or name == "decode"
        times = None if own else ratio(ours, rate(data, load, name))
        peak = middle(data, load, name, "peak_rss_kb") if name not in ("apply", "decode") else None
        rows.append([
            label, number(rate(data, load, name)), number(times, 2, " ×") if times else "",
            number(cpu_per_million(data, load, name, "cpu_seconds"), 2),
            number(cpu_per_million(data, load, name, "server_cpu"), 2)
            if name not in ("consume", "decode") else "",
            number(peak / 1024 if peak else None),
            number(middle(data, load, name, "first_row_s"), 2) if name not in (
                "pg-merge", "pg-copy", "consume", "apply", "decode") else "",
            state(runs)])
    return head, rows


def latency_table(data: Data) -> Table:
    head = ["contender", "events/s", "p50 ms", "p99 ms", "p99.9 ms", "append p50 / p99 ms",
            "after it p50 / p99 ms", "poll gap p99 ms", ""]
    rows = []
    for name in dict.fromkeys(r["contender"] for r in data["latency"]):
        for events in dict.fromkeys(r["rate"] for r in data["latency"]):
            runs = [r for r in data["latency"] if r["contender"] == name and r["rate"] == events]
            good = [r for r in runs if r["state"] == "OK"]
            if not good:
                rows.append([data["labels"][name], number(events), "–", "–", "–", "", "", "",
                             "FAILED"])
                continue
            parts = [" / ".join(number(median(r[part][q] for r in good), 2)
                                for q in ("p50", "p99"))
                     for part in ("append_ms", "after_append_ms")]
            missing = max(r["missing"] for r in good)
            rows.append([data["labels"][name], number(events)]
                        + [number(latency(data, name, events, q), 2)
                           for q in ("p50", "p99", "p999")]
                        + [*parts, number(median(r["poll_gap_ms"]["p99"] for r in good), 2),
                           f"falls behind: {missing} rows not seen" if missing else ""])
    return head, rows


def per_byte(data: Data, load: str) -> float | None:
    """Bytes a second against lean."""
    if load not in data["loads"] or "lean" not in data["loads"]:
        return None

    def speed(name: str) -> float | None:
        events, facts = best(data, name), data["loads"][name]
        return events * facts["bytes"] / facts["events"] if events else None

    return ratio(speed(load), speed("lean"))


def idle_rss(data: Data) -> float | None:
    values = [r["idle_rss_kb"] / 1024 for r in data["latency"]
              if r["contender"].startswith("ods-sink") and "idle_rss_kb" in r]
    return median(values) if values else None


def peak_rss(data: Data) -> float | None:
    values = [middle(data, load, f"ods-sink-{n}", "peak_rss_kb")
              for load in data["loads"] for n in (1, 2)]
    known = [v / 1024 for v in values if v]
    return max(known) if known else None


def against(load: str, contender: str) -> Callable[[Data], float | None]:
    return lambda data: ratio(best(data, load), rate(data, load, contender)) \
        if load in data["loads"] else None


def decode_rate(load: str) -> Callable[[Data], float | None]:
    return lambda data: rate(data, load, "decode") if load in data["loads"] else None


def sink_cpu(load: str) -> Callable[[Data], float | None]:
    return lambda data: cpu_per_million(data, load, "ods-sink-2", "cpu_seconds") \
        if load in data["loads"] else None


Target = tuple[str, Callable[[Data], float | None], float, bool]  # at least, else at most

TARGETS: list[Target] = [
    ("envelope, against the JDBC sink tuned, ×", against("envelope", "jdbc-tuned"), 6, True),
    ("envelope, against the JDBC sink default, ×", against("envelope", "jdbc"), 12, True),
    ("envelope, against the Python sink, ×", against("envelope", "python"), 30, True),
    ("envelope, against COPY + merge, ×", against("envelope", "pg-merge"), 1.5, True),
    ("lean, against COPY + merge, ×", against("lean", "pg-merge"), 1.5, True),
    ("lean, against its own write path, ×", against("lean", "apply"), 0.6, True),
    ("snapshot, against plain COPY, ×", against("snapshot", "pg-copy"), 0.7, True),
    ("hot, against lean, ×", lambda d: ratio(best(d, "hot"), best(d, "lean"))
     if "hot" in d["loads"] and "lean" in d["loads"] else None, 3, True),
    ("wide, bytes against lean, ×", lambda d: per_byte(d, "wide"), 0.7, True),
    ("tables, bytes against lean, ×", lambda d: per_byte(d, "tables"), 0.5, True),
    ("toast, bytes against lean, ×", lambda d: per_byte(d, "toast"), 0.7, True),
    ("bigtable, bytes against lean, ×", lambda d: per_byte(d, "bigtable"), 0.6, True),
    ("envelope, sink CPU s per million", sink_cpu("envelope"), 6, False),
    ("lean, sink CPU s per million", sink_cpu("lean"), 4, False),
    ("envelope, decode alone, events/s a core", decode_rate("envelope"), 400_000, True),
    ("lean, decode alone, events/s a core", decode_rate("lean"), 800_000, True),
    ("latency at 1,000 events/s, p50 ms",
     lambda d: latency(d, "ods-sink-2", 1000, "p50"), 10, False),
    ("latency at 1,000 events/s, p99 ms",
     lambda d: latency(d, "ods-sink-2", 1000, "p99"), 50, False),
    ("peak RSS MB", peak_rss, 150, False),
    ("idle RSS MB", idle_rss, 20, False),
    ("start to first row, group known, s",
     lambda d: (d.get("restart") or {}).get("restart_first_row_s"), 1.5, False),
    ("lean, 1 → 2 lanes, ×",
     lambda d: ratio(rate(d, "lean", "ods-sink-2"), rate(d, "lean", "ods-sink-1"))
     if "lean" in d["loads"] else None, 1.6, True),
]


def target_table(data: Data) -> Table:
    rows = []
    for name, value_of, bound, at_least in TARGETS:
        value = value_of(data)
        if value is None:
            continue
        met = value >= bound if at_least else value <= bound
        digits = 0 if bound >= 1000 else 2
        rows.append([name, ("≥ " if at_least else "≤ ") + f"{bound:,}", number(value, digits),
                     "yes" if met else "no"])
    return ["", "target", "measured", "met"], rows


def plain(table: Table) -> str:
    head, rows = table
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(row: list[str]) -> str:
        cells = [cell.ljust(w) if i == 0 or i == len(row) - 1 else cell.rjust(w)
                 for i, (cell, w) in enumerate(zip(row, widths))]
        return "  ".join(cells).rstrip()

    return "\n".join(line(row) for row in [head, *rows])


def markdown(table: Table) -> str:
    head, rows = table
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
                     for row in lines)


def load_title(data: Data, load: str) -> str:
    facts = data["loads"][load]
    size = facts["bytes"] / facts["records"]
    return f"{load}: {facts['about']} ({facts['wire']}, {facts['events']:,} events," \
           f" {size:,.0f} bytes a record)"


def text(data: Data) -> str:
    parts = []
    for load in data["loads"]:
        parts += [load_title(data, load), plain(load_table(data, load)), ""]
    if data["latency"]:
        parts += ["latency, from sending the record to seeing the row", plain(latency_table(data)),
                  ""]
    targets = target_table(data)
    if targets[1]:
        parts += [plain(targets), ""]
    return "\n".join(parts)


# ---- plot ----------------------------------------------------------------------------------------

COLOURS = {"ods-sink-2": "#0b6e4f", "ods-sink-1": "#5fad8c", "jdbc": "#e0a458",
           "jdbc-tuned": "#c8772e", "python": "#b23a48", "pg-merge": "#7a869a",
           "pg-copy": "#a5aebd", "consume": "#c9ced6", "apply": "#8fb8de"}
WIDTH, LEFT, RIGHT, BAR, GAP, HEAD = 860, 250, 90, 17, 5, 34


def bars(data: Data, load: str) -> list[tuple[str, str, float]]:
    found = [(name, label, rate(data, load, name)) for name, label in data["labels"].items()
             if name in COLOURS]
    return [(name, label, value) for name, label, value in found if value]


def plot(data: Data) -> str:
    """Events a second by contender, a group a load, each group on a scale of its own."""
    y, body = 10, []
    for load in data["loads"]:
        group = bars(data, load)
        if not group:
            continue
        longest = max(value for _, _, value in group)
        body.append(f'<text x="10" y="{y + 18}" class="t">{escape(load)}</text>'
                    f'<text x="{LEFT}" y="{y + 18}" class="s">events/s,'
                    f' {data["loads"][load]["bytes"] / data["loads"][load]["records"]:,.0f}'
                    ' bytes a record</text>')
        y += HEAD
        for name, label, value in group:
            length = max(1.0, (WIDTH - LEFT - RIGHT) * value / longest)
            body.append(
                f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(label)}</text>'
                f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"'
                f' fill="{COLOURS[name]}"/>'
                f'<text x="{LEFT + length + 6:.1f}" y="{y + 13}">{value:,.0f}</text>')
            y += BAR + GAP
        y += 14
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}"'
            f' height="{y}" role="img" aria-label="Events a second by load and contender">\n'
            "<style>text{font:12px sans-serif;fill:#222}.t{font-size:15px;font-weight:bold}"
            ".s{fill:#666}</style>\n"
            f'<rect width="{WIDTH}" height="{y}" fill="#fff"/>\n' + "\n".join(body) + "\n</svg>\n")


# ---- docs/performance.md -------------------------------------------------------------------------

INTRODUCTION = """# Performance

What is measured, and how, is described in [bench/README.md](../bench/README.md).

"""


def about(data: Data) -> str:
    it = data["about"]
    # Of ods-sink the day says which one it was: its version stays the same for weeks of changes.
    versions = ", ".join(f"{name} {version.removeprefix(name + ' ')}"
                         for name, version in it["versions"].items() if name != "ods-sink")
    settings = ", ".join(f"{name} = {value}" for name, value in it["postgresql"].items())
    return "\n".join([
        f"- Machine: {it['cores']} cores ({it['cpu']}) and {it['memory_gb']} GB, shared by broker,"
        " PostgreSQL, sink and generator of the latency runs; " + it["system"],
        f"- Versions: {versions}", f"- PostgreSQL: {settings}",
        f"- Measured from {it['when']} on, with ods-sink as it was that day, medians of {it['rounds']}, by "
        + ", ".join(f"`{command.strip()}`" for command in it["command"].split(";")),
    ])


def generated(data: Data) -> str:
    parts = [BEGIN, "", about(data), "", "![Events a second](performance.svg)", ""]
    targets = target_table(data)
    if targets[1]:
        parts += ["Every run's figures: [performance.json](performance.json).", "",
                  "## Targets", "", markdown(targets), ""]
    parts += ["## Throughput", "",
              "“ods-sink is” compares its faster setting of lanes; CPU is in seconds for a million"
              " events, of the sink's process alone and of all of PostgreSQL's.", ""]
    for load in data["loads"]:
        parts += ["### " + load_title(data, load), "", markdown(load_table(data, load)), ""]
    if data["latency"]:
        wire = data["latency"][0]["wire"]
        parts += ["## Latency", "", f"From before a record ({wire}) is handed to librdkafka until"
                  " another connection has seen its row; includes the append to the broker and up"
                  " to one poll gap. “After it” begins at the broker's acknowledgement: the latency"
                  " from the append lies between the two.", "", markdown(latency_table(data)), ""]
    return "\n".join([*parts, END])


def publish(data: Data, docs: Path) -> None:
    docs.mkdir(exist_ok=True)
    page = docs / "performance.md"
    old = page.read_text(encoding="utf-8") if page.exists() else INTRODUCTION + BEGIN + END + "\n"
    before, _, rest = old.partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(before + generated(data) + after, encoding="utf-8")
    (docs / "performance.svg").write_text(plot(data), encoding="utf-8")
    (docs / "performance.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    capacity.publish(data, docs)


def main() -> int:
    words = [word for word in sys.argv[1:] if word != "--publish"]
    if len(words) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    data = json.loads(Path(words[0]).read_text(encoding="utf-8"))
    if "--publish" in sys.argv:
        publish(data, Path(__file__).resolve().parent.parent / "docs")
    else:
        print(text(data))
    return 0


if __name__ == "__main__":
    sys.exit(main())
