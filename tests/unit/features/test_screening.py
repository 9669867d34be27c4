"""The score statistics of the marker filter."""

from __future__ import annotations

import numpy as np

from trialstrat.features.screening import score_statistics, strongest
from trialstrat.stats.cox import cox


def data(n: int = 80, p: int = 5, seed: int = 0):
    rng = np.random.default_rng(seed)
    time = np.round(rng.exponential(5, n), 0) + 1
    return rng.normal(size=(n, p)), time, rng.random(n) < 0.6


def test_square_is_the_score_test_of_a_cox_model() -> None:
    values, time, event = data()
    z = score_statistics(values, time, event)
    expected = [
        cox(time, event.astype(int), values[:, [j]], ties="breslow").score.statistic for j in range(values.shape[1])
    ]
    assert np.allclose(z**2, expected, rtol=1e-10)


def test_sign_follows_the_hazard() -> None:
    rng = np.random.default_rng(3)
    marker = rng.normal(size=200)
    time = rng.exponential(np.exp(-marker))
    z = score_statistics(np.column_stack([marker, -marker]), time, np.ones(200, dtype=bool))
    assert z[0] > 5
    assert np.isclose(z[1], -z[0])


def test_blocks_change_nothing_and_constants_score_zero(monkeypatch) -> None:
    values, time, event = data(p=7)
    values[:, 3] = 2.0
    whole = score_statistics(values, time, event)
    monkeypatch.setattr("trialstrat.features.screening.BLOCK", 3)
    assert np.allclose(score_statistics(values, time, event), whole, rtol=1e-12, atol=0)
    assert whole[3] == 0


def test_ties_between_markers_are_broken_by_name() -> None:
    assert strongest(np.array([1.0, -2.0, 2.0, 2.0]), ["d", "c", "b", "a"], 2) == ["a", "b"]
