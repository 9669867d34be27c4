"""Exact conditional tests: Fisher's test of an r x c table and the permutation distribution of a rank sum.

Both are own implementations: scipy's ``fisher_exact`` draws at random for tables larger than 2 x 2, and its exact
Mann-Whitney distribution is wrong with ties.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from trialstrat.stats.kernels.exact_tables import choice_bounds, expand_pairs

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Tables whose probability exceeds the observed one by less than this factor count as equally likely (as in R).
_RELATIVE_TIE = 1e-7
_MERGE = 1e9
#: Pairs of a partial table and a way to fill its next row that are looked at in one stage (some seconds).
_MOST_PAIRS = 1e9
_MOST_STATES = 4_000_000
#: Work allowed for a rank-sum distribution (patients x smaller group x largest sum), some seconds.
_MOST_RANK_STEPS = 1e9


class TooLargeError(Exception):
    """The exact distribution would need too much memory or time; internal, turned into a result that says so."""


def fisher_p(table: IntArray) -> float:
    """Two-sided p of Fisher's exact test: total probability of tables not more likely than the observed one.

    Parameters
    ----------
    table : integer array of shape (r, c)
        Counts, no empty row or column, r and c at least 2.

    Raises
    ------
    TooLargeError
        When too many partial tables would have to be kept.

    Notes
    -----
    Rows are added one at a time. Partial tables with the same column totals left and the same probability are merged;
    bounds on what the remaining rows can contribute decide early for whole families of tables.

    References
    ----------
    Mehta & Patel 1983, JASA 78, 427-434.
    """
    counts = table if table.shape[1] <= table.shape[0] else table.T
    network = _Network.build(counts)
    nodes, values, copies = network.start[None, :], np.zeros(1), np.ones(1)
    probability = 0.0
    for stage in range(network.rows.size):
        decided, nodes, values, copies = network.expand(stage, nodes, values, copies)
        probability += decided
        if values.size == 0:
            break
    return min(probability, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Network:
    """Stages are rows of the table; a node of a stage is the vector of column totals left for the rows from there on.

    ``longest`` and ``shortest`` hold, per stage and node code, the largest and smallest value of -sum log x! that the
    remaining rows can add (-inf and inf at impossible nodes). ``limit`` is the value of the observed table;
    ``constant`` turns a value into a log probability.
    """

    rows: IntArray
    start: IntArray
    radix: IntArray
    log_factorial: FloatArray
    limit: float
    constant: float
    longest: list[FloatArray]
    shortest: list[FloatArray]

    @classmethod
    def build(cls, counts: IntArray) -> _Network:
        rows, start = counts.sum(axis=1), counts.sum(axis=0)
        sizes = start[:-1] + 1
        size = float(np.prod(sizes.astype(np.float64)))
        work = sum(size * _count_compositions(int(row), start.size) for row in rows[:-1])
        if work > _MOST_PAIRS:
            raise TooLargeError
        log_factorial = gammaln(np.arange(int(counts.sum()) + 1) + 1.0)
        network = cls(
            rows=rows,
            start=start,
            radix=np.concatenate([[1], np.cumprod(sizes)[:-1]]).astype(np.int64),
            log_factorial=log_factorial,
            limit=float(-log_factorial[counts].sum()) + float(np.log1p(_RELATIVE_TIE)),
            constant=float(log_factorial[rows].sum() + log_factorial[start].sum() - log_factorial[counts.sum()]),
            longest=[np.full(int(size), -np.inf) for _ in range(rows.size + 1)],
            shortest=[np.full(int(size), np.inf) for _ in range(rows.size + 1)],
        )
        network.longest[-1][0] = network.shortest[-1][0] = 0.0
        network._fill_bounds(int(size))
        return network

    def expand(
        self, stage: int, nodes: IntArray, values: FloatArray, copies: FloatArray
    ) -> tuple[float, IntArray, FloatArray, FloatArray]:
        """Fill the row of ``stage`` in every way.

        Returns the probability of all tables that this decides, and the partial tables that remain undecided, those
        that cannot be told apart merged.
        """
        choices = _compositions(int(self.rows[stage]), self.start)
        if values.size * float(choices.shape[0]) > _MOST_PAIRS:
            raise TooLargeError
        added = -self.log_factorial[choices].sum(axis=1)
        longest, shortest = self.longest[stage + 1], self.shortest[stage + 1]
        rows_left = self.rows[stage + 1 :]
        completions = float(self.log_factorial[rows_left.sum()] - self.log_factorial[rows_left].sum())
        masses, left, chosen = expand_pairs(
            nodes, values, choices, added, self.radix, longest, shortest, self.limit, self.constant + completions
        )
        if left.size > _MOST_STATES:
            raise TooLargeError
        decided = float(copies @ masses)
        below = nodes[left] - choices[chosen]
        return decided, *_merge(below[:, :-1] @ self.radix, below, values[left] + added[chosen], copies[left])

    def _fill_bounds(self, size: int) -> None:
        """Backward recursion over the stages: the best and the worst choice of every row."""
        grid = np.stack(np.unravel_index(np.arange(size), tuple(self.start[:-1] + 1), order="F"), axis=1)
        for stage in range(self.rows.size - 1, -1, -1):
            last_column = self.rows[stage:].sum() - grid.sum(axis=1)
            nodes = np.column_stack([grid, last_column])
            where = np.flatnonzero((last_column >= 0) & (last_column <= self.start[-1]))
            self._best_choice(stage, nodes, where)

    def _best_choice(self, stage: int, nodes: IntArray, where: IntArray) -> None:
        if stage == self.rows.size - 1:
            self.longest[stage][where] = -self.log_factorial[nodes[where]].sum(axis=1)
            self.shortest[stage][where] = self.longest[stage][where]
            return
        choices = _compositions(int(self.rows[stage]), self.start)
        added = -self.log_factorial[choices].sum(axis=1)
        self.longest[stage][where], self.shortest[stage][where] = choice_bounds(
            nodes[where], choices, added, self.radix, self.longest[stage + 1], self.shortest[stage + 1]
        )


def _count_compositions(total: int, parts: int) -> float:
    """Number of vectors of ``parts`` non-negative integers with this sum."""
    return float(comb(total + parts - 1, parts - 1))


def _compositions(total: int, caps: IntArray) -> IntArray:
    """All vectors of non-negative integers with this sum and at most ``caps``, (m, c)."""
    vectors = np.zeros((1, 0), dtype=np.int64)
    for cap in caps[:-1]:
        room = np.minimum(total - vectors.sum(axis=1), cap) + 1
        repeated = np.repeat(vectors, room, axis=0)
        value = np.arange(room.sum()) - np.repeat(np.cumsum(room) - room, room)
        vectors = np.column_stack([repeated, value])
    left = total - vectors.sum(axis=1)
    return np.column_stack([vectors, left])[left <= caps[-1]]


def _merge(
    codes: IntArray, nodes: IntArray, values: FloatArray, copies: FloatArray
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Add up the copies of partial tables with the same node and, to rounding, the same value."""
    if values.size == 0:
        return nodes, values, copies
    key = np.rint(values * _MERGE).astype(np.int64)
    order = np.lexsort((key, codes))
    key, codes = key[order], codes[order]
    new = np.concatenate([[True], (np.diff(key) != 0) | (np.diff(codes) != 0)])
    first = order[new]
    return nodes[first], values[first], np.add.reduceat(copies[order], np.flatnonzero(new))


