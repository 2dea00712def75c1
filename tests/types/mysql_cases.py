"""What each kind of value becomes in each column of MySQL: worked out here from what the value is, and
held against the servers by test_mysql_matrix.py. docs/types-mysql.md is this list."""

import json
import struct as packing
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, Optional

from types_cases import BIGINT, CIRCLE, CONNECT, DATA, DATE, DOUBLE_VECTOR, GEOGRAPHY, GEOMETRY, \
    LAPSE, LINE, MICROTIME, MICROTIMESTAMP, NANOTIME, NANOTIMESTAMP, POINT, SPARSE, STAMP, TEXT, \
    TIME, TIMESTAMP, VARIABLE, ZONED, ZONED_STAMP, ZONEDTIME, array, decimal, propagated, shape, \
    struct, structured, t

REFUSED = None


class Kind(NamedTuple):
    schema: dict
    value: Any               # as JsonConverter writes it
    text: str                # what a text column shows
    made: str                # the column that ods-sink makes for it
    number: Optional[Decimal] = None  # what a number column gets
    floats: int = 0          # a float of so many bits itself
    moment: Optional[datetime] = None
    time: Optional[timedelta] = None
    bits: Optional[int] = None
    raw: Optional[bytes] = None       # what a binary column gets
    json: Any = ...          # what a json column gets; ...: the text as a string
    geometry: str = ""


def number(value):
    return {"number": Decimal(str(value)), "json": value}


def moment(text, counted=None):
    at = datetime.fromisoformat(text)
    return {"moment": at, "number": None if counted is None else Decimal(counted),
            "json": text.replace(" ", "T")}


def clock(counted=None, **parts):
    return {"time": timedelta(**parts), "number": None if counted is None else Decimal(counted)}


def texts(value, **more):
    return {"raw": value.encode(), "json": REFUSED, **more}


POINT_WKB = packing.pack("<BIdd", 1, 1, 3.0, 4.0)
UUID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
CLOCK = {"hour": 15, "minute": 13, "second": 16, "nanos": 945104000}
DAY = {"year": 2018, "month": 6, "day": 20}

