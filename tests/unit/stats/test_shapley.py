"""Shapley values: axioms, a game known by hand, sampled against exact."""

from __future__ import annotations

import itertools
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialstrat.errors import InvalidInputError
from trialstrat.stats.shapley import exact_game, sampled_game, shapley_values


def by_orders(players: int, values: np.ndarray) -> np.ndarray:
    """The definition: mean gain over all orders."""
    out = np.zeros(players)
    for order in itertools.permutations(range(players)):
        mask = 0
        for player in order:
            out[player] += values[mask | (1 << player)] - values[mask]
            mask |= 1 << player
    return out / factorial(players)


@given(st.integers(1, 5), st.integers(0, 10_000))
@settings(max_examples=30)
def test_exact_values_are_the_mean_over_all_orders_and_share_out_the_whole(players, seed):
    values = np.random.default_rng(seed).normal(size=1 << players)
    found, error = shapley_values(exact_game(players), values)
    np.testing.assert_allclose(found, by_orders(players, values), atol=1e-12)
    assert found.sum() == pytest.approx(values[-1] - values[0])
    assert error.tolist() == [0.0] * players


def test_glove_game():
    """One left and two right gloves: a pair is worth 1. The owner of the left glove gets 2/3, the others 1/6 each."""
    worth = np.array([float((mask & 1) and bool(mask & 6)) for mask in range(8)])
    np.testing.assert_allclose(shapley_values(exact_game(3), worth)[0], [2 / 3, 1 / 6, 1 / 6])


def test_sampled_values_share_out_the_whole_and_come_near_the_exact_ones():
    rng = np.random.default_rng(3)
    players = 9
    values = np.array([np.sqrt(bin(mask).count("1")) + 0.3 * (mask & 1) for mask in range(1 << players)])
    exact, _ = shapley_values(exact_game(players), values)
    game = sampled_game(players, 400, rng)
    found, error = shapley_values(game, values[game.masks])
    assert found.sum() == pytest.approx(values[-1] - values[0])
    assert np.all(np.abs(found - exact) < 5 * error + 1e-9)
    assert np.all(error < 0.05)


def test_antithetic_orders_are_reversed_and_start_with_nobody():
    game = sampled_game(4, 5, np.random.default_rng(1))
    assert game.orders.shape == (6, 4)
    assert (game.orders[0::2] == game.orders[1::2][:, ::-1]).all()
    assert set(game.masks[game.steps[:, 0]]) == {0}
    assert set(game.masks[game.steps[:, -1]]) == {15}


def test_a_missing_worth_makes_every_value_missing():
    values = np.arange(8.0)
    values[5] = np.nan
    assert np.isnan(shapley_values(exact_game(3), values)[0]).all()


def test_no_players_have_no_values():
    assert shapley_values(exact_game(0), np.array([1.0]))[0].size == 0


def test_impossible_games_are_refused():
    with pytest.raises(InvalidInputError):
        exact_game(21)
    with pytest.raises(InvalidInputError):
        sampled_game(3, 1, np.random.default_rng(0))
