"""Outcome by arm: curves, numbers under them, medians, restricted means and milestones; risks and means otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from trialstrat.cohort.shown import ShownOutcome, said_horizon
from trialstrat.results import Column, Estimate, Table
from trialstrat.subgroups.curves import (
    CURVE_METHOD,
    DrawnCurve,
    at_risk_table,
    censoring_table,
    draw,
    km_table,
)

Mask = NDArray[np.bool_]

ARM_COLUMNS = (Column(key="arm", label="Arm"), Column(key="label", label="Arm"))


def curves_by_arm(
    outcome: ShownOutcome, groups: Mapping[str, Mask], labels: Mapping[str, str], level: float
) -> list[DrawnCurve]:
    """One curve per group; with competing causes it is the curve of patients free of any event."""
    if outcome.time is None:
        return []
    event = outcome.any_event
    return [
        draw(
            (name, labels[name]),
            outcome.time[rows],
            event[rows],
            entry=None if outcome.entry is None else outcome.entry[rows],
            level=level,
        )
        for name, rows in groups.items()
    ]


def arm_tables(outcome: ShownOutcome, curves: Sequence[DrawnCurve], population: str) -> list[Table]:
    """``primary.km``, ``primary.at_risk`` and ``primary.censoring``."""
    subject = outcome.label if outcome.kind != "competing" else "Free of any event"
    note = f"Population: {population}. {CURVE_METHOD}{_independent(outcome)}. Time in {outcome.unit} since time zero."
    under = f"Population: {population}. At risk just before the time; events and censorings up to and including it."
    return [
        km_table("primary.km", f"{subject} by arm", ARM_COLUMNS, curves, note),
        at_risk_table("primary.at_risk", "Numbers at risk", ARM_COLUMNS, curves, unit=outcome.unit, note=under),
        censoring_table("primary.censoring", "Censored patients", ARM_COLUMNS, curves, note),
    ]


def timed_arm_estimates(
    outcome: ShownOutcome, groups: Mapping[str, Mask], curves: Sequence[DrawnCurve], shared: Mapping[str, Any]
) -> list[Estimate]:
    """Median, restricted mean and survival at the horizon of every group (cumulative incidence when competing)."""
    estimates: list[Estimate] = []
    for drawn, rows in zip(curves, groups.values(), strict=True):
        name, label = str(drawn.keys[0]), str(drawn.keys[1])
        rest = {**shared, "population": label, "n": int(rows.sum()), "events": int(outcome.of_interest[rows].sum())}
        estimates.append(_median(drawn, name, label, outcome, rest))
        if outcome.horizon is None:
            continue
        if outcome.kind == "competing":
            estimates.append(_incidence(outcome, rows, name, label, rest))
        else:
            estimates.append(_restricted_mean(outcome, rows, name, label, rest))
            estimates.append(_milestone(drawn, outcome, name, label, rest))
    return estimates


def _independent(outcome: ShownOutcome) -> str:
    """What the limits of a curve assume, where it is not so."""
    return "" if outcome.cluster is None else "; its limits take rows as independent"


def _median(drawn: DrawnCurve, name: str, label: str, outcome: ShownOutcome, rest: Mapping[str, Any]) -> Estimate:
    found = drawn.curve.quantile(0.5)
    method = f"{CURVE_METHOD}{_independent(outcome)}"
    words = {"unit": outcome.unit, "method": method, **rest, "level": found.level}
    name, text = f"primary.km.median.{name}", f"Median time, {label}"
    if found.status != "ok":
        return Estimate.not_estimable(name, text, found.reason, **words)
    return Estimate(name=name, label=text, value=found.estimate, lower=found.lower, upper=found.upper, **words)


def _restricted_mean(outcome: ShownOutcome, rows: Mask, name: str, label: str, rest: Mapping[str, Any]) -> Estimate:
    from trialstrat.stats.rmst import rmst
    from trialstrat.subgroups.two_curves import robust_curve, standard_error

    time, tau, level = outcome.time, outcome.horizon, float(rest["level"])
    if time is None or tau is None:
        raise ValueError("a restricted mean needs times and a horizon")
    name = f"primary.rmst.{name}"
    text = f"Restricted mean time up to {said_horizon(outcome)}, {label}"
    robust = "" if outcome.cluster is None else ", infinitesimal jackknife by cluster"
    words = {"unit": outcome.unit, "method": f"area under the Kaplan-Meier curve{robust}", **rest}
    if outcome.entry is None and outcome.cluster is None:
        found = rmst(time[rows], outcome.of_interest[rows], tau, level)
        value, error, reason = found.rmst, found.std_error, found.reason
    else:
        late = robust_curve(time, outcome.of_interest, rows, tau, weights=None, entry=outcome.entry)
        value, error, reason = late.rmst, standard_error(late.rmst_influence, outcome.cluster), late.reason
    if reason:
        return Estimate.not_estimable(name, text, reason, **words)
    half = float(-ndtri((1 - level) / 2)) * error
    return Estimate(
        name=name, label=text, value=value, lower=max(0.0, value - half), upper=min(tau, value + half), **words
    )


def _milestone(drawn: DrawnCurve, outcome: ShownOutcome, name: str, label: str, rest: Mapping[str, Any]) -> Estimate:
    from trialstrat.stats.rmst import beyond_follow_up

    tau = outcome.horizon or 0.0
    name, text = f"primary.milestone.{name}", f"Free of the event at {said_horizon(outcome)}, {label}"
    words = {"unit": "probability", "method": f"{CURVE_METHOD}{_independent(outcome)}", **rest}
    if beyond_follow_up(tau, float(drawn.curve.time[-1]), float(drawn.curve.survival[-1])):
        reason = "follow-up ends before the horizon and the survival curve is not yet 0"
        return Estimate.not_estimable(name, text, reason, **words)
    at = drawn.curve.at([tau])
    return Estimate(
        name=name, label=text, value=float(at.survival[0]), lower=float(at.lower[0]), upper=float(at.upper[0]), **words
    )


def _incidence(outcome: ShownOutcome, rows: Mask, name: str, label: str, rest: Mapping[str, Any]) -> Estimate:
    from trialstrat.subgroups.incidence import incidence_at

    text = f"With the event by {said_horizon(outcome)}, {label}"
    found = incidence_at(outcome, rows, float(rest["level"]))
    return found.estimate(f"primary.cif.{name}", text, **{k: v for k, v in rest.items() if k != "level"})


def plain_arm_estimates(
    outcome: ShownOutcome, groups: Mapping[str, Mask], labels: Mapping[str, str], shared: Mapping[str, Any]
) -> list[Estimate]:
    """Risk (Wilson limits) or mean (t limits) of every group, for outcomes that are not times."""
    level = float(shared["level"])
    estimates: list[Estimate] = []
    for name, rows in groups.items():
        n = int(rows.sum())
        rest = {**shared, "population": labels[name], "n": n}
        if outcome.kind == "binary":
            events = int(outcome.of_interest[rows].sum())
            z = float(-ndtri((1 - level) / 2))
            centre = (events + z * z / 2) / (n + z * z)
            half = z * float(np.sqrt(events * (n - events) / n + z * z / 4)) / (n + z * z)
            words = {"unit": "probability", "method": "proportion, Wilson's limits", "events": events, **rest}
            estimates.append(
                Estimate(
                    name=f"primary.risk.{name}",
                    label=f"With the event, {labels[name]}",
                    value=events / n,
                    lower=centre - half,
                    upper=centre + half,
                    **words,
                )
            )
        elif outcome.value is not None:
            values = outcome.value[rows]
            error = float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
            half = float(-stdtrit(n - 1, (1 - level) / 2)) * error if n > 1 else float("nan")
            mean = float(values.mean())
            estimates.append(
                Estimate(
                    name=f"primary.mean.{name}",
                    label=f"Mean, {labels[name]}",
                    value=mean,
                    lower=mean - half,
                    upper=mean + half,
                    method="mean, t limits",
                    **rest,
                )
            )
    return estimates
