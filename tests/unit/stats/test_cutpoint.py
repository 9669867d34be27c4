"""Maximally selected rank statistics against R and brute force, and the screen against the single test."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import kstest

from trialstrat.errors import InvalidInputError
from trialstrat.stats.cutpoint import logrank_scores, maxstat, maxstat_screen
from trialstrat.stats.maximum_tails import exact_gauss, hothorn_lausen, lau94, permutation_p

TIME = np.array([2.0, 3, 3, 5, 6, 6, 7, 8, 9, 9, 11, 12, 13, 14, 15, 15, 17, 18, 20, 21])
EVENT = np.array([1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 0, 1, 0])
X = np.array(
    [0.5, -1.2, 0.3, 1.4, 0.9, -0.4, 0.1, 0.8, -0.7, 0.6, -1.5, 0.2, 1.1, -0.3, -0.9, 0.7, 0.4, -1.1, -0.2, -0.6]
)


def maximum(scores, sizes):
    """Largest standardised sum of the first m scores, in the given order."""
    n = scores.size
    spread = (n * np.sum(scores**2) - scores.sum() ** 2) / (n**2 * (n - 1))
    sums = np.cumsum(scores)[sizes - 1] - sizes / n * scores.sum()
    return np.max(np.abs(sums) / np.sqrt(sizes * (n - sizes) * spread))


class TestAgainstR:
    """R maxstat 0.7-25."""

    @pytest.mark.parametrize(
        ("p_method", "statistic", "p", "rtol"),
        [
            ("lau92", 2.218470126601, 0.228318660143, 1e-10),
            ("lau94", 2.218470126601, 0.17308160915, 1e-10),
            # R leaves out the outcome in which all m scores are the smallest one, and integrates at random
            ("hl", 2.165743443748, 0.305427609027, 3e-3),
            ("exact_gauss", 2.218470126601, 0.1379750859, 1e-3),
        ],
    )
    def test_statistic_and_p(self, p_method, statistic, p, rtol):
        found = maxstat(TIME, EVENT, X, min_prop=0.2, max_prop=0.8, p_method=p_method)
        assert found.statistic == pytest.approx(statistic, rel=1e-11)
        assert found.p == pytest.approx(p, rel=rtol)
        assert found.cutpoint == 0.4
        assert found.n_low == np.count_nonzero(X <= 0.4)


class TestMaxstat:
    def test_scores(self):
        scores = logrank_scores([1, 2, 2, 4], [1, 1, 0, 1])
        # the two rows tied at 2 have rank 3: one event in 4 - 3 + 1 rows
        np.testing.assert_allclose(scores, [1 - 1 / 4, 1 - 1 / 4 - 1 / 2, -1 / 4 - 1 / 2, 1 - 1 / 4 - 1 / 2 - 1])

    def test_the_scan_is_complete(self):
        marker = np.round(X, 0)
        found = maxstat(TIME, EVENT, marker, min_prop=0.1, max_prop=0.9)
        scores = logrank_scores(TIME, EVENT)
        order = np.argsort(marker, kind="stable")
        expected = [
            maximum(scores[order], np.array([np.count_nonzero(marker <= cut)]))
            for cut in np.unique(marker)[:-1]
            if 2 <= np.count_nonzero(marker <= cut) <= 18
        ]
        np.testing.assert_allclose(found.statistics, expected, rtol=1e-12)
        assert found.statistic == found.statistics.max()
        assert found.cutpoint == found.cuts[np.argmax(found.statistics)]

    def test_smallest_cut_wins_a_tie(self):
        # symmetric scores and marker: both cuts have the same statistic
        found = maxstat([1, 2, 3, 4], [1, 1, 1, 1], [1, 2, 3, 4], min_prop=0.0, max_prop=1.0)
        first = np.flatnonzero(np.isclose(found.statistics, found.statistic))[0]
        assert found.cutpoint == found.cuts[first]

    def test_direction_of_the_marker_does_not_matter(self):
        one = maxstat(TIME, EVENT, X, min_prop=0.2, max_prop=0.8, p_method="exact_gauss")
        other = maxstat(TIME, EVENT, -X, min_prop=0.2, max_prop=0.8, p_method="exact_gauss")
        assert other.statistic == pytest.approx(one.statistic, rel=1e-12)
        assert other.p == pytest.approx(one.p, rel=1e-9)
        assert other.n_low == one.n_high

    @pytest.mark.parametrize(
        ("event", "marker", "reason"),
        [
            (np.zeros(20), X, "no event"),
            (EVENT, np.ones(20), "no cut"),
            (EVENT, np.append(np.zeros(19), 1.0), "no cut"),
        ],
    )
    def test_not_estimable(self, event, marker, reason):
        found = maxstat(TIME, event, marker)
        assert found.status == "not_estimable"
        assert reason in found.reason
        assert np.isnan(found.p)

    def test_hl_of_a_large_sample_is_declined(self):
        rng = np.random.default_rng(0)
        found = maxstat(rng.exponential(size=1000), np.ones(1000), rng.normal(size=1000), p_method="hl")
        assert found.status == "not_estimable"
        assert "too large" in found.reason

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"min_prop": 0.9, "max_prop": 0.1}, "min_prop"),
            ({"min_prop": 0.0, "p_method": "lau92"}, "lau92"),
            ({"p_method": "condmc"}, "rng"),
            ({"p_method": "best"}, "p_method"),
        ],
    )
    def test_refusals(self, options, message):
        with pytest.raises(InvalidInputError, match=message):
            maxstat(TIME, EVENT, X, **options)
        with pytest.raises(InvalidInputError, match="marker: 1 of 20"):
            maxstat(TIME, EVENT, np.append(X[1:], np.nan))


class TestPermutationDistribution:
    SCORES = np.array([0, 3, 1, 7, 4, 2, 5, 9])

    def exact(self, scores, sizes, bound):
        orders = np.array(list(itertools.permutations(scores.astype(float))))
        n, spread = scores.size, np.var(scores) / (scores.size - 1)
        sums = np.abs(np.cumsum(orders, axis=1)[:, sizes - 1] - sizes * scores.mean())
        return np.mean((sums / np.sqrt(sizes * (n - sizes) * spread)).max(axis=1) > bound + 1e-9)

    @pytest.mark.parametrize("bound", [1.2, 1.6, 1.9, 2.1])
    def test_hothorn_lausen_bounds_the_exact_probability(self, bound):
        sizes = np.arange(2, 7)
        exact = self.exact(self.SCORES, sizes, bound)
        upper = hothorn_lausen(bound, self.SCORES, sizes)
        single = sum(self.exact(self.SCORES, np.array([m]), bound) for m in sizes)
        assert exact <= upper + 1e-12
        assert upper <= min(1.0, single) + 1e-12

    def test_one_cut_is_exact(self):
        for m in (1, 3, 6):
            assert hothorn_lausen(1.1, self.SCORES, np.array([m])) == pytest.approx(
                self.exact(self.SCORES, np.array([m]), 1.1)
            )

    def test_gaps_between_cuts_stay_an_upper_bound(self):
        sizes = np.array([2, 5])
        assert hothorn_lausen(1.5, self.SCORES, sizes) >= self.exact(self.SCORES, sizes, 1.5) - 1e-12

    def test_permutations(self):
        scores, sizes = self.SCORES - self.SCORES.mean(), np.arange(2, 7)
        m = np.arange(9)
        inverse = np.divide(1, np.sqrt(m * (8 - m) * np.var(scores) / 7), out=np.zeros(9), where=m * (8 - m) > 0)
        exact = self.exact(self.SCORES, sizes, 1.6)
        p = permutation_p(1.6, scores, sizes, inverse, 40_000, np.random.default_rng(1))
        assert p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 40_000))

    def test_never_zero_and_reproducible(self):
        runs = [maxstat(TIME, EVENT, X, p_method="condmc", draws=500, rng=np.random.default_rng(7)).p for _ in range(2)]
        assert runs[0] == runs[1]
        sizes = np.arange(1, 8)
        assert permutation_p(1e9, self.SCORES * 1.0, sizes, np.ones(9), 99, np.random.default_rng(1)) == 0.01


class TestExactGauss:
    def test_one_cut_is_the_normal_tail(self):
        assert exact_gauss(1.959963984540054, np.array([7]), 20) == pytest.approx(0.05, rel=1e-12)

    def test_two_cuts_against_the_bivariate_integral(self):
        from scipy.integrate import dblquad

        rho, b = np.sqrt(5 * 8 / (15 * 12)), 1.7

        def density(y, x):
            return np.exp(-(x * x - 2 * rho * x * y + y * y) / (2 * (1 - rho**2))) / (2 * np.pi * np.sqrt(1 - rho**2))

        inside = dblquad(density, -b, b, -b, b, epsabs=1e-12)[0]
        assert exact_gauss(b, np.array([5, 12]), 20) == pytest.approx(1 - inside, rel=1e-9)

    def test_many_cuts_against_simulation(self):
        rng = np.random.default_rng(4)
        n, sizes = 60, np.arange(10, 51)
        walk = np.cumsum(rng.normal(size=(40_000, n)), axis=1)
        bridge = walk[:, sizes - 1] - sizes / n * walk[:, [-1]]
        share = np.mean(np.max(np.abs(bridge) / np.sqrt(sizes * (n - sizes) / n), axis=1) > 2.2)
        assert exact_gauss(2.2, sizes, n) == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 40_000))

    @pytest.mark.parametrize("bound", [4.0, 6.0, 8.0])
    def test_far_tail_keeps_its_precision(self, bound):
        # the improved Bonferroni bound becomes sharp in the tail, 17 per cent too large at 8
        n, sizes = 200, np.arange(20, 181)
        roots = np.sqrt(n / ((n - sizes[:-1]) * sizes[1:]))
        p = exact_gauss(bound, sizes, n)
        upper = float(lau94(np.array(bound), np.array(roots.sum()), np.array((roots**3).sum())))
        assert {4.0: 0.55, 6.0: 0.7, 8.0: 0.8}[bound] * upper < p < upper

    def test_monotone_in_the_bound(self):
        sizes = np.arange(5, 46)
        values = [exact_gauss(b, sizes, 50) for b in (0.1, 0.5, 1, 2, 3, 4)]
        assert all(0 < low < high <= 1 for high, low in itertools.pairwise(values))
        assert exact_gauss(0.0, sizes, 50) == 1.0


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(8)
    n = 150
    markers = rng.normal(size=(n, 200))
    markers[:, :60] = np.round(markers[:, :60], 1)
    markers[:, 60] = 1.0
    markers[:, 61] = np.where(rng.random(n) < 0.5, 0.0, -0.0)
    # neighbouring doubles: equal in their leading bits
    markers[:, 62] = 1.0 + rng.integers(0, 6, n) * 2.0**-52
    markers[:, 63] = np.where(rng.random(n) < 0.3, -1e-300, 1e300 * rng.random(n))
    return markers, rng.exponential(size=n), (rng.random(n) < 0.6).astype(int)


class TestScreen:
    def test_min_is_the_smaller_bound(self, data):
        first, second, least = (maxstat_screen(*data, p_method=method).p for method in ("lau92", "lau94", "min"))
        np.testing.assert_array_equal(least, np.minimum(first, second))
        assert (first < second).any()
        assert (second < first).any()

    @pytest.mark.parametrize("p_method", ["lau92", "lau94"])
    def test_equals_the_single_test(self, data, p_method):
        markers, time, event = data
        screen = maxstat_screen(markers, time, event, p_method=p_method)
        for j in range(0, 200, 3):
            single = maxstat(time, event, markers[:, j], p_method=p_method)
            for name in ("statistic", "cutpoint", "p"):
                np.testing.assert_allclose(getattr(screen, name)[j], getattr(single, name), rtol=1e-12)
            assert screen.n_low[j] == single.n_low
        assert np.isnan(screen.p[60:62]).all()
        assert screen.status == "ok"

    def test_threads_do_not_change_a_bit(self, data):
        one, three = (maxstat_screen(*data, threads=threads) for threads in (1, 3))
        for name in ("statistic", "cutpoint", "p", "n_low"):
            np.testing.assert_array_equal(getattr(one, name), getattr(three, name))

    def test_layout_in_memory_does_not_matter(self, data):
        markers, time, event = data
        one = maxstat_screen(markers[:, :10], time, event)
        other = maxstat_screen(np.asfortranarray(markers)[:, :10], time, event)
        np.testing.assert_array_equal(one.statistic, other.statistic)

    def test_not_estimable_and_refused(self, data):
        markers, time, event = data
        assert maxstat_screen(markers, time, event * 0).status == "not_estimable"
        assert maxstat_screen(markers[:, 60:62], time, event).status == "not_estimable"
        with pytest.raises(InvalidInputError, match="markers"):
            maxstat_screen(np.where(markers > 3, np.nan, markers), time, event)
        with pytest.raises(InvalidInputError, match="p_method"):
            maxstat_screen(markers, time, event, p_method="hl")


@pytest.mark.slow
def test_p_values_under_the_null():
    """Permutation p values are uniform; the bounds and the Gaussian limit do not reject more often than stated."""
    rng = np.random.default_rng(30)
    runs = 1000
    p = np.empty((runs, 5))
    for k in range(runs):
        time, event = rng.exponential(size=100), (rng.random(100) < 0.7).astype(int)
        marker = rng.normal(size=100)
        p[k, 0] = maxstat(time, event, marker, p_method="condmc", draws=400, rng=rng).p
        for j, method in enumerate(("lau92", "lau94", "exact_gauss"), start=1):
            p[k, j] = maxstat(time, event, marker, p_method=method).p
        p[k, 4] = maxstat_screen(marker, time, event).p[0]
    assert kstest(p[:, 0], "uniform").pvalue > 0.01
    allowed = {level: level + 3 * np.sqrt(level * (1 - level) / runs) for level in (0.05, 0.1)}
    for level, most in allowed.items():
        assert (np.mean(p <= level, axis=0) <= most).all()
        assert np.mean(p[:, 0] <= level) >= level - 3 * np.sqrt(level * (1 - level) / runs)


@pytest.mark.slow
def test_hothorn_lausen_under_the_null():
    rng = np.random.default_rng(31)
    p = np.array(
        [
            maxstat(rng.exponential(size=30), rng.random(30) < 0.7, rng.normal(size=30), p_method="hl").p
            for _ in range(1000)
        ]
    )
    assert np.mean(p <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1000)
    assert np.mean(p <= 0.05) > 0.01
