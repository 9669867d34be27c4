"""The second searcher: the best decision tree of two splits for whom to treat, found exactly, on the absolute scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from trialstrat.protocol.model import Condition
from trialstrat.results import Column, Table
from trialstrat.subgroups.benefit_scores import doubly_robust
from trialstrat.subgroups.interactions import absolute_outcome
from trialstrat.subgroups.literals import Splits, rule_text, splits
from trialstrat.subgroups.null_model import main_effects, null_fit
from trialstrat.subgroups.rule_search import RuleOptions, SearchInput

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Parts of the patients; the tree judged on each is grown on the others.
FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Leaf:
    """An end of the tree: the way there, who is in it (n,), and whether to treat them."""

    conditions: tuple[Condition, ...]
    members: Bools
    treat: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PolicyTree:
    """The tree and what following it is worth per patient, against treating nobody and the better of all or nobody.

    ``value`` is in-sample and too good; ``held_out`` with its limits is that of trees grown without the patients on
    whom they are judged, less the better of treating all and none. ``gain`` (n,) are the patients' scores.
    """

    leaves: tuple[Leaf, ...]
    value: float
    held_out: float
    lower: float
    upper: float
    gain: Floats
    reason: str = ""


def treatment_scores(data: SearchInput, favourable: str = "lower") -> tuple[Floats, str]:
    """Doubly robust scores (n,) of what treatment gains each patient on the absolute scale, or why there are none.

    Gained restricted mean time, or avoided risk of the event; for continuous outcomes the difference in the favourable
    direction.
    """
    value, reason = absolute_outcome(data.outcome, data.treated, np.ones(len(data.treated), dtype=np.bool_))
    if reason:
        return np.empty(0), reason
    plain = replace(data.outcome, kind="continuous", time=None, entry=None, event=None, value=value)
    fit = null_fit(plain, data.treated, main_effects(data.frame, data.markers).columns)
    share = np.full(len(value), data.treated.mean()) if data.propensity is None else data.propensity
    scores = doubly_robust(value, data.treated, share, fit.prognosis, fit.prognosis + fit.effect)
    better_high = data.outcome.kind == "time_to_event" or (
        data.outcome.kind in ("continuous", "binary") and favourable == "higher"
    )
    return scores if better_high else -scores, ""


def policy_tree(data: SearchInput, options: RuleOptions, *, rng: np.random.Generator) -> PolicyTree:
    """Find the tree that gains most if exactly the leaves with a positive sum of scores are treated.

    All first splits and, on each side of them, all second splits (or none) are tried; every leaf holds at least
    ``options.minimum_size`` of the patients. Its value is judged by cross-fitting.

    References
    ----------
    Athey & Wager (2021), Econometrica 89:133 (policy learning on doubly robust scores). Zhou, Athey & Wager (2023),
    Operations Research 71:148 (exact trees).
    """
    gain, reason = treatment_scores(data, options.favourable)
    n = len(data.treated)
    if reason:
        nan = float("nan")
        return PolicyTree(leaves=(), value=nan, held_out=nan, lower=nan, upper=nan, gain=gain, reason=reason)
    least = int(np.ceil(options.minimum_size * n))
    made = splits(data.frame, data.markers, least)
    leaves = _grow(made, gain, np.ones(n, dtype=np.bool_), least)
    fold = rng.permutation(np.arange(n) % FOLDS)
    followed = np.zeros(n)
    for part in range(FOLDS):
        grown = _grow(made, gain, fold != part, max(1, int(least * (FOLDS - 1) / FOLDS)))
        best_simple = max(float(gain[fold != part].sum()), 0.0) > 0
        treated = np.zeros(n, dtype=np.bool_)
        for leaf in grown:
            treated |= leaf.members & leaf.treat
        mine = fold == part
        followed[mine] = gain[mine] * (treated[mine].astype(np.float64) - float(best_simple))
    half = float(-ndtri((1 - options.level) / 2)) * float(followed.std(ddof=1)) / np.sqrt(n)
    value = sum(float(gain[leaf.members].sum()) for leaf in leaves if leaf.treat) / n
    mean = float(followed.mean())
    return PolicyTree(
        leaves=leaves, value=value - max(float(gain.mean()), 0.0), held_out=mean, lower=mean - half, upper=mean + half,
        gain=gain,
    )  # fmt: skip


def _grow(made: Splits, gain: Floats, rows: Bools, least: int) -> tuple[Leaf, ...]:
    """The best tree on some patients; its leaves hold everybody (n,). Unknown values take the high side."""
    low = made.masks[:, rows].astype(np.float64)
    mine = gain[rows]
    total, count = float(mine.sum()), float(rows.sum())
    one, size = low @ mine, low.sum(axis=1)
    both, both_size = (low * mine) @ low.T, low @ low.T
    sides = []
    for gain_of, size_of, gain_low, size_low in (
        (one, size, both, both_size),
        (total - one, count - size, one[None, :] - both, size[None, :] - both_size),
    ):
        # second split on this side: the reward of its two ends, where both are large enough
        gain_high, size_high = gain_of[:, None] - gain_low, size_of[:, None] - size_low
        reward = np.maximum(gain_low, 0.0) + np.maximum(gain_high, 0.0)
        reward = np.where((size_low >= least) & (size_high >= least), reward, -np.inf)
        second = reward.argmax(axis=1)
        best, alone = reward.max(axis=1), np.maximum(gain_of, 0.0)
        # a split that gains nothing is not made
        second = np.where(best > alone + 1e-12 * np.abs(total), second, -1)
        sides.append((np.maximum(best, alone), second, size_of >= least))
    reward = np.where(sides[0][2] & sides[1][2], sides[0][0] + sides[1][0], -np.inf)
    root = int(np.argmax(reward))
    if not reward[root] > max(total, 0.0):
        everybody = np.ones(len(gain), dtype=np.bool_)
        return (Leaf(conditions=(), members=everybody, treat=total > 0),)
    leaves: list[Leaf] = []
    for high, (_, second, _) in enumerate(sides):
        branch = ~made.masks[root] if high else made.masks[root]
        first = made.high[root] if high else made.low[root]
        child = int(second[root])
        ends: Sequence[tuple[tuple[Condition, ...], Bools]] = [((first,), branch)]
        if child >= 0:
            ends = [
                ((first, made.low[child]), branch & made.masks[child]),
                ((first, made.high[child]), branch & ~made.masks[child]),
            ]
        leaves += [Leaf(conditions=c, members=m, treat=float(gain[m & rows].sum()) > 0) for c, m in ends]
    return tuple(leaves)


def tree_table(tree: PolicyTree, data: SearchInput, unit: str) -> Table:
    """``rule.policy_tree``: the leaves, whom to treat, and what treatment gains there on average (in-sample)."""
    titles = {marker.column: marker.title for marker in data.markers}
    rows = []
    for leaf in tree.leaves:
        text = rule_text(leaf.conditions, titles) or "All patients"
        events = int(data.outcome.of_interest[leaf.members].sum())
        mean = float(tree.gain[leaf.members].mean())
        rows.append((text, "treat" if leaf.treat else "do not treat", mean, int(leaf.members.sum()), events))
    held_out = "not estimated" if tree.reason else f"{tree.held_out:.3g} ({tree.lower:.3g} to {tree.upper:.3g})"
    return Table(
        name="rule.policy_tree",
        title="Second searcher: the best tree of two splits",
        columns=(
            Column(key="leaf", label="Patients with"),
            Column(key="decision", label="Decision"),
            Column(key="gain", label="Mean gain by treatment", kind="number", unit=unit),
            Column(key="n", label="Patients", kind="count"),
            Column(key="events", label="Events", kind="count"),
        ),
        rows=tuple(rows),
        note=tree.reason
        or f"Gain over treating everybody or nobody, held out: {held_out} {unit} per patient. Means in the leaves are "
        "those of the patients on whom the tree was grown: too large.",
    )
