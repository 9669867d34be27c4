"""Restricted mean survival time: the area under the Kaplan-Meier curve up to a declared time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from trialstrat.results import NAN, Status
from trialstrat.stats.checks import SurvivalData, check_horizon, check_level, check_survival, check_two_groups
from trialstrat.stats.contrast import Contrast, difference_of, ratio_of
from trialstrat.stats.kernels.km import rmst_sorted
from trialstrat.stats.times import TOLERANCE

_NO_DIFFERENCE = "the restricted mean survival times of the two groups are equal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rmst:
    """Restricted mean survival time of one group, in time units; normal limits cut to [0, tau].

    ``n`` counts patients, ``events`` those with an event up to ``tau``. Values are nan when ``status`` is not ``ok``.
    """

    tau: float
    rmst: float
    std_error: float
    lower: float
    upper: float
    level: float
    n: int
    events: int
    status: Status = "ok"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RmstDifference:
    """Restricted means of two groups and their contrasts, group 1 (``second``) against group 0 (``first``)."""

    tau: float
    first: Rmst
    second: Rmst
    difference: Contrast
    ratio: Contrast
    status: Status = "ok"
    reason: str = ""


def rmst(time: npt.ArrayLike, event: npt.ArrayLike, tau: float, level: float = 0.95) -> Rmst:
    """Restricted mean survival time up to ``tau`` with Greenwood's variance.

    The variance is the sum over event times t_j <= tau of A_j^2 d_j / (n_j (n_j - d_j)), A_j the area from t_j to tau;
    a term with n_j = d_j is 0. Not estimable when follow-up ends before ``tau`` while the curve is above 0.

    Parameters
    ----------
    time, event : arrays of shape (n,)
        Follow-up time and 0/1 event.
    tau : float
        Restriction time, positive, in the unit of ``time``.
    level : float
        Confidence level.

    Raises
    ------
    InvalidInputError
        Impossible times or codes, or ``tau`` not positive.

    References
    ----------
    Royston P, Parmar MKB (2013). BMC Medical Research Methodology 13:152. Klein JP, Moeschberger ML (2003). Survival
    Analysis, eq. 4.5.2.
    """
    check_horizon(tau, name="tau")
    check_level(level)
    return _rmst_of(check_survival(time, event), tau, level)


def rmst_difference(
    time: npt.ArrayLike, event: npt.ArrayLike, group: npt.ArrayLike, tau: float, level: float = 0.95
) -> RmstDifference:
    """Difference and ratio of restricted mean survival times, group 1 against group 0.

    Normal limits, for the ratio on the log scale. Null hypothesis: the restricted means are equal. Not estimable when a
    group is empty, its follow-up ends before ``tau``, or no event happens in either group.

    Parameters
    ----------
    time, event : arrays of shape (n,)
        Follow-up time and 0/1 event.
    group : array of shape (n,)
        0 (reference) or 1.
    tau : float
        Restriction time, positive.
    level : float
        Confidence level.

    Raises
    ------
    InvalidInputError
        Impossible times, codes or groups, or ``tau`` not positive.

    References
    ----------
    Uno H et al. (2014). Journal of Clinical Oncology 32, 2380-2385.
    """
    check_horizon(tau, name="tau")
    check_level(level)
    data = check_survival(time, event)
    codes = check_two_groups(group, data.n)
    first, second = (_rmst_of(data.subset(codes == code), tau, level) for code in (0, 1))
    reason = _why_not(first, second)
    if reason:
        missing = Contrast.missing(reason, level=level, null_hypothesis=_NO_DIFFERENCE)
        return RmstDifference(
            tau=float(tau),
            first=first,
            second=second,
            difference=missing,
            ratio=missing,
            status="not_estimable",
            reason=reason,
        )
    variances = (second.std_error**2, first.std_error**2)
    difference = difference_of(second.rmst, first.rmst, variances, level=level, null_hypothesis=_NO_DIFFERENCE)
    ratio = ratio_of(second.rmst, first.rmst, variances, level=level, null_hypothesis=_NO_DIFFERENCE)
    return RmstDifference(
        tau=float(tau),
        first=first,
        second=second,
        difference=difference,
        ratio=ratio,
        status=difference.status,
        reason=difference.reason,
    )


def beyond_follow_up(horizon: float, last: float, survival: float) -> bool:
    """Whether a horizon lies after the end of follow-up of a curve that has not reached 0 (rounding apart)."""
    return survival > 0.0 and horizon - last > TOLERANCE * max(1.0, last)


def _rmst_of(data: SurvivalData, tau: float, level: float) -> Rmst:
    n = data.n
    if n == 0:
        return _missing(tau, level, 0, 0, "the group is empty")
    order = np.argsort(data.time, kind="stable")
    area, variance, _, events, last, end = rmst_sorted(
        data.time[order], data.event[order], np.ones(n, dtype=np.bool_), float(tau)
    )
    if beyond_follow_up(tau, float(last), end):
        return _missing(tau, level, n, int(events), "follow-up ends before tau and the survival curve is not yet 0")
    std_error = math.sqrt(variance)
    half = -float(ndtri((1.0 - level) / 2.0)) * std_error
    return Rmst(
        tau=float(tau),
        rmst=area,
        std_error=std_error,
        lower=max(0.0, area - half),
        upper=min(float(tau), area + half),
        level=level,
        n=n,
        events=int(events),
    )


def _missing(tau: float, level: float, n: int, events: int, reason: str) -> Rmst:
    return Rmst(
        tau=float(tau),
        rmst=NAN,
        std_error=NAN,
        lower=NAN,
        upper=NAN,
        level=level,
        n=n,
        events=events,
        status="not_estimable",
        reason=reason,
    )


def _why_not(first: Rmst, second: Rmst) -> str:
    for name, part in (("first", first), ("second", second)):
        if part.status != "ok":
            return f"{name} group: {part.reason}"
        if not part.rmst > 0.0:
            return f"{name} group: the restricted mean is 0"
    return ""
