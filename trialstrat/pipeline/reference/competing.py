"""Reference methods of the topic competing: cumulative incidence, Gray's test, Fine-Gray and cause-specific models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trialstrat.pipeline.reference.columns import Columns, label_text
from trialstrat.pipeline.reference.registry import Answer, reference_method, status_of
from trialstrat.stats.competing import (
    IncidenceCurve,
    cause_specific,
    cumulative_incidence,
    cumulative_incidence_by_group,
    gray_test,
)
from trialstrat.stats.fine_gray import fine_gray


@reference_method("cumulative_incidence", required="time event cause", optional="group weights entry times")
def _cumulative_incidence(columns: Columns, args: Mapping[str, Any]) -> Answer:
    time, event = columns.numbers(args["time"]), columns.numbers(args["event"])
    options: dict[str, Any] = {name: columns.optional(args.get(name)) for name in ("entry", "weights")}
    if "group" not in args:
        return {"all": _curve(cumulative_incidence(time, event, args["cause"], **options), args)}
    labels = columns.labels(args["group"])
    curves = cumulative_incidence_by_group(time, event, args["cause"], labels, **options)
    return {label_text(label): _curve(curve, args) for label, curve in curves.items()}


def _curve(curve: IncidenceCurve, args: Mapping[str, Any]) -> Answer:
    found = curve.at(args["times"]) if "times" in args else curve
    return {"time": args.get("times", curve.time), "incidence": found.incidence, "std_error": found.std_error}


@reference_method("gray_test", required="time event cause group", optional="strata")
def _gray_test(columns: Columns, args: Mapping[str, Any]) -> Answer:
    found = gray_test(
        columns.numbers(args["time"]),
        columns.numbers(args["event"]),
        args["cause"],
        columns.labels(args["group"]),
        strata=columns.strata(args.get("strata")),
    )
    return status_of(found) or {"statistic": found.statistic, "df": found.df, "p": found.p}


@reference_method("fine_gray", required="time event cause covariates")
def _fine_gray(columns: Columns, args: Mapping[str, Any]) -> Answer:
    return _model(fine_gray, columns, args)


@reference_method("cause_specific", required="time event cause covariates")
def _cause_specific(columns: Columns, args: Mapping[str, Any]) -> Answer:
    return _model(cause_specific, columns, args)


def _model(fit: Any, columns: Columns, args: Mapping[str, Any]) -> Answer:
    time, event = columns.numbers(args["time"]), columns.numbers(args["event"])
    found = fit(time, event, args["cause"], columns.matrix(args["covariates"]), names=args["covariates"])
    return status_of(found) or {"coef": found.coef, "std_error": found.std_error}
