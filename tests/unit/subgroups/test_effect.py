"""The one implementation of a treatment effect: published numbers, other implementations, gates and errors."""

from __future__ import annotations

import numpy as np
import pytest
from lifelines import CoxPHFitter, KaplanMeierFitter
from lifelines.utils import restricted_mean_survival_time
from scipy import stats
from sksurv.datasets import load_aids, load_gbsg2, load_veterans_lung_cancer

from tests.helpers.synthetic import trial
from trialstrat.errors import InvalidInputError
from trialstrat.subgroups.effect import EffectOptions, competing_effect, effect
from trialstrat.subgroups.scales import ScaleEffect
from trialstrat.subgroups.two_curves import robust_curve
from trialstrat.subgroups.two_samples import binary_effect, continuous_effect


def limits(scale: ScaleEffect) -> list[float]:
    return [scale.value, scale.lower, scale.upper]


@pytest.fixture(scope="module")
def gbsg2() -> dict[str, np.ndarray]:
    frame, outcome = load_gbsg2()
    return {
        "time": outcome["time"].astype(float),
        "event": outcome["cens"].astype(np.int64),
        "treated": (frame["horTh"] == "yes").to_numpy().astype(np.int64),
    }


def test_gbsg2_hormone_therapy(gbsg2) -> None:
    found = effect(**gbsg2, options=EffectOptions(tau=1826.25, unit="days"))
    assert (found.n, found.events) == (686, 299)
    assert (found.n_control, found.n_treated) == (440, 246)
    assert (found.events_control, found.events_treated) == (205, 94)
    assert limits(found.hazard_ratio) == pytest.approx([0.695, 0.544, 0.888], abs=5e-4)
    # areas by an implementation of its own
    areas = []
    for arm in (0, 1):
        rows = gbsg2["treated"] == arm
        curve = KaplanMeierFitter().fit(gbsg2["time"][rows], gbsg2["event"][rows])
        areas.append((restricted_mean_survival_time(curve, t=1826.25), curve.predict(1826.25)))
    assert found.rmst_difference.value == pytest.approx(areas[1][0] - areas[0][0], rel=1e-9)
    assert found.milestone_difference.value == pytest.approx(areas[1][1] - areas[0][1], rel=1e-9)
    assert found.rmst_difference.unit == "days"
    assert found.status == "ok"


def test_veterans_test_treatment_does_nothing() -> None:
    frame, outcome = load_veterans_lung_cancer()
    treated = (frame["Treatment"] == "test").to_numpy().astype(int)
    found = effect(outcome["Survival_in_days"], outcome["Status"], treated, EffectOptions(tau=365))
    assert (found.n, found.events) == (137, 128)
    # R survival 3.5: coxph(Surv(time, status) ~ trt, veteran) gives coef 0.01774, se 0.18066
    assert np.log(found.hazard_ratio.value) == pytest.approx(0.01774, abs=5e-6)
    assert found.hazard_ratio.std_error == pytest.approx(0.18066, abs=5e-6)


def test_actg320_indinavir() -> None:
    frame, outcome = load_aids()
    treated = (frame["tx"].astype(str) == "1").to_numpy().astype(int)
    found = effect(outcome["time"], outcome["censor"], treated, EffectOptions(tau=300))
    assert (found.n, found.events) == (1151, 96)
    assert limits(found.hazard_ratio) == pytest.approx([0.50, 0.33, 0.77], abs=6e-3)


def test_strata_are_those_of_another_implementation() -> None:
    data = trial(n=300)
    import pandas as pd

    frame = pd.DataFrame({"t": data.time, "e": data.event, "x": data.treated, "site": data.site})
    other = CoxPHFitter().fit(frame, "t", "e", strata=["site"], fit_options={"precision": 1e-12})
    found = effect(data.time, data.event, data.treated, EffectOptions(tau=24), strata=data.site)
    assert found.relative.value == pytest.approx(np.exp(other.params_["x"]), rel=1e-7)
    assert "stratified" in found.relative.method
    assert found.relative.p == pytest.approx(other.summary.loc["x", "p"], rel=1e-6)


