"""Concordance, AUC, Brier score, calibration and net benefit against brute force, numerical derivatives and R."""

from __future__ import annotations

import numpy as np
import pytest

from trialstrat.errors import InvalidInputError
from trialstrat.stats.brier import brier
from trialstrat.stats.calibration import calibration
from trialstrat.stats.calibration_curve import calibration_curve
from trialstrat.stats.censoring import censoring_survival
from trialstrat.stats.net_benefit import net_benefit
from trialstrat.stats.scores import harrell_c, time_dependent_auc, uno_c

TIME = np.array([2.0, 3, 3, 5, 6, 6, 7, 8, 9, 9, 11, 12, 13, 14, 15, 15, 17, 18, 20, 21])
EVENT = np.array([1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 0, 1, 0])
RISK = np.array(
    [0.9, 0.4, 0.5, 0.8, 0.8, 0.2, 0.3, 0.6, 0.6, 0.1, 0.3, 0.7, 0.2, 0.35, 0.15, 0.5, 0.25, 0.05, 0.3, 0.12]
)


def g_left(time, event, weight, t):
    """Kaplan-Meier of censoring just before t, events at a tied time gone first."""
    value = 1.0
    for u in np.unique(time[(event == 0) & (time < t)]):
        at_risk = weight[(time > u) | ((time == u) & (event == 0))].sum()
        value *= 1.0 - weight[(time == u) & (event == 0)].sum() / at_risk
    return value


def g_at(time, event, weight, t):
    return g_left(time, event, weight, np.nextafter(t, np.inf))


def brute_c(time, event, risk, weight, share, stratum):
    above = below = 0.0
    for i in range(time.size):
        for j in range(time.size):
            later = time[j] > time[i] or (time[j] == time[i] and not event[j])
            if event[i] and later and stratum[i] == stratum[j]:
                mass = weight[i] * weight[j] * share[i]
                below += mass
                above += mass * (1.0 if risk[i] > risk[j] else 0.5 if risk[i] == risk[j] else 0.0)
    return above / below


def brute_brier(time, event, survival, weight, t, fixed=None):
    total = 0.0
    base = weight if fixed is None else fixed
    for i in range(time.size):
        if time[i] <= t and event[i]:
            total += weight[i] * survival[i] ** 2 / g_left(time, event, base, time[i])
        elif time[i] > t:
            total += weight[i] * (1 - survival[i]) ** 2 / g_at(time, event, base, t)
    return total / weight.sum()


def brute_auc(time, event, risk, weight, t, fixed=None):
    base = weight if fixed is None else fixed
    above = below = 0.0
    for i in np.flatnonzero((time <= t) & (event == 1)):
        for j in np.flatnonzero(time > t):
            mass = weight[i] * weight[j] / g_left(time, event, base, time[i])
            below += mass
            above += mass * (1.0 if risk[i] > risk[j] else 0.5 if risk[i] == risk[j] else 0.0)
    return above / below


def jackknife(statistic, weight, step=1e-5):
    """Infinitesimal jackknife standard error by central differences."""
    influence = []
    for i in range(weight.size):
        up, down = weight.copy(), weight.copy()
        up[i] += step
        down[i] -= step
        influence.append(weight[i] * (statistic(up) - statistic(down)) / (2 * step))
    return float(np.sqrt(np.sum(np.square(influence))))


class TestCensoringSurvival:
    def test_events_leave_before_censorings(self):
        curve = censoring_survival([1, 1, 2, 3, 3, 4], [1, 0, 0, 1, 0, 0])
        # at 1: 5 left, 1 censored; at 2: 4 left; at 3: 2 left after the event; at 4: all
        np.testing.assert_allclose(curve.at([0.5, 1, 2, 3, 4]), [1, 0.8, 0.6, 0.3, 0])
        np.testing.assert_allclose(curve.left([0.5, 1, 2, 3, 4]), [1, 1, 0.8, 0.6, 0.3])

    def test_unknown_beyond_the_last_time(self):
        curve = censoring_survival([1, 2], [0, 1])
        assert np.isnan(curve.left(2.5))
        assert np.isnan(curve.at(2.5))
        assert curve.left(2.0) == 0.5

    def test_rounding_does_not_move_a_time_across_a_censoring(self):
        curve = censoring_survival([0.3, 0.5, 0.9], [0, 1, 1])
        assert curve.left(0.1 + 0.2) == 1.0
        assert curve.at(0.1 + 0.2) == curve.at(0.3)

    def test_weights_count_as_copies(self):
        weighted = censoring_survival([1, 2, 3, 4], [0, 1, 0, 1], weights=[2, 1, 1, 3])
        copied = censoring_survival([1, 1, 2, 3, 4, 4, 4], [0, 0, 1, 0, 1, 1, 1])
        np.testing.assert_allclose(weighted.at([1, 2, 3, 4]), copied.at([1, 2, 3, 4]))


