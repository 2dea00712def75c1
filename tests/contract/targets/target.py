"""What the contract suite asks of a target. One class a target: it makes a world of its own for each
test, says how the sink is configured, and reads what stands in it."""

from dataclasses import dataclass, field

from lib.records import INT, TEXT, Table
from lib.sink import Exit
from lib.toxiproxy import Toxiproxy

SHOWN = ("id", "name", "amount")
UNAVAILABLE = "__debezium_unavailable_value"
DECIMAL = {"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "version": 1,
           "parameters": {"scale": "2"}}
# What the error of a record, and of a moment, may be.
ROW, OUTAGE, FATAL = "a row's", "an outage", "fatal"


class Items(Table):
    """The table of all tests: a target that has tables has it, with these columns, before the test."""

    def __init__(self, prefix="src"):
        super().__init__(prefix=prefix, columns={
            "id": INT, "name": TEXT, "amount": INT, "price": DECIMAL})

    def _source(self, ts_ms):
        return {**super()._source(ts_ms), "connector": "postgresql"}

    def move(self, before, after, **place):
        """A change of the key, as a connector writes it: a delete and a create that name each other."""
        gone, tombstone = self.delete(before, **place), self.tombstone(before, **place)
        come = self.create(after, **place)
        return [{**gone, "headers": ["__debezium.newkey", come["key"]]}, tombstone,
                {**come, "headers": ["__debezium.oldkey", gone["key"]]}]

    def unreadable(self, number, **place):
        """A record whose price is no number."""
        return self.create({"id": number, "name": f"n{number}", "amount": 0, "price": "?"}, **place)


def events_of(prefix):
    """A table without a key beside it: what is applied twice is there twice."""
    return Table("events", prefix=prefix, key=(), columns={"n": INT})


@dataclass(frozen=True)
class Change:
    """One that a target sent on: where it comes from, what it says, by what a repeat is known."""

    place: tuple  # topic, partition, offset
    op: str
    key: int      # of items; None: it is one of events
    after: dict   # without the columns that it does not carry; None of a delete
    identity: str


def change_of(line, identity=None):
    """Of a change as the sink writes it in JSON."""
    place = line["topic"], line["partition"], line["offset"]
    after = line["after"]
    shown = None if after is None else {name: after[name] for name in (*SHOWN, "n") if name in after}
    return Change(place, line["op"], (line["key"] or {}).get("id"), shown,
                  identity or "{}:{}:{}".format(*place))


@dataclass
class Fault:
    """Something that goes wrong: what it is, what the sink says of it, and how it comes and goes."""

    text: str  # a code where the target has codes; stands in the matrix
    kind: str  # ROW, OUTAGE, FATAL
    says: str  # what letter, log or error holds
    begin: object = field(default=lambda: None)
    end: object = field(default=lambda: None)
    row: dict = field(default_factory=lambda: {"id": 5, "name": "n5", "amount": 5})
    columns: dict = field(default_factory=dict)  # of the row's table, where they are other ones


class Target:
    name = ""
    exact = True      # nothing twice, whatever happens; else each repeat has its change's identity
    stores = True     # the offsets from which a lane starts; else the source keeps them
    tables = False    # what stands there are rows; else the changes, in their order
    absent = "not sent"  # what a change does not carry, where there are no tables
    waits = "retry"   # "stands": an outage holds the call up, and no error says so
    ends = True       # some of its faults end the daemon
    rights = ""       # what `check --connect` was seen to name
    bootstrap = None  # another way to the broker
    lacks = Exit.TARGET  # its exit code then

    def __init__(self, request):
        """request: of pytest, for its fixtures."""
        self.stack = request.getfixturevalue("stack")
        self.sink = request.getfixturevalue("sink")
        self.prefix = request.getfixturevalue("prefix")
        self._proxied = None
        self.others = []  # setups beside the sink's
        self.load = None  # of a test that has Kafka

    # Each target's own.

    def settings(self):
        """As in ods-sink.conf, but for the name."""
        raise NotImplementedError

    def changes(self):
        """All that the target shows, in its order; of one with tables there is no such list."""
        raise NotImplementedError

    def distinct(self):
        """What a reader makes of the changes, who knows repeats."""
        seen = {}
        for change in self.changes():
            before = seen.setdefault(change.place, change)
            assert before == change, "a change that comes again says something else"
        identities = {change.identity for change in seen.values()}
        assert len(identities) == len(seen), "two changes have one identity"
        return list(seen.values())

    def rows(self):
        """id: the row, of items."""
        rows = {}
        for change in self.distinct():
            if change.after is None:
                rows.pop(change.key, None)
            elif change.key is not None:
                rows[change.key] = {**rows.get(change.key, {}), **change.after}
        return rows

    def events(self):
        """n of each event."""
        return [change.after["n"] for change in self.distinct() if change.key is None]

    def twice(self):
        """How many changes came again."""
        changes = self.changes()
        return len(changes) - len({change.place for change in changes})

    def marks(self):
        """What a write leaves, so that one which comes once more leaves another: a set."""
        return set(enumerate(map(str, self.changes())))

    def kept(self, marks):
        """Is all that was there there still, and not written once more?"""
        return marks <= self.marks()

    def count(self):
        """Grows with what is applied."""
        return len(self.changes())

    def refused(self):
        """Values of a row that the target, and nobody before it, refuses; and what it says."""
        return None

    def cut(self):
        """An outage begins."""
        self.toxiproxy.enable(self._proxied, False)

    def heal(self):
        self.toxiproxy.enable(self._proxied)

    def apart(self):
        """From now on an outage of the target is none of the source."""

    def is_waiting(self, lane, said):
        """Does the lane's status say so, and for what?"""
        return lane["state"] == "waiting" and not lane["target_reachable"] and \
            said in (lane["last_error"] or "")

    def faults(self):
        """Some of each kind: Fault."""
        raise NotImplementedError

    def without_rights(self):
        """Take something away that `check --connect` must name: the words that it has to say; None
        where there is no right that could be missing."""
        raise NotImplementedError

    def close(self):
        for other in self.others:
            other.close()
        if self._proxied:
            self.toxiproxy.delete(self._proxied)

    # Shared.

    @property
    def group(self):
        return f"{self.sink.group}.items"

    def second_writer(self, load):
        """While a daemon has the partitions another process applies records and moves the offsets.
        What held, in the words of a cell."""
        load.more(40)
        daemon = self.daemon()
        load.await_all(daemon)
        taken = load.make(40)
        self.replay(taken)
        # At once, so that Kafka is never short of what the target has.
        load.kafka.produce_at_once(taken + load.make(40))
        load.await_all(daemon)
        fenced = daemon.metric("ods_sink_batches_fenced_total")
        daemon.stop()
        held = load.nothing_is_wrong()
        if self.stores:
            assert fenced, "nobody was fenced"
            return "fenced"
        assert self.twice() >= len(taken)
        return f"not fenced: {held}"

    def proxied(self, upstream):
        """The address of a way to host:port that cut() interrupts."""
        self.toxiproxy = Toxiproxy(self.stack)
        self._proxied = f"{self.name}-{self.prefix}"
        return self.toxiproxy.create(self._proxied, upstream)

    def replay(self, records, dead_letter=None):
        return self.sink.replay(records, dead_letter)["pipelines"][0]

    def replay_fails(self, records):
        """One that ends by itself, with the target's exit code, though it might wait for an hour; what
        it said."""
        return self.sink.run("replay", "-c", self.sink.conf, "--wait", 3600, self.sink.file_of(records),
                             expect=Exit.TARGET).stderr

    def daemon(self):
        return self.sink.daemon()
