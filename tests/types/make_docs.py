#!/usr/bin/env python3
"""docs/types.md from the cases that the tests run: make_docs.py writes it, a test compares it."""

import json
import sys
from pathlib import Path

from types_cases import CASES, DEFAULTS, REJECT, label

PAGE = Path(__file__).resolve().parents[2] / "docs" / "types.md"
JDBC = json.loads((Path(__file__).resolve().parent / "jdbc.json").read_text())

HEAD = """\
# Types

<!-- Written by tests/types/make_docs.py from tests/types/types_cases.py; the test suite compares. -->

A value keeps its meaning or is refused. It is converted by what the source says it is and what the
target's column takes; what no rule knows meets PostgreSQL's own input function. Nothing is cut or
wrapped, and nothing rounded but nanoseconds (`inexact`, below): a value that the column can't hold
exactly makes its record a dead letter that names column and reason.

## source_types

What a connector lost, `source_types` of a table in tables.yaml says again, by source column:

```yaml
source_types: { total: bigint unsigned, price: "decimal(10,2)", seen: timestamp us, photo: bytes hex }
```

| written | for |
|---|---|
| `bigint unsigned` | `bigint.unsigned.handling.mode=long`: a negative number stands for itself plus 2^64. Told without this setting where the record carries the source's type name (`column.propagate.source.type`) |
| `decimal(p,s)`, `numeric(p,s)` | decimals without schema: base64, or digits (`source.decimals`), of this scale |
| `timestamp`, `timestamp(p)`, `datetime`, `datetime(p)` | numbers of milliseconds (p up to 3, and `datetime`), microseconds (p up to 6, and `timestamp`) or nanoseconds since 1970, without zone; `ms`, `us` or `ns` behind it decides otherwise |
| `timestamptz`, `timestamptz(p)` | the same, as moments in UTC |
| `time`, `time(p)` | microseconds since midnight, or `ms`, `ns` |
| `bytes`, `bytes base64`, `bytes base64url`, `bytes hex` | `binary.handling.mode`: text that stands for bytes |
| `bit(n)` | bits that came as base64 without schema |
| `number` | a decimal of any digits, that came as digits |
| `boolean`, `tinyint`, `smallint`, `mediumint`, `int`, `bigint` (each integer also `unsigned`), `real`, `double`, `text`, `char(n)`, `varchar(n)`, `date`, `interval`, `year`, `json`, `xml`, `uuid`, `enum`, `set`, `inet`, `cidr`, `macaddr`, `macaddr8`, `citext`, `hstore`, `ltree`, `point`, `geometry` | records without schema, and columns that ods-sink makes |
| any of them and `[]` | an array of it |

Times that come as ISO 8601 text (`time.precision.mode=isostring`) are taken for every one of them.

## The schema topic

`source: { schema_topic: mks_finance }` names the topic to which the MySQL or MariaDB connector writes
schema changes (`include.schema.changes=true`; it is named like `topic.prefix`). The daemon reads it
from its beginning and follows it, beside the consumer groups, and takes from it what records without
schema, enveloped or flattened, do not say: signs, scales, units, `datetime` or `timestamp`, bytes,
NOT NULL. Tables are then made and columns added or changed as for records with a schema; text columns
are `text`.

- Which counts: `source_types` of the table, then the type that the record itself carries, then the
  topic, then the target's column or the value.
- A record is read as its table was at the record's source time, which flattened records carry with
  `transforms.unwrap.add.fields=…,source.ts_ms`; without it, as the table is now.
- A record of a table or column that is not known yet waits until the topic has been read to its end.
  Where the topic is missing, or has no such table, nothing tells (below).
- `time.precision.mode` other than the default: say it with `source.timestamp_unit` and
  `source.time_unit`.
- `replay` has no Kafka: it learns from the schema changes among its records. PostgreSQL's connector
  has no such topic: make the tables first, or name types in `source_types`.
- A statement that changes the unit of a time column (`datetime(3)` to `datetime(6)`) and a row after
  it stand on two topics. The topic's record is written first and is awaited by nobody: should it be
  late all the same, the row is read in the old unit. Records with a schema have no such moment.

## Conversions

- **By what the source says and what the column takes.** Every pair of a kind of value and a type of
  column is tested against PostgreSQL's own casts (`tests/types/test_matrix.py`): what is written is
  what a cast makes of the value and leads back to it.
- **More digits than the column has** (1.005 for `numeric(5,2)`, microseconds for `timestamp(3)`, a
  double for `real` that shows other digits there): refused. Only what is finer than a microsecond,
  which no type of PostgreSQL's holds, is rounded half up, as PostgreSQL itself reads it
  (`inexact: nanoseconds`, the default; `reject` refuses that too, `round` lets PostgreSQL round all).
  `values_rounded_total` counts what was rounded. Key columns always refuse, a text column gets all
  digits.
- **A moment or lapse into a number column** is the number that the record has: days, milliseconds,
  microseconds. Infinity is refused there.
- **A time of MySQL beyond 24 hours** needs `interval`, which columns made for it are; `time` refuses.
- **Zero dates** (`0000-00-00`) of Debezium arrive as NULL, or, from a column that is NOT NULL, as
  1970-01-01: what the connector makes of them, and the sink has nothing to tell them by. Structured
  ones are refused. Those that come as text (Maxwell), and every date with a zero month or day, are NULL
  in a date or timestamp column and counted in `zero_dates_total`; with `zero_dates: reject`, and in a
  key, they are refused. A text column has them as they are.
- **An interval column that takes some parts only** (`interval year to month`, `interval day`) refuses a
  value with others, which PostgreSQL would cut off; and text of which nobody tells what is in it.
- **Infinite intervals** are PostgreSQL's from version 17 on: the texts `infinity` and `-infinity` go
  in there, an older server refuses them. The infinity of a date or timestamp is no lapse, and refused.
- **An interval in `interval.handling.mode=numeric`** is microseconds by then: 8766 hours for a year.
- **json and jsonb** take what is JSON, and what is not text to the source as `to_jsonb()` writes it
  (decimals numbers, moments ISO 8601, bytes `\\x` and hexadecimal digits); so elements of arrays, and
  with a schema fields of structs and values of maps, however deep. A map's keys, and all of them
  without a schema, stay as the record has them.
- **Text into bytea** is its bytes. Hexadecimal and base64 (`binary.handling.mode`) are told apart where
  the record names the source's type (`column.propagate.source.type`); a text that could be either is
  refused until another one has shown which, or `source_types` says so.
- **Geometries** go into PostgreSQL's own types by the type of the column, into PostGIS's with their
  SRID, into bytea as well-known binary, into jsonb as the record has them. Without PostGIS a column
  made for one is text, with the hexadecimal extended well-known binary that PostGIS reads; without
  pgvector a vector is text as pgvector reads it.
- **Arrays** are held against the column's elements one by one. Arrays of arrays become jsonb where
  ods-sink makes the column; one of `T[]` takes them if they are rectangular.
- **Columns that the source lacks** (defaults, identity, generated) are left to the table; a key that is
  `generated always as identity` is written over.
- **Views** take rows by their INSTEAD OF triggers, or by themselves if PostgreSQL can update them. A
  row that `update` finds by its key is updated, else inserted; so the triggers must return `new` (and
  `old` for deletes), the view must show the key and the `cdc_` columns (or have those turned off), and
  nobody else may insert the same keys meanwhile, as no unique index keeps two of them apart. Without a
  key a view only takes inserts.

## Maxwell

`format: maxwell` takes the records of rows (`insert`, `update`, `delete`) and bootstraps. What begins
or ends a bootstrap, the table `maxwell.bootstrap` in which one asks for it, and DDL are passed over and
counted (`records_passed_total`); DDL gives types where `source.schema_topic` names its topic. A row's
key is what the record's key says (`kafka_key_format` `hash` or `array`), else `primary_key_columns`.
An update that changes it is the delete of the old row and the create of a new one, both or neither.
Columns of DDL are added, widened and kept as rows bring them (`evolve`); a truncate is not told by
Maxwell. Where Maxwell's own database has another name than `maxwell` (`schema_database`), skip its
table: `tables: { bootstrap: { skip: true } }`. A bootstrap of a table without key adds its rows once
more.

With `producer_partition_by=primary_key` the old and the new key may stand in different partitions,
which are read at their own pace. The newest change of every key that took part in a change of keys is
kept, by the record's time in Kafka and by `xid` and `xoffset` (leave `output_commit_info` on); what is
older, of another partition and comes later is void, and counted in `changes_outdated_total` (with
`on_delete: soft` a row whose key changed before it came is then not there as a deleted one). Topics
need Kafka's default `message.timestamp.type=CreateTime`. One case is left: a new row under the old key,
read before the change of keys. The target's `cdc_timestamp` tells it from the old row, and in whole
seconds: one of the same second, or any with `cdc_timestamp: off`, is deleted. With
`producer_partition_by=table` or `database` there is no such case.

The records have no schema, but their values read as they stand, so less is open than with Debezium:

- **Numbers** are numbers of any length: never base64, nor moments. A number into `bit(n)` is its bits.
- **JSON** stands in the record as JSON. A text for a json or jsonb column is therefore a JSON string;
  with `source_types: { doc: text }` it is JSON that MySQL has in a text column. A JSON null is NULL.
- **Sets** are arrays: labels joined by commas in a text column (where `source_types` says `json`, or
  an element is no string, the JSON itself), elements in an array column.
- **Bytes** are base64. A text column gets the base64 itself where nothing says that they are bytes, so
  make such columns bytea.
- **Times** are text. A MySQL `timestamp` is UTC, whatever the zone of Maxwell's Java.
- **Geometries** are well-known text, as PostGIS reads it; a point also fits PostgreSQL's own.
- Of the DDL's types `decimal` is `numeric`, `bit` is `numeric(20,0)` and `float` is `double precision`,
  as Maxwell does not tell their digits; all others are as with Debezium.

`output_nulls` must stay on, as it is by default: without it a record lacks the columns that are NULL,
and nobody can tell them from those that it does not carry. An update that shows it is refused.

What Maxwell 1.44 itself loses, and no sink can make up for: a `time` below 00:00 or beyond 24:00 is
wrapped into a day, and moved by the zone of its Java; `binary` loses its trailing zero bytes; of
`bit(33)` and more the upper bits, and a bootstrap turns the bytes of every `bit(9)` and more around;
the year 0000 is 1900; an enum's `''` of a bad value is NULL.

## Where nothing tells

- A decimal without schema is base64 or digits. What can only be one of them says which for the whole
  connector; digits that may be either (`1234`) are refused until something has said, or until
  `source.decimals` does.
- `U+0000` has no place in PostgreSQL's text and jsonb: refused, or left out and counted with
  `nul: strip`.
- A key change of a row with a value that the source did not send (TOAST) takes it from the row under
  the old key: from its changes in the same batch, or from the target, where it stands until its
  delete is applied, and after that with `on_delete: soft`. Where no such row is left, or a younger
  one has its key, the value is NULL and counted in `values_lost_total`. It is never the placeholder.
- An update with an unchanged TOAST value, of a row that the table does not have, makes the row with
  the column's default there, or NULL.
- An array without schema has the elements of the target's column: units and scales as above.
- money has the number of digits of the server's `lc_monetary`: a column made for it is numeric.

## What Debezium 3.3 does not send from PostgreSQL

Found by comparing every row (tests/e2e); no sink can make up for it.

| source | what arrives | instead |
|---|---|---|
| `numeric`, `numeric[]`, and arrays of boolean, float, time, timestamptz, inet, citext, left alone in TOAST | NULL, not the placeholder | `replica identity full` for such a table |
| `NaN` in numeric | NULL | `decimal.handling.mode=string` |
| arrays of several dimensions | NULL for each inner array | |
| an array of an enum that holds NULL; `interval[]` | NULL; no column | |
| `time[]` | milliseconds | |
| varbit | its bits without leading zeros; so it has as many bits as the column, or as whole bytes | |
| timetz | in UTC | |
| date BC, timestamp and timestamptz before 1582, `24:00` in timetz | in a snapshot another day; streamed they are right | |
| timestamp from 294247 on | a wrapped number: refused where it can be told | |
| a column's name that is not ASCII | streamed, another name | |

Dates `infinity` are told from the wrapped numbers that they arrive as. A `character(n)` and a
`bit varying(n)` are made as such with `column.propagate.source.type`, else as text and `bit(n)`.

## When the source's types change

`evolve` says what follows in a table that ods-sink made. A column whose type somebody changed by
hand is theirs and stays.

| the column has | the source's type becomes | `evolve: widen` |
|---|---|---|
| smallint, integer, bigint, numeric(p,s) | a larger one of these | that type; numeric with room for the digits of both |
| real, smallint, integer | real, double | double precision (real, for smallint) |
| bigint, numeric | real, double; or the other way round | numeric, which holds both exactly |
| boolean | an integer | that integer type, with 0 and 1 |
| varchar(n) | a longer one, text | that type |
| date | timestamp | timestamp, at midnight |
| timestamp(p), time(p) | more digits; time to interval | that type |
| anything but bytea | text | text, as PostgreSQL writes it |
| T[] | U[] | as from T to U |
| NOT NULL | NULL allowed, or the column is no longer sent | NULL allowed |
| anything else | | rows with such a value are refused; with `full`, the column becomes `<name>__v1` and a new one takes its name. Records of the older shape, which other partitions may still bring, go on into `<name>__v1` |

The other way round, from a wider type to a narrower one, nothing changes: the column holds both. A
column that the source dropped stays. A rename at the source is a column that comes and one that
stays, with its old rows' values. A view that stands on a column holds its type: then each value that
fits goes in and the others are refused, and the log says so.

**Defaults** that a record's schema names are those of the tables and columns that ods-sink makes, key
columns excepted. They serve who else writes there, and the rows that a table has when a column is
added: those get its default, as they did at the source, and the column is NOT NULL where it is that
there. So do rows of the older shape that come later. The sink itself writes every column that a
record has; NULL stays NULL. Only constants count: Debezium writes the epoch where the source has
`current_timestamp`, `now()` or a zero date, so a date or moment of 1970-01-01 is taken for none, and
so is what PostgreSQL can't read as the column's type. A default that changes later at the source is
not followed; a column that took the place of one that stepped aside has none.

Every statement is in `ods_sink.schema_history` with the topic, partition and offset of the record
that made it necessary, in the log, and in the metrics `columns_added_total`, `columns_changed_total`
and `tables_created_total`.

## Every case

Each entry is a test: the value as the record has it, and the text that PostgreSQL shows of what
became of it. *With schema* stands for the envelope and the flattened row, *without* for the envelope
alone, where the target's column tells what a value means. *Takes it* are the types of columns for
which this page has a value. The last column is what SINK made of the envelopes with schema on
DATE, cases with settings of ods-sink left out (`tests/types/run_jdbc.py`); *stopped* is a task
that ended at the record.

| source type | column made for it | takes it | with schema | without | refused | JDBC sink |
|---|---|---|---|---|---|---|
""".replace("SINK", "the " + JDBC["sink"]).replace("DATE", JDBC["date"])


