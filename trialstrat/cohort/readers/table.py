# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported
"""What every reader returns: the cells of one table as text, with the line of each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trialstrat.cohort.rules import RefusedError, finding
from trialstrat.results import Finding

if TYPE_CHECKING:
    from trialstrat.cohort.readers.beside import Beside

TEXT = pd.StringDtype("pyarrow")
MOST_COLUMNS = 60_000
MOST_CELLS = 400_000_000
_BLOCK = 1000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Payload:
    """The bytes of a file as they were read (and unpacked), the name people know it by, the hash of the file."""

    name: str
    data: bytes
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawTable:
    """One table as text.

    ``frame`` has a default index and text columns: the cell as written, ``""`` for an empty field, NA where the
    format itself says missing. ``lines`` (n,) is the line (or record) of each row in the file; ``file`` the name
    shown to people; ``labels`` the column labels that the format carries, ``levels`` the labels of its codes by
    column; ``beside`` the texts of a molecular file that are no cells of the table.
    """

    frame: pd.DataFrame
    file: str
    lines: NDArray[np.int64]
    sha256: str
    format: str
    origin: Literal["file", "dataset"] = "file"
    findings: tuple[Finding, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    levels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    beside: Beside | None = None


def text_frame(names: Sequence[str], columns: Sequence[Any]) -> pd.DataFrame:
    """A frame of text columns from Arrow arrays or sequences of ``str | None``."""
    arrays = [
        entry if isinstance(entry, pa.ChunkedArray | pa.Array) else pa.array(entry, type=pa.large_string())
        for entry in columns
    ]
    cast = [entry if pa.types.is_large_string(entry.type) else entry.cast(pa.large_string()) for entry in arrays]
    keys = [str(at) for at in range(len(names))]
    frame = pa.Table.from_arrays(cast, names=keys).to_pandas(types_mapper=lambda _: TEXT)
    frame.columns = pd.Index(list(names), dtype=object)
    return frame


def float_columns(frame: pd.DataFrame, missing: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """The columns whose every cell is a number, empty or a missing code, as one float64 block; names of the others.

    Many columns are converted at once: an expression table has tens of thousands.
    """
    codes = pa.array(["", *missing], type=pa.large_string())
    ready = [str(name) for name, kind in zip(frame.columns, frame.dtypes, strict=True) if kind == np.float64]
    if ready and len(ready) == frame.shape[1]:
        return frame, []
    done = set(ready)
    names = [str(name) for name in frame.columns if name not in done]
    blocks: list[NDArray[np.float64]] = []
    numeric: list[str] = []
    for start in range(0, len(names), _BLOCK):
        some = names[start : start + _BLOCK]
        cells = [_without_codes(pa.array(frame[name].array), codes) for name in some]
        values = [_floats(cell) for cell in cells]
        numeric += [name for name, value in zip(some, values, strict=True) if value is not None]
        blocks.append(np.array([value for value in values if value is not None]).reshape(-1, len(frame)))
    matrix = np.concatenate(blocks).T if blocks else np.empty((len(frame), 0))
    kept = set(numeric)
    block = pd.DataFrame(matrix, index=frame.index, columns=pd.Index(numeric, dtype=object))
    if ready:
        block = pd.concat([frame.loc[:, ready], block], axis=1)
    return block, [name for name in names if name not in kept]


def floats_of_text(series: pd.Series) -> NDArray[np.float64] | None:
    """The numbers of a text column, nan where missing or blank; None when any other cell is no finite number."""
    return _floats(
        _without_codes(pa.array(series.array, type=pa.large_string()), pa.array([""], type=pa.large_string()))
    )


def _without_codes(cells: pa.Array | pa.ChunkedArray, codes: pa.Array) -> pa.Array | pa.ChunkedArray:
    trimmed = pc.utf8_trim_whitespace(cells.cast(pa.large_string()))
    return pc.if_else(pc.is_in(trimmed, value_set=codes), None, trimmed)


def _floats(cells: pa.Array | pa.ChunkedArray) -> NDArray[np.float64] | None:
    """The numbers of a column, nan where missing; None when a cell is something else (``inf`` included)."""
    try:
        values = cells.cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    # a copy: what Arrow hands out is read-only
    out = np.array(values.to_numpy(zero_copy_only=False) if isinstance(values, pa.Array) else values.to_numpy())
    known = np.asarray(cells.is_valid())
    return out if np.isfinite(out[known]).all() else None


def check_width(columns: int, file: str) -> None:
    """Refuse a table with more columns than can be read, before they are parsed.

    Raises
    ------
    RefusedError
        When there are more than ``MOST_COLUMNS``.
    """
    if columns > MOST_COLUMNS:
        raise RefusedError(finding("E-COLUMNS-MANY", source=file, detail=f"{columns} of at most {MOST_COLUMNS}"))


def checked_names(names: Sequence[str], file: str) -> list[str]:
    """Column names without surrounding blanks; two that are equal but for case are refused with their positions.

    Raises
    ------
    RefusedError
        When two names are equal, or there are too many columns.
    """
    trimmed = [name.strip() for name in names]
    check_width(len(trimmed), file)
    places: dict[str, list[int]] = {}
    for at, name in enumerate(trimmed, start=1):
        places.setdefault(name.casefold(), []).append(at)
    twice = [
        finding(
            "E-COLUMN-TWICE",
            source=file,
            column=trimmed[at[0] - 1] or "(blank)",
            detail=f"at positions {' and '.join(str(place) for place in at[:5])}",
        )
        for at in places.values()
        if len(at) > 1
    ]
    if twice:
        raise RefusedError(*twice)
    return trimmed


def number_text(value: Any) -> str | None:
    """A number of a typed file as the shortest text that reads back the same; whole numbers without a point."""
    if value is None or value != value:
        return None
    number = float(value)
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
