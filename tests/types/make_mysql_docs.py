"""Writes docs/types-mysql.md from mysql_cases.py; --print shows it."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from mysql_cases import KINDS, REFUSED, TABLES, expected

PAGE = Path(__file__).resolve().parents[2] / "docs/types-mysql.md"
# Values that no column of MySQL's own holds, nor the one that is made for their type.
NOT_HELD = ("float64 NaN", "date before Christ", "timestamp infinity")
NOT_HELD_BY_JSON = ("json with a long number",)
HEAD = """# Types of MySQL and MariaDB

<!-- Written by tests/types/make_mysql_docs.py from tests/types/mysql_cases.py; the test suite compares. -->

What a target of type `mysql` makes of a value, tested cell by cell on MySQL 8.0 and MariaDB 10.11
(`tests/types/test_mysql_matrix.py`). As everywhere ([types.md](types.md)), a value keeps its meaning or
is refused: what a column can't hold exactly makes its record a dead letter that names column and
reason, with the number that MySQL has for it. It is refused before it is sent, since even a strict
session cuts blanks that are too many, rounds decimals and times, and takes `2` for an enum's second
label. What the session's rules are is set by ods-sink (strict mode, `utf8mb4`, time zone UTC), not taken
from the server.

## Rules

- **More digits than the column has**: refused, but that times finer than a microsecond are rounded;
  `inexact` says otherwise, as for PostgreSQL: `round` rounds half away from zero, times half up, and
  `values_rounded_total` counts it. Key columns always refuse.
- **NaN and infinity**: MySQL has none. Columns of numbers, dates and times refuse them, texts take them.
- **Dates** are of the years 1 to 9999; `timestamp` columns take 1970-01-01 00:00:01 to 2038-01-19
  03:14:07, `time` -838:59:59 to 838:59:59, `year` 1901 to 2155 and 0.
- **A zone** makes a text a moment, and `datetime` and `timestamp` have it in UTC. `time` refuses a zone
  other than UTC, `date` a time of day.
- **Zero dates** that come as text, and every date with a zero month or day, are NULL and counted in
  `zero_dates_total`; with `zero_dates: reject`, and in a key, they are refused.
- **A moment or lapse into a number column** is the number that the record has.
- **Texts** are counted in characters for `char` and `varchar`, blanks at the end included, and in bytes
  for `text`. A character that `utf8mb3` or `ascii` does not have is refused; `U+0000` is a character as
  any other, so `nul` has nothing to do. `char` shows no blanks at the end, and `binary` has zero bytes at
  the end of shorter values, as these types do.
- **Enums and sets** take their labels by all bytes of the text, never by number or in another case; a
  set has each label once, in the column's order.
