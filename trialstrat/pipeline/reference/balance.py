"""Reference methods of the topic balance: descriptions, differences and tests between groups, propensity scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trialstrat.pipeline.reference.columns import Columns, label_text
from trialstrat.pipeline.reference.registry import Answer, reference_method, status_of
from trialstrat.stats.balance import Description, describe, smd, table_test
from trialstrat.stats.propensity import propensity
from trialstrat.stats.weighted_effect import ipw_cox


@reference_method("smd", required="value group kind", optional="weights")
def _smd(columns: Columns, args: Mapping[str, Any]) -> Answer:
    found = smd(
        _values(columns, args["value"], args["kind"] == "categorical"),
        columns.labels(args["group"]),
        kind=args["kind"],
        weights=columns.optional(args.get("weights")),
    )
    return status_of(found) or {"smd": found.smd}


@reference_method("table_test", required="value group kind", optional="exact correct")
def _table_test(columns: Columns, args: Mapping[str, Any]) -> Answer:
    options = {key: args[key] for key in ("exact", "correct") if key in args}
    values = _values(columns, args["value"], args["kind"] in ("chisq", "fisher"))
    found = table_test(values, columns.labels(args["group"]), kind=args["kind"], **options)
    return status_of(found) or {"statistic": found.statistic, "p": found.p}


@reference_method("describe", required="value kind", optional="group")
def _describe(columns: Columns, args: Mapping[str, Any]) -> Answer:
    values = _values(columns, args["value"], args["kind"] == "categorical")
    group = columns.labels(args["group"]) if "group" in args else None
    found = describe(values, group, kind=args["kind"])
    return {label_text(label): _description(one) for label, one in found.items()}


@reference_method("propensity", required="treatment covariates")
def _propensity(columns: Columns, args: Mapping[str, Any]) -> Answer:
    found = propensity(columns.numbers(args["treatment"]), columns.matrix(args["covariates"]), names=args["covariates"])
    return status_of(found) or {"coef": found.coef, "score": found.score}


@reference_method("ipw_cox", required="time event treatment covariates estimand stabilised", optional="truncate")
def _ipw_cox(columns: Columns, args: Mapping[str, Any]) -> Answer:
    found = ipw_cox(
        columns.numbers(args["time"]),
        columns.numbers(args["event"]),
        columns.numbers(args["treatment"]),
        columns.matrix(args["covariates"]),
        estimand=args["estimand"],
        stabilised=args["stabilised"],
        truncate=tuple(args["truncate"]) if "truncate" in args else None,
        names=args["covariates"],
    )
    if found.weights is None or found.status != "ok":
        return status_of(found)
    return {
        "weights_summary": {
            "min": found.weights.minimum,
            "max": found.weights.maximum,
            "mean": found.weights.mean,
            "ess": {"0": found.weights.ess_control, "1": found.weights.ess_treated},
        },
        "coef": found.coef,
        "robust_std_error": found.robust_std_error,
        "smd_before": {name: difference.smd for name, difference in found.smd_before.items()},
        "smd_after": {name: difference.smd for name, difference in found.smd_after.items()},
    }


def _values(columns: Columns, name: str, categorical: bool) -> Any:
    return columns.labels(name) if categorical else columns.numbers(name)


def _description(found: Description) -> Answer:
    answer: Answer = {key: getattr(found, key) for key in ("n", "missing", "mean", "sd", "median", "q1", "q3")}
    return answer | {"counts": {label_text(value): count for value, count in found.counts.items()}}
