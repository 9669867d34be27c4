"""What may be asked of one marker: splits of its values in two, at cuts that people can use."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.columns import column
from trialstrat.cohort.language.states import MET, evaluate_condition
from trialstrat.errors import InvalidInputError
from trialstrat.protocol.model import Condition

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Cuts of a continuous marker are at these quantiles, and at both ends of every point mass.
QUANTILES = tuple(k / 10 for k in range(2, 9))
#: A value that this share of the patients has is a point mass.
POINT_MASS = 0.05
#: A marker with so few distinct values is cut between all of them.
FEW_VALUES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """A column of the frame: its name, how people read it, its unit, and the order of its levels (empty: numbers)."""

    column: str
    label: str = ""
    unit: str = ""
    levels: tuple[str, ...] = ()
    ordered: bool = False

    @property
    def title(self) -> str:
        """The label, or the column's name where none was given."""
        return self.label or self.column


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Splits:
    """Every way to cut one marker in two; s splits of n patients.

    Attributes
    ----------
    low, high : tuple of Condition
        The two sides of each split.
    masks : (s, n) bool
        Who is on the low side; ``known`` (markers, n) says whose value is known (unknown is on neither side).
    marker : (s,)
        Number of the marker that is cut, in the order of ``markers``.
    """

    markers: tuple[Marker, ...]
    low: tuple[Condition, ...]
    high: tuple[Condition, ...]
    masks: Bools
    known: Bools
    marker: NDArray[np.int64]


def markers_of(frame: pd.DataFrame, columns: Sequence[str]) -> tuple[Marker, ...]:
    """Markers by their columns' types: numbers, ordered or unordered categories (text counts as categories)."""
    absent = [name for name in columns if name not in frame.columns]
    if absent:
        raise InvalidInputError(f"markers: there is no column {', '.join(map(repr, absent))}; correct the names")
    out = []
    for name in columns:
        values = column(frame, name)
        if isinstance(values.dtype, pd.CategoricalDtype):
            levels = tuple(str(level) for level in values.cat.categories)
            out.append(Marker(column=name, levels=levels, ordered=bool(values.cat.ordered)))
        elif pd.api.types.is_bool_dtype(values) or pd.api.types.is_numeric_dtype(values):
            out.append(Marker(column=name))
        else:
            out.append(Marker(column=name, levels=tuple(sorted(str(x) for x in values.dropna().unique()))))
    return tuple(out)


def splits(frame: pd.DataFrame, markers: Sequence[Marker], minimum_size: int) -> Splits:
    """All splits with at least ``minimum_size`` patients on each side.

    Continuous markers are cut at deciles, rounded to two digits or as many as the spread needs, and at both ends of
    each point mass; ordered categories between levels; unordered ones each level against the others. Nothing looks at
    an outcome. A pair of splits with the same members is kept once.

    Raises
    ------
    InvalidInputError
        When no marker can be cut into two groups of that size.
    """
    low: list[Condition] = []
    high: list[Condition] = []
    masks: list[Bools] = []
    number: list[int] = []
    known = np.ones((len(markers), len(frame)), dtype=np.bool_)
    for at, marker in enumerate(markers):
        known[at] = np.asarray(column(frame, marker.column).notna())
        seen: set[bytes] = set()
        for below, above in _sides(marker, column(frame, marker.column)):
            mask = np.asarray(evaluate_condition(below, frame) == MET, dtype=np.bool_)
            count = int(mask.sum())
            if count < minimum_size or int(known[at].sum()) - count < minimum_size or mask.tobytes() in seen:
                continue
            seen.add(mask.tobytes())
            low.append(below)
            high.append(above)
            masks.append(mask)
            number.append(at)
    if not masks:
        raise InvalidInputError(
            f"markers: none of {len(markers)} can be cut into two groups of at least {minimum_size} patients; "
            "name other markers or lower the minimum size"
        )
    return Splits(
        markers=tuple(markers),
        low=tuple(low),
        high=tuple(high),
        masks=np.array(masks),
        known=known,
        marker=np.array(number, dtype=np.int64),
    )