- **bit(n)** takes bits, whole numbers from 0 on, and a text of n digits 0 and 1.
- **A UUID** into `binary(16)` is its 16 bytes.
- **json**: what is JSON, and what is not text to the source as [types.md](types.md#conversions) says.
  MySQL's JSON keeps integers of 64 bits and doubles: a number with more digits is inexact (above), and
  what is nested more than 100 deep is refused. MariaDB's JSON is a text and keeps all. Without a column
  for it, an array, a map or a struct is its JSON as text.
- **Geometries** of two dimensions go in by their well-known binary and SRID, a point also by its
  numbers, and Maxwell's by their well-known text (without SRID); a column of one kind of geometry takes no other. MySQL refuses an SRID that it does not know.
- **Without a schema** the column tells what a value means, by the rules of
  [types.md](types.md#where-nothing-tells); `source_types` and the schema topic say it where the column
  can't. What is ambiguous (digits that may be base64, hexadecimal that may be) is refused there; no
  value decides for another.

## Tables that ods-sink makes

`create_tables` and `evolve` are those of PostgreSQL's tables. A table goes into the database that the
target's `dsn` names, or into the one that `schema:` or `target:` names (`public`, the default of
`schema`, stands for the former); it is made where it is missing. Names are cut to 64 characters. Tables
are of InnoDB, with `utf8mb4`.

- **A text or binary in the key** is `varchar(255)` or `varbinary(255)`; where the key has so many that
  they would not fit into InnoDB's 3,072 bytes (four bytes a character), each has an equal part of them.
  A longer value is refused. Texts of a key are compared by their bytes (`utf8mb4_0900_bin`, or
  `utf8mb4_nopad_bin` in MariaDB). Below MySQL 8.0.17 there is only `utf8mb4_bin`, which does not count
  blanks at the end: a key that ends in one is refused there.
- **Moments** are `datetime` in UTC, never `timestamp`, which ends in 2038.
- **Decimals** have up to 65 digits, 30 of them behind the point; what is declared with more becomes
  `decimal(65,30)`, and a value that does not fit is refused.
- **Numbers without a schema** are `bigint` or `decimal(65,30)` by the first value, texts `longtext`.
- **NOT NULL and defaults** are the source's, where its schema says so; a moment of 1970-01-01 is taken
  for no default.
- **`cdc_operation`** is `char(1)`, **`cdc_timestamp`** `datetime(6)` in UTC.
- **evolve: widen** makes integers and decimals larger (`bigint` beside `bigint unsigned` is
  `decimal(20,0)`), `float` to `double`, `varchar` longer or `longtext`, `date` to `datetime`, times
  finer, what is not binary to `longtext`, and lets a column be NULL that the source no longer requires
  or sends. Key columns are not changed. **evolve: full** keeps a column whose new type nothing holds
  beside the old as `<name>__v1`; below `full` the rows of the new type are dead letters. A new key is
  not given to a table: the records are dead letters until the table has it, or `key:` names its own.
- **Two sources, one table**: a table that was made from one table of a source takes no rows of another
  that has the same name in another database or schema; they are dead letters, unless `target:` names the
  table for both.
- What ods-sink made it knows by the comments on table and columns, which name the source and the type.
  A column whose type somebody changed is theirs.
- A statement of DDL commits by itself. It runs in a session of its own, before the transaction of the
  rows that need it, one daemon at a time (`get_lock`); a crash behind it leaves a table or a column that
  the records, which are read again, find as they need it.
- Every statement is in the log, and counted in `tables_created_total`, `columns_added_total` and
  `columns_changed_total`.

| value | in the record | column made |
|---|---|---|
MADE

## Every cell

What the column shows of the value; · is a dead letter. Zeros at the end of `decimal(65,30)` are left out,
bytes are hexadecimal, geometries their SRID and text. Values that no column of a table takes are not in
it."""


def code(text, most=40):
    text = str(text).replace("|", "\\|").replace("\t", "␉").replace("\n", "␊")
    text = text if len(text) <= most else text[:most - 1] + "…"
    return f"`{text}`"


def made():
    for name, kind in KINDS.items():
        refused = "; this value is refused" if name in NOT_HELD else \
            "; MySQL refuses this value" if name in NOT_HELD_BY_JSON else ""
        sent = json.dumps(kind.value, ensure_ascii=False)
        yield f"| {name} | {code(sent)} | {code(kind.made)}{refused} |"


def short(text, target):
    return text.rstrip("0").rstrip(".") if text and target == "decimal(65,30)" else text


def cell(name, target):
    texts = [short(expected(name, target, mariadb), target) for mariadb in (False, True)]
    shown = ["·" if text is REFUSED else "NULL" if text == "NULL" else code(text, 30)
             for text in texts]
    return shown[0] if shown[0] == shown[1] else f"{shown[0]}, MariaDB {shown[1]}"


def page():
    lines = [HEAD.replace("MADE", "\n".join(made()))]
    for title, targets in TABLES.items():
        lines += [f"\n### {title}\n", "| value | " + " | ".join(map(code, targets)) + " |",
                  "|---" * (len(targets) + 1) + "|"]
        for name in KINDS:
            cells = [cell(name, target) for target in targets]
            if set(cells) != {"·"}:
                lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--print"]:
        sys.stdout.write(page())
    else:
        PAGE.write_text(page(), encoding="utf-8")