def test_too_few_events_are_refused_with_the_number_needed() -> None:
    data = trial(n=60)
    event = data.event.copy()
    treated_events = np.flatnonzero((event == 1) & (data.treated == 1))
    event[treated_events[4:]] = 0
    found = effect(data.time, event, data.treated, EffectOptions(tau=12, minimum_events=10))
    assert found.status == "not_estimable"
    assert "at least 10 per arm are needed" in found.reason
    assert "4" not in found.reason  # the small count itself is not given away
    assert found.events_treated == 4
    for scale in (found.relative, found.absolute, found.milestone):
        assert scale.status == "not_estimable"
        assert np.isnan(limits(scale)).all()
        assert scale.reason == found.reason
    enough = effect(data.time, event, data.treated, EffectOptions(tau=12, minimum_events=4))
    assert enough.status == "ok"


def test_an_empty_arm_is_not_estimable() -> None:
    found = effect([1.0, 2.0], [1, 1], [0, 0], EffectOptions(tau=1))
    assert found.status == "not_estimable"
    assert "no treated patient" in found.reason


def test_an_arm_without_events_has_no_ratio_but_a_difference() -> None:
    data = trial(n=200)
    event = np.where(data.treated == 1, 0, data.event)
    found = effect(data.time, event, data.treated, EffectOptions(tau=12, minimum_events=0))
    assert found.relative.status == "not_estimable"
    assert "separation" in found.relative.reason
    assert found.milestone.status == "ok"


def test_horizon_beyond_follow_up_and_no_horizon() -> None:
    data = trial(n=200)
    last = [np.flatnonzero(data.treated == arm)[data.time[data.treated == arm].argmax()] for arm in (0, 1)]
    data.event[last] = 0
    far = effect(data.time, data.event, data.treated, EffectOptions(tau=500.0))
    assert far.relative.status == "ok"
    assert far.absolute.status == far.milestone.status == "not_estimable"
    assert "follow-up ends before tau" in far.absolute.reason
    assert "arm" in far.absolute.reason
    none = effect(data.time, data.event, data.treated, EffectOptions(tau=None))
    assert none.absolute.reason == "no horizon is declared"


def test_impossible_input_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="neither 0"):
        effect([1.0, 2.0], [1, 1], [0, 2], EffectOptions(tau=1))
    with pytest.raises(InvalidInputError, match="rows"):
        effect([1.0, 2.0, 3.0], [1, 1], [0, 1, 1], EffectOptions(tau=1))
    with pytest.raises(InvalidInputError, match="level"):
        effect([1.0, 2.0], [1, 1], [0, 1], EffectOptions(tau=1, level=95))


def test_unit_weights_give_greenwood(gbsg2) -> None:
    options = EffectOptions(tau=1826.25)
    plain, weighted = effect(**gbsg2, options=options), effect(**gbsg2, options=options, weights=np.ones(686))
    for a, b in ((plain.absolute, weighted.absolute), (plain.milestone, weighted.milestone)):
        assert limits(a) == pytest.approx(limits(b), rel=1e-9)
    assert plain.relative.value == pytest.approx(weighted.relative.value)
    assert plain.relative.std_error != weighted.relative.std_error  # sandwich


def test_weighted_errors_are_those_of_a_bootstrap() -> None:
    data = trial(n=400, seed=5)
    rng = np.random.default_rng(2)
    weights = rng.uniform(0.2, 3.0, 400)
    rows = data.treated == 1
    found = robust_curve(data.time, data.event, rows, 18.0, weights=weights, entry=None)
    at = np.flatnonzero(rows)
    again = []
    for _ in range(400):
        pick = rng.choice(at, len(at))
        part = np.ones(len(pick), dtype=bool)
        again.append(robust_curve(data.time[pick], data.event[pick], part, 18.0, weights=weights[pick], entry=None))
    assert found.survival_error == pytest.approx(np.std([b.survival for b in again]), rel=0.12)
    assert found.rmst_error == pytest.approx(np.std([b.rmst for b in again]), rel=0.12)


