"""Reference methods of the topic survival: curves, follow-up, restricted mean, milestone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from trialstrat.pipeline.reference.columns import Columns, label_text
from trialstrat.pipeline.reference.registry import Answer, reference_method, status_of
from trialstrat.stats.contrast import Contrast
from trialstrat.stats.milestone import milestone, milestone_difference
from trialstrat.stats.rmst import rmst, rmst_difference
from trialstrat.stats.survival import (
    SurvivalCurve,
    kaplan_meier,
    kaplan_meier_by_group,
    nelson_aalen,
    reverse_kaplan_meier,
)


@reference_method("kaplan_meier", required="time event", optional="entry weights group conf_type level times quantiles")
def _kaplan_meier(columns: Columns, args: Mapping[str, Any]) -> Answer:
    time, event = columns.numbers(args["time"]), columns.numbers(args["event"])
    options: dict[str, Any] = {
        "entry": columns.optional(args.get("entry")),
        "weights": columns.optional(args.get("weights")),
        **{key: args[key] for key in ("conf_type", "level") if key in args},
    }
    if "group" not in args:
        return {"all": _curve(kaplan_meier(time, event, **options), args)}
    curves = kaplan_meier_by_group(time, event, columns.labels(args["group"]), **options)
    return {label_text(label): _curve(curve, args) for label, curve in curves.items()}


def _curve(curve: SurvivalCurve, args: Mapping[str, Any]) -> Answer:
    if "times" in args:
        at = curve.at(args["times"])
        answer: Answer = {"time": at.times}
        answer |= {key: getattr(at, key) for key in ("n_risk", "survival", "std_error", "lower", "upper")}
    else:
        keys = ("time", "n_risk", "n_event", "n_censor", "survival", "std_error", "lower", "upper")
        answer = {key: getattr(curve, key) for key in keys}
    quantiles = {str(p): curve.quantile(p) for p in args.get("quantiles", ())}
    answer["quantiles"] = {p: [found.estimate, found.lower, found.upper] for p, found in quantiles.items()}
    return answer


@reference_method("reverse_kaplan_meier", required="time event", optional="group")
def _reverse_kaplan_meier(columns: Columns, args: Mapping[str, Any]) -> Answer:
    def median(time: Any, event: Any) -> Answer:
        found = reverse_kaplan_meier(time, event)
        return {"median": found.estimate, "lower": found.lower, "upper": found.upper}

    return _by_group(columns, args, median)


@reference_method("nelson_aalen", required="time event", optional="entry weights group")
def _nelson_aalen(columns: Columns, args: Mapping[str, Any]) -> Answer:
    def hazard(time: Any, event: Any, entry: Any, weights: Any) -> Answer:
        found = nelson_aalen(time, event, entry=entry, weights=weights)
        return {"time": found.time, "cumulative_hazard": found.cumulative_hazard, "std_error": found.std_error}

    return _by_group(columns, args, hazard, "entry", "weights")


@reference_method("rmst", required="time event tau", optional="group level")
def _rmst(columns: Columns, args: Mapping[str, Any]) -> Answer:
    level = {"level": args["level"]} if "level" in args else {}

    def single(time: Any, event: Any) -> Answer:
        found = rmst(time, event, args["tau"], **level)
        return status_of(found) | {"rmst": found.rmst, "std_error": found.std_error}

    answer = _by_group(columns, args, single)
    second = _second_group(columns, args)
    if second is not None:
        time, event = columns.numbers(args["time"]), columns.numbers(args["event"])
        found = rmst_difference(time, event, second, args["tau"], **level)
        answer |= {"difference": _contrast(found.difference), "ratio": _contrast(found.ratio)}
        answer |= status_of(found)
    return answer


@reference_method("milestone", required="time event at", optional="group level")
def _milestone(columns: Columns, args: Mapping[str, Any]) -> Answer:
    level = {"level": args["level"]} if "level" in args else {}

    def single(time: Any, event: Any) -> Answer:
        found = milestone(time, event, args["at"], **level)
        return status_of(found) | {"survival": found.survival, "std_error": found.std_error}

    answer = _by_group(columns, args, single)
    second = _second_group(columns, args)
    if second is not None:
        time, event = columns.numbers(args["time"]), columns.numbers(args["event"])
        found = milestone_difference(time, event, second, args["at"], **level)
        answer |= {"difference": _contrast(found.difference)}
        answer |= status_of(found)
    return answer


def _by_group(columns: Columns, args: Mapping[str, Any], answer: Callable[..., Answer], *optional: str) -> Answer:
    """Answer for the rows of every group, or for ``all``; ``optional`` names further columns to pass on.

    A group that is not estimable makes the whole answer not estimable.
    """
    vectors = [columns.numbers(args["time"]), columns.numbers(args["event"])]
    vectors += [columns.optional(args.get(name)) for name in optional]
    answers: Answer = {}
    if "group" not in args:
        answers["all"] = answer(*vectors)
    else:
        labels = columns.labels(args["group"])
        for label in sorted(set(labels.tolist())):
            rows = labels == label
            answers[label_text(label)] = answer(*(None if vector is None else vector[rows] for vector in vectors))
    statuses = [part["status"] for part in answers.values() if "status" in part]
    return answers | {"status": statuses[0]} if statuses else answers


def _second_group(columns: Columns, args: Mapping[str, Any]) -> Any:
    """0/1 membership of the second of exactly two groups, else None: contrasts exist for two groups only."""
    if "group" not in args:
        return None
    labels = columns.labels(args["group"])
    distinct = sorted(set(labels.tolist()))
    return (labels == distinct[1]).astype(int) if len(distinct) == 2 else None


def _contrast(found: Contrast) -> list[float]:
    return [found.estimate, found.lower, found.upper, found.p]
