"""The sections in the order of the report. A new stage gets a module here, or the general one until it has its own."""

from __future__ import annotations

from collections.abc import Callable

from trialstrat.report.context import Context
from trialstrat.report.page import Section
from trialstrat.report.sections import (
    baseline,
    checklists,
    criteria,
    flow,
    general,
    glossary,
    methods,
    primary,
    provenance,
    risk_groups,
    risk_model,
)

Builder = Callable[[Context], Section | None]

#: Stage by stage in the order of the study; what belongs to no stage follows.
BY_STAGE: tuple[tuple[str, Builder], ...] = (
    ("cohort", flow.build),
    ("baseline", baseline.build),
    ("primary", primary.build),
    ("models", risk_model.build),
    ("risk_groups", risk_groups.build),
    ("heterogeneity", general.section("heterogeneity", "Heterogeneity of the treatment effect")),
    ("screen", general.section("screen", "Marker screen")),
    ("rule", general.section("rule", "Predictive rule")),
    ("benefit", general.section("benefit", "Predicted benefit")),
    ("criteria", criteria.build),
    ("impact", general.section("impact", "Impact of each criterion")),
    ("design", general.section("design", "Next trial")),
)
#: Stages whose findings are told in another section.
ELSEWHERE = ("protocol",)
CLOSING: tuple[Builder, ...] = (methods.build, checklists.build, provenance.build, glossary.build)


def build(context: Context) -> tuple[Section, ...]:
    """Every section that the run has results for; stages nobody knows yet are shown as they are."""
    known = {*(stage for stage, _ in BY_STAGE), *ELSEWHERE}
    builders = [builder for stage, builder in BY_STAGE if context.record.stage(stage) is not None]
    builders += [
        general.section(stage, stage.replace("_", " ").capitalize())
        for stage in context.record.stages
        if stage not in known
    ]
    made = (builder(context) for builder in (*builders, *CLOSING))
    return tuple(section for section in made if section is not None)
