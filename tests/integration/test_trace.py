"""ods-sink trace: why is this row as it is? One pipeline and one run of the daemon, after which rows have
been made wrong in every way that there is; trace names each."""

import base64
import json

import pytest
from conftest import build
from lib.kafka import Kafka
from lib.postgres import create_database, drop_database
from lib.records import DATETIME, INT, TEXT, Table, pipeline
from lib.sink import Exit, Setup
from lib.terminal import Terminal

PARTITIONS = 4
LONG = "x" * 50
COLUMNS = {"id": INT, "name": TEXT, "amount": INT, "secret": TEXT}
UUID = {"type": "string", "name": "io.debezium.data.Uuid", "version": 1}
DECIMAL = {"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "version": 1,
           "parameters": {"scale": "2", "connect.decimal.precision": "10"}}
FIRST = "6f0d1b4e-1c5a-4f4e-9d2b-0123456789ab"
HOSTILE = "a 'quoted' \"name\",\nb=2\t\\"

# By table: the key's columns; two keys as records have them; the first as --key; is its place told?
KEYED = {
    "uuids": ({"id": UUID}, [(FIRST,), (FIRST.replace("6", "7"),)], [FIRST.upper()], True),
    "texts": ({"code": TEXT}, [(HOSTILE,), ("a",)], [HOSTILE], True),
    # The records' writer escapes what is not ASCII, which Java's does not: they are found all the same.
    "accents": ({"code": TEXT}, [("\u00e9\u4e2d\u6587\U0001f600",), ("a",)],
                ["\u00e9\u4e2d\u6587\U0001f600"], None),
    "pairs": ({"id": INT, "region": TEXT}, [(42, "eu, x=1"), (42, "us")],
              ["region=eu, x=1,id=42"], True),
    "pieces": ({"id": INT, "region": TEXT}, [(7, "eu"), (8, "eu")], ["id=7", "region=eu"], True),
    "moments": ({"at": DATETIME}, [(1_760_000_000_000,), (1_760_000_000_001,)],
                ["2025-10-09 08:53:20"], False),
    "sums": ({"sum": DECIMAL}, [(base64.b64encode(bytes([0x30, 0x39])).decode(),),
                                (base64.b64encode(bytes([1])).decode(),)], ["0123.450"], False),
}


def row(number, name="a", amount=1, **more):
    return {"id": number, "name": name, "amount": amount, "secret": "s", **more}


class World:
    """The tables, their topics, and the daemon that has run."""

    def __init__(self, folder, stack, numbers):
        stack.up("postgres", "kafka")
        self.kafka = Kafka(stack)
        self.stack = stack
        self.database = create_database(stack, f"ods_{next(numbers)}")
        self.sink = Setup(folder, build("asan"), stack)
        prefix = f"t{next(numbers)}-trace"
        self.tables = {name: Table(name, columns=COLUMNS, prefix=prefix)
                       for name in ("items", "hard", "logs", "gone", "held", "people", "few")}
        for name, table in self.tables.items():
            partitions = 1 if name in ("gone", "held") else PARTITIONS
            self.kafka.create(table.topic, partitions)
        for name, (columns, *_) in KEYED.items():
            self.tables[name] = Table(name, columns={**columns, "amount": INT}, key=tuple(columns),
                                      prefix=prefix)
            self.kafka.create(self.tables[name].topic, PARTITIONS)
        self.streamed = Table("streamed", columns=COLUMNS, prefix=prefix)
        self.kafka.create(self.streamed.topic, PARTITIONS)
        self.letters = self.kafka.create(f"{prefix}.letters", 1)
        self.prefix = prefix

    def write(self):
        self.sink.write(
            {"name": "shop", "topics": [table.topic for table in self.tables.values()],
             "format": "debezium", "target": "ods",
             "tables": {
                 "shop.logs": {"skip": True},
                 "shop.hard": {"on_delete": "hard"},
                 "shop.people": {"target": "crm.persons", "columns": {
                     "exclude": ["secret"], "rename": {"name": "full_name"}}}}},
            database=self.database, kafka=True, dead_letter={"topic": self.letters})

    def produce(self, *records):
        self.kafka.produce([{**record, "partition": record["partition"] or -1}
                            for record in records])

    def await_applied(self):
        daemon = self.sink.daemon()
        ends = lambda: sum(self.kafka.count(table.topic) for table in self.tables.values())
        stored = lambda: sum(offset for (group, _, _), offset in self.database.offsets().items()
                             if group == f"{self.sink.group}.shop")
        daemon.await_that(lambda: stored() == ends(), what=lambda: f"{stored()} of {ends()}")
        daemon.stop()

    def trace(self, table, *arguments, expect=None):
        done = self.sink.run("trace", "-c", self.sink.conf, table, *arguments, "--json",
                             expect=expect)
        answer = json.loads(done.stdout)
        assert (done.returncode == Exit.OK) == answer["verdict"]["as_it_should_be"], done.stderr
        return answer

    def text(self, table, *arguments):
        return self.sink.run("trace", "-c", self.sink.conf, table, *arguments, expect=None).stdout

    def close(self):
        self.sink.close()
        self.database.close()
        drop_database(self.stack, self.database.name)


