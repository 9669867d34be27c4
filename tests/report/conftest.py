"""The record and the page of the report's tests, made once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fixture_record import full_record
from page_tree import Page

from trialstrat.report.build import build_report
from trialstrat.report.model import RunRecord
from trialstrat.report.render import render


@pytest.fixture(scope="session")
def record() -> RunRecord:
    return full_record()


@pytest.fixture(scope="session")
def html(record: RunRecord) -> str:
    return render(build_report(record))


@pytest.fixture(scope="session")
def page(html: str) -> Page:
    return Page(html)
