"""The capacity formula of docs/operations.md, held against what the benchmark measured. `report.py --publish` writes
the table; what sentences beside it quote is in `quoted`, and tests/packaging/test_performance.py looks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

Data = dict[str, Any]
BEGIN, END = "<!-- Written by scripts/bench --publish. -->", "<!-- End of what is written. -->"
TWO_LANES, USED = "ods-sink-2", 0.7
NAMES = {"lean": "lean", "flat": "flat, with schema", "envelope": "envelope, with schema", "snapshot": "snapshot",
         "hot": "100 hot keys", "wide": "200 columns", "tables": "500 tables", "tables@tables=1000": "1,000 tables",
         "toast": "large values", "bigtable": "10,000,000 rows there before"}


def costs(data: Data, load: str) -> tuple[float, float]:
    """CPU seconds for a million changes, of the sink and of PostgreSQL, as docs/performance.md shows them."""
    from report import cpu_per_million
    return tuple(round(cpu_per_million(data, load, TWO_LANES, field), 2) for field in ("cpu_seconds", "server_cpu"))


def rounded(value: float) -> int:
    """To three digits."""
    return int(float(f"{value:.3g}"))


def by_formula(data: Data, load: str) -> int:
    return rounded(USED * data["about"]["cores"] * 1_000_000 / sum(costs(data, load)))


def measured(data: Data, load: str) -> float:
    from report import rate
    return rate(data, load, TWO_LANES)


def above(data: Data, load: str) -> float:
    """By how many percent more was measured than the formula promises."""
    return (measured(data, load) / by_formula(data, load) - 1) * 100


def section(data: Data) -> str:
    rows = ["| load | S | P | by the formula | measured |", "|---|---:|---:|---:|---:|"]
    for load, name in NAMES.items():
        sink, postgres = costs(data, load)
        rows.append(f"| {name} | {sink:.2f} | {postgres:.2f} | {by_formula(data, load):,} "
                    f"| {measured(data, load):,.0f} |")
    margins = [above(data, load) for load in NAMES]
    it = data["about"]
    return "\n".join([f"Held against what {it['cores']} cores did ({it['when'][:10]}):", "", *rows, "",
                      f"Measured was {min(margins):.0f} to {max(margins):.0f} % above the formula."])


def render(data: Data, page: str) -> str:
    before, begin, rest = page.partition(BEGIN)
    assert begin, "docs/operations.md has no place for the capacity table"
    return f"{before}{BEGIN}\n{section(data)}\n{END}{rest.partition(END)[2]}"


def publish(data: Data, docs: Path) -> None:
    """A benchmark of some loads only leaves the page as it is."""
    if all(load in data["loads"] and measured(data, load) for load in NAMES):
        page = docs / "operations.md"
        page.write_text(render(data, page.read_text(encoding="utf-8")), encoding="utf-8")


def span(values: list[float], form: str) -> str:
    return f"{min(values):{form}} to {max(values):{form}}"


def quoted(data: Data) -> list[str]:
    """What the chapter's sentences say of these figures."""
    from report import middle, rate
    one = {load: rate(data, load, "ods-sink-1") for load in ("lean", "envelope")}
    times = [measured(data, load) / one[load] for load in one]
    peaks = [middle(data, load, TWO_LANES, "peak_rss_kb") / 1024 for load in data["loads"]]
    sink, postgres = (40_000 * cost / 1_000_000 / USED for cost in costs(data, "lean"))
    return [f"one took {one['envelope'] / 1000:.0f},000 (envelope) to {one['lean'] / 1000:.0f},000 (lean) a second, "
            f"two {span(times, '.1f')} times as much", f"{span(peaks, '.0f')} MB of the whole process",
            f"{sink:.2f} cores of the sink and {postgres:.2f} of PostgreSQL", f"{USED} × cores",
            f"/ {USED * 1e6:,.0f}"]
