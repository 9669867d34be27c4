"""Two correlated normal variables against numerical integration and limits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from trialstrat.errors import InvalidInputError
from trialstrat.stats.bivariate_normal import bivariate_normal_cdf


@pytest.mark.parametrize("correlation", [-0.95, -0.4, 0.0, 0.3, 0.8, 0.999])
@pytest.mark.parametrize(
    ("a", "b"), [(1.0, 2.0), (-1.0, 0.5), (0.0, 1.3), (0.7, 0.0), (0.0, 0.0), (-2.0, -1.0), (1.5, 1.5)]
)
def test_agrees_with_integration(a, b, correlation):
    spread = np.sqrt(1 - correlation**2)

    def inner(x):
        return norm.pdf(x) * norm.cdf((b - correlation * x) / spread)

    kink = b / correlation if correlation else 0.0
    points = [kink] if -12 < kink < a else None
    expected = quad(inner, -12, a, points=points, epsabs=1e-13, epsrel=1e-12, limit=200)[0]
    assert bivariate_normal_cdf(a, b, correlation) == pytest.approx(expected, abs=1e-10)


def test_limits():
    assert bivariate_normal_cdf(1.0, 0.5, 1.0) == pytest.approx(norm.cdf(0.5))
    assert bivariate_normal_cdf(1.0, 0.5, -1.0) == pytest.approx(norm.cdf(1.0) - norm.sf(0.5))
    assert bivariate_normal_cdf(-1.0, 0.5, -1.0) == 0.0
    assert bivariate_normal_cdf(np.inf, 0.5, 0.3) == pytest.approx(norm.cdf(0.5))
    assert bivariate_normal_cdf(-np.inf, 0.5, 0.3) == 0.0
    assert bivariate_normal_cdf(0.0, 0.0, 0.5) == pytest.approx(1 / 3)


@pytest.mark.parametrize("arguments", [(0.0, 0.0, 1.1), (np.nan, 0.0, 0.5), (0.0, 0.0, np.nan)])
def test_impossible_arguments_are_refused(arguments):
    with pytest.raises(InvalidInputError):
        bivariate_normal_cdf(*arguments)
