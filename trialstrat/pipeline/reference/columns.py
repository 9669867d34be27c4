"""The table of a reference case: a CSV file, an empty field is missing."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


class Columns:
    """Columns of a table by name, as numbers or as labels."""

    def __init__(self, cells: dict[str, list[str]]) -> None:
        self._cells = cells

    @classmethod
    def read(cls, path: Path) -> Columns:
        """Read a CSV file with a header line."""
        with path.open(newline="", encoding="utf-8") as handle:
            rows = csv.reader(handle)
            names = next(rows)
            table = list(rows)
        return cls({name: [row[at] for row in table] for at, name in enumerate(names)})

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(next(iter(self._cells.values()))) if self._cells else 0

    def numbers(self, name: str) -> FloatArray:
        """A column as floats; missing is nan."""
        return np.array([float(cell) if cell else np.nan for cell in self._column(name)], dtype=np.float64)

    def matrix(self, names: list[str]) -> FloatArray:
        """Several columns as the columns of a matrix of shape (n, len(names))."""
        return np.column_stack([self.numbers(name) for name in names]) if names else np.empty((self.n, 0))

    def labels(self, name: str) -> npt.NDArray[Any]:
        """A column as labels: numbers when every field is one (missing: nan), else text (missing: None)."""
        cells = self._column(name)
        try:
            numbers = self.numbers(name)
        except ValueError:
            return np.array([cell or None for cell in cells], dtype=object)
        whole = bool(np.all(np.isfinite(numbers) & (numbers == np.floor(numbers))))
        return numbers.astype(np.int64) if whole else numbers

    def optional(self, name: str | None) -> FloatArray | None:
        """A numeric column, or None when no name is given."""
        return None if name is None else self.numbers(name)

    def strata(self, names: list[str] | None) -> list[npt.NDArray[Any]] | None:
        """The columns that define strata, or None when there are none."""
        return [self.labels(name) for name in names] if names else None

    def _column(self, name: str) -> list[str]:
        if name not in self._cells:
            raise KeyError(f"the table has no column {name}")
        return self._cells[name]


def label_text(label: Any) -> str:
    """A label as the cases write it: whole numbers without decimal point."""
    if isinstance(label, (float, np.floating)) and float(label).is_integer():
        return str(int(label))
    return str(label)
