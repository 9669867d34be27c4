"""Criteria chosen on some patients and judged on others: the held-out effect of keeping what helped.

References
----------
Chernozhukov V et al. 2018, Econometrics Journal 21, C1-C68, section 3.4 (medians over repeated cross-fitting).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from trialstrat.criteria.coalitions import Pieces, kept, worth
from trialstrat.criteria.emulation import Emulation
from trialstrat.protocol.criteria_model import ImpactPlan
from trialstrat.stats.resampling import stratified_folds
from trialstrat.stats.shapley import shapley_values
from trialstrat.subgroups.effect import Effect

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The effect of a rule set on patients, in sample or held out: ``value`` on the natural scale, in ``unit``."""

    value: float
    lower: float
    upper: float
    n: int
    events: int
    unit: str = ""
    reason: str = ""


def cross_fit(
    emulation: Emulation,
    pieces: Pieces,
    plan: ImpactPlan,
    measure: str,
    sign: int,
    level: float,
    rng: np.random.Generator,
    jobs: int,
) -> tuple[Floats, dict[str, Judgement]]:
    """Choose criteria on training folds and judge the choice on the patients held out.

    Returns
    -------
    tuple
        How often each criterion was kept (k,), and the effect by measure among the held-out patients who meet the
        criteria kept without them: the median over repeats, with the variance's median widened by the distance
        between repeats.
    """
    folds = [
        stratified_folds(emulation.outcome.of_interest[emulation.rows], emulation.arm, None, plan.folds, rng)
        for _ in range(plan.repeats)
    ]
    masks = pieces.again.masks

    def choose(label: Integers, fold: int) -> tuple[int, ...]:
        found = emulation.evaluate(masks, (label != fold).astype(np.float64))
        values = np.full(pieces.k, np.nan)
        values[list(pieces.players)] = shapley_values(pieces.again, worth(found)[measure])[0]
        if not np.isfinite(values[list(pieces.players)]).all():
            return pieces.players  # nothing can be learned from this fold: nothing is relaxed
        return kept(emulation, values, sign)

    tasks = [(label, fold) for label in folds for fold in range(plan.folds)]
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        chosen = list(pool.map(lambda task: choose(*task), tasks))
    share = np.mean([[at in own for at in range(pieces.k)] for own in chosen], axis=0)
    effects = [
        emulation.effect(held_out(emulation, folds[at], chosen[at * plan.folds : (at + 1) * plan.folds]))
        for at in range(plan.repeats)
    ]
    return np.asarray(share, dtype=np.float64), combined(effects, level)


def held_out(emulation: Emulation, label: Integers, chosen: Sequence[tuple[int, ...]]) -> Mask:
    """Everybody (n) who meets the criteria chosen by the folds that did not hold them."""
    fold = np.full(len(emulation.rows), -1, dtype=np.int64)
    fold[emulation.rows] = label
    inside = np.zeros(len(emulation.rows), dtype=np.bool_)
    for number, own in enumerate(chosen):
        inside |= (fold == number) & emulation.everybody[:, list(own)].all(axis=1)
    return inside


def combined(effects: Sequence[Effect], level: float) -> dict[str, Judgement]:
    """The median effect of repeated cross-fitting by measure; ratios are combined on the log scale."""
    half = float(-ndtri((1 - level) / 2))
    n, events = (int(np.median([getattr(effect, name) for effect in effects])) for name in ("n", "events"))
    out: dict[str, Judgement] = {}
    for name in ("relative", "absolute"):
        scales = [getattr(effect, name) for effect in effects]
        ok = [scale for scale in scales if scale.ok]
        if 2 * len(ok) <= len(scales):
            reason = next(scale.reason for scale in scales if not scale.ok)
            out[name] = Judgement(value=np.nan, lower=np.nan, upper=np.nan, n=n, events=events, reason=reason)
            continue
        ratio = ok[0].ratio
        points = np.array([np.log(scale.value) if ratio else scale.value for scale in ok])
        middle = float(np.median(points))
        error = float(np.sqrt(np.median(np.array([scale.std_error for scale in ok]) ** 2 + (points - middle) ** 2)))
        limits = [middle, middle - half * error, middle + half * error]
        shown = [float(np.exp(x)) for x in limits] if ratio else limits
        out[name] = Judgement(value=shown[0], lower=shown[1], upper=shown[2], n=n, events=events, unit=ok[0].unit)
    return out
