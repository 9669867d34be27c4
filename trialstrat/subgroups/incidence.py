"""Cumulative incidence of the cause of interest in the presence of competing events: at the horizon and as curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.shown import ShownOutcome
from trialstrat.results import NAN, Cell, Column, Estimate, Table
from trialstrat.stats.competing import IncidenceCurve, cumulative_incidence, gray_test
from trialstrat.stats.fine_gray import fine_gray
from trialstrat.stats.rmst import beyond_follow_up
from trialstrat.subgroups.scales import EffectOptions, ScaleEffect, normal_effect, p_estimate

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

METHOD = "Aalen-Johansen"
NO_HORIZON = "no horizon is declared"


def incidence_effect(
    time: Floats, event: Ints, arm: Ints, options: EffectOptions, *, weights: Floats | None, entry: Floats | None
) -> ScaleEffect:
    """Difference of cumulative incidences of cause 1 at ``options.tau``, treated minus control, normal limits."""
    words = {
        "measure": "cumulative incidence difference",
        "unit": "probability",
        "method": f"{'weighted ' if weights is not None else ''}difference of {METHOD} estimates at the horizon",
    }
    if options.tau is None:
        return normal_effect(NAN, NAN, ratio=False, level=options.level, reason=NO_HORIZON, **words)
    values, errors = [], []
    for code, name in ((0, "control arm"), (1, "treated arm")):
        rows = (arm == code) & (np.ones(len(arm)) if weights is None else weights > 0).astype(bool)
        curve = _curve(time, event, rows, options.level, weights=weights, entry=entry)
        if reason := _too_short(curve, options.tau):
            return normal_effect(NAN, NAN, ratio=False, level=options.level, reason=f"{name}: {reason}", **words)
        at = curve.at([options.tau])
        values.append(float(at.incidence[0]))
        errors.append(float(at.std_error[0]))
    difference = values[1] - values[0]
    return normal_effect(difference, float(np.hypot(*errors)), ratio=False, level=options.level, **words)


def incidence_at(outcome: ShownOutcome, rows: Mask, level: float) -> ScaleEffect:
    """Cumulative incidence of some patients at the horizon, limits on the log-log scale."""
    words = {"measure": "cumulative incidence", "unit": "probability", "method": f"{METHOD}, log-log limits"}
    missing = {"ratio": False, "level": level, "status": "not_estimable"}
    if outcome.time is None or outcome.event is None or outcome.horizon is None:
        return ScaleEffect(**words, **missing, reason=NO_HORIZON)  # type: ignore[arg-type]
    curve = _curve(outcome.time, outcome.event, rows, level, weights=None, entry=outcome.entry)
    if reason := _too_short(curve, outcome.horizon):
        return ScaleEffect(**words, **missing, reason=reason)  # type: ignore[arg-type]
    at = curve.at([outcome.horizon])
    return ScaleEffect(
        ratio=False,
        value=float(at.incidence[0]),
        lower=float(at.lower[0]),
        upper=float(at.upper[0]),
        std_error=float(at.std_error[0]),
        level=level,
        measure=words["measure"],
        unit=words["unit"],
        method=words["method"],
    )


def incidence_table(
    outcome: ShownOutcome, groups: Mapping[str, Mask], labels: Mapping[str, str], level: float, population: str
) -> Table:
    """``primary.cif``: step values of the cumulative incidence by arm, with the helper columns of a curve."""
    rows: list[tuple[Cell, ...]] = []
    for name, mask in groups.items():
        if outcome.time is not None and outcome.event is not None:
            curve = _curve(outcome.time, outcome.event, mask, level, weights=None, entry=outcome.entry)
            rows.extend((name, labels[name], *step) for step in _steps(curve))
    columns = (
        Column(key="arm", label="Arm"),
        Column(key="label", label="Arm"),
        Column(key="time", label="Time", kind="number", unit=outcome.unit),
        Column(key="incidence", label="Cumulative incidence", kind="percent"),
        Column(key="lower", label="Lower limit", kind="percent"),
        Column(key="upper", label="Upper limit", kind="percent"),
        Column(key="at_risk", label="At risk", kind="count"),
        Column(key="events_since", label="Events", kind="count"),
        Column(key="censored_since", label="Censored", kind="count"),
    )
    cause = f" of {outcome.causes[0]}" if outcome.causes else ""
    return Table(
        name="primary.cif",
        title=f"Cumulative incidence{cause} by arm",
        columns=columns,
        rows=tuple(rows),
        note=f"Population: {population}. {METHOD}, pointwise limits on the log-log scale.",
        protection="curve",
    )


def competing_tests(
    cohort: Cohort, outcome: ShownOutcome, rows: Mask, treated: Ints, names: tuple[str, str], rest: Mapping[str, Any]
) -> list[Estimate]:
    """Gray's test and Fine and Gray's subdistribution hazard ratio: the probability of the event, beside its rate.

    ``names`` are the pair (``t_vs_c``) and the label of the comparison. Neither method takes delayed entry.
    """
    pair, label = names
    ratio = (f"primary.fine_gray.hazard_ratio.{pair}", f"Subdistribution hazard ratio, {label}")
    p = (f"primary.gray.p.{pair}", f"Gray's test, {label}")
    if outcome.time is None or outcome.event is None or outcome.entry is not None:
        reason = "this method does not take delayed entry"
        return [Estimate.not_estimable(*name, reason, **rest) for name in (ratio, p)]
    time, event, arm = outcome.time[rows], outcome.event[rows], treated[rows]
    fit = fine_gray(time, event, 1, arm, level=float(rest["level"]))
    words = {**rest, "unit": "hazard ratio", "method": "Fine and Gray model, robust variance"}
    if fit.status == "ok" and np.isfinite(fit.coef[0]):
        limits = {"lower": float(fit.lower[0]), "upper": float(fit.upper[0])}
        null = "treatment is not associated with the cumulative incidence"
        value = float(fit.hazard_ratio[0])
        first = Estimate(name=ratio[0], label=ratio[1], value=value, **limits, **words, null_hypothesis=null)
    else:
        first = Estimate.not_estimable(*ratio, fit.reason or "no finite estimate", **words)
    test = gray_test(time, event, 1, arm, strata=None if cohort.strata is None else cohort.strata[rows])
    words = {**rest, "method": test.method}
    return [first, p_estimate(*p, test.p, test.status, test.reason, test.null_hypothesis, words)]


def _curve(
    time: Floats, event: Ints, rows: Mask, level: float, *, weights: Floats | None, entry: Floats | None
) -> IncidenceCurve:
    return cumulative_incidence(
        time[rows],
        event[rows],
        1,
        entry=None if entry is None else entry[rows],
        weights=None if weights is None else weights[rows],
        level=level,
    )


def _too_short(curve: IncidenceCurve, tau: float) -> str:
    remaining = float(curve.n_risk[-1] - curve.n_event[-1] - curve.n_other[-1])
    if beyond_follow_up(tau, float(curve.time[-1]), max(remaining, 0.0)):
        return "follow-up ends before the horizon while patients are still at risk"
    return ""


def _steps(curve: IncidenceCurve) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = [(0.0, 0.0, 0.0, 0.0, int(curve.n_risk[0]), 0, 0)]
    censored = 0
    for at, time in enumerate(curve.time):
        censored += int(curve.n_censor[at] + curve.n_other[at])
        if curve.n_event[at] > 0 or (at == len(curve.time) - 1 and time > 0):
            limits = (float(x) if np.isfinite(x) else None for x in (curve.lower[at], curve.upper[at]))
            value, events = float(curve.incidence[at]), int(curve.n_event[at])
            rows.append((float(time), value, *limits, int(curve.n_risk[at]), events, censored))
            censored = 0
    return rows
