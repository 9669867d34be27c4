"""Sections on heterogeneity, the predictive rule and predicted benefit: what they say, and how they say nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.synthetic import cohort, trial
from trialstrat.disclosure import protect
from trialstrat.report.build import build_report
from trialstrat.report.context import Context
from trialstrat.report.model import RunRecord
from trialstrat.report.page import Figure, Notice, TableView
from trialstrat.report.sections import benefit, heterogeneity, rule
from trialstrat.results import Cell, Column, Estimate, Finding, StageResult, Table
from trialstrat.subgroups.marker_study import marker_study

ARMS = ({"name": "ctrl", "label": "Control", "control": True}, {"name": "t1", "label": "Drug 1"})
STUDY = {
    "id": "s",
    "title": "S",
    "question": "q",
    "arms": ARMS,
    "endpoint": {"label": "Progression-free survival", "unit": "months", "horizon": 24},
}


@pytest.fixture(scope="module")
def studied() -> dict[str, StageResult]:
    study = cohort(trial(n=400, interaction=2.5, seed=3))
    return {result.stage: protect(result, 5) for result in marker_study(study, rng=np.random.default_rng(1))}


def context(stages: dict[str, StageResult]) -> Context:
    return Context(RunRecord(study=STUDY, stages=stages))


def text_of(view: TableView) -> str:
    return " | ".join(cell.text for row in view.rows for cell in row.cells)


def test_heterogeneity_leads_with_the_global_test_and_the_strongest_marker(studied: dict[str, StageResult]) -> None:
    p = Estimate(
        name="heterogeneity.global.p",
        label="Any",
        value=0.003,
        unit="p",
        method="m",
        null_hypothesis="the effect is one",
    )
    section = heterogeneity.build(
        context({**studied, "heterogeneity": StageResult(stage="heterogeneity", estimates=(p,))})
    )
    assert section is not None
    assert section.lead.startswith("The effect of treatment differs between patients (global test, p 0.003).")
    assert "changes most with marker" in section.lead
    keys = [block.key for block in section.blocks if isinstance(block, (TableView, Figure))]
    assert keys[:2] == ["global-test", "screen"]
    assert {"cutpoints", "curve-marker-t1-vs-ctrl", "curves", "stepp", "forest", "forest-table"} <= set(keys)
    none = heterogeneity.build(
        context({"heterogeneity": StageResult(stage="heterogeneity", estimates=(replace(p, value=0.4),))})
    )
    assert none is not None
    assert "is not shown to differ" in none.lead


def test_curves_and_forest_read_aloud_what_they_show(studied: dict[str, StageResult]) -> None:
    section = heterogeneity.build(context(studied))
    assert section is not None
    figures = {block.key: block for block in section.blocks if isinstance(block, Figure)}
    curve = figures["curve-marker-t1-vs-ctrl"]
    assert curve.title.startswith("The effect changes with marker")
    assert len(curve.panels) == 2
    assert "Hazard ratio: " in curve.description
    assert "at the high end" in curve.description
    forest = figures["forest"]
    assert "Stage: II" in forest.description
    assert "All patients" in forest.description


def test_refused_screen_says_so_in_the_lead() -> None:
    finding = Finding(code="W-SCREEN-EVENTS", severity="warning", message="fewer than 10 events in an arm")
    stage = StageResult(stage="screen", findings=(finding,), facts={"refused": "fewer than 10 events in an arm"})
    section = heterogeneity.build(context({"screen": stage}))
    assert section is not None
    assert section.lead == "Heterogeneity was not studied: fewer than 10 events in an arm."
    assert sum(isinstance(block, Notice) for block in section.blocks) == 2
    assert heterogeneity.build(context({})) is None


def effects(claimed: str = "yes", sentence: str = "") -> StageResult:
    """A rule with its three estimates on two scales."""
    columns = (
        *(Column(key=key, label=key) for key in ("set", "kind", "scale")),
        *(Column(key=key, label=key, kind="effect") for key in ("value", "lower", "upper")),
        *(Column(key=key, label=key, kind="count") for key in ("n", "events", "n_control", "n_treated")),
    )
    rows: list[tuple[Cell, ...]] = [
        (part, kind, scale, value, value * 0.5 if scale == "hazard_ratio" else value - 2, value * 2, 82, 45, 56, 26)
        for scale, base in (("hazard_ratio", 1.95), ("rmst_difference", 6.0))
        for part in ("complement", "rule", "interaction")
        for kind, value in (("shrunken", base * 0.7), ("naive", base), ("corrected", base * 0.8))
    ]
    made = Table(name="rule.effects", title="t", columns=columns, rows=tuple(rows), note="Population: all.")
    estimate = Estimate(
        name="subgroups.rule.1.hazard_ratio.corrected",
        label="l",
        value=1.58,
        lower=0.86,
        upper=2.9,
        unit="hazard ratio",
    )
    return StageResult(
        stage="rule",
        estimates=(estimate,),
        tables=(made,),
        facts={"claimed": claimed, "rule_text": "receptor = 0", "sentence": sentence},
    )


def test_a_naive_ratio_never_stands_alone() -> None:
    section = rule.build(context({"rule": effects()}))
    assert section is not None
    assert section.lead == (
        "The effect of treatment differs by a rule: receptor = 0; corrected hazard ratio inside 1.58 (0.86 to 2.90)."
    )
    table = next(
        block for block in section.blocks if isinstance(block, TableView) and block.key == "rule-effects-table"
    )
    heads = [head.text for head in table.heads[0]]
    assert [name.split(" ")[0] for name in heads[-3:]] == ["Naive", "Corrected", "Shrunken"]
    first = table.rows[1]
    assert first.cells[0].text == "Inside the rule"
    assert [cell.text.split(" ")[0] for cell in first.cells[-3:]] == ["1.95", "1.56", "1.36"]
    figure = next(block for block in section.blocks if isinstance(block, Figure))
    assert "naive" in figure.description
    assert "corrected for the search" in figure.description


def test_no_rule_is_a_result() -> None:
    section = rule.build(context({"rule": effects(claimed="no")}))
    assert section is not None
    assert section.lead == "No rule is supported: treat as one population."
    figure = next(block for block in section.blocks if isinstance(block, Figure))
    assert figure.title == "No rule is supported; the best one found: receptor = 0"
    own = rule.build(context({"rule": effects(claimed="no", sentence="no rule is supported by these data")}))
    assert own is not None
    assert own.lead == "No rule is supported by these data."


def test_benefit_that_could_not_be_predicted() -> None:
    stage = StageResult(stage="benefit", facts={"refused": "Drug 1 vs Control: benefit is predicted from 40 events on"})
    section = benefit.build(context({"benefit": stage}))
    assert section is not None
    assert section.lead.startswith("Individual benefit was not predicted")
    assert "40 events" in section.lead
    assert benefit.build(context({})) is None


def test_the_sections_stand_in_the_report_in_their_order(record: RunRecord, studied: dict[str, StageResult]) -> None:
    stages = {**record.stages, **studied, "rule": effects()}
    page = build_report(replace(record, stages=stages))
    keys = [section.key for section in page.sections]
    assert keys.index("primary") < keys.index("heterogeneity") < keys.index("rule") < keys.index("criteria")
    assert not {"screen", "curves", "forest", "cutpoints"} & set(keys)


def test_several_comparisons_lead_with_the_adjusted_p() -> None:
    shared = {"label": "Any", "unit": "p", "method": "m"}
    tests = [
        Estimate(
            name=f"heterogeneity.global.{kind}.t{k}_vs_ctrl", value=value, population=f"Drug {k} vs Control", **shared
        )
        for k, kind, value in ((1, "p", 0.01), (1, "adjusted_p", 0.02), (2, "p", 0.6), (2, "adjusted_p", 0.6))
    ]
    section = heterogeneity.build(
        context({"heterogeneity": StageResult(stage="heterogeneity", estimates=tuple(tests))})
    )
    assert section is not None
    assert section.lead == (
        "The effect of treatment differs between patients (Drug 1 vs Control) (smallest global p, adjusted for 2 "
        "comparisons 0.020)."
    )
    table = next(block for block in section.blocks if isinstance(block, TableView))
    assert "Any, Drug 2 vs Control" in text_of(table)
