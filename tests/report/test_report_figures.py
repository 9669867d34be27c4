"""Drawings: valid specifications, complete without scripts, the same bytes every time."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import altair as alt
import pytest
from fixture_record import full_record

from trialstrat.report.build import build_report
from trialstrat.report.figures import drawing, theme
from trialstrat.report.figures.consort import NARROW, WIDE, Step, flow_drawing
from trialstrat.report.figures.curves import Curve, Layout, survival_chart
from trialstrat.report.figures.dots import Dot, Scale, dot_chart
from trialstrat.report.page import Figure, Panel

SVG = "{http://www.w3.org/2000/svg}"


def figures() -> list[Figure]:
    page = build_report(full_record())
    cover = [page.cover.figure] if page.cover.figure else []
    return [*cover, *(b for section in page.sections for b in section.blocks if isinstance(b, Figure))]


def panels() -> list[tuple[str, Panel]]:
    return [(f"{figure.key}-{at}", panel) for figure in figures() for at, panel in enumerate(figure.panels)]


def curve(label: str = "Arm", style: int = 0, *, pooled: bool = False, drop: float = 0.1) -> Curve:
    steps = tuple((float(t), 1 - drop * t, 1 - drop * t - 0.05, min(1.0, 1 - drop * t + 0.05)) for t in range(7))
    risk = {float(t): ("20", "3", "1") for t in range(0, 8, 2)}
    return Curve(label=label, style=style, steps=steps, risk=risk, pooled=pooled)


LAYOUT = Layout(ticks=(0.0, 2.0, 4.0, 6.0), time_title="Months", value_title="Event-free", unit="months", width=300)


@pytest.mark.parametrize(("key", "panel"), panels(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_specification_is_valid(key: str, panel: Panel) -> None:
    for chart in (panel.chart, panel.narrow):
        if chart is not None:
            alt.Chart.from_dict(json.loads(json.dumps(chart)), validate=True)


def test_a_drawing_is_the_same_twice_and_its_ids_are_its_own() -> None:
    spec = survival_chart([curve()], LAYOUT)
    first, second = (drawing.draw(spec, "key", "A title", "A description") for _ in range(2))
    assert first == second
    ids = re.findall(r'id="([^"]+)"', first)
    assert ids
    assert all(name.startswith("key-") for name in ids)


def test_a_drawing_carries_its_name_and_no_inline_style() -> None:
    root = ET.fromstring(drawing.draw(survival_chart([curve("A & <b>")], LAYOUT), "k", "T & <t>", "D"))
    assert root.findtext(f"{SVG}title") == "T & <t>"
    assert root.findtext(f"{SVG}desc") == "D"
    assert root.get("role") == "img"
    assert all("style" not in element.attrib for element in root.iter())
    assert "A & <b>" in [element.text for element in root.iter(f"{SVG}text")]


def test_colours_follow_the_page() -> None:
    svg = drawing.draw(survival_chart([curve(), curve("Other", 1)], LAYOUT), "k", "t", "d")
    painted = set(re.findall(r'(?:fill|stroke)="([^"]+)"', svg)) - {"none", "transparent"}
    assert painted
    assert all(colour.startswith("var(--") for colour in painted), painted
    assert {"var(--s1)", "var(--s2)"} <= painted


def test_curves_differ_by_line_style_as_well() -> None:
    svg = drawing.draw(survival_chart([curve(), curve("Other", 1)], LAYOUT), "k", "t", "d")
    lines = dict(re.findall(r'stroke="(var\(--s\d\))" stroke-width="2" stroke-dasharray="([^"]+)"', svg))
    assert lines["var(--s1)"] != lines["var(--s2)"]
    assert len({tuple(theme.dash(style)) for style in range(theme.STYLES)}) == theme.STYLES


def test_the_static_drawing_has_nothing_for_the_pointer() -> None:
    spec = survival_chart([curve()], LAYOUT)
    assert "pointer" in json.dumps(spec)
    plain = json.dumps(drawing.static(spec))
    for word in ("params", "tooltip", '"pointer"', "condition"):
        assert word not in plain


def test_numbers_at_risk_stand_below_the_axis_at_its_ticks() -> None:
    root = ET.fromstring(drawing.draw(survival_chart([curve()], LAYOUT), "k", "t", "d"))
    words = {}
    for element in root.iter(f"{SVG}text"):
        place = re.search(r"translate\(([-\d.]+),([-\d.]+)\)", element.get("transform", ""))
        if place:
            words.setdefault(element.text, []).append((float(place[1]), float(place[2])))
    assert [round(x) for x, _ in words["20"]] == [0, 100, 200, 300]
    assert min(y for _, y in words["20"]) > LAYOUT.height
    assert {"At risk", "Events", "Censored"} <= set(words)


@pytest.mark.parametrize(("time", "expected"), [(0.0, 1.0), (2.0, 0.8), (2.5, 0.8), (6.0, 0.4)])
def test_reading_a_step_curve(time: float, expected: float) -> None:
    assert curve().at(time) == pytest.approx(expected)


@pytest.mark.parametrize(("time", "expected"), [(0.0, 1.0), (2.0, 0.8), (2.5, 0.75), (6.0, 0.4)])
def test_reading_a_pooled_curve(time: float, expected: float) -> None:
    assert curve(pooled=True).at(time) == pytest.approx(expected)


def test_the_median_of_a_pooled_curve_is_not_guessed() -> None:
    assert curve(drop=0.15).median == 4.0
    assert curve(drop=0.15, pooled=True).median is None


def test_labels_of_close_curves_do_not_overlap() -> None:
    near = [curve("One", 0, drop=0.011), curve("Two", 1, drop=0.010), curve("Three", 2, drop=0.009)]
    svg = drawing.draw(survival_chart(near, LAYOUT), "k", "t", "d")
    places = {
        text.text: float(re.search(r",([-\d.]+)\)", text.get("transform", ""))[1])  # type: ignore[index]
        for text in ET.fromstring(svg).iter(f"{SVG}text")
        if text.text in ("One", "Two", "Three")
        and "var(--paper)" not in text.attrib.values()
        and float(re.search(r"\(([-\d.]+)", text.get("transform", ""))[1]) > LAYOUT.width - 1  # type: ignore[index]
    }
    heights = sorted(places.values())
    assert len(heights) == 3
    assert min(b - a for a, b in pairwise(heights)) >= 12


def test_a_dot_outside_the_axis_stays_on_the_page() -> None:
    dots = [Dot(label="Far", value=50.0, lower=20.0, upper=90.0, written="50 (20 to 90)")]
    spec = dot_chart(dots, Scale(title="Hazard ratio", domain=(0.5, 2.0), log=True, reference=1.0), width=200)
    numbers = [row["v"] for layer in spec["layer"] for row in layer["data"]["values"] if "v" in row]
    assert max(numbers) <= 2.0
    assert "50 (20 to 90)" in json.dumps(spec)


def test_a_row_that_cannot_be_estimated_keeps_its_words() -> None:
    dots = [Dot(label="Empty", value=None, written="– not estimable"), Dot(label="Full", value=1.0)]
    svg = drawing.draw(dot_chart(dots, Scale(title="x", domain=(0, 2))), "k", "t", "d")
    assert "– not estimable" in svg
    assert "Empty" in svg


@pytest.mark.parametrize("plan", [WIDE, NARROW])
@pytest.mark.parametrize("arms", [0, 1, 2, 5])
def test_the_flow_of_patients_fits_its_frame(plan: object, arms: int) -> None:
    steps = [
        Step(
            head="Patients in the files (n = 900)",
            lost=("Excluded", "A rather long reason that needs two lines (n = 12)"),
        ),
        Step(head="Remaining (n = 888)", lost=("No usable outcome", "Time missing (n = 3)")),
        Step(head="Analysed (n = 885)"),
    ]
    groups = [Step(head=f"Arm {at} (n = 100)", lines=("20 events",)) for at in range(arms)]
    svg = flow_drawing(steps, groups, plan=plan, key="f", title="t", description="d")  # type: ignore[arg-type]
    root = ET.fromstring(svg)
    _, _, width, height = (float(part) for part in root.get("viewBox", "").split())
    boxes = list(root.iter(f"{SVG}rect"))
    assert len(boxes) == 5 + arms
    for box in boxes:
        left, top, wide, high = (float(box.get(key, "0")) for key in ("x", "y", "width", "height"))
        assert 0 <= left <= left + wide <= width
        assert 0 <= top <= top + high <= height


def test_text_beside_a_drawing_has_room_in_a_wider_font() -> None:
    def padding(label: str) -> dict:
        scale = Scale(title="x", domain=(0.0, 1.0))
        return dot_chart([Dot(label=label, value=0.5, written="0.50")], scale)["padding"]

    narrow, wide = padding("a"), padding("Outside the rule, corrected for the search")
    assert wide["left"] - narrow["left"] > 60
    assert wide["right"] == narrow["right"] > theme.PADDING
