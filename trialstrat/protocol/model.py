"""What a study declares, as immutable typed objects. Unknown keys are refused; no data are touched here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from trialstrat.protocol.base import Declared, Name, TimeUnit, Value
from trialstrat.protocol.criteria_model import CriteriaPlan
from trialstrat.protocol.features_model import BatchEffects, Feature, GeneSymbols
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.model import Condition
from trialstrat.protocol.language.schema import Molecular
from trialstrat.protocol.missing_model import MissingData
from trialstrat.protocol.privacy_model import Privacy
from trialstrat.protocol.published_model import PublishedModel
from trialstrat.protocol.source_model import Source

VariableKind = Literal["continuous", "categorical", "ordinal"]
Engine = Literal["clinical_cox", "penalised_cox", "forest", "boosting", "weibull_aft"]
FeatureSet = Literal["clinical", "molecular", "combined"]


class Arm(Declared):
    """A treatment group: ``value`` is how the data spell it, ``label`` how people read it."""

    name: Name
    value: Value
    label: str = ""
    control: bool = False

    @property
    def title(self) -> str:
        """The label, or the name where none was given."""
        return self.label or self.name


class Arms(Declared):
    """The treatment groups and how patients came into them. One arm is the control (a single arm has none)."""

    column: str
    levels: Annotated[tuple[Arm, ...], Field(min_length=1)]
    allocation: Literal["randomised", "partly_randomised", "observational"] = "randomised"
    strata: tuple[str, ...] = Field(default=(), description="Columns the randomisation was stratified by.")
    confounders: tuple[str, ...] = Field(default=(), description="What decided treatment, for observational arms.")
    missing: Literal["refuse", "drop"] = Field(default="refuse", description="Patients without an arm.")

    @model_validator(mode="after")
    def _one_control(self) -> Arms:
        names = [arm.name for arm in self.levels]
        if len(set(names)) != len(names):
            raise ValueError("two arms share a name")
        if len({str(arm.value) for arm in self.levels}) != len(names):
            raise ValueError("two arms share a value")
        controls = sum(arm.control for arm in self.levels)
        if len(self.levels) > 1 and controls != 1:
            raise ValueError(f"exactly one arm must carry control: true, found {controls}")
        return self

    @property
    def control(self) -> Arm | None:
        """The control arm, None with a single arm."""
        return next((arm for arm in self.levels if arm.control), None)

    @property
    def treatments(self) -> tuple[Arm, ...]:
        """Every arm but the control, in declared order."""
        return tuple(arm for arm in self.levels if not arm.control)


class EventCoding(Declared):
    """Which values of which column are events. Never guessed: every value found must be listed."""

    column: str
    events: tuple[Value, ...] = Field(default=(), description="Values that are the event.")
    censored: tuple[Value, ...] = Field(default=(), description="Values that are censored.")
    causes: dict[str, Value] = Field(
        default_factory=dict, description="Competing causes by name; the first is the cause of interest."
    )
    style: Literal["explicit", "cnsr", "cbioportal", "dated"] = Field(
        default="explicit",
        description="cnsr: 0 is the event, 1 and above censored; cbioportal: '1:...' event, '0:...' not; dated: the "
        "column holds the date of the event, and is empty where there was none until end:.",
    )
    proposed: str = Field(default="", description="Why a program proposed this coding; remove it once confirmed.")

    @model_validator(mode="after")
    def _complete(self) -> EventCoding:
        if self.style == "explicit" and not (self.events or self.causes):
            raise ValueError("declare events: (the values that are events) or causes:, or a style")
        if self.style == "explicit" and not self.censored:
            raise ValueError("declare censored: (the values that are censored; [] is not enough)")
        if self.style != "explicit" and (self.events or self.censored or self.causes):
            raise ValueError(f"style: {self.style} already says which values are events; remove the lists")
        if self.events and self.causes:
            raise ValueError("declare events: or causes:, not both")
        return self


class Endpoint(Declared):
    """How an outcome is read from the data."""

    name: Name
    label: str
    kind: Literal["time_to_event", "competing", "binary", "continuous"] = "time_to_event"
    time: str | None = Field(default=None, description="Column with the time from time zero to event or censoring.")
    start: str | None = Field(default=None, description="Column with the date of time zero, instead of time:.")
    end: str | None = Field(default=None, description="Column with the date of event or censoring, instead of time:.")
    event: EventCoding | None = None
    competing: tuple[Name, ...] = Field(
        default=(),
        description="kind competing: other endpoints of this protocol, whose event competes where it comes first; "
        "instead of event.causes.",
    )
    value: str | None = Field(default=None, description="Column of a binary or continuous outcome.")
    positive: tuple[Value, ...] = Field(default=(), description="Values of a binary outcome that count as the event.")
    negative_values: tuple[Value, ...] = Field(default=(), description="Values of a binary outcome that do not.")
    entry: str | None = Field(default=None, description="Column with the time of delayed entry (left truncation).")
    unit: TimeUnit | None = Field(default=None, description="Unit of time in the data; mandatory for times.")
    display_unit: TimeUnit | None = Field(default=None, description="Unit in the report, by default that of the data.")
    horizon: float | None = Field(default=None, gt=0, description="Horizon of RMST, milestone and risk, in `unit`.")
    milestones: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(), description="Times, in `unit`, at which survival (cumulative incidence) is reported."
    )
    maximum: float | None = Field(default=None, gt=0, description="Largest possible time, in `unit`.")
    time_zero: str = Field(default="randomisation", description="What happened at time 0, in words.")
    zero_time: Literal["refuse", "keep", "drop", "half_day"] = Field(default="refuse", description="Events at time 0.")
    negative_time: Literal["refuse", "drop"] = "refuse"
    missing_outcome: Literal["refuse", "drop"] = "refuse"
    favourable: Literal["lower", "higher"] = Field(default="lower", description="Which values of the outcome are good.")

    @model_validator(mode="after")
    def _columns(self) -> Endpoint:
        timed = self.kind in ("time_to_event", "competing")
        dated = self.start is not None and self.end is not None
        if (self.start is None) != (self.end is None) or (dated and self.time is not None):
            raise ValueError("declare time:, or both start: and end:")
        if self.event is not None and self.event.style == "dated" and not dated:
            raise ValueError("event style: dated needs start: and end: (the last contact of those without the event)")
        if timed and (not (self.time or dated) or self.event is None or self.unit is None):
            raise ValueError(f"kind {self.kind} needs time: (or start: and end:), event: and unit:")
        if not timed and self.value is None:
            raise ValueError(f"kind {self.kind} needs value:")
        if self.competing and (self.kind != "competing" or (self.event and self.event.causes)):
            raise ValueError("competing: goes with kind competing, and instead of event.causes:")
        if self.kind == "competing" and self.event and not self.competing and len(self.event.causes) < 2:
            raise ValueError(
                "kind competing needs event.causes: with at least two causes, or competing: (endpoints that compete)"
            )
        if list(self.milestones) != sorted(set(self.milestones)) or (self.milestones and not timed):
            raise ValueError("milestones: are times that increase, of an endpoint that is a time")
        if self.kind == "binary" and not self.positive:
            raise ValueError("kind binary needs positive: (the values that count as the event)")
        return self

    @property
    def causes(self) -> tuple[str, ...]:
        """Names of the competing causes, that of interest first; empty without competing events."""
        if self.competing:
            return (self.name, *self.competing)
        return tuple(self.event.causes) if self.event else ()

    @property
    def shown_unit(self) -> TimeUnit:
        """The unit of the report."""
        return self.display_unit or self.unit or "days"


class IntercurrentEvent(Declared):
    """An event after time zero that affects the outcome's meaning, and the strategy for it (ICH E9(R1))."""

    event: str
    strategy: Literal["treatment_policy", "hypothetical", "composite", "while_on_treatment", "principal_stratum"]


