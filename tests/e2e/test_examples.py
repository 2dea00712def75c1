"""The examples whose way begins at a source or in Kafka: each command of their README as it stands there, in one shell,
on the real servers; and what the targets must have in the end. (In tests/integration: test_transform_docs.py has masking
and shards, test_derived_shapes.py derived, test_generator_queue.py queue, test_lake_s3.py lake; scripts/demo the others.)

A block ```sh is run; a block ```sh stack starts servers, which stand ready here."""

import json
import os
import re
import signal
import subprocess
from contextlib import suppress

import pytest
from conftest import ROOT
from lib.generator import Generator
from lib.postgres import Database, administer
from lib.sink import free_port
from lib.waiting import wait_for

EXAMPLES = ROOT / "examples"
MIGRATE = (ROOT / "docs" / "migrate.md").read_text(encoding="utf-8")
FINANCE = ("customers", "credit_applications", "vehicle_ownership")
pytestmark = pytest.mark.timeout(900)


class Shell:
    """One shell for a README's commands; the daemon that they start is its child."""

    def __init__(self, name, sink, database, folder, **env):
        self.name, self.sink, self.folder = name, sink, folder
        self.conf = EXAMPLES / name / "ods-sink.conf"
        self.log = folder / "shell.log"
        self.port = free_port()
        dsn = database.dsn.replace("${ODS_STACK_POSTGRES_PASSWORD}", sink.stack["POSTGRES_PASSWORD"])
        self.env = {**sink.stack.environment(), "ODS_STACK_POSTGRES_URL": dsn,
                    "ODS_HTTP_LISTEN": f"127.0.0.1:{self.port}", "XDG_STATE_HOME": str(folder), **env}
        self.env["PATH"] = f"{sink.binary.parent}:{self.env['PATH']}"
        self.process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-s"], stdin=subprocess.PIPE, stdout=open(self.log, "wb"),
            stderr=subprocess.STDOUT, cwd=ROOT, env=self.env, text=True, start_new_session=True)
        # The first ends all with the tests, also if these are killed; the second if a command fails.
        self.process.stdin.write(
            f"(while kill -0 {os.getpid()} 2>/dev/null; do sleep 1; done; kill -9 -- -$$) "
            "</dev/null >/dev/null 2>&1 &\n"
            "trap 'kill -9 $! 2>/dev/null || :' EXIT\n")
        text = (EXAMPLES / name / "README.md").read_text()
        self.blocks = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
        self.ran = 0

    def run(self, text):
        """What it printed; the daemon's log may stand in between."""
        self.ran += 1
        before, done = self.log.stat().st_size, f"::{self.ran} is done"
        script = self.folder / f"block-{self.ran}.sh"
        script.write_text(text)
        self.process.stdin.write(f". {script} </dev/null\necho '{done}'\n")
        self.process.stdin.flush()

        def printed():
            return self.log.read_bytes()[before:].decode(errors="replace")

        wait_for(lambda: done in printed() or self.process.poll() is not None, 180,
                 lambda: f"{text}\n{printed()}")
        assert done in printed(), f"the shell ended with {self.process.returncode}:\n{printed()}"
        return printed()

    def next(self):
        """The README's next block."""
        return self.run(self.blocks.pop(0))

    def command(self, name, *arguments):
        done = subprocess.run([self.sink.binary, name, "-c", self.conf, *arguments, "--json"],
                              capture_output=True, text=True, env=self.env, cwd=ROOT)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def await_all_applied(self, *topics):
        """Nothing waits, in any pipeline, of these topics."""
        def applied():
            found = (self.command("topics") or {}).get("topics", [])
            return set(topics) <= {one["topic"] for one in found} and \
                all(one["lag"] == 0 for one in found)

        wait_for(applied, 90, lambda: f"{self.command('topics')}\n{self.log.read_text()[-3000:]}")

    def end(self):
        assert not self.blocks, "a block of the README was not run"
        self.run("kill $!; wait $!")

    def close(self):
        """The shell and all that it started, whatever they are doing."""
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def shell(sink, databases, tmp_path):
    made = []

    def start(name, **env):
        database = databases()
        made.append(Shell(name, sink, database, tmp_path, **env))
        return made[-1], database

    yield start
    for one in made:
        one.close()


@pytest.fixture
def connector(stack):
    """A connector's name, which is gone afterwards."""
    names = []
    yield names.append
    for name in names:
        stack.connector("delete", "--offsets", f"name={name}")


def commands_of_scripts():
    """What docs/migrate.md puts in the place of each script; without a terminal setup is told --yes."""
    table = MIGRATE.partition("| script | command |")[2].partition("\n\n")[0]
    commands = [line.split("|")[2].strip().strip("`").split("`")[0] for line in table.splitlines()[2:]]
    assert len(commands) >= 10 and commands[0].startswith("ods-sink run")
    return [f"{command} --yes" if " setup " in command else command for command in commands[1:]]


