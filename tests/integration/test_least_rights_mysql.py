"""Users of MySQL and MariaDB who have the rights of docs/security.md and no other: one that writes tables that are
there, one that makes them, and one that compares; and what is said without each right."""

import json

import pymysql
import pytest
from lib.mysql_target import FLAVOURS, Database, Server
from lib.records import BIGINT, INT, TEXT, Table, pipeline, row
from lib.rights import block, grants
from lib.sink import Exit, free_port

PASSWORD = "us3r-secret"
TABLES = ("customers", "orders")
PLAIN = {"on_delete": "hard", "cdc_operation": "off", "cdc_timestamp": "off"}


@pytest.fixture(scope="module", params=FLAVOURS)
def server(request):
    """MySQL's is the session's: to make one takes most of the time."""
    if request.param == "mysql":
        yield request.getfixturevalue("mysql_server")
        return
    server = Server(request.param, "--log-bin=binlog")
    yield server
    server.close()


@pytest.fixture
def target(server):
    target = Database(server, "ods")
    yield target
    target.close()


@pytest.fixture
def user(target):
    """A function that runs the page's statements, and answers each right of them."""
    name = "ods_sink_daemon@'127.0.0.1'"

    def make(heading):
        lines = [line.replace("ods_sink_daemon;", f"{name};") for line in block(heading)]
        target.execute(f"drop user if exists {name}")
        for line in lines:
            target.execute(line.replace(f"create user {name}", f"create user {name} identified by '{PASSWORD}'"))
        return grants(lines)

    make.name = name
    yield make
    target.execute(f"drop user if exists {name}")


def written(sink, target, records, tables):
    """Reads a recording: nothing of Kafka is asked."""
    dsn = f"host=127.0.0.1 port={target.server.port} user=ods_sink_daemon password={PASSWORD} dbname=ods"
    sink.write({**pipeline("^src\\..*"), "input": {"type": "file", "path": str(sink.file_of(records))},
                "defaults": PLAIN, "tables": tables}, targets=[{"name": "ods", "type": "mysql", "dsn": dsn}])
    sink.conf.chmod(0o600)


def test_tables_that_are_there(sink, target, user):
    for name in TABLES:
        target.execute(f"create table {name} (id int primary key, name varchar(20), amount int)")
    rights = user("MySQL, tables made by somebody else")
    customers, orders = Table("customers"), Table("orders")
    records = [customers.read(row(number)) for number in range(300)]  # so many go by LOAD DATA
    records += [orders.create(row(1)), orders.create(row(2)), orders.update(row(1), row(1, 5)),
                orders.delete(row(2))]
    written(sink, target, records, {name: {"create_tables": False} for name in TABLES})
    told = sink.check("--connect").stdout
    assert told.count("will be made at the first start") == 2
    own = [(right, on) for right, on in rights if "ods_sink_" in on]
    assert (len(rights), len(own)) == (16, 8)

    def without(right, on, back):
        """Takes it away, sees that it is named, and gives it back."""
        table = f"`ods`.`{on.partition('.')[2]}`"
        target.execute(f"revoke {right} on {on} from {user.name}")
        done = sink.check("--connect", expect=Exit.TARGET)
        assert f"table {table}: the user lacks {right.upper()}: grant {right.upper()} on {table} to the user" in \
            done.stdout + done.stderr, (right, on, done.stdout[-1500:])
        target.execute(f"grant {back} on {on} to {user.name}")

    for right, on in own:  # on a table that is not there only who may make it has a right
        without(right, on, f"create, {right}")
    sink.check("--connect")
    loads = "show global status like 'Com_load'"
    before = int(target.execute(loads)[0][1])
    daemon = sink.daemon()
    daemon.await_that(lambda: target.rows("orders") == [(1, "n1", 5)], what=lambda: target.rows("orders"))
    daemon.stop()
    assert target.count("customers") == 300 and int(target.execute(loads)[0][1]) == before + 1
    assert "denied" not in daemon.log(), daemon.log()
    for right, on in rights:  # also of the two that are there now; to make them nothing is wanted
        if right != "create":
            without(right, on, right)
    target.execute(f"revoke create on ods.ods_sink_offsets from {user.name}")
    target.execute(f"revoke create on ods.ods_sink_tables from {user.name}")
    sink.check("--connect")


def test_tables_that_are_made(sink, target, user):
    rights = user("MySQL, tables made by the daemon")
    items = Table("items")
    records = [items.create(row(1)), items.create(row(2)), items.delete(row(2))]
    items.columns = {"id": INT, "name": TEXT, "amount": BIGINT, "note": TEXT}
    records.append(items.create({**row(3, 2**40), "note": "later"}))
    written(sink, target, records, {"items": {"evolve": "full"}})

    def without(right, on, table):
        target.execute(f"revoke {right} on {on} from {user.name}")
        done = sink.check("--connect", expect=Exit.TARGET)
        assert f"lacks {right.upper()}: grant {right.upper()} on `ods`.`{table}`" in done.stdout + done.stderr, \
            (right, done.stdout[-1500:])
        target.execute(f"grant {right} on {on} to {user.name}")

    assert [right for right, _ in rights] == ["create", "alter", "select", "insert", "update", "delete"]
    for right, on in rights:
        without(right, on, "items" if right in ("alter", "delete") else "ods_sink_offsets")
    sink.check("--connect")
    daemon = sink.daemon()
    daemon.await_that(lambda: target.execute("show tables like 'items'") and [
        found[0] for found in target.rows()] == [1, 3])
    daemon.stop()
    assert target.execute("select amount, note from items where id = 3") == ((2**40, "later"),)
    assert "denied" not in daemon.log(), daemon.log()
    without("alter", rights[0][1], "items")
    sink.check("--connect")


