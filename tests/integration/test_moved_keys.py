"""Keys that change, told in the new key's partition: the partitions are read in any order, and every
row is as at the source."""

import random
import zlib

import pytest
from conftest import GOLDEN
from lib import records
from lib.maxwell import Table, pipeline
from lib.postgres import administer
from lib.sink import Exit, read_lines
from lib.size import size
from lib.text import assert_same_rows
from test_maxwell import MADE, ROWS, configure

PARTITIONS = 4
COLUMNS = ["id", "name", "amount"]


class Source(Table):
    """A table whose records stand in the partition of their key, as Maxwell's producer_partition_by
    = primary_key has them, and what its rows are."""

    def __init__(self, seed, steps, at_once=False):
        super().__init__()
        self.rows, self.records, self.places = {}, [], {}
        self._random, started_s = random.Random(seed), self._clock_s
        for _ in range(steps):
            self._step()
            if at_once:
                self._clock_s = started_s

    def record(self, topic, key, payload):
        record = super().record(topic, key, payload)
        partition = zlib.crc32(key.encode()) % PARTITIONS
        offset = self.places[partition] = self.places.get(partition, -1) + 1
        # Each comes to Kafka a little later than the one before.
        record.update(partition=partition, offset=offset, ts=1_760_000_000_000 + len(self.records))
        self.records.append(record)
        return record

    def _step(self):
        free = [number for number in range(12) if number not in self.rows]
        what = self._random.choice(["insert", "update", "delete", "move", "move", "swap"])
        number = self._random.choice(list(self.rows) or [None])
        amount = self._random.randrange(1000)
        if number is None or (what == "insert" and free):
            number = self._random.choice(free)
            self.rows[number] = {"id": number, "name": f"n{amount}", "amount": amount}
            self.insert(self.rows[number])
        elif what == "delete":
            self.delete(self.rows.pop(number))
        elif what == "update":
            self._change(number, number, amount=amount)
        elif free and what == "move":
            self._change(number, self._random.choice(free), amount=amount)
        elif free and len(self.rows) > 1:
            other = self._random.choice([one for one in self.rows if one != number])
            for here, there in ((number, free[0]), (other, number), (free[0], other)):
                self._change(here, there)

    def _change(self, number, key, **values):
        before = self.rows.pop(number)
        self.rows[key] = {**before, "id": key, **values}
        self.update(before, self.rows[key])


def shuffled(changes, seed):
    """Each partition in its own order, among each other in any."""
    chance, partitions = random.Random(seed), {}
    for record in changes:
        partitions.setdefault((record["topic"], record["partition"]), []).append(record)
    lists = [rows[::-1] for rows in partitions.values()]
    while lists:
        chosen = chance.choice(lists)
        # Now and then one runs far ahead.
        for _ in range(chance.choice((1, 1, 2, 40))):
            if chosen:
                yield chosen.pop()
        lists = [rows for rows in lists if rows]


def assert_rows(database, source):
    found = database.execute("select id, name, amount from items where cdc_operation <> 'd' "
                             "order by id")
    assert found == [tuple(source.rows[number][name] for name in COLUMNS)
                     for number in sorted(source.rows)]


@pytest.mark.parametrize("on_delete", ["hard", "soft"])
@pytest.mark.parametrize("events", [1, 7, 1000])
@pytest.mark.parametrize("seed", range(6))
def test_partitions_in_any_order(sink, database, seed, events, on_delete):
    source = Source(seed, steps=120)
    sink.write(pipeline(defaults={"on_delete": on_delete}), database=database,
               batch={"max_events": events})
    counts = sink.replay(list(shuffled(source.records, seed)))["pipelines"][0]
    assert_rows(database, source)
    assert counts["rejected"] == {"decode": 0, "apply": 0}
    assert counts["outdated"] > 0


@pytest.mark.parametrize("seed", range(4))
def test_all_at_one_moment_in_one_batch(sink, database, seed):
    """The source's clock shows whole seconds; records of one batch are told apart all the same."""
    source = Source(seed, steps=60, at_once=True)
    sink.write(pipeline(defaults={"on_delete": "hard"}), database=database)
    sink.replay(list(shuffled(source.records, seed)))
    assert_rows(database, source)


@pytest.mark.parametrize("seed", range(4))
def test_captured_partitions_in_any_order(sink, database, seed):
    configure(sink, database, "made", batch={"max_events": 3})
    ddl, rows = [], []
    for path in sorted((GOLDEN / "maxwell").glob("app_producer.*.jsonl")):
        (ddl if path.stem.endswith(".ddl") else rows).extend(read_lines(path))
    sink.replay(ddl + list(shuffled(rows, seed)))
    for table in ("orders", "composite"):
        assert_same_rows([sorted(map(list, row.items())) for row in ROWS[table]],
                         database.rows(table, MADE[table]), table)


