"""Candidate rules per second of the search, and the time of ``find_rule`` with all corrections.

Run: ``python -m tests.benchmarks.bench_rules``.
"""

from __future__ import annotations

import time

import numpy as np

from tests.simulation.trials import trial
from trialstrat.pipeline.find import find_rule
from trialstrat.subgroups.conjunctions import conjunctions
from trialstrat.subgroups.literals import markers_of, splits
from trialstrat.subgroups.null_model import main_effects, null_fit
from trialstrat.subgroups.rule_prior import prognostic_prior
from trialstrat.subgroups.rules import SIZE, SLOPE, Trial, evidence, labels, sums


def main() -> None:
    from tests.simulation.scorer import outcome_of

    made = trial(np.random.default_rng(1), "spike", 1000)
    markers = markers_of(made.frame, list(made.frame))
    rules = conjunctions(splits(made.frame, markers, 100), 2)
    prognosis = main_effects(made.frame, markers)
    fit = null_fit(outcome_of(made), made.treated, prognosis.columns)
    search = Trial(
        treated=made.treated, residual=fit.residual, expected=fit.expected, blocks=np.zeros(1000, dtype=np.int64),
        counts=True,
    )  # fmt: skip
    prior = prognostic_prior(rules, np.arange(len(markers)), fit, fit, prognosis.owner, size=SIZE, slope=SLOPE)
    label = labels(search, np.random.default_rng(2), 250)
    evidence(search, sums(search, rules.base, label[:, :2]), rules, prior, 0)
    started = time.perf_counter()
    evidence(search, sums(search, rules.base, label), rules, prior, 0)
    took = time.perf_counter() - started
    rate = rules.size * 250 / took
    print(f"search, n = 1000: {rules.size} rules x 250 labellings in {took:.2f} s: {rate:,.0f} rules a second")
    started = time.perf_counter()
    made_new = conjunctions(splits(made.frame, markers, 100), 2)
    one = made.treated[:, None].astype(float)
    evidence(search, sums(search, made_new.base, one), made_new, prior, 0)
    took = time.perf_counter() - started
    print(f"one search from the raw markers: {made_new.size / took:,.0f} rules a second")
    made = trial(np.random.default_rng(3), "spike")
    frame = made.frame.assign(time=made.time, event=made.event, arm=made.treated)
    for _ in range(2):
        started = time.perf_counter()
        found = find_rule(
            frame, time="time", event="event", treatment="arm", control=0, markers=list(made.frame), seed=1
        )
        took = time.perf_counter() - started
    print(f"find_rule, n = 700, 12 markers, claimed {found.claimed}: {took:.2f} s")


if __name__ == "__main__":
    main()
