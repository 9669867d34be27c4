"""What must hold for any predictions: bounds, symmetry, invariance, and the uncensored special cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from trialstrat.stats.brier import brier
from trialstrat.stats.calibration import calibration
from trialstrat.stats.net_benefit import net_benefit
from trialstrat.stats.resampling import stratified_folds
from trialstrat.stats.scores import harrell_c, time_dependent_auc, uno_c

relaxed = settings(deadline=None, max_examples=60)


@st.composite
def predictions(draw, *, censored=True):
    n = draw(st.integers(5, 50))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    time = rng.integers(1, draw(st.integers(3, 80)), n).astype(float)
    event = rng.integers(0, 2, n) if censored else np.ones(n, dtype=int)
    # exact binary fractions, so that transformations keep ties
    risk = rng.integers(0, draw(st.integers(2, 60)), n) / 64.0
    return time, event, risk, rng


@relaxed
@given(predictions())
def test_concordance(data):
    time, event, risk, rng = data
    order = rng.permutation(time.size)
    for score in (harrell_c, uno_c):
        found = score(time, event, risk)
        if found.status != "ok":
            assert score(time, event, -risk).status == found.status
            continue
        assert 0.0 <= found.value <= 1.0
        assert score(time, event, -risk).value == pytest.approx(1 - found.value, abs=1e-12)
        assert score(time, event, np.exp(3 * risk)).value == pytest.approx(found.value, abs=1e-12)
        assert score(time, event, np.full(time.size, 7.0)).value == pytest.approx(0.5)
        shuffled = score(time[order], event[order], risk[order])
        assert shuffled.value == pytest.approx(found.value, abs=1e-12)
        assert shuffled.std_error == pytest.approx(found.std_error, abs=1e-9)


@relaxed
@given(predictions())
def test_auc(data):
    time, event, risk, _ = data
    horizon = float(np.median(time))
    one, other = time_dependent_auc(time, event, risk, horizon), time_dependent_auc(time, event, -risk, horizon)
    assert one.status == other.status
    if one.status == "ok":
        assert 0.0 <= one.auc[0] <= 1.0
        assert other.auc[0] == pytest.approx(1 - one.auc[0], abs=1e-12)
        assert other.std_error[0] == pytest.approx(one.std_error[0], abs=1e-9)


@relaxed
@given(predictions(censored=False))
def test_without_censoring(data):
    time, event, risk, _ = data
    horizon = float(np.median(time))
    alive = (time > horizon).astype(float)
    found = brier(time, event, (1 - risk)[:, None], horizon)
    assert found.brier[0] == pytest.approx(np.mean((1 - risk - alive) ** 2), abs=1e-12)
    assert 0.0 <= found.brier[0] <= 1.0
    if 0 < alive.sum() < alive.size:
        auc = time_dependent_auc(time, event, risk, horizon).auc[0]
        assert auc == pytest.approx(roc_auc_score(alive == 0, risk), abs=1e-12)


@relaxed
@given(predictions())
def test_brier_prefers_nothing_to_certainty_about_the_wrong(data):
    time, event, _, _ = data
    horizon = float(np.median(time))
    right = np.where((time <= horizon) & (event == 1), 0.0, 1.0)
    best, worst = (brier(time, event, s[:, None], horizon) for s in (right, 1 - right))
    if best.status == "ok":
        assert best.brier[0] == pytest.approx(0.0, abs=1e-12)
        # inverse probability weights add up to n in expectation only
        assert worst.brier[0] >= best.brier_null[0] - 1e-12


@relaxed
@given(predictions())
def test_net_benefit_of_treating_all(data):
    time, event, risk, _ = data
    horizon = float(np.median(time))
    found = net_benefit(time, event, risk, horizon, [0.0, 0.2, 0.5])
    assert found.net_benefit[0] == pytest.approx(found.treat_all[0])
    everybody = net_benefit(time, event, np.ones(time.size), horizon, [0.2, 0.5])
    np.testing.assert_allclose(everybody.net_benefit, everybody.treat_all)
    assert (found.net_benefit <= 1.0).all()


@relaxed
@given(predictions())
def test_calibration_groups_partition_the_patients(data):
    time, event, risk, _ = data
    found = calibration(time, event, risk, float(np.median(time)), groups=4)
    assert found.groups.n.sum() == time.size
    assert (np.diff(found.groups.mean_predicted) > 0).all()
    mean = np.average(found.groups.mean_predicted, weights=found.groups.n)
    assert mean == pytest.approx(found.observed_expected.expected)


@relaxed
@given(predictions(), st.integers(2, 5))
def test_folds(data, k):
    time, event, _, rng = data
    seed = int(rng.integers(1 << 30))
    arm, site = rng.integers(0, 2, time.size), rng.integers(0, max(k, time.size // 2), time.size)
    fold = stratified_folds(event, arm, None, k, np.random.default_rng(seed))
    sizes = np.bincount(fold, minlength=k)
    assert sizes.min() >= 1
    assert sizes.max() - sizes.min() <= 1
    if np.unique(site).size >= k:
        grouped = stratified_folds(event, arm, site, k, np.random.default_rng(seed))
        assert set(grouped) == set(range(k))
        assert all(np.unique(grouped[site == one]).size == 1 for one in np.unique(site))


def trial(rng, n):
    """A prognostic score with log hazard ratio 0.7 and uniform censoring that does not depend on it."""
    x = rng.normal(size=n)
    death, end = rng.exponential(np.exp(-0.7 * x)), rng.uniform(0.2, 3.0, n)
    return np.minimum(death, end), (death <= end).astype(int), x


@pytest.mark.slow
def test_intervals_cover_the_truth():
    """Scores of 200,000 patients without censoring stand for the truth; their own error is small."""
    rng = np.random.default_rng(40)
    x = rng.normal(size=200_000)
    death = rng.exponential(np.exp(-0.7 * x))
    survival = np.exp(-np.exp(0.7 * x))[:, None]
    every = np.ones(x.size)
    truth = np.array(
        [
            harrell_c(np.minimum(death, 2.0), death <= 2.0, x).value,
            time_dependent_auc(death, every, x, 1.0).auc[0],
            brier(death, every, survival, 1.0).brier[0],
        ]
    )
    runs, covered = 800, np.zeros(3)
    for _ in range(runs):
        time, event, score = trial(rng, 300)
        concordance = uno_c(time, event, score, tau=2.0)
        area = time_dependent_auc(time, event, score, 1.0)
        error = brier(time, event, np.exp(-np.exp(0.7 * score))[:, None], 1.0)
        found = np.array([concordance.value, area.auc[0], error.brier[0]])
        spread = np.array([concordance.std_error, area.std_error[0], error.std_error[0]])
        covered += np.abs(found - truth) <= 1.959964 * spread
    assert (np.abs(covered / runs - 0.95) < 0.025).all()
