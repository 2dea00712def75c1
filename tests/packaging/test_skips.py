"""No part of the suite is left out without a word where scripts/test runs it: see lib/set_up.py."""

import ast
import os
import subprocess
import sys

import pytest
from conftest import ROOT

# What may be skipped all the same: what nobody promises, what is another run's turn, what does not apply. By its reason,
# as it stands in the sources.
ALLOWED = {
    "WHY_NOT",  # the lake engine: Rust is optional, and where it is there conftest.py wants the engine
    "'needs cargo and the engine\\'s crates'",
    "why",  # lib/set_up.py's own, and types/test_types.py: an extension that scripts/setup does not install
    "reason",  # fault: another program's, or its like has its turn
    "'its like has its turn in this run (ODS_FAULT_SEED)'", "f'its like has its turn in this run (ODS_TEST_SEED={SEED})'",
    "'of the short run'", "'of the long runs'", "'of the whole run'", "'its like has its turn in this run'",
    "'of the long runs: a test of the format\\'s own has a part of it'",
    "\"another program's figures: scripts/test --faults\"",
    "'minutes: ODS_TEST_FULL=1'", "'minutes: scripts/test --full'", "f'needs root and {missing}'",  # a new system
    "'a string of its JSON'", "\"MariaDB's\"", "'8.0.15 reads checks and forgets them'", "\"the test's MariaDB has no certificate\"",
    "'only root can become another user'", "f'no small disk can be mounted here: {why}'",
    "\"the program of tests/support/collector: go mod tidy && go build, then ODS_TEST_COLLECTOR=its path\"",
}


def skips():
    """(file, reason) of each call that may leave a test out."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            if name in ("pytest.skip", "pytest.importorskip"):
                yield path.relative_to(ROOT).as_posix(), ast.unparse(node.args[0])
            elif name == "pytest.mark.skipif":
                [reason] = [word.value for word in node.keywords if word.arg == "reason"]
                yield path.relative_to(ROOT).as_posix(), ast.unparse(reason)


def test_what_is_promised_is_not_skipped():
    known = {ast.unparse(ast.parse(reason).body[0]) for reason in ALLOWED}
    found = list(skips())
    others = [one for one in found if one[1] not in known]
    assert not others, f"{others}: lib/set_up.py's lacking() for what scripts/setup promises; else ALLOWED"
    assert known == {reason for _, reason in found}, "and nothing is allowed that is not there"


@pytest.mark.parametrize("promised, says", [("1", "1 failed"), ("", "1 skipped")])
def test_what_lacks_fails_where_it_is_promised(tmp_path, promised, says):
    (tmp_path / "test_lack.py").write_text(f"import sys\nsys.path.insert(0, {str(ROOT / 'tests')!r})\n"
                                           "from lib.set_up import lacking\ndef test_it(): lacking('no such thing')\n")
    done = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", tmp_path], cwd=tmp_path, text=True,
                          stdout=subprocess.PIPE, env={**os.environ, "ODS_TEST_SET_UP": promised})
    assert says in done.stdout and ("no such thing" in done.stdout) == bool(promised), done.stdout


def test_the_suite_says_that_it_was_set_up():
    lines = (ROOT / "scripts" / "test").read_text().splitlines()
    [set_up] = [number for number, line in enumerate(lines) if line == '"$root/scripts/setup"']
    assert lines[set_up + 1].startswith("export ODS_TEST_SET_UP=1")
