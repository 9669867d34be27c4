"""The clinical tables of a cBioPortal study: header lines, types, statuses, one sample of each patient."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.readers.delimited import read_delimited, utf8_bytes
from trialstrat.cohort.readers.table import Payload, RawTable, floats_of_text, text_frame
from trialstrat.cohort.rules import RefusedError, finding, rows_finding
from trialstrat.protocol.model import Source
from trialstrat.results import Finding

#: What cBioPortal writes where there is no value.
MISSING = (
    "NA", "[Not Available]", "[Not Applicable]", "[Pending]", "[Discrepancy]", "[Completed]", "[Null]", "[Unknown]",
)  # fmt: skip
_HEADER_LINES = 4
_STATUS = re.compile(r"[01]:.+")


def read_clinical(payload: Payload, required: Sequence[str]) -> tuple[RawTable, list[Finding]]:
    """A clinical table below its four header lines, and its faults: header lines, ids, text in NUMBER columns.

    Missing codes become missing, the first header line the labels.

    Raises
    ------
    RefusedError
        When there is no table to speak of: ragged rows, or a required column is absent.
    """
    file = payload.name
    data = utf8_bytes(payload.data, "utf-8", file)[0].removeprefix(b"\xef\xbb\xbf")
    lines = data.split(b"\n", _HEADER_LINES + 1)
    marked = next((at for at, line in enumerate(lines) if not line.startswith(b"#")), len(lines))
    faults: list[Finding] = []
    if marked != _HEADER_LINES:
        detail = f"{min(marked, _HEADER_LINES + 1)} found"
        faults.append(finding("E-STUDY-HEADER", source=file, detail=detail, lines=[marked + 1]))
    body = Payload(name=file, data=b"\n".join(lines[marked:]), sha256=payload.sha256)
    try:
        table = read_delimited(body, Source(name="clinical", file="clinical", delimiter="\t"))
    except RefusedError as fault:
        moved = [replace(entry, lines=tuple(line + marked for line in entry.lines)) for entry in fault.findings]
        raise RefusedError(*faults, *moved) from None
    table = replace(table, frame=without_codes(table.frame), lines=table.lines + marked, format="cbioportal")
    absent = [name for name in required if name not in table.frame.columns]
    if absent:
        raise RefusedError(*faults, *(finding("E-FORMAT-COLUMN", source=file, column=name) for name in absent))
    if marked == _HEADER_LINES:
        described = [line.decode().removeprefix("#").split("\t") for line in lines[:_HEADER_LINES]]
        names = [str(name) for name in table.frame.columns]
        table = replace(table, labels=dict(zip(names, described[0], strict=False)))
        faults += _type_faults(table, dict(zip(names, described[2], strict=False)))
    ids = pd.Series(cells(table, required[0]))
    faults += rows_finding("E-ID-MISSING", (ids == "").to_numpy(), table.lines, source=file, column=required[0])
    twice = (ids.duplicated(keep=False) & (ids != "")).to_numpy()
    faults += rows_finding("E-ID-TWICE", twice, table.lines, source=file, column=required[0])
    return table, faults


def without_codes(frame: pd.DataFrame) -> pd.DataFrame:
    """The cells with None for the codes of missing values."""
    columns = []
    for at in range(frame.shape[1]):
        cells = frame.iloc[:, at].to_numpy(object, na_value=None)
        columns.append([None if cell is None or cell.strip() in MISSING else cell.strip() for cell in cells])
    return text_frame([str(name) for name in frame.columns], columns)


def cells(table: RawTable, name: str) -> NDArray[np.object_]:
    """A column as text, empty where missing."""
    return table.frame[name].to_numpy(object, na_value="")


def _type_faults(table: RawTable, types: Mapping[str, str]) -> list[Finding]:
    """Cells of NUMBER columns that are no numbers."""
    faults: list[Finding] = []
    for name, kind in types.items():
        if kind.strip().upper() != "NUMBER" or floats_of_text(pd.Series(table.frame[name])) is not None:
            continue
        bad = np.array([not is_number(cell) for cell in cells(table, name)], dtype=bool)
        faults += rows_finding("E-VALUE-TEXT", bad, table.lines, source=table.file, column=name)
    return faults


def is_number(cell: str) -> bool:
    """Whether a cell is empty or a finite number."""
    try:
        return not cell or bool(np.isfinite(float(cell)))
    except ValueError:
        return False


def id_faults(samples: RawTable, patients: RawTable | None) -> list[Finding]:
    """Samples of patients that the patient file does not have."""
    if patients is None:
        return []
    known = set(cells(patients, "PATIENT_ID"))
    strange = np.array([entry not in known for entry in cells(samples, "PATIENT_ID")], dtype=bool)
    return list(rows_finding("E-STUDY-ID", strange, samples.lines, source=samples.file, column="PATIENT_ID"))


def status_faults(patients: RawTable) -> list[Finding]:
    """Statuses of survival endpoints: 0:... or 1:..., and one for every known time."""
    faults: list[Finding] = []
    for name in (str(name) for name in patients.frame.columns):
        months = name.removesuffix("_STATUS") + "_MONTHS"
        if not name.endswith("_STATUS") or months not in patients.frame.columns:
            continue
        status, time = cells(patients, name), cells(patients, months)
        odd = np.array([bool(cell) and not _STATUS.fullmatch(cell) for cell in status], dtype=bool)
        open_ = np.array([not cell and bool(known) for cell, known in zip(status, time, strict=True)], dtype=bool)
        faults += rows_finding("E-STUDY-STATUS", odd, patients.lines, source=patients.file, column=name)
        faults += rows_finding("E-EVENT-MISSING", open_, patients.lines, source=patients.file, column=name)
    return faults


def several_samples(samples: RawTable) -> list[Finding]:
    """Samples that share their patient with another one."""
    more = pd.Series(cells(samples, "PATIENT_ID")).duplicated(keep=False).to_numpy()
    return list(rows_finding("E-ID-SAMPLES", more, samples.lines, source=samples.file, column="PATIENT_ID"))
