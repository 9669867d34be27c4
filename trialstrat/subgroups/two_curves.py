"""Differences between two survival curves: restricted means and milestones, also weighted or with delayed entry."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trialstrat.results import NAN
from trialstrat.stats.checks import check_survival
from trialstrat.stats.clustered import cluster_sums
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
    time: Floats,
    event: Ints,
    arm: Ints,
    options: EffectOptions,
    *,
    weights: Floats | None,
    entry: Floats | None,
    cluster: Ints | None = None,
) -> ScaleEffect:
    """Difference of restricted mean survival times up to ``options.tau``, treated minus control."""
    words = {"measure": "RMST difference", "unit": options.unit, "method": "difference of Kaplan-Meier areas"}
    if options.tau is None:
        return _none(words, options, NO_HORIZON)
    if weights is None and entry is None and cluster is None:
        found = rmst_difference(time, event, arm, options.tau, options.level)
        if found.status != "ok":
            return _none(words, options, _by_arm(found.reason))
        return normal_effect(
            found.difference.estimate, found.difference.std_error, ratio=False, level=options.level, **words
        )
    words["method"] = _robust_method(words["method"], weights, cluster)
    parts = [robust_curve(time, event, arm == k, options.tau, weights=weights, entry=entry) for k in (0, 1)]
    return _difference([(part.rmst, part.rmst_influence, part.reason) for part in parts], words, options, cluster)


def milestone_effect(
    time: Floats,
    event: Ints,
    arm: Ints,
    options: EffectOptions,
    *,
    weights: Floats | None,
    entry: Floats | None,
    cluster: Ints | None = None,
) -> ScaleEffect:
    """Difference of survival probabilities at ``options.tau``, treated minus control."""
    words = {
        "measure": "survival difference",
        "unit": "probability",
        "method": "difference of Kaplan-Meier estimates at the horizon",
    }
    if options.tau is None:
        return _none(words, options, NO_HORIZON)
    if weights is None and entry is None and cluster is None:
        found = milestone_difference(time, event, arm, options.tau, options.level)
        if found.status != "ok":
            return _none(words, options, _by_arm(found.reason))
        return normal_effect(
            found.difference.estimate, found.difference.std_error, ratio=False, level=options.level, **words
        )
    words["method"] = _robust_method(words["method"], weights, cluster)
    parts = [robust_curve(time, event, arm == k, options.tau, weights=weights, entry=entry) for k in (0, 1)]
    found = [(part.survival, part.survival_influence, part.reason) for part in parts]
    return _difference(found, words, options, cluster)


def _robust_method(method: str, weights: Floats | None, cluster: Ints | None) -> str:
    by = "" if cluster is None else " by cluster"
    return f"{'weighted ' if weights is not None else ''}{method}, infinitesimal jackknife{by}"


def _by_arm(reason: str) -> str:
    for group, arm in _ARMS:
        reason = reason.replace(group, arm)
    return reason.replace("either group", "either arm")


def _none(words: dict[str, str], options: EffectOptions, reason: str) -> ScaleEffect:
    return normal_effect(NAN, NAN, ratio=False, level=options.level, reason=reason, **words)


def _difference(
    parts: list[tuple[float, Floats, str]], words: dict[str, str], options: EffectOptions, cluster: Ints | None
) -> ScaleEffect:
    """Second minus first; the influences (n,) of both arms meet in the clusters that have rows in both."""
    reason = next((f"{arm}: {part[2]}" for (_, arm), part in zip(_ARMS, parts, strict=True) if part[2]), "")
    if reason:
        return normal_effect(NAN, NAN, ratio=False, level=options.level, reason=reason, **words)
    (first, influence0, _), (second, influence1, _) = parts
    error = standard_error(influence1 - influence0, cluster)
    return normal_effect(second - first, error, ratio=False, level=options.level, **words)


def standard_error(influence: Floats, cluster: Ints | None = None) -> float:
    """Root of the sum of squares of what the rows (their clusters) contribute; nan without influences."""
    return float(np.sqrt((cluster_sums(influence, cluster) ** 2).sum())) if influence.size else NAN


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RobustCurve:
    """Survival at the horizon and area up to it, with the influence (n,) of every row on them; nan with a reason.

    Rows outside the curve have no influence; where the curve is 0 that on survival is nan (there is no variance).
    """

    survival: float = NAN
    survival_influence: Floats = field(default_factory=lambda: np.empty(0))
    rmst: float = NAN
    rmst_influence: Floats = field(default_factory=lambda: np.empty(0))
    reason: str = ""

    @property
    def survival_error(self) -> float:
        """Infinitesimal jackknife standard error of the survival."""
        return standard_error(self.survival_influence)

    @property
    def rmst_error(self) -> float:
        """Infinitesimal jackknife standard error of the area."""
        return standard_error(self.rmst_influence)


def robust_curve(
    time: Floats,
    event: Ints,
    rows: NDArray[np.bool_],
    tau: float,
    *,
    weights: Floats | None,
    entry: Floats | None,
) -> RobustCurve:
    """Weighted Kaplan-Meier estimate of some rows at ``tau`` and its area, with what every row contributes to them.

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
    influence = np.zeros((2, len(time)))
    for at, gain in enumerate((np.full(len(steps), survival), beyond)):
        with np.errstate(divide="ignore", invalid="ignore"):
            # at the step to 0 nothing is left beyond, and the slope there does not matter
            slope = np.where(risk - dead > 1e-12 * risk, gain / (risk - dead), 0.0)
        influence[at, used] = w * _influence(t, d, late, steps, slope, slope * dead / risk)
    if not survival > 0:
        influence[0] = NAN
    return RobustCurve(survival=survival, survival_influence=influence[0], rmst=area, rmst_influence=influence[1])


def _influence(time: Floats, event: Ints, entry: Floats | None, steps: Floats, own: Floats, shared: Floats) -> Floats:
    """What each row (n,) contributes, per unit of its weight; ``own`` and ``shared`` are by event time."""
    so_far = np.concatenate(([0.0], np.cumsum(shared)))
    upto = np.searchsorted(steps, time, side="right")
    from_ = 0 if entry is None else np.searchsorted(steps, entry, side="right")
    influence = so_far[upto] - so_far[from_]
    hit = (event == 1) & (upto > 0)
    hit[hit] = steps[upto[hit] - 1] == time[hit]
    influence[hit] -= own[upto[hit] - 1]
    return influence
