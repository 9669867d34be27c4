"""Regression of a score on features, by forest and by boosting, as engines that can be tuned like the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from trialstrat.models.base import Engine, Floats, Range, Training, pick
from trialstrat.models.loss import HeldOutLoss

#: Trees of the forest unless the settings say otherwise, and stages of one boosting run with the distance between
#: those that tuning looks at.
TREES, STAGES, STEP = 200, 100, 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictor:
    """A fitted regression: ``predict`` gives (n,) values. It is used at once and never stored."""

    kind: ClassVar[str] = "regression"
    predict: Callable[[Floats], Floats]

    def risk(self, X: Floats) -> Floats:
        """(n,) predicted values."""
        return self.predict(X)

    def survival(self, X: Floats, times: Floats) -> Floats:
        """(n, m) predicted values, the same at every time: what tuning calls."""
        return np.repeat(self.predict(X)[:, None], times.size, axis=1)

    def parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Nothing can be frozen of a predictor that lives for one fold."""
        raise TypeError("a regression of scores is not stored")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PredictorPath:
    """Several predictors of one run."""

    points: tuple[float, ...]
    predict: Callable[[Floats], Floats]

    def survival(self, X: Floats, times: Floats) -> Floats:
        """(k, n, m) predicted values."""
        return np.repeat(self.predict(X)[:, :, None], times.size, axis=2)

    def pick(self, at: int) -> Predictor:
        """One of them."""
        return Predictor(predict=lambda X: self.predict(X)[at])


def squared_loss(target: Floats, weights: Floats | None = None) -> HeldOutLoss:
    """Mean squared error of held-out rows in the shape that tuning minimises."""
    mass = np.ones(target.size) if weights is None else weights / weights.mean()
    return HeldOutLoss(times=np.zeros(1), weights=mass[:, None], target=target[:, None])


def _forest(training: Training, params: Mapping[str, float], seed: int) -> PredictorPath:
    import sklearn
    from sklearn.ensemble import RandomForestRegressor

    engine = RandomForestRegressor(
        n_estimators=int(training.settings.get("trees", TREES)),
        max_features=float(params["max_features"]),
        min_samples_leaf=float(params["leaf_share"]),  # pyright: ignore[reportArgumentType] - a float is a share
        max_samples=0.7,
        random_state=seed,
        n_jobs=1,
    )
    with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
        engine.fit(training.X, training.time)
    return PredictorPath(points=(0.0,), predict=lambda X: np.asarray(engine.predict(X))[None])


def _boosting(training: Training, params: Mapping[str, float], seed: int) -> PredictorPath:
    import sklearn
    from sklearn.ensemble import GradientBoostingRegressor

    engine = GradientBoostingRegressor(
        n_estimators=STAGES,
        learning_rate=float(params["learning_rate"]),
        max_depth=int(params["depth"]),
        min_samples_leaf=float(params["leaf_share"]),  # pyright: ignore[reportArgumentType] - a float is a share
        subsample=0.7,
        random_state=seed,
    )
    with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
        engine.fit(training.X, training.time)
    stages = range(STEP, STAGES + 1, STEP)

    def predict(X: Floats) -> Floats:
        every = list(engine.staged_predict(X))
        return np.array([every[stage - 1] for stage in stages])

    return PredictorPath(points=tuple(float(stage) for stage in stages), predict=predict)


#: Engines by name. ``Training.time`` holds the score that is regressed, ``Training.event`` is not used.
REGRESSIONS: dict[str, Engine] = {
    "forest": Engine(
        name="forest",
        label="Forest on scores",
        space={
            "max_features": Range(kind="float", low=0.2, high=1.0),
            "leaf_share": Range(kind="float", low=0.03, high=0.25, log=True),
        },
        path=_forest,
        refit=lambda training, params, point, seed: pick(_forest(training, params, seed), point),
        floor=lambda _features: 0,
    ),
    "boosting": Engine(
        name="boosting",
        label="Boosting on scores",
        space={
            "learning_rate": Range(kind="float", low=0.01, high=0.2, log=True),
            "depth": Range(kind="int", low=1, high=3),
            "leaf_share": Range(kind="float", low=0.03, high=0.2, log=True),
        },
        path=_boosting,
        refit=lambda training, params, point, seed: pick(_boosting(training, params, seed), point),
        floor=lambda _features: 0,
        point_name="stages",
    ),
}
