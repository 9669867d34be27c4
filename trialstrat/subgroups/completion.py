"""Completed copies of a cohort: the covariates' gaps filled several times, with the outcome in the imputation model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.describe import coded_values
from trialstrat.cohort.shown import ShownOutcome
from trialstrat.protocol.model import Variable
from trialstrat.stats.imputation import CYCLES, Incomplete, chained_imputations, hazard_predictors
from trialstrat.subgroups.candidates import variables_before_zero, wants_log

Floats = NDArray[np.float64]

#: Fewest known values of an incomplete variable per predictor: within an arm to impute the arms apart, else over all.
PER_PREDICTOR_APART, PER_PREDICTOR = 3, 2
#: More randomisation strata than this are left out of the imputation model.
MOST_STRATA = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Imputation:
    """What is imputed and how, before anything is drawn; ``reason`` says why it cannot be, else it is empty.

    ``apart`` says whether each arm is imputed by itself. ``affected`` counts the patients with a gap.
    """

    variables: tuple[Variable, ...]
    incomplete: tuple[Variable, ...]
    apart: bool
    affected: int
    reason: str = ""


def plan(cohort: Cohort, outcome: ShownOutcome) -> Imputation:
    """Every covariate and single biomarker known before time zero takes part; wide marker blocks do not.

    The arms are imputed apart, so that interactions with treatment are kept, where each has enough known values for
    the number of predictors; else together, with the arm as a predictor (and without interactions).
    """
    variables = variables_before_zero(cohort)
    gaps = {entry.column: np.asarray(cohort.frame[entry.column].isna(), dtype=np.bool_) for entry in variables}
    incomplete = tuple(entry for entry in variables if gaps[entry.column].any())
    predictors = 1 + _outcome(cohort, outcome, apart=True).shape[1] + _width(cohort, variables)
    arm = np.asarray(cohort.arm)
    by_arm = [int((~gaps[e.column] & (arm == name)).sum()) for e in incomplete for name in np.unique(arm)]
    overall = {entry.title: int((~gaps[entry.column]).sum()) for entry in incomplete}
    reason = ""
    few = [name for name, known in overall.items() if known < PER_PREDICTOR * predictors]
    if few:
        reason = f"too few known values of {few[0]} for {predictors} predictors; at least "
        reason += f"{PER_PREDICTOR * predictors} are needed"
    anybody = np.any([gaps[entry.column] for entry in incomplete], axis=0) if incomplete else np.zeros(cohort.n)
    return Imputation(
        variables=variables,
        incomplete=incomplete,
        apart=bool(by_arm) and min(by_arm) >= PER_PREDICTOR_APART * predictors,
        affected=int(anybody.sum()),
        reason=reason,
    )


def _width(cohort: Cohort, variables: tuple[Variable, ...]) -> int:
    """Columns of the variables as predictors."""
    return sum(
        len(cohort.frame[entry.column].cat.categories) - 1 if entry.kind == "categorical" else 1 for entry in variables
    )


def _outcome(cohort: Cohort, outcome: ShownOutcome, *, apart: bool) -> Floats:
    """The outcome (event and cumulative hazard of a time), the strata, and the arm where arms are not apart."""
    arm = np.unique(np.asarray(cohort.arm), return_inverse=True)[1]
    if outcome.time is not None and outcome.event is not None:
        groups = arm if apart else None
        parts = [hazard_predictors(outcome.time, outcome.event, entry=outcome.entry, groups=groups)]
    else:
        parts = [(outcome.of_interest if outcome.value is None else outcome.value).astype(np.float64)[:, None]]
    labels = [] if apart else [arm]
    if cohort.strata is not None:
        stratum = np.unique(cohort.strata.astype(str), return_inverse=True)[1]
        labels += [stratum] if stratum.max(initial=0) < MOST_STRATA else []
    parts += [(codes[:, None] == np.arange(1, codes.max(initial=0) + 1)).astype(np.float64) for codes in labels]
    return np.concatenate(parts, axis=1)


def completed(
    cohort: Cohort, outcome: ShownOutcome, made: Imputation, *, imputations: int, rng: np.random.Generator
) -> Iterator[Cohort]:
    """The cohort ``imputations`` times, each with all gaps of ``made.incomplete`` filled by its own chain.

    Very skewed markers are imputed on the scale of log(1 + x). Known values stay exactly as they are.
    """
    raw = {entry.column: coded_values(entry, cohort.frame[entry.column]) for entry in made.variables}
    logged = {
        entry.column
        for entry in made.variables
        if entry.kind == "continuous" and wants_log(raw[entry.column][np.isfinite(raw[entry.column])])
    }
    parts = [
        Incomplete(
            values=np.log1p(raw[entry.column]) if entry.column in logged else raw[entry.column],
            levels=len(cohort.frame[entry.column].cat.categories) if entry.kind == "categorical" else 0,
        )
        for entry in made.variables
    ]
    copies = chained_imputations(
        parts,
        _outcome(cohort, outcome, apart=made.apart),
        imputations=imputations,
        rng=rng,
        groups=np.asarray(cohort.arm).astype(str) if made.apart else None,
        cycles=CYCLES,
    )
    place = {entry.column: at for at, entry in enumerate(made.variables)}
    for copy in copies:
        frame = cohort.frame.copy()
        for entry in made.incomplete:
            drawn = copy[:, place[entry.column]]
            if entry.column in logged:
                drawn = _nearest(raw[entry.column], np.expm1(drawn))
            frame[entry.column] = _filled(entry, cohort, raw[entry.column], drawn)
        yield replace(cohort, frame=frame)


def _nearest(known: Floats, drawn: Floats) -> Floats:
    """Each of ``drawn`` (n,) as the known value it is but for rounding: an imputed value is that of some patient."""
    values = np.unique(known[np.isfinite(known)])
    at = np.clip(np.searchsorted(values, drawn), 1, len(values) - 1)
    return np.where(drawn - values[at - 1] <= values[at] - drawn, values[at - 1], values[at])


def _filled(variable: Variable, cohort: Cohort, known: Floats, drawn: Floats):
    """A column in the type of the cohort's, known values first."""
    import pandas as pd

    values = np.where(np.isfinite(known), known, drawn)
    if variable.kind == "continuous":
        return values
    dtype = cohort.frame[variable.column].dtype
    return pd.Categorical.from_codes(values.astype(np.int64), dtype=dtype)
