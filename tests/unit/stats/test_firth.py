"""Firth's penalised Cox model, against its definition."""

import numpy as np
import pytest
from scipy.stats import chi2

from tests.unit.stats.cox_by_hand import derivative, log_likelihood, trial
from trialstrat.errors import InvalidInputError
from trialstrat.stats.cox import cox
from trialstrat.stats.firth import cox_firth


def penalised(beta, data, event, strata=None):
    def plain(b):
        return log_likelihood(b, data["time"], event, data["x"], strata=strata, ties="breslow")

    information = -derivative(lambda b: derivative(plain, b, 1e-4), beta, 1e-4)
    return plain(beta) + 0.5 * np.log(np.linalg.det(information))


@pytest.mark.parametrize("separated", [False, True])
@pytest.mark.parametrize("stratified", [False, True])
def test_maximises_the_penalised_likelihood(separated, stratified):
    data = trial(n=40, seed=3)
    event = np.where(data["x"][:, 1] == 1, 0, data["event"]) if separated else data["event"]
    strata = data["strata"] if stratified else None
    fit = cox_firth(data["time"], event, data["x"], strata=strata)
    assert fit.converged
    assert np.isfinite(fit.coef).all()
    assert fit.penalised_loglik == pytest.approx(penalised(fit.coef, data, event, strata), abs=1e-4)
    around = [penalised(fit.coef + h, data, event, strata) for h in 0.02 * np.vstack((np.eye(2), -np.eye(2)))]
    assert max(around) < fit.penalised_loglik
    null = penalised(np.zeros(2), data, event, strata)
    assert fit.likelihood_ratio.statistic == pytest.approx(2 * (fit.penalised_loglik - null), abs=1e-3)


def test_limits_are_where_the_profile_has_fallen():
    data = trial(n=40, seed=3)
    event = np.where(data["x"][:, 1] == 1, 0, data["event"])
    fit = cox_firth(data["time"], event, data["x"], level=0.9)
    assert fit.lower[1] < fit.hazard_ratio[1] < fit.upper[1] < 1
    for limit in (fit.lower[1], fit.upper[1]):
        grid = [penalised(np.array([fit.coef[0] + h, np.log(limit)]), data, event) for h in np.linspace(-0.6, 0.6, 61)]
        assert 2 * (fit.penalised_loglik - max(grid)) == pytest.approx(chi2.ppf(0.9, 1), abs=5e-3)


def test_approaches_the_partial_likelihood_with_many_events():
    data = trial(n=3000, seed=4)
    plain = cox(data["time"], data["event"], data["x"], ties="breslow")
    fit = cox_firth(data["time"], data["event"], data["x"])
    assert fit.coef == pytest.approx(plain.coef, abs=0.002)
    assert fit.std_error == pytest.approx(plain.std_error, rel=0.002)


def test_scale_of_a_covariate():
    data = trial(n=40, seed=3)
    fit = cox_firth(data["time"], data["event"], data["x"])
    scaled = cox_firth(data["time"], data["event"], data["x"] * [1000.0, 0.01])
    assert scaled.coef * [1000.0, 0.01] == pytest.approx(fit.coef, rel=1e-7)
    assert scaled.likelihood_ratio.statistic == pytest.approx(fit.likelihood_ratio.statistic, rel=1e-7)


def test_not_estimable_and_collinear():
    assert cox_firth([1, 2, 3], [0, 0, 0], [1, 0, 1]).status == "not_estimable"
    assert cox_firth([1, 2, 3], [1, 1, 0], [2.0, 2.0, 2.0]).status == "not_estimable"
    data = trial(n=40)
    x = np.column_stack([data["x"], data["x"].sum(axis=1)])
    fit = cox_firth(data["time"], data["event"], x, names=["a", "b", "sum"])
    assert fit.collinear == ("sum",)
    assert np.isnan(fit.coef[2])
    assert fit.coef[:2] == pytest.approx(cox_firth(data["time"], data["event"], data["x"]).coef)


def test_impossible_input_is_refused():
    with pytest.raises(InvalidInputError, match="event"):
        cox_firth([1, 2], [0, 3], [1, 2])


def test_normal_limits_are_those_of_the_standard_error():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(80, 2))
    time, event = rng.exponential(1, 80), rng.integers(0, 2, 80)
    profile, normal = cox_firth(time, event, x), cox_firth(time, event, x, limits="wald")
    assert normal.coef == pytest.approx(profile.coef)
    assert np.log(normal.upper) - normal.coef == pytest.approx(1.959964 * normal.std_error, rel=1e-6)
    assert not np.allclose(normal.upper, profile.upper, rtol=1e-6)