def keyed(world):
    """Both rows of each table, and an update of either."""
    for name, (columns, keys, *_) in KEYED.items():
        table = world.tables[name]
        rows = [{**dict(zip(columns, key)), "amount": 1} for key in keys]
        yield from (table.create(each) for each in rows)
        yield from (table.update(each, {**each, "amount": 2}) for each in rows)


def make_wrong(world):
    items, hard, logs, gone, held, people, few = list(world.tables.values())[:7]
    world.database.execute(
        "create schema crm; create table items (id int primary key, name varchar(10), amount int, "
        "secret text, cdc_operation text, cdc_timestamp timestamptz)")
    world.write()
    created = [items.create(row(number)) for number in range(1, 60)]
    misread = items.record("Struct{id=7}", None)
    world.produce(
        *created, items.update(row(2), row(2, LONG)),
        *[items.update(row(3, amount=n - 1), row(3, amount=n)) for n in (2, 3, 4)], misread,
        items.delete(row(8)), items.tombstone(row(8)),
        hard.create(row(1)), hard.create(row(2)), hard.delete(row(1)), hard.tombstone(row(1)),
        logs.create(row(1)), logs.update(row(1), row(1, "b")),
        gone.create(row(1)), held.create(row(1)),
        people.create(row(1)), people.update(row(1), row(1, "Ann")),
        few.create(row(1)), *keyed(world))
    world.await_applied()
    world.database.execute("update items set amount = 99, name = 'by hand' where id = 4")
    world.database.execute("delete from items where id = 10")
    world.database.execute("insert into items values (900, 'never', 1)")
    world.database.execute("insert into hard values (1, 'back', 1)")
    world.produce(items.update(row(5), row(5, "new")), gone.update(row(1), row(1, "lost")),
                  gone.update(row(2), row(2, "lost")), held.update(row(1), row(1, "held")))
    world.kafka.delete_records(gone.topic, 0, 3)


@pytest.fixture(scope="module")
def world(stack, tmp_path_factory, _numbers):
    world = World(tmp_path_factory.mktemp("trace"), stack, _numbers)
    try:
        make_wrong(world)
        yield world
    finally:
        world.close()


def states(answer):
    return [record["state"] for record in answer["records"]]


def test_as_sent_and_folded(world):
    answer = world.trace("shop.items", "--key", "3", expect=Exit.OK)
    assert states(answer) == ["folded"] * 3 + ["applied"]
    assert [record["after"]["amount"] for record in answer["records"]] == ["1", "2", "3", "4"]
    assert answer["verdict"]["code"] == "as-sent"
    assert answer["target"]["state"] == "present" and answer["target"]["row"]["amount"] == "4"
    read = [place["partition"] for place in answer["partitions"] if place["read"]]
    assert answer["partition_told_by_key"] and read == [answer["records"][0]["partition"]]
    text = world.text("items", "--key", "3")
    assert "amount: 3 -> 4" in text and "folded" in text
    assert text.strip().splitlines()[-1] == answer["verdict"]["text"]


def test_letter(world):
    answer = world.trace("items", "--key", "2", expect=Exit.NEGATIVE)
    assert states(answer) == ["applied", "waiting"]
    letter = answer["records"][1]["letter"]
    assert (letter["topic"], letter["state"], letter["code"]) == (world.letters, "waiting", "22001")
    assert answer["verdict"]["code"] == "letter"
    assert "dlq replay" in answer["verdict"]["text"] and "50 characters" in answer["verdict"]["text"]


def test_excluded_and_renamed_columns(world):
    answer = world.trace("shop.people", "--key", "1", expect=Exit.OK)
    assert answer["verdict"]["code"] == "columns-left-out"
    assert "secret (left out by tables.yaml)" in answer["verdict"]["text"]
    assert answer["target"]["row"]["full_name"] == "Ann" and not answer["target"]["differs"]
    assert world.trace("crm.persons", "--key", "id=1")["table"] == answer["table"] | \
        {"source_qualifier": "shop", "source": "people"}


