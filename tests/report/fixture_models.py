"""The later stages of the fixture: models, risk groups and criteria, in plausible values."""

from __future__ import annotations

from typing import Any

import numpy as np
from fixture_record import (
    ARM,
    GROUP,
    HORIZON,
    NOTE,
    POPULATION,
    arms_of,
    cohort,
    curves,
    everyone,
    table,
)

from trialstrat.results import Estimate, StageResult, Table

ENGINES = (
    ("clinical_cox", "Cox (yardstick)", {"clinical": 0.662, "molecular": 0.628, "combined": 0.681}),
    ("penalised_cox", "Penalised Cox", {"clinical": 0.664, "molecular": 0.631, "combined": 0.684}),
    ("forest", "Random survival forest", {"clinical": 0.671, "molecular": 0.639, "combined": 0.693}),
    ("boosting", "Gradient boosting", {"clinical": 0.669, "molecular": 0.633, "combined": 0.690}),
    ("weibull_aft", "Weibull AFT", {"clinical": 0.660, "molecular": 0.627, "combined": 0.680}),
)
INTERVAL: list[Any] = [(k, k.capitalize(), "number", "") for k in ("lower", "upper")]


def scores() -> Table:
    rows: list[Any] = []
    for engine, label, sets in ENGINES:
        for feature_set, c in sets.items():
            name = f"{engine}.{feature_set}"
            head = (name, engine, label, feature_set)
            rows.append((*head, "uno_c", None, c, c - 0.034, c + 0.034, 0.021, 5))
            rows.append((*head, "auc", 36.0, c + 0.03, c - 0.015, c + 0.075, 0.03, 5))
            rows.append((*head, "auc", HORIZON, c + 0.02, c - 0.035, c + 0.065, 0.04, 5))
            rows.append((*head, "ibs", None, 0.25 - c / 9, 0.16, 0.19, 0.007, 5))
            rows.append((*head, "ipa", HORIZON, c - 0.58, c - 0.63, c - 0.53, 0.02, 5))
            rows.append((*head, "ici", HORIZON, 0.035, 0.021, 0.066, 0.01, 5))
            rows.append((*head, "calibration_slope", HORIZON, 0.96, 0.74, 1.18, 0.11, 5))
    columns: list[Any] = [
        (k, k.capitalize(), "text", "") for k in ("model", "engine", "engine_label", "feature_set", "metric")
    ]
    columns += [("time", "Time", "number", "months"), ("value", "Value", "number", ""), *INTERVAL]
    columns += [("fold_sd", "Between folds", "number", ""), ("folds", "Folds", "count", "")]
    return table("models.scores", "Held-out performance", columns, rows, NOTE.format("nested cross-validation"))


def calibration() -> tuple[Table, Table]:
    model = "forest.combined"
    grid = np.linspace(0.12, 0.86, 40)
    curve = [
        (
            model,
            HORIZON,
            float(p),
            float(p + 0.05 * np.sin(5 * p)),
            float(p - 0.06 + 0.05 * np.sin(5 * p)),
            float(min(1, p + 0.06 + 0.05 * np.sin(5 * p))),
        )
        for p in grid
    ]
    edges = np.linspace(0.05, 0.95, 19)
    counts = [int(6 + 70 * np.exp(-((e - 0.45) ** 2) / 0.05)) for e in edges[:-1]]
    bars = [(model, HORIZON, float(a), float(b), n) for a, b, n in zip(edges[:-1], edges[1:], counts, strict=True)]
    head: list[Any] = [("model", "Model", "text", ""), ("time", "Time", "number", "months")]
    percent: list[Any] = [(k, k.capitalize(), "percent", "") for k in ("predicted", "observed", "lower", "upper")]
    return (
        table("models.calibration", "Calibration", head + percent, curve, NOTE.format("pooled out-of-fold")),
        table(
            "models.calibration_histogram",
            "Predicted risk",
            [*head, ("low", "Low", "percent", ""), ("high", "High", "percent", ""), ("count", "Count", "count", "")],
            bars,
        ),
    )


