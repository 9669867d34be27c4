"""Distribution function of two correlated standard normal variables, exact and without random numbers."""

from __future__ import annotations

import math

from scipy.special import ndtr, owens_t

from trialstrat.errors import InvalidInputError

_TINY = 1e-300


def bivariate_normal_cdf(first: float, second: float, correlation: float) -> float:
    """P(X <= first, Y <= second) for standard normal X and Y.

    Parameters
    ----------
    first, second : float
        Limits, infinite allowed.
    correlation : float
        From -1 to 1.

    Raises
    ------
    InvalidInputError
        A correlation outside [-1, 1], or a missing value.

    References
    ----------
    Owen 1956, Ann Math Stat 27, 1075-1090, eq. 2.1.
    """
    if not -1.0 <= correlation <= 1.0 or math.isnan(first) or math.isnan(second):
        raise InvalidInputError("correlation: must lie from -1 to 1, and the limits must be numbers")
    if math.isinf(first) or math.isinf(second):
        return float(min(ndtr(first), ndtr(second)))
    if correlation == 1.0:
        return float(ndtr(min(first, second)))
    if correlation == -1.0:
        return float(max(0.0, ndtr(first) - ndtr(-second)))
    h, k = first or _TINY, second or _TINY
    root = math.sqrt((1.0 - correlation) * (1.0 + correlation))
    wedge = owens_t(h, (k / h - correlation) / root) + owens_t(k, (h / k - correlation) / root)
    apart = 0.5 if h * k < 0 or (h > 0) != (k > 0) else 0.0
    return float(min(1.0, max(0.0, 0.5 * (ndtr(h) + ndtr(k)) - wedge - apart)))
