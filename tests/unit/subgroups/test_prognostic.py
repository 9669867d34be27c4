"""Factors and the outcome: the numbers of the models they come from, refusals with a number, hidden small levels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.helpers.cohorts import GBSG2_PROTOCOL, build_cohort, gbsg2_cohort, protocol
from trialstrat.disclosure import protect
from trialstrat.subgroups.prognostic import prognostic_study


def rows_of(cohort, name="prognostic.factors"):
    study = prognostic_study(cohort)
    assert study is not None
    return study, {(row["variable"], row["level"]): row for row in study.table(name).records()}


def test_gbsg2_is_that_of_another_implementation() -> None:
    """lifelines: one stratified model per factor, and one of all factors."""
    from lifelines import CoxPHFitter

    cohort = gbsg2_cohort()
    _, found = rows_of(cohort)
    frame = cohort.frame[["age", "pnodes", "progrec"]].astype(float)
    frame = frame.assign(post=(cohort.frame["menostat"] == "Post").astype(float), tsize=cohort.frame["tsize"])
    frame = frame.assign(g2=(cohort.frame["tgrade"] == "II") * 1.0, g3=(cohort.frame["tgrade"] == "III") * 1.0)
    frame = frame.assign(estrec=cohort.frame["estrec"], arm=cohort.arm.astype(str), t=cohort.outcome.time)
    frame = frame.assign(e=cohort.outcome.event)
    alone = CoxPHFitter().fit(frame[["g2", "g3", "arm", "t", "e"]], "t", "e", strata=["arm"])
    both = CoxPHFitter().fit(frame, "t", "e", strata=["arm"])
    for level, term in (("II", "g2"), ("III", "g3")):
        row = found["tgrade", level]
        assert row["hazard_ratio"] == pytest.approx(np.exp(alone.params_[term]), rel=1e-4)
        assert row["adjusted_hazard_ratio"] == pytest.approx(np.exp(both.params_[term]), rel=1e-4)
        assert row["p"] == pytest.approx(alone.summary.loc[term, "p"], rel=1e-3)
    nodes = found["pnodes", "per 6"]  # quartiles 1 and 7
    assert nodes["adjusted_hazard_ratio"] == pytest.approx(np.exp(6 * both.params_["pnodes"]), rel=1e-4)
    limits = np.exp(6 * both.confidence_intervals_.loc["pnodes"].to_numpy())
    assert (nodes["adjusted_lower"], nodes["adjusted_upper"]) == pytest.approx(tuple(limits), rel=1e-3)
    reference = found["tgrade", "I (reference)"]
    assert (reference["n"], reference["hazard_ratio"]) == (81, None)


def test_too_many_factors_are_refused_with_the_number() -> None:
    cohort = gbsg2_cohort(rows=60)
    study, found = rows_of(cohort)
    (finding,) = [entry for entry in study.findings if entry.code == "W-PROGNOSTIC-EVENTS"]
    assert "all factors together: 8 parameters need at least 40 events" in finding.message
    assert found["age", next(level for name, level in found if name == "age")]["adjusted_hazard_ratio"] is None


def test_small_levels_are_hidden_with_what_follows_from_them() -> None:
    cohort = gbsg2_cohort(rows=200)
    study, _ = rows_of(cohort)
    rare = [row for row in protect(study, 60).tables[0].records() if str(row["n"]) == "<60"]
    assert rare
    assert all(row["hazard_ratio"] is None for row in rare)


def test_medians_of_a_continuous_outcome_by_level() -> None:
    rng = np.random.default_rng(3)
    gene = np.array(["GG", "AG", "AA"])[np.arange(300) % 3]
    dose = np.array([40.0, 28.0, 19.0])[np.arange(300) % 3] + rng.normal(0, 4, 300)
    changes = {
        "arms": None,
        "covariates": [],
        "biomarkers": [
            {
                "column": "g",
                "label": "VKORC1",
                "kind": "categorical",
                "levels": ["GG", "AG", "AA"],
                "role": "prognostic",
            }
        ],
        "endpoints": [{"name": "rfs", "label": "Dose", "kind": "continuous", "value": "dose"}],
        "estimand": {**GBSG2_PROTOCOL["estimand"], "summary": "mean_difference"},
    }
    cohort = build_cohort(protocol(**changes), pd.DataFrame({"g": gene}), None, None, value=dose)
    _, found = rows_of(cohort)
    for level in ("GG", "AG", "AA"):
        assert found["g", level]["median"] == pytest.approx(np.median(dose[gene == level]))
    contrast = found["g", "AA"]
    assert contrast["contrast"] == pytest.approx(dose[gene == "AA"].mean() - dose[gene == "GG"].mean())
    assert contrast["lower"] < contrast["contrast"] < contrast["upper"] < 0
    assert found["g", "GG"]["contrast"] is None


def test_nothing_declared_is_no_stage() -> None:
    assert prognostic_study(gbsg2_cohort(covariates=[], biomarkers=[])) is None


def test_a_marker_in_tiny_units_has_the_ratio_of_the_same_marker_in_large_ones() -> None:
    rows = {}
    for scale in (1.0, 1e-8):
        cohort = gbsg2_cohort(rows=400)
        cohort.frame["progrec"] = cohort.frame["progrec"] * scale
        _, found = rows_of(cohort)
        rows[scale] = next(row for row in found.values() if row["variable"] == "progrec")
    keys = ("hazard_ratio", "lower", "upper", "p")
    assert [rows[1e-8][key] for key in keys] == pytest.approx([rows[1.0][key] for key in keys], rel=1e-4)
