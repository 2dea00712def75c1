"""What cmake --install puts in place, and the systemd unit."""

import os
import re
import shutil
import subprocess

import pytest
from conftest import ROOT, build

UNIT = ROOT / "config" / "systemd" / "ods-sink.service"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The tree of an installation under /usr."""
    folder = tmp_path_factory.mktemp("install")
    subprocess.run(["cmake", "--install", build("release").parent, "--prefix", "/usr"], check=True,
                   capture_output=True, env={**os.environ, "DESTDIR": str(folder)})
    return folder


@pytest.mark.parametrize("path", [
    "usr/bin/ods-sink", "usr/share/man/man1/ods-sink.1", "usr/lib/systemd/system/ods-sink.service",
    "usr/share/doc/ods-sink/examples/ods-sink.conf.example",
    "usr/share/doc/ods-sink/examples/tables.yaml.example", "usr/share/doc/ods-sink/docs/configuration.md",
    "usr/share/doc/ods-sink/ARCHITECTURE.md", "usr/share/ods-sink/kubernetes/base/kustomization.yaml",
    "usr/share/ods-sink/sql/ods_sink.sql", "usr/share/ods-sink/sql/mks_finance/ods.sql",
    "usr/share/ods-sink/connectors/mks_finance.json",
    "usr/share/ods-sink/observability/quality.rules.yaml",
    "usr/share/ods-sink/observability/sources.rules.yaml",
    "usr/share/man/man1/ods-sink-status.1", "usr/share/bash-completion/completions/ods-sink",
    "usr/share/zsh/site-functions/_ods-sink", "usr/share/fish/vendor_completions.d/ods-sink.fish",
])
def test_is_installed(installed, path):
    assert (installed / path).stat().st_size > 0


def test_links_of_the_installed_pages_lead_somewhere(installed):
    """A relative link leads to a file of the installation, and each page is there once."""
    folder = installed / "usr/share/doc/ods-sink"
    pages = sorted(folder.rglob("*.md"))
    assert len(pages) > 80 and len({page.read_bytes() for page in pages}) == len(pages)
    dead = [f"{page.relative_to(folder)}: {link}" for page in pages
            for link in re.findall(r"\]\(([^)\s#:]+)[)#]", page.read_text())
            if not (page.parent / link).exists()]
    assert not dead


def test_files_are_where_the_page_of_installing_says(installed):
    """docs/install.md's table: a path of the sources, and where an installation has it."""
    table = (ROOT / "docs/install.md").read_text().partition("| in these pages | installed |")[2].partition("\n\n")[0]
    folder = installed / "usr/share/doc/ods-sink"
    found = 0
    for line in table.splitlines()[2:]:
        names, places = line.strip("| ").split(" | ")
        for place in re.findall(r"`(/usr/[^`]+?)/?…?`", places):
            assert (installed / place[1:]).is_dir(), place
        for name in re.findall(r"`([^`…]+)…?`", names):
            if places.startswith("`/usr/share") and ".example" not in name:
                assert (ROOT / name).exists() and (folder / name).exists(), name
                found += 1
    assert found >= 9


def test_installed_program_runs(installed):
    done = subprocess.run([installed / "usr/bin/ods-sink", "--version"], capture_output=True,
                          text=True, check=True)
    assert re.fullmatch(r"ods-sink \d+\.\d+\.\d+\n", done.stdout)


def test_installed_program_names_no_folder_of_the_build(installed):
    """Neither a run path nor a file of this machine is needed at run time."""
    dynamic = subprocess.run(["readelf", "-d", installed / "usr/bin/ods-sink"], check=True,
                             capture_output=True, text=True).stdout
    assert "RUNPATH" not in dynamic and "RPATH" not in dynamic


def test_unit_under_another_prefix_names_its_own_program(tmp_path):
    subprocess.run(["cmake", "--install", build("release").parent, "--prefix", tmp_path],
                   check=True, capture_output=True)
    unit = (tmp_path / "lib/systemd/system/ods-sink.service").read_text()
    assert f"ExecStart={tmp_path}/bin/ods-sink run " in unit
    assert (tmp_path / "bin/ods-sink").exists()


def test_examples_are_valid(tmp_path):
    for name in ("ods-sink.conf", "tables.yaml"):
        shutil.copy(ROOT / "config" / f"{name}.example", tmp_path / name)
    done = subprocess.run([build("release"), "check", "-c", tmp_path / "ods-sink.conf"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_demo_configuration_is_valid():
    done = subprocess.run([build("release"), "check", "-c", ROOT / "config/demo/ods-sink.conf"],
                          capture_output=True, text=True,
                          env={**os.environ, "ODS_STACK_KAFKA_BOOTSTRAP": "localhost:9092",
                               "ODS_STACK_POSTGRES_URL": "postgresql://ods:secret@localhost/ods_db"})
    assert done.returncode == 0, done.stderr
    assert "secret" not in done.stdout + done.stderr


def test_unit_is_what_systemd_understands(installed, tmp_path):
    """systemd-analyze also looks whether the program is there, so it gets one that is."""
    unit = tmp_path / "ods-sink.service"
    unit.write_text(UNIT.read_text().replace("/usr/bin/ods-sink",
                                             str(installed / "usr/bin/ods-sink")))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True,
                          text=True)
    about_it = [line for line in done.stderr.splitlines() if "ods-sink" in line]
    assert done.returncode == 0 and not about_it, done.stderr


def test_unit_is_hardened():
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--threshold=15", UNIT],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


def commands():
    """The commands that help lists."""
    text = subprocess.run([build("release"), "--help"], capture_output=True, text=True,
                          check=True).stdout
    listed = text.partition("ods-sink help COMMAND")[0]
    return re.findall(r"^  ([a-z-]+)  +\w", listed, re.MULTILINE)


def test_every_command_has_a_man_page(installed):
    assert {"run", "check", "status", "dlq"} <= set(commands())
    pages = {path.name for path in (installed / "usr/share/man/man1").iterdir()}
    assert pages == {"ods-sink.1", *(f"ods-sink-{name}.1" for name in commands())}


def test_man_pages_are_what_groff_and_man_take(installed):
    for page in sorted((installed / "usr/share/man/man1").iterdir()):
        done = subprocess.run(["groff", "-man", "-ww", "-z", page], capture_output=True, text=True)
        assert done.returncode == 0 and not done.stderr, done.stderr
        shown = subprocess.run(["man", "--warnings", "-l", page], capture_output=True, text=True,
                               env={**os.environ, "MANWIDTH": "100", "LC_ALL": "C.UTF-8"})
        assert shown.returncode == 0 and not shown.stderr, shown.stderr
        for title in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS"):
            assert f"\n{title}\n" in shown.stdout, (page, title)


def test_manual_names_every_command_and_exit_code(installed):
    manual = (installed / "usr/share/man/man1/ods-sink.1").read_text()
    for command in commands():
        assert f"ods\\-sink\\-{command}\\fR(1)" in manual, command
    for code in (0, 1, 2, 3, 4, 5, 70, 130):
        assert f".TP\n\\fB{code}\\fR\n" in manual
    for word in ("SIGHUP", "SIGTERM", "NOTIFY_SOCKET", "PGPASSFILE", "tables.yaml"):
        assert word in manual
