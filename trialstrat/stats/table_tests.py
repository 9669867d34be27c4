"""Tests of a baseline variable between groups, on samples or a table of counts; see ``balance.table_test``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, fdtrc, ndtr, stdtr
from scipy.stats import rankdata

from trialstrat.results import TestResult
from trialstrat.stats.exact_tests import TooLargeError, fisher_p, rank_sum_p

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
NAN = float("nan")

#: Up to this many patients per group, and without ties, a rank sum is tested exactly unless asked otherwise (as R).
_EXACT_BELOW = 50
_SAME_MEAN = "the mean is the same in all groups"
_SAME_DISTRIBUTION = "the distribution is the same in all groups"
_INDEPENDENT = "the variable is independent of the group"


def t_test(first: FloatArray, second: FloatArray, *, equal_variances: bool) -> TestResult:
    """Student's (pooled variance) or Welch's t, first minus second sample."""
    method = "t test with equal variances" if equal_variances else "Welch's t test"
    n1, n2 = first.size, second.size
    if min(n1, n2) < 1 or n1 + n2 < 3 or (not equal_variances and min(n1, n2) < 2):
        return _not_estimable(method, _SAME_MEAN, n1 + n2, "a group has too few values")
    squares = [float(((sample - sample.mean()) ** 2).sum()) for sample in (first, second)]
    if equal_variances:
        df = float(n1 + n2 - 2)
        variance = (squares[0] + squares[1]) / df * (1.0 / n1 + 1.0 / n2)
    else:
        parts = squares[0] / (n1 - 1) / n1, squares[1] / (n2 - 1) / n2
        variance = parts[0] + parts[1]
        df = variance**2 / (parts[0] ** 2 / (n1 - 1) + parts[1] ** 2 / (n2 - 1)) if variance > 0 else NAN
    scale = max(abs(float(first.mean())), abs(float(second.mean())))
    if np.sqrt(variance) <= 1e-14 * scale or variance == 0:
        return _not_estimable(method, _SAME_MEAN, n1 + n2, "the values do not vary within the groups")
    t = float(first.mean() - second.mean()) / float(np.sqrt(variance))
    return _result(t, df, 2.0 * float(stdtr(df, -abs(t))), method, _SAME_MEAN, n1 + n2)


def wilcoxon(first: FloatArray, second: FloatArray, *, exact: bool | None, correct: bool) -> TestResult:
    """Wilcoxon's rank sum test."""
    n1, n2 = first.size, second.size
    n = n1 + n2
    if min(n1, n2) == 0:
        return _not_estimable("Wilcoxon rank sum test", _SAME_DISTRIBUTION, n, "a group has no value")
    ranks = rankdata(np.concatenate([first, second]))
    statistic = float(ranks[:n1].sum()) - n1 * (n1 + 1) / 2.0
    ties = _tie_sum(ranks)
    if exact is None:
        exact = max(n1, n2) < _EXACT_BELOW and ties == 0
    if exact:
        method = "exact Wilcoxon rank sum test"
        try:
            p = rank_sum_p(ranks, np.arange(n) < n1)
        except TooLargeError:
            reason = f"the exact distribution of {n} values is out of reach; use the normal approximation"
            return _not_estimable(method, _SAME_DISTRIBUTION, n, reason)
        return _result(statistic, NAN, p, method, _SAME_DISTRIBUTION, n)
    method = "Wilcoxon rank sum test" + (" with continuity correction" if correct else "")
    variance = n1 * n2 / 12.0 * ((n + 1) - ties / (n * (n - 1)))
    if variance <= 0:
        return _not_estimable(method, _SAME_DISTRIBUTION, n, "all values are equal")
    centred = statistic - n1 * n2 / 2.0
    z = (centred - (0.5 * np.sign(centred) if correct else 0.0)) / np.sqrt(variance)
    return _result(statistic, NAN, 2.0 * float(ndtr(-abs(z))), method, _SAME_DISTRIBUTION, n)


