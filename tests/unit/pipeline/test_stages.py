"""Stages that read nothing but the cohort."""

from trialstrat.pipeline import stages
from trialstrat.pipeline.seeds import TASKS


def test_every_stage_is_run_and_has_a_seed_of_its_own():
    assert sorted(stages._BY_COST) == sorted(stages.STAGES)
    assert set(stages.STAGES) <= set(TASKS)
