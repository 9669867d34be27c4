"""Answers with usdm4: a study as its model reads it, and the rules of the Digital Data Flow that it breaks."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any


def load(text: str) -> dict[str, Any]:
    """What the model finds: titles, who is planned, criteria with their texts."""
    from usdm4.api.wrapper import Wrapper

    study = Wrapper.model_validate_json(text).study
    version = study.versions[0]
    items = version.eligibility_critieria_item_map()
    design = version.studyDesigns[0]
    population = design.population
    age = population.plannedAge
    return {
        "name": study.name,
        "design": type(design).__name__,
        "title": version.official_title_text(),
        "sex": [code.decode for code in population.plannedSex],
        "age": None if age is None else [age.minValue.value, age.maxValue.value],
        "inclusion": [entry["criterionItem"]["text"] for entry in design.inclusion_criteria(items)],
        "exclusion": [entry["criterionItem"]["text"] for entry in design.exclusion_criteria(items)],
    }


def broken(text: str) -> list[dict[str, str]]:
    """Every rule that does not hold: its number, level, class and attribute."""
    from usdm4 import USDM4

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "study.json"
        file.write_text(text, encoding="utf-8")
        found = USDM4().validate(str(file)).to_dict()
    kept = ("rule_id", "status", "level", "klass", "attribute", "message", "path")
    return [{key: str(row.get(key, "")) for key in kept} for row in found if row["status"] != "Success"]


if __name__ == "__main__":
    from answering import answer

    answer({"load": load, "broken": broken})
