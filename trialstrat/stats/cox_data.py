"""Checked input of a Cox model: what the fit, its residuals, tests and predictions share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trialstrat.errors import InvalidInputError
from trialstrat.stats.checks import check_groups, check_matrix, check_strata, check_survival, check_values
from trialstrat.stats.risk_sets import RiskSets, Ties, risk_sets

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoxData:
    """Rows in the caller's order, close times merged; ``sets`` holds the sorted risk sets.

    ``strata`` are codes into ``stratum_labels``; ``cluster`` are codes or None; ``x`` is (n, p), float64.
    """

    time: Floats
    event: Ints
    entry: Floats | None
    strata: Ints
    stratum_labels: tuple[str, ...]
    weights: Floats
    cluster: Ints | None
    offset: Floats
    x: Floats
    names: tuple[str, ...]
    ties: Ties
    sets: RiskSets

    @property
    def n(self) -> int:
        """Rows analysed: those with a positive weight."""
        return int(np.count_nonzero(self.weights > 0))

    @property
    def events(self) -> int:
        """Events among the rows analysed."""
        return self.sets.events


def cox_data(
    time: ArrayLike,
    event: ArrayLike,
    x: ArrayLike,
    *,
    entry: ArrayLike | None = None,
    strata: ArrayLike | Sequence[ArrayLike] | None = None,
    weights: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    offset: ArrayLike | None = None,
    ties: str = "efron",
    names: Sequence[str] | None = None,
) -> CoxData:
    """Check the arguments of a Cox model and build its risk sets; raises InvalidInputError."""
    data = check_survival(time, event, entry=entry, weights=weights)
    n = data.n
    matrix = check_matrix(x, n, name="X")
    labels = tuple(names) if names is not None else tuple(f"x{j + 1}" for j in range(matrix.shape[1]))
    if len(labels) != matrix.shape[1]:
        raise InvalidInputError(f"names: {len(labels)} names for {matrix.shape[1]} columns; give one name per column")
    if ties not in ("efron", "breslow"):
        raise InvalidInputError("ties: choose 'efron' or 'breslow'")
    codes = check_strata(strata, n)
    mass = np.ones(n) if data.weights is None else data.weights
    return CoxData(
        time=data.time,
        event=data.event,
        entry=data.entry,
        strata=codes,
        stratum_labels=_stratum_labels(strata, codes),
        weights=mass,
        cluster=None if cluster is None else check_groups(cluster, n, name="cluster").codes,
        offset=np.zeros(n) if offset is None else check_values(offset, n, name="offset"),
        x=matrix,
        names=labels,
        ties=ties,
        sets=risk_sets(data.time, data.event, entry=data.entry, strata=codes, weights=mass, ties=ties),
    )


def _stratum_labels(strata: ArrayLike | Sequence[ArrayLike] | None, codes: Ints) -> tuple[str, ...]:
    """The values that make up each stratum, as text; 'all' without strata."""
    if strata is None:
        return ("all",)
    if isinstance(strata, (list, tuple)) and len(strata) > 0 and np.ndim(strata[0]) == 1:
        columns = [np.asarray(column) for column in strata]
    else:
        columns = [np.asarray(strata)]
    rows = np.unique(codes, return_index=True)[1]
    return tuple(", ".join(str(column[row]) for column in columns) for row in rows)
