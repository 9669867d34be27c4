"""Reference methods of the topic tests: log-rank family and MaxCombo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trialstrat.pipeline.reference.columns import Columns, label_text
from trialstrat.pipeline.reference.registry import Answer, reference_method, status_of
from trialstrat.stats.logrank import logrank, logrank_pairwise, logrank_trend
from trialstrat.stats.maxcombo import maxcombo


@reference_method("logrank", required="time event group", optional="strata rho gamma entry weighting")
def _logrank(columns: Columns, args: Mapping[str, Any]) -> Answer:
    options = {key: args[key] for key in ("rho", "gamma", "weighting") if key in args}
    found = logrank(
        *_vectors(columns, args),
        strata=columns.strata(args.get("strata")),
        entry=columns.optional(args.get("entry")),
        **options,
    )
    return status_of(found) | {
        "statistic": found.statistic,
        "df": found.df,
        "p": found.p,
        "observed": found.observed,
        "expected": found.expected,
    }


@reference_method("logrank_trend", required="time event group", optional="scores strata")
def _logrank_trend(columns: Columns, args: Mapping[str, Any]) -> Answer:
    found = logrank_trend(
        *_vectors(columns, args), scores=args.get("scores"), strata=columns.strata(args.get("strata"))
    )
    return status_of(found) | {"statistic": found.statistic, "df": found.df, "p": found.p}


@reference_method("logrank_pairwise", required="time event group adjust")
def _logrank_pairwise(columns: Columns, args: Mapping[str, Any]) -> Answer:
    found = logrank_pairwise(*_vectors(columns, args), adjust=args["adjust"])
    pairs = [[label_text(label) for label in pair] for pair in found.pairs]
    return {"pairs": pairs, "p": found.p, "adjusted": dict(found.adjusted)}


@reference_method("maxcombo", required="time event group weights", optional="strata")
def _maxcombo(columns: Columns, args: Mapping[str, Any]) -> Answer:
    found = maxcombo(*_vectors(columns, args), weights=args["weights"], strata=columns.strata(args.get("strata")))
    return status_of(found) | {"z": found.z, "max_abs_z": found.max_abs_z, "p": found.p}


def _vectors(columns: Columns, args: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    return columns.numbers(args["time"]), columns.numbers(args["event"]), columns.labels(args["group"])
