"""Every declared source read and brought to patients: tables to be joined, and what features are derived from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.identifiers import guarded
from trialstrat.cohort.identifiers_beside import guard_beside, guard_names, guard_values
from trialstrat.cohort.ids import normalised
from trialstrat.cohort.layout import PATIENT, by_patient
from trialstrat.cohort.molecular import Molecular, PatientMatrix, PatientVariants, Records
from trialstrat.cohort.needed import block_sources, columns_needed
from trialstrat.cohort.prepare import Prepared, prepare
from trialstrat.cohort.protein import protein_change
from trialstrat.cohort.readers.assay import Assay
from trialstrat.cohort.readers.expression import Expression
from trialstrat.cohort.readers.folder import gene_list
from trialstrat.cohort.readers.locate import locate, read_payload
from trialstrat.cohort.readers.maf import coded, is_germline
from trialstrat.cohort.readers.registry import Folders, read_assay, read_matrix, read_source
from trialstrat.cohort.readers.table import RawTable
from trialstrat.cohort.rules import RefusedError, errors, finding
from trialstrat.cohort.samples import SampleMap, one_per_patient, together_of
from trialstrat.cohort.symbols import Symbols, clashes, load_symbols, renamed
from trialstrat.cohort.variables import declared_values
from trialstrat.cohort.wide import wide_of
from trialstrat.protocol.features_model import SignatureFeature
from trialstrat.protocol.model import Protocol, Source, Value
from trialstrat.results import Finding


class SourcesReader:
    """One pass over the sources of a protocol. A source that cannot be read does not hide the faults of the others.

    ``roots`` has the folder of a source that does not lie in ``root``, by its name.
    """

    def __init__(self, protocol: Protocol, root: Path, roots: Mapping[str, Path] | None = None) -> None:
        self.protocol, self.root, self.roots = protocol, root, roots or {}
        self.prepared: list[Prepared] = []
        self.findings: list[Finding] = []
        self._folders = Folders()
        self._maps: dict[str, SampleMap] = {}
        self._matrices: dict[str, PatientMatrix] = {}
        self._variants: dict[str, PatientVariants] = {}
        self._records: dict[str, Records] = {}
        self._symbols = load_symbols(protocol.gene_symbols.model_copy(update={"use_aliases": False}), None)
        self._needed, self._whole = columns_needed(protocol), block_sources(protocol)
        self._kept: Mapping[str, Sequence[Value]] = declared_values(protocol)

    def read(self) -> Molecular:
        """Read every source in declared order; see ``prepared`` and ``findings`` for the rest of the answer."""
        lists: dict[str, tuple[str, ...]] = {}
        self._tried(self._load_symbols)
        for source in self.protocol.sources:
            self._tried(lambda source=source: self._source(source))
        for feature in self.protocol.features:
            if isinstance(feature, SignatureFeature) and feature.genes_file is not None:
                self._tried(lambda name=feature.genes_file: lists.update({name: self._gene_list(name)}))
        return Molecular(
            matrices=self._matrices,
            variants=self._variants,
            records=self._records,
            symbols=self._symbols,
            lists=lists,
        )

    def _tried(self, step) -> None:
        try:
            step()
        except RefusedError as fault:
            self.findings += fault.findings

    def _load_symbols(self) -> None:
        declared = self.protocol.gene_symbols
        payload = None if declared.hgnc is None else read_payload(locate(declared.hgnc, self.root), declared.hgnc)
        self._symbols = load_symbols(declared, payload)

    def _gene_list(self, name: str) -> tuple[str, ...]:
        return gene_list(read_payload(locate(name, self.root), name))

    def _source(self, source: Source) -> None:
        if source.samples is not None and source.samples not in self._maps:
            return  # the source of the samples has faults of its own
        if source.layout == "variants":
            self._read_variants(source)
        elif source.layout == "matrix":
            self._read_matrix(source)
        else:
            self._read_table(source)

    def _read_table(self, source: Source) -> None:
        try:
            table = read_source(source, self.roots.get(source.name, self.root), self._folders)
        except RefusedError as fault:
            # the header of a table of markers holds the patients
            raise (_unnamed(fault) if source.layout == "markers" else fault) from None
        if source.layout != "markers":  # there the columns are patients, and the cells numbers
            table, found = guarded(source, table, self.protocol.privacy)
            self.findings += found
        if source.layout == "markers":
            names = [str(name) for name in table.frame.columns[1:]]
            self.findings += guard_names(source, names, table.file, self.protocol.privacy)
            source, table = source.model_copy(update={"id": PATIENT}), by_patient(table)
        if source.layout == "records":
            self._read_records(source, table)
            return
        ready = prepare(source, table, self._needed, self._kept, markers=source.name in self._whole)
        if ready.samples is not None:
            self._maps[source.name] = ready.samples
        self._add(ready)

    def _read_records(self, source: Source, table: RawTable) -> None:
        """All columns are kept for the features; in the join a source of records has no columns of its own."""
        everything = {source.rename.get(str(name), str(name)) for name in table.frame.columns}
        ready = prepare(source, table, everything, self._kept)
        self._records[source.name] = Records(frame=ready.frame, ids=ready.ids, lines=ready.lines, file=ready.file)
        known = [str(entry) for entry in ready.ids if entry is not None]
        self._add(_beside(ready, sorted(set(known))))

    def _read_matrix(self, source: Source) -> None:
        mapping = self._maps.get(source.samples or "")
        known = mapping.patient_of if mapping is not None else self._known_ids()
        matrix = read_matrix(source, self.roots.get(source.name, self.root), list(known), self._folders)
        genes, notes = renamed(matrix.genes, self._symbols, matrix.file)
        faults = clashes(matrix.genes, genes, matrix.file)
        owners, keep, found, together = self._owners(source, matrix.samples, matrix.file)
        privacy = self.protocol.privacy
        persons = guard_beside(source, matrix.beside, matrix.samples, matrix.file, privacy)
        persons += guard_values(source, matrix.genes, matrix.values, matrix.file, privacy)
        self.findings += [*faults, *found, *persons]
        if faults or errors(found):
            return
        patients, values = rows_by_patient(matrix.values, owners, keep, mean=together != "one")
        self._matrices[source.name] = PatientMatrix(
            patients=patients, genes=tuple(genes), values=values, file=matrix.file
        )
        wanted = source.name in self._whole
        asked = {*self._needed, *source.units, *(old for old, new in source.rename.items() if new in self._needed)}
        table = _matrix_table(
            matrix, patients, genes, values, [name for name in genes if name in asked], (*matrix.findings, *notes)
        )
        declared = source.model_copy(update={"id": PATIENT, "id_rules": (), "missing": ()})
        rest = wide_of(genes, values).only([name for name in genes if name not in asked])
        ready = prepare(declared, table, self._needed, self._kept, markers=wanted, wide=rest)
        ready = ready if wanted else replace(ready, wide=None)
        self._add(replace(ready, rows_read=len(matrix.samples), names=tuple(genes)))

    def _read_variants(self, source: Source) -> None:
        assay = read_assay(source, self.roots.get(source.name, self.root), self._folders)
        variants = assay.variants
        names = coded(variants.columns["sample"])[0]
        samples = list(dict.fromkeys([*sorted(assay.listed), *names]))
        mapping = self._maps.get(source.samples or "")
        if source.assayed == "samples" and mapping is not None:
            samples = list(dict.fromkeys([*samples, *mapping.patient_of]))
        owners, keep, found, together = self._owners(source, samples, variants.file)
        persons = guard_beside(source, variants.beside, samples, variants.file, self.protocol.privacy)
        self.findings += [*found, *persons]
        if errors(found):
            return
        genes, notes = renamed(coded(variants.columns["gene"])[0], self._symbols, variants.file)
        looked = {str(owner) for owner, ok in zip(owners, keep, strict=True) if ok and owner is not None}
        if source.assayed == "patients":
            looked |= set(self._known_ids())
        self._variants[source.name] = patient_variants(
            assay, sorted(looked), dict(zip(samples, zip(owners, keep, strict=True), strict=True)), genes, self._symbols
        )
        if together != "one":
            self._discordant(source)
        lines = np.zeros(len(looked), dtype=np.int64)
        self._add(
            Prepared(
                source=source.model_copy(update={"id": PATIENT}),
                file=variants.file,
                frame=pd.DataFrame(index=range(len(looked))),
                ids=np.array(sorted(looked), dtype=object),
                lines=lines,
                rows_read=variants.rows,
                names=tuple(variants.columns),
                origin="file",
                sha256=variants.sha256,
                steps=(),
                findings=(*variants.findings, *notes),
            )
        )

    def _owners(
        self, source: Source, samples: Sequence[str], file: str
    ) -> tuple[list[str | None], NDArray[np.bool_], tuple[Finding, ...], str]:
        """The patient of each sample (itself where none is known), which samples count, and how they do together."""
        ids = [str(entry) for entry in normalised(samples, source.id_rules)]
        changed = sum(new != old for new, old in zip(ids, samples, strict=True))
        notes = (finding("I-ID-NORMALISED", source=file, bad=changed, total=len(ids)),) if changed else ()
        mapping = self._maps.get(source.samples or "")
        if mapping is not None:
            owners = [mapping.patient_of.get(entry, entry) for entry in ids]
            keep = np.array([entry in mapping.counted or entry not in mapping.patient_of for entry in ids], dtype=bool)
            return list(owners), keep, notes, mapping.together
        lines = np.arange(1, len(ids) + 1, dtype=np.int64)
        keep, found = one_per_patient(ids, source.sample_rule, lines, file, "samples")
        return list(ids), keep, (*notes, *found), together_of(source.sample_rule)

    def _discordant(self, source: Source) -> None:
        """Patients whose samples, looked at in the same genes, do not carry the same altered genes."""
        held = self._variants[source.name]
        genes_of: dict[int, dict[int, set[int]]] = {}
        for patient, sample, gene in zip(held.patient, held.sample, held.gene, strict=True):
            genes_of.setdefault(int(patient), {}).setdefault(int(sample), set()).add(int(gene))
        differing = sum(len(set(map(frozenset, found.values()))) > 1 for found in genes_of.values())
        if differing:
            self.findings.append(
                finding("W-FEATURE-DISCORDANT", source=held.file, bad=differing, total=len(held.patients))
            )

    def _known_ids(self) -> list[str]:
        return [str(entry) for entry in self.prepared[0].ids] if self.prepared else []

    def _add(self, ready: Prepared) -> None:
        self.findings += ready.findings
        self.prepared.append(ready)


def _unnamed(fault: RefusedError) -> RefusedError:
    """Without the names of columns, which are ids."""
    return RefusedError(*(replace(entry, column="patients") if entry.column else entry for entry in fault.findings))


def _beside(ready: Prepared, ids: Sequence[str]) -> Prepared:
    """A source whose rows are read by features alone, as the patients that it has."""
    return replace(
        ready,
        frame=pd.DataFrame(index=range(len(ids))),
        ids=np.array(ids, dtype=object),
        lines=np.zeros(len(ids), dtype=np.int64),
    )


def rows_by_patient(
    values: NDArray[np.float64], owners: Sequence[str | None], keep: NDArray[np.bool_], *, mean: bool
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """(patients, genes) sorted by patient; with ``mean`` the mean over each patient's measured samples."""
    rows = [int(at) for at in np.flatnonzero(keep) if owners[int(at)] is not None]
    patients = sorted({str(owners[at]) for at in rows})
    place = {name: at for at, name in enumerate(patients)}
    where = np.array([place[str(owners[at])] for at in rows], dtype=np.int64)
    order = np.empty(len(patients), dtype=np.int64)
    order[where[::-1]] = rows[::-1]
    out = values if np.array_equal(order, np.arange(len(values))) else values[order]
    several = np.flatnonzero(np.bincount(where, minlength=len(patients)) > 1) if mean else ()
    for at in several:
        samples = values[np.array(rows)[where == at]]
        known = ~np.isnan(samples)
        count = known.sum(axis=0)
        with np.errstate(invalid="ignore"):
            out[at] = np.where(count > 0, np.where(known, samples, 0.0).sum(axis=0) / count, np.nan)
    return tuple(patients), out


