"""The report in Chromium: silent under its policy, complete without scripts, readable narrow, dark and on paper."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BROWSER = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
AXE = os.environ.get("AXE_CORE", "")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def report(html: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(html, encoding="utf-8")
    return path


class Visit:
    """An open page that remembers every message and every request."""

    def __init__(self, browser: Any, report: Path, **options: Any) -> None:
        options = {"viewport": {"width": 1280, "height": 800}, **options}
        self.context = browser.new_context(offline=True, **options)
        self.page = self.context.new_page()
        self.messages: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(report.as_uri())

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def scroll_through(self) -> None:
        """Every figure comes into view once and has the time to come alive."""
        for figure in self.page.locator("figure").all():
            figure.scroll_into_view_if_needed()
            self.page.wait_for_timeout(150)
        self.page.wait_for_function(
            "() => [...document.querySelectorAll('.drawing[data-live]')].every((box) => box.dataset.live === 'done')"
        )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_message_and_no_request_beside_the_file(browser: Any, report: Path, scheme: str) -> None:
    with Visit(browser, report, color_scheme=scheme) as visit:
        visit.scroll_through()
        assert visit.messages == []
        assert [url for url in visit.requests if not url.startswith("data:")] == [report.as_uri()]


def test_figures_come_alive_and_answer_the_pointer(browser: Any, report: Path) -> None:
    with Visit(browser, report) as visit:
        visit.scroll_through()
        charts = visit.page.locator(".drawing:not([data-chart=''])").count()
        assert visit.page.locator(".drawing.is-live").count() == charts
        chart = visit.page.locator("#figure-primary-km .live svg")
        chart.scroll_into_view_if_needed()
        box = chart.bounding_box()
        visit.page.mouse.move(box["x"] + box["width"] * 0.55, box["y"] + box["height"] * 0.3)
        tip = visit.page.locator(".tip")
        tip.wait_for(state="visible")
        assert re.search(r"Months.*Hormone therapy.*\d+%", tip.inner_text().replace("\n", " "))
        assert visit.messages == []


def test_curves_zoom_and_come_back(browser: Any, report: Path) -> None:
    with Visit(browser, report) as visit:
        visit.scroll_through()
        chart = visit.page.locator("#figure-primary-km .live svg")
        chart.scroll_into_view_if_needed()
        line = "() => document.querySelector('#figure-primary-km .live .mark-line path').getAttribute('d')"
        whole = visit.page.evaluate(line)
        box = chart.bounding_box()
        visit.page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.25)
        visit.page.mouse.wheel(0, -300)
        visit.page.wait_for_timeout(200)
        assert visit.page.evaluate(line) == whole, "plain scrolling must not zoom"
        chart.scroll_into_view_if_needed()
        box = chart.bounding_box()
        visit.page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.25)
        visit.page.keyboard.down("Shift")
        visit.page.mouse.wheel(0, -300)
        visit.page.keyboard.up("Shift")
        visit.page.wait_for_timeout(300)
        assert visit.page.evaluate(line) != whole
        visit.page.mouse.dblclick(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.25)
        visit.page.wait_for_timeout(300)
        assert visit.page.evaluate(line) == whole
        assert visit.messages == []


def test_live_and_static_drawings_have_the_same_frame(browser: Any, report: Path) -> None:
    with Visit(browser, report) as visit:
        visit.scroll_through()
        sizes = visit.page.evaluate(
            """() => [...document.querySelectorAll('.drawing.is-live')].map((box) => [
                 box.querySelector('.live svg').getAttribute('viewBox'),
                 box.querySelector('.still svg').getAttribute('viewBox')])"""
        )
        assert sizes
        assert all(live == still for live, still in sizes)


def test_without_scripts_the_page_is_complete(browser: Any, report: Path) -> None:
    with Visit(browser, report, java_script_enabled=False) as visit:
        for figure in visit.page.locator("figure").all():
            shown = [svg for svg in figure.locator("svg").all() if svg.is_visible()]
            assert shown, figure.get_attribute("id")
        assert not visit.page.locator("button").first.is_visible()
        assert visit.page.locator("h1").is_visible()


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_is_wider_than_the_screen(browser: Any, report: Path, width: int) -> None:
    with Visit(browser, report, viewport={"width": width, "height": 844}) as visit:
        visit.page.evaluate("() => document.querySelectorAll('details').forEach((entry) => { entry.open = true; })")
        assert visit.page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_text_of_figures_stays_readable_on_a_telephone(browser: Any, report: Path) -> None:
    with Visit(browser, report, viewport={"width": 390, "height": 844}) as visit:
        scales = visit.page.evaluate(
            """() => [...document.querySelectorAll('figure svg')].filter((svg) => svg.getClientRects().length)
                 .map((svg) => [svg.closest('figure').id, svg.clientWidth / svg.viewBox.baseVal.width])"""
        )
        assert len(scales) >= 9
        assert [(name, scale) for name, scale in scales if scale < 0.8] == []


def test_page_one_fits_one_screen(browser: Any, report: Path) -> None:
    with Visit(browser, report) as visit:
        visit.page.wait_for_timeout(500)
        assert visit.page.evaluate("() => document.querySelector('.cover').getBoundingClientRect().bottom") <= 800


def test_dark_is_dark(browser: Any, report: Path) -> None:
    with Visit(browser, report, color_scheme="dark") as visit:
        channel = "() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
        assert max(visit.page.evaluate(channel)) < 60
        fills = "() => [...document.querySelectorAll('figure svg text')].map((t) => getComputedStyle(t).fill)"
        lightness = [max(map(int, re.findall(r"\d+", fill))) for fill in visit.page.evaluate(fills)]
        assert min(lightness) >= 17
        assert sum(value > 100 for value in lightness) > 0.9 * len(lightness) - 40


def test_on_paper_every_figure_is_static_and_folded_tables_open(browser: Any, report: Path) -> None:
    with Visit(browser, report) as visit:
        visit.scroll_through()
        visit.page.emulate_media(media="print", color_scheme="dark")
        visit.page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
        for figure in visit.page.locator("figure").all():
            assert figure.locator(".live:visible").count() == 0
            assert figure.locator(".still:visible").count() == figure.locator(".drawing").count()
        assert visit.page.locator("details.fold:not([open])").count() == 0
        assert not visit.page.locator("nav.contents").is_visible()
        background = visit.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        assert background == "rgb(255, 255, 255)"
        pdf = visit.page.pdf(format="A4", prefer_css_page_size=True)
        assert pdf.startswith(b"%PDF")


def test_figures_can_be_saved(browser: Any, report: Path) -> None:
    with Visit(browser, report, color_scheme="dark") as visit:
        figure = visit.page.locator("#figure-primary-km")
        for kind, head in (("svg", b"<svg"), ("png", b"\x89PNG")):
            with visit.page.expect_download() as download:
                figure.locator(f"button[data-format={kind}]").click()
            data = Path(download.value.path()).read_bytes()
            assert data.startswith(head)
            if kind == "svg":
                assert b"var(--" not in data
                assert b"hormone therapy" in data
                assert b"At risk" in data
            else:
                assert len(data) > 20_000
        assert visit.messages == []


def test_criteria_can_be_copied(browser: Any, report: Path) -> None:
    with Visit(browser, report, permissions=["clipboard-read", "clipboard-write"]) as visit:
        button = visit.page.locator("button[data-copy=copy-enrol]")
        button.click()
        visit.page.wait_for_function(
            "() => document.querySelector('button[data-copy=copy-enrol]').textContent !== 'Copy criteria'"
        )
        assert button.inner_text() in ("Copied", "Selected: press Ctrl+C")


@pytest.mark.skipif(not Path(AXE).is_file(), reason="AXE_CORE does not name axe.min.js")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_no_serious_fault(browser: Any, report: Path, scheme: str, width: int) -> None:
    size = {"width": width, "height": 844}
    with Visit(browser, report, color_scheme=scheme, viewport=size, bypass_csp=False) as visit:
        visit.page.evaluate("() => document.querySelectorAll('details').forEach((entry) => { entry.open = true; })")
        visit.page.evaluate(Path(AXE).read_text(encoding="utf-8"))
        found = json.loads(visit.page.evaluate("async () => JSON.stringify((await axe.run()).violations)"))
        grave = [
            (fault["id"], node["html"][:160], node.get("failureSummary", "")[:200])
            for fault in found
            if fault["impact"] in ("serious", "critical")
            for node in fault["nodes"]
        ]
        assert grave == []
