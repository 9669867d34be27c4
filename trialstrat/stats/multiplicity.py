"""Many hypotheses at once: adjusted p-values, closed tests and graphical procedures.

Every function returns *adjusted* p-values: hypothesis i is rejected at family-wise level alpha (or, for BH and BY, at
false discovery rate alpha) exactly when its adjusted p-value is at most alpha.

References
----------
Holm 1979, Scand J Stat 6, 65-70. Hochberg 1988, Biometrika 75, 800-802. Hommel 1988, Biometrika 75, 383-386.
Benjamini & Hochberg 1995, JRSS B 57, 289-300. Benjamini & Yekutieli 2001, Ann Stat 29, 1165-1188.
Marcus, Peritz & Gabriel 1976, Biometrika 63, 655-660. Bretz, Maurer, Brannath & Posch 2009, Stat Med 28, 586-604.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from trialstrat.errors import InvalidInputError

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Adjustment = Literal["bonferroni", "holm", "hochberg", "hommel", "BH", "BY", "none"]
IntersectionTest = Literal["bonferroni", "simes", "fisher"]

#: 2^18 intersections are tested in about a second; a closed test of more hypotheses is not an analysis anybody plans.
_MOST_HYPOTHESES = 18
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MultipleTest:
    """Adjusted p-values (m,) in the order given and which hypotheses (m,) are rejected at ``alpha``."""

    adjusted: FloatArray
    rejected: BoolArray
    alpha: float


def p_adjust(p: npt.ArrayLike, method: Adjustment) -> FloatArray:
    """Adjust p-values (m,) for multiple testing; missing ones (nan) stay missing and do not count.

    bonferroni, holm, hochberg and hommel control the family-wise error, BH and BY the false discovery rate; "none"
    returns the p-values. An own implementation: statsmodels' multipletests counts missing p-values as tests.

    Raises
    ------
    InvalidInputError
        A p-value outside [0, 1], or an unknown method.

    References
    ----------
    Holm 1979; Hochberg 1988; Hommel 1988 (algorithm of Wright 1992, Biometrics 48, 1005-1013); Benjamini & Hochberg
    1995; Benjamini & Yekutieli 2001, theorem 1.3.
    """
    values = _check_p(p, missing_allowed=True)
    adjust = _METHODS.get(method)
    if adjust is None:
        raise InvalidInputError(f"method: unknown adjustment; known are {', '.join(_METHODS)}")
    adjusted = np.full(values.shape, np.nan)
    present = ~np.isnan(values)
    if present.any():
        adjusted[present] = np.minimum(adjust(values[present]), 1.0)
    return adjusted


def closed_test(
    p: npt.ArrayLike,
    *,
    kind: IntersectionTest,
    alpha: float = 0.05,
    weights: npt.ArrayLike | None = None,
) -> MultipleTest:
    """Closed test: a hypothesis is rejected when every intersection that contains it is.

    Weights are renormalised within each intersection; one whose weights are all 0 has p 1.

    Parameters
    ----------
    p : array of shape (m,)
        p-values of the elementary hypotheses, m at most 18.
    kind : {"bonferroni", "simes", "fisher"}
        Test of an intersection: min p_i / w_i; min over the ordered p of p_(k) / (w_(1) + ... + w_(k)) (needs
        independent or positively dependent tests); chi-square of -2 sum log p with 2 df per hypothesis (needs
        independent tests; takes no weights).
    alpha : float
        Family-wise level.
    weights : array of shape (m,), optional
        Not negative, not all 0; equal without.

    Raises
    ------
    InvalidInputError
        p-values missing or outside [0, 1], more than 18 of them, weights of another length or negative, weights with
        "fisher".

    References
    ----------
    Marcus, Peritz & Gabriel 1976; Benjamini & Hochberg 1997, Scand J Stat 24, 407-418 (weighted Simes).
    """
    values = _check_p(p)
    level = _check_alpha(alpha)
    count = values.size
    if count > _MOST_HYPOTHESES:
        raise InvalidInputError(f"p: {count} hypotheses have too many intersections; at most {_MOST_HYPOTHESES}")
    if kind not in ("bonferroni", "simes", "fisher"):
        raise InvalidInputError("kind: must be bonferroni, simes or fisher")
    if kind == "fisher" and weights is not None:
        raise InvalidInputError("weights: the Fisher combination takes none")
    share = np.full(count, 1.0 / count) if weights is None else _check_weights(weights, count)
    members = ((np.arange(1, 2**count)[:, None] >> np.arange(count)) & 1).astype(bool)
    of_intersection = np.minimum(_intersection_p(values, share, members, kind), 1.0)
    adjusted = np.array([of_intersection[members[:, one]].max() for one in range(count)])
    return MultipleTest(adjusted=adjusted, rejected=adjusted <= level, alpha=level)


def graphical(
    p: npt.ArrayLike, *, weights: npt.ArrayLike, transitions: npt.ArrayLike, alpha: float = 0.05
) -> MultipleTest:
    """Graphical sequentially rejective Bonferroni procedure.

    The level alpha * weights[i] is first given to hypothesis i; when i is rejected its level passes on along row i of
    ``transitions`` and the graph is updated.

    Parameters
    ----------
    p : array of shape (m,)
    weights : array of shape (m,)
        Not negative, adding up to at most 1.
    transitions : array of shape (m, m)
        Share of the level of i (row) that goes to j (column) when i is rejected; zero diagonal, rows adding up to at
        most 1.
    alpha : float
        Family-wise level.

    Returns
    -------
    MultipleTest
        A hypothesis that never gets any level has adjusted p-value 1.

    Raises
    ------
    InvalidInputError
        p-values missing or outside [0, 1]; weights or transitions of another shape or outside their domain.

    References
    ----------
    Bretz et al. 2009, algorithm 2 (adjusted p-values).
    """
    values = _check_p(p)
    level = _check_alpha(alpha)
    count = values.size
    share, graph = _check_graph(weights, transitions, count)
    adjusted = np.ones(count)
    open_ = np.ones(count, dtype=bool)
    largest = 0.0
    while True:
        candidates = np.flatnonzero(open_ & (share > 0))
        if candidates.size == 0:
            break
        ratios = values[candidates] / share[candidates]
        first = int(candidates[int(np.argmin(ratios))])
        largest = max(largest, min(1.0, float(ratios.min())))
        adjusted[first] = largest
        open_[first] = False
        share, graph = _pass_on(share, graph, first, open_)
    return MultipleTest(adjusted=adjusted, rejected=adjusted <= level, alpha=level)


def _pass_on(share: FloatArray, graph: FloatArray, gone: int, open_: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Weights and transitions after hypothesis ``gone`` was rejected (Bretz et al. 2009, algorithm 1, step 3)."""
    new_share = np.where(open_, share + share[gone] * graph[gone], 0.0)
    loop = graph[:, gone] * graph[gone]
    through = graph + np.outer(graph[:, gone], graph[gone])
    with np.errstate(divide="ignore", invalid="ignore"):
        new_graph = np.where(loop[:, None] < 1.0 - _ROUNDING, through / (1.0 - loop)[:, None], 0.0)
    np.fill_diagonal(new_graph, 0.0)
    new_graph[~open_] = 0.0
    new_graph[:, ~open_] = 0.0
    return new_share, new_graph


