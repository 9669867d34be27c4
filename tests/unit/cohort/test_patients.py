"""New patients for frozen criteria: typed by what the criteria declare, faults refused, missing values left open."""

from __future__ import annotations

import numpy as np
import pytest

from trialstrat.cohort.build import read_patients
from trialstrat.cohort.language.states import evaluate_condition
from trialstrat.errors import DataError
from trialstrat.protocol.model import Condition, Variable

VARIABLES = (
    Variable(column="AGE", kind="continuous", missing_limit=0.1),
    Variable(column="STAGE", kind="categorical", levels=("I", "II")),
)


def write(tmp_path, text: str):
    path = tmp_path / "new.csv"
    path.write_text(text)
    return path


def test_patients_are_typed_and_sorted(tmp_path):
    frame = read_patients(write(tmp_path, "ID,STAGE,AGE,MORE\n010,I,65,x\n002,IV,,y\n"), VARIABLES, "ID")
    assert frame.index.tolist() == ["002", "010"]
    assert frame.index.name == "ID"
    assert list(frame.columns) == ["AGE", "STAGE"]
    assert frame["AGE"].dtype == np.float64
    state = evaluate_condition(Condition(column="AGE", at_least=60), frame)
    assert state.tolist() == [-1, 1]
    # a level that the study never saw is compared as it is: no criterion on the known ones holds
    assert evaluate_condition(Condition(column="STAGE", one_of=("I", "II")), frame).tolist() == [0, 1]


def test_rows_are_numbered_on_request(tmp_path):
    frame = read_patients(write(tmp_path, "STAGE,AGE\nI,65\nII,70\n"), VARIABLES, "row")
    assert frame.index.tolist() == ["1", "2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ID,AGE\na,65\n", r"E-COLUMN-MISSING new.csv: STAGE: .*found ID, AGE"),
        ("PID,AGE,STAGE\na,65,I\n", r"E-COLUMN-MISSING new.csv: ID"),
        ("ID,AGE,STAGE\na,65,I\na,66,I\n", r"E-ID-TWICE new.csv: ID: 2 of 2 rows"),
        ("ID,AGE,STAGE\n,65,I\n", r"E-ID-MISSING new.csv: ID: 1 of 1 rows"),
        (
            "ID,AGE,STAGE\na,67 yr,I\n",
            r"E-VALUE-TEXT new.csv: AGE: 1 of 1 rows not numeric: 1 numbers with a unit \(line 2\)",
        ),
        ("ID,AGE,STAGE\n", r"E-ROWS-NONE new.csv"),
    ],
)
def test_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as raised:
        read_patients(write(tmp_path, text), VARIABLES, "ID")
    assert raised.value.exit_code == 3
