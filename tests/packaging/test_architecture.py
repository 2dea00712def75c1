"""ARCHITECTURE.md and docs/contributing.md name files, folders and functions that exist, and each where it is."""

import re
from fnmatch import fnmatch

import pytest
from conftest import ROOT

PAGES = ("ARCHITECTURE.md", "docs/contributing.md")
TEXTS = {page: re.sub(r"^```.*?^```", "", (ROOT / page).read_text(), flags=re.M | re.S)
         for page in PAGES}
FILES = [str(path.relative_to(ROOT)) for top in ROOT.iterdir() if top.name not in ("build", ".git")
         for path in [top, *top.rglob("*")] if path.is_file()]
# What a reader replaces by a name: `sql/postgres/x.sql` stands for every statement.
EXAMPLES = {"sql/postgres/x.sql"}


def stands_for_a_file(name, files):
    """A folder's name ends in a slash; a name may lack the folders before it, and a test its suffix."""
    if name.endswith("/"):
        return any(f"/{name}" in f"/{path}" for path in files)
    return any(fnmatch(f"/{path}", f"*/{name}") or f"/{name}/" in f"/{path}" for path in files)


def names(page):
    return sorted({" ".join(name.split()) for name in re.findall(r"`([^`]+)`", TEXTS[page])})


def paths(page):
    return [name for name in names(page)
            if re.fullmatch(r"[\w./*-]+\.(c|h|py|sql|md|txt|yaml|conf)", name)
            or re.fullmatch(r"\w[\w.-]*/([\w./-]*)", name)]


def sources(pattern):
    return "\n".join((ROOT / path).read_text() for path in FILES if re.match(pattern, path))


@pytest.mark.parametrize("page, least", [("ARCHITECTURE.md", 60), ("docs/contributing.md", 30)])
def test_files_and_folders_are_there(page, least):
    there = paths(page)
    assert len(there) > least
    assert not [name for name in there if name not in EXAMPLES and "NAME" not in name
                and not name.startswith(("build/", ".rules")) and not stands_for_a_file(name, FILES)]


def anchors(path):
    """As a host makes them of a page's headings."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S)
    found = []
    for heading in re.findall(r"^#+ (.*)$", text, re.M):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        name = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.append(name if name not in found else f"{name}-{found.count(name)}")
    return found


DOCUMENTS = [path for path in FILES if path.endswith(".md")
             and not path.startswith(("tests/", "build", "lake/target"))]


def test_links_lead_somewhere():
    wrong = []
    for page in DOCUMENTS:
        text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(), flags=re.M | re.S)
        text = re.sub(r"`[^`]*`", "", text)
        for name, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]*))?\)", text):
            target = (ROOT / page).parent / name if name else ROOT / page
            if not target.exists() or anchor and target.suffix == ".md" and anchor not in anchors(target):
                wrong.append(f"{page}: {name}#{anchor}")
    assert len(DOCUMENTS) > 50 and not wrong


def test_the_readme_is_short_and_leads_everywhere():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) < 200
    assert not [path.name for path in (ROOT / "docs").glob("*.md") if f"(docs/{path.name}" not in text]


def test_functions_are_there():
    code = sources(r"(src|include|sql|tests/lib)/.*\.(c|h|sql|py)$")
    functions = [name for page in PAGES for name in names(page) if re.fullmatch(r"[\w.]+\(\)", name)]
    assert len(functions) >= 10
    for name in functions:
        assert re.search(rf"\b{re.escape(name.removesuffix('()').split('.')[-1])}\(", code), name


def misplaced(text):
    """Names of the code in a row of a table that no file of that row has, where the row names files of C."""
    wrong = []
    for row in text.splitlines():
        files = {name for name in re.findall(r"[`\[]([\w/]+\.[ch])[`\]]", row)}
        code = "\n".join(sources(rf"(src|include)/(.*/)?{re.escape(name.split('/')[-1])}$")
                         for name in files)
        if row.startswith("|") and files:
            wrong += [name for name in re.findall(r"`(?:struct )?([A-Za-z]\w+)(?:\(\))?`", row)
                      if not re.search(rf"\b{name}\b", code)]
    return wrong


def test_what_is_added_stands_where_the_page_says():
    """Of the rows that say what to touch: a macro or a table that moved to another file is found."""
    page = TEXTS["docs/contributing.md"]
    touch = page[:page.index("| slip |")]
    assert "| it counts | touch |" in touch and not misplaced(touch)
    assert misplaced("| x | a `ROW` beside the others in [metrics.c](../src/pipeline/metrics.c) |") == ["ROW"]


def test_a_name_that_is_gone_is_found():
    assert not stands_for_a_file("src/core/gone.c", FILES)
    assert not stands_for_a_file("gone/", FILES)
    assert not stands_for_a_file("ore/arena.c", FILES)
