"""docs/cli.md and docs/cli/COMMAND.md are true: what a command takes is what it says of itself, and
every session is run again on a real stack.

A page is a file docs/cli/<command>.md. It has one part that is generated, between
`<!-- reference -->` and `<!-- end -->`, and sessions: code blocks of the kind `console`. A line of a
session that begins with `$ ` is run by bash in the folder of the page's world (`<!-- world: NAME -->`,
see lib/cli_worlds.py; `files` without one), one after the other; what follows it is what it printed.
`$?` is the exit code of the line before. Compared is what is left after RULES; so are pages written:
ODS_DOCS_REGENERATE=1 puts in what the commands say now.
"""

import os
import re
import subprocess

import pytest
from conftest import ROOT
from lib.cli_worlds import WORLDS
from lib.sink import assert_clean

DOCS = ROOT / "docs"
REGENERATE = os.environ.get("ODS_DOCS_REGENERATE") == "1"

# What differs from run to run, and what stands in the page instead. In this order.
RULES = [
    # Names and versions of the stack; its addresses and folders are replaced before.
    (r"\bods_\d+\b", "ods"),
    (r"PostgreSQL \d+\.\d+ \([^)]*\)", "PostgreSQL 15"),
    (r"\b\d+ topics", "3 topics"),
    # Snapshots of Iceberg.
    (r'(snapshot"?[ :]|--from-snapshot )\d{10,}', r"\g<1>4213679020482531747"),
    (r"(?m)^( *\d+ {2,})\d{12,}(?=  2\d{3}-)", r"\g<1>4213679020482531747"),
    # Moments and durations.
    (r"\d{4}-\d\d-\d\d([T ])\d\d:\d\d:\d\d(\.\d+)?", r"2026-01-31\g<1>12:00:00"),
    (r"\d+\.\d s ago", "0.5 s ago"),
    (r"\b(\d+ ms|\d+\.\d s)(?= {2,}|$)", "2 ms"),
    (r'"(\w*seconds|now|since|\w+_at)": \d+(\.\d+)?', r'"\1": 0.5'),
    (r'(_ms": |ods\.timestamp = )\d{10,}', r"\g<1>1769860800000"),
    (r"held for \d+\.\d s", "held for 0.1 s"),
    # Who gives orders, and who obeys.
    (r"\bby \w+@[\w.-]+", "by ops@node1"),
    (r'"by": "\w+@[\w.-]+"', '"by": "ops@node1"'),
    (r'"process": "[^"]*"', '"process": "node1, process 1234, 5f2a91"'),
    (r"(?m)\d+\.\d(?= +(equal|differs|can't tell|not compared)$)", "0.1"),
    # What a machine does in a second.
    (r'"(records|changes|bytes)":\d+(?=.*"cpu_seconds")', r'"\1":100000'),
    (r'"(records_per_second|megabytes_per_second)":\d+', r'"\1":100000'),
    (r'"(seconds|cpu_seconds)":[\d.]+', r'"\1":0.5'),
]


def normal(text, setup):
    stack = setup.stack.env
    for varying, fixed in ((str(setup.folder), "/etc/ods-sink"),
                           (f"127.0.0.1:{setup.http_port}", "127.0.0.1:8090"),
                           (stack.get("ODS_STACK_KAFKA_BOOTSTRAP"), "localhost:9092"),
                           (f"127.0.0.1:{stack.get('ODS_STACK_CONNECT_PORT')}", "localhost:8083"),
                           (f"= {stack.get('ODS_STACK_POSTGRES_SOURCE_PORT')}", "= 5432"),
                           (f"port={stack.get('ODS_STACK_POSTGRES_PORT')}", "port=5432")):
        text = text.replace(varying, fixed) if varying else text
    for pattern, instead in RULES:
        text = re.sub(pattern, instead, text)
    return text


def squeezed(text):
    """A column's width depends on what was replaced."""
    return [re.sub(r" {2,}", "  ", line.rstrip()) for line in text.splitlines()]


