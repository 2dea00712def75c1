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

This page is about PostgreSQL as the target; [types-mysql.md](types-mysql.md) is about MySQL and MariaDB,
[types-lake.md](types-lake.md) about Delta Lake and Iceberg.

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
| `datetime2`, `datetime2(p)` | SQL Server's, which is `datetime2(7)`, in nanoseconds |
| `time`, `time(p)` | microseconds since midnight, or `ms`, `ns`; of a connector other than MySQL's p up to 3 is milliseconds, and 7 or more is nanoseconds |
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
- **Text into a column of another type** is what the column's own input function reads, in a session
  with `datestyle` ISO, MDY and `timezone` UTC: `May 10 2024`, `20240510T190001Z`, `P1DT2H`, ` 42 `. What
  PostgreSQL refuses is a dead letter with PostgreSQL's words. The common forms are read by ods-sink
  itself; a batch with others is held until PostgreSQL has been asked for all of them at once. Apart
  from its casts:
  - A zone makes the text a moment, and a column without zone has that moment in UTC: `2024-05-10
    19:00+03` is 16:00 in `timestamp`, where PostgreSQL would pass over the `+03`. `time` refuses a zone
    other than UTC.
  - Nothing is cut: `date` refuses a text with a time of day other than 00:00, `time` one with a date.
  - `now`, `today`, `tomorrow` and `yesterday` are refused: they are other moments when the record is
    read again. `epoch`, `infinity` and `allballs` are taken.
  - ISO 8601 is taken where PostgreSQL does not (years with a sign, a comma before the fraction), and
    a whole number in any writing (`1e3`, `42.0`) by an integer column.
- **A number with a scale of its own** (`{"scale": 0, "value": "AQ=="}`: Oracle's `NUMBER`, PostgreSQL's
  `numeric`) is that number in every column that takes numbers, text and boolean among them, in keys and
  elements of arrays, with schema and without. json without schema has the struct.
- **Infinity** of PostgreSQL's dates and timestamps is infinity again, also at both ends of
  `NanoTimestamp`.
- **A time of MySQL beyond 24 hours** needs `interval`, which columns made for it are; `time` refuses.
- **Zero dates** (`0000-00-00`) of Debezium arrive as NULL, or, from a column that is NOT NULL, as
  1970-01-01: what the connector makes of them, and the sink has nothing to tell them by. Structured
  ones are refused. Those that come as text (Maxwell), and every date with a zero month or day, are NULL
  in a date or timestamp column and counted in `zero_dates_total`; with `zero_dates: reject`, and in a
  key, they are refused. A text column has them as they are.
- **An interval column that takes some parts only** (`interval year to month`, `interval day`) refuses a
  value with others, which PostgreSQL would cut off.
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

## Deletes, tombstones and keys

A delete is applied, or it is a dead letter, or the configuration says that it is passed over. What a
process happens to have seen before never decides.

- **A tombstone** (a record without a value) behind its delete says nothing new: behind an envelope's
  `d` or a row with `__deleted`, of the same key and partition and at most 16 offsets before it. A lane
  that starts in the middle of a partition looks at those first. Any other tombstone deletes the row of
  its key. Its table is the one whose entry in tables.yaml names the topic (`topics`), else what the
  key's schema is named after (`prefix.schema.table.Key`), else the topic (`prefix.schema.table`); a
  table that is known by such a name alone must be there in the target. Where none of these tells it,
  or there is no key, it is a dead letter. `on_tombstone: ignore` has tombstones passed over and counted.
- **A delete whose row can't be named** is a dead letter: no before image and no key, no value of a
  key column, a table that is not there with `create_tables: false`. With `create_tables: true` a table
  that is yet to be made has no such row.
- **A key that is one value** (`42`, `"a1"`, `a1`, with or without a schema) is the column's that
  `key: [column]` names, for rows that lack it and for tombstones. A key that can't be read (the text
  `Struct{id=42}`, an array, other bytes) is a dead letter, unless it is a row that has all columns of
  `key:` itself.
- **`key:` with columns that the record's key lacks**: an update that changes one of them deletes the
  old row and makes a new one, both or neither. That takes the before image (envelopes; of PostgreSQL
  `REPLICA IDENTITY FULL`): an update or delete that does not tell these values is a dead letter. Best
  is to have the columns in the records' key (`message.key.columns`). Of a source without any key, and
  without before images, the update is applied, and a line in the log says once what it may leave.
- **What only looks like an envelope** is none: `op`, `before`, `after` and `source` of other types, or
  among other members and without Debezium's source. It is a flattened row where it says so (`__op`,
  `__deleted`, a schema named `….Value`) or `source: { shape: flattened }` does, else a dead letter.

## Maxwell

