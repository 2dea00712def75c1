"""The JSON Schema of tables.yaml that `ods-sink reference --json-schema` prints for editors."""

import copy
import json
import subprocess

import jsonschema
import pytest
import yaml
from conftest import ROOT, build


@pytest.fixture(scope="module")
def schema():
    done = subprocess.run([build("release"), "reference", "--json-schema"], capture_output=True,
                          text=True, check=True)
    schema = json.loads(done.stdout)
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


EXAMPLE = yaml.safe_load((ROOT / "config" / "tables.yaml.example").read_text())


@pytest.mark.parametrize("path", sorted([*ROOT.glob("config/**/*tables.yaml*"),
                                         *ROOT.glob("examples/*/tables.yaml")]), ids=str)
def test_examples_are_valid(schema, path):
    assert list(schema.iter_errors(yaml.safe_load(path.read_text()))) == []


def test_each_setting_is_explained(schema):
    table = schema.schema["properties"]["pipelines"]["items"]["properties"]["defaults"]
    assert table["properties"]["evolve"]["description"].startswith("How a table that ods-sink made follows")
    assert table["properties"]["create_tables"]["default"] is True


@pytest.mark.parametrize("change,about", [
    (lambda pipeline: pipeline.update(topic=["a"]), "topic"),
    (lambda pipeline: pipeline.pop("topics"), "topics"),
    (lambda pipeline: pipeline.update(lanes=0), "0"),
    (lambda pipeline: pipeline.update(on_error="stopp"), "stopp"),
    (lambda pipeline: pipeline.update(defaults={"columns": {"renames": {}}}), "renames"),
    (lambda pipeline: pipeline.update(tables={"a": {"evolve": "ad"}}), "ad"),
])
def test_mistakes_are_found(schema, change, about):
    document = copy.deepcopy(EXAMPLE)
    change(document["pipelines"][0])
    errors = list(schema.iter_errors(document))
    assert errors and about in str(errors[0])


def test_values_from_elsewhere_are_valid(schema):
    document = copy.deepcopy(EXAMPLE)
    document["pipelines"][0].update(lanes="${LANES:-2}", on_error="${POLICY}")
    assert list(schema.iter_errors(document)) == []


@pytest.mark.parametrize("transform,good", [
    ({"filter": {"op": ["c"]}}, True), ({"type": "filter", "op": ["c"]}, True), ({"drop": ["a"]}, True),
    ({"mask": {"columns": {"a": None}}}, True), ({"fliter": {"op": ["c"]}}, False),
    ({"filter": {"opp": ["c"]}}, False), ({"type": "filter", "opp": ["c"]}, False),
    ({"type": "drop", "op": ["c"]}, False)], ids=str)
def test_transforms_are_of_one_kind(schema, transform, good):
    pipeline = {**EXAMPLE["pipelines"][0], "transforms": [transform]}
    assert not list(schema.iter_errors({"pipelines": [pipeline]})) == good
