"""Declared features as columns of the joined table, each with the source and the rule that made it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.derive_matrix import copy_number, expression, signature, standardised_mean
from trialstrat.cohort.derive_records import instability, measurement
from trialstrat.cohort.derive_variants import alteration, burden, fraction
from trialstrat.cohort.derived import ALTERED, Derived, FeatureFault
from trialstrat.cohort.integrate import Joined
from trialstrat.cohort.molecular import Molecular
from trialstrat.cohort.readers.table import TEXT
from trialstrat.cohort.rules import finding
from trialstrat.protocol.features_model import Feature
from trialstrat.protocol.model import Protocol
from trialstrat.results import Column, Finding, Table

_MAKERS: dict[str, Callable[..., Derived]] = {
    "alteration": alteration,
    "tmb": burden,
    "vaf": fraction,
    "copy_number": copy_number,
    "expression": expression,
    "signature": signature,
    "msi": instability,
    "measurement": measurement,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Derivation:
    """The features that could be derived, what is wrong with the others, and the genes of learned signatures.

    ``learned`` holds the values (patients, genes) of signatures whose standardisation is learned on training rows.
    """

    features: tuple[Feature, ...]
    made: Mapping[str, Derived]
    findings: tuple[Finding, ...]

    @property
    def learned(self) -> dict[str, pd.DataFrame]:
        """Gene values by the name of each learned signature, in the rows of the joined table."""
        return {name: entry.parts for name, entry in self.made.items() if entry.parts is not None}

    def among(self, frame: pd.DataFrame, keep: NDArray[np.bool_]) -> pd.DataFrame:
        """The typed frame with learned signatures standardised among the patients analysed, and nobody else."""
        out = frame
        for name, parts in self.learned.items():
            if name in frame.columns:
                values = np.full(len(frame), np.nan)
                values[keep] = standardised_mean(parts.to_numpy(dtype=np.float64)[keep])
                out = out.assign(**{name: values})
        return out

    def table(self, keep: NDArray[np.bool_]) -> Table | None:
        """``cohort.features``: source, rule and counts among the patients analysed; None without features."""
        if not self.features:
            return None
        rows = [self._row(entry, self.made[entry.name], keep) for entry in self.features if entry.name in self.made]
        return Table(
            name="cohort.features",
            title="Derived features and where they come from",
            columns=(
                Column(key="feature", label="Feature"),
                Column(key="label", label="Meaning"),
                Column(key="sources", label="From"),
                Column(key="rule", label="Rule"),
                Column(key="altered", label="Altered", kind="count"),
                Column(key="unaltered", label="Not altered", kind="count"),
                Column(key="unknown", label="Not looked at or missing", kind="count"),
            ),
            rows=tuple(rows),
            note=f"{int(keep.sum())} patients analysed. Who was not looked at is unknown, never unaltered.",
        )

    def _row(self, feature: Feature, made: Derived, keep: NDArray[np.bool_]) -> tuple[str | int | None, ...]:
        known = made.known()[keep]
        states: tuple[int | None, int | None] = (None, None)
        if made.levels == ALTERED:
            states = (int((made.values[keep] == ALTERED[1]).sum()), int((made.values[keep] == ALTERED[0]).sum()))
        return (
            feature.name,
            feature.title,
            ", ".join(made.sources),
            made.rule,
            *states,
            int((~known).sum()),
        )


def derive(protocol: Protocol, joined: Joined, molecular: Molecular) -> tuple[Joined, Derivation]:
    """The joined table with a column per feature, and how each was made. Faults are findings, never exceptions."""
    made: dict[str, Derived] = {}
    findings: list[Finding] = []
    for feature in protocol.features:
        held = {"variants": molecular.variants, "matrix": molecular.matrices, "records": molecular.records}
        if any(name not in held[layout] for name, layout in feature.reads().values()):
            continue  # an unknown source, or one of another layout: the lint of the protocol says it
        if feature.name in joined.frame.columns:
            findings.append(finding("E-COLUMN-AMBIGUOUS", source=joined.place(feature.name)[0], column=feature.name))
            continue
        try:
            made[feature.name] = _MAKERS[feature.kind](feature, joined, molecular)
        except FeatureFault as fault:
            findings += fault.findings
            continue
        findings += made[feature.name].findings
    return _with_columns(joined, made), Derivation(features=protocol.features, made=made, findings=tuple(findings))


def _with_columns(joined: Joined, made: Mapping[str, Derived]) -> Joined:
    if not made:
        return joined
    columns = {
        name: pd.array(entry.values, dtype=TEXT) if entry.levels else np.asarray(entry.values, dtype=np.float64)
        for name, entry in made.items()
    }
    frame = pd.concat([joined.frame, pd.DataFrame(columns, index=joined.frame.index)], axis=1)
    origin = {name: _origin(entry.sources, joined) for name, entry in made.items()}
    return replace(joined, frame=frame, origin={**joined.origin, **origin}, found=(*joined.found, *made))


def _origin(sources: Sequence[str], joined: Joined) -> str:
    return next((name for name in sources if name in joined.files), next(iter(joined.files)))
