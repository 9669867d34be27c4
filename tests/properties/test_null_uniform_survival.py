"""Under no difference p is uniform: the share below 1 %, 5 %, 10 % and 50 % within four Monte Carlo standard errors.

Intervals cover as often as they say. Sample sizes are those of a real arm (150), where the normal approximation of the
restricted mean, of the milestone difference and of the late weights of MaxCombo need not hold better than to about half
a per cent; that is added to the allowance.
"""

import numpy as np
import pytest

from trialstrat.stats.logrank import logrank
from trialstrat.stats.maxcombo import maxcombo
from trialstrat.stats.milestone import milestone_difference
from trialstrat.stats.rmst import rmst_difference

RUNS = 4000
LEVELS = np.array([0.01, 0.05, 0.1, 0.5])
GROUP = np.repeat([0, 1], 150)
pytestmark = pytest.mark.slow


def trial(rng, shape=1.0, strata_effect=0.0):
    """Weibull outcomes without any difference between arms, about 35 % censored; strata with their own hazard."""
    strata = rng.integers(0, 3, 300)
    survival = 20.0 * rng.weibull(shape, 300) * np.exp(-strata_effect * strata)
    censoring = rng.uniform(5.0, 45.0, 300)
    return np.minimum(survival, censoring), (survival <= censoring).astype(int), strata


def shares_below(p):
    return (np.asarray(p)[:, None] < LEVELS).mean(axis=0)


def assert_uniform(p, *, slack=0.0):
    allowed = 4 * np.sqrt(LEVELS * (1 - LEVELS) / len(p)) + slack
    share = shares_below(p)
    assert np.all(np.abs(share - LEVELS) <= allowed), share


@pytest.mark.parametrize(("rho", "gamma"), [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0)])
def test_logrank(rho, gamma):
    rng = np.random.default_rng(101)
    p = []
    for _ in range(RUNS):
        time, event, _ = trial(rng)
        p.append(logrank(time, event, GROUP, rho=rho, gamma=gamma).p)
    assert_uniform(p)


def test_stratified_logrank_with_strong_strata_and_rounded_times():
    rng = np.random.default_rng(102)
    p = []
    for _ in range(RUNS):
        time, event, strata = trial(rng, strata_effect=0.8)
        p.append(logrank(np.ceil(time), event, GROUP, strata=strata).p)
    assert_uniform(p)


def test_logrank_with_delayed_entry():
    rng = np.random.default_rng(103)
    p = []
    for _ in range(RUNS):
        time, event, _ = trial(rng)
        entry = rng.uniform(0.0, 6.0, 300)
        seen = entry < time
        p.append(logrank(time[seen], event[seen], GROUP[seen], entry=entry[seen]).p)
    assert_uniform(p)


def test_rmst_difference_and_its_coverage():
    rng = np.random.default_rng(104)
    difference, ratio, covered = [], [], []
    for _ in range(RUNS):
        time, event, _ = trial(rng, shape=1.3)
        found = rmst_difference(time, event, GROUP, 24.0)
        difference.append(found.difference.p)
        ratio.append(found.ratio.p)
        covered.append(found.difference.lower <= 0.0 <= found.difference.upper)
    assert_uniform(difference, slack=0.006)
    assert_uniform(ratio, slack=0.006)
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)


def test_milestone_difference():
    rng = np.random.default_rng(105)
    p = []
    for _ in range(RUNS):
        time, event, _ = trial(rng)
        p.append(milestone_difference(time, event, GROUP, 12.0).difference.p)
    assert_uniform(p, slack=0.006)


def test_maxcombo():
    rng = np.random.default_rng(106)
    p = []
    for _ in range(RUNS // 2):
        time, event, _ = trial(rng)
        p.append(maxcombo(time, event, GROUP).p)
    assert_uniform(p, slack=0.004)
