"""Inner loops of Fisher's exact test: every way to fill the next row of every partial table.

A node is the vector of column totals that are left, coded by its all but last entries times ``radix``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@njit(cache=True, nogil=True)
def choice_bounds(
    nodes: IntArray,
    choices: IntArray,
    added: FloatArray,
    radix: IntArray,
    next_longest: FloatArray,
    next_shortest: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Largest and smallest value (q,) that the remaining rows can add at nodes (q, c), over choices (m, c)."""
    longest = np.full(nodes.shape[0], -np.inf)
    shortest = np.full(nodes.shape[0], np.inf)
    for node in range(nodes.shape[0]):
        for choice in range(choices.shape[0]):
            code = _code_below(nodes[node], choices[choice], radix)
            if code < 0:
                continue
            high = added[choice] + next_longest[code]
            low = added[choice] + next_shortest[code]
            longest[node] = max(longest[node], high)
            shortest[node] = min(shortest[node], low)
    return longest, shortest


@njit(cache=True, nogil=True)
def expand_pairs(
    nodes: IntArray,
    values: FloatArray,
    choices: IntArray,
    added: FloatArray,
    radix: IntArray,
    next_longest: FloatArray,
    next_shortest: FloatArray,
    limit: float,
    constant: float,
) -> tuple[FloatArray, IntArray, IntArray]:
    """Decide every pair of a partial table and a choice.

    Returns the ``masses`` (q,), per partial table the probability of all tables whose choice makes every completion
    count (``constant`` is what the logarithm needs beside the factorials of what is left), and the positions of
    partial table and choice of the pairs that stay undecided.
    """
    undecided = np.zeros(nodes.shape[0], dtype=np.int64)
    masses = np.zeros(nodes.shape[0])
    log_factorial = _log_factorials(nodes.max() if nodes.size else 0)
    for node in range(nodes.shape[0]):
        for choice in range(choices.shape[0]):
            code = _code_below(nodes[node], choices[choice], radix)
            if code < 0:
                continue
            value = values[node] + added[choice]
            if value + next_longest[code] <= limit:
                rest = value
                for column in range(nodes.shape[1]):
                    rest -= log_factorial[nodes[node, column] - choices[choice, column]]
                masses[node] += np.exp(rest + constant)
            elif value + next_shortest[code] <= limit:
                undecided[node] += 1
    total = undecided.sum()
    left = np.empty(total, dtype=np.int64)
    chosen = np.empty(total, dtype=np.int64)
    at = 0
    for node in range(nodes.shape[0]):
        if undecided[node] == 0:
            continue
        for choice in range(choices.shape[0]):
            code = _code_below(nodes[node], choices[choice], radix)
            if code < 0:
                continue
            value = values[node] + added[choice]
            if value + next_longest[code] > limit and value + next_shortest[code] <= limit:
                left[at] = node
                chosen[at] = choice
                at += 1
    return masses, left, chosen


@njit(cache=True, nogil=True)
def _code_below(node: IntArray, choice: IntArray, radix: IntArray) -> int:
    """Code of the node that is left after a choice; -1 when the choice does not fit."""
    code = 0
    last = node.shape[0] - 1
    for column in range(last):
        rest = node[column] - choice[column]
        if rest < 0:
            return -1
        code += rest * radix[column]
    if node[last] < choice[last]:
        return -1
    return code


@njit(cache=True, nogil=True)
def _log_factorials(largest: int) -> FloatArray:
    out = np.zeros(largest + 1)
    for n in range(1, largest + 1):
        out[n] = out[n - 1] + np.log(n)
    return out
