"""The protocol as a JSON Schema, for completion and checks in editors.

``protocol.schema.json`` beside this module is made by :func:`schema_text`; the first line
``# yaml-language-server: $schema=...`` of a protocol points an editor to it.
"""

from __future__ import annotations

import json
from pathlib import Path

from trialstrat.protocol.model import Protocol

SCHEMA_FILE = Path(__file__).with_name("protocol.schema.json")


def schema_text() -> str:
    """The JSON Schema of a protocol, as it stands in ``protocol.schema.json``."""
    schema = Protocol.model_json_schema()
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "trialstrat protocol"}
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def write_schema() -> None:
    """Write the schema file anew after a change of the model."""
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