def test_a_role_that_may_have_it(sink, target, user):
    """What a role brings is not seen, and is no finding."""
    written(sink, target, [Table().create(row(1))], {"items": {}})
    user("MySQL, tables made by the daemon")
    target.execute(f"revoke all, grant option from {user.name}")
    for statement in ("drop role if exists writer", "create role writer", "grant all on ods.* to writer",
                      f"grant writer to {user.name}",
                      f"set default role writer for {user.name}" if target.server.flavour == "mariadb"
                      else f"set default role writer to {user.name}"):
        target.execute(statement)
    told = sink.check("--connect").stdout
    assert "the user has CREATE, SELECT, INSERT, UPDATE by no grant of his own" in told
    daemon = sink.daemon()
    daemon.await_that(lambda: target.execute("show tables like 'items'") and target.count("items") == 1)
    daemon.stop()
    sink.check("--connect")
    target.execute("drop role writer")


def test_who_compares(sink, stack, source, kafka, database, prefix):
    """The user at the source, whose binary log says whether a row that differs may have a record to come."""
    table = Table(database="shop_rights", prefix=prefix)
    kafka.create(table.topic, 1)
    root = pymysql.connect(unix_socket=stack["MYSQL_SOCKET"], user="root", autocommit=True)

    def execute(sql):
        with root.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    execute("create database shop_rights")
    execute("create table shop_rights.items (id int primary key, name varchar(20), amount int)")
    execute("insert into shop_rights.items values (1, 'n1', 0), (2, 'n2', 0)")
    place = execute("show master status")[0]
    plain = table._source
    table._source = lambda ts_ms: {**plain(ts_ms), "file": place[0], "pos": place[1]}
    lines = [line.replace("on shop.", "on shop_rights.").replace("to verify", "to verify@'%'")
             for line in block("Sources, for `verify` alone", number=1)]
    for line in lines:
        execute(line.replace("create user verify;", f"create user verify@'%' identified by '{PASSWORD}';"))
    sink.write(pipeline(table, database="shop"), kafka=True, database=database,
               databases=[{"name": "shop", "type": "mysql", "dsn":
                           f"host=127.0.0.1 port={stack['MYSQL_PORT']} user=verify password={PASSWORD} "
                           "dbname=shop_rights"}])
    sink.conf.chmod(0o600)
    kafka.produce([table.create(row(1)), table.create(row(2))])
    daemon = sink.daemon()
    daemon.await_that(lambda: sum(database.offsets().values()) == 2)
    daemon.stop()

    def verified():
        done = sink.run("verify", "-c", sink.conf, "--wait", "1", expect=None,
                        env={"XDG_STATE_HOME": str(sink.folder)})
        return done.returncode, done.stdout + done.stderr

    assert verified()[0] == Exit.OK
    database.execute("delete from items where id = 2")
    code, said = verified()
    assert code == Exit.NEGATIVE and "missing shop_rights.items: id=2" in said, said
    rights = grants(lines)
    named = {"select": "Access denied for user 'verify'@'%' to database 'shop_rights'",
             "replication client": "grant replication client", "replication slave": "grant replication slave"}
    for right, on in rights:
        execute(f"revoke {right} on {on} from verify@'%'")
        code, said = verified()
        assert code not in (Exit.OK, Exit.NEGATIVE) and named[right] in said, (right, said)
        execute(f"grant {right} on {on} to verify@'%'")
    assert len(rights) == 3
    execute("drop user verify@'%'")
    execute("drop database shop_rights")
    root.close()


@pytest.mark.parametrize("server", ["mariadb"], indirect=True)  # the session's MySQL keeps no binary log
def test_who_looks_at_the_binary_log(sink, target, tmp_path):
    name = "ods_sink_guard@'127.0.0.1'"
    lines = [line.replace("ods_sink_guard;", f"{name};")
             for line in block("Sources, to look at their logs", number=1)]
    target.execute(f"drop user if exists {name}")
    for line in lines:
        target.execute(line.replace(f"create user {name}", f"create user {name} identified by '{PASSWORD}'"))
    sink.http_port = free_port()
    path = sink.file_of([Table().create(row(1))])
    sink.write({**pipeline(Table(), database="shop"), "input": {"type": "file", "path": str(path)}},
               targets=[{"name": "ods", "type": "stdout"}], http={"listen": f"127.0.0.1:{sink.http_port}"},
               databases=[{"name": "shop", "type": "mysql", "check_every": "100ms",
                           "dsn": f"host=127.0.0.1 port={target.server.port} user=ods_sink_guard "
                                  f"password={PASSWORD}"}])
    sink.conf.chmod(0o600)
    daemon = sink.daemon()

    def looked():
        return (json.loads(daemon.get("/status")[1] or "{}").get("sources") or [{}])[0]

    daemon.await_that(lambda: looked().get("reachable"), what=looked)
    assert looked()["logs"][0]["newest"].startswith("binlog."), looked()
    (right, on), = grants(lines)
    target.execute(f"revoke {right} on {on} from {name}")
    daemon.await_that(lambda: "denied" in (looked()["failure"] or ""), what=looked)
    target.execute(f"grant {right} on {on} to {name}")
    daemon.await_that(lambda: looked()["reachable"], what=looked)
    daemon.stop()
    target.execute(f"drop user {name}")
