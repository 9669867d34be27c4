"""The numbers of a baseline table: descriptions, standardised differences and tests between groups.

Rows with a missing value are left out of differences and tests and counted by :func:`describe`; a missing group label
is refused. Groups are taken in sorted order (text by code point, numbers numerically).

References
----------
Austin 2009, Stat Med 28, 3083-3107 (standardised differences). Yang & Dalton 2012, SAS Global Forum 335 (categorical).
Austin & Stuart 2015, Stat Med 34, 3661-3679 (weighted).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from trialstrat.errors import InvalidInputError
from trialstrat.results import Status, TestResult
from trialstrat.stats import table_tests
from trialstrat.stats.checks import FloatArray, Groups, Label, check_groups, check_weights

NAN = float("nan")
SmdKind = Literal["continuous", "binary", "categorical"]
DescriptionKind = Literal["continuous", "categorical"]
TestKind = Literal["t", "welch", "wilcoxon", "kruskal", "anova", "chisq", "fisher"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardisedDifference:
    """Second minus first group in units of the pooled standard deviation; nan with a reason when not estimable."""

    smd: float
    kind: SmdKind
    n: tuple[int, int]
    status: Status = "ok"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """One variable in one group: ``n`` present and ``missing``.

    Moments and quartiles of a continuous variable (nan where undefined), ``counts`` by value of a categorical one.
    """

    n: int
    missing: int
    mean: float = NAN
    sd: float = NAN
    median: float = NAN
    q1: float = NAN
    q3: float = NAN
    counts: Mapping[Label, int] = field(default_factory=dict)


def smd(
    value: npt.ArrayLike, group: npt.ArrayLike, *, kind: SmdKind, weights: npt.ArrayLike | None = None
) -> StandardisedDifference:
    """Standardised mean difference between two groups, second minus first.

    Parameters
    ----------
    value : array of shape (n,)
        Numbers (continuous), 0 and 1 (binary) or labels (categorical); rows with a missing value are left out.
    group : array of shape (n,)
        Two labels.
    kind : {"continuous", "binary", "categorical"}
        continuous: (mean_1 - mean_0) / sqrt((v_1 + v_0) / 2) with sample variances; binary: v = p (1 - p);
        categorical: sqrt(d' ((S_1 + S_0) / 2)^-1 d) with d the differences of the proportions of all levels but the
        first and S = diag(p) - p p', never negative.
    weights : array of shape (n,), optional
        Not negative; means, proportions and variances are weighted, v = sum w / ((sum w)^2 - sum w^2)
        sum w (x - mean)^2.

    Returns
    -------
    StandardisedDifference
        Not estimable without variation (0 / 0) or with an empty group.

    Raises
    ------
    InvalidInputError
        Not exactly two groups, unequal lengths, weights negative, binary values other than 0 and 1.

    References
    ----------
    Austin 2009, eq. 1-2; Yang & Dalton 2012; Austin & Stuart 2015, section 3.
    """
    values, present = _column(value, categorical=kind == "categorical")
    groups = check_groups(group, present.size)
    if groups.k != 2:
        raise InvalidInputError(f"group: a standardised difference compares two groups, not {groups.k}")
    mass = np.ones(present.size) if weights is None else check_weights(weights, present.size)
    if kind == "binary" and np.any((values[present] != 0) & (values[present] != 1)):
        raise InvalidInputError("value: a binary variable holds 0 and 1 only")
    used = [present & (groups.codes == code) & (mass > 0) for code in (0, 1)]
    counts = (int(used[0].sum()), int(used[1].sum()))
    if min(counts) == 0:
        return _no_difference(kind, counts, "a group has no value")
    if kind == "categorical":
        difference = _categorical_difference(values, mass, used)
    else:
        difference = _scaled_difference(values, mass, used, binary=kind == "binary")
    if not np.isfinite(difference):
        return _no_difference(kind, counts, "the groups have no variance to scale the difference by")
    return StandardisedDifference(smd=float(difference), kind=kind, n=counts)


def describe(
    value: npt.ArrayLike, group: npt.ArrayLike | None = None, *, kind: DescriptionKind
) -> dict[Label, Description]:
    """Describe a variable overall (key "all") or by group.

    Parameters
    ----------
    value : array of shape (n,)
        Numbers, or labels of a categorical variable; None, nan and empty text are missing.
    group : array of shape (n,), optional
    kind : {"continuous", "categorical"}
        continuous: mean, standard deviation with n - 1, median and quartiles (linear interpolation, R's type 7);
        categorical: counts of every value that occurs in the whole column, 0 where a group has none.

    Raises
    ------
    InvalidInputError
        Missing group labels, unequal lengths, text where numbers are needed.

    References
    ----------
    Hyndman & Fan 1996, Am Stat 50, 361-365 (definition 7).
    """
    values, present = _column(value, categorical=kind == "categorical")
    labels: tuple[Label, ...] = ()
    if kind == "categorical" and present.any():
        coded = check_groups(values[present], int(present.sum()), name="value")
        labels = coded.labels
        codes = np.full(present.size, -1, dtype=np.int64)
        codes[present] = coded.codes
        values = codes
    if group is None:
        groups = Groups(labels=("all",), codes=np.zeros(present.size, dtype=np.int64))
    else:
        groups = check_groups(group, present.size)
    out: dict[Label, Description] = {}
    for code, label in enumerate(groups.labels):
        rows = groups.codes == code
        missing = int((rows & ~present).sum())
        out[label] = _describe_one(values[rows & present], missing, kind, labels)
    return out


def table_test(
    value: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    kind: TestKind,
    exact: bool | None = None,
    correct: bool = True,
) -> TestResult:
    """Test of a baseline variable between groups (null hypothesis: the same distribution, or mean, in all groups).

    Parameters
    ----------
    value : array of shape (n,)
        Numbers; labels for chisq and fisher. Rows with a missing value are left out.
    group : array of shape (n,)
        Labels; t, welch and wilcoxon compare exactly two.
    kind : {"t", "welch", "wilcoxon", "kruskal", "anova", "chisq", "fisher"}
        t (equal variances) and welch: first minus second group. wilcoxon: W = rank sum of the first group -
        n_1 (n_1 + 1) / 2. kruskal: H corrected for ties. anova: F. chisq: Pearson. fisher: two-sided, without
        statistic.
    exact : bool, optional
        wilcoxon: permutation distribution (conditional on ties) instead of the normal approximation. None: exact below
        50 patients per group without ties.
    correct : bool
        wilcoxon without exact: continuity correction. chisq of a 2 x 2 table: Yates' correction.

    Returns
    -------
    TestResult
        Not estimable when a group is empty or too small, nothing varies, or an exact distribution is out of reach.

    Raises
    ------
    InvalidInputError
        One group only, or more than two where two are compared; unequal lengths; missing labels.

    References
    ----------
    Welch 1947; Wilcoxon 1945; Hollander & Wolfe 1973 (ties); Kruskal & Wallis 1952; Yates 1934; Mehta & Patel 1983.
    """
    values, present = _column(value, categorical=kind in ("chisq", "fisher"))
    groups = check_groups(group, present.size)
    if groups.k < 2:
        raise InvalidInputError("group: a test needs at least two groups")
    if kind in ("t", "welch", "wilcoxon") and groups.k != 2:
        raise InvalidInputError(f"group: {kind} compares two groups, not {groups.k}")
    kept, codes = values[present], groups.codes[present]
    if kind in ("chisq", "fisher"):
        table = _cross_table(kept, codes, groups.k)
        return table_tests.chi_square(table, correct=correct) if kind == "chisq" else table_tests.fisher(table)
    samples = [kept[codes == code] for code in range(groups.k)]
    if kind == "wilcoxon":
        return table_tests.wilcoxon(samples[0], samples[1], exact=exact, correct=correct)
    if kind == "kruskal":
        return table_tests.kruskal(samples)
    if kind == "anova":
        return table_tests.anova(samples)
    if kind in ("t", "welch"):
        return table_tests.t_test(samples[0], samples[1], equal_variances=kind == "t")
    raise InvalidInputError("kind: must be t, welch, wilcoxon, kruskal, anova, chisq or fisher")


def _column(value: npt.ArrayLike, *, categorical: bool) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """The values as floats, or as given for labels, and which are present."""
    array = np.asarray(value)
    if array.ndim != 1 or array.size == 0:
        raise InvalidInputError("value: a list with at least one row is needed")
    if not categorical:
        try:
            numbers = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise InvalidInputError("value: numbers are needed, some values are text or of another kind") from error
        if np.isinf(numbers).any():
            raise InvalidInputError(f"value: {int(np.isinf(numbers).sum())} of {numbers.size} values are infinite")
        return numbers, ~np.isnan(numbers)
    if array.dtype.kind in "biu":
        return array, np.ones(array.size, dtype=bool)
    if array.dtype.kind == "f":
        return array, ~np.isnan(array)
    objects = array.astype(object)
    return objects, np.array([_is_present(item) for item in objects], dtype=bool)


def _is_present(item: Any) -> bool:
    if item is None or (isinstance(item, str) and not item):
        return False
    try:
        return bool(item == item)
    except TypeError:
        return False


def _cross_table(values: npt.NDArray[Any], codes: npt.NDArray[np.int64], groups: int) -> npt.NDArray[np.int64]:
    """Counts by value (rows) and group (columns)."""
    if values.size == 0:
        return np.zeros((1, groups), dtype=np.int64)
    rows = check_groups(values, values.size, name="value")
    flat = np.bincount(rows.codes * groups + codes, minlength=rows.k * groups)
    return flat.reshape(rows.k, groups).astype(np.int64)


def _no_difference(kind: SmdKind, counts: tuple[int, int], reason: str) -> StandardisedDifference:
    return StandardisedDifference(smd=NAN, kind=kind, n=counts, status="not_estimable", reason=reason)


def _scaled_difference(
    values: npt.NDArray[Any], mass: FloatArray, used: list[npt.NDArray[np.bool_]], *, binary: bool
) -> float:
    """Difference of means over the root of the mean variance; nan without variance."""
    means, variances = [], []
    for rows in used:
        x, w = values[rows].astype(np.float64), mass[rows]
        total = float(w.sum())
        mean = float(w @ x) / total
        spread = total**2 - float(w @ w)
        means.append(mean)
        if binary:
            variances.append(mean * (1.0 - mean))
        else:
            variances.append(total / spread * float(w @ (x - mean) ** 2) if spread > 0 else NAN)
    pooled = 0.5 * (variances[0] + variances[1])
    scale = max(abs(means[0]), abs(means[1]), 1e-300)
    return (means[1] - means[0]) / float(np.sqrt(pooled)) if pooled > (1e-14 * scale) ** 2 else NAN


def _categorical_difference(values: npt.NDArray[Any], mass: FloatArray, used: list[npt.NDArray[np.bool_]]) -> float:
    """Mahalanobis distance of the proportions of all levels but the first; nan when it is not defined."""
    rows = used[0] | used[1]
    levels = check_groups(values[rows], int(rows.sum()), name="value")
    codes = np.full(rows.size, -1, dtype=np.int64)
    codes[rows] = levels.codes
    shares = []
    for group in used:
        counts = np.bincount(codes[group], weights=mass[group], minlength=levels.k)
        shares.append(counts[1:] / counts.sum())
    difference = shares[1] - shares[0]
    pooled = sum(np.diag(share) - np.outer(share, share) for share in shares) / 2.0
    if levels.k < 2 or np.linalg.matrix_rank(pooled, hermitian=True) < levels.k - 1:
        return NAN
    return float(np.sqrt(difference @ np.linalg.solve(pooled, difference)))


def _describe_one(
    values: npt.NDArray[Any], missing: int, kind: DescriptionKind, labels: tuple[Label, ...]
) -> Description:
    n = int(values.size)
    if kind == "categorical":
        counts = np.bincount(values.astype(np.int64), minlength=len(labels)) if n else np.zeros(len(labels))
        return Description(n=n, missing=missing, counts={label: int(counts[at]) for at, label in enumerate(labels)})
    if n == 0:
        return Description(n=0, missing=missing)
    q1, median, q3 = (float(q) for q in np.quantile(values, (0.25, 0.5, 0.75)))
    sd = float(values.std(ddof=1)) if n > 1 else NAN
    return Description(n=n, missing=missing, mean=float(values.mean()), sd=sd, median=median, q1=q1, q3=q3)
