"""Models by cell against the general model on the same rows."""

import numpy as np
import pytest

from trialstrat.stats.cox import cox
from trialstrat.stats.kernels.cox_cells import (
    MONOTONE,
    NO_INFORMATION,
    OK,
    cox_binary_sorted,
    interaction_lr_sorted,
)


def presorted(seed, n=None, ties=4):
    rng = np.random.default_rng(seed)
    n = n or int(rng.integers(10, 120))
    arm, high = rng.integers(0, 2, n), rng.integers(0, 2, n)
    time = rng.exponential(np.exp(0.5 * arm * high - 0.3 * arm))
    time = np.sort(np.ceil(time * ties) if ties else time)
    event = rng.random(n) < 0.6
    return arm, high, event, time, np.unique(time, return_inverse=True)[1]


@pytest.mark.parametrize("seed", range(30))
def test_treatment_within_a_subset(seed):
    arm, high, event, time, tie = presorted(seed, ties=(0, 2, 10)[seed % 3])
    coef, std_error, score, information, outcome = cox_binary_sorted(np.where(high == 1, arm, -1), event, tie)
    rows = high == 1
    fit = cox(time[rows], event[rows], arm[rows])
    if fit.status == "ok":
        assert outcome == OK
        assert coef == pytest.approx(fit.coef[0], abs=1e-9)
        assert std_error == pytest.approx(fit.std_error[0], rel=1e-7)
        assert score**2 / information == pytest.approx(fit.score.statistic, rel=1e-9)
    else:
        assert outcome in (MONOTONE, NO_INFORMATION)
        assert np.isnan(coef)


@pytest.mark.parametrize("seed", range(30))
def test_interaction(seed):
    arm, high, event, time, tie = presorted(seed, ties=(0, 2, 10)[seed % 3])
    statistic, coef, std_error, outcome = interaction_lr_sorted(arm, high, event, tie)
    small = cox(time, event, np.column_stack([arm, high]))
    large = cox(time, event, np.column_stack([arm, high, arm * high]))
    if small.collinear or large.collinear:
        assert outcome == NO_INFORMATION
        return
    # a monotone likelihood has its limit
    assert statistic == pytest.approx(2 * (large.loglik - small.loglik), abs=1e-8)
    if np.isfinite(large.coef[2]):
        assert outcome == OK
        assert coef == pytest.approx(large.coef[2], abs=1e-8)
        assert std_error == pytest.approx(large.std_error[2], rel=1e-6)
    else:
        assert outcome == MONOTONE
        assert np.isnan(coef)


def test_one_arm_or_no_event():
    arm, _, event, _, tie = presorted(1, n=40)
    assert cox_binary_sorted(np.zeros_like(arm), event, tie)[4] == NO_INFORMATION
    assert cox_binary_sorted(arm, np.zeros_like(event), tie)[4] == NO_INFORMATION
    assert interaction_lr_sorted(arm, np.ones_like(arm), event, tie)[3] == NO_INFORMATION


def test_rows_left_out_do_not_matter():
    arm, high, event, _, tie = presorted(3, n=80)
    out = np.arange(80) % 4 == 0
    kept = ~out
    whole = interaction_lr_sorted(arm, np.where(out, -1, high), event, tie)
    part = interaction_lr_sorted(arm[kept], high[kept], event[kept], tie[kept])
    assert whole == pytest.approx(part)
