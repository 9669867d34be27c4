"""What a study declares about its criteria: how their effect is emulated, ranked and searched, and their assays."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from trialstrat.protocol.base import Declared, Name

#: Fewer bootstrap samples give no 95% percentile limits.
_FEWEST_DRAWS = 100

Objective = Literal["pool", "effect", "events", "representativeness", "cost"]


class PublishedEffect(Declared):
    """The effect that the published trial reports, with which the emulated trial is compared before any ranking."""

    hazard_ratio: float = Field(gt=0)
    lower: float = Field(gt=0)
    upper: float = Field(gt=0)
    level: float = Field(default=0.95, gt=0.5, lt=1)
    comparison: Name | None = Field(default=None, description="Name of the treatment arm; the first when absent.")
    reference: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> PublishedEffect:
        if not self.lower < self.hazard_ratio < self.upper:
            raise ValueError("lower, hazard_ratio and upper must increase")
        return self


class ImpactPlan(Declared):
    """How the impact of each criterion is measured."""

    exact: int = Field(default=15, ge=0, le=15, description="Most criteria for exact Shapley values; sampled beyond.")
    permutations: int = Field(default=200, ge=20, le=100_000, description="Orders drawn where values are sampled.")
    bootstrap: int = Field(default=200, ge=0, le=10_000, description="Samples of the intervals; 0: none.")
    folds: int = Field(default=5, ge=2, le=20, description="Folds in which criteria are chosen and judged apart.")
    repeats: int = Field(default=5, ge=1, le=100, description="Times the folds are drawn anew.")
    scale: Literal["log_hazard_ratio", "hazard_ratio"] = Field(
        default="log_hazard_ratio",
        description="Scale of the Shapley values that decide; hazard_ratio is TrialPathfinder's convention.",
    )

    @model_validator(mode="after")
    def _enough(self) -> ImpactPlan:
        if 0 < self.bootstrap < _FEWEST_DRAWS:
            raise ValueError(f"bootstrap: at least {_FEWEST_DRAWS} samples for limits, or 0 for none")
        return self


class Utility(Declared):
    """What the pick maximises: a weighted sum over objectives, each standardised over the rule sets tried."""

    pool: float = 1.0
    effect: float = 1.0
    events: float = 0.0
    representativeness: float = 0.5
    cost: float = 0.5


class SearchPlan(Declared):
    """The search over thresholds and criteria."""

    trials: int = Field(default=200, ge=0, le=100_000, description="Rule sets tried; 0 switches the search off.")
    batch: int = Field(default=20, ge=1, le=1000, description="Rule sets asked for at a time; changes the search.")
    sampler: Literal["nsga2", "tpe"] = "nsga2"
    objectives: tuple[Objective, ...] = ("pool", "effect", "representativeness")
    minimum_pool: float = Field(default=0.05, gt=0, lt=1, description="Least share of all patients a rule set keeps.")
    fixed: tuple[Name, ...] = Field(default=(), description="Criteria that stay as they are (safety, consent).")
    factors: tuple[float, ...] = Field(
        default=(0.5, 0.75, 0.9, 1.1, 1.25, 1.5, 2.0),
        description="Multiples of a threshold that are tried where values cannot be looked at patient by patient.",
    )
    utility: Utility = Utility()

    @model_validator(mode="after")
    def _objectives(self) -> SearchPlan:
        if len(self.objectives) < 2 or len(set(self.objectives)) != len(self.objectives):
            raise ValueError("objectives: at least two, each once")
        if any(factor <= 0 for factor in self.factors):
            raise ValueError("factors: must be positive")
        return self


class Assay(Declared):
    """The test behind a criterion: what it misses, how often it fails, how long it takes."""

    criterion: Name = Field(description="Id of the criterion that the assay decides.")
    name: str = ""
    sensitivity: float = Field(default=1.0, gt=0, le=1)
    specificity: float = Field(default=1.0, gt=0, le=1)
    failure_rate: float = Field(default=0.0, ge=0, lt=1, description="Share of samples without a result.")
    turnaround: float | None = Field(default=None, ge=0, description="Time to the result, in the endpoint's unit.")
    prevalence: float | None = Field(default=None, gt=0, lt=1, description="By default as in the data.")

    @model_validator(mode="after")
    def _informative(self) -> Assay:
        if self.sensitivity + self.specificity <= 1:
            raise ValueError("sensitivity and specificity must add up to more than 1")
        return self


class CriteriaPlan(Declared):
    """The criteria under study: weighting of the emulated trial, published effect, impact, search, assays, costs."""

    rules: str | None = Field(default=None, description="Rule file in TrialPathfinder's format, beside the data.")
    weighting: Literal["declared", "none", "overlap", "stabilised", "trialpathfinder"] = Field(
        default="declared",
        description="declared: none for randomised arms, overlap weights from arms.confounders otherwise.",
    )
    published: PublishedEffect | None = None
    representative: tuple[str, ...] = Field(
        default=(), description="Covariates that should stay as in all patients; age, sex and race where present."
    )
    impact: ImpactPlan = ImpactPlan()
    search: SearchPlan = SearchPlan()
    assays: tuple[Assay, ...] = ()
    costs: dict[str, float] = Field(
        default_factory=dict, description="Cost per patient screened of applying a criterion, by its id."
    )

    @model_validator(mode="after")
    def _once(self) -> CriteriaPlan:
        names = [assay.criterion for assay in self.assays]
        if len(set(names)) != len(names):
            raise ValueError("assays: two assays for one criterion")
        if any(cost < 0 for cost in self.costs.values()):
            raise ValueError("costs: must not be negative")
        return self
