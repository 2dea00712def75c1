"""Completion, asked of the shells themselves: what they would offer for a line."""

import json
import re
import shutil
import subprocess

import pytest
from lib.records import pipeline
from lib.set_up import lacking
from lib.terminal import Terminal

SHELLS = ("bash", "zsh", "fish")

BASH = """
source <("$1" completion bash)
COMP_LINE=$2
COMP_POINT=${#COMP_LINE}
# As readline does: = is a word of its own.
read -ra COMP_WORDS <<< "${COMP_LINE//=/ = }"
[[ $COMP_LINE == *[\\ =] ]] && COMP_WORDS+=("")
COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
_ods_sink
printf '%s\\n' "${COMPREPLY[@]}"
"""

ZSH = """
autoload -Uz compinit
compinit -u -D
source <(ods-sink completion zsh)
zstyle ':completion:*' verbose no
zstyle ':completion:*' list-grouped no
zstyle ':completion:*' menu no
unsetopt automenu listambiguous automenu
LISTMAX=10000
PS1='READY> '
bindkey '^I' list-choices
"""


@pytest.fixture
def setup(sink, database, binary):
    """A folder with a configuration and a program of the usual name."""
    tables = {"customers": {}, "orders": {}, "^log_": {}}
    sink.write(pipeline("t", name="shop", topics=["shop.orders", "shop.customers", "^audit"],
                        tables=tables),
               pipeline("u", name="sh$(touch hacked)`touch hacked`", topics=["other.u"]),
               database=database)
    (sink.folder / "ods-sink").symlink_to(binary)
    (sink.folder / "records.jsonl").write_text("")
    (sink.folder / "folder with blank").mkdir()
    return sink


def offers(shell, setup, line):
    """What the shell offers for the last word of the line."""
    if not shutil.which(shell):
        lacking(f"{shell} is not installed")
    ask = {"bash": offers_of_bash, "zsh": offers_of_zsh, "fish": offers_of_fish}[shell]
    return ask(setup, line)


def environment(setup):
    folder = str(setup.folder)
    return {**setup.stack.environment(), "PATH": f"{folder}:/usr/bin:/bin", "HOME": folder,
            "ASAN_OPTIONS": "detect_leaks=0"}


def offers_of_bash(setup, line):
    done = subprocess.run(["bash", "--norc", "-c", BASH, "bash", "ods-sink", line], text=True,
                          capture_output=True, cwd=setup.folder, env=environment(setup))
    # compopt has no meaning outside of a completion.
    assert not done.stderr, done.stderr
    return set(done.stdout.split("\n")) - {""}


def offers_of_fish(setup, line):
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"ods-sink completion fish | source; "
         f"complete -C {json.dumps(line)}"],
        text=True, capture_output=True, cwd=setup.folder, env=environment(setup))
    assert not done.stderr, done.stderr
    return {re.split(r"\t", offer)[0] for offer in done.stdout.splitlines()}


def offers_of_zsh(setup, line):
    """zsh completes on a terminal alone."""
    (setup.folder / ".zshrc").write_text(ZSH)
    zsh = Terminal(["zsh", "-i"], columns=200, rows=2000,
                   env={**environment(setup), "TERM": "dumb", "ZDOTDIR": str(setup.folder)},
                   cwd=setup.folder)
    zsh.read(until="READY> ")
    zsh.text = ""
    zsh.write(line + "\t")
    zsh.write("\x15echo DO''NE\n")
    text = zsh.read(until="DONE")
    zsh.write("exit\n")
    zsh.wait()
    return set(re.split(r"\s{2,}|[\r\n]+|\s(?=-)", text.partition(line)[2]))


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("line, some, none", [
    ("ods-sink ", {"run", "status", "dlq"}, {"list", "--json"}),
    ("ods-sink st", {"status"}, {"run"}),
    ("ods-sink dlq ", {"list", "show", "replay", "skip"}, {"run"}),
    ("ods-sink status --", {"--config", "--url", "--json", "--partitions", "--help", "--color"},
     {"--topic"}),
    ("ods-sink dlq list --st", {"--stage"}, {"--since"}),
    ("ods-sink dlq list --stage ", {"decode", "apply"}, {"list"}),
    ("ods-sink reset -c ods-sink.conf --to ", {"earliest", "latest"}, set()),
    ("ods-sink reset -c ods-sink.conf --topic ", {"shop.orders", "shop.customers", "other.u"},
     {"^audit"}),
    ("ods-sink dlq list --config ods-sink.conf --topic shop.o", {"shop.orders"}, {"other.u"}),
    ("ods-sink dlq list --pipeline ", set(), {"shop"}),
    ("ods-sink status -c ods-sink", {"ods-sink.conf"}, {"records.jsonl"}),
    ("ods-sink replay -c ods-sink.conf --wait 3 rec", {"records.jsonl"}, {"ods-sink.conf"}),
    ("ods-sink completion ", set(SHELLS), {"names"}),
], ids=lambda value: value if isinstance(value, str) else "")
def test_offers(setup, shell, line, some, none):
    offered = offers(shell, setup, line)
    missing, excess = {offer.strip() for offer in some} - offered, none & offered
    # One that is the only one may have been put into the line at once.
    assert not missing and not excess, offered


@pytest.mark.parametrize("shell", ("bash", "fish"))
def test_values_behind_an_equals_sign(setup, shell):
    offered = offers(shell, setup, "ods-sink dlq list --stage=")
    assert {offer.rpartition("=")[2] for offer in offered} == {"decode", "apply", "derived"}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_name_is_never_run(setup, shell):
    """A pipeline may be called anything."""
    offered = offers(shell, setup, "ods-sink replay -c ods-sink.conf --pipeline sh")
    assert "shop" in offered and len(offered) > 1
    assert not (setup.folder / "hacked").exists()


def test_names_without_a_configuration_are_none(setup):
    done = setup.run("completion", "names", "pipelines", "-c", "/nowhere", expect=3)
    assert done.stdout == "" and done.stderr == ""
