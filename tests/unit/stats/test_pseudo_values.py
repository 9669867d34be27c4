"""Pseudo-values against the jackknife done by hand with the estimators themselves."""

from __future__ import annotations

import numpy as np
import pytest

from trialstrat.errors import InvalidInputError
from trialstrat.stats.competing import cumulative_incidence
from trialstrat.stats.pseudo_values import incidence_pseudo_values, rmst_pseudo_values
from trialstrat.stats.rmst import rmst


def sample(n: int = 60, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    survival, censoring = rng.exponential(10, n).round(1), rng.uniform(2, 20, n).round(1)
    event = (survival <= censoring).astype(np.int64)
    return np.minimum(survival, censoring) + 0.1, event * rng.integers(1, 3, n)


def test_rmst_is_the_jackknife_of_the_area_under_kaplan_meier() -> None:
    time, event = sample()
    event = np.minimum(event, 1)
    n, whole = len(time), rmst(time, event, 8).rmst
    left_out = [rmst(np.delete(time, i), np.delete(event, i), 8).rmst for i in range(n)]
    expected = n * whole - (n - 1) * np.array(left_out)
    np.testing.assert_allclose(rmst_pseudo_values(time, event, 8), expected, atol=1e-10)


def test_incidence_is_the_jackknife_of_aalen_johansen() -> None:
    time, event = sample()

    def estimate(rows: np.ndarray) -> float:
        return float(cumulative_incidence(time[rows], event[rows], cause=1).at([8.0]).incidence[0])

    n, everybody = len(time), np.arange(len(time))
    expected = [n * estimate(everybody) - (n - 1) * estimate(np.delete(everybody, i)) for i in range(n)]
    np.testing.assert_allclose(incidence_pseudo_values(time, event, 8), expected, atol=1e-10)


def test_without_censoring_the_values_are_the_data() -> None:
    time = np.array([1.0, 2.0, 2.0, 5.0, 9.0])
    event = np.array([1, 2, 1, 1, 1])
    np.testing.assert_allclose(rmst_pseudo_values(time, event > 0, 4), np.minimum(time, 4), atol=1e-12)
    np.testing.assert_allclose(incidence_pseudo_values(time, event, 4), (time <= 4) & (event == 1), atol=1e-12)


def test_more_patients_than_one_chunk() -> None:
    time, event = sample(n=1100, seed=2)
    event = np.minimum(event, 1)
    values = rmst_pseudo_values(time, event, 8)
    assert values.mean() == pytest.approx(rmst(time, event, 8).rmst, abs=2e-3)
    left_out = rmst(np.delete(time, 1000), np.delete(event, 1000), 8).rmst
    assert values[1000] == pytest.approx(1100 * rmst(time, event, 8).rmst - 1099 * left_out, abs=1e-8)


def test_no_event_before_the_horizon() -> None:
    np.testing.assert_allclose(rmst_pseudo_values([5.0, 6.0, 7.0], [0, 1, 1], 4), [4, 4, 4])
    np.testing.assert_allclose(incidence_pseudo_values([5.0, 6.0, 7.0], [0, 1, 2], 4), [0, 0, 0])


def test_refuses_impossible_input() -> None:
    with pytest.raises(InvalidInputError):
        rmst_pseudo_values([1.0, 2.0], [0, 1], 0)
    with pytest.raises(InvalidInputError):
        rmst_pseudo_values([-1.0, 2.0], [0, 1], 1)