def test_skipped_table(world):
    answer = world.trace("shop.logs", "--key", "1", expect=Exit.NEGATIVE)
    assert states(answer) == ["passed over"] * 2
    assert answer["verdict"]["code"] == "table-left-out"


def test_changed_by_hand(world):
    answer = world.trace("items", "--key", "4", expect=Exit.NEGATIVE)
    assert answer["verdict"]["code"] == "changed-in-target"
    assert {cell["column"]: (cell["value"], cell["expected"]) for cell in
            answer["target"]["differs"]} == {"amount": ("99", "1"), "name": ("by hand", "a")}
    assert "name, amount" in answer["verdict"]["text"]


def test_removed_by_hand_and_written_by_hand(world):
    assert world.trace("items", "--key", "10")["verdict"]["code"] == "removed-in-target"
    answer = world.trace("hard", "--key", "1")
    assert answer["verdict"]["code"] == "written-in-target"
    assert states(answer) == ["folded", "applied", "passed over"]


def test_not_yet_applied(world):
    answer = world.trace("items", "--key", "5", expect=Exit.NEGATIVE)
    assert states(answer) == ["applied", "ahead"]
    assert answer["verdict"]["code"] == "behind" and "no daemon" in answer["verdict"]["text"]


def test_lost_by_retention(world):
    for key, state in (("1", "present"), ("2", "absent")):
        answer = world.trace("gone", "--key", key, expect=Exit.NEGATIVE)
        assert answer["verdict"]["code"] == "lost" and answer["target"]["state"] == state
        assert "Records 1 to 2" in answer["verdict"]["text"]


def test_paused(world):
    """The order that `ods-sink pause` leaves in the target."""
    topic = world.tables["held"].topic
    world.database.execute(
        "create table if not exists ods_sink.table_control (consumer_group text, topic text, "
        "state text, table_name text, reason text, ordered_by text, ordered_at timestamptz "
        "default clock_timestamp(), number bigint)")
    world.database.execute(
        "insert into ods_sink.table_control values (%s, %s, 'paused', 'held', 'bad load', 'ann@h', "
        "now(), 1)", f"{world.sink.group}.shop", topic)
    answer = world.trace("held", "--key", "1", expect=Exit.NEGATIVE)
    assert states(answer) == ["applied", "ahead"] and answer["verdict"]["code"] == "paused"
    assert "bad load" in answer["verdict"]["text"] and "ann@h" in answer["verdict"]["text"]
    assert "paused since" in world.text("held", "--key", "1")


def test_passed_over_by_an_operator(world):
    """What `ods-sink skip-until` has moved the stored offset over."""
    topic = world.tables["hard"].topic
    record = world.trace("hard", "--key", "2")["records"][0]
    world.database.execute(
        "create table if not exists ods_sink.control_history (id bigint generated always as "
        "identity, consumer_group text, topic text, table_name text, action text, details text, "
        "reason text, ordered_by text, ordered_at timestamptz default clock_timestamp())")
    world.database.execute(
        "insert into ods_sink.control_history (consumer_group, topic, table_name, action, details, "
        "reason, ordered_by) values (%s, %s, 'hard', 'skip-until', %s, 'poison', 'ann@h')",
        f"{world.sink.group}.shop", topic, f"until 10m: {topic} [{record['partition']}] "
        f"{record['offset']} to {record['offset'] + 1} {topic} [77] 0 to 5")
    answer = world.trace("hard", "--key", "2", expect=Exit.NEGATIVE)
    assert states(answer) == ["passed over"] and answer["verdict"]["code"] == "skipped-until"
    assert "poison" in answer["verdict"]["text"]
    world.database.execute("delete from ods_sink.control_history")


def test_key_misread(world):
    answer = world.trace("items", "--key", "7", expect=Exit.NEGATIVE)
    assert answer["verdict"]["code"] == "unreadable-letter"
    misread, = [record for record in answer["records"] if record["maybe"]]
    assert misread["state"] == "waiting" and misread["letter"]["stage"] == "decode"
    assert answer["target"]["state"] == "present", "its delete could not be read"


def test_never_sent(world):
    answer = world.trace("items", "--key", "901", expect=Exit.NEGATIVE)
    assert answer["verdict"]["code"] == "never-sent" and not answer["records"]
    assert all(place["read"] for place in answer["partitions"]), "all are read before that is said"
    answer = world.trace("items", "--key", "900", expect=Exit.NEGATIVE)
    assert answer["verdict"]["code"] == "never-sent" and answer["target"]["state"] == "present"


def test_deleted(world):
    answer = world.trace("items", "--key", "8", expect=Exit.OK)
    assert states(answer) == ["folded", "applied", "passed over"]
    assert answer["verdict"]["code"] == "deleted" and answer["target"]["state"] == "soft-deleted"


