"""Lint rules about the plan for criteria: names that must exist, weights that need confounders."""

from __future__ import annotations

from collections.abc import Iterator

from trialstrat.protocol.model import Protocol
from trialstrat.protocol.remark import Remark


def plan_rules(protocol: Protocol) -> Iterator[Remark]:
    """What ``criteria:`` names must be declared elsewhere."""
    plan = protocol.criteria
    known = {criterion.id for criterion in protocol.eligibility}
    # rules of a file have their ids there; they are looked up when it is read
    if plan.rules is None:
        named = [("fixed", "search.fixed", name) for name in plan.search.fixed]
        named += [("costs", "costs", name) for name in plan.costs]
        named += [("assays", "assays", entry.criterion) for entry in plan.assays]
        for what, path, name in named:
            if name not in known:
                text = f"{what}: there is no criterion {name}"
                yield Remark("P-CRITERIA-NAME", "error", f"criteria.{path}", text, "Use an id of eligibility:.")
    columns = {variable.column for variable in protocol.variables}
    missing = [name for name in plan.representative if name not in columns]
    if missing:
        text = f"not declared as covariate or biomarker: {', '.join(missing)}"
        yield Remark("P-CRITERIA-NAME", "error", "criteria.representative", text, "Declare them.")
    confounders = protocol.arms.confounders if protocol.arms is not None else ()
    if plan.weighting not in ("declared", "none") and not confounders:
        text = f"weighting: {plan.weighting} needs arms.confounders"
        yield Remark("P-CRITERIA-WEIGHTS", "error", "criteria.weighting", text, "Declare what decided treatment.")
    if plan.weighting == "none" and protocol.arms is not None and protocol.arms.allocation == "observational":
        text = "arms were not randomised and the emulated trial is not weighted"
        yield Remark("P-CRITERIA-WEIGHTS", "warning", "criteria.weighting", text, "Use weighting: overlap.")
    if plan.weighting == "trialpathfinder":
        text = "TrialPathfinder's weights balance the arms but move the target population"
        yield Remark("P-CRITERIA-WEIGHTS", "note", "criteria.weighting", text, "Use weighting: overlap.")
    arms = {arm.name for arm in protocol.arms.treatments} if protocol.arms is not None else set()
    if plan.published is not None and plan.published.comparison not in (None, *arms):
        text = f"there is no treatment arm {plan.published.comparison}"
        yield Remark("P-CRITERIA-NAME", "error", "criteria.published", text, "Use the name of a treatment arm.")
    if plan.published is not None and protocol.endpoint.kind in ("binary", "continuous"):
        text = f"a published hazard ratio is no benchmark of {protocol.endpoint.name}, whose outcome is no time"
        mend = "Remove it, or analyse the endpoint that was published."
        yield Remark("P-CRITERIA-PUBLISHED", "error", "criteria.published", text, mend)
