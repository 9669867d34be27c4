"""Long tables for criteria: any number of rows per patient, their columns of the declared kinds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from trialstrat.cohort.columns import column, numbers
from trialstrat.cohort.language.conditions import days_of
from trialstrat.cohort.molecular import Records
from trialstrat.cohort.prepare import missing_column
from trialstrat.cohort.rules import rows_finding
from trialstrat.protocol.declared_schema import declared_schema
from trialstrat.protocol.language.schema import ColumnSchema, TableSchema
from trialstrat.protocol.model import Protocol
from trialstrat.results import Finding


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LongTables:
    """Frames by the name of their source, numbers as float64 and dates as datetime64; and what is wrong."""

    frames: dict[str, pd.DataFrame]
    findings: tuple[Finding, ...]


def read_records(protocol: Protocol, held: Mapping[str, Records]) -> LongTables:
    """The sources of records that declare fields for criteria, each with its patient column and these fields."""
    schema = declared_schema(protocol)
    frames: dict[str, pd.DataFrame] = {}
    findings: list[Finding] = []
    for name, records in held.items():
        if schema.tables[name].columns:
            frames[name], found = typed_records(records, schema.tables[name])
            findings += found
    return LongTables(frames=frames, findings=tuple(findings))


def typed_records(records: Records, declared: TableSchema) -> tuple[pd.DataFrame, tuple[Finding, ...]]:
    """One long table with its fields typed as declared, and what is wrong with them."""
    typed: dict[str, pd.Series] = {}
    findings: list[Finding] = []
    present = [str(name) for name in records.frame.columns]
    for name, field in declared.columns.items():
        if name in present:
            typed[name], found = _typed(column(records.frame, name).reset_index(drop=True), field, records)
            findings += found
        elif name != declared.id:
            findings.append(missing_column(name, present, records.file))
    typed[declared.id] = pd.Series(records.ids, dtype=object)
    return pd.DataFrame(typed), tuple(findings)


def _typed(series: pd.Series, declared: ColumnSchema, records: Records) -> tuple[pd.Series, tuple[Finding, ...]]:
    if declared.kind == "text":
        return series, ()
    values, bad = numbers(series) if declared.kind == "number" else days_of(series)
    code = "E-VALUE-TEXT" if declared.kind == "number" else "E-DATE-FORMAT"
    name = str(series.name)
    found = rows_finding(code, bad, records.lines, source=records.file, column=name, detail=f"kind: {declared.kind}")
    return pd.Series(values, name=name), found
