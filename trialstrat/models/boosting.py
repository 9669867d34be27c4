"""Gradient boosting of the Cox partial likelihood (scikit-survival): one run serves every number of stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from trialstrat.models.base import Engine, Floats, Range, Training
from trialstrat.models.hazards import Boosted, HazardModel, HazardPath
from trialstrat.models.trees import Trees

#: Trees of one run, and the distance between the stages that tuning looks at.
STAGES = 150
STEP = 5


def _fast_loss() -> Any:
    """The library's Cox loss with the same values in O(n) per stage instead of O(n^2)."""
    from sksurv.ensemble.survival_loss import CoxPH

    from trialstrat.stats.kernels.boosting import martingale_residuals, partial_likelihood_loss

    class LinearTimeCox(CoxPH):
        """Sorts the rows once per data set (all rows, and the out-of-bag ones of each stage)."""

        def __call__(self, y_true: Any, raw_prediction: Any, sample_weight: Any = None) -> float:
            del sample_weight  # not used by the library's loss either
            time = np.ascontiguousarray(y_true["time"], dtype=np.float64)
            order = np.argsort(-time, kind="stable")
            return partial_likelihood_loss(time, np.ascontiguousarray(y_true["event"]), order, raw_prediction.ravel())

        def gradient(self, y_true: Any, raw_prediction: Any, sample_weight: Any = None, **_: Any) -> Floats:
            time = np.ascontiguousarray(y_true["time"], dtype=np.float64)
            order = np.argsort(-time, kind="stable")
            residuals = martingale_residuals(time, np.ascontiguousarray(y_true["event"]), order, raw_prediction.ravel())
            return residuals if sample_weight is None else residuals * sample_weight

    return LinearTimeCox()


def booster(**settings: Any) -> Any:
    """A ``GradientBoostingSurvivalAnalysis`` whose loss costs O(n) per stage."""
    from sksurv.ensemble import GradientBoostingSurvivalAnalysis

    class FastBooster(GradientBoostingSurvivalAnalysis):
        def _get_loss(self, sample_weight: Any) -> Any:
            del sample_weight  # the loss is not weighted, as in the library
            return _fast_loss()

    return FastBooster(**settings)


def fit_boosting(training: Training, params: Mapping[str, float], seed: int) -> HazardPath:
    """One run of ``STAGES`` trees; the path has every ``STEP``-th stage."""
    return _run(training, params, seed, tuple(float(stage) for stage in range(STEP, STAGES + 1, STEP)))


def refit_boosting(training: Training, params: Mapping[str, float], point: int, seed: int) -> HazardModel:
    """A run that ends at the stage of one point: its trees are the first of the long run."""
    return _run(training, params, seed, (float(STEP * (point + 1)),)).pick(0)


def _run(training: Training, params: Mapping[str, float], seed: int, points: tuple[float, ...]) -> HazardPath:
    import sklearn
    from sksurv.util import Surv

    rate = float(params["learning_rate"])
    engine = booster(
        n_estimators=int(points[-1]),
        learning_rate=rate,
        max_depth=int(params["max_depth"]),
        min_samples_leaf=int(min(params["min_samples_leaf"], max(1, training.X.shape[0] // 4))),
        subsample=float(params["subsample"]),
        max_features=float(params["max_features"]),
        random_state=seed,
    )
    with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
        engine.fit(training.X, Surv.from_arrays(training.event, training.time))
    predictor = export_boosting(engine, points, rate)
    return HazardPath.fit(predictor, training.X, training.time, training.event)


def export_boosting(engine: Any, points: tuple[float, ...], rate: float) -> Boosted:
    """Copy the trees of a fitted booster; their leaves are scaled by the learning rate."""
    grown = [stage[0].tree_ for stage in engine.estimators_]
    values = rate * np.concatenate([tree.value[:, 0, 0] for tree in grown])
    return Boosted(points=points, trees=Trees.export(grown), values=values)


BOOSTING = Engine(
    name="boosting",
    label="Gradient boosting",
    space={
        "learning_rate": Range(kind="float", low=0.03, high=0.3, log=True),
        "max_depth": Range(kind="int", low=1, high=4),
        "min_samples_leaf": Range(kind="int", low=5, high=60, log=True),
        "subsample": Range(kind="float", low=0.5, high=1.0),
        "max_features": Range(kind="float", low=0.2, high=1.0),
    },
    path=fit_boosting,
    refit=refit_boosting,
    floor=lambda _features: 30,
    point_name="stages",
)
