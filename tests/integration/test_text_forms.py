"""Texts for columns of other types: what PostgreSQL's own input function reads is taken, and what it
refuses is a dead letter with its words.

Every text is compared with PostgreSQL's cast, in a session of ISO, MDY and UTC as the sink's, but for
these rules: a text with a zone is a moment, which a column without zone has in UTC; nothing is cut (a
time of day by a date, a date by a time) or rounded (digits, but those beyond microseconds); and what
asks for the clock is refused.
"""

import json
import os
import random
import re
from pathlib import Path

import psycopg2
import pytest
from lib.records import SHAPES, TEXT, Table, pipeline
from lib.sink import read_lines

REPORTED = Path(__file__).parent / "reported"
OFF = {"cdc_operation": "off", "cdc_timestamp": "off", "on_delete": "hard"}


def reason_of(letter):
    return letter["headers"][letter["headers"].index("__connect.errors.exception.message") + 1]


def cast(connection, text, column):
    """(value as text, None) or (None, PostgreSQL's words)."""
    with connection.cursor() as cursor:
        try:
            cursor.execute(f"select %s::text::{column}::text", (text,))
            return cursor.fetchone()[0], None
        except psycopg2.Error as error:
            return None, error.diag.message_primary


@pytest.fixture
def reader(database):
    connection = psycopg2.connect(database.dsn.replace(
        "${ODS_STACK_POSTGRES_PASSWORD}", database.stack["POSTGRES_PASSWORD"]))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("set datestyle = 'ISO, MDY'; set timezone = 'UTC'; "
                       "set intervalstyle = 'postgres'")
    yield connection
    connection.close()


def test_reported(sink, database, reader, tmp_path):
    columns = {"a": "timestamptz", "b": "timestamp", "d": "date", "e": "time"}
    for table, column in columns.items():
        database.execute(f"create table {table} (id int primary key, x {column}, "
                         "cdc_operation text, cdc_timestamp timestamptz)")
    sink.write(pipeline("^c24c.*", defaults={"on_delete": "hard", "evolve": "widen"}),
               database=database)
    sink.replay(REPORTED / "c24c.jsonl", dead_letter=tmp_path / "dead")
    reasons = {(letter["topic"], letter["key"]): reason_of(letter)
               for letter in read_lines(tmp_path / "dead")}
    for record in read_lines(REPORTED / "c24c.jsonl"):
        table = record["topic"].rsplit(".", 1)[1]
        payload = json.loads(record["payload"])
        text = payload.get("payload", payload)["after"]["x"]
        number = json.loads(record["key"])["payload"]["id"]
        value, words = cast(reader, text, columns[table])
        if table == "b" and value:  # a moment, in UTC
            value = cast(reader, text, "timestamptz")[0].removesuffix("+00")
        found = database.execute(f"select x::text from {table} where id = {number}")
        assert found == ([(value,)] if value else []), (table, text)
        if words:
            assert words in reasons[record["topic"], record["key"]], (table, text)


# --- each form by each type --------------------------------------------------------------------

DATES = ["2024-05-10", "20240510", "2024-5-1", "May 10 2024", "10 May 2024", "10-MAY-24", "5/10/2024",
         "2024.131", "J2460441", "2024-02-30", "2024-13-01", "0044-03-15 BC", "Mar 15 44 BC", "epoch",
         "infinity", "-infinity", " 2024-05-10 ", "2024-05-10 00:00:00", "2024-05-10T00:00:00Z",
         "99999-01-01", "5874897-12-31", "5874898-01-01", "yesterday", "TODAY", "not a date", "",
         "2024-05-10 19:00", "Friday, May 10 2024", "24-05-10", "1715299200"]
MOMENTS = ["2024-05-10 19:00:01.604805 +03:00", "2024-05-10 19:00:01 UTC", "2024-05-10 19:00:01+03",
           "2024-05-10T19:00:01.5+0300", "2024-05-10 19:00:01 Europe/Berlin", "May 10 2024 19:00 UTC",
           "20240510T190001Z", "20240510 190001", "2024-05-10 07:00:01 PM", "12/31/2024 23:59:59",
           "2024-05-10 19:00:01 PST", "2024-05-10 19:00:01 EST5EDT", "2024-05-10 24:00:00",
           "2024-05-10 25:00:00", "2024-05-10 19:00:60", "2024-05-10 19:00:01 Mars/Base",
           "2024-05-10T19:00:01.604805123+03:00[Europe/Moscow]", "now", "tomorrow 10:00",
           "2024-05-10 19:00:01.1234567 UTC", "Fri May 10 19:00:01 2024", "2024-W19-5",
           "2024-05-10 19:00:01 GMT", "2024-05-10 19:00:01Z", "2024-05-10\t19:00:01",
           "Fri May 10 19:00:01 2024 PST", "2024-05-10 19:00:01 z", "2024-05-10  19:00:01"]
