"""The cut of a marker at which the effect of treatment changes most, with a p-value that pays for the search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trialstrat.errors import InvalidInputError
from trialstrat.results import Status
from trialstrat.stats.checks import check_survival, check_two_groups, check_values
from trialstrat.stats.kernels.cox_cells import interaction_lr_sorted
from trialstrat.stats.max_t import INTERACTION_NULL, max_t

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InteractionCutpoint:
    """Scan of the treatment interaction over the cuts of one marker.

    Attributes
    ----------
    cutpoint : float
        The best cut c: the high group is ``marker > c``; the smallest of equals.
    statistic : float
        Its likelihood ratio statistic of arm x high given arm + high (1 df if the cut had been fixed beforehand).
    log_ratio, log_ratio_se : float
        Interaction at the best cut: log of the ratio of hazard ratios (high over low), naive: the search makes it
        too large. nan where the likelihood is monotone.
    p : float
        p of the largest standardised interaction score over all cuts, which accounts for the search; nan without
        ``rng``.
    cuts, statistics : (k,)
        The whole scan; nan where a cut leaves a group without information.
    """

    cutpoint: float
    statistic: float
    log_ratio: float
    log_ratio_se: float
    p: float
    cuts: Floats
    statistics: Floats
    n: int
    events: int
    null_hypothesis: str = INTERACTION_NULL
    status: Status = "ok"
    reason: str = ""


def interaction_cutpoint(
    time: ArrayLike,
    event: ArrayLike,
    arm: ArrayLike,
    marker: ArrayLike,
    *,
    min_prop: float = 0.1,
    max_prop: float = 0.9,
    rng: np.random.Generator | None = None,
    draws: int = 1000,
) -> InteractionCutpoint:
    """Scan the admissible cuts of a marker for the strongest treatment interaction (Cox model, Efron's ties).

    Parameters
    ----------
    time, event, arm, marker : array of shape (n,)
        Follow-up; 1 event / 0 censored; 1 treated / 0 control; a complete marker.
    min_prop, max_prop : float
        Between floor(n min_prop) (at least 1) and floor(n max_prop) rows lie at or below an admissible cut.
    rng : numpy.random.Generator, optional
        Asks for ``p``, from ``draws`` random signs of the score contributions of all cuts together
        (:func:`~trialstrat.stats.max_t.max_t`).

    Returns
    -------
    InteractionCutpoint
        ``not_estimable`` without an event, without an admissible cut, or when no cut leaves both arms informative.

    Raises
    ------
    InvalidInputError
        Impossible arguments.

    References
    ----------
    Lausen & Schumacher (1992), Biometrics 48:73 (maximally selected statistics). Lin (2005), Bioinformatics 21:781.
    """
    if not 0.0 <= min_prop < max_prop <= 1.0:
        raise InvalidInputError("min_prop, max_prop: shares with 0 <= min_prop < max_prop <= 1 are needed")
    data = check_survival(time, event)
    group = check_two_groups(arm, data.n, name="arm")
    value = check_values(marker, data.n, name="marker")
    cuts = admissible_cuts(value, min_prop, max_prop)
    order = np.lexsort((data.event == 0, data.time))
    tie = np.unique(data.time[order], return_inverse=True)[1].ravel()
    dead, sorted_arm = data.event[order] == 1, group[order]
    scan = np.full((cuts.size, 3), np.nan)
    for k, cut in enumerate(cuts):
        scan[k] = interaction_lr_sorted(sorted_arm, (value[order] > cut).astype(np.int64), dead, tie)[:3]
    if not np.isfinite(scan[:, 0]).any():
        return _nothing(data.n, int(data.event.sum()), cuts, scan[:, 0])
    best = _first_largest(scan[:, 0])
    p = np.nan
    if rng is not None:
        columns = (value[:, None] > cuts).astype(np.float32)
        p = max_t(columns, data.time, data.event, group, rng=rng, n_permutations=draws, threads=1).global_p
    return InteractionCutpoint(
        cutpoint=float(cuts[best]), statistic=float(scan[best, 0]), log_ratio=float(scan[best, 1]),
        log_ratio_se=float(scan[best, 2]), p=p, cuts=cuts, statistics=scan[:, 0], n=data.n,
        events=int(data.event.sum()),
    )  # fmt: skip


def admissible_cuts(marker: Floats, min_prop: float, max_prop: float) -> Floats:
    """Distinct values, the largest excepted, with an admissible number of rows at or below them."""
    values, counts = np.unique(marker, return_counts=True)
    below = np.cumsum(counts)
    low, high = max(1, int(np.floor(marker.size * min_prop))), int(np.floor(marker.size * max_prop))
    return values[:-1][(below[:-1] >= low) & (below[:-1] <= high)]


def _first_largest(statistics: Floats) -> int:
    """The first position of the maximum, equal up to rounding."""
    largest = np.nanmax(statistics)
    return int(np.flatnonzero(statistics >= largest - 1e-9 * (1.0 + largest))[0])


def _nothing(n: int, events: int, cuts: Floats, statistics: Floats) -> InteractionCutpoint:
    if events == 0:
        reason = "there is no event"
    elif cuts.size == 0:
        reason = "the marker has no admissible cut"
    else:
        reason = "no cut leaves events to compare the arms in both groups"
    nan = np.nan
    return InteractionCutpoint(
        cutpoint=nan, statistic=nan, log_ratio=nan, log_ratio_se=nan, p=nan, cuts=cuts, statistics=statistics, n=n,
        events=events, status="not_estimable", reason=reason,
    )  # fmt: skip
