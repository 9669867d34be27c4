"""Tables of the impact stage: effects by set, what dropping each criterion does, Shapley values, balance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.describe import coded_values
from trialstrat.criteria.coalitions import Values
from trialstrat.criteria.cross_fitting import Judgement
from trialstrat.criteria.emulation import Emulation
from trialstrat.criteria.pool import beside
from trialstrat.criteria.ranking import Ranking, improvement
from trialstrat.protocol.criteria_model import ImpactPlan
from trialstrat.results import Cell, Column, Table
from trialstrat.stats.balance import smd
from trialstrat.subgroups.effect import Effect

Rows = list[tuple[Cell, ...]]

_PAIR = Column(key="comparison", label="Comparison")
_CRITERION = Column(key="criterion", label="Criterion")
_SETS = {
    "none": "No criterion",
    "all": "All criteria",
    "kept": "Criteria kept by the sign of their contribution, in sample",
}


def _shown(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _limits(values: Values, at: int, *, ratio: bool = False) -> tuple[float | None, ...]:
    how = np.exp if ratio else float
    return tuple(_shown(how(entry[at])) for entry in (values.value, values.lower, values.upper))


def _three(key: str, label: str, kind: str) -> tuple[Column, ...]:
    return (
        Column(key=key, label=label, kind=kind),  # type: ignore[arg-type]
        Column(key=f"{key}_lower", label="Lower limit", kind=kind),  # type: ignore[arg-type]
        Column(key=f"{key}_upper", label="Upper limit", kind=kind),  # type: ignore[arg-type]
    )


def effect_rows(ranking: Ranking, criteria: Sequence[str], pair: str) -> Rows:
    """Effect with the criterion alone, without it, and the change when it is dropped, on both scales."""
    log, absolute = "log_hazard_ratio", "absolute"
    return [
        (
            criterion,
            pair,
            *_limits(ranking.alone[log], at, ratio=True),
            *_limits(ranking.without[log], at, ratio=True),
            *_limits(ranking.change[log], at, ratio=True),
            *_limits(ranking.alone[absolute], at),
            *_limits(ranking.without[absolute], at),
            *_limits(ranking.change[absolute], at),
        )
        for at, criterion in enumerate(criteria)
    ]


def effects_table(rows: Rows, until: str) -> Table:
    """``impact.effects``."""
    return Table(
        name="impact.effects",
        title="The effect with each criterion alone, and without it",
        columns=(
            _CRITERION,
            _PAIR,
            *_three("ratio_alone", "Ratio, only this criterion", "effect"),
            *_three("ratio_without", "Ratio, all but this criterion", "effect"),
            *_three("ratio_change", "Ratio of ratios when it is dropped", "effect"),
            *_three("difference_alone", "Difference, only this criterion", "number"),
            *_three("difference_without", "Difference, all but this criterion", "number"),
            *_three("difference_change", "Change of the difference when it is dropped", "number"),
        ),
        rows=tuple(rows),
        note=f"Hazard (odds) ratios and differences (restricted mean up to {until}); bootstrap percentile limits.",
        protection="none",
    )


def shapley_rows(ranking: Ranking, criteria: Sequence[str], pair: str, withheld: str) -> Rows:
    """One row per criterion and measure of the effect; none where the ranking is withheld."""
    if withheld:
        return []
    return [
        (
            criterion,
            pair,
            measure,
            *_limits(ranking.shapley[measure], at),
            _shown(ranking.shapley[measure].error[at]),
            "yes" if at in ranking.keep else "no",
            _shown(ranking.kept_share[at]),
        )
        for measure in ("log_hazard_ratio", "hazard_ratio", "absolute")
        for at, criterion in enumerate(criteria)
        if np.isfinite(ranking.shapley[measure].value[at])
    ]


def shapley_table(rows: Rows, emulation: Emulation, ranking: Ranking, plan: ImpactPlan, favourable: str) -> Table:
    """``impact.shapley``; ``favourable`` says which values of a binary or continuous outcome are good."""
    how = "Every combination of criteria was fitted" if not ranking.orders else f"{ranking.orders} orders were drawn"
    limits = "No limits: no bootstrap was declared."
    if plan.bootstrap:
        refitted = "" if emulation.weighting == "none" else ", propensity model refitted in each"
        limits = f"Limits: {plan.bootstrap} bootstrap samples{refitted}."
    ratio = emulation.outcome.kind != "continuous"
    better = improvement(emulation, "log_hazard_ratio" if ratio else "absolute", favourable)
    direction = f"A {'positive' if better > 0 else 'negative'} value{' on a ratio scale' if ratio else ''}"
    return Table(
        name="impact.shapley",
        title="Contribution of each criterion to the effect, whatever the order (Shapley value)",
        columns=(
            _CRITERION,
            _PAIR,
            Column(key="measure", label="Scale"),
            Column(key="value", label="Shapley value", kind="number"),
            Column(key="lower", label="Lower limit", kind="number"),
            Column(key="upper", label="Upper limit", kind="number"),
            Column(key="error", label="Monte-Carlo error", kind="number"),
            Column(key="keep", label="Kept"),
            Column(key="kept_share", label="Kept in folds", kind="percent"),
        ),
        rows=tuple(rows),
        note=f"{how}. {limits} {direction} means that applying the criterion improves the effect.",
        protection="none",
    )


def scenario_rows(effects: Mapping[str, Effect], crossed: Mapping[str, Judgement], pair: str, cell: int) -> Rows:
    """The effect under no, all and the kept criteria, and held out; counts are coarse but for all criteria."""
    out: Rows = []
    own = effects["all"]
    for name, found in effects.items():
        scales = [
            (scale.value, scale.lower, scale.upper) if scale.ok else (np.nan,) * 3
            for scale in (found.relative, found.absolute)
        ]
        cells = [_shown(value) for scale in scales for value in scale]
        counts = (beside(found.n, own.n, cell), beside(found.events, own.events, cell))
        out.append((name, _SETS[name], pair, *counts, *cells))
    if crossed:
        sides = [crossed["relative"], crossed["absolute"]]
        cells = [_shown(value) for side in sides for value in (side.value, side.lower, side.upper)]
        label = "Criteria kept by the sign of their contribution, judged on held-out patients"
        counts = (beside(sides[0].n, own.n, cell), beside(sides[0].events, own.events, cell))
        out.append(("cross_fitted", label, pair, *counts, *cells))
    return out


def scenarios_table(rows: Rows, note: str) -> Table:
    """``impact.scenarios``."""
    return Table(
        name="impact.scenarios",
        title="The emulated trial under sets of criteria",
        columns=(
            Column(key="set", label="Set"),
            Column(key="label", label="Criteria applied"),
            _PAIR,
            Column(key="n", label="Patients", kind="count"),
            Column(key="events", label="Events", kind="count"),
            *_three("ratio", "Ratio", "effect"),
            *_three("difference", "Difference", "number"),
        ),
        rows=tuple(rows),
        note=note,
    )


def balance_rows(emulation: Emulation, everyone: Cohort, inside: np.ndarray) -> Rows:
    """Standardised differences between the arms among patients who meet all criteria, before and after weighting."""
    rows = emulation.rows & inside
    weights, _ = emulation.weights(rows)
    if emulation.weighting == "none" or weights is None:
        return []
    arm = emulation.comparison.treated[rows]
    out: Rows = []
    for variable in everyone.protocol.variables:
        values = coded_values(variable, everyone.frame[variable.column])[rows]
        kind = "continuous" if variable.kind == "continuous" else "categorical"
        found = [smd(values, arm, kind=kind, weights=weight).smd for weight in (None, weights[rows])]
        out.append((variable.column, variable.title, emulation.comparison.pair, *(_shown(value) for value in found)))
    return out


def balance_table(rows: Rows) -> Table:
    """``impact.balance``."""
    return Table(
        name="impact.balance",
        title="Balance of the emulated trial before and after weighting, all criteria applied",
        columns=(
            Column(key="variable", label="Variable"),
            Column(key="label", label="Characteristic"),
            _PAIR,
            Column(key="before", label="SMD before", kind="number"),
            Column(key="after", label="SMD after", kind="number"),
        ),
        rows=tuple(rows),
        note="Standardised mean differences, treated minus control.",
        protection="none",
    )
