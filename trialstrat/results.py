"""Results shared by every stage: values with their uncertainty, tables, findings and provenance.

Nothing here knows pandas at import time and nothing knows another stage: ``store`` and ``report`` read these
classes only, so that a report can be rebuilt from a stored run folder without refitting anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["ok", "not_estimable", "suppressed"]
Severity = Literal["error", "warning", "note"]
Evidence = Literal["confirmatory", "exploratory", "descriptive"]
Cell = str | int | float | bool | None
#: How a column is shown and protected: ``count`` cells are subject to small-cell suppression.
ColumnKind = Literal["text", "count", "number", "percent", "p", "effect"]
#: What disclosure control does with a table: suppress small ``counts``, pool the steps of a ``curve``, or nothing.
Protection = Literal["counts", "curve", "none"]

NAN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One number a reader sees, with its interval and where it comes from.

    ``name`` is the dotted, stable id (``primary.cox.hazard_ratio.yes_vs_no``). ``value`` is nan only when
    ``status`` is not ``ok``, and then ``reason`` says why. ``level`` is the confidence level of the interval
    (0-1); ``lower`` and ``upper`` are nan where no interval is defined. ``unit`` decides formatting
    (``hazard ratio``, ``probability``, ``p``, ``months``...). ``population`` names who was analysed.
    """

    name: str
    label: str
    value: float
    lower: float = NAN
    upper: float = NAN
    level: float = 0.95
    unit: str = ""
    method: str = ""
    population: str = ""
    n: int | None = None
    events: int | None = None
    status: Status = "ok"
    reason: str = ""
    evidence: Evidence = "descriptive"
    null_hypothesis: str = ""

    def __post_init__(self) -> None:
        if self.status != "ok" and not self.reason:
            raise ValueError(f"{self.name}: status {self.status} needs a reason")
        if self.status == "ok" and not math.isfinite(self.value):
            raise ValueError(f"{self.name}: value {self.value} with status ok")

    @classmethod
    def not_estimable(cls, name: str, label: str, reason: str, **rest: Any) -> Self:
        """A missing value that says why it is missing."""
        return cls(name=name, label=label, value=NAN, status="not_estimable", reason=reason, **rest)

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe form; ``name`` is stored under ``id`` and nan as null."""
        out = {key: _json_number(value) for key, value in asdict(self).items()}
        return {"id": out.pop("name"), **out}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        values = dict(data)
        values["name"] = values.pop("id")
        for key in ("value", "lower", "upper", "level"):
            if values.get(key) is None:
                values[key] = NAN
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a :class:`Table`: ``key`` for machines, ``label`` and ``unit`` for people."""

    key: str
    label: str
    kind: ColumnKind = "text"
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A small table of aggregates (never of patients). ``rows`` hold one tuple per row in the order of ``columns``."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    protection: Protection = "counts"

    def __post_init__(self) -> None:
        width = len(self.columns)
        if any(len(row) != width for row in self.rows):
            raise ValueError(f"table {self.name}: a row does not have {width} cells")

    def column(self, key: str) -> list[Cell]:
        """The cells of one column, in row order."""
        at = self.index(key)
        return [row[at] for row in self.rows]

    def index(self, key: str) -> int:
        """Position of a column by its key."""
        for at, column in enumerate(self.columns):
            if column.key == key:
                return at
        raise KeyError(f"table {self.name} has no column {key}")

    def records(self) -> list[dict[str, Cell]]:
        """The rows as dictionaries keyed by column key."""
        keys = [column.key for column in self.columns]
        return [dict(zip(keys, row, strict=True)) for row in self.rows]

    def with_rows(self, rows: Iterable[Sequence[Cell]]) -> Self:
        """The same table with other rows."""
        return replace(self, rows=tuple(tuple(row) for row in rows))

    def to_frame(self) -> pd.DataFrame:
        """The table as a pandas frame with the column keys as names."""
        import pandas as pd

        return pd.DataFrame(list(self.rows), columns=pd.Index([column.key for column in self.columns]))

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe form, nan as null."""
        return {
            "name": self.name,
            "title": self.title,
            "columns": [asdict(column) for column in self.columns],
            "rows": [[_json_number(cell) for cell in row] for row in self.rows],
            "note": self.note,
            "protection": self.protection,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict` (nan cells come back as None)."""
        columns = tuple(Column(**column) for column in data["columns"])
        rows = tuple(tuple(row) for row in data["rows"])
        return cls(**{**data, "columns": columns, "rows": rows})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check saw: rule id, severity, where, how many of how many rows, and the mend. Never a patient's value."""

    code: str
    severity: Severity
    message: str
    remedy: str = ""
    source: str = ""
    column: str = ""
    bad: int | None = None
    total: int | None = None
    lines: tuple[int, ...] = ()

    def text(self) -> str:
        """One line: ``CODE file: column: n of N rows <message> (lines a, b, c, ...). <remedy>``."""
        where = "".join(f"{part}: " for part in (self.source, self.column) if part)
        count = "" if self.bad is None else f"{self.bad} of {self.total} rows "
        lines = ""
        if self.lines:
            shown = ", ".join(str(line) for line in self.lines[:3])
            more = ", …" if (self.bad or 0) > len(self.lines[:3]) else ""
            word = "line" if len(self.lines) == 1 and not more else "lines"
            lines = f" ({word} {shown}{more})"
        body = f"{self.code} {where}{count}{self.message}{lines}".rstrip(".")
        return f"{body}{'' if body.endswith('?') else '.'} {self.remedy}".rstrip()

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe form."""
        return {**asdict(self), "lines": list(self.lines)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return cls(**{**data, "lines": tuple(data.get("lines", ()))})


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What a result was made from: hashes of protocol and data, versions, seed, folds."""

    protocol_hash: str = ""
    data_hash: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    details: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe form."""
        return {
            "protocol_hash": self.protocol_hash,
            "data_hash": self.data_hash,
            "versions": dict(self.versions),
            "seed": self.seed,
            "details": dict(self.details),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return cls(**data)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    """Everything one stage has to say, for every stage of the same shape.

    ``facts`` are short strings for sentences and captions (arm labels, method names, fold counts); numbers that a
    reader sees belong in ``estimates`` or ``tables``.
    """

    stage: str
    estimates: tuple[Estimate, ...] = ()
    tables: tuple[Table, ...] = ()
    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    provenance: Provenance = field(default_factory=Provenance)

    def estimate(self, name: str) -> Estimate:
        """The estimate with this dotted id; KeyError when there is none."""
        for estimate in self.estimates:
            if estimate.name == name:
                return estimate
        raise KeyError(f"stage {self.stage} has no estimate {name}")

    def table(self, name: str) -> Table:
        """The table with this name; KeyError when there is none."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(f"stage {self.stage} has no table {name}")

    def to_frame(self) -> pd.DataFrame:
        """The estimates in long form, one row each."""
        import pandas as pd

        return pd.DataFrame([estimate.to_dict() for estimate in self.estimates])

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe form."""
        return {
            "stage": self.stage,
            "estimates": [estimate.to_dict() for estimate in self.estimates],
            "tables": [table.to_dict() for table in self.tables],
            "findings": [finding.to_dict() for finding in self.findings],
            "facts": dict(self.facts),
            "provenance": self.provenance.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return cls(
            stage=data["stage"],
            estimates=tuple(Estimate.from_dict(entry) for entry in data["estimates"]),
            tables=tuple(Table.from_dict(entry) for entry in data["tables"]),
            findings=tuple(Finding.from_dict(entry) for entry in data["findings"]),
            facts=dict(data["facts"]),
            provenance=Provenance.from_dict(data["provenance"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """A hypothesis test. ``null_hypothesis`` is stated in words; ``p`` is nan only when not estimable."""

    __test__ = False  # not a pytest class

    statistic: float
    df: float
    p: float
    null_hypothesis: str
    method: str
    n: int | None = None
    events: int | None = None
    status: Status = "ok"
    reason: str = ""


def _json_number(value: Any) -> Any:
    """Not-a-number and infinities have no JSON form: they are stored as null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def field_names(cls: type) -> tuple[str, ...]:
    """Names of a dataclass's fields, for readers that must refuse unknown keys."""
    return tuple(entry.name for entry in fields(cls))
