"""Several sources into one table of one row per patient, with every loss counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.attrition import Step
from trialstrat.cohort.columns import rows, unified
from trialstrat.cohort.prepare import ROW, Prepared
from trialstrat.cohort.rules import finding, rows_finding
from trialstrat.cohort.wide import Wide
from trialstrat.results import Column, Finding, Table


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Joined:
    """One row per patient of the first source, sorted by id.

    ``origin`` maps a column to its source, ``columns`` a source to its columns here, ``found`` are all names in the
    files; levels that fewer than ``minimum_cell`` rows hold are not named in messages. ``wide`` are the markers of
    each matrix that stand beside ``frame``.
    """

    ids: NDArray[np.object_]
    frame: pd.DataFrame
    origin: Mapping[str, str]
    files: Mapping[str, str]
    lines: Mapping[str, NDArray[np.int64]]
    columns: Mapping[str, tuple[str, ...]]
    found: tuple[str, ...]
    minimum_cell: int
    wide: Mapping[str, Wide] = field(default_factory=dict)

    def take(self, keep: NDArray[np.bool_]) -> Joined:
        """The same table for some of the patients."""
        lines = {name: entry[keep] for name, entry in self.lines.items()}
        wide = {name: entry.at(np.flatnonzero(keep)) for name, entry in self.wide.items()}
        return replace(self, ids=self.ids[keep], frame=rows(self.frame, keep), lines=lines, wide=wide)

    def place(self, name: str) -> tuple[str, NDArray[np.int64]]:
        """File and line of each row for a column."""
        source = self.origin.get(name) or next(iter(self.files))
        return self.files[source], self.lines[source]

    def rows(self, code: str, name: str, mask: NDArray[np.bool_], detail: str = "") -> tuple[Finding, ...]:
        """The finding of the rows in ``mask`` of a column, or none."""
        file, lines = self.place(name)
        return rows_finding(code, mask, lines, source=file, column=name, detail=detail)

    def about(self, code: str, name: str, detail: str = "", bad: int | None = None) -> Finding:
        """A finding about a whole column."""
        total = len(self.ids) if bad is not None else None
        return finding(code, source=self.place(name)[0], column=name, detail=detail, bad=bad, total=total)


def join(
    prepared: Sequence[Prepared], minimum_cell: int
) -> tuple[Joined, tuple[Step, ...], Table, tuple[Finding, ...]]:
    """Attach every source to the first one by patient id; nobody of the first source is lost.

    Returns
    -------
    tuple
        The table sorted by id, the attrition steps, the table ``cohort.sources``, and the findings.
    """
    first = prepared[0]
    findings = list(_across(prepared))
    order = np.argsort(np.array([str(entry) for entry in first.ids]), kind="stable")
    ids = first.ids[order]
    pieces = [first.frame.iloc[order].reset_index(drop=True)]
    lines = {first.source.name: first.lines[order]}
    wide = {} if first.wide is None else {first.source.name: first.wide.at(order)}
    steps = [_read_step(first), *first.steps]
    patients = pd.Series(ids, dtype=object).nunique()
    table = [_source_row(first, patients, patients, 0)]
    for other in prepared[1:]:
        at = pd.Index(other.ids)
        taken = at.drop_duplicates().get_indexer(pd.Index(ids)) if at.has_duplicates else at.get_indexer(pd.Index(ids))
        absent = taken < 0
        stray = ~pd.Series(other.ids).isin(list(ids)).to_numpy()
        pieces.append(_taken(other.frame, taken))
        wide |= {} if other.wide is None else {other.source.name: other.wide.at(taken)}
        lines[other.source.name] = np.where(absent, 0, other.lines[np.maximum(taken, 0)])
        patients = len(set(other.ids))
        table.append(_source_row(other, patients, len(ids) - int(absent.sum()), int(stray.sum())))
        steps.append(_join_step(other, len(ids), int(absent.sum())))
        findings += _join_findings(other, absent, stray)
    frame, wide, origin, clashes = _side_by_side(prepared, pieces, wide)
    columns = {
        entry.source.name: (*map(str, entry.frame.columns), *(entry.wide.names if entry.wide else ()))
        for entry in prepared
    }
    joined = Joined(
        ids=ids,
        frame=frame,
        origin=origin,
        files={entry.source.name: entry.file for entry in prepared},
        lines=lines,
        columns=columns,
        found=tuple(dict.fromkeys(name for entry in prepared for name in entry.names)),
        minimum_cell=minimum_cell,
        wide=wide,
    )
    return joined, tuple(steps), _sources_table(table), (*findings, *clashes)


def _taken(frame: pd.DataFrame, taken: NDArray[np.intp]) -> pd.DataFrame:
    """Rows in the order of the patients, missing where a patient is absent: never zero."""
    # -1 is no label of the default index: reindexing leaves those rows without values
    return frame.reset_index(drop=True).reindex(taken).reset_index(drop=True)


def _side_by_side(
    prepared: Sequence[Prepared], pieces: Sequence[pd.DataFrame], wide: Mapping[str, Wide]
) -> tuple[pd.DataFrame, dict[str, Wide], dict[str, str], list[Finding]]:
    """All columns in one frame with the markers beside it; a name in two sources is ambiguous and refused."""
    origin: dict[str, str] = {}
    clashes: list[Finding] = []
    keep: list[pd.DataFrame] = []
    beside: dict[str, Wide] = {}
    for entry, piece in zip(prepared, pieces, strict=True):
        block = wide.get(entry.source.name)
        names = [*map(str, piece.columns), *(block.names if block is not None else ())]
        twice = [name for name in names if name in origin]
        clashes += [finding("E-COLUMN-AMBIGUOUS", source=entry.file, column=str(name)) for name in twice]
        keep.append(piece.drop(columns=[name for name in twice if name in piece.columns]))
        if block is not None:
            beside[entry.source.name] = block.only([name for name in block.names if name not in origin])
        origin |= {name: entry.source.name for name in names if name not in origin}
    return pd.concat(keep, axis=1), beside, origin, clashes


def _across(prepared: Sequence[Prepared]) -> list[Finding]:
    """Ids that are equal between sources but for blanks or case would silently fail to join."""
    first = prepared[0]
    if len(prepared) == 1:
        return []
    mine = {str(entry) for entry in first.ids}
    folded = {unified(entry).casefold() for entry in mine}
    found: list[Finding] = []
    for other in prepared[1:]:
        near = np.array([str(e) not in mine and unified(str(e)).casefold() in folded for e in other.ids], dtype=bool)
        name = other.source.id or ROW
        detail = f"compared with {first.file}"
        found += rows_finding("E-ID-TWINS", near, other.lines, source=other.file, column=name, detail=detail)
        if not near.any() and not (mine & {str(entry) for entry in other.ids}):
            found.append(
                finding("E-JOIN-NONE", source=other.file, column=name, bad=len(other.ids), total=len(other.ids))
            )
    return found


def _join_findings(other: Prepared, absent: NDArray[np.bool_], stray: NDArray[np.bool_]) -> list[Finding]:
    name = other.source.id or ROW
    found = list(rows_finding("W-JOIN-UNKNOWN", stray, other.lines, source=other.file, column=name))
    if absent.any():
        found.append(finding("W-JOIN-ABSENT", source=other.file, column=name, bad=int(absent.sum()), total=len(absent)))
    return found


def _read_step(first: Prepared) -> Step:
    return Step(
        step=f"source.{first.source.name}",
        text=f"rows read from {first.file}",
        kind="source",
        before=first.rows_read,
        removed=0,
        unknown=0,
        remaining=first.rows_read,
    )


def _join_step(other: Prepared, patients: int, absent: int) -> Step:
    return Step(
        step=f"join.{other.source.name}",
        text=f"joined with {other.file}; patients absent there stay, with missing values",
        kind="join",
        before=patients,
        removed=0,
        unknown=absent,
        remaining=patients,
    )


def _source_row(entry: Prepared, patients: int, matched: int, unmatched: int) -> tuple[str | int, ...]:
    where = "packaged data set" if entry.origin == "dataset" else "file"
    return (
        entry.source.name,
        f"{where} {entry.file}",
        entry.rows_read,
        patients,
        matched,
        unmatched,
        len(entry.names),
        entry.sha256,
    )


def _sources_table(rows: list[tuple[str | int, ...]]) -> Table:
    return Table(
        name="cohort.sources",
        title="Where the data come from",
        columns=(
            Column(key="source", label="Source"),
            Column(key="origin", label="Origin"),
            Column(key="rows", label="Rows", kind="count"),
            Column(key="patients", label="Patients", kind="count"),
            Column(key="matched", label="In the first source", kind="count"),
            Column(key="unmatched", label="Rows not in the first source", kind="count"),
            Column(key="columns", label="Columns", kind="count"),
            Column(key="sha256", label="SHA-256"),
        ),
        rows=tuple(rows),
        note="Patients of the first source are kept; values absent elsewhere are missing, never zero.",
    )
