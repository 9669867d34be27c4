"""The adjusted treatment effect with imputed covariates, beside that of complete cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.shown import ShownOutcome
from trialstrat.results import Cell, Column, Estimate, Table
from trialstrat.subgroups.adjusted import AdjustedModel, adjusted_method, adjusted_model
from trialstrat.subgroups.comparison import Comparison
from trialstrat.subgroups.imputed_pooling import pool_copies, pooled_estimate, ratio_limits

_MODEL = (
    Column(key="term", label="Term"),
    Column(key="label", label="Term"),
    Column(key="hazard_ratio", label="Hazard ratio, imputed", kind="effect"),
    Column(key="lower", label="Lower limit", kind="effect"),
    Column(key="upper", label="Upper limit", kind="effect"),
    Column(key="p", label="p", kind="p"),
    Column(key="df", label="df", kind="number"),
    Column(key="fmi", label="Missing information", kind="percent"),
    Column(key="complete", label="Hazard ratio, complete cases", kind="effect"),
    Column(key="complete_lower", label="Lower limit", kind="effect"),
    Column(key="complete_upper", label="Upper limit", kind="effect"),
)


def pooled_model(
    cohort: Cohort,
    outcome: ShownOutcome,
    compared: Sequence[Comparison],
    models: Sequence[AdjustedModel],
    shared: Mapping[str, Any],
) -> tuple[list[Estimate], Table | None]:
    """Pooled hazard ratios of all terms beside those of complete cases."""
    rest = {**shared, "n": int(models[0].rows.sum()), "events": models[0].events, "unit": "hazard ratio"}
    rest["method"] = f"{adjusted_method(cohort)}; {shared['method']}"
    null = "given the covariates, treatment is not associated with the hazard"
    names = [
        (f"imputed.hazard_ratio.{pair.pair}", f"Adjusted hazard ratio, imputed, {pair.label}") for pair in compared
    ]
    fits = [model.fit for model in models if model.fit is not None]
    if len(fits) < len(models):
        return [Estimate.not_estimable(name, label, models[0].reason, **rest) for name, label in names], None
    complete = adjusted_model(cohort, outcome, compared).fit
    coef = np.array([fit.coef for fit in fits])
    variance = np.array([fit.covariance.diagonal() for fit in fits])
    freedom = max(fits[0].events - coef.shape[1], 1)
    rows: list[tuple[Cell, ...]] = []
    estimates: list[Estimate] = []
    for at, (term, label) in enumerate(zip(fits[0].names, models[0].labels, strict=True)):
        pooled = pool_copies(coef[:, at], variance[:, at], freedom, float(shared["level"]))
        own: tuple[Cell, ...] = (
            (None,) * 6 if pooled is None else (*ratio_limits(pooled), pooled.p, pooled.df, pooled.fmi)
        )
        alone: tuple[Cell, ...] = (None,) * 3
        if complete is not None and np.isfinite(complete.coef[at]):
            alone = tuple(float(x[at]) for x in (complete.hazard_ratio, complete.lower, complete.upper))
        rows.append((term, label, *own, *alone))
        if at < len(compared):
            words = {**rest, "population": compared[at].label, "null_hypothesis": null}
            estimates.append(pooled_estimate(*names[at], pooled, ratio=True, rest=words))
    note = f"Population: all patients of the arms compared. {rest['method'][:1].upper()}{rest['method'][1:]}."
    table = Table(
        name="imputed.model",
        title="Adjusted treatment effect, missing covariates imputed",
        columns=_MODEL,
        rows=tuple(rows),
        note=f"{note} Missing information: share of the variance that is due to missing values.",
        protection="none",
    )
    return estimates, table
