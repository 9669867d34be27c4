"""Reference methods of the topic prediction: concordance, Brier score, AUC, calibration, net benefit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trialstrat.pipeline.reference.columns import Columns
from trialstrat.pipeline.reference.registry import Answer, reference_method, status_of
from trialstrat.stats.brier import brier
from trialstrat.stats.calibration import calibration
from trialstrat.stats.net_benefit import net_benefit
from trialstrat.stats.scores import harrell_c, time_dependent_auc, uno_c


@reference_method("concordance", required="time event risk kind", optional="tau strata weights")
def _concordance(columns: Columns, args: Mapping[str, Any]) -> Answer:
    score = {"harrell": harrell_c, "uno": uno_c}[args["kind"]]
    time, event, risk = _columns(columns, args, "risk")
    found = score(
        time,
        event,
        risk,
        tau=args.get("tau"),
        strata=columns.strata(args.get("strata")),
        weights=columns.optional(args.get("weights")),
    )
    return status_of(found) or {"concordance": found.value, "std_error": found.std_error}


@reference_method("brier", required="time event survival_columns times", optional="tau")
def _brier(columns: Columns, args: Mapping[str, Any]) -> Answer:
    time, event = _columns(columns, args)
    found = brier(time, event, columns.matrix(args["survival_columns"]), args["times"], tau=args.get("tau"))
    values = {"brier": found.brier, "brier_null": found.brier_null, "ipa": found.ipa, "integrated": found.integrated}
    return status_of(found) or values


@reference_method("auc", required="time event risk times")
def _auc(columns: Columns, args: Mapping[str, Any]) -> Answer:
    time, event, risk = _columns(columns, args, "risk")
    found = time_dependent_auc(time, event, risk, args["times"])
    return status_of(found) or {"auc": found.auc}


@reference_method("calibration", required="time event predicted at kind", optional="groups")
def _calibration(columns: Columns, args: Mapping[str, Any]) -> Answer:
    options = {"groups": args["groups"]} if "groups" in args else {}
    time, event, predicted = _columns(columns, args, "predicted")
    found = calibration(time, event, predicted, args["at"], **options)
    part = getattr(found, args["kind"])
    keys = {
        "observed_expected": ("observed", "expected", "ratio"),
        "slope": ("slope", "std_error"),
        "groups": ("n", "mean_predicted", "observed", "std_error"),
    }[args["kind"]]
    return status_of(part) or {key: getattr(part, key) for key in keys}


@reference_method("net_benefit", required="time event predicted at thresholds")
def _net_benefit(columns: Columns, args: Mapping[str, Any]) -> Answer:
    time, event, predicted = _columns(columns, args, "predicted")
    found = net_benefit(time, event, predicted, args["at"], args["thresholds"])
    return status_of(found) or {"net_benefit": found.net_benefit, "treat_all": found.treat_all}


def _columns(columns: Columns, args: Mapping[str, Any], *more: str) -> list[Any]:
    return [columns.numbers(args[name]) for name in ("time", "event", *more)]
