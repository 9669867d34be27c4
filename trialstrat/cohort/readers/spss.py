"""SPSS data sets (.sav and .zsav), with variable labels; values that SPSS declares missing are missing."""

from __future__ import annotations

import pyreadstat

from trialstrat.cohort.readers.labelled import read_labelled
from trialstrat.cohort.readers.table import Payload, RawTable


def is_spss(data: bytes) -> bool:
    """Whether the bytes start as a (possibly compressed) SPSS system file."""
    return data.startswith((b"$FL2", b"$FL3"))


def read_spss(payload: Payload) -> RawTable:
    """Read an SPSS data set as text: codes as they are stored, declared missing values as missing, ISO dates.

    Raises
    ------
    RefusedError
        When the file is damaged or cut.
    """
    return read_labelled(payload, pyreadstat.read_sav, "spss", "SPSS; lines are row numbers")
