"""How well the analysis table hides single patients: ages capped, and k-anonymity over what others could know."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.describe import coded_values
from trialstrat.cohort.identifiers import words_of
from trialstrat.cohort.rules import finding
from trialstrat.protocol.model import Protocol, Variable
from trialstrat.results import Cell, Column, Finding, Table

#: HIPAA's Safe Harbor: ages above 89 are one group.
OLDEST = 89.0
#: Older than anybody has become.
_NOBODY = 130.0
_YEARS = frozenset({"", "a", "y", "yr", "yrs", "year", "years"})
_KNOWN_TO_OTHERS = frozenset(
    (
        *("age", "sex", "gender", "race", "ethnic", "ethnicity", "ancestry", "marital", "occupation", "education"),
        *("country", "nation", "nationality", "region", "state", "county", "city", "zip", "postcode", "religion"),
        *("site", "center", "centre", "hospital"),
    )
)
#: Width of the bands, in years, in which ages are looked at beside the exact ones.
BAND = 10


def is_age(variable: Variable) -> bool:
    """Whether a variable is an age in years, by its name or label and its unit."""
    named = {*words_of(variable.column).split(), *words_of(variable.label).split()}
    return variable.kind == "continuous" and "age" in named and variable.unit.strip().lower() in _YEARS


def capped_ages(protocol: Protocol, frame: pd.DataFrame) -> tuple[pd.DataFrame, tuple[Finding, ...]]:
    """The covariates with ages above 89 years held as 90, and how many were; unchanged where ``cap_ages`` is off.

    What no person reaches is no age: codes of missing values stay for the checks that find them, and a column of
    mostly such numbers (days, years of birth) is refused.
    """
    found: list[Finding] = []
    if not protocol.privacy.cap_ages:
        return frame, ()
    for variable in protocol.variables:
        if variable.column not in frame or not is_age(variable):
            continue
        values = frame[variable.column].to_numpy(dtype=np.float64)
        with np.errstate(invalid="ignore"):
            above = (values > OLDEST) & (values <= _NOBODY)
            impossible = values > _NOBODY
        if impossible.sum() > np.isfinite(values).sum() / 2:
            bad = int(impossible.sum())
            found.append(finding("E-AGE-YEARS", column=variable.column, bad=bad, total=len(frame)))
        elif above.any():
            frame = frame.assign(**{variable.column: np.where(above, OLDEST + 1, values)})
            bad = int(above.sum())
            found.append(finding("I-AGE-CAPPED", column=variable.column, bad=bad, total=len(frame)))
    return frame, tuple(found)


def quasi_identifiers(protocol: Protocol) -> tuple[Variable, ...]:
    """The declared quasi-identifiers, or the covariates that others are likely to know of a patient."""
    wanted = protocol.privacy.quasi_identifiers
    if wanted:
        return tuple(entry for entry in protocol.variables if entry.column in wanted)
    return tuple(
        entry
        for entry in protocol.variables
        if _KNOWN_TO_OTHERS & {*words_of(entry.column).split(), *words_of(entry.label).split()}
    )


def anonymity_table(cohort: Cohort) -> Table | None:
    """Patients who share their quasi-identifiers with few others; None without quasi-identifiers.

    A class are the patients with the same values; missing is a value. Only sizes of classes are reported.

    References
    ----------
    Sweeney L (2002). k-anonymity. Int J Uncertain Fuzz 10, 557-570.
    """
    chosen = quasi_identifiers(cohort.protocol)
    if not chosen or not cohort.n:
        return None
    k = cohort.protocol.disclosure.minimum_cell
    exact = [_held(entry, cohort, band=1.0) for entry in chosen]
    banded = [_held(entry, cohort, band=float(BAND)) for entry in chosen]
    rows = [_row("exact", "As held", exact, k)]
    if any(entry.kind == "continuous" for entry in chosen):
        rows.append(_row("banded", f"Numbers in bands of {BAND}", banded, k))
    names = ", ".join(entry.title for entry in chosen)
    guessed = "declared" if cohort.protocol.privacy.quasi_identifiers else "guessed"
    return Table(
        name="cohort.anonymity",
        title="Patients who could be singled out",
        columns=(
            Column(key="set", label="Set"),
            Column(key="label", label="Values compared"),
            Column(key="classes", label="Different combinations", kind="number"),
            Column(key="smallest", label="Patients in the smallest", kind="count"),
            Column(key="below", label=f"Patients in one of fewer than {k}", kind="count"),
            Column(key="share", label="Share", kind="percent"),
        ),
        rows=tuple(rows),
        note=(
            f"Quasi-identifiers, {guessed}: {names}. {cohort.n} patients. This is about the analysis table, of which "
            "no row is stored; it says how carefully the data files themselves must be kept."
        ),
    )


def _held(variable: Variable, cohort: Cohort, *, band: float) -> NDArray[np.int64]:
    """Values as codes: whole numbers, or bands of them; -1 is missing."""
    values = coded_values(variable, cohort.frame[variable.column])
    width = band if variable.kind == "continuous" else 1.0
    return np.where(np.isfinite(values), np.floor(np.nan_to_num(values) / width), -1).astype(np.int64)


def _row(key: str, label: str, columns: Sequence[NDArray[np.int64]], k: int) -> tuple[Cell, ...]:
    _, place, size = np.unique(np.column_stack(columns), axis=0, return_inverse=True, return_counts=True)
    own = size[np.ravel(place)]
    below = int((own < k).sum())
    return key, label, len(size), int(size.min()), below, below / len(own)
