"""An imperfect assay carried through: whom a criterion really enrols, how many are screened, what effect is left.

The criterion as measured in the data counts as the truth. A trial that enrols by the assay enrols truly positive
patients with probability ``sensitivity`` and truly negative ones with ``1 - specificity``; its effect is estimated by
weighting the patients with these probabilities.

References
----------
Maitournam A, Simon R 2005, Stat Med 24, 329-339 (imperfect assays in targeted trials). Altman DG, Bland JM 1994, BMJ
309, 102 (predictive values). Wilson 1927, JASA 22, 209-212.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from trialstrat.criteria.emulation import Emulation, Judged
from trialstrat.criteria.pool import passing
from trialstrat.protocol.criteria_model import Assay
from trialstrat.results import Cell, Column, Estimate, Table
from trialstrat.stats.survival import kaplan_meier
from trialstrat.subgroups.effect import outcome_effect
from trialstrat.subgroups.scales import Effect

Mask = NDArray[np.bool_]


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


def assay_results(
    assays: Sequence[Assay],
    judged: Sequence[Judged],
    emulation: Emulation | None,
    *,
    n: int,
    level: float,
    turnaround: float,
) -> tuple[list[Estimate], Table | None]:
    """Estimates ``impact.assay.<criterion>.*`` and the table ``impact.assays``.

    ``turnaround`` converts the declared time to a result into the unit of the report.
    """
    names = [entry.id for entry in judged]
    estimates: list[Estimate] = []
    rows: list[tuple[Cell, ...]] = []
    for assay in assays:
        if assay.criterion not in names:
            continue
        at = names.index(assay.criterion)
        others = passing(judged, n, at)
        truth = judged[at].admits
        if not others.any():
            continue
        found = predictive_values(assay, int((others & truth).sum()), int(others.sum()), level)
        estimates += _shares(assay, found, int(others.sum()), level)
        effects = None if emulation is None else diluted(emulation, assay, truth, others)
        if effects is not None and emulation is not None:
            estimates += _effects(assay, emulation, effects)
            estimates += _waiting(assay, emulation, others, turnaround, level)
        ratio = effects.relative.value if effects is not None and effects.relative.ok else None
        rows.append(
            (
                assay.criterion,
                assay.name or assay.criterion,
                *(_shown(x[0]) for x in (found.prevalence, found.positive, found.ppv, found.npv, found.screened)),
                ratio,
            )
        )
    return estimates, _table(rows) if rows else None


def _shown(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _shares(assay: Assay, found: Tested, n: int, level: float) -> list[Estimate]:
    words = {"method": "from sensitivity, specificity and Wilson's limits of the prevalence", "level": level, "n": n}
    if assay.prevalence is not None:
        words["method"] = "from sensitivity, specificity and the declared prevalence, which has no limits"
    out = []
    for key, label, unit, values in (
        ("prevalence", "Truly positive", "probability", found.prevalence),
        ("ppv", "Truly positive among those the assay calls positive", "probability", found.ppv),
        ("npv", "Truly negative among those the assay calls negative", "probability", found.npv),
        ("screened_per_enrolled", "Patients tested per patient enrolled", "patients per patient", found.screened),
    ):
        name, text = f"impact.assay.{assay.criterion}.{key}", f"{label}, {assay.name or assay.criterion}"
        shared = {"unit": unit, "population": "patients who meet all other criteria", **words}
        if not np.isfinite(values[0]):
            out.append(Estimate.not_estimable(name, text, "no patient is positive", **shared))
        else:
            limits = [x if np.isfinite(x) else float("nan") for x in values[1:]]
            out.append(Estimate(name=name, label=text, value=values[0], lower=limits[0], upper=limits[1], **shared))
    return out


def _effects(assay: Assay, emulation: Emulation, found: Effect) -> list[Estimate]:
    """What is left of the effect when the assay decides."""
    rest = {"population": "patients enrolled by the assay", "n": found.n, "evidence": "exploratory"}
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


def _waiting(assay: Assay, emulation: Emulation, others: Mask, factor: float, level: float) -> list[Estimate]:
    """Share of patients who have the event before the result is there."""
    outcome = emulation.outcome
    if assay.turnaround is None or outcome.time is None or outcome.entry is not None:
        return []
    rows = emulation.rows & others
    curve = kaplan_meier(outcome.time[rows], outcome.any_event[rows], level=level)
    at = curve.at([assay.turnaround * factor])
    name = f"impact.assay.{assay.criterion}.event_before_result"
    label = f"With an event before the result, {assay.name or assay.criterion}"
    limits = {"lower": 1 - float(at.upper[0]), "upper": 1 - float(at.lower[0])}
    rest = {"unit": "probability", "method": "Kaplan-Meier estimate at the turnaround time", "level": level}
    return [Estimate(name=name, label=label, value=1 - float(at.survival[0]), **limits, n=int(rows.sum()), **rest)]


def _table(rows: list[tuple[Cell, ...]]) -> Table:
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
        note="Among patients who meet all other criteria; the criterion as measured in the data counts as the truth.",
        protection="none",
    )