CLOCKS = ["19:00", "190001", "7:00 PM", "19:00:01Z", "07:05:09.5", "9:05", "allballs", "T19:00:01",
          "19:00:01+03", "19:00:01 +03:00", "19:00:01-03:30", "24:00", "24:00:01", "1900", "7 PM",
          "12:00 am", "19:00:01 UTC", "19:00:01 PST", "2024-05-10 19:00:01", "now", "121212",
          "19:00:61", "19:00:01.1234567 Z", " 19:00 ", "nonsense", "", "25:00", "10:00 Europe/Berlin"]
NUMBERS = ["42", " 42 ", "+42", "-42", "0042", "4 2", "", " ", "1e3", "1E-3", ".5", "5.", "0x2A",
           "1_000", "NaN", "inf", "-inf", "Infinity", "+Infinity", "--1", "1,000", "abc", "9" * 19,
           "99999", "2147483648", "1e400", "1e-400", "0.1", "12.50", "\t7\n", "٣", "1e", "0b101"]
BOOLEANS = ["true", "TRUE", "t", "tr", "yes", "ye", "y", "on", "of", "off", "o", "1", "0", "2", "",
            " true ", "false", "fals", "n", "no", "maybe", "enabled"]
UUIDS = ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
         "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", "a0eebc999c0b4ef8bb6d6bb9bd380a11",
         "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11", "{a0eebc999c0b-4ef8-bb6d6bb9-bd380a11}",
         "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
         "a-0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", " a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "", "{}"]
INTERVALS = ["1 day", "P1DT2H", "P1Y2M", "1-2", "3 4:05:06", "1 year 2 mons", "2 weeks ago", "P1.5D",
             "P0001-02-03T04:05:06", "@ 1 minute", "90 minutes", "nonsense", "", "1.5 hours", "7"]
NETWORK = ["10.0.0.1", "10.0.0.1/8", "::1", "300.0.0.1", "", "08:00:2b:01:02:03", "0800.2b01.0203"]

FORMS = {
    "date": DATES + MOMENTS[:6], "timestamp": DATES + MOMENTS, "timestamptz": DATES + MOMENTS,
    "timestamp(3)": MOMENTS[:4], "time": CLOCKS + DATES[:3], "timetz": ["19:00+03", "now", "7 PM"],
    "int": NUMBERS, "smallint": NUMBERS, "bigint": NUMBERS, "numeric": NUMBERS,
    "numeric(5,2)": NUMBERS, "double precision": NUMBERS, "real": NUMBERS, "boolean": BOOLEANS,
    "uuid": UUIDS, "interval": INTERVALS, "interval day to minute": INTERVALS, "inet": NETWORK,
    "macaddr": NETWORK, "daterange": ["[2024-01-01,2024-02-01)", "[today,tomorrow)", "empty"],
}
CLOCK = re.compile(r"\b(now|today|tomorrow|yesterday)\b", re.I)
ZONE = re.compile(r"(:\d\d(\.\d+)?|\d\d[AP]?M?) ?([+-]\d|Z|z|[A-Z])", re.I)


NUMBERS = ("int", "smallint", "bigint", "numeric", "double precision", "real")


def is_exact_number(text):
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", text, re.I)


def expected(reader, text, column):
    """(value, None), or (None, words) for a dead letter; "" for words of our own."""
    base = re.sub(r"\(.*\)| day to.*", "", column)
    value, words = cast(reader, text, column)
    if CLOCK.search(text) and base in ("date", "time", "timestamp", "timestamptz", "timetz", "daterange"):
        return None, ""
    if base in NUMBERS:
        if text.strip() and is_exact_number(text):  # by the number itself; tested elsewhere
            return None if value is None else (value, None), "number"
    if column == "numeric(5,2)" and cast(reader, text, "numeric")[0]:
        number = cast(reader, text, "numeric")[0]
        if value is None or "N" in value or float(number) != float(value):
            return (value, None) if value == number else (None, "")  # more digits than it has
    if value is None:
        out_of_range = "is out of range for"  # said by us where the text is plain, else by PostgreSQL
        return None, out_of_range if base in NUMBERS and out_of_range in words else words
    if base == "timestamp":
        moment = cast(reader, text, "timestamptz")[0]
        value = moment.removesuffix("+00").replace("+00 BC", " BC")
    if base == "date":
        moment = cast(reader, text, "timestamptz")[0]
        if moment and "inf" not in moment and " 00:00:00+00" not in moment:
            return None, ""  # it has a time of day
        value = (moment.replace(" 00:00:00+00", "") if moment else value)
    if base == "time":
        if cast(reader, "2001-02-03 " + text, "timestamp")[0] is None or \
                re.search("[PE]ST", text):
            return None, ""  # it has a date, or a zone that depends on one
        if not cast(reader, text, "timetz")[0].endswith("+00"):
            return None, ""  # it has a zone
    if column == "timestamp(3)" and re.search(r"\.\d{4}", text):
        return None, ""
    if column == "interval day to minute" and cast(reader, text, "interval")[0] != value:
        return None, ""
    return value, None