def net_benefit() -> Table:
    rows: list[Any] = []
    rate = 0.5
    for t in np.linspace(0.05, 0.8, 31):
        everybody = rate - (1 - rate) * t / (1 - t)
        model = max(0.0, everybody, 0.36 - 0.42 * t)
        rows.append(("forest.combined", HORIZON, float(t), model, model - 0.03, model + 0.03))
        rows.append(("treat_all", HORIZON, float(t), everybody, None, None))
        rows.append(("treat_none", HORIZON, float(t), 0.0, None, None))
    columns: list[Any] = [("strategy", "Strategy", "text", ""), ("time", "Time", "number", "months")]
    columns += [("threshold", "Threshold", "percent", ""), ("net_benefit", "Net benefit", "number", ""), *INTERVAL]
    return table("models.net_benefit", "Net benefit", columns, rows)


def models_stage() -> StageResult:
    comparison = table(
        "models.comparison",
        "What the molecular markers add",
        [
            ("comparison", "Comparison", "text", ""),
            ("label", "Comparison", "text", ""),
            ("metric", "Metric", "text", ""),
            ("difference", "Difference", "number", ""),
            *INTERVAL,
        ],
        [
            ("combined-clinical", "Combined minus clinical", "uno_c", 0.022, 0.003, 0.041),
            ("molecular-clinical", "Molecular minus clinical", "uno_c", -0.032, -0.071, 0.008),
            ("best-yardstick", "Chosen model minus yardstick", "uno_c", 0.012, -0.006, 0.030),
        ],
        NOTE.format("paired on the same outer folds"),
    )
    importance = table(
        "models.importance",
        "Permutation importance",
        [
            ("feature", "Feature", "text", ""),
            ("label", "Feature", "text", ""),
            ("importance", "Drop in Uno's C", "number", ""),
            *INTERVAL,
        ],
        [
            ("pnodes", "Positive lymph nodes", 0.061, 0.041, 0.083),
            ("progrec", "Progesterone receptor", 0.034, 0.018, 0.052),
            ("tgrade", "Tumour grade", 0.011, 0.001, 0.023),
            ("age", "Age", 0.008, -0.002, 0.018),
            ("tsize", "Tumour size", 0.006, -0.003, 0.015),
            ("estrec", "Estrogen receptor", 0.002, -0.006, 0.010),
            ("menostat", "Menopausal status", -0.001, -0.006, 0.004),
        ],
    )
    effect: list[Any] = [
        (k, k.replace("_", " ").capitalize(), "effect", "") for k in ("hazard_ratio", "lower", "upper")
    ]
    coefficients = table(
        "models.coefficients",
        "Clinical Cox model, refitted on all patients",
        [("feature", "Feature", "text", ""), ("label", "Feature", "text", ""), *effect],
        [
            ("pnodes", "Positive lymph nodes, per node", 1.0502, 1.0350, 1.0660),
            ("tgrade=II", "Tumour grade II against I", 1.89, 1.16, 3.07),
            ("tgrade=III", "Tumour grade III against I", 2.17, 1.28, 3.66),
            ("tsize", "Tumour size, per mm", 1.0078, 1.0001, 1.0156),
        ],
    )
    tuning = table(
        "models.tuning",
        "Tuning",
        [("model", "Model", "text", "")]
        + [(k, k.capitalize(), "count", "") for k in ("fold", "trials", "complete", "pruned")]
        + [(k, k.capitalize(), "text", "") for k in ("seed",)]
        + [("best", "Best", "number", ""), ("params", "Parameters", "text", "")],
        [("forest.combined", fold, 20, 14, 6, str(100 + fold), 0.69, "max depth 6") for fold in range(5)],
    )
    estimates = [
        Estimate(
            name=f"models.{engine}.{s}.uno_c", label=label, value=c, lower=c - 0.034, upper=c + 0.034, n=686, events=299
        )
        for engine, label, sets in ENGINES
        for s, c in sets.items()
    ]
    for metric, value, lower, upper in (
        ("ibs", 0.171, 0.160, 0.182),
        ("ipa", 0.113, 0.061, 0.164),
        ("ici", 0.035, 0.021, 0.066),
        ("calibration_slope", 0.96, 0.74, 1.18),
    ):
        name = f"models.forest.combined.{metric}"
        estimates.append(Estimate(name=name, label=metric, value=value, lower=lower, upper=upper, n=686, events=299))
    return StageResult(
        stage="models",
        tables=(scores(), *calibration(), net_benefit(), comparison, importance, coefficients, tuning),
        estimates=tuple(estimates),
        facts={
            "chosen": "forest.combined",
            "chosen_reason": "highest held-out Uno's C; within one standard error of no simpler model",
            "horizon": "60",
            "unit": "months",
            "folds": "5",
            "inner_folds": "3",
            "trials": "20",
            "metric": "uno_c",
        },
    )


