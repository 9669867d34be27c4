"""What is learned about columns is learned on training rows, and encodes any patient the same way."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.helpers.cohorts import GBSG2_PROTOCOL, build_cohort, gbsg2_cohort, marker_cohort, protocol
from trialstrat.cohort.cohort import Cohort
from trialstrat.errors import InvalidInputError
from trialstrat.features import FeatureSpec, build, choose_feature_sets, fit_spec

N = 60


def small(columns: dict[str, Any], variables: list[dict[str, Any]], **changes: Any) -> Cohort:
    """A cohort of ``N`` patients with these covariates, everybody with an event."""
    declared = protocol({**GBSG2_PROTOCOL, "arms": None, "covariates": variables, "biomarkers": []}, **changes)
    time = np.arange(1.0, N + 1)
    return build_cohort(declared, pd.DataFrame(columns), time, np.ones(N, dtype=np.int64))


def fitted(cohort: Cohort, rows: np.ndarray | None = None, name: str = "clinical") -> FeatureSpec:
    choice = next(entry for entry in choose_feature_sets(cohort) if entry.name == name)
    outcome = cohort.outcome
    assert outcome.time is not None
    assert outcome.event is not None
    return fit_spec(cohort, choice, np.arange(cohort.n) if rows is None else rows, outcome.time, outcome.event == 1)


def test_columns_are_sorted_scaled_and_complete() -> None:
    cohort = gbsg2_cohort()
    spec = fitted(cohort, name="combined")
    matrix = build(cohort, spec)
    assert matrix.names == ("age", "estrec", "menostat=Post", "pnodes", "progrec", "tgrade", "tsize")
    assert np.allclose(matrix.values.mean(axis=0), 0, atol=1e-12)
    assert np.allclose(matrix.values.std(axis=0), 1)
    grade = cohort.frame["tgrade"].cat.codes.to_numpy(dtype=float)
    assert np.allclose(matrix.values[:, 5], (grade - grade.mean()) / grade.std())
    assert matrix.labels[2] == "Menopausal status: Post (reference Pre)"


def test_one_column_per_level_but_the_declared_reference() -> None:
    values = np.array(["a", "b", "c"])[np.arange(N) % 3]
    cohort = small(
        {"site": values}, [{"column": "site", "label": "Site", "kind": "categorical", "levels": ["c", "a", "b"]}]
    )
    spec = fitted(cohort)
    assert spec.names == ("site=a", "site=b")
    raw = build(cohort, spec).values * np.array(spec.scale) + np.array(spec.center)
    assert np.allclose(raw[:, 0], values == "a")
    assert np.allclose(raw[:, 1], values == "b")


def test_a_level_unseen_in_training_counts_as_missing() -> None:
    values = np.array(["a", "a", "b"])[np.arange(N) % 3].astype(object)
    cohort = small({"site": values}, [{"column": "site", "kind": "categorical"}])
    spec = fitted(cohort)
    new = pd.DataFrame({"site": ["a", "b", "z", None]})
    encoded = spec.values(new)
    assert np.array_equal(encoded[2], encoded[3])
    assert np.array_equal(encoded[2], encoded[0])  # the most frequent level
    assert not np.array_equal(encoded[2], encoded[1])


def test_missing_indicator_only_where_training_had_gaps() -> None:
    rng = np.random.default_rng(0)
    holes, whole = rng.normal(size=N), rng.normal(size=N)
    holes[::7] = np.nan
    variables = [{"column": name, "kind": "continuous"} for name in ("holes", "whole")]
    cohort = small({"holes": holes, "whole": whole}, variables, missing_data={"indicator": True})
    spec = fitted(cohort)
    assert spec.names == ("holes", "holes missing", "whole")
    flag = build(cohort, spec).values[:, 1]
    assert set(np.flatnonzero(flag > 0)) == set(range(0, N, 7))


def test_constant_and_empty_columns_are_dropped_by_name() -> None:
    rng = np.random.default_rng(0)
    empty = np.full(N, np.nan)
    empty[:10] = 1.5
    variables = [{"column": name, "kind": "continuous"} for name in ("flat", "mostly_empty", "varies")]
    spec = fitted(small({"flat": np.ones(N), "mostly_empty": empty, "varies": rng.normal(size=N)}, variables))
    assert spec.names == ("varies",)
    assert dict(spec.dropped) == {
        "flat": "constant in the training rows",
        "mostly_empty": "83% missing in the training rows",
    }


def test_nothing_left_is_refused() -> None:
    cohort = small({"flat": np.ones(N)}, [{"column": "flat", "kind": "continuous"}])
    with pytest.raises(InvalidInputError, match="no column varies"):
        fitted(cohort)


def test_imputation_follows_the_other_columns() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=N)
    y = 2 * x + 0.1 * rng.normal(size=N)
    gaps = y.copy()
    gaps[::5] = np.nan
    variables = [{"column": name, "kind": "continuous"} for name in ("x", "y")]
    cohort = small({"x": x, "y": gaps}, variables)
    spec = fitted(cohort)
    encoded = build(cohort, spec).values[:, 1] * spec.scale[1] + spec.center[1]
    missing = np.arange(0, N, 5)
    error_regression = np.abs(encoded[missing] - y[missing]).mean()
    error_median = np.abs(np.nanmedian(gaps) - y[missing]).mean()
    assert error_regression < 0.3 * error_median
    seen = np.delete(encoded, missing)
    assert encoded.min() >= seen.min() - 1e-9
    assert encoded.max() <= seen.max() + 1e-9


def test_imputation_never_sees_outcomes() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, N))
    y[::5] = np.nan
    variables = [{"column": name, "kind": "continuous"} for name in ("x", "y")]
    cohort = small({"x": x, "y": y}, variables)
    choice = choose_feature_sets(cohort)[0]
    rows = np.arange(N)
    first = fit_spec(cohort, choice, rows, np.arange(1.0, N + 1), np.ones(N, dtype=bool))
    second = fit_spec(cohort, choice, rows, rng.exponential(size=N), rng.random(N) < 0.5)
    assert first == second


def test_json_round_trip_encodes_new_patients_identically() -> None:
    cohort = gbsg2_cohort()
    cohort.frame.loc[cohort.frame.index[::9], "tsize"] = np.nan
    spec = fitted(cohort, np.arange(0, 686, 2), name="combined")
    assert spec.imputers
    again = FeatureSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert again == spec
    assert np.array_equal(again.values(cohort.frame), spec.values(cohort.frame))
    one_by_one = np.vstack([spec.values(cohort.frame.iloc[[at]]) for at in range(20)])
    assert np.allclose(one_by_one, spec.values(cohort.frame)[:20], rtol=0, atol=1e-12)


def test_text_levels_of_new_patients_are_understood() -> None:
    cohort = gbsg2_cohort()
    spec = fitted(cohort)
    plain = cohort.frame.astype({"menostat": object, "tgrade": object})
    assert np.array_equal(spec.values(plain), spec.values(cohort.frame))


def test_an_absent_column_is_named() -> None:
    cohort = gbsg2_cohort()
    with pytest.raises(InvalidInputError, match="'pnodes'"):
        fitted(cohort).values(cohort.frame.drop(columns="pnodes"))


@pytest.mark.parametrize("name", ["clinical", "combined"])
def test_held_out_rows_leave_no_trace(name: str) -> None:
    train = np.arange(0, 120)
    cohort = marker_cohort(n=150, models={"screen_to": 5})
    before = fitted(cohort, train, name)
    cohort.frame.iloc[120:] = 1e6
    cohort.markers.iloc[120:] = -1e6
    assert cohort.outcome.time is not None
    assert cohort.outcome.event is not None
    cohort.outcome.time[120:] = 1.0
    cohort.outcome.event[120:] = 1 - cohort.outcome.event[120:]
    assert fitted(cohort, train, name) == before


def test_the_filter_keeps_what_matters_and_depends_on_training_outcomes() -> None:
    cohort = marker_cohort(n=200, markers=80, signal=1.0, models={"screen_to": 5})
    spec = fitted(cohort, name="molecular")
    assert {"g000", "g001"} <= set(spec.names)
    assert len(spec.names) == 5
    choice = next(entry for entry in choose_feature_sets(cohort) if entry.name == "molecular")
    assert cohort.outcome.time is not None
    assert cohort.outcome.event is not None
    shuffled = np.random.default_rng(5).permutation(200)
    other = fit_spec(cohort, choice, np.arange(200), cohort.outcome.time[shuffled], cohort.outcome.event[shuffled] == 1)
    assert other.names != spec.names


def test_markers_with_gaps_are_filled_with_their_training_median() -> None:
    cohort = marker_cohort(n=100, markers=10)
    cohort.markers.iloc[:20, 3] = np.nan
    cohort.markers.iloc[:80, 4] = np.nan
    spec = fitted(cohort, name="molecular")
    assert "g004" not in spec.names
    assert ("g004", "too many values missing in the training rows") in spec.dropped
    encoded = build(cohort, spec).values[:, spec.names.index("g003")]
    assert np.ptp(encoded[:20]) == 0


def test_feature_sets_say_why_they_are_unavailable() -> None:
    cohort = gbsg2_cohort(biomarkers=[])
    found = {entry.name: entry for entry in choose_feature_sets(cohort)}
    assert found["clinical"].available
    assert found["molecular"].reason == "no biomarker and no marker block is declared"
    assert not found["combined"].available
    none = {entry.name: entry for entry in choose_feature_sets(gbsg2_cohort(covariates=[]))}
    assert none["clinical"].reason.startswith("no covariate")
    assert none["molecular"].available


def test_the_arm_and_late_measurements_are_no_features() -> None:
    late = [
        {"column": "age", "kind": "continuous"},
        {"column": "tsize", "kind": "continuous", "measured": "after_time_zero"},
        {"column": "horTh", "kind": "categorical"},
    ]
    choice = choose_feature_sets(gbsg2_cohort(covariates=late))[0]
    assert [variable.column for variable in choice.variables] == ["age"]
