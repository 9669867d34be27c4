import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from trialstrat.errors import InvalidInputError
from trialstrat.stats.logrank import logrank
from trialstrat.stats.maxcombo import maxcombo
from trialstrat.stats.normal_maximum import maximum_tail


def random_trial(seed, n=120):
    rng = np.random.default_rng(seed)
    return rng.integers(1, 25, n).astype(float), rng.integers(0, 2, n), rng.integers(0, 2, n), rng.integers(0, 2, n)


def correlation_of(loadings):
    loadings = np.asarray(loadings, dtype=float)
    loadings = loadings / np.linalg.norm(loadings, axis=1, keepdims=True)
    return loadings @ loadings.T


@pytest.mark.parametrize("bound", [0.3, 1.5, 4.0, 8.0])
def test_one_variable_and_copies_of_it(bound):
    expected = 2 * norm.sf(bound)
    assert maximum_tail(np.ones((1, 1)), bound) == pytest.approx(expected, rel=1e-12)
    copies = np.array([[1.0, 1.0, -1.0], [1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]])
    assert maximum_tail(copies, bound) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("m", "relative"), [(2, 1e-9), (3, 2e-6), (4, 1e-4), (5, 1e-2)])
@pytest.mark.parametrize("bound", [0.5, 2.0, 3.5])
def test_independent_variables(m, relative, bound):
    expected = -np.expm1(m * np.log1p(-2 * norm.sf(bound)))
    assert maximum_tail(np.eye(m), bound) == pytest.approx(expected, rel=relative)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("m", [2, 3, 4])
def test_against_the_multivariate_normal_distribution(seed, m):
    rng = np.random.default_rng(seed)
    correlation = correlation_of(rng.normal(size=(m, m)) + np.array([1.0] + [0.0] * (m - 1)))
    box = multivariate_normal(np.zeros(m), correlation, abseps=1e-8, releps=1e-8, maxpts=2_000_000)
    box.random_state = 0
    inside = box.cdf(np.full(m, 1.8), lower_limit=np.full(m, -1.8))
    assert maximum_tail(correlation, 1.8) == pytest.approx(1 - inside, abs=1e-5)


def test_a_singular_correlation_is_no_special_case():
    # the third variable is the normalised sum of the other two
    singular = correlation_of([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    nearly = 0.999999 * singular + 0.000001 * np.eye(3)
    assert maximum_tail(singular, 2.0) == pytest.approx(maximum_tail(nearly, 2.0), rel=1e-2)
    rng = np.random.default_rng(1)
    z = np.abs(rng.normal(size=(400_000, 2)) @ np.array([[1.0, 0.0, 0.5**0.5], [0.0, 1.0, 0.5**0.5]]))
    share = np.mean(z.max(axis=1) >= 2.0)
    assert maximum_tail(singular, 2.0) == pytest.approx(share, abs=4 * np.sqrt(share / 400_000))


def test_bounds_of_bonferroni():
    correlation = correlation_of([[1.0, 0.2, 0.0], [0.5, 1.0, 0.0], [0.0, 0.3, 1.0], [1.0, 1.0, 1.0]])
    for bound in (1.0, 2.5, 6.0):
        single = 2 * norm.sf(bound)
        assert single < maximum_tail(correlation, bound) < 4 * single


def test_no_bound_is_certain():
    assert maximum_tail(np.eye(2), 0.0) == 1.0


def test_same_bytes_every_time():
    time, event, group, strata = random_trial(1)
    first = maxcombo(time, event, group, strata=strata)
    second = maxcombo(time, event, group, strata=strata)
    assert first.p == second.p
    assert first.z.tobytes() == second.z.tobytes()


def test_components_are_the_weighted_tests():
    time, event, group, strata = random_trial(2)
    weights = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))
    found = maxcombo(time, event, group, weights=weights, strata=strata)
    single = [logrank(time, event, group, strata=strata, rho=rho, gamma=gamma) for rho, gamma in weights]
    np.testing.assert_allclose(found.z, [test.z for test in single], rtol=1e-10)
    assert found.max_abs_z == np.abs(found.z).max()
    assert min(test.p for test in single) < found.p < 4 * min(test.p for test in single)
    # (0,0) is the sum of (0,1) and (1,0): the joint distribution has rank 3
    assert np.linalg.matrix_rank(found.correlation, tol=1e-8) == 3


def test_a_single_weight_is_the_logrank_test():
    time, event, group, _ = random_trial(3)
    found = maxcombo(time, event, group, weights=[[0, 0]])
    assert found.p == pytest.approx(logrank(time, event, group).p, rel=1e-12)


def test_swapping_the_groups_turns_the_signs():
    time, event, group, _ = random_trial(4)
    one, other = maxcombo(time, event, group), maxcombo(time, event, 1 - group)
    np.testing.assert_allclose(one.z, -other.z, rtol=1e-12)
    assert one.p == pytest.approx(other.p, rel=1e-9)


@pytest.mark.parametrize(
    ("event", "reason"),
    [([0, 0, 0, 0], "no event"), ([1, 0, 0, 0], "no variance")],
)
def test_not_estimable_says_why(event, reason):
    found = maxcombo([1, 2, 3, 4], event, [0, 1, 0, 1])
    assert found.status == "not_estimable"
    assert reason in found.reason
    assert np.isnan(found.p)


def test_three_groups_and_odd_weights_are_refused():
    with pytest.raises(InvalidInputError, match="3 groups"):
        maxcombo([1, 2, 3], [1, 1, 1], ["a", "b", "c"])
    for weights in ([], [[0]], [[0, -1]], [[0, np.nan]]):
        with pytest.raises(InvalidInputError, match="weights"):
            maxcombo([1, 2, 3], [1, 1, 1], ["a", "b", "b"], weights=weights)
