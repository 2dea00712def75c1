"""The connector files that are shipped."""

import json

import pytest
from conftest import ROOT

FILES = sorted((ROOT / "config/connectors").glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_null_stays_null(path):
    """Without these settings NULL arrives as the column's default, and no sink can know."""
    config = json.loads(path.read_text())["config"]
    assert config["value.converter.replace.null.with.default"] == "false"
    if "transforms.unwrap.type" in config:
        assert config["transforms.unwrap.replace.null.with.default"] == "false"
    if "MySql" in config["connector.class"]:
        assert config["bigint.unsigned.handling.mode"] == "precise"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_password_stands_in_the_file(path):
    config = json.loads(path.read_text())["config"]
    for name, value in config.items():
        if "password" in name:
            assert value.startswith("${") and value.endswith("}")


def test_postgres_sends_what_its_types_lose():
    """A truncate, and the source's names of types, which tell a character(n) from a text."""
    config = json.loads((ROOT / "config/connectors/pg_finance.json").read_text())["config"]
    assert config["plugin.name"] == "pgoutput"
    assert config["skipped.operations"] == "none"
    assert config["column.propagate.source.type"] == ".*"