class Estimand(Declared):
    """The five attributes of ICH E9(R1); treatment and endpoint are those declared above."""

    population: str
    treatment: str
    endpoint: str
    intercurrent_events: tuple[IntercurrentEvent, ...] = ()
    summary: Literal[
        "hazard_ratio", "rmst_difference", "milestone_difference", "risk_difference", "odds_ratio", "mean_difference"
    ] = "hazard_ratio"


class Variable(Declared):
    """A column used as a covariate."""

    column: str
    label: str = ""
    kind: VariableKind
    unit: str = ""
    levels: tuple[Value, ...] = Field(default=(), description="Levels in order; the first is the reference.")
    measured: Literal["before_time_zero", "after_time_zero"] = "before_time_zero"
    minimum: float | None = None
    maximum: float | None = None
    missing_limit: float = Field(default=0.5, ge=0, le=1, description="Largest share of missing values accepted.")

    @property
    def title(self) -> str:
        """The label, or the column's name where none was given."""
        return self.label or self.column


class Biomarker(Variable):
    """A molecular or clinical marker with its declared role."""

    role: Literal["prognostic", "predictive"]


class MarkerBlock(Declared):
    """Many markers at once: the numeric columns of a source, or those whose name starts with a prefix."""

    source: Name
    prefix: str = ""
    exclude: tuple[str, ...] = ()
    role: Literal["prognostic", "predictive"] = "prognostic"
    unit: str = ""
    missing_limit: float = Field(default=0.5, ge=0, le=1)