def test_integer_weights_are_copies() -> None:
    data = trial(n=120, seed=3)
    weights = np.random.default_rng(0).integers(0, 4, 120)
    times = np.repeat(np.arange(120), weights)
    options = EffectOptions(tau=12.0)
    copied = effect(data.time[times], data.event[times], data.treated[times], options)
    weighted = effect(data.time, data.event, data.treated, options, weights=weights.astype(float))
    assert weighted.absolute.value == pytest.approx(copied.absolute.value, rel=1e-9)
    assert weighted.milestone.value == pytest.approx(copied.milestone.value, rel=1e-9)


def test_delayed_entry_changes_the_risk_sets() -> None:
    data = trial(n=300, seed=4)
    entry = np.random.default_rng(1).uniform(0, 0.5, 300) * data.time
    options = EffectOptions(tau=12.0)
    plain = effect(data.time, data.event, data.treated, options)
    late = effect(data.time, data.event, data.treated, options, entry=entry)
    assert late.relative.value != plain.relative.value
    assert late.absolute.status == "ok"
    nobody_late = effect(data.time, data.event, data.treated, options, entry=np.full(300, -1.0))
    assert nobody_late.absolute.value == pytest.approx(plain.absolute.value, rel=1e-12)
    assert nobody_late.absolute.std_error == pytest.approx(plain.absolute.std_error, rel=1e-9)


def test_competing_events() -> None:
    data = trial(n=500, causes=2, seed=8)
    found = competing_effect(data.time, data.event, data.treated, EffectOptions(tau=24))
    cause = (data.event == 1).astype(int)
    alone = effect(data.time, cause, data.treated, EffectOptions(tau=24))
    assert found.relative.value == alone.relative.value  # cause-specific: other causes are censored
    assert found.events == int(cause.sum())
    # with the other cause censored incidence is overstated, so the differences are not the same
    assert found.absolute.value != pytest.approx(-alone.milestone.value, abs=1e-6)
    # without other causes it is one minus Kaplan-Meier
    single = competing_effect(data.time, cause, data.treated, EffectOptions(tau=24))
    assert single.absolute.value == pytest.approx(-alone.milestone.value, rel=1e-9)
    assert single.absolute.std_error == pytest.approx(alone.milestone.std_error, rel=1e-6)


# -- binary ----------------------------------------------------------------------------------------------------------


def two_by_two(a: int, m: int, b: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """``a`` events of ``m`` treated, ``b`` of ``n`` controls."""
    event = np.r_[np.ones(a), np.zeros(m - a), np.ones(b), np.zeros(n - b)]
    return event, np.r_[np.ones(m), np.zeros(n)]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [  # Newcombe 1998, table II, method 10
        ((56, 70, 48, 80), (0.2000, 0.0524, 0.3339)),
        ((9, 10, 3, 10), (0.6000, 0.1705, 0.8090)),
        ((10, 10, 0, 20), (1.0000, 0.6791, 1.0000)),
        ((5, 56, 0, 29), (0.0893, -0.0381, 0.1926)),
    ],
)
def test_newcombe(cells, expected) -> None:
    found = binary_effect(*two_by_two(*cells), EffectOptions(tau=None, minimum_events=0))
    assert limits(found.absolute) == pytest.approx(expected, abs=5e-5)
    assert found.absolute is found.milestone


def test_odds_ratio_is_woolfs() -> None:
    found = binary_effect(*two_by_two(56, 70, 48, 80), EffectOptions(tau=None))
    odds = (56 * 32) / (14 * 48)
    error = np.sqrt(1 / 56 + 1 / 14 + 1 / 48 + 1 / 32)
    assert found.relative.value == pytest.approx(odds)
    assert found.relative.upper == pytest.approx(odds * np.exp(stats.norm.ppf(0.975) * error))
    chi2 = stats.chi2_contingency([[56, 14], [48, 32]], correction=False)
    assert found.absolute.p == pytest.approx(chi2.pvalue)
    empty = binary_effect(*two_by_two(5, 56, 0, 29), EffectOptions(tau=None, minimum_events=0))
    assert empty.relative.status == "not_estimable"


