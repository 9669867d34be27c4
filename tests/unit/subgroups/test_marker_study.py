"""Screen, curves and forest of one study: what they find, what they refuse, and that nothing small leaks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.helpers.cohorts import build_cohort, gbsg2_cohort
from tests.helpers.synthetic import cohort, declaration, trial
from trialstrat.disclosure import protect
from trialstrat.protocol.model import Protocol
from trialstrat.results import StageResult
from trialstrat.stats.cox import cox
from trialstrat.subgroups.candidates import candidates
from trialstrat.subgroups.marker_study import marker_study
from trialstrat.subgroups.screen import events_needed


def stages(study: Any, seed: int = 1) -> dict[str, StageResult]:
    return {result.stage: result for result in marker_study(study, rng=np.random.default_rng(seed))}


def plain(kind: str) -> dict[str, Any]:
    """An endpoint that is not a time."""
    more = {"positive": [1]} if kind == "binary" else {}
    return {"kind": kind, "time": None, "unit": None, "horizon": None, "event": None, "value": "y", **more}


def test_a_true_modifier_is_found_on_both_scales_and_along_the_curve() -> None:
    found = stages(cohort(trial(n=600, interaction=2.0, seed=3)))
    best = found["screen"].table("screen.markers").records()[0]
    assert best["marker"] == "marker"
    assert best["p_maxt"] < 0.01
    assert best["rmst_p"] < 0.01
    assert best["hr_interaction"] > 1 > 0 > best["rmst_interaction"]
    curve = [row for row in found["curves"].table("curves.effect").records() if row["scale"] == "hazard_ratio"]
    low, high = curve[0], curve[-1]
    # the truth is exp(-0.5 + 2 (x - 0.5)) at x of about 0.03 and 0.97
    for row in (low, high):
        truth = np.exp(-0.5 + 2.0 * (row["x"] - 0.5))
        assert row["lower"] < truth < row["upper"]
        assert row["lower"] < row["point_lower"] < row["effect"] < row["point_upper"] < row["upper"]
    assert low["effect"] < 0.5 < 1.0 < high["effect"] * 2


def test_screen_agrees_with_one_model_at_a_time() -> None:
    study = gbsg2_cohort()
    row = next(r for r in stages(study)["screen"].table("screen.markers").records() if r["marker"] == "age")
    age = study.frame["age"].to_numpy()
    x = age / age.std()
    arm = study.treated()
    fit = cox(study.outcome.time, study.outcome.event, np.column_stack([arm, x, arm * x]))
    assert row["hr_interaction"] == pytest.approx(fit.hazard_ratio[2], rel=1e-6)
    assert row["p"] == pytest.approx(fit.p[2], rel=1e-5)
    assert row["p_maxt"] >= row["p"]


def test_forest_agrees_with_the_subgroups_own_models() -> None:
    study = gbsg2_cohort()
    rows = stages(study)["forest"].table("forest.rows").records()
    assert (rows[0]["variable"], rows[0]["n"], rows[0]["events"]) == ("all", 686, 299)
    assert rows[0]["hazard_ratio"] == pytest.approx(0.695, abs=0.001)
    post = next(row for row in rows if row["level"] == "Post")
    mask = np.asarray(study.frame["menostat"] == "Post")
    fit = cox(study.outcome.time[mask], study.outcome.event[mask], study.treated()[mask])
    assert post["hazard_ratio"] == pytest.approx(fit.hazard_ratio[0], rel=1e-9)
    assert post["n"] == mask.sum()
    # one test per factor, in its first row
    tests = [row["interaction_p"] for row in rows if row["variable"] == "tgrade"]
    assert tests[0] is not None
    assert tests[1:] == [None, None]


@pytest.mark.parametrize("kind", ["binary", "continuous", "competing"])
def test_other_endpoints(kind: str) -> None:
    source = trial(n=500, seed=4, causes=2 if kind == "competing" else 1)
    if kind == "competing":
        endpoint: dict[str, Any] = {
            "kind": kind,
            "event": {"column": "event", "causes": {"a": 1, "b": 2}, "censored": [0]},
        }
    else:
        endpoint = plain(kind)
    value = np.random.default_rng(1).normal(size=500) + 2 * source.marker * source.treated
    found = stages(cohort(source, endpoint=endpoint, value=value if kind == "continuous" else None))
    markers = found["screen"].table("screen.markers").records()
    assert all(row["p_maxt"] is not None for row in markers)
    assert all((row["hr_interaction"] is None) == (kind == "continuous") for row in markers)
    if kind == "continuous":
        assert markers[0]["marker"] == "marker"
        assert markers[0]["p_maxt"] < 0.01
    scales = {row["scale"] for row in found["curves"].table("curves.effect").records()}
    assert scales == ({"hazard_ratio", "rmst_difference"} if kind == "competing" else {"rmst_difference"})
    assert found["forest"].table("forest.rows").records()[0]["rmst_difference"] is not None


def test_every_treatment_is_screened_against_the_control() -> None:
    found = stages(cohort(trial(n=600, log_hr=(-0.5, -0.2)), treatments=2))
    for name in ("screen.markers", "curves.summary", "forest.rows"):
        table = found[name.split(".", maxsplit=1)[0]].table(name)
        assert set(table.column("comparison")) == {"t1_vs_ctrl", "t2_vs_ctrl"}


def test_observational_arms_are_weighted() -> None:
    study = cohort(trial(n=600, seed=6), arms={"allocation": "observational", "confounders": ["stage", "marker"]})
    plain_study = cohort(trial(n=600, seed=6))
    weighted, unweighted = (stages(s)["forest"].table("forest.rows").records()[0] for s in (study, plain_study))
    assert weighted["hazard_ratio"] != unweighted["hazard_ratio"]
    assert weighted["hazard_ratio"] == pytest.approx(unweighted["hazard_ratio"], rel=0.1)


def test_partly_randomised_arms_are_said_to_be_unadjusted() -> None:
    found = stages(cohort(trial(n=200), arms={"allocation": "partly_randomised", "confounders": ["stage"]}))
    assert [finding.code for finding in found["screen"].findings] == ["W-SCREEN-PARTLY"]


def test_refusals() -> None:
    assert marker_study(cohort(trial(n=100), arms=None), rng=np.random.default_rng(1)) == ()
    unknown = cohort(trial(n=100), arms={"allocation": "observational"})
    assert marker_study(unknown, rng=np.random.default_rng(1)) == ()
    few = stages(cohort(trial(n=25)))
    assert set(few) == {"screen"}
    assert "at least 10 per arm are needed" in few["screen"].facts["refused"]
    assert few["screen"].findings[0].code == "W-SCREEN-EVENTS"


def test_what_was_measured_after_time_zero_is_no_candidate() -> None:
    late = {
        "column": "marker",
        "label": "Late",
        "kind": "continuous",
        "role": "predictive",
        "measured": "after_time_zero",
    }
    found = candidates(cohort(trial(n=100), biomarkers=[late]))
    assert all(column.name != "marker" for column in found.columns)
    assert [finding.code for finding in found.findings] == ["W-SCREEN-AFTER-ZERO"]


def test_too_many_markers_are_said_with_the_number_that_would_do() -> None:
    assert events_needed(1, 0.5) < events_needed(100, 0.5) < events_needed(100, 0.2)
    # Schoenfeld: 4 (1.96 + 0.84)^2 / log(2)^2
    assert events_needed(1, 0.5) == 66
    source = trial(n=90, seed=2)
    declared = Protocol.model_validate(declaration(marker_blocks=[{"source": "trial"}]))
    frame = pd.DataFrame({"stage": source.stage, "site": source.site, "marker": source.marker})
    wide = pd.DataFrame(np.random.default_rng(3).normal(size=(90, 300))).add_prefix("g")
    study = build_cohort(declared, frame, source.time, source.event, arm=source.arm, markers=wide)
    found = stages(study)["screen"]
    assert [finding.code for finding in found.findings] == ["W-SCREEN-LARGE"]
    assert "events would be needed" in found.findings[0].message
    table = found.table("screen.markers")
    assert len(table.rows) == 53  # three declared, fifty of the block
    volcano = found.table("screen.volcano")
    assert sum(volcano.column("markers")) == 303


def test_same_seed_same_result_and_no_patient_in_it() -> None:
    study = gbsg2_cohort(rows=200)
    one, two = (marker_study(study, rng=np.random.default_rng(4)) for _ in range(2))
    assert [result.to_dict() for result in one] == [result.to_dict() for result in two]


def test_small_subgroups_are_hidden_and_stay_hidden() -> None:
    study = gbsg2_cohort(disclosure={"minimum_cell": 11})
    table = protect(stages(study)["forest"], 11).table("forest.rows")
    rows = [row for row in table.records() if row["variable"] == "tgrade"]
    assert rows[0]["events_treated"] == "<11"
    # the levels add up to all patients: a second one must go too
    assert [row["events_treated"] for row in rows].count("withheld") >= 1
    assert rows[0]["hazard_ratio"] is None
