"""Normal-theory contrasts of two independent estimates: difference and ratio, with interval and p."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtr, ndtri

from trialstrat.results import NAN, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """A comparison of two groups: estimate, standard error (of the log for a ratio), limits, z and two-sided p.

    Everything is nan when ``status`` is not ``ok``; ``reason`` says why.
    """

    estimate: float
    std_error: float
    lower: float
    upper: float
    z: float
    p: float
    level: float
    null_hypothesis: str
    status: Status = "ok"
    reason: str = ""

    @classmethod
    def missing(cls, reason: str, *, level: float, null_hypothesis: str) -> Contrast:
        """A contrast that cannot be estimated."""
        return cls(
            estimate=NAN,
            std_error=NAN,
            lower=NAN,
            upper=NAN,
            z=NAN,
            p=NAN,
            level=level,
            null_hypothesis=null_hypothesis,
            status="not_estimable",
            reason=reason,
        )


def difference_of(
    second: float, first: float, variances: tuple[float, float], *, level: float, null_hypothesis: str
) -> Contrast:
    """``second`` minus ``first``, with normal limits; ``variances`` in that order."""
    std_error = math.sqrt(variances[0] + variances[1])
    return _contrast(second - first, std_error, level=level, null_hypothesis=null_hypothesis, log=False)


def ratio_of(
    second: float, first: float, variances: tuple[float, float], *, level: float, null_hypothesis: str
) -> Contrast:
    """``second`` over ``first``, with normal limits on the log scale by the delta method; p from the log ratio."""
    std_error = math.sqrt(variances[0] / second**2 + variances[1] / first**2)
    return _contrast(math.log(second / first), std_error, level=level, null_hypothesis=null_hypothesis, log=True)


def _contrast(value: float, std_error: float, *, level: float, null_hypothesis: str, log: bool) -> Contrast:
    if not std_error > 0.0:
        return Contrast.missing(
            "neither group has an event in the period", level=level, null_hypothesis=null_hypothesis
        )
    half = -float(ndtri((1.0 - level) / 2.0)) * std_error
    z = value / std_error
    estimate, lower, upper = value, value - half, value + half
    if log:
        estimate, lower, upper = math.exp(estimate), math.exp(lower), math.exp(upper)
    return Contrast(
        estimate=estimate,
        std_error=std_error,
        lower=lower,
        upper=upper,
        z=z,
        p=2.0 * float(ndtr(-abs(z))),
        level=level,
        null_hypothesis=null_hypothesis,
    )
