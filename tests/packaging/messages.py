"""The texts that the daemon's sources have for messages: what docs/logs.md and docs/runbook.md are held against."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LITERALS = re.compile(r'\s*((?:"(?:[^"\\]|\\.)*"\s*(?:PRI[a-zA-Z]\d+\s*)?)+)')
# Where the daemon's threads hand a text on to be logged: the function, and how many arguments stand before the text.
LOGGERS = [(r"log_event", 2), (r"log_(?:error|warn|info)", 0), (r"tell", None), (r"say", None)]


def calls(text, name):
    """The arguments of each call, split at commas of the outermost level."""
    for found in re.finditer(rf"(?<![\w.>]){name}\(", text):
        depth, start, quoted, parts, i = 1, found.end(), False, [], found.end()
        while depth and i < len(text):
            letter = text[i]
            if quoted:
                i += letter == "\\"
                quoted = letter != '"'
            elif letter == '"':
                quoted = True
            elif letter in "({[":
                depth += 1
            elif letter in ")}]":
                depth -= 1
            if not quoted and (letter == "," and depth == 1 or not depth):
                parts.append(text[start:i].strip())
                start = i + 1
            i += 1
        yield parts


def text_of(argument):
    """A format as it reads, … for what is filled in; None where it is no literal."""
    found = LITERALS.fullmatch(argument)
    if not found:
        return None
    text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', found[1]))
    text = re.sub(r"%(?!%)[-+ #0-9.*]*(?:ll|l|z|j|h)?[a-zA-Z]?", "…", text).replace("%%", "%")
    return text.replace('\\"', '"').replace("\\n", " ").strip()


def matches(entry, message):
    """Is the message of the family that an entry names? The entry's … stand for anything."""
    pattern = ".*".join(re.escape(part) for part in entry.split("…"))
    return re.fullmatch(pattern, message, re.S) is not None


def logged():
    """(file, text) of each message above debug that a daemon logs."""
    for path in sorted((ROOT / "src").rglob("*.c")):
        where = path.relative_to(ROOT).as_posix()
        if where.startswith("src/core/") or (where.startswith("src/cli/") and where != "src/cli/run.c"):
            continue
        source = path.read_text(encoding="utf-8")
        for name, before in LOGGERS:
            if before is None and not re.search(r"keeper|verifier|inspector|source_guard|refresher|source_show", where):
                continue
            for parts in calls(source, name):
                if any("LOG_DEBUG" in part for part in parts[:1]):
                    continue
                texts = [text_of(part) for part in (parts[before:before + 1] if before is not None else parts)]
                for text in texts:
                    if text and re.search(r"[a-z]{2}", text):
                        yield where, text


# --- fields -----------------------------------------------------------------------------------------

ARRAY = r"\(?const char \*(?:const ?)?\[\]\)?\s*\{(.*?)\}"


def _names(where, array):
    """Of pairs of name and value that end with NULL; a name may depend: `cond ? "name" : NULL`."""
    parts = [part for part in next(calls(f"f({array})", "f"))]
    assert parts[-1] == "NULL" and len(parts) % 2, f"{where}: {array}"
    for part in parts[:-1:2]:
        found = re.findall(r'"(\w+)"', part)
        assert found, f"{where}: a field's name that is no literal: {part}"
        yield from found


def _fields_macros():
    """{name: {file: array}}: what stands for the fields of a call."""
    macros = {}
    for path in sorted((ROOT / "src").rglob("*.[ch]")):
        source = path.read_text(encoding="utf-8").replace("\\\n", " ")
        for found in re.finditer(r"#define (\w+_FIELDS)\(\w+(?:, \w+)*\)\s+(.*)", source):
            array = re.search(ARRAY, found[2], re.S)
            if array:
                macros.setdefault(found[1], {})[path.relative_to(ROOT).as_posix()] = array[1]
    return macros


def fields():
    """{name of a field: files} of all lines that can be logged; a call whose fields can't be told is an error."""
    macros, known, calls_seen = _fields_macros(), {}, 0
    for path in sorted((ROOT / "src").rglob("*.[ch]")):
        where, source = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        if where.startswith("src/core/log."):
            continue
        local = [found[1] for found in re.finditer(r"(?<!\w)fields\[\]\s*=\s*\{(.*?)\};", source, re.S)]
        for parts in calls(source, "log_event"):
            calls_seen += 1
            given = parts[1]
            macro = re.match(r"(\w+)\(", given)
            literal = re.match(ARRAY, given, re.S)
            if given == "NULL":
                continue
            if given == "fields":
                arrays = local
            elif macro and macro[1] in macros:
                arrays = macros[macro[1]].values()
            else:
                arrays = [literal[1]] if literal else []
            assert arrays, f"{where}: which fields has {given}?"
            for array in arrays:
                for name in _names(where, array):
                    known.setdefault(name, set()).add(where)
    assert calls_seen > 40, "the sources are read"
    return known


def fixed_fields():
    """{form: what each of its lines has, by the functions of core/log.c that write them}"""
    source = (ROOT / "src" / "core" / "log.c").read_text(encoding="utf-8")

    def body(function):
        return re.search(rf"{function}\(.*?\n}}\n", source, re.S)[0]

    def members(function):
        return set(re.findall(r'\\"([A-Za-z_.]+)\\":', body(function)))

    journal = set(re.findall(r'(?:"|\\n)([A-Z_]+)=', body("send_to_journal")))
    return {"json": members("format_json"), "otel": members("format_otel"), "journal": journal}


# What a running daemon meets. Commands explain their own errors on the spot.
DAEMON = ("pipeline", "connect", "source", "sink", "format", "derived", "verify", "transform", "core", "http", "quality",
          "xml")
STATUSES = ("ODS_FATAL", "ODS_RETRY", "ODS_FENCED")


def tells(where, status, rest):
    """Is it a message for who is on call? A record's own reason (ODS_REJECT) is none, but why a rule of quality can't be
    checked is. Of statuses that are computed those are, that may be another than ODS_REJECT; an error that is only handed on
    has been met where it was made."""
    if status.startswith("ODS_"):
        return status in STATUSES or where.parts[0] == "quality"
    return not re.fullmatch(r"\w+(\.|->)text", rest)


def errors():
    """(file, status, text) of each error that a daemon's sources make; the status may be an expression."""
    for path in sorted((ROOT / "src").rglob("*.c")):
        where = path.relative_to(ROOT / "src")
        if where.parts[0] not in DAEMON:
            continue
        for parts in calls(path.read_text(encoding="utf-8"), "error_set"):
            text = text_of(parts[2]) if len(parts) > 2 else None
            if text and tells(where, parts[1], "".join(parts[3:])):
                yield where.as_posix(), parts[1], text
