"""The test of proportional hazards, against the model with an explicit time-dependent covariate."""

import numpy as np
import pytest
from scipy.stats import chi2

from tests.unit.stats.cox_by_hand import trial
from trialstrat.errors import InvalidInputError
from trialstrat.stats.cox import cox
from trialstrat.stats.proportional_hazards import ph_test


def split_at_events(data, g):
    """Every patient cut at every event time, with x g(t) as covariates of the interval that ends at t."""
    times = np.unique(data["time"][data["event"] == 1])
    rows = []
    for i in range(data["time"].size):
        cuts = np.append(times[times < data["time"][i]], data["time"][i])
        start = -1.0
        for end in cuts:
            value = g(end)
            last = end == data["time"][i]
            rows.append((start, end, data["event"][i] * last, *data["x"][i], *(data["x"][i] * value)))
            start = end
    return np.array(rows)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize(("transform", "g"), [("identity", lambda t: t), ("log", np.log)])
def test_is_the_score_test_of_the_time_dependent_covariate(ties, transform, g):
    data = trial(n=50, seed=2)
    fit = cox(data["time"], data["event"], data["x"], ties=ties)
    found = ph_test(fit, transform)
    long = split_at_events(data, g)
    x, xg = long[:, 3:5], long[:, 5:7]
    for j, name in enumerate(fit.names):
        # the score of (x, x_j g) at (fitted coefficients, 0): start there by an offset
        wide = cox(
            long[:, 1], long[:, 2], np.column_stack([x, xg[:, j]]), entry=long[:, 0], offset=x @ fit.coef, ties=ties
        )
        assert found.covariates[name].statistic == pytest.approx(wide.score.statistic, rel=1e-7)
        assert found.covariates[name].p == pytest.approx(chi2.sf(wide.score.statistic, 1), rel=1e-6)
    wide = cox(long[:, 1], long[:, 2], np.column_stack([x, xg]), entry=long[:, 0], offset=x @ fit.coef, ties=ties)
    assert found.overall.statistic == pytest.approx(wide.score.statistic, rel=1e-7)
    assert found.overall.df == 2


def test_sees_a_late_effect():
    rng = np.random.default_rng(0)
    n = 400
    arm = rng.integers(0, 2, n)
    early = rng.exponential(1.0, n)
    time = np.where((arm == 1) & (early > 0.5), 0.5 + (early - 0.5) * 3, early)
    found = ph_test(cox(time, np.ones(n), arm), "km")
    assert found.overall.p < 0.01
    constant = ph_test(cox(rng.exponential(np.exp(0.5 * arm)), np.ones(n), arm), "km")
    assert constant.overall.p > 0.01


@pytest.mark.parametrize("transform", ["km", "rank"])
def test_depends_on_the_order_of_times_only(transform):
    data = trial(n=60, seed=5, ties=False)
    one = ph_test(cox(data["time"], data["event"], data["x"]), transform)
    other = ph_test(cox(data["time"] ** 3, data["event"], data["x"]), transform)
    assert one.overall.statistic == pytest.approx(other.overall.statistic, rel=1e-8)


def test_not_estimable():
    assert ph_test(cox([1, 2, 3], [0, 0, 0], [1, 0, 1])).overall.status == "not_estimable"
    single = ph_test(cox([1, 2, 3, 4], [0, 1, 0, 0], [1.0, 0.3, 1, 0]))
    assert single.covariates["x1"].status == "not_estimable"


def test_inestimable_columns_have_no_test():
    data = trial(n=60)
    found = ph_test(cox(data["time"], data["event"], np.column_stack([data["x"], np.ones(60)]), names=["a", "b", "c"]))
    assert found.covariates["c"].status == "not_estimable"
    assert found.covariates["a"].status == "ok"
    assert found.overall.df == 2


def test_log_at_time_zero_and_unknown_transforms_are_refused():
    fit = cox([0.0, 1, 2, 3], [1, 1, 1, 0], [1.0, 0, 1, 0])
    with pytest.raises(InvalidInputError, match="time 0"):
        ph_test(fit, "log")
    with pytest.raises(InvalidInputError, match="transform"):
        ph_test(fit, "sqrt")  # pyright: ignore[reportArgumentType]
