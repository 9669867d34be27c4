"""What the plan for criteria names must exist; weights need confounders."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tests.unit.criteria.test_impact import OBSERVED, protocol
from trialstrat.protocol.criteria_model import Assay, CriteriaPlan, ImpactPlan, PublishedEffect, SearchPlan
from trialstrat.protocol.lint import lint


def codes(**changes) -> list[tuple[str, str, str]]:
    return [(f.code, f.severity, f.column) for f in lint(protocol(**changes)) if f.code.startswith("P-CRITERIA")]


@pytest.mark.parametrize(
    ("plan", "where"),
    [
        ({"search": {"fixed": ["X"]}}, "criteria.search.fixed"),
        ({"costs": {"X": 3.0}}, "criteria.costs"),
        ({"assays": [{"criterion": "X"}]}, "criteria.assays"),
        ({"representative": ["race"]}, "criteria.representative"),
        ({"published": {"hazard_ratio": 0.5, "lower": 0.4, "upper": 0.6, "comparison": "x"}}, "criteria.published"),
    ],
)
def test_unknown_names_are_errors(plan, where):
    assert codes(criteria=plan) == [("P-CRITERIA-NAME", "error", where)]


def test_weights_need_confounders_and_observational_arms_need_weights():
    where = "criteria.weighting"
    assert codes(criteria={"weighting": "overlap"}) == [("P-CRITERIA-WEIGHTS", "error", where)]
    assert codes(**OBSERVED, criteria={"weighting": "none"}) == [("P-CRITERIA-WEIGHTS", "warning", where)]
    assert codes(**OBSERVED, criteria={"weighting": "trialpathfinder"}) == [("P-CRITERIA-WEIGHTS", "note", where)]
    assert codes(**OBSERVED) == []


def test_a_published_hazard_ratio_is_a_benchmark_of_times_alone():
    plan = {"published": {"hazard_ratio": 0.2, "lower": 0.1, "upper": 0.3}}
    assert codes(criteria=plan) == []
    binary = {"name": "r", "label": "R", "kind": "binary", "value": "r", "positive": [1], "negative_values": [0]}
    estimand = {"population": "all", "treatment": "drug", "endpoint": "r"}
    found = codes(criteria=plan, endpoints=[binary], estimand=estimand)
    assert found == [("P-CRITERIA-PUBLISHED", "error", "criteria.published")]


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (PublishedEffect, {"hazard_ratio": 0.5, "lower": 0.6, "upper": 0.7}),
        (ImpactPlan, {"bootstrap": 50}),
        (SearchPlan, {"objectives": ("pool",)}),
        (SearchPlan, {"factors": (0.0,)}),
        (Assay, {"criterion": "X", "sensitivity": 0.4, "specificity": 0.5}),
        (CriteriaPlan, {"assays": ({"criterion": "X"}, {"criterion": "X"})}),
        (CriteriaPlan, {"costs": {"X": -1.0}}),
    ],
)
def test_impossible_plans_are_refused(model, values):
    with pytest.raises(ValidationError):
        model(**values)
