"""What a protocol asks of the rule search."""

from __future__ import annotations

from tests.helpers.synthetic import cohort, trial
from trialstrat.subgroups.rule_study import study_options


def test_no_rule_is_smaller_than_the_minimum_cell() -> None:
    small = study_options(cohort(trial(n=60), disclosure={"minimum_cell": 11}))
    assert small.minimum_size * 60 >= 11 - 1e-9
    large = study_options(cohort(trial(n=400), disclosure={"minimum_cell": 11}))
    assert large.minimum_size == 0.1
    tiny = study_options(cohort(trial(n=12), disclosure={"minimum_cell": 11}))
    assert tiny.minimum_size < 0.5