def risk_score() -> np.ndarray:
    """A simple prognostic score, for the groups of the fixture."""
    data = cohort()
    grade = np.array([{"I": 0, "II": 1, "III": 1.3}[str(v)] for v in data["tgrade"]])
    return 0.5 * np.log1p(data["pnodes"].astype(float)) + 0.6 * grade - 0.12 * np.log1p(data["progrec"].astype(float))


def risk_groups_stage() -> StageResult:
    data, score = cohort(), risk_score()
    low, high = np.quantile(score, (1 / 3, 2 / 3))
    bands = [
        ("low", "Low", score <= low),
        ("intermediate", "Intermediate", (score > low) & (score <= high)),
        ("high", "High", score > high),
    ]
    km, risk = curves("risk_groups", [((name, label), members) for name, label, members in bands], GROUP)
    observed = {"low": (0.29, 0.23, 0.36), "intermediate": (0.47, 0.40, 0.55), "high": (0.67, 0.60, 0.74)}
    number: list[Any] = [("n", "n", "count", ""), ("events", "Events", "count", "")]
    percents: list[Any] = [(k, k.capitalize(), "percent", "") for k in ("observed", "lower", "upper", "predicted")]
    summary = table(
        "risk_groups.summary",
        "Risk groups",
        [*GROUP, *number, *percents],
        [
            (name, label, int(m.sum()), int(data["event"][m].sum()), *observed[name], observed[name][0] + 0.02)
            for name, label, m in bands
        ],
        NOTE.format("out-of-fold predictions of forest.combined"),
    )
    counts: list[Any] = [(k, k, "count", "") for k in ("n_control", "n_treated", "events_control", "events_treated")]
    effect: list[Any] = [(k, k, "effect", "") for k in ("hazard_ratio", "lower", "upper")]
    area: list[Any] = [(k, k, "number", "months") for k in ("rmst_difference", "rmst_lower", "rmst_upper")]
    values = {
        "low": (0.62, 0.37, 1.04, 3.1, -0.6, 6.8),
        "intermediate": (0.71, 0.46, 1.09, 4.0, -0.5, 8.5),
        "high": (0.74, 0.51, 1.07, 4.6, -0.3, 9.5),
    }
    rows = []
    for name, label, m in bands:
        treated, event = data["horTh"][m] == "yes", data["event"][m]
        split = (int((~treated).sum()), int(treated.sum()), int(event[~treated].sum()), int(event[treated].sum()))
        rows.append((name, label, int(m.sum()), int(event.sum()), *split, *values[name]))
    effects = table("risk_groups.effects", "Effect by risk group", [*GROUP, *number, *counts, *effect, *area], rows)
    spec = (("hazard_ratio_scale", 0.85), ("rmst_scale", 0.79))
    tests = [Estimate(name=f"risk_groups.interaction.{k}.p", label="Interaction", value=p, unit="p") for k, p in spec]
    tests.append(Estimate(name="risk_groups.logrank.p", label="Log-rank", value=2e-16, unit="p"))
    return StageResult(
        stage="risk_groups",
        tables=(km, risk, summary, effects),
        estimates=tuple(tests),
        facts={"unit": "months", "horizon": "60"},
    )


