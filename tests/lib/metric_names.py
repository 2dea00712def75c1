"""The metrics that a daemon can export, as the tables and calls of the C source have them: a daemon shows only those of
what is configured. A table in a form that is not known here fails, rather than be left out."""

import re
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "src"
TEXT = r'((?:"(?:[^"\\]|\\.)*"\s*)+)'
KIND = r'"(counter|gauge|histogram)"'
# {name, kind, help} and {name, help}, whose kind is that of the call which writes the table's heads; a metric's help is
# more than a word.
ROW = re.compile(rf'{{\s*(prefix )?"([a-z0-9_]+)",\s*(?:{KIND},\s*)?{TEXT}')
CALL = re.compile(rf'metrics_head\(([^,]+),\s*(?:name = )?(?:"([a-z0-9_]+)"|([^",]+)),\s*{KIND},\s*(?:{TEXT}|([^")]+))\)')
PARTITIONS = re.compile(rf'metrics_partition_head\(\s*[^,]+,\s*"([a-z0-9_]+)",\s*{TEXT}\)')
COUNTER = re.compile(rf'\b(?:ROW|COUNT)\((?:\w+, "\w+", \w+, )?"([a-z0-9_]+_total)",\s*"(?:[^"\\]|\\.)*",\s*{TEXT}')
HEADS = re.compile(r"metrics(?:_partition)?_head\((?!struct)")


def joined(literals):
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literals)).replace('\\"', '"')


def of_file(text):
    """[(name, kind, help)]"""
    calls = list(CALL.finditer(text))
    found = [(call[2], call[4], joined(call[5])) for call in calls if call[2]]
    found += [(f"partition_{one[1]}", "gauge", joined(one[2])) for one in PARTITIONS.finditer(text)]
    found += [(one[1], "counter", joined(one[2])) for one in COUNTER.finditer(text)]
    kinds = {call[4] for call in calls if not call[2] and "name = " not in call[0]}
    for row in ROW.finditer(text):
        kind, explained = row[3], joined(row[4])
        if " " not in explained or not (kind or kinds):
            continue
        prefixes = re.findall(r'\bROWS\("(\w+)"\)', text) if row[1] else [""]
        assert prefixes, row[2]
        (kind,) = [kind] if kind else kinds
        found += [(prefix + row[2], kind, explained) for prefix in prefixes]
    return found


def exported():
    """{name: (kind, help, file)}, names as Prometheus has them."""
    found = {}
    for path in [*sorted(SOURCES.rglob("*.c")), SOURCES.parent / "include" / "ods" / "sink.h"]:
        text = path.read_text(encoding="utf-8").replace("\\\n", "\n")
        is_table = "const struct number " in text and "_rows[" in text
        if not (HEADS.search(text) or is_table or path.name == "sink.h"):
            continue
        rows = of_file(text)
        assert rows, f"{path}: metrics in a form that tests/lib/metric_names.py does not know"
        for name, kind, explained in rows:
            found.setdefault(f"ods_sink_{name}", (kind, explained, path.relative_to(SOURCES.parent).as_posix()))
    return found
