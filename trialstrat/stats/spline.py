"""Restricted cubic splines: smooth curves that are straight beyond their outer knots."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Quantiles of the predictor at which the knots are placed (Harrell 2015, table 2.3).
KNOT_QUANTILES = {3: (0.1, 0.5, 0.9), 4: (0.05, 0.35, 0.65, 0.95), 5: (0.05, 0.275, 0.5, 0.725, 0.95)}


def spline_knots(x: Floats, count: int) -> Floats:
    """Knots at Harrell's quantiles of ``x`` (n,), equal ones once; none (a straight line) where under three remain."""
    places = np.unique(np.quantile(x, KNOT_QUANTILES[count]))
    fine = 3 <= places.size <= np.unique(x).size
    return places if fine else np.empty(0)


def restricted_cubic_spline(x: Floats, knots: Floats) -> Floats:
    """Columns (n, k - 1) of a restricted cubic spline: x itself, and one truncated cubic per knot but the last two.

    Without knots the column is x alone.

    References
    ----------
    Harrell (2015), Regression Modeling Strategies, section 2.4.5.
    """
    columns = [x]
    if knots.size:
        last, second_last = knots[-1], knots[-2]
        unit = (last - knots[0]) ** 2
        tail = np.maximum(x - last, 0.0) ** 3 / (last - second_last)
        before = np.maximum(x - second_last, 0.0) ** 3 / (last - second_last)
        for knot in knots[:-2]:
            cubic = np.maximum(x - knot, 0.0) ** 3 - before * (last - knot) + tail * (second_last - knot)
            columns.append(cubic / unit)
    return np.column_stack(columns)
