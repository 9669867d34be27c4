"""Validation of the arrays that every statistic takes: times, events, entry, weights, groups, covariates.

One place decides what is impossible, so that every function refuses the same things in the same words. A message names
the argument, how many values are wrong out of how many, and the mend; it never shows a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trialstrat.errors import InvalidInputError
from trialstrat.stats.times import merge_close_times

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Label = str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SurvivalData:
    """Checked right-censored data: ``time`` (close times merged), ``event`` codes, ``entry`` and ``weights`` (or None).

    A patient is at risk at t when entry < t <= time (from the start when ``entry`` is None).
    """

    time: FloatArray
    event: IntArray
    entry: FloatArray | None = None
    weights: FloatArray | None = None

    @property
    def n(self) -> int:
        """Number of rows."""
        return self.time.shape[0]

    def subset(self, rows: npt.NDArray[Any]) -> SurvivalData:
        """The same data restricted to ``rows`` (a mask or positions); times are not merged again."""
        return SurvivalData(
            time=self.time[rows],
            event=self.event[rows],
            entry=None if self.entry is None else self.entry[rows],
            weights=None if self.weights is None else self.weights[rows],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Groups:
    """A categorical vector: sorted distinct ``labels`` and, for every row, the position of its label (``codes``).

    Text sorts by code point, numbers numerically.
    """

    labels: tuple[Label, ...]
    codes: IntArray

    @property
    def k(self) -> int:
        """Number of groups that occur."""
        return len(self.labels)


def check_survival(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    *,
    entry: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    competing: bool = False,
) -> SurvivalData:
    """Validate right-censored (and delayed-entry) data and merge the times that differ by rounding only.

    Parameters
    ----------
    time : array of shape (n,)
        Follow-up times, finite and not negative.
    event : array of shape (n,)
        0 censored, 1 event; with ``competing`` 0 censored, 1, 2, ... the causes.
    entry : array of shape (n,), optional
        Delayed entry times, finite and before ``time``. Negative entry is allowed (it never matters).
    weights : array of shape (n,), optional
        Case weights, finite and not negative, not all zero.
    competing : bool
        Whether codes above 1 are allowed.

    Raises
    ------
    InvalidInputError
        With one line for every fault found.
    """
    faults: list[str] = []
    values = _collect(faults, check_times, time)
    if values is None:
        raise InvalidInputError(*faults)
    n = values.shape[0]
    codes = _collect(faults, check_event_codes if competing else check_events, event, n)
    start = None if entry is None else _collect(faults, check_entry, entry, values)
    mass = None if weights is None else _collect(faults, check_weights, weights, n)
    if faults or codes is None:
        raise InvalidInputError(*faults)
    merged, start = merge_close_times(values, start)
    if start is not None:
        check_entry(start, merged)
    return SurvivalData(time=merged, event=codes, entry=start, weights=mass)


def check_times(time: npt.ArrayLike, *, name: str = "time") -> FloatArray:
    """A vector of finite, non-negative times with at least one row."""
    values = check_values(time, name=name)
    if values.shape[0] == 0:
        raise InvalidInputError(f"{name}: there is no row; at least one observation is needed")
    _refuse(values < 0, f"{name}: {{}} values are negative; times count from time zero, correct or exclude these rows")
    return values


def check_events(event: npt.ArrayLike, n: int) -> IntArray:
    """A vector of 0 (censored) and 1 (event) of length ``n``; booleans are accepted."""
    values = check_values(event, n, name="event")
    _refuse((values != 0) & (values != 1), "event: {} codes are neither 0 (censored) nor 1 (event)")
    return values.astype(np.int64)


def check_event_codes(event: npt.ArrayLike, n: int) -> IntArray:
    """A vector of 0 (censored) and causes 1, 2, ... of length ``n``."""
    values = check_values(event, n, name="event")
    _refuse(
        (values < 0) | (values != np.floor(values)), "event: {} codes are not 0 (censored) or a cause number 1, 2, ..."
    )
    return values.astype(np.int64)


def check_entry(entry: npt.ArrayLike, time: FloatArray) -> FloatArray:
    """Entry times of the length of ``time``, each before its own time."""
    values = check_values(entry, time.shape[0], name="entry")
    _refuse(values >= time, "entry: {} entry times are not before the end of follow-up; exclude or correct these rows")
    return values


def check_weights(weights: npt.ArrayLike, n: int) -> FloatArray:
    """Finite, non-negative weights of length ``n``, not all zero."""
    values = check_values(weights, n, name="weights")
    _refuse(values < 0, "weights: {} weights are negative")
    if n and not np.any(values > 0):
        raise InvalidInputError("weights: all weights are zero; nobody would be analysed")
    return values


def check_values(values: npt.ArrayLike, n: int | None = None, *, name: str) -> FloatArray:
    """A one-dimensional vector of finite numbers (of length ``n`` when given)."""
    array = _as_float(values, name)
    if array.ndim != 1:
        raise InvalidInputError(f"{name}: an array with one dimension is needed, this one has {array.ndim}")
    _same_length(array.shape[0], n, name)
    _refuse(~np.isfinite(array), f"{name}: {{}} values are missing or infinite; exclude or impute these rows first")
    return array


def check_matrix(matrix: npt.ArrayLike, n: int, *, name: str = "covariates") -> FloatArray:
    """A matrix of finite numbers with ``n`` rows; a vector counts as one column. C-contiguous."""
    array = _as_float(matrix, name)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise InvalidInputError(f"{name}: a matrix of rows and columns is needed, not {array.ndim} dimensions")
    _same_length(array.shape[0], n, name)
    bad = np.asarray(~np.isfinite(array).all(axis=1), dtype=np.bool_)
    _refuse(bad, f"{name}: {{}} rows hold missing or infinite values; exclude or impute them")
    return np.ascontiguousarray(array)


def check_probabilities(values: npt.ArrayLike, n: int, *, name: str = "predicted") -> FloatArray:
    """Probabilities in [0, 1] with ``n`` rows, as a matrix (a vector counts as one column)."""
    matrix = check_matrix(values, n, name=name)
    _refuse(((matrix < 0) | (matrix > 1)).ravel(), f"{name}: {{}} probabilities lie outside [0, 1]")
    return matrix


def check_groups(group: npt.ArrayLike, n: int, *, name: str = "group") -> Groups:
    """Code a categorical vector of length ``n``; missing labels (None, nan, empty text) are refused."""
    array = np.asarray(group)
    if array.ndim != 1:
        raise InvalidInputError(f"{name}: an array with one dimension is needed, this one has {array.ndim}")
    _same_length(array.shape[0], n, name)
    if array.dtype.kind == "f":
        missing = np.isnan(array)
    elif array.dtype.kind in "biu":
        missing = np.zeros(n, dtype=bool)
    else:
        array = array.astype(object)
        missing = np.array([_is_missing(value) for value in array], dtype=bool)
    _refuse(missing, f"{name}: {{}} labels are missing; exclude these rows or give them a label of their own")
    if array.dtype.kind in "biuf":
        distinct, codes = np.unique(array, return_inverse=True)
        return Groups(labels=tuple(_plain(value) for value in distinct), codes=codes.astype(np.int64))
    return _code_objects(array)


def check_two_groups(group: npt.ArrayLike, n: int, *, name: str = "group") -> IntArray:
    """A vector of 0 (reference) and 1 of length ``n``; booleans are accepted."""
    values = check_values(group, n, name=name)
    _refuse((values != 0) & (values != 1), f"{name}: {{}} values are neither 0 (reference group) nor 1")
    return values.astype(np.int64)


def check_strata(strata: npt.ArrayLike | Sequence[npt.ArrayLike] | None, n: int) -> IntArray:
    """Stratum number of every row, from one vector or a list of vectors (a stratum is a combination of their values).

    None is a single stratum. Strata are numbered 0, 1, ... in sorted order.
    """
    if strata is None:
        return np.zeros(n, dtype=np.int64)
    if isinstance(strata, (list, tuple)) and len(strata) > 0 and np.ndim(strata[0]) == 1:
        columns = list(strata)
    else:
        columns = [strata]
    code = np.zeros(n, dtype=np.int64)
    for column in columns:
        groups = check_groups(column, n, name="strata")  # pyright: ignore[reportArgumentType]
        code = np.unique(code * groups.k + groups.codes, return_inverse=True)[1].astype(np.int64)
    return code


def check_level(level: float) -> float:
    """A confidence level strictly between 0 and 1."""
    if not (0.0 < level < 1.0):
        raise InvalidInputError("level: a confidence level lies strictly between 0 and 1, as 0.95")
    return float(level)


def check_horizon(horizon: float, *, name: str) -> float:
    """A finite, positive time (restriction time, milestone)."""
    if not (np.isfinite(horizon) and horizon > 0):
        raise InvalidInputError(f"{name}: a positive, finite time is needed")
    return float(horizon)


def _collect(faults: list[str], check: Any, *args: Any) -> Any:
    """Run one check and keep its message, so that all faults of a call are reported together."""
    try:
        return check(*args)
    except InvalidInputError as error:
        faults.extend(error.messages)
        return None


def _as_float(values: npt.ArrayLike, name: str) -> FloatArray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"{name}: numbers are needed, some values are text or of another kind") from error


def _same_length(found: int, n: int | None, name: str) -> None:
    if n is not None and found != n:
        raise InvalidInputError(
            f"{name}: has {found} rows where {n} are needed; all arrays must be of the same patients"
        )


def _refuse(bad: npt.NDArray[np.bool_], message: str) -> None:
    """Raise when any row is bad; ``message`` holds a place for ``k of n``."""
    count = int(np.count_nonzero(bad))
    if count:
        raise InvalidInputError(message.format(f"{count} of {bad.shape[0]}"))


def _is_missing(value: Any) -> bool:
    """None, nan (NaN is the only value unequal to itself), pandas' NA and empty text."""
    if value is None or (isinstance(value, str) and not value):
        return True
    try:
        return bool(value != value)
    except TypeError:
        return True


def _plain(value: Any) -> Label:
    return value.item() if isinstance(value, np.generic) else value


def _code_objects(array: npt.NDArray[Any]) -> Groups:
    """Code labels held as Python objects; labels of different kinds are compared as text."""
    values = [_plain(value) for value in array]
    if len({isinstance(value, str) for value in values}) > 1:
        values = [str(value) for value in values]
    labels = tuple(sorted(set(values)))
    position = {label: at for at, label in enumerate(labels)}
    return Groups(labels=labels, codes=np.array([position[value] for value in values], dtype=np.int64))
