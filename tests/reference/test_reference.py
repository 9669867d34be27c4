"""Every reference case against the public functions, at the case's own tolerances.

``TRIALSTRAT_REFERENCE`` names another folder of cases; without it the committed ones are run.
"""

import os
from functools import cache
from pathlib import Path

import pytest

from trialstrat.pipeline.reference import read_topics, run_case
from trialstrat.pipeline.reference.columns import Columns

FOLDER = Path(os.environ.get("TRIALSTRAT_REFERENCE") or Path(__file__).parent / "cases")
CASES = [
    pytest.param(topic.topic, case, id=case["id"])
    for topic in read_topics(FOLDER)
    for case in sorted(topic.cases, key=lambda case: case["id"])
]


@cache
def table(name):
    return Columns.read(FOLDER / name) if name else Columns({})


@pytest.mark.parametrize(("topic", "case"), CASES)
def test_case(topic, case, record_property):
    result = run_case(case, table(case.get("data")), topic=topic)
    record_property("reference", [topic, result.passed, str(result.deviation)])
    assert result.passed, result.message
