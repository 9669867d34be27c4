"""Cohorts built in memory, without any file: for tests of every stage above the readers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from trialstrat.cohort.cohort import Cohort, Outcome
from trialstrat.protocol.model import Protocol
from trialstrat.results import Table

GBSG2_PROTOCOL: dict[str, Any] = {
    "trialstrat": 1,
    "id": "gbsg2-test",
    "title": "German Breast Cancer Study Group 2",
    "question": "Does hormone therapy delay recurrence?",
    "sources": [{"name": "trial", "dataset": "scikit-survival/gbsg2", "id": "row"}],
    "arms": {
        "column": "horTh",
        "levels": [
            {"name": "no", "value": "no", "label": "No hormone therapy", "control": True},
            {"name": "yes", "value": "yes", "label": "Hormone therapy"},
        ],
    },
    "endpoints": [
        {
            "name": "rfs",
            "label": "Recurrence-free survival",
            "time": "time",
            "event": {"column": "cens", "events": [True], "censored": [False]},
            "unit": "days",
            "display_unit": "years",
            "horizon": 1826.25,
        }
    ],
    "estimand": {"population": "all patients", "treatment": "hormone therapy", "endpoint": "rfs"},
    "covariates": [
        {"column": "age", "label": "Age", "kind": "continuous", "unit": "years"},
        {"column": "menostat", "label": "Menopausal status", "kind": "categorical", "levels": ["Pre", "Post"]},
        {"column": "tsize", "label": "Tumour size", "kind": "continuous", "unit": "mm"},
        {"column": "tgrade", "label": "Tumour grade", "kind": "ordinal", "levels": ["I", "II", "III"]},
        {"column": "pnodes", "label": "Positive nodes", "kind": "continuous"},
    ],
    "biomarkers": [
        {"column": "estrec", "label": "Oestrogen receptor", "kind": "continuous", "unit": "fmol", "role": "prognostic"},
        {
            "column": "progrec",
            "label": "Progesterone receptor",
            "kind": "continuous",
            "unit": "fmol",
            "role": "prognostic",
        },
    ],
}


def protocol(base: dict[str, Any] | None = None, **changes: Any) -> Protocol:
    """A protocol from ``base`` (default: GBSG2's) with top-level keys replaced; ``models`` is merged."""
    values = {**(base or GBSG2_PROTOCOL), **changes}
    return Protocol.model_validate(values)


def build_cohort(
    declared: Protocol,
    frame: pd.DataFrame,
    time: np.ndarray | None,
    event: np.ndarray | None,
    *,
    arm: np.ndarray | None = None,
    strata: np.ndarray | None = None,
    markers: pd.DataFrame | None = None,
    groups: np.ndarray | None = None,
    entry: np.ndarray | None = None,
    value: np.ndarray | None = None,
) -> Cohort:
    """A cohort from arrays; ids are ``P0001``..., rows in that order, attrition and eligibility empty."""
    index = pd.Index([f"P{at:05d}" for at in range(1, len(frame) + 1)], name="patient")
    columns: dict[str, Any] = {}
    for variable in declared.variables:
        raw = frame[variable.column]
        if variable.kind == "continuous":
            columns[variable.column] = np.asarray(raw, dtype=np.float64)
        else:
            present = pd.Series(raw, dtype=object).dropna().astype(str)
            levels = [str(level) for level in variable.levels] or sorted(set(present))
            values = [None if pd.isna(entry_) else str(entry_) for entry_ in raw]
            columns[variable.column] = pd.Categorical(values, categories=levels)
    empty = Table(name="empty", title="", columns=(), rows=())
    name = declared.estimand.endpoint
    return Cohort(
        protocol=declared,
        frame=pd.DataFrame(columns, index=index),
        markers=pd.DataFrame(index=index) if markers is None else markers.set_axis(index, axis=0),
        arm=arm,
        strata=strata,
        outcomes={
            name: Outcome(
                name=name,
                time=None if time is None else np.asarray(time, dtype=np.float64),
                event=None if event is None else np.asarray(event, dtype=np.int64),
                entry=entry,
                value=value,
            )
        },
        attrition=empty,
        eligibility=empty,
        findings=(),
        data_hash="0" * 64,
        groups=groups,
    )


def gbsg2_cohort(*, rows: int | None = None, **changes: Any) -> Cohort:
    """GBSG2 as scikit-survival ships it (the first ``rows`` patients); ``changes`` replace keys of the protocol."""
    from sksurv.datasets import load_gbsg2

    loaded: Any = load_gbsg2()
    frame, outcome = loaded
    keep = slice(None, rows)
    frame = frame.iloc[keep].reset_index(drop=True)
    return build_cohort(
        protocol(**changes),
        frame,
        outcome["time"][keep],
        outcome["cens"][keep],
        arm=np.asarray(frame["horTh"].astype(str), dtype=object),
    )


def marker_cohort(*, n: int = 150, markers: int = 60, seed: int = 1, signal: float = 0.7, **changes: Any) -> Cohort:
    """A cohort without arms: one covariate and a wide block of markers, of which the first two matter."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((n, markers))
    age = rng.normal(60, 8, n)
    rate = 0.1 * np.exp(signal * (values[:, 0] - values[:, 1]) + 0.02 * (age - 60))
    survival = rng.exponential(1 / rate)
    censoring = rng.uniform(2, 25, n)
    base = {
        **GBSG2_PROTOCOL,
        "id": "markers-test",
        "arms": None,
        "covariates": [{"column": "age", "label": "Age", "kind": "continuous", "unit": "years"}],
        "biomarkers": [],
        "marker_blocks": [{"source": "trial"}],
        "endpoints": [
            {
                "name": "rfs",
                "label": "Relapse-free survival",
                "time": "time",
                "event": {"column": "cens", "events": [True], "censored": [False]},
                "unit": "years",
                "horizon": 10,
            }
        ],
    }
    frame = pd.DataFrame({"age": age})
    block = pd.DataFrame(values, columns=pd.Index([f"g{at:03d}" for at in range(markers)]))
    return build_cohort(
        protocol(base, **changes),
        frame,
        np.minimum(survival, censoring),
        (survival <= censoring).astype(np.int64),
        markers=block,
    )
