"""Parquet tables: sizes are looked at before a byte of data is read."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trialstrat.cohort.readers.table import MOST_CELLS, Payload, RawTable, checked_names, number_text, text_frame
from trialstrat.cohort.rules import RefusedError, finding

#: A column of equal values packs to nothing: cells may be this many times the bytes on disk once they are many.
MOST_CELLS_PER_BYTE = 25
FREE_CELLS = 4_000_000


def read_parquet(payload: Payload) -> RawTable:
    """Read a flat Parquet table as text: numbers as their shortest form, dates as ISO dates.

    Raises
    ------
    RefusedError
        When the file is damaged, far larger unpacked, or has nested columns.
    """
    file = payload.name
    try:
        opened = pq.ParquetFile(pa.BufferReader(payload.data))
        rows, width = opened.metadata.num_rows, opened.metadata.num_columns
        if rows * width > MOST_CELLS:
            raise RefusedError(finding("E-FILE-SIZE", source=file, detail=f"{rows} rows x {width} columns"))
        if rows * width > max(FREE_CELLS, MOST_CELLS_PER_BYTE * len(payload.data)):
            detail = f"{len(payload.data)} bytes hold {rows} rows x {width} columns"
            raise RefusedError(finding("E-FILE-BOMB", source=file, detail=detail))
        table = opened.read()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as fault:
        detail = str(fault).splitlines()[0][:80] if not isinstance(fault, UnicodeDecodeError) else "text is not UTF-8"
        raise RefusedError(finding("E-FILE-DAMAGED", source=file, detail=detail)) from None
    names = checked_names(table.column_names, file)
    if not table.num_rows:
        raise RefusedError(finding("E-ROWS-NONE", source=file, detail=f"0 rows, {len(names)} columns"))
    columns = [_text(column, name, file) for column, name in zip(table.columns, names, strict=True)]
    return RawTable(
        frame=text_frame(names, columns),
        file=file,
        lines=np.arange(1, table.num_rows + 1, dtype=np.int64),
        sha256=payload.sha256,
        format="parquet",
        findings=(finding("I-FILE-FORMAT", source=file, detail="Parquet; lines are row numbers"),),
    )


def _text(column: pa.ChunkedArray, name: str, file: str) -> pa.Array | pa.ChunkedArray | list[str | None]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return [number_text(value) for value in column.to_pylist()]
    if pa.types.is_integer(kind) or pa.types.is_date(kind) or pa.types.is_null(kind):
        return column.cast(pa.string())
    if pa.types.is_timestamp(kind):
        return pc.strftime(column, format="%Y-%m-%dT%H:%M:%S")  # type: ignore[return-value]
    if pa.types.is_boolean(kind):
        return [None if value is None else str(value) for value in column.to_pylist()]
    detail = f"columns of type {kind} cannot be read"
    raise RefusedError(finding("E-FILE-FORMAT", source=file, column=name, detail=detail))
