"""Measurements in a window, scores, copy number and signatures as columns of the patients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.unit.cohort.conftest import codes, table
from trialstrat.cohort.build import check, cohort_result, read_cohort
from trialstrat.cohort.derive import derive
from trialstrat.cohort.integrate import join
from trialstrat.cohort.sources import SourcesReader
from trialstrat.protocol.model import Protocol

N = 12
IDS = [f"p{at:03d}" for at in range(N)]
LABS = (
    "ID,TEST,VALUE,DAY,DATE\n"
    "p000,CREAT,1,-40,2019-12-01\np000,CREAT,2,-10,2019-12-22\np000,CREAT,3,-2,2019-12-30\np000,CREAT,9,5,2020-01-06\n"
    "p000,GLUC,100,-1,2019-12-31\np001,CREAT,4,0,2020-01-01\np002,CREAT,5,8,2020-01-09\np003,CREAT,6,,2019\n"
)


def measured(small, values: dict[str, Any], labs: str = LABS, **more: Any):
    feature = {
        "name": "creat", "kind": "measurement", "source": "labs", "value": "VALUE", "where": {"TEST": "CREAT"},
        "day": "DAY", **values,
    }  # fmt: skip
    feature = {key: value for key, value in feature.items() if value is not None}
    kind = "categorical" if feature.get("numeric") is False else "continuous"
    return small(
        {"cohort.csv": table(ID=IDS, ZERO=["2020-01-01"] * N), "labs.csv": labs},
        sources=[
            {"name": "cohort", "file": "cohort.csv", "id": "ID"},
            {"name": "labs", "file": "labs.csv", "id": "ID", "layout": "records", **more},
        ],
        features=[feature],
        biomarkers=[{"column": "creat", "kind": kind, "role": "prognostic", "missing_limit": 1.0}],
    )


def derived(loaded, name: str = "creat") -> list[Any]:
    reader = SourcesReader(loaded.protocol, loaded.folder)
    molecular = reader.read()
    made = derive(loaded.protocol, join(reader.prepared, 5)[0], molecular)[1]
    assert not [entry.text() for entry in made.findings if entry.severity == "error"]
    return [None if value != value else value for value in made.made[name].values[:4]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, [3, 4, None, None]),
        ({"pick": "first"}, [1, 4, None, None]),
        ({"pick": "first", "window": {"start": -28}}, [2, 4, None, None]),
        ({"pick": "mean"}, [2, 4, None, None]),
        ({"pick": "highest", "window": {"end": 7}}, [9, 4, None, None]),
        ({"pick": "lowest", "window": {"end": None}}, [1, 4, 5, None]),
        ({"pick": "nearest", "window": {"end": 7}}, [3, 4, None, None]),
        ({"pick": "count"}, [3, 1, 0, None]),  # p002 has a record outside, p003 one of an unknown day
        ({"day": None, "date": "DATE", "zero": "ZERO"}, [3, 4, None, None]),
        ({"day": None, "date": "DATE", "zero": "ZERO", "window": {"start": -15, "end": -5}}, [2, None, None, None]),
        ({"where": {"TEST": "GLUC"}}, [100, None, None, None]),
    ],
)
def test_one_value_of_each_patient_inside_the_window(small, values, expected):
    assert derived(measured(small, values)) == expected


def test_records_without_a_day_are_counted_and_text_is_refused(small):
    assert codes(check(measured(small, {})))["W-FEATURE-UNDATED"][1] == 1
    bad = LABS.replace("p001,CREAT,4", "p001,CREAT,high")
    assert codes(check(measured(small, {}, bad)))["E-VALUE-TEXT"][:2] == ("VALUE", 1)
    assert derived(measured(small, {"numeric": False}, bad))[1] == "high"


def test_units_of_each_record_become_one(small):
    labs = "ID,TEST,VALUE,DAY,U\np000,CREAT,1,0,mg/dL\np001,CREAT,88.4017,0,umol/L\np002,CREAT,-99,0,mg/dL\n"
    unit = {"VALUE": {"unit_column": "U", "to": "mg/dL", "analyte": "creatinine"}}
    loaded = measured(small, {}, labs, units=unit, missing=["-99"])
    assert derived(loaded)[:3] == [1.0, pytest.approx(1.0, rel=1e-3), None]


def test_a_feature_of_a_column_that_is_not_there_is_refused(small):
    found = check(measured(small, {"value": "VALU"}))
    assert any(entry.code == "E-COLUMN-MISSING" and "VALUE" in entry.message for entry in found)


def matrix(small, rows: dict[str, list[float]], features: list[dict[str, Any]], kind: str = "continuous"):
    text = "gene," + ",".join(IDS) + "\n"
    text += "".join(f"{gene}," + ",".join(str(value) for value in values) + "\n" for gene, values in rows.items())
    return small(
        {"cohort.csv": table(ID=IDS, MSI=list(range(N))), "m.csv": text},
        sources=[
            {"name": "cohort", "file": "cohort.csv", "id": "ID"},
            {"name": "m", "file": "m.csv", "layout": "matrix", "way": "genes_in_rows"},
        ],
        features=features,
        biomarkers=[{"column": entry["name"], "kind": kind, "role": "prognostic"} for entry in features],
    )


DISCRETE = [-2, -1.5, -1, 0, 1, 2, *([0] * (N - 6))]


def test_copy_number_classes_discrete_and_cut(small):
    feature = {"name": "c", "kind": "copy_number", "source": "m", "gene": "A"}
    expected = ["deep deletion", "deep deletion", "loss", "neutral", "gain", "amplification"]
    loaded = matrix(small, {"A": DISCRETE}, [feature], "categorical")
    assert list(read_cohort(loaded).frame["c"].astype(str)[:6]) == expected
    ratios = [-1.2, -0.5, -0.1, 0.1, 0.5, 1.4, *([0.0] * (N - 6))]
    cut = matrix(small, {"A": ratios}, [{**feature, "thresholds": [-1, -0.3, 0.3, 1]}], "categorical")
    got = list(read_cohort(cut).frame["c"].astype(str)[:6])
    assert got == ["deep deletion", "loss", "neutral", "neutral", "gain", "amplification"]
    assert "E-FEATURE-VALUE" in codes(check(matrix(small, {"A": ratios}, [feature], "categorical")))


def test_signatures_by_hand(small):
    rng = np.random.default_rng(1)
    rows = {gene: [round(value, 3) for value in rng.normal(0, 1, N)] for gene in "ABCXY"}
    features = [
        {"name": "z", "kind": "signature", "source": "m", "genes": ["A", "B"], "method": "mean_z"},
        {"name": "r", "kind": "signature", "source": "m", "genes": ["A", "B"], "method": "rank"},
    ]
    frame = read_cohort(matrix(small, rows, features)).frame
    block = np.array([rows[gene] for gene in "ABCXY"]).T
    pair = block[:, :2]
    np.testing.assert_allclose(frame["z"], ((pair - pair.mean(axis=0)) / pair.std(axis=0)).mean(axis=1))
    ranks = block.argsort(axis=1).argsort(axis=1)[:, :2] + 1
    np.testing.assert_allclose(frame["r"], (ranks.mean(axis=1) - 1.5) / 3)


def test_a_signature_that_the_matrix_does_not_have_is_refused(small):
    rows = {gene: list(range(N)) for gene in "AB"}
    feature = {"name": "z", "kind": "signature", "source": "m", "genes": list("ABCDE"), "method": "rank"}
    assert "3 of 5: C, D, E" in next(e.message for e in check(matrix(small, rows, [feature])) if e.code[0] == "E")


def test_microsatellite_status_of_a_score(small):
    feature = {"name": "m1", "kind": "msi", "column": "MSI", "unstable_from": 10, "stable_below": 4}
    frame = read_cohort(matrix(small, {"A": list(range(N))}, [feature], "categorical")).frame
    assert frame["m1"].astype(str).value_counts().to_dict() == {"indeterminate": 6, "stable": 4, "unstable": 2}


def test_a_feature_named_like_a_column_is_refused(small):
    feature = {"name": "MSI", "kind": "msi", "column": "MSI", "unstable_from": 10}
    assert "E-COLUMN-AMBIGUOUS" in codes(check(matrix(small, {"A": list(range(N))}, [feature], "categorical")))


def test_a_gene_named_like_a_declared_column_is_refused_until_columns_says_which(small):
    feature = {"name": "x", "kind": "expression", "source": "m", "gene": "E"}
    loaded = matrix(small, {"E": list(range(N)), "A": list(range(N))}, [feature])
    assert codes(check(loaded))["E-COLUMN-AMBIGUOUS"][0] == "E"
    study = loaded.protocol.model_dump(exclude_unset=True)
    study["sources"][1]["columns"] = ["A"]
    chosen = replace(loaded, protocol=Protocol.model_validate(study))
    assert read_cohort(chosen).frame["x"].tolist() == list(range(N))  # the feature still reads the matrix


def test_batches_of_a_protocol_are_read_and_must_be_complete(small):
    loaded = matrix(small, {"A": [0.5 * at for at in range(N)]}, [])
    study = loaded.protocol.model_dump(exclude_unset=True) | {"batch_effects": {"column": "PLATE"}}
    loaded = replace(loaded, protocol=Protocol.model_validate({**study, "marker_blocks": [{"source": "m"}]}))
    plates = ["x", "y"] * (N // 2)
    (loaded.folder / "cohort.csv").write_text(table(ID=IDS, PLATE=plates))
    cohort = read_cohort(loaded)
    assert cohort.batch is not None
    assert cohort.batch.tolist() == plates
    shown = {entry.name: entry for entry in cohort_result(cohort).tables}
    assert shown["cohort.batches"].rows == (("x", 6), ("y", 6))
    assert shown["cohort.batch_components"].rows[0][1] == pytest.approx(1.0)
    (loaded.folder / "cohort.csv").write_text(table(ID=IDS, PLATE=[None, *plates[1:]]))
    assert codes(check(loaded))["E-BATCH-MISSING"] == ("PLATE", 1, N, (2,))
