"""Cumulative incidence, Gray's test and Fine-Gray against hand calculation, numerical derivatives and R."""

from __future__ import annotations

import numpy as np
import pytest

from trialstrat.errors import InvalidInputError
from trialstrat.stats.competing import (
    cause_specific,
    cumulative_incidence,
    cumulative_incidence_by_group,
    gray_test,
)
from trialstrat.stats.cox import cox
from trialstrat.stats.fine_gray import fine_gray
from trialstrat.stats.survival import kaplan_meier

TIME = np.array([2.0, 3, 3, 5, 6, 6, 7, 8, 9, 9, 11, 12, 13, 14, 15, 15, 17, 18, 20, 21])
EVENT = np.array([1, 2, 0, 1, 1, 2, 0, 1, 2, 1, 0, 1, 1, 2, 0, 1, 1, 0, 2, 0])
GROUP = np.array(["a", "b", "a", "b", "a", "b", "b", "a", "a", "b", "a", "b", "b", "a", "a", "b", "a", "b", "a", "b"])
STRATUM = np.tile([1, 1, 2, 2], 5)
X = np.array(
    [0.5, -1.2, 0.3, 1.4, 0.9, -0.4, 0.1, 0.8, -0.7, 0.6, -1.5, 0.2, 1.1, -0.3, -0.9, 0.7, 0.4, -1.1, -0.2, -0.6]
)
Z = np.array([0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0])


def aalen_johansen(weight, entry, at, cause=1):
    """The estimate written as its definition."""
    survival, incidence = 1.0, 0.0
    for t in np.unique(TIME[(EVENT > 0) & (at >= TIME)]):
        at_risk = weight[(t <= TIME) & (entry < t)].sum()
        incidence += survival * weight[(t == TIME) & (cause == EVENT)].sum() / at_risk
        survival *= 1 - weight[(t == TIME) & (EVENT > 0)].sum() / at_risk
    return incidence


