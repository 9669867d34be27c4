"""The one validated analysis table that every later stage reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.language.tables import Tables
from trialstrat.results import Finding, Table

if TYPE_CHECKING:
    import pandas as pd

    from trialstrat.protocol.model import Protocol


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """One endpoint of every patient, in the row order of the cohort.

    ``time`` (n,) float, from time zero in the endpoint's unit; ``event`` (n,) int, 0 censored, 1..k causes;
    ``entry`` (n,) float or None without delayed entry. For binary endpoints ``event`` holds 0/1 and ``time`` is
    None; for continuous ones ``value`` (n,) float holds the outcome.
    """

    name: str
    time: NDArray[np.float64] | None
    event: NDArray[np.int64] | None
    entry: NDArray[np.float64] | None = None
    value: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cohort:
    """Eligible patients (rows sorted by id) with covariates, arm and outcomes; one row per patient.

    ``frame``: index = patient id (text); a column per declared covariate and biomarker, float64 where continuous,
    ``pandas.Categorical`` (declared level order) otherwise. ``arm`` (n,) holds arm *names* as objects, None without
    arms. ``strata`` (n,) combined randomisation stratum labels or None. ``markers``: wide block of numeric markers
    (n x p, same index), empty without marker blocks. ``attrition`` has one row per step, n = 0 steps included;
    ``sources`` has one row per file, ``derived`` one per derived feature with its rule. ``batch`` (n,) are the labels
    of declared batches, ``cluster`` (n,) those of what rows belong to when they are not independent, ``groups`` (n,)
    what is never split between folds (the clusters, where no groups are declared),
    ``signatures`` the gene values (n, genes) of features that are learned on training rows.
    ``published`` are the terms (n, k) of published models by their name.
    Columns that carry nothing are absent from ``frame`` and from ``protocol``.
    """

    protocol: Protocol
    frame: pd.DataFrame
    markers: pd.DataFrame
    arm: NDArray[np.object_] | None
    strata: NDArray[np.object_] | None
    outcomes: Mapping[str, Outcome]
    attrition: Table
    eligibility: Table
    findings: tuple[Finding, ...]
    data_hash: str
    groups: NDArray[np.object_] | None = None
    cluster: NDArray[np.object_] | None = None
    sources: Table | None = None
    derived: Table | None = None
    batch: NDArray[np.object_] | None = None
    signatures: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    published: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    everyone: Everyone | None = None

    @property
    def n(self) -> int:
        """Number of patients."""
        return len(self.frame)

    @property
    def outcome(self) -> Outcome:
        """The outcome that the estimand names."""
        return self.outcomes[self.protocol.estimand.endpoint]

    def treated(self) -> NDArray[np.int64]:
        """Index of each patient's arm: 0 control, 1.. the treatments in declared order. Needs two or more arms."""
        if self.arm is None or self.protocol.arms is None or self.protocol.arms.control is None:
            raise ValueError("this cohort has no control arm")
        order = {arm.name: at for at, arm in enumerate(self.protocol.arms.treatments, start=1)}
        return np.array([order.get(str(name), 0) for name in self.arm], dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Everyone:
    """All patients with a usable outcome, before eligibility, for questions about the criteria themselves.

    ``cohort`` holds them like the study's own patients (rows sorted by id), ``tables`` (same rows) what criteria ask.
    """

    cohort: Cohort
    tables: Tables
