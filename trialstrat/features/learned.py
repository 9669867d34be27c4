"""Columns whose values are learned on training rows: signatures standardised gene by gene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trialstrat.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One gene of a signature with its training mean and standard deviation (1 where it was constant)."""

    column: str
    center: float
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPart:
    """What a marker's value in one batch becomes: ``value * multiply + add``, learned on training rows."""

    batch: str
    multiply: float
    add: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Beside:
    """What belongs to the patients of a frame without being a column of it.

    ``signatures`` are the values (n, genes) of learned signatures by their names; ``batch`` (n,) labels, None without.
    """

    signatures: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    batch: NDArray[np.object_] | None = None

    def genes(self, name: str) -> pd.DataFrame:
        """The gene values of a signature.

        Raises
        ------
        InvalidInputError
            They are not there.
        """
        if name not in self.signatures:
            raise InvalidInputError(
                f"the model needs the genes of signature {name!r}; derive them as the protocol says"
            )
        return self.signatures[name]


def learned_parts(genes: pd.DataFrame) -> tuple[Part, ...]:
    """Location and scale of each gene in the given (training) rows; a gene without any value there is left out."""
    parts = []
    for name in genes.columns:
        values = np.asarray(genes[name], dtype=np.float64)
        known = values[~np.isnan(values)]
        if len(known):
            spread = float(known.std())
            parts.append(Part(column=str(name), center=float(known.mean()), scale=spread if spread > 0 else 1.0))
    return tuple(parts)


def score(parts: Sequence[Part], genes: pd.DataFrame) -> NDArray[np.float64]:
    """(n,) mean over genes of the standardised values; nan where none of the genes is known.

    Raises
    ------
    InvalidInputError
        A gene of the signature is absent.
    """
    absent = [part.column for part in parts if part.column not in genes.columns]
    if absent:
        raise InvalidInputError(f"genes of a signature are missing: {', '.join(absent[:10])}; add them")
    values = genes[[part.column for part in parts]].to_numpy(dtype=np.float64)
    scaled = (values - np.array([part.center for part in parts])) / np.array([part.scale for part in parts])
    known = ~np.isnan(scaled)
    held = known.sum(axis=1)
    return np.where(held > 0, np.where(known, scaled, 0.0).sum(axis=1) / np.maximum(held, 1), np.nan)


def corrected(
    parts: Sequence[BatchPart], values: NDArray[np.float64], batch: NDArray[np.object_] | None
) -> NDArray[np.float64]:
    """(n,) values of a marker with the learned correction of each batch; other batches stay as they are.

    Raises
    ------
    InvalidInputError
        The batches are not known.
    """
    if batch is None:
        raise InvalidInputError("the model corrects for batch: the batch of each patient is needed")
    out = values.copy()
    for part in parts:
        mine = np.array([str(label) == part.batch for label in batch], dtype=bool)
        out[mine] = values[mine] * part.multiply + part.add
    return out
