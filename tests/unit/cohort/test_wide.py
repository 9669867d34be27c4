"""Matrices as sources: the same analysis table and findings however the file lies, and no copy where none is needed."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from trialstrat.cohort import validate
from trialstrat.cohort.build import read_cohort
from trialstrat.cohort.wide import gathered, wide_of

N = 60
IDS = [f"P{at:03d}" for at in range(N)]


def block(rows=4, columns=3):
    return np.arange(rows * columns, dtype=float).reshape(rows, columns)


@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_and_markers_are_gathered_as_asked(order):
    values = np.array(block(), order=order)
    part = wide_of(["b", "c", "a"], values).at(np.array([2, -1, 0]))
    table = gathered([part], ["a", "b", "c"], pd.Index(["x", "y", "z"]))
    expected = values[[2, 0, 0]][:, [2, 0, 1]]
    expected[1] = np.nan
    np.testing.assert_array_equal(table.to_numpy(), expected)
    assert list(table.columns) == ["a", "b", "c"]
    assert list(table.index) == ["x", "y", "z"]


def test_parts_of_both_layouts_stand_in_one_table():
    left, right = wide_of(["d", "b"], block(3, 2)), wide_of(["c", "a"], np.asfortranarray(block(3, 2) + 100))
    table = gathered([left, right], ["a", "b", "c", "d"], pd.RangeIndex(3))
    assert table.iloc[1].tolist() == [103.0, 3.0, 102.0, 2.0]


def test_a_block_that_is_taken_whole_is_not_copied():
    values = block()
    table = gathered([wide_of(["a", "b", "c"], values)], ["a", "b", "c"], pd.RangeIndex(4))
    assert np.shares_memory(table.to_numpy(), values)


@pytest.mark.parametrize("order", ["C", "F"])
def test_runs_of_markers_and_single_ones_agree_with_the_block(order):
    values = np.array(np.random.default_rng(0).normal(size=(5, 1100)), order=order)
    part = wide_of([f"g{at}" for at in range(1100)], values).at(np.array([4, -1, 1])).only(["g3", "g4", "g900"])
    seen = np.concatenate([found for _, found in part.blocks()], axis=1)
    np.testing.assert_array_equal(seen[[0, 2]], values[[4, 1]][:, [3, 4, 900]])
    assert np.isnan(seen[1]).all()
    np.testing.assert_array_equal(part.column("g900"), seen[:, 2])


def study(study_of, way, shuffled):
    rng = np.random.default_rng(11)
    time, event = rng.exponential(10, N) + 0.1, (rng.random(N) < 0.6).astype(int)
    genes = {f"G{at}": rng.normal(size=N) for at in range(40)}
    genes |= {"TIMELIKE": np.log(time), "EVENTLIKE": event + 0.01 * rng.normal(size=N), "FLAT": np.ones(N)}
    genes["G7"] = np.where(np.arange(N) < 50, np.nan, genes["G7"])
    places = rng.permutation(N)[: N - 3] if shuffled else np.arange(N)

    def cell(value):
        return "" if np.isnan(value) else repr(float(value))

    if way == "genes_in_rows":
        rows = [["gene", *(IDS[at] for at in places)]]
        rows += [[name, *(cell(values[at]) for at in places)] for name, values in genes.items()]
    else:
        rows = [["sample", *genes], *([IDS[at], *(cell(genes[name][at]) for name in genes)] for at in places)]
    clinical = ["ID,T,E,AGE"] + [f"{IDS[at]},{float(time[at])!r},{event[at]},{40 + at % 30}" for at in range(N)]
    loaded = study_of({"e.tsv": "\n".join(map("\t".join, rows)) + "\n", "c.csv": "\n".join(clinical) + "\n"})
    expected = pd.DataFrame(genes, index=pd.Index(IDS, name="id"))
    expected.loc[[name for at, name in enumerate(IDS) if at not in set(places)]] = np.nan
    return loaded, expected, time, event


@pytest.fixture
def matrix_study(small):
    def make(files):
        return small(
            files,
            sources=[{"name": "c", "file": "c.csv", "id": "ID"}, {"name": "x", "file": "e.tsv", "layout": "matrix"}],
            endpoints=[
                {
                    "name": "os",
                    "label": "OS",
                    "time": "T",
                    "unit": "months",
                    "event": {"column": "E", "events": [1], "censored": [0]},
                }
            ],
            estimand={"population": "all", "treatment": "none", "endpoint": "os"},
            biomarkers=[{"column": "G5", "kind": "continuous", "role": "prognostic", "missing_limit": 1.0}],
            marker_blocks=[{"source": "x", "exclude": ["G9"]}],
        )

    return make


@pytest.mark.parametrize("way", ["genes_in_rows", "genes_in_columns"])
@pytest.mark.parametrize("shuffled", [False, True])
def test_markers_of_a_matrix_are_its_values_by_patient(matrix_study, way, shuffled):
    loaded, expected, _, _ = study(matrix_study, way, shuffled)
    cohort = read_cohort(loaded)
    assert list(cohort.markers.columns) == sorted(set(expected) - {"G5", "G7", "G9", "FLAT"})
    np.testing.assert_array_equal(cohort.markers.to_numpy(), expected[cohort.markers.columns].to_numpy())
    np.testing.assert_array_equal(cohort.frame["G5"].to_numpy(), expected["G5"].to_numpy())
    dropped = [entry.message for entry in cohort.findings if entry.code == "W-MARKERS-DROPPED"]
    assert ["2 of 41 in source x" in entry for entry in dropped] == [True]


@pytest.mark.parametrize("shuffled", [False, True])
def test_leaks_are_those_that_ranking_every_marker_finds(matrix_study, shuffled):
    loaded, _, time, event = study(matrix_study, "genes_in_rows", shuffled)
    cohort = read_cohort(loaded)
    found = {entry.column for entry in cohort.findings if entry.code == "W-LEAK"}
    exact = set()
    for name, values in cohort.markers.items():
        known = np.isfinite(values.to_numpy())
        ranks, target = rankdata(values[known]), rankdata(time[known])
        if validate.leak(ranks, target, event[known] == 1):
            exact.add(name)
    assert found == exact == {"TIMELIKE", "EVENTLIKE"}


def test_a_gene_that_is_a_clinical_column_too_is_ambiguous(small):
    from trialstrat.cohort.build import check

    loaded = small(
        {"c.csv": "ID,TP53\n" + "".join(f"p{at},1\n" for at in range(12)), "e.csv": "gene,p1,p2\nTP53,1,2\nG1,3,4\n"},
        sources=[{"name": "c", "file": "c.csv", "id": "ID"}, {"name": "x", "file": "e.csv", "layout": "matrix"}],
        biomarkers=[{"column": "TP53", "kind": "continuous", "role": "prognostic", "missing_limit": 1.0}],
        marker_blocks=[{"source": "x"}],
    )
    assert [entry.column for entry in check(loaded) if entry.code == "E-COLUMN-AMBIGUOUS"] == ["TP53"]
