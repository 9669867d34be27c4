"""Answers with fhir.resources: a bundle as the models of R5 read it, and as they write it again."""

from __future__ import annotations

import json
from typing import Any


def load(text: str) -> list[dict[str, Any]]:
    """Resources of a bundle."""
    from fhir.resources.bundle import Bundle

    bundle = Bundle.model_validate_json(text)
    return [json.loads(entry.resource.model_dump_json()) for entry in bundle.entry]


if __name__ == "__main__":
    from answering import answer

    answer({"load": load})
