"""Exit codes, and what the other commands say."""

import json
import re

import pytest
from conftest import GOLDEN, ROOT
from lib.records import Table, pipeline
from lib.sink import Exit, free_port

CUSTOMERS = GOLDEN / "debezium-mysql" / "full.mks_finance_dw.customers.jsonl"
GOOD = {"id": 1, "name": "one", "amount": 1}


@pytest.mark.parametrize("arguments, code", [
    ((), Exit.USAGE), (("--version",), Exit.OK), (("--help",), Exit.OK), (("help", "run"), Exit.OK),
    (("rnu",), Exit.USAGE), (("run",), Exit.USAGE), (("run", "--nonsense"), Exit.USAGE),
    (("check",), Exit.USAGE), (("replay", "-c", "x"), Exit.USAGE), (("decode",), Exit.USAGE),
    (("run", "-c", "/nowhere/ods-sink.conf"), Exit.CONFIG),
    (("check", "-c", "/nowhere/ods-sink.conf"), Exit.CONFIG),
], ids=lambda value: " ".join(value) or "nothing" if isinstance(value, tuple) else None)
def test_command_line(sink, arguments, code):
    done = sink.run(*arguments, expect=code)
    assert done.stdout or done.stderr


def test_commands_of_other_programs(sink):
    """Each is told what does it here, which is there."""
    table = (ROOT / "src/cli/command_line.c").read_text().partition("elsewhere[][2]")[2].partition("};")[0]
    words = re.findall(r'\{"([a-z]+)", "([^"]+)"\}', table)
    assert len(words) > 10
    for word, here in words:
        assert f"unknown command '{word}': here it is {here}\n" in sink.run(word, expect=Exit.USAGE).stderr
        program, *arguments = here.split()
        if program == "ods-sink":
            sink.run(*arguments, *([] if arguments == ["--version"] else ["--help"]), expect=Exit.OK)
        else:
            assert here in (f"systemctl {verb} ods-sink" for verb in ("reload", "restart", "stop"))


@pytest.mark.parametrize("conf, word", [
    ("lane = 2;\n", "lanes"), ("lanes = 100;\n", "64"), ("lanes = two;\n", ""),
    ("log = { level = \"loud\"; };\n", "info"), ("lanes = 2; lanes = 3;\n", "duplicate"),
])
@pytest.mark.parametrize("command", ["check", "run"])
def test_wrong_daemon_file(sink, database, conf, word, command):
    sink.write(pipeline("t"), database=database)
    sink.conf.write_text(sink.conf.read_text() + conf)
    done = sink.run(command, "-c", sink.conf, expect=Exit.CONFIG)
    assert "ods-sink.conf:" in done.stderr and word in done.stderr


@pytest.mark.parametrize("change, word", [
    ({"topics": ["^("]}, "^("), ({"target": "elsewhere"}, "ods"), ({"format": "debzium"}, "debezium"),
    ({"tables": {"a": {"on_delete": "softly"}}}, "soft"), ({"tabels": {}}, "tables"),
])
def test_wrong_tables_file(sink, database, change, word):
    sink.write({**pipeline("t"), **change}, database=database)
    done = sink.check(expect=Exit.CONFIG)
    assert "tables.yaml:" in done.stderr and word in done.stderr


def test_check_prints_no_password(sink, database, stack):
    sink.write(pipeline("t"), database=database)
    done = sink.check()
    assert stack["POSTGRES_PASSWORD"] not in done.stdout + done.stderr
    assert "ods" in done.stdout


def test_check_connects_and_changes_nothing(sink, database, kafka, prefix):
    table = Table(prefix=prefix)
    kafka.create(table.topic)
    sink.write(pipeline(table), database=database, kafka=True)
    before = database.state()
    done = sink.check("--connect")
    assert table.topic in done.stdout
    assert database.state() == before
    assert not database.exists("ods_sink.offsets")


def test_check_tells_source_from_target(sink, database, kafka, prefix):
    table = Table(prefix=prefix)
    kafka.create(table.topic)
    sink.write(pipeline(table), database=database, kafka=True,
               targets=[{"name": "ods", "type": "postgres",
                         "dsn": f"host=127.0.0.1 port={free_port()} dbname=x user=y"}])
    sink.check("--connect", expect=Exit.TARGET)
    sink.write(pipeline(table), database=database, kafka=True)
    text = sink.conf.read_text().replace(kafka.bootstrap, f"127.0.0.1:{free_port()}")
    sink.conf.write_text(text)
    sink.check("--connect", expect=Exit.SOURCE)


def test_replay_whose_target_refuses(sink, stack):
    """A replay does not wait for ever for a server that is not there."""
    stack.up("postgres")
    table = Table()
    sink.write(pipeline(table), targets=[{
        "name": "ods", "type": "postgres",
        "dsn": f"host=127.0.0.1 port={free_port()} dbname=x user=y"}])
    done = sink.run("replay", "-c", sink.conf, "--wait", "1", sink.file_of([table.create(GOOD)]),
                    expect=Exit.TARGET)
    assert "refused" in done.stderr


def test_replay_of_a_file_that_is_none(sink, database, tmp_path):
    sink.write(pipeline("t"), database=database)
    done = sink.run("replay", "-c", sink.conf, tmp_path / "missing.jsonl", expect=None)
    assert done.returncode not in (Exit.OK, -6, -11)
    assert "missing.jsonl" in done.stderr


def test_replay_from_standard_input(sink, database):
    table = Table()
    sink.write(pipeline(table), database=database)
    done = sink.run("replay", "-c", sink.conf, "-", text=json.dumps(table.create(GOOD)) + "\n")
    assert isinstance(json.loads(done.stdout), dict)
    assert database.count("items") == 1


def test_decode_prints_each_change(sink):
    done = sink.run("decode", CUSTOMERS)
    changes = [json.loads(line) for line in done.stdout.splitlines()]
    operations = [change["op"] for change in changes if "op" in change]
    assert sorted(set(operations)) == ["c", "d", "u"]
    update = next(change for change in changes if change.get("op") == "u")
    assert update["table"] == "customers"
    assert update["after"]["monthly_income"] == "20000000.50"
    assert update["after"]["full_name"] == "Budi S."


def test_decode_of_a_bad_record(sink):
    table = Table()
    lines = [json.dumps(table.create(GOOD)), json.dumps(table.record("{}", "{")),
             json.dumps(table.create(GOOD))]
    done = sink.run("decode", "-", text="\n".join(lines) + "\n", expect=Exit.NEGATIVE)
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    assert ["error" in change for change in printed] == [False, True, False]
    assert printed[1]["topic"] == table.topic and printed[1]["offset"] == 1


def test_reference_is_what_docs_hold(sink):
    from lib.stack import ROOT
    assert sink.run("reference").stdout == (ROOT / "docs" / "configuration.md").read_text()
