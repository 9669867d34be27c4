"""Stage "primary": every shape of study, and what each may and may not be asked."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from lifelines import CoxPHFitter
from lifelines.statistics import logrank_test

from tests.helpers.cohorts import gbsg2_cohort
from tests.helpers.synthetic import cohort, trial
from trialstrat.disclosure import protect
from trialstrat.results import StageResult
from trialstrat.subgroups.primary import primary_analysis


def names(result: StageResult) -> set[str]:
    return {entry.name for entry in result.estimates}


def tables(result: StageResult) -> set[str]:
    return {table.name for table in result.tables}


@pytest.fixture(scope="module")
def gbsg2() -> StageResult:
    return primary_analysis(gbsg2_cohort(analysis={"adjust_for": ["age", "tgrade", "pnodes"]}))


def test_gbsg2_numbers(gbsg2: StageResult) -> None:
    ratio = gbsg2.estimate("primary.cox.hazard_ratio.yes_vs_no")
    assert (ratio.value, ratio.lower, ratio.upper) == pytest.approx((0.695, 0.544, 0.888), abs=5e-4)
    assert (ratio.n, ratio.events) == (686, 299)
    assert gbsg2.estimate("primary.logrank.p.yes_vs_no").value == pytest.approx(0.0034273, abs=1e-6)
    assert gbsg2.facts["leading"] == "cox"
    assert (gbsg2.facts["unit"], gbsg2.facts["horizon"]) == ("years", "5")
    assert gbsg2.facts["question_not_asked"] == ""
    assert (gbsg2.facts["control"], gbsg2.facts["treatment"]) == ("no", "yes")
    assert gbsg2.estimate("primary.rmst.difference.yes_vs_no").unit == "years"


def test_the_contract_of_a_two_arm_trial(gbsg2: StageResult) -> None:
    pair = "yes_vs_no"
    wanted = {f"primary.{x}.{arm}" for x in ("km.median", "rmst", "milestone") for arm in ("no", "yes")}
    wanted |= {f"primary.{x}.{pair}" for x in ("logrank.p", "cox.hazard_ratio", "cox.p", "ph.p", "rmst.difference")}
    wanted |= {f"primary.{x}.{pair}" for x in ("rmst.p", "milestone.difference", "cox.adjusted_hazard_ratio")}
    assert wanted <= names(gbsg2)
    assert tables(gbsg2) == {f"primary.{x}" for x in ("km", "at_risk", "censoring", "ph_test", "adjusted")}
    for entry in gbsg2.estimates:
        if entry.unit == "p":
            assert entry.null_hypothesis
            assert entry.method
        assert entry.n is not None


def test_curves_count_everybody_once(gbsg2: StageResult) -> None:
    km, risk, ticks = (gbsg2.table(f"primary.{x}").records() for x in ("km", "at_risk", "censoring"))
    for arm, n, events in (("no", 440, 205), ("yes", 246, 94)):
        mine = [row for row in km if row["arm"] == arm]
        assert (mine[0]["time"], mine[0]["survival"], mine[0]["at_risk"]) == (0.0, 1.0, n)
        assert sum(row["events_since"] for row in mine) == events
        assert sum(row["censored_since"] for row in mine) == n - events
        assert sum(row["count"] for row in ticks if row["arm"] == arm) == n - events
        assert all(a["survival"] >= b["survival"] for a, b in itertools.pairwise(mine))
        under = [row for row in risk if row["arm"] == arm]
        assert [row["time"] for row in under] == [float(t) for t in range(len(under))]  # whole years
        assert all(row["at_risk"] + row["events"] + row["censored"] == n for row in under)


def test_small_cells_are_protected(gbsg2: StageResult) -> None:
    published = protect(gbsg2, 11)
    assert "at_risk" not in [column.key for column in published.table("primary.km").columns]
    last = published.table("primary.at_risk").records()[-1]
    assert last["at_risk"] == "<11"
    assert published.estimate("primary.cox.hazard_ratio.yes_vs_no").status == "ok"


def test_adjusted_effect_is_that_of_another_implementation(gbsg2: StageResult) -> None:
    import pandas as pd

    frame = gbsg2_cohort().frame
    data = pd.DataFrame({"age": frame["age"], "pnodes": frame["pnodes"]})
    for level in ("II", "III"):
        data[level] = (frame["tgrade"] == level).astype(float)
    source = gbsg2_cohort()
    data["yes"] = (source.arm == "yes").astype(float)
    data["t"], data["e"] = source.outcome.time, source.outcome.event
    other = CoxPHFitter().fit(data, "t", "e", fit_options={"precision": 1e-12}).summary
    records = {row["term"]: row for row in gbsg2.table("primary.adjusted").records()}
    for term, column in (("yes", "yes"), ("age", "age"), ("tgrade=III", "III")):
        assert records[term]["hazard_ratio"] == pytest.approx(other.loc[column, "exp(coef)"], rel=1e-6)
        assert records[term]["p"] == pytest.approx(other.loc[column, "p"], rel=1e-4)
    found = gbsg2.estimate("primary.cox.adjusted_hazard_ratio.yes_vs_no")
    assert found.value == records["yes"]["hazard_ratio"]


def test_adjustment_with_too_few_events_is_refused_with_the_number() -> None:
    source = trial(n=70, seed=3)
    source.event[np.flatnonzero(source.event)[18:]] = 0
    result = primary_analysis(cohort(source, analysis={"adjust_for": ["stage", "site", "marker"], "minimum_events": 2}))
    found = result.estimate("primary.cox.adjusted_hazard_ratio.t1_vs_ctrl")
    assert found.status == "not_estimable"
    assert "at least 25 are needed" in found.reason
    assert "primary.adjusted" not in tables(result)


def test_strata_enter_the_analysis() -> None:
    source = trial(seed=4)
    plain = primary_analysis(cohort(source))
    strata = primary_analysis(cohort(source, strata=True, arms={"strata": ["site"]}))
    for name in ("primary.cox.hazard_ratio.t1_vs_ctrl", "primary.logrank.p.t1_vs_ctrl"):
        assert "tratified" in strata.estimate(name).method
        assert strata.estimate(name).value != plain.estimate(name).value
    assert strata.facts["strata"] == "site"
    import pandas as pd

    frame = pd.DataFrame({"t": source.time, "e": source.event, "x": source.treated, "site": source.site})
    other = CoxPHFitter().fit(frame, "t", "e", strata=["site"], fit_options={"precision": 1e-12})
    assert strata.estimate("primary.cox.hazard_ratio.t1_vs_ctrl").value == pytest.approx(np.exp(other.params_["x"]))


@pytest.mark.parametrize(("declared", "extra"), [("rmst", set()), ("maxcombo", {"primary.maxcombo.p.t1_vs_ctrl"})])
def test_when_hazards_are_not_proportional_the_analysis_changes(declared: str, extra: set[str]) -> None:
    result = primary_analysis(cohort(trial(n=500, crossing=True), analysis={"non_proportional": declared}))
    assert result.estimate("primary.ph.p.t1_vs_ctrl").value < 0.05
    assert result.facts["leading"] == declared
    assert extra <= names(result)
    assert ("primary.maxcombo.p.t1_vs_ctrl" in names(result)) == bool(extra)
    assert [finding.code for finding in result.findings] == ["I-PRIMARY-PH"]


def test_three_arms_are_each_compared_with_the_control() -> None:
    source = trial(n=600, log_hr=(-0.6, 0.0), seed=9)
    result = primary_analysis(cohort(source, treatments=2))
    p = [result.estimate(f"primary.logrank.p.t{k}_vs_ctrl").value for k in (1, 2)]
    holm = [result.estimate(f"primary.logrank.adjusted_p.t{k}_vs_ctrl").value for k in (1, 2)]
    assert holm == pytest.approx([2 * p[0], p[1]] if p[0] < p[1] else [p[0], 2 * p[1]])
    rows = source.arm != "t2"
    other = logrank_test(
        source.time[rows & (source.treated == 1)],
        source.time[rows & (source.treated == 0)],
        source.event[rows & (source.treated == 1)],
        source.event[rows & (source.treated == 0)],
    )
    assert p[0] == pytest.approx(other.p_value)
    assert result.estimate("primary.cox.hazard_ratio.t1_vs_ctrl").value < 1
    assert "primary.logrank.p.all" in names(result)
    assert result.facts["treatment"] == "t1"
    assert {row["arm"] for row in result.table("primary.km").records()} == {"ctrl", "t1", "t2"}


def test_no_arms_and_one_arm_are_described_not_compared() -> None:
    source = trial(n=200)
    none = primary_analysis(cohort(source, arms=None))
    assert "No arms" in none.facts["question_not_asked"]
    assert none.facts["leading"] == "none"
    assert names(none) == {"primary.km.median.all", "primary.rmst.all", "primary.milestone.all"}
    assert tables(none) == {"primary.km", "primary.at_risk", "primary.censoring"}

    source.arm[:] = "t1"
    levels = [{"name": "t1", "value": "t1", "label": "Drug 1"}]
    one = primary_analysis(cohort(source, arms={"levels": levels}))
    assert "single arm" in one.facts["question_not_asked"]
    assert "primary.km.median.t1" in names(one)
    assert not any("_vs_" in name for name in names(one))


def test_a_declared_arm_without_patients() -> None:
    source = trial(n=100)
    source.arm[:] = "ctrl"
    result = primary_analysis(cohort(source))
    assert "no effect can be asked" in result.facts["question_not_asked"]
    assert (result.facts["control"], result.facts["treatment"]) == ("", "")


def test_too_few_events_refuse_every_effect_and_every_p() -> None:
    source = trial(n=120)
    source.event[np.flatnonzero((source.event == 1) & (source.treated == 1))[5:]] = 0
    result = primary_analysis(cohort(source))
    for entry in result.estimates:
        if "_vs_" in entry.name:
            assert entry.status == "not_estimable", entry.name
            assert "10 per arm" in entry.reason
    assert result.facts["leading"] == "none"


# -- arms that were not randomised -----------------------------------------------------------------------------------


def confounded(n: int = 1500, seed: int = 2):
    """Treatment without effect, given more often to those with a low marker, who do better."""
    source = trial(n=n, log_hr=(0.0,), prognosis=2.0, seed=seed)
    rng = np.random.default_rng(seed + 1000)
    source.arm[:] = np.where(rng.uniform(size=n) < 1 / (1 + np.exp(4 * (source.marker - 0.5))), "t1", "ctrl")
    return source


def test_observational_arms_without_confounders_are_refused() -> None:
    result = primary_analysis(cohort(confounded(300), arms={"allocation": "observational"}))
    assert [finding.code for finding in result.findings] == ["W-PRIMARY-CONFOUNDERS"]
    assert "not randomised" in result.facts["question_not_asked"]
    assert not any("_vs_" in name for name in names(result))
    assert "primary.km" in tables(result)


def test_observational_arms_are_weighted() -> None:
    source = confounded()
    arms = {"allocation": "observational", "confounders": ["marker", "stage", "site"]}
    result = primary_analysis(cohort(source, arms=arms))
    plain = result.estimate("primary.cox.hazard_ratio.t1_vs_ctrl")
    weighted = result.estimate("primary.weighted.hazard_ratio.t1_vs_ctrl")
    assert plain.label.startswith("Unadjusted: hazard ratio")
    assert plain.upper < 1  # confounding makes a treatment without effect look good
    assert weighted.lower < 1 < weighted.upper
    assert "overlap" in weighted.population
    for row in result.table("primary.balance").records():
        assert abs(row["after"]) < 1e-6  # overlap weights balance the model's terms exactly
    assert max(abs(row["before"]) for row in result.table("primary.balance").records()) > 0.5
    assert result.estimate("primary.weighted.e_value_limit.t1_vs_ctrl").value == 1.0
    control = result.estimate("primary.weighted.ess.t1_vs_ctrl.ctrl")
    assert 0 < control.value < control.n
    overlap = result.table("primary.overlap").records()
    assert sum(row["count"] for row in overlap) == source.time.size
    assert {f"primary.weighted.{x}.t1_vs_ctrl" for x in ("rmst.difference", "milestone.difference")} <= names(result)


def test_unknown_confounders_are_counted_and_separation_is_refused() -> None:
    source = confounded(400)
    source.marker[:7] = np.nan
    arms = {"allocation": "observational", "confounders": ["marker"]}
    result = primary_analysis(cohort(source, arms=arms))
    finding = next(entry for entry in result.findings if entry.code == "W-PRIMARY-CONFOUNDER-MISSING")
    assert (finding.bad, finding.total) == (7, 400)
    source.site[:] = np.where(source.arm == "t1", "a", "b")
    refused = primary_analysis(cohort(source, arms={"allocation": "observational", "confounders": ["site"]}))
    found = refused.estimate("primary.weighted.hazard_ratio.t1_vs_ctrl")
    assert found.status == "not_estimable"
    assert "propensity" in found.reason


# -- other endpoints -------------------------------------------------------------------------------------------------


def test_competing_endpoint() -> None:
    source = trial(n=600, causes=2, seed=6)
    event = {"column": "event", "causes": {"relapse": 1, "death": 2}, "censored": [0]}
    result = primary_analysis(cohort(source, endpoint={"kind": "competing", "event": event}))
    assert "cause-specific" in result.estimate("primary.cox.hazard_ratio.t1_vs_ctrl").label.lower()
    assert {f"primary.{x}.t1_vs_ctrl" for x in ("fine_gray.hazard_ratio", "gray.p", "cif.difference")} <= names(result)
    assert not any("milestone" in name for name in names(result))  # event-free is not what is compared here
    incidence = {arm: result.estimate(f"primary.cif.{arm}").value for arm in ("ctrl", "t1")}
    difference = result.estimate("primary.cif.difference.t1_vs_ctrl")
    assert difference.value == pytest.approx(incidence["t1"] - incidence["ctrl"])
    assert difference.events == int((source.event == 1).sum())
    cif = result.table("primary.cif").records()
    assert cif[0]["incidence"] == 0.0
    # at the horizon incidence of the cause and event-free share leave room for the other cause
    km = [row for row in result.table("primary.km").records() if row["arm"] == "t1" and row["time"] <= 24]
    assert incidence["t1"] + km[-1]["survival"] < 0.95
    assert "incidence" in [column.key for column in protect(result, 11).table("primary.cif").columns]


def test_binary_endpoint() -> None:
    source = trial(n=300, seed=12)
    endpoint = {"kind": "binary", "value": "response", "positive": [1], "negative_values": [0], "unit": None}
    result = primary_analysis(cohort(source, endpoint={**endpoint, "time": None, "event": None, "horizon": None}))
    risk = {arm: result.estimate(f"primary.risk.{arm}").value for arm in ("ctrl", "t1")}
    assert risk["t1"] == source.event[source.treated == 1].mean()
    difference = result.estimate("primary.risk_difference.t1_vs_ctrl")
    assert difference.value == pytest.approx(risk["t1"] - risk["ctrl"])
    assert "Newcombe" in difference.method
    assert result.estimate("primary.odds_ratio.t1_vs_ctrl").status == "ok"
    assert result.tables == ()
    assert result.facts["leading"] == "none"


def test_continuous_endpoint() -> None:
    source = trial(n=200, seed=13)
    value = np.random.default_rng(0).normal(10, 2, 200) + 1.5 * source.treated
    endpoint = {"kind": "continuous", "value": "score", "unit": None, "time": None, "event": None, "horizon": None}
    result = primary_analysis(cohort(source, value=value, endpoint=endpoint, analysis={"adjust_for": ["marker"]}))
    difference = result.estimate("primary.mean_difference.t1_vs_ctrl")
    assert difference.lower < 1.5 < difference.upper
    assert difference.events is None
    assert [finding.code for finding in result.findings] == ["W-PRIMARY-ADJUST"]


def test_delayed_entry_is_respected() -> None:
    from dataclasses import replace

    source = trial(n=400, seed=20)
    base = cohort(source)
    entry = np.random.default_rng(1).uniform(0, 0.4, 400) * source.time
    late = replace(base, outcomes={"pfs": replace(base.outcome, entry=entry)})
    plain, result = primary_analysis(base), primary_analysis(late)
    name = "primary.cox.hazard_ratio.t1_vs_ctrl"
    assert result.estimate(name).value != plain.estimate(name).value
    assert result.estimate("primary.rmst.ctrl").status == "ok"


def test_horizon_that_is_not_declared_is_chosen_and_said() -> None:
    result = primary_analysis(cohort(trial(n=300), endpoint={"horizon": None}))
    assert result.facts["horizon_declared"] == "no"
    assert float(result.facts["horizon"]) > 0
    assert result.estimate("primary.rmst.difference.t1_vs_ctrl").status == "ok"


def test_display_unit_scales_times_only() -> None:
    source = trial(n=300, seed=15)
    months = primary_analysis(cohort(source))
    years = primary_analysis(cohort(source, endpoint={"display_unit": "years"}))
    pair = "t1_vs_ctrl"
    assert years.facts["horizon"] == "2"
    assert years.estimate(f"primary.rmst.difference.{pair}").value == pytest.approx(
        months.estimate(f"primary.rmst.difference.{pair}").value / 12
    )
    assert years.estimate(f"primary.cox.hazard_ratio.{pair}").value == pytest.approx(
        months.estimate(f"primary.cox.hazard_ratio.{pair}").value, rel=1e-9
    )