KINDS = {
    "boolean": Kind(t("boolean"), True, "true", "tinyint(1)", Decimal(1), bits=1, json=True),
    "int8": Kind(t("int8"), -128, "-128", "tinyint", **number(-128)),
    "int16": Kind(t("int16"), -32768, "-32768", "smallint", **number(-32768)),
    "int32": Kind(t("int32"), 2147483647, "2147483647", "int", bits=2147483647,
                  **number(2147483647)),
    "int32 small": Kind(t("int32"), 5, "5", "int", bits=5, **number(5)),
    "int64": Kind(BIGINT, 9007199254740993, "9007199254740993", "bigint", bits=9007199254740993,
                  **number(9007199254740993)),
    "int64 of bigint unsigned": Kind(
        propagated(BIGINT, "BIGINT UNSIGNED"), -1, "18446744073709551615", "bigint unsigned",
        bits=2**64 - 1, **number(18446744073709551615)),
    "float32": Kind(t("float"), 3.3, "3.3", "float", floats=32, **number(3.3)),
    "float64": Kind(t("double"), 0.1, "0.1", "double", floats=64, **number(0.1)),
    "float64 long": Kind(t("double"), 3.141592653589793, "3.141592653589793", "double", floats=64,
                         **number(3.141592653589793)),
    "float64 whole": Kind(t("double"), 3.0, "3", "double", floats=64, bits=3, **number(3)),
    "float64 large": Kind(t("double"), 1e300, "1e+300", "double", floats=64, **number(1e300)),
    "float64 NaN": Kind(t("double"), "NaN", "NaN", "double", json="NaN"),
    "string": Kind(TEXT, "abc", "abc", "longtext", **texts("abc")),
    "string of digits": Kind(TEXT, "123", "123", "longtext", Decimal(123), **texts("123", json=123)),
    "string of a date": Kind(TEXT, "2018-06-20", "2018-06-20", "longtext",
                             moment=datetime(2018, 6, 20), **texts("2018-06-20")),
    "string of a zero date": Kind(TEXT, "0000-00-00", "0000-00-00", "longtext",
                                  **texts("0000-00-00")),
    "string of a year": Kind(TEXT, "2023", "2023", "longtext", Decimal(2023),
                             **texts("2023", json=2023)),
    "string with a character beyond the BMP": Kind(
        TEXT, "a\N{GRINNING FACE}b\N{LATIN SMALL LETTER E WITH ACUTE}",
        "a\N{GRINNING FACE}b\N{LATIN SMALL LETTER E WITH ACUTE}", "longtext",
        **texts("a\N{GRINNING FACE}b\N{LATIN SMALL LETTER E WITH ACUTE}")),
    "string to be escaped": Kind(TEXT, "\\N\t\n'", "\\N\t\n'", "longtext", **texts("\\N\t\n'")),
    "string of 70": Kind(TEXT, "x" * 70, "x" * 70, "longtext", **texts("x" * 70)),
    "bytes": Kind(t("bytes"), "AQID", r"\x010203", "longblob", raw=b"\1\2\3"),
    "decimal": Kind(decimal(2, 5), "bg==", "1.10", "decimal(5,2)", **number(1.10)),
    "decimal of 38 digits": Kind(decimal(0, 38), "SztMqFqGxHoJiiI//////w==", "9" * 38,
                                 "decimal(38,0)", Decimal("9" * 38), json=int("9" * 38)),
    "variable decimal": Kind(VARIABLE, {"scale": 3, "value": "DQU="}, "3.333", "decimal(65,30)",
                             **number(3.333)),
    "date": Kind(DATE, 16576, "2015-05-21", "date", bits=16576,
                 **moment("2015-05-21", 16576)),
    "date before Christ": Kind(DATE, -719560, "0002-11-30 BC", "date", Decimal(-719560)),
    "time ms": Kind(t("int32", TIME + "Time"), 49890123, "13:51:30.123", "time(3)",
                    bits=49890123,
                    **clock(49890123, hours=13, minutes=51, seconds=30, milliseconds=123)),
    "time us": Kind(MICROTIME, 49890123456, "13:51:30.123456", "time(6)", bits=49890123456,
                    **clock(49890123456, hours=13, minutes=51, seconds=30, microseconds=123456)),
    "time beyond 24 h": Kind(MICROTIME, -3020399000000, "-838:59:59", "time(6)",
                             **clock(-3020399000000, hours=-838, minutes=-59, seconds=-59)),
    "time ns": Kind(NANOTIME, 49890123456000, "13:51:30.123456", "time(6)", bits=49890123456000,
                    **clock(49890123456000, hours=13, minutes=51, seconds=30,
                            microseconds=123456)),
    "timestamp ms": Kind(TIMESTAMP, 1529507596945, "2018-06-20 15:13:16.945", "datetime(3)",
                         bits=1529507596945,
                         **moment("2018-06-20 15:13:16.945", 1529507596945)),
    "timestamp us": Kind(MICROTIMESTAMP, 1529507596945104, "2018-06-20 15:13:16.945104",
                         "datetime(6)", bits=1529507596945104,
                         **moment("2018-06-20 15:13:16.945104", 1529507596945104)),
    "timestamp at midnight": Kind(MICROTIMESTAMP, 1529452800000000, "2018-06-20 00:00:00",
                                  "datetime(6)", bits=1529452800000000,
                                  **moment("2018-06-20 00:00:00", 1529452800000000)),
    "timestamp of 2100": Kind(TIMESTAMP, 4102444800000, "2100-01-01 00:00:00", "datetime(3)",
                              bits=4102444800000, **moment("2100-01-01 00:00:00", 4102444800000)),
    "timestamp infinity": Kind(MICROTIMESTAMP, 9223372036825200000, "infinity", "datetime(6)",
                               json="infinity", bits=9223372036825200000),
    "timestamp ns": Kind(NANOTIMESTAMP, 1529507596945104000, "2018-06-20 15:13:16.945104",
                         "datetime(6)", bits=1529507596945104000,
                         **moment("2018-06-20 15:13:16.945104", 1529507596945104000)),
    "zoned timestamp": Kind(
        ZONED, "2018-06-20T15:37:03.5+02:00", "2018-06-20 13:37:03.5+00", "datetime(6)",
        moment=datetime(2018, 6, 20, 13, 37, 3, 500000), json="2018-06-20T13:37:03.5+00:00",
        raw=b"2018-06-20T15:37:03.5+02:00"),
    "zoned time": Kind(ZONEDTIME, "11:51:30.123789Z", "11:51:30.123789+00", "time(6)",
                       raw=b"11:51:30.123789Z",
                       **clock(hours=11, minutes=51, seconds=30, microseconds=123789)),
    "ISO date": Kind(t("string", TIME + "IsoDate"), "2018-06-20Z", "2018-06-20", "date",
                     moment=datetime(2018, 6, 20), raw=b"2018-06-20Z", json="2018-06-20"),
    "ISO time": Kind(t("string", TIME + "IsoTime"), "13:51:30Z", "13:51:30", "time(6)",
                     raw=b"13:51:30Z", **clock(hours=13, minutes=51, seconds=30)),
    "ISO timestamp": Kind(t("string", TIME + "IsoTimestamp"), "2018-06-20T15:13:16Z",
                          "2018-06-20 15:13:16", "datetime(6)", raw=b"2018-06-20T15:13:16Z",
                          moment=datetime(2018, 6, 20, 15, 13, 16), json="2018-06-20T15:13:16"),
    "lapse us": Kind(t("int64", TIME + "MicroDuration"), 90061000001, "25:01:01.000001", "bigint",
                     bits=90061000001, **clock(90061000001, hours=25, minutes=1, seconds=1,
                                               microseconds=1)),
    "lapse ns": Kind(t("int64", TIME + "NanoDuration"), -1500000, "-00:00:00.0015", "bigint",
                     **clock(-1500000, microseconds=-1500)),
    "interval": Kind(t("string", TIME + "Interval"), "P1DT2H", "P1DT2H", "varchar(64)",
                     raw=b"P1DT2H", json="1 day 02:00:00", **{"time": timedelta(hours=26)}),
    "interval of months": Kind(t("string", TIME + "Interval"), "P1Y2M3DT4H5M6.78S",
                               "P1Y2M3DT4H5M6.78S", "varchar(64)", raw=b"P1Y2M3DT4H5M6.78S",
                               json="1 year 2 mons 3 days 04:05:06.78"),
    "year": Kind(t("int32", TIME + "Year"), 2023, "2023", "year", bits=2023, **number(2023)),
    "bits": Kind(t("bytes", DATA + "Bits", length=16), "AgE=", "0000000100000010", "bit(16)",
                 Decimal(258), bits=258, raw=b"\2\1"),
    "json": Kind(t("string", DATA + "Json"), '{"a": 1}', '{"a": 1}', "json", raw=b'{"a": 1}',
                 json={"a": 1}),
    "json with a long number": Kind(
        t("string", DATA + "Json"), "[0.1234567890123456789]", "[0.1234567890123456789]", "json",
        raw=b"[0.1234567890123456789]", json=[Decimal("0.1234567890123456789")]),
    "xml": Kind(t("string", DATA + "Xml"), "<a>b</a>", "<a>b</a>", "longtext", raw=b"<a>b</a>",
                json="<a>b</a>"),
    "uuid": Kind(t("string", DATA + "Uuid"), UUID, UUID, "char(36)", raw=UUID.encode(), json=UUID),
    "enum": Kind(t("string", DATA + "Enum", allowed="sad,ok"), "ok", "ok", "varchar(255)",
                 raw=b"ok", json="ok"),
    "set": Kind(t("string", DATA + "EnumSet", allowed="a,b,c"), "c,a", "c,a", "text", raw=b"c,a",
                json="c,a"),
    "ltree": Kind(t("string", DATA + "Ltree"), "Top.Science", "Top.Science", "longtext",
                  raw=b"Top.Science", json="Top.Science"),
    "tsvector": Kind(t("string", DATA + "Tsvector"), "'cat':3", "'cat':3", "longtext",
                     raw=b"'cat':3", json="'cat':3"),
    "point": Kind(POINT, {"x": 3.0, "y": 4.0, "wkb": None, "srid": None}, "(3,4)", "point",
                  json={"x": 3.0, "y": 4.0, "wkb": None, "srid": None}, geometry="0 POINT(3 4)"),
    "geometry": Kind(GEOMETRY, shape(1, (3, 4), srid=3857),
                     "0101000020110F000000000000000008400000000000001040", "geometry",
                     raw=POINT_WKB, json=shape(1, (3, 4), srid=3857), geometry="3857 POINT(3 4)"),
    "geometry of a line": Kind(
        GEOMETRY, shape(2, (0, 0), (1, 2)),
        "010200000002000000" + packing.pack("<dddd", 0, 0, 1, 2).hex().upper(), "geometry",
        raw=packing.pack("<BII4d", 1, 2, 2, 0, 0, 1, 2), json=shape(2, (0, 0), (1, 2)),
        geometry="0 LINESTRING(0 0,1 2)"),
    "geography": Kind(GEOGRAPHY, {"wkb": shape(1, (3, 4))["wkb"], "srid": 3857},
                      "0101000020110F000000000000000008400000000000001040", "geometry",
                      raw=POINT_WKB, json={"wkb": shape(1, (3, 4))["wkb"], "srid": 3857},
                      geometry="3857 POINT(3 4)"),
    "circle": Kind(CIRCLE, {"x": 1.0, "y": 2.0, "wkb": None, "srid": None, "radius": 3.0},
                   "<(1,2),3>", "json",
                   json={"x": 1.0, "y": 2.0, "wkb": None, "srid": None, "radius": 3.0}),
    "line": Kind(LINE, {"a": -1.0, "b": 0.0, "c": 0.5}, "{-1,0,0.5}", "json",
                 json={"a": -1.0, "b": 0.0, "c": 0.5}),
    "vector": Kind(DOUBLE_VECTOR, [1.0, 2.5], "[1,2.5]", "json", json=[1.0, 2.5]),
    "sparse vector": Kind(SPARSE, {"dimensions": 5, "vector": {"1": 1.0}}, "{1:1}/5", "json",
                          json={"dimensions": 5, "vector": {"1": 1.0}}),
    "structured date": Kind(structured("Date", "year", "month", "day", "specialValue"),
                            {**DAY, "specialValue": None}, "2018-06-20", "date",
                            moment=datetime(2018, 6, 20), json="2018-06-20"),
    "structured timestamp": Kind(
        STAMP, {**DAY, **CLOCK, "specialValue": None}, "2018-06-20 15:13:16.945104", "datetime(6)",
        moment=datetime(2018, 6, 20, 15, 13, 16, 945104), json="2018-06-20T15:13:16.945104"),
    "structured zoned timestamp": Kind(
        ZONED_STAMP, {**DAY, **CLOCK, "offsetSeconds": 7200, "zoneId": None, "specialValue": None},
        "2018-06-20 13:13:16.945104+00", "datetime(6)",
        moment=datetime(2018, 6, 20, 13, 13, 16, 945104), json="2018-06-20T13:13:16.945104+00:00"),
    "structured time": Kind(structured("Time", "hour", "minute", "second", "nanos"), CLOCK,
                            "15:13:16.945104", "time(6)", **clock(
                                hours=15, minutes=13, seconds=16, microseconds=945104)),
    "structured lapse": Kind(
        structured("Duration", *LAPSE, "nanos"),
        {**dict.fromkeys(LAPSE, 0), "hours": 2, "nanos": 0}, "02:00:00", "varchar(64)",
        **clock(hours=2)),
    "array": Kind(array(t("int32")), [1, 40000], "[1,40000]", "json", json=[1, 40000]),
    "array of decimals": Kind(array(decimal(2)), ["bg==", "AVQ="], "[1.10,3.40]", "json",
                              json=[1.1, 3.4]),
    "map": Kind({"type": "map", "keys": t("string"), "values": t("string")}, {"a": "b"},
                '{"a": "b"}', "json", json={"a": "b"}),
    "struct": Kind(struct("s", a="int32"), {"a": 1}, '{"a": 1}', "json", json={"a": 1}),
}

