"""From files to published figures: ``init``, at most ten edited lines, ``run``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.functional.readme_studies import STUDIES, Study
from tests.functional.test_run import invoke

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
MOST_EDITED = 10


def edited(text: str, study: Study) -> tuple[str, int]:
    """The protocol after the edits, and how many lines were changed, added or removed."""
    lines = text.split("\n")
    count = 0
    for start, new in study.edits:
        at = next((at for at, line in enumerate(lines) if line.startswith(start)), None)
        assert at is not None, f"{study.name}: no line starts with {start!r}"
        fresh = new.split("\n") if new else []
        # what stays as it was is no edit: a line that only has new neighbours
        count += max(1, len(fresh) - (bool(fresh) and lines[at].startswith(fresh[0])))
        lines[at : at + 1] = fresh
    return "\n".join(lines), count


def found(body: dict[str, Any], place: str) -> float:
    """A number of the results by its place."""
    if "/" not in place:
        name, _, part = place.partition(":")
        (entry,) = [entry for entry in body["estimates"] if entry["id"] == name]
        return float(entry[part or "value"])
    table, column, conditions = place.split("/", 2)
    keys = [entry["key"] for entry in body["tables"][table]["columns"]]
    wanted = dict(condition.split("=", 1) for condition in conditions.split("|"))
    rows = [dict(zip(keys, row, strict=True)) for row in body["tables"][table]["rows"]]
    (row,) = [row for row in rows if all(str(row[key]) == value for key, value in wanted.items())]
    return float(row[column])


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES, ids=[study.name for study in STUDIES])
def test_published_figures_from_a_proposed_protocol(study: Study, tmp_path: Path, record_property: Any) -> None:
    paths = [DATA / name for name in study.data]
    if not all(path.exists() for path in paths):
        pytest.skip("the shared trial data are not beside this checkout")
    protocol = tmp_path / f"{study.name}.yaml"
    code, output = invoke("init", *paths, "--out", protocol)
    assert code == 0, output
    for model in (Path(__file__).resolve().parents[2] / "protocols" / "published").glob("*.yaml"):
        shutil.copy(model, tmp_path)
    text, count = edited(protocol.read_text(encoding="utf-8"), study)
    record_property("edited_lines", count)
    assert count <= MOST_EDITED
    protocol.write_text(text, encoding="utf-8")
    root = paths[0] if paths[0].is_dir() and not (paths[0] / "meta_study.txt").exists() else paths[0].parent
    code, output = invoke("run", protocol, "--data", root, "--out", tmp_path / "out", "--jobs", "1", "--quiet")
    assert code == 0, output
    body = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert found(body, "cohort.n") == study.patients
    if study.events is not None:
        assert found(body, "cohort.events") == study.events
    for place, value, tolerance in study.figures:
        assert found(body, place) == pytest.approx(value, abs=tolerance), place
