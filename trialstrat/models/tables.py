"""The tables of the stage, as the results contract names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trialstrat.models.base import EngineFailureError, Floats, Training
from trialstrat.models.cox import fit_plain
from trialstrat.models.engines import ENGINES
from trialstrat.models.evaluate import FEWEST_DRAWS, difference
from trialstrat.models.left_out import left_out_groups
from trialstrat.results import Cell, Column, Table
from trialstrat.stats.net_benefit import net_benefit
from trialstrat.stats.resampling import bootstrap, bootstrap_interval

if TYPE_CHECKING:
    from trialstrat.models.record import Record

#: Points of the decision curve, bars of the histogram, features shown by importance.
THRESHOLDS, BARS, SHOWN = 31, 20, 30
_MODEL = Column(key="model", label="Model")
_INTERVAL = (Column(key="lower", label="Lower", kind="number"), Column(key="upper", label="Upper", kind="number"))


def tables_of(record: Record) -> tuple[Table, ...]:
    """Every table the study supports, in the order of the contract."""
    if not record.chosen:
        return (_tuning(record),)
    return (
        _scores(record),
        *([left_out_groups(record)] if record.plan.cohort.protocol.models.outer == "groups" else []),
        *_calibration(record),
        _net_benefit(record),
        _comparison(record),
        _importance(record),
        *_coefficients(record),
        _tuning(record),
    )


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _time_column(record: Record) -> Column:
    return Column(key="time", label="Time", kind="number", unit=record.plan.outcome.unit)


def _scores(record: Record) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, scores in record.scores.items():
        engine, _, feature_set = name.partition(".")
        if not feature_set:
            continue
        for score in scores.scores:
            folds = sum(np.isfinite(value) for value in score.fold_values) or len(record.plan.judged)
            rows.append(
                (
                    name,
                    engine,
                    ENGINES[engine].label,
                    feature_set,
                    score.metric,
                    score.time,
                    _finite(score.value),
                    _finite(score.lower),
                    _finite(score.upper),
                    _finite(score.fold_sd),
                    int(folds),
                )
            )
    columns = (
        _MODEL,
        Column(key="engine", label="Engine"),
        Column(key="engine_label", label="Engine"),
        Column(key="feature_set", label="Features"),
        Column(key="metric", label="Metric"),
        _time_column(record),
        Column(key="value", label="Value", kind="number"),
        *_INTERVAL,
        Column(key="fold_sd", label="SD between folds", kind="number"),
        Column(key="folds", label="Folds", kind="number"),
    )
    method = (
        "nested cross-validation, held-out patients only; intervals by the infinitesimal jackknife, ICI by bootstrap"
    )
    return Table(
        name="models.scores",
        title="Held-out performance",
        columns=columns,
        rows=tuple(rows),
        note=record.note(method),
        protection="none",
    )


def _calibration(record: Record) -> tuple[Table, ...]:
    """Smooth curve and histogram of the chosen model's pooled held-out predictions."""
    scores = record.scores[record.chosen]
    curve, at = scores.curve, record.plan.score_horizon
    head = (_MODEL, _time_column(record))
    rows: list[tuple[Cell, ...]] = []
    if curve is not None and curve.status == "ok":
        values = zip(curve.grid, curve.observed, curve.lower, curve.upper, strict=True)
        rows = [(record.chosen, at, *(_finite(value) for value in point)) for point in values]
    columns = tuple(
        Column(key=key, label=key.capitalize(), kind="percent") for key in ("predicted", "observed", "lower", "upper")
    )
    counts, edges = np.histogram(scores.pooled[scores.rows], bins=BARS, range=(0.0, 1.0))
    bars = tuple(
        (record.chosen, at, float(low), float(high), int(count))
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    )
    return (
        Table(
            name="models.calibration",
            title="Calibration of held-out predictions",
            columns=(*head, *columns),
            rows=tuple(rows),
            note=record.note("pooled held-out predictions; Cox regression on a spline of log(-log(1 - predicted))"),
            protection="none",
        ),
        Table(
            name="models.calibration_histogram",
            title="Predicted risk of the patients",
            columns=(
                *head,
                Column(key="low", label="From", kind="percent"),
                Column(key="high", label="To", kind="percent"),
                Column(key="count", label="Patients", kind="count"),
            ),
            rows=bars,
            note=record.note("pooled held-out predictions"),
        ),
    )


