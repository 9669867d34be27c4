"""The tables that a protocol declares, in the form that the language of criteria is checked against."""

from __future__ import annotations

from collections.abc import Iterable

from trialstrat.protocol.language.schema import PATIENTS, ColumnSchema, Schema, TableSchema
from trialstrat.protocol.language.values import number
from trialstrat.protocol.model import Protocol, Source, Variable


def outcome_columns(protocol: Protocol) -> dict[str, str]:
    """Columns that are read as part of an endpoint, with what they are."""
    taken: dict[str, str] = {}
    for endpoint in protocol.endpoints:
        event = endpoint.event.column if endpoint.event is not None else None
        for name in (endpoint.time, endpoint.end, event, endpoint.value):
            if name is not None:
                taken[name] = f"part of endpoint {endpoint.name}"
    return taken


def declared_schema(protocol: Protocol) -> Schema:
    """Patients with their covariates, biomarkers and outcomes, and every long table; other columns are not listed."""
    columns = variable_columns(protocol.variables)
    for name in outcome_columns(protocol):
        known = columns.get(name, ColumnSchema(kind="text"))
        columns[name] = known.model_copy(update={"outcome": True})
    tables = {
        source.name: TableSchema(columns=_fields(source), id=source.id or "id", time=source.time or "")
        for source in protocol.sources
        if source.layout == "records"
    }
    tables[PATIENTS] = TableSchema(columns=columns)
    return Schema(tables=tables, time_zero=protocol.time_zero, molecular=protocol.molecular)


def _fields(source: Source) -> dict[str, ColumnSchema]:
    """Fields of a long table; a harmonised one is in the unit it is brought to."""
    return {
        name: entry if name not in source.units else entry.model_copy(update={"unit": source.units[name].to})
        for name, entry in source.fields.items()
    }


def variable_columns(variables: Iterable[Variable]) -> dict[str, ColumnSchema]:
    """Covariates and biomarkers as columns; an ordinal one with numbers for levels can be compared as a number."""
    return {entry.column: _column(entry) for entry in variables}


def _column(entry: Variable) -> ColumnSchema:
    levels = tuple(str(level) for level in entry.levels)
    numeric = bool(levels) and entry.kind == "ordinal" and all(number(level) is not None for level in levels)
    return ColumnSchema(
        kind="number" if entry.kind == "continuous" or numeric else "text",
        unit=entry.unit,
        analyte=entry.column,
        levels=levels,
        outcome=entry.measured == "after_time_zero",
    )
