"""What a value must become: (schema, value as JsonConverter writes it) -> the target column's text.

One list for every shape of record. `connect` is the column's Connect schema without optional and
field; `expect` is what PostgreSQL prints with datestyle ISO in UTC, or REJECT.
"""

from base64 import b64encode
from struct import pack
from typing import Any, NamedTuple


class Reject:
    def __repr__(self):
        return "REJECT"


REJECT = Reject()


class Case(NamedTuple):
    name: str
    connect: dict
    value: Any
    target: str       # the target column's type; "": let ods-sink make the table
    expect: Any        # "RAW:…" in value: these characters, unquoted
    lean: bool = True  # also as a record without schema, where the target's type tells
    connector: str = "postgresql"
    needs: str = ""  # the extension that has the target's type, where the server may lack it
    settings: dict = {}  # of the table: source_types may be a text, the type of its column


def t(kind, name=None, **parameters):
    schema = {"type": kind}
    if name:
        schema.update(name=name, version=1)
    if parameters:
        schema["parameters"] = {key.replace("_", "."): str(value)
                                for key, value in parameters.items()}
    return schema


def schema_label(schema):
    parameters = schema.get("parameters", {})
    name = schema.get("name", "").rsplit(".", 1)[-1].split("Precision")[0]
    if name == "Decimal":
        digits = [parameters.get("connect.decimal.precision"), parameters["scale"]]
        return f"Decimal({','.join(filter(None, digits))})"
    if name == "Bits":
        return f"Bits({parameters['length']})"
    if name:
        package = "connect." if schema["name"].startswith("org.apache") else \
            "time." if ".time." in schema["name"] else ""
        return package + name
    if schema["type"] == "array":
        return f"array of {schema_label(schema['items'])}"
    if schema["type"] == "map":
        return f"map of {schema_label(schema['values'])}"
    return schema["type"]


def label(case):
    """What tells one default type from another: schema, connector, what the settings know."""
    text = schema_label(case.connect)
    source_type = case.connect.get("parameters", {}).get("__debezium.source.column.type")
    if source_type:
        text += f", `{source_type}` propagated"
    if case.connector != "postgresql":
        text += f", from {case.connector}"
    if case.settings.get("source_types"):
        text += f", declared `{case.settings['source_types']}`"
    return text


TIME = "io.debezium.time."
DATA = "io.debezium.data."
CONNECT = "org.apache.kafka.connect.data."


def decimal(scale, precision=None):
    parameters = {"scale": scale}
    if precision:
        parameters["connect_decimal_precision"] = precision
    return t("bytes", CONNECT + "Decimal", **parameters)


def propagated(schema, source_type):
    """With the source's own type name (column.propagate.source.type)."""
    return {**schema, "parameters": {**schema.get("parameters", {}),
                                     "__debezium.source.column.type": source_type}}


def sized(schema, length):
    return {**schema, "parameters": {"__debezium.source.column.length": str(length)}}


def declared(source_type):
    return {"source_types": source_type}


def array(items, **parameters):
    return {"type": "array", "items": items, **parameters}


VARIABLE = {"type": "struct", "name": DATA + "VariableScaleDecimal", "version": 1, "fields": [
    {"type": "int32", "optional": False, "field": "scale"},
    {"type": "bytes", "optional": False, "field": "value"}]}
POINT = {"type": "struct", "name": DATA + "geometry.Point", "version": 1, "fields": [
    {"type": "double", "optional": False, "field": "x"},
    {"type": "double", "optional": False, "field": "y"},
    {"type": "bytes", "optional": True, "field": "wkb"},
    {"type": "int32", "optional": True, "field": "srid"}]}


def struct(name, **fields):
    return {"type": "struct", "name": name, "version": 1, "fields": [
        {"type": kind, "optional": True, "field": field} for field, kind in fields.items()]}


def structured(name, *parts, suffix=""):
    """io.debezium.time.Structured…; parts that are optional and left out are null."""
    fields = {part: "string" if part in ("specialValue", "zoneId") else
              "int64" if part in ("picoseconds", "seconds") else "int32" for part in parts}
    return struct(f"io.debezium.time.Structured{name}{suffix}", **fields)


def geometry(name, **fields):
    schema = struct(f"io.debezium.data.geometry.{name}", **fields)
    if name == "Geometry":
        schema["fields"].append({"type": "map", "keys": {"type": "string", "optional": False},
                                 "values": {"type": "string", "optional": False},
                                 "optional": True, "field": "extensions"})
    return schema


def wkb(kind, *points):
    """Well-known binary, base64: kind 1 a point, 2 a line, 3 a polygon of one ring."""
    head = pack("<BI", 1, kind) + {1: b"", 2: pack("<I", len(points)),
                                   3: pack("<II", 1, len(points))}[kind]
    return b64encode(head + b"".join(pack("<dd", *point) for point in points)).decode()


def shape(kind, *points, srid=None, **extensions):
    return {"wkb": wkb(kind, *points), "srid": srid, "extensions": extensions or None}


# A triangle with another one cut out of it.
HOLED = b64encode(pack("<BII", 1, 3, 2) + 2 * (pack("<I", 4) + pack(
    "<8d", 0, 0, 0, 3, 3, 3, 0, 0))).decode()
DAY_PARTS, CLOCK = ("year", "month", "day"), ("hour", "minute", "second", "nanos")
FINE_CLOCK = ("hour", "minute", "second", "picoseconds", "precision")
LAPSE = ("years", "months", "days", "hours", "minutes", "seconds")
STAMP = structured("Timestamp", *DAY_PARTS, *CLOCK, "specialValue")
FINE_STAMP = structured("Timestamp", *DAY_PARTS, *FINE_CLOCK, "specialValue",
                        suffix="Precision6SourceColumn76")
ZONED_STAMP = structured("ZonedTimestamp", *DAY_PARTS, *CLOCK, "offsetSeconds", "zoneId",
                         "specialValue")
GEOMETRY = geometry("Geometry", wkb="bytes", srid="int32")
GEOGRAPHY = geometry("Geography", wkb="bytes", srid="int32")
CIRCLE = geometry("Circle", x="double", y="double", wkb="bytes", srid="int32", radius="double")
LINE = geometry("Line", a="double", b="double", c="double")
SPARSE = {"type": "struct", "name": DATA + "SparseDoubleVector", "version": 1, "fields": [
    {"type": "int16", "optional": False, "field": "dimensions"},
    {"type": "map", "keys": {"type": "int16", "optional": False},
     "values": {"type": "double", "optional": False}, "optional": False, "field": "vector"}]}
FLOAT_VECTOR = {**array(t("float")), "name": DATA + "FloatVector", "version": 1}
DOUBLE_VECTOR = {**array(t("double")), "name": DATA + "DoubleVector", "version": 1}

ROUND, EXACT = {"inexact": "round"}, {"inexact": "reject"}
DATE, MICROTIME, NANOTIME = t("int32", TIME + "Date"), t("int64", TIME + "MicroTime"), \
    t("int64", TIME + "NanoTime")
TIMESTAMP, MICROTIMESTAMP = t("int64", TIME + "Timestamp"), t("int64", TIME + "MicroTimestamp")
NANOTIMESTAMP = t("int64", TIME + "NanoTimestamp")
ZONED, ZONEDTIME = t("string", TIME + "ZonedTimestamp"), t("string", TIME + "ZonedTime")
TEXT, BIGINT = t("string"), t("int64")

