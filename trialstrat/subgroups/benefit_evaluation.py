"""Are predicted benefits right? Targeting operator characteristic, its area and calibration, on held-out patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from trialstrat.results import NAN

Floats = NDArray[np.float64]

#: Shares of the patients at which the curve is stored.
SHARES = np.linspace(0.1, 1.0, 10)
GROUPS = 5
#: Factor on standard errors for folds that judge each other.
BETWEEN_FOLDS = np.sqrt(2.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """How well predictions rank and size the effect.

    ``toc`` (10,) is the mean effect of the given share of patients with the largest predicted benefit less that of
    everybody, with limits; ``autoc`` its mean over all shares (null hypothesis: 0, the ranking says nothing).
    ``slope`` is 1 when predictions are as spread as the effects they predict. ``groups`` has rows of (n, predicted,
    observed, lower, upper) by predicted benefit, the smallest first.
    """

    toc: Floats
    toc_lower: Floats
    toc_upper: Floats
    autoc: float
    autoc_lower: float
    autoc_upper: float
    autoc_p: float
    slope: float
    slope_lower: float
    slope_upper: float
    groups: tuple[tuple[int, float, float, float, float], ...]


def targeting_curve(predicted: Floats, scores: Floats) -> Floats:
    """Mean score of the first k patients by predicted benefit less the overall mean, for k = 1..n.

    Patients with equal predictions share their mean score, so that their order does not matter.

    References
    ----------
    Yadlowsky S, Fleming S, Shah N, Brunskill E, Wager S (2025). JASA 120, 38-51 (TOC and RATE).
    """
    order = np.argsort(-predicted, kind="stable")
    group = np.unique(-predicted[order], return_inverse=True)[1].ravel()
    mean = np.bincount(group, weights=scores[order]) / np.bincount(group)
    return np.cumsum(mean[group]) / np.arange(1, len(scores) + 1) - scores.mean()


def judge(
    predicted: Floats,
    scores: Floats,
    fold: NDArray[np.int64],
    *,
    level: float,
    draws: int,
    fewest: int,
    rng: np.random.Generator,
) -> Judged:
    """Judge predictions (n,) by doubly robust scores (n,) of the same held-out patients.

    Patients are ranked within their ``fold`` (n,) and compared within it: a training part whose average effect is
    large by chance leaves a small one to the held-out patients, so that across folds predictions and effects lean
    against each other even where nothing differs.

    Standard errors of the curve and its area come from a bootstrap of the patients, that of the slope is a sandwich,
    with predictions held fixed; all are multiplied by the root of 2. Every two folds judge each other's predictions,
    so that without any difference of effects the variance of the sum is twice that of independent folds.
    Calibration groups hold at least ``fewest`` patients; their limits are those of a mean.

    References
    ----------
    Nadeau C, Bengio Y (2003). Machine Learning 52, 239-281 (dependence between folds). Wager S (2024). Sequential
    validation of treatment heterogeneity, arXiv 2405.05534.
    """
    n = len(scores)
    rank, effect, gain = _within(predicted, scores, fold)
    at = np.maximum(np.ceil(SHARES * n).astype(np.int64), 1) - 1
    curve = targeting_curve(rank, effect)
    areas, curves = np.empty(draws), np.empty((draws, len(at)))
    for draw in range(draws):
        rows = rng.integers(0, n, n)
        again = targeting_curve(rank[rows], effect[rows])
        areas[draw], curves[draw] = again.mean(), again[at]
    half = float(ndtri(0.5 + level / 2))
    area, error = float(curve.mean()), BETWEEN_FOLDS * float(areas.std(ddof=1))
    errors = BETWEEN_FOLDS * curves.std(axis=0, ddof=1)
    slope, slope_error = _slope(gain, effect)
    return Judged(
        toc=curve[at],
        toc_lower=curve[at] - half * errors,
        toc_upper=curve[at] + half * errors,
        autoc=area,
        autoc_lower=area - half * error,
        autoc_upper=area + half * error,
        autoc_p=float(2 * ndtr(-abs(area) / error)) if error > 1e-10 * float(scores.std()) else 1.0,
        slope=slope,
        slope_lower=slope - half * slope_error,
        slope_upper=slope + half * slope_error,
        groups=_groups(rank, predicted, scores, half, fewest),
    )


def _within(predicted: Floats, scores: Floats, fold: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """Ranks of the predictions within folds (0 to 1, ties in the middle), scores and predictions less their fold's."""
    rank, effect, gain = np.empty(len(scores)), np.empty(len(scores)), np.empty(len(scores))
    for code in np.unique(fold):
        own = fold == code
        rank[own] = (rankdata(predicted[own]) - 0.5) / own.sum()
        effect[own] = scores[own] - scores[own].mean()
        gain[own] = predicted[own] - predicted[own].mean()
    return rank, effect + scores.mean(), gain


def _slope(predicted: Floats, scores: Floats) -> tuple[float, float]:
    """Slope of the scores on the predictions and its sandwich error; nan where predictions do not vary."""
    centred = predicted - predicted.mean()
    spread = float(centred @ centred)
    if spread <= 1e-12 * max(1.0, float(scores @ scores)):
        return NAN, NAN
    slope = float(centred @ scores) / spread
    residual = scores - scores.mean() - slope * centred
    return slope, BETWEEN_FOLDS * float(np.sqrt(((centred * residual) ** 2).sum())) / spread


def _groups(
    rank: Floats, predicted: Floats, scores: Floats, half: float, fewest: int
) -> tuple[tuple[int, float, float, float, float], ...]:
    """Mean prediction and mean score of groups of about equal size by rank; equal ranks stay together."""
    count = min(GROUPS, len(scores) // max(fewest, 1))
    if count < 2:
        return ()
    cuts = np.unique(np.quantile(rank, np.linspace(0, 1, count + 1)[1:-1]))
    number = np.searchsorted(cuts, rank, side="left")
    out = []
    for group in range(len(cuts) + 1):
        own = scores[number == group]
        if len(own) < max(fewest, 2):
            continue
        reach = half * float(own.std(ddof=1) / np.sqrt(len(own)))
        middle = float(own.mean())
        out.append((len(own), float(predicted[number == group].mean()), middle, middle - reach, middle + reach))
    return tuple(out)
