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


class _Base:
    """Products of masks, each made once. Atoms are split numbers, or ``-1 - marker`` for "value known"."""

    def __init__(self, made: Splits) -> None:
        self._made = made
        self._complete: Bools = np.asarray(made.known.all(axis=1))
        self._row: dict[tuple[int, ...], int] = {(): 0}

    def row(self, atoms: Sequence[int]) -> int:
        key = tuple(sorted(a for a in atoms if a >= 0 or not self._complete[-1 - a]))
        return self._row.setdefault(key, len(self._row))

    def matrix(self) -> Float32:
        n = self._made.masks.shape[1]
        low, known = self._made.masks.astype(np.float32), self._made.known.astype(np.float32)
        out = np.ones((len(self._row), n), dtype=np.float32)
        for key, row in self._row.items():
            for atom in key:
                out[row] *= low[atom] if atom >= 0 else known[-1 - atom]
        return out


def conjunctions(made: Splits, max_conditions: int) -> Conjunctions:
    """All rules of one to ``max_conditions`` conditions on different markers.

    Of a single split one side is listed (the other is its complement); of two and three splits all sides. Rules of
    three conditions use a coarser grid: per marker the splits nearest to :data:`COARSE`.
    """
    base = _Base(made)
    rules: list[tuple[tuple[int, ...], tuple[bool, ...]]] = [((s,), (False,)) for s in range(len(made.marker))]
    for depth in range(2, max_conditions + 1):
        pool = range(len(made.marker)) if depth == 2 else _coarse(made)
        sides = list(product((False, True), repeat=depth))
        for chosen in combinations(pool, depth):
            if len({int(made.marker[s]) for s in chosen}) == depth:
                rules += [(chosen, side) for side in sides]
    width = 2**max_conditions
    terms = np.zeros((len(rules), width), dtype=np.int32)
    signs = np.zeros((len(rules), width), dtype=np.int8)
    used = np.zeros(len(rules), dtype=np.int32)
    members = np.full((len(rules), 3), -1, dtype=np.int32)
    high = np.zeros((len(rules), 3), dtype=np.bool_)
    marker = made.marker.tolist()
    for r, (chosen, side) in enumerate(rules):
        expanded = _expand(chosen, side, marker)
        used[r] = len(expanded)
        for k, (atoms, sign) in enumerate(expanded):
            terms[r, k], signs[r, k] = base.row(atoms), sign
        members[r, : len(chosen)] = chosen
        high[r, : len(side)] = side
    return Conjunctions(
        splits=made, base=base.matrix(), terms=terms, signs=signs, width=used, members_of=members, high=high,
        depth=(members >= 0).sum(axis=1).astype(np.int64),
    )  # fmt: skip


def _expand(chosen: Sequence[int], side: Sequence[bool], marker: Sequence[int]) -> list[tuple[tuple[int, ...], int]]:
    """The product over sides of ``low`` or ``known - low``, multiplied out."""
    parts: list[tuple[tuple[int, ...], int]] = [((), 1)]
    for s, h in zip(chosen, side, strict=True):
        if h:
            parts = [((*a, atom), v * w) for a, v in parts for atom, w in ((-1 - marker[s], 1), (s, -1))]
        else:
            parts = [((*a, s), v) for a, v in parts]
    return parts


def _coarse(made: Splits) -> list[int]:
    share = made.masks.mean(axis=1)
    kept: set[int] = set()
    for at in range(len(made.markers)):
        own = np.flatnonzero(made.marker == at)
        kept |= {int(own[np.argmin(np.abs(share[own] - q))]) for q in COARSE if own.size}
    return sorted(kept)
