"""Molecular and repeated data by patient: what features are derived from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.symbols import Symbols


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PatientMatrix:
    """``values`` (patients, genes), nan where not measured; genes by their current symbols."""

    patients: tuple[str, ...]
    genes: tuple[str, ...]
    values: NDArray[np.float64]
    file: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PatientVariants:
    """Variants of the samples that count, and who was looked at.

    Per variant row (n,): ``patient`` (index into ``patients``), ``gene`` and ``variant_class`` as codes into
    ``genes`` and ``classes``, ``protein`` (normalised, empty where not given), ``vaf`` (nan where not known),
    ``germline``, ``sample`` (number of the sample). ``patients`` are those looked at; ``panels_of`` the panels that
    a patient's samples were looked at with, empty where every gene was; ``samples_of`` how many samples count.
    """

    patients: tuple[str, ...]
    patient: NDArray[np.int64]
    gene: NDArray[np.int64]
    genes: tuple[str, ...]
    variant_class: NDArray[np.int64]
    classes: tuple[str, ...]
    protein: NDArray[np.object_]
    vaf: NDArray[np.float64]
    germline: NDArray[np.bool_]
    sample: NDArray[np.int64]
    panels_of: Mapping[str, tuple[str, ...]]
    panels: Mapping[str, frozenset[str]]
    file: str

    def looked_at(self, gene: str) -> NDArray[np.bool_]:
        """(patients,) whether the gene was looked at in the patient: on a panel of theirs, or without a panel."""
        inside = {name: gene in genes for name, genes in self.panels.items()}
        return np.array(
            [
                not self.panels_of.get(patient) or any(inside.get(panel, False) for panel in self.panels_of[patient])
                for patient in self.patients
            ],
            dtype=bool,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Records:
    """Several rows per patient: ``frame`` as text with NA, ``ids`` and ``lines`` of every row."""

    frame: pd.DataFrame
    ids: NDArray[np.object_]
    lines: NDArray[np.int64]
    file: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Molecular:
    """Everything that features read, by the name of its source."""

    matrices: Mapping[str, PatientMatrix]
    variants: Mapping[str, PatientVariants]
    records: Mapping[str, Records]
    symbols: Symbols
    lists: Mapping[str, tuple[str, ...]]
