"""Design matrices: which columns a feature set has, and the specification learned from given training rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trialstrat.errors import InvalidInputError
from trialstrat.features.learned import BatchPart, Beside, learned_parts, score
from trialstrat.features.screening import score_statistics, strongest
from trialstrat.features.spec import EncodedTable, FeatureSpec, Imputer, VariableSpec, encode
from trialstrat.protocol.model import FeatureSet, Protocol, Variable
from trialstrat.stats.batch import LocationScale, fit_location_scale

if TYPE_CHECKING:
    import pandas as pd

    from trialstrat.cohort.cohort import Cohort

#: Ridge penalty of the imputing regressions, in units of one standardised patient.
RIDGE = 1.0
#: Fewest complete training rows per predictor for an imputing regression; below it the median stands in.
ROWS_PER_PREDICTOR = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Matrix:
    """(n, p) scaled features, float64 and without missing values, with the specification that made them."""

    values: NDArray[np.float64]
    spec: FeatureSpec

    @property
    def names(self) -> tuple[str, ...]:
        """Encoded column names, sorted."""
        return self.spec.names

    @property
    def labels(self) -> tuple[str, ...]:
        """Readable names of the columns."""
        return self.spec.labels


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSetChoice:
    """A feature set that can be built from this cohort, or the reason why it cannot."""

    name: FeatureSet
    variables: tuple[Variable, ...] = ()
    markers: bool = False
    reason: str = ""

    @property
    def available(self) -> bool:
        """Whether there is anything to build."""
        return not self.reason


def choose_feature_sets(cohort: Cohort) -> tuple[FeatureSetChoice, ...]:
    """The declared feature sets in declared order, unavailable ones with their reason.

    Only what was measured before time zero is a feature; the arm never is, since risk is predicted before treatment
    is chosen.
    """
    protocol = cohort.protocol
    clinical = _before_time_zero(protocol, protocol.covariates)
    single = _before_time_zero(protocol, protocol.biomarkers)
    wide = cohort.markers.shape[1] > 0
    out: list[FeatureSetChoice] = []
    for name in protocol.models.feature_sets:
        if name != "molecular" and not clinical:
            out.append(FeatureSetChoice(name=name, reason="no covariate measured before time zero is declared"))
        elif name != "clinical" and not (single or wide):
            out.append(FeatureSetChoice(name=name, reason="no biomarker and no marker block is declared"))
        elif name == "clinical":
            out.append(FeatureSetChoice(name=name, variables=clinical))
        else:
            variables = single if name == "molecular" else (*clinical, *single)
            out.append(FeatureSetChoice(name=name, variables=variables, markers=wide))
    return tuple(out)


def _before_time_zero(protocol: Protocol, variables: tuple[Variable, ...]) -> tuple[Variable, ...]:
    arm = protocol.arms.column if protocol.arms else None
    return tuple(entry for entry in variables if entry.measured == "before_time_zero" and entry.column != arm)


def fit_spec(
    cohort: Cohort,
    choice: FeatureSetChoice,
    rows: NDArray[np.intp],
    time: NDArray[np.float64],
    event: NDArray[np.bool_],
) -> FeatureSpec:
    """Learn encoding, imputation, filter and scaling on ``rows`` only.

    Parameters
    ----------
    choice
        An available feature set.
    rows
        Positions of the training patients; nobody else's value or outcome is read.
    time, event
        (n,) outcome of the whole cohort, used on ``rows`` by the marker filter alone.

    Raises
    ------
    InvalidInputError
        No column varies in the training rows.
    """
    frame = cohort.frame.iloc[rows]
    indicator = cohort.protocol.missing_data.indicator
    beside = _beside(cohort, rows)
    variables, dropped = _variables(choice, frame, indicator, beside)
    numbers = [
        score(variable.parts, beside.genes(variable.column))
        if variable.parts
        else variable.numbers(frame[variable.column])
        for variable in variables
    ]
    if choice.markers:
        specs, columns, lost = _screened(cohort, rows, time[rows], event[rows])
        variables, numbers, dropped = [*variables, *specs], [*numbers, *columns], [*dropped, *lost]
    table = encode(variables, numbers, [variable.fill for variable in variables])
    center, scale = table.values.mean(axis=0), table.values.std(axis=0)
    varies = scale > 1e-12 * np.maximum(1.0, np.abs(center))
    dropped += [(name, "constant in the training rows") for name, ok in zip(table.names, varies, strict=True) if not ok]
    order = sorted(np.flatnonzero(varies), key=lambda at: table.names[at])
    if not order:
        raise InvalidInputError(f"feature set {choice.name}: no column varies in {len(rows)} training rows")
    spec = FeatureSpec(
        feature_set=choice.name,
        variables=tuple(variables),
        names=tuple(table.names[at] for at in order),
        labels=tuple(table.labels[at] for at in order),
        sources=tuple(table.sources[at] for at in order),
        center=tuple(float(center[at]) for at in order),
        scale=tuple(float(scale[at]) for at in order),
        imputers={},
        dropped=tuple(dropped),
    )
    return replace(spec, imputers=_imputers(spec, table, numbers))


def _variables(
    choice: FeatureSetChoice, frame: pd.DataFrame, indicator: bool, beside: Beside
) -> tuple[list[VariableSpec], list[tuple[str, str]]]:
    """Levels and stand-in values of the declared variables, and those with too little to learn from."""
    kept: list[VariableSpec] = []
    dropped: list[tuple[str, str]] = []
    for variable in choice.variables:
        raw: Any = frame[variable.column]
        share = float(raw.isna().mean())
        if share > variable.missing_limit or share == 1.0:
            dropped.append((variable.column, f"{share:.0%} missing in the training rows"))
            continue
        spec = VariableSpec(
            column=variable.column,
            label=variable.title,
            unit=variable.unit,
            coding=variable.kind,
            levels=() if variable.kind == "continuous" else _levels(variable, raw),
            indicator=indicator and share > 0,
            parts=learned_parts(beside.genes(variable.column)) if variable.column in beside.signatures else (),
        )
        numbers = score(spec.parts, beside.genes(spec.column)) if spec.parts else spec.numbers(raw)
        kept.append(replace(spec, fill=_fill(spec, numbers[~np.isnan(numbers)])))
    return kept, dropped


def _levels(variable: Variable, raw: pd.Series) -> tuple[str, ...]:
    """Levels present in training, in declared order (the reference first), else in order of their text.

    An ordinal variable keeps the declared levels nobody has: its score counts the steps between levels.
    """
    present = {str(value) for value in raw.dropna()}
    declared = [str(level) for level in variable.levels] or [
        str(level) for level in getattr(raw.dtype, "categories", sorted(present))
    ]
    return tuple(level for level in declared if variable.kind == "ordinal" or level in present)


def _fill(spec: VariableSpec, known: NDArray[np.float64]) -> float:
    if known.size == 0:
        return 0.0
    if spec.coding == "categorical":
        return float(np.bincount(known.astype(np.intp)).argmax())
    return float(np.median(known))


def _screened(
    cohort: Cohort, rows: NDArray[np.intp], time: NDArray[np.float64], event: NDArray[np.bool_]
) -> tuple[list[VariableSpec], list[NDArray[np.float64]], list[tuple[str, str]]]:
    """The markers that pass the filter, learned on training rows: missing share, variation, score statistic."""
    names = [str(name) for name in cohort.markers.columns]
    values = cohort.markers.to_numpy(dtype=np.float64)[rows]
    fitted = _batches(cohort, values, rows)
    if fitted is not None and cohort.batch is not None:
        values = fitted.apply(values, cohort.batch[rows])
    missing = np.isnan(values)
    limit = min((block.missing_limit for block in cohort.protocol.marker_blocks), default=0.5)
    share = missing.mean(axis=0)
    usable = (share <= limit) & (share < 1.0)
    lost = [
        (name, "too many values missing in the training rows") for name, ok in zip(names, usable, strict=True) if not ok
    ]
    at = np.flatnonzero(usable)
    values, missing = values[:, at], missing[:, at]
    fills = np.nanmedian(values, axis=0) if at.size else np.empty(0)
    filled = np.where(missing, fills, values)
    deviation = filled.std(axis=0)
    filled = (filled - filled.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
    kept_names = [names[position] for position in at]
    chosen = strongest(score_statistics(filled, time, event), kept_names, cohort.protocol.models.screen_to)
    position = {name: j for j, name in enumerate(kept_names)}
    specs = [
        VariableSpec(
            column=name,
            label=name,
            coding="marker",
            fill=float(fills[position[name]]),
            batches=_batch_parts(fitted, int(at[position[name]])),
        )
        for name in chosen
    ]
    return specs, [values[:, position[name]] for name in chosen], lost


def _batches(cohort: Cohort, values: NDArray[np.float64], rows: NDArray[np.intp]) -> LocationScale | None:
    """The correction learned on training rows; None where none is declared."""
    effects = cohort.protocol.batch_effects
    if effects is None or effects.correct == "none" or cohort.batch is None:
        return None
    return fit_location_scale(values, cohort.batch[rows])


def _batch_parts(fitted: LocationScale | None, at: int) -> tuple[BatchPart, ...]:
    if fitted is None:
        return ()
    return tuple(
        BatchPart(batch=name, multiply=float(fitted.multiply[row, at]), add=float(fitted.add[row, at]))
        for row, name in enumerate(fitted.batches)
    )


def _imputers(spec: FeatureSpec, table: EncodedTable, numbers: list[NDArray[np.float64]]) -> dict[str, Imputer]:
    """Ridge regressions for continuous and ordinal variables with gaps in training.

    Outcomes are not used: they are unknown for the patients the model will meet, and a prediction model must impute
    in training as it will in use (Sisk et al. 2023, Stat Methods Med Res 32, 1461).
    """
    keep = [table.names.index(name) for name in spec.names]
    scaled = (table.values[:, keep] - np.array(spec.center)) / np.array(spec.scale)
    markers = {variable.column for variable in spec.variables if variable.coding == "marker"}
    plain = np.array([source not in markers for source in spec.sources])
    out: dict[str, Imputer] = {}
    for variable, raw in zip(spec.variables, numbers, strict=True):
        known = ~np.isnan(raw)
        if variable.coding not in ("continuous", "ordinal") or known.all() or variable.column not in spec.names:
            continue
        predictors = np.flatnonzero(plain & (np.array(spec.sources) != variable.column))
        if predictors.size == 0 or known.sum() < ROWS_PER_PREDICTOR * predictors.size:
            continue
        target = scaled[known, spec.names.index(variable.column)]
        X = scaled[np.ix_(known, predictors)]
        middle = X.mean(axis=0)
        gram = (X - middle).T @ (X - middle) + RIDGE * np.eye(predictors.size)
        weights = np.linalg.solve(gram, (X - middle).T @ (target - target.mean()))
        out[variable.column] = Imputer(
            intercept=float(target.mean() - middle @ weights),
            weights={spec.names[j]: float(weight) for j, weight in zip(predictors, weights, strict=True)},
            low=float(target.min()),
            high=float(target.max()),
        )
    return out


def build(cohort: Cohort, spec: FeatureSpec, rows: NDArray[np.intp] | slice = slice(None)) -> Matrix:
    """The design matrix of ``rows`` (all by default) by an already learned specification."""
    markers = cohort.markers.iloc[rows] if cohort.markers.shape[1] else None
    return Matrix(values=spec.values(cohort.frame.iloc[rows], markers, _beside(cohort, rows)), spec=spec)


def _beside(cohort: Cohort, rows: NDArray[np.intp] | slice) -> Beside:
    """What goes with some rows of a cohort and is no column of it."""
    return Beside(
        signatures={name: genes.iloc[rows] for name, genes in cohort.signatures.items()},
        batch=None if cohort.batch is None else cohort.batch[rows],
    )