def _net_benefit(record: Record) -> Table:
    """Decision curves of the chosen model and the yardstick, with bootstrap limits, and of the trivial strategies."""
    plan, at = record.plan, record.plan.score_horizon
    names = [name for name in dict.fromkeys((record.chosen, record.yardstick())) if name]
    pooled = [record.scores[name].pooled for name in names]
    usable = np.flatnonzero(np.all(np.isfinite(pooled), axis=0))
    low, high = np.quantile(np.concatenate([entry[usable] for entry in pooled]), [0.01, 0.99])
    thresholds = np.linspace(max(0.01, float(low)), min(0.99, float(high)), THRESHOLDS)
    time, event = plan.time[usable], plan.event[usable].astype(np.int64)
    rows: list[tuple[Cell, ...]] = []
    treat_all = np.full(THRESHOLDS, np.nan)
    for name, predicted in zip(names, pooled, strict=True):
        found = net_benefit(time, event, predicted[usable], at, thresholds)
        treat_all = found.treat_all
        limits = _benefit_limits(record, usable, predicted[usable], thresholds)
        rows += [
            (name, at, float(cut), _finite(value), _finite(lower), _finite(upper))
            for cut, value, lower, upper in zip(thresholds, found.net_benefit, *limits, strict=True)
        ]
    rows += [("treat_all", at, float(c), _finite(v), None, None) for c, v in zip(thresholds, treat_all, strict=True)]
    rows += [("treat_none", at, float(c), 0.0, None, None) for c in thresholds]
    columns = (
        Column(key="strategy", label="Strategy"),
        _time_column(record),
        Column(key="threshold", label="Threshold", kind="percent"),
        Column(key="net_benefit", label="Net benefit", kind="number"),
        *_INTERVAL,
    )
    return Table(
        name="models.net_benefit",
        title="Net benefit of acting on the predicted risk",
        columns=columns,
        rows=tuple(rows),
        note=record.note("pooled held-out predictions; limits: percentile bootstrap of patients"),
        protection="none",
    )


def _benefit_limits(
    record: Record, rows: np.ndarray, predicted: np.ndarray, thresholds: np.ndarray
) -> tuple[list[float], list[float]]:
    """Percentile limits of the decision curve of ``rows``; whole clusters are resampled where there are any."""
    time, event = record.plan.time[rows], record.plan.event[rows].astype(np.int64)
    cluster = record.plan.outcome.cluster
    draws, level = record.plan.cohort.protocol.models.bootstrap, record.plan.cohort.protocol.analysis.level
    if draws < FEWEST_DRAWS:
        return [float("nan")] * thresholds.size, [float("nan")] * thresholds.size
    rng = np.random.Generator(np.random.PCG64(record.benefit_seed))
    at = record.plan.score_horizon

    def statistic(sample: np.ndarray) -> np.ndarray:
        return net_benefit(time[sample], event[sample], predicted[sample], at, thresholds).net_benefit

    values = bootstrap(statistic, time.size, draws, rng, groups=None if cluster is None else cluster[rows])
    found = [bootstrap_interval(column, level) for column in values.T]
    return [entry.lower for entry in found], [entry.upper for entry in found]


def _comparison(record: Record) -> Table:
    """Paired differences on the same held-out patients: what a feature set adds, the chosen model to the yardstick."""
    engine = record.chosen.partition(".")[0]
    pairs = [
        ("combined-clinical", "Combined minus clinical", f"{engine}.combined", f"{engine}.clinical"),
        ("molecular-clinical", "Molecular minus clinical", f"{engine}.molecular", f"{engine}.clinical"),
        ("best-yardstick", "Chosen model minus yardstick", record.chosen, record.yardstick()),
    ]
    rows: list[tuple[Cell, ...]] = []
    level = record.plan.cohort.protocol.analysis.level
    for key, label, first, second in pairs:
        if first == second or first not in record.scores or second not in record.scores:
            continue
        text = f"{label} ({ENGINES[engine].label})" if key != "best-yardstick" else label
        for metric in ("uno_c", "ibs", "ipa"):
            one, other = record.scores[first].get(metric), record.scores[second].get(metric)
            rows.append((key, text, metric, *(_finite(value) for value in difference(one, other, level))))
    columns = (
        Column(key="comparison", label="Comparison"),
        Column(key="label", label="Comparison"),
        Column(key="metric", label="Metric"),
        Column(key="difference", label="Difference", kind="number"),
        *_INTERVAL,
    )
    return Table(
        name="models.comparison",
        title="Differences between models",
        columns=columns,
        rows=tuple(rows),
        note=record.note("paired on the same outer folds; infinitesimal jackknife"),
        protection="none",
    )


