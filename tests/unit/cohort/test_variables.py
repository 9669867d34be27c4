"""Arms, strata, covariates, markers: typed as declared; and what is said about the table as a whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.cohort.conftest import codes, table
from trialstrat.cohort.build import check, read_cohort
from trialstrat.cohort.genes import gene_findings
from trialstrat.errors import NotEstimableError

X = [{"column": "X", "kind": "continuous"}]
G = [{"column": "G", "kind": "categorical"}]


def test_continuous_covariates(small):
    text = table(X=[1, "", "NA", "67 yr", "<1", "1e31", 200, -1])
    found = check(small(text, covariates=[{**X[0], "minimum": 0, "maximum": 100}]))
    assert codes(found) == {
        "E-VALUE-TEXT": ("X", 3, 8, (4, 5, 6)),
        "E-VALUE-INF": ("X", 1, 8, (7,)),
        "E-VALUE-RANGE": ("X", 2, 8, (8, 9)),
    }


def test_missing_codes_and_the_share_of_missing_values(small):
    source = [{"name": "cohort", "file": "cohort.csv", "id": "ID", "missing": ["NA", "-99"]}]
    text = table(X=[1, 2, "NA", "-99.0", 5, 6])
    cohort = read_cohort(small(text, sources=source, covariates=X))
    assert int(cohort.frame["X"].isna().sum()) == 2
    strict = [{**X[0], "missing_limit": 0.3}]
    assert codes(check(small(text, sources=source, covariates=strict))) == {"E-MISSING-LIMIT": ("X", 2, 6, (4, 5))}


def test_declared_levels_keep_their_order(small):
    covariates = [{"column": "G", "kind": "ordinal", "levels": ["low", "mid", "high"]}]
    cohort = read_cohort(small(table(G=["high", "low", "", "low"]), covariates=covariates))
    assert cohort.frame["G"].cat.ordered
    assert list(cohort.frame["G"].cat.categories) == ["low", "mid", "high"]
    assert cohort.frame["G"].cat.codes.tolist() == [2, 0, -1, 0]


def test_declared_numeric_levels_match_however_they_are_written(small):
    covariates = [{"column": "G", "kind": "categorical", "levels": [1, 2.0]}]
    cohort = read_cohort(small(table(G=["1.0", "2", "1", "2.0"]), covariates=covariates))
    assert cohort.frame["G"].astype(str).tolist() == ["1", "2", "1", "2"]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["a", "b", "a ", "b"], {"E-LEVEL-TWINS": ("G", 1, 4, (4,))}),
        (["Male", "Female", "male", "Male"], {"E-LEVEL-TWINS": ("G", 1, 4, (4,))}),
        (["1", "2", "yes", "1"], {"E-LEVEL-MIXED": ("G", 1, 4, (4,))}),
        (["1", "0", "true", "yes"], {"E-LEVEL-MIXED": ("G", 2, 4, (4, 5))}),
        (["a", "b", "NA", "None"], {"W-CODE-UNDECLARED": ("G", 2, 4, (4, 5))}),
        (["1", "2", "unknown", "1"], {"W-CODE-UNDECLARED": ("G", 1, 4, (4,))}),
        (["a", "b", "c", "1"], {"E-LEVEL-MIXED": ("G", 3, 4, (2, 3, 4))}),
    ],
)
def test_undeclared_levels(small, cells, expected):
    assert codes(check(small(table(G=cells), covariates=G))) == expected


@pytest.mark.parametrize("cells", [["I", "II", "III", "I"], ["<=50", ">50", "<=50", ">50"], ["N", "n/k", "N", "n/k"]])
def test_sound_levels(small, cells):
    assert codes(check(small(table(G=cells), covariates=G))) == {}


def test_levels_that_are_declared_may_be_mixed(small):
    covariates = [{**G[0], "levels": [1, "yes", "NA"]}]
    cohort = read_cohort(small(table(G=["1", "yes", "NA", ""]), covariates=covariates))
    assert cohort.frame["G"].isna().tolist() == [False, False, False, True]


# -- arms and strata -------------------------------------------------------------------------------------------------


def arms(**rest: Any) -> dict[str, Any]:
    levels = [{"name": "c", "value": 0, "control": True}, {"name": "t", "value": 1}]
    return {"arms": {"column": "A", "levels": levels, **rest}}


def test_arms_are_named_and_coded(small):
    cohort = read_cohort(small(table(A=[0, 1, "1.0", 0], E=[1, 1, 1, 1]), **arms()))
    assert cohort.arm is not None
    assert cohort.arm.tolist() == ["c", "t", "t", "c"]
    assert cohort.treated().tolist() == [0, 1, 1, 0]
    assert cohort.strata is None


def test_strata_are_combined(small):
    text = table(A=[0, 1, 0, 1], S=["I", "II", "I", "II"], H=[1, "2.0", 2, 1], E=[1] * 4)
    cohort = read_cohort(small(text, **arms(strata=["S", "H"])))
    assert cohort.strata is not None
    assert cohort.strata.tolist() == ["S=I | H=1", "S=II | H=2", "S=I | H=2", "S=II | H=1"]
    broken = table(A=[0, 1, 0, 1], S=["I", "", "I", "II"], E=[1] * 4)
    assert codes(check(small(broken, **arms(strata=["S"])))) == {"E-STRATUM-MISSING": ("S", 1, 4, (3,))}


def test_folds_need_a_group_for_everybody(small):
    text = table(X=[1, 2, 3, 5], SITE=["a", "b", "", "a"])
    assert codes(check(small(text, covariates=X, models={"group_by": "SITE"}))) == {
        "E-GROUP-MISSING": ("SITE", 1, 4, (4,))
    }
    whole = read_cohort(small(text.replace('7,"0","3",', '7,"0","3","b"'), covariates=X))
    assert whole.groups is None


@pytest.mark.parametrize(
    ("arm", "code", "words"),
    [
        ([1, 1, 1, 1], "N-ARM-EMPTY", "arm c: 0 of 4 patients"),
        ([0, 1, 1, 1], "N-ARM-ONE", "arm c: 1 of 4 patients"),
        ([0, 0, 1, 1], "N-EVENTS", "arm t: 1 events of 2 patients, 2 needed"),
    ],
)
def test_arms_that_cannot_be_compared(small, arm, code, words):
    loaded = small(table(A=arm, E=[1, 1, 1, 0]), **arms(), analysis={"minimum_events": 2})
    with pytest.raises(NotEstimableError, match=f"{code} cohort.csv: .*{words}"):
        read_cohort(loaded)


# -- marker blocks ---------------------------------------------------------------------------------------------------


def test_blocks_take_numeric_columns_that_nothing_else_uses(small):
    text = table(
        X=[1, 2, 3, 4],
        g2=[1.5, 2.5, "", 4.5],
        g1=[4, 3, 2, 1],
        word=["a", "b", "c", "d"],
        const=[1, 1, 1, 1],
        most=["", "", "", 3],
    )
    cohort = read_cohort(small(text, covariates=X, marker_blocks=[{"source": "cohort"}]))
    assert list(cohort.markers.columns) == ["g1", "g2"]
    assert cohort.markers.index.equals(cohort.frame.index)
    assert np.isnan(cohort.markers["g2"].to_numpy()[2])
    (finding,) = [entry for entry in cohort.findings if entry.code == "W-MARKERS-DROPPED"]
    assert "2 of 4" in finding.text()


def test_a_prefix_promises_numbers(small):
    text = table(g_1=[1, 2, 3, 4], g_2=[1, "x", 3, 4], other=[9, 8, 7, 6])
    block = [{"source": "cohort", "prefix": "g_"}]
    assert codes(check(small(text, marker_blocks=block))) == {"E-VALUE-TEXT": ("g_2", 1, 4, (3,))}
    cohort = read_cohort(small(text, marker_blocks=[{**block[0], "exclude": ["g_2"]}]))
    assert list(cohort.markers.columns) == ["g_1"]


def test_a_criterion_may_use_a_marker(small):
    text = table(g_1=[1, 2, 3, 4], g_2=[4, 1, 2, 3])
    criterion = {"id": "I1", "kind": "inclusion", "text": "x", "when": [{"column": "g_1", "above": 1}]}
    cohort = read_cohort(small(text, marker_blocks=[{"source": "cohort", "prefix": "g_"}], eligibility=[criterion]))
    assert cohort.markers.shape == (3, 2)


def test_a_block_without_markers(small):
    text = table(word=["a", "b", "c", "d"])
    assert list(codes(check(small(text, marker_blocks=[{"source": "cohort"}])))) == ["E-MARKERS-NONE"]


def test_missing_codes_hold_in_blocks(small):
    source = [{"name": "cohort", "file": "cohort.csv", "id": "ID", "missing": ["NA"]}]
    cohort = read_cohort(small(table(g=[1, 2, "NA", 4]), sources=source, marker_blocks=[{"source": "cohort"}]))
    assert np.isnan(cohort.markers["g"].to_numpy()[2])


def test_gene_symbols():
    assert gene_findings(["TP53", "SEPTIN2", "HLA-A", "X1", "DEC"], "f") == []
    (dates,) = gene_findings(["2-Sep", "Mar-01", "2006-03-01", "44622", "TP53"], "f")
    assert (dates.code, dates.bad, dates.total) == ("E-GENE-DATE", 4, 5)
    (alias,) = gene_findings(["SEPT2", "SEPTIN2", "MARCH1"], "f")
    assert (alias.code, alias.column) == ("E-GENE-ALIAS", "SEPT2")


# -- the table as a whole --------------------------------------------------------------------------------------------


def test_what_carries_nothing_is_left_out_everywhere(small):
    n = 30
    text = table(
        X=[at * 1.5 for at in range(n)],
        Y=[at * 3.0 + 1 for at in range(n)],
        C=[7] * n,
        V=[""] * n,
        W=[f"site{at}" for at in range(n)],
        T=[(at * 7) % 30 + 1 for at in range(n)],
    )
    covariates = [
        {"column": "X", "kind": "continuous"},
        {"column": "Y", "kind": "continuous"},
        {"column": "C", "kind": "continuous"},
        {"column": "V", "kind": "continuous", "missing_limit": 1},
        {"column": "W", "kind": "categorical"},
    ]
    adjust = {"adjust_for": ["X", "Y", "C"], "minimum_events": 1}
    cohort = read_cohort(small(text, covariates=covariates, analysis=adjust))
    assert list(cohort.frame.columns) == ["X"]
    assert [entry.column for entry in cohort.protocol.covariates] == ["X"]
    assert cohort.protocol.analysis.adjust_for == ("X",)
    found = {(entry.code, entry.column) for entry in cohort.findings if entry.severity == "warning"}
    assert found == {("W-COLLINEAR", "Y"), ("W-CONSTANT", "C"), ("W-EMPTY", "V"), ("W-ID-LIKE", "W")}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([*range(20), 999, 999], {"W-SENTINEL"}),
        ([*range(20, 40), -99, -99], {"W-SENTINEL"}),
        ([*range(20), *[50_000] * 5], {"W-SENTINEL"}),  # no usual code, but repeated and far away
        ([*range(20), 50_000], {"W-OUTLIER"}),
        ([*range(20), 99, 30], set()),  # one 99 alone may be a value
        ([*range(80, 100), 99, 99], set()),  # 99 among values like it
        ([0] * 18 + [5, 6, 7, 400], set()),  # a marker of which most values are zero
        ([2**at for at in range(20)], set()),  # long tail
    ],
)
def test_codes_and_outliers_among_numbers(small, values, expected):
    n = len(values)
    text = table(X=values, T=[(at * 7) % 11 + 1 for at in range(n)])
    cohort = read_cohort(small(text, covariates=X))
    assert {entry.code for entry in cohort.findings if entry.severity == "warning"} == expected


def test_a_covariate_that_is_the_outcome_is_named(small):
    rng = np.random.default_rng(0)
    time = rng.exponential(20, 60).round(3) + 0.5
    event = (rng.random(60) < 0.6).astype(int)
    text = table(
        T=time.tolist(),
        E=event.tolist(),
        X=(-time).tolist(),
        G=["dead" if e else "alive" for e in event],
        Z=rng.normal(size=60).tolist(),
    )
    covariates = [*X, {"column": "G", "kind": "categorical"}, {"column": "Z", "kind": "continuous"}]
    cohort = read_cohort(small(text, covariates=covariates))
    leaks = {entry.column: entry.message for entry in cohort.findings if entry.code == "W-LEAK"}
    assert set(leaks) == {"X", "G"}
    assert "rank correlation -1.00 with the time" in leaks["X"]
    assert "AUC 1.00 for the event" in leaks["G"]


def test_markers_are_looked_at_too(small):
    rng = np.random.default_rng(0)
    time = rng.exponential(20, 40).round(3) + 0.5
    markers = {f"g{at}": rng.normal(size=40).tolist() for at in range(3)} | {"g9": [*time[:30].tolist(), *[""] * 10]}
    cohort = read_cohort(small(table(T=time.tolist(), **markers), marker_blocks=[{"source": "cohort", "prefix": "g"}]))
    assert [entry.column for entry in cohort.findings if entry.code == "W-LEAK"] == ["g9"]


def test_clusters_are_complete_and_never_split(small):
    text = table(X=[1, 2, 3, 5], EYE=["a", "a", "b", "b"], SITE=["s", "s", "s", "t"])
    cohort = read_cohort(small(text, covariates=X, analysis={"cluster": "EYE"}))
    assert cohort.cluster is not None
    assert cohort.groups is not None
    assert cohort.cluster.tolist() == cohort.groups.tolist() == ["a", "a", "b", "b"]
    (said,) = (entry for entry in cohort.findings if entry.code == "I-CLUSTER")
    assert "4 rows in 2 clusters" in said.text()
    split = {"analysis": {"cluster": "EYE"}, "models": {"group_by": "SITE"}}
    assert codes(check(small(text, covariates=X, **split))) == {"E-CLUSTER-SPLIT": ("EYE", 2, 4, (4, 5))}
    gap = table(X=[1, 2, 3, 5], EYE=["a", "a", "", "b"])
    assert codes(check(small(gap, covariates=X, analysis={"cluster": "EYE"}))) == {
        "E-CLUSTER-MISSING": ("EYE", 1, 4, (4,))
    }
