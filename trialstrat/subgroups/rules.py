"""Search for a rule: evidence for an interaction over all candidate rules, paid for by relabelling the treatment.

Null hypothesis: the effect of treatment is the same in everybody. Treatment labels are permuted against what markers
and outcome have in common (residuals of a model with all main effects), so that prognosis, however strong, and any
misfit of the model stay in place; the whole search is repeated in every permutation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from trialstrat.stats.kernels.rule_scores import differences, log_bayes_factors, rule_evidence
from trialstrat.subgroups.conjunctions import Conjunctions
from trialstrat.subgroups.rule_prior import Prior

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Float32 = NDArray[np.float32]

#: Weight of each component of the global test, before they are made to add to 1. Most effects that differ do so along
#: one marker, and rules of two conditions that hold show in theirs; these were chosen for power in simulated trials.
SHARES: Mapping[str, float] = {
    "one_condition": 0.85,
    "two_conditions": 0.1,
    "three_conditions": 0.05,
    "continuous": 0.1,
}
COMPONENTS = {1: "one_condition", 2: "two_conditions", 3: "three_conditions"}
#: Standard deviation of differences of effects where there are any, in log ratios: inside against outside a rule, and
#: per standard deviation of a marker.
SIZE, SLOPE = 0.9, 0.3
#: Factor on the permutation p. Residuals are exchangeable between arms exactly only where treatment does nothing at
#: all: with an average effect the arms differ in number of events, and so in the tails of sums. The factor also leaves
#: room for the simulation error of whoever checks the promised 5%.
SAFETY = 1.25
#: Relabellings that share one matrix product.
BATCH = 250


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trial:
    """What the search sees: per patient (n,) treatment 0/1, score and expectation, and how labels may be exchanged.

    ``blocks`` (n,) are the groups within which treatment labels are exchangeable (randomisation strata, or bands of
    the propensity). ``weight_treated`` and ``weight_control`` (n,) are the weights a patient has under either label.
    ``counts`` says that score and expectation add to a number of events; ``unit`` is what a difference of effects
    is measured in, as a multiple of log ratios.
    """

    treated: Ints
    residual: Floats
    expected: Floats
    blocks: Ints
    weight_treated: Floats | None = None
    weight_control: Floats | None = None
    counts: bool = False
    unit: float = 1.0

    @property
    def n(self) -> int:
        """Number of patients."""
        return len(self.treated)

    @property
    def share(self) -> Floats:
        """Share of the treated in the block of each patient (n,)."""
        size = np.bincount(self.blocks)
        return (np.bincount(self.blocks, weights=self.treated) / np.maximum(size, 1))[self.blocks]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sums:
    """Sums over base rows for b labellings, (rows, b or 1): scores of the treated and of all, expectations likewise."""

    tm: Float32
    m: Float32
    tl: Float32
    ls: Float32


class Exact:
    """Scores rounded to whole numbers small enough that sums of float32 are exact in any order of addition.

    A threaded matrix product adds in an order that depends on the machine; whole numbers below 2**24 do not care.
    """

    def __init__(self, residual: Floats, expected: Floats, room: float = 2.0) -> None:
        largest = room * max(float(np.abs(residual).sum()), float(expected.sum()), 1e-12)
        self.scale = np.float32(2.0 ** (24 + np.floor(-np.log2(largest))))

    def __call__(self, values: Floats) -> Float32:
        """Values in whole steps of the scale."""
        return np.rint(values * self.scale).astype(np.float32)

    def product(self, base: Float32, values: Float32) -> Float32:
        """``base @ values`` in the units of the scores; the scale is a power of two, so this stays exact."""
        return (base @ values) / self.scale


def labels(trial: Trial, rng: np.random.Generator, count: int) -> Floats:
    """``count`` relabellings of the treatment within blocks, as columns (n, count)."""
    order = np.argsort(trial.blocks, kind="stable")
    base = trial.treated[order].astype(np.float64)
    keys = rng.random((count, trial.n)) + trial.blocks[order]
    out = np.empty((trial.n, count))
    out[order] = base[np.argsort(keys, axis=1)].T
    return out


def sums(trial: Trial, base: Float32, label: Floats, drift: Floats | None = None) -> Sums:
    """Base sums for labellings (n, b); ``drift`` (n,) adds a log effect of treatment per patient."""
    exact = Exact(trial.residual, trial.expected, room=2.0 if drift is None else 4.0)
    if trial.weight_treated is None or trial.weight_control is None:
        expected = exact(trial.expected)
        tl = label.astype(np.float32) * expected[:, None]
        if drift is None:
            residual = exact(trial.residual)
            m = residual[:, None]
            tm = label.astype(np.float32) * m
        else:
            added = (drift * trial.expected)[:, None] * (label - trial.share[:, None])
            m = exact(trial.residual[:, None] + added)
            tm = label.astype(np.float32) * m
        total = exact.product
        return Sums(tm=total(base, tm), m=total(base, m), tl=total(base, tl), ls=total(base, expected[:, None]))
    weight = np.where(label > 0, trial.weight_treated[:, None], trial.weight_control[:, None])
    moved = trial.residual[:, None]
    if drift is not None:
        moved = moved + (drift * trial.expected)[:, None] * (label - trial.share[:, None])
    m, ls = exact(weight * moved), exact(weight * trial.expected[:, None])
    flag = label.astype(np.float32)
    total = exact.product
    return Sums(tm=total(base, flag * m), m=total(base, m), tl=total(base, flag * ls), ls=total(base, ls))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """Evidence of b labellings by number of conditions (depths, b): ``total`` over all rules, ``top`` of the best one.

    ``at`` (depths, b) is the number of the best rule.
    """

    total: Floats
    top: Floats
    at: Ints


def evidence(trial: Trial, found: Sums, rules: Conjunctions, prior: Prior, direction: int) -> Evidence:
    """Evidence for a difference of effects, of every labelling.

    Evidence is the log of the mean Bayes factor of a difference of effects over the rules, weighted by the prior: the
    test with the largest average power over rules and sizes, where the largest statistic looks at a single rule.

    References
    ----------
    Andrews & Ploberger (1994), Econometrica 62:1383. Wakefield (2009), Genet Epidemiol 33:79.
    """
    # of a single split only one side is listed: either sign stands for one of its sides
    way = np.where(rules.depth == 1, 0, direction)
    total, top, at = rule_evidence(
        found.tm, found.m, found.tl, found.ls, rules.terms, rules.signs, rules.width, rules.depth - 1, way, prior.rules,
        int(rules.depth.max()), SIZE * trial.unit, trial.counts,
    )  # fmt: skip
    return Evidence(total=total, top=top, at=at)


def rule_differences(found: Sums, rules: Conjunctions, chosen: Ints) -> tuple[Floats, Floats]:
    """One-step difference of log effects inside less outside, and its variance, of one rule per labelling."""
    return differences(found.tm, found.m, found.tl, found.ls, rules.terms, rules.signs, rules.width, chosen)


def continuous_evidence(
    trial: Trial, scores: Floats, prior: Prior, label: Floats, drift: Floats | None = None
) -> Floats:
    """Evidence for treatment by the continuous value of a marker (b,), over all numeric markers as in :func:`evidence`.

    Treated less control are compared by their slopes over the marker.

    ``scores`` (n, markers) are normal scores. The slope within an arm is one Newton step from 0, with the mean of the
    marker taken out. ``drift`` as in :func:`sums`.
    """
    rows = np.vstack([np.ones(trial.n), scores.T, scores.T**2])
    residual = trial.residual[:, None]
    if drift is not None:
        residual = residual + (drift * trial.expected)[:, None] * (label - trial.share[:, None])
    weight: Floats | float = 1.0
    if trial.weight_treated is not None and trial.weight_control is not None:
        weight = np.where(label > 0, trial.weight_treated[:, None], trial.weight_control[:, None])
    p = scores.shape[1]
    slopes, variances = [], []
    for flag in (label, 1.0 - label):
        w = flag * weight
        M, L = rows @ (w * residual), rows @ (w * trial.expected[:, None])
        mean = L[1 : p + 1] / L[0]
        info = np.maximum(L[p + 1 :] - mean**2 * L[0], 1e-12)
        slopes.append((M[1 : p + 1] - mean * M[0]) / info)
        variances.append(1.0 / info)
    variance = variances[0] + variances[1]
    z = (slopes[0] - slopes[1]) / np.sqrt(variance)
    value = log_bayes_factors(z.ravel(), variance.ravel(), SLOPE * trial.unit).reshape(z.shape)
    return np.asarray(logsumexp(value + prior.numeric[:, None], axis=0))


def all_evidence(
    trial: Trial,
    rules: Conjunctions,
    scores: Floats,
    prior: Prior,
    label: Floats,
    direction: int,
    drift: Floats | None = None,
) -> tuple[Floats, Evidence, Sums]:
    """Evidence of every component (components, b), that of the rules, and the sums."""
    found = sums(trial, rules.base, label, drift)
    of_rules = evidence(trial, found, rules, prior, direction)
    value = of_rules.total
    if scores.shape[1]:
        value = np.vstack([value, continuous_evidence(trial, scores, prior, label, drift)])
    return value, of_rules, found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Search:
    """The observed search and its permutations.

    Attributes
    ----------
    names : components of the global test, in order (rules by number of conditions, then ``continuous``)
    observed : (k,) evidence of each; ``null`` (k, permutations) the same under relabelling
    statistic, joint, critical : evidence of all components together, (permutations,) it under relabelling, and what
        it must reach
    p, component_p : permutation p of the statistic (times :data:`SAFETY`), and (k,) of each component
    depth, rule, z : the best rule, and its standardised difference of effects
    """

    names: tuple[str, ...]
    prior: Prior
    observed: Floats
    null: Floats
    critical: float
    statistic: float
    p: float
    joint: Floats
    component_p: Floats
    depth: int
    rule: int
    z: float
    alpha: float
    direction: int

    @property
    def claimed(self) -> bool:
        """Whether heterogeneity is established at ``alpha``, so that a rule may be shown as such."""
        return self.p <= self.alpha

    @property
    def limit(self) -> Floats:
        """What each component would have to reach by itself (k,)."""
        return np.quantile(self.null, 1.0 - self.alpha, axis=1)

    def at_level(self, alpha: float) -> Search:
        """The same search judged at another error rate (one step of a multiple test)."""
        return replace(self, alpha=alpha, critical=_critical(self.joint, alpha))


def _critical(joint: Floats, alpha: float) -> float:
    return float(np.quantile(joint, 1.0 - alpha / SAFETY))


def together(names: tuple[str, ...], value: Floats) -> Floats:
    """Evidence of all components (k, b) together (b,): the log of their weighted mean."""
    share = np.array([SHARES[name] for name in names])
    return np.asarray(logsumexp(value + np.log(share / share.sum())[:, None], axis=0))


def chosen_rules(found: Evidence) -> Ints:
    """The best rule (b,): the likeliest one, by its weight and Bayes factor.

    Each further condition is half as likely beforehand.
    """
    likely = (found.top - np.log(2.0) * np.arange(len(found.top))[:, None]).argmax(axis=0)
    return found.at[likely, np.arange(found.at.shape[1])]


def search(
    trial: Trial,
    rules: Conjunctions,
    scores: Floats,
    prior: Prior,
    *,
    rng: np.random.Generator,
    alpha: float = 0.05,
    permutations: int = 500,
    direction: int = 0,
) -> Search:
    """The global test of heterogeneity and the best rule.

    Components: the evidence for a difference of effects inside and outside a rule, over all rules of one, two (and
    three) conditions, and that for an interaction of treatment with the value of a marker. Their weighted mean is
    referred to its own permutation distribution, that of the whole search. The best rule is the one with the largest
    prior weight times Bayes factor.

    Parameters
    ----------
    scores : (n, markers)
        Normal scores of the numeric markers; with no column there is no continuous component.
    direction : {0, 1, -1}
        Only rules of two or more conditions whose patients have a larger (1) or smaller (-1) effect; 0 either.

    References
    ----------
    Westfall & Young (1993), Resampling-Based Multiple Testing. Andrews & Ploberger (1994), Econometrica 62:1383.
    Therneau, Grambsch & Fleming (1990), Biometrika 77:147.
    """
    label = trial.treated[:, None].astype(np.float64)
    value, of_rules, own = all_evidence(trial, rules, scores, prior, label, direction)
    names = [COMPONENTS[d] for d in range(1, len(of_rules.total) + 1)]
    if scores.shape[1]:
        names.append("continuous")
    null = np.empty((len(names), permutations))
    for start in range(0, permutations, BATCH):
        label = labels(trial, rng, min(BATCH, permutations - start))
        null[:, start : start + label.shape[1]] = all_evidence(trial, rules, scores, prior, label, direction)[0]
    joint = together(tuple(names), null)
    mine = float(together(tuple(names), value)[0])
    best = chosen_rules(of_rules)
    difference, variance = rule_differences(own, rules, best)
    return Search(
        names=tuple(names), prior=prior, observed=value[:, 0], null=null, critical=_critical(joint, alpha),
        statistic=mine, p=min(1.0, SAFETY * float((1 + (joint >= mine).sum()) / (permutations + 1))), joint=joint,
        component_p=(1 + (null >= value).sum(axis=1)) / (permutations + 1), depth=int(rules.depth[best[0]]),
        rule=int(best[0]), z=float(difference[0] / np.sqrt(variance[0])) if variance[0] > 0 else 0.0, alpha=alpha,
        direction=direction,
    )  # fmt: skip
