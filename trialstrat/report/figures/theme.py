"""One look for every chart. Colours are CSS variables, so that a drawing follows the page: light, dark or print."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeAlias

import altair as alt
from altair.utils.schemapi import debug_mode

#: Fonts of equal widths on every system, so that drawings made here fit their frames elsewhere.
FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"
INK, MUTED, GRID, PAPER, AXIS = "var(--ink)", "var(--muted)", "var(--grid)", "var(--paper)", "var(--axis)"
#: Okabe-Ito colours with a line style each, so that they differ in grey as well.
STYLES = 6
DASHES: tuple[tuple[int, ...], ...] = ((1, 0), (7, 4), (2, 3), (10, 4, 2, 4), (4, 2), (1, 3))
WIDE, NARROW = 640, 300
TEXT_SIZE = 12


def colour(index: int) -> str:
    """Colour of a line or a mark."""
    return f"var(--s{index % STYLES + 1})"


def ink(index: int) -> str:
    """The same hue, dark enough to be read as text."""
    return f"var(--s{index % STYLES + 1}t)"


def dash(index: int) -> list[int]:
    """Line style."""
    return list(DASHES[index % STYLES])


def data(rows: Sequence[Mapping[str, Any]]) -> alt.Data:
    """Rows as they stand; numbers rounded so that the page stays small."""
    return alt.Data(values=[{key: _short(value) for key, value in row.items()} for row in rows])


def _short(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A piece of text. ``x`` and ``y`` are pixels from the upper left corner, or values when the layer says so."""

    text: str
    x: float
    y: float
    fill: str = INK
    align: str = "left"
    bold: bool = False
    italic: bool = False
    dx: float = 0
    dy: float = 0


def words(entries: Sequence[Word], *, at: str = "pixels", halo: bool = False, zoomed: bool = False) -> alt.Chart:
    """One layer of text: ``at`` is ``pixels``, ``times`` (x is a value, y pixels) or ``points`` (both are values).

    A ``halo`` is the same text in the colour of the paper, to be laid under text that crosses lines. ``zoomed`` text
    goes when a zoomed axis no longer shows its place.
    """
    behind: dict[str, Any] = {"stroke": PAPER, "strokeWidth": 4, "strokeJoin": "round"} if halo else {}
    if zoomed:
        tests = ["inrange(datum.t, zoom.t)", *(["inrange(datum.s, zoom.s)"] if at == "points" else [])]
        behind["opacity"] = alt.ExprRef(f"zoom.t ? ({' && '.join(tests)} ? 1 : 0) : 1")
    rows = [
        {
            "w": word.text,
            "t": word.x,
            "s": word.y,
            "c": word.fill,
            "a": word.align,
            "b": 600 if word.bold else 400,
            "i": "italic" if word.italic else "normal",
            "dx": word.dx,
            "dy": word.dy,
        }
        for word in entries
    ]
    mark = alt.Chart(data(rows)).mark_text(
        clip=False,
        fontSize=TEXT_SIZE,
        fill=alt.ExprRef("datum.c"),
        align=alt.ExprRef("datum.a"),
        fontWeight=alt.ExprRef("datum.b"),
        fontStyle=alt.ExprRef("datum.i"),
        dx=alt.ExprRef("datum.dx"),
        dy=alt.ExprRef("datum.dy"),
        baseline="middle",
        **behind,
    )
    x: Any = alt.XValue(alt.ExprRef("datum.t")) if at == "pixels" else alt.X("t:Q")
    y: Any = alt.Y("s:Q") if at == "points" else alt.YValue(alt.ExprRef("datum.s"))
    return mark.encode(x=x, y=y, text=alt.Text("w:N"))


def zoom() -> alt.Parameter:
    """Shift and the wheel zoom, Shift and dragging move, a double click resets: plain scrolling is left alone."""
    return alt.selection_interval(
        name="zoom",
        bind="scales",
        encodings=["x", "y"],
        zoom="wheel![event.shiftKey]",
        translate="[pointerdown[event.shiftKey], window:pointerup] > window:pointermove!",
    )


Chart: TypeAlias = alt.LayerChart | alt.Chart | alt.VConcatChart | alt.FacetChart
Arguments = ParamSpec("Arguments")


def finished(make: Callable[Arguments, Chart]) -> Callable[Arguments, dict[str, Any]]:
    """Decorate a function that makes a chart: it gives the specification in the look of the report.

    Checking every intermediate object against the schema takes a hundred times as long as making it; the tests check
    whole specifications instead.
    """

    @wraps(make)
    def made(*args: Arguments.args, **kwargs: Arguments.kwargs) -> dict[str, Any]:
        with debug_mode(False):
            return _finish(make(*args, **kwargs))

    return made


#: How much wider a letter may be in the reader's fallback font than where the drawing was laid out, in pixels.
WIDER, WIDER_BOLD = 1.0, 1.7
PADDING = 4


def _slack(spec: Any, width: float = 0.0) -> tuple[float, float]:
    """Room on the left and on the right for text beside the drawing, should the reader's font be a wide one."""
    left = right = 0.0
    if isinstance(spec, Mapping):
        own = spec.get("width")
        width = float(own) if isinstance(own, int | float) else width
        if {"w", "t", "a", "b"} <= spec.keys():
            extra = len(str(spec["w"])) * (WIDER_BOLD if spec["b"] > 400 else WIDER)
            left = extra if spec["a"] == "right" and spec["t"] <= 0 else 0.0
            right = extra if spec["a"] == "left" and 0 < width <= spec["t"] else 0.0
    inner = spec.values() if isinstance(spec, Mapping) else spec if isinstance(spec, list) else ()
    for part in inner:
        there = _slack(part, width)
        left, right = max(left, there[0]), max(right, there[1])
    return left, right


def _finish(chart: Chart) -> dict[str, Any]:
    """The specification with the look of the report, without addresses of schemas."""
    made = chart.configure(
        aria=False,
        background="transparent",
        font=FONT,
        axis=alt.AxisConfig(
            labelColor=MUTED,
            titleColor=MUTED,
            labelFontSize=TEXT_SIZE,
            titleFontSize=TEXT_SIZE,
            titleFontWeight="normal",
            domainColor=AXIS,
            tickColor=AXIS,
            gridColor=GRID,
            tickSize=4,
            labelPadding=4,
            titlePadding=10,
            labelFlush=False,
        ),
        view=alt.ViewConfig(stroke=None),
    ).to_dict(validate=False)
    made.pop("$schema", None)
    left, right = _slack(made)
    made["padding"] = {"left": PADDING + left, "right": PADDING + right, "top": PADDING, "bottom": PADDING}
    for size in ("continuousWidth", "continuousHeight"):
        made["config"]["view"].pop(size, None)
    return made
