"""The typed page to one self-contained HTML file: no request, no inline style, a policy that allows nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from trialstrat.report.figures import drawing
from trialstrat.report.page import Figure, Panel, ReportPage

#: Characters that would end a script element, open a comment in it, or break its lines.
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A panel ready for the page: static drawings for wide and narrow screens, the chart for scripts."""

    key: str
    label: str
    wide: Markup
    narrow: Markup | None
    chart: Markup | None


def render(page: ReportPage) -> str:
    """The page as HTML; the same page gives the same bytes.

    Everything a reader needs is in the file without any script; scripts add hovering, zooming and saving of figures.
    """
    environment = _environment()
    style = _source(environment, "style.css") + running_head(page.running_head)
    scripts = [_source(environment, "report.js")]
    if _has_charts(page):
        scripts.insert(0, _safe_script(drawing.runtime()))
    template = environment.get_template("page.html.j2")
    return template.render(
        page=page,
        style=Markup(style),
        scripts=[Markup(script) for script in scripts],
        policy=policy(style, scripts),
        draw=_draw,
        figure_numbers=_figure_numbers(page),
    )


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("trialstrat.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )


def _source(environment: Environment, name: str) -> str:
    """A style sheet or script of the package as it stands."""
    loader = environment.loader
    if loader is None:
        raise RuntimeError("the templates of the report are missing")
    return loader.get_source(environment, name)[0]


def _safe_script(text: str) -> str:
    """A library must not end the element it stands in, nor open a comment there."""
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def policy(style: str, scripts: list[str]) -> str:
    """The content security policy: nothing but this very style and these very scripts; images from the file only."""
    allowed = " ".join(_hash(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def running_head(text: str) -> str:
    """The head and foot of printed pages; every character of the study's own words is written as a CSS escape."""
    escaped = "".join(f"\\{ord(letter):06x}" for letter in text)
    look = "font: 8pt sans-serif; color: #566170"
    return (
        f'@page {{ @top-left {{ content: "{escaped}"; {look} }} '
        f'@bottom-right {{ content: "Page " counter(page) " of " counter(pages); {look} }} }}\n'
        "@page :first { @top-left { content: none } }\n"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def script_json(value: Any) -> Markup:
    """JSON that can stand inside a script element whatever the strings in it say."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)
    for letter, escape in _ESCAPES.items():
        text = text.replace(letter, escape)
    return Markup(text)


def _figures(page: ReportPage) -> list[Figure]:
    cover = [page.cover.figure] if page.cover.figure else []
    return [*cover, *(block for section in page.sections for block in section.blocks if isinstance(block, Figure))]


def _has_charts(page: ReportPage) -> bool:
    return any(panel.chart is not None for figure in _figures(page) for panel in figure.panels)


def _figure_numbers(page: ReportPage) -> dict[str, int]:
    return {figure.key: number for number, figure in enumerate(_figures(page), start=1)}


def _draw(figure: Figure) -> list[Drawn]:
    """Every panel of a figure, drawn."""
    return [_panel(figure, panel, number) for number, panel in enumerate(figure.panels, start=1)]


def _panel(figure: Figure, panel: Panel, number: int) -> Drawn:
    key = f"{figure.key}-{number}"
    title = f"{figure.title}: {panel.label}" if panel.label else figure.title
    if panel.chart is None:
        twin = Markup(panel.narrow_drawing) if panel.narrow_drawing else None
        return Drawn(key=key, label=panel.label, wide=Markup(panel.drawing), narrow=twin, chart=None)

    def svg(chart: Mapping[str, Any], name: str) -> Markup:
        return Markup(drawing.draw(chart, name, title, figure.description))

    narrow = svg(panel.narrow, f"{key}-narrow") if panel.narrow is not None else None
    return Drawn(key=key, label=panel.label, wide=svg(panel.chart, key), narrow=narrow, chart=script_json(panel.chart))