class Models(Declared):
    """Prognostic models, and how much tuning they get."""

    engines: tuple[Engine, ...] = ("clinical_cox", "penalised_cox", "forest", "boosting", "weibull_aft")
    feature_sets: tuple[FeatureSet, ...] = ("clinical", "molecular", "combined")
    outer: Literal["folds", "groups"] = Field(
        default="folds", description="groups: each group of group_by: is held out once, predicted by all the others."
    )
    outer_folds: int = Field(default=5, ge=2, le=20, description="Outer folds; not used with outer: groups.")
    repeats: int = Field(default=1, ge=1, le=20)
    inner_folds: int = Field(default=3, ge=2, le=10)
    trials: int = Field(default=20, ge=1, le=1000)
    trees: int = Field(default=200, ge=10, le=5000)
    screen_to: int = Field(default=100, ge=1, description="Most markers kept by the filter inside a fold.")
    group_by: str | None = Field(default=None, description="Column that must not be split between folds (site, batch).")
    times: tuple[float, ...] = Field(default=(), description="Times of the scores, in the endpoint's unit.")
    bootstrap: int = Field(default=200, ge=0, description="Bootstrap samples for the intervals of held-out scores.")

    @model_validator(mode="after")
    def _groups(self) -> Models:
        if self.outer == "groups" and (self.group_by is None or self.repeats != 1):
            raise ValueError("outer: groups needs group_by: (the column of the groups) and repeats: 1")
        return self


class RiskGroups(Declared):
    """Bands of out-of-fold predicted risk; cut points are quantiles of the training risk."""

    quantiles: tuple[float, ...] = (1 / 3, 2 / 3)
    labels: tuple[str, ...] = ("low", "intermediate", "high")

    @model_validator(mode="after")
    def _one_more_label(self) -> RiskGroups:
        if len(self.labels) != len(self.quantiles) + 1:
            raise ValueError("labels: needs one more entry than quantiles:")
        if list(self.quantiles) != sorted(set(self.quantiles)) or not all(0 < q < 1 for q in self.quantiles):
            raise ValueError("quantiles: must increase strictly inside (0, 1)")
        return self


class Enrichment(Declared):
    """Prognostic enrichment: a rule of few conditions distilled from the model."""

    max_conditions: int = Field(default=3, ge=1, le=3)
    target_share: float = Field(default=0.5, gt=0, lt=1, description="Share of patients the rule should enrol.")
    minimum_share: float = Field(default=0.1, gt=0, lt=1)


class Alternative(Declared):
    """A world in which a rule is true, for ``trialstrat calibrate``: effects inside and outside it.

    Effects are hazard ratios (times), odds ratios (binary) or mean differences (continuous) against the control.
    """

    name: Name
    rule: Annotated[tuple[Condition, ...], Field(min_length=1)]
    inside: float
    outside: float


class RuleSearchPlan(Declared):
    """The search for patients in whom the treatment works differently: what is searched, and how hard.

    Candidates are the biomarkers with role ``predictive`` and the columns named in ``markers``.
    """

    markers: tuple[str, ...] = Field(default=(), description="More columns that may define the rule.")
    max_conditions: int = Field(default=2, ge=1, le=3)
    minimum_size: float = Field(default=0.1, gt=0, lt=0.5, description="Least share of patients in and outside a rule.")
    minimum_events_per_arm: int = Field(default=10, ge=1, description="Fewest events per arm, in and outside a rule.")
    direction: Literal["either", "benefit", "harm"] = "either"
    utility: Literal["standardised_difference"] = Field(
        default="standardised_difference",
        description="What ranks rules: evidence for a difference of effects inside and outside, from its SE.",
    )
    permutations: int = Field(default=1000, ge=100, le=100_000, description="Relabellings of the global test.")
    worlds: int = Field(default=200, ge=50, le=10_000, description="Simulated trials per step of the correction.")
    bootstrap: int = Field(default=200, ge=20, le=10_000, description="Resamples of the stability.")
    alternatives: tuple[Alternative, ...] = Field(default=(), description="Worlds for the power of this protocol.")


