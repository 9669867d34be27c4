"""The flow of patients as CONSORT draws it: boxes down the middle, losses to the right, one box per arm at the end."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from trialstrat.report.figures import theme
from trialstrat.report.figures.drawing import SVG, label

WIDTH, LINE, PAD, GAP = 640, 19, 12, 26
MAIN, SIDE = (0, 270), (330, 310)
CHARACTERS = 7.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A stop on the way: how many are there (``head``, ``lines``) and whom the way to the next one loses."""

    head: str
    lines: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


def flow_drawing(steps: Sequence[Step], arms: Sequence[Step], *, key: str, title: str, description: str) -> str:
    """The diagram as inline SVG."""
    root = ET.Element(f"{{{SVG}}}svg")
    top = 1.0
    centre = MAIN[0] + MAIN[1] / 2
    for number, step in enumerate(steps):
        bottom = _box(root, MAIN[0] + 1, top, MAIN[1] - 2, (step.head, *step.lines))
        last = number == len(steps) - 1
        if last and not arms:
            top = bottom
            break
        after = bottom + GAP
        if step.lost:
            height = _height(SIDE[1], step.lost)
            after = bottom + height + GAP
            middle = bottom + GAP / 2 + height / 2
            _box(root, SIDE[0], bottom + GAP / 2, SIDE[1] - 2, step.lost)
            _line(root, centre, middle, SIDE[0] - 6, middle)
            _head(root, SIDE[0] - 1, middle, sideways=True)
        if not last:
            _line(root, centre, bottom, centre, after - 6)
            _head(root, centre, after - 1)
        top = after if not last else bottom
    bottom = _arms(root, arms, top, centre) if arms else top
    root.set("viewBox", f"0 0 {WIDTH} {bottom + 2:.0f}")
    root.set("width", str(WIDTH))
    root.set("height", f"{bottom + 2:.0f}")
    return label(root, key, title, description)


def _arms(root: ET.Element, arms: Sequence[Step], top: float, centre: float) -> float:
    """The last row: one box per arm, joined by a bar."""
    width = (WIDTH - 24 * (len(arms) - 1)) / len(arms) if len(arms) > 1 else MAIN[1]
    width = min(width, 308)
    lefts = [number * (width + 24) for number in range(len(arms))]
    middles = [left + width / 2 for left in lefts]
    bar = top + GAP / 2 + 4
    _line(root, centre, top, centre, bar)
    _line(root, min(*middles, centre), bar, max(*middles, centre), bar)
    bottom = bar
    for arm, left, middle in zip(arms, lefts, middles, strict=True):
        _line(root, middle, bar, middle, bar + GAP - 6)
        _head(root, middle, bar + GAP - 1)
        bottom = max(bottom, _box(root, left + 1, bar + GAP, width - 2, (arm.head, *arm.lines)))
    return bottom


def _wrapped(width: float, entries: Sequence[str]) -> list[tuple[str, bool]]:
    """Lines that fit a box; the first entry is its head."""
    room = int((width - 2 * PAD) / CHARACTERS)
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
