"""Reference methods of the topic design: events, survival designs, group-sequential designs and their analysis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trialstrat.design.assumptions import Accrual, Dropout, SurvivalAssumptions, hazard_pair
from trialstrat.design.event_times import events_at
from trialstrat.design.power import (
    SurvivalDesign,
    design_events,
    fixed_design,
    follow_up_needed,
    power_of_trial,
    subjects_needed,
)
from trialstrat.design.sequential import GroupSequentialDesign, SampleNumbers, group_sequential
from trialstrat.design.sequential_analysis import gs_analysis
from trialstrat.design.sequential_spending import BetaSpending, FutilityBounds
from trialstrat.pipeline.reference.columns import Columns
from trialstrat.pipeline.reference.registry import Answer, reference_method

_CONTROL = ("lambda_control", "median_control")
_TREATMENT = ("hazard_ratio", "lambda_treatment", "median_treatment")
_TEST = ("alpha", "sided", "power")
_DESIGN = "information_rates alpha sided shape power"
_DESIGN_OPTIONAL = "parameter user_alpha futility"
_ASSUMPTIONS = f"accrual_intensity {' '.join(_CONTROL)} piecewise {' '.join(_TREATMENT)} dropout"


@reference_method("design_events", required="hazard_ratio alpha power sided allocation method")
def _design_events(_: Columns, args: Mapping[str, Any]) -> Answer:
    return {"events": design_events(**args)}


@reference_method("group_sequential", required=_DESIGN, optional=_DESIGN_OPTIONAL)
def _group_sequential(_: Columns, args: Mapping[str, Any]) -> Answer:
    found = _design(args)
    keys = ("critical_values", "stage_levels", "cumulative_alpha", "inflation_factor", "rejection_probability")
    answer: Answer = {key: getattr(found, key) for key in keys}
    if found.futility is not None:
        answer |= {"futility": found.futility, "futility_probability": found.futility_probability}
    return answer | {"average_sample_number": _sample_numbers(found.average_sample_number)}


@reference_method(
    "design_survival",
    required="solve accrual_time allocation",
    optional=f"{_ASSUMPTIONS} follow_up subjects events at design method {' '.join(_TEST)}",
)
def _design_survival(_: Columns, args: Mapping[str, Any]) -> Answer:
    assumptions = _survival_assumptions(args)
    if args["solve"] == "events_at":
        forecast = events_at(assumptions, subjects=args["subjects"], at=args["at"])
        keys = ("event_probability", "event_probability_treatment", "event_probability_control", "subjects")
        return {key: getattr(forecast, key) for key in keys}
    if "design" in args:
        design = _design(args["design"])
    else:
        design = fixed_design(**{key: args[key] for key in _TEST if key in args})
    method = {"method": args["method"]} if "method" in args else {}
    if args["solve"] == "subjects":
        found = subjects_needed(assumptions, design, follow_up=args["follow_up"], **method)
    elif args["solve"] == "follow_up":
        found = follow_up_needed(assumptions, design, subjects=args["subjects"], **method)
    elif args["solve"] == "power":
        return _power(power_of_trial(assumptions, design, subjects=args["subjects"], events=args["events"], **method))
    else:
        raise ValueError(f"unknown design to solve for: {args['solve']}")
    keys = ("events", "subjects", "study_duration", "follow_up", "critical_hazard_ratio", "events_per_stage")
    answer = {key: getattr(found, key) for key in (*keys, "analysis_times", "subjects_per_stage")}
    return answer | {"expected_events": _sample_numbers(found.expected_events)}


@reference_method(
    "gs_analysis",
    required="design events log_rank allocation direction",
    optional="planned_events assumed_hazard_ratio",
)
def _gs_analysis(_: Columns, args: Mapping[str, Any]) -> Answer:
    options = {key: args[key] for key in ("planned_events", "assumed_hazard_ratio") if key in args}
    found = gs_analysis(
        _design(args["design"]),
        args["events"],
        args["log_rank"],
        allocation=args["allocation"],
        direction=args["direction"],
        **options,
    )
    keys = ("hazard_ratio", "repeated_ci", "repeated_p", "conditional_rejection_probability", "conditional_power")
    answer: Answer = {key: getattr(found, key) for key in keys if getattr(found, key) is not None}
    if found.final_look is not None:
        answer |= {key: getattr(found, key) for key in ("adjusted_p", "median_unbiased", "final_ci")}
    return answer


def _design(args: Mapping[str, Any]) -> GroupSequentialDesign:
    options = {key: args[key] for key in (*_TEST, "shape", "parameter", "user_alpha") if key in args}
    return group_sequential(args["information_rates"], futility=_futility(args.get("futility")), **options)


def _futility(given: Mapping[str, Any] | None) -> FutilityBounds | BetaSpending | None:
    if given is None:
        return None
    if "bounds" in given:
        bounds = tuple(float(str(bound).replace("Inf", "inf")) for bound in given["bounds"])
        return FutilityBounds(bounds=bounds, binding=given["binding"])
    user = given.get("user_beta")
    return BetaSpending(
        spending=given["spending"],
        parameter=given.get("parameter"),
        user_beta=None if user is None else tuple(user),
        binding=given["binding"],
    )


def _survival_assumptions(args: Mapping[str, Any]) -> SurvivalAssumptions:
    piecewise = args.get("piecewise")
    control, hazard_ratio = hazard_pair(
        piecewise=None if piecewise is None else (piecewise["starts"], piecewise["rates"]),
        **{key: args[key] for key in (*_CONTROL, *_TREATMENT) if key in args},
    )
    intensity, dropout = args.get("accrual_intensity"), args.get("dropout")
    return SurvivalAssumptions(
        accrual=Accrual(times=tuple(args["accrual_time"]), intensity=None if intensity is None else tuple(intensity)),
        control=control,
        hazard_ratio=hazard_ratio,
        allocation=args["allocation"],
        dropout=None if dropout is None else Dropout(**dropout),
    )


def _power(found: SurvivalDesign) -> Answer:
    keys = ("power", "analysis_times", "study_duration", "events_per_stage", "rejection_probability")
    answer: Answer = {key: getattr(found, key) for key in keys}
    return answer | {
        "expected_events": found.expected_events.h1,
        "expected_study_duration": found.expected_study_duration,
        "expected_subjects": found.expected_subjects,
    }


def _sample_numbers(found: SampleNumbers) -> dict[str, float]:
    return {"h1": found.h1, "h01": found.h01, "h0": found.h0}
