"""Differences between two survival curves: restricted means and milestones, also weighted or with delayed entry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trialstrat.results import NAN
from trialstrat.stats.checks import check_survival
from trialstrat.stats.milestone import milestone_difference
from trialstrat.stats.rmst import beyond_follow_up, rmst_difference
from trialstrat.stats.survival import kaplan_meier
from trialstrat.subgroups.scales import EffectOptions, ScaleEffect, normal_effect

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NO_HORIZON = "no horizon is declared"
#: The groups of the statistics are the arms here.
_ARMS = (("first group", "control arm"), ("second group", "treated arm"))


def rmst_effect(
    time: Floats, event: Ints, arm: Ints, options: EffectOptions, *, weights: Floats | None, entry: Floats | None
) -> ScaleEffect:
    """Difference of restricted mean survival times up to ``options.tau``, treated minus control."""
    words = {"measure": "RMST difference", "unit": options.unit, "method": "difference of Kaplan-Meier areas"}
    if options.tau is None:
        return _none(words, options, NO_HORIZON)
    if weights is None and entry is None:
        found = rmst_difference(time, event, arm, options.tau, options.level)
        if found.status != "ok":
            return _none(words, options, _by_arm(found.reason))
        return normal_effect(
            found.difference.estimate, found.difference.std_error, ratio=False, level=options.level, **words
        )
    words["method"] = _robust_method(words["method"], weights)
    parts = [robust_curve(time, event, arm == k, options.tau, weights=weights, entry=entry) for k in (0, 1)]
    return _difference([(part.rmst, part.rmst_error, part.reason) for part in parts], words, options)


def milestone_effect(
    time: Floats, event: Ints, arm: Ints, options: EffectOptions, *, weights: Floats | None, entry: Floats | None
) -> ScaleEffect:
    """Difference of survival probabilities at ``options.tau``, treated minus control."""
    words = {
        "measure": "survival difference",
        "unit": "probability",
        "method": "difference of Kaplan-Meier estimates at the horizon",
    }
    if options.tau is None:
        return _none(words, options, NO_HORIZON)
    if weights is None and entry is None:
        found = milestone_difference(time, event, arm, options.tau, options.level)
        if found.status != "ok":
            return _none(words, options, _by_arm(found.reason))
        return normal_effect(
            found.difference.estimate, found.difference.std_error, ratio=False, level=options.level, **words
        )
    words["method"] = _robust_method(words["method"], weights)
    parts = [robust_curve(time, event, arm == k, options.tau, weights=weights, entry=entry) for k in (0, 1)]
    return _difference([(part.survival, part.survival_error, part.reason) for part in parts], words, options)


def _robust_method(method: str, weights: Floats | None) -> str:
    return f"{'weighted ' if weights is not None else ''}{method}, infinitesimal jackknife"


def _by_arm(reason: str) -> str:
    for group, arm in _ARMS:
        reason = reason.replace(group, arm)
    return reason.replace("either group", "either arm")


def _none(words: dict[str, str], options: EffectOptions, reason: str) -> ScaleEffect:
    return normal_effect(NAN, NAN, ratio=False, level=options.level, reason=reason, **words)


def _difference(parts: list[tuple[float, float, str]], words: dict[str, str], options: EffectOptions) -> ScaleEffect:
    reason = next((f"{arm}: {part[2]}" for (_, arm), part in zip(_ARMS, parts, strict=True) if part[2]), "")
    (first, error0, _), (second, error1, _) = parts
    return normal_effect(
        second - first, float(np.hypot(error0, error1)), ratio=False, level=options.level, reason=reason, **words
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustCurve:
    """Survival at the horizon and area up to it, with infinitesimal jackknife errors; nan with a reason."""

    survival: float = NAN
    survival_error: float = NAN
    rmst: float = NAN
    rmst_error: float = NAN
    reason: str = ""


def robust_curve(
    time: Floats,
    event: Ints,
    rows: NDArray[np.bool_],
    tau: float,
    *,
    weights: Floats | None,
    entry: Floats | None,
) -> RobustCurve:
    """Weighted Kaplan-Meier estimate of some rows at ``tau`` and its area, with sandwich standard errors.

    The influence of row i on log S(t) is -w_i times the sum over event times u <= t, while i is at risk, of
    (dN_i(u) - dN(u) / Y(u)) / (Y(u) - dN(u)); the same sum weighted by the area beyond u gives that on the restricted
    mean. Weights are taken as known, which for estimated propensity weights errs to the safe side.

    References
    ----------
    Therneau T (2023), survival package, methods vignette, section 2.2 (infinitesimal jackknife of survfit).
    Conner SC et al. (2019). Stat Med 38, 3832-3860 (weighted restricted means).
    """
    mass = np.ones(len(time)) if weights is None else weights
    used = rows & (mass > 0)
    if not used.any():
        return RobustCurve(reason="nobody has a positive weight")
    data = check_survival(time[used], event[used], entry=None if entry is None else entry[used], weights=mass[used])
    t, d, w, late = data.time, data.event, mass[used], data.entry
    curve = kaplan_meier(t, d, entry=late, weights=w, conf_type="plain")
    if beyond_follow_up(tau, float(curve.time[-1]), float(curve.survival[-1])):
        return RobustCurve(reason="follow-up ends before the horizon and the survival curve is not yet 0")
    at = (curve.n_event > 0) & (curve.time <= tau)
    steps, risk, dead = curve.time[at], curve.n_risk[at], curve.n_event[at]
    height = np.concatenate(([1.0], curve.survival[at]))
    widths = np.diff(np.concatenate(([0.0], steps, [tau])))
    areas = height * widths
    beyond = np.cumsum(areas[::-1])[::-1][1:]  # area from each event time to tau
    survival, area = float(height[-1]), float(areas.sum())
    errors = []
    for gain in (np.full(len(steps), survival), beyond):
        with np.errstate(divide="ignore", invalid="ignore"):
            # at the step to 0 nothing is left beyond, and the slope there does not matter
            slope = np.where(risk - dead > 1e-12 * risk, gain / (risk - dead), 0.0)
        errors.append(_sandwich(t, d, w, late, steps, slope, slope * dead / risk))
    alive = survival > 0
    return RobustCurve(survival=survival, survival_error=errors[0] if alive else NAN, rmst=area, rmst_error=errors[1])


def _sandwich(
    time: Floats, event: Ints, weight: Floats, entry: Floats | None, steps: Floats, own: Floats, shared: Floats
) -> float:
    """Root of the sum of squared influences; ``own`` and ``shared`` are by event time."""
    so_far = np.concatenate(([0.0], np.cumsum(shared)))
    upto = np.searchsorted(steps, time, side="right")
    from_ = 0 if entry is None else np.searchsorted(steps, entry, side="right")
    influence = so_far[upto] - so_far[from_]
    hit = (event == 1) & (upto > 0)
    hit[hit] = steps[upto[hit] - 1] == time[hit]
    influence[hit] -= own[upto[hit] - 1]
    return float(np.sqrt(((weight * influence) ** 2).sum()))