def code(text):
    text = str(text).replace("\n", " ").replace("\0", "\\u0000")
    if not text:
        return "(empty)"
    if len(text) > 60:
        text = text[:57] + "…"
    text = text.replace("|", "\\|")
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}"


def value_text(case):
    text = json.dumps(case.value, ensure_ascii=False)
    return text[5:-1] if text.startswith('"RAW:') else text


def entry(case):
    note = "".join(f" ({name}: {case.settings[name]})" for name in ("nul", "inexact")
                   if name in case.settings)
    shown = code(value_text(case))
    if case.expect is REJECT:
        return f"{code(case.target)} {shown}{note}"
    return f"{code(case.target)} {shown} → {code(case.expect)}{note}"


def outcome(case):
    """right, or what else the JDBC sink made of it."""
    one = JDBC["cases"].get(case.name)
    if one is None:
        return None
    if "stopped" in one:
        return "stopped"
    if one["became"] == case.expect:
        return "right"
    became = one["became"]
    if isinstance(became, list):
        became = " and ".join(map(str, became))
    return "NULL" if became is None else became


def peer(cases):
    """Counts, and each case that was not right: stopped where the value is good, or wrong."""
    outcomes = [(case, outcome(case)) for case in cases]
    outcomes = [(case, became) for case, became in outcomes if became is not None]
    right = sum(became == "right" or (became == "stopped" and case.expect is REJECT)
                for case, became in outcomes)
    parts = [f"{right} of {len(outcomes)} right"] if outcomes else []
    for case, became in outcomes:
        if became == "right" or (became == "stopped" and case.expect is REJECT):
            continue
        shown = became if became in ("stopped", "nothing") else f"→ {code(became)}"
        parts.append(f"{code(case.target)} {code(value_text(case))} {shown}")
    return "<br>".join(parts)


def rows():
    kinds = {}
    for case in CASES:
        kinds.setdefault(label(case), []).append(case)
    for kind, cases in kinds.items():
        good = [case for case in cases if case.expect is not REJECT]
        cells = [good, [case for case in good if case.lean],
                 [case for case in cases if case.expect is REJECT]]
        without = "the same" if good and cells[1] == good else None
        texts = ["<br>".join(map(entry, cell)) for cell in cells]
        if without:
            texts[1] = without
        targets = ", ".join(dict.fromkeys(code(case.target) for case in good))
        texts = [code(DEFAULTS[kind]), targets, *texts, peer(cases)]
        yield f"| {kind} | " + " | ".join(texts) + " |"


def page():
    return HEAD + "\n".join(rows()) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--print"]:
        sys.stdout.write(page())
    else:
        PAGE.write_text(page(), encoding="utf-8")