class TestCumulativeIncidence:
    def test_against_r(self):
        """R survival 3.5-3, survfit(Surv(t, factor(e)) ~ 1)."""
        first, second = (cumulative_incidence(TIME, EVENT, cause).at([5, 10, 15]) for cause in (1, 2))
        np.testing.assert_allclose(first.incidence, [0.102941176471, 0.269909502262, 0.459954751131], rtol=1e-11)
        np.testing.assert_allclose(second.incidence, [0.05, 0.159954751131, 0.223303167421], rtol=1e-11)
        np.testing.assert_allclose(first.std_error, [0.0690200297185, 0.1036078872969, 0.1208686442401], rtol=1e-11)
        np.testing.assert_allclose(second.std_error, [0.0487339717240, 0.0849509836938, 0.0992511164198], rtol=1e-11)

    @pytest.mark.parametrize("delayed", [False, True])
    @pytest.mark.parametrize("cause", [1, 2])
    def test_weights_and_entry_by_numerical_derivatives(self, delayed, cause):
        rng = np.random.default_rng(3)
        weight = rng.uniform(0.3, 2.5, TIME.size)
        entry = np.where(TIME > 6, rng.uniform(-1, 5, TIME.size), -1.0) if delayed else np.full(TIME.size, -1.0)
        curve = cumulative_incidence(TIME, EVENT, cause, weights=weight, entry=entry if delayed else None)
        for t in (5.0, 9.0, 14.0, 20.0):
            influence = []
            for i in range(TIME.size):
                step = np.zeros(TIME.size)
                step[i] = 1e-5
                rise = aalen_johansen(weight + step, entry, t, cause) - aalen_johansen(weight - step, entry, t, cause)
                influence.append(weight[i] * rise / 2e-5)
            found = curve.at(t)
            assert found.incidence[0] == pytest.approx(aalen_johansen(weight, entry, t, cause), rel=1e-12)
            assert found.std_error[0] == pytest.approx(np.linalg.norm(influence), rel=1e-6)

    def test_without_competing_events_it_is_one_minus_kaplan_meier(self):
        event = (EVENT == 1).astype(int)
        curve, survival = cumulative_incidence(TIME, event, 1), kaplan_meier(TIME, event)
        np.testing.assert_allclose(curve.incidence, 1 - survival.survival, atol=1e-14)
        # without ties at an event time the jackknife is Greenwood's formula
        np.testing.assert_allclose(curve.std_error, survival.std_error, rtol=1e-10)

    def test_rows_and_counts(self):
        curve = cumulative_incidence(TIME, EVENT, 1)
        np.testing.assert_array_equal(curve.time, np.unique(TIME))
        assert curve.n_risk[0] == 20
        assert curve.n_event.sum() == 9
        assert curve.n_other.sum() == 6 - 1
        assert curve.n_censor.sum() == 6
        assert curve.events == 9

    def test_before_and_after(self):
        found = cumulative_incidence(TIME, EVENT, 2).at([0, 2, 100])
        np.testing.assert_array_equal(found.incidence[:2], 0)
        np.testing.assert_array_equal(found.std_error[:2], 0)
        assert np.isnan(found.lower[:2]).all()
        assert found.incidence[2] == cumulative_incidence(TIME, EVENT, 2).incidence[-1]
        assert found.n_risk[2] == 0

    def test_limits(self):
        curve = cumulative_incidence(TIME, EVENT, 1)
        f, se = curve.incidence[8], curve.std_error[8]
        half = 1.959963984540054 * se / (f * abs(np.log(f)))
        assert curve.lower[8] == pytest.approx(np.exp(-np.exp(np.log(-np.log(f)) + half)), rel=1e-9)
        assert curve.upper[8] == pytest.approx(np.exp(-np.exp(np.log(-np.log(f)) - half)), rel=1e-9)

    def test_by_group(self):
        curves = cumulative_incidence_by_group(TIME, EVENT, 1, GROUP)
        assert list(curves) == ["a", "b"]
        alone = cumulative_incidence(TIME[GROUP == "b"], EVENT[GROUP == "b"], 1)
        np.testing.assert_array_equal(curves["b"].incidence, alone.incidence)

    def test_refusals(self):
        with pytest.raises(InvalidInputError, match="cause"):
            cumulative_incidence(TIME, EVENT, 0)
        with pytest.raises(InvalidInputError, match="negative"):
            cumulative_incidence(-TIME, EVENT, 1)
        with pytest.raises(InvalidInputError, match="event"):
            cumulative_incidence(TIME, EVENT + 0.5, 1)


class TestGray:
    @pytest.mark.parametrize(
        ("cause", "strata", "statistic", "p"),
        [
            (1, None, 0.0129048300347, 0.909555340832),
            (2, None, 0.1498856837625, 0.698644626922),
            (1, STRATUM, 0.0116800218714, 0.913936873440),
            (2, STRATUM, 0.1773939280193, 0.673622489842),
        ],
    )
    def test_against_r(self, cause, strata, statistic, p):
        """R cmprsk 2.2-11, cuminc."""
        found = gray_test(TIME, EVENT, cause, GROUP, strata=strata)
        assert found.statistic == pytest.approx(statistic, rel=1e-9)
        assert found.p == pytest.approx(p, rel=1e-9)
        assert found.df == 1

    def test_order_of_groups_does_not_matter(self):
        three = np.where(X > 0.6, "x", GROUP)
        renamed = np.select([three == "x", three == "a"], ["a", "b"], "c")
        one, other = gray_test(TIME, EVENT, 1, three), gray_test(TIME, EVENT, 1, renamed)
        assert one.df == 2
        assert other.statistic == pytest.approx(one.statistic, rel=1e-10)

    def test_not_estimable_and_refused(self):
        found = gray_test(TIME, np.where(EVENT == 1, 0, EVENT), 1, GROUP)
        assert found.status == "not_estimable"
        assert np.isnan(found.p)
        with pytest.raises(InvalidInputError, match="one group"):
            gray_test(TIME, EVENT, 1, np.ones(20))


