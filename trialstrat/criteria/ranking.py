"""What each criterion contributes to the effect: Shapley values with their sampling error, and what is left held out.

A coalition is a set of criteria that is applied; its worth is the effect in the patients who meet them all, weights
fitted among them. Intervals repeat everything, propensity models included, in bootstrap samples.

References
----------
Liu R et al. 2021, Nature 592, 629-633 (Shapley values of eligibility criteria). Efron & Tibshirani 1993 (bootstrap).
Chernozhukov V et al. 2018, Econometrics Journal 21, C1-C68, section 3.4 (medians over repeated cross-fitting).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from trialstrat.criteria.emulation import Emulation
from trialstrat.protocol.criteria_model import ImpactPlan
from trialstrat.stats.resampling import bootstrap_interval, bootstrap_samples, stratified_folds
from trialstrat.stats.shapley import Game, exact_game, sampled_game, shapley_values
from trialstrat.stats.subset_effects import SubsetEffects
from trialstrat.subgroups.effect import Effect

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

#: Criteria whose combinations are all refitted in every resample; beyond, ``RESAMPLED_ORDERS`` orders are.
RESAMPLED_EXACTLY = 8
RESAMPLED_ORDERS = 32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Values:
    """One number per criterion (k,) with its interval and its Monte-Carlo error; nan with a ``reason``.

    ``unbounded`` says why an interval is missing.
    """

    value: Floats
    lower: Floats
    upper: Floats
    error: Floats
    reason: str = ""
    unbounded: str = ""


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


MEASURES = ("log_hazard_ratio", "hazard_ratio", "absolute", "patients", "events")


def worth(found: SubsetEffects) -> dict[str, Floats]:
    """The worth of every coalition by measure."""
    return {
        "log_hazard_ratio": found.relative,
        "hazard_ratio": np.exp(found.relative),
        "absolute": found.absolute,
        "patients": found.n.astype(np.float64),
        "events": (found.events_control + found.events_treated).astype(np.float64),
    }


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
    pieces = _Pieces(emulation, game, again)
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
    keep = _keep(emulation, tables["shapley"][measure].value, sign)
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


def _too_small(emulation: Emulation, found: SubsetEffects, pieces: _Pieces) -> str:
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


def _keep(emulation: Emulation, shapley: Floats, sign: int) -> tuple[int, ...]:
    """Criteria with a contribution in the right direction; those that remove nobody have none."""
    return tuple(at for at in emulation.players if np.isfinite(shapley[at]) and shapley[at] * sign > 0)


class _Pieces:
    """The coalitions that are needed, and how values of criteria are made of them."""

    def __init__(self, emulation: Emulation, game: Game, again: Game) -> None:
        self.m = game.players
        self.players = emulation.players
        self.k = emulation.everybody.shape[1]
        self.game, self.again = game, again
        full = (1 << self.m) - 1
        extra = [0, full, *(1 << at for at in range(self.m)), *(full ^ (1 << at) for at in range(self.m))]
        self.resampled = np.unique(np.concatenate([again.masks, np.array(extra, dtype=np.int64)]))
        self.masks = np.unique(np.concatenate([game.masks, self.resampled]))

    def place(self, mask: int, among: Integers | None = None) -> int:
        """Where a coalition stands."""
        return int(np.searchsorted(self.masks if among is None else among, mask))

    def _of(self, name: str, worths: Floats, masks: Integers, game: Game) -> tuple[Floats, Floats]:
        """One number per player and its Monte-Carlo error."""
        if name == "shapley":
            return shapley_values(game, worths[np.searchsorted(masks, game.masks)])
        full = (1 << self.m) - 1
        single = worths[[self.place(1 << at, masks) for at in range(self.m)]] if self.m else np.empty(0)
        without = worths[[self.place(full ^ (1 << at), masks) for at in range(self.m)]] if self.m else np.empty(0)
        value = {"alone": single, "without": without, "change": without - worths[self.place(full, masks)]}[name]
        return value, np.zeros(self.m)

    def _spread(self, name: str, players: Floats, worths: Floats, masks: Integers) -> Floats:
        """Criteria that remove nobody: a Shapley value and a change of 0, else the effect of the others."""
        rest = {
            "shapley": 0.0,
            "change": 0.0,
            "alone": worths[self.place(0, masks)],
            "without": worths[self.place((1 << self.m) - 1, masks)],
        }[name]
        out = np.full(self.k, rest)
        out[list(self.players)] = players
        return out

    def values(
        self,
        name: str,
        measure: str,
        here: Mapping[str, Floats],
        draws: Mapping[str, Floats],
        level: float,
        reason: str,
    ) -> Values:
        """Values with percentile limits; where fewer orders are resampled, limits are moved to the full value.

        A criterion that removes nobody contributes nothing here, without limits: more data might show otherwise.
        """
        nothing = np.full(self.k, np.nan)
        if reason:
            return Values(value=nothing, lower=nothing, upper=nothing, error=nothing, reason=reason)
        worths = here[measure]
        raw, error = self._of(name, worths, self.masks, self.game)
        value = self._spread(name, raw, worths, self.masks) + 0.0
        spread_error = np.zeros(self.k)
        spread_error[list(self.players)] = error
        lower, upper = nothing.copy(), nothing.copy()
        unbounded = "" if measure in draws else "no bootstrap was declared"
        if measure in draws:
            among = self.resampled
            at = np.searchsorted(self.masks, among)
            centre = self._spread(
                name, self._of(name, worths[at], self.resampled, self.again)[0], worths[at], self.resampled
            )
            each = np.array([
                self._spread(name, self._of(name, drawn, among, self.again)[0], drawn, among)
                for drawn in draws[measure]
            ])  # fmt: skip
            for criterion in self.players if name in ("shapley", "change") else range(self.k):
                found = bootstrap_interval(each[:, criterion], level)
                if found.status != "ok":
                    unbounded = found.reason
                else:
                    move = value[criterion] - centre[criterion]
                    lower[criterion], upper[criterion] = found.lower + move, found.upper + move
        why = "" if np.isfinite(value).all() else "a combination of criteria has no estimate"
        return Values(value=value, lower=lower, upper=upper, error=spread_error, reason=why, unbounded=unbounded)


def _resampled(
    emulation: Emulation, pieces: _Pieces, draws: int, rng: np.random.Generator, jobs: int
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


def cross_fit(
    emulation: Emulation,
    pieces: _Pieces,
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
        return _keep(emulation, values, sign)

    tasks = [(label, fold) for label in folds for fold in range(plan.folds)]
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        chosen = list(pool.map(lambda task: choose(*task), tasks))
    share = np.mean([[at in kept for at in range(pieces.k)] for kept in chosen], axis=0)
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
    for number, kept in enumerate(chosen):
        inside |= (fold == number) & emulation.everybody[:, list(kept)].all(axis=1)
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
