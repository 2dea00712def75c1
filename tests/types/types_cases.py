"""What a value must become: (schema, value as JsonConverter writes it) -> the target column's text.

One list for every shape of record. `connect` is the column's Connect schema without optional and
field; `expect` is what PostgreSQL prints with datestyle ISO in UTC, or REJECT.
"""

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
    name = schema.get("name", "").rsplit(".", 1)[-1]
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


DATE, MICROTIME, NANOTIME = t("int32", TIME + "Date"), t("int64", TIME + "MicroTime"), \
    t("int64", TIME + "NanoTime")
TIMESTAMP, MICROTIMESTAMP = t("int64", TIME + "Timestamp"), t("int64", TIME + "MicroTimestamp")
NANOTIMESTAMP = t("int64", TIME + "NanoTimestamp")
ZONED, ZONEDTIME = t("string", TIME + "ZonedTimestamp"), t("string", TIME + "ZonedTime")
TEXT, BIGINT = t("string"), t("int64")

CASES = [
    # Dates and times.
    Case("date", DATE, 16576, "date", "2015-05-21"),
    Case("date before 1970", DATE, -1, "date", "1969-12-31"),
    Case("date first", DATE, -719162, "date", "0001-01-01"),
    Case("date last of four digits", DATE, 2932896, "date", "9999-12-31"),
    Case("date beyond four digits", DATE, 2932897, "date", "10000-01-01"),
    Case("date BC", DATE, -719560, "date", "0002-11-30 BC"),
    Case("microtime", MICROTIME, 49890000000, "time", "13:51:30"),
    Case("microtime 24", MICROTIME, 86400000000, "time", "24:00:00"),
    Case("nanotime whole", NANOTIME, 49890123456000, "time", "13:51:30.123456", lean=False),
    Case("nanotime finer", NANOTIME, 49890123456789, "time", REJECT, lean=False),
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
    Case("xml", t("string", DATA + "Xml"), "<foo>bar</foo>", "xml", "<foo>bar</foo>"),

    # Arrays.
    Case("text array", array(TEXT), ["a", None, "c", None], "text[]", "{a,NULL,c,NULL}"),
    Case("empty array", array(TEXT), [], "text[]", "{}"),
    Case("array quoting", array(TEXT), ['a "q"', "b\\c", "{x}", "NULL", None, ""], "text[]",
         '{"a \\"q\\"","b\\\\c","{x}","NULL",NULL,""}'),
    Case("decimal array", array(decimal(2)), ["eA==", "AVQ=", "AjA="], "numeric(10,2)[]",
         "{1.20,3.40,5.60}", lean=False),
    Case("variable array", array(VARIABLE), [{"scale": 1, "value": "Cw=="},
                                             {"scale": 2, "value": "AN4="},
                                             {"scale": 3, "value": "DQU="}], "numeric[]",
         "{1.1,2.22,3.333}", lean=False),
    Case("uuid array", array(t("string", DATA + "Uuid")),
         ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"], "uuid[]",
         "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"),
    Case("json array of", array(t("string", DATA + "Json")), ['{"bar": "baz"}'], "jsonb[]",
         '{"{\\"bar\\": \\"baz\\"}"}'),
    Case("bytea array", array(t("bytes")), ["AAEC", "AwQF"], "bytea[]",
         '{"\\\\x000102","\\\\x030405"}', lean=False),
    Case("nested array", array(array(t("int32"))), [[1, 2], [3, 4]], "int[]", "{{1,2},{3,4}}"),
    Case("date array", array(DATE), [17109, 17110], "date[]", "{2016-11-04,2016-11-05}",
         lean=False),

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
    "Bits(16)": "bit(16)",
    "Bits(64)": "bit(64)",
    "Bits(7)": "bit(7)",
    "Bits(2)": "bit(2)",
    "boolean": "boolean",
    "Uuid": "uuid",
    "Enum": "text",
    "EnumSet": "text",
    "map": "jsonb",
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
}
