"""Reference methods of the topic cox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trialstrat.pipeline.reference.columns import Columns
from trialstrat.pipeline.reference.registry import Answer, reference_method, status_of
from trialstrat.results import TestResult
from trialstrat.stats.cox import CoxFit, cox, cox_compare
from trialstrat.stats.cox_prediction import baseline_hazard, predict_survival
from trialstrat.stats.cox_residuals import cox_residuals
from trialstrat.stats.firth import cox_firth
from trialstrat.stats.proportional_hazards import ph_test

MODEL = "entry strata weights cluster offset ties"


@reference_method("cox", required="time event covariates", optional=MODEL)
def _cox(columns: Columns, args: Mapping[str, Any]) -> Answer:
    fit = _fit(columns, args, args["covariates"])
    return status_of(fit) or {
        "coef": fit.coef,
        "std_error": fit.std_error,
        "robust_std_error": fit.robust_std_error,
        "loglik_null": fit.loglik_null,
        "loglik": fit.loglik,
        "wald": _test(fit.wald),
        "score": _test(fit.score),
        "likelihood_ratio": _test(fit.likelihood_ratio),
        "concordance": fit.concordance,
        "concordance_se": fit.concordance_se,
        "hazard_ratio": [list(row) for row in zip(fit.hazard_ratio, fit.lower, fit.upper, strict=True)],
    }


@reference_method("cox_compare", required="time event covariates added", optional=MODEL)
def _cox_compare(columns: Columns, args: Mapping[str, Any]) -> Answer:
    small = _fit(columns, args, args["covariates"])
    result = cox_compare(small, _fit(columns, args, args["covariates"] + args["added"]))
    return status_of(result) or {"statistic": result.statistic, "df": result.df, "p": result.p}


@reference_method("cox_ph_test", required="time event covariates transform", optional=MODEL)
def _cox_ph_test(columns: Columns, args: Mapping[str, Any]) -> Answer:
    result = ph_test(_fit(columns, args, args["covariates"]), args["transform"])
    single = {name: _test(test) for name, test in result.covariates.items()}
    return status_of(result.overall) or {"covariates": single, "global": _test(result.overall)}


@reference_method("cox_residuals", required="time event covariates kind", optional=MODEL)
def _cox_residuals(columns: Columns, args: Mapping[str, Any]) -> Answer:
    result = cox_residuals(_fit(columns, args, args["covariates"]), args["kind"])
    return status_of(result) or {"values": result.values.T}


@reference_method("cox_baseline", required="time event covariates", optional=f"{MODEL} centered")
def _cox_baseline(columns: Columns, args: Mapping[str, Any]) -> Answer:
    curves = baseline_hazard(_fit(columns, args, args["covariates"]))
    answers = {curve.stratum: {"time": curve.time, "cumulative_hazard": curve.cumulative_hazard} for curve in curves}
    return status_of(*curves) or (answers if args.get("strata") else answers["all"])


@reference_method("cox_survival", required="time event covariates new times", optional=f"{MODEL} conf_type")
def _cox_survival(columns: Columns, args: Mapping[str, Any]) -> Answer:
    options = {"conf_type": args["conf_type"]} if "conf_type" in args else {}
    result = predict_survival(_fit(columns, args, args["covariates"]), args["new"], args["times"], **options)
    return status_of(result) or {key: getattr(result, key) for key in ("survival", "lower", "upper")}


@reference_method("cox_firth", required="time event covariates")
def _cox_firth(columns: Columns, args: Mapping[str, Any]) -> Answer:
    time, event = columns.numbers(args["time"]), columns.numbers(args["event"])
    fit = cox_firth(time, event, columns.matrix(args["covariates"]), names=args["covariates"])
    answer: Answer = {key: getattr(fit, key) for key in ("coef", "std_error", "penalised_loglik")}
    return status_of(fit) or answer | {"likelihood_ratio": _test(fit.likelihood_ratio)}


def _fit(columns: Columns, args: Mapping[str, Any], covariates: list[str]) -> CoxFit:
    return cox(
        columns.numbers(args["time"]),
        columns.numbers(args["event"]),
        columns.matrix(covariates),
        entry=columns.optional(args.get("entry")),
        strata=columns.strata(args.get("strata")),
        weights=columns.optional(args.get("weights")),
        cluster=columns.labels(args["cluster"]) if "cluster" in args else None,
        offset=columns.optional(args.get("offset")),
        ties=args.get("ties", "efron"),
        names=covariates,
    )


def _test(test: TestResult) -> list[float]:
    return [test.statistic, test.df, test.p]
