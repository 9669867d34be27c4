"""The study as the report needs it: plain values, stored in ``results.json``, and nothing that changes by itself.

No clock time and no number of workers is in here: the report of the same study must be the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from trialstrat.cohort.cohort import Cohort
from trialstrat.pipeline.manifest import versions
from trialstrat.protocol.load import LoadedProtocol
from trialstrat.protocol.units import unit_factor
from trialstrat.report.model import RunRecord
from trialstrat.results import Estimate, StageResult


def study_facts(loaded: LoadedProtocol, cohort: Cohort, *, seed: int, command: str) -> dict[str, Any]:
    """What the protocol declares, in the report's terms, and where the numbers come from."""
    protocol = loaded.protocol
    declared = protocol.model_dump(mode="json")
    endpoint = protocol.endpoint
    horizon = endpoint.horizon
    if horizon is not None and endpoint.unit is not None:
        horizon *= unit_factor(endpoint.unit, endpoint.shown_unit)
    arms = protocol.arms
    kept = ("id", "title", "version", "question", "status", "data_cut", "disease_area", "references", "limits")
    same = ("estimand", "analysis", "models", "missing_data", "covariates", "biomarkers", "eligibility")
    return {
        **{key: declared[key] for key in (*kept, *same)},
        "arms": [{"name": arm.name, "label": arm.title, "control": arm.control} for arm in arms.levels] if arms else [],
        "allocation": arms.allocation if arms else "",
        "endpoint": {
            "label": endpoint.label,
            "kind": endpoint.kind,
            "unit": endpoint.unit,
            "display_unit": endpoint.shown_unit,
            "horizon": horizon,
            "time_zero": endpoint.time_zero,
        },
        "minimum_cell": protocol.disclosure.minimum_cell,
        "provenance": {
            "trialstrat": versions()["trialstrat"],
            "command": command,
            "seed": seed,
            "protocol_file": loaded.path.name,
            "protocol_sha256": loaded.sha256,
            "data_sha256": _source_hashes(cohort),
            "cohort_sha256": cohort.data_hash,
            "versions": dict(versions()),
        },
    }


def _source_hashes(cohort: Cohort) -> dict[str, str]:
    if cohort.sources is None:
        return {}
    return {str(row["source"]): str(row["sha256"]) for row in cohort.sources.records()}


def record_of(study: Mapping[str, Any], stages: Mapping[str, StageResult]) -> RunRecord:
    """The record that the report is made from; also of a stored run."""
    evidence = "confirmatory" if study.get("status") == "confirmatory" else "exploratory"
    return RunRecord(study=study, stages=stages, manifest=study["provenance"], evidence=evidence)


def headline(entry: Estimate) -> str:
    """An estimate in one line for a terminal: value, interval and counts, or why there is none."""
    if entry.status != "ok":
        return f"{entry.label}: {entry.status.replace('_', ' ')} ({entry.reason})"
    interval = "" if math.isnan(entry.lower) else f" ({entry.lower:.3f} to {entry.upper:.3f})"
    value = f"{entry.value:.0f}" if entry.unit in ("patients", "events") else f"{entry.value:.3f}"
    events = "" if entry.events is None else f", events {entry.events}"
    counts = "" if entry.n is None else f" [n {entry.n}{events}]"
    return f"{entry.label}: {value}{interval}{counts}"
