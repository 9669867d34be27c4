"""From the file to the analysis, row by row: who is removed where, and who could not be judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.spec.ascii import csv, rows
from trialstrat.cohort.build import read_cohort
from trialstrat.cohort.cohort import Cohort
from trialstrat.protocol.load import LoadedProtocol
from trialstrat.protocol.model import Protocol

PATIENTS = """
| ID | T  | E | AGE | STAGE | PRIOR | VISIT |
|----|----|---|-----|-------|-------|-------|
| a  | 5  | 1 | 70  | II    | no    | base  |
| b  | 6  | 1 | 60  | II    | no    | base  |
| c  | 7  | 0 | .   | III   | no    | base  |
| d  | 8  | 1 | 50  | I     | no    | base  |
| e  | 9  | 1 | 45  | III   | yes   | base  |
| f  | 10 | 0 | 65  | III   | .     | base  |
| g  | .  | 1 | 55  | II    | no    | base  |
| h  | 12 | 1 | 17  | II    | no    | base  |
| a  | 5  | 1 | 71  | II    | no    | month 6 |
| i  | 4  | 1 | 30  | .     | no    | base  |
"""

#: undecided patients leave
STRICT = """
| step               | kind      | before | removed | unknown | remaining |
|--------------------|-----------|--------|---------|---------|-----------|
| source.cohort      | source    | 10     | 0       | 0       | 10        |
| where.cohort.VISIT | source    | 10     | 1       | 0       | 9         |
| I1                 | inclusion | 9      | 2       | 1       | 7         |
| I2                 | inclusion | 7      | 2       | 1       | 5         |
| I3                 | inclusion | 5      | 0       | 0       | 5         |
| I4                 | inclusion | 5      | 0       | 0       | 5         |
| X1                 | exclusion | 5      | 2       | 1       | 3         |
| os.missing         | outcome   | 3      | 1       | 0       | 2         |
"""

#: undecided patients stay
LENIENT = """
| step               | kind      | before | removed | unknown | remaining |
|--------------------|-----------|--------|---------|---------|-----------|
| source.cohort      | source    | 10     | 0       | 0       | 10        |
| where.cohort.VISIT | source    | 10     | 1       | 0       | 9         |
| I1                 | inclusion | 9      | 1       | 1       | 8         |
| I2                 | inclusion | 8      | 1       | 1       | 7         |
| I3                 | inclusion | 7      | 0       | 0       | 7         |
| I4                 | inclusion | 7      | 0       | 0       | 7         |
| X1                 | exclusion | 7      | 1       | 1       | 6         |
| os.missing         | outcome   | 6      | 1       | 0       | 5         |
"""

#: each criterion by itself, among the nine patients
ALONE = """
| id | kind      | executable | met | not_met | unknown |
|----|-----------|------------|-----|---------|---------|
| I1 | inclusion | yes        | 7   | 1       | 1       |
| I2 | inclusion | yes        | 7   | 1       | 1       |
| I3 | inclusion | yes        | 9   | 0       | 0       |
| I4 | inclusion | no         | .   | .       | .       |
| X1 | exclusion | yes        | 1   | 7       | 1       |
"""


def study(tmp_path: Path, unknown: str) -> Cohort:
    (tmp_path / "cohort.csv").write_text(csv(PATIENTS))
    criteria = [
        ("I1", "inclusion", {"column": "AGE", "at_least": 18}),
        ("I2", "inclusion", {"column": "STAGE", "one_of": ["II", "III"]}),
        ("I3", "inclusion", {"column": "VISIT", "present": True}),
        ("I4", "inclusion", None),
        ("X1", "exclusion", {"column": "PRIOR", "equals": "yes"}),
    ]
    protocol = {
        "trialstrat": 1,
        "id": "spec",
        "title": "t",
        "question": "q",
        "sources": [{"name": "cohort", "file": "cohort.csv", "id": "ID", "where": {"VISIT": "base"}}],
        "endpoints": [
            {
                "name": "os",
                "label": "OS",
                "time": "T",
                "unit": "months",
                "missing_outcome": "drop",
                "event": {"column": "E", "events": [1], "censored": [0]},
            }
        ],
        "estimand": {"population": "p", "treatment": "none", "endpoint": "os"},
        "eligibility": [
            {"id": name, "kind": kind, "text": name, "unknown": unknown, "when": [when] if when else []}
            for name, kind, when in criteria
        ],
        "analysis": {"minimum_events": 1},
    }
    loaded = LoadedProtocol(
        protocol=Protocol.model_validate(protocol), path=tmp_path / "spec.yaml", sha256="0" * 64, lines={}
    )
    return read_cohort(loaded)


@pytest.mark.parametrize(
    ("unknown", "expected", "patients"),
    [("exclude", STRICT, ["a", "b"]), ("include", LENIENT, ["a", "b", "c", "f", "i"])],
)
def test_steps(tmp_path, unknown, expected, patients):
    cohort = study(tmp_path, unknown)
    keys = ("step", "kind", "before", "removed", "unknown", "remaining")
    assert [{key: str(row[key]) for key in keys} for row in cohort.attrition.records()] == rows(expected)
    assert cohort.frame.index.tolist() == patients


def test_criteria_alone(tmp_path):
    table = study(tmp_path, "exclude").eligibility.records()
    keys = ("id", "kind", "executable", "met", "not_met", "unknown")
    shown = [{key: "." if row[key] is None else str(row[key]) for key in keys} for row in table]
    assert shown == rows(ALONE)
