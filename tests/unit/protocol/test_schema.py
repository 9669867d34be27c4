"""The committed JSON Schema is the model's, and accepts what the model accepts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trialstrat.protocol.schema import SCHEMA_FILE, schema_text

PROTOCOLS = sorted((Path(__file__).resolve().parents[3] / "protocols").glob("*.yaml"))


def test_the_committed_schema_is_current():
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text()


def test_it_is_a_valid_schema():
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text()))


@pytest.mark.parametrize("path", PROTOCOLS, ids=lambda path: path.stem)
def test_shipped_protocols_satisfy_it_and_point_to_it(path):
    from ruamel.yaml import YAML

    jsonschema = pytest.importorskip("jsonschema")
    text = path.read_text(encoding="utf-8")
    jsonschema.validate(YAML(typ="safe", pure=True).load(text), json.loads(schema_text()))
    first = text.splitlines()[0]
    assert first == "# yaml-language-server: $schema=../trialstrat/protocol/protocol.schema.json"
    assert (path.parent / first.split("=", 1)[1]).resolve() == SCHEMA_FILE


def test_an_unknown_key_violates_it():
    jsonschema = pytest.importorskip("jsonschema")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"trialstrat": 1, "tilte": "x"}, json.loads(schema_text()))
