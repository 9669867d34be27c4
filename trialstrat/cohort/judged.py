"""What criteria look at: the patients with every column that criteria name, and the long tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from trialstrat.cohort.columns import column, is_missing
from trialstrat.cohort.integrate import Joined
from trialstrat.cohort.language.conditions import days_of
from trialstrat.cohort.language.tables import Tables
from trialstrat.protocol.declared_schema import declared_schema
from trialstrat.protocol.language.model import Comparison
from trialstrat.protocol.language.names import kinds_asked, on_patients, patient_columns
from trialstrat.protocol.language.schema import PATIENTS, ColumnSchema, Kind, Schema, TableSchema
from trialstrat.protocol.model import Protocol


def judged_tables(protocol: Protocol, joined: Joined, typed: pd.DataFrame, long: Mapping[str, pd.DataFrame]) -> Tables:
    """Joined patients, declared variables as they were typed and the rest as read, with the schema of it all.

    Undeclared columns are what criteria take them for; two that are compared are dates where their cells are.
    """
    frame = joined.frame.assign(**{str(name): typed[name] for name in typed.columns})
    nodes = [node for entry in protocol.eligibility for node in entry.when]
    return Tables(
        patients=frame.set_axis(pd.Index(joined.ids, dtype=object), axis=0),
        long=long,
        schema=completed(declared_schema(protocol), nodes, frame),
    )


def completed(schema: Schema, nodes: Sequence[Any], frame: pd.DataFrame) -> Schema:
    """The schema with the columns of the patients that only expressions name, as what these take them for."""
    declared = schema.tables[PATIENTS].columns if PATIENTS in schema.tables else {}
    kinds = kinds_asked(nodes, schema.molecular) | compared_kinds(nodes, schema, frame)
    columns = {name: ColumnSchema(kind=kind) for name, kind in kinds.items()} | declared
    for name, kind in kinds.items():
        if kind == "date":  # an undeclared kind of variables
            columns[name] = columns[name].model_copy(update={"kind": "date"})
    patients = schema.tables.get(PATIENTS, TableSchema(columns={})).model_copy(update={"columns": columns})
    return schema.model_copy(update={"tables": {**schema.tables, PATIENTS: patients}})


def compared_kinds(nodes: Sequence[Any], schema: Schema, frame: pd.DataFrame) -> dict[str, Kind]:
    """Date or number for the columns of the patients that expressions compare; time zero is a date."""
    compared = [node for node in on_patients(nodes, schema.molecular) if isinstance(node, Comparison)]
    linked = set(patient_columns(nodes, schema.molecular)) - set(kinds_asked(nodes, schema.molecular))
    plain = [name for node in compared for name in (node.left, node.right)]
    names = [name for name in dict.fromkeys((*plain, *sorted(linked))) if name in frame.columns]
    kinds: dict[str, Kind] = {name: "date" if _dated(column(frame, name)) else "number" for name in names}
    if schema.time_zero in frame.columns:
        kinds[schema.time_zero] = "date"
    return kinds


def _dated(series: pd.Series) -> bool:
    if pd.api.types.is_numeric_dtype(series.dtype):
        return False
    return not days_of(series)[1].any() and not is_missing(series).all()
