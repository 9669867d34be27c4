"""Times from dates, and times that cannot be in the unit they are declared in."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.columns import as_text, column, is_missing
from trialstrat.cohort.integrate import Joined
from trialstrat.cohort.unit_mix import find_unit_mix
from trialstrat.protocol.model import TimeUnit
from trialstrat.protocol.units import DAYS
from trialstrat.results import Finding

_ISO = re.compile(r"(\d{4}-\d{2}-\d{2})([T ]\d{2}:\d{2}.*)?")
#: A median follow-up above this many years means dates or another unit.
LONGEST_MEDIAN_YEARS = 50.0


def dates(series: pd.Series) -> tuple[NDArray[np.datetime64], NDArray[np.bool_]]:
    """Days of a column of ISO dates (NaT where missing or not one) and which cells are not one."""
    codes, levels = pd.factorize(as_text(series))
    parsed = np.array([*(_date(str(level)) for level in levels), np.datetime64("NaT")], dtype="datetime64[D]")
    days = parsed[codes]
    missing = is_missing(series)
    days[missing] = np.datetime64("NaT")
    return days, np.isnat(days) & ~missing


def _date(text: str) -> np.datetime64:
    found = _ISO.fullmatch(text.strip())
    if found is None:
        return np.datetime64("NaT")
    try:
        return np.datetime64(found.group(1), "D")
    except ValueError:  # 31 February
        return np.datetime64("NaT")


def days_between(
    start: str, end: str, joined: Joined, data_cut: str
) -> tuple[NDArray[np.float64], NDArray[np.bool_], list[Finding]]:
    """Days from one date column to another, rows where one is missing, and what is impossible.

    Times of rows that are refused are nan, so that one fault is reported once.
    """
    first, bad_first = dates(column(joined.frame, start))
    last, bad_last = dates(column(joined.frame, end))
    findings = [*joined.rows("E-DATE-FORMAT", start, bad_first), *joined.rows("E-DATE-FORMAT", end, bad_last)]
    days = (last - first).astype(np.float64)
    days[np.isnat(first) | np.isnat(last)] = np.nan
    backwards = days < 0
    findings += joined.rows("E-DATE-ORDER", end, backwards, f"compared with {start}")
    cut = _date(data_cut)
    if not np.isnat(cut):
        findings += joined.rows("E-DATE-CUT", end, last > cut, data_cut)
    days[backwards] = np.nan
    missing = is_missing(column(joined.frame, start)) | is_missing(column(joined.frame, end))
    return days, missing, findings


def unit_findings(time: NDArray[np.float64], unit: TimeUnit, joined: Joined, name: str) -> tuple[Finding, ...]:
    """A median that no follow-up has, or a part of the times in another unit than the rest."""
    positive = np.isfinite(time) & (time > 0)
    known = time[positive]
    if not len(known):
        return ()
    longest = LONGEST_MEDIAN_YEARS * DAYS["years"] / DAYS[unit]
    if np.median(known) > longest:
        return (joined.about("E-TIME-UNIT", name, f"above {longest:.0f} {unit}", bad=len(known)),)
    mix = find_unit_mix(known)
    if mix is None:
        return ()
    other = np.zeros(len(time), dtype=bool)
    other[positive] = mix.other
    return joined.rows("W-TIME-UNIT", name, other, f"about {mix.factor:.4g} times too large")
