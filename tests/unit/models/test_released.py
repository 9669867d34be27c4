"""What leaves the house predicts like the fitted model, and holds no patient."""

from __future__ import annotations

import numpy as np
import pytest

from trialstrat.models.base import Training
from trialstrat.models.boosting import refit_boosting
from trialstrat.models.forest import fit_forest
from trialstrat.models.hazards import HazardModel, HazardPath, Linear
from trialstrat.models.released import on_grid, withheld

N, P = 300, 4
RNG = np.random.default_rng(12)
X = RNG.normal(size=(N, P))
TIME = np.round(RNG.exponential(np.exp(-0.8 * X[:, 0])) * 20 + 0.013, 6)
EVENT = RNG.random(N) < 0.7


def linear(weights: np.ndarray, rows: int = N) -> HazardModel:
    predictor = Linear(points=(0.0,), coefficients=weights[None])
    return HazardPath.fit(predictor, X[:rows, : len(weights)], TIME[:rows], EVENT[:rows]).pick(0)


def forest(leaf: int):
    training = Training(X=X, time=TIME, event=EVENT, settings={"trees": 10})
    return fit_forest(training, {"min_samples_leaf": leaf, "max_features": 1.0, "max_samples": 0.9}, 3).pick(0)


def boosting(leaf: int):
    params = {"learning_rate": 0.1, "max_depth": 2, "min_samples_leaf": leaf, "subsample": 0.9, "max_features": 1.0}
    return refit_boosting(Training(X=X, time=TIME, event=EVENT), params, 5, 3)


@pytest.mark.parametrize("model", [linear(np.array([0.8, 0.0, 0.1, 0.0])), forest(40)], ids=["hazard", "forest"])
def test_no_stored_time_is_a_patients_own_and_predictions_stay(model):
    released = on_grid(model, TIME, EVENT, 11)
    arrays = released.parts()[1]
    stored = arrays.get("baseline_times", arrays.get("times"))
    assert not set(np.round(stored, 9)) & set(np.round(TIME, 9))
    assert len(stored) > 20
    np.testing.assert_array_equal(released.risk(X), model.risk(X))
    times = np.linspace(2, 30, 15)
    difference = np.abs(released.survival(X, times) - model.survival(X, times))
    assert difference.max() < 0.06
    assert difference.mean() < 0.006


def test_the_baseline_is_known_at_points_that_stand_for_enough_events():
    model = linear(np.array([0.8, 0.0, 0.1, 0.0]))
    released = on_grid(model, TIME, EVENT, 11)
    assert isinstance(released, HazardModel)
    slopes = np.diff(np.append(0.0, released.cumulative[0]))
    bends = np.flatnonzero(np.abs(np.diff(slopes)) > 1e-9)  # between them the curve runs straight
    events = np.sort(TIME[EVENT])
    so_far = np.searchsorted(events, released.times[bends] + 1e-9, side="right")
    assert np.diff(np.concatenate([[0], so_far, [len(events)]])).min() >= 11
    at = np.searchsorted(model.times, released.times[bends] + 1e-9, side="right") - 1
    np.testing.assert_allclose(released.cumulative[0][bends], model.cumulative[0][at], rtol=1e-12)
    assert released.cumulative[0][-1] == pytest.approx(model.cumulative[0][-1], rel=1e-12)


def test_a_leaf_of_few_patients_keeps_a_forest_inside():
    assert "fewer than 11 patients" in withheld(forest(3), X, 11)
    assert withheld(forest(40), X, 11) == ""


def test_a_leaf_of_few_patients_keeps_boosting_inside():
    assert "fewer than 11 patients" in withheld(boosting(1), X, 11)
    assert withheld(boosting(40), X, 11) == ""


def test_more_coefficients_than_a_third_of_the_patients_stay_inside():
    wide = np.ones(101)
    predictor = Linear(points=(0.0,), coefficients=wide[None])
    model = HazardModel(predictor=predictor, times=np.array([1.0]), cumulative=np.array([[0.1]]))
    assert withheld(model, np.zeros((300, 101)), 11) == "101 parameters for 300 patients: more than a third"
    assert withheld(model, np.zeros((303, 101)), 11) == ""
    sparse = np.where(np.arange(101) < 5, 1.0, 0.0)
    few = HazardModel(
        predictor=Linear(points=(0.0,), coefficients=sparse[None]), times=model.times, cumulative=model.cumulative
    )
    assert withheld(few, np.zeros((40, 101)), 11) == ""
