"""All conjunctions of splits of different markers, as signed sums of a few base masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from trialstrat.protocol.model import Condition
from trialstrat.subgroups.literals import Splits

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Float32 = NDArray[np.float32]

#: Splits per marker that may enter a rule of three conditions: those that come closest to halves and outer quarters.
COARSE = (0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conjunctions:
    """r rules over n patients.

    Attributes
    ----------
    base : (rows, n) float32
        Masks of which every rule is a signed sum; row 0 is everybody.
    terms, signs, width : (r, k), (r, k), (r,)
        Rows of ``base``, their signs, and how many of the k are used.
    members_of : (r, 3) int
        Splits of a rule (-1: none); ``high`` (r, 3) bool says which side.
    depth : (r,)
        Number of conditions.
    """

    splits: Splits
    base: Float32
    terms: NDArray[np.int32]
    signs: NDArray[np.int8]
    width: NDArray[np.int32]
    members_of: NDArray[np.int32]
    high: Bools
    depth: NDArray[np.int64]

    @property
    def size(self) -> int:
        """Number of rules."""
        return len(self.depth)

    def conditions(self, rule: int) -> tuple[Condition, ...]:
        """The conditions of a rule, in the order of the markers."""
        used = [(int(s), bool(h)) for s, h in zip(self.members_of[rule], self.high[rule], strict=True) if s >= 0]
        return tuple(self.splits.high[s] if h else self.splits.low[s] for s, h in used)

    def members(self, rule: int) -> Bools:
        """Who meets all conditions of a rule (n,); an unknown value does not."""
        out = np.ones(self.base.shape[1], dtype=np.bool_)
        for s, h in zip(self.members_of[rule], self.high[rule], strict=True):
            if s >= 0:
                mask = self.splits.masks[s]
                out &= (self.splits.known[self.splits.marker[s]] & ~mask) if h else mask
        return out

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of ``values`` (n,) over the patients of every rule (r,)."""
        rows = self.base.astype(np.float64) @ values
        out = np.zeros(self.size)
        for k in range(self.terms.shape[1]):
            out += self.signs[:, k] * rows[self.terms[:, k]]
        return out

    def keep(self, which: Bools) -> Conjunctions:
        """The rules of a mask (r,)."""
        return Conjunctions(
            splits=self.splits, base=self.base, terms=self.terms[which], signs=self.signs[which],
            width=self.width[which], members_of=self.members_of[which], high=self.high[which],
            depth=self.depth[which],
        )  # fmt: skip


def conjunctions(made: Splits, max_conditions: int) -> Conjunctions:
    """All rules of one to ``max_conditions`` conditions on different markers.

    Of a single split one side is listed (the other is its complement); of two and three splits all sides. Rules of
    three conditions use a coarser grid: per marker the splits nearest to :data:`COARSE`.
    """
    blocks = [_block(made, np.arange(len(made.marker))[:, None], (False,), max_conditions)]
    for depth in range(2, max_conditions + 1):
        pool = np.arange(len(made.marker)) if depth == 2 else _coarse(made)
        chosen = np.array(list(combinations(pool.tolist(), depth)), dtype=np.int64).reshape(-1, depth)
        owner = np.sort(made.marker[chosen], axis=1)
        chosen = chosen[(np.diff(owner, axis=1) > 0).all(axis=1)]
        blocks += [_block(made, chosen, side, max_conditions) for side in product((False, True), repeat=depth)]
    keys, signs, members, high, width = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    found, rows = np.unique(np.append(keys.ravel(), 0), return_inverse=True)
    return Conjunctions(
        splits=made, base=_base(made, found, max_conditions), terms=rows[:-1].reshape(keys.shape).astype(np.int32),
        signs=signs, width=width, members_of=members, high=high, depth=(members >= 0).sum(axis=1).astype(np.int64),
    )  # fmt: skip


def _block(
    made: Splits, chosen: Ints, side: Sequence[bool], most: int
) -> tuple[Ints, NDArray[np.int8], NDArray[np.int32], Bools, NDArray[np.int32]]:
    """Rules of one pattern of sides: keys and signs of their terms, their splits and sides, and how many terms.

    The product over sides of ``low`` or ``known - low`` is multiplied out. A term is a set of atoms (0 nothing, then
    the splits' low sides, then "value known" of the markers with unknown values), written as one whole number.
    """
    count, depth = chosen.shape
    complete: Bools = np.asarray(made.known.all(axis=1))
    owner = made.marker[chosen]
    low = chosen + 1
    known = np.where(complete[owner], 0, len(made.marker) + 1 + owner)
    size = len(made.marker) + len(made.markers) + 1
    keys = np.zeros((count, 2**most), dtype=np.int64)
    signs = np.zeros((count, 2**most), dtype=np.int8)
    picks = list(product(*[(False, True) if h else (True,) for h in side]))
    for k, pick in enumerate(picks):
        atoms = np.sort(np.where(np.array(pick), low, known), axis=1)
        for j in range(depth):
            keys[:, k] = keys[:, k] * size + atoms[:, j]
        signs[:, k] = (-1) ** sum(p and h for p, h in zip(pick, side, strict=True))
    members = np.full((count, 3), -1, dtype=np.int32)
    members[:, :depth] = chosen
    high = np.zeros((count, 3), dtype=np.bool_)
    high[:, :depth] = side
    return keys, signs, members, high, np.full(count, len(picks), dtype=np.int32)


def _base(made: Splits, keys: Ints, most: int) -> Float32:
    """The masks of the terms (rows, n), row 0 everybody."""
    n = made.masks.shape[1]
    atoms = np.concatenate([np.ones((1, n)), made.masks, made.known]).astype(np.float32)
    size = len(made.marker) + len(made.markers) + 1
    out = np.ones((len(keys), n), dtype=np.float32)
    rest = keys
    for _ in range(most):
        out *= atoms[rest % size]
        rest = rest // size
    return out


def _coarse(made: Splits) -> Ints:
    share = made.masks.mean(axis=1)
    kept: set[int] = set()
    for at in range(len(made.markers)):
        own = np.flatnonzero(made.marker == at)
        kept |= {int(own[np.argmin(np.abs(share[own] - q))]) for q in COARSE if own.size}
    return np.array(sorted(kept), dtype=np.int64)
