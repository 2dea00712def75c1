"""The MySQL target and what goes wrong: kills, outages, a second writer, rights, DDL in between."""

import signal

import pytest

from lib.mysql_target import Database, server  # noqa: F401 (a fixture)
from lib.records import Table, pipeline, row
from lib.rotation import ANEW, Recorded, anew, replace
from lib.secure import Certificates
from lib.sink import Exit

BARE = {"cdc_operation": "off", "cdc_timestamp": "off", "on_delete": "hard"}
APPEND = {"keyless": "append", **BARE}
ONE = pytest.mark.parametrize("server", ["mysql"], indirect=True)  # what both have alike
COUNTED = "create table items (id int, name varchar(20), amount int)"  # without a key: repeats show
KEYED = "create table items (id int primary key, name varchar(20), amount int)"


@pytest.fixture
def target(server):
    target = Database(server, "ods_test")
    yield target
    target.close()


def counted(sink, target, kafka, keyless, count, **settings):
    """A pipeline that appends, with `count` creates in its topic."""
    target.execute(COUNTED)
    sink.write({**pipeline(keyless), "defaults": APPEND}, kafka=kafka,
               targets=[target.target(**settings)], batch={"max_events": 50})
    kafka.produce([keyless.create(row(number), partition=number % 2) for number in range(count)])


@pytest.fixture
def keyless(kafka, prefix):
    table = Table(prefix=prefix, key=())
    kafka.create(table.topic, 2)
    return table


def once(target, count):
    return (target.count("items"), target.value("select count(distinct id) from items")) == \
        (count, count)


@ONE
def test_killed_again_and_again(sink, target, kafka, keyless):
    counted(sink, target, kafka, keyless, 4000)
    for part in (500, 1500, 2500):
        daemon = sink.daemon()
        daemon.await_that(lambda: target.count("items") >= part)
        daemon.kill()
    daemon = sink.daemon()
    daemon.await_that(lambda: target.count("items") >= 4000)
    daemon.stop()
    assert once(target, 4000)


@ONE
def test_the_server_is_killed_and_comes_back(sink, target, kafka, keyless, server):
    counted(sink, target, kafka, keyless, 3000)
    daemon = sink.daemon()
    daemon.await_that(lambda: target.count("items") >= 300)
    target.close()
    server.stop(hard=True)
    server.start()
    daemon.await_that(lambda: target.count("items") >= 3000)
    daemon.stop()
    assert once(target, 3000)


@ONE
def test_a_frozen_writer_is_fenced(sink, target, kafka, keyless):
    """It stands still in its transaction; another takes over; what it does then counts for nothing."""
    counted(sink, target, kafka, keyless, 2000, idle_in_transaction_timeout_ms=2000)
    frozen = sink.daemon()
    frozen.await_that(lambda: target.count("items") >= 200)
    frozen.signal(signal.SIGSTOP)
    sink.http_port = None
    sink.write({**pipeline(keyless), "defaults": APPEND}, kafka=kafka,
               targets=[target.target(idle_in_transaction_timeout_ms=2000)])
    second = sink.daemon()
    second.await_that(lambda: target.count("items") >= 2000)
    frozen.signal(signal.SIGCONT)
    kafka.produce([keyless.create(row(number), partition=number % 2)
                   for number in range(2000, 2500)])
    second.await_that(lambda: target.count("items") >= 2500)
    frozen.stop(expect=None)
    second.stop()
    assert once(target, 2500)


@ONE
def test_a_locked_row_waits_and_a_stop_does_not(request, sink, target, kafka, keyless, server):
    target.execute(KEYED)
    table = Table(prefix=keyless.prefix)
    target.execute("insert into items values (1, 'old', 0)")
    sink.write({**pipeline(table), "defaults": BARE}, kafka=kafka,
               targets=[target.target(lock_timeout_ms=1000)])
    holder = server.connect("ods_test")
    request.addfinalizer(holder.close)
    holder.begin()
    holder.cursor().execute("select * from items where id = 1 for update")
    daemon = sink.daemon().await_ready()
    kafka.produce([table.update(row(1), row(1, 5), partition=0)])
    daemon.await_that(lambda: "Lock wait timeout" in daemon.log(), what="an outage in the log")
    daemon.stop(expect=None)  # while it waits
    holder.rollback()
    again = sink.daemon()
    again.await_that(lambda: target.rows() == [(1, "n1", 5)])
    again.stop()


