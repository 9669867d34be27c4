"""The terms of published models as numbers, read from the joined table as the publication says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.columns import MISSING, UNMATCHED, column, is_missing, match, numbers
from trialstrat.cohort.integrate import Joined
from trialstrat.protocol.model import Protocol
from trialstrat.protocol.published_model import Term
from trialstrat.results import Finding

Floats = NDArray[np.float64]

_TRANSFORMS = {
    "none": np.positive,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sqrt": np.sqrt,
    "square": np.square,
}


def published_columns(protocol: Protocol) -> list[str]:
    """Every column that a term of a published model reads, once."""
    return list(dict.fromkeys(name for model in protocol.published for term in model.terms for name in term.columns))


def published_terms(protocol: Protocol, joined: Joined) -> tuple[dict[str, Floats], list[Finding]]:
    """Terms (n, k) by the name of the model, nan where a patient has none; findings about cells that cannot be read.

    Models that read a column which no source has are left out: that it is absent is a finding of its own.
    """
    out: dict[str, Floats] = {}
    findings: list[Finding] = []
    present = set(joined.frame.columns)
    for model in protocol.published:
        if not present.issuperset(name for term in model.terms for name in term.columns):
            continue
        parts = [_term(term, joined, findings) for term in model.terms]
        out[model.name] = np.column_stack(parts)
    return out, findings


def _term(term: Term, joined: Joined, findings: list[Finding]) -> Floats:
    if term.scores:
        series = column(joined.frame, term.column)
        places = match(series, tuple(term.scores))
        scores = np.array([*term.scores.values(), np.nan])
        values = scores[np.where(places >= 0, places, -1)]
        values[places == UNMATCHED] = np.nan if term.other is None else term.other
        absent = places == MISSING
    else:
        values, absent = np.full(len(joined.ids), np.nan), np.ones(len(joined.ids), dtype=np.bool_)
        for name in term.columns:
            series = column(joined.frame, name)
            own, bad = numbers(series)
            findings += joined.rows("E-VALUE-TEXT", name, bad, "a published model reads it as a number")
            values, absent = np.fmax(values, own), absent & is_missing(series)
        if term.at_least is not None:
            values = np.where(np.isnan(values), np.nan, values >= term.at_least)
        values = np.clip(values, term.minimum, term.maximum) if _clipped(term) else values
        with np.errstate(divide="ignore", invalid="ignore"):
            changed = _TRANSFORMS[term.transform](values)
        findings += joined.rows(
            "E-TERM-RANGE", term.column, np.isfinite(values) & ~np.isfinite(changed), f"{term.transform} is not defined"
        )
        values = changed
    if term.missing is not None:
        values = np.where(absent, term.missing, values)
    return values.astype(np.float64)


def _clipped(term: Term) -> bool:
    return not (term.minimum is None and term.maximum is None)
