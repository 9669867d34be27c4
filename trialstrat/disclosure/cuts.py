"""Cuts of a marker without a patient's own value."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

#: Digits after the point at which two values count as one.
_MOST_DIGITS = 15


def shown_cut(cut: float, values: NDArray[np.float64], minimum: int) -> float:
    """A number that divides ``values`` (n,) as ``cut`` does (at or below it, and above), and is nobody's own.

    A cut found in data is the value of a patient. Where ``minimum`` patients share it, it stays; else it becomes the
    number with the fewest digits between it and the next larger value.
    """
    if int((values == cut).sum()) >= minimum:
        return cut
    above = values[values > cut]
    highest = float(above.min()) if len(above) else math.inf
    size = abs(cut) if cut else 1.0
    for digits in range(-math.floor(math.log10(size)), _MOST_DIGITS):
        step = 10.0**-digits
        found = round((math.floor(cut / step) + 1) * step, max(digits, 0))
        if cut < found < highest:
            return found
    return cut
