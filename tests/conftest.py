"""Servers and programs for the tests. Parts of the stack start when the first test wants them and
are ended with the session, also when it fails or is interrupted."""

import itertools
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "types"))

from lib.kafka import Kafka  # noqa: E402
from lib.lake import Reader, engine  # noqa: E402
from lib.mysql import Source  # noqa: E402
from lib.mysql_target import Server  # noqa: E402
from lib.postgres import create_database, drop_database  # noqa: E402
from lib.records import Table  # noqa: E402
from lib.running import Running  # noqa: E402
from lib.set_up import promised  # noqa: E402
from lib.sink import Setup  # noqa: E402
from lib.stack import ROOT, Stack  # noqa: E402

GOLDEN = ROOT / "tests" / "golden"

def pytest_configure(config):
    # A runner that is told to end by SIGTERM ends its servers too.
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    config.pluginmanager.register(Running(config))
    # Rust may lack, and with it the lake engine; where it is there, no test of the lake is left out.
    if promised() and not hasattr(config, "workerinput") and build("asan").exists() and not engine(build("asan")) and \
            not subprocess.run([ROOT / "scripts" / "lake-build", "--check"], capture_output=True).returncode:
        raise pytest.UsageError("Rust is there, but not the lake engine beside the program: all its tests would be skipped")


def pytest_report_header(config):
    return [f"ods-sink: {build('release')} and, for integration, {build('asan')}"]


def pytest_collection_finish(session):
    """What tests download is there before the first of them begins, whose time-out is not for that. It is in the
    cache where scripts/setup has run."""
    modules = {item.module for item in session.items}
    if session.config.option.collectonly or not engine(os.environ.get("ODS_SINK_BINARY") or build("asan")):
        return
    for name, script in (("WHY_NOT", "lake-readers"), ("RestCatalog", "lake-catalog")):
        if any(name in vars(module) for module in modules):
            subprocess.run([ROOT / "scripts" / script, "--prepare"], stdout=subprocess.DEVNULL, check=False)


def build(preset):
    """The program of a preset; ODS_TEST_<PRESET> names another one."""
    name = f"ODS_TEST_{preset.upper()}"
    return Path(os.environ.get(name, ROOT / "build" / preset / "ods-sink"))


@pytest.fixture(scope="session")
def stack():
    """Each fixture below starts the parts that it needs, all at once."""
    stack = Stack()
    try:
        yield stack
    finally:
        stack.close()


@pytest.fixture
def report(request):
    """A function that adds a line to the run's summary: what was measured, with which seed."""
    return lambda text: request.node.user_properties.append(("report", text))


def pytest_terminal_summary(terminalreporter):
    lines = [f"{outcome.nodeid.split('::')[-1]}: {text}"
             for kind in ("passed", "failed") for outcome in terminalreporter.getreports(kind)
             if outcome.when == "call"
             for name, text in outcome.user_properties if name == "report"]
    if lines:
        terminalreporter.section("measured")
        for line in lines:
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def _numbers():
    return itertools.count(1)


@pytest.fixture
def databases(stack, _numbers):
    """A function that makes a database; all are gone after the test."""
    made = []

    def make():
        stack.up("postgres")
        database = create_database(stack, f"ods_{next(_numbers)}")
        made.append(database)
        return database

    yield make
    for database in made:
        database.close()
        stack.up("postgres")
        drop_database(stack, database.name)


@pytest.fixture
def database(databases):
    return databases()


@pytest.fixture
def binary(request):
    """The instrumented program where correctness is at stake, the released one where time is."""
    folder = request.path.parent.name
    preset = "asan" if folder in ("integration", "golden", "contract") else "release"
    program = build(preset)
    assert program.exists(), f"{program} is not built: cmake --preset {preset} && " \
        f"cmake --build --preset {preset}, or scripts/test"
    return program


@pytest.fixture
def sink(tmp_path, binary, stack):
    """Configuration files in a folder of the test's own, and the program with them."""
    sink = Setup(tmp_path, binary, stack)
    yield sink
    sink.close()


@pytest.fixture(scope="session")
def kafka(stack):
    stack.up("postgres", "kafka")
    return Kafka(stack)


@pytest.fixture
def table(request, kafka, prefix):
    """A table and its topic, of as many partitions as the test's module says."""
    table = Table(prefix=prefix)
    kafka.create(table.topic, getattr(request.module, "PARTITIONS", 1))
    return table


@pytest.fixture
def source(stack):
    stack.up("mysql")
    source = Source(stack)
    yield source
    source.close()


@pytest.fixture(scope="session")
def lake_reader():
    """Readers of lake tables, in a process of their own."""
    reader = Reader()
    yield reader
    reader.close()


@pytest.fixture(scope="session")
def mysql_server():
    """A MySQL that is a target."""
    server = Server("mysql")
    yield server
    server.close()


@pytest.fixture(scope="session")
def connect(stack):
    stack.up("postgres", "mysql", "kafka", "connect")
    return stack


@pytest.fixture(scope="session")
def postgres_source(stack):
    stack.up("postgres", "kafka", "connect")
    return stack


@pytest.fixture
def prefix(request, _numbers):
    """A name for topics of this test alone."""
    return "t%d-%s" % (next(_numbers), re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:40])