class TestConcordance:
    @pytest.mark.parametrize("tau", [None, 9.0, 14.5])
    def test_harrell_with_weights_and_strata(self, tau):
        rng = np.random.default_rng(1)
        weight, stratum = rng.uniform(0.2, 3, TIME.size), rng.integers(0, 3, TIME.size)
        share = np.where((tau or np.inf) >= TIME, 1.0, 0.0)
        found = harrell_c(TIME, EVENT, RISK, weights=weight, strata=stratum, tau=tau)

        def statistic(w):
            return brute_c(TIME, EVENT, RISK, w, share, stratum)

        assert found.value == pytest.approx(statistic(weight), rel=1e-12)
        assert found.std_error == pytest.approx(jackknife(statistic, weight), rel=1e-6)
        assert found.lower < found.value < found.upper
        assert found.events == np.count_nonzero(EVENT * share)

    def test_uno(self):
        one, none = np.ones(TIME.size), np.zeros(TIME.size)
        share = np.array([g_left(TIME, EVENT, one, t) for t in TIME]) ** -2.0 * (TIME <= 15)
        found = uno_c(TIME, EVENT, RISK, tau=15)

        def statistic(w):
            return brute_c(TIME, EVENT, RISK, w, share, none)

        assert found.value == pytest.approx(statistic(one), rel=1e-12)
        assert found.std_error == pytest.approx(jackknife(statistic, one), rel=1e-6)

    def test_uno_with_the_training_censoring(self):
        training = censoring_survival(TIME[::2], EVENT[::2])
        share = np.array([g_left(TIME[::2], EVENT[::2], np.ones(10), t) for t in TIME[1::2]]) ** -2.0
        counted = TIME[1::2] <= 12
        expected = brute_c(TIME[1::2], EVENT[1::2], RISK[1::2], np.ones(10), share * counted, np.zeros(10))
        found = uno_c(TIME[1::2], EVENT[1::2], RISK[1::2], tau=12, censoring=training)
        assert found.value == pytest.approx(expected, rel=1e-12)

    def test_uno_beyond_the_training_follow_up_is_not_estimable(self):
        training = censoring_survival([1, 2, 3], [1, 0, 1])
        found = uno_c(TIME, EVENT, RISK, censoring=training)
        assert found.status == "not_estimable"
        assert "tau" in found.reason
        assert uno_c(TIME, EVENT, RISK, censoring=training, tau=3).status == "ok"

    def test_without_censoring_uno_is_harrell(self):
        every = np.ones(TIME.size)
        assert uno_c(TIME, every, RISK).value == pytest.approx(harrell_c(TIME, every, RISK).value, rel=1e-13)

    def test_perfect_order_has_no_interval(self):
        found = harrell_c([1, 2, 3, 4], [1, 1, 1, 1], [4, 3, 2, 1])
        assert found.value == 1.0
        assert found.std_error == 0.0
        assert np.isnan(found.lower)

    def test_no_pair(self):
        for score in (harrell_c, uno_c):
            found = score([1, 2, 3], [0, 0, 0], [1, 2, 3])
            assert found.status == "not_estimable"
            assert np.isnan(found.value)
            assert "0 events" in found.reason

    def test_rounding_makes_no_pair(self):
        # 0.1 + 0.2 and 0.3 are one time: two events there are not comparable
        assert harrell_c([0.1 + 0.2, 0.3], [1, 1], [1, 0]).status == "not_estimable"

    def test_level(self):
        wide, narrow = (harrell_c(TIME, EVENT, RISK, level=level) for level in (0.99, 0.5))
        assert wide.upper - wide.lower == pytest.approx((narrow.upper - narrow.lower) * 2.5758293 / 0.6744898, rel=1e-6)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"risk": np.append(RISK[1:], np.nan)}, "risk: 1 of 20"),
            ({"risk": RISK[1:]}, "risk: has 19 rows"),
            ({"time": -TIME}, "negative"),
            ({"event": EVENT * 2}, "event"),
            ({"tau": 0.0}, "tau"),
            ({"level": 1.0}, "level"),
        ],
    )
    def test_refusals(self, change, message):
        arguments = {"time": TIME, "event": EVENT, "risk": RISK} | change
        with pytest.raises(InvalidInputError, match=message):
            harrell_c(**arguments)
        with pytest.raises(InvalidInputError, match=message):
            uno_c(**arguments)


