"""Every case of types_cases.py once more in Protobuf: one as envelopes, with optional fields, the
next as flattened rows, with wrappers. Types have their names in the fields' parameters.

One replay takes all of them, with the schemas in a file in place of a registry. What can't be said
in Protobuf (a decimal as a number, a NULL in an array, an array in an array) has no case here.
"""

import pytest

from by_registry import SHAPES, check, make, replay
from lib.protobuf import Schemas
from types_cases import CASES, REJECT

SCHEMAS = {shape: Schemas("optional" if shape == "envelope" else "wrapper", first=7 + number)
           for number, shape in enumerate(SHAPES)}
MADE = make(SCHEMAS, lambda index: SHAPES[index % 2:index % 2 + 1])


def lists_and_maps(case, found):
    """That one is NULL can't be said, so it is empty."""
    if case.connect["type"] in ("array", "map"):
        found.update({number: None for number in (3, 1 if case.expect is REJECT else 3)})
    return found


@pytest.fixture(scope="module")
def outcome(stack, tmp_path_factory):
    database, *rest = replay(stack, tmp_path_factory.mktemp("types-protobuf"), "protobuf", SCHEMAS, MADE)
    yield database, *rest
    database.close()


def test_most_cases_can_be_said_in_protobuf():
    assert len(MADE) > 0.7 * len(CASES)


@pytest.mark.parametrize("index,shape", list(MADE),
                         ids=[f"{CASES[index].name}-{shape}" for index, shape in MADE])
def test_value(outcome, index, shape):
    check(outcome, index, shape, lists_and_maps)
