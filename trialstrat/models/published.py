"""Stage "published": models of others, as published on these patients, and fitted again without penalty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from trialstrat.cohort.shown import ShownOutcome, shown_outcome
from trialstrat.models.evaluate import concordance_influence
from trialstrat.protocol.published_model import PublishedModel
from trialstrat.results import NAN, Cell, Column, Estimate, Finding, StageResult, Table
from trialstrat.stats.censoring import censoring_survival
from trialstrat.stats.clustered import cluster_sums
from trialstrat.stats.concordance import concordance_sums
from trialstrat.stats.cox import cox
from trialstrat.stats.prediction_error import Score, prediction_error
from trialstrat.stats.regression import linear_regression, logistic_regression

if TYPE_CHECKING:
    from trialstrat.cohort.cohort import Cohort

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Fewest events (patients, for a continuous outcome) per term of a model that is fitted again.
PER_TERM = 5
#: Kinds of endpoint that a model's prediction can be held against.
FITS = {
    "log_hazard": ("time_to_event", "competing"),
    "log_odds": ("binary", "continuous"),
    "mean": ("continuous",),
    "root": ("continuous",),
}
#: Name, words, and the value that says nothing is wrong (or known).
METRICS = {
    "uno_c": "Uno's C",
    "auc": "AUC",
    "slope": "Calibration slope",
    "mae": "Mean absolute error",
    "bias": "Mean of predicted minus observed",
    "r2": "Variance explained",
    "r2_root": "Variance explained, square root of the outcome",
    "within": "Within 20% of the observed value",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rows:
    """The outcome of the patients in whom every term of a model is known, and their scores."""

    outcome: ShownOutcome
    known: Mask
    terms: Floats
    score: Floats


def published_study(cohort: Cohort) -> StageResult | None:
    """Validate every published model, and refit those that ask for it; None without any.

    Nothing is learned for the validation: coefficients are those of the publication. Discrimination (Uno's C up to
    the horizon, AUC), the calibration slope (1 when predictions are as spread as they should be), and for continuous
    outcomes the errors; in all patients and, where ``models.group_by`` names groups, in each of them.

    References
    ----------
    Royston P, Altman DG (2013). BMC Med Res Methodol 13, 33 (external validation of a Cox model). Uno H et al. (2011).
    Stat Med 30, 1105-1117.
    """
    if not cohort.protocol.published:
        return None
    outcome = shown_outcome(cohort)
    estimates: list[Estimate] = []
    terms: list[tuple[Cell, ...]] = []
    performance: list[tuple[Cell, ...]] = []
    findings: list[Finding] = []
    for model in cohort.protocol.published:
        reason = _refused(cohort, outcome, model)
        if reason:
            findings.append(_finding(f"{model.title}: {reason}"))
            continue
        rows = _rows(cohort, outcome, model)
        terms += _terms(cohort, model, rows, findings)
        if model.scored:
            made = _scores(cohort, model, rows, rows.known)
            estimates += [_estimate(cohort, model, rows, *entry) for entry in made]
            performance += [
                (model.name, model.title, "all", "All patients", *_cells(rows, rows.known, *entry)) for entry in made
            ]
            performance += _by_group(cohort, model, rows)
    tables = [
        table
        for table in (_terms_table(terms, outcome), _performance_table(cohort, performance, outcome))
        if table.rows
    ]
    return StageResult(
        stage="published", estimates=tuple(estimates), tables=tuple(tables), findings=tuple(findings),
        facts={
            "models": str(len(cohort.protocol.published)),
            "references": "; ".join(f"{model.title}: {model.reference}" for model in cohort.protocol.published),
        },
    )  # fmt: skip


def _finding(message: str) -> Finding:
    return Finding(code="W-PUBLISHED", severity="warning", message=message)


def _refused(cohort: Cohort, outcome: ShownOutcome, model: PublishedModel) -> str:
    if outcome.kind not in FITS[model.predicts]:
        return f"it predicts {model.predicts}, which cannot be held against a {outcome.kind} endpoint"
    if outcome.entry is not None and model.scored:
        return "validation with delayed entry is not available"
    if model.predicts == "log_odds" and outcome.value is not None and not _probabilities(outcome.value):
        return "it predicts log_odds; a continuous outcome must then be a probability, from 0 to 1"
    terms = cohort.published.get(model.name)
    known = 0 if terms is None else int(np.isfinite(terms).all(axis=1).sum())
    least = max(2, outcome.minimum_cell)
    return "" if known >= least else f"fewer than {least} patients have all its terms"


def _probabilities(value: Floats) -> bool:
    return bool(((value >= 0) & (value <= 1)).all())


def _rows(cohort: Cohort, outcome: ShownOutcome, model: PublishedModel) -> _Rows:
    terms = cohort.published[model.name]
    coefficients = np.array([NAN if term.coefficient is None else term.coefficient for term in model.terms])
    return _Rows(
        outcome=outcome,
        known=np.asarray(np.isfinite(terms).all(axis=1), dtype=np.bool_),
        terms=terms,
        score=model.intercept + terms @ coefficients,
    )


# -- as published ----------------------------------------------------------------------------------------------------


def _scores(cohort: Cohort, model: PublishedModel, rows: _Rows, part: Mask) -> list[tuple[str, Score, str]]:
    """(metric, score, reason) of the patients in ``part``; a reason stands where there is no value."""
    level = cohort.protocol.analysis.level
    score = rows.score[part]
    if model.predicts == "log_hazard":
        return [_uno_c(rows, part, level), _hazard_slope(cohort, rows, part, level)]
    if rows.outcome.kind == "binary":
        event = rows.outcome.of_interest[part]
        fit = logistic_regression(score, event, ("score",), level)
        slope = Score(value=fit.coef[1], lower=fit.lower[1], upper=fit.upper[1])
        return [_auc(event, score, level), ("slope", slope, fit.reason)]
    if rows.outcome.value is None:
        raise ValueError("a continuous outcome has values")
    observed = rows.outcome.value[part]
    predicted = {"root": np.square, "log_odds": expit}.get(model.predicts, np.positive)(score)
    found = prediction_error(observed, predicted, level=level)
    out = [("mae", found.mae, ""), ("bias", found.bias, ""), ("within", found.within, ""), ("r2", found.r2, "")]
    if model.predicts == "root" and (observed >= 0).all():
        out.append(("r2_root", prediction_error(np.sqrt(observed), score, level=level).r2, ""))
    return out


def _normal(value: float, influence: Floats, level: float, bounds: tuple[float, float] = (0.0, 1.0)) -> Score:
    half = float(ndtri(0.5 + level / 2)) * float(np.sqrt((influence**2).sum()))
    return Score(value=value, lower=max(bounds[0], value - half), upper=min(bounds[1], value + half))


def _uno_c(rows: _Rows, part: Mask, level: float) -> tuple[str, Score, str]:
    outcome = rows.outcome
    if outcome.time is None or outcome.horizon is None:
        raise ValueError("concordance needs times")
    time, event = outcome.time[part], outcome.of_interest[part]
    value, influence = concordance_influence(
        time, event, rows.score[part], outcome.horizon, censoring_survival(time, event)
    )
    if not np.isfinite(value):
        return "uno_c", Score(value=NAN), "no pair of patients can be compared up to the horizon"
    cluster = None if outcome.cluster is None else outcome.cluster[part]
    return "uno_c", _normal(value, cluster_sums(influence, cluster), level), ""


def _auc(event: NDArray[np.int64], score: Floats, level: float) -> tuple[str, Score, str]:
    """Concordance of pairs of a patient with and one without the event: all events at one time, others after it."""
    found = concordance_sums(np.where(event == 1, 1.0, 2.0), event, score)
    if not np.isfinite(found.concordance):
        return "auc", Score(value=NAN), "nobody or everybody had the event"
    return "auc", _normal(found.concordance, found.influence, level), ""


def _hazard_slope(cohort: Cohort, rows: _Rows, part: Mask, level: float) -> tuple[str, Score, str]:
    fit = _cox(cohort, rows, part, rows.score[:, None], ("score",), level, strata=False)
    half = float(ndtri(0.5 + level / 2)) * np.sqrt(fit.covariance[0, 0])
    value = float(fit.coef[0])
    return "slope", Score(value=value, lower=value - half, upper=value + half), fit.reason


def _cox(
    cohort: Cohort, rows: _Rows, part: Mask, x: Floats, names: Sequence[str], level: float, *, strata: bool
) -> Any:
    outcome = rows.outcome
    if outcome.time is None:
        raise ValueError("a Cox model needs times")
    arms = [entry for entry in (cohort.arm, cohort.strata) if entry is not None] if strata else []
    return cox(
        outcome.time[part], outcome.of_interest[part], x[part], names=names, level=level,
        strata=[entry[part].astype(str) for entry in arms] or None,
        entry=None if outcome.entry is None else outcome.entry[part],
        cluster=None if outcome.cluster is None else outcome.cluster[part],
    )  # fmt: skip


def _by_group(cohort: Cohort, model: PublishedModel, rows: _Rows) -> list[tuple[Cell, ...]]:
    """The same in every group of ``models.group_by`` that has enough patients."""
    if cohort.groups is None or cohort.protocol.models.group_by is None:
        return []
    out: list[tuple[Cell, ...]] = []
    for group in sorted(set(cohort.groups[rows.known])):
        part = rows.known & (cohort.groups == group)
        if int(part.sum()) < max(2, rows.outcome.minimum_cell):
            continue
        head = (model.name, model.title, str(group), str(group))
        out += [(*head, *_cells(rows, part, *entry)) for entry in _scores(cohort, model, rows, part)]
    return out


def _cells(rows: _Rows, part: Mask, metric: str, score: Score, reason: str) -> tuple[Cell, ...]:
    numbers = [float(x) if np.isfinite(x) else None for x in (score.value, score.lower, score.upper)]
    events = None if rows.outcome.kind == "continuous" else int(rows.outcome.of_interest[part].sum())
    return metric, METRICS[metric], int(part.sum()), events, *numbers, reason


def _estimate(cohort: Cohort, model: PublishedModel, rows: _Rows, metric: str, score: Score, reason: str) -> Estimate:
    name, label = f"published.{model.name}.{metric}", f"{METRICS[metric]}, {model.title}"
    rest: dict[str, Any] = {
        "level": cohort.protocol.analysis.level,
        "n": int(rows.known.sum()),
        "population": "patients with all terms known",
        "method": "coefficients as published",
        "evidence": cohort.protocol.status,
    }
    if rows.outcome.kind != "continuous":
        rest["events"] = int(rows.outcome.of_interest[rows.known].sum())
    if not np.isfinite(score.value):
        return Estimate.not_estimable(name, label, reason or "it is not defined here", **rest)
    return Estimate(name=name, label=label, value=score.value, lower=score.lower, upper=score.upper, **rest)


# -- fitted again ----------------------------------------------------------------------------------------------------


def _terms(cohort: Cohort, model: PublishedModel, rows: _Rows, findings: list[Finding]) -> list[tuple[Cell, ...]]:
    """One row per term: published, and as fitted again where that was asked."""
    head = (model.name, model.title)
    names = tuple(term.title for term in model.terms)
    fitted: dict[str, tuple[Cell, ...]] = {}
    if model.refit:
        fitted, reason = _refit(cohort, model, rows, names)
        if reason:
            findings.append(_finding(f"{model.title}: it is not fitted again: {reason}"))
    none: tuple[Cell, ...] = (None, None, None, None)
    out: list[tuple[Cell, ...]] = []
    if model.predicts != "log_hazard":
        given = model.intercept if model.scored else None
        out.append((*head, "intercept", given, *fitted.get("intercept", none)))
    return out + [
        (*head, name, term.coefficient, *fitted.get(name, none)) for name, term in zip(names, model.terms, strict=True)
    ]


def _refit(
    cohort: Cohort, model: PublishedModel, rows: _Rows, names: tuple[str, ...]
) -> tuple[dict[str, tuple[Cell, ...]], str]:
    """Coefficient, limits and p by term; empty with the reason."""
    outcome, known, level = rows.outcome, rows.known, cohort.protocol.analysis.level
    counted = int(known.sum()) if outcome.kind == "continuous" else int(outcome.of_interest[known].sum())
    if model.predicts == "log_odds" and outcome.kind == "continuous":
        return {}, "an outcome that is a probability has no likelihood here"
    needed, what = PER_TERM * len(names), "patients" if outcome.kind == "continuous" else "events"
    if counted < needed:
        return {}, f"{len(names)} terms need at least {needed} {what}"
    if model.predicts == "log_hazard":
        fit = _cox(cohort, rows, known, rows.terms, names, level, strata=True)
        half = float(ndtri(0.5 + level / 2)) * np.sqrt(fit.covariance.diagonal())
        values = zip(fit.names, fit.coef, fit.coef - half, fit.coef + half, fit.p, strict=True)
    else:
        if model.predicts == "log_odds":
            fit = logistic_regression(rows.terms[known], outcome.of_interest[known], names, level)
        else:
            if outcome.value is None:
                raise ValueError("a continuous outcome has values")
            y = outcome.value[known]
            if model.predicts == "root" and (y < 0).any():
                return {}, "the outcome has values below 0, which have no square root"
            y = np.sqrt(y) if model.predicts == "root" else y
            fit = linear_regression(rows.terms[known], y, names, level)
        values = zip(fit.names, fit.coef, fit.lower, fit.upper, fit.p, strict=True)
    found: dict[str, tuple[Cell, ...]] = {
        str(name): tuple(float(x) for x in rest) for name, *rest in values if np.isfinite(rest).all()
    }
    return found, str(fit.reason)


# -- tables ----------------------------------------------------------------------------------------------------------

_MODEL = (Column(key="model", label="Model"), Column(key="label", label="Model"))


def _terms_table(rows: Sequence[tuple[Cell, ...]], outcome: ShownOutcome) -> Table:
    return Table(
        name="published.terms",
        title="Published models: coefficients",
        columns=(
            *_MODEL,
            Column(key="term", label="Term"),
            Column(key="published", label="As published", kind="number"),
            Column(key="value", label="Fitted here", kind="number"),
            Column(key="lower", label="Lower limit", kind="number"),
            Column(key="upper", label="Upper limit", kind="number"),
            Column(key="p", label="p", kind="p"),
        ),
        rows=tuple(rows),
        note=(
            f"Population: {outcome.population()}; patients with all terms of a model known. Fitted here: all terms "
            "together, without penalty and without selection; Cox models are stratified by arm."
        ),
        protection="none",
    )


def _performance_table(cohort: Cohort, rows: Sequence[tuple[Cell, ...]], outcome: ShownOutcome) -> Table:
    by = cohort.protocol.models.group_by
    groups = "" if by is None else f" Groups are those of {by}; small ones are not shown."
    return Table(
        name="published.performance",
        title="Published models on these patients",
        columns=(
            *_MODEL,
            Column(key="group", label="Group"),
            Column(key="group_label", label="Patients"),
            Column(key="metric", label="Measure"),
            Column(key="metric_label", label="Measure"),
            Column(key="n", label="Patients", kind="count"),
            Column(key="events", label="Events", kind="count"),
            Column(key="value", label="Value", kind="number"),
            Column(key="lower", label="Lower limit", kind="number"),
            Column(key="upper", label="Upper limit", kind="number"),
            Column(key="reason", label="Not estimable because"),
        ),
        rows=tuple(rows),
        note=(
            f"Population: {outcome.population()}; patients with all terms of a model known. Coefficients as published, "
            f"nothing learned from these patients; unadjusted for several models.{groups}"
        ),
    )
