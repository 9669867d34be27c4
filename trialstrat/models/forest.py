"""Random survival forest (scikit-survival), grown on grouped event times and exported as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from trialstrat.models.base import Bools, Engine, Floats, Range, SinglePath, Training, step_values
from trialstrat.models.trees import Trees

#: Groups of event times. A split is judged by a log-rank statistic over these instead of every single time: the cost
#: of a forest follows their number, and beyond a few dozen no split changes.
TIME_GROUPS = 50


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TimeGrid:
    """Groups of consecutive event times: ``last`` (g,) the largest time of each, ``middle`` (g,) its median.

    Events move to the middle of their group. A censored patient stays at risk exactly for the middles up to the time
    of censoring, so that risk sets are not inflated by rounding.
    """

    last: Floats
    middle: Floats

    @classmethod
    def of(cls, time: Floats, event: Bools, groups: int = TIME_GROUPS) -> Self:
        """Groups of as equal numbers of distinct event times as possible."""
        parts = np.array_split(np.unique(time[event]), groups)
        parts = [part for part in parts if part.size]
        return cls(
            last=np.array([part[-1] for part in parts]), middle=np.array([part[part.size // 2] for part in parts])
        )

    def grouped(self, time: Floats, event: Bools) -> Floats:
        """Times on the grid; those censored before its first middle come at half of it."""
        moved = self.middle[np.minimum(np.searchsorted(self.last, time), self.last.size - 1)]
        below = np.searchsorted(self.middle, time, side="right") - 1
        censored = np.where(below >= 0, self.middle[np.maximum(below, 0)], self.middle[0] / 2)
        return np.where(event, moved, censored)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ForestModel:
    """Trees with, per leaf, survival on ``times`` (g,) and the expected number of events over them (mortality).

    ``leaf`` maps a node to its row of ``leaf_survival`` (leaves, g) and ``leaf_mortality`` (leaves,).
    """

    kind: ClassVar[str] = "survival_forest"

    trees: Trees
    leaf: NDArray[np.int32]
    leaf_survival: Floats
    leaf_mortality: Floats
    times: Floats

    def risk(self, X: Floats) -> Floats:
        """(n,) ensemble mortality: the cumulative hazard summed over the event times, averaged over trees."""
        return self.leaf_mortality[self.leaf[self.trees.leaves(X)]].mean(axis=0)

    def survival(self, X: Floats, times: Floats) -> Floats:
        """(n, m) survival averaged over trees."""
        reached = self.leaf[self.trees.leaves(X)]
        total = np.zeros((X.shape[0], self.times.size))
        for rows in reached:
            total += self.leaf_survival[rows]
        return step_values(times, self.times, total / reached.shape[0], 1.0)

    def parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """No JSON values; every array by name."""
        own = {name: getattr(self, name) for name in ("leaf", "leaf_survival", "leaf_mortality", "times")}
        return {}, {**self.trees.arrays(), **own}

    @classmethod
    def from_parts(cls, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Self:
        """Inverse of :meth:`parts`."""
        own = {name: arrays[name] for name in ("leaf", "leaf_survival", "leaf_mortality", "times")}
        return cls(trees=Trees.from_arrays(arrays), **meta, **own)


def fit_forest(training: Training, params: Mapping[str, float], seed: int) -> SinglePath:
    """Grow a forest. ``settings``: ``trees``, and ``time_grid`` when it was declared on other rows."""
    import sklearn
    from sksurv.ensemble import RandomSurvivalForest
    from sksurv.util import Surv

    grid = training.settings.get("time_grid") or TimeGrid.of(training.time, training.event)
    outcome = Surv.from_arrays(training.event, grid.grouped(training.time, training.event))
    leaf = int(min(params["min_samples_leaf"], max(3, training.X.shape[0] // 4)))
    engine = RandomSurvivalForest(
        n_estimators=int(training.settings["trees"]),
        min_samples_leaf=leaf,
        min_samples_split=2 * leaf,
        max_features=float(params["max_features"]),  # pyright: ignore[reportArgumentType]
        max_samples=float(params["max_samples"]),
        random_state=seed,
        n_jobs=1,
    )
    with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
        engine.fit(training.X, outcome)
    return SinglePath(model=export_forest(engine, grid.middle))


def export_forest(engine: Any, times: Floats) -> ForestModel:
    """Copy a fitted ``RandomSurvivalForest`` onto the declared grid of ``times``."""
    grown = [tree.tree_ for tree in engine.estimators_]
    trees = Trees.export(grown)
    leaf = trees.feature < 0
    # (nodes, unique times, 2): cumulative hazard and survival of each node
    values = np.concatenate([tree.value for tree in grown])[leaf]
    hazard = step_values(times, engine.unique_times_, values[:, :, 0], 0.0)
    number = np.full(leaf.size, -1, dtype=np.int32)
    number[leaf] = np.arange(int(leaf.sum()), dtype=np.int32)
    return ForestModel(
        trees=trees,
        leaf=number,
        leaf_survival=step_values(times, engine.unique_times_, values[:, :, 1], 1.0),
        leaf_mortality=hazard.sum(axis=1),
        times=times,
    )


FOREST = Engine(
    name="forest",
    label="Random survival forest",
    space={
        "min_samples_leaf": Range(kind="int", low=5, high=60, log=True),
        "max_features": Range(kind="float", low=0.1, high=1.0),
        "max_samples": Range(kind="float", low=0.4, high=1.0),
    },
    path=fit_forest,
    refit=lambda training, params, _point, seed: fit_forest(training, params, seed).model,
    floor=lambda _features: 30,
)
