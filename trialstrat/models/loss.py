"""The loss that tuning minimises: the integrated Brier score of held-out rows, for many fits at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from trialstrat.models.base import Bools, Floats
from trialstrat.stats.censoring import CensoringSurvival, CensoringWeights
from trialstrat.stats.checks import check_survival


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeldOutLoss:
    """Integrated Brier score of fixed rows: equal to :func:`trialstrat.stats.brier.brier`, weights computed once.

    ``weights`` (n, m) inverse probabilities of censoring (0 once censored), ``target`` (n, m) 1 while event-free.
    """

    times: Floats
    weights: Floats
    target: Floats

    @classmethod
    def of(cls, time: Floats, event: Bools, times: Floats, censoring: CensoringSurvival) -> Self:
        """Weights of these rows under a censoring distribution estimated on training rows.

        Raises
        ------
        ValueError
            The censoring distribution reaches 0 before the last of ``times``.
        """
        weighting = CensoringWeights.of(check_survival(time, event.astype(np.int64)), censoring)
        weights = np.zeros((time.size, times.size))
        target = np.zeros_like(weights)
        for k, horizon in enumerate(times):
            case, ended = weighting.cases(horizon), weighting.ended(horizon)
            weights[case, k] = weighting.event_weight[case]
            still = float(censoring.at(horizon))
            weights[~ended, k] = 1.0 / still if still > 0 else np.nan
            target[~ended, k] = 1.0
        if np.isnan(weights).any():
            raise ValueError("the censoring distribution is 0 or unknown within the horizon")
        return cls(times=times, weights=weights, target=target)

    def __call__(self, survival: Floats) -> Floats:
        """(k,) scores of predicted survival (k, n, m)."""
        return self._integral(self.squares(survival).mean(axis=1))

    def squares(self, survival: Floats) -> Floats:
        """Weighted squared errors of every row at every time, of the shape of ``survival`` (..., n, m)."""
        return self.weights * (self.target - survival) ** 2

    def by_row(self, survival: Floats) -> Floats:
        """(n,) integrated weighted squared error of every row; its mean is the score."""
        return self._integral(self.squares(survival))

    def _integral(self, values: Floats) -> Floats:
        """Mean over time by the trapezoid rule along the last axis."""
        if self.times.size == 1:
            return values[..., 0]
        return np.trapezoid(values, self.times, axis=-1) / (self.times[-1] - self.times[0])
