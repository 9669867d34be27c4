"""Glossary: only the terms that this report uses, two lines each."""

from __future__ import annotations

from trialstrat.report.context import Context
from trialstrat.report.page import Section, Terms

#: (term, meaning, stages that use it; no stage: always).
TERMS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "Hazard ratio",
        "Ratio of the rates at which events happen in two arms at any one time; below 1 the treatment's rate is lower.",
        ("primary",),
    ),
    (
        "Event-free at a time",
        (
            "Share of patients without an event by then, estimated by Kaplan-Meier so that patients still under "
            "observation count for as long as they were seen."
        ),
        ("primary",),
    ),
    (
        "RMST",
        "Restricted mean survival time: the mean event-free time up to the horizon, the area under the survival curve.",
        ("primary",),
    ),
    (
        "95% interval",
        "Values that the data are compatible with: of many such intervals 95% hold the true value.",
        (),
    ),
    (
        "p",
        (
            "How often chance alone would give a result at least as extreme if the null hypothesis held. It measures "
            "neither the size of an effect nor the probability that it is real."
        ),
        (),
    ),
    (
        "Maturity",
        "Share of patients who have had the event; curves of immature data move as follow-up goes on.",
        ("baseline",),
    ),
    (
        "Standardised mean difference",
        "Difference between arms in units of the standard deviation; above 0.1 is commonly called imbalance.",
        ("baseline",),
    ),
    (
        "Uno's C",
        (
            "Probability that of two patients the one with the earlier event had the higher predicted risk, corrected "
            "for censoring; 0.5 is chance, 1 is perfect."
        ),
        ("models",),
    ),
    (
        "IPA",
        (
            "Index of prediction accuracy: how much smaller the squared error of predictions is than that of giving "
            "the same risk to everybody."
        ),
        ("models",),
    ),
    (
        "Calibration, ICI",
        (
            "Whether of patients with a predicted risk of 30% some 30% have the event. The integrated calibration "
            "index is the mean absolute distance of the two."
        ),
        ("models",),
    ),
    (
        "Net benefit",
        "True positives less false positives, the latter weighted by the odds of the risk above which one would act.",
        ("models",),
    ),
    (
        "Prognostic",
        "Tells who is at risk whatever the treatment. A predictive marker tells in whom a treatment works better.",
        ("models", "risk_groups", "criteria"),
    ),
    (
        "Prognostic enrichment",
        "Enrolling patients at higher risk, so that fewer patients are needed for the same number of events.",
        ("criteria",),
    ),
    (
        "Interaction",
        "Whether an effect differs between groups; tested as one question, not group by group.",
        ("risk_groups", "heterogeneity", "rule"),
    ),
    (
        "Held out",
        "Computed in patients whom no part of the model, its tuning or its preparation has seen.",
        ("models", "criteria"),
    ),
    (
        "Exploratory",
        "Found by looking; a hypothesis for the next study rather than a result to act on.",
        (),
    ),
)


def build(context: Context) -> Section | None:
    """The section."""
    present = set(context.record.stages)
    used = tuple((term, meaning) for term, meaning, stages in TERMS if not stages or present & set(stages))
    lead = "Terms as this report uses them."
    return Section(key="glossary", title="Glossary", lead=lead, blocks=(Terms(items=used),))
