"""Stage "validation": a frozen model on patients who had no part in it. Nothing is learned from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from trialstrat.cohort.shown import shown_outcome, whole_horizon
from trialstrat.errors import NotEstimableError
from trialstrat.features.matrix import build
from trialstrat.models.evaluate import EvaluationTask, HeldOutScore, ModelScores, Prediction, evaluate
from trialstrat.models.frozen import FrozenModel
from trialstrat.models.plan import FOLLOWED, score_times
from trialstrat.protocol.units import unit_factor
from trialstrat.results import Cell, Column, Estimate, StageResult, Table

if TYPE_CHECKING:
    from trialstrat.cohort.cohort import Cohort
    from trialstrat.protocol.model import TimeUnit

LABELS = {
    "uno_c": "Uno's C",
    "auc": "AUC",
    "ibs": "Integrated Brier score",
    "ipa": "Index of prediction accuracy",
    "ici": "Integrated calibration index",
    "calibration_slope": "Calibration slope",
}
METHODS = {
    "uno_c": "infinitesimal jackknife",
    "ibs": "infinitesimal jackknife",
    "ipa": "infinitesimal jackknife",
    "ici": "percentile bootstrap of patients",
    "calibration_slope": "Cox regression on log(-log(1 - predicted))",
}


def validate_model(
    cohort: Cohort, frozen: FrozenModel, before: Mapping[str, Estimate], *, seed: int, draws: int
) -> StageResult:
    """Discrimination, calibration and prediction error of a frozen model on a cohort.

    Predictions are those of the stored model for the cohort's features, imputed by what it carries. The censoring
    distribution of the weights is that of these patients. Scores stop at the model's horizon, or where too few of
    these patients are followed.

    Parameters
    ----------
    before : mapping
        The same scores as the study that made the model held them out, by metric.
    seed, draws
        Of the bootstrap of the calibration index.

    Raises
    ------
    NotEstimableError
        When the endpoint is no time to an event, or has delayed entry.

    References
    ----------
    Royston P, Altman DG (2013). BMC Med Res Methodol 13, 33. Austin PC et al. (2020). Stat Med 39, 2714 (ICI).
    Uno H et al. (2011). Stat Med 30, 1105.
    """
    shown = shown_outcome(cohort)
    if shown.time is None or shown.event is None or shown.entry is not None:
        raise NotEstimableError("the frozen model predicts a time from time zero to an event; this endpoint is none.")
    time = shown.time * unit_factor(cast("TimeUnit", shown.unit), cast("TimeUnit", frozen.unit))
    event = shown.event == 1
    times, scored, auc_at = score_times(time, frozen.horizon, FOLLOWED, ())
    X = build(cohort, frozen.spec).values
    everybody = np.arange(cohort.n)
    prediction = Prediction(
        train=everybody, test=everybody, risk=frozen.model.risk(X), survival=frozen.model.survival(X, times)
    )
    task = EvaluationTask(
        model=frozen.name,
        time=time,
        event=event,
        predictions=(prediction,),
        times=times,
        scored=scored,
        auc_at=auc_at,
        level=cohort.protocol.analysis.level,
        draws=draws,
        seed=seed,
        cluster=shown.cluster,
        external=True,
    )
    scores = evaluate(task)
    facts = {
        "model": frozen.label,
        "unit": frozen.unit,
        "horizon": whole_horizon(frozen.horizon),
        "score_horizon": whole_horizon(task.horizon),
        "lead": _lead(frozen, scores.get("uno_c"), before.get("uno_c")),
    }
    return StageResult(
        stage="validation",
        estimates=tuple(_estimate(cohort, task, scores.get(metric)) for metric in METHODS),
        tables=(_compared(scores, before), *_calibration(scores, task.horizon)),
        facts=facts,
    )


def _lead(frozen: FrozenModel, score: HeldOutScore, held: Estimate | None) -> str:
    """The first sentence of the report's section."""
    if not np.isfinite(score.value):
        return f"How well the frozen model ({frozen.label}) predicts here cannot be estimated: {score.reason}"
    there = f"; it was {_limited(held)} held out in the study that made it" if held and held.status == "ok" else ""
    return f"The frozen model ({frozen.label}) has Uno's C {_limited(score)} in these patients{there}"


def _limited(score: HeldOutScore | Estimate) -> str:
    limits = f" ({score.lower:.3f} to {score.upper:.3f})" if np.isfinite(score.lower) else ""
    return f"{score.value:.3f}{limits}"


def _estimate(cohort: Cohort, task: EvaluationTask, score: HeldOutScore) -> Estimate:
    unit = "concordance" if score.metric == "uno_c" else "score"
    shared: dict[str, Any] = {
        "unit": unit,
        "population": cohort.protocol.estimand.population,
        "n": int(task.time.size),
        "events": int(task.event.sum()),
    }
    name, label = f"validation.{score.metric}", f"{LABELS[score.metric]} of the frozen model"
    if not np.isfinite(score.value):
        return Estimate.not_estimable(name, label, score.reason or "too few events before the horizon", **shared)
    return Estimate(
        name=name,
        label=label,
        value=score.value,
        lower=score.lower,
        upper=score.upper,
        level=task.level,
        method=METHODS[score.metric],
        **shared,
    )


def _compared(scores: ModelScores, before: Mapping[str, Estimate]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for score in scores.scores:
        held = before.get(score.metric) if score.metric != "auc" else None
        earlier = (None,) * 3 if held is None else tuple(map(_finite, (held.value, held.lower, held.upper)))
        here = map(_finite, (score.value, score.lower, score.upper))
        rows.append((LABELS[score.metric], _finite(score.time or np.nan), *earlier, *here))
    return Table(
        name="validation.scores",
        title="The frozen model on these patients and in the study that made it",
        columns=(
            Column(key="metric", label="Score"),
            Column(key="time", label="Time", kind="number"),
            *(Column(key=f"held_out{end}", label=f"Held out there{text}", kind="number") for end, text in _ENDS),
            *(Column(key=f"value{end}", label=f"Here{text}", kind="number") for end, text in _ENDS),
        ),
        rows=tuple(rows),
        note="Nothing was fitted again. Held out there: outer folds of the study that made the model.",
        protection="none",
    )


_ENDS = (("", ""), ("_lower", ", lower"), ("_upper", ", upper"))


def _calibration(scores: ModelScores, at: float) -> tuple[Table, ...]:
    curve = scores.curve
    if curve is None or curve.status != "ok":
        return ()
    points = zip(curve.grid, curve.observed, curve.lower, curve.upper, strict=True)
    return (
        Table(
            name="validation.calibration",
            title=f"Calibration of the frozen model at {at:g}",
            columns=tuple(
                Column(key=key, label=key.capitalize(), kind="percent")
                for key in ("predicted", "observed", "lower", "upper")
            ),
            rows=tuple(tuple(map(_finite, point)) for point in points),
            note="Observed by a hazard regression on the predictions, smooth; a perfect model lies on the diagonal.",
            protection="none",
        ),
    )


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
