"""Weibull accelerated failure time model with a ridge penalty: searched by Newton's method, fitted by lifelines."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from trialstrat.models.base import Engine, EngineFailureError, Floats, Model, Training
from trialstrat.models.hazards import LARGEST

#: Ridge penalties of the path on the mean log likelihood of scaled features; each fit starts where the last one ended.
PENALTIES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
#: Largest derivative at the solution, Newton steps, and smallest share of a step.
GRADIENT, MOST_STEPS, SMALLEST_SHARE = 1e-9, 100, 1e-10


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
    """One fit per penalty by Newton's method: lifelines' likelihood and penalty, at a hundredth of the time."""
    _check_times(training)
    unit = float(np.median(training.time))
    log_time, event = np.log(training.time / unit), training.event.astype(np.float64)
    models: list[WeibullModel] = []
    start = np.zeros(training.X.shape[1] + 2)
    start[-2] = np.log(np.sum(training.time / unit) / event.sum())
    for penalty in PENALTIES:
        start = _newton(training.X, log_time, event, penalty, start)
        models.append(
            WeibullModel(
                coefficients=start[:-2],
                intercept=float(start[-2] + np.log(unit)),
                shape=float(np.exp(start[-1])),
                penalty=penalty,
            )
        )
    return WeibullPath(models=tuple(models))


def final_weibull(training: Training, _params: Mapping[str, float], point: int, _seed: int) -> WeibullModel:
    """The fit of one penalty by lifelines: what is scored and frozen."""
    import pandas as pd
    from lifelines import WeibullAFTFitter
    from lifelines.exceptions import ConvergenceError

    _check_times(training)
    # Times around 1 keep the optimiser's steps in proportion.
    unit = float(np.median(training.time))
    names = [f"x{at}" for at in range(training.X.shape[1])]
    frame = pd.DataFrame(training.X, columns=pd.Index(names))
    frame["time"], frame["event"] = training.time / unit, training.event
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # By default lifelines stops where survival is still off in the fourth digit.
            options = {"ftol": 1e-12, "maxiter": 1000}
            fitted = WeibullAFTFitter(penalizer=PENALTIES[point]).fit(frame, "time", "event", fit_options=options)
    except (ConvergenceError, ArithmeticError, ValueError) as problem:
        raise EngineFailureError(f"the Weibull fit did not converge ({type(problem).__name__})") from problem
    scale, shape = fitted.params_["lambda_"], fitted.params_["rho_"]
    return WeibullModel(
        coefficients=scale[names].to_numpy(dtype=np.float64),
        intercept=float(scale["Intercept"]) + float(np.log(unit)),
        shape=float(np.exp(shape["Intercept"])),
        penalty=PENALTIES[point],
    )


def _check_times(training: Training) -> None:
    if not (training.time > 0).all():
        raise EngineFailureError("a Weibull model needs times above 0")


def _newton(X: Floats, log_time: Floats, event: Floats, penalty: float, start: Floats) -> Floats:
    """Coefficients, intercept and log shape (p + 2,) that minimise the penalised mean negative log likelihood.

    With u = shape (log t - intercept - x'b) a row contributes event (log shape + u) - exp(u). Steps are damped until
    the Hessian is positive definite (the problem is not convex in these parameters) and halved until they gain.
    """
    design = np.column_stack([X, np.ones(X.shape[0])])
    # lifelines' penalty is on coefficients per standard deviation (denominator n - 1), and on the log shape.
    ridge = np.append(penalty * X.var(axis=0, ddof=1), [0.0, penalty])

    def value(at: Floats) -> float:
        u = np.exp(at[-1]) * (log_time - design @ at[:-1])
        likelihood = np.mean(event * (at[-1] + u) - np.exp(np.minimum(u, LARGEST)))
        return float(0.5 * np.sum(ridge * at**2) - likelihood)

    at, best = start.copy(), value(start)
    for _ in range(MOST_STEPS):
        gradient, hessian = _derivatives(design, log_time, event, at)
        gradient, hessian = gradient + ridge * at, hessian + np.diag(ridge)
        if np.abs(gradient).max() < GRADIENT:
            return at
        lowest = float(np.linalg.eigvalsh(hessian)[0])
        step = np.linalg.solve(hessian + max(0.0, 1e-6 - 1.1 * lowest) * np.eye(at.size), gradient)
        share = 1.0
        while not (found := value(at - share * step)) < best and share > SMALLEST_SHARE:
            share /= 2
        if share <= SMALLEST_SHARE:
            return at
        at, best = at - share * step, found
    raise EngineFailureError("the Weibull fit did not converge")


def _derivatives(design: Floats, log_time: Floats, event: Floats, at: Floats) -> tuple[Floats, Floats]:
    """Gradient and Hessian of the mean negative log likelihood."""
    n, shape = design.shape[0], float(np.exp(at[-1]))
    u = shape * (log_time - design @ at[:-1])
    weight = np.exp(np.minimum(u, LARGEST))
    residual = event - weight
    gradient = np.append(-shape * (design.T @ residual), np.sum(event + residual * u))
    hessian = np.empty((at.size, at.size))
    hessian[:-1, :-1] = -(shape**2) * (design.T @ (weight[:, None] * design))
    hessian[:-1, -1] = hessian[-1, :-1] = shape * (design.T @ (weight * u - residual))
    hessian[-1, -1] = np.sum(residual * u - weight * u**2)
    return -gradient / n, -hessian / n


AFT = Engine(
    name="weibull_aft",
    label="Weibull AFT (ridge)",
    space={},
    path=fit_weibull,
    refit=lambda training, params, point, seed: fit_weibull(training, params, seed).models[point],
    final=final_weibull,
    floor=lambda features: max(20, features),
    point_name="penalty",
)
