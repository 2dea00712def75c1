"""Numbers that are dates and times, in records without schema: the connector's documented unit, or
a dead letter that names the setting. Never another moment.

Debezium's adaptive modes: milliseconds up to three fractional digits, microseconds up to six,
nanoseconds beyond; MySQL's times of day are microseconds.
"""

import json

import pytest
from lib.postgres import create_database
from lib.sink import Setup, read_lines

MS, US, NS = 1529507596945, 1529507596945104, 1529507596945104000
SHOWN_MS, SHOWN_US = "2018-06-20 15:13:16.945", "2018-06-20 15:13:16.945104"
NINE = 253402300799000  # 9999-12-31 23:59:59
TIMES = {"ms": 75723123, "us": 75723123456, "ns": 75723123456000}  # 21:02:03.123456
LETTER = "letter"

# connector, column, number, what stands there (in text), settings of the pipeline's source
CASES = [
    # The column's precision tells, as far as the target has the source's.
    ("sqlserver", "timestamp(3)", MS, SHOWN_MS), ("sqlserver", "timestamp(0)", 1529507596000,
                                                  "2018-06-20 15:13:16"),
    ("sqlserver", "timestamp(4)", 1529507596945100, "2018-06-20 15:13:16.9451"),
    ("sqlserver", "timestamp(5)", 1529507596945110, "2018-06-20 15:13:16.94511"),
    ("sqlserver", "timestamp(3)", NS, LETTER), ("sqlserver", "timestamp(3)", US, LETTER),
    ("sqlserver", "timestamp(4)", NS, LETTER), ("sqlserver", "timestamp(4)", MS, LETTER),
    # No column has seven digits.
    *[("sqlserver", column, number, LETTER) for column in ("timestamp(6)", "timestamp", "timestamptz")
      for number in (MS, US, NS, 1036800000000000)],
    ("sqlserver", "timestamp", 0, "1970-01-01 00:00:00"),
    *[("sqlserver", "timestamp(6)", NS, SHOWN_US, {"timestamp_unit": "ns"})],
    ("sqlserver", "timestamp", US, SHOWN_US, {"timestamp_unit": "us"}),
    ("sqlserver", "time(3)", TIMES["ms"], "21:02:03.123"),
    ("sqlserver", "time(5)", 75723123450, "21:02:03.12345"),
    ("sqlserver", "time(5)", TIMES["ns"], LETTER), ("sqlserver", "time(3)", TIMES["us"], LETTER),
    *[("sqlserver", column, TIMES[unit], LETTER) for column in ("time", "time(6)", "interval")
      for unit in TIMES],
    ("sqlserver", "time", TIMES["ns"], "21:02:03.123456", {"time_unit": "ns"}),
    ("sqlserver", "interval", TIMES["ns"], "21:02:03.123456", {"time_unit": "ns"}),
    ("sqlserver", "date", 17109, "2016-11-04"), ("sqlserver", "date", MS, LETTER),
    ("oracle", "timestamp(0)", 1529507596000, "2018-06-20 15:13:16"),
    ("oracle", "timestamp", MS, LETTER), ("oracle", "timestamp(6)", US, LETTER),
    ("oracle", "timestamp", NS, LETTER), ("oracle", "timestamp", NINE, LETTER),
    ("oracle", "timestamp(6)", US, SHOWN_US, {"timestamp_unit": "us"}),
    ("oracle", "date", 1529452800000, "2018-06-20"), ("oracle", "date", MS, LETTER),
    ("oracle", "date", 17109, LETTER), ("oracle", "time", TIMES["us"], LETTER),
    ("oracle", "interval", "RAW:9.3784E10", "26:03:04"),
    ("oracle", "interval", "RAW:93784000000.0", "26:03:04"),
    ("db2", "time", TIMES["ms"], "21:02:03.123"), ("db2", "time(0)", 75723000, "21:02:03"),
    ("db2", "time", TIMES["us"], LETTER), ("db2", "timestamp", US, LETTER),
    ("db2", "timestamp(3)", MS, SHOWN_MS), ("db2", "timestamp(6)", MS, LETTER),
    ("informix", "timestamp", US, LETTER), ("informix", "timestamp(3)", MS, SHOWN_MS),
    ("informix", "timestamp", US, SHOWN_US, {"timestamp_unit": "us"}),
    # A column without precision may have been made for any.
    ("mysql", "timestamp", US, SHOWN_US), ("mysql", "timestamp(6)", US, SHOWN_US),
    ("mysql", "timestamp", MS, LETTER), ("mysql", "timestamp", NINE, LETTER),
    ("mysql", "timestamp", NS, LETTER), ("mysql", "timestamptz", MS, LETTER),
    ("mysql", "timestamp(6)", MS, LETTER), ("mysql", "timestamp(3)", MS, SHOWN_MS),
    ("mysql", "timestamp(3)", NINE, "9999-12-31 23:59:59"), ("mysql", "timestamp(0)", US, LETTER),
    ("mysql", "timestamp(6)", NINE * 1000, "9999-12-31 23:59:59"),
    ("mysql", "timestamp", MS, SHOWN_MS, {"timestamp_unit": "ms"}),
    ("mysql", "time", TIMES["us"], "21:02:03.123456"), ("mysql", "time(0)", 5000000, "00:00:05"),
    ("mysql", "time", TIMES["ns"], LETTER), ("mysql", "interval", -3020399000000, "-838:59:59"),
    ("mysql", "interval", TIMES["ns"], LETTER),
    ("postgresql", "timestamp", US, SHOWN_US), ("postgresql", "timestamp", MS, LETTER),
    ("postgresql", "timestamp(6)", MS, LETTER), ("postgresql", "timestamp(2)", MS + 5, "2018-06-20 15:13:16.95"),
    ("postgresql", "timestamp", 601060312290123456, "21016-11-04 13:51:30.123456"),
    ("postgresql", "timestamp", -1, "1969-12-31 23:59:59.999999"),
    ("postgresql", "time", TIMES["us"], "21:02:03.123456"), ("postgresql", "time", 30000000, "00:00:30"),
    ("postgresql", "time(3)", TIMES["ms"], "21:02:03.123"), ("postgresql", "time", TIMES["ns"], LETTER),
    ("postgresql", "time(3)", 75723123000, LETTER),
    ("postgresql", "timestamp", 9223372036825200000, "infinity"),
    ("postgresql", "timestamp", 9223372036854775807, "infinity", {"timestamp_unit": "ns"}),
    ("postgresql", "timestamptz", -9223372036854775808, "-infinity", {"timestamp_unit": "ns"}),
    # What no record names.
    ("", "timestamp", US, SHOWN_US), ("", "timestamp", MS, LETTER), ("", "timestamp", NS, LETTER),
    ("", "timestamp(3)", MS, SHOWN_MS), ("", "time", TIMES["us"], "21:02:03.123456"),
    ("", "time(3)", TIMES["ms"], LETTER), ("", "time", TIMES["ns"], LETTER),
    ("", "time", TIMES["ms"], LETTER),
    # No unit is asked of columns that are no times.
    ("sqlserver", "bigint", NS, str(NS)), ("sqlserver", "text", NS, str(NS)),
    ("sqlserver", "numeric", NS, str(NS)),
]