class TestAuc:
    def test_against_brute_force(self):
        one = np.ones(TIME.size)
        found = time_dependent_auc(TIME, EVENT, RISK, [5, 9, 15])
        for k, t in enumerate([5, 9, 15]):

            def statistic(w, t=t):
                return brute_auc(TIME, EVENT, RISK, w, t)

            assert found.auc[k] == pytest.approx(statistic(one), rel=1e-12)
            assert found.std_error[k] == pytest.approx(jackknife(statistic, one), rel=1e-5)
        np.testing.assert_array_equal(found.cases, [3, 8, 12])
        np.testing.assert_array_equal(found.controls, [16, 10, 4])

    def test_given_censoring_is_held_fixed(self):
        one = np.ones(TIME.size)
        found = time_dependent_auc(TIME, EVENT, RISK, 9.0, censoring=censoring_survival(TIME, EVENT))
        expected = jackknife(lambda w: brute_auc(TIME, EVENT, RISK, w, 9, fixed=one), one)
        assert found.std_error[0] == pytest.approx(expected, rel=1e-6)

    def test_one_risk_per_time(self):
        both = time_dependent_auc(TIME, EVENT, np.column_stack((RISK, -RISK)), [9, 15])
        assert both.auc[0] == time_dependent_auc(TIME, EVENT, RISK, [9]).auc[0]
        assert both.auc[1] == pytest.approx(1 - time_dependent_auc(TIME, EVENT, RISK, [15]).auc[0])

    def test_where_it_cannot_be_estimated(self):
        found = time_dependent_auc(TIME, EVENT, RISK, [1, 9, 30])
        assert found.status == "ok"
        np.testing.assert_array_equal(np.isnan(found.auc), [True, False, True])
        assert found.reason.startswith("0 cases")
        assert time_dependent_auc(TIME, EVENT, RISK, [30, 40]).status == "not_estimable"

    def test_refusals(self):
        with pytest.raises(InvalidInputError, match="increasing"):
            time_dependent_auc(TIME, EVENT, RISK, [9, 5])
        with pytest.raises(InvalidInputError, match="risk: has 2 columns"):
            time_dependent_auc(TIME, EVENT, np.column_stack((RISK, RISK)), [5, 9, 15])


