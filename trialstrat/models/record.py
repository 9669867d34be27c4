"""The stage's result: estimates, facts and findings; the tables are made next door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from trialstrat.cohort.shown import shown_outcome, whole_horizon
from trialstrat.models.engines import ENGINES
from trialstrat.models.evaluate import HeldOutScore, ModelScores
from trialstrat.models.folds import FoldData, outer_count
from trialstrat.models.frozen import FrozenModel
from trialstrat.models.importance import Importance
from trialstrat.models.plan import StudyPlan
from trialstrat.models.task import FoldFit
from trialstrat.results import Estimate, Finding, StageResult

if TYPE_CHECKING:
    from trialstrat.cohort.cohort import Cohort

METRIC_LABELS = {
    "uno_c": "Held-out Uno's C",
    "auc": "Held-out AUC",
    "ibs": "Held-out integrated Brier score",
    "ipa": "Held-out index of prediction accuracy",
    "ici": "Held-out integrated calibration index",
    "calibration_slope": "Held-out calibration slope",
}
METHODS = {
    "uno_c": "mean over outer folds; infinitesimal jackknife, widened because training sets overlap",
    "auc": "mean over outer folds; infinitesimal jackknife, widened because training sets overlap",
    "ibs": "mean over outer folds; infinitesimal jackknife",
    "ipa": "mean over outer folds; infinitesimal jackknife",
    "ici": "pooled held-out predictions; percentile bootstrap of patients",
    "calibration_slope": "pooled held-out predictions; Cox regression on log(-log(1 - predicted))",
}
#: Scores that become estimates; those of the AUC stay in the table.
ESTIMATED = ("uno_c", "ibs", "ipa", "ici", "calibration_slope")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Record:
    """Everything a finished study has to say. ``fits`` by model, one per outer fold; ``inner`` mean tuning losses.

    ``withheld`` says why the final model is not exported, empty when it is.
    """

    plan: StudyPlan
    fits: Mapping[str, Sequence[FoldFit]]
    skipped: Mapping[str, str]
    scores: Mapping[str, ModelScores] = field(default_factory=dict)
    chosen: str = ""
    inner: Mapping[str, float] = field(default_factory=dict)
    importance: tuple[Importance, ...] = ()
    final: FrozenModel | None = None
    final_data: FoldData | None = None
    benefit_seed: int = 0
    withheld: str = ""

    @property
    def population(self) -> str:
        """Who was analysed."""
        declared = self.plan.cohort.protocol.estimand.population
        return declared if self.plan.rows.size == self.plan.cohort.n else f"{declared}, complete covariates"

    def note(self, method: str) -> str:
        """Caption of a table: population, numbers, method."""
        return f"{self.population}; n = {self.plan.rows.size}, {self.plan.events} events; {method}"

    def failed(self) -> dict[str, str]:
        """Models without a fit in every fold, with the first reason."""
        reasons = {name: next((fit.reason for fit in folds if fit.reason), "") for name, folds in self.fits.items()}
        return {name: reason for name, reason in reasons.items() if reason}

    def yardstick(self) -> str:
        """The unpenalised Cox model that the chosen one is held against: on clinical features where there is one."""
        sets = ("clinical", "combined", "molecular")
        found = (f"clinical_cox.{name}" for name in sets)
        return next((name for name in found if name in self.scores), "")


def model_label(name: str) -> str:
    """Readable name of ``<engine>.<feature set>``."""
    engine, _, feature_set = name.partition(".")
    return f"{ENGINES[engine].label}, {feature_set}"


def not_available_result(cohort: Cohort, reason: str) -> StageResult:
    """The stage where no prognostic model can be asked for."""
    estimate = Estimate.not_estimable(
        "models.best.uno_c", METRIC_LABELS["uno_c"], reason, population=cohort.protocol.estimand.population, n=cohort.n
    )
    shown = shown_outcome(cohort)
    return StageResult(
        stage="models",
        estimates=(estimate,),
        findings=(Finding(code="I-MODELS-NONE", severity="note", message=f"no prognostic models: {reason}"),),
        facts={"chosen": "", "chosen_reason": reason, "unit": shown.unit, "horizon": whole_horizon(shown.horizon)},
    )


def result_of(record: Record) -> StageResult:
    """The stage's result."""
    from trialstrat.models.tables import tables_of

    return StageResult(
        stage="models",
        estimates=tuple(_estimates(record)),
        tables=tables_of(record),
        findings=tuple(_findings(record)),
        facts=_facts(record),
    )