`format: maxwell` takes the records of rows (`insert`, `update`, `delete`) and bootstraps. What begins
or ends a bootstrap, the table `maxwell.bootstrap` in which one asks for it, and DDL are passed over and
counted (`records_passed_total`); DDL gives types where `source.schema_topic` names its topic. A row's
key is what the record's key says (`kafka_key_format` `hash` or `array`), else `primary_key_columns`.
An update that changes it is the delete of the old row and the create of a new one, both or neither.
Maxwell writes no tombstones: one is a dead letter, or passed over with `on_tombstone: ignore`.
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

- A date or time without schema is a number, and its unit the connector's default, which goes by the
  source's precision: milliseconds up to 3 digits, microseconds up to 6, nanoseconds beyond; MySQL's
  times of day are microseconds, Db2's milliseconds, Oracle's DATE is a timestamp in milliseconds. The
  column stands for the source's, as far as it can, and the number's size never chooses. Refused until
  `source.timestamp_unit`, `source.time_unit` or, by column, `source_types` says it:

  | connector | timestamps that are refused | times of day that are refused |
  |---|---|---|
  | SQL Server | of a column without precision, or of 6 digits: `datetime2` has 7 | the same |
  | Oracle | the same: `DATE` has none, `timestamp(9)` has 9 | all: it has none |
  | Db2, Informix | of a column with other than 0 to 3 digits | Informix: all |
  | MySQL, MariaDB, Vitess, none named | of a column without precision, if milliseconds would be a year up to 9999 (in microseconds 1962 to 1978) | none named: what milliseconds may be |
  | PostgreSQL | if milliseconds would be a date before 2200 (in microseconds within 84 days of 1970) | |
  | all | in milliseconds beyond the year 9999; in microseconds too, or within 84 days of 1970; but PostgreSQL's far years are taken | beyond 24 hours in the connector's unit |

  0 is taken everywhere, and a column that is no date or time (`bigint`, `text`) gets the number.
  Where records do not name their connector (flattened ones), `source.connector` does.
- A decimal without schema is base64 or digits. What can only be one of them says which for the whole
  connector; digits that may be either (`1234`) are refused until something has said, or until
  `source.decimals` does.
- `U+0000` has no place in PostgreSQL's text and jsonb: refused, or left out and counted with
  `nul: strip`.
- A key change of a row with a value that the source did not send (TOAST) takes it from the row under
  the old key: from its changes in the same batch, or from the target, where it stands until its
  delete is applied, and after that with `on_delete: soft`. With that, where the old key's partition may
  still bring the row or changes of it, the record waits for them, and what follows in its own
  partition (`records_put_off_total`); without, the row is taken as it is then. Where no such row is
  there, or a younger one has its key, the value is NULL and counted in `values_lost_total`. It is
  never the placeholder.
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

## Keys

**Spellings.** What the target's type calls equal is one row, however the source spells it: `1.0` and
`1.00` in numeric, `0` and `-0`, padding of `character(n)`, case in citext, case or accents in a
collation that is not deterministic, forms of inet, interval, jsonb. The last spelling stands in the key
too, also after a delete that only marks the row. For the types whose equality PostgreSQL alone knows
(citext and the like) it is asked once a batch; keys of other tables cost nothing. If the source has
two such keys as two rows, the target can have only one of them. A delete finds its row by equality, so
where the old spelling and the new one are in two partitions, their order can't be told.

**A key that is not the target's**, because the source's has changed or the table was made with another:
the table's changes are dead letters that name both keys and the statements to run, other tables go on,
and a few seconds after the statements were run the new key is used; `ods-sink dlq replay` then brings
the letters. Or `key:` keeps the target's. So it is where records have no key any more and ods-sink made
the table with one. With `evolve: full` a table that ods-sink made gets the new key by itself, except one
that it had before, or none. Where rows share a new key, lack a value of it, or a foreign key refers to
the old one, it stays, and the letters say which. Records of the old key that another partition brings
later are dead letters too.

**Two sources, one table.** A table of the target belongs to the first table of a source that came there
by its name (`ods_sink.table_sources`); the records of another, `audit.users` after `public.users`, are
dead letters, whatever lane or process reads them, unless its entry names the table with `target:`.
Topic and connector's prefix make no difference; a schema or database that got another name does, and
the letter says what to delete. A pattern names the table for all that match:
`'^orders_\\d+$': { target: orders, key: [shard, id] }`. Tables made for a pattern require no values but
the key's, as not every source may have them. A truncate of one of several sources is a dead letter.

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
JDBC_DATE, cases with settings of ods-sink left out (`tests/types/run_jdbc.py`); *stopped* is a task
that ended at the record.

| source type | column made for it | takes it | with schema | without | refused | JDBC sink |
|---|---|---|---|---|---|---|
""".replace("SINK", "the " + JDBC["sink"]).replace("JDBC_DATE", JDBC["date"])


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
