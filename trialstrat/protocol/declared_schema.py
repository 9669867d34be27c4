"""The tables that a protocol declares, in the form that the language of criteria is checked against."""

from __future__ import annotations

from collections.abc import Iterable

from trialstrat.protocol.language.schema import FOUND, PATIENTS, ColumnSchema, Molecular, Schema, TableSchema
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
    tables |= _event_tables(protocol)
    tables[PATIENTS] = TableSchema(columns=columns)
    return Schema(tables=tables, time_zero=protocol.time_zero, molecular=declared_molecular(protocol))


def declared_molecular(protocol: Protocol) -> Molecular:
    """Where molecular events are found; variants say gene by gene who was looked at."""
    layout = protocol.molecular
    variants = {source.name for source in protocol.sources if source.layout == "variants"}
    return layout.model_copy(update={"found": layout.found or "found"}) if layout.mutations in variants else layout


def _event_tables(protocol: Protocol) -> dict[str, TableSchema]:
    """The sources of variants and the matrices that molecular events are found in, as tables of events."""
    layout = declared_molecular(protocol)
    text, number_ = ColumnSchema(kind="text"), ColumnSchema(kind="number")
    found = {layout.variant_class: text, layout.protein_change: text}
    found |= {layout.found: ColumnSchema(kind="text", levels=FOUND)} if layout.found else {}
    asked = {
        (layout.mutations, "variants"): found,
        (layout.copy_number, "matrix"): {layout.copy_number_value: number_},
        (layout.expression, "matrix"): {layout.expression_value: number_},
    }
    return {
        source.name: TableSchema(
            columns={layout.gene: text, **asked[source.name, source.layout]},
            id=protocol.sources[0].id or "id",
            holds="variants" if source.layout == "variants" else "matrix",
        )
        for source in protocol.sources
        if (source.name, source.layout) in asked
    }


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
