"""What a soak has found: what grew, and the page with its plot.

soak_report.py       write docs/soak.svg and the section of docs/reliability.md from docs/soak.json
"""

import json
import statistics
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA, PLOT, PAGE = (ROOT / "docs" / name for name in ("soak.json", "soak.svg", "reliability.md"))
BEGIN, END = "<!-- soak: written by tests/fault/soak_report.py -->", "<!-- soak: end -->"

# What may come on top of the first third's median: a share of it, and so many.
MEASURES = {"rss_mb": (0.15, 4), "heap_mb": (0.15, 4), "descriptors": (0, 8), "threads": (0, 3), "plans": (0.1, 6),
            "backend_mb": (0.15, 4), "lag_records": (1.0, 1000)}
WARM_S, LONG_S = 1800, 1500  # what is not judged of a long run; how long one is
HELD_SHARE = 0.01            # of the resident memory: what is held may rise by that in a long run
# Which fifth of the samples tells where it stands, in place of the median: descriptors and threads come and go
# with each comparison of the daemon's own, and a session's memory begins anew with each fault that ends it.
FIFTHS = {"descriptors": 0, "threads": 0, "backend_mb": 3}


def warm_up(minutes):
    """The seconds at the beginning that are not judged: caches fill, each fault comes for the first time, and malloc
    comes to keep what it does for each thread."""
    return WARM_S if minutes * 60 >= WARM_S + LONG_S else minutes * 12


def slope(points):
    """Theil and Sen's: the median of the slopes between all pairs. A burst, or a third of the points
    being far off, does not move it, and a slow leak does."""
    slopes = [(second - first) / (later - earlier)
              for number, (earlier, first) in enumerate(points)
              for later, second in points[number + 1:] if later > earlier]
    return statistics.median(slopes) if slopes else 0.0


