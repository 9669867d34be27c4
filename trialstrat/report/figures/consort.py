"""The flow of patients as CONSORT draws it: boxes down the middle, losses to the right, one box per arm at the end."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from trialstrat.report.figures import theme
from trialstrat.report.figures.drawing import SVG, label

LINE, PAD, GAP = 19, 12, 26
CHARACTER = 7.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Where boxes stand: left edge and width of the main column and of the losses, and how many arms fit a row."""

    width: float
    main: tuple[float, float]
    side: tuple[float, float]
    trunk: float
    across: int


WIDE = Plan(width=680, main=(0, 300), side=(350, 330), trunk=150, across=3)
NARROW = Plan(width=330, main=(0, 330), side=(40, 290), trunk=18, across=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A stop on the way: how many are there (``head``, ``lines``) and whom the way to the next one loses."""

    head: str
    lines: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


def flow_drawing(
    steps: Sequence[Step], arms: Sequence[Step], *, plan: Plan, key: str, title: str, description: str
) -> str:
    """The diagram as inline SVG."""
    root = ET.Element(f"{{{SVG}}}svg")
    top = 1.0
    for number, step in enumerate(steps):
        bottom = _box(root, plan.main[0] + 1, top, plan.main[1] - 2, (step.head, *step.lines))
        if number == len(steps) - 1:
            top = bottom
            break
        top = bottom + GAP
        if step.lost:
            height = _height(plan.side[1], step.lost)
            middle = bottom + GAP / 2 + height / 2
            _box(root, plan.side[0], bottom + GAP / 2, plan.side[1] - 2, step.lost)
            _line(root, plan.trunk, middle, plan.side[0] - 6, middle)
            _head(root, plan.side[0] - 1, middle, sideways=True)
            top = bottom + height + GAP
        _line(root, plan.trunk, bottom, plan.trunk, top - 6)
        _head(root, plan.trunk, top - 1)
    if arms:
        draw = _arms_across if len(arms) <= plan.across else _arms_down
        top = draw(root, arms, top, plan)
    root.set("viewBox", f"0 0 {plan.width:g} {top + 2:.0f}")
    root.set("width", f"{plan.width:g}")
    root.set("height", f"{top + 2:.0f}")
    return label(root, key, title, description)


def _arms_across(root: ET.Element, arms: Sequence[Step], top: float, plan: Plan) -> float:
    """One box per arm beside each other, joined by a bar."""
    width = min((plan.width - 24 * (len(arms) - 1)) / len(arms), plan.main[1])
    lefts = [number * (width + 24) for number in range(len(arms))]
    middles = [plan.trunk if number == 0 else left + width / 2 for number, left in enumerate(lefts)]
    bar = top + GAP / 2
    _line(root, plan.trunk, top, plan.trunk, bar)
    _line(root, min(middles), bar, max(middles), bar)
    bottom = bar
    for arm, left, middle in zip(arms, lefts, middles, strict=True):
        _line(root, middle, bar, middle, bar + GAP - 6)
        _head(root, middle, bar + GAP - 1)
        bottom = max(bottom, _box(root, left + 1, bar + GAP, width - 2, (arm.head, *arm.lines)))
    return bottom


def _arms_down(root: ET.Element, arms: Sequence[Step], top: float, plan: Plan) -> float:
    """One box per arm below each other, where the page is too narrow for a row."""
    start = top
    for arm in arms:
        top += GAP / 2
        height = _height(plan.side[1], (arm.head, *arm.lines))
        middle = top + height / 2
        _line(root, plan.trunk, start, plan.trunk, middle)
        _line(root, plan.trunk, middle, plan.side[0] - 6, middle)
        _head(root, plan.side[0] - 1, middle, sideways=True)
        top = _box(root, plan.side[0], top, plan.side[1] - 2, (arm.head, *arm.lines))
        start = middle
    return top


def _wrapped(width: float, entries: Sequence[str]) -> list[tuple[str, bool]]:
    """Lines that fit a box; the first entry is its head."""
    room = int((width - 2 * PAD) / CHARACTER)
    out: list[tuple[str, bool]] = []
    for number, entry in enumerate(entries):
        out += [(line, number == 0) for line in textwrap.wrap(entry, room) or [""]]
    return out


def _height(width: float, entries: Sequence[str]) -> float:
    return len(_wrapped(width, entries)) * LINE + 2 * PAD - 4


def _box(root: ET.Element, left: float, top: float, width: float, entries: Sequence[str]) -> float:
    """A box with its lines; returns where it ends."""
    height = _height(width, entries)
    frame = {"x": f"{left:g}", "y": f"{top:g}", "width": f"{width:g}", "height": f"{height:g}", "rx": "6"}
    ET.SubElement(root, f"{{{SVG}}}rect", {**frame, "fill": theme.PAPER, "stroke": theme.AXIS})
    for number, (line, head) in enumerate(_wrapped(width, entries)):
        place = {"x": f"{left + PAD:g}", "y": f"{top + PAD + 11 + number * LINE:g}", "font-family": theme.FONT}
        look = {"font-size": "13", "fill": theme.INK if head else theme.MUTED, "font-weight": "600" if head else "400"}
        ET.SubElement(root, f"{{{SVG}}}text", {**place, **look}).text = line
    return top + height


def _line(root: ET.Element, x1: float, y1: float, x2: float, y2: float) -> None:
    ends = {"x1": f"{x1:g}", "y1": f"{y1:g}", "x2": f"{x2:g}", "y2": f"{y2:g}"}
    ET.SubElement(root, f"{{{SVG}}}line", {**ends, "stroke": theme.MUTED})


def _head(root: ET.Element, x: float, y: float, *, sideways: bool = False) -> None:
    """The point of an arrow."""
    points = f"M{x:g},{y:g}l-7,-4v8z" if sideways else f"M{x:g},{y:g}l-4,-7h8z"
    ET.SubElement(root, f"{{{SVG}}}path", {"d": points, "fill": theme.MUTED})
