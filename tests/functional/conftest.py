"""One run of the small study, shared by the tests that look at what it left."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.functional.study import write_study
from trialstrat.cli import app


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of the small study."""
    folder = tmp_path_factory.mktemp("study")
    out = folder / "out"
    result = CliRunner().invoke(app, ["run", str(write_study(folder)), "--out", str(out), "--jobs", "1"])
    assert result.exit_code == 0, result.output
    return out
