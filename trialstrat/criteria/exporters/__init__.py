"""Criteria for other systems: one function per format, each with the list of what the format could not carry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from trialstrat.criteria.exporters.base import Export, Exportable
from trialstrat.criteria.exporters.circe import circe
from trialstrat.criteria.exporters.ctml import ctml
from trialstrat.criteria.exporters.fhir import fhir
from trialstrat.criteria.exporters.sql import sql
from trialstrat.criteria.exporters.text import markdown, table
from trialstrat.criteria.exporters.usdm import usdm

#: Formats by the name that ``--to`` takes.
EXPORTERS: Final[Mapping[str, Callable[[Exportable], Export]]] = {
    "text": markdown,
    "csv": table,
    "usdm": usdm,
    "circe": circe,
    "sql": sql,
    "fhir": fhir,
    "ctml": ctml,
}
