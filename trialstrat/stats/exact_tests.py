"""Exact conditional tests: Fisher's test of an r x c table and the permutation distribution of a rank sum.

Both are own implementations: scipy's ``fisher_exact`` draws at random for tables larger than 2 x 2, and its exact
Mann-Whitney distribution is wrong with ties.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Tables whose probability exceeds the observed one by less than this factor count as equally likely (as in R).
_RELATIVE_TIE = 1e-7
_MERGE = 1e10
_MOST_STATES = 4_000_000
_CHUNK = 2_000_000
#: Work allowed for a rank-sum distribution (patients x smaller group x largest sum), some seconds.
_MOST_RANK_STEPS = 4e9


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
    limit = float(-network.log_factorial[counts].sum()) + np.log1p(_RELATIVE_TIE)
    totals = network.log_factorial[counts.sum(axis=1)].sum() + network.log_factorial[counts.sum(axis=0)].sum()
    constant = float(totals - network.log_factorial[counts.sum()])
    nodes, values, copies = network.start[None, :], np.zeros(1), np.ones(1)
    probability = 0.0
    for stage in range(network.rows.size):
        code = network.encode(nodes)
        longest, shortest = network.longest[stage][code], network.shortest[stage][code]
        all_count = values + longest <= limit
        if all_count.any():
            mass = values[all_count] + network.completions(stage, nodes[all_count]) + constant
            probability += float(copies[all_count] @ np.exp(mass))
        undecided = ~all_count & (values + shortest <= limit)
        if not undecided.any():
            break
        nodes, values, copies = network.expand(stage, nodes[undecided], values[undecided], copies[undecided])
    return min(probability, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Network:
    """Stages are rows of the table; a node of a stage is the vector of column totals left for the rows from there on.

    ``longest`` and ``shortest`` hold, per stage and node code, the largest and smallest value of -sum log x! that the
    remaining rows can add (-inf and inf at impossible nodes).
    """

    rows: IntArray
    start: IntArray
    radix: IntArray
    log_factorial: FloatArray
    longest: list[FloatArray]
    shortest: list[FloatArray]

    @classmethod
    def build(cls, counts: IntArray) -> _Network:
        rows, start = counts.sum(axis=1), counts.sum(axis=0)
        sizes = start[:-1] + 1
        radix = np.concatenate([[1], np.cumprod(sizes)[:-1]]).astype(np.int64)
        size = int(np.prod(sizes.astype(np.float64)))
        if size > _MOST_STATES:
            raise TooLargeError
        log_factorial = gammaln(np.arange(int(counts.sum()) + 1) + 1.0)
        empty = [np.full(size, -np.inf) for _ in rows]
        network = cls(
            rows=rows,
            start=start,
            radix=radix,
            log_factorial=log_factorial,
            longest=empty,
            shortest=[np.full(size, np.inf) for _ in rows],
        )
        network._fill_bounds(size)
        return network

    def encode(self, nodes: IntArray) -> IntArray:
        """Position of nodes (q, c) in the bound arrays; the last column follows from the others."""
        return nodes[:, :-1] @ self.radix

    def completions(self, stage: int, nodes: IntArray) -> FloatArray:
        """Log of the sum over all completions from ``stage`` on of the product of 1 / x!."""
        left = self.rows[stage:]
        total = self.log_factorial[left.sum()] - self.log_factorial[left].sum()
        return total - self.log_factorial[nodes].sum(axis=1)

    def expand(
        self, stage: int, nodes: IntArray, values: FloatArray, copies: FloatArray
    ) -> tuple[IntArray, FloatArray, FloatArray]:
        """All ways to fill the row of ``stage``, partial tables that cannot be told apart merged."""
        choices = _compositions(int(self.rows[stage]), self.start)
        added = -self.log_factorial[choices].sum(axis=1)
        parts: list[tuple[IntArray, FloatArray, FloatArray]] = []
        for chunk in np.array_split(np.arange(values.size), _chunks(values.size, added.size)):
            rest = nodes[chunk][:, None, :] - choices[None, :, :]
            left, choice = np.nonzero((rest >= 0).all(axis=2))
            parts.append(_merge(rest[left, choice], values[chunk][left] + added[choice], copies[chunk][left]))
        if sum(part[1].size for part in parts) > _MOST_STATES:
            raise TooLargeError
        joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
        return _merge(joined[0], joined[1], joined[2])

    def _fill_bounds(self, size: int) -> None:
        """Backward recursion: the last row takes what is left, every other row the best or worst of its choices."""
        grid = np.stack(np.unravel_index(np.arange(size), tuple(self.start[:-1] + 1), order="F"), axis=1)
        for stage in range(self.rows.size - 1, -1, -1):
            last_column = self.rows[stage:].sum() - grid.sum(axis=1)
            nodes = np.column_stack([grid, last_column])
            possible = (last_column >= 0) & (last_column <= self.start[-1])
            where = np.flatnonzero(possible)
            if stage == self.rows.size - 1:
                self.longest[stage][where] = -self.log_factorial[nodes[where]].sum(axis=1)
                self.shortest[stage][where] = self.longest[stage][where]
            else:
                self._best_choice(stage, nodes, where)

    def _best_choice(self, stage: int, nodes: IntArray, where: IntArray) -> None:
        choices = _compositions(int(self.rows[stage]), self.start)
        added = -self.log_factorial[choices].sum(axis=1)
        for chunk in np.array_split(where, _chunks(where.size, added.size)):
            rest = nodes[chunk][:, None, :] - choices[None, :, :]
            fits = (rest >= 0).all(axis=2)
            code = np.where(fits, rest[:, :, :-1] @ self.radix, 0)
            self.longest[stage][chunk] = np.where(fits, self.longest[stage + 1][code] + added, -np.inf).max(axis=1)
            self.shortest[stage][chunk] = np.where(fits, self.shortest[stage + 1][code] + added, np.inf).min(axis=1)


def _chunks(rows: int, width: int) -> int:
    return max(1, int(np.ceil(rows * width / _CHUNK)))


def _compositions(total: int, caps: IntArray) -> IntArray:
    """All vectors of non-negative integers with this sum and at most ``caps``, (m, c)."""
    vectors = np.zeros((1, 0), dtype=np.int64)
    for position, cap in enumerate(caps):
        left = total - vectors.sum(axis=1)
        if position == caps.size - 1:
            vectors = np.column_stack([vectors, left])[left <= cap]
            break
        room = np.minimum(left, cap) + 1
        if room.sum() > _MOST_STATES:
            raise TooLargeError
        repeated = np.repeat(vectors, room, axis=0)
        value = np.arange(room.sum()) - np.repeat(np.cumsum(room) - room, room)
        vectors = np.column_stack([repeated, value])
    return vectors


def _merge(nodes: IntArray, values: FloatArray, copies: FloatArray) -> tuple[IntArray, FloatArray, FloatArray]:
    """Add up the copies of partial tables with the same node and, to rounding, the same value."""
    key = np.column_stack([nodes[:, :-1], np.rint(values * _MERGE).astype(np.int64)])
    _, first, group = np.unique(key, axis=0, return_index=True, return_inverse=True)
    return nodes[first], values[first], np.bincount(group.ravel(), weights=copies).astype(np.float64)


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