TABLES = {
    "Numbers": ["tinyint(1)", "smallint", "int unsigned", "bigint", "bigint unsigned",
                "decimal(10,2)", "decimal(65,30)", "float", "double", "bit(1)", "bit(16)", "year"],
    "Dates and times": ["date", "time", "time(6)", "datetime", "datetime(6)", "timestamp(6)"],
    "Texts and bytes": ["char(4)", "varchar(5)", "varchar(64)", "text", "binary(4)", "binary(16)",
                        "varbinary(8)", "blob"],
    "Others": ["enum('abc','ok','123')", "set('a','b','c')", "json", "point", "geometry"],
}
TARGETS = [target for targets in TABLES.values() for target in targets]
INTEGERS = {"tinyint(1)": (-128, 127), "smallint": (-2**15, 2**15 - 1), "int unsigned":
            (0, 2**32 - 1), "bigint": (-2**63, 2**63 - 1), "bigint unsigned": (0, 2**64 - 1)}
LENGTHS = {"char(4)": 4, "varchar(5)": 5, "varchar(64)": 64, "text": 65535, "binary(4)": 4,
           "binary(16)": 16, "varbinary(8)": 8, "blob": 65535}


def float_holds(value, bits):
    """A float of so many bits shows the number with all of its digits."""
    digits = len(value.normalize().as_tuple().digits)
    if digits > (9 if bits == 32 else 17):
        return False
    try:
        held = float(value) if bits == 64 else packing.unpack("f", packing.pack("f", value))[0]
    except OverflowError:
        return False
    return Decimal(f"{held:.{digits - 1}e}") == value


