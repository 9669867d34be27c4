"""Distances of selections from everybody: by hand, for numbers and categories."""

from __future__ import annotations

import numpy as np
import pytest

from trialstrat.errors import InvalidInputError
from trialstrat.stats.representation import population


def test_a_number_is_the_standardised_difference_to_everybody():
    x = np.array([1.0, 2.0, 3.0, 4.0, np.nan])
    found = population(x).shift([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1], [0, 0, 0, 0, 1]])
    known = x[:4]
    assert found[0] == pytest.approx(0.0, abs=1e-12)
    assert found[1] == pytest.approx((3.5 - known.mean()) / known.std())
    assert np.isnan(found[2])


def test_a_category_is_the_mahalanobis_distance_of_its_shares():
    codes = np.array([0] * 5 + [1] * 3 + [2] * 2 + [-1])
    member = np.array([1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 1])
    share = np.array([0.3, 0.2])
    here = np.array([3 / 6, 1 / 6])
    covariance = np.diag(share) - np.outer(share, share)
    expected = np.sqrt((here - share) @ np.linalg.solve(covariance, here - share))
    assert population(codes).shift(member)[0] == pytest.approx(expected)


def test_two_levels_agree_with_numbers_and_a_constant_moves_nowhere():
    rng = np.random.default_rng(1)
    codes, member = rng.integers(0, 2, 60), rng.integers(0, 2, 60)
    assert population(codes).shift(member)[0] == pytest.approx(population(codes.astype(float)).shift(member)[0])
    assert population(np.zeros(60)).shift(member)[0] == 0.0


def test_text_is_refused():
    with pytest.raises(InvalidInputError):
        population(np.array(["a", "b"]))
