"""How stable a found rule is: what the search finds in resampled patients, and whether halves of them agree."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trialstrat.subgroups.conjunctions import Conjunctions
from trialstrat.subgroups.literals import condition_text
from trialstrat.subgroups.rules import Exact, Search, Sums, Trial, chosen_rules, evidence

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """Shares are of the resamples. ``agreement`` is the mean Jaccard overlap of members with the found rule.

    ``conditions`` and ``markers`` are how often a condition or a marker was in the resample's best rule; ``cuts``
    those of the found rule's markers; ``consistency`` the share of random halves of the patients in both parts of
    which the effect differs in the direction found.
    """

    resamples: int
    same_markers: float
    agreement: float
    agreement_lower: float
    agreement_upper: float
    consistency: float
    splits: int
    conditions: tuple[tuple[str, float], ...]
    markers: tuple[tuple[str, float], ...]
    cuts: tuple[tuple[str, str, float], ...]


def stability(
    trial: Trial,
    rules: Conjunctions,
    found: Search,
    *,
    rng: np.random.Generator,
    resamples: int = 200,
    halves: int = 200,
) -> Stability:
    """Repeat the search in bootstrap samples, and compare the effects of the found rule in random halves.

    Residuals and candidate cuts are those of the whole data; everything after them is repeated.

    References
    ----------
    Sauerbrei, Boulesteix & Binder (2011), J Biopharm Stat 21:1206 (stability). Leon et al. (2024), Stat Med 43:2501
    (consistency over random splits).
    """
    drawn = rng.multinomial(trial.n, np.full(trial.n, 1.0 / trial.n), size=resamples).T.astype(np.float64)
    chosen = chosen_rules(evidence(trial, _counted(trial, rules, drawn), rules, found.prior, found.direction))
    mine = rules.members(found.rule)
    overlap = np.array([_jaccard(mine, rules.members(int(r)), simple=int(rules.depth[r]) == 1) for r in chosen])
    texts: Counter[str] = Counter()
    names: Counter[str] = Counter()
    cuts: Counter[tuple[str, str]] = Counter()
    titles = {marker.column: marker.title for marker in rules.splits.markers}
    own = {entry.column for entry in rules.conditions(found.rule)}
    same = 0
    for rule in chosen:
        conditions = rules.conditions(int(rule))
        same += {entry.column for entry in conditions} == own
        for at_split, entry in zip(rules.members_of[rule], conditions, strict=False):
            # both sides of a split are the same cut: counted under the low side
            low = rules.splits.low[int(at_split)]
            texts[condition_text(low, titles[low.column])] += 1
            names[titles[entry.column]] += 1
            if entry.column in own:
                cuts[titles[low.column], condition_text(low, titles[low.column])] += 1
    return Stability(
        resamples=resamples,
        same_markers=same / resamples,
        agreement=float(overlap.mean()),
        agreement_lower=float(np.quantile(overlap, 0.025)),
        agreement_upper=float(np.quantile(overlap, 0.975)),
        consistency=_consistency(trial, mine, found.z, rng, halves),
        splits=halves,
        conditions=tuple((text, count / resamples) for text, count in _ranked(texts)),
        markers=tuple((text, count / resamples) for text, count in _ranked(names)),
        cuts=tuple((*key, count / resamples) for key, count in _ranked(cuts)),
    )


def _ranked(counts: Counter) -> list:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def _jaccard(one: Bools, other: Bools, *, simple: bool) -> float:
    """Overlap of two sets; of a single split the side that overlaps more counts."""
    value = float((one & other).sum() / max(int((one | other).sum()), 1))
    if simple:
        value = max(value, float((one & ~other).sum() / max(int((one | ~other).sum()), 1)))
    return value


def _counted(trial: Trial, rules: Conjunctions, count: Floats) -> Sums:
    """Sums with every patient counted as often as drawn (n, b)."""
    exact = Exact(trial.residual, trial.expected, room=8.0)
    weight = np.ones(trial.n)
    if trial.weight_treated is not None and trial.weight_control is not None:
        weight = np.where(trial.treated > 0, trial.weight_treated, trial.weight_control)
    m, ls = exact((weight * trial.residual)[:, None] * count), exact((weight * trial.expected)[:, None] * count)
    flag = trial.treated[:, None].astype(np.float32)
    total = exact.product
    return Sums(
        tm=total(rules.base, flag * m),
        m=total(rules.base, m),
        tl=total(rules.base, flag * ls),
        ls=total(rules.base, ls),
    )


def _consistency(trial: Trial, members: Bools, z: float, rng: np.random.Generator, halves: int) -> float:
    """Share of random splits in which both halves show the difference in the direction found."""
    half = rng.random((trial.n, halves)) < 0.5
    agree = np.ones(halves, dtype=np.bool_)
    for side in (half, ~half):
        effect = []
        for group in (members, ~members):
            w = (side & group[:, None]).astype(np.float64)
            t = trial.treated
            tl, ls = (t * trial.expected) @ w, trial.expected @ w
            share = tl / np.maximum(ls, 1e-12)
            info = np.maximum(tl * (1.0 - share), 1e-12)
            effect.append(((t * trial.residual) @ w - share * (trial.residual @ w)) / info)
        agree &= np.sign(effect[0] - effect[1]) == np.sign(z)
    return float(agree.mean())
