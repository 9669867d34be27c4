"""Molecular sources as the tables of events that criteria look at: one row per patient, gene and what was found.

Only the genes that criteria ask for are kept, under the name they are asked by. A patient in whom a gene was not
looked at has a row without ``found`` (or without a value), which leaves criteria unknown; a patient of whom the source
knows nothing has no row at all, which does too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.molecular import Molecular as Held
from trialstrat.cohort.molecular import PatientMatrix, PatientVariants
from trialstrat.cohort.readers.maf import NON_SILENT
from trialstrat.cohort.records import LongTables
from trialstrat.cohort.rules import errors, finding
from trialstrat.cohort.symbols import Symbols, ambiguous_in, wanted_genes
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.model import Alteration, walk
from trialstrat.protocol.language.schema import FOUND, Molecular, Schema, TableSchema
from trialstrat.results import Finding

#: Classes of MAF that change no protein: they count where a criterion names them.
_SILENT = (
    "Silent", "Intron", "RNA", "IGR", "3'UTR", "5'UTR", "3'Flank", "5'Flank", "Targeted_Region", "Splice_Region",
    "De_novo_Start_InFrame", "De_novo_Start_OutOfFrame", "Unknown",
)  # fmt: skip
_CANONICAL = {name.casefold(): name for name in (*NON_SILENT, *_SILENT)}


def asked_events(criteria: Iterable[Criterion], event: str) -> dict[str, list[tuple[str, Alteration]]]:
    """By gene as it is written: the criteria that ask for it in such an event, with what they ask."""
    out: dict[str, list[tuple[str, Alteration]]] = {}
    for criterion in criteria:
        for part in (part for node in criterion.when for part in walk(node)):
            if isinstance(part, Alteration) and part.event == event:
                out.setdefault(part.gene, []).append((criterion.id, part))
    return out


def event_tables(criteria: Sequence[Criterion], schema: Schema, held: Held) -> LongTables:
    """The tables of events that criteria need of the molecular sources that were read, and what is wrong with them."""
    layout = schema.molecular
    frames: dict[str, pd.DataFrame] = {}
    findings: list[Finding] = []
    for event, name, value in (
        ("mutation", layout.mutations, ""),
        ("copy_number", layout.copy_number, layout.copy_number_value),
        ("expression", layout.expression, layout.expression_value),
    ):
        asked = asked_events(criteria, event)
        source = held.variants.get(name) if event == "mutation" else held.matrices.get(name)
        if not asked or source is None:
            continue
        current, faults = _current(asked, held.symbols)
        findings += faults
        if not errors(faults):
            declared = schema.tables[name]
            made, found = (
                mutation_rows(source, current, held.symbols, asked, layout, declared)
                if isinstance(source, PatientVariants)
                else value_rows(source, current, held.symbols, asked, (layout.gene, value), declared)
            )
            frames[name] = made if name not in frames else pd.concat([frames[name], made], ignore_index=True)
            findings += found
    return LongTables(frames=frames, findings=tuple(findings))


_Asked = Mapping[str, Sequence[tuple[str, Alteration]]]


def _current(asked: _Asked, symbols: Symbols) -> tuple[dict[str, str], list[Finding]]:
    """The current symbol of every gene as it is written, and those that may mean several."""
    out: dict[str, str] = {}
    findings: list[Finding] = []
    for gene, places in asked.items():
        (out[gene],), faults = wanted_genes([gene], symbols, places[0][0])
        findings += faults
    return out, findings


def mutation_rows(
    held: PatientVariants,
    current: Mapping[str, str],
    symbols: Symbols,
    asked: _Asked,
    layout: Molecular,
    declared: TableSchema,
) -> tuple[pd.DataFrame, tuple[Finding, ...]]:
    """One row per patient and gene that was looked at or not, and one per variant that is not marked as germline."""
    findings = _unclear(held.genes, current, symbols, asked, held.file) + _classes(held, asked)
    yes, silent, no = FOUND
    patients = np.array(held.patients, dtype=object)
    classes = np.array([_CANONICAL.get(name.strip().casefold(), name) for name in held.classes] or [""], dtype=object)
    names = np.array(held.genes or ("",), dtype=object)
    parts: list[dict[str, Any]] = []
    for gene, symbol in current.items():
        looked = held.looked_at(symbol)
        rows = np.flatnonzero((names[held.gene] == symbol) & ~held.germline) if len(held.gene) else np.empty(0, int)
        looked[held.patient[rows]] = True
        if not looked.any():
            findings.append(finding("E-GENE-ABSENT", source=held.file, column=asked[gene][0][0], detail=gene))
        elif symbol not in held.genes:
            findings.append(finding("W-GENE-UNSEEN", source=held.file, column=asked[gene][0][0], detail=gene))
        found = classes[held.variant_class[rows]]
        parts += [
            {"id": patients, "class": None, "protein": None, "found": _text(no, looked), "gene": gene},
            {
                "id": patients[held.patient[rows]],
                "class": found,
                "protein": _text(held.protein[rows], held.protein[rows] != ""),
                "found": np.where(np.isin(found.astype(str), NON_SILENT), yes, silent),
                "gene": gene,
            },
        ]
    columns = {"id": declared.id, "gene": layout.gene, "class": layout.variant_class, "found": layout.found}
    return _stacked(parts, {**columns, "protein": layout.protein_change}), tuple(dict.fromkeys(findings))


def _text(values: Any, known: NDArray[np.bool_]) -> NDArray[np.object_]:
    """The values (n,), None where they are not known."""
    out = np.full(len(known), None, dtype=object)
    out[known] = values if isinstance(values, str) else values[known]
    return out


def value_rows(
    held: PatientMatrix,
    current: Mapping[str, str],
    symbols: Symbols,
    asked: _Asked,
    columns: tuple[str, str],
    declared: TableSchema,
) -> tuple[pd.DataFrame, tuple[Finding, ...]]:
    """One row per patient of the matrix and gene, its value nan where it was not measured."""
    findings = _unclear(held.genes, current, symbols, asked, held.file)
    place = {name: at for at, name in enumerate(held.genes)}
    parts: list[dict[str, Any]] = []
    for gene, symbol in current.items():
        values = held.values[:, place[symbol]] if symbol in place else np.full(len(held.patients), np.nan)
        if np.isnan(values).all():
            findings.append(finding("E-GENE-ABSENT", source=held.file, column=asked[gene][0][0], detail=gene))
        parts.append({"id": np.array(held.patients, dtype=object), "gene": gene, "value": values})
    name, value = columns
    return _stacked(parts, {"id": declared.id, "gene": name, "value": value}), tuple(dict.fromkeys(findings))


def _stacked(parts: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> pd.DataFrame:
    frames = [pd.DataFrame(dict(part)) for part in parts if len(part["id"])]
    if not frames:
        return pd.DataFrame({name: pd.Series(dtype=object) for name in names.values()})
    text = {key: object for key in names if key != "value"}
    return pd.concat([frame.astype(text) for frame in frames], ignore_index=True).rename(columns=dict(names))


def _unclear(
    genes: Sequence[str], current: Mapping[str, str], symbols: Symbols, asked: _Asked, file: str
) -> list[Finding]:
    """Names in the data that may mean a gene that is asked for, and may mean another."""
    return [
        fault
        for gene, symbol in current.items()
        for fault in ambiguous_in(genes, [symbol], symbols, file, asked[gene][0][0])
    ]


def _classes(held: PatientVariants, asked: _Asked) -> list[Finding]:
    """Classes that criteria name and neither the file nor MAF knows."""
    known = {name.strip().casefold() for name in held.classes} | set(_CANONICAL)
    return [
        finding("E-CRIT-CLASS", source=held.file, column=criterion, detail=name)
        for places in asked.values()
        for criterion, node in places
        for name in node.classes
        if name.casefold() not in known
    ]