class TestFineGray:
    def test_against_r(self):
        """R cmprsk 2.2-11, crr run to convergence."""
        first = fine_gray(TIME, EVENT, 1, np.column_stack((X, Z)))
        np.testing.assert_allclose(first.coef, [3.37935564385, -1.16082067005], rtol=1e-8)
        np.testing.assert_allclose(first.std_error, [0.782498015819, 0.776019475931], rtol=1e-8)
        second = fine_gray(TIME, EVENT, 2, np.column_stack((X, Z)))
        np.testing.assert_allclose(second.coef, [-1.3342597662786, -0.0745122912232], rtol=1e-8)
        np.testing.assert_allclose(second.std_error, [0.476577904046, 1.134512667326], rtol=1e-8)
        assert (first.events, first.competing, first.n) == (9, 5, 20)

    def test_without_competing_events_it_is_cox(self):
        event = (EVENT == 1).astype(int)
        found = fine_gray(TIME, event, 1, Z)
        plain = cox(TIME, event, Z, ties="breslow", cluster=np.arange(20))
        np.testing.assert_allclose(found.coef, plain.coef, rtol=1e-9)
        np.testing.assert_allclose(found.std_error, plain.robust_std_error, rtol=1e-9)
        assert found.loglik == pytest.approx(plain.loglik)

    def test_without_censoring_it_is_cox_with_endless_follow_up(self):
        event = np.where(EVENT == 0, 2, EVENT)
        found = fine_gray(TIME, event, 1, Z)
        plain = cox(np.where(event == 2, 99.0, TIME), event == 1, Z, ties="breslow", cluster=np.arange(20))
        np.testing.assert_allclose(found.coef, plain.coef, rtol=1e-9)
        np.testing.assert_allclose(found.std_error, plain.robust_std_error, rtol=1e-9)

    def test_scale_and_origin_of_covariates(self):
        one = fine_gray(TIME, EVENT, 1, np.column_stack((X, Z)))
        other = fine_gray(TIME, EVENT, 1, np.column_stack((1e6 + 1e3 * X, Z)))
        np.testing.assert_allclose(other.coef * [1e3, 1], one.coef, rtol=1e-6)
        np.testing.assert_allclose(other.std_error * [1e3, 1], one.std_error, rtol=1e-6)

    def test_collinear_column(self):
        found = fine_gray(TIME, EVENT, 1, np.column_stack((Z, 1 - Z)), names=["z", "not z"])
        assert found.collinear == ("not z",)
        assert found.status == "ok"
        np.testing.assert_allclose(found.coef[0], fine_gray(TIME, EVENT, 1, Z).coef[0])
        assert np.isnan(found.coef[1])
        assert "not z" in found.reason

    def test_not_estimable(self):
        assert fine_gray(TIME, np.where(EVENT == 1, 0, EVENT), 1, X).reason == "there is no event of the cause"
        assert fine_gray(TIME, EVENT, 1, np.ones(20)).status == "not_estimable"
        separated = fine_gray(TIME, EVENT, 1, EVENT == 1)
        assert separated.status == "not_estimable"
        assert "maximum" in separated.reason
        assert np.isnan(separated.coef).all()

    def test_refusals(self):
        with pytest.raises(InvalidInputError, match="X: 1 of 20"):
            fine_gray(TIME, EVENT, 1, np.append(X[1:], np.nan))
        with pytest.raises(InvalidInputError, match="names"):
            fine_gray(TIME, EVENT, 1, X, names=["a", "b"])


def test_cause_specific_is_cox_with_other_causes_censored():
    found = cause_specific(TIME, EVENT, 2, X, names=["x"], strata=STRATUM)
    plain = cox(TIME, EVENT == 2, X, strata=STRATUM)
    np.testing.assert_array_equal(found.coef, plain.coef)
    assert found.names == ("x",)
    assert found.events == 5
