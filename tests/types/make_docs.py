#!/usr/bin/env python3
"""docs/types.md from the cases that the tests run: make_docs.py writes it, a test compares it."""

import json
import sys
from pathlib import Path

from types_cases import CASES, DEFAULTS, REJECT, label

PAGE = Path(__file__).resolve().parents[2] / "docs" / "types.md"

HEAD = """\
# Types

<!-- Written by tests/types/make_docs.py from tests/types/types_cases.py; the test suite compares. -->

A value keeps its meaning or is refused. It is converted by what the source says it is and what the
target's column takes; what no rule knows meets PostgreSQL's own input function. Nothing is rounded,
cut or wrapped: a value that the column can't hold exactly makes its record a dead letter that names
column and reason.

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
| `boolean`, `tinyint`, `smallint`, `mediumint`, `int`, `bigint` (each integer also `unsigned`), `real`, `double`, `text`, `char(n)`, `varchar(n)`, `date`, `interval`, `year`, `json`, `xml`, `uuid`, `enum`, `set`, `inet`, `cidr`, `macaddr`, `macaddr8`, `citext`, `hstore`, `ltree` | records without schema, and columns that ods-sink makes |
| any of them and `[]` | an array of it |

Times that come as ISO 8601 text (`time.precision.mode=isostring`) are taken for every one of them.

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
- money has the number of digits of the server's `lc_monetary`: a column made for it is numeric.

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

Every statement is in `ods_sink.schema_history` with the topic, partition and offset of the record
that made it necessary, in the log, and in the metrics `columns_added_total`, `columns_changed_total`
and `tables_created_total`.

## Every case

Each entry is a test: the value as the record has it, and the text that PostgreSQL shows of what
became of it. *With schema* stands for the envelope and the flattened row, *without* for the envelope
alone, where the target's column tells what a value means.

| source type | column made for it | with schema | without | refused |
|---|---|---|---|---|
"""


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
    note = " (nul: strip)" if case.settings.get("nul") else ""
    shown = code(value_text(case))
    if case.expect is REJECT:
        return f"{code(case.target)} {shown}{note}"
    return f"{code(case.target)} {shown} → {code(case.expect)}{note}"


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
        made = code(DEFAULTS[kind])
        yield f"| {kind} | {made} | " + " | ".join(texts) + " |"


def page():
    return HEAD + "\n".join(rows()) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--print"]:
        sys.stdout.write(page())
    else:
        PAGE.write_text(page(), encoding="utf-8")
