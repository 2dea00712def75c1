"""docs/contributing.md, "Add a format", as a newcomer would follow it: tests/support/pairs.c is added to the program,
by the lines that the page names and without another one, and decodes."""

import json
import re
import shlex
import subprocess

import pytest
from conftest import ROOT, build
from lib.set_up import lacking

FORMAT = ROOT / "tests" / "support" / "pairs.c"


@pytest.fixture(scope="module")
def commands():
    """How the build makes the program; its libraries stand there."""
    folder = build("asan").parent
    if not (folder / "build.ninja").exists():
        lacking(f"{folder} is no folder of a build")
    done = subprocess.run(["ninja", "-C", folder, "-t", "commands", "ods-sink"],
                          capture_output=True, text=True, check=True)
    return folder, done.stdout.splitlines()


def registered(text):
    """The name in the `extern` line and in the list."""
    text = re.sub(r"(extern const struct format_ops [^;]*);", r"\1,\n    format_pairs;", text)
    return text.replace("    NULL,\n};", "    &format_pairs,\n    NULL,\n};")


def compiled(commands, source):
    folder, lines = commands
    line = next(one for one in lines if one.endswith("src/format/registry.c"))
    made = source.with_suffix(".o")
    words = [word for word in shlex.split(line) if word != "ccache"]
    words[-1], words[words.index("-o") + 1], words[words.index("-MF") + 1] = source, made, source.with_suffix(".d")
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture(scope="module")
def program(commands, tmp_path_factory):
    """Linked anew with the two files; all others are as they were built."""
    folder, lines = commands
    own = tmp_path_factory.mktemp("format")
    registry = (ROOT / "src" / "format" / "registry.c").read_text()
    assert registered(registry).count("format_pairs") == 2
    (own / "registry.c").write_text(registered(registry))
    (own / "pairs.c").write_text(FORMAT.read_text())
    objects = [str(compiled(commands, own / name)) for name in ("registry.c", "pairs.c")]
    link = shlex.split(lines[-1].removeprefix(": && ").removesuffix(" && :"))
    at = link.index("-o")
    link[at + 1] = str(own / "ods-sink")
    subprocess.run([*link[:at], *objects, *link[at:]], cwd=folder, check=True)
    return own / "ods-sink"


def decoded(program, *records):
    lines = "".join(json.dumps({"topic": "shop.items", "partition": 0, "offset": offset, **record}) + "\n"
                    for offset, record in enumerate(records))
    done = subprocess.run([program, "decode", "--format", "pairs", "-"], input=lines, capture_output=True, text=True)
    return done, [json.loads(line) for line in done.stdout.splitlines()]


def test_it_decodes(program):
    done, (change, refused) = decoded(program, {"payload": "id=1;name=a"}, {"payload": "nonsense"},
                                      {"key": "id=1", "payload": None})
    assert change["table"] == "items" and change["key"] == {"id": "1"} and change["after"] == {"id": "1", "name": "a"}
    assert refused["offset"] == 1 and "NAME=VALUE" in refused["error"] and done.returncode == 1


def test_its_name_is_known(program, tmp_path):
    (tmp_path / "tables.yaml").write_text("pipelines: [{name: a, topics: [t], format: pairs, target: out}]\n")
    (tmp_path / "ods-sink.conf").write_text('kafka = { bootstrap_servers = "localhost:1"; };\n'
                                            'targets = ( { name = "out"; type = "stdout"; } );\n')
    done = subprocess.run([program, "check", "-c", tmp_path / "ods-sink.conf"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_needs_include_ods_alone():
    """So it makes no room, as the page says."""
    included = re.findall(r"#include (.*)", FORMAT.read_text())
    assert included and all(re.fullmatch(r"<(ods/)?\w+\.h>", name) for name in included)
