"""What scripts/setup promises, and what scripts/test builds. scripts/test says by ODS_TEST_SET_UP=1 that both were done: then a
test that lacks such a thing fails, so that no part of the suite is left out without a word. Where tests are run by hand it is
skipped, and says why."""

import os

import pytest


def promised():
    return os.environ.get("ODS_TEST_SET_UP") == "1"


def lacking(why):
    if promised():
        pytest.fail(f"{why}, though scripts/setup and scripts/test see to it", pytrace=False)
    pytest.skip(why)
