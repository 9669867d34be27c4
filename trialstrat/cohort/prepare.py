"""One source made ready to be joined: renamed, selected, cleaned, its patient ids checked."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.attrition import Step
from trialstrat.cohort.columns import as_text, column, distinct_texts, is_missing, match, rows, same, twins, unified
from trialstrat.cohort.harmonise import in_dates, in_units
from trialstrat.cohort.ids import normalised
from trialstrat.cohort.readers.table import RawTable, checked_names, float_columns
from trialstrat.cohort.rules import finding, rows_finding, visible
from trialstrat.cohort.samples import SampleMap, chosen_rows
from trialstrat.cohort.wide import Wide
from trialstrat.protocol.model import Source, Value
from trialstrat.results import Finding

ROW = "row"
#: Columns that usually tell the rows of one patient apart.
_SPLITTERS = ("PARAMCD", "PARAM", "AVISIT", "VISIT", "VISITNUM", "SAMPLE_ID", "TIMEPOINT")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """One source ready to be joined: needed columns as text with NA (markers as numbers), id and line of every row.

    ``wide`` are the markers of a matrix that are not among the columns of ``frame``, in the same rows.
    """

    source: Source
    file: str
    frame: pd.DataFrame
    ids: NDArray[np.object_]
    lines: NDArray[np.int64]
    rows_read: int
    names: tuple[str, ...]
    origin: str
    sha256: str
    steps: tuple[Step, ...]
    findings: tuple[Finding, ...]
    samples: SampleMap | None = None
    wide: Wide | None = None


def prepare(
    source: Source,
    table: RawTable,
    needed: set[str],
    kept: Mapping[str, Sequence[Value]],
    *,
    markers: bool = False,
    wide: Wide | None = None,
) -> Prepared:
    """Rename, select and clean one source.

    Parameters
    ----------
    source : Source
        What the protocol declares of it.
    table : RawTable
        What was read.
    needed : set of str
        Columns that the study uses by name.
    kept : mapping
        Declared values by column, which are values there even when they look like a missing code.
    markers : bool
        Whether every other column may be a marker: kept too, as numbers where all its cells are.
    wide : Wide, optional
        Numbers of further columns of the same file, in the rows of the table.
    """
    findings = list(table.findings)
    raw = table.frame.rename(columns=source.rename)
    beyond = () if wide is None else wide.names
    wide = None if wide is None else _renamed(source, wide)
    findings += _missing_columns(
        source, [*table.frame.columns, *beyond], [*raw.columns, *(wide.names if wide else ())], table.file
    )
    names = checked_names([*map(str, raw.columns), *(wide.names if wide else ())], table.file)
    raw, lines, empty = _without_empty_rows(raw, table.lines)
    if empty:
        findings.append(finding("I-ROWS-EMPTY", source=table.file, bad=empty, total=len(table.frame)))
    rows_read = len(raw)
    raw, lines, steps = _where(source, raw, lines, table.file)
    samples: SampleMap | None = None
    if source.layout == "samples" and {source.id, source.sample} <= set(raw.columns):
        before = len(raw)
        raw, lines, samples, found = chosen_rows(source, raw, lines, table.file)
        findings += found
        steps = (*steps, _sample_step(source, before, len(raw), table.file))
    ids, id_findings = _ids(source, raw, lines, table.file)
    for brought in (in_units, in_dates):
        raw, found = brought(source, raw, lines, table.file)
        findings += found
    taken = [name for name in raw.columns if name != source.id and (not source.columns or name in source.columns)]
    others = [name for name in taken if name not in needed] if markers else []
    frame = cast("pd.DataFrame", raw[[name for name in taken if name in needed]])
    bulk, words = float_columns(cast("pd.DataFrame", raw[others]), source.missing)
    cleaned = {str(name): _clean(column(frame, name), source, kept.get(str(name), ())) for name in frame.columns}
    cleaned |= {name: _clean(column(raw, name), source, ()) for name in words}
    frame = pd.DataFrame(cleaned, index=raw.index, columns=pd.Index(list(cleaned), dtype=object))
    if source.normalise:
        frame, changed = _normalised(frame)
        findings += [finding("I-NORMALISED", source=table.file, column=n, bad=c, total=len(frame)) for n, c in changed]
    frame = pd.concat([frame, bulk], axis=1) if len(bulk.columns) else frame
    return Prepared(
        source=source,
        file=table.file,
        frame=frame,
        ids=ids,
        lines=lines,
        rows_read=rows_read,
        names=tuple(names),
        origin=table.origin,
        sha256=table.sha256,
        steps=steps,
        findings=(*findings, *id_findings),
        samples=samples,
        wide=wide,
    )


def _renamed(source: Source, wide: Wide) -> Wide:
    """The markers under their declared names, only those that ``columns:`` takes."""
    names = tuple(source.rename.get(name, name) for name in wide.names)
    return replace(wide, names=names).only([name for name in names if not source.columns or name in source.columns])


def _missing_columns(source: Source, before: Sequence[str], after: Sequence[str], file: str) -> list[Finding]:
    """Names that rename:, where: and id: use and the file does not have."""
    there, present = set(before), set(after)
    found = [missing_column(name, before, file) for name in source.rename if name not in there]
    asked = [
        *source.where,
        *([source.id] if source.id and source.id != ROW else []),
        *source.columns,
        *source.units,
        *source.dates,
    ]
    asked += [rule.unit_column for rule in source.units.values() if rule.unit_column is not None]
    asked += [source.sample] if source.sample is not None else []
    found += [missing_column(name, after, file) for name in asked if name not in present]
    if source.id is None:
        found.append(finding("E-ID-UNDECLARED", source=file))
    return found


def missing_column(name: str, present: Sequence[str] | pd.Index, file: str) -> Finding:
    """The finding of a column that is not there, with the nearest name."""
    near = difflib.get_close_matches(name, [str(entry) for entry in present], n=1, cutoff=0.77)
    folded = [str(entry) for entry in present if str(entry).casefold() == name.casefold()]
    guess = folded or near
    shown = ", ".join(visible(str(entry)) for entry in present[:10]) + (", …" if len(present) > 10 else "")
    detail = f"did you mean {visible(guess[0])}?" if guess else f"found {shown or 'none'}"
    return finding("E-COLUMN-MISSING", source=file, column=name, detail=detail)


def _without_empty_rows(frame: pd.DataFrame, lines: NDArray[np.int64]) -> tuple[pd.DataFrame, NDArray[np.int64], int]:
    """Rows in which every cell is empty carry nothing; spreadsheets write them below the table."""
    candidates = is_missing(frame.iloc[:, 0])
    if not candidates.any():
        return frame, lines, 0
    some = rows(frame, candidates)
    empty = np.logical_and.reduce([is_missing(some.iloc[:, at]) for at in range(some.shape[1])])
    drop = candidates.copy()
    drop[candidates] = empty
    return rows(frame, ~drop), lines[~drop], int(drop.sum())


def _where(
    source: Source, frame: pd.DataFrame, lines: NDArray[np.int64], file: str
) -> tuple[pd.DataFrame, NDArray[np.int64], tuple[Step, ...]]:
    """Keep the rows that where: selects, one attrition step per column."""
    steps: list[Step] = []
    for name, value in source.where.items():
        if name not in frame.columns:
            continue
        keep = match(column(frame, name), (value,)) == 0
        before, after = len(keep), int(keep.sum())
        text = f"rows of {file} with {visible(name)} = {visible(str(value))}"
        steps.append(
            Step(
                step=f"where.{source.name}.{name}",
                text=text,
                kind="source",
                before=before,
                removed=before - after,
                unknown=int(is_missing(column(frame, name)).sum()),
                remaining=after,
            )
        )
        frame, lines = rows(frame, keep), lines[keep]
    return frame, lines, tuple(steps)


def _sample_step(source: Source, before: int, after: int, file: str) -> Step:
    rule = "one sample of each patient" if source.sample_rule is None else f"rule: {source.sample_rule.choose}"
    return Step(
        step=f"samples.{source.name}",
        text=f"samples of {file}, {rule}",
        kind="source",
        before=before,
        removed=before - after,
        unknown=0,
        remaining=after,
    )


def _ids(
    source: Source, frame: pd.DataFrame, lines: NDArray[np.int64], file: str
) -> tuple[NDArray[np.object_], list[Finding]]:
    """Patient ids as text exactly as written, and what is wrong with them."""
    if source.id is None or source.id not in frame.columns:
        width = len(str(len(frame)))
        # zero-padded, so that the order of the ids is the order of the rows
        return np.array([f"{at:0{width}d}" for at in range(1, len(frame) + 1)], dtype=object), []
    series = column(frame, source.id)
    missing = is_missing(series)
    written = as_text(series).to_numpy(dtype=object)
    ids = normalised(written, source.id_rules)
    found = list(rows_finding("E-ID-MISSING", missing, lines, source=file, column=source.id))
    changed = int((ids[~missing] != written[~missing]).sum())
    if changed:
        found.append(finding("I-ID-NORMALISED", source=file, column=source.id, bad=changed, total=len(ids)))
    if source.layout == "records":
        return ids, found
    present = pd.Series(ids[~missing], dtype=object)
    repeated = np.zeros(len(ids), dtype=bool)
    repeated[~missing] = present.duplicated(keep=False).to_numpy(dtype=bool)
    if repeated.any():
        found.append(_repeated(source, frame, ids, repeated, lines, file))
    groups = twins([str(entry) for entry in pd.unique(present)])
    if groups:
        flat = {entry for group in groups for entry in group}
        mask = np.array([entry in flat for entry in ids])
        found += rows_finding("E-ID-TWINS", mask, lines, source=file, column=source.id)
    return ids, found


def _repeated(
    source: Source,
    frame: pd.DataFrame,
    ids: NDArray[np.object_],
    repeated: NDArray[np.bool_],
    lines: NDArray[np.int64],
    file: str,
) -> Finding:
    """Rows that share an id: exact copies counted apart, and the column that tells a patient's rows apart."""
    some = rows(frame, repeated)
    copies = int(some.duplicated().sum())
    patients = len(set(ids[repeated]))
    splitter = next(
        (
            name
            for name in _SPLITTERS
            if name in some.columns
            and not pd.DataFrame({"id": ids[repeated], "by": column(some, name).array}).duplicated().any()
        ),
        None,
    )
    detail = f"{patients} {'id' if patients == 1 else 'ids'}, {copies} rows are exact copies"
    if splitter:
        detail += f"; the rows of a patient differ by {splitter}"
    first = pd.DataFrame({"id": ids[repeated], "line": lines[repeated]})
    together = first.assign(group=first.groupby("id", sort=False)["line"].transform("min")).sort_values(
        ["group", "line"]
    )
    code = "E-ID-SAMPLES" if splitter == "SAMPLE_ID" else "E-ID-TWICE"
    return finding(
        code,
        source=file,
        column=source.id or "",
        detail=detail,
        bad=int(repeated.sum()),
        total=len(ids),
        lines=together["line"].to_numpy(dtype=np.int64),
    )


