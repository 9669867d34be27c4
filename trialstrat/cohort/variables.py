"""Arms, strata, covariates and biomarkers: typed as declared, each fault counted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.columns import (
    LARGEST,
    MISSING,
    UNMATCHED,
    column,
    common_levels,
    distinct_texts,
    is_missing,
    levels,
    match,
    number,
    numbers,
    text_kinds,
    twins,
)
from trialstrat.cohort.integrate import Joined
from trialstrat.cohort.rules import visible
from trialstrat.protocol.model import Arms, Protocol, Value, Variable
from trialstrat.results import Finding

Mask = NDArray[np.bool_]
#: Texts that people write for "no value" and that are levels unless the protocol says otherwise.
USUAL_CODES = frozenset(
    (
        "na",
        "n/a",
        "n.a.",
        "nan",
        "none",
        "null",
        "nil",
        ".",
        "?",
        "-",
        "unk",
        "unknown",
        "missing",
        "not available",
        "[not available]",
    )
)
_TRUE, _FALSE = frozenset(("1", "true", "yes", "y", "t")), frozenset(("0", "false", "no", "n", "f"))


def read_arms(arms: Arms, joined: Joined) -> tuple[NDArray[np.object_], tuple[Finding, ...]]:
    """Arm names (n,), None where the arm is missing or unknown, and what is wrong."""
    series = column(joined.frame, arms.column)
    places = match(series, [arm.value for arm in arms.levels])
    names = np.array([*(arm.name for arm in arms.levels), None, None], dtype=object)[places]
    code = "W-ARM-DROPPED" if arms.missing == "drop" else "E-ARM-MISSING"
    found = list(joined.rows(code, arms.column, places == MISSING))
    unknown = places == UNMATCHED
    twin = _twin_findings(series, joined, arms.column)
    found += twin
    if not twin and unknown.any():
        detail = common_levels(series, unknown, joined.minimum_cell)
        declared = ", ".join(visible(str(arm.value)) for arm in arms.levels)
        found += joined.rows("E-ARM-UNKNOWN", arms.column, unknown, f"{detail}; declared: {declared}")
    return names, tuple(found)


def read_strata(names: Sequence[str], joined: Joined) -> tuple[NDArray[np.object_] | None, tuple[Finding, ...]]:
    """Combined randomisation strata (n,), None without any."""
    if not names:
        return None, ()
    found: list[Finding] = []
    combined = np.full(len(joined.ids), "", dtype=object)
    for at, name in enumerate(names):
        codes, distinct = levels(column(joined.frame, name))
        found += joined.rows("E-STRATUM-MISSING", name, codes < 0)
        combined = (
            combined
            + np.array([f"{' | ' if at else ''}{name}={level}" for level in (*distinct, "")], dtype=object)[codes]
        )
    return combined, tuple(found)


def read_variable(variable: Variable, joined: Joined) -> tuple[pd.Series, tuple[Finding, ...]]:
    """A covariate or biomarker: float64 where continuous, ordered levels as declared otherwise."""
    series = column(joined.frame, variable.column)
    if variable.kind == "continuous":
        typed, found = _continuous(variable, series, joined)
    else:
        typed, found = _categorical(variable, series, joined)
    missing = is_missing(series)
    share = float(missing.mean()) if len(missing) else 0.0
    if share > variable.missing_limit:
        detail = f"{share:.0%} missing, missing_limit: {variable.missing_limit:g}"
        found += joined.rows("E-MISSING-LIMIT", variable.column, missing, detail)
    return typed, tuple(found)


def _continuous(variable: Variable, series: pd.Series, joined: Joined) -> tuple[pd.Series, list[Finding]]:
    values, bad = numbers(series)
    with np.errstate(invalid="ignore"):
        huge = np.abs(values) >= LARGEST
        outside = np.zeros(len(values), dtype=bool)
        if variable.minimum is not None:
            outside |= values < variable.minimum
        if variable.maximum is not None:
            outside |= values > variable.maximum
    found = [
        *joined.rows("E-VALUE-TEXT", variable.column, bad, text_kinds(series, bad)),
        *joined.rows("E-VALUE-INF", variable.column, huge),
        *joined.rows("E-VALUE-RANGE", variable.column, outside & ~huge),
    ]
    values[huge] = np.nan
    return pd.Series(values, index=series.index), found


def _categorical(variable: Variable, series: pd.Series, joined: Joined) -> tuple[pd.Series, list[Finding]]:
    name = variable.column
    if variable.levels:
        places = match(series, variable.levels)
        unknown = places == UNMATCHED
        names = [_level_text(level) for level in variable.levels]
        found = _twin_findings(series, joined, name) if unknown.any() else []
        if unknown.any() and not found:
            found = list(
                joined.rows("E-LEVEL-UNKNOWN", name, unknown, common_levels(series, unknown, joined.minimum_cell))
            )
        codes = np.where(places < 0, -1, places)
        return _categories(codes, names, variable, series.index), found
    codes, distinct = levels(series)
    found = _twin_findings(series, joined, name) or _mixed(series, distinct, joined, name)
    found += _usual_codes(series, distinct, joined, name)
    return _categories(codes, distinct, variable, series.index), found


def _categories(codes: NDArray[np.int64], names: list[str], variable: Variable, index: pd.Index) -> pd.Series:
    ordered = variable.kind == "ordinal"
    return pd.Series(pd.Categorical.from_codes(codes, categories=names, ordered=ordered), index=index)


def _level_text(level: Value) -> str:
    """A declared level as the text of its category; ``1.0`` is ``1``."""
    return str(int(level)) if isinstance(level, float) and level.is_integer() else str(level)


def _twin_findings(series: pd.Series, joined: Joined, name: str) -> list[Finding]:
    groups = twins(sorted(distinct_texts(series)))
    if not groups:
        return []
    text = series.dropna()
    flat = [level for group in groups for level in group]
    counts = text.value_counts()
    common = [ascii(level) for level in flat if int(counts[level]) >= joined.minimum_cell]
    detail = f"{len(flat)} spellings of {len(groups)} level{'s' if len(groups) > 1 else ''}"
    if common:
        detail += f" ({', '.join(visible(level) for level in common[:6])})"
    chosen = {max(group, key=lambda level: int(counts[level])) for group in groups}
    rare = series.isin([level for level in flat if level not in chosen]).to_numpy(dtype=bool)
    return list(joined.rows("E-LEVEL-TWINS", name, rare, detail))


def _mixed(series: pd.Series, distinct: list[str], joined: Joined, name: str) -> list[Finding]:
    """Numbers and words as levels of one column, unless the levels were declared or the words are missing codes."""
    words = [level for level in distinct if number(level) is None and level.strip().lower() not in USUAL_CODES]
    figures = [level for level in distinct if number(level) is not None]
    if not words or not figures:
        return []
    mask = series.isin(words).to_numpy(dtype=bool)
    detail = f"{len(figures)} numeric and {len(words)} text levels"
    if {level.strip().lower() for level in words} <= _TRUE | _FALSE:
        detail += ", some of which mean the same"
    return list(joined.rows("E-LEVEL-MIXED", name, mask, detail))


def _usual_codes(series: pd.Series, distinct: list[str], joined: Joined, name: str) -> list[Finding]:
    codes = [level for level in distinct if level.strip().lower() in USUAL_CODES]
    mask = series.isin(codes).to_numpy(dtype=bool)
    return list(joined.rows("W-CODE-UNDECLARED", name, mask, ", ".join(visible(code) for code in codes)))


def declared_values(protocol: Protocol) -> dict[str, tuple[Value, ...]]:
    """Values that are values wherever they stand, by column, even when they look like a missing code."""
    kept: dict[str, tuple[Value, ...]] = {entry.column: entry.levels for entry in protocol.variables if entry.levels}
    if protocol.arms is not None:
        kept[protocol.arms.column] = tuple(arm.value for arm in protocol.arms.levels)
    for endpoint in protocol.endpoints:
        if endpoint.event is not None:
            coding = endpoint.event
            kept[coding.column] = (*coding.events, *coding.censored, *coding.causes.values())
        if endpoint.value is not None:
            kept[endpoint.value] = (*endpoint.positive, *endpoint.negative_values)
    return kept
