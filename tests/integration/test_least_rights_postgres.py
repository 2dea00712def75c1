"""Roles of PostgreSQL that have the rights of docs/security.md and no other: one that makes its tables, one
that reads, one that compares; and what is said without each right."""

import json
import re

import psycopg2
import pytest
from lib.lake import WHY_NOT, engine
from lib.postgres import administer
from lib.records import BIGINT, INT, TEXT, Table, pipeline, row
from lib.rights import block, grants
from lib.sink import Exit, free_port
from lib.size import FULL

PASSWORD = "r0le-secret"


@pytest.fixture
def roles(stack):
    """A function that runs the page's statements in a database: it answers the role, and a function that
    takes a right away and one that gives it back."""
    made = []

    def make(database, heading, own, names=None, number=0):
        role = f"{own}_{database.name}"
        administer(stack, f"revoke all on database {database.name} from public; "
                   "revoke all on schema public from public", database.name)
        lines = block(heading, number=number)
        for old, new in {own: role, **(names or {})}.items():
            lines = [line.replace(old, new) for line in lines]
        administer(stack, "\n".join(lines), database.name)
        administer(stack, f"alter role {role} password '{PASSWORD}'")
        made.append((database, role))
        return role, grants(lines)

    yield make
    for database, role in made:
        administer(stack, f"drop owned by {role} cascade; drop role {role}", database.name)


def dsn(stack, database, role):
    return (f"host=127.0.0.1 port={stack['POSTGRES_PORT']} dbname={database.name} user={role} "
            f"password={PASSWORD}")


def test_a_role_that_makes_its_tables(sink, stack, database, roles):
    table = Table()
    records = [table.create(row(1)), table.create(row(2)), table.delete(row(2))]
    table.columns = {"id": INT, "name": TEXT, "amount": BIGINT, "note": TEXT}
    records.append(table.create({**row(3, 2**40), "note": "later"}))
    role, rights = roles(database, "PostgreSQL, tables made by the daemon", "ods_sink_daemon",
                         {"database ods ": f"database {database.name} "})
    sink.write({**pipeline(table), "input": {"type": "file", "path": str(sink.file_of(records))},
                "tables": {"items": {"evolve": "full", "on_delete": "hard", "on_truncate": "apply"}}},
               targets=[{"name": "ods", "type": "postgres", "dsn": dsn(stack, database, role)}])
    named = {"connect": "permission denied for database", "usage": "grant usage on the schema",
             "create": "grant create on the schema"}
    for right, on in rights:
        administer(stack, f"revoke {right} on {on} from {role}", database.name)
        said = sink.check("--connect", expect=Exit.TARGET).stdout
        expected = "schema ods_sink is missing and the user may not create it" if (right, on) == (
            "create", f"database {database.name}") else named[right]
        assert expected in said, (right, on, said[-1500:])
        administer(stack, f"grant {right} on {on} to {role}", database.name)
    assert len(rights) == 4
    assert "schema ods_sink will be made" in sink.check("--connect").stdout
    daemon = sink.daemon()
    daemon.await_that(lambda: ids(stack, database) == [1, 3], what=lambda: ids(stack, database))
    daemon.stop()
    assert "denied" not in daemon.log() and "must be owner" not in daemon.log(), daemon.log()
    # Once its schema is there the right on the database is not wanted.
    administer(stack, f"revoke create on database {database.name} from {role}", database.name)
    assert "schema ods_sink is there" in sink.check("--connect").stdout


def ids(stack, database):
    """None: there is no table yet."""
    there = administer(stack, "select to_regclass('public.items') is not null", database.name)[0][0]
    return [each for each, in administer(stack, "select id from items order by 1", database.name)] if there else None


