"""Checks of the analysis table as a whole: columns that carry nothing, repeat another, or give the outcome away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from trialstrat.cohort.cohort import Outcome
from trialstrat.cohort.columns import column
from trialstrat.cohort.integrate import Joined
from trialstrat.cohort.rules import visible
from trialstrat.protocol.model import Protocol, Variable
from trialstrat.results import Finding
from trialstrat.stats.strong_association import strong_candidates

#: Numbers that people type for "missing".
SENTINELS = frozenset(
    float(sign + digits) for sign in ("", "-") for digits in ("9", "99", "999", "9999", "99999", "888")
)
#: A correlation above this makes two columns one and the same for a model.
COLLINEAR = 0.99999
#: Above these a covariate nearly is the outcome.
LEAK_RHO, LEAK_AUC = 0.95, 0.98
#: Distance from the median, in interquartile ranges, that no measured quantity here reaches.
OUTLYING = 60.0
_FEWEST, _FEWEST_CLASS = 10, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """Columns to leave out of every analysis, and what was seen."""

    dropped: tuple[str, ...]
    findings: tuple[Finding, ...]


def validate_table(
    protocol: Protocol, joined: Joined, frame: pd.DataFrame, markers: pd.DataFrame, outcome: Outcome
) -> Validated:
    """Look at the covariates of the analysed patients together; rows of ``joined`` and ``frame`` correspond."""
    found: list[Finding] = []
    dropped: dict[str, None] = {}
    for variable in protocol.variables:
        series = column(frame, variable.column)
        empty = _carries_nothing(variable, series, joined)
        found += empty
        if empty:
            dropped[variable.column] = None
        elif variable.kind == "continuous":
            found += value_findings(variable.column, series.to_numpy(dtype=np.float64), joined)
    kept = {
        variable.column: frame[variable.column].to_numpy(dtype=np.float64)
        for variable in protocol.variables
        if variable.kind == "continuous" and variable.column not in dropped
    }
    for name, other in _collinear(kept):
        dropped[name] = None
        found.append(joined.about("W-COLLINEAR", name, f"by {visible(other)}"))
    found += _leaks(protocol, joined, frame, markers, outcome, set(dropped))
    return Validated(dropped=tuple(dropped), findings=tuple(found))


def _carries_nothing(variable: Variable, series: pd.Series, joined: Joined) -> list[Finding]:
    known = series.dropna()
    distinct = known.nunique()
    name = variable.column
    if not distinct:
        return [joined.about("W-EMPTY", name, bad=len(series))]
    if distinct == 1:
        return [joined.about("W-CONSTANT", name, bad=len(series))]
    if variable.kind != "continuous" and distinct > 20 and distinct > len(known) / 2:
        return [joined.about("W-ID-LIKE", name, f"{distinct} levels in {len(known)} patients")]
    return []


def value_findings(name: str, values: NDArray[np.float64], joined: Joined) -> list[Finding]:
    """Missing codes among numbers (one far value, repeated) and single values far outside the rest."""
    found: list[Finding] = []
    known = np.isfinite(values)
    codes = np.zeros(len(values), dtype=bool)
    for value in (np.min(values[known], initial=np.inf), np.max(values[known], initial=-np.inf)):
        mask = values == value
        rest = values[known & ~mask]
        if mask.sum() < 2 or len(rest) < _FEWEST or not _far(value, rest):
            continue
        if value in SENTINELS or mask.sum() >= joined.minimum_cell:
            found += joined.rows("W-SENTINEL", name, mask, f"{value:g}")
            codes |= mask
    rest = values[known & ~codes]
    if len(rest) < _FEWEST:
        return found
    low, middle, high = np.quantile(rest, (0.25, 0.5, 0.75))
    if high > low:
        with np.errstate(invalid="ignore"):
            outlying = np.abs(values - middle) > OUTLYING * (high - low)
        found += joined.rows("W-OUTLIER", name, outlying & ~codes & (np.abs(values) > 1))
    return found


def _far(value: float, rest: NDArray[np.float64]) -> bool:
    """Outside the range of the rest by more than half its width, or a missing code outside the range altogether."""
    low, high = float(rest.min()), float(rest.max())
    beyond = max(low - value, value - high)
    return beyond > (high - low) * (0.5 if value in SENTINELS else 3.0) and beyond > 0


def _collinear(columns: Mapping[str, NDArray[np.float64]]) -> list[tuple[str, str]]:
    """Pairs (later, earlier) of numeric columns that determine each other linearly."""
    pairs: list[tuple[str, str]] = []
    names = list(columns)
    gone: set[str] = set()
    for at, name in enumerate(names):
        for other in names[:at]:
            if other in gone:
                continue
            both = np.isfinite(columns[name]) & np.isfinite(columns[other])
            if both.sum() < 3 or abs(_pearson(columns[name][both], columns[other][both])) < COLLINEAR:
                continue
            pairs.append((name, other))
            gone.add(name)
            break
    return pairs


def _pearson(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale > 0 else 0.0


def _leaks(
    protocol: Protocol, joined: Joined, frame: pd.DataFrame, markers: pd.DataFrame, outcome: Outcome, skip: set[str]
) -> list[Finding]:
    """Covariates and markers that (nearly) are the time or the event."""
    found: list[Finding] = []
    for variable in protocol.variables:
        if variable.column in skip:
            continue
        values, known = _ranked(column(frame, variable.column))
        detail = leak(rankdata(values[known]), _target(outcome, known), _event(outcome, known))
        if detail:
            found.append(joined.about("W-LEAK", variable.column, detail))
    matrix = markers.to_numpy(dtype=np.float64)
    times = outcome.time if outcome.time is not None else outcome.value
    events = None if outcome.event is None else outcome.event == 1
    close = strong_candidates(matrix, times, events, rho=LEAK_RHO, auc=LEAK_AUC)
    for at in np.flatnonzero(close):
        here = np.isfinite(matrix[:, at])
        detail = leak(rankdata(matrix[here, at]), _target(outcome, here), _event(outcome, here))
        if detail:
            found.append(joined.about("W-LEAK", str(markers.columns[at]), detail))
    return found


def _target(outcome: Outcome, known: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """Ranks of the times or values of some patients."""
    values = outcome.time if outcome.time is not None else outcome.value
    return None if values is None else rankdata(values[known])


def _event(outcome: Outcome, known: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    return None if outcome.event is None else outcome.event[known] == 1


def _ranked(series: pd.Series) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A column as numbers (the codes of its levels) and which are known."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        codes = series.cat.codes.to_numpy(dtype=np.float64)
        return codes, codes >= 0
    values = series.to_numpy(dtype=np.float64)
    return values, np.isfinite(values)


def leak(ranks: NDArray[np.float64], target: NDArray[np.float64] | None, event: NDArray[np.bool_] | None) -> str:
    """How a covariate is tied to the outcome, empty when it is not: rank correlation with time, AUC for the event."""
    if len(ranks) < _FEWEST:
        return ""
    if target is not None:
        rho = _pearson(ranks, target)
        if abs(rho) > LEAK_RHO:
            return f"rank correlation {rho:.2f} with the {'outcome' if event is None else 'time'}"
    if event is None:
        return ""
    yes, no = int(event.sum()), int((~event).sum())
    if min(yes, no) < _FEWEST_CLASS:
        return ""
    auc = (float(ranks[event].sum()) - yes * (yes + 1) / 2) / (yes * no)
    return f"AUC {max(auc, 1 - auc):.2f} for the event" if max(auc, 1 - auc) > LEAK_AUC else ""
