"""Methods in words: what was declared and what was done, from the protocol and the stages."""

from __future__ import annotations

from trialstrat.report import format as fmt
from trialstrat.report.context import Context
from trialstrat.report.page import Block, Prose, Section, Terms
from trialstrat.report.sections import general

STRATEGIES = {
    "treatment_policy": "treatment policy: outcomes count whatever happens after",
    "hypothetical": "hypothetical: as if it had not happened",
    "composite": "composite: counts as an event",
    "while_on_treatment": "while on treatment: only outcomes before it count",
    "principal_stratum": "principal stratum: patients in whom it would not happen",
}
SUMMARIES = {
    "hazard_ratio": "hazard ratio",
    "rmst_difference": "difference in restricted mean survival time",
    "milestone_difference": "difference in survival at the horizon",
    "risk_difference": "risk difference",
    "odds_ratio": "odds ratio",
    "mean_difference": "difference in means",
}


def build(context: Context) -> Section | None:
    """The section."""
    blocks: list[Block] = [_estimand(context)]
    paragraphs = [
        text
        for text in (_primary(context), _missing(context), _models(context), _groups(context), _criteria(context))
        if text
    ]
    if paragraphs:
        blocks.append(Prose(heading="What was done", paragraphs=tuple(paragraphs)))
    references = tuple(str(entry) for entry in context.study.get("references") or ())
    if references:
        blocks.append(Prose(heading="References of the study", paragraphs=references))
    checked = context.record.stage("protocol")
    if checked is not None:
        blocks += general.findings(checked, "What the check of the protocol found")
    lead = "The estimand was declared in the protocol before any outcome was read; the words below follow it."
    return Section(key="methods", title="Methods in words", lead=lead, blocks=tuple(blocks))


def _estimand(context: Context) -> Terms:
    estimand = context.study.get("estimand") or {}
    events = estimand.get("intercurrent_events") or ()
    strategies = "; ".join(f"{e['event']} ({STRATEGIES.get(e['strategy'], e['strategy'])})" for e in events)
    items = (
        ("Population", estimand.get("population")),
        ("Treatment", estimand.get("treatment")),
        ("Endpoint", f"{context.endpoint_label}, from {context.time_zero}"),
        ("Intercurrent events", strategies or "none declared"),
        ("Summary", SUMMARIES.get(str(estimand.get("summary")), estimand.get("summary"))),
    )
    shown = tuple((name, str(value or fmt.NOT_PROVIDED)) for name, value in items)
    return Terms(heading="Estimand (ICH E9(R1))", items=shown)


def _primary(context: Context) -> str:
    if context.record.stage("primary") is None:
        return ""
    ties = context.record.fact("primary", "ties") or "Efron"
    strata = context.record.fact("primary", "strata")
    text = "Survival is estimated by Kaplan-Meier with log-log intervals."
    if context.pairs:
        text += (
            f" Arms are compared by {'a stratified' if strata else 'the'} log-rank test and a Cox model ({ties} ties"
        )
        text += f", stratified by {strata})." if strata else ")."
        text += (
            " Beside the hazard ratio stand absolute effects: the difference in survival and in restricted mean "
            f"survival time at {context.at_horizon}. Proportional hazards are tested by scaled Schoenfeld residuals; "
            "when the test fails, the analysis that the protocol names for that case leads."
        )
    cluster, count = (context.record.fact("primary", key) for key in ("cluster", "clusters"))
    if cluster:
        text += (
            f" Rows are not independent: they lie in {count} clusters ({cluster}). The log-rank test, hazard ratios, "
            "differences of restricted means and of survival, and interactions have variances summed within clusters; "
            "no cluster is split between folds. Limits of single curves and medians, and the test of proportional "
            "hazards, take rows as independent. Searches for rules, predicted benefit, cut-points and the ranking of "
            "criteria are not made."
        )
    return text


def _missing(context: Context) -> str:
    declared = context.study.get("missing_data") or {}
    texts = {
        "complete_cases": "Patients with a missing covariate are left out of the models.",
        "impute": "In the models missing covariates are imputed inside every resampling fold, never before the split.",
    }
    text = texts.get(str(declared.get("covariates")), "")
    return f"{text} {_imputed(context)}".strip()


def _imputed(context: Context) -> str:
    """Multiple imputation as it was done; without it, that effects are those of complete cases."""
    if context.record.stage("missing") is None:
        return ""
    number = context.record.fact("imputed", "imputations")
    if not number:
        return "Adjusted effects are those of patients with known covariates; nothing was imputed for them."
    refused = context.record.fact("imputed", "refused")
    if refused:
        return f"Nothing was imputed for adjusted effects: {refused}."
    arms = "each arm by itself" if context.record.fact("imputed", "apart") == "yes" else "all arms together"
    return (
        f"For adjusted, weighted and subgroup effects {number} copies were imputed by chained equations "
        f"({context.record.fact('imputed', 'cycles')} cycles, {arms}: predictive mean matching for numbers, logistic "
        "and multinomial regression for categories) with the outcome in the imputation model (for times the event and "
        "the Nelson-Aalen cumulative hazard), and pooled by Rubin's rules with Barnard and Rubin's degrees of freedom. "
        f"Imputed: {context.record.fact('imputed', 'variables')}. Values are taken to be missing at random given "
        f"outcome, arm and {context.record.fact('imputed', 'predictors')}; if they are not, neither the imputed nor "
        "the complete-case effects need be right."
    )


def _models(context: Context) -> str:
    if context.record.stage("models") is None:
        return ""
    folds, inner, trials = (context.record.fact("models", key) for key in ("folds", "inner_folds", "trials"))
    counts = f" ({folds} outer folds, {inner} inner folds, {trials} trials each)" if folds and inner and trials else ""
    chosen = context.record.fact("models", "chosen")
    reason = context.record.fact("models", "chosen_reason") if chosen else ""
    text = (
        f"Prognostic models are tuned in nested cross-validation{counts}: imputation, scaling, filtering and tuning "
        "see training patients only, and every score is of held-out patients."
    )
    return (
        f"{text} {fmt.sentence('the model was chosen for this reason: ' + fmt.lower_first(reason))}" if reason else text
    )


def _groups(context: Context) -> str:
    if context.record.stage("risk_groups") is None:
        return ""
    return (
        "Risk groups are cut from out-of-fold predictions at quantiles of the training patients' risk. Effects by "
        "group are estimated on the hazard-ratio and on the mean-time scale, each with a test of interaction."
    )


def _criteria(context: Context) -> str:
    if context.record.stage("criteria") is None:
        return ""
    return (
        "The enrichment rule is a short conjunction of conditions distilled from the model inside each outer fold; its "
        "share, event rates and loss of concordance are those of held-out patients."
    )
