"""Proportional hazards models: a linear predictor of any making and Breslow's baseline hazard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from trialstrat.models.base import Bools, Floats, step_values
from trialstrat.models.trees import Trees

#: Linear predictors beyond this are as good as infinite; the bound keeps exp() finite in far extrapolation.
LARGEST = 500.0


class Predictor(Protocol):
    """Log relative hazards from features, for k fits at once."""

    @property
    def points(self) -> tuple[float, ...]:
        """What tells the fits apart."""
        ...

    def linear(self, X: Floats) -> Floats:
        """(k, n) log relative hazards."""
        ...

    def pick(self, at: int) -> Predictor:
        """One of the fits."""
        ...

    def parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """JSON values and arrays of a single fit."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Linear:
    """Weighted sums of features: ``coefficients`` (k, p), one row per point."""

    points: tuple[float, ...]
    coefficients: Floats

    def linear(self, X: Floats) -> Floats:
        """(k, n) sums. Features are scaled on the training rows: 0 is the average training patient."""
        return self.coefficients @ X.T

    def pick(self, at: int) -> Linear:
        """The weights of one point."""
        return Linear(points=(self.points[at],), coefficients=self.coefficients[at : at + 1])

    def parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The weights of the only point."""
        return {"predictor": "linear", "point": self.points[0]}, {"coefficients": self.coefficients[0]}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Boosted:
    """Sums of the first ``points`` trees; the values of the leaves are already multiplied by the learning rate."""

    points: tuple[float, ...]
    trees: Trees
    values: Floats

    def linear(self, X: Floats) -> Floats:
        """(k, n) sums over the trees of each point."""
        steps = self.values[self.trees.leaves(X)]
        return np.cumsum(steps, axis=0)[np.array(self.points, dtype=np.intp) - 1]

    def pick(self, at: int) -> Boosted:
        """The first trees, up to one point."""
        trees = self.trees.first(int(self.points[at]))
        return Boosted(points=(self.points[at],), trees=trees, values=self.values[: trees.feature.size])

    def parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The trees of the only point."""
        return {"predictor": "boosted", "point": self.points[0]}, {**self.trees.arrays(), "leaf_values": self.values}


def breslow(time: Floats, event: Bools, linear: Floats) -> tuple[Floats, Floats]:
    """Cumulative baseline hazard for given log relative hazards (k, n).

    Returns
    -------
    Distinct event times (g,), and the cumulative hazard there (k, g) of somebody with log relative hazard 0.

    References
    ----------
    Breslow NE (1972), discussion of Cox, JRSS B 34, 216.
    """
    distinct, first = np.unique(time[event], return_inverse=True)
    deaths = np.bincount(first, minlength=distinct.size).astype(np.float64)
    order = np.argsort(-time, kind="stable")
    last = np.searchsorted(-time[order], -distinct, side="right") - 1
    relative = np.exp(np.clip(linear[:, order], -LARGEST, LARGEST))
    at_risk = np.cumsum(relative, axis=1)[:, last]
    return distinct, np.cumsum(deaths / at_risk, axis=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HazardPath:
    """k proportional hazards fits; ``cumulative`` (k, g) baseline hazards at ``times`` (g,)."""

    predictor: Predictor
    times: Floats
    cumulative: Floats

    @classmethod
    def fit(cls, predictor: Predictor, X: Floats, time: Floats, event: Bools) -> Self:
        """Add the baseline hazards that the training rows give."""
        times, cumulative = breslow(time, event, predictor.linear(X))
        return cls(predictor=predictor, times=times, cumulative=cumulative)

    @property
    def points(self) -> tuple[float, ...]:
        """What tells the fits apart."""
        return self.predictor.points

    def survival(self, X: Floats, times: Floats) -> Floats:
        """(k, n, m) predicted survival."""
        relative = np.exp(np.clip(self.predictor.linear(X), -LARGEST, LARGEST))
        baseline = step_values(times, self.times, self.cumulative, 0.0)
        return np.exp(-relative[:, :, None] * baseline[:, None, :])

    def pick(self, at: int) -> HazardModel:
        """One of the fits."""
        return HazardModel(predictor=self.predictor.pick(at), times=self.times, cumulative=self.cumulative[at : at + 1])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HazardModel:
    """One proportional hazards fit."""

    kind: ClassVar[str] = "proportional_hazards"

    predictor: Predictor
    times: Floats
    cumulative: Floats

    def risk(self, X: Floats) -> Floats:
        """(n,) log relative hazard."""
        return self.predictor.linear(X)[0]

    def survival(self, X: Floats, times: Floats) -> Floats:
        """(n, m) predicted survival."""
        return HazardPath(predictor=self.predictor, times=self.times, cumulative=self.cumulative).survival(X, times)[0]

    def parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """JSON values and arrays of the model."""
        meta, arrays = self.predictor.parts()
        return meta, {**arrays, "baseline_times": self.times, "baseline_hazard": self.cumulative[0]}

    @classmethod
    def from_parts(cls, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Self:
        """Inverse of :meth:`parts`."""
        points = (float(meta["point"]),)
        predictor: Predictor
        if meta["predictor"] == "linear":
            predictor = Linear(points=points, coefficients=arrays["coefficients"][None])
        else:
            predictor = Boosted(points=points, trees=Trees.from_arrays(arrays), values=arrays["leaf_values"])
        return cls(predictor=predictor, times=arrays["baseline_times"], cumulative=arrays["baseline_hazard"][None])
