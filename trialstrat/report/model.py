"""What the report is made from: the stored results of one run, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trialstrat.results import Estimate, Evidence, StageResult, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run as the store hands it back.

    Parameters
    ----------
    study
        The declarations a reader needs, as plain values: ``id``, ``title``, ``version``, ``question``, ``status``,
        ``data_cut``, ``disease_area``, ``references``, ``limits``, ``arms`` (``name``, ``label``, ``control``),
        ``allocation`` (randomised | partly_randomised | observational), ``endpoint`` (``label``, ``unit``,
        ``display_unit``, ``horizon`` in the display unit, ``time_zero``), ``estimand``, ``analysis``, ``models``,
        ``missing_data``, ``covariates``, ``biomarkers``, ``eligibility``, ``minimum_cell``. Every key may be absent.
    stages
        Results by stage name; sections appear only for the stages that are present.
    manifest
        ``trialstrat`` (version), ``command``, ``seed``, ``generated`` (a string), ``protocol_sha256``,
        ``data_sha256`` (by source), ``versions`` (by package); further keys are listed as they are.
    evidence
        Whether the run answers a question declared before the outcomes were read.
    """

    study: Mapping[str, Any]
    stages: Mapping[str, StageResult]
    manifest: Mapping[str, Any] = field(default_factory=dict)
    evidence: Evidence = "exploratory"

    def stage(self, name: str) -> StageResult | None:
        """The result of a stage, None when it did not run."""
        return self.stages.get(name)

    def estimate(self, name: str) -> Estimate | None:
        """An estimate by its dotted id, None when no stage made it."""
        stage = self.stages.get(name.split(".", 1)[0])
        if stage is None:
            return None
        return next((entry for entry in stage.estimates if entry.name == name), None)

    def table(self, name: str) -> Table | None:
        """A table by name, None when it is absent or has no rows."""
        stage = self.stages.get(name.split(".", 1)[0])
        if stage is None:
            return None
        return next((entry for entry in stage.tables if entry.name == name and entry.rows), None)

    def fact(self, stage: str, key: str, default: str = "") -> str:
        """A short string that a stage left for sentences."""
        result = self.stages.get(stage)
        return default if result is None else str(result.facts.get(key, default) or default)
