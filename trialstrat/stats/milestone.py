"""Milestone survival: the Kaplan-Meier estimate at one declared time, alone and compared between two groups."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trialstrat.results import NAN, Status
from trialstrat.stats.checks import SurvivalData, check_horizon, check_level, check_survival, check_two_groups
from trialstrat.stats.contrast import Contrast, difference_of
from trialstrat.stats.kernels.km import milestone_sorted
from trialstrat.stats.rmst import beyond_follow_up
from trialstrat.stats.survival import confidence_limits

_NO_DIFFERENCE = "the survival probabilities of the two groups at the milestone are equal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """Survival of one group at a milestone; limits on the log scale, nan (with the error) where the curve is 0.

    ``n`` counts patients, ``events`` those with an event up to ``at``.
    """

    at: float
    survival: float
    std_error: float
    lower: float
    upper: float
    level: float
    n: int
    events: int
    status: Status = "ok"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MilestoneDifference:
    """Milestone survival of two groups and their difference, group 1 (``second``) minus group 0 (``first``)."""

    at: float
    first: Milestone
    second: Milestone
    difference: Contrast
    status: Status = "ok"
    reason: str = ""


def milestone(time: npt.ArrayLike, event: npt.ArrayLike, at: float, level: float = 0.95) -> Milestone:
    """Kaplan-Meier survival and Greenwood standard error at ``at``.

    Not estimable when follow-up ends before ``at`` while the curve is above 0.

    Parameters
    ----------
    time, event : arrays of shape (n,)
        Follow-up time and 0/1 event.
    at : float
        Milestone, positive, in the unit of ``time``.
    level : float
        Confidence level of the limits.

    Raises
    ------
    InvalidInputError
        Impossible times or codes, or ``at`` not positive.
    """
    check_horizon(at, name="at")
    check_level(level)
    return _milestone_of(check_survival(time, event), at, level)


def milestone_difference(
    time: npt.ArrayLike, event: npt.ArrayLike, group: npt.ArrayLike, at: float, level: float = 0.95
) -> MilestoneDifference:
    """Difference of survival probabilities at ``at``, group 1 minus group 0, with normal limits on the plain scale.

    Null hypothesis: the survival probabilities at ``at`` are equal. Not estimable when a group is empty, its follow-up
    ends before ``at``, its curve has reached 0 (no variance), or no event has happened in either group.

    Parameters
    ----------
    time, event : arrays of shape (n,)
        Follow-up time and 0/1 event.
    group : array of shape (n,)
        0 (reference) or 1.
    at : float
        Milestone, positive.
    level : float
        Confidence level.

    Raises
    ------
    InvalidInputError
        Impossible times, codes or groups, or ``at`` not positive.

    References
    ----------
    Klein JP et al. (2007). Statistics in Medicine 26, 4505-4519 (plain scale).
    """
    check_horizon(at, name="at")
    check_level(level)
    data = check_survival(time, event)
    codes = check_two_groups(group, data.n)
    first, second = (_milestone_of(data.subset(codes == code), at, level) for code in (0, 1))
    reason = _why_not(first, second)
    if reason:
        difference = Contrast.missing(reason, level=level, null_hypothesis=_NO_DIFFERENCE)
    else:
        difference = difference_of(
            second.survival,
            first.survival,
            (second.std_error**2, first.std_error**2),
            level=level,
            null_hypothesis=_NO_DIFFERENCE,
        )
    return MilestoneDifference(
        at=float(at),
        first=first,
        second=second,
        difference=difference,
        status=difference.status,
        reason=difference.reason,
    )


def _milestone_of(data: SurvivalData, at: float, level: float) -> Milestone:
    n = data.n
    if n == 0:
        return _missing(at, level, 0, 0, "the group is empty")
    order = np.argsort(data.time, kind="stable")
    survival, greenwood, _, events, last, end = milestone_sorted(
        data.time[order], data.event[order], np.ones(n, dtype=np.bool_), float(at)
    )
    if beyond_follow_up(at, float(last), end):
        return _missing(at, level, n, int(events), "follow-up ends before the milestone and the curve is not yet 0")
    lower, upper = confidence_limits(survival, greenwood, conf_type="log", level=level)
    return Milestone(
        at=float(at),
        survival=survival,
        std_error=survival * math.sqrt(greenwood) if survival > 0.0 else NAN,
        lower=float(lower),
        upper=float(upper),
        level=level,
        n=n,
        events=int(events),
    )


def _missing(at: float, level: float, n: int, events: int, reason: str) -> Milestone:
    return Milestone(
        at=float(at),
        survival=NAN,
        std_error=NAN,
        lower=NAN,
        upper=NAN,
        level=level,
        n=n,
        events=events,
        status="not_estimable",
        reason=reason,
    )


def _why_not(first: Milestone, second: Milestone) -> str:
    for name, part in (("first", first), ("second", second)):
        if part.status != "ok":
            return f"{name} group: {part.reason}"
        if not part.survival > 0.0:
            return f"{name} group: nobody survives the milestone, so its variance is not estimable"
    return ""