def offsets_of(database):
    return {key[-1]: offset for key, offset in database.offsets().items()}


@pytest.mark.parametrize("kills", [0, size("MOVED_KILLS", 3, 10)])
def test_several_lanes(sink, database, kafka, prefix, kills):
    """They read their partitions at their own pace, and end anywhere with kill -9."""
    source = Source(7, steps=3000)
    kafka.create(f"{prefix}items", PARTITIONS)
    kafka.produce([{**record, "topic": f"{prefix}items"} for record in source.records])
    sink.write(pipeline(f"{prefix}items", lanes=4, defaults={"on_delete": "hard"}),
               database=database, kafka=True, batch={"max_events": 20})
    ends = {partition: offset + 1 for partition, offset in source.places.items()}
    for number in range(kills):
        daemon = sink.daemon()
        share = sum(ends.values()) * (number + 1) // (kills + 1)
        daemon.await_that(lambda: database.exists("ods_sink.offsets") and
                          sum(offsets_of(database).values()) >= share, what=f"{share} records")
        daemon.kill()
    daemon = sink.daemon()
    daemon.await_that(lambda: database.exists("ods_sink.offsets") and offsets_of(database) == ends,
                      what="every partition at its end")
    daemon.stop()
    assert_rows(database, source)


def test_who_stands_still_keeps_nobody_from_its_turn(sink, database, kafka, prefix):
    """A process that was stopped while its lane had a turn."""
    table, one = Table(prefix=prefix), {"id": 1, "name": "a"}
    kafka.create(table.topic, 1)
    kafka.produce([table.insert(one), table.update(one, {**one, "id": 2})])
    sink.write(pipeline(f"{table.topic}", name="items"), kafka=True, targets=[
        {"name": "ods", "type": "postgres", "dsn": database.dsn, "lock_timeout_ms": 200,
         "idle_in_transaction_timeout_ms": 1000}])
    stopped = database.connect()
    with stopped.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(723549820, hashtext(%s))", [f"{sink.group}.items"])
    daemon = sink.daemon()
    daemon.await_that(lambda: database.exists("items") and
                      database.execute("select id, cdc_operation from items order by id") ==
                      [(1, "d"), (2, "c")], what="the key to change")
    assert daemon.metric("ods_sink_retries_total") > 0
    daemon.stop()


def test_without_changed_keys_nothing_is_kept(sink, database):
    table = Table()
    sink.write(pipeline(), database=database)
    counts = sink.replay([table.insert({"id": 1, "name": "a"}),
                          table.update({"id": 1, "name": "a"}, {"id": 1, "name": "b"}),
                          table.delete({"id": 1, "name": "b"})])["pipelines"][0]
    assert database.count("ods_sink.moved_keys") == 0
    assert counts["outdated"] == 0


def test_what_is_kept_goes_after_a_week(sink, database):
    table, one = Table(), {"id": 1, "name": "a"}
    sink.write(pipeline(), database=database)
    sink.replay([table.insert(one), table.update(one, {**one, "id": 2})])
    assert database.count("ods_sink.moved_keys") == 2
    database.execute("update ods_sink.moved_keys set noted_at = now() - interval '8 days'")
    sink.replay([table.insert({**one, "id": 3}), table.update({**one, "id": 3}, {**one, "id": 4})])
    assert database.count("ods_sink.moved_keys") == 2


# --- one by one -----------------------------------------------------------------------------------

T = 1_760_000_000_000
ONE, TWO = {"id": 1, "name": "one"}, {"id": 2, "name": "two"}
CDC = "cdc_operation text, cdc_timestamp timestamptz"


def placed(*changes):
    """(record, partition) in the order of their times in Kafka, as records."""
    offsets = {}
    for number, (record, partition) in enumerate(changes):
        offsets[partition] = offsets.get(partition, -1) + 1
        record.update(partition=partition, offset=offsets[partition], ts=T + number)
    return [record for record, _ in changes]


def names(database):
    return database.execute("select id, name from items where cdc_operation <> 'd' order by id")


@pytest.mark.parametrize("events", [1, 1000], ids=["one by one", "one batch"])
def test_clock_that_goes_back(sink, database, events):
    """In a partition the offset says what is newer, whatever the time."""
    table = Table()
    changes = placed((table.insert(ONE), 0), (table.update(ONE, TWO), 0),
                     (table.update(TWO, {**TWO, "name": "new"}), 0), (table.insert(ONE), 0))
    for record in changes[2:]:
        record["ts"] -= 5000
    sink.write(pipeline(defaults={"on_delete": "hard"}), database=database,
               batch={"max_events": events})
    sink.replay(changes)
    assert names(database) == [(1, "one"), (2, "new")]


