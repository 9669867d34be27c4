"""Decision trees as arrays: exported from the engine that grew them, walked by our own code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

NAMES = ("roots", "feature", "threshold", "left", "right")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trees:
    """Trees one after the other: ``roots`` (t,) first node of each; per node feature (-1 leaf), threshold, children."""

    roots: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]

    @classmethod
    def export(cls, trees: Iterable[Any]) -> Self:
        """Copy the structure of fitted scikit-learn trees (their ``tree_`` objects)."""
        grown = list(trees)
        sizes = np.array([tree.node_count for tree in grown], dtype=np.int32)
        roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32)
        shift = np.repeat(roots, sizes)
        left = np.concatenate([tree.children_left for tree in grown])
        right = np.concatenate([tree.children_right for tree in grown])
        leaf = left < 0
        return cls(
            roots=roots,
            feature=np.where(leaf, -1, np.concatenate([tree.feature for tree in grown])).astype(np.int32),
            threshold=np.concatenate([tree.threshold for tree in grown]).astype(np.float64),
            left=np.where(leaf, -1, left + shift).astype(np.int32),
            right=np.where(leaf, -1, right + shift).astype(np.int32),
        )

    def leaves(self, X: NDArray[np.float64]) -> NDArray[np.int32]:
        """(t, n) node in which each row ends. Features are compared in single precision, as they were grown."""
        from trialstrat.stats.kernels.trees import reached_leaves

        values = np.ascontiguousarray(X, dtype=np.float32)
        return reached_leaves(values, self.roots, self.feature, self.threshold, self.left, self.right)

    def first(self, count: int) -> Trees:
        """The first ``count`` trees."""
        stop = int(self.roots[count]) if count < self.roots.size else self.feature.size
        return Trees(
            roots=self.roots[:count],
            feature=self.feature[:stop],
            threshold=self.threshold[:stop],
            left=self.left[:stop],
            right=self.right[:stop],
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by name."""
        return {name: getattr(self, name) for name in NAMES}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Inverse of :meth:`arrays`."""
        return cls(**{name: arrays[name] for name in NAMES})