def forms():
    return [(column, text) for column, texts in FORMS.items() for text in dict.fromkeys(texts)]


def is_base64(text):
    """Without a schema decimals are."""
    return re.fullmatch(r"([A-Za-z0-9+/]{4})+", text)


def compare(reader, some, found, reasons, typed):
    """found: text by id; reasons by id."""
    wrong = []
    for number, (column, text) in enumerate(some):
        value, words = expected(reader, text, column)
        mine, reason = found.get(number), reasons.get(number)
        if words == "number" or (not typed and "numeric" in column and is_base64(text)):
            continue
        good = mine == value if value is not None else mine is None and reason and words.replace("\t", " ") in reason
        if not good:
            wrong.append((column, text, "expected", value, words, "found", mine, reason))
    assert not wrong, "\n".join(map(str, wrong))


def quoted(column):
    return re.sub(r"\W", "_", column)


def check_forms(sink, database, reader, tmp_path, some, shape, array):
    tables, records, of = {}, [], {}
    for number, (column, text) in enumerate(some):
        name = f"t_{quoted(column)}"
        if name not in tables:
            kind = {"type": "array", "items": {**TEXT, "optional": True}} if array else TEXT
            tables[name] = Table(name, columns={"id": {"type": "int32"}, "v": kind}, shape=shape)
            database.execute(f"create table {name} (id int primary key, v {column}"
                             f"{'[]' if array else ''})")
        record = tables[name].create({"id": number, "v": [text, None] if array else text})
        of[record["topic"], record["offset"]] = number
        records.append(record)
    sink.write(pipeline(r"^src\.shop\.t_.*", defaults=OFF), database=database)
    sink.replay(records, dead_letter=tmp_path / "dead")
    reasons = {of[letter["topic"], letter["offset"]]: reason_of(letter)
               for letter in read_lines(tmp_path / "dead")}
    found = {}
    for name in tables:
        found.update(database.execute(
            f"select id, {'v[1]' if array else 'v'}::text from {name}"))
    compare(reader, some, found, reasons, "plain" not in shape)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("array", [False, True], ids=["", "array"])
def test_forms(sink, database, reader, tmp_path, shape, array):
    """One record a text, each of its type's column, or an element beside another."""
    check_forms(sink, database, reader, tmp_path, forms(), shape, array)


# --- random ones -------------------------------------------------------------------------------

def random_moment(random):
    year, month, day = random.randint(1901, 2199), random.randint(1, 13), random.randint(1, 31)
    name = ["Jan", "FEB", "march", "April", "May", "jun", "July", "Aug", "Sept", "oct", "Nov", "Dec"][month % 12]
    date = random.choice([f"{year}-{month:02}-{day:02}", f"{year}{month:02}{day:02}", f"{year}-{month}-{day}",
                          f"{name} {day} {year}", f"{day}-{name}-{year}", f"{month}/{day}/{year}",
                          f"{day:02} {name} {year}", f"{year}.{day + 100}"])
    hour, minute, second = random.randint(0, 24), random.randint(0, 60), random.randint(0, 60)
    fraction = random.choice(["", "", ".5", ".123456", ".604805"])
    clock = random.choice([f"{hour:02}:{minute:02}:{second:02}{fraction}", f"{hour}:{minute:02}",
                           f"{hour:02}{minute:02}{second:02}", f"{hour % 13}:{minute:02} PM"])
    zone = random.choice(["", "", "", "Z", "+00", "+03", "-0330", " +05:30", " UTC", " America/New_York",
                          " EST", " GMT", "+14:00", "-11:30:15"])
    return date, clock, zone


