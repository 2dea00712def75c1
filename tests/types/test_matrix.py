"""Every kind of value into every type of column. What the sink writes must be what PostgreSQL's own
casts make of the value and lead back to it: nothing is rounded, cut or wrapped on the way. Where such
a cast exists the sink must take the value; a pair that it refuses all the same stands in REFUSED, one
that it takes without a cast in TAKEN.
"""

import json

import pytest

from lib.records import INT
from types_cases import BIGINT, CONNECT, DATA, DATE, MICROTIME, MICROTIMESTAMP, NANOTIME, POINT, \
    TEXT, TIME, TIMESTAMP, VARIABLE, ZONED, ZONEDTIME, STAMP, array, decimal, t

# kind: connect schema, value in the record, the value in SQL. The SQL's type is the source's.
SOURCES = {
    "boolean": (t("boolean"), True, "true"),
    "int16": (t("int16"), -32768, "'-32768'::smallint"),
    "int32": (t("int32"), 2147483647, "2147483647"),
    "int32 small": (t("int32"), 1, "1"),
    "int64": (BIGINT, 9007199254740993, "9007199254740993"),
    "int64 largest": (BIGINT, 9223372036854775807, "9223372036854775807"),
    "int64 negative": (BIGINT, -1, "'-1'::bigint"),
    "float": (t("float"), 3.3, "'3.3'::real"),
    "double": (t("double"), 0.1, "'0.1'::float8"),
    "double long": (t("double"), 3.141592653589793, "'3.141592653589793'::float8"),
    "double whole": (t("double"), 3.0, "'3'::float8"),
    "double large": (t("double"), 1e300, "'1e300'::float8"),
    "double nan": (t("double"), "NaN", "'NaN'::float8"),
    "decimal": (decimal(2), "bg==", "1.10"),
    "decimal negative": (decimal(4), "/Hw=", "-0.0900"),
    "decimal long": (decimal(0), "SztMqFqGxHoJiiI//////w==", "9" * 38),
    "variable decimal": (VARIABLE, {"scale": 3, "value": "DQU="}, "3.333"),
    "date": (DATE, 16576, "'2015-05-21'::date"),
    "date BC": (DATE, -719560, "'0002-11-30 BC'::date"),
    "time": (MICROTIME, 49890123456, "'13:51:30.123456'::time"),
    "time 24": (MICROTIME, 86400000000, "'24:00:00'::time"),
    "time ns": (NANOTIME, 49890123456000, "'13:51:30.123456'::time"),
    "timestamp ms": (TIMESTAMP, 1529507596945, "'2018-06-20 15:13:16.945'::timestamp"),
    "timestamp us": (MICROTIMESTAMP, 1529507596945104, "'2018-06-20 15:13:16.945104'::timestamp"),
    "timestamp midnight": (MICROTIMESTAMP, 1529452800000000, "'2018-06-20'::timestamp"),
    "timestamp infinity": (MICROTIMESTAMP, 9223372036825200000, "'infinity'::timestamp"),
    "structured timestamp": (STAMP, {"year": 2018, "month": 6, "day": 20, "hour": 15,
                                     "minute": 13, "second": 16, "nanos": 945104000,
                                     "specialValue": None},
                             "'2018-06-20 15:13:16.945104'::timestamp"),
    "zoned": (ZONED, "2018-06-20T13:37:03.5Z", "'2018-06-20 13:37:03.5+00'::timestamptz"),
    "zoned midnight": (ZONED, "2018-06-20T00:00:00Z", "'2018-06-20 00:00:00+00'::timestamptz"),
    "zoned time": (ZONEDTIME, "11:51:30.123789Z", "'11:51:30.123789+00'::timetz"),
    "duration": (t("int64", TIME + "MicroDuration"), 1123456, "'00:00:01.123456'::interval"),
    "duration negative": (t("int64", TIME + "MicroDuration"), -1, "'-00:00:00.000001'::interval"),
    "interval": (t("string", TIME + "Interval"), "P1Y2M3DT4H5M6.78S",
                 "'1 year 2 mons 3 days 04:05:06.78'::interval"),
    "year": (t("int32", TIME + "Year"), 2023, "2023"),
    "string": (TEXT, "abc", "'abc'::text"),
    "string of digits": (TEXT, "123", "'123'::text"),
    "string of a decimal": (TEXT, "1.50", "'1.50'::text"),
    "string of a date": (TEXT, "2018-06-20", "'2018-06-20'::text"),
    "string of 70": (TEXT, "x" * 70, "repeat('x', 70)"),
    "bytes": (t("bytes"), "AQID", r"'\x010203'::bytea"),
    "bits": (t("bytes", DATA + "Bits", length=16), "AgE=", "B'0000000100000010'"),
    "json": (t("string", DATA + "Json"), '{"a": 1}', """'{"a": 1}'::jsonb"""),
    "uuid": (t("string", DATA + "Uuid"), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
             "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid"),
    "enum": (t("string", DATA + "Enum", allowed="sad,ok"), "ok", "'ok'::text"),
    "xml": (t("string", DATA + "Xml"), "<a>b</a>", "'<a>b</a>'::xml"),
    "point": (POINT, {"x": 1.5, "y": -2.0, "wkb": None, "srid": None}, "'(1.5,-2)'::point"),
    "array of int": (array(t("int32")), [1, 40000], "'{1,40000}'::integer[]"),
    "array of decimal": (array(decimal(2)), ["bg==", "AVQ="], "'{1.10,3.40}'::numeric[]"),
    "array of timestamp": (array(MICROTIMESTAMP), [1529507596945104],
                           "array['2018-06-20 15:13:16.945104'::timestamp]"),
    "array of double": (array(t("double")), [0.1, 3.141592653589793],
                        "'{0.1,3.141592653589793}'::float8[]"),
    "array of text": (array(TEXT), ["abc", "1"], "'{abc,1}'::text[]"),
}
TARGETS = [
    "boolean", "smallint", "integer", "bigint", "real", "double precision", "numeric",
    "numeric(5,2)", "numeric(3,0)", "money", "text", "varchar(5)", "varchar(64)", "char(4)",
    '"char"', "name", "bytea", "date", "time", "time(2)", "timetz", "timetz(1)", "timestamp",
    "timestamp(1)", "timestamp(0)", "timestamptz", "timestamptz(2)", "interval", "interval(1)",
    "bit(16)", "bit(3)", "varbit", "varbit(4)", "json", "jsonb", "uuid", "xml", "inet", "oid",
    "point", "types_mood", "types_price", "int4range", "tsvector", "integer[]", "smallint[]",
    "numeric(3,1)[]", "real[]", "double precision[]", "text[]", "varchar(2)[]", "date[]",
    "timestamp(0)[]", "timestamp[]", "jsonb[]",
]
NUMBERS = {"smallint", "integer", "bigint", "real", "double precision", "numeric", "numeric(5,2)",
           "numeric(3,0)", "money", "oid", "types_price"}
