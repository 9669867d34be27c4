"""Findings about a protocol that need no data: contradictions, omissions, and choices a reviewer will ask about."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from trialstrat.protocol.lint_columns import column_rules, criterion_rules
from trialstrat.protocol.lint_criteria import plan_rules
from trialstrat.protocol.lint_features import feature_rules, molecular_rules, source_rules
from trialstrat.protocol.load import LoadedProtocol
from trialstrat.protocol.model import Endpoint, Protocol, Value
from trialstrat.protocol.remark import Remark
from trialstrat.results import Finding

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_COMPARED = {
    "hazard_ratio": ("time_to_event", "competing"),
    "rmst_difference": ("time_to_event",),
    "milestone_difference": ("time_to_event", "competing"),
    "risk_difference": ("binary", "time_to_event", "competing"),
    "odds_ratio": ("binary",),
    "mean_difference": ("continuous",),
}
_SMALLEST_USUAL_CELL = 5


def lint(declared: LoadedProtocol | Protocol) -> tuple[Finding, ...]:
    """Everything that can be said about a protocol before any data are read.

    Parameters
    ----------
    declared : LoadedProtocol or Protocol
        A loaded protocol gives findings with file and line, a bare one without.

    Returns
    -------
    tuple of Finding
        In the order of the file where lines are known. ``column`` holds the dotted path in the protocol.
    """
    loaded = declared if isinstance(declared, LoadedProtocol) else None
    protocol = declared.protocol if isinstance(declared, LoadedProtocol) else declared
    remarks = [remark for rule in _RULES for remark in rule(protocol)]
    if loaded is not None and "seed" not in loaded.lines:
        text = f"no seed declared: {protocol.seed} is used"
        remarks.append(Remark("P-SEED", "note", "seed", text, "Write it down."))
    findings = [_finding(remark, loaded) for remark in remarks]
    return tuple(sorted(findings, key=lambda finding: finding.lines or (0,)))


def _finding(remark: Remark, loaded: LoadedProtocol | None) -> Finding:
    line = loaded.line(remark.path) if loaded is not None else None
    return Finding(
        code=remark.code,
        severity=remark.severity,
        message=remark.message,
        remedy=remark.remedy,
        source=loaded.path.name if loaded is not None else "",
        column=remark.path,
        lines=() if line is None else (line,),
    )


def _estimand(protocol: Protocol) -> Iterator[Remark]:
    endpoint, estimand = protocol.endpoint, protocol.estimand
    path = "estimand.summary"
    if endpoint.kind not in _COMPARED[estimand.summary]:
        text = f"{estimand.summary} is not defined for a {endpoint.kind} endpoint"
        mend = f"Choose one of: {', '.join(name for name, kinds in _COMPARED.items() if endpoint.kind in kinds)}."
        yield Remark("P-SUMMARY-KIND", "error", path, text, mend)
    arms = protocol.arms.levels if protocol.arms is not None else ()
    if len(arms) < 2:
        yield Remark("P-ONE-ARM", "note", path, "no second arm: nothing is compared, the study is prognostic")
    elif not estimand.intercurrent_events:
        text = "no intercurrent events named (ICH E9(R1))"
        yield Remark("P-INTERCURRENT", "warning", "estimand", text, "Name each with its strategy.")
    if estimand.summary in ("rmst_difference", "milestone_difference") and endpoint.horizon is None:
        at = f"endpoints.{protocol.endpoints.index(endpoint)}"
        yield Remark("P-HORIZON", "error", at, f"{estimand.summary} needs a horizon", "Declare horizon: in unit.")


def _endpoints(protocol: Protocol) -> Iterator[Remark]:
    for at, endpoint in enumerate(protocol.endpoints):
        path = f"endpoints.{at}"
        if endpoint.horizon is not None and endpoint.maximum is not None and endpoint.horizon > endpoint.maximum:
            yield Remark("P-HORIZON", "error", f"{path}.horizon", "beyond maximum:", "Correct one of the two.")
        yield from _coding(endpoint, path)
        if endpoint.kind == "binary" and not endpoint.negative_values:
            text = "negative_values: is empty: any other value will be refused"
            yield Remark("P-NEGATIVE", "warning", path, text, "List the values that are not the event.")
    if protocol.data_cut and not _DATE.fullmatch(protocol.data_cut):
        yield Remark("P-DATA-CUT", "error", "data_cut", "not a date", "Write it as 2021-03-31.")


def _coding(endpoint: Endpoint, path: str) -> Iterator[Remark]:
    coding = endpoint.event
    if coding is None:
        return
    twice = _twice((*coding.events, *coding.causes.values(), *coding.censored))
    if twice:
        text = f"listed twice: {', '.join(twice)}"
        yield Remark("P-EVENT-TWICE", "error", f"{path}.event", text, "A value is the event or censored, not both.")
    if coding.proposed:
        text = f"the coding of {coding.column} was proposed and not confirmed: {coding.proposed}"
        yield Remark("P-EVENT-PROPOSED", "warning", f"{path}.event", text, "Confirm it, then remove proposed:.")
    if coding.column.upper() == "CNSR" and coding.style == "explicit":
        text = "CNSR by CDISC means 0 = event, 1 and above = censored; an explicit list is declared"
        yield Remark("P-CNSR", "warning", f"{path}.event", text, "Use style: cnsr unless the file differs.")


def _twice(values: tuple[Value, ...]) -> list[str]:
    """Values that are equal as cells of a file (1, 1.0 and '1' are)."""
    seen: set[str] = set()
    out: list[str] = []
    for value in values:
        key = f"{float(value):g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
        if key in seen:
            out.append(key)
        seen.add(key)
    return out


def _arms(protocol: Protocol) -> Iterator[Remark]:
    arms = protocol.arms
    compared = arms is not None and len(arms.levels) > 1
    if arms is not None and compared:
        known = {variable.column for variable in protocol.variables}
        missing = [name for name in arms.confounders if name not in known]
        if missing and arms.allocation != "randomised":
            text = f"not declared as covariate or biomarker: {', '.join(missing)}"
            yield Remark("P-CONFOUNDER-UNKNOWN", "error", "arms.confounders", text, "Declare them.")
        if arms.allocation != "randomised" and not arms.confounders:
            severity = "error" if arms.allocation == "observational" else "warning"
            text = f"{arms.allocation} arms without confounders: the effect cannot be separated from the choice"
            yield Remark("P-CONFOUNDERS", severity, "arms", text, "Declare what decided treatment.")
        if arms.allocation == "observational" and protocol.status == "confirmatory":
            text = "observational arms do not confirm an effect"
            yield Remark("P-CONFIRMATORY", "warning", "status", text, "Use status: exploratory.")
        if _twice(tuple(arm.value for arm in arms.levels)):
            yield Remark("P-ARM-TWICE", "error", "arms.levels", "two arms share a value", "Correct one.")
    for kind in ("biomarkers", "marker_blocks"):
        for at, entry in enumerate(getattr(protocol, kind)):
            if entry.role == "predictive" and not compared:
                text = "predictive needs two arms: a single arm only shows prognosis"
                yield Remark("P-PREDICTIVE", "error", f"{kind}.{at}", text, "Use role: prognostic.")


def _analysis(protocol: Protocol) -> Iterator[Remark]:
    known = {variable.column for variable in protocol.variables}
    missing = [name for name in protocol.analysis.adjust_for if name not in known]
    if missing:
        text = f"not declared as covariate or biomarker: {', '.join(missing)}"
        yield Remark("P-ADJUST-UNKNOWN", "error", "analysis.adjust_for", text, "Declare them.")
    listed = {*known, *(name for name in protocol.rule_search.markers if protocol.marker_blocks)}
    unknown = [name for name in protocol.rule_search.markers if name not in listed]
    if unknown:
        text = f"not declared as covariate or biomarker: {', '.join(unknown)}"
        yield Remark("P-RULE-MARKER", "error", "rule_search.markers", text, "Declare them.")
    if abs(1 - protocol.analysis.level - protocol.analysis.alpha) > 1e-9:
        text = "level: is not 1 - alpha: a p below alpha would not agree with the interval"
        yield Remark("P-LEVEL", "warning", "analysis", text, "Set both to the same error rate.")
    cell = protocol.disclosure.minimum_cell
    path = "disclosure.minimum_cell"
    if cell == 1:
        text = "1 switches small-cell suppression off: single patients can be seen"
        yield Remark("P-CELL", "warning", path, text, "Use 5 or more.")
    elif cell < _SMALLEST_USUAL_CELL:
        yield Remark("P-CELL", "warning", path, f"{cell} is below the usual minimum of 5", "Use 5 or more.")
    yield from _cluster(protocol)
    horizon = protocol.endpoint.maximum or float("inf")
    if any(time > horizon for time in protocol.models.times):
        yield Remark("P-TIMES", "error", "models.times", "a time beyond the endpoint's maximum:", "Correct it.")
    if not (protocol.covariates or protocol.biomarkers or protocol.marker_blocks):
        text = "neither covariates nor biomarkers: there is nothing to stratify by"
        yield Remark("P-NO-VARIABLES", "warning", "protocol", text, "Declare covariates: or biomarkers:.")


def _cluster(protocol: Protocol) -> Iterator[Remark]:
    """What has no variance by cluster is refused, not done as if rows were independent."""
    name, path = protocol.analysis.cluster, "analysis.cluster"
    if name is None:
        return
    if protocol.endpoint.kind != "time_to_event":
        text = f"clusters are for kind time_to_event; the endpoint is {protocol.endpoint.kind}"
        yield Remark("P-CLUSTER", "error", path, text, "Analyse one row per patient.")
    if protocol.analysis.non_proportional == "maxcombo":
        text = "the MaxCombo test takes rows as independent"
        yield Remark("P-CLUSTER", "error", path, text, "Use non_proportional: rmst.")
    if name in {variable.column for variable in protocol.variables}:
        text = f"{name} is a covariate too: one level per cluster cannot be estimated"
        yield Remark("P-CLUSTER", "error", path, text, "Remove it from the covariates.")


def _sources(protocol: Protocol) -> Iterator[Remark]:
    names = {source.name for source in protocol.sources}
    for at, block in enumerate(protocol.marker_blocks):
        if block.source not in names:
            text = f"no source named {block.source}"
            yield Remark("P-BLOCK-SOURCE", "error", f"marker_blocks.{at}.source", text, f"Use one of {sorted(names)}.")
    for at, source in enumerate(protocol.sources):
        if source.id is None and source.layout in ("patients", "records"):
            yield Remark("P-ID", "error", f"sources.{at}", "no patient id", "Declare id: (the column), or id: row.")
        elif source.id == "row" and (len(protocol.sources) > 1 or source.layout == "records"):
            text = "rows of one file cannot be matched with patients of another"
            yield Remark("P-ID-ROW", "error", f"sources.{at}.id", text, "Declare the column with the patient id.")


_RULES: tuple[Callable[[Protocol], Iterator[Remark]], ...] = (
    _sources,
    source_rules,
    feature_rules,
    molecular_rules,
    _arms,
    _endpoints,
    _estimand,
    column_rules,
    criterion_rules,
    plan_rules,
    _analysis,
)
