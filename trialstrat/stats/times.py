"""Times that differ by rounding only are one time.

Derived times (days / 365.25, differences of dates, 0.1 + 0.2) carry floating-point noise; without care a tie becomes
two neighbouring times and a log-rank statistic or a Kaplan-Meier curve changes visibly.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

#: Gap up to which two times are the same: the square root of the double precision (2^-26).
TOLERANCE = 2.0**-26


def merge_close_times(time: FloatArray, entry: FloatArray | None = None) -> tuple[FloatArray, FloatArray | None]:
    """Replace every run of times that differ by rounding only by the smallest time of the run.

    Distinct values, entry times included, whose gap to the previous distinct value is at most d = 2^-26, or at most
    d times the mean absolute distinct value, belong to one run.

    Parameters
    ----------
    time : array of shape (n,)
        Finite times in any order.
    entry : array of shape (n,), optional
        Entry times; they are merged together with ``time``.

    Returns
    -------
    tuple
        ``time`` and ``entry`` (or None) with merged values; the arguments themselves when there is nothing to merge.

    References
    ----------
    Therneau T. survival package, ``aeqSurv`` ("timefix").
    """
    pooled = time if entry is None else np.concatenate((time, entry))
    distinct = np.unique(pooled)
    if distinct.shape[0] < 2:
        return time, entry
    limit = TOLERANCE * max(1.0, float(np.mean(np.abs(distinct))))
    close = np.diff(distinct) <= limit
    if not close.any():
        return time, entry
    starts = np.concatenate(([0], np.flatnonzero(~close) + 1))
    representative = np.repeat(distinct[starts], np.diff(np.append(starts, distinct.shape[0])))
    merged = representative[np.searchsorted(distinct, pooled)]
    n = time.shape[0]
    return merged[:n], None if entry is None else merged[n:]
