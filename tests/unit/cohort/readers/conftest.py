"""Reading a few bytes as a declared source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trialstrat.cohort.readers.registry import read_source
from trialstrat.cohort.readers.table import RawTable
from trialstrat.cohort.rules import RefusedError
from trialstrat.protocol.model import Source


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., RawTable]:
    """``read(content, name, **source)``: the table of a file with this content."""

    def read(content: bytes | str, name: str = "t.csv", **source: Any) -> RawTable:
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return read_source(Source.model_validate({"name": "t", "file": name, **source}), tmp_path)

    return read


@pytest.fixture
def refused(read: Callable[..., RawTable]) -> Callable[..., list[tuple[str, tuple[int, ...]]]]:
    """``refused(content, ...)``: codes and lines of the findings with which a file is refused."""

    def refused(content: bytes | str, name: str = "t.csv", **source: Any) -> list[tuple[str, tuple[int, ...]]]:
        with pytest.raises(RefusedError) as raised:
            read(content, name, **source)
        return [(entry.code, entry.lines) for entry in raised.value.findings]

    return refused


def cells(table: RawTable) -> list[list[str | None]]:
    """The cells of a table row by row, None where the format says missing."""
    return table.frame.astype(object).where(table.frame.notna(), None).to_numpy().tolist()