def _clean(series: pd.Series, source: Source, kept: Sequence[Value]) -> pd.Series:
    """Cells as text; empty fields and declared missing codes are NA, but declared values stay values."""
    blank = is_missing(series)
    out = series.mask(blank) if blank.any() else series
    if not source.missing:
        return out
    codes = [code for code in source.missing if not any(same(value, code) for value in kept)]
    held = [level for level in distinct_texts(out) if any(_is_code(code, level) for code in codes)]
    return out.mask(out.isin(held)) if held else out


def _is_code(code: str, text: str) -> bool:
    trimmed = text.strip()
    if trimmed == code.strip():
        return True
    try:
        return float(trimmed) == float(code)
    except ValueError:
        return False


def _normalised(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[tuple[str, int]]]:
    """Levels without invisible differences; of levels that differ by case the most frequent spelling stays."""
    changed: list[tuple[str, int]] = []
    out: dict[str, pd.Series] = {}
    for name in frame.columns:
        before = column(frame, name)
        counts: dict[str, int] = {}
        for level, count in before.value_counts().items():
            counts[unified(str(level))] = counts.get(unified(str(level)), 0) + int(count)
        spelling = {level: level for level in counts}
        for group in twins(sorted(counts)):
            spelling |= dict.fromkeys(group, max(group, key=lambda level: (counts[level], level)))
        after = before.map(lambda cell, to=spelling: to[unified(cell)], na_action="ignore").astype(before.dtype)
        differs = int((before != after).fillna(value=False).sum())
        if differs:
            changed.append((str(name), differs))
        out[str(name)] = after
    return pd.DataFrame(out, index=frame.index, columns=frame.columns), changed
