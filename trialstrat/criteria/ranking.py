"""What each criterion contributes to the effect: Shapley values with their sampling error.

A coalition is a set of criteria that is applied; its worth is the effect in the patients who meet them all, weights
fitted among them. Intervals repeat everything, propensity models included, in bootstrap samples.

References
----------
Liu R et al. 2021, Nature 592, 629-633 (Shapley values of eligibility criteria). Efron & Tibshirani 1993 (bootstrap).
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trialstrat.criteria.coalitions import MEASURES, Pieces, Values, kept, worth
from trialstrat.criteria.cross_fitting import Judgement, cross_fit
from trialstrat.criteria.emulation import Emulation
from trialstrat.protocol.criteria_model import ImpactPlan
from trialstrat.stats.resampling import bootstrap_samples
from trialstrat.stats.shapley import exact_game, sampled_game
from trialstrat.stats.subset_effects import SubsetEffects

Floats = NDArray[np.float64]

#: Criteria whose combinations are all refitted in every resample; beyond, ``RESAMPLED_ORDERS`` orders are.
RESAMPLED_EXACTLY = 8
RESAMPLED_ORDERS = 32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranking:
    """Everything about one comparison.

    ``shapley`` by measure (``log_hazard_ratio``, ``hazard_ratio``, ``absolute``, ``patients``, ``events``); ``alone``
    and ``without`` by measure: the effect with only this criterion, and with all but it; ``change`` by measure: what
    dropping it does. ``keep`` are positions of criteria whose contribution has the sign of a better effect,
    ``kept_share`` (k,) how often folds chose them. ``crossed`` holds the held-out effect of the chosen sets by measure.
    """

    shapley: Mapping[str, Values]
    alone: Mapping[str, Values]
    without: Mapping[str, Values]
    change: Mapping[str, Values]
    keep: tuple[int, ...]
    kept_share: Floats
    crossed: Mapping[str, Judgement]
    orders: int
    draws: int
    reason: str = ""


def deciding(emulation: Emulation, plan: ImpactPlan) -> str:
    """The measure that decides which criteria to keep."""
    return "absolute" if emulation.outcome.kind == "continuous" else plan.scale


def improvement(emulation: Emulation, measure: str, favourable: str) -> int:
    """Sign of a better effect on a measure: fewer events, longer restricted means, better values."""
    if emulation.timed:
        return 1 if measure == "absolute" and emulation.outcome.kind != "competing" else -1
    return 1 if favourable == "higher" else -1


def rank(
    emulation: Emulation, plan: ImpactPlan, *, favourable: str, level: float, rng: np.random.Generator, jobs: int = 1
) -> Ranking:
    """Shapley values, leave-one-out and alone, with intervals; the criteria worth keeping; their held-out effect.

    Where the patients who meet all criteria have fewer than the declared minimum of events in an arm, nothing that
    needs an effect is estimated: every Shapley value rests on that set.

    Parameters
    ----------
    emulation
        The comparison.
    plan
        Exact or sampled, resamples, folds.
    favourable
        Which values of a binary or continuous outcome are good.
    level
        Of the intervals.
    rng
        For orders, resamples and folds.
    jobs
        Threads; changes no number.
    """
    m = len(emulation.players)
    game = exact_game(m) if m <= plan.exact else sampled_game(m, plan.permutations, rng)
    again = game if m <= min(RESAMPLED_EXACTLY, plan.exact) else sampled_game(m, RESAMPLED_ORDERS, rng)
    pieces = Pieces(emulation, game, again)
    found = emulation.evaluate(pieces.masks, jobs=jobs)
    reason = _too_small(emulation, found, pieces)
    draws = _resampled(emulation, pieces, plan.bootstrap, rng, jobs) if plan.bootstrap and not reason else {}
    here = worth(found)
    tables = {
        name: {
            measure: pieces.values(name, measure, here, draws, level, reason if measure in MEASURES[:3] else "")
            for measure in MEASURES
        }
        for name in ("shapley", "alone", "without", "change")
    }
    measure = deciding(emulation, plan)
    sign = improvement(emulation, measure, favourable)
    keep = kept(emulation, tables["shapley"][measure].value, sign)
    share, crossed = np.full(emulation.everybody.shape[1], np.nan), {}
    if not reason and m:
        share, crossed = cross_fit(emulation, pieces, plan, measure, sign, level, rng, jobs)
    return Ranking(
        **tables,
        keep=() if reason else keep,
        kept_share=share,
        crossed=crossed,
        orders=0 if game.exact else len(game.orders),
        draws=plan.bootstrap,
        reason=reason,
    )


def _too_small(emulation: Emulation, found: SubsetEffects, pieces: Pieces) -> str:
    """Why effects of subsets cannot be ranked; the set of all criteria is the smallest of all."""
    least = emulation.options.minimum_events
    if emulation.outcome.kind != "continuous":
        full = pieces.place((1 << pieces.m) - 1)
        if min(found.events_control[full], found.events_treated[full]) < least:
            return f"fewer than {least} events in an arm of the patients who meet all criteria"
    for rows in (emulation.rows, emulation.rows & emulation.everybody.all(axis=1)):
        if rows.any() and (without := emulation.weights(rows)[1]):
            return without
    measure = found.absolute if emulation.outcome.kind == "continuous" else found.relative
    missing = int((~np.isfinite(measure)).sum())
    if missing:
        return f"{missing} of {len(measure)} combinations of criteria have no estimate of the effect"
    return ""


def _resampled(
    emulation: Emulation, pieces: Pieces, draws: int, rng: np.random.Generator, jobs: int
) -> dict[str, Floats]:
    """Worths of the coalitions in bootstrap samples within arms, by measure (draws, s)."""
    n = emulation.n
    counts = [
        np.bincount(rows, minlength=n).astype(np.float64)
        for rows in bootstrap_samples(n, draws, rng, strata=emulation.arm)
    ]

    def one(count: Floats) -> dict[str, Floats]:
        return worth(emulation.evaluate(pieces.resampled, count))

    with ThreadPoolExecutor(max(1, jobs)) as pool:
        found = list(pool.map(one, counts))
    return {measure: np.array([entry[measure] for entry in found]) for measure in MEASURES}
