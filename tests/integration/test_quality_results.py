"""Results of rules as they are read back: the last of each rule and table, by steps in an index, and none
of tables that are gone."""

import json
import re

from lib.records import Table, row
from lib.records import pipeline as of_table
from lib.sink import Exit
from lib.stack import ROOT


def report(sink, expect=None):
    done = sink.run("quality", "report", "-c", sink.conf, "--json", expect=expect)
    return {(one["rule"], one["table"]): one["state"] for one in json.loads(done.stdout)["rules"]}


def test_tables_that_are_gone(sink, database):
    items, others = Table(), Table(name="others")
    rules = {"not_null": {"check": "not_null", "columns": ["name"]}}
    entry = {"quality": [rules["not_null"]]}
    named = of_table(rf"^{items.prefix}\.shop\..*", tables={"items": entry, "others": entry, "never": entry})
    sink.write(named, database=database)
    sink.replay([items.create(row(1)), others.create(row(1))])
    sink.run("quality", "run", "-c", sink.conf, expect=None)
    assert report(sink) == {("not_null_name", "shop.items"): "pass", ("not_null_name", "shop.others"): "pass",
                            ("not_null_name", "never"): "unknown"}
    del named["tables"]["never"]
    sink.write(named, database=database)
    assert set(report(sink)) == {("not_null_name", "shop.items"), ("not_null_name", "shop.others")}
    database.execute("drop table others")
    database.execute("delete from ods_sink.topic_tables where table_name = 'others'")
    assert set(report(sink, Exit.OK)) == {("not_null_name", "shop.items")}


def test_a_long_history_is_not_sorted(sink, database):
    """Of 40,000 results of two rules the last ten are read by the index, a few pages."""
    table = Table()
    sink.write(of_table(table, defaults={"quality": [{"check": "not_null", "columns": ["name"]}]}), database=database)
    sink.replay([table.create(row(1))])
    sink.run("quality", "run", "-c", sink.conf)
    database.execute("""
        insert into ods_sink.quality
        select consumer_group, pipeline, r, validator, source_table, target_table,
               began_at - n * interval '1 minute', in_flight, by_daemon, worker, state, measured, looked_at,
               expected, seconds, why, facts, of_hour
          from ods_sink.quality, generate_series(1, 20000) n, unnest(array['a', 'not_null_name']) r""")
    database.execute("analyze ods_sink.quality")
    assert report(sink, Exit.OK) == {("not_null_name", "shop.items"): "pass"}
    with open(ROOT / "sql/postgres/quality_read.sql") as file:
        statement = re.sub(r"\$2::integer", "10", file.read())
    group = database.value("select distinct consumer_group from ods_sink.quality")
    statement = statement.replace("$1", f"'{group}'")
    plan = json.loads(database.value(f"explain (analyze, buffers, format json) {statement}"))
    assert plan[0]["Plan"]["Actual Rows"] == 20
    assert plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"] < 400, plan