def _sides(marker: Marker, values: pd.Series) -> Iterator[tuple[Condition, Condition]]:
    if not marker.levels:
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        yield from _numeric_sides(marker, numbers[np.isfinite(numbers)])
        return
    present = [level for level in marker.levels if (values.astype(str) == level).any()]
    groups = (
        [(present[:k], present[k:]) for k in range(1, len(present))]
        if marker.ordered or len(present) == 2
        else [([level], [x for x in present if x != level]) for level in present]
    )
    for one, other in groups:
        yield _levels(marker, one), _levels(marker, other)


def _levels(marker: Marker, levels: Sequence[str]) -> Condition:
    if len(levels) == 1:
        return Condition(column=marker.column, equals=levels[0])
    return Condition(column=marker.column, one_of=tuple(levels))


def _numeric_sides(marker: Marker, values: Floats) -> Iterator[tuple[Condition, Condition]]:
    distinct = np.unique(values)
    words: dict[str, Any] = {"column": marker.column, "unit": marker.unit}
    for cut in cuts(values):
        above = Condition(**words, above=cut)
        if len(distinct) and distinct[0] == cut:
            # the low side is a single value: say so
            yield Condition(**words, equals=_whole(cut)), above
        else:
            yield Condition(**words, at_most=cut), above


def _whole(value: float) -> float | int:
    return int(value) if float(value).is_integer() else float(value)


def cuts(values: Floats) -> list[float]:
    """Cuts c of the split ``value <= c`` (values finite), increasing, each with values on both sides."""
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) < 2:
        return []
    if len(distinct) <= FEW_VALUES:
        return [float(x) for x in distinct[:-1]]
    spread = float(np.subtract(*np.quantile(values, (0.75, 0.25)))) or float(np.ptp(values))
    found = {_rounded(float(q), spread) for q in np.quantile(values, QUANTILES)}
    for at in np.flatnonzero(counts >= POINT_MASS * len(values)):
        found.add(float(distinct[at]))
        if at > 0:
            found.add(float(distinct[at - 1]))
    return sorted(cut for cut in found if distinct[0] <= cut < distinct[-1])


def _rounded(value: float, spread: float) -> float:
    """Two significant digits, or as many as it takes for the rounding to be small against the spread."""
    if value == 0:
        return value
    for digits in range(2, 15):
        decimals = digits - 1 - math.floor(math.log10(abs(value)))
        if 10.0**-decimals <= spread / 10:
            break
    else:
        decimals = 15
    return float(round(value, decimals))


def condition_text(condition: Condition, title: str = "") -> str:
    """A condition as people read it: ``Oestrogen receptor = 0 fmol/mg``."""
    name = title or condition.column
    unit = f" {condition.unit}" if condition.unit else ""
    operator, value = operator_and_value(condition)
    return f"{name} {operator} {value}{unit}"


def operator_and_value(condition: Condition) -> tuple[str, str]:
    """The operator's sign and the value, as text; for conditions made here."""
    if condition.equals is not None:
        value = condition.equals
        return "=", f"{value:g}" if isinstance(value, int | float) else str(value)
    if condition.one_of:
        return "in", ", ".join(str(level) for level in condition.one_of)
    if condition.at_most is not None:
        return "≤", f"{condition.at_most:.10g}"
    if condition.above is not None:
        return ">", f"{condition.above:.10g}"
    if condition.at_least is not None:
        return "≥", f"{condition.at_least:.10g}"
    return "<", f"{condition.below:.10g}"


def rule_text(conditions: Sequence[Condition], titles: dict[str, str] | None = None) -> str:
    """All conditions of a rule, joined by ``and``."""
    names = titles or {}
    return " and ".join(condition_text(entry, names.get(entry.column, "")) for entry in conditions)
