"""A realistic run of the report: aggregates of the German breast cancer study that scikit-survival ships.

Curves, counts and Table 1 are computed here with plain numpy; scores of models, which no twenty lines can make, are
typed in plausible values. The report only ever sees what this module returns.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from survival_aggregates import at_risk_rows, kaplan_meier, median_time, rmst, survival_at

from trialstrat.report.model import RunRecord
from trialstrat.results import Cell, Column, ColumnKind, Estimate, Finding, StageResult, Table

DAYS_PER_MONTH = 30.4375
HORIZON = 60.0
TICKS = [0.0, 12.0, 24.0, 36.0, 48.0, 60.0, 72.0, 84.0]
ARMS = (("no", "No hormone therapy"), ("yes", "Hormone therapy"))
NOTE = "Population: all randomised or registered patients; n = 686, 299 events; method: {}"


def table(name: str, title: str, columns: list[Any], rows: list[Any], note: str = "", **rest: Any) -> Table:
    """A Table from (key, label, kind, unit) tuples."""
    made = tuple(Column(key=key, label=label, kind=kind, unit=unit) for key, label, kind, unit in columns)
    cells: tuple[tuple[Cell, ...], ...] = tuple(tuple(row) for row in rows)
    return Table(name=name, title=title, columns=made, rows=cells, note=note, **rest)


@lru_cache(maxsize=1)
def cohort() -> dict[str, np.ndarray]:
    """The columns of the data set, time in months."""
    from sksurv.datasets import load_gbsg2

    x, y = load_gbsg2()
    if y is None:
        raise RuntimeError("the packaged data set has no outcome")
    data = {name: x[name].to_numpy() for name in x.columns}
    data["horTh"] = np.array([str(v) for v in x["horTh"]])
    return data | {"time": y["time"] / DAYS_PER_MONTH, "event": y["cens"].astype(bool)}


CURVE: list[tuple[str, str, ColumnKind, str]] = [
    ("time", "Time", "number", "months"),
    ("survival", "Survival", "percent", ""),
    ("lower", "Lower", "percent", ""),
    ("upper", "Upper", "percent", ""),
]
RISK: list[tuple[str, str, ColumnKind, str]] = [
    ("time", "Time", "number", "months"),
    ("at_risk", "At risk", "count", ""),
    ("events", "Events", "count", ""),
    ("censored", "Censored", "count", ""),
]
ARM: list[tuple[str, str, ColumnKind, str]] = [("arm", "Arm", "text", ""), ("label", "Label", "text", "")]
GROUP: list[tuple[str, str, ColumnKind, str]] = [("group", "Group", "text", ""), ("label", "Label", "text", "")]
POPULATION: list[tuple[str, str, ColumnKind, str]] = [
    ("population", "Population", "text", ""),
    ("label_population", "Population", "text", ""),
]


def curves(prefix: str, groups: list[tuple[tuple[str, ...], np.ndarray]], head: list[Any]) -> tuple[Table, Table]:
    """KM and numbers-at-risk tables for some groups of patients, cut where fewer than eleven are at risk."""
    data = cohort()
    km, risk = [], []
    for key, members in groups:
        time, event = data["time"][members], data["event"][members]
        last = np.sort(time)[-11]
        km += [(*key, *row) for row in kaplan_meier(time, event) if row[0] <= last]
        risk += [(*key, t, n if n == 0 or n >= 11 else "< 11", d, c) for t, n, d, c in at_risk_rows(time, event, TICKS)]
    return (
        table(f"{prefix}.km", "Kaplan-Meier estimates", head + CURVE, km, NOTE.format("log-log"), protection="curve"),
        table(f"{prefix}.at_risk", "Numbers at risk", head + RISK, risk, NOTE.format("counts")),
    )


def arms_of(members: np.ndarray, key: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], np.ndarray]]:
    """One group per arm within some members."""
    treated = cohort()["horTh"]
    return [((*key, name, label), members & (treated == name)) for name, label in ARMS]


def everyone() -> np.ndarray:
    """All patients."""
    return np.ones(686, dtype=bool)


def cohort_stage() -> StageResult:
    attrition = table(
        "cohort.attrition",
        "How patients came into the analysis",
        [("step", "Step", "text", ""), ("text", "What was checked", "text", ""), ("kind", "Kind", "text", "")]
        + [(k, k.capitalize(), "count", "") for k in ("before", "removed", "unknown", "remaining")],
        [
            ("source.patients", "Rows read from gbsg2", "source", 686, 0, 0, 686),
            ("V010", "Duplicate patients", "validation", 686, 0, 0, 686),
            ("I1", "Primary breast cancer with at least one positive node", "inclusion", 686, 0, 0, 686),
            ("I2", "Age 21 to 80 years", "inclusion", 686, 0, 0, 686),
            ("E1", "Distant metastasis at surgery (not recorded)", "exclusion", 686, 0, 686, 686),
            ("outcome", "Time or status missing", "outcome", 686, 0, 0, 686),
        ],
        NOTE.format("every step in the declared order"),
    )
    missing = table(
        "cohort.missing",
        "Missing values",
        [
            ("variable", "Variable", "text", ""),
            ("label", "Label", "text", ""),
            ("arm", "Arm", "text", ""),
            ("n", "n", "count", ""),
            ("missing", "Missing", "count", ""),
            ("share", "Share", "percent", ""),
        ],
        [
            (variable, label, arm, n, 0, 0.0)
            for variable, label, _, _ in VARIABLES
            for arm, n in (("all", 686), ("no", 440), ("yes", 246))
        ],
    )
    eligibility = table(
        "cohort.eligibility",
        "Each criterion on its own",
        [("id", "Id", "text", ""), ("kind", "Kind", "text", ""), ("text", "Criterion", "text", "")]
        + [("executable", "Executable", "text", "")]
        + [(k, k.replace("_", " ").capitalize(), "count", "") for k in ("met", "not_met", "unknown")],
        [
            ("I1", "inclusion", "Primary breast cancer with at least one positive node", "yes", 686, 0, 0),
            ("I2", "inclusion", "Age 21 to 80 years", "yes", 686, 0, 0),
            ("E1", "exclusion", "Distant metastasis at surgery (not recorded)", "no", 0, 0, 686),
        ],
    )
    sources = table(
        "cohort.sources",
        "Files read",
        [("source", "Source", "text", ""), ("origin", "Origin", "text", "")]
        + [(k, k.capitalize(), "count", "") for k in ("rows", "patients", "matched", "unmatched", "columns")]
        + [("sha256", "SHA-256", "text", "")],
        [("patients", "scikit-survival/gbsg2", 686, 686, 686, 0, 10, "1f" * 32)],
    )
    return StageResult(
        stage="cohort",
        tables=(attrition, eligibility, missing, sources),
        estimates=(
            Estimate(name="cohort.n", label="Patients", value=686, n=686),
            Estimate(name="cohort.events", label="Events", value=299, events=299),
        ),
        findings=(
            Finding(
                code="TS0142",
                severity="warning",
                message="have an estrogen receptor value of exactly 0",
                remedy="Check whether 0 means absent or not measured.",
                source="patients",
                column="estrec",
                bad=82,
                total=686,
            ),
        ),
    )


VARIABLES = (
    ("age", "Age", "years", "continuous"),
    ("menostat", "Menopausal status", "", "categorical"),
    ("tsize", "Tumour size", "mm", "continuous"),
    ("tgrade", "Tumour grade", "", "categorical"),
    ("pnodes", "Positive lymph nodes", "", "continuous"),
    ("progrec", "Progesterone receptor", "fmol/mg", "continuous"),
    ("estrec", "Estrogen receptor", "fmol/mg", "continuous"),
)
SMD = (("age", 0.53), ("menostat", 0.56), ("tsize", -0.08), ("tgrade", 0.13), ("pnodes", 0.02), ("progrec", 0.09))


def baseline_stage() -> StageResult:
    data = cohort()
    rows: list[Any] = []
    for variable, label, unit, kind in VARIABLES:
        values = data[variable]
        for arm, members in (("all", everyone()), *((name, data["horTh"] == name) for name, _ in ARMS)):
            here, n = values[members], int(members.sum())
            if kind == "continuous":
                q1, q2, q3 = (float(q) for q in np.quantile(here.astype(float), (0.25, 0.5, 0.75)))
                mean, sd = float(here.mean()), float(here.std(ddof=1))
                rows.append((variable, label, unit, kind, None, arm, n, 0, mean, sd, q2, q1, q3, None, None))
            else:
                for level in sorted({str(v) for v in values}):
                    k = int(sum(str(v) == level for v in here))
                    rows.append((variable, label, unit, kind, level, arm, n, 0, None, None, None, None, None, k, k / n))
    text = [(k, k.capitalize(), "text", "") for k in ("variable", "label", "unit", "kind", "level", "arm")]
    counts = [(k, k, "count", "") for k in ("n", "missing")]
    numbers = [(k, k, "number", "") for k in ("mean", "sd", "median", "q1", "q3")]
    one = table(
        "baseline.table_one",
        "Baseline characteristics by arm",
        [*text, *counts, *numbers, ("count", "Count", "count", ""), ("share", "Share", "percent", "")],
        rows,
        NOTE.format("mean and median over known values"),
    )
    labels = {variable: label for variable, label, _, _ in VARIABLES}
    smd = table(
        "baseline.smd",
        "Standardised mean differences",
        [
            ("variable", "Variable", "text", ""),
            ("label", "Label", "text", ""),
            ("comparison", "Comparison", "text", ""),
            ("smd", "SMD", "number", ""),
        ],
        [(variable, labels[variable], "yes_vs_no", value) for variable, value in (*SMD, ("estrec", 0.18))],
    )
    follow = table(
        "baseline.follow_up",
        "Follow-up",
        [*ARM, ("n", "n", "count", ""), ("events", "Events", "count", ""), ("maturity", "Maturity", "percent", "")]
        + [(k, k, "number", "months") for k in ("median_follow_up", "lower", "upper")],
        [
            ("all", "All patients", 686, 299, 299 / 686, 53.4, 51.2, 56.0),
            ("no", "No hormone therapy", 440, 205, 205 / 440, 52.6, 49.8, 56.1),
            ("yes", "Hormone therapy", 246, 94, 94 / 246, 55.0, 51.9, 57.9),
        ],
    )
    median = Estimate(
        name="baseline.follow_up.median.all",
        label="Median follow-up",
        value=53.4,
        lower=51.2,
        upper=56.0,
        unit="months",
        method="reverse Kaplan-Meier",
        n=686,
        events=299,
    )
    maturity = Estimate(name="baseline.maturity.all", label="Maturity", value=299 / 686, unit="probability")
    return StageResult(stage="baseline", tables=(one, smd, follow), estimates=(median, maturity))


def primary_estimates(km: dict[str, list[tuple[float, float, float, float]]]) -> tuple[Estimate, ...]:
    out: list[Estimate] = []
    common: dict[str, Any] = {"n": 686, "events": 299, "population": "all patients", "evidence": "exploratory"}
    for arm, label in ARMS:
        value, lower, upper = survival_at(km[arm], HORIZON)
        name = f"primary.milestone.{arm}"
        out.append(
            Estimate(name=name, label=label, value=value, lower=lower, upper=upper, unit="probability", method="KM")
        )
        area = rmst(km[arm], HORIZON)
        out.append(
            Estimate(name=f"primary.rmst.{arm}", label=label, value=area, lower=area - 2, upper=area + 2, unit="months")
        )
        median = median_time(km[arm])
        name = f"primary.km.median.{arm}"
        if median is None:
            out.append(Estimate.not_estimable(name, label, "the curve does not reach 50%", unit="months"))
        else:
            out.append(
                Estimate(name=name, label=label, value=median, lower=median - 8, upper=median + 11, unit="months")
            )
    pair = "yes_vs_no"
    gain = survival_at(km["yes"], HORIZON)[0] - survival_at(km["no"], HORIZON)[0]
    area = rmst(km["yes"], HORIZON) - rmst(km["no"], HORIZON)
    null = "the hazard is the same in both arms at all times"
    spec = [
        ("logrank.p", "Log-rank test", 0.0034, None, None, "p"),
        ("cox.hazard_ratio", "Hazard ratio", 0.6949, 0.5438, 0.8880, "hazard ratio"),
        ("cox.p", "Cox model, Wald test", 0.00366, None, None, "p"),
        ("cox.adjusted_hazard_ratio", "Adjusted hazard ratio", 0.7074, 0.5492, 0.9113, "hazard ratio"),
        ("ph.p", "Proportional hazards test", 0.61, None, None, "p"),
        ("rmst.difference", "RMST difference", area, area - 2.6, area + 2.6, "months"),
        ("rmst.p", "RMST test", 0.0021, None, None, "p"),
        ("milestone.difference", "Milestone difference", gain, gain - 0.086, gain + 0.086, "probability"),
    ]
    for key, label, value, lower, upper, unit in spec:
        stem, leaf = key.split(".")
        bounds = {} if lower is None else {"lower": lower, "upper": upper}
        extra = {"null_hypothesis": null} if unit == "p" else {}
        out.append(
            Estimate(
                name=f"primary.{stem}.{leaf}.{pair}", label=label, value=value, unit=unit, **bounds, **extra, **common
            )
        )
    out.append(
        Estimate.not_estimable(
            f"primary.maxcombo.p.{pair}", "MaxCombo test", "declared for non-proportional hazards only", unit="p"
        )
    )
    return tuple(out)


def primary_stage() -> StageResult:
    data = cohort()
    km, risk = curves("primary", arms_of(everyone()), ARM)
    byarm = {
        name: kaplan_meier(data["time"][data["horTh"] == name], data["event"][data["horTh"] == name])
        for name, _ in ARMS
    }
    ticks: list[Any] = []
    for name, label in ARMS:
        times = data["time"][(data["horTh"] == name) & ~data["event"]]
        for start in range(2, 82, 2):
            k = int(((times >= start) & (times < start + 2)).sum())
            if k:
                ticks.append((name, label, start + 1.0, survival_at(byarm[name], start + 1.0)[0], k))
    censoring = table(
        "primary.censoring",
        "Censoring",
        [*ARM, CURVE[0], CURVE[1], ("count", "Censored", "count", "")],
        ticks,
        protection="curve",
    )
    ph = table(
        "primary.ph_test",
        "Proportional hazards",
        [
            ("term", "Term", "text", ""),
            ("label", "Term", "text", ""),
            ("statistic", "Statistic", "number", ""),
            ("df", "df", "number", ""),
            ("p", "p", "p", ""),
        ],
        [("yes", "Hormone therapy", 0.26, 1.0, 0.61), ("GLOBAL", "All terms", 0.26, 1.0, 0.61)],
        "Scaled Schoenfeld residuals",
    )
    adjusted = table(
        "primary.adjusted",
        "Adjusted Cox model",
        [
            ("term", "Term", "text", ""),
            ("label", "Term", "text", ""),
            ("hazard_ratio", "Hazard ratio", "effect", ""),
            ("lower", "Lower", "effect", ""),
            ("upper", "Upper", "effect", ""),
            ("p", "p", "p", ""),
        ],
        [
            ("yes", "Hormone therapy", 0.7074, 0.5492, 0.9113, 0.0074),
            ("age", "Age, per 10 years", 0.9100, 0.761, 1.087, 0.30),
            ("pnodes", "Positive lymph nodes, per node", 1.05, 1.0346, 1.0657, 5.6e-11),
        ],
    )
    return StageResult(
        stage="primary",
        tables=(km, risk, censoring, ph, adjusted),
        estimates=primary_estimates(byarm),
        facts={
            "unit": "months",
            "horizon": "60",
            "ties": "Efron",
            "strata": "",
            "leading": "cox",
            "control": "no",
            "treatment": "yes",
        },
    )


STUDY: dict[str, Any] = {
    "id": "gbsg2",
    "title": "Hormone therapy in node-positive breast cancer",
    "version": "1.0",
    "question": "Who among patients with node-positive breast cancer should a trial of hormone therapy enrol?",
    "status": "exploratory",
    "data_cut": "1992-03",
    "disease_area": "oncology",
    "references": ["Schumacher M et al. J Clin Oncol 1994;12:2086-2093"],
    "limits": [
        "Treatment was only partly randomised: the arms differ in age and menopausal status.",
        "Receptor levels were measured by an assay that is no longer used.",
    ],
    "allocation": "partly_randomised",
    "arms": [
        {"name": "no", "label": "No hormone therapy", "control": True},
        {"name": "yes", "label": "Hormone therapy", "control": False},
    ],
    "endpoint": {
        "label": "Recurrence-free survival",
        "unit": "days",
        "display_unit": "months",
        "horizon": 60.0,
        "time_zero": "randomisation or registration",
    },
    "estimand": {
        "population": "All patients with primary node-positive breast cancer",
        "treatment": "Hormone therapy against no hormone therapy",
        "endpoint": "rfs",
        "intercurrent_events": [{"event": "treatment stopped early", "strategy": "treatment_policy"}],
        "summary": "hazard_ratio",
    },
    "analysis": {"alpha": 0.05, "level": 0.95, "non_proportional": "rmst", "adjust_for": ["age", "pnodes"]},
    "models": {"outer_folds": 5, "inner_folds": 3, "trials": 20, "engines": ["clinical_cox", "forest"]},
    "missing_data": {"covariates": "impute", "indicator": False},
    "covariates": [{"column": "age", "label": "Age"}],
    "biomarkers": [{"column": "progrec", "label": "Progesterone receptor", "role": "prognostic"}],
    "eligibility": [
        {"id": "I1", "kind": "inclusion", "text": "Primary breast cancer with at least one positive node"},
        {"id": "I2", "kind": "inclusion", "text": "Age 21 to 80 years"},
        {"id": "E1", "kind": "exclusion", "text": "Distant metastasis at surgery (not recorded)"},
    ],
    "minimum_cell": 11,
}
MANIFEST: dict[str, Any] = {
    "trialstrat": "0.1.0",
    "command": "trialstrat run protocols/gbsg2.yaml",
    "seed": 20260101,
    "generated": "2026-11-20T12:00:00Z",
    "protocol_sha256": "3b" * 32,
    "data_sha256": {"patients": "1f" * 32},
    "versions": {"python": "3.11.7", "numpy": "2.3.5", "scikit-survival": "0.28.0"},
}


def full_record(**changes: Any) -> RunRecord:
    """The record with every stage of the contract."""
    from fixture_models import criteria_stage, models_stage, risk_groups_stage

    stages = [cohort_stage(), baseline_stage(), primary_stage(), models_stage(), risk_groups_stage(), criteria_stage()]
    values = {
        "study": STUDY,
        "stages": {stage.stage: stage for stage in stages},
        "manifest": MANIFEST,
        "evidence": "exploratory",
    }
    return RunRecord(**{**values, **changes})
