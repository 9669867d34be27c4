"""Conversion between the time units a protocol may declare.

One place for the lengths of months and years: a month is 30.4375 days and a year 365.25 days, so that twelve months
are one year, as in clinical trial reporting.
"""

from __future__ import annotations

import math
from typing import Final

from trialstrat.errors import InvalidInputError
from trialstrat.protocol.model import TimeUnit

DAYS: Final[dict[str, float]] = {"days": 1.0, "weeks": 7.0, "months": 30.4375, "years": 365.25}

#: Whole steps that read naturally on a time axis of each unit, smallest first.
STEPS: Final[dict[str, tuple[float, ...]]] = {
    "days": (1, 5, 10, 30, 60, 90, 180, 360, 720),
    "weeks": (1, 2, 4, 8, 13, 26, 52, 104, 208),
    "months": (1, 2, 3, 6, 12, 24, 36, 60, 120),
    "years": (1, 2, 5, 10, 20),
}


def unit_factor(source: TimeUnit, target: TimeUnit) -> float:
    """What a time in ``source`` units is multiplied by to be in ``target`` units.

    Raises
    ------
    InvalidInputError
        For a unit other than days, weeks, months and years.

    Examples
    --------
    >>> unit_factor("years", "months")
    12.0
    """
    for unit in (source, target):
        if unit not in DAYS:
            raise InvalidInputError(f"unknown time unit {unit!r}: use days, weeks, months or years")
    return DAYS[source] / DAYS[target]


def natural_times(last: float, unit: TimeUnit, most: int = 9) -> tuple[float, ...]:
    """Whole times from 0 to ``last`` (in ``unit``) for the rows under a survival curve, at most ``most`` of them.

    The step is the smallest natural one of the unit (one, three, six, twelve months...) that needs no more than
    ``most`` times; beyond the largest natural step its multiples are used.

    Raises
    ------
    InvalidInputError
        When ``last`` is negative or not finite, the unit is unknown, or ``most`` is below 2.

    Examples
    --------
    >>> natural_times(80.0, "months")
    (0.0, 12.0, 24.0, 36.0, 48.0, 60.0, 72.0)
    """
    if unit not in STEPS:
        raise InvalidInputError(f"unknown time unit {unit!r}: use days, weeks, months or years")
    if not (math.isfinite(last) and last >= 0) or most < 2:
        raise InvalidInputError(f"a time axis to {last} with {most} marks is not possible")
    largest = STEPS[unit][-1]
    multiples = (largest * k for k in range(2, 2 + math.ceil(last / largest)))
    for step in (*STEPS[unit], *multiples):
        marks = math.floor(last / step + 1e-9) + 1
        if marks <= most:
            return tuple(float(step * k) for k in range(marks))
    return (0.0,)
