"""What a protocol says about the search for a rule."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tests.helpers.cohorts import protocol
from trialstrat.protocol.lint import lint
from trialstrat.protocol.load import load_protocol


def test_the_defaults_are_the_documented_ones():
    plan = protocol().rule_search
    assert (plan.max_conditions, plan.minimum_size, plan.minimum_events_per_arm) == (2, 0.1, 10)
    assert plan.direction == "either"
    assert plan.markers == ()


@pytest.mark.parametrize(
    "change",
    [{"max_conditions": 4}, {"minimum_size": 0.5}, {"permutations": 10}, {"direction": "up"}, {"marker": ["age"]}],
)
def test_impossible_searches_are_refused(change):
    with pytest.raises(ValidationError):
        protocol(rule_search=change)


def test_alternatives_need_a_rule():
    with pytest.raises(ValidationError):
        protocol(rule_search={"alternatives": [{"name": "x", "rule": [], "inside": 2.0, "outside": 0.6}]})


def test_markers_that_are_not_declared_are_an_error(tmp_path):
    from pathlib import Path

    text = (Path(__file__).parents[3] / "protocols" / "gbsg2.yaml").read_text(encoding="utf-8")
    assert "markers: [age, " in text
    path = tmp_path / "study.yaml"
    path.write_text(text.replace("markers: [age, ", "markers: [agee, "), encoding="utf-8")
    found = [finding for finding in lint(load_protocol(path)) if "RULE-MARKER" in finding.code]
    assert len(found) == 1
    assert "agee" in found[0].message
