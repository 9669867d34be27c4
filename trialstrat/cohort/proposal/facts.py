"""What can be seen of a column without knowing what it means, and the words of its name."""

from __future__ import annotations

import re
from collections import Counter
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.columns import by_level, column, distinct_texts, is_missing, number, numbers, twins
from trialstrat.cohort.rules import visible
from trialstrat.cohort.variables import USUAL_CODES

_DATE = re.compile(
    r"\s*(\d{4}-\d{1,2}(-\d{1,2})?([T ].*)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}|\d{1,2}-?[A-Za-z]{3}-?\d{4})\s*"
)
_INFINITE = re.compile(r"[-+]?inf(inity)?", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z0-9]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
#: Levels that a category may have before it is taken for free text.
MOST_LEVELS = 12
#: Rows that a level must have to be named: what is written here may be shown to others.
FEWEST_ROWS = 11


class Facts:
    """One column of a table: its missing cells, levels and numbers, computed when first asked for."""

    def __init__(self, frame: pd.DataFrame, name: str, label: str = "") -> None:
        self.name = name
        self.label = label
        self._cells = column(frame, name)

    @cached_property
    def missing(self) -> NDArray[np.bool_]:
        """(n,) cells without a value."""
        return is_missing(self._cells)

    @cached_property
    def levels(self) -> tuple[str, ...]:
        """Distinct texts, numbers in the order of numbers."""

        def natural(text: str) -> tuple[int, float, str]:
            value = number(text)
            return (1, 0.0, text) if value is None else (0, value, text)

        return tuple(sorted(distinct_texts(self._cells), key=natural))

    @cached_property
    def counts(self) -> dict[str, int]:
        """Rows by level."""
        found = Counter(str(cell) for cell in self.text[~self.missing])
        return {level: found[level] for level in self.levels}

    def held(self) -> str:
        """The levels with their rows in words; those of few rows by their number only."""
        common = [f"{visible(level)} ({count} rows)" for level, count in self.counts.items() if count >= FEWEST_ROWS]
        rare = len(self.counts) - len(common)
        parts = common[:8] + ([f"{len(common) - 8} more levels"] if len(common) > 8 else [])
        return ", ".join(parts + ([f"{rare} rarer"] if rare else []))

    @cached_property
    def _numbers(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        return numbers(self._cells)

    @cached_property
    def codes(self) -> tuple[str, ...]:
        """Texts among numbers that people write for "no value", and infinite times."""
        _, bad = self._numbers
        if not bad.any() or bad.sum() == (~self.missing).sum():
            return ()
        words = sorted(set(self._cells.to_numpy(object)[bad]))
        usual = [word for word in words if word.strip().lower() in USUAL_CODES or _INFINITE.fullmatch(word.strip())]
        return tuple(usual) if len(usual) == len(words) else ()

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """(n,) numbers, nan where missing or no number."""
        return self._numbers[0]

    @cached_property
    def numeric(self) -> bool:
        """Whether every value is a number, but for codes of missing values."""
        _, bad = self._numbers
        return bool((~self.missing).any()) and (not bad.any() or bool(self.codes))

    @cached_property
    def unknown(self) -> NDArray[np.bool_]:
        """(n,) missing cells, codes of missing values included."""
        return self.missing | np.isnan(self.values) if self.codes else self.missing

    @cached_property
    def dates(self) -> bool:
        """Whether every value is a date."""
        kinds = by_level(self._cells, lambda text: int(_DATE.fullmatch(text) is not None))
        return bool((kinds == 1).any()) and not (kinds == 0).any()

    @property
    def share_missing(self) -> float:
        """Share of rows without a value."""
        return float(self.unknown.mean()) if len(self.unknown) else 1.0

    @cached_property
    def whole(self) -> bool:
        """Whether every number is whole."""
        known = self.values[np.isfinite(self.values)]
        return bool((known == np.round(known)).all())

    @cached_property
    def calendar(self) -> bool:
        """Whether the numbers are calendar years."""
        known = self.values[np.isfinite(self.values)]
        return bool(self.numeric and len(known) and self.whole and known.min() > 1900 and known.max() < 2100)

    @cached_property
    def spelled_twice(self) -> bool:
        """Whether levels differ only by blanks, case or Unicode form."""
        return not self.numeric and bool(twins(list(self.levels)))

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The words of the name in lower case: ``OS_MONTHS`` and ``osMonths`` are os, months."""
        return tuple(word.lower() for word in _WORD.findall(_CAMEL.sub(" ", self.name.replace("_", " "))))

    def told_by(self, other: Facts) -> bool:
        """Whether each level of ``other`` goes with one level of this column in (almost) every row."""
        both = ~self.missing & ~other.missing
        if not both.any():
            return False
        pairs = pd.crosstab(other.text[both], self.text[both])
        return bool(pairs.max(axis=1).sum() >= 0.99 * both.sum())

    @cached_property
    def text(self) -> NDArray[np.object_]:
        """(n,) cells as text objects."""
        return self._cells.astype(object).where(~self.missing, "").to_numpy(object)
