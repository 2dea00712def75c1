"""Every kind of value in the tables of a lake, as two readers see it: what PostgreSQL's column of that kind shows
(types_cases.py), or what lake_cases.py says: a text where the format has no such type, or a dead letter.

A record a value, all into one wide table.
"""

import json
import re

import pytest

from lake_cases import TYPES, VALUES
from lib.lake import WHY_NOT, engine
from lib.records import INT, Table, pipeline
from lib.sink import read_lines
from types_cases import CASES, REJECT, label

READERS = {"delta": ("duckdb", "deltalake"), "iceberg": ("pyiceberg", "duckdb_iceberg")}
DAY_US = 86_400_000_000


def distinct():
    """Cases that differ in more than the column that PostgreSQL has; of each the texts that its columns show."""
    found = {}
    for case in CASES:
        its = json.dumps([case.connect, case.value, case.connector, case.settings], sort_keys=True)
        found.setdefault(its, (case, []))[1].append(case.expect)
    return list(found.values())


def day_text(days):
    """As PostgreSQL shows it; the calendar's rules hold before they were made too."""
    days += 719468
    era, rest = divmod(days, 146097)
    year = (rest - rest // 1460 + rest // 36524 - rest // 146096) // 365
    rest -= 365 * year + year // 4 - year // 100
    month = (5 * rest + 2) // 153
    year += 400 * era + (month >= 10)
    shown = f"{year if year > 0 else 1 - year:04}-{month + 3 - 12 * (month >= 10):02}-{rest - (153 * month + 2) // 5 + 1:02}"
    return shown, "" if year > 0 else " BC"


def text(kind, value):
    """As PostgreSQL shows such a value."""
    if value is None:
        return None
    if kind.startswith("date32"):
        return "".join(day_text(value))
    if kind.startswith("timestamp"):
        (day, era), us = day_text(value // DAY_US), value % DAY_US
        seconds, fraction = divmod(us, 1_000_000)
        clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{fraction:06}".rstrip("0").rstrip(".")
        return f"{day} {clock}{'+00' if 'tz' in kind else ''}{era}"
    if kind == "binary":
        return rf"\x{value}"
    if kind == "bool":
        return "t" if value else "f"
    if kind in ("float", "double"):
        return re.sub(r"\.0$", "", f"{value:.7g}" if kind == "float" else repr(value)).replace("inf", "Infinity").replace("nan", "NaN")
    return str(value)


def records(cases):
    """A table for the cases of a connector and of settings of tables: first a row of NULL, which makes all columns, then
    a record a value, whose schema has its column alone."""
    groups, lines, settings = {}, [], {}
    for number, (case, _) in enumerate(cases):
        own = {name: value for name, value in case.settings.items() if name != "source_types"}
        groups.setdefault((case.connector, json.dumps(own)), []).append(number)
    for place, ((connector, own), numbers) in enumerate(groups.items()):
        kinds = {f"c{number}": cases[number][0].connect for number in numbers}
        settings[f"t{place}"] = {**json.loads(own), "source_types": {
            f"c{number}": cases[number][0].settings["source_types"] for number in numbers
            if "source_types" in cases[number][0].settings}}
        table = Table(name=f"t{place}", columns={"id": INT, **kinds})
        made = [table.create({"id": -1})]
        for number in numbers:
            table.columns = {"id": INT, f"c{number}": cases[number][0].connect}
            made.append(table.create({"id": number, f"c{number}": cases[number][0].value}))
        for record in made:
            payload = record["payload"].replace('"connector": "mysql"', f'"connector": "{connector}"')
            lines.append({**record, "payload": re.sub(r'"RAW:([^"]*)"', r"\1", payload)})
    return lines, settings


@pytest.mark.parametrize("kind", READERS)
def test_values(request, sink, tmp_path, kind):
    if not engine(sink.binary):
        pytest.skip(WHY_NOT)
    lake_reader = request.getfixturevalue("lake_reader")
    cases, letters = distinct(), tmp_path / "letters.jsonl"
    lines, settings = records(cases)
    sink.write(pipeline(r"^src\.shop\..*", tables=settings, defaults={
        "on_delete": "hard", "cdc_operation": "off", "cdc_timestamp": "off"}),
        targets=[{"name": "ods", "type": kind, "location": str(tmp_path / "lake")}])
    sink.replay(lines, dead_letter=letters)
    wanted = {number for number, (case, _) in enumerate(cases) if VALUES.get(case.name) is REJECT}
    assert {json.loads(letter["key"])["payload"]["id"] for letter in read_lines(letters)} == wanted
    for reader in READERS[kind]:
        wrong, seen = {}, 0
        for table in settings:
            columns = lake_reader.ask("values", tmp_path / "lake/shop" / table, reader=reader)
            rows = columns.pop("id")["values"]
            for name, column in columns.items():
                case, shown = cases[int(name[1:])]
                values = {row: text(column["type"], value) for row, value in zip(rows, column["values"])}
                value, seen = values.pop(int(name[1:]), REJECT), seen + 1
                right = value == VALUES[case.name] if case.name in VALUES else value in shown
                if not right or set(values.values()) != {None} or column["type"] != TYPES.get(label(case), "string"):
                    wrong[case.name] = column["type"], value
        assert not wrong and seen == len(cases), reader


def test_each_exception_is_of_a_case():
    names = [case.name for case, _ in distinct()]
    assert {names.count(name) for name in VALUES} == {1}
    assert not TYPES.keys() - {label(case) for case in CASES}
