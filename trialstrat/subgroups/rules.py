"""Search for a rule: maximal interaction scores over all candidate rules, paid for by relabelling the treatment.

Null hypothesis: the effect of treatment is the same in everybody. Treatment labels are permuted against what markers
and outcome have in common (residuals of a model with all main effects), so that prognosis, however strong, and any
misfit of the model stay in place; the whole search is repeated in every permutation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trialstrat.stats.kernels.rule_scores import best_rules, differences
from trialstrat.subgroups.conjunctions import Conjunctions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Float32 = NDArray[np.float32]

#: Share of the error rate of each component of the global test, before the joint calibration.
SHARES: Mapping[str, float] = {"one_condition": 0.7, "two_conditions": 0.2, "three_conditions": 0.1, "continuous": 0.2}
COMPONENTS = {1: "one_condition", 2: "two_conditions", 3: "three_conditions"}
#: Factor on the permutation p. Residuals are exchangeable between arms exactly only where treatment does nothing at
#: all: with an average effect the arms differ in number of events, and so in the tails of sums. Simulated any-rule
#: error without the factor: up to 6% (hazard ratio 0.7 in everybody, strong prognosis).
SAFETY = 1.25
#: Relabellings that share one matrix product.
BATCH = 250


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trial:
    """What the search sees: per patient (n,) treatment 0/1, score and expectation, and how labels may be exchanged.

    ``blocks`` (n,) are the groups within which treatment labels are exchangeable (randomisation strata, or bands of
    the propensity). ``weight_treated`` and ``weight_control`` (n,) are the weights a patient has under either label.
    """

    treated: Ints
    residual: Floats
    expected: Floats
    blocks: Ints
    weight_treated: Floats | None = None
    weight_control: Floats | None = None

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


def top_rules(found: Sums, rules: Conjunctions, direction: int) -> tuple[Floats, Ints]:
    """Best statistic and rule per number of conditions (rows 0, 1, ...) and labelling."""
    depths = int(rules.depth.max())
    # of a single split only one side is listed: its absolute statistic stands for both
    way = np.where(rules.depth == 1, 0, direction)
    return best_rules(
        found.tm, found.m, found.tl, found.ls, rules.terms, rules.signs, rules.width, rules.depth - 1, way, depths
    )


def rule_differences(found: Sums, rules: Conjunctions, chosen: Ints) -> tuple[Floats, Floats]:
    """One-step difference of log effects inside less outside, and its variance, of one rule per labelling."""
    return differences(found.tm, found.m, found.tl, found.ls, rules.terms, rules.signs, rules.width, chosen)


def continuous_scores(trial: Trial, scores: Floats, label: Floats, drift: Floats | None = None) -> Floats:
    """Statistics of treatment by the continuous value of each marker (markers, b): slopes treated less control.

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
    return (slopes[0] - slopes[1]) / np.sqrt(variances[0] + variances[1])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Search:
    """The observed search and its permutations.

    Attributes
    ----------
    names : components of the global test, in order (rules by number of conditions, then ``continuous``)
    observed : (k,) maximal statistics; ``null`` (k, permutations) the same under relabelling
    limit, spread : (k,) null quantile at the component's share of alpha, and null standard deviation
    critical : what the largest standardised exceedance must reach; ``joint`` (permutations,) it under relabelling
    p, component_p : permutation p of the largest exceedance (times :data:`SAFETY`), and (k,) of each component
    depth, rule, z : the best rule, by standardised exceedance over the numbers of conditions
    best : (depths,) best rule of each number of conditions
    """

    names: tuple[str, ...]
    observed: Floats
    null: Floats
    limit: Floats
    spread: Floats
    critical: float
    statistic: float
    p: float
    joint: Floats
    component_p: Floats
    depth: int
    rule: int
    z: float
    best: Ints
    alpha: float
    direction: int

    @property
    def claimed(self) -> bool:
        """Whether heterogeneity is established at ``alpha``, so that a rule may be shown as such."""
        return self.p <= self.alpha

    def at_level(self, alpha: float) -> Search:
        """The same search judged at another error rate (one step of a multiple test)."""
        return replace(self, alpha=alpha, critical=float(np.quantile(self.joint, 1.0 - alpha / SAFETY)))

    def exceedance(self, top: Floats) -> Floats:
        """Standardised exceedance (components, b) of maximal statistics over the null limits."""
        return (top - self.limit[: len(top), None]) / self.spread[: len(top), None]


