"""What was tested of which target: each test says it at its end, in the words of a cell, and the page has
the same. ODS_DOCS_REGENERATE=1 puts in what a whole run has found."""

import re

from lib.stack import ROOT

PAGE = ROOT / "docs" / "targets.md"
BEGIN, END = "<!-- contract: written by tests/contract -->", "<!-- contract: end -->"
CELLS = {}  # (property, target): what was found


def render(properties, targets, cells):
    lines = [row(["", *(f"`{target}`" for target in targets)]),
             row(["---"] * (len(targets) + 1))]
    return lines + [row([name, *(cells[name, target] for target in targets)]) for name in properties]


def row(cells):
    return "| " + " | ".join(cells) + " |"


def on_the_page(text):
    """The page's cells, as CELLS has them."""
    table = text.split(BEGIN)[1].split(END)[0].strip().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    targets = [re.sub("`", "", cell) for cell in rows[0][1:]] if rows else []
    return {(line[0], target): cell for line in rows[2:] for target, cell in zip(targets, line[1:])}


def write(lines):
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    PAGE.write_text(before + BEGIN + "\n" + "\n".join(lines) + "\n" + END + rest.split(END)[1])