def kruskal(samples: Sequence[FloatArray]) -> TestResult:
    """Kruskal-Wallis H, corrected for ties."""
    method, n = "Kruskal-Wallis test", sum(sample.size for sample in samples)
    if min(sample.size for sample in samples) == 0:
        return _not_estimable(method, _SAME_DISTRIBUTION, n, "a group has no value")
    ranks = rankdata(np.concatenate(samples))
    edges = np.concatenate([[0], np.cumsum([sample.size for sample in samples])])
    squares = sum(float(ranks[a:b].sum()) ** 2 / (b - a) for a, b in pairwise(edges))
    correction = 1.0 - _tie_sum(ranks) / (float(n) ** 3 - n)
    if correction <= 0:
        return _not_estimable(method, _SAME_DISTRIBUTION, n, "all values are equal")
    h = (12.0 / (n * (n + 1)) * squares - 3.0 * (n + 1)) / correction
    df = len(samples) - 1
    return _result(h, df, float(chdtrc(df, max(h, 0.0))), method, _SAME_DISTRIBUTION, n)


def anova(samples: Sequence[FloatArray]) -> TestResult:
    """F of the one-way analysis of variance."""
    method, n, k = "one-way analysis of variance", sum(sample.size for sample in samples), len(samples)
    if min(sample.size for sample in samples) == 0 or n <= k:
        return _not_estimable(method, _SAME_MEAN, n, "a group has no value, or there are no more values than groups")
    grand = float(np.concatenate(samples).mean())
    between = sum(sample.size * (float(sample.mean()) - grand) ** 2 for sample in samples) / (k - 1)
    within = sum(float(((sample - sample.mean()) ** 2).sum()) for sample in samples) / (n - k)
    if within <= (1e-14 * max(abs(grand), 1e-300)) ** 2:
        return _not_estimable(method, _SAME_MEAN, n, "the values do not vary within the groups")
    f = between / within
    return _result(f, k - 1, float(fdtrc(k - 1, n - k, f)), method, _SAME_MEAN, n)


def chi_square(table: IntArray, *, correct: bool) -> TestResult:
    """Pearson's chi-square; with ``correct`` Yates' correction of a 2 x 2 table."""
    n = int(table.sum())
    yates = correct and table.shape == (2, 2)
    method = "chi-square test" + (" with Yates' correction" if yates else "")
    if _degenerate(table):
        return _not_estimable(method, _INDEPENDENT, n, "the variable does not vary, or a group has no value")
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    distance = np.abs(table - expected)
    if yates:
        distance = distance - min(0.5, float(distance.min()))
    statistic = float((distance**2 / expected).sum())
    df = (table.shape[0] - 1) * (table.shape[1] - 1)
    return _result(statistic, df, float(chdtrc(df, statistic)), method, _INDEPENDENT, n)


def fisher(table: IntArray) -> TestResult:
    """Fisher's exact test of an r x c table; it has no statistic."""
    method, n = "Fisher's exact test", int(table.sum())
    if _degenerate(table):
        return _not_estimable(method, _INDEPENDENT, n, "the variable does not vary, or a group has no value")
    try:
        p = fisher_p(table)
    except TooLargeError:
        reason = f"the exact distribution of a {table.shape[0]} x {table.shape[1]} table of {n} is out of reach"
        return _not_estimable(method, _INDEPENDENT, n, f"{reason}; use the chi-square test")
    return _result(NAN, NAN, p, method, _INDEPENDENT, n)


def _degenerate(table: IntArray) -> bool:
    return min(table.shape) < 2 or bool(np.any(table.sum(axis=0) == 0)) or bool(np.any(table.sum(axis=1) == 0))


def _tie_sum(ranks: FloatArray) -> float:
    """Sum of t^3 - t over the sizes t of tied sets."""
    sizes = np.unique(ranks, return_counts=True)[1].astype(np.float64)
    return float((sizes**3 - sizes).sum())


def _result(statistic: float, df: float, p: float, method: str, null: str, n: int) -> TestResult:
    return TestResult(statistic=statistic, df=df, p=min(p, 1.0), null_hypothesis=null, method=method, n=n)


def _not_estimable(method: str, null: str, n: int, reason: str) -> TestResult:
    return TestResult(
        statistic=NAN, df=NAN, p=NAN, null_hypothesis=null, method=method, n=n, status="not_estimable", reason=reason
    )