def visible_commands(sink):
    """Those that the index lists."""
    return re.findall(r"^- \[`([a-z-]+)`\]", said(sink, "ods-sink"), re.MULTILINE)


def said(sink, command):
    return sink.run("reference", "--command", command).stdout


def generated(text, command, sink):
    """The page with what the command says of itself."""
    return re.sub(r"(<!-- reference -->\n).*?(\n<!-- end -->)",
                  lambda match: match[1] + said(sink, command).rstrip("\n") + match[2], text,
                  count=1, flags=re.DOTALL)


def target_dsn(setup):
    """For psql in a page: the target, as the configuration names it, if the page has one."""
    conf = setup.conf.read_text() if setup.conf.exists() else ""
    found = re.search(r'dsn = "([^"]*)"', conf)
    password = setup.stack.env.get("ODS_STACK_POSTGRES_PASSWORD", "")
    return found[1].replace("${ODS_STACK_POSTGRES_PASSWORD}", password) if found else ""


class Session:
    """Lines of a page, run where its world is."""

    def __init__(self, setup):
        self.setup = setup
        self.code = 0
        program = setup.folder / "bin" / "ods-sink"
        program.parent.mkdir(exist_ok=True)
        program.symlink_to(setup.binary)
        self.env = {**setup.stack.environment(), "PATH": f"{program.parent}:{os.environ['PATH']}",
                    "LC_ALL": "C.UTF-8", "XDG_STATE_HOME": str(setup.folder),
                    "ODS": target_dsn(setup)}

    def run(self, line):
        done = subprocess.run(
            ["bash", "-c", f"(exit {self.code}); {line}"], cwd=self.setup.folder, env=self.env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
        self.code = done.returncode
        output = done.stdout.decode(errors="replace")
        assert_clean(output)
        return normal(output, self.setup)

    def block(self, text):
        """A block with what its lines print now. A line may go on in lines that begin with `> `."""
        out, lines = "", text.splitlines()
        while lines:
            line = lines.pop(0)
            if not line.startswith("$ "):
                continue
            shown, command = line, line[2:]
            while lines and lines[0].startswith("> "):
                shown += "\n" + lines[0]
                command += "\n" + lines.pop(0)[2:]
            printed = self.run(command)
            out += shown + "\n" + printed + ("\n" if printed and printed[-1] != "\n" else "")
        return out


def test_index(sink):
    path = DOCS / "cli.md"
    if REGENERATE:
        path.write_text(generated(path.read_text(), "ods-sink", sink))
    assert path.read_text() == generated(path.read_text(), "ods-sink", sink)


def test_every_command_has_a_page(sink):
    pages = {path.stem for path in (DOCS / "cli").glob("*.md")}
    assert set(visible_commands(sink)) == pages


@pytest.mark.parametrize("page", sorted(path.stem for path in (DOCS / "cli").glob("*.md")))
def test_page(page, sink, request):
    path = DOCS / "cli" / f"{page}.md"
    before = path.read_text()
    assert before.count("<!-- reference -->") == 1 and before.count("<!-- end -->") == 1
    world = re.search(r"<!-- world: ([a-z-]+) -->", before)
    WORLDS[world[1] if world else "files"](sink, request.getfixturevalue, page)
    session = Session(sink)
    blocks = []

    def again(match):
        blocks.append((match[1], session.block(match[1])))
        return f"```console\n{blocks[-1][1]}```\n"

    now = generated(re.sub(r"```console\n(.*?)```\n", again, before, flags=re.DOTALL), page, sink)
    sink.close()
    assert blocks, "a page has a session"
    if REGENERATE:
        path.write_text(now)
        return
    for written, printed in blocks:
        assert squeezed(written) == squeezed(printed)
    assert generated(before, page, sink) == before, "ODS_DOCS_REGENERATE=1 writes it anew"
