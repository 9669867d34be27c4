"""Stage "imputed": pooled effects beside those of complete cases, and what cannot be imputed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.helpers.synthetic import cohort, trial
from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.shown import shown_outcome
from trialstrat.results import StageResult
from trialstrat.subgroups.completion import completed, plan
from trialstrat.subgroups.forest import NOT_KNOWN
from trialstrat.subgroups.imputed import imputed_analysis
from trialstrat.subgroups.marker_study import marker_study

PAIR = "t1_vs_ctrl"
ADJUST = {"analysis": {"adjust_for": ["stage", "marker"]}}
FEW = {"missing_data": {"multiple_imputations": 5}}


def with_gaps(study: Cohort, *columns: str, share: float = 0.3, seed: int = 1) -> Cohort:
    """The same patients with values missing completely at random."""
    rng = np.random.default_rng(seed)
    for column in columns:
        lost = rng.random(study.n) < share
        study.frame[column] = study.frame[column].mask(lost)
    return study


def study(**changes: Any) -> Cohort:
    source = trial(n=500, seed=3)
    return with_gaps(cohort(source, **{**ADJUST, **FEW, **changes}), "marker", "stage")


def result(of: Cohort, seed: int = 1) -> StageResult:
    found = imputed_analysis(of, rng=np.random.default_rng(seed))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def imputed() -> StageResult:
    return result(study())


def test_the_pooled_effect_is_of_everybody(imputed: StageResult) -> None:
    found = imputed.estimate(f"imputed.hazard_ratio.{PAIR}")
    assert (found.status, found.n) == ("ok", 500)
    assert found.lower < found.value < found.upper
    assert "pooled by Rubin's rules" in found.method
    rows = {row["term"]: row for row in imputed.table("imputed.model").records()}
    assert set(rows) == {"t1", "stage=II", "stage=III", "marker"}
    assert all(0 < row["fmi"] < 1 for row in rows.values())
    assert rows["marker"]["fmi"] > rows["t1"]["fmi"]  # what is missing is the marker, not the arm
    width = {key: np.log(rows["t1"][upper] / rows["t1"][lower]) for key, lower, upper in
             (("imputed", "lower", "upper"), ("complete", "complete_lower", "complete_upper"))}  # fmt: skip
    assert width["imputed"] < 0.8 * width["complete"]  # complete cases throw away half of the patients


def test_subgroups_place_everybody_and_are_tested_once(imputed: StageResult) -> None:
    rows = imputed.table("imputed.subgroups").records()
    assert [row["level"] for row in rows if row["variable"] == "stage"] == ["I", "II", "III"]
    assert {row["variable"] for row in rows} == {"stage", "marker"}  # site has no gaps
    tested = [row for row in rows if row["interaction_p"] is not None]
    assert [row["level"] for row in tested] == ["I", tested[1]["level"]]
    assert all(0 < row["interaction_p"] <= 1 for row in tested)
    assert all(row["lower"] < row["relative"] < row["upper"] for row in rows)


def test_same_generator_same_numbers_other_seed_close(imputed: StageResult) -> None:
    assert result(study()).to_dict() == imputed.to_dict()
    name = f"imputed.hazard_ratio.{PAIR}"
    other = result(study(), seed=2).estimate(name)
    assert other.value != imputed.estimate(name).value
    assert other.value == pytest.approx(imputed.estimate(name).value, rel=0.05)


def test_the_truth_is_recovered_where_complete_cases_are_biased() -> None:
    """Values are missing more often with an early event on treatment: complete cases see too good a treatment."""
    source = trial(n=3000, log_hr=(0.0,), seed=8)
    of = cohort(source, **ADJUST, **FEW)
    rng = np.random.default_rng(1)
    early = (source.event > 0) & (source.treated == 1)
    of.frame["marker"] = of.frame["marker"].mask(rng.random(of.n) < np.where(early, 0.6, 0.1))
    row = result(of).table("imputed.model").records()[0]
    assert row["complete_upper"] < 0.9
    assert row["lower"] < 1 < row["upper"]


def test_nothing_missing_nothing_declared_nothing_asked() -> None:
    whole = cohort(trial(n=200), **ADJUST)
    assert imputed_analysis(whole, rng=np.random.default_rng(1)) is None
    off = study(missing_data={"multiple_imputations": 0})
    assert imputed_analysis(off, rng=np.random.default_rng(1)) is None
    single = study(arms={"levels": [{"name": "ctrl", "value": "ctrl"}]})
    assert imputed_analysis(single, rng=np.random.default_rng(1)) is None


def test_too_few_known_values_are_refused_with_the_number_needed() -> None:
    of = with_gaps(cohort(trial(n=60), **ADJUST, **FEW), "marker", share=0.85)
    found = result(of)
    assert not found.estimates
    assert found.findings[0].code == "W-IMPUTED-REFUSED"
    assert "are needed" in found.findings[0].message


def test_small_arms_are_imputed_together_and_it_is_said() -> None:
    of = with_gaps(cohort(trial(n=70), **ADJUST, **FEW), "marker", share=0.6)
    found = result(of)
    assert found.facts["apart"] == "no"
    assert "W-IMPUTED-TOGETHER" in {entry.code for entry in found.findings}


def test_fewer_copies_than_the_share_of_gaps_is_noted(imputed: StageResult) -> None:
    assert [entry.code for entry in imputed.findings] == ["I-IMPUTED-NUMBER"]


@pytest.mark.parametrize("kind", ["binary", "continuous", "competing"])
def test_other_endpoints_have_pooled_subgroups(kind: str) -> None:
    endpoint: dict[str, Any] = {"kind": kind, "unit": None, "horizon": None, "value": "y"}
    if kind == "binary":
        endpoint |= {"positive": [1], "negative_values": [0]}
    if kind == "competing":
        event = {"column": "event", "causes": {"relapse": 1, "death": 2}, "censored": [0]}
        endpoint = {"kind": kind, "event": event}
    else:
        endpoint |= {"event": None, "time": None}
    source = trial(n=600, causes=2 if kind == "competing" else 1, seed=4)
    of = cohort(source, value=source.time if kind == "continuous" else None, endpoint=endpoint, **FEW)
    found = result(with_gaps(of, "stage"))
    rows = found.table("imputed.subgroups").records()
    assert len(rows) == 3
    assert all(row["absolute"] is not None for row in rows)
    assert (rows[0]["relative"] is None) == (kind == "continuous")


def test_confounders_are_imputed_before_weighting() -> None:
    arms = {"allocation": "observational", "confounders": ["stage", "marker"]}
    found = result(study(arms=arms))
    weighted = found.estimate(f"imputed.weighted.hazard_ratio.{PAIR}")
    assert (weighted.status, weighted.n) == ("ok", 500)
    assert found.estimate(f"imputed.weighted.rmst.difference.{PAIR}").status == "ok"


def test_chosen_arms_that_cannot_be_weighted_have_no_effect_and_no_subgroup_effects() -> None:
    arms = {"allocation": "observational", "confounders": ["stage", "marker"]}
    study_ = with_gaps(cohort(trial(n=500, seed=3), **{**ADJUST, **FEW, "arms": arms}), "stage")
    study_.frame["marker"] = np.where(np.asarray(study_.arm) == "ctrl", 0.0, 1.0)
    found = result(study_)
    weighted = found.estimate(f"imputed.weighted.hazard_ratio.{PAIR}")
    assert weighted.status == "not_estimable"
    assert weighted.reason.startswith("no propensity model: ")
    table = found.table("imputed.subgroups")
    shown = [cell for row in table.rows for cell in row[4:]]
    assert len(table.rows) >= 2
    assert shown == [None] * len(shown)
    assert [f.code for f in found.findings if f.severity == "warning"] == ["W-IMPUTED-NO-MODEL"]


def test_imputed_values_of_a_logged_marker_are_those_of_patients() -> None:
    rng = np.random.default_rng(5)
    study_ = cohort(trial(n=500, seed=3), **{**ADJUST, **FEW})
    study_.frame["marker"] = np.floor(np.exp(rng.normal(1.5, 1.6, 500)))
    study_ = with_gaps(study_, "marker")
    known = set(study_.frame["marker"].dropna())
    outcome = shown_outcome(study_)
    made = plan(study_, outcome)
    copies = list(completed(study_, outcome, made, imputations=3, rng=rng))
    gaps = study_.frame["marker"].isna().to_numpy()
    assert any((np.expm1(np.log1p(value)) != value) for value in known)  # rounding would show
    for copy in copies:
        assert set(copy.frame["marker"][gaps]) <= known


def test_patients_without_a_value_are_a_population_of_their_own() -> None:
    of = study()
    stages = {stage.stage: stage for stage in marker_study(of, rng=np.random.default_rng(1))}
    rows = [row for row in stages["forest"].table("forest.rows").records() if row["variable"] == "stage"]
    assert [row["level"] for row in rows] == ["I", "II", "III", NOT_KNOWN]
    assert sum(int(row["n"]) for row in rows) == 500
    assert rows[-1]["n"] == int(of.frame["stage"].isna().sum())
    assert rows[-1]["hazard_ratio"] is not None
    assert rows[-1]["shrunken"] is None
