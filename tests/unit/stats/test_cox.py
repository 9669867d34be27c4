"""Cox regression against its definition, published numbers, and the cases in which there is no estimate."""

import numpy as np
import pytest
from scipy.stats import chi2, norm

from tests.unit.stats.cox_by_hand import derivative, log_likelihood, trial
from trialstrat.errors import InvalidInputError
from trialstrat.stats.cox import cox, cox_compare

# Freireich et al. (1963): remission of leukaemia, weeks; 6-MP and placebo. Coefficients: Cox (1972) and textbooks.
MP = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
MP_EVENT = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]


def leukaemia():
    time = np.array(MP + PLACEBO, float)
    event = np.array(MP_EVENT + [1] * 21)
    return time, event, np.repeat([0.0, 1.0], 21)


def test_leukaemia_published():
    time, event, placebo = leukaemia()
    breslow = cox(time, event, placebo, ties="breslow")
    efron = cox(time, event, placebo)
    assert breslow.coef[0] == pytest.approx(1.5092, abs=5e-5)
    assert breslow.std_error[0] == pytest.approx(0.4096, abs=5e-5)
    assert efron.coef[0] == pytest.approx(1.5721, abs=5e-5)
    assert efron.std_error[0] == pytest.approx(0.4124, abs=5e-5)
    assert efron.hazard_ratio[0] == pytest.approx(4.817, abs=5e-4)
    assert efron.likelihood_ratio.statistic == pytest.approx(16.35, abs=5e-3)
    assert (efron.n, efron.events) == (42, 30)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("late", [False, True])
def test_agrees_with_the_definition(ties, late):
    data = trial(seed=3, late=late)
    options = {key: data[key] for key in ("entry", "strata", "weights", "offset")}
    fit = cox(data["time"], data["event"], data["x"], ties=ties, **options)

    def loglik(beta):
        return log_likelihood(beta, data["time"], data["event"], data["x"], ties=ties, **options)

    assert fit.converged
    assert fit.loglik == pytest.approx(loglik(fit.coef), rel=1e-12)
    assert fit.loglik_null == pytest.approx(loglik(np.zeros(2)), rel=1e-12)
    slope = derivative(loglik, fit.coef)
    assert np.abs(slope).max() < 1e-6
    information = -derivative(lambda b: derivative(loglik, b), fit.coef, 1e-4)
    assert np.linalg.inv(information) == pytest.approx(fit.covariance, rel=1e-4)
    null_slope = derivative(loglik, np.zeros(2))
    null_information = -derivative(lambda b: derivative(loglik, b), np.zeros(2), 1e-4)
    assert fit.score.statistic == pytest.approx(null_slope @ np.linalg.inv(null_information) @ null_slope, rel=1e-4)


def test_wald_limits_and_p_follow_from_the_estimates():
    data = trial(seed=5)
    fit = cox(data["time"], data["event"], data["x"], level=0.9)
    z = fit.coef / fit.std_error
    assert fit.p == pytest.approx(2 * norm.sf(np.abs(z)), rel=1e-12)
    assert np.log(fit.lower) == pytest.approx(fit.coef - norm.ppf(0.95) * fit.std_error)
    assert np.log(fit.upper) == pytest.approx(fit.coef + norm.ppf(0.95) * fit.std_error)
    statistic = fit.coef @ np.linalg.solve(fit.covariance, fit.coef)
    assert fit.wald.statistic == pytest.approx(statistic)
    assert fit.wald.p == pytest.approx(chi2.sf(statistic, 2))
    assert fit.likelihood_ratio.statistic == pytest.approx(2 * (fit.loglik - fit.loglik_null))


@pytest.mark.parametrize(("ties", "late"), [("breslow", False), ("breslow", True), ("efron", False)])
def test_sandwich_is_the_sum_of_squared_influences(ties, late):
    """Influence of a row: its weight times the derivative of the estimate by that weight."""
    data = trial(n=24, seed=1, late=late, ties=ties == "breslow")
    cluster = np.arange(24) // 2
    options = {"entry": data["entry"], "strata": data["strata"] > 0, "ties": ties}

    def estimate(change, row):
        weights = data["weights"].copy()
        weights[row] *= 1 + change
        return cox(data["time"], data["event"], data["x"], weights=weights, **options).coef

    influence = np.array([(estimate(1e-4, i) - estimate(-1e-4, i)) / 2e-4 for i in range(24)])
    summed = np.array([influence[cluster == c].sum(axis=0) for c in range(12)])
    fit = cox(data["time"], data["event"], data["x"], weights=data["weights"], cluster=cluster, **options)
    assert fit.robust_std_error == pytest.approx(np.sqrt((summed**2).sum(axis=0)), rel=1e-5)
    assert fit.covariance.diagonal() == pytest.approx(fit.robust_std_error**2)
    plain = cox(data["time"], data["event"], data["x"], weights=data["weights"], **options)
    assert fit.std_error == pytest.approx(plain.std_error)
    assert fit.score.statistic == pytest.approx(plain.score.statistic)


