"""Rules about the data: each finds what was planted and nothing else, on its way and in the table, and
what it found reaches history, report and exit code.

ODS_QUALITY_ROWS is how many rows the hundred faults are in, ODS_QUALITY_SEED where they are, ODS_QUALITY_FIGURES
a folder for what rules took."""

import json
import os
import re
import secrets
import shutil
import subprocess
from datetime import datetime, timedelta, timezone

import jsonschema
import pytest
import yaml
from conftest import ROOT
from lib.cli_worlds import shop_mysql
from lib.faulty import PLANTED, RULES, customer, order, pipeline, world
from lib.maxwell import letters_of
from lib.records import INT, TEXT, Table, row
from lib.sink import Exit, free_port

ROWS = int(os.environ.get("ODS_QUALITY_ROWS", 4000))
SEED = int(os.environ.get("ODS_QUALITY_SEED", 1))
PATIENCE_S = 60 + ROWS / 2000
CANT_TELL = 6  # an exit code
STATUS = json.loads((ROOT / "docs" / "status.schema.json").read_text(encoding="utf-8"))
FLYING = ("not_null", "range", "set", "pattern")


def quality(sink, *arguments, expect=Exit.OK):
    done = sink.run("quality", arguments[0], "-c", sink.conf, "--json", *arguments[1:], expect=expect,
                    timeout_s=120 + PATIENCE_S)
    return json.loads(done.stdout)


def keep(name, result):
    folder = os.environ.get("ODS_QUALITY_FIGURES")
    if folder:
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/{name}-{SEED}.json", "w") as file:
            json.dump(result, file, indent=1)


def found(result):
    return {one["rule"]: one["measured"] for one in result["rules"]}


def records():
    tables, made, spoiled = world(ROWS, SEED)
    return (tables[table].create(one) for table in made for one in made[table]), made, spoiled


@pytest.fixture
def planted(sink, database):
    some, made, spoiled = records()
    sink.write(pipeline(), database=database)
    sink.replay(some, timeout_s=120 + PATIENCE_S)
    return made, spoiled


def test_each_rule_finds_what_was_planted_and_nothing_else_twice(sink, database, planted):
    made, spoiled = planted
    for turn in range(2):
        result = quality(sink, "run", expect=Exit.NEGATIVE)
        keep(f"table-{turn}", result)
        assert found(result) == PLANTED
        assert {one["state"] for one in result["rules"]} == {"fail"} and result["counts"]["fail"] == 10
        for one in result["rules"]:
            broken = {str(key) for key, name in spoiled[one["table"].split(".")[-1]].items()
                      if name == one["rule"]}
            assert one["seconds"] > 0 and one["rows"] == ROWS // 2
            if one["rule"] == "unique_email":  # either of the two rows that are equal
                broken |= {str(int(key) - 1) for key in broken}
            assert len(one["keys"]) == 5 and set(one["keys"]) <= broken
    # Mended by the stream, nothing is left.
    tables, whole, _ = world(ROWS)
    again = []
    for table, some in spoiled.items():
        for place, name in some.items():
            good = {**made[table][place], **{column: value for column, value in
                                             (fresh(table, place).items())}}
            record = tables[table].update(made[table][place], good)
            again.append({**record, "offset": ROWS + len(again)})
    sink.replay(again)
    result = quality(sink, "run")
    assert found(result) == dict.fromkeys(PLANTED, 0) and result["verdict"] == "pass"
    assert database.count("ods_sink.quality") == 30
    report = quality(sink, "report")
    assert [len(one["runs"]) for one in report["rules"]] == [3] * 10
    assert [[run["state"] for run in one["runs"]] for one in report["rules"]] == \
        [["fail", "fail", "pass"]] * 10


