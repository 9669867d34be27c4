"""Coalitions of criteria: their worth, and the numbers per criterion that are made of it.

A coalition is a set of criteria that is applied; its worth is the effect in the patients who meet them all, weights
fitted among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trialstrat.criteria.emulation import Emulation
from trialstrat.stats.resampling import bootstrap_interval
from trialstrat.stats.shapley import Game, shapley_values
from trialstrat.stats.subset_effects import SubsetEffects

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

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


def kept(emulation: Emulation, shapley: Floats, sign: int) -> tuple[int, ...]:
    """Criteria with a contribution in the right direction; those that remove nobody have none."""
    return tuple(at for at in emulation.players if np.isfinite(shapley[at]) and shapley[at] * sign > 0)


class Pieces:
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