# --- without Kafka ------------------------------------------------------------------------------


@pytest.fixture
def ods(sink, target):
    def configure(table, settings=None, **options):
        sink.write({**pipeline(table), "defaults": {**BARE, **(settings or {})}},
                   targets=[target.target(**options)])
        return target
    return configure


def test_ddl_commits_nothing_of_a_batch(sink, ods):
    """A column is added for a batch that then fails: neither its rows nor its offset are there."""
    wide = Table(columns={**Table().columns, "extra": {"type": "int32"}})
    target = ods(wide, {"create_tables": True, "evolve": "add"})
    table = Table()
    sink.replay([table.create(row(1))])
    wide._offsets = dict(table._offsets)
    target.execute("create trigger t before insert on items for each row "
                   "if new.id = 3 then signal sqlstate '45000' set message_text = 'no'; end if")
    batch = [wide.create({**row(2), "extra": 2}), wide.create({**row(3), "extra": 3})]
    sink.replay_fails(batch, Exit.NEGATIVE)  # and there is no place for a letter
    assert target.rows() == [(1, "n1", 0)] and target.offset(table.topic) == 1
    assert target.value("select count(*) from information_schema.columns where "
                        "table_schema = 'ods_test' and table_name = 'items' and "
                        "column_name = 'extra'") == 1
    target.execute("drop trigger t")
    sink.replay(batch)
    assert target.rows(columns="id, extra") == [(1, None), (2, 2), (3, 3)]


def test_an_offset_that_is_elsewhere(sink, ods):
    table = Table()
    target = ods(table)
    target.execute(KEYED)
    sink.replay([table.create(row(1)), table.create(row(2))])
    target.execute("update ods_sink_offsets set next_offset = 7")
    sink.replay([table.create(row(3))])  # offset 2: the target says it has all below 7
    assert len(target.rows()) == 2


def test_foreign_keys_across_tables(sink, ods, target):
    """A child before its parent, in one batch; and a parent that does not come."""
    table = Table()
    ods(table)
    target.execute("create table parents (id int primary key)")
    target.execute("create table items (id int primary key, name varchar(20), amount int, "
                   "foreign key (amount) references parents (id))")
    target.execute("insert into parents values (1)")
    letters = sink.folder / "letters.jsonl"
    sink.replay([table.create(row(1, 1)), table.create(row(2, 99)), table.create(row(3, 1))],
                dead_letter=letters)
    assert [found[0] for found in target.rows()] == [1, 3]
    assert len(letters.read_text().splitlines()) == 1


def test_missing_rights_are_named(sink, target, server):
    table = Table()
    target.execute(KEYED)
    with server.connect() as root, root.cursor() as cursor:
        cursor.execute("drop user if exists poor@'127.0.0.1'")
        cursor.execute("create user poor@'127.0.0.1' identified by 'poor'")
        cursor.execute("grant select, create on ods_test.* to poor@'127.0.0.1'")
        cursor.execute("grant insert on ods_test.items to poor@'127.0.0.1'")
    dsn = target.dsn.replace("user=ods", "user=poor").replace(server.password, "poor")
    sink.write({**pipeline(table), "tables": {"items": BARE}},
               targets=[{"name": "ods", "type": "mysql", "dsn": dsn}])
    said = sink.check("--connect", expect=None)
    assert said.returncode != Exit.OK
    assert "lacks UPDATE, DELETE" in said.stdout + said.stderr
    said = sink.replay_fails([table.create(row(1))], Exit.TARGET)
    assert "1142" in said.stderr and "denied" in said.stderr


def test_a_wrong_password_is_an_outage_and_not_shown(sink, target):
    dsn = target.dsn.replace(target.server.password, "s3cret-but-wrong")
    sink.write(pipeline(Table()), targets=[{"name": "ods", "type": "mysql", "dsn": dsn}])
    said = sink.check("--connect", expect=None)
    assert said.returncode != Exit.OK and "s3cret-but-wrong" not in said.stdout + said.stderr
    assert "1045" in said.stdout + said.stderr


