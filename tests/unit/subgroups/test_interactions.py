"""Interactions marker by marker against regressions done one at a time, and the error rate of the largest one."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from tests.helpers.synthetic import cohort, trial
from trialstrat.cohort.shown import shown_outcome
from trialstrat.stats.screen import cox_screen
from trialstrat.subgroups.interactions import (
    absolute_outcome,
    linear_interactions,
    logistic_interactions,
    random_signs,
    weighted_cox_interactions,
)


def arrays(n: int = 200, p: int = 5, seed: int = 1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    x[::17, 2] = np.nan
    arm = rng.integers(0, 2, n)
    y = rng.normal(size=n) + 0.5 * x[:, 0] + 0.4 * arm * x[:, 1]
    return x, arm, y, rng.uniform(0.2, 2, n)


@pytest.mark.parametrize("weighted", [False, True])
def test_linear_agrees_with_one_regression_at_a_time(weighted: bool) -> None:
    x, arm, y, weights = arrays()
    mass = weights if weighted else np.ones(len(y))
    found = linear_interactions(x, y, arm, weights if weighted else None)
    for j in range(x.shape[1]):
        known = np.isfinite(x[:, j])
        design = np.column_stack([np.ones(len(y)), arm, x[:, j], arm * x[:, j]])[known]
        fit = sm.WLS(y[known], design, weights=mass[known]).fit(cov_type="HC3")
        assert found.effect[j] == pytest.approx(fit.params[3], abs=1e-10)
        assert found.std_error[j] == pytest.approx(fit.bse[3], rel=1e-8)


def test_logistic_agrees_with_one_regression_at_a_time() -> None:
    x, arm, y, _ = arrays(n=400)
    event = (y > 0.2).astype(np.int64)
    interaction, alone = logistic_interactions(x, event, arm, None)
    for j in range(x.shape[1]):
        known = np.isfinite(x[:, j])
        design = np.column_stack([np.ones(len(y)), arm, x[:, j], arm * x[:, j]])[known]
        fit = sm.Logit(event[known], design).fit(disp=0, cov_type="HC0")
        assert interaction.effect[j] == pytest.approx(fit.params[3], abs=1e-6)
        assert interaction.std_error[j] == pytest.approx(fit.bse[3], rel=1e-5)
        own = sm.Logit(event[known], design[:, [0, 2]]).fit(disp=0)
        assert alone.effect[j] == pytest.approx(own.params[1], abs=1e-6)


def test_separation_and_constants_are_not_estimated() -> None:
    x, arm, y, _ = arrays()
    event = (y > 0).astype(np.int64)
    x[:, 0], x[:, 1] = np.where(event == 1, 1.0, -1.0), 3.0
    interaction, _ = logistic_interactions(x, event, arm, None)
    assert np.isnan(interaction.effect[0])
    assert np.isnan(interaction.p[[0, 1]]).all()
    linear = linear_interactions(x, y, arm, None, random_signs(len(y), 50, np.random.default_rng(1)))
    assert np.isnan(linear.effect[1])
    assert np.isnan(linear.adjusted_p[1])
    assert np.isfinite(linear.adjusted_p[[2, 3, 4]]).all()


def test_weighted_cox_with_equal_weights_is_the_screen() -> None:
    study = cohort(trial(n=300, seed=4))
    outcome = shown_outcome(study)
    rows, arm = np.ones(300, dtype=bool), study.treated()
    x = np.random.default_rng(2).normal(size=(300, 3))
    found = weighted_cox_interactions(outcome, rows, arm, x, np.full(300, 0.7), None)
    plain = cox_screen(x, outcome.time, outcome.of_interest, arm, threads=1)
    np.testing.assert_allclose(found.effect, plain.effect, atol=1e-6)
    np.testing.assert_allclose(found.std_error, plain.std_error, rtol=0.25)  # sandwich against model


def test_absolute_outcome_says_why_there_is_none() -> None:
    study = cohort(trial(n=120), endpoint={"horizon": 200})
    rows = np.ones(120, dtype=bool)
    values, reason = absolute_outcome(shown_outcome(study), study.treated(), rows)
    assert values.size == 0
    assert "before the horizon" in reason


def test_the_largest_of_many_keeps_its_error_rate() -> None:
    """Correlated markers that are prognostic but change no effect: the adjusted p is below 0.05 in about 5%."""
    rng = np.random.default_rng(8)
    hits = 0
    for _ in range(400):
        x = rng.normal(size=(150, 12)) + rng.normal(size=(150, 1))
        arm = rng.integers(0, 2, 150)
        y = x[:, 0] - 0.5 * arm + rng.normal(size=150)
        found = linear_interactions(x, y, arm, None, random_signs(150, 200, rng))
        hits += bool(np.nanmin(found.adjusted_p) < 0.05)
    assert 0.02 <= hits / 400 <= 0.08