# A value whose own number, or text, goes in, as docs/types.md says, where there is no such cast.
AS_COUNTED = ("date", "time", "timestamp", "duration")


def refused(kind, target):
    """PostgreSQL has a cast that leads back, and the sink refuses, for its reason."""
    if target in ("char(4)", "bytea"):
        return True  # padding is not the value; bytes of a number are nobody's
    if target == "boolean":
        return not kind.startswith(("boolean", "int32 small"))  # of numbers only 0 and 1
    if target in ("json", "jsonb"):
        return kind.startswith("string")  # text is JSON there, or refused
    if target in ('"char"', "name"):
        return True  # which casts cut to one character, or 63
    if target in ("bit(16)", "varbit", "bit(3)", "varbit(4)"):
        return kind.startswith(("int", "string", "year"))  # an integer is no bit string, though casts say so
    if kind == "timestamp infinity" and target not in ("tsvector", "xml"):
        # No number, and no lapse, though PostgreSQL 17 has intervals that are written so.
        return target in ("real", "double precision", "numeric", "interval", "interval(1)")
    if target in ("interval", "interval(1)", "tsvector", "xml", "timetz", "timetz(1)"):
        return target in ("tsvector", "xml") or not kind.startswith(
            ("time", "zoned time", "string", "duration", "interval"))
    if target == "varchar(5)":
        return kind in ("time 24", "decimal negative")  # which a cast cuts to 24:00 and -0.09
    return False


def taken(kind, target, written):
    """The sink takes what no cast of PostgreSQL does: is this how it is meant?"""
    _, value, literal = SOURCES[kind]
    if target in ("smallint", "integer", "bigint") and kind == "bits":
        return written == "258"
    if target in NUMBERS and kind.startswith((*AS_COUNTED, "boolean")) and \
            kind != "timestamp infinity":
        number = int(value)
        return float(written.replace("$", "").replace(",", "")) == number
    if kind == "boolean" and target in ("varbit", "varbit(4)"):
        return written == "1"
    if kind == "bits" and target == "bytea":
        return written == r"\x0201"
    if target == "bytea" and kind.startswith(("string", "json", "enum", "xml")):
        return bytes.fromhex(written[2:]).decode() == value
    if kind == "array of timestamp" and target in ("double precision[]", "jsonb[]"):
        return written in ("{1.529507596945104e+15}",
                           r'{"\"2018-06-20T15:13:16.945104\""}')
    if kind == "enum" and target in ("json", "jsonb"):
        return json.loads(written) == value
    return kind == "point" and target in ("json", "jsonb") and json.loads(written) == value


