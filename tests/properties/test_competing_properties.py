"""What must hold for any data with competing events, and the null distribution of the tests."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from trialstrat.stats.competing import cumulative_incidence, gray_test
from trialstrat.stats.fine_gray import fine_gray
from trialstrat.stats.survival import kaplan_meier

relaxed = settings(deadline=None)


@st.composite
def competing_data(draw, least=2):
    n = draw(st.integers(least, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    time = rng.integers(1, draw(st.integers(2, 60)), n).astype(float)
    event = rng.integers(0, draw(st.integers(2, 4)), n)
    entry = time - rng.integers(1, 10, n) if draw(st.booleans()) else None
    weights = rng.uniform(0.1, 3.0, n) if draw(st.booleans()) else None
    return time, event, entry, weights, rng


@relaxed
@given(competing_data())
def test_incidences_and_survival_add_up_to_one(data):
    time, event, entry, weights, _ = data
    curves = [cumulative_incidence(time, event, cause, entry=entry, weights=weights) for cause in (1, 2, 3)]
    survival = kaplan_meier(time, (event > 0).astype(int), entry=entry, weights=weights)
    np.testing.assert_allclose(sum(curve.incidence for curve in curves) + survival.survival, 1.0, atol=1e-12)
    for curve in curves:
        assert (np.diff(curve.incidence) >= 0).all()
        assert (curve.std_error >= 0).all()
        known = np.isfinite(curve.lower)
        assert (curve.lower[known] <= curve.incidence[known] + 1e-12).all()
        assert (curve.incidence[known] <= curve.upper[known] + 1e-12).all()


@relaxed
@given(competing_data())
def test_rows_may_come_in_any_order(data):
    time, event, entry, weights, rng = data
    order = rng.permutation(time.size)
    one = cumulative_incidence(time, event, 1, entry=entry, weights=weights)
    other = cumulative_incidence(
        time[order],
        event[order],
        1,
        entry=None if entry is None else entry[order],
        weights=None if weights is None else weights[order],
    )
    np.testing.assert_allclose(other.incidence, one.incidence, atol=1e-13)
    # Variances, because rounding of a variance that is exactly zero is magnified by its root.
    np.testing.assert_allclose(other.std_error**2, one.std_error**2, rtol=1e-9, atol=1e-12)


@relaxed
@given(competing_data())
def test_every_row_twice(data):
    time, event, entry, _, _ = data
    twice = None if entry is None else np.tile(entry, 2)
    one = cumulative_incidence(time, event, 1, entry=entry)
    copied = cumulative_incidence(np.tile(time, 2), np.tile(event, 2), 1, entry=twice)
    weighted = cumulative_incidence(time, event, 1, entry=entry, weights=np.full(time.size, 2.0))
    np.testing.assert_allclose(copied.incidence, one.incidence, atol=1e-13)
    # Variances, because rounding of a variance that is exactly zero is magnified by its root.
    np.testing.assert_allclose(copied.std_error**2, one.std_error**2 / 2, rtol=1e-9, atol=1e-12)
    # a jackknife over rows: common weights change nothing
    np.testing.assert_allclose(weighted.std_error**2, one.std_error**2, rtol=1e-9, atol=1e-12)


@relaxed
@given(competing_data(least=8))
def test_gray_sees_ranks_only(data):
    time, event, _, _, rng = data
    group = rng.integers(0, 2, time.size)
    group[:2] = [0, 1]
    one = gray_test(time, event, 1, group)
    for other in (gray_test(time**3 + 5, event, 1, group), gray_test(time, event, 1, 1 - group)):
        assert other.status == one.status
        if one.status == "ok":
            assert other.statistic == pytest.approx(one.statistic, rel=1e-7, abs=1e-9)
            assert 0 <= one.p <= 1


@relaxed
@given(competing_data(least=20))
def test_fine_gray_sees_ranks_only_and_scales_with_the_covariate(data):
    time, event, _, _, rng = data
    x = rng.normal(size=time.size)
    one = fine_gray(time, event, 1, x)
    stretched, scaled = fine_gray(time**3 + 5, event, 1, x), fine_gray(time, event, 1, -10 * x + 3)
    assert stretched.status == scaled.status == one.status
    if one.status == "ok":
        np.testing.assert_allclose([*stretched.coef, *stretched.std_error], [*one.coef, *one.std_error], rtol=1e-9)
        np.testing.assert_allclose(
            [*(scaled.coef * -10), *(scaled.std_error * 10)], [*one.coef, *one.std_error], rtol=1e-5, atol=1e-8
        )


def competing_trial(rng, n, *, effect=0.0):
    """Two arms; cause 1 with subdistribution hazard ratio exp(effect), cause 2, uniform censoring."""
    arm = rng.integers(0, 2, n)
    share = 1 - (1 - 0.5) ** np.exp(effect * arm)
    first = rng.random(n) < share
    u = rng.random(n)
    inverse = 1 - (1 - u * share) ** np.exp(-effect * arm)
    time = np.where(first, -np.log1p(-np.minimum(inverse / 0.5, 1 - 1e-12)), rng.exponential(0.8, n))
    end = rng.uniform(0.2, 3.0, n)
    return np.minimum(time, end), np.where(time > end, 0, np.where(first, 1, 2)), arm


@pytest.mark.slow
def test_p_values_are_uniform_under_the_null():
    rng = np.random.default_rng(20)
    p = np.empty((1500, 2))
    for k in range(1500):
        time, event, arm = competing_trial(rng, 300)
        p[k] = gray_test(time, event, 1, arm).p, fine_gray(time, event, 1, arm).p[0]
    assert kstest(p[:, 0], "uniform").pvalue > 0.01
    assert kstest(p[:, 1], "uniform").pvalue > 0.01
    assert np.all(np.abs(np.mean(p < 0.05, axis=0) - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 1500))


@pytest.mark.slow
def test_fine_gray_finds_the_subdistribution_hazard_ratio_and_covers_it():
    rng = np.random.default_rng(21)
    found, covered = [], 0
    for _ in range(600):
        time, event, arm = competing_trial(rng, 400, effect=0.5)
        fit = fine_gray(time, event, 1, arm)
        found.append(fit.coef[0])
        covered += fit.lower[0] <= np.exp(0.5) <= fit.upper[0]
    assert np.mean(found) == pytest.approx(0.5, abs=4 * np.std(found) / np.sqrt(600) + 0.005)
    assert abs(covered / 600 - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 600)


@pytest.mark.slow
def test_limits_of_the_incidence_cover_it():
    rng = np.random.default_rng(22)
    truth = 0.5 * (1 - np.exp(-1.0))
    covered = 0
    for _ in range(1500):
        time, event, _ = competing_trial(rng, 150)
        at = cumulative_incidence(time, event, 1).at(1.0)
        covered += at.lower[0] <= truth <= at.upper[0]
    assert abs(covered / 1500 - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 1500)
