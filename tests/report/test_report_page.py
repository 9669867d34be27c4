"""The page as a file: safe, self-contained, accessible in structure, the same bytes every time."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import jinja2
import pytest
from fixture_record import MANIFEST, STUDY, full_record
from page_tree import Node, Page

from trialstrat.report import render as rendering
from trialstrat.report.build import build_report
from trialstrat.report.model import RunRecord
from trialstrat.report.render import render, script_json
from trialstrat.results import StageResult, Table

SECTIONS = (
    "flow",
    "baseline",
    "primary",
    "risk-model",
    "risk-groups",
    "criteria",
    "methods",
    "checklists",
    "provenance",
    "glossary",
)
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028<!--{{ 7*7 }}"


def digest(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def source(node: Node) -> str:
    return "".join(part for part in node.parts if isinstance(part, str))


def test_the_page_is_well_formed_and_has_every_section_in_order(html: str, page: Page) -> None:
    assert html.startswith("<!doctype html>")
    assert page.misnested == []
    assert [node.tag for node in page.open] == ["document"]
    assert page.all("html")[0].get("lang") == "en"
    assert tuple(node.get("id") for node in page.all("section", "section")) == SECTIONS
    links = [a.get("href") for a in page.all("nav")[0].all("a")]
    assert links == ["#answer", *(f"#{key}" for key in SECTIONS)]


def test_every_section_opens_with_a_sentence(page: Page) -> None:
    for section in page.all("section", "section"):
        lead = section.all("p", "lead")[0].text().strip()
        assert lead[0].isupper() or lead[0].isdigit(), section.get("id")
        assert lead.endswith("."), section.get("id")
        assert len(lead) > 20, section.get("id")


def test_policy_allows_exactly_the_style_and_scripts_of_the_page(page: Page) -> None:
    policy = next(m.get("content") for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["style-src"] == digest(source(page.all("style")[0]))
    scripts = [node for node in page.all("script") if node.get("type") != "application/json"]
    assert rules["script-src"].split() == [digest(source(node)) for node in scripts]
    assert "unsafe" not in policy


def test_no_inline_style_no_handlers_no_address_outside_the_file(page: Page) -> None:
    for node in page.root.walk():
        for name, value in node.attributes.items():
            assert name != "style", node.tag
            assert not name.startswith("on"), (node.tag, name)
            if name in ("src", "href", "xlink:href", "action", "srcset", "data"):
                assert (value or "").startswith(("#", "data:")), (node.tag, name, value)
            elif not name.startswith("xmlns"):
                assert "://" not in (value or ""), (node.tag, name, value)
    assert "url(" not in source(page.all("style")[0])
    assert "@import" not in source(page.all("style")[0])


def test_identifiers_are_unique_and_references_lead_somewhere(page: Page) -> None:
    ids = [node.get("id") for node in page.root.walk() if node.get("id")]
    assert len(ids) == len(set(ids))
    for node in page.root.walk():
        for name in ("aria-labelledby", "data-copy"):
            assert set(node.get(name).split()) <= set(ids), node.get(name)
        if node.get("clip-path"):
            assert node.get("clip-path")[5:-1] in ids
        if node.tag == "a":
            assert node.get("href")[1:] in ids


def test_tables_have_captions_and_scopes(page: Page) -> None:
    tables = page.all("table")
    assert len(tables) > 15
    for table in tables:
        assert table.all("caption")[0].text().strip()
        assert all(th.get("scope") in ("col", "colgroup") for th in table.all("thead")[0].all("th"))
        width = sum(int(th.get("colspan") or 1) for th in table.all("thead")[0].all("tr")[-1].all("th"))
        for row in table.all("tbody")[0].all("tr"):
            cells = [child for child in row.children if child.tag in ("td", "th")]
            assert sum(int(cell.get("colspan") or 1) for cell in cells) == width, table.all("caption")[0].text()
            assert any(cell.tag == "th" and cell.get("scope") in ("row", "rowgroup") for cell in cells)


def test_headings_do_not_skip_a_level(page: Page) -> None:
    levels = [int(node.tag[1]) for node in page.root.walk() if re.fullmatch(r"h[1-6]", node.tag)]
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


def test_figures_are_images_with_a_name_a_description_and_numbers(page: Page) -> None:
    figures = page.all("figure")
    assert len(figures) >= 9
    for figure in figures:
        assert figure.all("p", "figure-title")[0].text().strip()
        for svg in figure.all("svg"):
            assert svg.get("role") == "img"
            title, described = (svg.all(tag)[0].text() for tag in ("title", "desc"))
            assert title.strip()
            assert len(described) > 15
            assert svg.all("text"), "text must be text"
    with_curves = [f for f in figures if f.get("id") in ("figure-cover", "figure-primary-km", "figure-groups-km")]
    assert all(figure.all("details", "numbers") for figure in with_curves)


def test_charts_are_data_and_hold_no_more_rows_than_aggregates_need(page: Page) -> None:
    charts = [node for node in page.all("script") if node.get("type") == "application/json"]
    assert len(charts) >= 9
    for node in charts:
        text = source(node)
        assert not re.search(r"[<>&\u2028\u2029]", text)
        chart = json.loads(text)
        assert "$schema" not in chart
        assert all(len(rows) < 400 for rows in _values(chart))


def _values(chart: Any) -> list[list[Any]]:
    if isinstance(chart, dict):
        own = [chart["values"]] if isinstance(chart.get("values"), list) and "layer" not in chart else []
        return own + [rows for value in chart.values() for rows in _values(value)]
    return [rows for entry in chart for rows in _values(entry)] if isinstance(chart, list) else []


def test_the_page_stays_below_two_megabytes(html: str) -> None:
    assert len(html.encode()) < 2_000_000


def _hostile_table(table: Table) -> Table:
    columns = tuple(
        replace(column, label=HOSTILE) if column.kind == "text" else replace(column, unit=HOSTILE)
        for column in table.columns
    )
    return replace(table, title=HOSTILE, note=HOSTILE, columns=columns)


def _hostile_stage(stage: StageResult) -> StageResult:
    def spoil(table: Table) -> Table:
        labels = [at for at, column in enumerate(table.columns) if column.key in ("label", "text", "rule", "level")]
        rows = [tuple(HOSTILE if at in labels else cell for at, cell in enumerate(row)) for row in table.rows]
        return _hostile_table(table).with_rows(rows)

    estimates = tuple(replace(e, label=HOSTILE, method=HOSTILE, population=HOSTILE) for e in stage.estimates)
    facts = {key: value if key in SAFE_FACTS else HOSTILE for key, value in stage.facts.items()}
    return replace(stage, tables=tuple(spoil(table) for table in stage.tables), estimates=estimates, facts=facts)


SAFE_FACTS = ("horizon", "control", "treatment", "chosen", "status", "leading", "unit")


def test_hostile_words_stay_words(record: RunRecord, page: Page) -> None:
    study = {**STUDY, "title": HOSTILE, "question": HOSTILE, "limits": [HOSTILE], "references": [HOSTILE]}
    study["arms"] = [{**arm, "label": HOSTILE} for arm in STUDY["arms"]]
    study["endpoint"] = {**STUDY["endpoint"], "label": HOSTILE, "time_zero": HOSTILE}
    stages = {name: _hostile_stage(stage) for name, stage in record.stages.items()}
    made = render(build_report(full_record(study=study, stages=stages, manifest={**MANIFEST, "command": HOSTILE})))
    spoilt = Page(made)
    assert spoilt.misnested == []
    assert len(spoilt.all("script")) == len(page.all("script"))
    assert spoilt.all("img") == []
    assert not [node for node in spoilt.root.walk() if any(name.startswith("on") for name in node.attributes)]
    assert "{{ 7*7 }}" in spoilt.visible_text()
    assert spoilt.all("h1")[0].text() == HOSTILE
    for node in spoilt.all("script"):
        if node.get("type") == "application/json":
            json.loads(source(node))
    assert HOSTILE[:20] not in source(spoilt.all("style")[0])


def test_script_json_escapes_what_could_end_a_script() -> None:
    text = str(script_json({"a": "</script><!-- & \u2028\u2029"}))
    assert not re.search(r"[<>&\u2028\u2029]", text)
    assert json.loads(text) == {"a": "</script><!-- & \u2028\u2029"}
    with pytest.raises(ValueError, match="Out of range"):
        script_json({"a": float("nan")})


def test_templates_refuse_names_that_do_not_exist() -> None:
    environment = rendering._environment()
    assert environment.autoescape is True
    with pytest.raises(jinja2.UndefinedError):
        environment.from_string("{{ nobody }}").render()
    with pytest.raises(jinja2.UndefinedError):
        environment.from_string("{{ page.nothing }}").render(page=object())


def test_the_same_record_gives_the_same_bytes(html: str) -> None:
    assert render(build_report(full_record())) == html


def test_the_same_bytes_in_another_process(html: str) -> None:
    code = (
        "import sys, hashlib; sys.path.insert(0, sys.argv[1])\n"
        "from fixture_record import full_record\n"
        "from trialstrat.report.build import build_report\n"
        "from trialstrat.report.render import render\n"
        "print(hashlib.sha256(render(build_report(full_record())).encode()).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo", "LC_ALL": "C"},
    )
    assert done.stdout.strip() == hashlib.sha256(html.encode()).hexdigest()


def test_a_stored_record_gives_the_same_page(html: str, record: RunRecord) -> None:
    stages = {name: StageResult.from_dict(json.loads(json.dumps(s.to_dict()))) for name, s in record.stages.items()}
    study = json.loads(json.dumps(dict(record.study)))
    assert render(build_report(full_record(study=study, stages=stages))) == html


def test_every_chart_has_its_numbers_one_click_away(page: Page) -> None:
    for figure in page.all("figure"):
        charts = [node for node in figure.all("script") if node.get("type") == "application/json"]
        if charts:
            assert figure.all("details", "numbers")[0].all("table"), figure.get("id")