def test_mantel_haenszel_removes_a_confounding_stratum() -> None:
    from statsmodels.stats.contingency_tables import StratifiedTable

    tables = [np.array([[30, 10], [12, 8]]), np.array([[5, 25], [9, 71]]), np.array([[14, 6], [20, 20]])]
    parts = [(*two_by_two(t[0, 0], t[0].sum(), t[1, 0], t[1].sum()), k) for k, t in enumerate(tables)]
    event = np.concatenate([part[0] for part in parts])
    treated = np.concatenate([part[1] for part in parts])
    strata = np.concatenate([np.full(len(part[0]), part[2]) for part in parts])
    found = binary_effect(event, treated, EffectOptions(tau=None), strata=strata)
    other = StratifiedTable(tables)
    assert found.relative.value == pytest.approx(other.oddsratio_pooled)
    assert (found.relative.lower, found.relative.upper) == pytest.approx(other.oddsratio_pooled_confint())
    one = binary_effect(event, treated, EffectOptions(tau=None), strata=np.zeros(len(event)))
    plain = binary_effect(event, treated, EffectOptions(tau=None))
    assert one.absolute.value == pytest.approx(plain.absolute.value)
    assert one.relative.value == pytest.approx(plain.relative.value)


def test_weighted_risks() -> None:
    event, treated = two_by_two(20, 50, 30, 50)
    found = binary_effect(event, treated, EffectOptions(tau=None), weights=np.ones(100))
    assert found.absolute.value == pytest.approx(-0.2)
    assert found.absolute.std_error == pytest.approx(np.sqrt(0.4 * 0.6 / 50 + 0.6 * 0.4 / 50))
    plain = binary_effect(event, treated, EffectOptions(tau=None))
    assert found.relative.value == pytest.approx(plain.relative.value)
    assert found.relative.std_error == pytest.approx(plain.relative.std_error)
    with pytest.raises(InvalidInputError, match="together"):
        binary_effect(event, treated, EffectOptions(tau=None), weights=np.ones(100), strata=np.zeros(100))


# -- continuous ------------------------------------------------------------------------------------------------------


def test_welch() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(1, 1, 30), rng.normal(0, 3, 50)
    found = continuous_effect(np.r_[x, y], np.r_[np.ones(30), np.zeros(50)], EffectOptions(tau=None))
    test = stats.ttest_ind(x, y, equal_var=False)
    interval = test.confidence_interval()
    assert limits(found.absolute) == pytest.approx([x.mean() - y.mean(), interval.low, interval.high])
    assert found.absolute.p == pytest.approx(test.pvalue)
    assert found.relative.status == "not_estimable"


def test_continuous_within_strata_removes_a_shift() -> None:
    rng = np.random.default_rng(1)
    strata = rng.integers(0, 2, 400)
    treated = (rng.uniform(size=400) < np.where(strata == 1, 0.8, 0.2)).astype(int)
    value = 10.0 * strata + 1.0 * treated + rng.normal(size=400)
    plain = continuous_effect(value, treated, EffectOptions(tau=None))
    within = continuous_effect(value, treated, EffectOptions(tau=None), strata=strata)
    assert plain.absolute.value > 5
    assert abs(within.absolute.value - 1.0) < 3 * within.absolute.std_error
    assert within.absolute.std_error < 0.2


def test_continuous_without_spread_or_patients() -> None:
    flat = continuous_effect(np.ones(10), np.arange(10) % 2, EffectOptions(tau=None))
    assert flat.absolute.status == "not_estimable"
    lonely = continuous_effect([1.0, 2.0, 3.0], [0, 0, 1], EffectOptions(tau=None))
    assert "fewer than 2 patients" in lonely.reason
