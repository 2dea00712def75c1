"""ARCHITECTURE.md names files, folders and functions that exist."""

import re
from fnmatch import fnmatch

from conftest import ROOT

TEXT = re.sub(r"^```.*?^```", "", (ROOT / "ARCHITECTURE.md").read_text(), flags=re.M | re.S)
NAMES = sorted({" ".join(name.split()) for name in re.findall(r"`([^`]+)`", TEXT)})
FUNCTIONS = [name for name in NAMES if re.fullmatch(r"[\w.]+\(\)", name)]
PATHS = [name for name in NAMES if re.fullmatch(r"[\w./*-]+\.(c|h|py|sql|md|txt)", name)
         or re.fullmatch(r"\w[\w.-]*/([\w./-]*)", name)]
FILES = [str(path.relative_to(ROOT)) for top in ROOT.iterdir() if top.name not in ("build", ".git")
         for path in [top, *top.rglob("*")] if path.is_file()]
# What a reader replaces by a name: `sql/postgres/x.sql` stands for every statement.
EXAMPLES = {"sql/postgres/x.sql"}


def stands_for_a_file(name, files):
    """A folder's name ends in a slash; a name may lack the folders before it, and a test its suffix."""
    if name.endswith("/"):
        return any(f"/{name}" in f"/{path}" for path in files)
    return any(fnmatch(f"/{path}", f"*/{name}") or f"/{name}/" in f"/{path}" for path in files)


def test_files_and_folders_are_there():
    assert len(PATHS) > 60
    assert not [name for name in PATHS
                if name not in EXAMPLES and not stands_for_a_file(name, FILES)]


def test_functions_are_there():
    sources = "\n".join((ROOT / path).read_text() for path in FILES
                        if re.match(r"(src|include|sql|tests/lib)/.*\.(c|h|sql|py)$", path))
    assert len(FUNCTIONS) >= 10
    for name in FUNCTIONS:
        assert re.search(rf"\b{re.escape(name.removesuffix('()').split('.')[-1])}\(", sources), name


def test_a_name_that_is_gone_is_found():
    assert not stands_for_a_file("src/core/gone.c", FILES)
    assert not stands_for_a_file("gone/", FILES)
    assert not stands_for_a_file("ore/arena.c", FILES)
