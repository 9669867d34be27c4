"""The search for a short rule that captures high predicted risk."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from tests.helpers.synthetic import cohort, trial
from trialstrat.criteria.distil import (
    CONDITION_COST,
    DistilledRule,
    RuleOptions,
    conditions_of,
    distil,
    natural_cuts,
    selected,
)
from trialstrat.errors import InvalidInputError
from trialstrat.protocol.model import Condition, Variable

HALF = RuleOptions(max_conditions=3, target_share=0.5, minimum_share=0.1)
X = Variable(column="x", kind="continuous")
Y = Variable(column="y", kind="continuous")


def frame(n: int = 400, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "x": rng.uniform(0, 100, n),
            "y": rng.normal(0, 1, n),
            "g": pd.Categorical(rng.choice(["a", "b", "c"], n), categories=["a", "b", "c"]),
        }
    )


G = Variable(column="g", kind="categorical", levels=("a", "b", "c"))


def capture(mask: np.ndarray, risk: np.ndarray) -> float:
    """Mean rank of the selected above the middle, against that of the same number of the highest ranks."""
    rank, n, m = rankdata(risk), len(risk), mask.sum()
    best = np.sort(rank)[-m:].mean()
    return (rank[mask].mean() - (n + 1) / 2) / (best - (n + 1) / 2)


def test_a_planted_rule_is_found_exactly() -> None:
    data = frame(2000)
    inside = (data["x"] >= 30) & (data["g"] != "b")
    risk = inside + 0.001 * np.random.default_rng(1).normal(size=2000)
    found = distil(data, [X, Y, G], risk, RuleOptions(max_conditions=3, target_share=0.45, minimum_share=0.1))
    assert {condition.column for condition in found.conditions} == {"x", "g"}
    assert np.array_equal(selected(found.conditions, data), inside)
    assert found.share == pytest.approx(inside.mean())
    assert found.capture > 0.99


def test_capture_is_what_it_says() -> None:
    data = frame(300)
    risk = data["x"].to_numpy() + 20 * np.random.default_rng(1).normal(size=300)
    found = distil(data, [X, Y, G], risk, HALF)
    mask = selected(found.conditions, data)
    assert found.capture == pytest.approx(capture(mask, risk))
    assert found.share == pytest.approx(mask.mean())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.3, 0.5, 0.7]))
def test_it_is_as_good_as_trying_everything(seed: int, target: float) -> None:
    data = frame(60, seed)
    rng = np.random.default_rng(seed)
    risk = 0.02 * data["x"].to_numpy() + rng.normal(size=60) + (data["g"] == "c")
    options = RuleOptions(max_conditions=2, target_share=target, minimum_share=0.1)
    candidates = [c for v in (X, Y, G) for c in conditions_of(v, data)]
    masks = [selected([c], data) for c in candidates]
    best = -np.inf
    singles = [((i,), masks[i]) for i in range(len(candidates))]
    pairs = [
        ((i, j), masks[i] & masks[j])
        for i, j in itertools.combinations(range(len(candidates)), 2)
        if candidates[i].column != candidates[j].column
    ]
    for members, mask in singles + pairs:
        if abs(mask.mean() - target) <= 0.05 + 1e-12 and 0 < mask.mean() < 1 and capture(mask, risk) > 0:
            best = max(best, capture(mask, risk) - CONDITION_COST * (len(members) - 1))
    found = distil(data, [X, Y, G], risk, options)
    if np.isfinite(best):
        assert found.capture - CONDITION_COST * (len(found.conditions) - 1) == pytest.approx(best)


def test_only_ranks_and_not_the_order_of_rows_matter() -> None:
    data = frame(200, 3)
    risk = data["x"].to_numpy() * 0.01 + np.random.default_rng(3).normal(size=200)
    one = distil(data, [X, Y, G], risk, HALF)
    assert distil(data, [X, Y, G], np.exp(5 * risk), HALF) == one
    order = np.random.default_rng(4).permutation(200)
    assert distil(data.iloc[order], [X, Y, G], risk[order], HALF) == one


def test_a_condition_that_adds_nothing_is_left_out() -> None:
    data = frame(1000)
    found = distil(data, [X, Y, G], data["x"].to_numpy(), HALF)
    assert [condition.column for condition in found.conditions] == ["x"]
    assert found.conditions[0].at_least == round(np.quantile(data["x"], 0.5, method="inverted_cdf"))


@pytest.mark.parametrize("most", [1, 2, 3])
def test_number_of_conditions_is_respected(most: int) -> None:
    data = frame(500, 5)
    rng = np.random.default_rng(5)
    risk = (data["x"] > 20) * 1.0 + (data["y"] > -0.8) + (data["g"] != "a") + 0.3 * rng.normal(size=500)
    options = RuleOptions(max_conditions=most, target_share=0.5, minimum_share=0.1)
    found = distil(data, [X, Y, G], risk.to_numpy(), options)
    assert 1 <= len(found.conditions) <= most
    assert len({condition.column for condition in found.conditions}) == len(found.conditions)


def test_unknown_values_are_not_selected() -> None:
    data = frame(400)
    data.loc[:99, "x"] = np.nan
    found = distil(
        data,
        [X],
        np.nan_to_num(data["x"].to_numpy()),
        RuleOptions(max_conditions=1, target_share=0.4, minimum_share=0.1),
    )
    mask = selected(found.conditions, data)
    assert not mask[:100].any()
    assert found.share == pytest.approx(mask.mean())


def test_no_rule_is_an_answer() -> None:
    data = pd.DataFrame({"x": np.ones(50)})
    none = distil(data, [X], np.arange(50.0), HALF)
    assert none.conditions == ()
    assert np.isnan(none.share)
    rare = pd.DataFrame({"g": pd.Categorical(["a"] * 48 + ["b"] * 2, categories=["a", "b"])})
    against = distil(rare, [G.model_copy(update={"levels": ("a", "b")})], np.arange(50.0), HALF)
    assert against.conditions == ()  # b is too few, a has the lower risk


def test_columns_measured_after_time_zero_are_not_asked() -> None:
    late = Variable(column="x", kind="continuous", measured="after_time_zero")
    assert list(conditions_of(late, frame())) == []


def test_risks_must_fit() -> None:
    with pytest.raises(InvalidInputError, match="finite values"):
        distil(frame(10), [X], np.arange(9.0), HALF)
    with pytest.raises(InvalidInputError, match="finite values"):
        distil(frame(10), [X], np.full(10, np.nan), HALF)


def test_groupings_of_levels() -> None:
    data = frame()
    nominal = [condition.one_of for condition in conditions_of(G, data)]
    assert set(nominal) == {("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c")}
    ordinal = [c.one_of for c in conditions_of(Variable(column="g", kind="ordinal", levels=("a", "b", "c")), data)]
    assert set(ordinal) == {("a",), ("a", "b"), ("b", "c"), ("c",)}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.arange(1, 101), [10, 20, 30, 40, 50, 60, 70, 80, 90]),
        (np.repeat([0, 1], 50), [1]),
        (np.r_[np.zeros(90), 1.0], []),  # one value in ten does not make a decile
        (1e-4 * np.arange(1, 11), [0.0002, 0.0003, 0.0004, 0.0005, 0.0006, 0.0007, 0.0008, 0.0009]),
        (1000 + np.arange(11) / 10, [1000.1, 1000.2, 1000.3, 1000.4, 1000.5, 1000.6, 1000.7, 1000.8, 1000.9]),
        (np.empty(0), []),
    ],
)
def test_cut_points_are_numbers_people_use(values, expected) -> None:
    assert natural_cuts(np.asarray(values, dtype=float)) == pytest.approx(expected)


def test_rules_are_made_of_conditions() -> None:
    source = trial(n=300, prognosis=3.0)
    study = cohort(source)
    found = distil(study.frame, list(study.protocol.variables), source.marker, HALF)
    assert isinstance(found, DistilledRule)
    assert all(isinstance(condition, Condition) for condition in found.conditions)
