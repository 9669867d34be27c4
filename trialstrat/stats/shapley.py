"""Shapley values: how much each player of a cooperative game contributes, whatever the order in which players join.

References
----------
Shapley 1953, in: Contributions to the Theory of Games II, 307-317. Castro, Gomez & Tejada 2009, Comput Oper Res 36,
1726-1730 (sampling of orders). Mitchell et al. 2022, J Mach Learn Res 23(43) (antithetic permutations).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial

import numpy as np
from numpy.typing import NDArray

from trialstrat.errors import InvalidInputError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Game:
    """Which coalitions must be valued: ``masks`` (s,), bit j for player j.

    ``steps`` (orders, players + 1) are places in ``masks`` along each drawn order, ``orders`` the players in it; both
    empty when every coalition is valued.
    """

    players: int
    masks: Integers
    orders: Integers
    steps: Integers

    @property
    def exact(self) -> bool:
        """Whether every coalition is valued."""
        return not len(self.orders)


def exact_game(players: int) -> Game:
    """Every coalition of up to 20 players."""
    if not 0 <= players <= 20:
        raise InvalidInputError(f"players: {players}; exact values need at most 20")
    none = np.empty((0, players), dtype=np.int64)
    return Game(players=players, masks=np.arange(1 << players, dtype=np.int64), orders=none, steps=none)


def sampled_game(players: int, orders: int, rng: np.random.Generator) -> Game:
    """The coalitions along ``orders`` random orders, every second one the first reversed (antithetic pairs).

    Raises
    ------
    InvalidInputError
        More than 62 players, or fewer than two orders.
    """
    if not 1 <= players <= 62 or orders < 2:
        raise InvalidInputError("a sampled game needs 1 to 62 players and at least two orders")
    drawn = [rng.permutation(players) for _ in range((orders + 1) // 2)]
    both = np.array([order for first in drawn for order in (first, first[::-1])], dtype=np.int64)
    along = np.concatenate([np.zeros((len(both), 1), dtype=np.int64), np.cumsum(np.int64(1) << both, axis=1)], axis=1)
    masks, steps = np.unique(along, return_inverse=True)
    return Game(players=players, masks=masks, orders=both, steps=np.asarray(steps).reshape(along.shape))


def shapley_values(game: Game, values: Floats) -> tuple[Floats, Floats]:
    """Shapley value of every player (players,), and its Monte-Carlo standard error (0 when exact).

    Parameters
    ----------
    values : (s,)
        Worth of every coalition of ``game.masks``; nan anywhere makes every value nan, because each rests on all.

    References
    ----------
    Shapley 1953, eq. 13; Castro 2009, eq. 3. The error is that of the mean over antithetic pairs.
    """
    m = game.players
    if not np.isfinite(values).all():
        return np.full(m, np.nan), np.full(m, np.nan)
    if not game.exact:
        gains = np.empty(game.orders.shape)
        np.put_along_axis(gains, game.orders, np.diff(values[game.steps], axis=1), axis=1)
        pairs = 0.5 * (gains[0::2] + gains[1::2])
        error = pairs.std(axis=0, ddof=1) / np.sqrt(len(pairs)) if len(pairs) > 1 else np.full(m, np.nan)
        return pairs.mean(axis=0), error
    size = np.bitwise_count(game.masks.astype(np.uint64)).astype(int)
    share = np.array([factorial(k) * factorial(max(m - k - 1, 0)) / factorial(max(m, 1)) for k in range(m + 1)])
    out = np.empty(m)
    for player in range(m):
        without = game.masks[(game.masks >> player) & 1 == 0]
        out[player] = share[size[without]] @ (values[without | (1 << player)] - values[without])
    return out, np.zeros(m)
