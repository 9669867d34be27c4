"""Predictions for patients the model had not seen, and what a later stage may learn beside them without leakage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trialstrat.models.base import Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutOfFold:
    """Held-out predictions of one model (of the first repeat, where folds are drawn several times).

    Attributes
    ----------
    model, label
        ``<engine>.<feature set>`` and how people read it.
    fold : (n,) int
        Outer fold that holds the patient out, 0 to k - 1; -1 for patients left out of the models.
    risk : (n,)
        Predicted risk, higher is worse, nan where ``fold`` is -1. Comparable within a fold; cut it by the quantiles
        of the same fold's training risks.
    survival : (n, m)
        Predicted probability of no event up to each of ``times``.
    times : (m,)
        Increasing, in the endpoint's display unit; ``horizon`` is one of them.
    quantiles : (q,)
        The declared quantiles, and ``training_quantiles`` (k, q): those of the training risks of every fold.
    fold_training_risk
        Per fold the training rows and their risk as predicted by inner folds that had not seen them: for cut-offs and
        rules that are learned inside the fold and judged on its held-out patients.
    """

    model: str
    label: str
    fold: NDArray[np.int64]
    risk: Floats
    survival: Floats
    times: Floats
    horizon: float
    quantiles: tuple[float, ...]
    training_quantiles: Floats
    fold_training_risk: tuple[tuple[NDArray[np.intp], Floats], ...]

    @property
    def folds(self) -> int:
        """Number of outer folds."""
        return len(self.fold_training_risk)

    def held_out(self, fold: int) -> NDArray[np.intp]:
        """Rows that this fold holds out."""
        return np.flatnonzero(self.fold == fold)

    def event_probability(self) -> Floats:
        """(n,) predicted probability of an event by the horizon."""
        return 1.0 - self.survival[:, int(np.searchsorted(self.times, self.horizon))]

    def groups(self) -> NDArray[np.int64]:
        """(n,) risk group, 0 the lowest: risks cut at the quantiles of the same fold's training risks; -1 without."""
        out = np.full(self.fold.size, -1, dtype=np.int64)
        for fold in range(self.folds):
            rows = self.held_out(fold)
            out[rows] = np.searchsorted(self.training_quantiles[fold], self.risk[rows], side="left")
        return out