def fresh(table, place):
    return customer(place) if table == "customers" else order(place, ROWS // 2)


def test_on_their_way_rows_are_counted_marked_or_set_aside(sink, database, tmp_path):
    """Every second rule marks, the others make letters."""
    rules, number = {}, 0
    for table, some in RULES.items():
        rules[table] = []
        for rule in some:
            if rule["check"] in FLYING:
                rules[table].append({**rule, "on_fail": ["mark", "letter"][number % 2]})
                number += 1
    fate = {f"{rule['check']}_{rule['columns'][0]}": rule["on_fail"]
            for some in rules.values() for rule in some}
    some, made, spoiled = records()
    sink.write(pipeline(rules), database=database)
    sink.replay(some, dead_letter=tmp_path / "letters", timeout_s=120 + PATIENCE_S)
    errors = []
    for letter in letters_of(tmp_path / "letters"):
        notes = letter["headers"]
        errors.append(notes[notes.index("ods.error") + 1])
    told = [re.search(r"quality rule (\w+) \(tables.yaml:\d+\), c of shop\.\w+: column ", one)[1]
            for one in errors]
    assert {name: told.count(name) for name in fate} == \
        {name: PLANTED[name] if how == "letter" else 0 for name, how in fate.items()}
    for table in made:
        marks = dict(database.execute(f"select id, quality from {table} where quality is not null"))
        assert marks == {key: name for key, name in spoiled[table].items() if fate.get(name) == "mark"}
    # A row that is put right loses its mark; one that is deleted keeps its last.
    key, name = next((key, name) for key, name in spoiled["customers"].items()
                     if fate.get(name) == "mark")
    table = world(ROWS)[0]["customers"]
    update = {**table.update(made["customers"][key], fresh("customers", key)), "offset": ROWS}
    sink.replay([update])
    assert database.value(f"select quality from customers where id = {key}") is None


def test_a_row_may_break_several_rules_and_files_have_marks_too(sink, tmp_path):
    stream = {"name": "p", "topics": ["src.shop.items"], "quality": {"mark": "flaws", "rules": [
        {"check": "not_null", "columns": ["name", "amount"], "on_fail": "mark"},
        {"name": "small", "check": "range", "columns": ["id"], "max": "5", "on_fail": "mark"},
        {"check": "schema", "types": {"id": "any", "gone": "any"}, "on_fail": "mark"}]}}
    sink.write(stream, targets=[{"name": "ods", "type": "file", "directory": str(tmp_path / "out")}])
    (tmp_path / "out").mkdir()
    table = Table()
    sink.replay([table.create({"id": 9, "name": None, "amount": None}), table.delete(row(9))])
    lines = [json.loads(line) for path in sorted((tmp_path / "out").rglob("*.jsonl"))
             for line in path.read_text().splitlines()]
    assert [line["after"] and line["after"]["flaws"] for line in lines] == \
        ["not_null_name_amount, small, schema", None]


def test_what_needs_the_table(sink, database):
    """Schema and drift, row counts, freshness, volume, and what can't be told."""
    table = Table()
    rules = [{"check": "schema", "types": {"id": "integer", "name": "text", "amount": "int4"},
              "key": ["id"], "others": False},
             {"name": "few", "check": "row_count", "min": "5", "max": "8"},
             {"check": "freshness", "within": "10m"},
             {"check": "volume"},
             {"name": "odd", "check": "not_null", "columns": ["nothing"]}]
    sink.write({"name": "p", "topics": ["src.shop.items"], "tables": {
        "items": {"quality": rules}, "later": {"quality": rules[:1]}}}, database=database)
    now_ms = int(datetime.now(timezone.utc).timestamp() * 1000)
    sink.replay([table.create(row(number), ts_ms=now_ms) for number in range(6)])
    result = quality(sink, "run", expect=CANT_TELL)
    states = {one["rule"]: one["state"] for one in result["rules"] if one["table"].endswith("items")}
    assert states == {"schema": "pass", "few": "pass", "freshness": "pass", "volume": "pass",
                      "odd": "unknown"}
    why = {one["rule"]: one["why"] for one in result["rules"] if one["table"].endswith("items")}
    assert "no column nothing" in why["odd"] and "2 are needed" in why["volume"]
    assert [one["why"] for one in result["rules"] if one["table"] == "later"] == [
        "the target has no such table: no record of it has been applied, or its name is another"]
    # All of them break.
    database.execute("alter table items add column extra bigint, alter column amount type bigint")
    database.execute("update items set cdc_timestamp = cdc_timestamp - interval '1 hour'")
    database.execute("insert into items (id, cdc_timestamp) "
                     "select n, now() at time zone 'UTC' - interval '1 hour' from generate_series(10, 70) n")
    for week in (1, 2, 3):
        hour = datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0) - timedelta(
            hours=1, days=7 * week)
        database.execute(
            "insert into ods_sink.quality select (jsonb_populate_record(q, jsonb_build_object("
            f"'of_hour', '{hour.isoformat()}', 'measured', {week}))).* from ods_sink.quality q "
            "where rule = 'volume'" + (" and of_hour > now() - interval '1 day'"))
    result = quality(sink, "run", "items", expect=Exit.NEGATIVE)
    told = {one["rule"]: (one["state"], one["why"]) for one in result["rules"]}
    assert told["schema"][0] == told["few"][0] == told["freshness"][0] == told["volume"][0] == "fail"
    assert "column amount is bigint and not int4" in told["schema"][1]
    assert "column extra is not expected" in told["schema"][1]
    assert "there is extra bigint" in told["schema"][1]
    assert "there is no more amount integer" in told["schema"][1]
    assert told["few"][1] == "the table has 67 rows"
    assert "the median of 3 weeks is 2" in told["volume"][1]
    # What is so for two runs is no drift any more.
    result = quality(sink, "run", "--rule", "schema", "items", expect=Exit.NEGATIVE)
    assert "since the last run" not in result["rules"][0]["why"]


