"""What was learned about the columns on training rows, and how new patients are encoded with it.

A :class:`FeatureSpec` holds only numbers and names: it is stored beside a frozen model and encodes a patient of
next year exactly as it encoded the training rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from trialstrat.errors import InvalidInputError
from trialstrat.features.learned import BatchPart, Beside, Part, corrected, score

if TYPE_CHECKING:
    import pandas as pd

Coding = Literal["continuous", "ordinal", "categorical", "marker"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableSpec:
    """One variable: ``levels`` as known in training (the reference first), ``fill`` what stands in for a missing value.

    ``fill`` is the training median (continuous, ordinal position, marker) or the position of the most frequent level.
    ``indicator`` adds a column that is 1 where the value was missing; ``parts`` are the genes of a learned signature,
    whose values are then computed from them; ``batches`` corrects a marker for its batch.
    """

    column: str
    label: str
    unit: str = ""
    coding: Coding = "continuous"
    levels: tuple[str, ...] = ()
    fill: float = 0.0
    indicator: bool = False
    parts: tuple[Part, ...] = ()
    batches: tuple[BatchPart, ...] = ()

    def names(self) -> list[str]:
        """Names of the encoded columns."""
        head = (
            [f"{self.column}={level}" for level in self.levels[1:]] if self.coding == "categorical" else [self.column]
        )
        return [*head, f"{self.column} missing"] if self.indicator else head

    def labels(self) -> list[str]:
        """Readable names of the encoded columns."""
        if self.coding == "categorical":
            head = [f"{self.label}: {level} (reference {self.levels[0]})" for level in self.levels[1:]]
        elif self.coding == "ordinal":
            head = [f"{self.label} (per level)"]
        else:
            head = [f"{self.label} (per {self.unit})" if self.unit else self.label]
        return [*head, f"{self.label}: missing"] if self.indicator else head

    def numbers(self, raw: pd.Series) -> NDArray[np.float64]:
        """The variable as floats, nan where missing; levels become positions, a level never seen in training nan."""
        import pandas as pd

        if self.coding in ("continuous", "marker"):
            return np.asarray(pd.to_numeric(raw, errors="coerce"), dtype=np.float64)
        position = {level: float(at) for at, level in enumerate(self.levels)}
        return np.array(
            [np.nan if pd.isna(value) else position.get(str(value), np.nan) for value in raw], dtype=np.float64
        )

    def columns(self, numbers: NDArray[np.float64], filled: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, k) encoded columns; ``filled`` are the numbers after imputation, ``numbers`` still hold nan."""
        if self.coding == "categorical":
            head = [(filled == at).astype(np.float64) for at in range(1, len(self.levels))]
        else:
            head = [filled]
        if self.indicator:
            head.append(np.isnan(numbers).astype(np.float64))
        return np.column_stack(head) if head else np.empty((len(numbers), 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Imputer:
    """Ridge regression of one column on the others: intercept, weights by encoded name, and the range seen."""

    intercept: float
    weights: Mapping[str, float]
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSpec:
    """Everything learned on training rows.

    ``names`` (p,) sorted encoded columns, with their ``labels`` and the variable they come from in ``sources``;
    ``center`` and ``scale`` (p,) their training mean and standard deviation; ``imputers`` by column of a continuous
    or ordinal variable; ``dropped`` pairs of a column and the reason why it is no feature.
    """

    feature_set: str
    variables: tuple[VariableSpec, ...]
    names: tuple[str, ...]
    labels: tuple[str, ...]
    sources: tuple[str, ...]
    center: tuple[float, ...]
    scale: tuple[float, ...]
    imputers: Mapping[str, Imputer]
    dropped: tuple[tuple[str, str], ...] = ()

    def values(
        self, frame: pd.DataFrame, markers: pd.DataFrame | None = None, beside: Beside | None = None
    ) -> NDArray[np.float64]:
        """(n, p) scaled features of any patients, without missing values.

        Raises
        ------
        InvalidInputError
            A column of the specification is in neither table, or the genes of a signature are not ``beside`` them.
        """
        numbers = [self._numbers(variable, frame, markers, beside or Beside()) for variable in self.variables]
        table = encode(self.variables, numbers, [variable.fill for variable in self.variables])
        keep = [table.names.index(name) for name in self.names]
        center, scale = np.array(self.center), np.array(self.scale)
        scaled = (table.values[:, keep] - center) / scale
        if not any(np.isnan(entry).any() for entry in numbers) or not self.imputers:
            return scaled
        by_column = {variable.column: entry for variable, entry in zip(self.variables, numbers, strict=True)}
        out = scaled.copy()
        for column, imputer in self.imputers.items():
            missing = np.isnan(by_column[column])
            at = self.names.index(column)
            weights = np.array([imputer.weights.get(name, 0.0) for name in self.names])
            out[missing, at] = np.clip(imputer.intercept + scaled[missing] @ weights, imputer.low, imputer.high)
        return out

    def _numbers(
        self, variable: VariableSpec, frame: pd.DataFrame, markers: pd.DataFrame | None, beside: Beside
    ) -> NDArray[np.float64]:
        if variable.parts:
            return score(variable.parts, beside.genes(variable.column))
        numbers = variable.numbers(self._column(variable.column, frame, markers))
        return corrected(variable.batches, numbers, beside.batch) if variable.batches else numbers

    @staticmethod
    def _column(name: str, frame: pd.DataFrame, markers: pd.DataFrame | None) -> Any:
        if name in frame.columns:
            return frame[name]
        if markers is not None and name in markers.columns:
            return markers[name]
        raise InvalidInputError(f"the model needs column {name!r}, which the patients' table does not have; add it")

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`, also after a round trip through JSON."""
        rest = {key: tuple(data[key]) for key in ("names", "labels", "sources", "center", "scale")}
        return cls(
            feature_set=data["feature_set"],
            variables=tuple(_variable(entry) for entry in data["variables"]),
            imputers={column: Imputer(**entry) for column, entry in data["imputers"].items()},
            dropped=tuple((column, reason) for column, reason in data["dropped"]),
            **rest,
        )


def _variable(entry: Mapping[str, Any]) -> VariableSpec:
    parts = tuple(Part(**part) for part in entry.get("parts", ()))
    batches = tuple(BatchPart(**part) for part in entry.get("batches", ()))
    return VariableSpec(**{**entry, "levels": tuple(entry["levels"]), "parts": parts, "batches": batches})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EncodedTable:
    """Encoded columns before scaling, in the order of the variables."""

    values: NDArray[np.float64]
    names: list[str]
    labels: list[str]
    sources: list[str]


def encode(
    variables: tuple[VariableSpec, ...] | list[VariableSpec], numbers: list[NDArray[np.float64]], fills: list[float]
) -> EncodedTable:
    """Fill what is missing and put the encoded columns of all variables side by side."""
    parts, names, labels, sources = [], [], [], []
    for variable, raw, fill in zip(variables, numbers, fills, strict=True):
        parts.append(variable.columns(raw, np.where(np.isnan(raw), fill, raw)))
        names += variable.names()
        labels += variable.labels()
        sources += [variable.column] * parts[-1].shape[1]
    rows = len(numbers[0]) if numbers else 0
    values = np.column_stack(parts) if parts else np.empty((rows, 0))
    return EncodedTable(values=values, names=names, labels=labels, sources=sources)
