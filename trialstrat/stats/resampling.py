"""Folds, bootstrap samples and intervals from resampled statistics."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trialstrat.errors import InvalidInputError
from trialstrat.results import NAN, Status
from trialstrat.stats.checks import check_groups, check_level, check_strata, check_values

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
IntervalMethod = Literal["percentile", "basic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapInterval:
    """Interval from resampled values; ``failed`` of the ``draws`` gave no value and were left out."""

    lower: float
    upper: float
    std_error: float
    level: float
    method: str
    draws: int
    failed: int
    status: Status = "ok"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """Difference of two statistics of the same data (first minus second) with its paired bootstrap interval.

    ``p`` is twice the smaller share of resampled differences on one side of 0 (counting one more draw, so never 0);
    null hypothesis: the two statistics are equal.
    """

    estimate: float
    interval: BootstrapInterval
    p: float
    null_hypothesis: str = "the two statistics are equal"


def stratified_folds(
    event: ArrayLike, arm: ArrayLike | None, groups: ArrayLike | None, k: int, rng: np.random.Generator
) -> Integers:
    """Assign every row to one of ``k`` folds, balanced in events and arms, groups kept together.

    Parameters
    ----------
    event : array of shape (n,)
        Event codes.
    arm : array of shape (n,), optional
        Arm labels; folds are balanced in every combination of event and arm.
    groups : array of shape (n,), optional
        Rows with the same label (one patient, one site) fall into the same fold.
    k : int
        Number of folds, from 2 to the number of groups (of rows without ``groups``).
    rng : numpy.random.Generator
        Decides all that is random; the same state gives the same folds.

    Returns
    -------
    array of shape (n,)
        Fold numbers 0 to k - 1; no fold is empty.

    Raises
    ------
    InvalidInputError
        Missing labels, unequal lengths, or fewer groups than folds.

    Notes
    -----
    Without ``groups`` the count of every event-arm combination differs by at most one between folds. With groups,
    the largest groups are placed first, each where it least unbalances the counts (so does scikit-learn's
    ``StratifiedGroupKFold``).
    """
    code = check_values(event, name="event")
    n = code.size
    columns = [code] if arm is None else [code, check_groups(arm, n, name="arm").codes]
    stratum = check_strata(columns, n)
    unit = np.arange(n) if groups is None else check_groups(groups, n, name="groups").codes
    units = int(unit.max()) + 1 if n else 0
    if not 2 <= k <= units:
        raise InvalidInputError(f"k: {k} folds for {units} groups of rows; choose from 2 to that many")
    if units == n:
        return _deal(stratum, k, rng)
    return _place_groups(stratum, unit, k, rng)[unit]


def bootstrap_samples(
    n: int,
    draws: int,
    rng: np.random.Generator,
    *,
    strata: ArrayLike | None = None,
    groups: ArrayLike | None = None,
) -> Iterator[Integers]:
    """Row numbers of ``draws`` bootstrap samples, drawn within strata and by whole groups.

    Parameters
    ----------
    n, draws : int
        Rows to draw from, and number of samples.
    rng : numpy.random.Generator
        Source of randomness.
    strata : array of shape (n,), optional
        Every sample keeps the number of rows (of groups) of each stratum: the arms, for instance.
    groups : array of shape (n,), optional
        Rows with the same label are drawn together. A group must lie in one stratum.

    Raises
    ------
    InvalidInputError
        Fewer than one row or draw, or a group that lies in several strata.
    """
    if n < 1 or draws < 1:
        raise InvalidInputError("bootstrap: at least one row and one draw are needed")
    stratum = check_strata(strata, n)
    unit = np.arange(n) if groups is None else check_groups(groups, n, name="groups").codes
    order = np.argsort(unit, kind="stable")
    starts = np.searchsorted(unit[order], np.arange(int(unit.max()) + 2))
    members = np.split(order, starts[1:-1])
    home = stratum[order[starts[:-1]]]
    if np.any(home[unit] != stratum):
        raise InvalidInputError("groups: a group lies in several strata; drop the strata or split the group")
    pools = [np.flatnonzero(home == label) for label in np.unique(home)]
    return _draw(pools, None if members and len(members) == n else members, draws, rng)


def bootstrap(
    statistic: Callable[[Integers], ArrayLike],
    n: int,
    draws: int,
    rng: np.random.Generator,
    *,
    strata: ArrayLike | None = None,
    groups: ArrayLike | None = None,
) -> Floats:
    """Values of ``statistic(rows)`` in bootstrap samples, shape (draws, number of values of the statistic).

    Everything learned must be learned inside ``statistic``. A value that cannot be estimated in a sample is nan. The
    columns of one row come from the same sample, so that differences between them are paired.
    """
    samples = bootstrap_samples(n, draws, rng, strata=strata, groups=groups)
    return np.stack([np.atleast_1d(np.asarray(statistic(rows), dtype=np.float64)) for rows in samples])


def bootstrap_interval(
    statistic_values: ArrayLike,
    level: float = 0.95,
    method: IntervalMethod = "percentile",
    *,
    estimate: float | None = None,
) -> BootstrapInterval:
    """Interval from the values of a statistic in bootstrap samples.

    Parameters
    ----------
    statistic_values : array of shape (draws,)
        nan where a sample gave no value: such draws are left out and counted.
    level : float
        Confidence level.
    method : {"percentile", "basic"}
        ``percentile``: quantiles of the values. ``basic``: mirrored at ``estimate``, which it needs.
    estimate : float, optional
        The statistic in the data.

    Returns
    -------
    BootstrapInterval
        ``not_estimable`` when fewer than 4 / (1 - level) values remain (less than two beyond each limit) or more than
        one in ten draws failed: the interval would describe the samples that worked.

    Raises
    ------
    InvalidInputError
        Infinite values, a level outside (0, 1), an unknown method, or ``basic`` without ``estimate``.

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap. Davison & Hinkley (1997), chapter 5.
    """
    values = np.asarray(statistic_values, dtype=np.float64).ravel()
    check_level(level)
    if method not in ("percentile", "basic"):
        raise InvalidInputError("method: choose 'percentile' or 'basic'")
    if method == "basic" and estimate is None:
        raise InvalidInputError("estimate: the basic interval needs the statistic in the data")
    if np.isinf(values).any():
        raise InvalidInputError("statistic_values: some are infinite; give nan where a sample has no value")
    found = values[~np.isnan(values)]
    failed = values.size - found.size
    reason = _too_few(found.size, failed, level)
    lower = upper = error = NAN
    if not reason:
        lower, upper = (float(q) for q in np.quantile(found, [(1.0 - level) / 2, (1.0 + level) / 2]))
        error = float(found.std(ddof=1))
        if estimate is not None and method == "basic":
            lower, upper = 2.0 * estimate - upper, 2.0 * estimate - lower
    return BootstrapInterval(
        lower=lower,
        upper=upper,
        std_error=error,
        level=level,
        method=method,
        draws=values.size,
        failed=failed,
        status="not_estimable" if reason else "ok",
        reason=reason,
    )


def paired_difference(
    first: float, second: float, first_values: ArrayLike, second_values: ArrayLike, level: float = 0.95
) -> PairedDifference:
    """Difference of two statistics from their values in the *same* bootstrap samples.

    Parameters
    ----------
    first, second : float
        The statistics in the data.
    first_values, second_values : array of shape (draws,)
        Their values in the same samples, in the same order (two columns of :func:`bootstrap`).
    level : float
        Of the percentile interval.

    Raises
    ------
    InvalidInputError
        Different numbers of draws, or what :func:`bootstrap_interval` refuses.
    """
    one, other = np.asarray(first_values, dtype=np.float64), np.asarray(second_values, dtype=np.float64)
    if one.shape != other.shape:
        raise InvalidInputError("the two statistics need the same bootstrap samples; their numbers of draws differ")
    differences = one - other
    interval = bootstrap_interval(differences, level)
    p = NAN
    if interval.status == "ok":
        found = differences[~np.isnan(differences)]
        tail = min(np.count_nonzero(found <= 0), np.count_nonzero(found >= 0))
        p = min(1.0, 2.0 * (tail + 1) / (found.size + 1))
    return PairedDifference(estimate=first - second, interval=interval, p=p)


def _too_few(found: int, failed: int, level: float) -> str:
    needed = math.ceil(4.0 / (1.0 - level) - 1e-9)
    if found < needed:
        return f"{found} resampled values; an interval at level {level:g} needs at least {needed}"
    if failed > 0.1 * (found + failed):
        return f"the statistic could not be computed in {failed} of {found + failed} resamples"
    return ""


def _deal(stratum: Integers, k: int, rng: np.random.Generator) -> Integers:
    """Shuffle every stratum and deal its rows out in turn, each stratum starting where the last one stopped."""
    shuffled = rng.permutation(stratum.size)
    order = shuffled[np.argsort(stratum[shuffled], kind="stable")]
    fold = np.empty(stratum.size, dtype=np.int64)
    fold[order] = rng.permutation(k)[np.arange(stratum.size) % k]
    return fold


def _place_groups(stratum: Integers, unit: Integers, k: int, rng: np.random.Generator) -> Integers:
    """Fold of every group: largest groups first, each where the strata stay most even."""
    units, strata = int(unit.max()) + 1, int(stratum.max()) + 1
    counts = np.zeros((units, strata))
    np.add.at(counts, (unit, stratum), 1.0)
    share = counts / counts.sum(axis=0)
    shuffled = rng.permutation(units)
    order = shuffled[np.argsort(-counts[shuffled].sum(axis=1), kind="stable")]
    filled = np.zeros((k, strata))
    size = np.zeros(k)
    fold = np.empty(units, dtype=np.int64)
    for place, group in enumerate(order):
        # sum of squares of the shares after placing it here, less the same sum before: smallest for the emptiest fold
        cost = 2.0 * filled @ share[group] + 1e-9 * size
        if units - place <= np.count_nonzero(size == 0):
            cost[size > 0] = np.inf
        chosen = int(np.argmin(cost))
        fold[group] = chosen
        filled[chosen] += share[group]
        size[chosen] += counts[group].sum()
    return fold


def _draw(
    pools: list[Integers], members: list[Integers] | None, draws: int, rng: np.random.Generator
) -> Iterator[Integers]:
    for _ in range(draws):
        chosen = np.concatenate([rng.choice(pool, size=pool.size, replace=True) for pool in pools])
        yield chosen if members is None else np.concatenate([members[group] for group in chosen])
