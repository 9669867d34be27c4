"""Exact tests against complete enumeration."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats
from scipy.special import gammaln

from trialstrat.stats.balance import table_test
from trialstrat.stats.exact_tests import TooLargeError, fisher_p, rank_sum_p


def enumerated_p(table):
    """Sum over all tables with the margins of ``table``, cell by cell."""
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    free = [range(int(min(r, c)) + 1) for r in rows[:-1] for c in columns[:-1]]
    logs = []
    for cells in product(*free):
        full = np.zeros(table.shape)
        full[:-1, :-1] = np.reshape(cells, (rows.size - 1, columns.size - 1))
        full[:-1, -1] = rows[:-1] - full[:-1, :-1].sum(axis=1)
        full[-1] = columns - full[:-1].sum(axis=0)
        if (full >= 0).all():
            logs.append(-gammaln(full + 1).sum())
    logs = np.array(logs)
    probability = np.exp(logs - logs.max())
    probability /= probability.sum()
    observed = -gammaln(table + 1).sum()
    return probability[logs <= observed + 1e-7].sum()


@pytest.mark.parametrize(
    "table",
    [
        [[3, 1], [1, 4]],
        [[5, 0], [2, 3], [1, 4]],
        [[2, 3, 1], [0, 4, 2], [3, 0, 1]],
        [[1, 2], [2, 1], [4, 0], [0, 3]],
        [[2, 0, 1, 1], [0, 3, 1, 0]],
        [[4, 4], [4, 4]],
    ],
)
def test_fisher_by_enumeration(table):
    counts = np.array(table)
    assert fisher_p(counts) == pytest.approx(enumerated_p(counts), rel=1e-10)
    assert fisher_p(counts.T) == pytest.approx(enumerated_p(counts), rel=1e-10)


def test_fisher_of_a_two_by_two_table_agrees_with_another_library():
    rng = np.random.default_rng(2)
    for _ in range(30):
        table = rng.integers(0, 30, (2, 2)) + np.array([[1, 0], [0, 1]])
        assert fisher_p(table) == pytest.approx(stats.fisher_exact(table).pvalue, rel=1e-8)


def test_fisher_does_not_depend_on_the_order_of_rows_and_columns():
    table = np.array([[7, 2, 1], [3, 6, 4], [0, 2, 5], [1, 1, 8]])
    expected = fisher_p(table)
    assert fisher_p(table[[2, 0, 3, 1]][:, [1, 2, 0]]) == pytest.approx(expected, rel=1e-10)
    assert 0 < expected < 1


def test_a_table_out_of_reach_says_so():
    rng = np.random.default_rng(4)
    table = rng.integers(100, 200, (4, 4))
    with pytest.raises(TooLargeError):
        fisher_p(table)
    value, group = rng.integers(0, 4, 3000), rng.integers(0, 4, 3000)
    found = table_test(value, group, kind="fisher")
    assert found.status == "not_estimable"
    assert "chi-square" in found.reason


def test_rank_sum_with_ties_by_enumeration():
    value = np.array([1, 1, 2, 3, 3, 3, 4, 5, 5.0])
    ranks = stats.rankdata(value)
    for members in ([0, 2, 4], [6, 7, 8], [1, 3], [0, 1, 2, 3, 4, 8]):
        mask = np.isin(np.arange(9), members)
        sums = np.array([ranks[list(one)].sum() for one in combinations(range(9), len(members))])
        observed = ranks[mask].sum()
        expected = min(1.0, 2 * min((sums <= observed).mean(), (sums >= observed).mean()))
        assert rank_sum_p(ranks, mask) == pytest.approx(expected)


def test_rank_sum_without_ties_agrees_with_another_library():
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=17), rng.normal(0.7, size=29)
    ranks = stats.rankdata(np.concatenate([x, y]))
    expected = stats.mannwhitneyu(x, y, method="exact").pvalue
    assert rank_sum_p(ranks, np.arange(46) < 17) == pytest.approx(expected, rel=1e-10)
    assert rank_sum_p(ranks, np.arange(46) >= 17) == pytest.approx(expected, rel=1e-10)


def test_a_rank_sum_out_of_reach_says_so():
    rng = np.random.default_rng(6)
    found = table_test(rng.normal(size=2000), np.repeat([0, 1], 1000), kind="wilcoxon", exact=True)
    assert found.status == "not_estimable"
    assert "normal approximation" in found.reason