def thin(samples, count):
    step = max(-(-len(samples) // count), 1)
    return samples[::step]


def level(samples, name):
    values = [one[name] for one in samples]
    if name in FIFTHS and len(values) > 1:
        return statistics.quantiles(values, n=5)[FIFTHS[name]]
    return statistics.median(values)


def grown(samples):
    """The measures, first and last, and what is allowed. Of a long run the memory is judged by the slope
    over all of it; else by the levels of the first and the last third."""
    third = max(len(samples) // 3, 1)
    found = {}
    for name, (share, room) in MEASURES.items():
        first, last = level(samples[:third], name), level(samples[-third:], name)
        found[name] = {"first": first, "last": last, "allowed": round(first * (1 + share) + room, 1)}
    span = samples[-1].get("second", 0) - samples[0].get("second", 0)
    resident = level(samples, "rss_mb")
    # What is in memory of the program's and the libraries' files the kernel takes and gives back as it likes.
    rises = {name: span * slope([(one.get("second", number), one[name] - one.get(but, 0))
                                 for number, one in enumerate(thin(samples, 800))])
             for name, but in (("rss_mb", "mapped_mb"), ("heap_mb", ""))}
    for name, rise in rises.items():
        found[name]["percent"] = round(100 * rise / resident, 3)
    if span >= LONG_S:
        middle, half = level(samples, "heap_mb"), rises["heap_mb"] / 2
        found["heap_mb"] = {**found["heap_mb"], "first": round(middle - half, 2), "last": round(middle + half, 2),
                            "allowed": round(middle - half + HELD_SHARE * resident, 2)}
    return found


def grew(growth):
    return [name for name, found in growth.items() if found["last"] > found["allowed"]]


# ---- the plot --------------------------------------------------------------------------------------

WIDE, HIGH, LEFT, TOP = 860, 120, 70, 34
PANELS = (("rss_mb", "resident memory, MB"), ("heap_mb", "memory that the program holds, MB"),
          ("rate", "records applied, a second"), ("lag_records", "records that wait"), ("descriptors", "file descriptors"),
          ("threads", "threads"), ("plans", "plans in the server"), ("backend_mb", "the sessions' memory in the server, MB"))


def with_rate(samples):
    """Each sample with the records that were applied a second since the one before."""
    found = []
    for before, one in zip(samples, samples[1:]):
        seconds = max(one["second"] - before["second"], 1)
        found.append({**one, "rate": max(one["applied"] - before["applied"], 0) / seconds})
    return found


def panel(number, name, title, samples, faults, end):
    top = number * (HIGH + TOP) + TOP
    highest = max(one[name] for one in samples) * 1.1 or 1
    across = (WIDE - LEFT - 20) / end

    def at(second, value):
        return f"{LEFT + second * across:.1f},{top + HIGH - value / highest * HIGH:.1f}"

    line = " ".join(at(one["second"], one[name]) for one in samples)
    ticks = "".join(
        f'<line x1="{LEFT}" x2="{WIDE - 20}" y1="{top + HIGH * (1 - share):.1f}" y2="{top + HIGH * (1 - share):.1f}" '
        f'class="g"/><text x="{LEFT - 6}" y="{top + HIGH * (1 - share) + 4:.1f}" text-anchor="end">'
        f'{highest * share:,.4g}</text>' for share in (0, 0.5, 1))
    marks = "".join(f'<line x1="{LEFT + second * across:.1f}" x2="{LEFT + second * across:.1f}" y1="{top}" '
                    f'y2="{top + HIGH}" class="f"/>' for second in faults)
    return (f'<text x="{LEFT}" y="{top - 8}" class="t">{title}</text>{ticks}{marks}\n'
            f'<polyline points="{line}" class="l"/>\n')


def plot(data):
    samples = with_rate(data["samples"])
    end = max(samples[-1]["second"], 1)
    faults = [fault["second"] for fault in data["faults"]]
    high = len(PANELS) * (HIGH + TOP) + TOP + 10
    body = "".join(panel(number, name, title, samples, faults, end)
                   for number, (name, title) in enumerate(PANELS))
    minutes = "".join(
        f'<text x="{LEFT + share * (WIDE - LEFT - 20):.1f}" y="{high - 16}" text-anchor="end">'
        f'{end * share / 60:.3g} min</text>' for share in (0.25, 0.5, 0.75, 1))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {high}" width="{WIDE}" height="{high}" '
            'role="img" aria-label="Memory, throughput, lag, descriptors and threads over a soak">\n'
            '<style>text{font:11px sans-serif;fill:#222}.t{font-weight:bold}.g{stroke:#ddd}'
            '.f{stroke:#e0a050;stroke-width:.6}.l{fill:none;stroke:#0b6e4f;stroke-width:1.4}</style>\n'
            f'<rect width="{WIDE}" height="{high}" fill="#fff"/>\n{body}{minutes}\n</svg>\n')


# ---- the page --------------------------------------------------------------------------------------

NAMES = {"rss_mb": "resident memory, MB", "heap_mb": "of it held by the program, MB",
         "descriptors": "file descriptors", "threads": "threads", "plans": "plans in the server",
         "backend_mb": "the sessions' memory there, MB", "lag_records": "records that wait"}


def section(data):
    growth, verified, own = data["growth"], data["verified"], data.get("own", [])
    minutes = data["samples"][-1]["second"] / 60
    lines = [f"Measured on {data['day']}: {minutes:.0f} minutes, {data['records']:,} records "
             f"({data['records'] / minutes / 60:,.0f} a second), {len(data['faults'])} faults, ODS_FAULT_SEED={data['seed']}. "
             f"The target was compared {len(verified)} times while it ran and at the end, "
             f"{sum(one['rows'] for one in verified):,} rows in all: "
             + ("**equal each time**." if data["exact"] else "**not equal**."), "",
             *([f"Meanwhile the daemon compared its tables with the source {len(own)} times by itself (`verify.every`), "
                f"{sum(one['rows'] for one in own):,} rows: {sum(one['equal'] for one in own)} of "
                f"{sum(one['tables'] for one in own)} tables were equal, of none was a difference found.", ""] if own else []),
             f"Judged from minute {data['warm_s'] / 60:.0f} on: what the program holds by "
             f"{growth['heap_mb']['percent']:+.2f} % of the resident memory, and that, without what is mapped of files, by "
             f"{growth['rss_mb']['percent']:+.2f} %.", "",
             "| | at first | at last | allowed |", "| --- | ---: | ---: | ---: |",
             *(f"| {NAMES[name]} | {found['first']:,.4g} | {found['last']:,.4g} | {found['allowed']:,.4g} |"
               for name, found in growth.items()),
             "", "![memory, throughput, lag, descriptors and threads over the soak; orange: a fault](soak.svg)"]
    return "\n".join(lines)


def render(data, page):
    before, _, rest = page.partition(BEGIN)
    assert rest, f"{PAGE} has no place for the soak"
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{section(data)}\n{END}{after}"


def publish(data):
    """Into docs/: what a reader of the page needs, with at most 400 samples."""
    kept = {**data, "samples": thin(data["samples"], 400)}
    DATA.write_text(json.dumps(kept) + "\n")
    write()


def write():
    data = json.loads(DATA.read_text())
    PLOT.write_text(plot(data))
    PAGE.write_text(render(data, PAGE.read_text()))


if __name__ == "__main__":
    write()
