"""The rows that are there already, as Maxwell's bootstrap writes them: by a query, so some values
have another form than in the log (JSON keeps MySQL's blanks, BIT is read the other way round)."""

import base64
import time

from .java_text import decimal_text, java_float, json_string
from .records import Row, Table
from .tables import INTEGERS
from .values import bit_text, geometry_text


def text_of(column, value):
    """`value` is the query's text, or bytes."""
    kind = column["type"]
    if value is None:
        return "null"
    if kind in INTEGERS or kind in ("year", "json"):
        return value if isinstance(value, str) else value.decode("utf-8")
    if kind == "decimal":
        whole, _, fraction = value.lstrip("-").partition(".")
        return decimal_text(value.startswith("-"), whole + fraction, len(fraction))
    if kind in ("float", "double"):
        return java_float(repr(float(value)))
    if kind == "bit":
        return bit_text(value[::-1])
    if isinstance(value, bytes) and column.get("charset") != "binary":
        return json_string(geometry_text(value[4:]))  # behind the id of its reference system
    if kind == "set":
        return "[" + ",".join(json_string(member) for member in value.split(",") if member) + "]"
    if column.get("charset") == "binary":
        raw = value if isinstance(value, bytes) else value.encode("utf-8")
        return json_string(base64.b64encode(raw).decode())
    return json_string(value)


def records_of(records, definition, select):
    """All rows of a table. `select` runs a query and gives rows of texts."""
    table = Table(definition.database, definition.table, definition.columns, definition.key)
    names = [column["name"] for column in definition.columns]

    def row(kind, data, of=table):
        return records.record_of(Row(of, kind, int(time.time()), data, {}))

    yield row("bootstrap-start", {})
    columns = ", ".join("`" + name.replace("`", "``") + "`" for name in names)
    for values in select(f"select {columns} from `{table.database}`.`{table.name}`"):
        yield row("bootstrap-insert", dict(zip(names, map(text_of, definition.columns, values))))
    yield row("bootstrap-complete", {}, Table(table.database, table.name, [], []))
