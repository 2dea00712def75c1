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


def help_of(command):
    return subprocess.run([build("release"), "help", command], capture_output=True, text=True).stdout


def test_the_page_names_commands():
    assert len(COMMANDS) >= 12, COMMANDS


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
