"""The sections in the order of the report. A new stage gets a module here, or the general one until it has its own."""

from __future__ import annotations

from collections.abc import Callable

from trialstrat.report.context import Context
from trialstrat.report.page import Section
from trialstrat.report.sections import (
    baseline,
    benefit,
    checklists,
    criteria,
    factors,
    flow,
    general,
    glossary,
    heterogeneity,
    impact,
    methods,
    missing_data,
    primary,
    provenance,
    published,
    risk_groups,
    risk_model,
    rule,
    search,
)

Builder = Callable[[Context], Section | None]

#: Stage by stage in the order of the study; what belongs to no stage follows.
BY_STAGE: tuple[tuple[str, Builder], ...] = (
    ("cohort", flow.build),
    ("baseline", baseline.build),
    ("primary", primary.build),
    ("prognostic", factors.build),
    ("published", published.build),
    ("missing", missing_data.build),
    ("models", risk_model.build),
    ("risk_groups", risk_groups.build),
    ("screen", heterogeneity.build),
    ("rule", rule.build),
    ("benefit", benefit.build),
    ("criteria", criteria.build),
    ("impact", impact.build),
    ("search", search.build),
    ("validation", general.section("validation", "What was frozen, on these patients")),
    ("design", general.section("design", "Next trial")),
)
#: Stages that are told in the section of another stage.
ELSEWHERE = ("protocol", "heterogeneity", "cutpoints", "curves", "forest", "imputed")
CLOSING: tuple[Builder, ...] = (methods.build, checklists.build, provenance.build, glossary.build)


def build(context: Context) -> tuple[Section, ...]:
    """Every section that the run has results for; stages nobody knows yet are shown as they are."""
    known = {*(stage for stage, _ in BY_STAGE), *ELSEWHERE}
    builders = [builder for stage, builder in BY_STAGE if _present(context, stage)]
    builders += [
        general.section(stage, stage.replace("_", " ").capitalize())
        for stage in context.record.stages
        if stage not in known
    ]
    made = (builder(context) for builder in (*builders, *CLOSING))
    return tuple(section for section in made if section is not None)


def _present(context: Context, stage: str) -> bool:
    """Whether a stage ran, or one that is told in its section."""
    told = heterogeneity.STAGES if stage == "screen" else (stage,)
    return any(context.record.stage(name) is not None for name in told)
