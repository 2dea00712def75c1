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
    assert config["bigint.unsigned.handling.mode"] == "precise"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_password_stands_in_the_file(path):
    config = json.loads(path.read_text())["config"]
    for name, value in config.items():
        if "password" in name:
            assert value.startswith("${") and value.endswith("}")
