"""Write the golden fixtures' records as seeds for fuzz_debezium: seeds.py FOLDER."""

import json
import pathlib
import sys

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(GOLDEN.glob("*/*.jsonl")):
        if path.name.startswith(("expect", "schema")):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
            try:
                record = json.loads(line)
                seed = (record.get("key") or "") + "\n" + (record.get("payload") or "")
            except (ValueError, AttributeError):
                continue
            if len(seed) < 20000:
                name = f"{path.parent.name}-{path.stem}-{number}"
                (folder / name).write_text(seed, encoding="utf-8", errors="surrogatepass")


if __name__ == "__main__":
    main()
