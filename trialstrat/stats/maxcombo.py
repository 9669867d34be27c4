"""MaxCombo: the largest of several weighted log-rank statistics, with its exact joint normal p."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trialstrat.errors import InvalidInputError
from trialstrat.results import NAN, Status
from trialstrat.stats.checks import FloatArray, Label
from trialstrat.stats.logrank import NO_EVENT, NO_INFORMATION, NULL_HYPOTHESIS, check_test, event_table, information
from trialstrat.stats.normal_maximum import maximum_tail

DEFAULT_WEIGHTS = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaxCombo:
    """A MaxCombo test of two groups.

    ``z`` holds one statistic per Fleming-Harrington weight (positive: more events in the second group than expected),
    ``correlation`` their correlation under the null hypothesis; ``p`` is two-sided. nan when ``status`` is not ``ok``.
    """

    weights: tuple[tuple[float, float], ...]
    z: FloatArray
    correlation: FloatArray
    max_abs_z: float
    p: float
    groups: tuple[Label, ...]
    n: int
    events: int
    null_hypothesis: str = NULL_HYPOTHESIS
    status: Status = "ok"
    reason: str = ""


def maxcombo(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    weights: Sequence[Sequence[float]] = DEFAULT_WEIGHTS,
    strata: npt.ArrayLike | Sequence[npt.ArrayLike] | None = None,
    entry: npt.ArrayLike | None = None,
) -> MaxCombo:
    """MaxCombo test: max |z_j| over Fleming-Harrington weights, p from their joint normal distribution.

    z_j = U_j / sqrt(V_jj) of the second group, with covariances sum w_j w_l d (n - d) / (n - 1) q (1 - q).

    Parameters
    ----------
    time, event, group, strata, entry
        As in :func:`~trialstrat.stats.logrank.logrank`; exactly two groups.
    weights : sequence of (rho, gamma)
        Fleming-Harrington weights; numbers not below 0.

    Raises
    ------
    InvalidInputError
        Impossible arrays, other than two groups, or no or impossible weights.

    References
    ----------
    Lin RS et al. (2020). Statistics in Biopharmaceutical Research 12, 187-198. Karrison TG (2016). Stata Journal 16.
    """
    pairs = _check_weights(weights)
    data, groups, blocks = check_test(time, event, group, strata=strata, entry=entry)
    if groups.k != 2:
        raise InvalidInputError(f"group: {groups.k} groups occur; this test compares exactly two")
    table = event_table(data, groups, blocks)
    share = table.at_risk[:, 1] / table.at_risk.sum(axis=1)
    surplus = table.deaths[:, 1] - table.deaths.sum(axis=1) * share
    mass = information(table) * share * (1.0 - share)
    w = np.array([table.weights(rho, gamma) for rho, gamma in pairs])
    u = w @ surplus
    covariance = (w * mass) @ w.T
    scale = np.sqrt(np.diag(covariance))
    events = int(data.event.sum())
    reason = ""
    if events == 0:
        reason = NO_EVENT
    elif not mass.max() > 0.0:
        reason = NO_INFORMATION
    elif not scale.min() > 0.0:
        at = int(np.argmin(scale))
        reason = f"the statistic with weight {pairs[at]} has no variance: its weight is 0 at every informative event"
    if reason:
        z, correlation, largest, p = np.full(len(pairs), NAN), np.full((len(pairs), len(pairs)), NAN), NAN, NAN
    else:
        z, correlation = u / scale, covariance / np.outer(scale, scale)
        largest = float(np.abs(z).max())
        p = maximum_tail(correlation, largest)
    return MaxCombo(
        weights=pairs,
        z=z,
        correlation=correlation,
        max_abs_z=largest,
        p=p,
        groups=groups.labels,
        n=data.n,
        events=events,
        status="not_estimable" if reason else "ok",
        reason=reason,
    )


def _check_weights(weights: Sequence[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    pairs = tuple(tuple(float(value) for value in pair) for pair in weights)
    if not pairs or any(len(pair) != 2 or not all(0.0 <= value < np.inf for value in pair) for pair in pairs):
        raise InvalidInputError("weights: pairs (rho, gamma) of numbers not below 0 are needed, as [[0, 0], [0, 1]]")
    return tuple((pair[0], pair[1]) for pair in pairs)