def in_number(kind, target):
    value = kind.number
    if target.startswith("bit"):
        bits = kind.bits
        return REFUSED if bits is None or bits >= 1 << int(target[4:-1]) else str(bits)
    if target == "year":
        year = kind.schema["type"].startswith("int") and (
            not kind.schema.get("name") or kind.schema["name"].endswith("Year"))
        if not year and kind.schema != TEXT or value is None:
            return REFUSED
        return str(value) if 1901 <= value <= 2155 else REFUSED
    if value is None:
        return REFUSED
    if target in INTEGERS:
        least, most = INTEGERS[target]
        return f"{value:f}".split(".")[0] if value == int(value) and least <= value <= most else REFUSED
    if target.startswith("decimal"):
        precision, scale = map(int, target[8:-1].split(","))
        rounded = value.normalize()
        if -rounded.as_tuple().exponent > scale or abs(value) >= 10 ** (precision - scale):
            return REFUSED
        return f"{value:.{scale}f}"
    bits = 32 if target == "float" else 64
    if kind.floats == 32 or (kind.floats == 64 and bits == 64) or float_holds(value, bits):
        return f"{value.normalize():f}" if abs(value) < 10**20 else f"{value:e}"
    return REFUSED


def fraction(microseconds, digits):
    """The digits behind the seconds; None: there are more."""
    if microseconds % 10 ** (6 - digits):
        return None
    return f".{microseconds:06}"[:digits + 1] if digits else ""


