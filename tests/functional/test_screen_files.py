"""Screening by a criteria file of its own, with a long table beside the patients, and by rules of TrialPathfinder."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.functional.test_run import invoke

CRITERIA = """\
study: demo
id: patient
columns: {age: {kind: number, unit: a}}
tables:
  lab: {id: patient, time: day, columns: {day: {kind: number}, name: {kind: text}, value: {kind: number, unit: g/dL}}}
criteria:
- {id: I1, kind: inclusion, text: Adults, when: 'age >= 18 "a"'}
- id: I2
  kind: inclusion
  when: '(nearest lab where name is "Hb" from day -28 to day 0 has value >= 90 "g/L")'
"""
PATIENTS = "patient,age\n007,40\n008,17\n=1+1,50\n010,40\n"
LAB = "patient,day,name,value\n007,-3,Hb,9.0\n007,-40,Hb,5\n007,2,Hb,5\n008,-1,Hb,12\n=1+1,-1,Hb,8.9\n010,-1,K,4\n"
TUTORIAL = Path(__file__).parents[2].parent / "shared" / "data" / "trialpathfinder_tutorial"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, text in (("criteria.yaml", CRITERIA), ("new.csv", PATIENTS), ("lab.csv", LAB)):
        (tmp_path / name).write_text(text)
    return tmp_path


def screened(folder: Path, *more: object) -> tuple[int, str]:
    return invoke("screen", folder / "criteria.yaml", folder / "new.csv", "--table", f"lab={folder / 'lab.csv'}", *more)


def test_long_tables_ids_as_text_and_near_misses(files: Path) -> None:
    code, output = screened(files)
    assert code == 0, output
    with (files / "new.screened.csv").open(newline="") as handle:
        found = {row["id"]: (row["decision"], row["deciding_criterion"]) for row in csv.DictReader(handle)}
    assert found == {
        "007": ("eligible", ""),
        "008": ("not eligible", "I1"),
        "'=1+1": ("not eligible", "I2"),
        "010": ("unknown", "I2"),
    }
    with (files / "new.borderline.csv").open(newline="") as handle:
        near = list(csv.DictReader(handle))
    hemoglobin = '(nearest lab where name is "Hb" from day -28 to day 0 has value >= 90 "g/L")'
    assert near == [
        {"id": "008", "criterion": "I1", "condition": 'age >= 18 "a"', "missed_by": "1.0", "unit": "a", "only": "yes"},
        {"id": "'=1+1", "criterion": "I2", "condition": hemoglobin, "missed_by": "1.0", "unit": "g/L", "only": "yes"},
    ]  # fmt: skip
    assert screened(files, "--margin", "0.01")[0] == 0
    assert (files / "new.borderline.csv").read_text().count("\n") == 1


def test_json_has_the_reason_per_criterion(files: Path) -> None:
    code, output = screened(files, "--out", files / "d.json")
    assert code == 0, output
    body = json.loads((files / "d.json").read_text())
    assert body["counts"] == {"eligible": 1, "not eligible": 2, "unknown": 1}
    reasons = {row["id"]: row["reasons"] for row in body["decisions"]}
    assert reasons["008"]["I1"] == 'not met: age >= 18 "a"'
    assert reasons["010"]["I2"].startswith("unknown (a value is missing): (nearest lab")
    assert [row["removed"] for row in body["attrition"]] == [1, 1]


def test_a_missing_long_table_is_asked_for(files: Path) -> None:
    code, output = invoke("screen", files / "criteria.yaml", files / "new.csv")
    assert code == 3
    assert "--table lab=FILE" in output
    assert not (files / "new.screened.csv").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("has value >=", "has wert >=", "E-CRIT-COLUMN criteria.yaml: wert"),
        ("to day 0", "to day 9", "E-CRIT-OUTCOME"),
        ('age >= 18 "a"', '10 "a" >= age', "character"),
        ('age >= 18 "a"', 'age >= 70 "a" and age < 60 "a"', "E-CRIT-CONTRADICTION"),
        ('age >= 18 "a"', "__import__(1)", "character"),
        ('>= 90 "g/L"', '>= 90 "kg"', "E-CRIT-UNIT"),
    ],
)
def test_bad_criteria_are_refused_before_anything_runs(old: str, new: str, said: str, files: Path) -> None:
    (files / "criteria.yaml").write_text(CRITERIA.replace(old, new))
    code, output = screened(files)
    assert code == 3, output
    assert said in output
    assert not (files / "new.screened.csv").exists()


@pytest.mark.skipif(not TUTORIAL.exists(), reason="the shared trial data are not here")
def test_rules_of_trialpathfinder(tmp_path: Path) -> None:
    tables = [f"{name}={TUTORIAL / f'{name}.csv'}" for name in ("demographics", "lab")]
    given = ["--table", tables[0], "--table", tables[1], "--out", tmp_path / "d.csv"]
    code, output = invoke("screen", "--rules", TUTORIAL / "criteria.csv", TUTORIAL / "features.csv", *given)
    assert code == 0, output
    assert "eligible: 223 of 4000" in output