@pytest.fixture(scope="module")
def matrix(stack, tmp_path_factory):
    """(kind, target) -> text in the column or None for a dead letter, and what casts make of it."""
    from conftest import build
    from lib.postgres import create_database
    from lib.sink import Setup

    stack.up("postgres")
    database = create_database(stack, "ods_matrix")
    database.execute("create type types_mood as enum ('sad', 'ok')")
    database.execute("create domain types_price as numeric(5,2)")
    database.execute("""create function attempt(sql text) returns text language plpgsql as $$
        declare answer text; begin execute sql into answer; return answer;
        exception when others then return null; end $$""")
    lines = []
    for number, (kind, (schema, value, _)) in enumerate(SOURCES.items()):
        database.execute(f"create table kind_{number} (id int primary key, " + ", ".join(
            f"v{place} {target}" for place, target in enumerate(TARGETS)) + ")")
        lines += records(number, schema, value)
    folder = tmp_path_factory.mktemp("matrix")
    sink = Setup(folder, build("asan"), stack)
    sink.write({"name": "m", "topics": [r"^m\.public\..*"], "format": "debezium", "target": "ods",
                "defaults": {"cdc_operation": "off", "cdc_timestamp": "off", "on_delete": "hard"}},
               database=database)
    sink.replay(lines, dead_letter=folder / "dead.jsonl", timeout_s=600)
    found, casts = {}, {}
    for number, (kind, (_, _, literal)) in enumerate(SOURCES.items()):
        for place, target in enumerate(TARGETS):
            rows = database.execute(
                f"select v{place}::text from kind_{number} where id = {place}")
            found[kind, target] = rows[0][0] if rows else None
            casts[kind, target] = right_texts(database, literal, target)
    yield found, casts
    database.close()


def records(number, schema, value):
    """A record for each target: its own column has the value, the others are NULL."""
    names = [f"v{place}" for place in range(len(TARGETS))]
    fields = [{**INT, "optional": False, "field": "id"}] + [
        {**schema, "optional": True, "field": name} for name in names]
    topic = f"m.public.kind_{number}"
    image = {"type": "struct", "fields": fields, "optional": True}
    schema = {"type": "struct", "optional": False, "name": topic + ".Envelope", "fields": [
        {**image, "field": "before"}, {**image, "field": "after"},
        {"type": "struct", "fields": [], "optional": False, "field": "source"},
        {"type": "string", "optional": False, "field": "op"}]}
    for place, name in enumerate(names):
        payload = {"before": None, "op": "c", "after": {
            "id": place, **{other: value if other == name else None for other in names}},
            "source": {"connector": "postgresql", "name": "m", "ts_ms": 1, "db": "m",
                       "schema": "public", "table": f"kind_{number}"}}
        key = {"schema": {"type": "struct", "fields": fields[:1], "optional": False},
               "payload": {"id": place}}
        yield {"topic": topic, "partition": 0, "offset": place, "ts": 1, "headers": [],
               "key": json.dumps(key), "payload": json.dumps({"schema": schema,
                                                              "payload": payload})}


def right_texts(database, literal, target):
    """What casts make of the value, each only if it leads back to the value."""
    def attempt(sql):
        return database.value("select attempt(%s)", f"select ({sql})::text")

    source = database.value(f"select pg_typeof({literal})::text")
    source = "bit(16)" if source == "bit" else source
    back = f"numeric::{source}" if target == "money" else source
    ways = [(f"({literal})::{target}", back), (f"({literal})::text::{target}", back),
            (f"({literal})::text::{target}", f"text::{source}")]
    if source == "text":  # any other writing of what it says
        base = target if "[" in target else target.split("(")[0]
        ways = [(f"({literal})::{target}", base)]
        literal = f"({literal})::{base}"
    right = {attempt(f"to_{target}({literal})")} if target in ("json", "jsonb") else set()
    for way, back in ways:
        same = attempt(f"({way})::{back} = ({literal})") or \
            attempt(f"({way})::{back}::text = ({literal})::text")
        if same == "true":
            right.add(attempt(way))
    return right - {None}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("target", TARGETS)
def test_pair(matrix, kind, target):
    found, casts = matrix
    written, right = found[kind, target], casts[kind, target]
    if written is None:
        assert not right or refused(kind, target), f"refused, though right is {right}"
    else:
        assert written in right or taken(kind, target, written), \
            f"wrote {written}, right is {right or 'to refuse'}"