def _estimates(record: Record) -> list[Estimate]:
    out: list[Estimate] = []
    for name in record.fits:
        label = model_label(name)
        if name in record.scores:
            out += [
                _estimate(record, f"models.{name}.{metric}", label, record.scores[name].get(metric))
                for metric in ESTIMATED
            ]
        else:
            reason = record.failed().get(name, "no model")
            missing = f"{METRIC_LABELS['uno_c']}: {label}"
            out.append(Estimate.not_estimable(f"models.{name}.uno_c", missing, reason, unit="concordance"))
    if record.chosen:
        best = record.scores[record.chosen].get("uno_c")
        out.append(_estimate(record, "models.best.uno_c", f"chosen model ({model_label(record.chosen)})", best))
        label = "whole procedure, the choice of the model included"
        out.append(_estimate(record, "models.procedure.uno_c", label, record.scores["procedure"].get("uno_c")))
        out.append(_estimate(record, "models.procedure.ibs", label, record.scores["procedure"].get("ibs")))
    else:
        reason = next(iter(record.failed().values()), "") or next(
            iter(record.skipped.values()), "no engine is declared"
        )
        out.append(Estimate.not_estimable("models.best.uno_c", METRIC_LABELS["uno_c"], reason, unit="concordance"))
    return out


def _estimate(record: Record, name: str, label: str, score: HeldOutScore) -> Estimate:
    metric = name.rpartition(".")[2]
    text = f"{METRIC_LABELS[metric]}: {label}"
    unit = "concordance" if metric == "uno_c" else "score"
    if not np.isfinite(score.value):
        return Estimate.not_estimable(name, text, score.reason or "not estimable in the outer folds", unit=unit)
    return Estimate(
        name=name,
        label=text,
        value=score.value,
        lower=score.lower,
        upper=score.upper,
        level=record.plan.cohort.protocol.analysis.level,
        unit=unit,
        method=METHODS[metric],
        population=record.population,
        n=int(record.plan.rows.size),
        events=record.plan.events,
    )


def _findings(record: Record) -> list[Finding]:
    plan, protocol = record.plan, record.plan.cohort.protocol
    out = [
        Finding(code="I-MODELS-SET", severity="note", message=f"feature set {name} left out: {reason}")
        for name, reason in record.skipped.items()
    ]
    if record.withheld:
        message = f"the chosen model is not exported: {record.withheld}"
        out.append(Finding(code="W-MODELS-WITHHELD", severity="warning", message=message))
    out += [
        Finding(code="W-MODELS-ENGINE", severity="warning", message=f"{model_label(name)} left out: {reason}")
        for name, reason in record.failed().items()
    ]
    late = [variable.column for variable in protocol.variables if variable.measured == "after_time_zero"]
    if late:
        message = f"measured after time zero, so not a feature: {', '.join(late)}"
        out.append(Finding(code="I-MODELS-LATE", severity="note", message=message))
    if plan.score_horizon < plan.horizon:
        message = (
            f"scores stop at {plan.score_horizon:.4g} {plan.outcome.unit}: too few patients are followed to the "
            f"horizon of {whole_horizon(plan.horizon)}"
        )
        out.append(Finding(code="I-MODELS-HORIZON", severity="note", message=message))
    if record.final_data is not None:
        dropped = record.final_data.outer.spec.dropped
        out += [
            Finding(code="I-MODELS-COLUMN", severity="note", column=column, message=f"is no feature: {reason}")
            for column, reason in dropped[:20]
        ]
    return out


def _facts(record: Record) -> dict[str, str]:
    plan, protocol = record.plan, record.plan.cohort.protocol
    declared = protocol.models
    facts = {
        "chosen": record.chosen,
        "chosen_label": model_label(record.chosen) if record.chosen else "",
        "chosen_reason": _reason(record),
        "choice_caveat": (
            "Choosing among models uses the outcomes of all patients once more; the held-out score of the whole "
            "procedure, in which every outer fold chooses for itself, includes that step."
        ),
        "horizon": whole_horizon(plan.horizon),
        "score_horizon": whole_horizon(plan.score_horizon),
        "unit": plan.outcome.unit,
        "folds": str(outer_count(record.plan.cohort)),
        "outer": declared.outer,
        "repeats": str(declared.repeats),
        "inner_folds": str(declared.inner_folds),
        "trials": str(declared.trials),
        "trees": str(declared.trees),
        "metric": "uno_c",
        "tuning_metric": "integrated Brier score of the inner folds",
        "interval": METHODS["uno_c"],
        "kind": "prognostic",
        "arm": "not a feature: risk is predicted before treatment is chosen" if protocol.arms else "",
        "yardstick": record.yardstick(),
        "yardstick_method": "maximum partial likelihood; Firth's likelihood where a coefficient would be infinite",
    }
    if protocol.endpoint.kind == "competing":
        cause = next(iter(protocol.endpoint.causes), "the event")
        facts["competing"] = (
            f"models predict {cause} with other causes censored: the cause-specific hazard, not the share of patients "
            "who will have the event"
        )
    return facts


def _reason(record: Record) -> str:
    if not record.chosen:
        return next(iter(record.failed().values()), "") or next(iter(record.skipped.values()), "")
    return (
        "smallest integrated Brier score in the inner folds, averaged over the outer folds "
        f"({record.inner[record.chosen]:.4f}); held-out scores were not used to choose"
    )