@pytest.mark.parametrize("on_delete, shown", [("hard", [(2, "two", "c")]),
                                              ("ignore", [(1, "one", "c"), (2, "two", "c")])])
def test_old_row_that_comes_too_late(sink, database, on_delete, shown):
    """Where deletes are ignored it stays, as it would if it had come before."""
    table = Table()
    old, move = placed((table.insert(ONE), 0), (table.update(ONE, TWO), 1))
    sink.write(pipeline(defaults={"on_delete": on_delete}), database=database)
    for late in [move], [old]:
        sink.replay(late)
    assert database.execute("select id, name, cdc_operation from items order by id") == shown


@pytest.mark.parametrize("refused", ["move", "create"])
def test_what_is_set_aside_outdates_nothing(sink, database, refused, tmp_path):
    """It says nothing of its key: an older change that comes later counts."""
    table, long = Table(), "too long"
    database.execute(f"create table items (id int primary key, name varchar(3), {CDC})")
    sink.write(pipeline(defaults={"on_delete": "hard"}), database=database)
    nine = {**TWO, "id": 9}
    if refused == "move":
        first, second, late, bad = placed((table.insert(ONE), 0), (table.insert(TWO), 1),
                                          (table.update(TWO, nine), 2),
                                          (table.update(ONE, {**TWO, "name": long}), 1))
        expected = [(1, "one"), (9, "two")]
    else:
        first, second, late, bad = placed((table.insert(ONE), 0), (table.update(ONE, TWO), 1),
                                          (table.update(TWO, nine), 2),
                                          (table.insert({**TWO, "name": long}), 1))
        expected = [(9, "two")]
    for part in [first, second], [bad], [late]:
        sink.replay(part, dead_letter=tmp_path / "letters.jsonl")
    assert names(database) == expected


def test_neighbour_of_what_is_set_aside_is_applied(sink, database, tmp_path):
    table, new = Table(), {**ONE, "name": "new"}
    database.execute(f"create table items (id int primary key, name varchar(3), {CDC})")
    sink.write(pipeline(defaults={"on_delete": "hard"}), database=database)
    first, update, move = placed((table.insert(ONE), 0), (table.update(ONE, new), 0),
                                 (table.update(new, {"id": 2, "name": "too long"}), 1))
    sink.replay([first])
    sink.replay([move, update], dead_letter=tmp_path / "letters.jsonl")
    assert names(database) == [(1, "new")]


def test_key_of_the_configuration_alone(sink, database):
    table = Table(key=())
    database.execute(f"create table items (id int primary key, name text, {CDC})")
    sink.write(pipeline(defaults={"on_delete": "hard"}, tables={"items": {"key": ["id"]}}),
               database=database)
    old, move = placed((table.insert(ONE), 0), (table.update(ONE, TWO), 1))
    for late in [move], [old]:
        sink.replay(late)
    assert names(database) == [(2, "two")]


def test_key_column_that_is_widened_meanwhile(sink, database):
    table, old_row, new_row = Table(), {"id": -1, "name": "one"}, {"id": -2, "name": "two"}
    database.execute(f"create table items (id int primary key, name text, {CDC})")
    sink.write(pipeline(defaults={"on_delete": "hard"}), database=database)
    old, move = placed((table.insert(old_row), 0), (table.update(old_row, new_row), 1))
    sink.replay([move])
    database.execute("alter table items alter id type bigint")
    sink.replay([old])
    assert names(database) == [(-2, "two")]


def test_void_changes_are_counted_once(sink, database):
    table = Table()
    old, move = placed((table.insert(ONE), 0), (table.update(ONE, TWO), 1))
    sink.write(pipeline(), database=database)
    sink.replay([move])
    counts = sink.replay([old])["pipelines"][0]
    assert (counts["outdated"], counts["left_out"], counts["upserted"]) == (1, 0, 0)


def test_table_that_is_gone_is_made_again(sink, database, kafka, prefix):
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1)
    kafka.produce([table.insert(ONE)])
    sink.write(pipeline(table.topic), database=database, kafka=True)
    daemon = sink.daemon()
    daemon.await_that(lambda: database.count("items") == 1, what="the table")
    database.execute("drop table items")
    kafka.produce([table.update(ONE, TWO)])
    daemon.await_that(lambda: database.exists("items") and names(database) == [(2, "two")],
                      what="the table, made again")
    daemon.stop()