def test_mks_finance(shell, connect, kafka, source, connector):
    for table in reversed(FINANCE):  # other tests have these names with other columns
        source.execute(f"drop table if exists {table}")
    source.script((ROOT / "sql" / "mks_finance" / "source.sql").read_text())
    for table in FINANCE:
        source.execute(f"delete from {table}")
    connector("mks_finance")
    example, database = shell("mks_finance")
    example.next()
    example.next()
    assert "equal" in example.next()
    said = example.next()
    assert "differs" not in said and "Siti" in said
    assert database.execute("select full_name, monthly_income::text, date_of_birth::text, "
                            "cdc_operation from customers order by customer_id") == [
        ("Budi", "12273134.00", "1977-12-19", "r"), ("Siti", "15000000.00", "1985-02-28", "u")]
    assert database.execute("select customer_id, cdc_operation from credit_applications order by 1"
                            ) == [(1, "d"), (2, "r")]
    conf = str(example.conf.relative_to(ROOT))
    commands = [command.replace("ods-sink.conf", conf).replace("--key 42", "--key 1")
                for command in commands_of_scripts()]
    for command in commands:
        if " reset " not in command:
            example.run(command)
    example.end()
    view = re.search(r"create view .*?;", MIGRATE, re.S)[0].replace("reporting.customers", "of_before").replace("ods_new.", "")
    database.execute(view)
    assert database.execute('select customer_id, "_PEERDB_IS_DELETED", "_PEERDB_SYNCED_AT" is null from of_before '
                            "order by 1") == [(1, False, False), (2, False, False)]
    database.execute("drop view of_before")
    reset, = (command for command in commands if " reset " in command)
    assert "mks_finance" in example.run(reset)
    assert database.count("customers") == 2
    example.run(reset.replace("--dry-run", "--yes"))
    assert not database.exists("customers") or not database.count("customers")
    assert not database.count("ods_sink.offsets")


def test_postgres(shell, postgres_source, kafka, connector):
    source = Database(postgres_source, postgres_source["POSTGRES_SOURCE_DATABASE"], "POSTGRES_SOURCE")
    source.execute("set client_min_messages = warning; "
                   f"drop table if exists {', '.join(FINANCE)}")
    connector("pg_finance")
    example, database = shell("postgres")
    try:
        example.next()
        assert "equal" in example.next()
        said = example.next()
        assert "differs" not in said and "gold" in said and "tier" in said
        assert database.execute("select full_name, monthly_income::text, tier from finance.customers "
                                "order by customer_id") == [("Ada", "12273134.00", "gold"),
                                                            ("Grace", None, None)]
        assert database.execute("select customer_id from finance.credit_applications") == [(1,)]
        example.end()
    finally:
        example.close()
        postgres_source.connector("delete", "--offsets", "name=pg_finance")
        slots = "from pg_replication_slots where slot_name = 'pg_finance'"
        wait_for(lambda: source.value(f"select count(*) {slots} and active") == 0, 60,
                 "the slot is free")
        administer(postgres_source, f"select pg_drop_replication_slot(slot_name) {slots}")
        source.execute(f"drop table {', '.join(FINANCE)}")
        source.close()


def truth(sink, databases, *options):
    """What the generator says that its tables must be: a database with the schema `truth`."""
    database, generator = databases(), Generator(sink)
    generator.run("--no-hostile", "--no-schema-changes", *options)
    generator.truth(database)
    return database


ORDERS = "select order_id, customer_id, sku, amount, status from {} order by order_id"


def test_gather(shell, kafka, sink, databases):
    example, database = shell("gather")
    example.next()
    example.await_all_applied(*(f"shard_{shard}.SHOP.{table}" for shard in (1, 2)
                                for table in ("ORDERS", "CUSTOMERS")))
    said = example.next()
    assert "shard_1" in said and "shard_2" in said
    for shard in (1, 2):
        wanted = truth(sink, databases, "--events", "2000", "--seed", str(shard)).execute(
            ORDERS.format("truth.orders"))
        assert len(wanted) > 100
        assert database.execute(ORDERS.format(
            f"(select * from orders where shard = 'shard_{shard}') o")) == wanted
    example.end()


def test_fan_out(shell, kafka, sink, databases, tmp_path):
    archive = tmp_path / "archive"
    example, database = shell("fan-out", ODS_ARCHIVE=str(archive), MASK_KEY="the one of the README")
    example.next()
    example.await_all_applied("fan.SHOP.ORDERS", "fan.SHOP.CUSTOMERS")
    example.next()
    paused = example.next()
    assert "the key is changed" in paused
    wanted = truth(sink, databases, "--events", "3000")
    orders = wanted.execute(ORDERS.format("truth.orders"))
    assert database.execute(ORDERS.format("orders")) == orders
    assert database.execute(ORDERS.format("analysts.orders")) == orders
    people = wanted.value("select count(*) from truth.customers")
    assert database.value("select count(*) from analysts.customers where name = '***'") == people
    assert not database.value("select count(*) from analysts.customers where email like '%@%'")
    sent = kafka.count("fan.SHOP.ORDERS") + kafka.count("fan.SHOP.CUSTOMERS")
    kept = sum(database.value(f"select count(*) from audit.{table}_cdc")
               for table in ("orders", "customers"))
    assert kept == sent
    large = subprocess.run(["kcat", "-C", "-q", "-e", "-b", sink.stack["KAFKA_BOOTSTRAP"], "-t",
                            "orders.large", "-X", "isolation.level=read_committed"], check=True,
                           capture_output=True, text=True).stdout.splitlines()
    # An order that shrinks, or goes, is a delete: the whole topic shows what the table does.
    last = {}
    for value in filter(None, map(str.strip, large)):
        change = json.loads(value)["payload"]
        row = change["after"] or change["before"]
        last[row["ORDER_ID"]] = change["op"]
    big = {order for order, *_, amount, _ in orders if amount >= 9000}
    assert big and {order for order, op in last.items() if op != "d"} == big
    lines = sum(len(file.read_text().splitlines()) for file in archive.rglob("*.jsonl"))
    assert lines == sent
    example.end()


@pytest.mark.parametrize("folder", sorted(EXAMPLES.iterdir()), ids=lambda folder: folder.name)
def test_is_linked_and_whole(folder):
    """Each has the files that it is run by, and the README of the project says where it is."""
    assert {"README.md", "ods-sink.conf", "tables.yaml"} <= {file.name for file in folder.iterdir()}
    assert f"examples/{folder.name}" in (ROOT / "README.md").read_text()