def test_collinear_columns_are_named_and_left_out():
    data = trial(seed=2)
    x = data["x"]
    wide = np.column_stack([x[:, 0], x[:, 1], x[:, 0] - 2 * x[:, 1], np.full(60, 3.0)])
    fit = cox(data["time"], data["event"], wide, names=["a", "b", "c", "d"])
    small = cox(data["time"], data["event"], x)
    assert fit.collinear == ("c", "d")
    assert fit.coef[:2] == pytest.approx(small.coef, rel=1e-10)
    assert np.isnan(fit.coef[2:]).all()
    assert np.isnan(fit.std_error[2:]).all()
    assert fit.likelihood_ratio.df == 2
    assert "c, d" in fit.reason
    assert fit.status == "ok"


def test_nearly_collinear_columns_are_not_called_separated():
    data = trial(n=60, seed=2)
    noise = np.random.default_rng(0).normal(size=60)
    fit = cox(data["time"], data["event"], np.column_stack([data["x"][:, 0], data["x"][:, 0] + 1e-5 * noise]))
    assert np.isnan(fit.coef).all()
    assert "nearly collinear" in fit.reason


def test_a_covariate_constant_within_strata_has_no_estimate():
    data = trial(seed=2)
    fit = cox(data["time"], data["event"], data["strata"].astype(float), strata=data["strata"])
    assert fit.status == "not_estimable"
    assert np.isnan(fit.coef[0])
    assert fit.score.status == "not_estimable"


@pytest.mark.parametrize("late", [False, True])
def test_separation_is_named_and_not_estimated(late):
    data = trial(n=120, seed=4, late=late)
    event = np.where(data["x"][:, 1] == 1, 0, data["event"])
    fit = cox(data["time"], event, data["x"], entry=data["entry"], names=["x", "separated"])
    rest = cox(data["time"], event, data["x"][:, 0], strata=data["x"][:, 1], entry=data["entry"])
    assert fit.monotone == ("separated",)
    assert np.isnan(fit.coef[1])
    assert np.isnan(fit.hazard_ratio[1])
    assert fit.wald.status == "not_estimable"
    assert "separated" in fit.reason
    # at the limit the separated patients have left the risk sets
    assert fit.coef[0] == pytest.approx(rest.coef[0], abs=1e-8)
    assert fit.std_error[0] == pytest.approx(rest.std_error[0], rel=1e-6)
    assert fit.loglik == pytest.approx(rest.loglik, abs=1e-8)
    assert fit.likelihood_ratio.status == "ok"


def test_separated_main_effect_takes_its_interaction_along():
    rng = np.random.default_rng(1)
    arm, marker = rng.integers(0, 2, 80), rng.integers(0, 2, 80)
    event = np.where(marker == 1, 0, 1)
    fit = cox(rng.exponential(1, 80), event, np.column_stack([arm, marker, arm * marker]), names=["a", "m", "am"])
    assert set(fit.monotone) == {"m", "am"}
    assert np.isfinite(fit.coef[0])
    assert np.isnan(fit.coef[1:]).all()


@pytest.mark.parametrize("scale", [1e-200, 1e-100, 1e100, 1e200])
def test_scales_near_the_limits_of_a_double(scale):
    data = trial(seed=2)
    one = cox(data["time"], data["event"], data["x"])
    fit = cox(data["time"], data["event"], np.column_stack([data["x"][:, 0] * scale, data["x"][:, 1]]))
    if scale in (1e-100, 1e100):
        assert fit.coef * [scale, 1] == pytest.approx(one.coef)
        assert fit.std_error * [scale, 1] == pytest.approx(one.std_error)
    else:
        assert fit.collinear == ("x1",)
        assert np.isfinite(fit.coef[1])


@pytest.mark.parametrize("n", [3, 8, 40])
def test_perfect_ranking_has_no_estimate(n):
    time = np.arange(1.0, n + 1)
    fit = cox(time, np.ones(n), -time)
    assert fit.status == "not_estimable"
    assert np.isnan(fit.coef[0])
    assert np.isnan(fit.concordance)


def test_no_event():
    fit = cox([1, 2, 3], [0, 0, 0], [1, 0, 1])
    assert fit.status == "not_estimable"
    assert fit.reason == "there is no event"
    assert np.isnan(fit.coef[0])
    assert fit.wald.status == fit.score.status == fit.likelihood_ratio.status == "not_estimable"


