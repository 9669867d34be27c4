"""What must hold for every Cox model, whatever its times, ties, weights and entries."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from trialstrat.stats.concordance import concordance_sums
from trialstrat.stats.cox import cox
from trialstrat.stats.cox_residuals import cox_residuals
from trialstrat.stats.firth import cox_firth
from trialstrat.stats.penalised import penalised_cox
from trialstrat.stats.proportional_hazards import ph_test
from trialstrat.stats.screen import cox_screen


def holds(*strategies):
    """Examples without a time limit: the first one may compile."""
    return lambda test: settings(deadline=None, max_examples=60)(given(*strategies)(test))


TIES = st.sampled_from(["efron", "breslow"])


@st.composite
def trials(draw, delayed=False, least=6):
    """Small trials with many ties: time, event, (arm, marker), entry or None, and another permutation of the rows."""
    n = draw(st.integers(least, 25))
    column = lambda values: np.array(draw(st.lists(values, min_size=n, max_size=n)))  # noqa: E731
    time = column(st.integers(1, 10)).astype(float)
    event = column(st.integers(0, 1))
    arm, marker = column(st.integers(0, 1)), column(st.integers(-3, 3))
    entry = time * column(st.integers(0, 9)) / 10.0 if delayed else None
    assume(event.sum() > 0)
    return time, event, np.column_stack([arm, marker]).astype(float), entry, np.array(draw(st.permutations(range(n))))


def same(a, b, atol=1e-7):
    np.testing.assert_allclose(a, b, rtol=1e-7, atol=atol)


def nearly_tied(coef, x):
    """Whether distinct patients have linear predictors that rounding alone tells apart: concordance jumps there."""
    values = np.sort(np.unique(x, axis=0) @ np.nan_to_num(coef))
    return bool(np.any(np.diff(values) < 1e-9))


@holds(trials(delayed=True), TIES)
def test_order_of_patients_does_not_matter(trial, ties):
    time, event, x, entry, shuffle = trial
    one = cox(time, event, x, entry=entry, ties=ties)
    two = cox(time[shuffle], event[shuffle], x[shuffle], entry=entry[shuffle], ties=ties)
    same(one.coef, two.coef)
    same(one.std_error, two.std_error)
    same(one.loglik, two.loglik)
    if not nearly_tied(one.coef, x):
        same(one.concordance_se, two.concordance_se)
    assert one.monotone == two.monotone
    martingale = [cox_residuals(fit, "martingale").values for fit in (one, two)]
    same(martingale[0][shuffle], martingale[1], atol=1e-6)


@holds(trials(delayed=True), TIES)
def test_swapped_arms_turn_the_sign(trial, ties):
    time, event, x, entry, _ = trial
    one = cox(time, event, x, entry=entry, ties=ties)
    two = cox(time, event, np.column_stack([1 - x[:, 0], x[:, 1]]), entry=entry, ties=ties)
    same(one.coef, two.coef * [-1, 1])
    same(one.std_error, two.std_error)
    same(one.lower[0], 1 / two.upper[0])
    same(one.likelihood_ratio.statistic, two.likelihood_ratio.statistic)


@holds(trials(delayed=True), TIES, st.floats(0.05, 9.95))
def test_follow_up_cut_in_two_rows_is_the_same_patient(trial, ties, cut):
    time, event, x, entry, _ = trial
    both = (entry < cut) & (cut < time)
    one = cox(time, event, x, entry=entry, ties=ties)
    two = cox(
        np.concatenate((np.where(both, cut, time), time[both])),
        np.concatenate((np.where(both, 0, event), event[both])),
        np.vstack((x, x[both])),
        entry=np.concatenate((entry, np.full(both.sum(), cut))),
        ties=ties,
        cluster=np.concatenate((np.arange(time.size), np.flatnonzero(both))),
    )
    same(one.coef, two.coef)
    same(one.std_error, two.std_error)
    same(one.loglik, two.loglik)
    same(one.score.statistic, two.score.statistic)
    robust = cox(time, event, x, entry=entry, ties=ties, cluster=np.arange(time.size))
    same(robust.robust_std_error, two.robust_std_error, atol=1e-6)


@holds(trials(delayed=True), st.data())
def test_whole_weights_are_copies(trial, data):
    """With Breslow's ties; Efron's formula knows that copies die at the same instant, weights do not."""
    time, event, x, entry, _ = trial
    weights = np.array(data.draw(st.lists(st.integers(0, 3), min_size=time.size, max_size=time.size)))
    assume((weights * event).sum() > 0)
    rows = np.repeat(np.arange(time.size), weights)
    one = cox(time, event, x, entry=entry, weights=weights, ties="breslow")
    two = cox(time[rows], event[rows], x[rows], entry=entry[rows], ties="breslow")
    same(one.coef, two.coef)
    same(one.std_error, two.std_error)
    same(one.loglik, two.loglik)
    if np.all(np.abs(one.coef) > 1e-6):  # the sign of an estimate of 0 is rounding, and turns the order around
        same(one.concordance, two.concordance)


@holds(trials(), TIES, st.sampled_from([1e-6, 0.1, 250.0, 1e6]), st.sampled_from([-1e4, 0.0, 3.0]))
def test_scale_and_origin_of_a_covariate(trial, ties, scale, origin):
    time, event, x, _, _ = trial
    one = cox(time, event, x, ties=ties)
    two = cox(time, event, np.column_stack([x[:, 0], scale * x[:, 1] + origin * scale]), ties=ties)
    same(one.coef, two.coef * [1, scale], atol=1e-6)
    same(one.std_error, two.std_error * [1, scale], atol=1e-6)
    same(one.loglik, two.loglik)
    assert one.monotone == two.monotone


@holds(trials(), TIES)
def test_only_the_order_of_times_matters(trial, ties):
    time, event, x, _, _ = trial
    one = cox(time, event, x, ties=ties)
    two = cox(np.exp(time), event, x, ties=ties)
    same(one.coef, two.coef)
    same(ph_test(one, "rank").overall.statistic, ph_test(two, "rank").overall.statistic, atol=1e-5)


@holds(trials(), TIES)
def test_strata_share_the_coefficients_and_nothing_else(trial, ties):
    time, event, x, _, _ = trial
    constant = cox(time, event, x[:, 1], ties=ties, strata=np.zeros(time.size))
    same(constant.loglik, cox(time, event, x[:, 1], ties=ties).loglik)
    split = cox(time, event, x[:, 1], ties=ties, strata=x[:, 0])
    parts = [cox(time[r], event[r], x[r, 1], ties=ties) for r in (x[:, 0] == 0, x[:, 0] == 1) if event[r].any()]
    same(split.loglik_null, sum(part.loglik_null for part in parts))
    assert split.loglik <= sum(part.loglik for part in parts) + 1e-8


@holds(trials(delayed=True), TIES)
def test_never_an_absurd_estimate(trial, ties):
    time, event, x, entry, _ = trial
    fit = cox(time, event, x, entry=entry, ties=ties)
    assert fit.loglik >= fit.loglik_null - 1e-9
    known = fit.estimable
    assert np.all(np.abs(fit.coef[0:1][known[:1]]) <= 10)
    assert np.all(np.isfinite(fit.std_error[known]))
    assert np.all(fit.std_error[known] > 0)
    assert known.all() or fit.reason
    assert (fit.status == "ok") == bool(known.any())


@holds(trials())
def test_firth_is_finite_where_the_likelihood_is_not(trial):
    time, event, x, _, _ = trial
    assume(np.ptp(x[:, 0]) > 0)
    fit = cox_firth(time, event, x[:, 0])
    plain = cox(time, event, x[:, 0], ties="breslow")
    if plain.collinear:
        assert fit.status == "not_estimable"
        return
    assert fit.converged
    assert np.isfinite(fit.coef[0])
    assert abs(fit.coef[0]) < 10
    if plain.status == "ok":
        assert abs(fit.coef[0]) <= abs(plain.coef[0]) + 0.5
    assert fit.lower[0] < fit.hazard_ratio[0] < fit.upper[0]


@holds(trials(delayed=True), st.data())
def test_concordance_is_symmetric_and_bounded(trial, data):
    time, event, _, entry, _ = trial
    risk = np.array(data.draw(st.lists(st.integers(-3, 3), min_size=time.size, max_size=time.size)))
    up, down = (concordance_sums(time, event, sign * risk, entry=entry) for sign in (1, -1))
    assume(up.comparable > 0)
    assert 0 <= up.concordance <= 1
    same(up.concordance, 1 - down.concordance)
    same(up.influence, -down.influence)


@holds(trials())
def test_screen_is_the_model(trial):
    time, event, x, _, _ = trial
    found = cox_screen(x, time, event)
    for j in range(2):
        fit = cox(time, event, x[:, j])
        same(found.effect[j], fit.coef[0])
        same(found.std_error[j], fit.std_error[0])


@holds(trials(delayed=True), st.floats(0.0, 1.0))
def test_penalty_only_lowers_the_likelihood(trial, alpha):
    time, event, x, entry, _ = trial
    path = penalised_cox(time, event, x, entry=entry, lambdas=[0.5, 0.1, 0.02], alpha=alpha)
    assert path.converged.all()
    assert np.all(np.diff(path.loglik) >= -1e-6)
    assert np.all(path.loglik >= path.loglik_null - 1e-9)
    assert np.all(path.loglik <= cox(time, event, x, entry=entry, ties="breslow").loglik + 1e-6)
