"""docs/migrate.md names commands and options that are there."""

import re
import subprocess

import pytest
from conftest import ROOT, build

TEXT = (ROOT / "docs" / "migrate.md").read_text(encoding="utf-8")
FENCED = re.findall(r"^```sh\n(.*?)^```", TEXT, re.M | re.S)
CODE = [line for block in FENCED for line in block.splitlines()] + \
    re.findall(r"(?<!`)`([^`]+)`(?!`)", re.sub(r"^```.*?^```", "", TEXT, flags=re.M | re.S))
COMMANDS = sorted({" ".join(code.split("#")[0].split()).removeprefix("ods-sink ")
                   for code in CODE if code.startswith("ods-sink ")})


# What a system of Debezium and a Python consumer has as scripts: each has its row, and the command that does the same.
SCRIPTS = {"custom_ods_sink.py": "run", "setup_cdc.py": "connectors apply", "setup_full_pipeline.py": "setup",
           "reset_all.py": "reset", "check_connector_status.py": "connectors status", "check_kafka_topics.py": "topics",
           "verify_ods.py": "verify", "query_ods.py": "query"}


def help_of(command):
    return subprocess.run([build("release"), "help", command], capture_output=True, text=True).stdout


def test_the_page_names_commands():
    assert len(COMMANDS) >= 12, COMMANDS


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_script_has_its_row(script):
    """tests/e2e/test_examples.py runs the commands of these rows."""
    table = TEXT.partition("| script | command |")[2].partition("\n\n")[0]
    rows = [row for row in table.splitlines() if row.startswith(f"| `{script}`")]
    assert len(rows) == 1 and f"| `ods-sink {SCRIPTS[script]} -c ods-sink.conf" in rows[0], script


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_is_as_the_page_says(line):
    command, *rest = line.split()
    text = help_of(command)
    assert text.startswith("usage: ods-sink " + command), line
    for option in (word for word in rest if word.startswith("-")):
        assert re.search(rf"(^|[\s,(]){re.escape(option)}\b", text), f"{line}: {option}"
    if command in ("connectors", "dlq"):
        assert re.search(rf"^  {rest[0]}\b", text, re.M), line


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)", TEXT))))
def test_what_it_links_to_is_there(link):
    assert (ROOT / "docs" / link).exists()
