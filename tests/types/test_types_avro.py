"""Every case of types_cases.py once more in Avro, as envelopes and as flattened rows.

One replay takes all of them, with the schemas in a file in place of a registry. What can't be said
in Avro (a decimal as a number, a text for bytes) has no case here.
"""

import pytest

from by_registry import SHAPES, check, make, replay
from lib.avro import Schemas
from types_cases import CASES

SCHEMAS = {shape: Schemas(null_first=shape == "envelope", first=7 + number)
           for number, shape in enumerate(SHAPES)}
MADE = make(SCHEMAS)


@pytest.fixture(scope="module")
def outcome(stack, tmp_path_factory):
    database, *rest = replay(stack, tmp_path_factory.mktemp("types-avro"), "avro", SCHEMAS, MADE)
    yield database, *rest
    database.close()


def test_most_cases_can_be_said_in_avro():
    assert len(MADE) > 0.8 * len(SHAPES) * len(CASES)


@pytest.mark.parametrize("index,shape", list(MADE),
                         ids=[f"{CASES[index].name}-{shape}" for index, shape in MADE])
def test_value(outcome, index, shape):
    check(outcome, index, shape)
