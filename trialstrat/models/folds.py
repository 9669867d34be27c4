"""Materialised folds: which rows train and which are held out, with matrices that only the training rows shaped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trialstrat.features import FeatureSetChoice, FeatureSpec, build, fit_spec
from trialstrat.models.base import Bools, Floats
from trialstrat.stats.resampling import stratified_folds

if TYPE_CHECKING:
    from trialstrat.cohort.cohort import Cohort

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OuterFold:
    """Rows of one outer fold; ``inner`` holds (training, held-out) rows, all of them inside ``train``.

    The last refit on everybody is a fold too: its ``test`` is empty.
    """

    number: int
    train: Rows
    test: Rows
    inner: tuple[tuple[Rows, Rows], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """One pair of training and held-out rows with its design matrices, made by ``spec`` of the training rows."""

    train: Rows
    test: Rows
    X_train: Floats
    X_test: Floats
    spec: FeatureSpec


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoldData:
    """The matrices of one outer fold and one feature set."""

    number: int
    outer: Split
    inner: tuple[Split, ...]


def outer_count(cohort: Cohort) -> int:
    """How many outer folds there are: as declared, or one for each group that is left out in turn."""
    declared = cohort.protocol.models
    if declared.outer == "folds" or cohort.groups is None:
        return declared.outer_folds
    return len(set(cohort.groups))


def outer_folds(
    rows: Rows,
    event: Bools,
    arm: NDArray[np.object_] | None,
    groups: NDArray[np.object_] | None,
    *,
    outer: int,
    inner: int,
    repeats: int,
    rng: np.random.Generator,
) -> tuple[OuterFold, ...]:
    """Every outer fold of every repeat, numbered from 0, and the refit on all ``rows`` at the end.

    ``event``, ``arm`` and ``groups`` have one entry per patient of the cohort. Folds are balanced in events and arms
    and keep groups together (as many folds as groups: each group is left out once); inner folds are drawn once per
    outer fold and shared by all engines and feature sets.
    """

    def drawn(among: Rows, k: int, together: NDArray[np.object_] | None) -> NDArray[np.int64]:
        own_arm, own_groups = (None if column is None else column[among] for column in (arm, together))
        return stratified_folds(event[among], own_arm, own_groups, k, rng)

    pairs: list[tuple[Rows, Rows]] = []
    for _ in range(repeats):
        label = drawn(rows, outer, groups)
        pairs += [(rows[label != fold], rows[label == fold]) for fold in range(outer)]
    pairs.append((rows, rows[:0]))
    out: list[OuterFold] = []
    for number, (train, test) in enumerate(pairs):
        # where one group is left, its patients are split: there is nothing to keep apart
        kept = groups is not None and len(set(groups[train])) > 1
        k = min(inner, len(set(groups[train]))) if kept and groups is not None else inner
        label = drawn(train, k, groups if kept else None)
        splits = tuple((train[label != fold], train[label == fold]) for fold in range(k))
        out.append(OuterFold(number=number, train=train, test=test, inner=splits))
    return tuple(out)


def materialise(cohort: Cohort, choice: FeatureSetChoice, fold: OuterFold, time: Floats, event: Bools) -> FoldData:
    """Learn a specification on every training part of the fold, and encode both parts with it."""

    def split(train: Rows, test: Rows) -> Split:
        spec = fit_spec(cohort, choice, train, time, event)
        return Split(
            train=train,
            test=test,
            X_train=build(cohort, spec, train).values,
            X_test=build(cohort, spec, test).values,
            spec=spec,
        )

    inner = tuple(split(train, test) for train, test in fold.inner)
    return FoldData(number=fold.number, outer=split(fold.train, fold.test), inner=inner)
