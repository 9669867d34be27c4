"""Bounds of association: nothing strong is ever ruled out, and noise nearly always is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from trialstrat.errors import InvalidInputError
from trialstrat.stats.strong_association import strong_candidates


def exact(marker, target, event):
    """Rank correlation and AUC of the known patients by their definitions."""
    known = np.isfinite(marker)
    x, t, e = marker[known], target[known], event[known]
    constant = len(x) < 2 or np.ptp(x) == 0 or np.ptp(t) == 0
    rho = 0.0 if constant else float(spearmanr(x, t).statistic)
    yes, no = e.sum(), (~e).sum()
    auc = 0.5 if not yes or not no else float((rankdata(x)[e].sum() - yes * (yes + 1) / 2) / (yes * no))
    return abs(rho), max(auc, 1 - auc)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 60),
    noise=st.sampled_from([0.0, 0.05, 0.2, 0.5, 1.0]),
    digits=st.sampled_from([0, 1, 8]),
    missing=st.sampled_from([0.0, 0.3]),
)
def test_a_strong_marker_is_always_a_candidate(seed, n, noise, digits, missing):
    rng = np.random.default_rng(seed)
    target = np.round(rng.exponential(2, n), digits)
    event = rng.random(n) < rng.random()
    markers = np.column_stack(
        [
            target + noise * rng.normal(size=n),
            -target + noise * rng.normal(size=n),
            event + noise * rng.normal(size=n),
            np.round(event - 2.0 * (rng.random(n) < noise / 10), digits),
            np.round(rng.normal(size=n), digits),
        ]
    )
    markers[rng.random(markers.shape) < missing] = np.nan
    found = strong_candidates(markers, target, event, rho=0.8, auc=0.9)
    for at in range(markers.shape[1]):
        rho, auc = exact(markers[:, at], target, event)
        assert found[at] or (rho <= 0.8 + 1e-12 and auc <= 0.9 + 1e-12)


def test_noise_is_ruled_out_and_a_copy_of_the_outcome_is_not():
    rng = np.random.default_rng(3)
    time, event = rng.exponential(size=300), rng.random(300) < 0.5
    markers = rng.normal(size=(300, 500))
    markers[:, 7], markers[:, 400] = np.log(time), -1.0 * event
    found = strong_candidates(markers, time, event, rho=0.95, auc=0.98)
    assert list(np.flatnonzero(found)) == [7, 400]


def test_each_outcome_is_judged_only_where_there_is_one():
    rng = np.random.default_rng(4)
    time, event = rng.exponential(size=100), rng.random(100) < 0.5
    markers = np.column_stack([time, event.astype(float), rng.normal(size=100)])
    assert list(strong_candidates(markers, time, None, rho=0.95, auc=0.98)) == [True, False, False]
    assert list(strong_candidates(markers, None, event, rho=0.95, auc=0.98)) == [False, True, False]


def test_wrong_arguments_are_refused():
    markers = np.zeros((5, 2))
    with pytest.raises(InvalidInputError, match="between 0 and 1"):
        strong_candidates(markers, np.zeros(5), None, rho=1.0, auc=0.9)
    with pytest.raises(InvalidInputError, match="one entry per row"):
        strong_candidates(markers, np.zeros(4), None, rho=0.9, auc=0.9)