def rank_sum_p(ranks: FloatArray, members: npt.NDArray[np.bool_]) -> float:
    """Two-sided exact p of the rank sum of ``members`` among all subsets of their size.

    Parameters
    ----------
    ranks : array of shape (n,)
        Mid-ranks; ties are allowed, the distribution is conditional on them.
    members : boolean array of shape (n,)
        The first group.

    Returns
    -------
    float
        Twice the smaller tail probability (the observed sum included), at most 1.

    Raises
    ------
    TooLargeError
        When the distribution would take too long.

    References
    ----------
    Streitberg & Roehmel 1986, Statistical Software Newsletter 12, 10-18 (shift algorithm).
    """
    doubled = np.rint(2.0 * ranks).astype(np.int64)
    if members.sum() > (~members).sum():
        members = ~members
    size = int(members.sum())
    doubled = doubled - doubled.min()
    doubled //= max(1, int(np.gcd.reduce(doubled)))
    largest = int(np.sort(doubled)[-size:].sum())
    if ranks.size * size * largest > _MOST_RANK_STEPS:
        raise TooLargeError
    counts = np.zeros((size + 1, largest + 1))
    counts[0, 0] = 1.0
    for score in doubled:
        counts[1:, score:] += counts[:-1, : largest + 1 - score].copy()
    distribution = counts[size] / counts[size].sum()
    observed = int(doubled[members].sum())
    tails = distribution[: observed + 1].sum(), distribution[observed:].sum()
    return float(min(1.0, 2.0 * min(tails)))
