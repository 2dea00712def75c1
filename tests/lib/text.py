"""The text form in which rows of different databases compare.

That of tests/golden/*/expect.*.jsonl: bytes as hex, bits as integers, booleans 0/1, decimals without
trailing zeros, times in UTC with microseconds, MySQL's time as Python's timedelta, the rest as it is.
"""

import datetime
import decimal
import json
from collections import Counter

UTC = datetime.timezone.utc


def text_of(value):
    """A value as psycopg2 or pymysql gives it. The order matters: a bool is an int as well."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, decimal.Decimal):
        return decimal_text(value)
    if isinstance(value, datetime.datetime):
        if value.tzinfo:
            value = value.astimezone(UTC).replace(tzinfo=None)
        return value.isoformat(timespec="microseconds")
    if isinstance(value, datetime.time):
        return str(datetime.timedelta(hours=value.hour, minutes=value.minute,
                                      seconds=value.second, microseconds=value.microsecond))
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def decimal_text(value):
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def row_text(columns, values, bit_columns=()):
    """Sorted [column, text] pairs of one row; bit strings of PostgreSQL become integers."""
    pairs = []
    for column, value in zip(columns, values):
        if column in bit_columns and isinstance(value, str):
            value = int(value, 2)
        elif column in bit_columns and isinstance(value, bytes):
            value = int.from_bytes(value, "big")
        pairs.append([column, text_of(value)])
    return sorted(pairs)


def by_text(rows):
    """Rows in an order that NULLs do not disturb."""
    return sorted(rows, key=json.dumps)


def differences(expected, actual, limit=10):
    """What tells two lists of row texts apart, in lines for a person; empty when they are equal."""
    expected, actual = by_text(expected), by_text(actual)
    wanted, found = Counter(map(json.dumps, expected)), Counter(map(json.dumps, actual))
    missing, extra = sorted((wanted - found).elements()), sorted((found - wanted).elements())
    lines = []
    if len(expected) != len(actual):
        lines.append(f"{len(expected)} rows expected, {len(actual)} found")
    if len(missing) == len(extra):
        return lines + [changed(json.loads(before), json.loads(after))
                        for before, after in list(zip(missing, extra))[:limit]]
    lines += [f"missing: {json.loads(row)}" for row in missing[:limit]]
    lines += [f"too much: {json.loads(row)}" for row in extra[:limit]]
    return lines


def changed(expected, actual):
    """Two rows that stand at the same place: only what differs, after the first columns."""
    pairs = [f"{name}: {value!r} expected, {other!r} found"
             for (name, value), (_, other) in zip(expected, actual) if value != other]
    return f"row {expected[:2]}…: " + "; ".join(pairs)


def assert_same_rows(expected, actual, table):
    lines = differences(expected, actual)
    assert not lines, f"{table}:\n" + "\n".join(lines)
