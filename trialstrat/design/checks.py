"""Checks of the scalar arguments that every design function takes, in the same words everywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from trialstrat.errors import InvalidInputError

FloatArray = npt.NDArray[np.float64]


def check_positive(value: float, *, name: str) -> float:
    """A finite number above zero."""
    number = _number(value, name)
    if not (math.isfinite(number) and number > 0):
        raise InvalidInputError(f"{name}: a finite number above 0 is needed")
    return number


def check_between(value: float, low: float, high: float, *, name: str) -> float:
    """A number strictly between ``low`` and ``high``."""
    number = _number(value, name)
    if not low < number < high:
        raise InvalidInputError(f"{name}: must lie strictly between {low:g} and {high:g}")
    return number


def check_within(value: float, low: float, high: float, *, name: str) -> float:
    """A number from ``low`` to ``high``, both included."""
    number = _number(value, name)
    if not low <= number <= high:
        raise InvalidInputError(f"{name}: must lie from {low:g} to {high:g}")
    return number


def check_error_rates(alpha: float, sided: int, power: float | None) -> None:
    """Total alpha in (0, 1/2), sided 1 or 2, and (when given) power above the level of one side and below 1."""
    check_between(alpha, 0.0, 0.5, name="alpha")
    if sided not in (1, 2):
        raise InvalidInputError("sided: must be 1 or 2")
    if power is not None:
        check_between(power, 0.0, 1.0, name="power")
        if power <= alpha:
            raise InvalidInputError("power: must be above alpha; a test without any effect already rejects that often")


def check_hazard_ratio(hazard_ratio: float) -> float:
    """A positive hazard ratio that is not 1 (no finite number of events shows the absence of an effect)."""
    ratio = check_positive(hazard_ratio, name="hazard_ratio")
    if ratio == 1.0:
        raise InvalidInputError("hazard_ratio: must differ from 1; no number of events can show an effect of nothing")
    return ratio


def check_increasing(values: Sequence[float] | FloatArray, *, name: str, strict: bool = True) -> FloatArray:
    """A vector of finite numbers in (strictly) increasing order, with at least one element."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"{name}: numbers are needed") from error
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise InvalidInputError(f"{name}: a list of finite numbers is needed")
    steps = np.diff(array)
    if np.any(steps <= 0) if strict else np.any(steps < 0):
        raise InvalidInputError(f"{name}: the values must be {'strictly ' if strict else ''}increasing")
    return array


def as_numbers(values: Sequence[float] | FloatArray, *, name: str) -> tuple[float, ...]:
    """The values as a tuple of floats."""
    try:
        return tuple(float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"{name}: a list of numbers is needed") from error


def check_rates(information_rates: Sequence[float] | FloatArray) -> FloatArray:
    """Information rates: strictly increasing within (0, 1]."""
    rates = check_increasing(information_rates, name="information_rates")
    if rates[0] <= 0 or rates[-1] > 1:
        raise InvalidInputError("information_rates: must lie above 0 and not above 1")
    return rates


def _number(value: float, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"{name}: a number is needed") from error
    if math.isnan(number):
        raise InvalidInputError(f"{name}: a number is needed, not a missing value")
    return number
