"""Maximally selected rank statistics: the cut of a marker that separates survival most, with an honest p value."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trialstrat.errors import InvalidInputError
from trialstrat.results import NAN, Status
from trialstrat.stats.checks import SurvivalData, check_matrix, check_survival, check_values
from trialstrat.stats.kernels.maxstat import neighbour_roots, pack_keys, scan_cuts, scan_markers
from trialstrat.stats.maximum_tails import exact_gauss, hothorn_lausen, lau92, lau94, permutation_p

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
PMethod = Literal["lau92", "lau94", "hl", "exact_gauss", "condmc"]
ScreenMethod = Literal["min", "lau92", "lau94"]

_NULL = "survival does not depend on the marker"
_BLOCK = 64
#: Steps of the exact permutation distribution beyond which ``hl`` is refused (a few seconds).
_HL_LIMIT = 4e9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Maxstat:
    """Best cut of a marker: the low group is ``marker <= cutpoint``.

    ``cuts`` and ``statistics`` (k,) hold the whole scan; ``p`` accounts for the choice among them.
    """

    statistic: float
    cutpoint: float
    p: float
    p_method: str
    n_low: int
    n_high: int
    cuts: Floats
    statistics: Floats
    n: int
    events: int
    null_hypothesis: str = _NULL
    status: Status = "ok"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaxstatScreen:
    """Best cut of every marker (arrays (p,)); nan where a marker has no admissible cut.

    ``p`` accounts for the choice of the cut, not for the number of markers.
    """

    statistic: Floats
    cutpoint: Floats
    n_low: Integers
    p: Floats
    p_method: str
    n: int
    events: int
    null_hypothesis: str = _NULL
    status: Status = "ok"
    reason: str = ""


def logrank_scores(time: ArrayLike, event: ArrayLike) -> Floats:
    """Scores event_i - sum over rows j with time_j <= time_i of event_j / (n - r_j + 1), shape (n,).

    r_j is the largest rank among the rows tied with j.

    References
    ----------
    Hothorn & Lausen (2003), Computational Statistics & Data Analysis 43:121, section 2.
    """
    return _scores(check_survival(time, event))


def maxstat(
    time: ArrayLike,
    event: ArrayLike,
    marker: ArrayLike,
    *,
    min_prop: float = 0.1,
    max_prop: float = 0.9,
    p_method: PMethod = "exact_gauss",
    draws: int = 10_000,
    rng: np.random.Generator | None = None,
) -> Maxstat:
    """Maximally selected log-rank statistic of one marker.

    The statistic of a cut is the sum of the log-rank scores in the low group, standardised by its permutation mean and
    variance; it is not the square root of the log-rank chi-square.

    Parameters
    ----------
    time, event, marker : array of shape (n,)
        Follow-up time; 1 event, 0 censored; marker without missing values.
    min_prop, max_prop : float
        At least floor(n min_prop) (and 1) and at most floor(n max_prop) rows lie at or below a cut.
    p_method : {"exact_gauss", "lau92", "lau94", "hl", "condmc"}
        Exact probability under the Gaussian limit; its approximation for markers without ties; improved Bonferroni
        (sharp for few cuts or small p only); exact permutation bound with scores rounded to integers (small samples;
        statistic and cut are then those of the rounded scores); permutations.
    draws : int
        Permutations of ``condmc``.
    rng : numpy.random.Generator
        Needed by ``condmc``.

    Returns
    -------
    Maxstat
        ``not_estimable`` without an event, without an admissible cut, or when ``hl`` is too large.

    Raises
    ------
    InvalidInputError
        Missing markers, impossible times or events, proportions that are not 0 <= min < max <= 1, an unknown method.

    References
    ----------
    Lausen & Schumacher (1992), Biometrics 48:73. Hothorn & Lausen (2003), CSDA 43:121.
    """
    rows = check_survival(time, event)
    values = check_values(marker, rows.n, name="marker")
    _check_proportions(min_prop, max_prop, closed=p_method == "lau92")
    if p_method not in ("lau92", "lau94", "hl", "exact_gauss", "condmc"):
        raise InvalidInputError("p_method: choose lau92, lau94, hl, exact_gauss or condmc")
    if p_method == "condmc" and (rng is None or draws < 1):
        raise InvalidInputError("condmc: at least one draw and a random generator (rng) are needed")
    scores = _scores(rows)
    if p_method == "hl" and np.ptp(scores) > 0:
        scores = np.rint(rows.n * (scores - scores.min()) / np.ptp(scores))
    order = np.argsort(values, kind="stable")
    sizes = _admissible(values[order], min_prop, max_prop)
    centred, inverse_sd = _standardise(scores)
    reason = _not_estimable(rows, scores, sizes)
    if not reason and p_method == "hl" and rows.n * sizes[-1] * scores.sum() > _HL_LIMIT:
        reason = f"the exact permutation distribution of {rows.n} rows is too large; use exact_gauss or condmc"
    if reason:
        return _no_cut(rows, p_method, reason)
    ordered = values[order]
    same_as_next = np.append(ordered[1:] == ordered[:-1], False)
    best, at, *powers = scan_cuts(
        same_as_next, order, centred, inverse_sd, neighbour_roots(rows.n), int(sizes[0]), int(sizes[-1])
    )
    sums = np.cumsum(centred[order])[sizes - 1]
    return Maxstat(
        statistic=best,
        cutpoint=float(values[order[at - 1]]),
        p=_p_value(p_method, best, powers, (scores, centred, inverse_sd, sizes), (min_prop, max_prop), draws, rng),
        p_method=p_method,
        n_low=at,
        n_high=rows.n - at,
        cuts=values[order[sizes - 1]],
        statistics=np.abs(sums) * inverse_sd[sizes],
        n=rows.n,
        events=int(rows.event.sum()),
    )


def maxstat_screen(
    markers: ArrayLike,
    time: ArrayLike,
    event: ArrayLike,
    *,
    min_prop: float = 0.1,
    max_prop: float = 0.9,
    p_method: ScreenMethod = "min",
    threads: int = 1,
) -> MaxstatScreen:
    """:func:`maxstat` of every column of a marker matrix.

    Parameters
    ----------
    markers : array of shape (n, p)
        One column per marker, without missing values.
    time, event, min_prop, max_prop
        As in :func:`maxstat`.
    p_method : {"min", "lau92", "lau94"}
        As in :func:`maxstat`; ``min`` is the smaller of the two, which are both upper bounds in large samples: lau92 is
        the sharper one for markers with many distinct values, lau94 for those with few.
    threads : int
        Threads to share the columns; the result does not depend on their number.

    Raises
    ------
    InvalidInputError
        As :func:`maxstat`.
    """
    rows = check_survival(time, event)
    matrix = check_matrix(markers, rows.n, name="markers")
    _check_proportions(min_prop, max_prop, closed=p_method != "lau94")
    if p_method not in ("min", "lau92", "lau94"):
        raise InvalidInputError("p_method: choose min, lau92 or lau94")
    scores = _scores(rows)
    centred, inverse_sd = _standardise(scores)
    genes = matrix.shape[1]
    out = np.full((genes, 5), np.nan)
    reason = "" if np.ptp(scores) > 0 else "there is no event, or all rows have the same score"
    if not reason:
        lowest, highest = _size_limits(rows.n, min_prop, max_prop)
        root, bits = neighbour_roots(rows.n), max(1, (rows.n - 1).bit_length())

        def scan(first: int) -> None:
            keys = np.empty((min(_BLOCK, genes - first), rows.n), dtype=np.uint64)
            pack_keys(matrix, first, bits, keys)
            keys.sort(axis=1)
            part = out[first : first + _BLOCK]
            scan_markers(matrix, first, keys, bits, centred, inverse_sd, root, lowest, highest, part)

        with ThreadPoolExecutor(max(1, threads)) as pool:
            list(pool.map(scan, range(0, genes, _BLOCK)))
    found = np.isfinite(out[:, 0])
    if not reason and not found.any():
        reason = "no marker has a cut that leaves enough patients on both sides"
    with np.errstate(invalid="ignore"):
        p = np.ones(genes)
        if p_method != "lau94":
            p = lau92(out[:, 0], min_prop, max_prop)
        if p_method != "lau92":
            p = np.minimum(p, lau94(out[:, 0], out[:, 3], out[:, 4]))
    return MaxstatScreen(
        statistic=out[:, 0],
        cutpoint=out[:, 1],
        n_low=np.where(found, out[:, 2], 0).astype(np.int64),
        p=np.where(found, p, NAN),
        p_method=p_method,
        n=rows.n,
        events=int(rows.event.sum()),
        status="not_estimable" if reason else "ok",
        reason=reason,
    )


def _p_value(
    p_method: PMethod,
    best: float,
    powers: list[float],
    permuted: tuple[Floats, Floats, Floats, Integers],
    proportions: tuple[float, float],
    draws: int,
    rng: np.random.Generator | None,
) -> float:
    """P value of the maximum ``best``; ``permuted``: scores, centred scores, 1 / SD of their sums, admissible sizes."""
    scores, centred, inverse_sd, sizes = permuted
    if p_method == "lau92":
        return float(lau92(np.array(best), *proportions))
    if p_method == "lau94":
        return float(lau94(np.array(best), *(np.array(power) for power in powers)))
    if p_method == "hl":
        return hothorn_lausen(best, scores.astype(np.int64), sizes)
    if p_method == "condmc" and rng is not None:
        return permutation_p(best, centred, sizes, inverse_sd, draws, rng)
    return exact_gauss(best, sizes, scores.size)


def _scores(rows: SurvivalData) -> Floats:
    distinct, index, count = np.unique(rows.time, return_inverse=True, return_counts=True)
    largest_rank = np.cumsum(count)
    events = np.bincount(index, weights=rows.event, minlength=distinct.size)
    hazard = np.cumsum(events / (rows.n - largest_rank + 1.0))
    return rows.event - hazard[index]


def _standardise(scores: Floats) -> tuple[Floats, Floats]:
    """Centred scores, and 1 / SD of the sum of m of them drawn without replacement at index m (0 at 0 and n)."""
    n = scores.size
    centred = scores - scores.mean()
    spread = float(centred @ centred) / (n * max(n - 1.0, 1.0))
    m = np.arange(n + 1, dtype=np.float64)
    variance = m * (n - m) * spread
    return centred, np.divide(1.0, np.sqrt(variance), out=np.zeros(n + 1), where=variance > 0)


def _size_limits(n: int, min_prop: float, max_prop: float) -> tuple[int, int]:
    return max(1, int(np.floor(n * min_prop))), int(np.floor(n * max_prop))


def _admissible(ordered: Floats, min_prop: float, max_prop: float) -> Integers:
    """Numbers of rows at or below every admissible cut, increasing; ``ordered`` are the sorted markers."""
    lowest, highest = _size_limits(ordered.size, min_prop, max_prop)
    sizes = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    return sizes[(sizes >= lowest) & (sizes <= highest)].astype(np.int64)


def _check_proportions(min_prop: float, max_prop: float, *, closed: bool) -> None:
    if not 0.0 <= min_prop < max_prop <= 1.0:
        raise InvalidInputError("min_prop, max_prop: 0 <= min_prop < max_prop <= 1 is needed")
    if closed and not (min_prop > 0.0 and max_prop < 1.0):
        raise InvalidInputError("lau92: min_prop above 0 and max_prop below 1 are needed, or p_method lau94")


def _not_estimable(rows: SurvivalData, scores: Floats, sizes: Integers) -> str:
    if not rows.event.any() or not np.ptp(scores) > 0:
        return "there is no event, or all rows have the same score"
    if sizes.size == 0:
        return "no cut of the marker leaves the required share of patients on both sides"
    return ""


def _no_cut(rows: SurvivalData, p_method: str, reason: str) -> Maxstat:
    return Maxstat(
        statistic=NAN,
        cutpoint=NAN,
        p=NAN,
        p_method=p_method,
        n_low=0,
        n_high=0,
        cuts=np.empty(0),
        statistics=np.empty(0),
        n=rows.n,
        events=int(rows.event.sum()),
        status="not_estimable",
        reason=reason,
    )
