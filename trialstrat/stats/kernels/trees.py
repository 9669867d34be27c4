"""Walking patients down exported decision trees."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def reached_leaves(
    values: np.ndarray,
    roots: np.ndarray,
    feature: np.ndarray,
    threshold: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
) -> np.ndarray:
    """(trees, n) node in which each row of ``values`` (n, p; float32) ends, tree by tree.

    ``roots`` (trees,) first node of each tree; ``feature`` -1 marks a leaf; a value at the threshold goes left.
    """
    trees, n = roots.shape[0], values.shape[0]
    out = np.empty((trees, n), dtype=np.int32)
    for tree in range(trees):
        for row in range(n):
            node = roots[tree]
            while feature[node] >= 0:
                node = left[node] if values[row, feature[node]] <= threshold[node] else right[node]
            out[tree, row] = node
    return out
