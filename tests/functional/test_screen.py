"""Frozen criteria on new patients: decisions, the deciding criterion, and refusals."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.functional.test_run import invoke
from trialstrat import store
from trialstrat.criteria.frozen import from_mapping
from trialstrat.criteria.protocol_text import from_protocol_text
from trialstrat.protocol.language.criterion import CriteriaSet

HEAD = "patient,age,malignancy,marker,stage\n"
PATIENTS = HEAD + "A,40,no,2.5,III\nB,17,no,2.5,III\nC,40,yes,2.5,III\nD,,no,2.5,III\nE,40,,2.5,III\nF,17,,2.5,III\n"


def decisions(path: Path) -> dict[str, tuple[str, str]]:
    with path.open(newline="") as handle:
        return {row["id"]: (row["decision"], row["deciding_criterion"]) for row in csv.DictReader(handle)}


def test_every_decision_names_its_criterion(finished: Path, tmp_path: Path) -> None:
    data = tmp_path / "new.csv"
    data.write_text(PATIENTS)
    code, output = invoke("screen", finished, data, "--id", "patient")
    assert code == 0, output
    found = decisions(tmp_path / "new.screened.csv")
    assert found["B"] == ("not eligible", "I1")
    assert found["C"] == ("not eligible", "E1")
    assert found["D"] == ("unknown", "I1")
    assert found["E"] == ("unknown", "E1")
    assert found["F"] == ("not eligible", "I1")
    assert found["A"][0] == "eligible"
    assert "I2" in output  # the criterion that a person must check


def test_json_and_csv_agree(finished: Path, tmp_path: Path) -> None:
    data = tmp_path / "new.csv"
    data.write_text(PATIENTS)
    code, output = invoke("screen", finished / "criteria.yaml", data, "--json")
    assert code == 0, output
    body = json.loads(output)
    assert {row["id"]: (row["decision"], row["deciding_criterion"]) for row in body["decisions"]} == decisions(
        Path(body["out"])
    )


@pytest.mark.parametrize(("old", "new"), [("at_least: 18", "at_least: 16"), ("Adults", "Grown-ups")])
def test_edited_criteria_are_refused(old: str, new: str, finished: Path, tmp_path: Path) -> None:
    text = (finished / "criteria.yaml").read_text()
    assert old in text
    edited = tmp_path / "criteria.yaml"
    edited.write_text(text.replace(old, new))
    data = tmp_path / "new.csv"
    data.write_text(PATIENTS)
    code, output = invoke("screen", edited, data)
    assert code == 8
    assert "fingerprint" in output
    assert not (tmp_path / "new.screened.csv").exists()


def test_missing_column_is_named(finished: Path, tmp_path: Path) -> None:
    data = tmp_path / "new.csv"
    data.write_text("patient,age\nA,40\n")
    code, output = invoke("screen", finished, data, "--id", "patient")
    assert code == 3
    assert "malignancy" in output


def test_screening_the_cohort_again_selects_the_analysed(finished: Path, tmp_path: Path) -> None:
    """Written criteria on the very file they were applied to: nobody more, nobody less (missing values aside)."""
    from tests.functional.study import HEAD as STUDY_HEAD
    from tests.functional.study import rows

    data = tmp_path / "again.csv"
    data.write_text(STUDY_HEAD + "\n".join(rows()) + "\n")
    assert invoke("screen", finished, data, "--quiet")[0] == 0
    with (tmp_path / "again.screened.csv").open(newline="") as handle:
        written = sum(row["I1"] == "met" and row["E1"] == "not met" for row in csv.DictReader(handle))
    body = json.loads((finished / "results.json").read_text())
    assert written == next(entry["value"] for entry in body["estimates"] if entry["id"] == "cohort.n")


@pytest.mark.parametrize("to", ["text", "csv"])
def test_exported_criteria_select_the_analysed_too(to: str, finished: Path, tmp_path: Path) -> None:
    """What leaves as text or CSV comes back as criteria that decide about every patient, missing values included."""
    from tests.functional.study import HEAD as STUDY_HEAD
    from tests.functional.study import rows

    exported = tmp_path / f"criteria.{to}"
    code, output = invoke("export", finished, "--to", to, "--out", exported)
    assert code == 0, output
    text = exported.read_text(encoding="utf-8")
    if to == "text":
        held = from_protocol_text(text)
    else:
        told = list(csv.DictReader(io.StringIO(text)))
        entries = [
            {**{key: row[key] for key in ("id", "kind", "text", "missing")}, "when": row["condition"] or ()}
            for row in told
        ]
        held = CriteriaSet.model_validate({"criteria": entries})
    body = held.model_dump(mode="json", exclude_defaults=True) | {"id": "patient"}
    (tmp_path / "back.yaml").write_text(store.yaml_text(body), encoding="utf-8")
    lines = [line.split(",") for line in rows()]
    for at, column in ((1, 4), (3, 7), (5, 6), (8, 5)):
        lines[at][column] = ""
    (tmp_path / "new.csv").write_text(STUDY_HEAD + "\n".join(map(",".join, lines)) + "\n")
    found = []
    for criteria in (finished, tmp_path / "back.yaml"):
        code, output = invoke("screen", criteria, tmp_path / "new.csv", "--id", "patient")
        assert code == 0, output
        found.append(decisions(tmp_path / "new.screened.csv"))
    assert found[0] == found[1]
    assert {decision for decision, _ in found[0].values()} == {"eligible", "not eligible", "unknown"}


def test_the_committed_example_was_not_edited() -> None:
    sample = Path(__file__).resolve().parents[2] / "reports" / "sample" / "criteria.yaml"
    held = from_mapping(store.read_yaml(sample), sample.name)
    assert held.criteria
