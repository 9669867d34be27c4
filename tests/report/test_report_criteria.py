"""The sections about criteria: contributions sorted around zero, the frontier, prices, and what is said when none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.criteria.test_impact import OBSERVED, cohort_of, other_outcome, protocol
from tests.unit.criteria.test_search import studied
from trialstrat.criteria.impact import impact_study
from trialstrat.criteria.search_study import search_study
from trialstrat.disclosure import protect
from trialstrat.report.build import build_report
from trialstrat.report.context import Context
from trialstrat.report.model import RunRecord
from trialstrat.report.page import Figure, TableView
from trialstrat.report.render import render
from trialstrat.report.sections import impact as impact_section
from trialstrat.report.sections import search as search_section
from trialstrat.results import StageResult

STUDY = {
    "id": "made",
    "title": "Made",
    "question": "?",
    "arms": [{"name": "control", "label": "", "control": True}, {"name": "drug", "label": "Drug", "control": False}],
    "allocation": "observational",
    "endpoint": {"label": "Overall survival", "unit": "months", "horizon": 12},
    "minimum_cell": 11,
}


def context(*stages: StageResult) -> Context:
    return Context(RunRecord(study=STUDY, stages={stage.stage: stage for stage in stages}))


@pytest.fixture(scope="module")
def results() -> tuple[StageResult, StageResult]:
    made, judged = cohort_of(protocol(**OBSERVED, disclosure={"minimum_cell": 11}))
    found = impact_study(made, judged, horizon=12.0, rng=np.random.default_rng(1))
    assert found is not None
    made, written, frame, impact = studied()
    searched = search_study(made, written, frame, impact.compared[0], rng=np.random.default_rng(2))
    return protect(found.result, 11), protect(searched, 11)


def test_contributions_are_drawn_sorted_with_a_line_at_zero(results):
    section = impact_section.build(context(*results))
    assert section is not None
    figure = next(block for block in section.blocks if isinstance(block, Figure))
    assert figure.title == "1 of 3 criteria contribute beyond sampling error"
    names = [word.split(":")[0] for word in figure.description.split("; ")]
    assert names[0] == "M"
    assert section.lead.startswith(f"{figure.title}; by sign M")
    assert "held out the hazard ratio under criteria so chosen is" in section.lead
    assert "improves the effect" in str(figure.panels[0].chart)
    tables = {block.key for block in section.blocks if isinstance(block, TableView)}
    assert {"impact-price", "impact-scenarios", "impact-balance"} <= tables


def test_the_frontier_names_what_is_and_what_is_proposed(results):
    section = search_section.build(context(*results))
    assert section is not None
    figure = next(block for block in section.blocks if isinstance(block, Figure))
    assert "As written" in figure.description
    assert "Proposed" in figure.description
    assert "held out" in section.lead
    chart = str(figure.panels[0].chart)
    assert "As written" in chart
    assert "p0001" not in chart  # no patient


def test_the_page_holds_both_and_no_patient(results):
    html = render(build_report(RunRecord(study=STUDY, stages={stage.stage: stage for stage in results})))
    assert "Impact of each criterion" in html
    assert "Search for better criteria" in html
    assert "p0001" not in html


def test_what_was_not_done_is_said(results):
    silent = StageResult(stage="search", facts={"reason": "no criterion can be changed"})
    section = search_section.build(context(silent))
    assert section is not None
    assert section.lead == "Nothing was searched: no criterion can be changed."
    withheld = replace(results[0], facts={**results[0].facts, "benchmark_agrees": "no", "benchmark": "it disagrees"})
    told = impact_section.build(context(withheld))
    assert told is not None
    assert "not ranked" in told.lead
    assert "It disagrees." in str(told.blocks)


def test_direction_and_names_are_those_of_the_endpoint():
    """A response that is favourable: to the right the effect is better, and odds ratios are called so."""
    made, judged = other_outcome("binary")
    impact = impact_study(made, judged, horizon=None, rng=np.random.default_rng(1))
    assert impact is not None
    told = {**STUDY, "endpoint": {"label": "Response", "kind": "binary"}}
    record = RunRecord(study=told, stages={"impact": impact.result})
    section = impact_section.build(Context(record))
    assert section is not None
    figure = next(block for block in section.blocks if isinstance(block, Figure))
    chart = str(figure.panels[0].chart)
    assert "← worsens the effect" in chart
    assert "Contribution to the log odds ratio" in chart
    assert "the odds ratio under criteria so chosen is" in section.lead
    assert "Above 0 in the figure" in str(section.blocks[0])
    assert "hazard" not in chart


def test_the_search_names_the_effect_of_the_endpoint(results):
    told = {**STUDY, "endpoint": {"label": "Response", "kind": "binary"}}
    found = results[1]
    renamed = tuple(replace(entry, name=entry.name.replace("hazard_ratio", "odds_ratio")) for entry in found.estimates)
    section = search_section.build(Context(RunRecord(study=told, stages={"search": replace(found, estimates=renamed)})))
    assert section is not None
    assert "with an odds ratio of" in section.lead
    figure = next(block for block in section.blocks if isinstance(block, Figure))
    assert "Odds ratio (log scale)" in str(figure.panels[0].chart)
