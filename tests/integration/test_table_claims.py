"""Lanes that meet the same source table at once: each hears that it may write to its target table."""

import threading
from contextlib import closing

from conftest import ROOT
from lib.waiting import wait_for

CLAIM = "select ods_sink.claim_table('public', 'items', 'source', 'public', 'items', false)"

# Stands in for PostgreSQL's function in one session, and holds it where it compares sources.
HOLD = """
create schema held;
create function held.regexp_replace(text, text, text, text) returns text language plpgsql as $$
begin
    perform pg_advisory_xact_lock(7);
    return pg_catalog.regexp_replace($1, $2, $3, $4);
end $$"""


def test_who_enters_a_source_at_the_same_moment_is_not_taken_for_another(database):
    database.execute((ROOT / "sql" / "ods_sink.sql").read_text())
    database.execute(HOLD)
    database.execute("insert into ods_sink.table_sources values"
                     " ('public', 'items', 'source', 'elsewhere', 'items', true)")
    answers = []

    def claim():
        with closing(database.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("set search_path = held, pg_catalog")
            cursor.execute(CLAIM)
            answers.append(cursor.fetchone()[0])

    database.execute("select pg_advisory_lock(7)")
    lane = threading.Thread(target=claim)
    lane.start()
    wait_for(lambda: database.value("select count(*) from pg_locks where not granted"
                                    " and locktype = 'advisory' and database = "
                                    "(select oid from pg_database where datname = current_database())"),
             60, "the lane compares sources")
    assert database.value(CLAIM) is None
    database.execute("select pg_advisory_unlock(7)")
    lane.join(60)
    assert answers == [None]
    assert database.count("ods_sink.table_sources", "not named") == 1
    other = CLAIM.replace("'source'", "'other'")
    assert database.value(other) == "source.public.items"