def _matrix_table(
    matrix: Expression,
    patients: Sequence[str],
    genes: Sequence[str],
    values: NDArray[np.float64],
    names: Sequence[str],
    findings: tuple[Finding, ...],
) -> RawTable:
    """The wanted genes as a table of patients, numbers as numbers; lines say nothing: rows may be columns."""
    place = {name: at for at, name in enumerate(genes)}
    frame = pd.DataFrame(values[:, [place[name] for name in names]], columns=pd.Index(list(names), dtype=object))
    frame.insert(0, PATIENT, pd.array(list(patients), dtype=pd.StringDtype("pyarrow")))
    return RawTable(
        frame=frame,
        file=matrix.file,
        lines=np.zeros(len(patients), dtype=np.int64),
        sha256=matrix.sha256,
        format="matrix",
        findings=findings,
    )


def patient_variants(
    assay: Assay,
    patients: Sequence[str],
    owner_of: Mapping[str, tuple[str | None, bool]],
    genes: Sequence[str],
    symbols: Symbols,
) -> PatientVariants:
    """The variants of the samples that count, with the patient of each."""
    variants = assay.variants
    place = {name: at for at, name in enumerate(patients)}
    names, codes = coded(variants.columns["sample"])
    patient_of_name = np.array(
        [place.get(owner_of[name][0] or "", -1) if owner_of[name][1] else -1 for name in names], dtype=np.int64
    )
    patient = patient_of_name[codes] if len(codes) else np.empty(0, dtype=np.int64)
    rows = np.flatnonzero(patient >= 0)
    distinct = list(dict.fromkeys(genes))
    at = {name: index for index, name in enumerate(distinct)}
    gene = np.array([at[name] for name in genes], dtype=np.int64)[coded(variants.columns["gene"])[1]]
    classes, class_codes = coded(variants.columns["classification"])
    panels_of: dict[str, list[str]] = {}
    open_: set[str] = set()
    for sample, (owner, counts) in owner_of.items():
        if owner is None or not counts:
            continue
        panel = assay.panel_of.get(sample, assay.everywhere)
        if panel:
            panels_of.setdefault(owner, []).append(panel)
        else:
            open_.add(owner)
    if assay.everywhere:  # also of those who are known to have been looked at but have no sample in the file
        panels_of |= {owner: [assay.everywhere] for owner in patients if owner not in panels_of and owner not in open_}
    panels = {name: frozenset(renamed(sorted(found), symbols, "")[0]) for name, found in assay.panels.items()}
    return PatientVariants(
        patients=tuple(patients),
        patient=patient[rows],
        gene=gene[rows],
        genes=tuple(distinct),
        variant_class=class_codes[rows],
        classes=tuple(classes),
        protein=_proteins(assay)[rows],
        vaf=variants.vaf[rows],
        germline=is_germline(variants)[rows],
        sample=codes[rows],
        panels_of={owner: tuple(dict.fromkeys(found)) for owner, found in panels_of.items() if owner not in open_},
        panels=panels,
        file=variants.file,
    )


def _proteins(assay: Assay) -> NDArray[np.object_]:
    """(n,) protein changes in one spelling; empty where the file has none."""
    column = assay.variants.columns.get("protein_change")
    if column is None:
        return np.full(assay.variants.rows, "", dtype=object)
    names, codes = coded(column)
    return np.array([protein_change(name) for name in names], dtype=object)[codes]