def test_a_partner_that_comes_in_another_transaction_is_waited_for(sink, database, planted):
    """What breaks a rule about several rows has to do so twice, `settle` apart."""
    import threading
    sink.write(pipeline(settle="3s"), database=database)
    missing = [10_000_000 + place for place, name in planted[1]["orders"].items()
               if name == "reference_customer"]
    mend = threading.Timer(1, lambda: database.execute(
        "insert into customers (id) select unnest(%s::int[])", missing[:7]))
    mend.start()
    result = quality(sink, "run", "--rule", "reference_customer", expect=Exit.NEGATIVE)
    mend.join()
    assert found(result) == {"reference_customer": len(missing) - 7}


def test_redacted_columns_and_the_list(sink, database, planted):
    some = pipeline()
    some["tables"]["customers"]["redact"] = ["email"]
    sink.write(some, database=database)
    result = quality(sink, "run", "customers", expect=Exit.NEGATIVE)
    assert len(result["rules"]) == 5 and all(not one["keys"] for one in result["rules"])
    listed = quality(sink, "list")["rules"]
    assert [one["rule"] for one in listed] == list(PLANTED)
    assert [one["state"] for one in listed] == ["fail"] * 5 + [None] * 5
    assert all(one["seconds"] > 0 for one in listed[:5])
    shown = sink.run("quality", "list", "-c", sink.conf).stdout
    assert "not_null_name" in shown and "never" in shown and "ms" in shown
    assert "example.com" not in shown
    sink.run("quality", "run", "-c", sink.conf, "--rule", "nothing", expect=Exit.USAGE)


def test_the_page(sink, database, planted, tmp_path):
    for _ in range(3):
        sink.run("quality", "run", "-c", sink.conf, expect=Exit.NEGATIVE)
    page = tmp_path / "quality.html"
    sink.run("quality", "report", "-c", sink.conf, "--html", page, expect=Exit.NEGATIVE)
    text = page.read_text()
    assert not re.search(r"(src|href|url)\s*[=(]|https?:|<script", text), "it needs no other file"
    assert text.count("<rect class=fail") == 30 and text.count("<polyline") == 10
    program = shutil.which("chromium")
    assert program, "scripts/setup installs Debian's chromium"
    dom = subprocess.run([program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
                          "--disable-background-networking", "--disable-component-update",
                          "--disable-sync", f"--user-data-dir={tmp_path / 'chromium'}", "--dump-dom",
                          page.as_uri()], capture_output=True, text=True, timeout=120, check=True).stdout
    assert "rules are broken" in dom and dom.count("<rect ") == 30
    shots = os.environ.get("PAGE_SHOTS")
    if shots:
        os.makedirs(shots, exist_ok=True)
        shutil.copy(page, f"{shots}/quality.html")


def test_against_the_source(sink, request):
    """Row counts and checksums: an order of MySQL is a dead letter here."""
    rules = [{"check": "row_count"}, {"check": "checksum"}]
    shop_mysql(sink, request.getfixturevalue, "quality-source",
               tables={table: {"quality": rules} for table in ("customers", "orders")})
    result = quality(sink, "run", expect=Exit.NEGATIVE)
    assert {(one["table"], one["rule"]): (one["state"], one["measured"]) for one in result["rules"]} == {
        ("store.customers", "row_count"): ("pass", 0), ("store.customers", "checksum"): ("pass", 0),
        ("store.orders", "row_count"): ("fail", 1), ("store.orders", "checksum"): ("fail", 1)}
    assert {one["why"] for one in result["rules"] if one["table"] == "store.orders"} == {
        "the source has 2 rows, the target 1",
        "1 rows are missing, 0 extra, 0 changed; ods-sink verify shows them"}


