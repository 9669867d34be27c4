"""A study of the shared nasty cohort (240 patients, two arms), built in memory so that a test changes one thing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trialstrat.protocol.load import LoadedProtocol
from trialstrat.protocol.model import Protocol

SHARED = Path(__file__).resolve().parents[3].parent / "shared"
NASTY = SHARED / "nasty" / "files"

BASE: dict[str, Any] = {
    "trialstrat": 1,
    "id": "nasty",
    "title": "A made-up cohort",
    "question": "Does the experimental arm live longer?",
    "sources": [{"name": "cohort", "file": "00_clean.csv", "id": "USUBJID"}],
    "arms": {
        "column": "ARM",
        "levels": [{"name": "CTRL", "value": "CTRL", "control": True}, {"name": "EXP", "value": "EXP"}],
    },
    "endpoints": [
        {
            "name": "os",
            "label": "Overall survival",
            "time": "OS_MONTHS",
            "unit": "months",
            "event": {"column": "OS_EVENT", "events": [1], "censored": [0]},
        }
    ],
    "estimand": {
        "population": "everybody",
        "treatment": "EXP against CTRL",
        "endpoint": "os",
        "intercurrent_events": [{"event": "stopping", "strategy": "treatment_policy"}],
    },
    "covariates": [
        {"column": "AGE", "kind": "continuous", "unit": "years"},
        {"column": "SEX", "kind": "categorical"},
        {"column": "ECOG", "kind": "ordinal", "levels": [0, 1, 2]},
    ],
    "biomarkers": [
        {"column": "TMB", "kind": "continuous", "role": "prognostic"},
        {"column": "TP53", "kind": "categorical", "role": "prognostic"},
    ],
}


def merged(base: Any, changes: Any) -> Any:
    """``base`` with ``changes``: mappings merge key by key, everything else is replaced."""
    if isinstance(base, dict) and isinstance(changes, dict):
        out = dict(base)
        for key, value in changes.items():
            out[key] = merged(base[key], value) if key in base else value
        return out
    return changes


@pytest.fixture
def declared() -> Callable[..., LoadedProtocol]:
    """Builds a loaded protocol: the base study on ``file``, with changes merged in."""

    def build(file: str = "00_clean.csv", *, source: dict[str, Any] | None = None, **changes: Any) -> LoadedProtocol:
        study = merged(copy.deepcopy(BASE), changes)
        study["sources"][0] = {**study["sources"][0], "file": file, **(source or {})}
        return LoadedProtocol(
            protocol=Protocol.model_validate(study), path=NASTY / "nasty.yaml", sha256="0" * 64, lines={}
        )

    return build


@pytest.fixture
def nasty() -> Path:
    """The folder of the shared nasty files."""
    if not NASTY.is_dir():
        pytest.skip("the shared nasty files are not beside this checkout")
    return NASTY


#: A study of no arms on small files written by a test.
SMALL: dict[str, Any] = {
    "trialstrat": 1,
    "id": "small",
    "title": "A small cohort",
    "question": "Who is at risk?",
    "sources": [{"name": "cohort", "file": "cohort.csv", "id": "ID"}],
    "endpoints": [
        {
            "name": "os",
            "label": "Overall survival",
            "time": "T",
            "unit": "months",
            "event": {"column": "E", "events": [1], "censored": [0]},
        }
    ],
    "estimand": {"population": "everybody", "treatment": "none", "endpoint": "os"},
    "analysis": {"minimum_events": 1},
    "disclosure": {"minimum_cell": 5},
}


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., LoadedProtocol]:
    """``small(files, **changes)``: the small study on files given as text by name (a string is cohort.csv)."""

    def build(files: str | dict[str, str | bytes], **changes: Any) -> LoadedProtocol:
        written = {"cohort.csv": files} if isinstance(files, str) else files
        for name, text in written.items():
            (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        study = merged(copy.deepcopy(SMALL), changes)
        return LoadedProtocol(
            protocol=Protocol.model_validate(study), path=tmp_path / "small.yaml", sha256="0" * 64, lines={}
        )

    return build


def table(**columns: list[Any]) -> str:
    """CSV text of columns; ids, times of 5, 6, ... months and alternating events are added where they are absent."""
    n = max(len(values) for values in columns.values())
    rest = {"ID": [f"p{at:03d}" for at in range(n)], "T": list(range(5, n + 5)), "E": [at % 2 for at in range(n)]}
    full = {**{key: value for key, value in rest.items() if key not in columns}, **columns}
    rows = [",".join("" if cell is None else f'"{cell}"' for cell in row) for row in zip(*full.values(), strict=True)]
    return "\n".join([",".join(f'"{name}"' for name in full), *rows]) + "\n"


def codes(findings: Any) -> dict[str, tuple[str, int | None, int | None, tuple[int, ...]]]:
    """Findings but notes, as code -> column, bad, total, lines."""
    return {
        entry.code: (entry.column, entry.bad, entry.total, entry.lines)
        for entry in findings
        if entry.severity != "note"
    }
