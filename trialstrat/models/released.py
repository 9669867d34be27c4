"""What a frozen model may hold when it leaves the house: enough to predict, and no patient.

References
----------
Ritchie F et al. Machine learning models in trusted research environments: understanding operational risks. Int J
Population Data Science 2023;8(1):30 (leaves of few, more parameters than data, models that store their data).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from trialstrat.disclosure.curves import step_of, to_grid
from trialstrat.models.base import Bools, Floats, Model
from trialstrat.models.forest import ForestModel
from trialstrat.models.hazards import Boosted, HazardModel, Linear
from trialstrat.models.trees import Trees

#: A model with more parameters than this share of the patients may repeat them.
MOST_PARAMETERS = 1 / 3


def withheld(model: Model, X: Floats, minimum: int) -> str:
    """Why a model that was fitted to X (n, p) is not exported; empty when it is.

    Refused are trees with a leaf that fewer than ``minimum`` of the patients reach, and models with more parameters
    (coefficients that are not 0; leaves of the largest tree) than a third of the patients.
    """
    trees: Trees | None = None
    parameters = 0
    if isinstance(model, ForestModel):
        trees = model.trees
    elif isinstance(model, HazardModel) and isinstance(model.predictor, Boosted):
        trees = model.predictor.trees
    elif isinstance(model, HazardModel) and isinstance(model.predictor, Linear):
        parameters = int(np.count_nonzero(model.predictor.coefficients))
    if trees is not None:
        smallest, parameters = _leaves(trees, X)
        if smallest < minimum:
            return f"a leaf of a tree stands for fewer than {minimum} patients"
    most = MOST_PARAMETERS * len(X)
    return f"{parameters} parameters for {len(X)} patients: more than a third" if parameters > most else ""


def _leaves(trees: Trees, X: Floats) -> tuple[int, int]:
    """Patients in the smallest leaf of any tree, and leaves of the largest tree."""
    reached = trees.leaves(X)
    smallest, most = len(X), 0
    ends = np.append(trees.roots[1:], trees.feature.size)
    for tree, (start, end) in enumerate(zip(trees.roots, ends, strict=True)):
        leaf = np.flatnonzero(trees.feature[start:end] < 0) + start
        counts = np.bincount(reached[tree] - start, minlength=end - start)[leaf - start]
        smallest, most = min(smallest, int(counts.min())), max(most, len(leaf))
    return smallest, most


def on_grid(model: Model, time: Floats, event: Bools, minimum: int) -> Model:
    """The model with its steps on a grid of times, none of which is a patient's own by more than chance.

    The baseline hazard of a proportional hazards model is known where at least ``minimum`` events have happened since
    the point before, with the height of the fitted curve there, and runs straight between these points; a forest's
    curves keep their heights. Models without steps stay as they are.
    """
    if minimum <= 1 or not event.any():
        return model
    step = step_of(float(time.max()))
    if isinstance(model, HazardModel):
        keep, at = _pooled(model.times, np.sort(time[event]), step, minimum)
        grid = step * np.arange(1, round(at[-1] / step) + 1)
        known, heights = np.append(0.0, at), np.append(0.0, model.cumulative[0, keep])
        return replace(model, times=grid.round(10), cumulative=np.interp(grid, known, heights)[None])
    if isinstance(model, ForestModel):
        moved = np.array([to_grid(float(entry), step) for entry in model.times])
        keep = np.flatnonzero(np.append(np.diff(moved) > 0, True))
        return replace(model, times=moved[keep], leaf_survival=model.leaf_survival[:, keep])
    return model


def _pooled(times: Floats, events: Floats, step: float, minimum: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Positions of the fitted steps that stay, and the times of the grid at which they stand.

    What is left at the end without enough events goes with the step before it.
    """
    moved = np.array([to_grid(float(entry), step) for entry in times])
    last = np.flatnonzero(np.append(np.diff(moved) > 0, True))
    so_far = np.searchsorted(events, times[last], side="right")
    keep: list[int] = []
    done = 0
    for at, count in zip(last, so_far, strict=True):
        if count - done >= minimum:
            keep.append(int(at))
            done = int(count)
    if done < len(events):
        keep = [*keep[:-1], int(last[-1])]
    return np.array(keep, dtype=np.intp), moved[keep]