def test_no_covariate_is_the_null_model():
    data = trial()
    fit = cox(data["time"], data["event"], np.zeros((60, 0)))
    assert fit.status == "ok"
    assert fit.loglik == fit.loglik_null
    assert fit.loglik == pytest.approx(log_likelihood(np.zeros(0), data["time"], data["event"], np.zeros((60, 0))))


def test_weights_over_eight_orders_of_magnitude_with_late_entry():
    data = trial(n=40, seed=8, late=True)
    weights = 10 ** np.linspace(-4, 4, 40)[np.random.default_rng(0).permutation(40)]
    fit = cox(data["time"], data["event"], data["x"], entry=data["entry"], weights=weights)

    def loglik(beta):
        return log_likelihood(beta, data["time"], data["event"], data["x"], entry=data["entry"], weights=weights)

    assert fit.converged
    assert fit.loglik == pytest.approx(loglik(fit.coef), rel=1e-12)
    assert np.abs(derivative(loglik, fit.coef)).max() < 1e-6 * weights.sum()


def test_zero_weight_is_absence():
    data = trial(seed=6)
    weights = data["weights"] * (np.arange(60) % 3 > 0)
    rows = weights > 0
    whole = cox(data["time"], data["event"], data["x"], weights=weights)
    part = cox(data["time"][rows], data["event"][rows], data["x"][rows], weights=weights[rows])
    assert whole.coef == pytest.approx(part.coef, rel=1e-10)
    assert whole.loglik == pytest.approx(part.loglik, rel=1e-12)
    assert whole.concordance_se == pytest.approx(part.concordance_se)
    assert (whole.n, whole.events) == (part.n, part.events)


def test_times_equal_up_to_rounding_are_tied():
    time = np.array([0.1 + 0.2, 0.3, 0.5, 0.7, 1.1])
    exact = np.array([0.3, 0.3, 0.5, 0.7, 1.1])
    event, x = [1, 1, 0, 1, 1], [0.2, 1.0, -0.3, 0.4, 0.1]
    assert cox(time, event, x).coef == pytest.approx(cox(exact, event, x).coef, rel=1e-14)


def test_offset_takes_the_place_of_a_coefficient():
    data = trial(seed=7)
    both = cox(data["time"], data["event"], data["x"])
    one = cox(data["time"], data["event"], data["x"][:, 1], offset=both.coef[0] * data["x"][:, 0])
    assert one.coef[0] == pytest.approx(both.coef[1], abs=1e-8)
    assert one.loglik == pytest.approx(both.loglik)


def test_concordance_of_the_linear_predictor():
    time, event, placebo = leukaemia()
    fit = cox(time, event, placebo)
    concordant = comparable = 0.0
    for i in np.flatnonzero(event):
        for j in range(time.size):
            if time[j] > time[i] or (time[j] == time[i] and not event[j]):
                comparable += 1
                concordant += (placebo[i] > placebo[j]) + 0.5 * (placebo[i] == placebo[j])
    assert fit.concordance == pytest.approx(concordant / comparable)


def test_compare_is_the_likelihood_ratio():
    data = trial(seed=9)
    small = cox(data["time"], data["event"], data["x"][:, 0], names=["a"])
    large = cox(data["time"], data["event"], data["x"], names=["a", "b"])
    test = cox_compare(small, large)
    assert test.statistic == pytest.approx(2 * (large.loglik - small.loglik))
    assert test.df == 1
    assert test.p == pytest.approx(chi2.sf(test.statistic, 1))
    assert "(b)" in test.null_hypothesis


def test_compare_refuses_what_is_not_nested():
    data = trial(seed=9)
    one, two = (cox(data["time"], data["event"], data["x"][:, j]) for j in (0, 1))
    with pytest.raises(InvalidInputError, match="not all in the large"):
        cox_compare(one, two)
    other = cox(data["time"][:50], data["event"][:50], data["x"][:50])
    with pytest.raises(InvalidInputError, match="must share rows"):
        cox_compare(one, other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"event": [0, 1, 2]}, "event"),
        ({"time": [1, -1, 2]}, "time"),
        ({"time": [1, np.nan, 2]}, "time"),
        ({"X": [1, np.nan, 2]}, "X"),
        ({"X": [1, 2]}, "X"),
        ({"weights": [1, -1, 2]}, "weights"),
        ({"entry": [0, 2, 0]}, "entry"),
        ({"ties": "exact"}, "ties"),
        ({"names": ["a", "b"]}, "names"),
        ({"level": 95}, "level"),
        ({"offset": [0, np.inf, 0]}, "offset"),
    ],
)
def test_impossible_input_is_refused(change, message):
    arguments = {"time": [1, 2, 3], "event": [1, 1, 0], "X": [0.0, 1.0, 2.0], **change}
    with pytest.raises(InvalidInputError, match=message):
        cox(**arguments)
