"""Rule sets valued by several objectives at once: which are dominated, and which one a declared utility picks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trialstrat.criteria.emulation import Emulation
from trialstrat.criteria.pool import Represented
from trialstrat.criteria.thresholds import Dimension
from trialstrat.protocol.criteria_model import Objective, Utility
from trialstrat.stats.subset_effects import evaluate_subsets

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Choice = tuple[int, ...]

#: Rule sets that one call of the kernel values (bits of a mask).
MOST_AT_ONCE = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Valued:
    """A rule set (an option per criterion) with its objectives; ``effect`` is a log ratio (or a difference)."""

    choice: Choice
    pool: float
    effect: float
    events: float
    representativeness: float
    cost: float

    def objective(self, name: Objective) -> float:
        """Its value on an objective."""
        return float(getattr(self, name))


class Valuer:
    """Values rule sets on some of the patients (``rows``, n); the same set is valued once."""

    def __init__(
        self,
        emulation: Emulation,
        dimensions: Sequence[Dimension],
        shown: Represented,
        costs: Mapping[str, float],
        rows: Mask,
    ) -> None:
        self.emulation, self.dimensions, self.shown, self.costs = emulation, dimensions, shown, costs
        self.rows = rows & emulation.rows
        self._count = self.rows[emulation.rows].astype(np.float64)
        self.known: dict[Choice, Valued | None] = {}

    def inside(self, choice: Choice) -> Mask:
        """Who meets the rule set, of everybody (n,)."""
        out = np.ones(len(self.rows), dtype=np.bool_)
        for at, option in enumerate(choice):
            out &= self.dimensions[at].options[option].admits
        return out

    def value(self, choices: Sequence[Choice]) -> list[Valued | None]:
        """Objectives of each rule set; None where the effect cannot be estimated."""
        new = [choice for choice in dict.fromkeys(choices) if choice not in self.known]
        for low in range(0, len(new), MOST_AT_ONCE):
            self._value(new[low : low + MOST_AT_ONCE])
        return [self.known[choice] for choice in choices]

    def _value(self, choices: Sequence[Choice]) -> None:
        inside = np.array([self.inside(choice) for choice in choices])
        used = inside[:, self.emulation.rows]
        bits = (used.astype(np.int64) << np.arange(len(choices), dtype=np.int64)[:, None]).sum(axis=0)
        masks = np.int64(1) << np.arange(len(choices), dtype=np.int64)
        found = evaluate_subsets(self.emulation.data, bits, masks, count=self._count)
        shift = self.shown.furthest(inside & self.rows)
        whole = float(self.rows.sum())
        continuous = self.emulation.outcome.kind == "continuous"
        for at, choice in enumerate(choices):
            effect = float(found.absolute[at] if continuous else found.relative[at])
            least = min(found.events_control[at], found.events_treated[at])
            few = not continuous and least < self.emulation.options.minimum_events
            if few or not np.isfinite(effect):
                self.known[choice] = None
                continue
            share = float(found.n[at]) / whole
            price = sum(
                self.costs.get(dimension.id, 0.0)
                for dimension, option in zip(self.dimensions, choice, strict=True)
                if dimension.options[option].active
            )
            self.known[choice] = Valued(
                choice=choice,
                pool=share,
                effect=effect,
                events=float(found.events_control[at] + found.events_treated[at]),
                representativeness=0.0 if np.isnan(shift[at]) else float(shift[at]),
                cost=price / share,
            )


def directions(objectives: Sequence[Objective], better: int) -> tuple[int, ...]:
    """1 where more is better, -1 where less is; ``better`` is that of the effect."""
    signs = {"pool": 1, "effect": better, "events": 1, "representativeness": -1, "cost": -1}
    return tuple(signs[name] for name in objectives)


def front(valued: Sequence[Valued], objectives: Sequence[Objective], better: int) -> list[Valued]:
    """Rule sets that no other one beats on every objective, larger pools first; of equals the first stays."""
    signs = np.array(directions(objectives, better))
    points = np.array([[entry.objective(name) for name in objectives] for entry in valued]).reshape(len(valued), -1)
    points = points * signs
    keep: list[int] = []
    for at, point in enumerate(points):
        beaten = (points >= point).all(axis=1) & (points > point).any(axis=1)
        twin = (points[:at] == point).all(axis=1)
        if not beaten.any() and not twin.any():
            keep.append(at)
    return sorted((valued[at] for at in keep), key=lambda entry: (-entry.pool, entry.choice))


def utilities(valued: Sequence[Valued], utility: Utility, better: int) -> Floats:
    """The declared weighted sum of the objectives, each standardised over these rule sets."""
    names: tuple[Objective, ...] = ("pool", "effect", "events", "representativeness", "cost")
    total = np.zeros(len(valued))
    for name, sign in zip(names, directions(names, better), strict=True):
        values = np.array([entry.objective(name) for entry in valued])
        spread = values.std()
        if spread > 0:
            total += getattr(utility, name) * sign * (values - values.mean()) / spread
    return total


def picked(valued: Sequence[Valued], utility: Utility, better: int) -> Valued:
    """The rule set of the highest utility; of equals the larger pool, then the earlier options."""
    total = utilities(valued, utility, better)
    order = sorted(range(len(valued)), key=lambda at: (-total[at], -valued[at].pool, valued[at].choice))
    return valued[order[0]]


def at_least(valued: Sequence[Valued], share: float, better: int) -> Valued:
    """The best effect among rule sets with at least this share of patients; the largest pool where none has."""
    enough = [entry for entry in valued if entry.pool >= share - 1e-12]
    if not enough:
        return max(valued, key=lambda entry: (entry.pool, entry.choice))
    return min(enough, key=lambda entry: (-better * entry.effect, -entry.pool, entry.choice))
