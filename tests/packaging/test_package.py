"""The package for Debian: what its scripts and papers say, at once; building it twice, and a new system that it is
installed in, upgraded in and purged from, with ODS_TEST_FULL (minutes)."""

import json
import os
import re
import shutil
import subprocess

import pytest
from conftest import ROOT, build

DEBIAN = ROOT / "packaging/debian"
VERSION = re.search(r"VERSION (\S+) ", (ROOT / "CMakeLists.txt").read_text()).group(1)
full = pytest.mark.skipif(not os.environ.get("ODS_TEST_FULL"), reason="minutes: ODS_TEST_FULL=1")


@pytest.mark.parametrize("name", ["postinst", "prerm", "postrm"])
def test_maintainer_scripts_are_shell_and_end_at_errors(name):
    script = DEBIAN / name
    assert script.stat().st_mode & 0o777 == 0o755
    assert subprocess.run(["sh", "-n", script]).returncode == 0
    assert "\nset -e\n" in script.read_text()


def test_nothing_is_started_that_did_not_run():
    text = (DEBIAN / "postinst").read_text()
    words = re.findall(r"(?:deb-systemd-invoke|systemctl)\s+(?:--\S+\s+)*(\S+)", text)
    assert set(words) == {"daemon-reload", "try-restart"}
    assert 'if [ -n "$2" ] && [ -d /run/systemd/system ]' in text, "only in an upgrade"
    # `enable` keeps what an administrator has enabled, of a unit that was there before.
    assert (text.index("if deb-systemd-helper debian-installed") < text.index("was-enabled")
            < text.index("deb-systemd-helper enable"))


def test_what_may_be_edited_is_a_conffile():
    listed = (DEBIAN / "conffiles").read_text().split()
    assert listed == ["/etc/ods-sink/ods-sink.conf", "/etc/ods-sink/tables.yaml"]
    cmake = (ROOT / "cmake/package.cmake").read_text()
    for path in listed:
        assert f"RENAME {path.rpartition('/')[2]} DESTINATION /etc/ods-sink" in cmake


def test_the_newest_entry_of_the_changelog_is_this_version():
    entries = re.findall(r"^ods-sink \((\S+)\) ", (DEBIAN / "changelog").read_text(), re.MULTILINE)
    assert entries[0] == VERSION
    changes = re.findall(r"^## (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert changes == entries
    assert entries == sorted(entries, key=lambda text: [int(part) for part in text.split(".")],
                             reverse=True)


def test_bill_of_materials(tmp_path):
    """Each library that the program loads, once, with a version; the same bytes each time."""
    texts = []
    for name in ("one", "two"):
        file = tmp_path / name
        subprocess.run([ROOT / "scripts/sbom", "--version", VERSION, "--output", file,
                        "--bundled", "libyyjson.so.0", build("release")], check=True,
                       env={**os.environ, "SOURCE_DATE_EPOCH": "1764241200"})
        texts.append(file.read_text())
    assert texts[0] == texts[1]
    bill = json.loads(texts[0])
    assert bill["spdxVersion"] == "SPDX-2.3" and bill["creationInfo"]["created"] == "2025-11-27T11:00:00Z"
    names = [package["name"] for package in bill["packages"]]
    assert names[0] == "ods-sink" and len(set(names)) == len(names)
    assert {"librdkafka1", "libpq5", "libyyjson0", "libcurl4"} <= {
        name.removesuffix("t64") for name in names}
    assert all(package["versionInfo"] for package in bill["packages"])
    identifiers = {package["SPDXID"] for package in bill["packages"]} | {"SPDXRef-DOCUMENT"}
    kinds = {}
    for relation in bill["relationships"]:
        assert {relation["spdxElementId"], relation["relatedSpdxElement"]} <= identifiers
        kinds.setdefault(relation["relationshipType"], []).append(relation["relatedSpdxElement"])
    assert kinds["CONTAINS"] == ["SPDXRef-Package-libyyjson0"]
    assert len(kinds["DEPENDS_ON"]) == len(names) - 2 and len(kinds["DESCRIBES"]) == 1


def test_bill_of_materials_names_the_crates_of_the_lake_engine(tmp_path):
    tree = subprocess.run(["cargo", "tree", "--manifest-path", ROOT / "lake/Cargo.toml", "--locked", "--offline"],
                          capture_output=True) if shutil.which("cargo") else None
    if not tree or tree.returncode:
        pytest.skip("needs cargo and the engine's crates")
    subprocess.run([ROOT / "scripts/sbom", "--version", VERSION, "--output", tmp_path / "bill",
                    "--crates", ROOT / "lake", "/bin/true"], check=True)
    bill = json.loads((tmp_path / "bill").read_text())
    crates = {package["name"]: package for package in bill["packages"] if "-crate-" in package["SPDXID"]}
    assert {"parquet", "object_store", "arrow-array"} <= set(crates) and "ods_lake" not in crates
    assert not [name for name in crates if name.startswith("windows")], "what is not linked here"
    assert all(len(crate["checksums"][0]["checksumValue"]) == 64 for crate in crates.values())
    contained = {relation["relatedSpdxElement"] for relation in bill["relationships"]
                 if relation["relationshipType"] == "CONTAINS"}
    assert {crate["SPDXID"] for crate in crates.values()} <= contained


@full
@pytest.mark.timeout(5400)
def test_a_new_system(request, stack, tmp_path):
    """Two builds in two folders have one hash; then docs/install.md in a system that is made for it, with the tests' Kafka."""
    missing = [tool for tool in ("debootstrap", "lintian", "dpkg-shlibdeps") if not shutil.which(tool)]
    if missing or os.geteuid():
        pytest.skip(f"needs root and {missing}")
    kafka = request.getfixturevalue("kafka")
    clone = tmp_path / "src"
    subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
    done = subprocess.run([clone / "scripts/package", "--twice", tmp_path / "out"],
                          capture_output=True, text=True, env={**os.environ, "CCACHE_DISABLE": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    package = done.stdout.splitlines()[-1]
    shutil.rmtree(clone)
    done = subprocess.run([ROOT / "scripts/fresh-install", package], capture_output=True, text=True,
                          env={**os.environ, "FRESH_KAFKA": f"127.0.0.1:{stack['KAFKA_PORT']}"})
    for topic in kafka.topics():
        if re.match(r"shop\.SHOP|ods-sink\.dead", topic):
            kafka.delete(topic)
    assert done.returncode == 0 and "all held" in done.stdout, done.stdout + done.stderr
    assert "LEFT OUT" not in done.stdout, done.stdout
