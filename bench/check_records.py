"""Compare the generator's records with captured ones: python3 bench/check_records.py GENERATE DIR

DIR holds records captured from Debezium 3.3.1 as kcat -J writes them (full.*, lean.*, flat.*.jsonl
of a table customers). The schemas must be the same bytes, the payloads the same fields in the same
order with the same kinds of values, the headers the same names.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def shape(value: Any) -> Any:
    """The value without its content: field names in order, kinds of leaves (null fits any)."""
    if isinstance(value, dict):
        return [(name, shape(item)) for name, item in value.items()]
    return type(value).__name__


def fits(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(
            a[0] == b[0] and fits(a[1], b[1]) for a, b in zip(ours, theirs)
        )
    return ours == theirs or "NoneType" in (ours, theirs)


def records(path: Path) -> dict[str, dict[str, str]]:
    """One record for each operation, and the tombstone as '-'. A changed key is left out."""
    found: dict[str, dict[str, str]] = {}
    for line in path.open(encoding="utf-8"):
        record = json.loads(line)
        if any(name.endswith(("oldkey", "newkey")) for name in record["headers"]):
            continue
        payload = record["payload"]
        body = json.loads(payload) if payload else {}
        body = body.get("payload", body)
        found[body.get("op") or body.get("__op") or "-"] = record
    return found


def compare(ours: dict[str, Any], theirs: dict[str, Any], what: str) -> list[str]:
    wrong = []
    if ours["headers"][::2] != theirs["headers"][::2]:
        wrong.append(f"{what}: headers {ours['headers']} and {theirs['headers']}")
    for part in ("key", "payload"):
        if theirs[part] is None or ours[part] is None:
            if theirs[part] != ours[part]:
                wrong.append(f"{what}: one {part} is null")
            continue
        head, mark, _ = theirs[part].rpartition('"payload":')
        if mark and not ours[part].startswith(head + mark):
            wrong.append(f"{what}: the schema of the {part} differs")
        if not fits(shape(json.loads(ours[part])), shape(json.loads(theirs[part]))):
            wrong.append(f"{what}: the fields of the {part} differ")
    return wrong


def main() -> int:
    generate, captured = sys.argv[1], Path(sys.argv[2])
    wrong: list[str] = []
    for wire, prefix in (("envelope", "full"), ("lean", "lean"), ("flat", "flat")):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(
                [generate, "--wire", wire, "--prefix", prefix, "--events", "400"]
                + ["--lines", "--out", folder],
                check=True, stdout=subprocess.DEVNULL,
            )
            ours = records(Path(folder) / "lines.jsonl")
        theirs = records(captured / f"{prefix}.mks_finance_dw.customers.jsonl")
        for op, record in theirs.items():
            if op == "-" and wire == "flat":
                continue
            if op not in ours:
                wrong.append(f"{wire} {op}: not generated")
                continue
            wrong += compare(ours[op], record, f"{wire} {op}")
            print(f"{wire} {op}: {len(record['payload'] or '')} bytes captured,"
                  f" {len(ours[op]['payload'] or '')} generated")
    print("\n".join(wrong) or "the generator writes what Debezium writes")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