INTERVAL = t("string", TIME + "Interval")
TYPED = {"type": "struct", "name": "a.b.Typed", "fields": [
    {**schema, "optional": True, "field": name} for name, schema in {
        "d": t("bytes", CONNECT + "Decimal", scale=2), "v": VARIABLE,
        "day": t("int32", TIME + "Date"), "at": t("int64", TIME + "MicroTimestamp"),
        "zoned": t("string", TIME + "ZonedTimestamp"), "time": t("int64", TIME + "MicroTime"),
        "bytes": t("bytes"), "bits": t("bytes", DATA + "Bits", length=4),
        "json": t("string", DATA + "Json"), "text": t("string"), "flag": t("boolean"),
        "number": t("double"), "nothing": t("int32", TIME + "Date"),
        "inner": {"type": "struct", "fields": [
            {**t("bytes", CONNECT + "Decimal", scale=2), "field": "d"},
            {"type": "array", "items": t("int32", TIME + "Date"), "field": "days"}]},
        "map": {"type": "map", "keys": t("string"),
                "values": t("bytes", CONNECT + "Decimal", scale=2)},
        "pairs": {"type": "map", "keys": t("int32"), "values": t("int32", TIME + "Date")},
    }.items()]}

CASES = [
    # Dates and times.
    Case("date", DATE, 16576, "date", "2015-05-21"),
    Case("date before 1970", DATE, -1, "date", "1969-12-31"),
    Case("date first", DATE, -719162, "date", "0001-01-01"),
    Case("date last of four digits", DATE, 2932896, "date", "9999-12-31"),
    Case("date beyond four digits", DATE, 2932897, "date", "10000-01-01"),
    Case("date BC", DATE, -719560, "date", "0002-11-30 BC"),
    Case("date infinity of a snapshot", DATE, -622191234, "date", "infinity"),
    Case("date -infinity of a snapshot", DATE, -625821272, "date", "-infinity"),
    Case("microtime", MICROTIME, 49890000000, "time", "13:51:30"),
    Case("microtime 24", MICROTIME, 86400000000, "time", "24:00:00"),
    Case("nanotime whole", NANOTIME, 49890123456000, "time", "13:51:30.123456", lean=False),
    Case("nanotime finer", NANOTIME, 49890123456789, "time", "13:51:30.123457", lean=False),
    Case("mysql time interval", MICROTIME, -3020399000000, "interval", "-838:59:59",
         connector="mysql"),
    Case("mysql time too long", MICROTIME, -3020399000000, "time", REJECT, connector="mysql"),
    Case("timestamp ms", TIMESTAMP, 1529476623000, "timestamp(3)", "2018-06-20 06:37:03"),
    Case("timestamp ms fraction", TIMESTAMP, 1478267490123, "timestamp(3)",
         "2016-11-04 13:51:30.123"),
    Case("timestamp us negative", MICROTIMESTAMP, -1047174587392000, "timestamp",
         "1936-10-25 22:10:12.608"),
    Case("timestamp us minus one", MICROTIMESTAMP, -1, "timestamp", "1969-12-31 23:59:59.999999"),
    Case("timestamp us far", MICROTIMESTAMP, 601060312290123456, "timestamp",
         "21016-11-04 13:51:30.123456"),
    Case("timestamp us first", MICROTIMESTAMP, -210831897600000001, "timestamp",
         "4713-12-31 23:59:59.999999 BC"),
    Case("timestamp infinity", MICROTIMESTAMP, 9223372036825200000, "timestamp", "infinity"),
    Case("timestamp -infinity", MICROTIMESTAMP, -9223372036832400000, "timestamp", "-infinity"),
    Case("timestamp ns", NANOTIMESTAMP, 1529507596945104000, "timestamp",
         "2018-06-20 15:13:16.945104", lean=False),
    Case("timestamp into timestamptz", MICROTIMESTAMP, 1529507596945104, "timestamptz",
         "2018-06-20 15:13:16.945104+00"),
    Case("timestamp into date", TIMESTAMP, 1529452800000, "date", "2018-06-20", lean=False),
    Case("timestamp into date with time", TIMESTAMP, 1529507596945, "date", REJECT, lean=False),
    Case("timestamp into text", MICROTIMESTAMP, 1529507596945104, "text",
         "2018-06-20 15:13:16.945104", lean=False),
    Case("timestamp finer than column", MICROTIMESTAMP, 1529507596945104, "timestamp(3)", REJECT,
         lean=False),
    Case("zoned", ZONED, "2016-11-04T11:51:30.123456Z", "timestamptz",
         "2016-11-04 11:51:30.123456+00"),
    Case("zoned into timestamp", ZONED, "2018-06-20T13:37:03Z", "timestamp",
         "2018-06-20 13:37:03"),
    Case("zoned offset", ZONED, "2018-06-20T13:37:03+02:00", "timestamptz",
         "2018-06-20 11:37:03+00"),
    Case("zoned far", ZONED, "+21016-11-04T06:51:30.123456Z", "timestamptz",
         "21016-11-04 06:51:30.123456+00"),
    Case("zoned BC", ZONED, "-0043-03-15T12:00:00.000000Z", "timestamptz",
         "0044-03-15 12:00:00+00 BC"),
    Case("zoned infinity", ZONED, "infinity", "timestamptz", "infinity"),
    Case("zoned -infinity", ZONED, "-infinity", "timestamptz", "-infinity"),
    Case("zoned time", ZONEDTIME, "11:51:30.123789Z", "timetz", "11:51:30.123789+00"),
    Case("zoned time 24", ZONEDTIME, "24:00:00Z", "timetz", "24:00:00+00"),
    Case("microduration", t("int64", TIME + "MicroDuration"), 1123456, "interval",
         "00:00:01.123456"),
    Case("microduration -1", t("int64", TIME + "MicroDuration"), -1, "interval",
         "-00:00:00.000001"),
    Case("microduration long", t("int64", TIME + "MicroDuration"), -3020398999999, "interval",
         "-838:59:58.999999"),
    Case("interval", t("string", TIME + "Interval"), "P1Y2M3DT4H5M6.78S", "interval",
         "1 year 2 mons 3 days 04:05:06.78"),
    Case("year", t("int32", TIME + "Year"), 1969, "integer", "1969"),
    Case("connect time", t("int32", CONNECT + "Time"), 49890123, "time", "13:51:30.123",
         lean=False),
    Case("connect timestamp", t("int64", CONNECT + "Timestamp"), 1705314600000, "timestamp",
         "2024-01-15 10:30:00", lean=False),
    Case("connect date", t("int32", CONNECT + "Date"), 16576, "date", "2015-05-21"),
    Case("iso date", t("string", TIME + "IsoDate"), "2018-06-20Z", "date", "2018-06-20"),
    Case("iso timestamp", t("string", TIME + "IsoTimestamp"), "2018-06-20T15:13:16.945104Z",
         "timestamp", "2018-06-20 15:13:16.945104"),
    Case("iso time", t("string", TIME + "IsoTime"), "15:13:16.945104Z", "time",
         "15:13:16.945104"),

    Case("mysql time at midnight", MICROTIME, 0, "time", "00:00:00", connector="mysql"),
    Case("zero date that is NOT NULL", DATE, 0, "date", "1970-01-01"),
    Case("date infinity", DATE, -2147472692, "date", "infinity"),
    Case("timestamp infinity into date", MICROTIMESTAMP, 9223372036825200000, "date", "infinity",
         lean=False),
    Case("timestamp infinity into bigint", MICROTIMESTAMP, 9223372036825200000, "bigint", REJECT,
         lean=False),
    Case("date into text", DATE, -719560, "text", "0002-11-30 BC", lean=False),
    Case("date into timestamp", DATE, 16576, "timestamp", "2015-05-21 00:00:00", lean=False),
    Case("date into timestamptz", DATE, 16576, "timestamptz", "2015-05-21 00:00:00+00",
         lean=False),
    Case("date into jsonb", DATE, 16576, "jsonb", '"2015-05-21"', lean=False),
    Case("timestamp into jsonb", MICROTIMESTAMP, 1529507596945104, "jsonb",
         '"2018-06-20T15:13:16.945104"', lean=False),
    Case("zoned into jsonb", ZONED, "2018-06-20T13:37:03.5+02:00", "jsonb",
         '"2018-06-20T11:37:03.5+00:00"', lean=False),
    Case("timestamp into timetz", MICROTIMESTAMP, 1529507596945104, "timetz", REJECT, lean=False),
    Case("int into interval", t("int32"), 7, "interval", REJECT, lean=False),
    Case("timestamp BC into timestamptz", MICROTIMESTAMP, -210831897600000001, "timestamptz",
         "4713-12-31 23:59:59.999999+00 BC"),
    Case("nanotime finer, exactly", NANOTIME, 49890123456789, "time", REJECT, lean=False,
         settings=EXACT),
    Case("nanotime finer than its column", NANOTIME, 49890123456789, "time(3)", REJECT,
         lean=False),
    Case("nanotime into text", NANOTIME, 49890123456789, "text", "13:51:30.123456789",
         lean=False),
    Case("timestamp ns finer", NANOTIMESTAMP, 1529507596945104123, "timestamp",
         "2018-06-20 15:13:16.945104", lean=False),
    Case("timestamp ns finer, exactly", NANOTIMESTAMP, 1529507596945104123, "timestamp", REJECT,
         lean=False, settings=EXACT),
    Case("timestamp ns rounded", NANOTIMESTAMP, 1529507596945104500, "timestamp",
         "2018-06-20 15:13:16.945105", lean=False),
    Case("timestamp ns into text", NANOTIMESTAMP, 1529507596945104123, "text",
         "2018-06-20 15:13:16.945104123", lean=False),
    Case("timestamp rounded to the column", MICROTIMESTAMP, 1529507596945504, "timestamp(3)",
         "2018-06-20 15:13:16.946", lean=False, settings=ROUND),
    Case("zoned finer", ZONED, "2018-06-20T13:37:03.123456789Z", "timestamptz",
         "2018-06-20 13:37:03.123457+00"),
    Case("zoned finer, exactly", ZONED, "2018-06-20T13:37:03.123456789Z", "timestamptz", REJECT,
         settings=EXACT),
    Case("zoned into text", ZONED, "2018-06-20T13:37:03.123456789+07:00", "text",
         "2018-06-20 06:37:03.123456789+00", lean=False),
    Case("zoned BC", ZONED, "-4712-12-31T23:59:59.999999Z", "timestamptz",
         "4713-12-31 23:59:59.999999+00 BC"),
    Case("zoned time finer", ZONEDTIME, "11:51:30.1234567Z", "timetz", "11:51:30.123457+00"),
    Case("zoned time into time", ZONEDTIME, "11:51:30.123789Z", "time", "11:51:30.123789"),
    Case("zoned time elsewhere into time", ZONEDTIME, "11:51:30+02:00", "time", REJECT),
    Case("nanoduration", t("int64", TIME + "NanoDuration"), -1500000, "interval",
         "-00:00:00.0015", lean=False),
    Case("nanoduration finer", t("int64", TIME + "NanoDuration"), 1700, "interval",
         "00:00:00.000002", lean=False),
    Case("interval negative", t("string", TIME + "Interval"), "P-1Y-2M3DT-4H-5M-6.78S",
         "interval", "-1 years -2 mons +3 days -04:05:06.78"),
    *[Case(f"{value} into {target}", INTERVAL, value, target, expect) for value, target, expect in (
        ("P1Y2M", "interval year to month", "1 year 2 mons"),
        ("P1Y2M3D", "interval year to month", REJECT),
        ("P1Y2MT0.5S", "interval month", REJECT),
        ("P14M", "interval year", REJECT),
        ("P2Y24M0DT0H0M0.0S", "interval year", "4 years"),
        ("P1Y2M3D", "interval day", "1 year 2 mons 3 days"),
        ("P3DT24H", "interval day", REJECT),
        ("PT120M", "interval hour", "02:00:00"),
        ("PT121M", "interval day to hour", REJECT),
        ("PT59M60S", "interval minute", "01:00:00"),
        ("PT1.5S", "interval hour to minute", REJECT),
        ("P1DT-1.25S", "interval day to second", "1 day -00:00:01.25"))],
    *[Case(f"text {value} into {target}", TEXT, value, target, expect) for value, target, expect in (
        ("1 year 2 mons", "interval year to month", "1 year 2 mons"),
        ("1 year 2 mons 3 days 04:05:06.78", "interval year to month", REJECT),
        ("-1 years +2 mons 00:00:00", "interval year to month", "-10 mons"),
        ("-3 days 25:00", "interval day to hour", "-3 days +25:00:00"),
        ("-00:30", "interval hour", REJECT),
        ("@ 1 day ago", "interval day", "-1 days"),  # told by PostgreSQL
        ("1-2", "interval year to month", "1 year 2 mons"))],
    Case("mysql time into interval minute", MICROTIME, -3020399000000, "interval minute", REJECT,
         lean=False, connector="mysql"),
    Case("array into interval day[]", array(INTERVAL), ["P1D", "PT1S"], "interval day[]", REJECT,
         lean=False),
    Case("interval with precision", t("string", TIME + "Interval"), "PT1.25S", "interval(1)",
         REJECT),
    Case("interval numeric mode", t("int64", TIME + "MicroDuration"), 31557600000000, "interval",
         "8766:00:00"),
    Case("iso time 24", t("string", TIME + "IsoTime"), "24:00:00Z", "time", "24:00:00"),
    Case("iso timestamp elsewhere", t("string", TIME + "IsoTimestamp"),
         "2018-06-20T15:13:16+02:00", "timestamp", "2018-06-20 15:13:16", lean=False),
    Case("structured timestamp", STAMP,
         {"year": 294276, "month": 12, "day": 31, "hour": 23, "minute": 59, "second": 59,
          "nanos": 999999000, "specialValue": None}, "timestamp",
         "294276-12-31 23:59:59.999999", lean=False),
    Case("structured timestamp BC", STAMP,
         {"year": -4712, "month": 1, "day": 1, "hour": 0, "minute": 0, "second": 0, "nanos": 0,
          "specialValue": None}, "timestamp", "4713-01-01 00:00:00 BC", lean=False),
    Case("structured timestamp infinity", STAMP,
         {"year": None, "month": None, "day": None, "hour": None, "minute": None, "second": None,
          "nanos": None, "specialValue": "NEGATIVE_INFINITY"}, "timestamp", "-infinity",
         lean=False),
    Case("structured timestamp picoseconds", FINE_STAMP,
         {"year": 2025, "month": 2, "day": 28, "hour": 1, "minute": 2, "second": 3,
          "picoseconds": 123456000000, "precision": 6, "specialValue": None}, "timestamp",
         "2025-02-28 01:02:03.123456", lean=False),
    Case("structured timestamp finer", FINE_STAMP,
         {"year": 2025, "month": 2, "day": 28, "hour": 1, "minute": 2, "second": 3,
          "picoseconds": 123456500000, "precision": 12, "specialValue": None}, "timestamp",
         "2025-02-28 01:02:03.123457", lean=False),
    Case("structured timestamp that is none", STAMP,
         {"year": 2025, "month": 2, "day": 30, "hour": 1, "minute": 2, "second": 3, "nanos": 0,
          "specialValue": None}, "timestamp", REJECT, lean=False),
    Case("structured zoned timestamp", ZONED_STAMP,
         {"year": 2025, "month": 1, "day": 1, "hour": 1, "minute": 30, "second": 0,
          "nanos": 500000000, "offsetSeconds": 7200, "zoneId": "Europe/Helsinki",
          "specialValue": None}, "timestamptz", "2024-12-31 23:30:00.5+00", lean=False),
    Case("structured date", structured("Date", *DAY_PARTS, "specialValue"),
         {"year": 9999, "month": 12, "day": 31, "specialValue": None}, "date", "9999-12-31",
         lean=False),
    Case("structured date zero", structured("Date", *DAY_PARTS, "specialValue"),
         {"year": 0, "month": 0, "day": 0, "specialValue": None}, "date", REJECT, lean=False),
    Case("structured date infinity", structured("Date", *DAY_PARTS, "specialValue"),
         {"year": None, "month": None, "day": None, "specialValue": "POSITIVE_INFINITY"}, "date",
         "infinity", lean=False),
    Case("structured time", structured("Time", *CLOCK),
         {"hour": 13, "minute": 51, "second": 30, "nanos": 123456000}, "time", "13:51:30.123456",
         lean=False),
    Case("structured time 24", structured("Time", *CLOCK),
         {"hour": 24, "minute": 0, "second": 0, "nanos": 0}, "time", "24:00:00", lean=False),
    Case("structured zoned time", structured("ZonedTime", *CLOCK, "offsetSeconds"),
         {"hour": 24, "minute": 0, "second": 0, "nanos": 0, "offsetSeconds": 19800}, "timetz",
         "24:00:00+05:30", lean=False),
    Case("structured duration", structured("Duration", *LAPSE, "nanos"),
         {"years": 1, "months": 2, "days": 3, "hours": 4, "minutes": 5, "seconds": 6,
          "nanos": 789000000}, "interval", "1 year 2 mons 3 days 04:05:06.789", lean=False),
    Case("structured duration negative", structured("Duration", *LAPSE, "picoseconds"),
         {"years": 0, "months": 0, "days": 0, "hours": -838, "minutes": -59, "seconds": -58,
          "picoseconds": -999999000000}, "interval", "-838:59:58.999999", lean=False),

    # Numbers.
    Case("decimal 2", decimal(2), "bg==", "numeric(3,2)", "1.10"),
    Case("decimal 4", decimal(4), "A2P4", "numeric(6,4)", "22.2200"),
    Case("decimal 0", decimal(0), "Cg==", "numeric(4,0)", "10"),
    Case("decimal tax", decimal(4), "BAg=", "numeric(4,4)", "0.1032"),
    Case("decimal ytd", decimal(2), "AcnDgA==", "numeric(12,2)", "300000.00"),
    Case("decimal 38", decimal(0), "SztMqFqGxHoJiiI//////w==", "numeric(38,0)", "9" * 38),
    Case("decimal negative scale", decimal(-2), "ew==", "numeric", "12300", lean=False),
    Case("decimal income", decimal(2), "O5rKAA==", "numeric(15,2)", "10000000.00"),
    Case("decimal with precision", decimal(2, 10), "AeIT", "numeric(10,2)", "1234.11"),
    Case("variable", VARIABLE, {"scale": 0, "value": "Fg=="}, "numeric", "22"),
    Case("variable 3", VARIABLE, {"scale": 3, "value": "DQU="}, "numeric", "3.333"),
    Case("decimal string", TEXT, "22.2200", "numeric", "22.2200"),
    Case("decimal string nan", TEXT, "NAN", "numeric", "NaN"),
    Case("double into numeric", t("double"), 22.2222, "numeric", "22.2222"),
    Case("float", t("float"), 3.3, "real", "3.3"),
    Case("double", t("double"), 4.44, "double precision", "4.44"),
    Case("double nan", t("double"), "NaN", "double precision", "NaN"),
    Case("float infinity", t("float"), "Infinity", "real", "Infinity"),
    Case("double -infinity", t("double"), "-Infinity", "double precision", "-Infinity"),
    Case("bigint unsigned precise", decimal(0), "AP//////////", "numeric(20,0)",
         "18446744073709551615"),
    Case("oid", t("int64"), 4000000000, "oid", "4000000000"),
    Case("oid into bigint", t("int64"), 4000000000, "bigint", "4000000000"),
    Case("money", decimal(2), "AeIT", "money", "$1,234.11" , lean=False),
    Case("money negative", decimal(2), "/h3t", "numeric", "-1234.11", lean=False),
    Case("numeric overflow", TEXT, "123456.789", "numeric(5,2)", REJECT),
    Case("numeric rounding", TEXT, "1.005", "numeric(5,2)", REJECT),
    Case("numeric rounded", TEXT, "1.005", "numeric(5,2)", "1.01", settings=ROUND),
    Case("numeric rounded out of range", TEXT, "999.995", "numeric(5,2)", REJECT, settings=ROUND),
    Case("double into real", t("double"), 0.1, "real", "0.1"),
    Case("double into real inexact", t("double"), 3.141592653589793, "real", REJECT),
    Case("double into real rounded", t("double"), 3.141592653589793, "real", "3.1415927",
         settings=ROUND),
    Case("int into real inexact", t("int32"), 16777217, "real", REJECT),
    Case("decimal into double", decimal(2), "AeIT", "double precision", "1234.11", lean=False),
    Case("decimal into double inexact", decimal(0), "SztMqFqGxHoJiiI//////w==",
         "double precision", REJECT, lean=False),
    Case("decimal into integer", decimal(0), "Cg==", "integer", "10", lean=False),
    Case("decimal into integer inexact", decimal(2), "AeIT", "integer", REJECT, lean=False),
    Case("decimal into money inexact", decimal(4), "A2P5", "money", REJECT, lean=False),
    Case("decimal into text", decimal(2), "bg==", "text", "1.10", lean=False),
    Case("decimal into jsonb", decimal(2), "bg==", "jsonb", "1.10", lean=False),
    Case("decimal into bytea", decimal(2), "bg==", "bytea", REJECT, lean=False),
    Case("double mode", t("double"), 1.1, "numeric(3,2)", "1.10"),
    Case("numeric literal 2", decimal(2), "RAW:-12.50", "numeric(10,2)", "-12.50"),
    Case("numeric literal of many digits", decimal(10), "RAW:-5596281060.0000773561", "numeric",
         "-5596281060.0000773561"),
    Case("numeric literal into text", decimal(10), "RAW:-5596281060.0000773561", "text",
         "-5596281060.0000773561"),
    Case("negative into oid", BIGINT, -1, "oid", REJECT),
    Case("boolean into smallint", t("boolean"), True, "smallint", "1"),
    Case("boolean into numeric", t("boolean"), True, "numeric", "1"),
    Case("int into boolean", t("int16"), 1, "boolean", "true"),
    Case("int into boolean that is none", t("int16"), 2, "boolean", REJECT),
    Case("int into jsonb", t("int32"), 7, "jsonb", "7"),
    Case("double nan into numeric", t("double"), "NaN", "numeric", "NaN"),
    Case("double nan into jsonb", t("double"), "NaN", "jsonb", '"NaN"', lean=False),
    Case("domain", TEXT, "1.005", "types_price", REJECT),
    Case("domain that fits", TEXT, "1.25", "types_price", "1.25"),
    Case("numeric literal", decimal(0), "RAW:1.5E3", "numeric", "1500"),
    Case("int into smallint too large", t("int32"), 40000, "smallint", REJECT),
    Case("int into bigint", t("int32"), 40000, "bigint", "40000"),
    Case("int into numeric", t("int64"), 9007199254740993, "numeric", "9007199254740993"),
    Case("int into text", t("int32"), 40000, "text", "40000"),
    Case("int into double inexact", t("int64"), 9007199254740993, "double precision", REJECT),

    # Strings, bytes, bits.
    Case("emoji", TEXT, "😀é", "text", "😀é"),
    Case("nul", TEXT, "a\u0000b", "text", REJECT),
    Case("json with escaped nul", t("string", DATA + "Json"), '{"k":"a\\u0000b"}', "json",
         '{"k":"a\\u0000b"}'),
    Case("jsonb with escaped nul", t("string", DATA + "Json"), '{"k":"a\\u0000b"}', "jsonb",
         REJECT),
    Case("too long", TEXT, "abc", "varchar(2)", REJECT),
    Case("char", TEXT, "cdef", "char(10)", "cdef"),  # as text; PostgreSQL pads it
    Case("empty", TEXT, "", "text", ""),
    Case("bytes", t("bytes"), "AQID", "bytea", "\\x010203"),
    Case("bytes as base64 text, propagated", propagated(TEXT, "BYTEA"), "AQID", "bytea",
         "\\x010203", lean=False),
    Case("bytes as base64 url text, propagated", propagated(TEXT, "BYTEA"),
         "J2ZhdCcgPC0-ICdjYXQn", "bytea", "\\x2766617427203c2d3e202763617427", lean=False),
    Case("bytes into text", t("bytes"), "AQID", "text", "\\x010203", lean=False),
    Case("bytes into jsonb", t("bytes"), "AQID", "jsonb", '"\\\\x010203"', lean=False),
    Case("bytes into uuid", t("bytes"), "oO68mZwLTvi7bWu5vTgKEQ==", "uuid",
         "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", lean=False),
    Case("int into bytea", t("int32"), 7, "bytea", REJECT, lean=False),
    Case("text into name too long", TEXT, "n" * 64, "name", REJECT),
    Case("text into one character", TEXT, "ab", '"char"', REJECT),
    Case("citext", TEXT, "Abc", "citext", "Abc"),
    Case("bits into varbit", t("bytes", DATA + "Bits", length=7), "QA==", "varbit(7)", "1000000",
         lean=False),
    Case("bits into numeric", t("bytes", DATA + "Bits", length=16), "AgE=", "numeric", REJECT,
         lean=False),
    Case("bits into another length", t("bytes", DATA + "Bits", length=7), "QA==", "bit(6)",
         REJECT, lean=False),
    Case("bits into integer", t("bytes", DATA + "Bits", length=16), "AgE=", "integer", "258",
         lean=False),
    Case("bits 16", t("bytes", DATA + "Bits", length=16), "AgE=", "bit(16)", "0000000100000010"),
    Case("bits 64", t("bytes", DATA + "Bits", length=64), "AAAAAAAAAIA=", "bit(64)",
         "1" + "0" * 63),
    Case("bits 7", t("bytes", DATA + "Bits", length=7), "QA==", "bit(7)", "1000000"),
    Case("bits 2 empty", t("bytes", DATA + "Bits", length=2), "", "bit(2)", "00"),
    Case("bit as boolean", t("boolean"), True, "bit(1)", "1"),
    Case("boolean", t("boolean"), True, "boolean", "true"),

    # Strings that mean something.
    Case("json", t("string", DATA + "Json"), '{"bar": "baz"}', "json", '{"bar": "baz"}'),
    Case("jsonb", t("string", DATA + "Json"), '{"bar": "baz"}', "jsonb", '{"bar": "baz"}'),
    Case("json number", t("string", DATA + "Json"), "1", "jsonb", "1"),
    Case("json string", t("string", DATA + "Json"), '"s"', "jsonb", '"s"'),
    Case("json array", t("string", DATA + "Json"), "[1,2]", "jsonb", "[1, 2]"),
    Case("json null", t("string", DATA + "Json"), "null", "jsonb", "null"),
    Case("uuid", t("string", DATA + "Uuid"), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "uuid",
         "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    Case("text into uuid", TEXT, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "uuid",
         "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    Case("text into jsonb", TEXT, '{"a":1}', "jsonb", '{"a": 1}'),
    Case("text into inet", TEXT, "10.0.0.1/8", "inet", "10.0.0.1/8"),
    Case("enum", t("string", DATA + "Enum", allowed="sad,ok"), "ok", "types_mood", "ok"),
    Case("enum unknown", t("string", DATA + "Enum", allowed="sad,ok"), "what", "types_mood",
         REJECT),
    Case("set", t("string", DATA + "EnumSet", allowed="a_val,c_val"), "a_val,c_val", "text",
         "a_val,c_val"),
    Case("set into array", t("string", DATA + "EnumSet", allowed="a_val,c_val"), "a_val,c_val",
         "text[]", "{a_val,c_val}", lean=False),
    Case("hstore map", {"type": "map", "keys": {"type": "string", "optional": False},
                        "values": {"type": "string", "optional": True}},
         {"key1": "val1", "key2": None}, "hstore", '"key1"=>"val1", "key2"=>NULL'),
    Case("hstore json", t("string", DATA + "Json"),
         '{"quote":"a \\" b","back\\\\slash":"c:\\\\tmp","nullkey":null}', "hstore",
         '"quote"=>"a \\" b", "nullkey"=>NULL, "back\\\\slash"=>"c:\\\\tmp"'),
    Case("range", TEXT, '["2019-03-31 15:30:00",infinity)', "tsrange",
         '["2019-03-31 15:30:00",infinity)'),
    Case("int range", TEXT, "[1000,6000)", "int4range", "[1000,6000)"),
    Case("ltree", t("string", DATA + "Ltree"), "Top.Collections.Pictures", "ltree",
         "Top.Collections.Pictures"),
    Case("tsvector", t("string", DATA + "Tsvector"), "'fat cat':1 'o''brien':2", "tsvector",
         "'fat cat':1 'o''brien':2"),
    Case("point", POINT, {"x": 1.5, "y": -2.0, "wkb": "AQEAAAAAAAAAAAD4PwAAAAAAAADA",
                          "srid": None}, "point", "(1.5,-2)"),
    Case("point from its binary", POINT, {"x": None, "y": None, "wkb": wkb(1, (1.5, -2)),
                                          "srid": None}, "point", "(1.5,-2)", lean=False),
    Case("point into text", POINT, {"x": 1.5, "y": -2.0, "wkb": None, "srid": None}, "text",
         "(1.5,-2)", lean=False),
    Case("box", GEOMETRY, shape(3, (1, 1), (1, 0), (0, 0), (0, 1), (1, 1), type="box"), "box",
         "(1,1),(0,0)"),
    Case("box that is none", GEOMETRY, shape(3, (1, 1), (2, 0), (0, 0), (0, 1), (1, 1)), "box",
         REJECT),
    Case("path closed", GEOMETRY, shape(2, (0, 0), (0, 1), (0, 2), type="path", closed="true"),
         "path", "((0,0),(0,1),(0,2))"),
    Case("path open", GEOMETRY, shape(2, (0, 0), (0, 1), type="path", closed="false"), "path",
         "[(0,0),(0,1)]"),
    Case("lseg", GEOMETRY, shape(2, (0, 0), (0, 1), type="lseg"), "lseg", "[(0,0),(0,1)]"),
    Case("polygon", GEOMETRY, shape(3, (0, 0), (0, 1), (1, 0), (0, 0), type="polygon"), "polygon",
         "((0,0),(0,1),(1,0))"),
    Case("mysql polygon into polygon", GEOMETRY, shape(3, (0, 0), (0, 1), (1, 0), (0, 0)),
         "polygon", "((0,0),(0,1),(1,0))"),
    Case("mysql line into path", GEOMETRY, shape(2, (0, 0), (2.5, 1)), "path",
         "[(0,0),(2.5,1)]"),
    Case("geometry point into point", GEOMETRY, shape(1, (3, 4), srid=4326), "point", "(3,4)"),
    Case("geometry into text", GEOMETRY, shape(1, (3, 4), srid=3187), "text",
         "0101000020730C000000000000000008400000000000001040", lean=False),
    Case("geometry into bytea", GEOMETRY, shape(1, (3, 4), srid=3187), "bytea",
         "\\x010100000000000000000008400000000000001040", lean=False),
    Case("geography into text", GEOGRAPHY, {"wkb": wkb(1, (3, 4)), "srid": 4326}, "text",
         "0101000020E610000000000000000008400000000000001040", lean=False),
    Case("circle", CIRCLE, {"x": 10.0, "y": 4.0, "wkb": wkb(1, (10, 4)), "srid": None,
                            "radius": 10.0}, "circle", "<(10,4),10>", lean=False),
    Case("line", LINE, {"a": -1.0, "b": 0.0, "c": 0.5}, "line", "{-1,0,0.5}", lean=False),
    Case("geometry with srid", GEOMETRY, shape(1, (174.9479, -36.7208), srid=3187), "geometry",
         "0101000020730C00001C7C613255DE6540787AA52C435C42C0", needs="postgis"),
    Case("point into geometry", POINT, {"x": 1.5, "y": -2.0, "wkb": wkb(1, (1.5, -2)),
                                        "srid": None}, "geometry",
         "0101000000000000000000F83F00000000000000C0", lean=False, needs="postgis"),
    Case("geography", GEOGRAPHY, {"wkb": wkb(1, (3, 4)), "srid": 4326}, "geography",
         "0101000020E610000000000000000008400000000000001040", needs="postgis"),
    Case("polygon with a hole", GEOMETRY, {"wkb": HOLED, "srid": None, "extensions": None},
         "polygon", REJECT),
    Case("float vector into text", FLOAT_VECTOR, [1, 2.5, 3], "text", "[1,2.5,3]", lean=False),
    Case("double vector into text", DOUBLE_VECTOR, [0.1, 2], "text", "[0.1,2]", lean=False),
    Case("sparse vector into text", SPARSE,
         {"dimensions": 5, "vector": {"1": 1.0, "3": 2.0}}, "text", "{1:1,3:2}/5", lean=False),
    Case("sparse vector as pairs", SPARSE,
         {"dimensions": 5, "vector": [[1, 1.0], [3, 2.5]]}, "text", "{1:1,3:2.5}/5", lean=False),
    Case("float vector into an array", FLOAT_VECTOR, [1, 2.5, 3], "real[]", "{1,2.5,3}"),
    Case("double vector into an array", DOUBLE_VECTOR, [0.1, 2], "double precision[]",
         "{0.1,2}"),
    Case("float vector into jsonb", FLOAT_VECTOR, [1, 2.5, 3], "jsonb", "[1, 2.5, 3]"),
    Case("double vector into vector", DOUBLE_VECTOR, [0.1, 2, 3], "vector(3)", "[0.1,2,3]",
         lean=False, needs="vector"),
    Case("double vector finer than vector", DOUBLE_VECTOR, [3.141592653589793], "vector", REJECT,
         lean=False, needs="vector"),
    Case("float vector into halfvec", FLOAT_VECTOR, [1, 2.5, 3], "halfvec", "[1,2.5,3]",
         lean=False, needs="vector"),
    Case("sparse vector", SPARSE, {"dimensions": 5, "vector": {"1": 1.0, "3": 2.0}}, "sparsevec",
         "{1:1,3:2}/5", lean=False, needs="vector"),
    Case("isbn", TEXT, "978-0-393-04002-9", "isbn", "0-393-04002-X"),
    Case("map of int", {"type": "map", "keys": {"type": "string", "optional": False},
                        "values": {"type": "int32", "optional": True}}, {"a": 1, "b": None},
         "jsonb", '{"a": 1, "b": null}'),
    Case("struct", struct("a.b.C", a="int32", b="string"), {"a": 1, "b": "x\u0001"}, "jsonb",
         '{"a": 1, "b": "x\\u0001"}'),
    Case("struct into json", struct("a.b.C", a="int32", b="string"), {"a": 1, "b": "x"}, "json",
         '{"a": 1, "b": "x"}'),
    Case("struct of types", TYPED, {
        "d": "MDk=", "v": {"scale": 1, "value": "Cw=="}, "day": 16576, "at": 1529507596945000,
        "zoned": "2018-06-20T15:13:16.945Z", "time": 49890000000, "bytes": "AP8=", "bits": "Cg==",
        "json": "{\"a\": 1}", "text": "x\"\\", "flag": True, "number": 0.1, "nothing": None,
        "inner": {"d": "bg==", "days": [16576, None]}, "map": {"k": "MDk=", "n": None},
        "pairs": [[1, 16576]]}, "jsonb",
        '{"d": 123.45, "v": 1.1, "at": "2018-06-20T15:13:16.945", "day": "2015-05-21", '
        '"map": {"k": 123.45, "n": null}, "bits": "1010", "flag": true, "json": {"a": 1}, '
        '"text": "x\\"\\\\", "time": "13:51:30", "bytes": "\\\\x00ff", '
        '"inner": {"d": 1.10, "days": ["2015-05-21", null]}, "pairs": [[1, "2015-05-21"]], '
        '"zoned": "2018-06-20T15:13:16.945+00:00", "number": 0.1, "nothing": null}', lean=False),
    Case("struct with a broken decimal", TYPED, {"d": "!"}, "jsonb", REJECT, lean=False),
    Case("struct with something else where a struct belongs", TYPED, {"inner": [1]}, "jsonb",
         REJECT, lean=False),
    Case("array of struct of types", array(TYPED), [{"d": "MDk="}, None], "jsonb[]",
         '{"{\\"d\\": 123.45}",NULL}', lean=False),
    Case("map of decimal", {"type": "map", "keys": t("string"),
                            "values": t("bytes", CONNECT + "Decimal", scale=2)},
         {"a \"q\"": "MDk=", "b": None}, "jsonb", '{"b": null, "a \\"q\\"": 123.45}', lean=False),
    Case("xml", t("string", DATA + "Xml"), "<foo>bar</foo>", "xml", "<foo>bar</foo>"),

    # Types that Debezium gives the meaning of another one.
    Case("varbit", propagated(t("bytes", DATA + "Bits", length=10), "VARBIT"), "BQ==", "varbit(10)",
         "0000000101", lean=False),
    Case("padded char", propagated(sized(TEXT, 5), "BPCHAR"),
         "ab   ", "char(5)", "ab", lean=False),

    # Arrays.
    Case("text array", array(TEXT), ["a", None, "c", None], "text[]", "{a,NULL,c,NULL}"),
    Case("empty array", array(TEXT), [], "text[]", "{}"),
    Case("array quoting", array(TEXT), ['a "q"', "b\\c", "{x}", "NULL", None, ""], "text[]",
         '{"a \\"q\\"","b\\\\c","{x}","NULL",NULL,""}'),
    Case("decimal array", array(decimal(2)), ["eA==", "AVQ=", "AjA="], "numeric(10,2)[]",
         "{1.20,3.40,5.60}"),
    Case("variable array", array(VARIABLE), [{"scale": 1, "value": "Cw=="},
                                             {"scale": 2, "value": "AN4="},
                                             {"scale": 3, "value": "DQU="}], "numeric[]",
         "{1.1,2.22,3.333}"),
    Case("uuid array", array(t("string", DATA + "Uuid")),
         ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"], "uuid[]",
         "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"),
    Case("json array of", array(t("string", DATA + "Json")), ['{"bar": "baz"}'], "jsonb[]",
         '{"{\\"bar\\": \\"baz\\"}"}'),
    Case("bytea array", array(t("bytes")), ["AAEC", "AwQF"], "bytea[]",
         '{"\\\\x000102","\\\\x030405"}'),
    Case("nested array", array(array(t("int32"))), [[1, 2], [3, 4]], "int[]", "{{1,2},{3,4}}"),
    Case("date array", array(DATE), [17109, 17110], "date[]", "{2016-11-04,2016-11-05}"),
    Case("timestamp array of two", array(MICROTIMESTAMP), [1529507596945104, None], "timestamp[]",
         '{"2018-06-20 15:13:16.945104",NULL}'),
    Case("time array of one", array(MICROTIME), [49890123000], "time[]", "{13:51:30.123}"),
    Case("zoned array far", array(ZONED), ["+21016-11-04T06:51:30.123456Z"], "timestamptz[]",
         '{"21016-11-04 06:51:30.123456+00"}'),
    Case("int array", array(t("int32")), [1, None, -3], "integer[]", "{1,NULL,-3}"),
    Case("bigint array", array(BIGINT), [9007199254740993], "bigint[]", "{9007199254740993}"),
    Case("boolean array", array(t("boolean")), [True, False, None], "boolean[]", "{t,f,NULL}"),
    Case("float array", array(t("float")), [3.3, "NaN", "-Infinity"], "real[]",
         "{3.3,NaN,-Infinity}"),
    Case("double array", array(t("double")), [4.44, 1e300], "double precision[]",
         "{4.44,1e+300}"),
    Case("double array into real", array(t("double")), [0.1, 3.141592653589793], "real[]",
         REJECT),
    Case("decimal array rounding", array(decimal(3)), ["A+0="], "numeric(5,2)[]", REJECT,
         lean=False),
    Case("decimal array out of range", array(decimal(0)), ["AeIT"], "numeric(5,2)[]", REJECT,
         lean=False),
    Case("timestamp array", array(MICROTIMESTAMP), [1529507596945104, None,
                                                    9223372036825200000], "timestamp[]",
         '{"2018-06-20 15:13:16.945104",NULL,infinity}'),
    Case("timestamp array into date", array(MICROTIMESTAMP), [1529507596945104], "date[]", REJECT,
         lean=False),
    Case("zoned array", array(ZONED), ["2018-06-20T13:37:03Z"], "timestamptz[]",
         '{"2018-06-20 13:37:03+00"}'),
    Case("time array", array(MICROTIME), [49890000000, 86400000000], "time[]",
         "{13:51:30,24:00:00}"),
    Case("interval array", array(t("string", TIME + "Interval")), ["P1Y2M3DT4H5M6.78S"],
         "interval[]", '{"1 year 2 mons 3 days 04:05:06.78"}', lean=False),
    Case("enum array", array(t("string", DATA + "Enum", allowed="sad,ok")), ["ok", None, "sad"],
         "types_mood[]", "{ok,NULL,sad}"),
    Case("enum array unknown", array(t("string", DATA + "Enum", allowed="sad,ok")), ["what"],
         "types_mood[]", REJECT),
    Case("bit array", array(t("bytes", DATA + "Bits", length=3)), ["BQ==", "Aw=="], "bit(3)[]",
         "{101,011}"),
    Case("bit array too long", array(t("bytes", DATA + "Bits", length=7)), ["QA=="], "bit(3)[]",
         REJECT, lean=False),
    Case("varchar array too long", array(TEXT), ["abc"], "varchar(2)[]", REJECT),
    Case("inet array", array(TEXT), ["10.0.0.1/8", None], "inet[]", "{10.0.0.1/8,NULL}"),
    Case("range array", array(TEXT), ["[1,6)"], "int4range[]", '{"[1,6)"}'),
    Case("hstore array", array({"type": "map", "keys": {"type": "string", "optional": False},
                                "values": {"type": "string", "optional": True}}),
         [{"a": "b"}, None], "hstore[]", '{"\\"a\\"=>\\"b\\"",NULL}'),
    Case("point array", array(POINT), [{"x": 1.5, "y": -2.0, "wkb": None, "srid": None}],
         "point[]", '{"(1.5,-2)"}'),
    Case("ltree array", array(t("string", DATA + "Ltree")), ["Top.A", "Top.B"], "ltree[]",
         "{Top.A,Top.B}"),
    Case("nested text array", array(array(TEXT)), [["a", None], ["{b", "c,d"]], "text[]",
         '{{a,NULL},{"{b","c,d"}}'),
    Case("nested decimal array", array(array(decimal(2))), [["eA=="], ["AVQ="]],
         "numeric(10,2)[]", "{{1.20},{3.40}}", lean=False),
    Case("nested array ragged", array(array(t("int32"))), [[1, 2], [3]], "int[]", REJECT),
    Case("nested array into jsonb", array(array(decimal(2))), [["eA==", None], ["AVQ="]], "jsonb",
         "[[1.20, null], [3.40]]", lean=False),
    Case("array into jsonb", array(DATE), [17109, None], "jsonb", '["2016-11-04", null]',
         lean=False),
    Case("text array into jsonb", array(TEXT), ['a"b', None], "jsonb", '["a\\"b", null]'),
    Case("array of struct", array(struct("a.b.C", a="int32")), [{"a": 1}, None], "jsonb[]",
         '{"{\\"a\\": 1}",NULL}'),
    Case("array into text", array(DATE), [17109], "text", "{2016-11-04}", lean=False),

    # What the connector lost, and source_types or the source's type name knows.
    Case("unsigned wrapped", BIGINT, -1, "numeric(20,0)", "18446744073709551615",
         settings=declared("bigint unsigned")),
    Case("unsigned wrapped into text", BIGINT, -2, "text", "18446744073709551614",
         settings=declared("bigint unsigned")),
    Case("unsigned wrapped into bigint", BIGINT, -1, "bigint", REJECT,
         settings=declared("bigint unsigned")),
    Case("unsigned small into bigint", BIGINT, 5, "bigint", "5",
         settings=declared("bigint unsigned")),
    Case("unsigned propagated", propagated(BIGINT, "BIGINT UNSIGNED"), -1, "numeric(20,0)",
         "18446744073709551615", lean=False),
    Case("unsigned propagated into bigint", propagated(BIGINT, "BIGINT UNSIGNED"), -1, "bigint",
         REJECT, lean=False),
    Case("signed stays signed", BIGINT, -1, "numeric(20,0)", "-1"),
    Case("decimal declared", decimal(2), "AeIT", "numeric", "1234.11",
         settings=declared("decimal(10,2)")),
    Case("decimal declared into text", decimal(2), "AeIT", "text", "1234.11",
         settings=declared("decimal(10,2)")),
    Case("decimal declared as digits", TEXT, "1234.11", "numeric", "1234.11",
         settings=declared("decimal(10,2)")),
    Case("decimal declared as number", decimal(2), "RAW:1234.11", "numeric", "1234.11",
         settings=declared("decimal(10,2)")),
    Case("timestamp declared ms", BIGINT, 1529507596945, "timestamp", "2018-06-20 15:13:16.945",
         settings=declared("timestamp ms")),
    Case("timestamp declared us", BIGINT, 1529507596945104, "timestamp(6)",
         "2018-06-20 15:13:16.945104", settings=declared("timestamp us")),
    Case("timestamp declared ns", BIGINT, 1529507596945104000, "timestamp",
         "2018-06-20 15:13:16.945104", settings=declared("timestamp ns")),
    Case("timestamp declared by precision", BIGINT, 1529507596945, "timestamp",
         "2018-06-20 15:13:16.945", settings=declared("timestamp(3)")),
    Case("datetime declared", BIGINT, 1529507596000, "timestamp", "2018-06-20 15:13:16",
         settings=declared("datetime")),
    Case("moment declared", BIGINT, 1529507596945, "timestamptz", "2018-06-20 15:13:16.945+00",
         settings=declared("timestamptz ms")),
    Case("timestamp declared, sent as text", TEXT, "2018-06-20T15:13:16.945104Z", "timestamp",
         "2018-06-20 15:13:16.945104", settings=declared("timestamp us")),
    Case("time declared ms", t("int32"), 49890123, "time", "13:51:30.123",
         settings=declared("time ms")),
    Case("time declared ns", BIGINT, 49890123456000, "time", "13:51:30.123456",
         settings=declared("time ns")),
    Case("date declared", t("int32"), 16576, "text", "2015-05-21", settings=declared("date")),
    Case("bytes as base64 text", TEXT, "AQID", "bytea", "\\x010203", settings=declared("bytes")),
    Case("bytes as base64 url text", TEXT, "-_-_AQ", "bytea", "\\xfbffbf01",
         settings=declared("bytes base64url")),
    Case("bytes as hex text", TEXT, "010aFF", "bytea", "\\x010aff",
         settings=declared("bytes hex")),
    Case("bytes as hex text, odd", TEXT, "010", "bytea", REJECT, settings=declared("bytes hex")),
    Case("bytes as hex text, no digit", TEXT, "0g", "bytea", REJECT,
         settings=declared("bytes hex")),
    Case("bits declared", TEXT, "AgE=", "bit(16)", "0000000100000010",
         settings=declared("bit(16)")),
    Case("decimal array declared", array(decimal(2)), ["eA==", "AVQ="], "numeric[]",
         "{1.20,3.40}", settings=declared("decimal(10,2)[]")),
    Case("date array declared", array(t("int32")), [17109, None], "date[]", "{2016-11-04,NULL}",
         settings=declared("date[]")),
    Case("hstore declared", TEXT, '{"a":"b"}', "hstore", '"a"=>"b"',
         settings=declared("hstore")),

    # A schemaless decimal of digits alone may be base64 too; the scale of the column tells nothing.
    Case("digits too long for base64", TEXT, "99999999999999999999", "numeric(20,0)",
         "99999999999999999999"),

    # U+0000, left out when told to.
    Case("nul stripped", TEXT, "a\u0000b\u0000", "text", "ab", settings={"nul": "strip"}),
    Case("nul stripped from varchar", TEXT, "a\u0000b", "varchar(2)", "ab",
         settings={"nul": "strip"}),
    Case("nul stripped from jsonb", t("string", DATA + "Json"),
         '{"k":"a\\u0000b","l":"\\\\u0000"}', "jsonb", '{"k": "ab", "l": "\\\\u0000"}',
         settings={"nul": "strip"}),
    Case("nul kept in json", t("string", DATA + "Json"), '{"k":"a\\u0000b"}', "json",
         '{"k":"a\\u0000b"}', settings={"nul": "strip"}),
    Case("nul stripped from array", array(TEXT), ["a\u0000b"], "text[]", "{ab}",
         settings={"nul": "strip"}),
    Case("nul rejected in array", array(TEXT), ["a\u0000b"], "text[]", REJECT),
    Case("nul stripped from set", t("string", DATA + "EnumSet", allowed="a,b"), "a\u0000,b",
         "text[]", "{a,b}", lean=False, settings={"nul": "strip"}),
]

# The type of the column that ods-sink makes for each; the tests let it make one.
DEFAULTS = {
    "time.Date": "date",
    "time.MicroTime": "time without time zone",
    "time.NanoTime": "time without time zone",
    "time.MicroTime, from mysql": "interval",
    "time.Timestamp": "timestamp(3) without time zone",
    "time.MicroTimestamp": "timestamp without time zone",
    "time.NanoTimestamp": "timestamp without time zone",
    "time.ZonedTimestamp": "timestamp with time zone",
    "time.ZonedTime": "time with time zone",
    "time.MicroDuration": "interval",
    "time.Interval": "interval",
    "time.Year": "integer",
    "connect.Time": "time without time zone",
    "connect.Timestamp": "timestamp(3) without time zone",
    "connect.Date": "date",
    "time.IsoDate": "date",
    "time.IsoTimestamp": "timestamp without time zone",
    "time.IsoTime": "time without time zone",
    "Decimal(2)": "numeric",
    "Decimal(4)": "numeric",
    "Decimal(0)": "numeric",
    "Decimal(-2)": "numeric",
    "VariableScaleDecimal": "numeric",
    "string": "text",
    "double": "double precision",
    "float": "real",
    "int64": "bigint",
    "int32": "integer",
    "Json": "jsonb",
    "bytes": "bytea",
    "Bits(10), `VARBIT` propagated": "bit varying(10)",
    "string, `BPCHAR` propagated": "character(5)",
    "Bits(16)": "bit(16)",
    "Bits(64)": "bit(64)",
    "Bits(7)": "bit(7)",
    "Bits(2)": "bit(2)",
    "boolean": "boolean",
    "Uuid": "uuid",
    "Enum": "text",
    "EnumSet": "text",
    "Ltree": "ltree",
    "Tsvector": "tsvector",
    "Point": "point",
    "Xml": "xml",
    "array of string": "text[]",
    "array of Decimal(2)": "numeric[]",
    "array of VariableScaleDecimal": "numeric[]",
    "array of Uuid": "uuid[]",
    "array of Json": "jsonb[]",
    "array of bytes": "bytea[]",
    "array of array of int32": "jsonb",
    "array of time.Date": "date[]",
    "array of time.MicroTimestamp": "timestamp without time zone[]",
    "array of time.MicroTime": "time without time zone[]",
    "array of time.ZonedTimestamp": "timestamp with time zone[]",
    "int64, declared `bigint unsigned`": "numeric(20,0)",
    "int64, `BIGINT UNSIGNED` propagated": "numeric(20,0)",
    "Decimal(2), declared `decimal(10,2)`": "numeric(10,2)",
    "string, declared `decimal(10,2)`": "numeric(10,2)",
    "int64, declared `timestamp ms`": "timestamp(3) without time zone",
    "int64, declared `timestamp us`": "timestamp without time zone",
    "int64, declared `timestamp ns`": "timestamp without time zone",
    "int64, declared `timestamp(3)`": "timestamp(3) without time zone",
    "int64, declared `datetime`": "timestamp(3) without time zone",
    "int64, declared `timestamptz ms`": "timestamp with time zone",
    "string, declared `timestamp us`": "timestamp without time zone",
    "int32, declared `time ms`": "time without time zone",
    "int64, declared `time ns`": "time without time zone",
    "int32, declared `date`": "date",
    "string, declared `bytes`": "bytea",
    "string, declared `bytes base64url`": "bytea",
    "string, declared `bytes hex`": "bytea",
    "string, declared `bit(16)`": "bit(16)",
    "array of Decimal(2), declared `decimal(10,2)[]`": "numeric(10,2)[]",
    "array of int32, declared `date[]`": "date[]",
    "string, declared `hstore`": "hstore",
    "Decimal(10,2)": "numeric(10,2)",
    "Decimal(3)": "numeric",
    "Decimal(10)": "numeric",
    "time.NanoDuration": "interval",
    "time.StructuredTimestamp": "timestamp without time zone",
    "time.StructuredZonedTimestamp": "timestamp with time zone",
    "time.StructuredDate": "date",
    "time.StructuredTime": "time without time zone",
    "time.StructuredZonedTime": "time with time zone",
    "time.StructuredDuration": "interval",
    "int16": "smallint",
    "string, `BYTEA` propagated": "bytea",
    "Geometry": "geometry",
    "Geography": "geography",
    "Circle": "circle",
    "Line": "line",
    "FloatVector": "vector",
    "DoubleVector": "vector",
    "SparseDoubleVector": "sparsevec",
    "map of string": "jsonb",
    "map of int32": "jsonb",
    "map of Decimal(2)": "jsonb",
    "C": "jsonb",
    "Typed": "jsonb",
    "array of int32": "integer[]",
    "array of int64": "bigint[]",
    "array of boolean": "boolean[]",
    "array of float": "real[]",
    "array of double": "double precision[]",
    "array of Decimal(0)": "numeric[]",
    "array of Decimal(3)": "numeric[]",
    "array of time.MicroTimestamp": "timestamp without time zone[]",
    "array of time.ZonedTimestamp": "timestamp with time zone[]",
    "array of time.MicroTime": "time without time zone[]",
    "array of time.Interval": "interval[]",
    "array of Enum": "text[]",
    "array of Bits(3)": "bit(3)[]",
    "array of Bits(7)": "bit(7)[]",
    "array of map of string": "jsonb[]",
    "array of Point": "point[]",
    "array of Ltree": "ltree[]",
    "array of array of string": "jsonb",
    "array of array of Decimal(2)": "jsonb",
    "array of C": "jsonb[]",
    "array of Typed": "jsonb[]",
}

# Types of extensions that a server may lack; text is then made in their place.
TYPE_OF = {"geometry": "postgis", "geography": "postgis", "vector": "vector",
           "sparsevec": "vector"}
