"""The markers that may tell who benefits: every column measured before time zero, and the wide blocks, as numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.describe import coded_values
from trialstrat.protocol.model import Biomarker, Variable
from trialstrat.results import Finding

Floats = NDArray[np.float64]

#: A marker without negative values and with a larger skewness is modelled on log(1 + x).
SKEWED = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One numeric column of the screen: where it comes from, how it is read, and what one unit of it is."""

    name: str
    label: str
    role: str
    per: str
    declared: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """Screen columns with their values (n, p), nan where unknown: in units of ``Candidate.per``, not centred."""

    columns: tuple[Candidate, ...]
    values: NDArray[np.floating]
    findings: tuple[Finding, ...] = ()


def wants_log(x: Floats) -> bool:
    """Whether a marker (known values) is so skewed to the right that log(1 + x) is the scale to model it on."""
    if x.size < 3 or x.min() < 0:
        return False
    spread = float(x.std())
    return bool(spread > 0 and float(((x - x.mean()) ** 3).mean()) / spread**3 > SKEWED)


def variables_before_zero(cohort: Cohort) -> tuple[Variable, ...]:
    """Declared covariates and biomarkers that were known when treatment was chosen, without the arm itself."""
    protocol = cohort.protocol
    arm = protocol.arms.column if protocol.arms else None
    return tuple(
        variable
        for variable in protocol.variables
        if variable.measured == "before_time_zero" and variable.column != arm
    )


def candidates(cohort: Cohort) -> Candidates:
    """Every candidate marker as a number.

    Continuous markers are divided by their standard deviation, very skewed ones without negative values after taking
    log(1 + x): otherwise a handful of patients decides; ordered levels count 0, 1, 2...; an unordered category
    has one 0/1 column per level but the first (against all other levels). What was measured after time zero cannot
    choose a treatment: it is left out with a finding. Columns that do not vary are left out.
    """
    columns: list[Candidate] = []
    parts: list[Floats] = []
    for variable in variables_before_zero(cohort):
        role = variable.role if isinstance(variable, Biomarker) else "covariate"
        column = cohort.frame[variable.column]
        levels = () if variable.kind == "continuous" else tuple(str(level) for level in column.cat.categories)
        for name, label, per, values in _columns(variable, levels, coded_values(variable, column)):
            known = values[np.isfinite(values)]
            if len(known) and (known != known[0]).any():
                columns.append(Candidate(name=name, label=label, role=role, per=per, declared=True))
                parts.append(values)
    blocks, names = _block(cohort)
    role = "predictive" if any(block.role == "predictive" for block in cohort.protocol.marker_blocks) else "prognostic"
    columns += [Candidate(name=name, label=name, role=role, per="SD", declared=False) for name in names]
    single = np.column_stack(parts) if parts else np.empty((cohort.n, 0))
    values = blocks if not parts else np.concatenate([single.astype(blocks.dtype), blocks], axis=1)
    return Candidates(columns=tuple(columns), values=values, findings=_late(cohort))


def _columns(variable: Variable, levels: tuple[str, ...], values: Floats) -> list[tuple[str, str, str, Floats]]:
    """Name, label, unit and values of the columns of one variable."""
    if variable.kind == "continuous":
        log = wants_log(values[np.isfinite(values)])
        shown = np.log1p(values) if log else values
        spread = float(np.nanstd(shown)) if np.isfinite(shown).any() else 0.0
        scaled = shown / spread if spread > 0 else shown * np.nan
        return [(variable.column, variable.title, "SD of log(1 + x)" if log else "SD", scaled)]
    if variable.kind == "ordinal":
        return [(variable.column, variable.title, "level", values)]
    out = []
    for code, level in enumerate(levels[1:], start=1):
        indicator = np.where(np.isnan(values), np.nan, values == code)
        out.append((f"{variable.column}={level}", f"{variable.title}: {level}", "yes vs no", indicator))
    return out


def _block(cohort: Cohort) -> tuple[NDArray[np.floating], tuple[str, ...]]:
    """The wide markers in standard deviations, as single precision: ample for a statistic, half the memory."""
    raw = cohort.markers.to_numpy(dtype=np.float64)
    if not raw.shape[1]:
        return np.empty((cohort.n, 0), dtype=np.float64), ()
    centre, spread = np.nanmean(raw, axis=0), np.nanstd(raw, axis=0)
    varies = spread > 1e-12 * np.maximum(np.abs(centre), 1e-300)
    scaled = (raw[:, varies] - centre[varies]) / spread[varies]
    return scaled.astype(np.float32), tuple(str(name) for name in cohort.markers.columns[varies])


def _late(cohort: Cohort) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            code="W-SCREEN-AFTER-ZERO",
            severity="warning",
            message="measured after time zero: treatment may have changed it, it is no candidate marker",
            remedy="Use its value before time zero, or a landmark analysis with a later time zero",
            column=variable.column,
        )
        for variable in cohort.protocol.variables
        if variable.measured == "after_time_zero"
    )