def rules_of_the_page():
    """docs/quality.md: the rules below the headings of its checks, by table."""
    text = (ROOT / "docs" / "quality.md").read_text().split("## Checks")[1].split("## In flight")[0]
    rules = {}
    for heading, block in re.findall(r"### (\w+)\n.*?```yaml\n(.*?)```", text, re.S):
        for table, some in yaml.safe_load(block).items():
            assert {rule["check"] for rule in some} == {heading}
            rules.setdefault(table, []).extend(some)
    return rules


def test_the_examples_of_the_page(sink, database):
    rules = rules_of_the_page()
    checks = {rule["check"] for some in rules.values() for rule in some}
    assert checks == {"not_null", "range", "set", "pattern", "schema", "unique", "reference",
                      "row_count", "checksum", "lag", "freshness", "volume"}
    sink.write(pipeline(rules), database=database)
    tables, made, _ = world(ROWS)
    now_ms = int(datetime.now(timezone.utc).timestamp() * 1000)
    good = [tables[table].create(fresh(table, number), ts_ms=now_ms) for table in made
            for number in range(20)]
    sink.replay(good)
    away = ("checksum", "lag")  # they ask the source and Kafka, which this test has not
    for one in [rule for some in rules.values() for rule in some if rule["check"] not in away]:
        name = "_".join([one["check"], *one.get("columns", [])])
        result = quality(sink, "run", "--rule", name)
        assert [each["state"] for each in result["rules"]] == ["pass"], name


WRONG = {
    "columns missing": ({"check": "range", "min": "1"}, "'columns' is missing here"),
    "a bound missing": ({"check": "range", "columns": ["a"]}, "needs 'min' or 'max'"),
    "of another check": ({"check": "set", "columns": ["a"], "values": ["x"], "min": "1"},
                         "'min' is not for the check 'set'"),
    "no regular expression": ({"check": "pattern", "columns": ["a"], "pattern": "("},
                              "not a POSIX extended regular expression"),
    "no digits": ({"check": "pattern", "columns": ["a"], "pattern": r"^\d+$"}, "the letter d: write [0-9]"),
    "edges of words": ({"check": "pattern", "columns": ["a"], "pattern": r"\bone\b"}, "something else to PostgreSQL"),
    "too few columns": ({"check": "reference", "columns": ["a", "b"], "references": "t(id)"},
                        "'references' expects a table with as many columns"),
    "no record breaks it": ({"check": "unique", "columns": ["a"], "on_fail": "letter"},
                            "no record can break it on its way"),
    "nothing": ({"check": "not_null", "columns": ["a"], "scheduled": False}, "checks nothing"),
    "no number": ({"check": "row_count", "min": "many"}, "'min' expects a number"),
}


def test_rules_that_are_wrong_are_refused_with_their_line(sink, database):
    for rule, why in WRONG.values():
        sink.write({"name": "p", "topics": ["t"], "quality": {"rules": [rule]}}, database=database)
        done = sink.check(expect=Exit.CONFIG)
        assert why in done.stderr and re.search(r"tables\.yaml:\d+", done.stderr), (rule, done.stderr)
    twice = {"check": "not_null", "columns": ["a"]}
    sink.write({"name": "p", "topics": ["t"], "quality": {"rules": [twice]},
                "tables": {"x": {"quality": [twice]}}}, database=database)
    assert "two rules of a table are named 'not_null_a'" in sink.check(expect=Exit.CONFIG).stderr


def shown(daemon, name, rule):
    """The metric's value for the rule, None if it has none."""
    for line in daemon.get("/metrics")[1].splitlines():
        if line.startswith(f"ods_sink_{name}{{") and f'rule="{rule}"' in line:
            return float(line.rpartition(" ")[2])
    return None