class TestBrier:
    TIMES = np.array([5.0, 9.0, 15.0])

    def predictions(self):
        return np.exp(-np.outer(RISK, self.TIMES) / 10)

    def test_against_brute_force(self):
        one, predicted = np.ones(TIME.size), self.predictions()
        found = brier(TIME, EVENT, predicted, self.TIMES)
        for k, t in enumerate(self.TIMES):

            def statistic(w, k=k, t=t):
                return brute_brier(TIME, EVENT, predicted[:, k], w, t)

            assert found.brier[k] == pytest.approx(statistic(one), rel=1e-12)
            assert found.std_error[k] == pytest.approx(jackknife(statistic, one), rel=1e-5)
        np.testing.assert_allclose(found.ipa, 1 - found.brier / found.brier_null)

    def test_given_censoring_is_held_fixed(self):
        one, predicted = np.ones(TIME.size), self.predictions()[:, :1]
        found = brier(TIME, EVENT, predicted, 5.0, censoring=censoring_survival(TIME, EVENT))
        expected = jackknife(lambda w: brute_brier(TIME, EVENT, predicted[:, 0], w, 5, fixed=one), one)
        assert found.std_error[0] == pytest.approx(expected, rel=1e-6)

    def test_integral(self):
        found = brier(TIME, EVENT, self.predictions(), self.TIMES)
        a, b, c = found.brier
        assert found.integrated == pytest.approx((4 * (a + b) / 2 + 6 * (b + c) / 2) / 10)
        assert found.integrated_ipa == pytest.approx(1 - found.integrated / found.integrated_null)
        cut = brier(TIME, EVENT, self.predictions(), self.TIMES, tau=9)
        assert cut.integrated == pytest.approx((a + b) / 2)
        np.testing.assert_array_equal(cut.brier, found.brier)
        assert np.isnan(brier(TIME, EVENT, self.predictions()[:, :1], 5.0).integrated)

    def test_kaplan_meier_itself_has_no_accuracy(self):
        null = np.tile([[0.4]], (TIME.size, 1))
        found = brier(TIME, np.ones(TIME.size), null, 12.0)
        assert found.brier_null[0] == pytest.approx(found.brier[0])
        assert found.ipa[0] == pytest.approx(0.0, abs=1e-12)

    def test_beyond_follow_up(self):
        found = brier(TIME, EVENT, self.predictions(), [5, 9, 25])
        assert found.status == "ok"
        assert np.isnan(found.brier[2])
        assert np.isnan(found.integrated)
        assert "last follow-up" in found.reason
        assert brier(TIME, EVENT, self.predictions()[:, :1], 25.0).status == "not_estimable"

    def test_refusals(self):
        wrong = self.predictions()
        wrong[3, 1] = 1.2
        with pytest.raises(InvalidInputError, match="1 of 60 probabilities"):
            brier(TIME, EVENT, wrong, self.TIMES)
        with pytest.raises(InvalidInputError, match="has 3 columns for 2 times"):
            brier(TIME, EVENT, self.predictions(), [5, 9])


class TestCalibration:
    PREDICTED = 1 - np.exp(-RISK)

    def test_observed_and_expected(self):
        found = calibration(TIME, np.ones(20), self.PREDICTED, 9.0).observed_expected
        assert found.observed == pytest.approx(10 / 20)
        assert found.expected == pytest.approx(self.PREDICTED.mean())
        assert found.ratio == pytest.approx(0.5 / self.PREDICTED.mean())
        assert found.std_error == pytest.approx(np.sqrt(0.25 / 20))
        assert found.lower < found.ratio < found.upper

    def test_groups(self):
        groups = calibration(TIME, EVENT, self.PREDICTED, 9.0, groups=4).groups
        breaks = np.quantile(self.PREDICTED, [0.25, 0.5, 0.75])
        assert groups.n.sum() == 20
        assert groups.n[0] == np.count_nonzero(breaks[0] >= self.PREDICTED)
        assert groups.mean_predicted[0] == pytest.approx(self.PREDICTED[breaks[0] >= self.PREDICTED].mean())

    def test_tied_predictions_make_fewer_groups(self):
        groups = calibration(TIME, EVENT, np.repeat([0.2, 0.6], 10), 9.0, groups=10).groups
        np.testing.assert_array_equal(groups.n, [10, 10])

    def test_slope_recovers_a_too_extreme_model(self):
        rng = np.random.default_rng(5)
        x = rng.normal(size=4000)
        time = rng.exponential(np.exp(-0.5 * x))
        found = calibration(time, np.ones(4000), 1 - np.exp(-np.exp(x)), 1.0).slope
        assert found.lower < 0.5 < found.upper
        assert found.slope == pytest.approx(0.5, abs=0.06)

    def test_certain_predictions_are_moved_and_counted(self):
        risk = np.append(self.PREDICTED[:-2], [0.0, 1.0])
        found = calibration(TIME, EVENT, risk, 9.0).slope
        assert found.moved == 2
        assert np.isfinite(found.slope)
        nothing = calibration(TIME, EVENT, np.repeat([0.0, 1.0], 10), 9.0).slope
        assert nothing.status == "not_estimable"

    def test_constant_predictions_have_no_slope(self):
        found = calibration(TIME, EVENT, np.full(20, 0.4), 9.0)
        assert found.slope.status == "not_estimable"
        assert found.observed_expected.status == "ok"
        assert calibration(TIME, EVENT, np.zeros(20), 9.0).observed_expected.status == "not_estimable"

    def test_beyond_follow_up(self):
        found = calibration(TIME, EVENT, self.PREDICTED, 25.0)
        assert found.observed_expected.status == "not_estimable"
        assert found.groups.status == "not_estimable"
        assert np.isnan(found.groups.observed).all()
        assert calibration_curve(TIME, EVENT, self.PREDICTED, 25.0).status == "not_estimable"

    def test_refusals(self):
        with pytest.raises(InvalidInputError, match="outside"):
            calibration(TIME, EVENT, RISK + 0.5, 9.0)
        with pytest.raises(InvalidInputError, match="groups"):
            calibration(TIME, EVENT, RISK, 9.0, groups=0)


