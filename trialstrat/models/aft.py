"""Weibull accelerated failure time model (lifelines) with a ridge penalty."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from trialstrat.models.base import Engine, EngineFailureError, Floats, Model, Training
from trialstrat.models.hazards import LARGEST

#: Ridge penalties of the path, on the mean log likelihood of scaled features. Few: a fit is slow, its loss is flat.
PENALTIES = (0.3, 0.03, 0.003)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WeibullModel:
    """S(t | x) = exp(-(t / scale(x))^shape) with log scale(x) = intercept + x' coefficients."""

    kind: ClassVar[str] = "weibull_aft"

    coefficients: Floats
    intercept: float
    shape: float
    penalty: float

    def risk(self, X: Floats) -> Floats:
        """(n,) minus the log of the time scale, from the average training patient."""
        return -(X @ self.coefficients)

    def survival(self, X: Floats, times: Floats) -> Floats:
        """(n, m) predicted survival."""
        log_scale = self.intercept + X @ self.coefficients
        with np.errstate(divide="ignore"):
            log_times = np.log(times)
        exponent = self.shape * (log_times[None, :] - log_scale[:, None])
        return np.exp(-np.exp(np.minimum(exponent, LARGEST)))

    def parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """JSON values and the coefficients."""
        meta = {"intercept": self.intercept, "shape": self.shape, "penalty": self.penalty}
        return meta, {"coefficients": self.coefficients}

    @classmethod
    def from_parts(cls, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Self:
        """Inverse of :meth:`parts`."""
        return cls(coefficients=arrays["coefficients"], **meta)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WeibullPath:
    """One model per penalty."""

    models: tuple[WeibullModel, ...]

    @property
    def points(self) -> tuple[float, ...]:
        """The penalties."""
        return tuple(model.penalty for model in self.models)

    def survival(self, X: Floats, times: Floats) -> Floats:
        """(k, n, m) predicted survival."""
        return np.stack([model.survival(X, times) for model in self.models])

    def pick(self, at: int) -> Model:
        """The model of one penalty."""
        return self.models[at]


def fit_weibull(training: Training, _params: Mapping[str, float], _seed: int) -> WeibullPath:
    """One fit per penalty."""
    return WeibullPath(models=tuple(_fit_one(training, penalty) for penalty in PENALTIES))


def _fit_one(training: Training, penalty: float) -> WeibullModel:
    import pandas as pd
    from lifelines import WeibullAFTFitter
    from lifelines.exceptions import ConvergenceError

    if not (training.time > 0).all():
        raise EngineFailureError("a Weibull model needs times above 0")
    # Times around 1 keep the optimiser's steps in proportion.
    unit = float(np.median(training.time))
    names = [f"x{at}" for at in range(training.X.shape[1])]
    frame = pd.DataFrame(training.X, columns=pd.Index(names))
    frame["time"], frame["event"] = training.time / unit, training.event
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = WeibullAFTFitter(penalizer=penalty).fit(frame, "time", "event")
    except (ConvergenceError, ArithmeticError, ValueError) as problem:
        raise EngineFailureError(f"the Weibull fit did not converge ({type(problem).__name__})") from problem
    scale, shape = fitted.params_["lambda_"], fitted.params_["rho_"]
    return WeibullModel(
        coefficients=scale[names].to_numpy(dtype=np.float64),
        intercept=float(scale["Intercept"]) + float(np.log(unit)),
        shape=float(np.exp(shape["Intercept"])),
        penalty=penalty,
    )


AFT = Engine(
    name="weibull_aft",
    label="Weibull AFT (ridge)",
    space={},
    path=fit_weibull,
    refit=lambda training, _params, point, _seed: _fit_one(training, PENALTIES[point]),
    floor=lambda features: max(20, features),
    point_name="penalty",
)
