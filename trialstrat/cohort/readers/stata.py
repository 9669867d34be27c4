"""Stata data sets (.dta of every version that pyreadstat reads), with variable labels and extended missing values."""

from __future__ import annotations

import pyreadstat

from trialstrat.cohort.readers.labelled import read_labelled
from trialstrat.cohort.readers.table import Payload, RawTable
from trialstrat.cohort.rules import RefusedError, finding

#: First byte of the formats 104 to 115, which have no text header: version, byte order, and a one as file type.
_OLD_VERSIONS = frozenset((104, 105, 108, 110, 111, 113, 114, 115))


def is_stata(data: bytes) -> bool:
    """Whether the bytes start as a Stata data set."""
    if data.startswith(b"<stata_dta>"):
        return True
    return len(data) > 4 and data[0] in _OLD_VERSIONS and data[1] in (1, 2) and data[2] == 1 and data[3] == 0


def read_stata(payload: Payload) -> RawTable:
    """Read a Stata data set as text: codes as they are stored, ``.a`` ... ``.z`` kept apart, dates as ISO dates.

    Raises
    ------
    RefusedError
        When the file is damaged or cut.
    """
    data = payload.data
    if data.startswith(b"<stata_dta>") and not data.rstrip(b"\0\r\n ").endswith(b"</stata_dta>"):
        raise RefusedError(finding("E-FILE-DAMAGED", source=payload.name, detail="the end is missing: it was cut"))
    return read_labelled(payload, pyreadstat.read_dta, "stata", "Stata; lines are row numbers", user_missing=True)
