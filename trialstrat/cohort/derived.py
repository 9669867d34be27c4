"""One derived column, and the fault of a feature that cannot be derived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.rules import finding
from trialstrat.results import Finding

#: Levels of whatever may be altered, the reference first.
ALTERED = ("not altered", "altered")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Derived:
    """``values`` (n,) in the rows of the joined table: floats with nan, or text with None where ``levels`` are named.

    ``sources`` and ``rule`` say where it comes from; ``parts`` (n, genes) are the values of a learned signature.
    """

    values: NDArray
    sources: tuple[str, ...]
    rule: str
    levels: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    parts: pd.DataFrame | None = None

    def known(self) -> NDArray[np.bool_]:
        """(n,) where there is a value."""
        return ~pd.isna(self.values)


class FeatureFault(Exception):  # noqa: N818
    """A feature cannot be derived; carries the findings and is caught where features are made."""

    def __init__(self, *findings: Finding) -> None:
        super().__init__()
        self.findings = findings


def refused(code: str, feature: str, source: str, detail: str = "") -> FeatureFault:
    """The fault of one feature."""
    return FeatureFault(finding(code, source=source, column=feature, detail=detail))


def aligned(patients: Sequence[str], ids: NDArray[np.object_]) -> NDArray[np.intp]:
    """(n,) the row of each joined patient among ``patients``, -1 where absent."""
    return pd.Index(patients).get_indexer(pd.Index([str(entry) for entry in ids]))


def coded_levels(codes: NDArray[np.int64], levels: Sequence[str]) -> NDArray[np.object_]:
    """(n,) level of each code, None for -1."""
    return np.array([*levels, None], dtype=object)[codes]
