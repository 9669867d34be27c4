"""Roots of continuous functions of one variable."""

from __future__ import annotations

from collections.abc import Callable

from scipy.optimize import brentq


def find_root(function: Callable[[float], float], low: float, high: float, *, tolerance: float = 1e-13) -> float:
    """The root between ``low`` and ``high``, where the signs must differ (Brent's method).

    ``tolerance`` is absolute, on the argument.

    Raises
    ------
    ValueError
        If the signs at the ends are equal, a mistake of the caller.
    """
    return float(brentq(function, low, high, xtol=tolerance))  # pyright: ignore[reportArgumentType, reportCallIssue]
