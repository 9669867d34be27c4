"""One answer from several completed data sets: Rubin's rules for a number, and their test of several at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import fdtrc, stdtr, stdtrit

from trialstrat.errors import InvalidInputError
from trialstrat.results import NAN, TestResult
from trialstrat.stats.checks import check_level

Floats = NDArray[np.float64]

#: Degrees of freedom beyond which a t distribution is a normal one for every purpose here.
LARGE = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """A pooled estimate on the scale on which its limits are symmetric.

    ``df`` are Barnard and Rubin's degrees of freedom; ``fmi`` is the fraction of missing information (0-1): by how
    much the interval would shrink, in terms of variance, had nothing been missing. ``p`` is two-sided, null
    hypothesis: the value is 0.
    """

    value: float
    std_error: float
    lower: float
    upper: float
    p: float
    df: float
    fmi: float
    imputations: int
    level: float


def pool(
    estimates: ArrayLike, variances: ArrayLike, *, complete_df: float = float("inf"), level: float = 0.95
) -> Pooled:
    """Pool one number over m completed data sets.

    Parameters
    ----------
    estimates, variances : arrays of shape (m,)
        The estimate of every completed data set and its squared standard error, m at least 2.
    complete_df
        Degrees of freedom that the analysis would have without missing values (events less parameters of a Cox
        model); infinite for a normal approximation.
    level
        Confidence level.

    Raises
    ------
    InvalidInputError
        Fewer than two imputations, values that are not finite, variances that are not positive.

    References
    ----------
    Rubin DB (1987). Multiple Imputation for Nonresponse in Surveys, ch. 3. Barnard J, Rubin DB (1999). Biometrika 86,
    948-955 (degrees of freedom).
    """
    check_level(level)
    value, within = np.asarray(estimates, dtype=np.float64), np.asarray(variances, dtype=np.float64)
    _check(value, within)
    m = len(value)
    mean, inside, between = float(value.mean()), float(within.mean()), float(value.var(ddof=1))
    total = inside + (1 + 1 / m) * between
    share = (1 + 1 / m) * between / total
    df = _degrees_of_freedom(share, m, complete_df)
    increase = share / (1 - share) if share < 1 else float("inf")
    fmi = (increase + 2 / (df + 3)) / (increase + 1) if share > 0 else 0.0
    error = float(np.sqrt(total))
    half = float(-stdtrit(df, (1 - level) / 2)) * error
    return Pooled(
        value=mean,
        std_error=error,
        lower=mean - half,
        upper=mean + half,
        p=float(2 * stdtr(df, -abs(mean) / error)),
        df=df,
        fmi=float(fmi),
        imputations=m,
        level=level,
    )


def _check(value: Floats, within: Floats) -> None:
    if value.ndim != 1 or len(value) < 2 or value.shape != within.shape:
        raise InvalidInputError("pooling needs the estimate and the variance of at least two imputations")
    if not (np.isfinite(value).all() and np.isfinite(within).all() and (within > 0).all()):
        raise InvalidInputError("pooling needs finite estimates and positive variances")


def _degrees_of_freedom(share: float, m: int, complete: float) -> float:
    """Barnard and Rubin (1999), their equations 3 to 5; ``share`` of the variance is due to missing values."""
    from_imputations = min((m - 1) / max(share**2, 1e-300), LARGE)
    if not np.isfinite(complete):
        return from_imputations
    complete = max(complete, 1.0)
    observed = (complete + 1) / (complete + 3) * complete * (1 - share)
    return max(from_imputations * observed / (from_imputations + observed), 1.0)


def pool_wald(estimates: ArrayLike, covariances: ArrayLike, *, null_hypothesis: str) -> TestResult:
    """Test that k pooled numbers are all 0 (the statistic D1 of Li, Raghunathan and Rubin).

    Parameters
    ----------
    estimates : array of shape (m, k)
        The k estimates of every completed data set.
    covariances : array of shape (m, k, k)
        Their covariance matrices.
    null_hypothesis
        In words, for the result.

    Returns
    -------
    TestResult
        ``statistic`` is compared with an F distribution with k (``df``) and the paper's denominator degrees of
        freedom. Not estimable where the mean covariance is singular.

    References
    ----------
    Li KH, Raghunathan TE, Rubin DB (1991). JASA 86, 1065-1073, equations 1.17 to 1.20.
    """
    value, within = np.asarray(estimates, dtype=np.float64), np.asarray(covariances, dtype=np.float64)
    if value.ndim != 2 or len(value) < 2 or within.shape != (*value.shape, value.shape[1]):
        raise InvalidInputError("pooling needs the estimates and covariances of at least two imputations")
    m, k = value.shape
    method = "Wald test pooled over imputations (Li, Raghunathan, Rubin)"
    inside = within.mean(axis=0)
    if not (np.isfinite(value).all() and np.isfinite(inside).all()) or np.linalg.matrix_rank(inside) < k:
        reason = "the covariance of the effects cannot be inverted"
        return TestResult(
            statistic=NAN,
            df=float(k),
            p=NAN,
            null_hypothesis=null_hypothesis,
            method=method,
            status="not_estimable",
            reason=reason,
        )
    mean = value.mean(axis=0)
    between = np.atleast_2d(np.cov(value, rowvar=False, ddof=1))
    increase = (1 + 1 / m) * float(np.trace(np.linalg.solve(inside, between))) / k
    statistic = float(mean @ np.linalg.solve(inside, mean)) / (k * (1 + increase))
    freedom = k * (m - 1)
    if increase <= 0:
        denominator = LARGE
    elif freedom > 4:
        denominator = 4 + (freedom - 4) * (1 + (1 - 2 / freedom) / increase) ** 2
    else:
        denominator = freedom * (1 + 1 / k) * (1 + 1 / increase) ** 2 / 2
    p = float(fdtrc(k, min(denominator, LARGE), statistic))
    return TestResult(statistic=statistic, df=float(k), p=p, null_hypothesis=null_hypothesis, method=method)