def test_the_daemon_checks_by_itself_while_rows_come(sink, kafka, database):
    """Under load: what was planted is found and nothing else; history, metrics, status and the report
    say so; of two processes one checks; what is mended is mended everywhere."""
    prefix = f"q{secrets.token_hex(3)}"
    tables, made, spoiled = world(ROWS, SEED + 1, prefix)
    for table in tables.values():
        kafka.create(table.topic, 1)
    rules = {table: [{**rule, **({"on_fail": "pass"} if rule["check"] in FLYING else {})}
                     for rule in some] for table, some in RULES.items()}
    stream = {**pipeline(rules, prefix, every="1s", settle="0s", rules=[
        {"check": "lag", "max": str(max(1000, ROWS // 100))}, {"check": "row_count", "min": "1"}]), "lanes": 2}
    daemons = []
    for _ in range(2):
        sink.http_port = free_port()
        sink.write(stream, kafka=True, database=database)
        daemons.append((sink.daemon(), sink.http_port))
        daemons[-1][0].await_ready()
    (first, of_first), (second, of_second) = daemons
    sink.http_port = of_first
    kafka.produce(tables["customers"].create(one) for one in made["customers"])
    kafka.produce([tables["orders"].create(one) for one in made["orders"][:100]])
    rest, some = made["orders"][100:], max(400, ROWS // 1000)
    for start in range(0, len(rest), some):  # orders come, customers change, while rules are checked
        kafka.produce([tables["orders"].create(one) for one in rest[start:start + some]])
        kafka.produce([tables["customers"].update(one, one) for one in made["customers"][:50]])
    first.await_that(lambda: all(database.count(table) == len(made[table]) for table in made),
                     PATIENCE_S, "all rows")

    def goes_on():
        kafka.produce([tables["customers"].update(one, one) for one in made["customers"][:50]])
        return database.value(count, begun) >= 3

    begun = database.value("select clock_timestamp()")
    count = ("select count(*) from (select from ods_sink.quality where by_daemon and not in_flight "
             "and began_at > %s group by began_at) as r")
    first.await_that(goes_on, PATIENCE_S, "three runs")
    keep("load", [[rule, state, measured, seconds] for rule, state, measured, seconds in database.execute(
        "select rule, state, measured::int, seconds from ods_sink.quality where by_daemon and not in_flight "
        "order by began_at, rule")])
    results = database.execute(
        "select rule, state, measured::int from ods_sink.quality where by_daemon and not in_flight "
        "and began_at > %s and began_at < (select max(began_at) from ods_sink.quality "
        "where not in_flight)", begun)
    for rule, state, measured in results:
        if rule in PLANTED:
            assert (state, measured) == ("fail", PLANTED[rule])
        else:
            assert state == "pass"
    assert {rule for rule, _, _ in results} == {*PLANTED, "lag", "row_count"}
    # One process at a time: nothing was checked twice in a run.
    assert not database.execute("select 1 from ods_sink.quality where not in_flight "
                                "group by began_at, rule, source_table having count(*) > 1")
    first.await_that(lambda: all(shown(first, "quality_measured", rule) == number
                                 for rule, number in PLANTED.items()), PATIENCE_S, "metrics")
    assert shown(first, "quality_broken", "set_status") == 1
    assert shown(first, "quality_broken", "lag") == 0
    assert shown(first, "quality_check_seconds", "set_status") > 0
    status = json.loads(first.get("/status")[1])["quality"][0]
    assert status["counts"] == {"pass": 4, "fail": 10, "unknown": 0} and status["next_at"]
    assert {one["rule"] for one in status["broken"]} == set(PLANTED) and status["checked_at"]
    sink.http_port = of_second  # each process tells what came its way
    flights = status["flight"] + json.loads(second.get("/status")[1])["quality"][0]["flight"]
    sink.http_port = of_first
    assert {one["rule"] for one in flights} == {name for name in PLANTED if name.startswith(FLYING)}
    jsonschema.validate(status, STATUS["properties"]["quality"]["items"])
    report = quality(sink, "report", expect=Exit.NEGATIVE)
    flown = [one for one in report["rules"] if one["in_flight"]]
    assert {one["rule"] for one in flown} == {name for name in PLANTED if name.startswith(FLYING)}
    # Put right at the source, the alarm is over.
    mended = [tables[table].update(made[table][place], fresh(table, place))
              for table, some in spoiled.items() for place in some]
    kafka.produce(mended)
    first.await_that(lambda: all(shown(first, "quality_broken", rule) == 0 for rule in PLANTED),
                     PATIENCE_S, "nothing is broken")
    total = database.execute("select rule, sum(measured)::int from ods_sink.quality where in_flight "
                             "group by rule")
    assert {rule: number for rule, number in total if number} == {
        rule: number for rule, number in PLANTED.items() if rule.startswith(FLYING)}
    # The other process goes on when the first has ended.
    first.stop()
    begun = database.value("select clock_timestamp()")
    second.await_that(lambda: database.value(count, begun) >= 2, PATIENCE_S, "the second process's runs")
    second.stop()