class Analysis(Declared):
    """Error rates, and what happens when hazards are not proportional."""

    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    level: float = Field(default=0.95, gt=0.5, lt=1)
    ph_alpha: float = Field(default=0.05, gt=0, lt=0.5)
    non_proportional: Literal["rmst", "maxcombo"] = "rmst"
    minimum_events: int = Field(default=10, ge=1, description="Fewest events per arm for an effect to be printed.")
    adjust_for: tuple[str, ...] = Field(default=(), description="Covariates of the adjusted treatment effect.")
    cluster: str | None = Field(
        default=None,
        description="Column of what rows belong to when they are not independent patients (the patient of two eyes, a "
        "household): variances are summed within clusters, and no cluster is split between folds.",
    )


class Disclosure(Declared):
    """Small cells: counts from 1 up to the minimum less one are suppressed, curve steps pooled."""

    minimum_cell: int = Field(default=11, ge=1, le=100)


class Protocol(Declared):
    """A study, declared before any outcome is read."""

    trialstrat: Literal[1] = Field(description="Version of the protocol format.")
    id: Name
    title: str
    version: str = "1.0"
    question: str = Field(description="What the study wants to know, one sentence.")
    disease_area: str = ""
    status: Literal["exploratory", "confirmatory"] = "exploratory"
    data_cut: str = ""
    references: tuple[str, ...] = ()
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    gene_symbols: GeneSymbols = GeneSymbols()
    features: tuple[Feature, ...] = Field(default=(), description="Columns derived from the sources.")
    batch_effects: BatchEffects | None = None
    arms: Arms | None = None
    endpoints: Annotated[tuple[Endpoint, ...], Field(min_length=1)]
    estimand: Estimand
    eligibility: tuple[Criterion, ...] = ()
    time_zero: str = Field(default="", description="Column of the patients with the date of time zero, for records.")
    molecular: Molecular = Field(default=Molecular(), description="Where molecular events of criteria are found.")
    covariates: tuple[Variable, ...] = ()
    biomarkers: tuple[Biomarker, ...] = ()
    marker_blocks: tuple[MarkerBlock, ...] = ()
    published_models: tuple[PublishedModel | str, ...] = Field(
        default=(), description="Models of others: as they stand, or files with one each, beside the protocol."
    )
    missing_data: MissingData = MissingData()
    models: Models = Models()
    risk_groups: RiskGroups = RiskGroups()
    enrichment: Enrichment = Enrichment()
    rule_search: RuleSearchPlan = RuleSearchPlan()
    criteria: CriteriaPlan = CriteriaPlan()
    analysis: Analysis = Analysis()
    disclosure: Disclosure = Disclosure()
    privacy: Privacy = Privacy()
    limits: tuple[str, ...] = Field(default=(), description="Known limits of these data, shown on page one.")
    seed: int = Field(default=20260101, ge=0)

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint that the estimand names."""
        return next(entry for entry in self.endpoints if entry.name == self.estimand.endpoint)

    @property
    def published(self) -> tuple[PublishedModel, ...]:
        """The published models; files were read with the protocol."""
        return tuple(entry for entry in self.published_models if isinstance(entry, PublishedModel))

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Covariates and single biomarkers, in declared order."""
        return (*self.covariates, *self.biomarkers)

    @model_validator(mode="after")
    def _references(self) -> Protocol:
        names = [entry.name for entry in self.endpoints]
        if self.estimand.endpoint not in names:
            raise ValueError(f"estimand.endpoint {self.estimand.endpoint!r} is none of the endpoints {names}")
        for kind, entries in (
            ("source", [entry.name for entry in self.sources]),
            ("endpoint", names),
            ("eligibility id", [entry.id for entry in self.eligibility]),
            ("variable", [entry.column for entry in self.variables]),
            ("feature", [entry.name for entry in self.features]),
            ("published model", [entry.name for entry in self.published]),
        ):
            twice = sorted({entry for entry in entries if entries.count(entry) > 1})
            if twice:
                raise ValueError(f"{kind} declared twice: {', '.join(twice)}")
        self._rivals()
        return self

    def _rivals(self) -> None:
        """Endpoints that compete are other endpoints of this protocol, with one event each."""
        kinds = {entry.name: entry.kind for entry in self.endpoints}
        for entry in self.endpoints:
            for name in entry.competing:
                if name == entry.name or kinds.get(name) != "time_to_event":
                    raise ValueError(
                        f"endpoint {entry.name}: competing: {name!r} is no other endpoint of kind time_to_event"
                    )
