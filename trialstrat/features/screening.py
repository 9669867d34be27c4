"""The univariable filter of wide marker blocks: one score statistic per marker, all markers at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Markers per block of the computation: bounds memory at n x this many doubles.
BLOCK = 512


def score_statistics(
    values: NDArray[np.float64], time: NDArray[np.float64], event: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Standardised Cox score statistic of every column at beta = 0 (Breslow's ties; the log-rank test of a marker).

    Parameters
    ----------
    values
        (n, p) markers without missing values.
    time, event
        (n,) times and event indicators.

    Returns
    -------
    (p,) z statistics; 0 where a column is constant in every risk set.

    References
    ----------
    Cox DR (1972), Regression models and life-tables, JRSS B 34, section 5.
    """
    order = np.argsort(-time, kind="stable")
    time, event = time[order], event[order]
    # Last row of each tied time, going down in time: everybody at risk then stands at or above it.
    last = np.searchsorted(-time, -time, side="right") - 1
    at = last[event]
    size = (at + 1).astype(np.float64)[:, None]
    out = np.empty(values.shape[1])
    for start in range(0, values.shape[1], BLOCK):
        part = values[order, start : start + BLOCK]
        part = part - part.mean(axis=0)
        mean = np.cumsum(part, axis=0)[at] / size
        variance = np.maximum(np.cumsum(part * part, axis=0)[at] / size - mean * mean, 0.0)
        score = (part[event] - mean).sum(axis=0)
        total = variance.sum(axis=0)
        usable = total > 1e-12
        out[start : start + BLOCK] = np.where(usable, score / np.sqrt(np.where(usable, total, 1.0)), 0.0)
    return out


def strongest(statistics: NDArray[np.float64], names: list[str], keep: int) -> list[str]:
    """Names of the ``keep`` largest absolute statistics; equal ones by name: the choice never depends on order."""
    ranked = sorted(range(len(names)), key=lambda at: (-abs(float(statistics[at])), names[at]))
    return sorted(names[at] for at in ranked[:keep])
