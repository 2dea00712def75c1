"""`check --connect` names the rights that the user lacks in PostgreSQL, before a record needs them."""

import pytest
from lib.postgres import administer
from lib.records import Table, pipeline, row
from lib.sink import Exit
from lib.stack import ROOT

KEYED = "create table items (id int primary key, name text, amount int)"


@pytest.fixture
def checked(sink, database, kafka, prefix):
    """A function that configures the table and answers what `check` says, all that it says."""
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1)

    def check(expect=Exit.OK, **settings):
        plain = {"on_delete": "hard", "cdc_operation": "off", "cdc_timestamp": "off"}
        sink.write({**pipeline(table), "tables": {"items": {**plain, **settings}}}, database=database,
                   kafka=True)
        done = sink.check("--connect", expect=expect)
        return done.stdout + done.stderr

    check.table = table
    return check


@pytest.mark.parametrize("revoked, lacks", [
    ("insert", "insert"), ("select, update", "select, update"), ("delete", "delete"),
    ("all", "insert, select, update, delete")])
def test_rights_on_a_table(checked, database, revoked, lacks):
    database.execute(KEYED)
    checked()
    database.execute(f"revoke {revoked} on items from ods")
    assert f"the user ods lacks {lacks} on public.items: grant {lacks} on public.items to ods" in \
        checked(Exit.TARGET)


def test_only_what_is_used_is_wanted(checked, database):
    database.execute(KEYED)
    database.execute("revoke delete, truncate on items from ods")
    checked(on_delete="ignore")
    assert "lacks truncate" in checked(Exit.TARGET, on_delete="ignore", on_truncate="apply")
    database.execute("revoke all on items from ods")
    database.execute("grant select, insert (id, name, amount), update (name, amount) on items to ods")
    checked(on_delete="ignore")
    database.execute("drop table items")
    database.execute("create table items (id int, name text, amount int)")
    database.execute("revoke all on items from ods")
    database.execute("grant insert on items to ods")
    checked(keyless="append")


def test_rights_to_make_a_table(checked, database, stack):
    administer(stack, "revoke create on schema public from public, pg_database_owner", database.name)
    assert "the user may not make a table in schema public: grant create" in checked(Exit.TARGET)
    administer(stack, (ROOT / "sql" / "ods_sink.sql").read_text(), database.name)
    administer(stack, f"alter database {database.name} owner to postgres")
    assert "ods_sink" in checked(Exit.TARGET, schema="shop")
    administer(stack, "grant usage on schema ods_sink to ods; grant select, insert, update, delete, "
               "truncate on all tables in schema ods_sink to ods", database.name)
    assert "schema shop is missing and the user may not make it" in \
        checked(Exit.TARGET, schema="shop")


def test_rights_on_the_own_schema(checked, sink, database):
    database.execute(KEYED)
    checked()
    sink.replay([checked.table.create(row(1))])
    database.execute("revoke update on ods_sink.offsets from ods")
    database.execute("revoke insert on ods_sink.shadows from ods")
    assert "the user ods lacks rights on tables of schema ods_sink (offsets, shadows): grant select" \
        in checked(Exit.TARGET)
    database.execute("grant update on ods_sink.offsets to ods")
    database.execute("grant insert on ods_sink.shadows to ods")
    checked()
