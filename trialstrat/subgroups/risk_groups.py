"""Stage "risk_groups": bands of out-of-fold predicted risk, their outcome, and the treatment effect within them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.shown import ShownOutcome, said_horizon, shown_outcome, whole_horizon
from trialstrat.errors import InvalidInputError
from trialstrat.models.out_of_fold import OutOfFold
from trialstrat.results import NAN, Cell, Column, Estimate, StageResult, Table, TestResult
from trialstrat.stats.cox import cox, cox_compare, wald_test
from trialstrat.subgroups.comparison import Comparison, comparisons, logrank_of, question_not_asked
from trialstrat.subgroups.curves import CURVE_METHOD, DrawnCurve, at_risk_table, draw, km_table
from trialstrat.subgroups.effect import outcome_effect
from trialstrat.subgroups.incidence import incidence_at
from trialstrat.subgroups.scales import Effect, EffectOptions, ScaleEffect, p_estimate

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

PROGNOSTIC = "Groups are prognostic: they say who is likely to have the event, not who benefits from treatment."

_GROUP_COLUMNS = (Column(key="group", label="Group"), Column(key="label", label="Risk group"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Groups:
    """The bands that have patients, as the tables need them."""

    number: Ints
    names: tuple[str, ...]
    labels: tuple[str, ...]

    def masks(self) -> dict[str, Mask]:
        return {
            name: np.asarray(self.number == at, dtype=np.bool_)
            for at, name in enumerate(self.names)
            if (self.number == at).any()
        }

    def label(self, name: str) -> str:
        return self.labels[self.names.index(name)]


def risk_groups(cohort: Cohort, held_out: OutOfFold) -> StageResult:
    """Outcome by predicted risk, and whether the treatment effect differs between the groups.

    A patient's group comes from the model of the fold in which that patient was held out, cut at the quantiles of the
    fold's own training risks; patients without a prediction are in no group and in no table. The effect within every
    group is given on the relative and on the absolute scale with the interaction test of each: a likelihood ratio
    test of arm by group in the Cox model, and Cochran's Q of the absolute differences.

    Raises
    ------
    InvalidInputError
        Predictions of other patients or for another number of groups than declared.
    """
    outcome = shown_outcome(cohort)
    declared = cohort.protocol.risk_groups.labels
    if len(held_out.quantiles) != len(declared) - 1 or len(held_out.fold) != cohort.n:
        raise InvalidInputError(
            f"predictions of {len(held_out.fold)} patients with {len(held_out.quantiles)} cut-offs do not fit "
            f"{cohort.n} patients in {len(declared)} declared groups"
        )
    labels = tuple(f"{label[:1].upper()}{label[1:]} risk" for label in declared)
    groups = _Groups(number=held_out.groups(), names=tuple(declared), labels=labels)
    level = cohort.protocol.analysis.level
    tables = [_summary(outcome, groups, held_out, level), *_curve_tables(outcome, groups, level)]
    estimates = [_between_groups(outcome, groups)]
    compared = () if question_not_asked(cohort) else comparisons(cohort)
    for at, comparison in enumerate(compared):
        table, tests = _effects(cohort, outcome, groups, comparison, first=at == 0)
        tables.append(table)
        estimates += tests
    return StageResult(
        stage="risk_groups",
        estimates=tuple(estimates),
        tables=tuple(tables),
        facts={
            "kind": "prognostic",
            "statement": PROGNOSTIC,
            "unit": outcome.unit,
            "horizon": whole_horizon(outcome.horizon),
            "model": held_out.model,
            "model_label": held_out.label,
            "comparison": compared[0].pair if compared else "",
            "comparison_label": compared[0].label if compared else "",
            "cut_rule": "quantiles of the training risk of each outer fold: "
            + ", ".join(f"{q:.3g}" for q in held_out.quantiles),
        },
    )


# -- outcome by group ------------------------------------------------------------------------------------------------


def _population(outcome: ShownOutcome, groups: _Groups) -> str:
    counts = outcome.population(groups.number >= 0)
    return f"{counts}; groups by the risk predicted in the fold in which a patient was held out"


def _summary(outcome: ShownOutcome, groups: _Groups, held_out: OutOfFold, level: float) -> Table:
    """Observed event probability at the horizon against the mean of the predicted ones."""
    rows: list[tuple[Cell, ...]] = []
    for name, mask in groups.masks().items():
        seen = _observed(outcome, mask, level)
        observed: tuple[Cell, ...] = (seen.value, _finite(seen.lower), _finite(seen.upper)) if seen.ok else (None,) * 3
        predicted = float(held_out.event_probability()[mask].mean())
        events = int(outcome.of_interest[mask].sum())
        rows.append((name, groups.label(name), int(mask.sum()), events, *observed, predicted))
    until = said_horizon(outcome)
    columns = (
        *_GROUP_COLUMNS,
        Column(key="n", label="Patients", kind="count"),
        Column(key="events", label="Events", kind="count"),
        Column(key="observed", label=f"Observed by {until}", kind="percent"),
        Column(key="lower", label="Lower limit", kind="percent"),
        Column(key="upper", label="Upper limit", kind="percent"),
        Column(key="predicted", label=f"Predicted by {until}", kind="percent"),
    )
    method = "Aalen-Johansen, log-log limits" if outcome.kind == "competing" else f"one minus the {CURVE_METHOD}"
    note = f"Population: {_population(outcome, groups)}. Observed: {method}. {PROGNOSTIC}"
    return Table(name="risk_groups.summary", title="Risk groups", columns=columns, rows=tuple(rows), note=note)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _observed(outcome: ShownOutcome, mask: Mask, level: float) -> ScaleEffect:
    """Probability of the event by the horizon among some patients."""
    from trialstrat.stats.rmst import beyond_follow_up

    if outcome.kind == "competing":
        return incidence_at(outcome, mask, level)
    words: dict[str, Any] = {"measure": "event probability", "ratio": False, "level": level, "unit": "probability"}
    if outcome.time is None or outcome.horizon is None:
        return ScaleEffect(**words, status="not_estimable", reason="no horizon is declared")
    curve = _draw(outcome, (), mask, level).curve
    if beyond_follow_up(outcome.horizon, float(curve.time[-1]), float(curve.survival[-1])):
        return ScaleEffect(**words, status="not_estimable", reason="follow-up ends before the horizon")
    at = curve.at([outcome.horizon])
    return ScaleEffect(
        **words,
        value=1 - float(at.survival[0]),
        lower=1 - float(at.upper[0]),
        upper=1 - float(at.lower[0]),
        method=CURVE_METHOD,
    )


def _draw(outcome: ShownOutcome, keys: tuple[Cell, ...], mask: Mask, level: float) -> DrawnCurve:
    if outcome.time is None:
        raise InvalidInputError("risk groups need an endpoint that is a time")
    entry = None if outcome.entry is None else outcome.entry[mask]
    return draw(keys, outcome.time[mask], outcome.any_event[mask], entry=entry, level=level)


def _curve_tables(outcome: ShownOutcome, groups: _Groups, level: float) -> list[Table]:
    curves = [_draw(outcome, (name, groups.label(name)), mask, level) for name, mask in groups.masks().items()]
    note = f"Population: {_population(outcome, groups)}. {CURVE_METHOD}. {PROGNOSTIC}"
    under = f"Population: {_population(outcome, groups)}. At risk just before the time; events and censorings up to it."
    name = "risk_groups"
    return [
        km_table(f"{name}.km", f"{outcome.label} by risk group", _GROUP_COLUMNS, curves, note),
        at_risk_table(f"{name}.at_risk", "Numbers at risk", _GROUP_COLUMNS, curves, unit=outcome.unit, note=under),
    ]


def _between_groups(outcome: ShownOutcome, groups: _Groups) -> Estimate:
    """Log-rank test that the groups do not differ."""
    name, label = "risk_groups.logrank.p", "Log-rank test between risk groups"
    rows = groups.number >= 0
    event = outcome.of_interest[rows]
    rest: dict[str, Any] = {"n": len(event), "events": int(event.sum()), "population": "all patients"}
    if outcome.time is None or len(groups.masks()) < 2:
        return p_estimate(name, label, NAN, "not_estimable", "fewer than two groups have patients", "", rest)
    test = logrank_of(outcome, rows, groups.number, None)
    rest["method"] = test.method
    return p_estimate(name, label, test.p, test.status, test.reason, test.null_hypothesis, rest)


# -- effect by group -------------------------------------------------------------------------------------------------


def _effects(
    cohort: Cohort, outcome: ShownOutcome, groups: _Groups, comparison: Comparison, *, first: bool
) -> tuple[Table, list[Estimate]]:
    """The treatment effect in every group, and the two interaction tests (of further treatments under their pair)."""
    analysis = cohort.protocol.analysis
    options = EffectOptions(
        tau=outcome.horizon, level=analysis.level, minimum_events=analysis.minimum_events, unit=outcome.unit
    )
    found = {
        name: outcome_effect(outcome, comparison.treated, mask & comparison.rows, options, strata=cohort.strata)
        for name, mask in groups.masks().items()
    }
    suffix = "" if first else f".{comparison.pair}"
    table = _effects_table(cohort, outcome, groups, comparison, found, f"risk_groups.effects{suffix}")
    rows = comparison.rows & (groups.number >= 0)
    rest: dict[str, Any] = {
        "n": int(rows.sum()),
        "events": int(outcome.of_interest[rows].sum()),
        "population": comparison.label,
        "evidence": cohort.protocol.status,
    }
    relative = relative_interaction(cohort, outcome, groups.number, comparison, list(found.values()))
    absolute = heterogeneity([effect.absolute for effect in found.values()], split_cluster(outcome, groups.number))
    stems = (("hazard_ratio_scale", "hazard ratios", relative), ("rmst_scale", "absolute differences", absolute))
    tests = [
        p_estimate(
            f"risk_groups.interaction.{stem}.p{suffix}",
            f"Do {what} differ between risk groups, {comparison.label}",
            test.p,
            test.status,
            test.reason,
            test.null_hypothesis,
            {**rest, "method": test.method},
        )
        for stem, what, test in stems
    ]
    return table, tests


def _effects_table(
    cohort: Cohort,
    outcome: ShownOutcome,
    groups: _Groups,
    comparison: Comparison,
    found: Mapping[str, Effect],
    name: str,
) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for group, effect in found.items():
        counts = (effect.n_control, effect.n_treated, effect.events_control, effect.events_treated)
        scales = [
            _finite(x) for scale in (effect.relative, effect.absolute) for x in (scale.value, scale.lower, scale.upper)
        ]
        rows.append((group, groups.label(group), effect.n, effect.events, *counts, *scales))
    absolute = next(iter(found.values())).absolute
    relative = next(iter(found.values())).relative
    title = f"{absolute.measure[:1].upper()}{absolute.measure[1:]}"
    columns = (
        *_GROUP_COLUMNS,
        Column(key="n", label="Patients", kind="count"),
        Column(key="events", label="Events", kind="count"),
        Column(key="n_control", label="Patients, control", kind="count"),
        Column(key="n_treated", label="Patients, treated", kind="count"),
        Column(key="events_control", label="Events, control", kind="count"),
        Column(key="events_treated", label="Events, treated", kind="count"),
        Column(key="hazard_ratio", label=relative.measure.capitalize(), kind="effect"),
        Column(key="lower", label="Lower limit", kind="effect"),
        Column(key="upper", label="Upper limit", kind="effect"),
        Column(key="rmst_difference", label=title, kind="number", unit=absolute.unit),
        Column(key="rmst_lower", label="Lower limit", kind="number", unit=absolute.unit),
        Column(key="rmst_upper", label="Upper limit", kind="number", unit=absolute.unit),
    )
    arms = cohort.protocol.arms
    plain = "" if arms is None or arms.allocation == "randomised" else " Unadjusted: not all patients were randomised."
    missing = "; ".join(f"{groups.label(group)}: {effect.reason}" for group, effect in found.items() if effect.reason)
    note = (
        f"Population: {comparison.label}, {_population(outcome, groups)}. {title} up to "
        f"{said_horizon(outcome)}.{plain} {PROGNOSTIC} A difference between groups is judged by the "
        f"interaction tests, not by single intervals.{' Not estimated: ' + missing + '.' if missing else ''}"
    )
    return Table(name=name, title="Treatment effect by risk group", columns=columns, rows=tuple(rows), note=note)


def relative_interaction(
    cohort: Cohort, outcome: ShownOutcome, group: Ints, comparison: Comparison, found: Sequence[Effect]
) -> TestResult:
    """Test of arm by group in the (stratified) Cox model of the event of interest.

    By likelihood ratio; where rows lie in clusters there is no likelihood of independent rows, and it is the Wald
    test with the robust variance. Only groups in which the effect can be estimated take part.
    """
    null = "the hazard ratio of treatment is the same in all risk groups"
    robust = outcome.cluster is not None
    method = "likelihood ratio test of arm by group, Cox model"
    if robust:
        method = "Wald test of arm by group, Cox model, robust variance by cluster"
    present = np.unique(group[group >= 0])
    usable = [int(code) for code, effect in zip(present, found, strict=True) if effect.relative.ok]
    rows = comparison.rows & np.isin(group, usable)
    if len(usable) < 2 or outcome.time is None:
        reason = "fewer than two groups have enough events in both arms"
        return TestResult(
            statistic=NAN, df=0, p=NAN, null_hypothesis=null, method=method, status="not_estimable", reason=reason
        )
    arm = comparison.treated[rows].astype(np.float64)
    dummies = np.column_stack([(group[rows] == code).astype(np.float64) for code in usable[1:]])
    data: dict[str, Any] = {
        "strata": None if cohort.strata is None else cohort.strata[rows],
        "entry": None if outcome.entry is None else outcome.entry[rows],
    }
    time, event = outcome.time[rows], outcome.of_interest[rows]
    products = dummies * arm[:, None]
    if outcome.cluster is not None:
        data["cluster"] = outcome.cluster[rows]
    large = cox(time, event, np.column_stack([arm, dummies, products]), **data)
    if robust:
        test = wald_test(large, range(1 + dummies.shape[1], len(large.names)))
    else:
        test = cox_compare(cox(time, event, np.column_stack([arm, dummies]), **data), large)
    return TestResult(
        statistic=test.statistic,
        df=test.df,
        p=test.p,
        null_hypothesis=null,
        method=method if cohort.strata is None else f"{method}, stratified",
        n=int(rows.sum()),
        events=int(event.sum()),
        status=test.status,
        reason=test.reason,
    )


def split_cluster(outcome: ShownOutcome, group: Ints) -> str:
    """Why effects in the groups (n,; -1 in none) are not independent; empty when they are."""
    if outcome.cluster is None:
        return ""
    inside = group >= 0
    pairs = np.unique(np.column_stack([outcome.cluster[inside], group[inside]]), axis=0)
    split = len(pairs) > len(np.unique(pairs[:, 0]))
    return "rows of one cluster lie in several groups: their effects are not independent" if split else ""


def heterogeneity(effects: Sequence[ScaleEffect], refused: str = "") -> TestResult:
    """Cochran's Q of independent effects on one scale; null hypothesis: they are all the same.

    Q = sum w_i (d_i - d)^2 with w_i the inverse variances, chi-square with k - 1 degrees of freedom. Effects that
    could not be estimated take no part. ``refused`` says why there can be no test.

    References
    ----------
    Cochran WG (1954). Biometrics 10, 101-129.
    """
    null = "the treatment effect on this scale is the same in all groups"
    method = "Wald test of heterogeneity (Cochran's Q)"
    usable = [effect for effect in effects if effect.ok and np.isfinite(effect.std_error) and effect.std_error > 0]
    if len(usable) < 2 or refused:
        reason = refused or "fewer than two groups have an effect on this scale"
        return TestResult(
            statistic=NAN, df=0, p=NAN, null_hypothesis=null, method=method, status="not_estimable", reason=reason
        )
    value = np.array([np.log(effect.value) if effect.ratio else effect.value for effect in usable])
    weight = np.array([effect.std_error for effect in usable]) ** -2.0
    statistic = float((weight * (value - np.average(value, weights=weight)) ** 2).sum())
    df = len(usable) - 1
    return TestResult(statistic=statistic, df=df, p=float(chdtrc(df, statistic)), null_hypothesis=null, method=method)
