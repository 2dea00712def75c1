"""The pages quote one benchmark: docs/performance.md, its plot and the chapter on capacity in docs/operations.md say
what docs/performance.json says. A figure that is renewed in one place alone fails here."""

import json
import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "bench"))
import capacity  # noqa: E402
import report  # noqa: E402

DOCS = ROOT / "docs"
RENEW = "bench/report.py --publish docs/performance.json"


@pytest.fixture(scope="module")
def data():
    return json.loads((DOCS / "performance.json").read_text())


@pytest.fixture(scope="module")
def operations():
    return (DOCS / "operations.md").read_text()


def test_the_page_is_what_was_measured(data):
    page = (DOCS / "performance.md").read_text()
    assert report.generated(data) in page, RENEW
    assert report.plot(data) == (DOCS / "performance.svg").read_text(), RENEW


def test_the_capacity_table_is_what_was_measured(data, operations):
    assert capacity.render(data, operations) == operations, RENEW


def test_costs_are_those_that_the_performance_page_shows(data):
    """Whoever takes S and P from there gets what the chapter gets."""
    for load in capacity.NAMES:
        line = next(row for row in report.load_table(data, load)[1] if row[0] == "ods-sink, 2 lanes")
        assert capacity.costs(data, load) == (float(line[3]), float(line[4])), load


@pytest.mark.parametrize("load", capacity.NAMES)
def test_the_formula_promises_no_more_than_was_measured_and_not_much_less(data, load):
    assert 0 <= capacity.above(data, load) <= 25


def test_the_formula_is_on_the_safe_side_of_every_load(data):
    """Also of those that the table leaves out: for them the chapter says "by more"."""
    assert {load: capacity.above(data, load) for load in data["loads"] if capacity.above(data, load) < 0} == {}
    least = capacity.above(data, "bigtable")
    assert all(capacity.above(data, f"bigtable@preload={rows}") > least for rows in (100000, 1000000))


def test_sentences_quote_the_same_figures(data, operations):
    said = " ".join(operations.split())
    missing = [words for words in capacity.quoted(data) if words not in said]
    assert not missing, f"docs/operations.md, Capacity, has to say: {missing}"