def _intersection_p(p: FloatArray, share: FloatArray, members: BoolArray, kind: str) -> FloatArray:
    """p-value of every intersection (rows of ``members``)."""
    if kind == "fisher":
        with np.errstate(divide="ignore"):
            logs = np.where(members, np.log(p), 0.0)
        return np.asarray(chi2.sf(-2.0 * logs.sum(axis=1), 2 * members.sum(axis=1)))
    order = np.argsort(p, kind="stable")
    mass = np.where(members[:, order], share[order], 0.0)
    total = mass.sum(axis=1)
    used = np.cumsum(mass, axis=1) if kind == "simes" else mass
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(members[:, order] & (used > 0), p[order] / used * total[:, None], np.inf)
    return np.where(total > 0, ratios.min(axis=1), 1.0)


def _step(p: FloatArray, factors: FloatArray, *, up: bool) -> FloatArray:
    """Multiply the ordered p-values by factors and make them monotone, from the largest (step up) or the smallest."""
    order = np.argsort(p, kind="stable")
    scaled = p[order] * factors
    monotone = np.minimum.accumulate(scaled[::-1])[::-1] if up else np.maximum.accumulate(scaled)
    out = np.empty_like(p)
    out[order] = monotone
    return out


def _ranks(p: FloatArray) -> FloatArray:
    return np.arange(1, p.size + 1, dtype=np.float64)


