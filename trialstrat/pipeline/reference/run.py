"""Run a folder of reference cases against the public functions."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from trialstrat.errors import DataError, InvalidInputError
from trialstrat.pipeline.reference.columns import Columns
from trialstrat.pipeline.reference.compare import MISSING_IS_A_RESULT, Comparison
from trialstrat.pipeline.reference.registry import find_method

#: One module per topic; importing it registers its methods.
TOPIC_MODULES = (
    "survival",
    "tests",
    "cox",
    "competing",
    "cutpoint",
    "cutpoint_interaction",
    "penalised",
    "prediction",
    "multiplicity",
    "balance",
    "design",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """Outcome of one case.

    ``deviation`` is the largest |found - expected| as a share of what the case allows (at most 1 when passed; 0 for a
    case that must be refused or is not estimable; infinite when something is absent). ``compared`` counts values.
    """

    id: str
    topic: str
    method: str
    passed: bool
    deviation: float
    compared: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicFile:
    """A topic file as read: its cases and what made them."""

    topic: str
    r_version: str
    packages: Mapping[str, str]
    cases: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSummary:
    """Cases, passed cases and largest deviation of one topic."""

    topic: str
    cases: int
    passed: int
    deviation: float


def shipped_folder() -> Path:
    """The cases that come with the package (tables made for this project, and cases that need none)."""
    return Path(str(files("trialstrat.pipeline.reference"))) / "shipped"


def read_topics(folder: Path) -> list[TopicFile]:
    """Read every topic file of a folder, in order of name.

    Raises
    ------
    DataError
        When the folder holds no topic file, or one cannot be read.
    """
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise DataError(f"{folder}: holds no topic file (*.json) of reference cases")
    return [_read_topic(path) for path in paths]


def run_folder(folder: Path) -> list[CaseResult]:
    """Run every case of a folder of reference cases, in order of topic file and case.

    Parameters
    ----------
    folder : Path
        Topic files ``*.json`` and their tables in ``data/``.

    Returns
    -------
    list of CaseResult
        One per case; a method or argument nobody registered, a crash, or a number outside its tolerance is a failed
        case, never an exception.
    """
    tables: dict[str, Columns] = {}
    results = []
    for topic in read_topics(folder):
        for case in topic.cases:
            name = case.get("data")
            if name and name not in tables:
                tables[name] = Columns.read(folder / name)
            results.append(run_case(case, tables[name] if name else Columns({}), topic=topic.topic))
    return results


def run_case(case: Mapping[str, Any], columns: Columns, *, topic: str) -> CaseResult:
    """Run one case on its table."""
    load_methods()
    comparison = Comparison(
        rtol=float(case.get("rtol", 0.0)),
        atol=float(case.get("atol", 0.0)),
        tolerances=case.get("tolerances") or {},
        missing_is_result=case["method"] in MISSING_IS_A_RESULT,
    )
    message = _run(case, columns, comparison)
    return CaseResult(
        id=case["id"],
        topic=topic,
        method=case["method"],
        passed=not message,
        deviation=math.inf if message and not comparison.faults else comparison.deviation,
        compared=comparison.compared,
        message=message,
    )


def summarise(results: Iterable[CaseResult]) -> list[TopicSummary]:
    """Count cases and passed cases by topic, in order of first appearance."""
    by_topic: dict[str, list[CaseResult]] = {}
    for result in results:
        by_topic.setdefault(result.topic, []).append(result)
    return [
        TopicSummary(
            topic=topic,
            cases=len(group),
            passed=sum(result.passed for result in group),
            deviation=max(result.deviation for result in group),
        )
        for topic, group in by_topic.items()
    ]


@cache
def load_methods() -> None:
    """Import the topic modules, which register their methods."""
    for name in TOPIC_MODULES:
        importlib.import_module(f"trialstrat.pipeline.reference.{name}")


def _run(case: Mapping[str, Any], columns: Columns, comparison: Comparison) -> str:
    """Answer and compare; returns what is wrong, empty when nothing is."""
    method = find_method(case["method"])
    if method is None:
        return f"no function answers the method {case['method']}"
    fault = method.fault(case["args"])
    if fault:
        return fault
    expected = case["expect"]
    wanted = expected.get("status", "ok")
    try:
        answer = method.run(columns, case["args"])
    except InvalidInputError as error:
        return "" if wanted == "error" else f"refused: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    status = answer.get("status", "ok")
    if wanted != "ok" or status != "ok":
        return "" if status == wanted else f"status is {status}, expected {wanted}"
    comparison.check(answer, expected)
    if not comparison.faults:
        return ""
    more = len(comparison.faults) - 3
    return "; ".join(comparison.faults[:3]) + (f"; and {more} more" if more > 0 else "")


def _read_topic(path: Path) -> TopicFile:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return TopicFile(
            topic=content["topic"],
            r_version=content["r_version"],
            packages=content["packages"],
            cases=tuple(content["cases"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: is not a topic file of reference cases ({error})") from error
