"""Treatment effects on binary and continuous outcomes, as the same :class:`~trialstrat.subgroups.effect.Effect`."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from trialstrat.errors import InvalidInputError
from trialstrat.results import NAN
from trialstrat.stats.checks import check_events, check_level, check_strata, check_two_groups, check_values
from trialstrat.subgroups.scales import (
    MEASURES,
    Effect,
    EffectOptions,
    ScaleEffect,
    counts_by_arm,
    gate,
    no_effect,
    normal_effect,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def binary_effect(
    event: ArrayLike,
    treated: ArrayLike,
    options: EffectOptions,
    *,
    strata: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> Effect:
    """Risk difference and odds ratio, treated against control.

    Without strata and weights: Newcombe's hybrid score interval of the difference and Woolf's of the odds ratio. With
    ``strata`` (n,): Mantel-Haenszel estimates. With balancing ``weights`` (n,): weighted risks with sandwich
    variance. An odds ratio needs events and non-events in both arms.

    Raises
    ------
    InvalidInputError
        Outcomes or treatment other than 0 and 1, unequal lengths, strata together with weights.

    References
    ----------
    Newcombe RG (1998). Stat Med 17, 873-890, method 10. Greenland S, Robins JM (1985). Biometrics 41, 55-68.
    Robins J, Breslow N, Greenland S (1986). Biometrics 42, 311-323.
    """
    check_level(options.level)
    outcome = check_events(event, np.size(event))
    arm = check_two_groups(treated, len(outcome), name="treated")
    counts = counts_by_arm(arm, outcome)
    if reason := gate(counts, options.minimum_events):
        return no_effect("binary", counts, options.level, reason)
    if weights is not None:
        _only_one(strata)
        odds, risk = _weighted_binary(outcome, arm, check_values(weights, len(arm), name="weights"), options.level)
    elif strata is not None:
        odds, risk = _mantel_haenszel(outcome, arm, check_strata(strata, len(arm)), options.level)
    else:
        odds, risk = _plain_binary(outcome, arm, options.level)
    return Effect(relative=odds, absolute=risk, milestone=risk, **counts)


def continuous_effect(
    value: ArrayLike,
    treated: ArrayLike,
    options: EffectOptions,
    *,
    strata: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> Effect:
    """Mean difference, treated minus control, with Welch's interval.

    With ``strata`` (n,) the differences within strata are combined with weights n1 n0 / (n1 + n0) (strata with fewer
    than two patients in an arm are left out); with balancing ``weights`` (n,) means are weighted, the variance is the
    sandwich. ``relative`` is never estimable: a ratio of means has no meaning for a scale without a true zero.

    References
    ----------
    Welch BL (1947). Biometrika 34, 28-35.
    """
    check_level(options.level)
    outcome = check_values(value, name="value")
    arm = check_two_groups(treated, len(outcome), name="treated")
    counts = counts_by_arm(arm, np.zeros(len(arm), dtype=np.int64))
    measures = MEASURES["continuous"]
    if min(counts["n_control"], counts["n_treated"]) < 2:
        return no_effect("continuous", counts, options.level, "an arm has fewer than 2 patients")
    if weights is not None:
        _only_one(strata)
        mass = check_values(weights, len(arm), name="weights")
        value_, error = _weighted_difference(outcome, arm, mass)
        mean = normal_effect(
            value_, error, ratio=False, level=options.level, measure=measures[1], unit="", method="weighted means"
        )
    else:
        mean = _welch(outcome, arm, check_strata(strata, len(arm)), options.level, stratified=strata is not None)
    none = ScaleEffect(
        measure=measures[0],
        ratio=True,
        level=options.level,
        status="not_estimable",
        reason="a continuous outcome has no relative scale here",
    )
    return Effect(relative=none, absolute=mean, milestone=mean, **counts)


def _only_one(strata: ArrayLike | None) -> None:
    if strata is not None:
        raise InvalidInputError("strata and weights cannot be used together for this kind of endpoint")


def _plain_binary(outcome: Ints, arm: Ints, level: float) -> tuple[ScaleEffect, ScaleEffect]:
    n = np.array([(arm == k).sum() for k in (0, 1)], dtype=np.float64)
    x = np.array([outcome[arm == k].sum() for k in (0, 1)], dtype=np.float64)
    return _woolf(x, n, level), _newcombe(x, n, level)


def _woolf(x: Floats, n: Floats, level: float) -> ScaleEffect:
    cells = np.array([x[1], n[1] - x[1], x[0], n[0] - x[0]])
    words = {"measure": "odds ratio", "unit": "odds ratio", "method": "odds ratio, Woolf's limits"}
    if (cells == 0).any():
        reason = "an arm has no event or only events: the odds ratio has no finite estimate"
        return normal_effect(NAN, NAN, ratio=True, level=level, reason=reason, **words)
    log_ratio = float(np.log(cells[0] * cells[3] / (cells[1] * cells[2])))
    return normal_effect(log_ratio, float(np.sqrt((1 / cells).sum())), ratio=True, level=level, **words)


def _newcombe(x: Floats, n: Floats, level: float) -> ScaleEffect:
    """Hybrid score limits; p from the pooled score test (chi-square without continuity correction)."""
    z = float(-ndtri((1 - level) / 2))
    p = x / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low, high = centre - half, centre + half
    difference = float(p[1] - p[0])
    pooled = x.sum() / n.sum()
    error = float(np.sqrt(pooled * (1 - pooled) * (1 / n).sum()))
    return ScaleEffect(
        measure="risk difference",
        ratio=False,
        value=difference,
        lower=difference - float(np.hypot(p[1] - low[1], high[0] - p[0])),
        upper=difference + float(np.hypot(high[1] - p[1], p[0] - low[0])),
        std_error=float(np.sqrt((p * (1 - p) / n).sum())),
        p=float(2 * ndtr(-abs(difference) / error)) if error > 0 else 1.0,
        level=level,
        unit="probability",
        method="risk difference, Newcombe's hybrid score limits",
    )


def _mantel_haenszel(outcome: Ints, arm: Ints, stratum: Ints, level: float) -> tuple[ScaleEffect, ScaleEffect]:
    """Combined over strata in which both arms occur."""
    k = int(stratum.max()) + 1
    n1, n0 = (np.bincount(stratum[arm == a], minlength=k).astype(float) for a in (1, 0))
    a = np.bincount(stratum[arm == 1], weights=outcome[arm == 1], minlength=k)
    c = np.bincount(stratum[arm == 0], weights=outcome[arm == 0], minlength=k)
    both = (n1 > 0) & (n0 > 0)
    n1, n0, a, c = n1[both], n0[both], a[both], c[both]
    b, d, total = n1 - a, n0 - c, n1 + n0
    weight = n1 * n0 / total
    words = {"unit": "probability", "measure": "risk difference", "method": "Mantel-Haenszel risk difference"}
    variance = (a * b * n0**3 + c * d * n1**3) / (n1 * n0 * total**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = float((a * n0 / total - c * n1 / total).sum() / weight.sum())
        error = float(np.sqrt(variance.sum()) / weight.sum())
    risk = normal_effect(difference, error, ratio=False, level=level, **words)
    r, s = a * d / total, b * c / total
    p, q = (a + d) / total, (b + c) / total
    with np.errstate(invalid="ignore", divide="ignore"):
        log_ratio = float(np.log(r.sum() / s.sum()))
        spread = (p * r).sum() / (2 * r.sum() ** 2) + (p * s + q * r).sum() / (2 * r.sum() * s.sum())
        spread += (q * s).sum() / (2 * s.sum() ** 2)
    odds = normal_effect(
        log_ratio,
        float(np.sqrt(spread)),
        ratio=True,
        level=level,
        measure="odds ratio",
        unit="odds ratio",
        method="Mantel-Haenszel odds ratio, Robins-Breslow-Greenland limits",
        reason="no stratum has events and non-events on both sides: the odds ratio has no finite estimate",
    )
    return odds, risk


def _weighted_difference(outcome: Floats, arm: Ints, weights: Floats) -> tuple[float, float]:
    """Difference of weighted means and its sandwich standard error (weights taken as known)."""
    means, variance = [], 0.0
    for k in (0, 1):
        y, w = outcome[arm == k], weights[arm == k]
        mean = float(np.average(y, weights=w))
        means.append(mean)
        variance += float((w**2 * (y - mean) ** 2).sum() / w.sum() ** 2)
    return means[1] - means[0], float(np.sqrt(variance))


def _weighted_binary(outcome: Ints, arm: Ints, weights: Floats, level: float) -> tuple[ScaleEffect, ScaleEffect]:
    difference, error = _weighted_difference(outcome.astype(np.float64), arm, weights)
    risk = normal_effect(
        difference,
        error,
        ratio=False,
        level=level,
        measure="risk difference",
        unit="probability",
        method="weighted risk difference, robust variance",
    )
    logits, spread = [], 0.0
    for k in (0, 1):
        y, w = outcome[arm == k].astype(np.float64), weights[arm == k]
        p = float(np.average(y, weights=w))
        inside = 0.0 < p < 1.0
        logits.append(float(np.log(p / (1 - p))) if inside else NAN)
        scale = p * (1 - p) * w.sum() if inside else NAN
        spread += float((w**2 * (y - p) ** 2).sum()) / scale**2
    odds = normal_effect(
        logits[1] - logits[0],
        float(np.sqrt(spread)),
        ratio=True,
        level=level,
        measure="odds ratio",
        unit="odds ratio",
        method="weighted odds ratio, robust variance",
        reason="an arm has no event or only events: the odds ratio has no finite estimate",
    )
    return odds, risk


def _welch(outcome: Floats, arm: Ints, stratum: Ints, level: float, *, stratified: bool) -> ScaleEffect:
    """Welch's difference, within strata where they are given; Satterthwaite's degrees of freedom."""
    differences, weights, parts = [], [], []
    for k in range(int(stratum.max()) + 1):
        y1, y0 = (outcome[(arm == a) & (stratum == k)] for a in (1, 0))
        if min(len(y1), len(y0)) < 2:
            continue
        differences.append(y1.mean() - y0.mean())
        weights.append(len(y1) * len(y0) / (len(y1) + len(y0)))
        parts.append([(y.var(ddof=1) / len(y), len(y) - 1) for y in (y1, y0)])
    words = {"measure": "mean difference", "unit": ""}
    method = "mean difference within strata" if stratified else "mean difference, Welch's limits"
    share = np.array(weights) / np.sum(weights) if weights else np.empty(0)
    terms = np.array([[(u * u * v, df) for v, df in pair] for u, pair in zip(share, parts, strict=True)])
    variance = float(terms[..., 0].sum()) if len(terms) else NAN
    if not variance > 0:
        reason = "the outcome does not vary, or no stratum has two patients in both arms"
        return normal_effect(NAN, NAN, ratio=False, level=level, method=method, reason=reason, **words)
    df = variance**2 / float((terms[..., 0] ** 2 / terms[..., 1]).sum())
    value, error = float(share @ np.array(differences)), float(np.sqrt(variance))
    half = float(-stdtrit(df, (1 - level) / 2)) * error
    return ScaleEffect(
        ratio=False,
        value=value,
        lower=value - half,
        upper=value + half,
        std_error=error,
        p=float(2 * stdtr(df, -abs(value / error))),
        level=level,
        measure=words["measure"],
        method=method,
    )