def test_tls(sink, target, server):
    if server.flavour == "mariadb":
        pytest.skip("the test's MariaDB has no certificate")
    with server.connect() as root, root.cursor() as cursor:
        cursor.execute("drop user if exists sealed@'127.0.0.1'")
        cursor.execute("create user sealed@'127.0.0.1' identified by 'sealed' require ssl")
        cursor.execute("grant all on ods_test.* to sealed@'127.0.0.1'")
    dsn = target.dsn.replace("user=ods", "user=sealed").replace(server.password, "sealed")
    authority = server.folder / "data" / "ca.pem"
    # The certificate is not this machine's. The client library compares no name with 127.0.0.1 itself (Debian 13's).
    other = dsn.replace("host=127.0.0.1", "host=127.1")
    assert other != dsn
    for place, mode, works in ((dsn, "disable", False), (dsn, "require", True), (other, "require", True),
                               (other, "verify-full", False)):
        sink.write(pipeline(Table()), targets=[
            {"name": "ods", "type": "mysql", "dsn": f"{place} sslmode={mode} sslrootcert={authority}"}])
        said = sink.check("--connect", expect=None)
        assert ("items: ods: good" in said.stdout) == works, said.stdout + said.stderr


@ONE
def test_reset_forgets_what_the_group_has_brought(sink, target, kafka, table):
    sink.write({**pipeline(table), "tables": {"items": {"create_tables": True}}}, kafka=kafka,
               targets=[target.target()])
    sink.replay([table.create(row(1))])
    assert target.offset(table.topic) == 1
    sink.run("reset", "-c", sink.conf, "--all", "--yes")
    assert target.offset(table.topic) is None
    assert target.execute("show tables like 'items'") == ()


@ONE
def test_a_password_and_a_certificate_are_replaced(sink, target, server, tmp_path):
    """The password is taken at once by SIGHUP. The dsn names certificates to the client library, which reads them
    for each connection: nothing has to be told."""
    user, own = "rotating@'127.0.0.1'", Certificates(tmp_path)
    password, certificate, key = (tmp_path / name for name in ("password", "own.crt", "own.key"))

    def put(name):
        replace(key, own.path(f"{name}.key").read_text())
        replace(certificate, own.path(f"{name}.crt").read_text())

    def want(word, name):
        target.execute(f"alter user {user} identified by '{word}' require subject '/CN={name}'")
        for session in target.execute("show processlist"):
            if session[1] == "rotating":
                target.execute(f"kill {session[0]}")

    server.stop()
    server.start(*(f"--ssl-{name}={own.path(file)}" for name, file in
                   (("ca", "ca.crt"), ("cert", "server.crt"), ("key", "server.key"))))
    own.certificate("renewed", "ca", "DNS:client.test")
    target.execute(f"create user {user} identified by 'one' require subject '/CN=client'")
    target.execute(f"grant all on {target.name}.* to {user}")
    try:
        put("client")
        replace(password, "one\n")
        recorded = Recorded(sink, tmp_path)
        dsn = (f"host=127.0.0.1 port={server.port} user=rotating password=${{file:{password}}} dbname={target.name} "
               f"sslmode=verify-full sslrootcert={own.path('ca.crt')} sslcert={certificate} sslkey={key}")
        sink.write({**recorded.pipeline, "defaults": {"key": ["id"], **BARE}},
                   targets=[{"name": "ods", "type": "mysql", "dsn": dsn}])
        target.execute(KEYED)
        daemon = sink.daemon()
        daemon.await_that(lambda: target.count("items") == 1)
        for word, name in (("two", "client"), ("two", "renewed")):
            want(word, name)
            recorded.send()
            daemon.await_that(lambda: "Access denied" in daemon.log())
            if word not in password.read_text():
                replace(password, f"{word}\n")
                daemon.signal(signal.SIGHUP)
                anew(daemon, 1)
            put(name)
            daemon.await_that(lambda: target.count("items") == recorded.count, what=f"a row by {word}, {name}")
        assert daemon.log().count(ANEW) == 1
        daemon.stop()
    finally:
        target.execute(f"drop user {user}")