class TestCalibrationCurve:
    def test_straight_line_without_spline(self):
        # two distinct predictions: a Cox model with one binary covariate
        risk = np.tile([0.2, 0.6], 10)
        found = calibration_curve(TIME, EVENT, risk, 9.0, [0.2, 0.6])
        assert found.knots.size == 0
        assert found.ici == pytest.approx(np.abs(found.observed - [0.2, 0.6]).mean())
        assert found.emax == pytest.approx(np.abs(found.observed - [0.2, 0.6]).max())

    def test_separated_predictions_have_no_curve(self):
        found = calibration_curve(TIME, EVENT, np.repeat([0.2, 0.6], 10), 9.0)
        assert found.status == "not_estimable"
        assert np.isnan(found.ici)

    def test_calibrated_predictions_lie_on_the_diagonal(self):
        rng = np.random.default_rng(2)
        x = rng.normal(size=20_000)
        time, end = rng.exponential(np.exp(1 - x)), rng.uniform(0, 4, x.size)
        right = 1 - np.exp(-np.exp(x - 1))
        found = calibration_curve(np.minimum(time, end), time <= end, right, 1.0)
        assert found.ici < 0.01
        np.testing.assert_allclose(found.observed[5:45], found.grid[5:45], atol=0.02)
        assert (found.lower <= found.observed).all()
        assert (found.observed <= found.upper).all()
        wrong = calibration_curve(np.minimum(time, end), time <= end, np.sqrt(right), 1.0)
        assert wrong.ici > 0.1
        assert wrong.e50 <= wrong.e90 <= wrong.emax

    @pytest.mark.parametrize("knots", [3, 4, 5])
    def test_reproduces_the_spline_model(self, knots):
        """R survival 3.5-3, coxph with the same basis: curve at 0.2 and 0.5 by time 9, ICI, E90."""
        expected = {
            3: [0.163335065428, 0.823530764280, 0.123403366592, 0.372843502208],
            4: [0.235376502934, 0.830038545490, 0.114463616219, 0.409103404769],
            5: [0.248611208287, 0.827893566078, 0.120325556111, 0.409335083131],
        }[knots]
        found = calibration_curve(TIME, EVENT, TestCalibration.PREDICTED, 9.0, [0.2, 0.5], knots=knots)
        np.testing.assert_allclose([*found.observed, found.ici, found.e90], expected, rtol=1e-6)

    def test_refusals(self):
        with pytest.raises(InvalidInputError, match="knots"):
            calibration_curve(TIME, EVENT, RISK, 9.0, knots=7)
        with pytest.raises(InvalidInputError, match="grid"):
            calibration_curve(TIME, EVENT, RISK, 9.0, [0.0, 0.5])


class TestNetBenefit:
    def test_without_censoring_it_counts(self):
        every, risk = np.ones(20), RISK
        found = net_benefit(TIME, every, risk, 9.0, [0.0, 0.25, 0.5])
        for k, threshold in enumerate([0.0, 0.25, 0.5]):
            positive = risk >= threshold
            true, false = np.sum(positive & (TIME <= 9)) / 20, np.sum(positive & (TIME > 9)) / 20
            odds = threshold / (1 - threshold)
            assert found.net_benefit[k] == pytest.approx(true - false * odds)
            assert found.treat_all[k] == pytest.approx(0.5 - 0.5 * odds)
            assert found.positive[k] == positive.sum()

    def test_nobody_above(self):
        found = net_benefit(TIME, EVENT, RISK, 9.0, 0.95)
        assert found.net_benefit[0] == 0.0
        assert found.positive[0] == 0

    def test_beyond_follow_up(self):
        found = net_benefit(TIME, EVENT, RISK, 25.0, [0.2])
        assert found.status == "not_estimable"
        assert np.isnan(found.net_benefit).all()

    def test_refusals(self):
        with pytest.raises(InvalidInputError, match="thresholds"):
            net_benefit(TIME, EVENT, RISK, 9.0, [1.0])
