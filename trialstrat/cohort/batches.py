"""Batches of the molecular data: how many patients each has, and how much of the main variation is theirs."""

from __future__ import annotations

import numpy as np

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.integrate import Joined
from trialstrat.protocol.model import Protocol
from trialstrat.results import Column, Finding, Table
from trialstrat.stats.batch import component_association

#: Layouts whose columns are molecular data, and features that carry their scale on.
_MOLECULAR, _MEASURED = ("matrix", "markers"), ("expression", "signature")


def uncorrected(protocol: Protocol, joined: Joined) -> tuple[Finding, ...]:
    """Refusals of single markers that a declared correction would leave out: it works on marker blocks.

    A study that says its batches are corrected must not hold a gene, or a score of genes, that is not.
    """
    if protocol.batch_effects is None or protocol.batch_effects.correct == "none":
        return ()
    layouts = {source.name: source.layout for source in protocol.sources}
    measured = {entry.name for entry in protocol.features if entry.kind in _MEASURED}
    single = [
        entry.column
        for entry in protocol.variables
        if entry.column in measured or layouts.get(joined.origin.get(entry.column, "")) in _MOLECULAR
    ]
    return tuple(joined.about("E-BATCH-SINGLE", name) for name in single if name in joined.frame)


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