def random_form(random):
    column = random.choice(list(FORMS))
    base = column.split("(")[0]
    if base in ("date", "timestamp", "timestamptz"):
        date, clock, zone = random_moment(random)
        if base == "date" and random.random() < 0.7:
            return column, random.choice(["", " ", "\t"]) + date
        return column, date + random.choice([" ", "T", "  "]) + clock + zone
    if base in ("time", "timetz"):
        _, clock, zone = random_moment(random)
        return column, clock + random.choice([zone, ""])
    letters = {"boolean": "truefalsyon01 ", "uuid": "0123456789abcdef-{}", "inet": "0123456789.:/a",
               "macaddr": "0123456789abcdef:-."}.get(base, "0123456789+-.eE_x ")
    if base == "uuid":
        text = "".join(random.choice(letters[:16]) for _ in range(32))
        for _ in range(random.randint(0, 4)):
            place = random.randint(0, 32)
            text = text[:place] + "-" + text[place:]
        return column, text
    if base.startswith("interval"):
        return column, random.choice([
            f"{random.randint(-9, 99)} {random.choice(['day', 'hours', 'mons', 'weeks', 'fortnight'])}",
            f"P{random.randint(0, 9)}DT{random.randint(0, 99)}M", f"{random.randint(0, 40)}:30"])
    if base == "daterange":
        return column, f"[2024-01-{random.randint(1, 33):02},2024-02-{random.randint(1, 31):02}]"
    return column, "".join(random.choice(letters) for _ in range(random.randint(1, 7)))


def test_random_forms(sink, database, reader, tmp_path, report):
    seed = int(os.environ.get("ODS_TEST_SEED", random.SystemRandom().randrange(2**32)))
    report(f"seed {seed}")
    generator = random.Random(seed)
    some = [random_form(generator) for _ in range(1500)]
    check_forms(sink, database, reader, tmp_path, some, "envelope", False)


# --- where such texts stand --------------------------------------------------------------------

SPELT = [("date", ["2024-05-10", "May 10 2024", "20240510"], "2024-05-10"),
         ("timestamptz", ["2024-05-10T19:00:01Z", "May 10 2024 19:00:01 UTC", "20240510 220001+03"],
          "2024-05-10 19:00:01+00"),
         ("numeric", ["7", " 7", "7\t"], "7"), ("boolean", ["true", "tr", " t"], "true"),
         ("time", ["19:00", "7:00 PM", "190000"], "19:00:00")]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
def test_keys(sink, database, tmp_path, shape, together):
    """A key spelt in other ways is the same row's: changed, deleted, and made again."""
    records = []
    for column, (first, second, third), _ in SPELT:
        table = Table(f"k_{column}", columns={"id": TEXT, "v": {"type": "int32"}}, shape=shape)
        database.execute(f"create table k_{column} (id {column} primary key, v int)")
        records += [table.create({"id": first, "v": 1}),
                    table.update({"id": second, "v": 1}, {"id": second, "v": 2}),
                    table.delete({"id": third, "v": 2}), table.create({"id": third, "v": 3}),
                    table.create({"id": "none of it", "v": 4})]
    sink.write(pipeline(r"^src\.shop\.k_.*", defaults=OFF), database=database,
               batch={"max_events": 1000 if together else 1})
    sink.replay(records, dead_letter=tmp_path / "dead")
    for column, _, shown in SPELT:
        assert database.execute(f"select id::text, v from k_{column}") == [(shown, 3)], column
    letters = read_lines(tmp_path / "dead")
    assert len(letters) == len(SPELT), [reason_of(letter) for letter in letters]
    assert all('"none of it"' in reason_of(letter) for letter in letters)


@pytest.mark.parametrize("key", [("id",), ()], ids=["keyed", "keyless"])
def test_among_many_new_rows(sink, database, tmp_path, key):
    """By COPY: one bad text is one dead letter, and all others stand there."""
    table = Table("many", columns={"id": {"type": "int32"}, "day": TEXT}, key=key)
    database.execute("create table many (id int" + (" primary key" if key else "") + ", day date)")
    texts = ["2024-05-10", "May 10 2024", "10.05.2024", "20240510"]
    records = [table.create({"id": n, "day": "May 41 2024" if n == 700 else texts[n % 4]})
               for n in range(1500)]
    sink.write(pipeline(table, defaults={**OFF, "keyless": "append"}), database=database)
    sink.replay(records, dead_letter=tmp_path / "dead")
    found = database.execute("select day::text, count(*) from many group by 1 order by 1")
    assert found == [("2024-05-10", 1124), ("2024-10-05", 375)]
    letter, = read_lines(tmp_path / "dead")
    assert letter["offset"] == 700 and 'date/time field value out of range: "May 41 2024"' in \
        reason_of(letter)
