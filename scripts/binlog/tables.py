"""What Maxwell says of tables: their definitions in records of DDL, and which statements those are.

Definitions are read from the server when a statement comes by, so they are those of the statement
where the reader keeps up with the log.
"""

import re
from dataclasses import dataclass, field

INTEGERS = {"tinyint", "smallint", "mediumint", "int", "bigint"}
NAME = r"(?:`(?:[^`]|``)+`|[\w$]+)"
FULL = rf"{NAME}(?:\s*\.\s*{NAME})?"
COMMENT = re.compile(r"/\*(?!!).*?\*/|--\s[^\n]*|#[^\n]*", re.S)
STATEMENTS = [(kind, re.compile(rf"\s*{pattern}", re.I | re.S)) for kind, pattern in (
    ("database-create", rf"create\s+(?:database|schema)\s+(?:if\s+not\s+exists\s+)?({NAME})"),
    ("database-alter", rf"alter\s+(?:database|schema)\s+({NAME})"),
    ("database-drop", rf"drop\s+(?:database|schema)\s+(?:if\s+exists\s+)?({NAME})"),
    ("table-create", rf"create\s+table\s+(?:if\s+not\s+exists\s+)?({FULL})"),
    ("table-alter", rf"alter\s+table\s+({FULL})"),
    ("table-drop", rf"drop\s+table\s+(?:if\s+exists\s+)?({FULL}(?:\s*,\s*{FULL})*)"),
    ("rename", rf"rename\s+tables?\s+({FULL}\s+to\s+{FULL}(?:\s*,\s*{FULL}\s+to\s+{FULL})*)"),
)]
NEW_NAME = re.compile(rf"\brename\s+(?:to\s+|as\s+)?(?!column\b|index\b|key\b)({FULL})\s*$", re.I)


def plain(name):
    return name.strip()[1:-1].replace("``", "`") if name.strip().startswith("`") else name.strip()


def full_name(text, database):
    parts = [plain(part) for part in re.findall(NAME, text)]
    return (parts[0], parts[1]) if len(parts) == 2 else (database, parts[0])


@dataclass
class Definition:
    database: str
    table: str
    charset: str
    key: list
    columns: list = field(default_factory=list)

    def told(self):
        return {"database": self.database, "charset": self.charset, "table": self.table,
                "primary-key": self.key, "columns": self.columns}


def members_of(column_type):
    """'new','it''s' of enum('new','it''s')."""
    return [member.replace("''", "'") for member in re.findall(r"'((?:[^']|'')*)'", column_type)]


def column_of(name, data_type, column_type, charset, digits):
    column = {"type": data_type, "name": name}
    if data_type in INTEGERS:
        column["signed"] = "unsigned" not in column_type
    elif data_type in ("enum", "set"):
        column["enum-values"] = members_of(column_type)
    elif data_type in ("time", "datetime", "timestamp"):
        column["column-length"] = digits or 0
    elif data_type.endswith(("binary", "blob")):
        column["charset"] = "binary"
    elif data_type.endswith(("char", "text")):
        column["charset"] = charset
    return column


class Catalog:
    """The server's tables, as they are when they are asked for; `ask` runs a query. The log tells of
    a statement a moment before its effect is seen: `done` is the one that has to be."""

    def __init__(self, ask):
        self.ask, self.known, self.done = ask, {}, None

    def _await(self):
        if self.done:
            self.ask("select wait_for_executed_gtid_set(%s, 10)", self.done)
            self.done = None

    def learn(self, database):
        for name, in self.ask("select table_name from information_schema.tables where "
                              "table_schema = %s and table_type = 'BASE TABLE'", database):
            self.read(database, name)

    def read(self, database, table):
        """None: there is no such table."""
        self._await()
        found = self.ask(
            "select c.character_set_name from information_schema.tables t join "
            "information_schema.collation_character_set_applicability c on c.collation_name = "
            "t.table_collation where table_schema = %s and table_name = %s", database, table)
        if not found:
            return None
        key = [name for name, in self.ask(
            "select column_name from information_schema.key_column_usage where table_schema = %s "
            "and table_name = %s and constraint_name = 'PRIMARY' order by ordinal_position",
            database, table)]
        columns = [column_of(*row) for row in self.ask(
            "select column_name, data_type, column_type, character_set_name, datetime_precision "
            "from information_schema.columns where table_schema = %s and table_name = %s "
            "order by ordinal_position", database, table)]
        made = Definition(database, table, found[0][0], key, columns)
        self.known[database, table] = made
        return made

    def charset_of(self, database):
        self._await()
        found = self.ask("select default_character_set_name from information_schema.schemata "
                         "where schema_name = %s", database)
        return found[0][0] if found else None


def statements_of(sql, database, catalog):
    """[(database, table or None, members of the record)] of a statement; most are none of these."""
    text = COMMENT.sub(" ", sql).rstrip(" \n\t;")
    for kind, pattern in STATEMENTS:
        match = pattern.match(text)
        if match:
            return list(told_of(kind, match.group(1), text, database, catalog))
    return []


def told_of(kind, names, text, database, catalog):
    if kind.startswith("database"):
        name = plain(names)
        charset = {} if kind == "database-drop" else {"charset": catalog.charset_of(name)}
        yield name, None, {"type": kind, "database": name, **charset}
    elif kind == "table-create":
        name = full_name(names, database)
        made = catalog.read(*name)
        if made:
            yield (*name, {"type": kind, "database": name[0], "table": name[1],
                           "def": made.told()})
    elif kind == "table-drop":
        for part in names.split(","):
            name = full_name(part, database)
            catalog.known.pop(name, None)
            yield (*name, {"type": kind, "database": name[0], "table": name[1]})
    elif kind == "rename":
        for part in names.split(","):
            old, new = re.split(r"\s+to\s+", part.strip(), flags=re.I)
            yield from altered(full_name(old, database), full_name(new, database), catalog)
    else:
        old, renamed = full_name(names, database), NEW_NAME.search(text)
        yield from altered(old, full_name(renamed.group(1), old[0]) if renamed else old, catalog)


def altered(old, new, catalog):
    before = catalog.known.pop(old, None)
    after = catalog.read(*new)
    if before and after:
        yield (*old, {"type": "table-alter", "database": old[0], "table": old[1],
                      "old": before.told(), "def": after.told()})
