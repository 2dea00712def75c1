"""What scripts/setup promises. scripts/test runs it and says so by ODS_TEST_SET_UP=1: then a test that lacks such a thing
fails, so that no part of the suite is left out without a word. Where tests are run by hand it is skipped, and says why."""

import os

import pytest


def promised():
    return os.environ.get("ODS_TEST_SET_UP") == "1"


def lacking(why):
    if promised():
        pytest.fail(f"{why}; scripts/setup promises it", pytrace=False)
    pytest.skip(why)