def search(
    trial: Trial,
    rules: Conjunctions,
    scores: Floats,
    *,
    rng: np.random.Generator,
    alpha: float = 0.05,
    permutations: int = 500,
    direction: int = 0,
) -> Search:
    """The global test of heterogeneity and the best rule.

    Components: the largest standardised difference of effects inside and outside a rule, over all rules of one, two
    (and three) conditions, and the largest interaction of treatment with the value of a marker. Each is measured
    against the null quantile at its share of ``alpha``; the largest exceedance, in units of the null's standard
    deviation, is referred to its own permutation distribution, that of the joint search.

    Parameters
    ----------
    scores : (n, markers)
        Normal scores of the numeric markers; with no column there is no continuous component.
    direction : {0, 1, -1}
        Only rules of two or more conditions whose patients have a larger (1) or smaller (-1) effect; 0 either.

    References
    ----------
    Westfall & Young (1993), Resampling-Based Multiple Testing. Hothorn & Lausen (2003), CSDA 43:121 (maximally
    selected statistics). Therneau, Grambsch & Fleming (1990), Biometrika 77:147.
    """
    own = sums(trial, rules.base, trial.treated[:, None].astype(np.float64))
    top, at = top_rules(own, rules, direction)
    depths = len(top)
    names = [COMPONENTS[d] for d in range(1, depths + 1)]
    observed = [float(x) for x in top[:, 0]]
    if scores.shape[1]:
        names.append("continuous")
        observed.append(float(np.abs(continuous_scores(trial, scores, trial.treated[:, None].astype(float))).max()))
    null = np.empty((len(names), permutations))
    for start in range(0, permutations, BATCH):
        label = labels(trial, rng, min(BATCH, permutations - start))
        stop = start + label.shape[1]
        null[:depths, start:stop] = top_rules(sums(trial, rules.base, label), rules, direction)[0]
        if scores.shape[1]:
            null[depths, start:stop] = np.abs(continuous_scores(trial, scores, label)).max(axis=0)
    return _judge(
        tuple(names), np.array(observed), null, at[:, 0], alpha=alpha, direction=direction, own=own, rules=rules
    )


def _judge(
    names: tuple[str, ...], observed: Floats, null: Floats, at: Ints, *,
    alpha: float, direction: int, own: Sums, rules: Conjunctions,
) -> Search:  # fmt: skip
    share = np.array([SHARES[name] for name in names])
    share = np.minimum(share / share.sum(), 1.0)
    limit = np.array([np.quantile(row, 1.0 - alpha * part) for row, part in zip(null, share, strict=True)])
    spread = np.maximum(null.std(axis=1), 1e-9)
    joint = ((null - limit[:, None]) / spread[:, None]).max(axis=0)
    mine = (observed - limit) / spread
    count = null.shape[1]
    depth = int(np.argmax(mine[: len(at)])) + 1
    value, variance = rule_differences(own, rules, at[[depth - 1]])
    return Search(
        names=names, observed=observed, null=null, limit=limit, spread=spread,
        critical=float(np.quantile(joint, 1.0 - alpha / SAFETY)), statistic=float(mine.max()),
        p=min(1.0, SAFETY * float((1 + (joint >= mine.max()).sum()) / (count + 1))),
        joint=joint,
        component_p=(1 + (null >= observed[:, None]).sum(axis=1)) / (count + 1),
        depth=depth, rule=int(at[depth - 1]), z=float(value[0] / np.sqrt(variance[0])) if variance[0] > 0 else 0.0,
        best=at, alpha=alpha, direction=direction,
    )  # fmt: skip
