"""Every engine predicts from its exported arrays what its library predicts, and freezes without loss."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialstrat.models.aft import PENALTIES
from trialstrat.models.base import Training, pick, step_values
from trialstrat.models.boosting import STAGES, STEP, booster, export_boosting
from trialstrat.models.engines import ENGINES, rebuild
from trialstrat.models.forest import TimeGrid, export_forest
from trialstrat.models.hazards import HazardPath, breslow

TIMES = np.linspace(0.5, 12.0, 9)
PARAMS: dict[str, dict[str, float]] = {
    "clinical_cox": {},
    "penalised_cox": {"l1_ratio": 0.5},
    "forest": {"min_samples_leaf": 8, "max_features": 0.6, "max_samples": 0.8},
    "boosting": {
        "learning_rate": 0.1,
        "max_depth": 2,
        "min_samples_leaf": 5,
        "subsample": 0.7,
        "max_features": 0.5,
    },
    "weibull_aft": {},
}


def training(n: int = 150, p: int = 4, seed: int = 0, **settings: Any) -> Training:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    event_time = 5 * rng.weibull(1.3, n) * np.exp(-0.7 * X[:, 0] + 0.4 * X[:, 1])
    censoring = rng.uniform(1, 15, n)
    time = np.asarray(np.round(np.minimum(event_time, censoring), 2) + 0.01, dtype=np.float64)
    return Training(X=X, time=time, event=event_time <= censoring, settings={"trees": 20, **settings})


def curves_of(steps: Any) -> np.ndarray:
    """(n, m) values at ``TIMES`` of the step functions that scikit-survival returns."""
    return np.stack([step(TIMES) for step in steps])


def outcome(data: Training):
    from sksurv.util import Surv

    return Surv.from_arrays(data.event, data.time)


def new_patients(n: int = 40, p: int = 4) -> np.ndarray:
    return np.random.default_rng(99).normal(size=(n, p))


@pytest.mark.parametrize("name", list(ENGINES))
def test_freezing_loses_nothing(name: str) -> None:
    path = ENGINES[name].path(training(), PARAMS[name], 3)
    model = pick(path, len(path.points) // 2)
    meta, arrays = model.parts()
    again = rebuild(model.kind, json.loads(json.dumps(meta)), {key: value.copy() for key, value in arrays.items()})
    X = new_patients()
    assert np.array_equal(again.risk(X), model.risk(X))
    assert np.array_equal(again.survival(X, TIMES), model.survival(X, TIMES))


@pytest.mark.parametrize("name", list(ENGINES))
def test_predictions_are_probabilities_that_fall_with_time_and_rise_with_lower_risk(name: str) -> None:
    path = ENGINES[name].path(training(), PARAMS[name], 3)
    model = pick(path, len(path.points) // 2)
    X = new_patients()
    survival = model.survival(X, TIMES)
    assert survival.shape == (40, TIMES.size)
    assert ((survival >= 0) & (survival <= 1)).all()
    assert (np.diff(survival, axis=1) <= 1e-12).all()
    agreement = np.corrcoef(model.risk(X), survival[:, 4])[0, 1]
    assert agreement < -0.6
    assert np.allclose(model.survival(X, np.array([0.0])), 1.0)


@pytest.mark.parametrize("name", list(ENGINES))
def test_refitting_one_point_equals_picking_it(name: str) -> None:
    data, engine = training(), ENGINES[name]
    path = engine.path(data, PARAMS[name], 11)
    point = len(path.points) // 3
    X = new_patients()
    alone = engine.refit(data, PARAMS[name], point, 11)
    assert np.allclose(alone.risk(X), path.pick(point).risk(X), rtol=0, atol=1e-12)
    assert np.allclose(alone.survival(X, TIMES), path.pick(point).survival(X, TIMES), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", list(ENGINES))
def test_the_path_predicts_what_its_picks_predict(name: str) -> None:
    path = ENGINES[name].path(training(), PARAMS[name], 11)
    X = new_patients()
    together = path.survival(X, TIMES)
    assert together.shape == (len(path.points), 40, TIMES.size)
    for at in (0, len(path.points) - 1):
        assert np.allclose(path.pick(at).survival(X, TIMES), together[at], rtol=0, atol=1e-12)


def test_forest_equals_scikit_survival() -> None:
    from sksurv.ensemble import RandomSurvivalForest

    data, X = training(), new_patients()
    engine = RandomSurvivalForest(15, min_samples_leaf=5, random_state=4).fit(data.X, outcome(data))
    every = engine.unique_times_[engine.is_event_time_]
    model = export_forest(engine, every)
    assert np.allclose(model.risk(X), engine.predict(X), rtol=0, atol=1e-9)
    expected = curves_of(engine.predict_survival_function(X))
    assert np.allclose(model.survival(X, TIMES), expected, rtol=0, atol=1e-9)


def test_forest_on_its_own_grid_equals_scikit_survival() -> None:
    from sksurv.ensemble import RandomSurvivalForest
    from sksurv.util import Surv

    data, X = training(), new_patients()
    grid = TimeGrid.of(data.time, data.event)
    model = ENGINES["forest"].path(data, PARAMS["forest"], 8).pick(0)
    engine = RandomSurvivalForest(
        20,
        min_samples_leaf=8,
        min_samples_split=16,
        max_features=0.6,  # pyright: ignore[reportArgumentType]
        max_samples=0.8,
        random_state=8,
    ).fit(data.X, Surv.from_arrays(data.event, grid.grouped(data.time, data.event)))
    assert np.allclose(model.risk(X), engine.predict(X), rtol=0, atol=1e-9)


def test_boosting_equals_scikit_survival() -> None:
    from sksurv.ensemble import GradientBoostingSurvivalAnalysis

    data, X = training(), new_patients()
    # Leaves of some size: two splits of a handful of rows can be equally good, and rounding would decide between them.
    settings: dict[str, Any] = {"n_estimators": 60, "max_depth": 2, "min_samples_leaf": 10, "subsample": 0.6}
    settings["random_state"] = 5
    slow = GradientBoostingSurvivalAnalysis(**settings).fit(data.X, outcome(data))
    fast = booster(**settings).fit(data.X, outcome(data))
    assert np.allclose(fast.predict(X), slow.predict(X), rtol=0, atol=1e-9)
    assert np.allclose(fast.train_score_, slow.train_score_, rtol=0, atol=1e-8)
    model = export_boosting(fast, (20.0, 60.0), 0.1)
    staged = list(slow.staged_predict(X))
    assert np.allclose(model.linear(X)[0], staged[19], rtol=0, atol=1e-9)
    assert np.allclose(model.linear(X)[1], staged[59], rtol=0, atol=1e-9)
    path = HazardPath.fit(model, data.X, data.time, data.event)
    expected = curves_of(slow.predict_survival_function(X))
    assert np.allclose(path.survival(X, TIMES)[1], expected, rtol=0, atol=1e-9)


@given(st.integers(0, 2**32 - 1))
def test_loss_of_boosting_equals_the_library_with_ties(seed: int) -> None:
    from sksurv.ensemble._coxph_loss import coxph_loss, coxph_negative_gradient

    from trialstrat.stats.kernels.boosting import martingale_residuals, partial_likelihood_loss

    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 60))
    time, event, risk = np.round(rng.exponential(4, n)), rng.random(n) < 0.6, rng.normal(scale=3, size=n)
    order = np.argsort(-time, kind="stable")
    codes = event.astype(np.uint8)
    assert np.isclose(partial_likelihood_loss(time, event, order, risk), coxph_loss(codes, time, risk), rtol=1e-11)
    expected = coxph_negative_gradient(codes, time, risk)
    assert np.allclose(martingale_residuals(time, event, order, risk), expected, rtol=1e-10, atol=1e-12)


def test_penalised_cox_equals_scikit_survival() -> None:
    from sksurv.linear_model import CoxnetSurvivalAnalysis

    data, X = training(), new_patients()
    path = ENGINES["penalised_cox"].path(data, PARAMS["penalised_cox"], 0)
    model = path.pick(20)
    engine = CoxnetSurvivalAnalysis(
        n_alphas=50,
        alpha_min_ratio=0.005,  # pyright: ignore[reportArgumentType]
        l1_ratio=0.5,
        tol=1e-7,
        max_iter=20_000,
        fit_baseline_model=True,
    ).fit(data.X, outcome(data))
    alpha = engine.alphas_[20]
    assert np.isclose(path.points[20], alpha / engine.alphas_[0])
    expected = engine.predict(X, alpha=alpha)
    assert np.allclose(model.risk(X) - model.risk(X).mean(), expected - expected.mean(), rtol=0, atol=1e-9)
    curves = curves_of(engine.predict_survival_function(X, alpha=alpha))
    assert np.allclose(model.survival(X, TIMES), curves, rtol=0, atol=1e-9)


@pytest.mark.parametrize("point", [0, 3, len(PENALTIES) - 1])
def test_weibull_equals_lifelines(point: int) -> None:
    """The final model is lifelines' own; the search's Newton steps reach the same maximum."""
    import pandas as pd
    from lifelines import WeibullAFTFitter

    data, X = training(), new_patients()
    names = [f"x{j}" for j in range(4)]
    unit = np.median(data.time)
    frame = pd.DataFrame(data.X, columns=pd.Index(names)).assign(time=data.time / unit, event=data.event)
    options = {"ftol": 1e-12, "maxiter": 1000}
    fitted = WeibullAFTFitter(penalizer=PENALTIES[point]).fit(frame, "time", "event", fit_options=options)
    new = pd.DataFrame(X, columns=pd.Index(names))
    expected = fitted.predict_survival_function(new, times=TIMES / unit).to_numpy().T
    final = ENGINES["weibull_aft"].final
    assert final is not None
    assert np.allclose(final(data, {}, point, 0).survival(X, TIMES), expected, rtol=0, atol=1e-9)
    searched = ENGINES["weibull_aft"].path(data, {}, 0).pick(point)
    assert np.allclose(searched.survival(X, TIMES), expected, rtol=0, atol=2e-6)


def test_weibull_search_is_at_a_maximum() -> None:
    from trialstrat.models.aft import _derivatives, _newton

    data = training()
    design = np.column_stack([data.X, np.ones(150)])
    event = data.event.astype(float)
    at = _newton(data.X, np.log(data.time), event, 0.01, np.zeros(6))
    gradient, hessian = _derivatives(design, np.log(data.time), event, at)
    ridge = np.append(0.01 * data.X.var(axis=0, ddof=1), [0.0, 0.01])
    assert np.abs(gradient + ridge * at).max() < 1e-8
    step = 1e-6 * np.eye(6)
    numeric = [(_derivatives(design, np.log(data.time), event, at + h)[0] - gradient) / 1e-6 for h in step]
    assert np.allclose(np.array(numeric), hessian, rtol=1e-4, atol=1e-5)


def test_plain_cox_equals_the_survival_package_form() -> None:
    from trialstrat.stats.cox import cox

    data = training()
    model = ENGINES["clinical_cox"].path(data, {}, 0).pick(0)
    fit = cox(data.time, data.event.astype(int), data.X)
    X = new_patients()
    assert np.allclose(model.risk(X), X @ fit.coef, rtol=0, atol=1e-12)


def test_a_level_without_events_does_not_take_the_yardstick_away() -> None:
    from trialstrat.models.cox import fit_plain

    data = training()
    rare = np.zeros(150)
    rare[np.flatnonzero(~data.event)[:6]] = 1
    separated = Training(X=np.column_stack([data.X, rare]), time=data.time, event=data.event)
    fit = fit_plain(separated)
    assert fit.firth
    assert np.isfinite(fit.coef).all()
    assert fit.coef[4] < 0
    assert not fit_plain(data).firth
    model = ENGINES["clinical_cox"].path(separated, {}, 0).pick(0)
    assert np.isfinite(model.risk(separated.X)).all()


def test_a_collinear_column_weighs_nothing() -> None:
    data = training()
    doubled = Training(X=np.column_stack([data.X, 2 * data.X[:, 0]]), time=data.time, event=data.event)
    model = ENGINES["clinical_cox"].path(doubled, {}, 0).pick(0)
    alone = ENGINES["clinical_cox"].path(data, {}, 0).pick(0)
    assert np.allclose(model.risk(doubled.X), alone.risk(data.X), rtol=0, atol=1e-9)


def test_row_order_of_new_patients_does_not_matter() -> None:
    X = new_patients()
    order = np.random.default_rng(0).permutation(40)
    for name in ("forest", "boosting"):
        path = ENGINES[name].path(training(), PARAMS[name], 3)
        model = pick(path, 2)
        assert np.array_equal(model.risk(X[order]), model.risk(X)[order])


def test_stages_of_the_path_are_multiples_of_the_step() -> None:
    path = ENGINES["boosting"].path(training(), PARAMS["boosting"], 3)
    assert path.points[0] == STEP
    assert path.points[-1] == STAGES


def test_breslow_by_hand() -> None:
    time, event = np.array([1.0, 2.0, 2.0, 3.0, 4.0]), np.array([True, True, True, False, True])
    linear = np.log(np.array([[1.0, 2.0, 1.0, 3.0, 1.0]]))
    times, hazard = breslow(time, event, linear)
    assert times.tolist() == [1.0, 2.0, 4.0]
    assert np.allclose(hazard[0], np.cumsum([1 / 8, 2 / 7, 1 / 1]))


def test_step_values_are_right_continuous() -> None:
    found = step_values(np.array([0.0, 1.0, 1.5, 2.0, 9.0]), np.array([1.0, 2.0]), np.array([[0.9, 0.5]]), 1.0)
    assert found.tolist() == [[1.0, 0.9, 0.9, 0.5, 0.5]]


@given(st.integers(0, 2**32 - 1), st.integers(2, 60))
def test_grouped_times_keep_who_is_at_risk(seed: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(5, 80))
    time, event = np.round(rng.exponential(5, n), 1) + 0.1, rng.random(n) < 0.6
    event[0] = True
    grid = TimeGrid.of(time, event, groups)
    moved = grid.grouped(time, event)
    assert (np.diff(grid.middle) > 0).all()
    assert set(moved[event]) == set(grid.middle)
    for middle in grid.middle:
        censored_at_risk = (~event) & (time >= middle)
        assert np.array_equal((~event) & (moved >= middle), censored_at_risk)
    order = np.argsort(time[event], kind="stable")
    assert (np.diff(moved[event][order]) >= 0).all()
    assert (moved > 0).all()


def test_few_distinct_times_are_kept_exactly() -> None:
    time, event = np.array([1.0, 2.0, 2.0, 3.0, 5.0]), np.array([True, True, False, True, False])
    grid = TimeGrid.of(time, event)
    assert np.array_equal(grid.grouped(time, event), [1.0, 2.0, 2.0, 3.0, 3.0])
