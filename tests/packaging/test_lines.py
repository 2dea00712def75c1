"""No line of the sources is longer than a reader's window is wide."""

from conftest import ROOT

COLUMNS = 100
FOLDERS = {"src": "**/*.[ch]", "include": "**/*.h", "tests/unit": "**/*.[ch]",
           "tests/integration": "*.c"}


def test_no_line_is_longer_than_100_columns():
    longer, files = [], 0
    for folder, names in FOLDERS.items():
        for path in sorted((ROOT / folder).glob(names)):
            files += 1
            longer += [f"{path.relative_to(ROOT)}:{number}"
                       for number, line in enumerate(path.read_text().splitlines(), 1)
                       if len(line) > COLUMNS]
    assert files > 400 and not longer, longer
