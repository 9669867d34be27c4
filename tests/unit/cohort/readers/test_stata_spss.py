"""Stata and SPSS: codes stay codes, their labels are kept beside them, special missing values stay apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyreadstat
import pytest

from tests.unit.cohort.readers.conftest import cells

FRAME = pd.DataFrame(
    {
        "id": ["007", "8", "9"],
        "x": [1.0, np.nan, 2.5],
        "day": pd.to_datetime(["2021-03-31", "2021-04-01 10:30", None], format="ISO8601"),
        "arm": [1, 2, 1],
    }
)
LABELS = ["Patient", "Value", "", "Planned arm"]
LEVELS = {"arm": {1: "Placebo", 2: "Drug"}}
EXPECTED = [["007", "1", "2021-03-31", "1"], ["8", None, "2021-04-01T10:30:00", "2"], ["9", "2.5", None, "1"]]


def written(folder: Path, suffix: str, **options) -> bytes:
    path = folder / f"made.{suffix}"
    writer = pyreadstat.write_dta if suffix == "dta" else pyreadstat.write_sav
    writer(FRAME, str(path), column_labels=LABELS, variable_value_labels=LEVELS, **options)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("suffix", "options"),
    [("dta", {}), ("dta", {"version": 8}), ("dta", {"version": 10}), ("sav", {}), ("zsav", {"compress": True})],
)
def test_cells_labels_and_levels(read, tmp_path, suffix, options):
    table = read(written(tmp_path, suffix, **options), "anything")
    assert cells(table) == EXPECTED
    assert dict(table.labels) == {"id": "Patient", "x": "Value", "arm": "Planned arm"}
    assert table.levels == {"arm": {"1": "Placebo", "2": "Drug"}}
    assert table.format == ("stata" if suffix == "dta" else "spss")
    assert "W-FILE-CHECKSUM" in {entry.code for entry in table.findings}


def test_extended_missing_values_of_stata_stay_apart(read, tmp_path):
    frame = pd.DataFrame({"id": ["a", "b", "c"], "x": [1.0, "a", np.nan]})
    path = tmp_path / "m.dta"
    pyreadstat.write_dta(frame, str(path), missing_user_values={"x": ["a"]})
    assert cells(read(path.read_bytes(), "m2.dta")) == [["a", "1"], ["b", ".a"], ["c", None]]


def test_values_declared_missing_in_spss_are_missing(read, tmp_path):
    content = written(tmp_path, "sav", missing_ranges={"arm": [2]})
    assert [row[3] for row in cells(read(content, "a.sav"))] == ["1", None, "1"]


@pytest.mark.parametrize("suffix", ["dta", "sav"])
def test_cut_files(refused, tmp_path, suffix):
    good = written(tmp_path, suffix)
    for end in (len(good) - 5, len(good) // 2, 100):
        assert refused(good[:end], f"cut.{suffix}") == [("E-FILE-DAMAGED", ())]
