"""Regression without penalty and errors of prediction against R 4.2 (lm, glm) and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from trialstrat.errors import InvalidInputError
from trialstrat.stats.prediction_error import prediction_error, proportion
from trialstrat.stats.regression import linear_regression, logistic_regression

A = np.arange(1.0, 13.0)
B = np.array([2, 1, 4, 3, 7, 5, 6, 9, 8, 12, 10, 11]) ** 2 / 10
X = np.column_stack([A, B])
Y = np.array([1.2, 0.9, 2.5, 2.1, 3.9, 3.1, 3.3, 5.2, 4.4, 7.1, 5.6, 6.0])
E = np.array([0, 0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 1])


def test_linear_regression_is_that_of_r() -> None:
    fit = linear_regression(X, Y, ("a", "b"))
    assert fit.names == ("intercept", "a", "b")
    assert fit.coef == pytest.approx([1.2978605891, 0.1176904629, 0.3160894896], rel=1e-8)
    assert fit.std_error == pytest.approx([0.28747859339, 0.07928475596, 0.05937087234], rel=1e-8)
    assert fit.lower == pytest.approx([0.64753882994, -0.06166411573, 0.18178324550], rel=1e-8)
    assert fit.upper == pytest.approx([1.9481823483, 0.2970450415, 0.4503957338], rel=1e-8)
    assert fit.p == pytest.approx([0.0014579777154, 0.1718586736958, 0.0004784646588], rel=1e-7)


def test_logistic_regression_is_that_of_r() -> None:
    fit = logistic_regression(X, E, ("a", "b"))
    assert fit.coef == pytest.approx([-3.4658216676, 0.8730270611, -0.4111341973], rel=1e-7)
    assert fit.std_error == pytest.approx([2.1058501296, 0.5245210368, 0.3398041453], rel=1e-7)
    assert fit.p == pytest.approx([0.09980361965, 0.09602709560, 0.22631143762], rel=1e-7)


def test_units_change_nothing_but_the_unit() -> None:
    for method, y in ((linear_regression, Y), (logistic_regression, E)):
        one, other = method(X, y, ("a", "b")), method(X * [1e6, 1e-6], y, ("a", "b"))
        assert other.coef * [1, 1e6, 1e-6] == pytest.approx(one.coef, rel=1e-6)
        assert other.p == pytest.approx(one.p, rel=1e-6)


def test_what_cannot_be_estimated_says_why() -> None:
    twice = np.column_stack([A, A])
    for method, y in ((linear_regression, Y), (logistic_regression, E)):
        assert "collinear" in method(twice, y, ("a", "b")).reason
        assert np.isnan(method(twice, y, ("a", "b")).coef).all()
    assert "separation" in logistic_regression(A[:, None], (A > 6).astype(int), ("a",)).reason
    with pytest.raises(InvalidInputError, match="names"):
        linear_regression(X, Y, ("a",))


def test_errors_of_prediction() -> None:
    observed, predicted = np.array([10.0, 20.0, 30.0, 40.0]), np.array([12.5, 20.0, 24.0, 41.0])
    found = prediction_error(observed, predicted)
    assert found.mae.value == pytest.approx((2.5 + 0 + 6 + 1) / 4)
    assert found.bias.value == pytest.approx((2.5 - 6 + 1) / 4)
    assert found.r2.value == pytest.approx(1 - (2.5**2 + 36 + 1) / 500)
    assert found.within.value == 0.75  # 6 of 30 is within 20%, 2.5 of 10 is not
    assert (found.within.lower, found.within.upper) == pytest.approx(proportion(3, 4, 0.95)[1:])
    for score in (found.mae, found.bias, found.r2, found.within):
        assert score.lower < score.value < score.upper
    half = 1.959963984540054 * np.std([2.5, 0, 6, 1], ddof=1) / 2
    assert found.mae.upper - found.mae.value == pytest.approx(half)
    assert np.isnan(prediction_error([1.0, 1.0], [1.0, 2.0]).r2.value)


def test_interval_of_the_explained_variance_is_that_of_a_bootstrap() -> None:
    rng = np.random.default_rng(1)
    y = rng.normal(size=400)
    guess = 0.7 * y + 0.5 * rng.normal(size=400)
    found = prediction_error(y, guess).r2
    again = []
    for _ in range(500):
        rows = rng.integers(0, 400, 400)
        again.append(prediction_error(y[rows], guess[rows]).r2.value)
    assert (found.upper - found.lower) / 3.92 == pytest.approx(np.std(again), rel=0.12)
