"""Patients and their long tables, as criteria see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from trialstrat.protocol.language.schema import Schema


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tables:
    """Data and schema together. ``patients`` has one row per patient and the patient as its index."""

    patients: pd.DataFrame
    long: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    schema: Schema