def settings_of(case):
    return case[4] if len(case) > 4 else {}


def key_of(settings):
    return "_".join(f"{name}_{value}" for name, value in sorted(settings.items())) or "none"


def table_of(index, shape):
    return f"u_{shape}_{index}"


def number_text(number):
    return number[4:] if isinstance(number, str) else str(number)


def records(index, case, shape):
    """The number in a column of its own and in an array, in two records."""
    connector, column, number = case[:3]
    table = table_of(index, shape)
    topic = f"{shape}_{connector or 'none'}_{key_of(settings_of(case))}.public.{table}"
    for row, image in ((1, f'"v": {number_text(number)}'), (2, f'"a": [{number_text(number)}, null]')):
        image = f'{{"id": {row}, {image}}}'
        if shape == "plain":
            source = {"connector": connector, "ts_ms": MS, "db": "d", "schema": "public", "table": table}
            payload = f'{{"op": "c", "before": null, "after": {image}, "source": {json.dumps(source)}}}'
        else:
            payload = image[:-1] + f', "__op": "c", "__table": "{table}", "__source_ts_ms": {MS}}}'
        yield {"topic": topic, "partition": 0, "offset": row, "ts": MS, "headers": [],
               "key": json.dumps({"id": row}), "payload": payload}


def wanted():
    for index, case in enumerate(CASES):
        for shape in ("plain", "flat"):
            yield index, case, shape


@pytest.fixture(scope="module")
def outcome(stack, tmp_path_factory):
    from conftest import build

    stack.up("postgres")
    database = create_database(stack, "ods_units")
    lines, pipelines = [], {}
    for index, case, shape in wanted():
        database.execute(f"create table {table_of(index, shape)} (id int primary key, v {case[1]}, "
                         f"a {case[1]}[])")
        lines += records(index, case, shape)
        # An envelope names its connector; for flattened records the setting does.
        source = {**settings_of(case), **({"connector": case[0]} if shape == "flat" and case[0] else {})}
        name = f"{shape}_{case[0] or 'none'}_{key_of(settings_of(case))}"
        pipelines[name] = {"name": name, "topics": [f"^{name}\\..*"], "format": "debezium",
                           "target": "ods", "source": source,
                           "defaults": {"cdc_operation": "off", "cdc_timestamp": "off",
                                        "on_delete": "hard"}}
    folder = tmp_path_factory.mktemp("units")
    sink = Setup(folder, build("asan"), stack).write(*pipelines.values(), database=database)
    letters = {}
    sink.replay(lines, dead_letter=folder / "dead.jsonl")
    for letter in read_lines(folder / "dead.jsonl"):
        letters.setdefault(letter["topic"].rsplit(".", 1)[1], []).append(letter)
    yield database, letters
    database.close()


def reason_of(letter):
    return letter["headers"][letter["headers"].index("__connect.errors.exception.message") + 1]


def wrong(database, letters, index, case, shape):
    """What is not as the case has it; None: nothing."""
    table = table_of(index, shape)
    found = dict(database.execute(f"select id, coalesce(v::text, a[1]::text) from {table}"))
    mine = [reason_of(letter) for letter in letters.get(table, [])]
    if case[3] != LETTER:
        return None if not mine and found == {1: case[3], 2: case[3]} else (found, mine)
    # The reason is true, and names what would mend it.
    true = all("time of day that the value has" in reason or
               ("source_types" in reason and "between 00:00 and 24:00" not in reason)
               for reason in mine)
    return None if not found and len(mine) == 2 and true else (found, mine)


def test_units(outcome):
    found = [(case, shape, wrong(*outcome, index, case, shape)) for index, case, shape in wanted()]
    failed = [one for one in found if one[2]]
    assert not failed, "\n".join(map(str, failed))
