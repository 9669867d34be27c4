"""What Stata and SPSS data sets share: typed cells, labels of variables and of codes, special missing values."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pyreadstat

from trialstrat.cohort.readers.table import Payload, RawTable, checked_names, number_text, text_frame
from trialstrat.cohort.rules import RefusedError, finding


def read_labelled(payload: Payload, reader: Callable[..., Any], format_: str, detail: str, **options: Any) -> RawTable:
    """Read with pyreadstat from memory: numbers as their shortest text, dates as ISO dates, codes as codes.

    The labels of codes are in ``levels``, never in the cells: a protocol declares what the data hold.

    Raises
    ------
    RefusedError
        When the file is damaged, has no rows, or is not in an encoding that it declares.
    """
    file = payload.name
    try:
        columns, meta = reader(io.BytesIO(payload.data), output_format="dict", **options)
    except UnicodeDecodeError:
        raise RefusedError(finding("E-FILE-ENCODING", source=file, detail="not in the declared encoding")) from None
    except (pyreadstat.ReadstatError, pyreadstat.PyreadstatError, ValueError, OverflowError) as fault:
        raise RefusedError(finding("E-FILE-DAMAGED", source=file, detail=str(fault)[:80])) from None
    names = checked_names(list(columns), file)
    count = len(next(iter(columns.values()))) if columns else 0
    if not count:
        raise RefusedError(finding("E-ROWS-NONE", source=file, detail=f"0 rows, {len(names)} columns"))
    kinds = meta.readstat_variable_types
    cells = [[_text(cell, kinds[name] != "string") for cell in column] for name, column in columns.items()]
    trimmed = dict(zip(columns, names, strict=True))
    return RawTable(
        frame=text_frame(names, cells),
        file=file,
        lines=np.arange(1, count + 1, dtype=np.int64),
        sha256=payload.sha256,
        format=format_,
        findings=(finding("I-FILE-FORMAT", source=file, detail=detail), finding("W-FILE-CHECKSUM", source=file)),
        labels={trimmed[name]: label for name, label in meta.column_names_to_labels.items() if label},
        levels={
            trimmed[name]: {str(_text(code, numeric=True)): str(label) for code, label in coded.items()}
            for name, coded in meta.variable_value_labels.items()
        },
    )


def _text(cell: Any, numeric: bool) -> str | None:
    if cell is None:
        return None
    if isinstance(cell, str):
        # a letter among numbers is an extended missing value (.a to .z of Stata): it stays apart from no value
        return f".{cell}" if numeric else cell
    if isinstance(cell, dt.datetime):
        return cell.date().isoformat() if cell.time() == dt.time() else cell.isoformat(sep="T")
    return cell.isoformat() if isinstance(cell, dt.date | dt.time) else number_text(cell)
