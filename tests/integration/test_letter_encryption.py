"""dead_letter.encrypt: the record of a dead letter is for the holder of a private key alone."""

import base64
import json
import signal
import subprocess

import pytest
from lib.records import pipeline
from lib.rotation import anew, replace
from lib.sink import Exit, read_lines

HIDDEN = "zq7-" + "long words of somebody " * 3
KINDS = {"x25519": ["-algorithm", "X25519"],
         "rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]}


def make_keys(folder, name, kind="x25519"):
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    subprocess.run(["openssl", "genpkey", *KINDS[kind], "-out", private], check=True,
                   capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    return private, public


def key_id(public):
    """As the documentation says it is made."""
    der = subprocess.run(["openssl", "pkey", "-pubin", "-in", public, "-outform", "DER"],
                         check=True, capture_output=True).stdout
    return subprocess.run(["sha256sum"], input=der, capture_output=True,
                          check=True).stdout.decode()[:16]


@pytest.fixture
def world(sink, database, kafka, table, prefix):
    """A table whose name column is too narrow for some rows, and a folder for keys."""
    database.execute("create table items (id int primary key, name varchar(10), amount int, "
                     "cdc_operation text, cdc_timestamp timestamptz)")
    letters = kafka.create(f"{prefix}.letters", 1)
    sink.folder.mkdir(parents=True, exist_ok=True)

    def write(public=None, redact=("name",), **settings):
        encrypt = {"encrypt": {"public_key": str(public)}} if public else {}
        sink.write(pipeline(table, defaults={"redact": list(redact)}, **settings), database=database,
                   kafka=True, dead_letter={"topic": letters, **encrypt})

    def spoil(*numbers, others=0, running=None):
        wanted = kafka.count(letters) + len(numbers) + others
        kafka.produce([table.create({"id": number, "name": HIDDEN + str(number), "amount": 1})
                       for number in numbers])
        daemon = running or sink.daemon()
        daemon.await_that(lambda: kafka.count(letters) == wanted, what="letters")
        if not running:
            daemon.stop()

    world.__dict__.update(sink=sink, database=database, kafka=kafka, letters=letters, table=table,
                          write=write, spoil=spoil)
    return world


def dlq(sink, what, *arguments, expect=Exit.OK):
    return sink.run("dlq", what, "-c", sink.conf, *arguments, expect=expect)


def forms(text):
    """As a value may be written: itself, escaped, in base64 at any offset."""
    yield text.encode()
    yield json.dumps(text)[1:-1].encode()
    for shift in range(3):
        coded = base64.b64encode(b" " * shift + text.encode())[4:-4]
        yield coded
        yield coded.replace(b"+", b"-").replace(b"/", b"_")


def assert_hidden(*outputs, text=HIDDEN):
    for output in outputs:
        output = output if isinstance(output, bytes) else output.encode()
        assert not [form for form in forms(text) if form in output], output[:3000]


def test_both_kinds_of_key_and_rotation(world):
    """Letters name their key, which is replaced while the daemon runs; each is opened by its own, whatever others
    are given."""
    sink, kafka, topic = world.sink, world.kafka, world.table.topic
    first, second = make_keys(sink.folder, "first"), make_keys(sink.folder, "second", "rsa")
    public = sink.folder / "letters.pub"
    replace(public, first[1].read_text())
    world.write(public.name)  # beside ods-sink.conf
    daemon = sink.daemon()
    world.spoil(1, running=daemon)
    replace(public, second[1].read_text())
    daemon.signal(signal.SIGHUP)
    anew(daemon, 1)
    world.spoil(2, running=daemon)
    daemon.stop()
    messages = kafka.read(world.letters)
    for number, (message, keys) in enumerate(zip(messages, [first, second])):
        headers = dict(message.headers())
        assert headers["ods.key_id"].decode() == key_id(keys[1])
        assert message.key().decode() == f"items/{topic}/0/{number}"
        header, *_ = message.value().split(b".")
        assert json.loads(base64.urlsafe_b64decode(header + b"=="))["enc"] == "A256GCM"
        assert_hidden(message.value(), str(message.headers()), message.key())

    closed = dlq(sink, "show", "--json", f"{topic}:0:0")
    said = json.loads(closed.stdout)
    assert said["encrypted"]["key_id"] == key_id(first[1]) and not said["encrypted"]["opened"]
    assert "value" not in said and "changes" not in said
    wrong = dlq(sink, "show", "--json", "--key", second[0], f"{topic}:0:0")
    assert not json.loads(wrong.stdout)["encrypted"]["opened"]
    assert_hidden(closed.stdout, wrong.stdout, dlq(sink, "list", "--json").stdout,
                  dlq(sink, "show", f"{topic}:0:0").stdout)
    for offset in 0, 1:
        shown = json.loads(dlq(sink, "show", "--json", "--key", second[0], "--key", first[0],
                               f"{topic}:0:{offset}").stdout)
        assert shown["encrypted"]["opened"]
        assert json.loads(shown["value"])["payload"]["after"]["name"] == HIDDEN + str(offset + 1)
        assert json.loads(shown["key"])["payload"] == {"id": offset + 1}
        assert shown["changes"][0]["after"]["name"] == HIDDEN + str(offset + 1)

    world.database.execute("alter table items alter column name type text")
    refused = dlq(sink, "replay", "--key", first[0], expect=Exit.NEGATIVE)
    assert "1 replayed, 1 refused" in refused.stdout and key_id(second[1]) in refused.stderr
    assert "1 replayed" in dlq(sink, "replay", "--key", second[0]).stdout
    assert world.database.execute("select id, name from items order by id") == \
        [(1, HIDDEN + "1"), (2, HIDDEN + "2")]


def test_open_letters_show_no_redacted_value(world):
    sink, topic = world.sink, world.table.topic
    world.write()
    world.kafka.produce([world.table.record('{"id": 9}', '{"schema": null, "name": "' + HIDDEN)])
    world.spoil(1, others=1)
    malformed, whole = [json.loads(dlq(sink, "show", "--json", f"{topic}:0:{offset}").stdout)
                        for offset in (0, 1)]
    assert "not JSON" in malformed["value"]
    after = json.loads(whole["value"])["payload"]["after"]
    assert after["name"] == "[redacted]" and after["id"] == 1
    assert whole["changes"][0]["after"]["name"] == "[redacted]"
    assert_hidden(json.dumps(malformed), json.dumps(whole), dlq(sink, "show", "0").stdout,
                  dlq(sink, "show", "1").stdout, dlq(sink, "list", "--json").stdout,
                  sink.run("trace", "-c", sink.conf, "items", "--key", "1", expect=None).stdout)


def test_masked_columns_stay_masked(world):
    """What a pipeline masks is shown by no command, not even with the private key."""
    sink, topic = world.sink, world.table.topic
    private, public = make_keys(sink.folder, "key")
    mask = [{"type": "mask", "columns": {"name": "hmac"}, "key": "a key of sixteen bytes or more"}]
    for key in (None, public):
        world.write(key, transforms=mask, redact=[])
        world.kafka.produce([world.table.record('{"id": 9}', '{"payload": "' + HIDDEN)])
        world.spoil(1, others=1)
    for offset in range(4):
        shown = dlq(sink, "show", "--json", "--key", private, f"{topic}:0:{offset}").stdout
        assert_hidden(shown)
        if offset % 2:
            said = json.loads(shown)
            assert len(said["changes"][0]["after"]["name"]) == 64
            assert json.loads(said["value"])["payload"]["after"] == \
                {"id": 1, "name": "[redacted]", "amount": 1}


def test_a_file_of_letters(world):
    """replay --dead-letter encrypts as the daemon does, and replay opens what it is given the key
    for."""
    sink, letters = world.sink, world.sink.folder / "letters.jsonl"
    private, public = make_keys(sink.folder, "key")
    world.write(public)
    record = world.table.create({"id": 1, "name": HIDDEN, "amount": 1})
    sink.replay([record], dead_letter=letters)
    line, = read_lines(letters)
    assert key_id(public) in line["headers"]
    assert_hidden(letters.read_bytes())
    world.database.execute("alter table items alter column name type text")
    other = letters.rename(sink.folder / "again.jsonl")
    world.database.execute("delete from ods_sink.offsets")
    refused = sink.run("replay", "-c", sink.conf, other, expect=Exit.NEGATIVE)
    assert key_id(public) in refused.stderr
    assert_hidden(refused.stderr)
    sink.run("replay", "-c", sink.conf, "--key", private, other)
    assert world.database.execute("select name from items") == [(HIDDEN,)]


def test_keys_that_will_not_do(world):
    sink = world.sink
    private, _ = make_keys(sink.folder, "key")
    for name, reason in (("none.pub", "No such file"), (private.name, "holds no public key")):
        world.write(name)
        said = sink.check(expect=Exit.CONFIG).stderr
        assert reason in said and "dead_letter.encrypt.public_key" in said
        assert "ods-sink.conf:" in said
