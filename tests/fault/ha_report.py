"""The table of the high-availability drills on docs/operations.md, from docs/ha.json; scripts/ha --publish writes both.
What a run did not repeat stays, with its day."""

import json
import os
import platform
import subprocess
from datetime import datetime, timezone

from lib.stack import ROOT

DATA, PAGE = (ROOT / "docs" / name for name in ("ha.json", "operations.md"))
BEGIN, END = "<!-- drills: written by scripts/ha --publish -->", "<!-- drills: end -->"
COUNTS = ("records", "lost", "twice", "rewritten", "wrong", "letters_lost", "letters_wrong")


def kept(result, seed, rate, program):
    """What docs/ha.json has of a drill of that program. The load is of all that the machine did in the last five minutes."""
    return {"day": datetime.now(timezone.utc).strftime("%Y-%m-%d"), "program": program, "seed": seed,
            "rate": rate, "load": round(os.getloadavg()[1], 1), **{name: result.get(name, 0) for name in COUNTS},
            "seconds": result["recovery_s"]["most"], "remarks": result["remarks"]}


def name_of(program):
    """The commit that stands here, where the program was built here; else its file."""
    if ROOT not in program.resolve().parents:
        return str(program)
    done = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--abbrev=8", "--dirty", "--exclude=*"],
                          capture_output=True, text=True)
    return done.stdout.strip() or str(program)


def machine():
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} processors, {memory:.0f} GiB, {platform.machine()}"


def row(name, drill, found):
    command = f"scripts/ha {'--previous COMMIT ' if drill.previous else ''}{name}"
    if not found:
        return f"| {drill.what} | `{command}` | not run yet | | | | | |"
    letters = [f"dead letters: {found[count]} {count.removeprefix('letters_')}"
               for count in ("letters_lost", "letters_wrong") if found[count]]
    twice = found["twice"] + found["rewritten"]
    return (f"| {drill.what} | `{command}` | {found['records']:,} | {found['lost']} | {twice} "
            f"| {found['wrong']} | {found['seconds']:.1f} | {'; '.join([found['remarks'], *letters])} |")


def span(values, form="{}"):
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low} to {high}"


def section(data, drills):
    found = [data["drills"][name] for name in drills if name in data["drills"]]
    days = ", ".join(sorted({one["day"] for one in found}))
    seeds = ", ".join(f"`{seed}`" for seed in sorted({one["seed"] for one in found}))
    exact = not any(one[count] for one in found for count in COUNTS if count != "records")
    verdict = "nothing lost, nothing twice, nothing wrong" if exact else "not exact: see below"
    programs = "".join(f", {'' if '/' in program else 'commit '}`{program}`"
                       for program in sorted({one["program"] for one in found if "program" in one}))
    loads = span([one["load"] for one in found], "{:.1f}")
    return "\n".join([
        f"Measured on {days} ({data['machine']}) at {span([one['rate'] for one in found], '{:,}')} steps a second, "
        f"ODS_FAULT_SEED={seeds}{programs}; **{verdict}**. The machine had other work: a load "
        f"average of {loads} with the drill's own servers, so the seconds are longer than they need be.", "",
        "| what | command | records | lost | twice | wrong | seconds | |", "|---|---|---:|---:|---:|---:|---:|---|",
        *(row(name, drill, data["drills"].get(name)) for name, drill in drills.items())])


def render(data, drills, page):
    before, begin, rest = page.partition(BEGIN)
    assert begin, f"{PAGE} has no place for the drills"
    return f"{before}{BEGIN}\n{section(data, drills)}\n{END}{rest.partition(END)[2]}"


def publish(results, drills, data=DATA, page=PAGE):
    """results: by name, as `kept` makes them."""
    earlier = json.loads(data.read_text())["drills"] if data.exists() else {}
    known = {name: {**earlier, **results}[name] for name in drills if name in {**earlier, **results}}
    whole = {"machine": machine(), "drills": known}
    data.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
    page.write_text(render(whole, drills, page.read_text()))
