"""Concordance of a risk with the order of events, with everything its standard error needs."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trialstrat.stats.kernels.concordance import pairs_as_control, pairs_as_event

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConcordanceSums:
    """Weighted pair counts, and their derivatives with respect to the weight of every row.

    ``concordant`` and ``comparable`` are the numerator and the denominator of the concordance. ``d_concordant`` and
    ``d_comparable`` (n,) are their derivatives by the case weights ``weights`` (n,), event weights held fixed.
    """

    concordant: float
    comparable: float
    d_concordant: Floats
    d_comparable: Floats
    weights: Floats

    @property
    def concordance(self) -> float:
        """Share of concordant pairs, nan without a comparable pair."""
        return self.concordant / self.comparable if self.comparable > 0 else float("nan")

    @property
    def influence(self) -> Floats:
        """Infinitesimal jackknife values ``w_i dC / dw_i`` (n,); they sum to 0."""
        if not self.comparable > 0:
            return np.full(self.weights.shape, np.nan)
        return self.weights * (self.d_concordant - self.concordance * self.d_comparable) / self.comparable

    def std_error(self, cluster: ArrayLike | None = None) -> float:
        """Infinitesimal jackknife standard error; influences are summed within ``cluster`` (n labels) first."""
        influence = self.influence
        if cluster is not None:
            _, label = np.unique(np.asarray(cluster), return_inverse=True)
            influence = np.bincount(label.ravel(), weights=influence)
        return float(np.sqrt(np.sum(influence**2)))


def concordance_sums(
    time: ArrayLike,
    event: ArrayLike,
    risk: ArrayLike,
    *,
    entry: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    event_weights: ArrayLike | None = None,
) -> ConcordanceSums:
    """Count concordant and comparable pairs in O(n log n).

    A pair (i, j) of one stratum is comparable when i has an event, ``entry_j < time_i``, and ``time_i < time_j``, or
    ``time_i == time_j`` with j censored. It is concordant when ``risk_i > risk_j``; equal risks count one half. Its
    weight is ``weights_i * weights_j * event_weights_i``; ``event_weights`` hold for instance ``1 / G(time_i-)**2``
    (Uno's C), or 0 for events after a horizon.

    Parameters
    ----------
    time, event, risk : array of shape (n,)
        Checked and complete; times are compared exactly, so merge times equal up to rounding first.
        A high ``risk`` stands for an early event.
    entry, strata, weights, event_weights : array of shape (n,), optional
        Entry times; integer or text stratum labels; case weights; weights of a row as the event of a pair.

    Returns
    -------
    ConcordanceSums
        With 0 comparable pairs the concordance is nan.

    References
    ----------
    Harrell, Lee & Mark (1996), Statistics in Medicine 15:361. Uno et al. (2011), Statistics in Medicine 30:1105.
    Therneau & Watson (2015), The concordance statistic and the Cox model, Mayo Clinic report 85.
    """
    time = np.asarray(time, dtype=np.float64)
    dead = np.asarray(event).astype(bool)
    n = time.shape[0]
    weight = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    share = np.ones(n) if event_weights is None else np.asarray(event_weights, dtype=np.float64)
    as_event = weight * share
    start = None if entry is None else np.asarray(entry, dtype=np.float64)
    label = np.zeros(n, dtype=np.int64) if strata is None else np.unique(np.asarray(strata), return_inverse=True)[1]

    order = np.lexsort((~dead, time, label.ravel()))
    bounds = np.flatnonzero(np.diff(label.ravel()[order], prepend=-1, append=-1))
    counts = np.zeros((4, n))
    for low, high in itertools.pairwise(bounds):
        rows = order[low:high]
        rank = np.unique(np.asarray(risk, dtype=np.float64)[rows], return_inverse=True)[1].ravel()
        begin = np.zeros(0) if start is None else start[rows]
        by_entry = np.argsort(-begin, kind="stable")
        local = np.zeros((4, rows.size))
        pairs_as_event(time[rows], dead[rows], rank, weight[rows], begin, by_entry, local[0], local[1])
        pairs_as_control(time[rows], dead[rows], rank, as_event[rows], begin, by_entry, local[2], local[3])
        counts[:, rows] = local
    d_concordant = share * counts[0] + counts[2]
    d_comparable = share * counts[1] + counts[3]
    return ConcordanceSums(
        concordant=float(np.sum(as_event * counts[0])),
        comparable=float(np.sum(as_event * counts[1])),
        d_concordant=d_concordant,
        d_comparable=d_comparable,
        weights=weight,
    )