def criteria_stage() -> StageResult:
    data = cohort()
    inside = (data["pnodes"] >= 4) & (data["progrec"] <= 100)
    groups = arms_of(inside, ("inside", "Inside the criteria")) + arms_of(~inside, ("outside", "Outside the criteria"))
    km, risk = curves("criteria", groups, POPULATION + ARM)
    share, rate_in = float(inside.mean()), 0.655
    written = table(
        "criteria.written",
        "Eligibility as written",
        [(k, k.capitalize(), "text", "") for k in ("id", "kind", "text", "executable")],
        [
            ("I1", "inclusion", "Primary breast cancer with at least one positive node", "yes"),
            ("I2", "inclusion", "Age 21 to 80 years", "yes"),
            ("E1", "exclusion", "Distant metastasis at surgery (not recorded)", "no"),
        ],
    )
    rule = table(
        "criteria.rule",
        "Enrichment rule",
        [(k, k.capitalize(), "text", "") for k in ("id", "column", "label", "operator", "value", "unit", "text")],
        [
            ("R1", "pnodes", "Positive lymph nodes", "at_least", "4", "", "Positive lymph nodes 4 or more"),
            (
                "R2",
                "progrec",
                "Progesterone receptor",
                "at_most",
                "100",
                "fmol/mg",
                "Progesterone receptor at most 100 fmol/mg",
            ),
        ],
    )
    folds = table(
        "criteria.folds",
        "Rule found in every outer fold",
        [
            ("fold", "Fold", "count", ""),
            ("rule", "Rule", "text", ""),
            ("share", "Share enrolled", "percent", ""),
            ("event_rate", "Event rate", "percent", ""),
        ],
        [
            (0, "pnodes at least 4 and progrec at most 102", 0.33, 0.66),
            (1, "pnodes at least 4 and progrec at most 96", 0.32, 0.64),
            (2, "pnodes at least 4 and progrec at most 100", 0.32, 0.67),
            (3, "pnodes at least 5 and progrec at most 110", 0.28, 0.68),
            (4, "pnodes at least 4 and progrec at most 90", 0.31, 0.65),
        ],
    )
    price = table(
        "criteria.price",
        "What the rule costs and buys",
        [("quantity", "Quantity", "text", ""), ("label", "Quantity", "text", "")]
        + [(k, k.capitalize(), "number", "") for k in ("all", "inside", "outside", "lower", "upper")],
        [
            ("share", "Share of patients", 1.0, share, 1 - share, share - 0.03, share + 0.03),
            ("event_rate", "Patients with an event by 60 months", 0.487, rate_in, 0.407, 0.58, 0.73),
            ("screened_per_enrolled", "Screened per patient enrolled", 1.0, 1 / share, None, 2.8, 3.5),
            ("events_per_100", "Events per 100 enrolled", 48.7, 65.5, 40.7, 58.0, 73.0),
            ("enrolled_for_300_events", "Patients for 300 events", 616.0, 458.0, None, 411.0, 517.0),
        ],
        NOTE.format("held out in the outer folds"),
    )
    spec: tuple[tuple[str, float, float, float, str], ...] = (
        ("share", share, share - 0.034, share + 0.035, "probability"),
        ("event_rate_inside", rate_in, 0.58, 0.73, "probability"),
        ("event_rate_outside", 0.407, 0.361, 0.456, "probability"),
        ("event_rate_all", 0.487, 0.446, 0.529, "probability"),
        ("c_rule", 0.604, 0.574, 0.634, "concordance"),
        ("c_model", 0.693, 0.659, 0.727, "concordance"),
        ("c_loss", 0.089, 0.061, 0.117, "concordance"),
        ("screened_per_enrolled", 1 / share, 2.8, 3.5, "patients"),
        ("events_gained_per_100", 16.8, 10.1, 23.6, "events"),
        ("stability", 0.8, 0.6, 1.0, "probability"),
    )
    estimates = tuple(
        Estimate(name=f"criteria.enrichment.{k}", label=k, value=v, lower=lo, upper=hi, unit=unit, n=686, events=299)
        for k, v, lo, hi, unit in spec
    )
    return StageResult(
        stage="criteria",
        tables=(written, rule, folds, km, risk, price),
        estimates=estimates,
        facts={
            "rule_text": "positive lymph nodes 4 or more and progesterone receptor at most 100 fmol/mg",
            "kind": "prognostic enrichment",
            "status": "proposed",
            "reason": "",
            "unit": "months",
            "horizon": "60",
        },
    )


def single_arm_primary() -> StageResult:
    """What the primary stage leaves for a cohort without arms."""
    from survival_aggregates import kaplan_meier, survival_at

    km, risk = curves("primary", [(("all", "All patients"), everyone())], ARM)
    data = cohort()
    value, lower, upper = survival_at(kaplan_meier(data["time"], data["event"]), HORIZON)
    estimates = (
        Estimate(
            name="primary.milestone.all", label="All", value=value, lower=lower, upper=upper, unit="probability", n=686
        ),
    )
    reason = "the cohort has a single arm: no effect of treatment can be asked of it"
    facts = {"unit": "months", "horizon": "60", "leading": "none", "question_not_asked": reason}
    return StageResult(stage="primary", tables=(km, risk), estimates=estimates, facts=facts)