def test_who_asks_how_fresh_a_table_is(sink, stack, database, roles):
    table = Table()
    sink.write(pipeline(table), database=database)
    sink.replay([table.create(row(1))])
    role, rights = roles(database, "PostgreSQL, who reads", "ods_sink_reader",
                         {"database ods ": f"database {database.name} "})
    connect = dsn(stack, database, role)

    def ask(sql):
        connection = psycopg2.connect(connect)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall()
        finally:
            connection.close()

    [(name,)] = ask("select table_name from ods_sink.freshness")
    assert name == "items"
    wait = "select ods_sink.wait_until('public.items', '1999-01-01', '1 second')"
    assert ask(wait) == [(True,)]
    for refused in ("select * from ods_sink.offsets", "select * from items"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            ask(refused)
    for right, on in rights:
        administer(stack, f"revoke {right} on {on} from {role}", database.name)
        with pytest.raises((psycopg2.errors.InsufficientPrivilege, psycopg2.OperationalError)):
            ask(wait)
        administer(stack, f"grant {right} on {on} to {role}", database.name)
    assert len(rights) == 4


def test_who_compares(sink, stack, databases, kafka, roles, prefix):
    """The source's role; the target's is the daemon's."""
    table, target, source = Table(prefix=prefix), databases(), databases()
    kafka.create(table.topic, 1)
    source.execute("create schema shop; create table shop.items (id int primary key, name text, amount int)")
    source.execute("insert into shop.items values (1, 'n1', 0), (2, 'n2', 0)")
    role, rights = roles(source, "Sources, for `verify` alone", "verify",
                         {"database shop ": f"database {source.name} "})
    sink.write(pipeline(table, database="shop"), kafka=True, database=target,
               databases=[{"name": "shop", "type": "postgres", "dsn": dsn(stack, source, role)}])
    sink.conf.chmod(0o600)
    kafka.produce([table.create(row(1)), table.create(row(2))])
    daemon = sink.daemon()
    daemon.await_that(lambda: sum(target.offsets().values()) == 2)
    daemon.stop()

    def verified(expect):
        done = sink.run("verify", "-c", sink.conf, "--settle", "1", "--wait", "1", expect=expect,
                        env={"XDG_STATE_HOME": str(sink.folder)})
        return done.stdout + done.stderr

    assert "equal" in verified(Exit.OK)
    named = {"connect": "permission denied for database", "usage": "permission denied for schema shop",
             "select": "permission denied for table items"}
    for right, on in rights:
        administer(stack, f"revoke {right} on {on} from {role}", source.name)
        said = verified(None)
        assert named[right] in said and "equal" not in said, (right, said)
        administer(stack, f"grant {right} on {on} to {role}", source.name)
    assert len(rights) == 3
    target.execute("delete from items where id = 2")  # what differs is looked at again, by the same rights
    assert "missing shop.items: id=2" in verified(Exit.NEGATIVE)


def test_who_looks_at_the_source(sink, stack, databases, roles):
    """What comes is of a file: the database is asked for its slots alone."""
    target, source = databases(), databases()
    role, rights = roles(source, "Sources, to look at their logs", "ods_sink_guard",
                         {"database shop ": f"database {source.name} "})
    port, path = free_port(), sink.file_of([Table().create(row(1))])
    sink.write({**pipeline(Table(), database="shop"), "input": {"type": "file", "path": str(path)}}, database=target,
               databases=[{"name": "shop", "type": "postgres", "check_every": "100ms",
                           "dsn": dsn(stack, source, role)}], http={"listen": f"127.0.0.1:{port}"})
    sink.http_port = port
    daemon = sink.daemon()

    def looked():
        return (json.loads(daemon.get("/status")[1] or "{}").get("sources") or [{}])[0]

    daemon.await_that(lambda: looked().get("reachable"), what=looked)
    for right, on in rights:
        administer(stack, f"revoke {right} on {on} from {role}", source.name)
        daemon.await_that(lambda: "permission denied for database" in (looked()["failure"] or ""), what=looked)
        administer(stack, f"grant {right} on {on} to {role}", source.name)
    daemon.await_that(lambda: looked()["reachable"], what=looked)
    assert len(rights) == 1
    daemon.stop()


def test_a_catalog_of_the_lake(sink, stack, database, roles, tmp_path):
    """One whose tables the role makes, then the same ones when they are another role's."""
    if not engine(sink.binary):
        pytest.skip(WHY_NOT)
    role, rights = roles(database, "Iceberg's catalog in PostgreSQL", "ods_sink_lake",
                         {"database catalog ": f"database {database.name} "})
    uri = f"postgresql://{role}:{PASSWORD}@127.0.0.1:{stack['POSTGRES_PORT']}/{database.name}"
    asked = 0

    def replayed():
        """What a table that is new says, None: it is in the catalog."""
        nonlocal asked
        asked += 1
        table = Table(f"items_{asked}")
        sink.write(pipeline(table), targets=[
            {"name": "ods", "type": "iceberg", "location": str(tmp_path / "lake"), "catalog": {"uri": uri}}])
        sink.conf.chmod(0o600)
        done = sink.run("replay", "-c", sink.conf, sink.file_of([table.create(row(1))]), expect=None)
        return done.stdout + done.stderr if done.returncode else None

    def each_is_wanted(rights):
        """Each with ODS_TEST_FULL alone: what looks like an outage is tried for seconds before it is said."""
        for right, on in rights if FULL else [one for one in rights if one[0] in ("create", "update")]:
            administer(stack, f"revoke {right} on {on} from {role}", database.name)
            said = replayed()
            assert said and re.search("permission denied for|no schema has been selected", said), (right, on, said)
            administer(stack, f"grant {right} on {on} to {role}", database.name)

    each_is_wanted(rights)
    assert len(rights) == 3 and replayed() is None
    administer(stack, f"revoke create on schema public from {role}; alter table iceberg_tables owner to postgres; "
               "alter table iceberg_namespace_properties owner to postgres", database.name)
    lines = [line.replace("ods_sink_lake", role) for line in block("Iceberg's catalog in PostgreSQL", number=1)]
    administer(stack, "\n".join(lines), database.name)
    assert replayed() is None
    assert len(grants(lines)) == 4
    each_is_wanted(grants(lines))


def test_who_only_looks(sink, stack, database, roles):
    tables = [Table("customers"), Table("orders")]
    sink.write(pipeline("^src\\..*"), database=database)
    sink.replay([table.create(row(1)) for table in tables])
    role, rights = roles(database, "Commands that look, of who may change nothing", "ods_sink_viewer",
                         {"database ods ": f"database {database.name} "})
    sink.write(pipeline("^src\\..*"), targets=[{"name": "ods", "type": "postgres", "dsn": dsn(stack, database, role)}])
    sink.conf.chmod(0o600)

    def query(table, expect=Exit.OK):
        done = sink.run("query", "-c", sink.conf, table, "--json", expect=expect)
        return done.stdout + done.stderr

    for name in ("customers", "orders"):
        assert '"n1"' in query(name)
    for right, on in rights:
        administer(stack, f"revoke {right} on {on} from {role}", database.name)
        assert "permission denied" in query("customers", None), (right, on)
        administer(stack, f"grant {right} on {on} to {role}", database.name)
    assert len(rights) == 3
