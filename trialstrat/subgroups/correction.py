"""What selection does to the effect of the best rule, and what is left when it is taken out.

Choosing the rule and claiming it act on the *difference* of the effects inside and outside the rule; the average
effect of both is nearly independent of them. So only the difference is corrected, as a share of its naive value, and
the effects inside and outside follow. The share comes from simulated trials ("worlds") on the patients at hand: labels
are exchanged, a difference of a given size is put into the found rule, and the whole search with its claim is
repeated. The average error of the estimated difference among claimed rules is the bias that is taken out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trialstrat.subgroups.conjunctions import Conjunctions
from trialstrat.subgroups.rules import (
    Search,
    Trial,
    all_evidence,
    chosen_rules,
    labels,
    rule_differences,
    sums,
    together,
)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Sizes of the true difference that are tried, as shares of the naive one.
GRID = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
#: Fewest claimed worlds at one size; where fewer claim, those that came nearest stand in.
FEWEST = 20
#: Between these the factor on a standard error is kept: the slope of the bias is itself simulated, and noisy.
NARROWEST, WIDEST = 1.1, 1.3
#: A statistic below this has nothing to correct.
SMALLEST = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What is taken off a naive difference, in its standard errors, and how much wider its limits are.

    ``conditional`` says whether the bias is that of claimed rules (the rule was claimed) or of all best rules.
    ``power`` is the share of the worlds at the corrected difference in which a rule was claimed.
    """

    bias: float
    widening: float
    conditional: bool
    worlds: int
    power: float

    def apply(self, value: float, error: float) -> tuple[float, float]:
        """The corrected difference and its standard error; the correction never passes 0."""
        return float(np.sign(value)) * max(abs(value) - self.bias * error, 0.0), self.widening * error


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
) -> Correction:
    """Bias of the found rule's difference from the search, and from the claim when there is one.

    The bias is taken at the naive difference (b1) and again at the difference that b1 leaves (b2); their mean is used,
    because b1 alone is too small and b2 too large where claims are rare. Without a claim b1 alone is used, the plain
    parametric bootstrap. The standard error of a corrected estimate would be 1 - b' times the naive one, b' the slope
    of the bias, if the statistic varied freely; given the claim it varies less: half of the increase is taken, within
    bounds. Both halves and the bounds were chosen for bias and coverage in simulated trials (``tests/simulation``).

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, ch. 10; Hall (1992), The Bootstrap and Edgeworth
    Expansion, 1.4 (iterated correction). Guo & He (2021), JASA 116:1498; Leon et al. (2024), Stat Med 43:2501
    (repeating the search in every resample).
    """
    z = abs(found.z)
    if z < SMALLEST or not worlds:
        return Correction(bias=0.0, widening=1.0, conditional=found.claimed, worlds=0, power=0.0)
    grid = np.array(GRID)
    made = [world(trial, rules, scores, found, size, rng=rng, count=worlds) for size in GRID]
    bias = _smooth(grid, np.array([one.kept(found.claimed).mean() for one in made]))
    first = float(bias(1.0))
    left = float(np.clip(1.0 - first / z, 0.0, 1.0))
    total = (first + float(bias(left))) / 2.0 if found.claimed else first
    slope = (float(bias.deriv()(1.0)) + float(bias.deriv()(left))) / 2.0 / z
    end = float(np.clip(1.0 - total / z, 0.0, 1.0))
    return Correction(
        bias=max(total, 0.0),
        widening=float(np.clip(1.0 - slope / 2.0, NARROWEST, WIDEST)),
        conditional=found.claimed,
        worlds=worlds * len(GRID),
        power=float(np.interp(end, grid, [one.claimed.mean() for one in made])),
    )


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
    value, of_rules, data = all_evidence(trial, rules, scores, found.prior, made, found.direction, drift)
    statistic = together(found.names, value)
    best = chosen_rules(of_rules)
    truth = _truths(rules, weight, drift)[best]
    difference, variance = rule_differences(data, rules, best)
    error = np.sign(difference) * (difference - truth) / np.sqrt(np.maximum(variance, 1e-12))
    return World(error=error, claimed=statistic >= found.critical, nearness=statistic)


def _truths(rules: Conjunctions, weight: Floats, drift: Floats) -> Floats:
    inside, mass = rules.sums(weight * drift), rules.sums(weight)
    total, all_mass = float((weight * drift).sum()), float(weight.sum())
    return inside / mass - (total - inside) / (all_mass - mass)