def test_role_that_may_make_no_schema_goes_on_without_such_a_format(sink, database):
    """An installation from before there were moved keys."""
    items, table = records.Table(), Table()
    sink.write(records.pipeline(items), database=database)
    sink.replay([items.create(records.row(1))])
    database.execute("drop table ods_sink.moved_keys")
    administer(database.stack, f"revoke create on database {database.name} from public, ods; "
                               f"alter database {database.name} owner to postgres")
    sink.replay([items.create(records.row(2))])
    assert database.count("items") == 2
    sink.write(pipeline(), database=database)
    done = sink.replay_fails([table.insert(ONE)], Exit.TARGET)
    assert "sql/ods_sink.sql" in done.stderr


@pytest.mark.parametrize("options", [(), ("--force",)], ids=["replay", "force"])
def test_letters_are_applied_whole_and_in_any_order(sink, database, kafka, prefix, options):
    """Both changes of a key that was refused; and by force an older change after a newer one."""
    table, letters = Table(prefix=prefix), f"{prefix}.letters"
    database.execute(f"create table items (id int primary key, name varchar(3), {CDC})")
    kafka.create(table.topic, 1)
    kafka.create(letters, 1)
    kafka.produce([table.insert(ONE), table.insert({"id": 2, "name": "older"}),
                   table.update(ONE, {"id": 2, "name": "newer"})])
    sink.write(pipeline(table.topic), database=database, kafka=True,
               dead_letter={"topic": letters})
    daemon = sink.daemon()
    daemon.await_that(lambda: database.exists("ods_sink.offsets") and
                      list(offsets_of(database).values()) == [3], what="all records")
    daemon.stop()
    assert names(database) == [(1, "one")]
    database.execute("alter table items alter name type text")
    sink.run("dlq", "replay", "-c", sink.conf, *options, "--offset", "2")
    assert names(database) == [(2, "newer")]
    sink.run("dlq", "replay", "-c", sink.conf, *options, "--offset", "1",
             expect=Exit.OK if options else None)
    assert names(database) == [(2, "older" if options else "newer")]


def test_what_waits_for_a_partner_in_vain_outdates_nothing(sink, database, kafka, prefix):
    """Its neighbours are committed before it is given up."""
    table, five, letters = Table(prefix=prefix), {"id": 5, "name": "x"}, f"{prefix}.letters"
    database.execute(f"create table items (id int primary key, name text unique, {CDC})")
    kafka.create(table.topic, 3)
    kafka.create(letters, 1)
    changes = placed(
        (table.insert(five), 0), (table.insert(ONE), 0), (table.insert(TWO), 1),
        (table.update(TWO, {**TWO, "id": 9}), 2), (table.insert({"id": 6, "name": "six"}), 1),
        (table.update(ONE, {"id": 2, "name": "x"}), 1))
    first, second, third, away, other, move = [{**change, "produced_ms": change["ts"]}
                                               for change in changes]
    sink.write(pipeline(table.topic, lanes=1, defaults={"on_delete": "hard"}), database=database,
               kafka=True, dead_letter={"topic": letters}, retry={"constraint_attempts": 3})
    daemon = sink.daemon()
    for part, offsets in (([first, second, third], {0: 2, 1: 1}),
                              ([other, move], {0: 2, 1: 3}), ([away], {0: 2, 1: 3, 2: 1})):
        kafka.produce(part)
        daemon.await_that(lambda: database.exists("ods_sink.offsets") and
                          offsets_of(database) == offsets, what=str(offsets))
    daemon.stop()
    assert kafka.count(letters) == 1
    assert names(database) == [(1, "one"), (5, "x"), (6, "six"), (9, "two")]


def test_names_are_kept_as_they_are(sink, database):
    """Also those that hold the name of the sink's own schema, quotes and braces."""
    name = "a 'b' \"c\" {d,e} \\f ods_sink.offsets"
    table = Table(name, prefix="ods_sink")
    sink.write(pipeline("^ods_sink\\..*", group_id="ods_sink.'group'",
                        defaults={"on_delete": "hard"}, tables={name: {"target": "items"}}),
               database=database)
    old, move = placed((table.insert(ONE), 0), (table.update(ONE, TWO), 1))
    topic = "ods_sink.moved_keys"
    for late in [move], [old]:
        sink.replay([{**record, "topic": topic} for record in late])
    assert names(database) == [(2, "two")]
    assert set(database.execute("select consumer_group, table_name, topic, partition "
                                "from ods_sink.moved_keys")) == \
        {("ods_sink.'group'", '"public"."items"', topic, 1)}
