"""What an enrichment rule is worth on patients that took no part in finding it, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.shown import ShownOutcome, said_horizon
from trialstrat.protocol.model import Protocol
from trialstrat.results import NAN, Estimate
from trialstrat.stats.competing import cumulative_incidence
from trialstrat.stats.resampling import bootstrap, bootstrap_interval
from trialstrat.stats.rmst import beyond_follow_up
from trialstrat.stats.scores import uno_c
from trialstrat.stats.survival import kaplan_meier

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Values in the order in which :func:`_values` returns them: name, label, unit.
QUANTITIES = (
    ("share", "Share of patients selected", "probability"),
    ("event_rate_inside", "With the event by {until}, selected patients", "probability"),
    ("event_rate_outside", "With the event by {until}, patients left out", "probability"),
    ("event_rate_all", "With the event by {until}, all patients", "probability"),
    ("c_rule", "Concordance of the rule", "concordance"),
    ("c_model", "Concordance of the full model", "concordance"),
    ("c_loss", "Concordance lost by using the rule in place of the model", "concordance"),
    ("screened_per_enrolled", "Patients screened per patient enrolled", "patients per patient"),
    ("events_gained_per_100", "Events gained per 100 enrolled patients by {until}", "events per 100"),
    ("stability", "Agreement of the rules of the folds with the final rule", "probability"),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeldOutRule:
    """Selections of the patients with a held-out prediction; ``rows`` (n,) are their positions in the cohort.

    ``inside`` (n,): selected by the rule of the fold that held the patient out (``fold``, n). ``by_fold`` (k, n) and
    ``final`` (n,): selected by the rule of each fold and by the final one. ``risk`` (n,): the full model's.
    """

    rows: NDArray[np.intp]
    fold: NDArray[np.int64]
    inside: Mask
    by_fold: Mask
    final: Mask
    risk: Floats


def measure(
    held_out: HeldOutRule, outcome: ShownOutcome, protocol: Protocol, rng: np.random.Generator
) -> dict[str, Estimate]:
    """Every quantity of :data:`QUANTITIES` by its short name; percentile intervals over patients or clusters in folds.

    Concordance is Uno's C up to the horizon over pairs within a fold. Stability is the mean over folds of the share of
    patients selected by both the fold's and the final rule among those selected by either.
    """
    level, draws = protocol.analysis.level, protocol.models.bootstrap
    point = _values(held_out, outcome, np.arange(len(held_out.rows)))
    samples = np.empty((0, len(point)))
    if draws:
        cluster = None if outcome.cluster is None else outcome.cluster[held_out.rows]
        samples = bootstrap(
            lambda rows: _values(held_out, outcome, rows),
            len(held_out.rows),
            draws,
            rng,
            strata=held_out.fold,
            groups=cluster,
        )
    until = said_horizon(outcome)
    estimates = {}
    for at, (name, label, unit) in enumerate(QUANTITIES):
        rest = _population(name, held_out, outcome)
        rest |= {"level": level, "unit": unit, "method": f"held-out patients; {len(samples)} bootstrap samples"}
        full = f"criteria.enrichment.{name}"
        text = label.format(until=until)
        if not np.isfinite(point[at]):
            reason = "follow-up ends before the horizon, or nobody is selected or left out"
            estimates[name] = Estimate.not_estimable(full, text, reason, **rest)
            continue
        lower = upper = NAN
        if draws:
            interval = bootstrap_interval(samples[:, at], level)
            lower, upper = interval.lower, interval.upper
        estimates[name] = Estimate(name=full, label=text, value=float(point[at]), lower=lower, upper=upper, **rest)
    return estimates


def _population(name: str, held_out: HeldOutRule, outcome: ShownOutcome) -> dict[str, Any]:
    """Whom a quantity describes."""
    chosen: Mapping[str, tuple[str, Mask]] = {
        "event_rate_inside": ("held-out patients selected", held_out.inside),
        "event_rate_outside": ("held-out patients left out", ~held_out.inside),
    }
    text, mask = chosen.get(name, ("all held-out patients", np.ones(len(held_out.rows), dtype=np.bool_)))
    events = outcome.of_interest[held_out.rows][mask]
    return {"population": text, "n": int(mask.sum()), "events": int(events.sum())}


def _values(held_out: HeldOutRule, outcome: ShownOutcome, at: NDArray[Any]) -> Floats:
    rows, inside = held_out.rows[at], held_out.inside[at]
    share = float(inside.mean())
    everybody = event_rate(outcome, rows)
    within, without = event_rate(outcome, rows[inside]), event_rate(outcome, rows[~inside])
    c_rule = _concordance(outcome, rows, inside.astype(np.float64), held_out.fold[at])
    c_model = _concordance(outcome, rows, held_out.risk[at], held_out.fold[at])
    final, by_fold = held_out.final[at], held_out.by_fold[:, at]
    either = (by_fold | final).sum(axis=1)
    agreement = np.where(either > 0, (by_fold & final).sum(axis=1) / np.maximum(either, 1), 1.0)
    screened = 1 / share if share > 0 else NAN
    gained = 100 * (within - everybody)
    values = (share, within, without, everybody, c_rule, c_model, c_model - c_rule, screened, gained, agreement.mean())
    return np.array(values, dtype=np.float64)


def event_rate(outcome: ShownOutcome, rows: NDArray[Any]) -> float:
    """Probability of the event by the horizon among some patients, nan when follow-up is too short or nobody is left.

    One minus Kaplan-Meier, or Aalen-Johansen with competing causes.
    """
    if len(rows) == 0 or outcome.time is None or outcome.event is None or outcome.horizon is None:
        return NAN
    entry = None if outcome.entry is None else outcome.entry[rows]
    if outcome.kind == "competing":
        curve = cumulative_incidence(outcome.time[rows], outcome.event[rows], 1, entry=entry)
        left = float(curve.n_risk[-1] - curve.n_event[-1] - curve.n_other[-1])
        value = float(curve.at([outcome.horizon]).incidence[0])
    else:
        curve = kaplan_meier(outcome.time[rows], outcome.of_interest[rows], entry=entry)
        left = float(curve.survival[-1])
        value = 1 - float(curve.at([outcome.horizon]).survival[0])
    return NAN if beyond_follow_up(outcome.horizon, float(curve.time[-1]), left) else value


def _concordance(outcome: ShownOutcome, rows: NDArray[Any], risk: Floats, fold: NDArray[Any]) -> float:
    if outcome.time is None:
        return NAN
    found = uno_c(outcome.time[rows], outcome.of_interest[rows], risk, tau=outcome.horizon, strata=fold)
    return found.value
