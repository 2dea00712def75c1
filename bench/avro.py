#!/usr/bin/env python3
"""Decoding alone, on one core: the same rows as Avro, as lean JSON and as JSON with schema, and
libavro's generic reader on the same Avro records (bench/avro_reader.c, if libavro-dev is there).

    bench/avro.py [--rows N] [--seconds S] [--rounds R]

Figures are events a second of processor time, medians of the rounds, each of which takes all in
turn; another program on the machine does not count.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from lib.avro import Schemas  # noqa: E402
from lib.records import BIGINT, DATE, DATETIME, INT, TEXT, Table  # noqa: E402

COLUMNS = {"customer_id": BIGINT, "first_name": TEXT, "last_name": TEXT, "email": TEXT,
           "phone": TEXT, "credit_score": INT, "birth_date": DATE, "updated_at": DATETIME}


def row(number):
    return {"customer_id": number, "first_name": "Christopher", "last_name": "Montgomery",
            "email": f"christopher.m{number}@example.com", "phone": f"+1-555-{number:07d}",
            "credit_score": 500 + number % 300, "birth_date": number % 19000,
            "updated_at": 1766131347000 + number}


def write(folder, rows):
    """Each wire's file; and the schema of the values in Avro."""
    schemas = Schemas()
    tables = {"envelope": Table("customers", COLUMNS, ("customer_id",)),
              "lean": Table("customers", COLUMNS, ("customer_id",), schemas=False)}
    files = {name: open(folder / f"{name}.jsonl", "w") for name in ("avro", "lean", "envelope")}
    for number in range(1, rows + 1):
        made = {name: table.create(row(number)) for name, table in tables.items()}
        made["avro"] = schemas.record(made["envelope"])
        for record in (made["lean"], made["envelope"]):
            record.update({part: json.dumps(json.loads(record[part]), separators=(",", ":"))
                           for part in ("key", "payload")})
        for name, file in files.items():
            file.write(json.dumps(made[name]) + "\n")
    for file in files.values():
        file.close()
    value = next(entry["schema"] for entry in schemas.by_id.values() if "Envelope" in entry["schema"])
    (folder / "value.avsc").write_text(value)
    return schemas.save(folder / "schemas.json")


def figure(program, folder, name, url, seconds):
    options = ["--format", "debezium-avro", "--registry", url] if name == "avro" else []
    found = json.loads(subprocess.run(
        [program, "bench", "decode", "--seconds", str(seconds), *options, folder / f"{name}.jsonl"],
        check=True, capture_output=True).stdout)
    return found["records"] / found["cpu_seconds"]


def libavro(folder):
    """The program of bench/avro_reader.c; None: there is no libavro."""
    program = folder / "avro_reader"
    made = subprocess.run(["cc", "-O2", "-o", program, ROOT / "bench/avro_reader.c", "-lavro"],
                          capture_output=True)
    return program if made.returncode == 0 else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20000)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--program", default=ROOT / "build/release/ods-sink")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = write(folder, options.rows)
        reader = libavro(folder)
        found = {}
        for _ in range(options.rounds):
            for wire in ("avro", "lean", "envelope"):
                found.setdefault(wire, []).append(
                    figure(options.program, folder, wire, url, options.seconds))
            if reader:
                found.setdefault("libavro's generic reader", []).append(json.loads(subprocess.run(
                    [reader, folder / "avro.jsonl", folder / "value.avsc"], check=True,
                    capture_output=True).stdout)["events_per_second"])
    for wire, figures in found.items():
        print(f"{wire:26} {statistics.median(figures):12,.0f} events/s")


if __name__ == "__main__":
    main()
