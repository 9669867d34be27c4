"""Stages "heterogeneity" and "rule": whether the effect of treatment differs between patients, and in whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.shown import ShownOutcome, arm_labels, arm_rows, shown_outcome, whole_horizon
from trialstrat.errors import InvalidInputError, NotEstimableError
from trialstrat.protocol.model import Biomarker, Condition
from trialstrat.results import Cell, Column, Estimate, Finding, StageResult, Table
from trialstrat.stats.propensity import propensity
from trialstrat.subgroups.adjusted import code_covariates
from trialstrat.subgroups.comparison import Comparison, clustered, comparisons, question_not_asked
from trialstrat.subgroups.literals import Marker
from trialstrat.subgroups.policy_tree import policy_tree, tree_table
from trialstrat.subgroups.rule_search import (
    RuleFound,
    RuleOptions,
    Searched,
    SearchInput,
    estimate_rule,
    find_best,
)
from trialstrat.subgroups.rule_tables import (
    NULL,
    TEST_METHOD,
    components_table,
    conditions_table,
    effect_estimates,
    effects_table,
    rule_curves,
    searched_table,
    stability_tables,
    test_estimates,
    top_table,
    weights_table,
)
from trialstrat.subgroups.scales import EffectOptions

Bools = NDArray[np.bool_]

NO_RULE = "No rule is supported: treat as one population."


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleStudy:
    """The stages' results; the rule as conditions (empty unless ``claimed``) and as text.

    ``claimed`` says that heterogeneity is established at alpha: only then may the rule be called predictive.
    """

    results: tuple[StageResult, ...]
    rule: tuple[Condition, ...]
    rule_text: str
    claimed: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Compared:
    """A treatment against the control with its search; ``rows`` (n,) are the patients analysed."""

    comparison: Comparison
    rows: Bools
    searched: Searched
    number: int
    adjusted: float = 1.0


def rule_study(cohort: Cohort, *, rng: np.random.Generator, options: RuleOptions | None = None) -> RuleStudy:
    """Search for the patients in whom a treatment works differently.

    Candidates are the biomarkers declared predictive and the columns of ``rule_search.markers``. Several treatments
    are each compared with the control, Holm-adjusted. Where arms were not randomised the analysis is weighted to the
    overlap population, the propensity model being fitted on the declared confounders. Without candidates no stage is
    returned; where the question cannot be asked, the stage "heterogeneity" says why.

    Parameters
    ----------
    rng
        For permutations, simulated trials and resamples.
    options
        Taken from the protocol when None.
    """
    markers = study_markers(cohort)
    if not markers:
        return _nothing(())
    findings = (*_late(cohort), *_learned(cohort))
    reason = question_not_asked(cohort) or clustered(cohort, "the search for rules")
    compared: list[_Compared] = []
    options = options or study_options(cohort)
    outcome = shown_outcome(cohort)
    if not reason:
        try:
            compared = _searches(cohort, markers, options, rng)
        except (NotEstimableError, InvalidInputError) as error:
            reason = error.messages[0]
    if reason:
        refused = Estimate.not_estimable(
            "heterogeneity.global.p", "Any heterogeneity of the treatment effect", reason, unit="p", method=TEST_METHOD,
            null_hypothesis=NULL, evidence=cohort.protocol.status,
        )  # fmt: skip
        stage = StageResult(
            stage="heterogeneity", estimates=(refused,), findings=findings, facts={"claimed": "no", "refused": reason}
        )
        return _nothing((stage,))
    return _report(cohort, outcome, _holm(compared, options.alpha), rng, findings)


def _nothing(results: tuple[StageResult, ...]) -> RuleStudy:
    return RuleStudy(results=results, rule=(), rule_text="", claimed=False)


def study_markers(cohort: Cohort) -> tuple[Marker, ...]:
    """The candidate markers that the protocol declares and that the cohort holds; none measured after time zero."""
    protocol = cohort.protocol
    wanted = set(protocol.rule_search.markers)
    out = []
    for variable in protocol.variables:
        predictive = isinstance(variable, Biomarker) and variable.role == "predictive"
        if not (predictive or variable.column in wanted) or variable.measured == "after_time_zero":
            continue
        # the cut of a signature means nothing without the patients it was standardised on
        if variable.column not in cohort.frame.columns or variable.column in cohort.signatures:
            continue
        levels: tuple[str, ...] = ()
        if variable.kind != "continuous":
            levels = tuple(str(level) for level in cohort.frame[variable.column].cat.categories)
        out.append(
            Marker(
                column=variable.column, label=variable.title, unit=variable.unit, levels=levels,
                ordered=variable.kind == "ordinal",
            )
        )  # fmt: skip
    known = {entry.column for entry in out} | set(cohort.frame.columns)
    wide = [str(name) for name in cohort.markers.columns if name in wanted and name not in known]
    return (*out, *(Marker(column=name) for name in wide))


def study_options(cohort: Cohort) -> RuleOptions:
    """What the protocol declares about the search; no rule, nor what it leaves out, is below the minimum cell."""
    plan, analysis = cohort.protocol.rule_search, cohort.protocol.analysis
    cell = min(cohort.protocol.disclosure.minimum_cell / max(cohort.n, 1), 0.49)
    return RuleOptions(
        max_conditions=plan.max_conditions, minimum_size=max(plan.minimum_size, cell),
        minimum_events=plan.minimum_events_per_arm,
        direction=plan.direction, alpha=analysis.alpha, level=analysis.level, permutations=plan.permutations,
        worlds=plan.worlds, resamples=plan.bootstrap, favourable=cohort.protocol.endpoint.favourable,
    )  # fmt: skip


def _late(cohort: Cohort) -> tuple[Finding, ...]:
    plan = set(cohort.protocol.rule_search.markers)
    late = [
        variable.column
        for variable in cohort.protocol.variables
        if variable.measured == "after_time_zero"
        and (variable.column in plan or (isinstance(variable, Biomarker) and variable.role == "predictive"))
    ]
    return tuple(
        Finding(
            code="W-RULE-AFTER-ZERO",
            severity="warning",
            message="measured after time zero: it is no part of the search, treatment may have changed it",
            remedy="Use its value before time zero, or a landmark analysis with a later time zero",
            column=column,
        )
        for column in late
    )


def _learned(cohort: Cohort) -> tuple[Finding, ...]:
    plan = set(cohort.protocol.rule_search.markers)
    return tuple(
        Finding(
            code="W-RULE-LEARNED",
            severity="warning",
            message="standardised on the patients at hand: it is no part of the search, its cut could not be applied",
            remedy="Score the signature with fixed weights, or search over its genes",
            column=variable.column,
        )
        for variable in cohort.protocol.variables
        if variable.column in cohort.signatures
        and (variable.column in plan or (isinstance(variable, Biomarker) and variable.role == "predictive"))
    )


def search_frame(cohort: Cohort, markers: Sequence[Marker]) -> pd.DataFrame:
    """The columns of the markers, from the frame or the wide block."""
    parts = {
        entry.column: cohort.frame[entry.column]
        if entry.column in cohort.frame.columns
        else cohort.markers[entry.column]
        for entry in markers
    }
    return pd.DataFrame(parts)


def search_inputs(cohort: Cohort, markers: tuple[Marker, ...]) -> list[tuple[Comparison, SearchInput]]:
    """What is searched for each treatment against the control, with the patients analysed as the comparison's rows.

    Raises
    ------
    NotEstimableError
        The propensity of observational arms cannot be estimated.
    """
    frame, outcome, arms = search_frame(cohort, markers), shown_outcome(cohort), cohort.protocol.arms
    out = []
    for comparison in comparisons(cohort):
        rows, scores = comparison.rows, None
        if arms is not None and arms.allocation == "observational":
            coding = code_covariates(cohort, arms.confounders)
            rows = rows & coding.known
            model = propensity(comparison.treated[rows], coding.values[rows], names=coding.terms)
            if model.status != "ok":
                raise NotEstimableError(f"rule search: {model.reason}")
            scores = np.asarray(model.score, dtype=np.float64)
        data = SearchInput(
            frame=frame.loc[rows].reset_index(drop=True),
            markers=markers,
            outcome=_part(outcome, rows),
            treated=comparison.treated[rows],
            strata=None if cohort.strata is None else cohort.strata[rows],
            propensity=scores,
        )
        out.append((replace(comparison, rows=rows), data))
    return out


def _searches(
    cohort: Cohort, markers: tuple[Marker, ...], options: RuleOptions, rng: np.random.Generator
) -> list[_Compared]:
    return [
        _Compared(
            comparison=comparison, rows=comparison.rows, searched=find_best(data, options, rng=rng), number=number
        )
        for number, (comparison, data) in enumerate(search_inputs(cohort, markers), start=1)
    ]


def _part(outcome: ShownOutcome, rows: Bools) -> ShownOutcome:
    def of(values: NDArray[Any] | None) -> NDArray[Any] | None:
        return None if values is None else values[rows]

    return replace(
        outcome, time=of(outcome.time), event=of(outcome.event), entry=of(outcome.entry), value=of(outcome.value)
    )


def _holm(compared: list[_Compared], alpha: float) -> list[_Compared]:
    """Each search judged at its step of Holm's procedure; those after the first failure at an error rate of 0.

    References
    ----------
    Holm (1979), Scand J Stat 6:65.
    """
    order = sorted(range(len(compared)), key=lambda k: compared[k].searched.found.p)
    judged: dict[int, _Compared] = {}
    largest, failed = 0.0, False
    for step, k in enumerate(order):
        entry, left = compared[k], len(compared) - step
        largest = max(largest, min(1.0, left * entry.searched.found.p))
        found = entry.searched.found.at_level(alpha / left)
        if failed:
            # not to be claimed, whatever its own p
            found = replace(found, alpha=0.0)
        failed = failed or not found.claimed
        judged[k] = replace(entry, searched=replace(entry.searched, found=found), adjusted=largest)
    return [judged[k] for k in range(len(compared))]


def _report(
    cohort: Cohort,
    outcome: ShownOutcome,
    compared: list[_Compared],
    rng: np.random.Generator,
    findings: tuple[Finding, ...],
) -> RuleStudy:
    analysis = cohort.protocol.analysis
    effect = EffectOptions(tau=outcome.horizon, level=analysis.level, minimum_events=1, unit=outcome.unit)
    several = len(compared) > 1
    shared: dict[str, Any] = {"evidence": cohort.protocol.status, "level": analysis.level}
    tests: list[Estimate] = []
    effects: list[Estimate] = []
    found: list[RuleFound] = []
    for entry in compared:
        rule = estimate_rule(entry.searched, effect, rng=rng)
        found.append(rule)
        rest = {**shared, "population": entry.comparison.label, **_counts(outcome, entry.rows)}
        suffix = f".{entry.comparison.pair}" if several else ""
        tests += test_estimates(entry.searched.found, suffix, entry.adjusted, rest)
        effects += effect_estimates(rule, entry.number, {"evidence": cohort.protocol.status})
    lead = min(range(len(compared)), key=lambda k: (not found[k].claimed, compared[k].searched.found.p))
    main, rule = compared[lead], found[lead]
    facts = _facts(cohort, main, rule, several)
    tree = policy_tree(main.searched.data, main.searched.options, rng=rng)
    tables = (*_tables(cohort, outcome, compared, found, lead), tree_table(tree, main.searched.data, outcome.unit))
    heterogeneity = StageResult(
        stage="heterogeneity",
        estimates=tuple(tests),
        tables=(components_table(main.searched.found, f"Parts of the global test, {main.comparison.label}"),),
        findings=findings,
        facts={key: facts[key] for key in ("claimed", "alpha", "evidence", "sentence", "comparison", "null_model")},
    )
    return RuleStudy(
        results=(
            heterogeneity,
            StageResult(
                stage="rule",
                estimates=tuple(effects),
                tables=tables,
                facts=facts,
            ),
        ),
        rule=rule.conditions if rule.claimed else (),
        rule_text=rule.text if rule.claimed else "",
        claimed=rule.claimed,
    )


def _counts(outcome: ShownOutcome, rows: Bools) -> dict[str, int]:
    return {"n": int(rows.sum()), "events": int(outcome.of_interest[rows].sum())}


def _tables(
    cohort: Cohort, outcome: ShownOutcome, compared: list[_Compared], found: list[RuleFound], lead: int
) -> tuple[Table, ...]:
    main, rule = compared[lead], found[lead]
    pair = (main.comparison.control, main.comparison.treatment)
    arms = {name: mask for name, mask in arm_rows(cohort).items() if name in pair}
    weighted = main.searched.data.propensity is not None
    note = f"{main.comparison.label}; {outcome.population(main.rows)}; unknown values meet no condition."
    note += " Overlap weights, robust limits." if weighted else ""
    tables = [conditions_table(rule), effects_table(rule, outcome, note), searched_table(rule), weights_table(rule)]
    tables += [*stability_tables(rule), top_table(rule)]
    tables += rule_curves(rule, outcome, arms, arm_labels(cohort), main.rows, cohort.protocol.analysis.level)
    if len(compared) > 1:
        tables.append(_comparisons_table(compared, found))
    return tuple(tables)


def _comparisons_table(compared: list[_Compared], found: list[RuleFound]) -> Table:
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (c.number, c.comparison.label, c.searched.found.p, c.adjusted, rule.text, "yes" if rule.claimed else "no")
        for c, rule in zip(compared, found, strict=True)
    )
    return Table(
        name="rule.comparisons",
        title="Every treatment against the control",
        columns=(
            Column(key="number", label="Number", kind="number"),
            Column(key="comparison", label="Comparison"),
            Column(key="p", label="Global p", kind="p"),
            Column(key="adjusted_p", label="Holm-adjusted", kind="p"),
            Column(key="rule", label="Best rule"),
            Column(key="claimed", label="Supported"),
        ),
        rows=rows,
        protection="none",
    )


def _facts(cohort: Cohort, main: _Compared, rule: RuleFound, several: bool) -> Mapping[str, str]:
    analysis = cohort.protocol.analysis
    p = main.adjusted if several else main.searched.found.p
    shown = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    if rule.claimed:
        sentence = f"The effect of treatment differs between patients ({shown}): {rule.text}."
    else:
        sentence = f"{NO_RULE} The global test does not show that the effect of treatment differs ({shown})."
    outcome = main.searched.data.outcome
    return {
        "claimed": "yes" if rule.claimed else "no",
        "rule_text": rule.text,
        "sentence": sentence,
        "alpha": f"{analysis.alpha:g}",
        "evidence": cohort.protocol.status,
        "comparison": main.comparison.pair,
        "comparison_label": main.comparison.label,
        "null_model": rule.method,
        "markers": ", ".join(marker.title for marker in main.searched.data.markers),
        "direction": main.searched.options.direction,
        "horizon": whole_horizon(outcome.horizon),
        "unit": outcome.unit,
        "bias_in_standard_errors": f"{rule.correction.bias:.2f}",
        "missing": "an unknown value meets no condition",
    }