def test_from(world):
    answer = world.trace("items", "--key", "3", "--from", "2099-01-01")
    assert answer["verdict"]["code"] == "nothing-since" and not answer["records"]
    first = world.trace("items", "--key", "3")["records"]
    later = world.trace("items", "--key", "3", "--from", first[-1]["offset"])
    assert [record["offset"] for record in later["records"]] == [first[-1]["offset"]]
    assert later["verdict"]["code"] == "as-sent"


@pytest.mark.parametrize("name", KEYED)
def test_keys_of_any_type(world, name):
    _, _, given, told = KEYED[name]
    options = [word for key in given for word in ("--key", key)]
    answer = world.trace(name, *options, expect=Exit.OK)
    assert states(answer) == ["folded", "applied"] and answer["verdict"]["code"] == "as-sent"
    assert answer["target"]["row"]["amount"] == "2"
    assert told is None or answer["partition_told_by_key"] == told


@pytest.mark.parametrize("table, arguments, words", [
    ("items", ["--key", "x"], "integer"),
    ("pairs", ["--key", "42"], "2 columns"),
    ("pairs", ["--key", "id=42"], "region=…"),
    ("items", ["--key", "id=1,id=2"], "two values"),
    ("nobody.items.x", ["--key", "1"], None),
    ("items", ["--key", "1", "--from", "soon"], "--from"),
    ("items", ["--key", "1", "--pipeline", "other"], "other"),
    ("items", [], "--key")], ids=str)
def test_wrong_use(world, table, arguments, words):
    done = world.sink.run("trace", "-c", world.sink.conf, table, *arguments, expect=None)
    if words is None:
        assert done.returncode == Exit.NEGATIVE, "any table may be one of a pipeline without list"
    else:
        assert done.returncode == Exit.USAGE and words in done.stderr, done.stderr
        assert not done.stdout


def test_changes_nothing(world):
    before = world.database.state()
    members = world.kafka.committed(f"{world.sink.group}.shop", world.tables["items"].topic, 1)
    world.trace("items", "--key", "5")
    assert world.database.state() == before
    assert world.kafka.committed(f"{world.sink.group}.shop", world.tables["items"].topic,
                                 1) == members


def test_letters_that_were_put_away_or_replayed(world):
    topic = world.tables["items"].topic
    letter = world.trace("items", "--key", "2")["records"][-1]
    world.sink.run("dlq", "skip", "-c", world.sink.conf, "--topic", topic, "--partition",
                   letter["partition"], "--offset", letter["offset"])
    answer = world.trace("items", "--key", "2", expect=Exit.NEGATIVE)
    assert states(answer) == ["applied", "skipped"]
    assert answer["verdict"]["code"] == "letter-skipped"
    world.database.execute("alter table items alter column name type text")
    world.sink.run("dlq", "replay", "--again", "-c", world.sink.conf, "--topic", topic,
                   "--partition", letter["partition"], "--offset", letter["offset"])
    answer = world.trace("items", "--key", "2", expect=Exit.OK)
    assert states(answer)[-1] == "replayed" and answer["verdict"]["code"] == "as-sent"
    assert answer["target"]["row"]["name"] == LONG


def test_interrupt_and_progress(world):
    """On a terminal it says how far it is, and ^C ends it with its own code and nothing printed."""
    many = world.tables["few"]
    world.produce(*[many.create(row(number)) for number in range(2, 3000)])
    command = [world.sink.binary, "trace", "-c", world.sink.conf, "few", "--key", "name=a,id=1"]
    terminal = Terminal(command, env=world.stack.environment())
    terminal.read(until="reading ")
    terminal.write("\x03")
    text, code = terminal.wait()
    assert code == 130 and "The row" not in text


def test_while_it_streams(world, tmp_path):
    """A row that changes all the time is never taken for one that was changed by hand."""
    table = world.streamed
    sink = Setup(tmp_path, build("asan"), world.stack)
    sink.write(pipeline(table), database=world.database, kafka=True)

    def verdict():
        done = sink.run("trace", "-c", sink.conf, "streamed", "--key", "1", "--json", expect=None)
        return json.loads(done.stdout)["verdict"]["code"]

    world.produce(table.create(row(1)))
    daemon = sink.daemon().await_ready()
    daemon.await_that(lambda: verdict() == "as-sent")
    for number in range(1, 400):
        world.produce(table.update(row(1), row(1, amount=number)))
        if number % 40 == 0:
            assert verdict() in ("as-sent", "behind")
    daemon.await_that(lambda: verdict() == "as-sent")
    daemon.stop()
    sink.close()
