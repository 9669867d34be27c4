"""What selection does to the effect of the best rule, and what is left when it is taken out.

Choosing the rule and claiming it act on the *difference* of the effects inside and outside the rule; the average
effect of both is nearly independent of them. So only the difference is corrected, as a share of its naive value, and
the effects inside and outside follow. The share comes from simulated trials ("worlds") on the patients at hand: labels
are exchanged, a difference of a given size is put into the found rule, and the whole search with its claim is
repeated. The average error of the estimated difference among claimed rules is the bias that is taken out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trialstrat.subgroups.conjunctions import Conjunctions
from trialstrat.subgroups.rules import Search, Trial, continuous_scores, labels, rule_differences, sums, top_rules

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Sizes of the true difference that are tried, as shares of the naive one.
GRID = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
#: Fewest claimed worlds at one size; where fewer claim, those that came nearest stand in.
FEWEST = 20
#: Error rate of the simultaneous interval that bounds the conditional one.
PROJECTION = 0.005
#: A statistic below this has nothing to correct.
SMALLEST = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """Shares of the naive difference that remain: the estimate and its limits; ``conditional`` on having claimed."""

    share: float
    lower: float
    upper: float
    conditional: bool
    worlds: int
    claimed_at_estimate: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class World:
    """Trials simulated with one true difference: error of the estimated difference in standard errors, and claims."""

    error: Floats
    claimed: Bools
    nearness: Floats

    def kept(self, conditional: bool) -> Floats:
        """Errors (k,) that count; where too few worlds claim, those that came nearest to it stand in."""
        if not conditional:
            return self.error
        if self.claimed.sum() >= FEWEST:
            return self.error[self.claimed]
        return self.error[self.nearness >= np.sort(self.nearness)[-min(FEWEST, len(self.nearness))]]


def correct(
    trial: Trial,
    rules: Conjunctions,
    scores: Floats,
    found: Search,
    *,
    rng: np.random.Generator,
    worlds: int = 150,
    level: float = 0.95,
) -> Correction:
    """Correct the naive difference of the found rule for the search, and for the claim when there is one.

    The estimate is the naive difference less its bias, the bias taken twice: first at the naive difference, then at
    the difference that this leaves (iterated bootstrap), kept between 0 and the naive value. The limits take the
    distribution of the error where the estimate is, and stay inside the simultaneous interval of the whole search.

    References
    ----------
    Hall (1992), The Bootstrap and Edgeworth Expansion, 1.4 (iterated correction). Guo & He (2021), JASA 116:1498.
    Leon et al. (2024), Stat Med 43:2501 (repeating the search). Andrews, Kitagawa & McCloskey (2024), QJE 139:305
    (inference on winners within a simultaneous interval).
    """
    z = abs(found.z)
    if z < SMALLEST:
        return Correction(
            share=0.0, lower=-1.0, upper=1.0, conditional=found.claimed, worlds=0, claimed_at_estimate=0.0
        )
    grid = np.array(GRID)
    made = [world(trial, rules, scores, found, size, rng=rng, count=worlds) for size in GRID]
    return _decide(made, grid, found, level)


def _decide(made: Sequence[World], grid: Floats, found: Search, level: float) -> Correction:
    z, conditional = abs(found.z), found.claimed
    errors = [one.kept(conditional) for one in made]
    bias = _smooth(grid, np.array([error.mean() for error in errors]))
    first = float(np.clip(1.0 - bias(1.0) / z, 0.0, 1.0))
    share = float(np.clip(1.0 - bias(first) / z, 0.0, 1.0))
    outer = (1.0 - level) / 2.0
    high = _smooth(grid, np.array([np.quantile(error, 1.0 - outer) for error in errors]))
    low = _smooth(grid, np.array([np.quantile(error, outer) for error in errors]))
    # the simultaneous interval: what the search, uncorrected for the claim, cannot exclude
    farthest = float(np.quantile(found.null[found.depth - 1], 1.0 - PROJECTION)) / z
    lower = max(1.0 - high(share) / z, 1.0 - farthest)
    upper = min(1.0 - low(share) / z, 1.0 + farthest)
    power = float(np.interp(share, grid, [one.claimed.mean() for one in made]))
    return Correction(
        share=share, lower=min(lower, share), upper=max(upper, share), conditional=conditional,
        worlds=len(made[0].error) * len(grid), claimed_at_estimate=power,
    )  # fmt: skip


def _smooth(grid: Floats, values: Floats) -> np.polynomial.Polynomial:
    """A quadratic through simulated values, which averages their noise."""
    return np.polynomial.Polynomial.fit(grid, values, 2)


def world(
    trial: Trial,
    rules: Conjunctions,
    scores: Floats,
    found: Search,
    size: float,
    *,
    rng: np.random.Generator,
    count: int,
) -> World:
    """``count`` trials in which the found rule's difference is ``size`` times what was seen, each searched as a whole.

    The drift leaves the average effect as it is. The truth of whatever rule a world selects is the average drift
    inside less outside it, weighted by expected events; the error is taken towards the side that the world selected.
    """
    inside = rules.members(found.rule)
    weight = trial.expected * trial.share * (1.0 - trial.share)
    own = float(weight[inside].sum() / weight.sum())
    label = trial.treated[:, None].astype(np.float64)
    naive = float(rule_differences(sums(trial, rules.base, label), rules, np.array([found.rule]))[0][0])
    drift = size * naive * np.where(inside, 1.0 - own, -own)
    made = labels(trial, rng, count)
    data = sums(trial, rules.base, made, drift)
    top, at = top_rules(data, rules, found.direction)
    exceed = found.exceedance(top)
    depth = exceed.argmax(axis=0)
    best = at[depth, np.arange(count)]
    statistic = exceed.max(axis=0)
    if "continuous" in found.names:
        k = len(found.limit) - 1
        extra = np.abs(continuous_scores(trial, scores, made, drift)).max(axis=0)
        statistic = np.maximum(statistic, (extra - found.limit[k]) / found.spread[k])
    truth = _truths(rules, weight, drift)[best]
    value, variance = rule_differences(data, rules, best)
    error = np.sign(value) * (value - truth) / np.sqrt(np.maximum(variance, 1e-12))
    return World(error=error, claimed=statistic >= found.critical, nearness=statistic)


def _truths(rules: Conjunctions, weight: Floats, drift: Floats) -> Floats:
    inside, mass = rules.sums(weight * drift), rules.sums(weight)
    total, all_mass = float((weight * drift).sum()), float(weight.sum())
    return inside / mass - (total - inside) / (all_mass - mass)
