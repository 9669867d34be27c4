"""An imperfect assay carried through: whom a criterion really enrols, how many are screened, what effect is left.

The criterion as measured in the data counts as the truth, in the patients in whom it is known. A trial that enrols by
the assay enrols truly positive patients with probability ``sensitivity`` and truly negative ones with
``1 - specificity``; its effect is estimated by weighting the patients with these probabilities.

References
----------
Maitournam A, Simon R 2005, Stat Med 24, 329-339 (imperfect assays in targeted trials). Altman DG, Bland JM 1994, BMJ
309, 102 (predictive values). Wilson 1927, JASA 22, 209-212.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from trialstrat.criteria.emulation import Emulation, Judged
from trialstrat.criteria.pool import coarse, passing
from trialstrat.disclosure.cells import is_small
from trialstrat.protocol.criteria_model import Assay
from trialstrat.results import Cell, Column, Estimate, Finding, Table
from trialstrat.stats.rmst import beyond_follow_up
from trialstrat.stats.survival import kaplan_meier
from trialstrat.subgroups.effect import outcome_effect
from trialstrat.subgroups.scales import Effect

Mask = NDArray[np.bool_]

#: Shares by the last part of their names, in the order of the table.
SHARES = (
    ("prevalence", "Truly positive", "probability"),
    ("called_positive", "Called positive by the assay", "probability"),
    ("ppv", "Truly positive among those the assay calls positive", "probability"),
    ("npv", "Truly negative among those the assay calls negative", "probability"),
    ("screened_per_enrolled", "Patients tested per patient enrolled", "patients per patient"),
)
_FIELDS = {"called_positive": "positive", "screened_per_enrolled": "screened"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """Shares among patients who meet all other criteria, each (value, lower, upper)."""

    prevalence: tuple[float, float, float]
    positive: tuple[float, float, float]
    ppv: tuple[float, float, float]
    npv: tuple[float, float, float]
    screened: tuple[float, float, float]


def predictive_values(assay: Assay, positives: int, n: int, level: float) -> Tested:
    """Predictive values and patients screened per enrolled.

    Parameters
    ----------
    assay
        Sensitivity, specificity, share without a result; a declared prevalence replaces that of the data.
    positives, n : int
        Truly positive patients among those who meet the other criteria.
    level
        Of Wilson's limits of the prevalence, which carry through: every value is monotone in it. A declared prevalence
        has none.
    """
    if assay.prevalence is not None:
        spread = (assay.prevalence, float("nan"), float("nan"))
    else:
        z = float(-ndtri((1 - level) / 2))
        share, total = positives / n, n + z * z
        centre = (positives + z * z / 2) / total
        half = z * float(np.sqrt(n * share * (1 - share) + z * z / 4)) / total
        spread = (share, max(0.0, centre - half), min(1.0, centre + half))

    def positive(p: float) -> float:
        return assay.sensitivity * p + (1 - assay.specificity) * (1 - p)

    def ppv(p: float) -> float:
        return assay.sensitivity * p / positive(p) if positive(p) > 0 else float("nan")

    def npv(p: float) -> float:
        return assay.specificity * (1 - p) / (1 - positive(p)) if positive(p) < 1 else float("nan")

    def screened(p: float) -> float:
        return 1 / ((1 - assay.failure_rate) * positive(p)) if positive(p) > 0 else float("inf")

    value, low, high = spread
    return Tested(
        prevalence=spread,
        positive=(positive(value), positive(low), positive(high)),
        ppv=(ppv(value), ppv(low), ppv(high)),
        npv=(npv(value), npv(high), npv(low)),
        screened=(screened(value), screened(high), screened(low)),
    )


def diluted(emulation: Emulation, assay: Assay, truth: Mask, others: Mask) -> Effect:
    """The effect in patients who meet the ``others`` and are enrolled by the assay.

    Weights are the probability of a positive result, times balancing weights fitted in everybody who meets the others.
    """
    chance = np.where(truth, assay.sensitivity, 1 - assay.specificity)
    rows = emulation.rows & others & (chance > 0)
    weights, reason = emulation.weights(rows)
    if reason:
        return emulation.without_model(rows, reason)
    joint = chance if weights is None else chance * weights
    return outcome_effect(
        emulation.outcome, emulation.comparison.treated, rows, emulation.options, strata=emulation.strata, weights=joint
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AssayResults:
    """Estimates ``impact.assay.<criterion>.*``, the table ``impact.assays`` (None without assays), findings."""

    estimates: tuple[Estimate, ...] = ()
    table: Table | None = None
    findings: tuple[Finding, ...] = ()


def assay_results(
    assays: Sequence[Assay],
    judged: Sequence[Judged],
    emulation: Emulation | None,
    *,
    n: int,
    level: float,
    turnaround: float,
    cell: int,
) -> AssayResults:
    """What the declared assays make of their criteria, among the patients (``n`` in all) who meet all others.

    ``turnaround`` converts the declared time to a result into the unit of the report. Shares come from counts rounded
    to multiples of the minimum ``cell``, and are suppressed where a count is below it: beside the pool they tell it.
    """
    names = [entry.id for entry in judged]
    estimates: list[Estimate] = []
    rows: list[tuple[Cell, ...]] = []
    findings: list[Finding] = []
    for assay in assays:
        if assay.criterion not in names:
            continue
        at = names.index(assay.criterion)
        others = passing(judged, n, at)
        known = others & ~judged[at].unknown
        truth = judged[at].admits
        findings += _left_out(assay, int((others & ~known).sum()), int(others.sum()), cell)
        shares = _shares(assay, int((known & truth).sum()), int(known.sum()), level, cell)
        estimates += shares
        effects = None if emulation is None else diluted(emulation, assay, truth, known)
        if effects is not None and emulation is not None:
            estimates += _effects(assay, emulation, effects, cell)
            estimates += _waiting(assay, emulation, others, turnaround, level, cell)
        ratio = effects.relative.value if effects is not None and effects.relative.ok else None
        rows.append((assay.criterion, assay.name or assay.criterion, *(_shown(entry.value) for entry in shares), ratio))
    return AssayResults(
        estimates=tuple(estimates), table=_table(rows, cell) if rows else None, findings=tuple(findings)
    )


def _left_out(assay: Assay, few: int, others: int, cell: int) -> list[Finding]:
    """Patients in whom the criterion is unknown are neither positive nor negative."""
    if not few:
        return []
    return [
        Finding(
            code="I-ASSAY-UNKNOWN",
            severity="note",
            message=f"meet all criteria but {assay.criterion}, which is unknown in them: in no number of its assay",
            remedy="Read the assay's numbers as those of patients in whom the criterion is known",
            bad=few if few < cell else coarse(few, cell),
            total=coarse(others, cell),
        )
    ]


def _shown(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _shares(assay: Assay, positives: int, n: int, level: float, cell: int) -> list[Estimate]:
    """Prevalence, share called positive, predictive values, patients tested per enrolled."""
    words: dict[str, Any] = {"level": level, "n": coarse(n, cell)}
    words["method"] = "from sensitivity, specificity and Wilson's limits of the prevalence"
    if assay.prevalence is not None:
        words["method"] = "from sensitivity, specificity and the declared prevalence, which has no limits"
    few = assay.prevalence is None and any(is_small(count, cell) for count in (n, positives, n - positives))
    known = assay.prevalence is not None or n > 0
    found = None
    if known and not few:
        found = predictive_values(assay, coarse(positives, cell), max(coarse(n, cell), 1), level)
    out = []
    for key, label, unit in SHARES:
        name, text = f"impact.assay.{assay.criterion}.{key}", f"{label}, {assay.name or assay.criterion}"
        shared = {"unit": unit, "population": "patients who meet all other criteria", **words}
        values = (float("nan"),) * 3 if found is None else getattr(found, _FIELDS.get(key, key))
        if few:
            reason = f"fewer than {cell} patients on one side of the criterion"
            out.append(Estimate(name=name, label=text, value=np.nan, status="suppressed", reason=reason, **shared))
        elif not np.isfinite(values[0]):
            reason = "no patient is positive" if known else "the criterion is known in no patient who meets all others"
            out.append(Estimate.not_estimable(name, text, reason, **shared))
        else:
            limits = [x if np.isfinite(x) else float("nan") for x in values[1:]]
            out.append(Estimate(name=name, label=text, value=values[0], lower=limits[0], upper=limits[1], **shared))
    return out


def _effects(assay: Assay, emulation: Emulation, found: Effect, cell: int) -> list[Estimate]:
    """What is left of the effect when the assay decides."""
    rest = {"population": "patients enrolled by the assay", "n": coarse(found.n, cell), "evidence": "exploratory"}
    pair, label = (
        emulation.comparison.pair,
        f"{emulation.comparison.label}, enrolled by {assay.name or assay.criterion}",
    )
    out = []
    for key, scale in (("effect.ratio", found.relative), ("effect.difference", found.absolute)):
        if scale.measure:
            name = f"impact.assay.{assay.criterion}.{key}.{pair}"
            out.append(scale.estimate(name, f"{scale.measure.capitalize()}, {label}", **rest))
    return out


def _waiting(
    assay: Assay, emulation: Emulation, others: Mask, factor: float, level: float, cell: int
) -> list[Estimate]:
    """Share of patients who have the event before the result is there."""
    outcome = emulation.outcome
    if assay.turnaround is None or outcome.time is None:
        return []
    name = f"impact.assay.{assay.criterion}.event_before_result"
    label = f"With an event before the result, {assay.name or assay.criterion}"
    rows = emulation.rows & others
    rest = {
        "unit": "probability",
        "method": "Kaplan-Meier estimate at the turnaround time",
        "level": level,
        "population": "patients who meet all other criteria",
        "n": coarse(int(rows.sum()), cell),
    }
    if outcome.entry is not None:
        reason = "patients enter after time zero: who had the event before the result never came into the data"
        return [Estimate.not_estimable(name, label, reason, **rest)]
    time, event, at = outcome.time[rows], outcome.any_event[rows], assay.turnaround * factor
    curve = kaplan_meier(time, event, level=level)
    if not rows.any() or beyond_follow_up(at, float(time.max()), float(curve.survival[-1])):
        return [Estimate.not_estimable(name, label, "follow-up ends before the result would be there", **rest)]
    if is_small(int(((time <= at) & (event == 1)).sum()), cell):
        return [
            Estimate(
                name=name, label=label, value=np.nan, status="suppressed", reason=f"fewer than {cell} events", **rest
            )
        ]
    found = curve.at([at])
    limits = {"lower": 1 - float(found.upper[0]), "upper": 1 - float(found.lower[0])}
    return [Estimate(name=name, label=label, value=1 - float(found.survival[0]), **limits, **rest)]


def _table(rows: list[tuple[Cell, ...]], cell: int) -> Table:
    rounded = f" Shares are made of counts rounded to multiples of {cell}." if cell > 1 else ""
    return Table(
        name="impact.assays",
        title="What the assays make of the criteria",
        columns=(
            Column(key="criterion", label="Criterion"),
            Column(key="assay", label="Assay"),
            Column(key="prevalence", label="Truly positive", kind="percent"),
            Column(key="positive", label="Called positive", kind="percent"),
            Column(key="ppv", label="Positive predictive value", kind="percent"),
            Column(key="npv", label="Negative predictive value", kind="percent"),
            Column(key="screened", label="Tested per enrolled", kind="number"),
            Column(key="ratio", label="Ratio if the assay decides", kind="effect"),
        ),
        rows=tuple(rows),
        note="Among patients who meet all other criteria and in whom this one is known; as measured it counts as the "
        f"truth.{rounded}",
        protection="none",
    )
