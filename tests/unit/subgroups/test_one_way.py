"""Shrinkage of subgroup effects: limits, order, and agreement with the closed form for a known spread."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trialstrat.errors import InvalidInputError
from trialstrat.subgroups.one_way import shrink_levels


@given(
    arrays(np.float64, 6, elements=st.floats(-2, 2)),
    arrays(np.float64, 6, elements=st.floats(0.05, 1)),
)
def test_stays_between_the_estimate_and_the_extremes_of_its_factor(value: np.ndarray, error: np.ndarray) -> None:
    factor = np.array([0, 0, 1, 1, 1, 2])
    found = shrink_levels(value, error, factor)
    for code in range(3):
        own = factor == code
        assert (found.value[own] >= value[own].min() - 1e-9).all()
        assert (found.value[own] <= value[own].max() + 1e-9).all()
    assert ((found.lower < found.value) & (found.value < found.upper)).all()
    # a factor with one level has nothing to borrow from
    assert found.value[5] == pytest.approx(value[5])
    assert found.upper[5] - found.lower[5] == pytest.approx(2 * 1.959964 * error[5], rel=1e-5)


def test_equal_effects_borrow_each_others_precision() -> None:
    error = np.full(4, 0.3)
    found = shrink_levels(np.full(4, -0.4), error, np.array([0, 0, 1, 1]))
    np.testing.assert_allclose(found.value, -0.4, atol=1e-12)
    assert (found.upper - found.lower < 2 * 1.96 * 0.3).all()
    assert (found.upper - found.lower > 2 * 1.96 * 0.3 / np.sqrt(2)).all()


def test_a_tiny_prior_gives_the_common_mean_and_a_precise_difference_survives() -> None:
    value, error, factor = np.array([-1.0, 0.6]), np.array([0.2, 0.1]), np.array([0, 0])
    mean = np.average(value, weights=error**-2.0)
    np.testing.assert_allclose(shrink_levels(value, error, factor, scale=1e-6).value, mean, atol=1e-6)
    kept = shrink_levels(value, np.array([0.01, 0.01]), factor)
    np.testing.assert_allclose(kept.value, value, atol=5e-3)


def test_coverage_over_the_prior() -> None:
    """With effects drawn from the model the limits cover at their level, whatever the spread was."""
    rng = np.random.default_rng(5)
    covered = []
    for _ in range(300):
        spread = abs(rng.normal(0, 0.35))
        truth = -0.3 + rng.normal(0, spread, 8)
        error = rng.uniform(0.15, 0.4, 8)
        found = shrink_levels(rng.normal(truth, error), error, np.repeat([0, 1], 4))
        covered.append(((found.lower <= truth) & (truth <= found.upper)).mean())
    assert 0.93 <= np.mean(covered) <= 0.97


def test_refuses_bad_errors() -> None:
    with pytest.raises(InvalidInputError):
        shrink_levels(np.zeros(2), np.array([0.1, 0.0]), np.zeros(2, dtype=np.int64))
    with pytest.raises(InvalidInputError):
        shrink_levels(np.zeros(2), np.ones(3), np.zeros(2, dtype=np.int64))
