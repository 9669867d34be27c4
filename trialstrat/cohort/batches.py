"""Batches of the molecular data: how many patients each has, and how much of the main variation is theirs."""

from __future__ import annotations

import numpy as np

from trialstrat.cohort.cohort import Cohort
from trialstrat.results import Column, Table
from trialstrat.stats.batch import component_association


def batch_tables(cohort: Cohort) -> list[Table]:
    """``cohort.batches`` and ``cohort.batch_components``; nothing without declared batches."""
    effects = cohort.protocol.batch_effects
    if effects is None or cohort.batch is None:
        return []
    labels = np.array([str(label) for label in cohort.batch])
    names = sorted(set(labels))
    sizes = Table(
        name="cohort.batches",
        title="Patients by batch",
        columns=(Column(key="group", label="Batch"), Column(key="n", label="Patients", kind="count")),
        rows=tuple((name, int((labels == name).sum())) for name in names),
        note=f"Batches are the levels of {effects.column}.",
    )
    if not cohort.markers.shape[1]:
        return [sizes]
    found = component_association(cohort.markers.to_numpy(dtype=np.float64), cohort.batch)
    said = "corrected on training rows inside resampling" if effects.correct != "none" else "not corrected"
    return [
        sizes,
        Table(
            name="cohort.batch_components",
            title="Main components of the markers and batch",
            columns=(
                Column(key="component", label="Component", kind="number"),
                Column(key="variance", label="Share of the variance", kind="percent"),
                Column(key="explained", label="Of it between batches", kind="percent"),
                Column(key="p", label="p", kind="p"),
            ),
            rows=tuple(
                (entry.component, entry.variance, *(None if np.isnan(x) else x for x in (entry.explained, entry.p)))
                for entry in found
            ),
            note=f"Principal components of {cohort.markers.shape[1]} standardised markers in {cohort.n} patients, "
            f"before any correction; batches are {said}. p: no difference between batches (F test).",
        ),
    ]