def _importance(record: Record) -> Table:
    rows = tuple(
        (entry.feature, entry.label, _finite(entry.importance), _finite(entry.lower), _finite(entry.upper))
        for entry in record.importance[:SHOWN]
    )
    columns = (
        Column(key="feature", label="Feature"),
        Column(key="label", label="Feature"),
        Column(key="importance", label="Drop in Uno's C", kind="number"),
        *_INTERVAL,
    )
    method = "chosen model, permutation within held-out folds; corrected resampled t interval"
    return Table(
        name="models.importance",
        title="Permutation importance",
        columns=columns,
        rows=rows,
        note=record.note(method),
        protection="none",
    )


def _coefficients(record: Record) -> tuple[Table, ...]:
    """Hazard ratios per unit of the Cox model on the chosen feature set."""
    found = _hazard_ratios(record)
    if found is None or record.final_data is None:
        return ()
    spec = record.final_data.outer.spec
    scale = np.array(spec.scale)
    columns = tuple(values / scale for values in (found.coef, found.lower, found.upper))
    rows = tuple(
        (spec.names[at], spec.labels[at], *(_finite(np.exp(values[at])) for values in columns))
        for at in range(len(spec.names))
        if found.coef[at] != 0
    )
    heads = (("hazard_ratio", "Hazard ratio"), ("lower", "Lower"), ("upper", "Upper"))
    table = Table(
        name="models.coefficients",
        title=found.title,
        columns=(
            Column(key="feature", label="Feature"),
            Column(key="label", label="Feature"),
            *(Column(key=key, label=label, kind="effect") for key, label in heads),
        ),
        rows=rows,
        note=record.note(f"hazard ratio per unit, others held constant; {found.method}"),
        protection="none",
    )
    return (table,)


class _HazardRatios(NamedTuple):
    """Log hazard ratios of scaled features with limits (p,), and what to say of them."""

    coef: Floats
    lower: Floats
    upper: Floats
    title: str
    method: str


def _hazard_ratios(record: Record) -> _HazardRatios | None:
    """The chosen penalised model without limits; else the yardstick on the chosen features, where it can be fitted."""
    data, plan = record.final_data, record.plan
    if data is None:
        return None
    if record.chosen.startswith("penalised_cox") and record.final is not None:
        coef = record.final.model.parts()[1]["coefficients"]
        nothing = np.full(coef.shape, np.nan)
        return _HazardRatios(coef, nothing, nothing, "Penalised Cox model, refitted on all patients", "elastic net")
    if plan.events < ENGINES["clinical_cox"].floor(len(data.outer.spec.names)):
        return None
    training = Training(X=data.outer.X_train, time=plan.time[plan.rows], event=plan.event[plan.rows])
    try:
        fit = fit_plain(training, plan.cohort.protocol.analysis.level)
    except EngineFailureError:
        return None
    title = f"Cox regression on {data.outer.spec.feature_set} features, refitted on all patients"
    kind = "" if fit.profiled else ", normal limits"
    method = f"Firth's likelihood (a coefficient would be infinite){kind}" if fit.firth else "Efron's ties"
    return _HazardRatios(fit.coef, fit.lower, fit.upper, title, method)


def _tuning(record: Record) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, folds in record.fits.items():
        engine = ENGINES[name.partition(".")[0]]
        for fit in folds:
            tuned = fit.tuned
            if tuned is None:
                continue
            settings = {key: float(f"{value:.6g}") for key, value in tuned.params.items()}
            if engine.point_name:
                settings["position on the path"] = tuned.point
            counts = (len(tuned.trials), tuned.count("complete"), tuned.count("pruned"))
            rows.append(
                (
                    name,
                    fit.number + 1,
                    *counts,
                    str(tuned.seed),
                    _finite(tuned.value),
                    ", ".join(f"{key.replace('_', ' ')} {value:g}" for key, value in sorted(settings.items())),
                )
            )
    columns = (
        _MODEL,
        *(Column(key=k, label=k.capitalize(), kind="number") for k in ("fold", "trials", "complete", "pruned")),
        Column(key="seed", label="Seed"),
        Column(key="best", label="Best loss", kind="number"),
        Column(key="params", label="Settings"),
    )
    studies = [fit.tuned for folds in record.fits.values() for fit in folds if fit.tuned]
    ways = sorted({f"{tuned.sampler}; pruner: {tuned.pruner}" for tuned in studies})
    loss = "one study per outer fold; loss: integrated Brier score, mean of the inner folds"
    method = "; ".join([loss, *(f"sampler: {way}" for way in ways)])
    return Table(
        name="models.tuning",
        title="Tuning",
        columns=columns,
        rows=tuple(rows),
        note=record.note(method),
        protection="none",
    )