def _bonferroni(p: FloatArray) -> FloatArray:
    return p * p.size


def _holm(p: FloatArray) -> FloatArray:
    return _step(p, p.size - _ranks(p) + 1.0, up=False)


def _hochberg(p: FloatArray) -> FloatArray:
    return _step(p, p.size - _ranks(p) + 1.0, up=True)


def _bh(p: FloatArray) -> FloatArray:
    return _step(p, p.size / _ranks(p), up=True)


def _by(p: FloatArray) -> FloatArray:
    return _step(p, p.size / _ranks(p) * float((1.0 / _ranks(p)).sum()), up=True)


def _hommel(p: FloatArray) -> FloatArray:
    """Closed Simes test without its 2^m intersections: only the size of an intersection matters."""
    order = np.argsort(p, kind="stable")
    ordered, count = p[order], p.size
    ranks = np.arange(1, count + 1)
    best = np.full(count, float((count * ordered / ranks).min()))
    for size in range(count - 1, 1, -1):
        head = count - size + 1
        tail = float((size * ordered[head:] / np.arange(2, size + 1)).min())
        candidate = np.minimum(size * ordered[:head], tail)
        rest = np.full(count - head, candidate[-1])
        best = np.maximum(best, np.concatenate([candidate, rest]))
    out = np.empty_like(p)
    out[order] = np.maximum(best, ordered)
    return out


def _none(p: FloatArray) -> FloatArray:
    return p


_METHODS = {
    "bonferroni": _bonferroni,
    "holm": _holm,
    "hochberg": _hochberg,
    "hommel": _hommel,
    "BH": _bh,
    "BY": _by,
    "none": _none,
}


def _check_p(p: npt.ArrayLike, *, missing_allowed: bool = False) -> FloatArray:
    try:
        values = np.asarray(p, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInputError("p: numbers are needed") from error
    if values.ndim != 1 or values.size == 0:
        raise InvalidInputError("p: a list with at least one p-value is needed")
    missing = np.isnan(values)
    if missing.any() and not missing_allowed:
        raise InvalidInputError(f"p: {int(missing.sum())} of {values.size} p-values are missing")
    bad = int(((values < 0) | (values > 1)).sum())
    if bad:
        raise InvalidInputError(f"p: {bad} of {values.size} values lie outside 0 to 1")
    return values


def _check_alpha(alpha: float) -> float:
    if not 0.0 < alpha < 1.0:
        raise InvalidInputError("alpha: must lie strictly between 0 and 1")
    return float(alpha)


def _check_weights(weights: npt.ArrayLike, count: int) -> FloatArray:
    values = np.asarray(weights, dtype=np.float64)
    if values.shape != (count,):
        raise InvalidInputError(f"weights: one per hypothesis is needed ({count})")
    if not np.isfinite(values).all() or np.any(values < 0) or not np.any(values > 0):
        raise InvalidInputError("weights: must be finite, not negative, and not all 0")
    return values


def _check_graph(weights: npt.ArrayLike, transitions: npt.ArrayLike, count: int) -> tuple[FloatArray, FloatArray]:
    share = _check_weights(weights, count)
    graph = np.asarray(transitions, dtype=np.float64)
    if share.sum() > 1.0 + _ROUNDING:
        raise InvalidInputError("weights: must add up to at most 1")
    if graph.shape != (count, count):
        raise InvalidInputError(f"transitions: a {count} x {count} matrix is needed")
    if not np.isfinite(graph).all() or np.any(graph < 0) or np.any(np.diag(graph) != 0):
        raise InvalidInputError("transitions: must be finite and not negative, with a zero diagonal")
    if np.any(graph.sum(axis=1) > 1.0 + _ROUNDING):
        raise InvalidInputError("transitions: every row must add up to at most 1")
    return share, graph
