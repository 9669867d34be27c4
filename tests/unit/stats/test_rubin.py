"""Rubin's rules against R (mice 3.15 ``pool.scalar``, mitml ``testConstraints``), and what they must do at the ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialstrat.errors import InvalidInputError
from trialstrat.stats.rubin import LARGE, pool, pool_wald

Q = np.array([[0.42, 0.15], [0.55, -0.02], [0.38, 0.11], [0.61, 0.20], [0.47, 0.05]])
PARTS = ((0.040, 0.012, 0.050), (0.044, 0.010, 0.047), (0.039, 0.014, 0.055), (0.042, 0.011, 0.049))
U = np.array([[[a, b], [b, c]] for a, b, c in (*PARTS, (0.041, 0.013, 0.052))])


def test_one_number_with_finite_complete_df() -> None:
    found = pool(Q[:, 0], U[:, 0, 0], complete_df=96)
    assert found.value == pytest.approx(0.486)
    assert found.std_error**2 == pytest.approx(0.051796, rel=1e-12)
    assert (found.df, found.fmi) == pytest.approx((41.967276829605, 0.239949873163), rel=1e-10)


def test_one_number_without_complete_df() -> None:
    found = pool(Q[:, 0], U[:, 0, 0])
    assert (found.df, found.fmi) == pytest.approx((95.580332386090, 0.220709447185), rel=1e-10)
    assert found.lower < found.value < found.upper


def test_several_numbers_at_once() -> None:
    found = pool_wald(Q, U, null_hypothesis="both are 0")
    assert (found.statistic, found.df, found.p) == pytest.approx((2.34709385887, 2, 0.102482504402), rel=1e-7)
    single = pool_wald(Q[:, :1], U[:, :1, :1], null_hypothesis="it is 0")
    assert single.p == pytest.approx(pool(Q[:, 0], U[:, 0, 0]).p, rel=1e-9)


def test_nothing_missing_is_the_complete_analysis() -> None:
    found = pool([0.3, 0.3, 0.3], [0.04, 0.04, 0.04])
    assert found.fmi == 0
    assert found.df == LARGE
    assert (found.lower, found.upper) == pytest.approx((0.3 - 1.959964 * 0.2, 0.3 + 1.959964 * 0.2), abs=1e-6)
    both = pool_wald(np.tile([0.3, 0.1], (3, 1)), np.tile(np.eye(2) * 0.04, (3, 1, 1)), null_hypothesis="")
    assert both.statistic == pytest.approx((0.09 + 0.01) / 0.04 / 2)


def test_singular_covariance_is_not_estimable() -> None:
    found = pool_wald(Q, np.tile(np.full((2, 2), 0.04), (5, 1, 1)), null_hypothesis="")
    assert (found.status, np.isnan(found.p)) == ("not_estimable", True)


@pytest.mark.parametrize(
    ("value", "variance"), [([0.1], [0.1]), ([0.1, np.nan], [0.1, 0.1]), ([0.1, 0.2], [0.1, 0.0]), ([0.1, 0.2], [0.1])]
)
def test_what_cannot_be_pooled_is_refused(value: list[float], variance: list[float]) -> None:
    with pytest.raises(InvalidInputError):
        pool(value, variance)


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=8), st.floats(0.01, 4), st.floats(2, 500), st.floats(0.1, 10))
def test_pooling_keeps_its_bounds_and_scales(values: list[float], variance: float, complete: float, by: float) -> None:
    within = [variance] * len(values)
    found = pool(values, within, complete_df=complete)
    assert found.std_error >= np.sqrt(variance) * (1 - 1e-12)
    assert 1 <= found.df <= complete
    assert 0 <= found.fmi <= 1 + 1e-9 or found.df < 3
    scaled = pool([by * x for x in values], [by * by * x for x in within], complete_df=complete)
    assert scaled.p == pytest.approx(found.p, rel=1e-6, abs=1e-12)