def in_time(kind, target):
    digits = 6 if "(6)" in target else 0
    if target.startswith("time(") or target == "time":
        if kind.time is None:
            return REFUSED
        us = round(abs(kind.time) / timedelta(microseconds=1))
        tail = fraction(us % 10**6, digits)
        sign = "-" if kind.time < timedelta() else ""
        return REFUSED if tail is None else \
            f"{sign}{us // 3600000000:02}:{us // 60000000 % 60:02}:{us // 1000000 % 60:02}{tail}"
    at = kind.moment
    if kind.value == "0000-00-00":
        return "NULL"
    if at is None:
        return REFUSED
    if target == "date":
        return REFUSED if at != datetime(at.year, at.month, at.day) else f"{at:%Y-%m-%d}"
    if target.startswith("timestamp") and not date(1970, 1, 2) < at.date() < date(2038, 1, 19):
        return REFUSED
    tail = fraction(at.microsecond, digits)
    return REFUSED if tail is None else f"{at:%Y-%m-%d %H:%M:%S}{tail}"


def in_text(kind, target):
    length = LENGTHS[target]
    if target.endswith(("ar(4)", "ar(5)", "ar(64)", "text")):
        return kind.text if len(kind.text) <= length else REFUSED
    raw = kind.raw
    if raw is None and isinstance(kind.value, (dict, list)) and kind.geometry != "0 POINT(3 4)":
        if kind.schema in (CIRCLE, LINE):
            return REFUSED
        raw = json.dumps(kind.value).encode()
    if target == "binary(16)" and kind.value == UUID:
        raw = bytes.fromhex(UUID.replace("-", ""))
    if raw is None or len(raw) > length:
        return REFUSED
    return (raw.ljust(length, b"\0") if target.startswith("binary") else raw).hex()


def in_json(kind, mariadb):
    value = kind.text if kind.json is ... else kind.json
    if value is REFUSED:
        return REFUSED
    numbers = [value] if isinstance(value, (int, Decimal)) else value if isinstance(value, list) else []
    lost = any(not isinstance(item, dict) and not -2**63 <= item < 2**64
               if isinstance(item, int) else isinstance(item, Decimal) for item in numbers)
    if lost and mariadb and isinstance(value, list):
        return kind.text
    return REFUSED if lost and not mariadb else json.dumps(value)


def expected(name, target, mariadb=False):
    """The column's text, REFUSED, or "NULL"."""
    kind = KINDS[name]
    if target in TABLES["Numbers"]:
        return in_number(kind, target)
    if target in TABLES["Dates and times"]:
        return in_time(kind, target)
    if target in TABLES["Texts and bytes"]:
        return in_text(kind, target)
    if target == "json":
        return in_json(kind, mariadb)
    if target.startswith("enum"):
        return kind.text if kind.text in ("abc", "ok", "123") else REFUSED
    if target.startswith("set"):
        members = set(kind.text.split(","))
        return ",".join(sorted(members)) if members <= {"a", "b", "c"} else REFUSED
    good = kind.geometry and (target == "geometry" or "POINT" in kind.geometry)
    return kind.geometry if good else REFUSED
