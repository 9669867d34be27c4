"""What the page says: every combination of stages, what cannot be estimated, what is hidden."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fixture_models import single_arm_primary
from fixture_record import STUDY
from page_tree import Node, Page

from tests.helpers.synthetic import cohort, trial
from trialstrat.report.build import build_report
from trialstrat.report.context import Context
from trialstrat.report.criteria_text import criteria_text
from trialstrat.report.model import RunRecord
from trialstrat.report.page import Figure, ReportPage, Stats, TableView
from trialstrat.report.render import render
from trialstrat.report.sections import effects, factors, primary
from trialstrat.report.sentences import certainty, effect, more_or_fewer, whom
from trialstrat.results import Column, Estimate, Finding, StageResult, Table
from trialstrat.subgroups.primary import primary_analysis
from trialstrat.subgroups.prognostic import prognostic_study


def added(record: RunRecord, stage: str, *estimates: Estimate) -> RunRecord:
    """The record with more estimates in a stage."""
    old = record.stages[stage]
    return replace(record, stages={**record.stages, stage: replace(old, estimates=(*old.estimates, *estimates))})


def without(record: RunRecord, *names: str) -> RunRecord:
    return replace(record, stages={name: stage for name, stage in record.stages.items() if name not in names})


def facts(record: RunRecord, stage: str, **values: str) -> RunRecord:
    old = record.stages[stage]
    return replace(record, stages={**record.stages, stage: replace(old, facts={**old.facts, **values})})


def study(record: RunRecord, **values: Any) -> RunRecord:
    return replace(record, study={**record.study, **values})


def table_by_caption(page: Page, caption: str) -> Node:
    return next(t for t in page.all("table") if t.all("caption")[0].text().startswith(caption))


def blocks(page: ReportPage, kind: type) -> list[Any]:
    return [block for section in page.sections for block in section.blocks if isinstance(block, kind)]


def test_the_answer_of_the_full_record(record: RunRecord) -> None:
    context = Context(record)
    assert whom(context) == (
        "For more events per patient, enrol patients with positive lymph nodes 4 or more and progesterone receptor at "
        "most 100 fmol/mg (33% of this cohort): 66 of 100 have an event within 60 months, against 41 of 100 among the "
        "others."
    )
    assert effect(context) == (
        "Of 100 patients, 58 with hormone therapy and 44 with no hormone therapy were event-free at 60 months "
        "(recurrence-free survival): 14 more (95% interval 6 to 23)."
    )
    assert certainty(context) == (
        "The data are compatible with a 46% lower hazard to an 11% lower hazard at any time (hazard ratio 0.69 (0.54 "
        "to 0.89), 95% interval). The analysis is exploratory: confirm it in other patients before acting on it."
    )


def test_randomised_and_confirmatory_words(record: RunRecord) -> None:
    context = Context(replace(study(record, allocation="randomised"), evidence="confirmatory"))
    assert "are expected to be event-free" in effect(context)
    assert certainty(context).endswith("declared before the outcomes were read.")


@pytest.mark.parametrize(
    ("value", "lower", "upper", "expected"),
    [
        (0.08, 0.01, 0.15, "8 more (95% interval 1 to 15)"),
        (0.04, -0.06, 0.14, "4 more (95% interval 6 fewer to 14 more)"),
        (-0.05, -0.12, -0.01, "5 fewer (95% interval 1 to 12)"),
        (-0.05, -0.12, 0.03, "5 fewer (95% interval 3 more to 12 fewer)"),
    ],
)
def test_more_or_fewer(value: float, lower: float, upper: float, expected: str) -> None:
    found = Estimate(name="x", label="x", value=value, lower=lower, upper=upper)
    assert more_or_fewer(found) == expected


def test_arms_that_were_not_randomised_lead_with_the_weighted_effect(record: RunRecord) -> None:
    shared: dict[str, Any] = {"label": "w", "n": 686, "events": 299}
    name = "primary.weighted.hazard_ratio.yes_vs_no"
    ratio = Estimate(name=name, value=0.8, lower=0.6, upper=1.1, unit="hazard ratio", **shared)
    name = "primary.weighted.milestone.difference.yes_vs_no"
    gain = Estimate(name=name, value=0.1, lower=-0.02, upper=0.22, unit="probability", **shared)
    context = Context(added(record, "primary", ratio, gain))
    assert certainty(context).startswith("Weighted for what decided treatment, the data are compatible with a 40%")
    assert "a 10% higher hazard" in certainty(context)
    assert "weighted for what decided treatment, 10 more (95% interval 2 fewer to 22 more)" in effect(context)


def test_non_proportional_hazards_lead_with_time(record: RunRecord) -> None:
    text = certainty(Context(facts(record, "primary", leading="rmst")))
    assert text.startswith("The hazards are not proportional, so the mean time event-free up to 60 months leads")
    assert "months gained" in text


def test_no_rule_is_a_result(record: RunRecord) -> None:
    none = facts(record, "criteria", status="none", rule_text="", reason="No rule selects enough patients")
    context = Context(none)
    assert whom(context) == (
        "No enrichment rule is supported: no rule selects enough patients. Enrol all patients who are eligible as "
        "written."
    )
    page = build_report(none)
    assert page.cover.figure is not None
    assert len(page.cover.figure.panels) == 1
    assert page.cover.cards[0].lines[0] == "All patients who are eligible as written."
    assert "proposed" not in criteria_text(context)


def test_criteria_text_numbers_what_a_protocol_would(record: RunRecord) -> None:
    assert criteria_text(Context(record)).splitlines() == [
        "Inclusion criteria",
        "1. Primary breast cancer with at least one positive node",
        "2. Age 21 to 80 years",
        "3. Positive lymph nodes 4 or more (proposed: prognostic enrichment)",
        "4. Progesterone receptor at most 100 fmol/mg (proposed: prognostic enrichment)",
        "Exclusion criteria",
        "1. Distant metastasis at surgery (not recorded)",
    ]


@pytest.mark.parametrize(
    "gone",
    [
        ("cohort",),
        ("baseline",),
        ("primary",),
        ("models", "risk_groups", "criteria"),
        ("criteria",),
        ("cohort", "baseline", "primary", "models", "risk_groups", "criteria"),
    ],
)
def test_missing_stages_leave_no_trace(record: RunRecord, gone: tuple[str, ...]) -> None:
    page = build_report(without(record, *gone))
    keys = {section.key.replace("-", "_") for section in page.sections}
    assert not keys & {{"cohort": "flow", "models": "risk_model"}.get(name, name) for name in gone}
    assert {"methods", "checklists", "provenance", "glossary"} <= keys
    assert all(answer.text for answer in page.cover.answers)
    assert Page(render(page)).misnested == []


def test_a_cohort_without_arms_says_what_cannot_be_asked(record: RunRecord) -> None:
    stages = {**without(record, "criteria", "risk_groups").stages, "primary": single_arm_primary()}
    single = study(replace(record, stages=stages), arms=[], allocation="")
    context = Context(single)
    text = effect(context)
    assert text.startswith("Of 100 patients, 49 were event-free at 60 months")
    assert text.endswith(
        "No effect of treatment can be estimated: the cohort has a single arm: no effect of treatment can be asked of "
        "it."
    )
    page = build_report(single)
    primary = next(section for section in page.sections if section.key == "primary")
    assert primary.lead.startswith("No effect of treatment is estimated")
    html = Page(render(page))
    assert "Any effect of treatment: there is no comparison" in html.visible_text()
    assert table_by_caption(html, "Outcome by arm").all("tbody")[0].all("th")[0].text() == "All patients"


def test_several_arms_have_a_block_each(record: RunRecord) -> None:
    arms = [*STUDY["arms"], {"name": "high", "label": "High dose", "control": False}]
    extra = [
        replace(e, name=e.name.replace("yes_vs_no", "high_vs_no"))
        for e in record.stages["primary"].estimates
        if e.name.endswith("yes_vs_no")
    ]
    three = study(added(record, "primary", *extra), arms=arms)
    table = next(t for t in blocks(build_report(three), TableView) if t.key == "effects")
    dividers = [row.cells[0].text for row in table.rows if row.divider]
    assert dividers == [
        "Hormone therapy against no hormone therapy",
        "High dose against no hormone therapy",
    ]


def test_what_cannot_be_estimated_is_a_dash_with_its_reason(page: Page) -> None:
    table = table_by_caption(page, "The effect of treatment")
    row = next(r for r in table.all("tr") if r.text().strip().startswith("MaxCombo"))
    cell = next(td for td in row.all("td") if td.get("title"))
    assert cell.text() == "–a"
    assert cell.all("sup")[0].text() == "a"
    assert cell.get("title") == "declared for non-proportional hazards only"
    box = next(n for n in page.root.walk() if n.get("id") == "table-effects")
    assert box.all("ul", "footnotes")[0].text().strip() == "a Declared for non-proportional hazards only."


def test_no_cell_of_a_number_is_left_without_dash_or_reason(page: Page) -> None:
    allowed = {"table-table-one", "table-effects"}
    for box in page.all("div", "table-box"):
        for cell in box.all("td"):
            if "num" in cell.get("class") and box.get("id") not in allowed:
                assert cell.text().strip(), box.get("id")


def test_hidden_counts_are_shown_as_they_were_hidden(record: RunRecord) -> None:
    old = record.stages["cohort"]
    attrition = old.table("cohort.attrition")
    rows = [
        tuple(
            {"Age 21 to 80 years": {4: "<11", 6: "withheld"}}.get(str(row[1]), {}).get(i, cell)
            for i, cell in enumerate(row)
        )
        for row in attrition.rows
    ]
    tables = (attrition.with_rows(rows), *(t for t in old.tables if t.name != "cohort.attrition"))
    hidden = replace(record, stages={**record.stages, "cohort": replace(old, tables=tables)})
    page = Page(render(build_report(hidden)))
    row = next(r for r in table_by_caption(page, "Every step").all("tr") if "Age 21 to 80" in r.text())
    texts = [cell.text().replace("\u00a0", " ") for cell in row.all("td")]
    assert "< 11" in texts
    assert "withheld" in texts
    flow = next(f for f in page.all("figure") if f.get("id") == "figure-flow")
    assert "Age 21 to 80 years (n = <\u00a011)" in " ".join(t.text() for t in flow.all("svg")[0].all("text"))


def test_curves_end_where_too_few_are_at_risk(record: RunRecord) -> None:
    from trialstrat.report.curve_views import Source, curves

    stage = record.stages["primary"]
    source = Source(km=stage.table("primary.km"), at_risk=stage.table("primary.at_risk"), key="arm")
    for curve in curves(source, ("yes", "no"), 11):
        counted = {t: n for t, (n, _, _) in curve.risk.items()}
        first_hidden = min(t for t, n in counted.items() if n.startswith("<"))
        assert curve.end <= first_hidden
    assert [c.label for c in curves(source, ("yes", "no"), 11)] == ["Hormone therapy", "No hormone therapy"]


def test_pooled_curves_pass_through_the_published_estimate(record: RunRecord) -> None:
    from trialstrat.report.curve_views import Source, curves

    stage, context = record.stages["primary"], Context(record)
    km = stage.table("primary.km")
    coarse = km.with_rows([row for at, row in enumerate(km.rows) if at % 20 == 0])
    source = Source(km=coarse, at_risk=stage.table("primary.at_risk"), key="arm", exact=context.exact_points())
    for name, curve in zip(("yes", "no"), curves(source, ("yes", "no"), 11), strict=True):
        estimate = context.ok(f"primary.milestone.{name}")
        assert estimate is not None
        assert curve.at(60.0) == pytest.approx(estimate.value)
        assert curve.at(59.0) >= curve.at(60.0) >= curve.at(61.0)


def test_a_stage_nobody_knows_is_shown_as_it_is(record: RunRecord) -> None:
    columns = (Column(key="a", label="A name"), Column(key="b", label="Some count", kind="count"))
    table = Table(name="new_thing.table", title="A new table", columns=columns, rows=(("x", 12),))
    estimates = (
        Estimate(name="new_thing.one", label="One thing", value=0.5, lower=0.25, upper=0.75, unit="probability"),
        Estimate.not_estimable("new_thing.two", "Another thing", "too few events"),
    )
    stage = StageResult(stage="new_thing", tables=(table,), estimates=estimates, facts={"lead": "something was found"})
    made = build_report(replace(record, stages={**record.stages, "new_thing": stage}))
    section = next(section for section in made.sections if section.key == "new-thing")
    assert section.lead == "Something was found."
    text = Page(render(made)).visible_text()
    for words in ("A new table", "Some count", "50.0% (25.0% to 75.0%)", "Too few events."):
        assert words in text


def test_limits_are_those_of_the_study_gravest_first(record: RunRecord) -> None:
    plain = study(record, limits=[])
    finding = Finding(code="E1", severity="error", message="have times below 0", source="trial", bad=3, total=10)
    old = plain.stages["cohort"]
    grave = replace(plain, stages={**plain.stages, "cohort": replace(old, findings=(*old.findings, finding))})
    lines = build_report(facts(grave, "criteria", status="none")).cover.cards[2].lines
    assert lines[0] == "Trial: 3 of 10 rows have times below 0."
    assert lines[1].startswith("Patients: estrec: 82 of 686 rows")


def test_never_a_verdict_of_significance(page: Page) -> None:
    text = page.visible_text().lower()
    assert "significan" not in text
    assert "nan" not in text.split()
    assert "None" not in page.visible_text()


def test_every_estimate_of_the_primary_stage_is_on_the_page(record: RunRecord) -> None:
    table = next(t for t in blocks(build_report(record), TableView) if t.key == "effects")
    shown = [cell.text for row in table.rows for cell in row.cells]
    assert "0.69 (0.54 to 0.89)" in shown
    assert "0.71 (0.55 to 0.91)" in shown
    assert {"0.003", "0.002", "0.61"} <= set(shown)


def test_provenance_lists_what_made_the_run(page: Page) -> None:
    text = page.by_id("provenance").text()
    for words in ("3b" * 32, "1f" * 32, "20260101", "trialstrat run protocols/gbsg2.yaml", "scikit-survival", "0.28.0"):
        assert words in text


def test_binary_and_measured_outcomes_have_their_own_words(record: RunRecord) -> None:
    shared: dict[str, Any] = {"label": "x", "n": 100}

    def of(*entries: Mapping[str, Any]) -> Context:
        estimates = tuple(Estimate(**{**shared, **entry}) for entry in entries)
        stage = StageResult(stage="primary", estimates=estimates, facts={"leading": "none"})
        return Context(study(replace(record, stages={"primary": stage}), allocation="randomised"))

    risk = {"lower": 0.1, "upper": 0.5, "unit": "probability"}
    binary = of(
        {"name": "primary.risk.yes", "value": 0.2, **risk},
        {"name": "primary.risk.no", "value": 0.3, **risk},
        {
            "name": "primary.risk_difference.yes_vs_no",
            "value": -0.1,
            "lower": -0.2,
            "upper": 0.01,
            "unit": "probability",
        },
    )
    assert "20 with hormone therapy and 30 with no hormone therapy are expected to have the event" in effect(binary)
    assert "10 fewer (95% interval 1 more to 20 fewer)" in effect(binary)
    assert "20 fewer to 1 more of 100 patients with the event" in certainty(binary)
    measured = of(
        {"name": "primary.mean.yes", "value": 5.0},
        {"name": "primary.mean.no", "value": 7.5},
        {"name": "primary.mean_difference.yes_vs_no", "value": -2.5, "lower": -4.0, "upper": -1.0},
    )
    assert "5.00 with hormone therapy and 7.50 with no hormone therapy: a difference of −2.50" in effect(measured)


def test_every_figure_states_a_finding(record: RunRecord) -> None:
    titles = [figure.title for figure in blocks(build_report(record), Figure)]
    assert len(titles) == len(set(titles))
    numbered = [title for title in titles if any(letter.isdigit() for letter in title)]
    assert len(numbered) >= len(titles) - 2


@pytest.mark.parametrize("kind", ["time_to_event", "continuous", "binary"])
def test_factors_stand_under_their_heading(kind: str) -> None:
    rest: dict[str, Any] = {"endpoint": {}} if kind == "time_to_event" else {}
    value = None
    if kind != "time_to_event":
        rest = {
            "endpoint": {"kind": kind, "value": "y", "time": None, "event": None, "horizon": None, "unit": None},
            "estimand": {
                "population": "all", "treatment": "drug", "endpoint": "pfs",
                "summary": "mean_difference" if kind == "continuous" else "odds_ratio",
            },
        }  # fmt: skip
    if kind == "binary":
        rest["endpoint"] |= {"positive": [1], "negative_values": [0]}
    if kind == "continuous":
        value = np.random.default_rng(1).normal(30.123456, 5, 300)
    stage = prognostic_study(cohort(trial(n=300), value=value, **rest))
    assert stage is not None
    section = factors.build(Context(RunRecord(study={}, stages={"prognostic": stage})))
    assert section is not None
    (table,) = (block for block in section.blocks if isinstance(block, TableView))
    headings = [row.cells[0].text for row in table.rows if row.divider]
    assert headings == ["Stage", "Site", "Marker"]
    width = len(table.heads[0])
    assert all(row.cells[0].span == width for row in table.rows if row.divider)
    assert all(len(row.cells) == width for row in table.rows if not row.divider)
    # no number with the decimals of a computer
    assert not [c.text for row in table.rows for c in row.cells if re.search(r"\d\.\d{5,}", c.text)]


def other_outcome(kind: str) -> RunRecord:
    """A two-arm trial with an outcome that is no time, as a run stores it."""
    endpoint = {"kind": kind, "value": "y", "time": None, "event": None, "horizon": None, "unit": None}
    endpoint |= {"positive": [1], "negative_values": [0]} if kind == "binary" else {}
    summary = "mean_difference" if kind == "continuous" else "risk_difference"
    estimand = {"population": "all", "treatment": "drug", "endpoint": "pfs", "summary": summary}
    value = np.random.default_rng(1).normal(30, 5, 300) if kind == "continuous" else None
    stage = primary_analysis(cohort(trial(n=300), value=value, endpoint=endpoint, estimand=estimand))
    arms = [
        {"name": "ctrl", "label": "Control", "control": True},
        {"name": "t1", "label": "Drug", "control": False},
    ]
    study = {**STUDY, "arms": arms, "endpoint": {"label": "Response", "kind": kind}, "allocation": "randomised"}
    return RunRecord(study=study, stages={"primary": stage})


@pytest.mark.parametrize(
    ("kind", "lead", "first"),
    [
        ("binary", "risk difference in percentage points", "Risk difference, percentage points"),
        ("continuous", "difference in means", "Difference in means"),
    ],
)
def test_outcomes_that_are_no_times_lead_with_their_own_effect(kind: str, lead: str, first: str) -> None:
    record = other_outcome(kind)
    section = primary.build(Context(record))
    assert section is not None
    assert section.lead.startswith(f"Drug against control: {lead} ")
    (stats,) = (block for block in section.blocks if isinstance(block, Stats))
    assert stats.items[0].label == first
    assert not any(item.reason for item in stats.items)
    page = render(build_report(record))
    assert "Ties:" not in page
    assert "hazard ratio was estimated" not in page
    if kind == "binary":
        assert "are expected to have the event" in page


def test_an_adjusted_ratio_does_not_borrow_the_p_of_the_plain_one(record: RunRecord) -> None:
    made = added(
        record,
        "primary",
        Estimate(
            name="primary.cox.adjusted_hazard_ratio.yes_vs_no", label="Adjusted, x", value=0.7, lower=0.5, upper=0.9
        ),
        Estimate(name="primary.cox.p.yes_vs_no", label="p, x", value=0.0123, unit="p"),
    )
    table = effects.effects(Context(made))
    (row,) = (row for row in table.rows if row.cells[0].text == "Hazard ratio, adjusted")
    assert row.cells[2].text == ""
