"""Under the null p is uniform: the share below 1 %, 5 %, 10 % and 50 % within four Monte Carlo standard errors.

The statistics of the Cox model are asymptotic; with 300 patients and about 190 events half a per cent is added to the
allowance. Familywise error of max-T is judged in trials where every marker may be prognostic and the treatment works.
"""

import numpy as np
import pytest

from trialstrat.stats.cox import cox, cox_compare
from trialstrat.stats.firth import cox_firth
from trialstrat.stats.interaction_cut import interaction_cutpoint
from trialstrat.stats.max_t import max_t
from trialstrat.stats.proportional_hazards import ph_test
from trialstrat.stats.screen import cox_screen

RUNS = 3000
LEVELS = np.array([0.01, 0.05, 0.1, 0.5])
SLACK = 0.005
pytestmark = pytest.mark.slow


def trial(rng, n=300, p=2, effect=0.0, prognosis=0.0):
    """Weibull outcomes, treatment effect, and prognosis (SD of the log hazard) of the sum of all markers."""
    arm = rng.permutation(np.repeat([0, 1], n // 2))
    common = rng.normal(size=(n, 1))
    x = 0.6 * common + 0.8 * rng.normal(size=(n, p))
    risk = effect * arm + prognosis * x.sum(axis=1) / np.sqrt(0.64 * p + 0.36 * p**2)
    survival = 20.0 * rng.weibull(1.2, n) * np.exp(-risk / 1.2)
    censoring = rng.uniform(5.0, 45.0, n)
    return np.minimum(survival, censoring), (survival <= censoring).astype(int), arm, x


def assert_uniform(p, slack=SLACK):
    share = (np.asarray(p)[:, None] < LEVELS).mean(axis=0)
    allowed = 4 * np.sqrt(LEVELS * (1 - LEVELS) / len(p)) + slack
    assert np.all(np.abs(share - LEVELS) <= allowed), share


@pytest.mark.parametrize("rounded", [False, True])
def test_the_three_tests_and_the_single_coefficient(rounded):
    rng = np.random.default_rng(201)
    p = {"wald": [], "score": [], "likelihood_ratio": [], "single": [], "robust": []}
    for run in range(RUNS):
        time, event, arm, x = trial(rng)
        time = np.ceil(time / 3) if rounded else time
        fit = cox(time, event, np.column_stack([arm, x]), cluster=np.arange(300) if run % 2 else None)
        p["robust" if run % 2 else "single"].append(fit.p[0])
        if run % 2 == 0:
            p["wald"].append(fit.wald.p)
        p["score"].append(fit.score.p)
        p["likelihood_ratio"].append(fit.likelihood_ratio.p)
    for name, values in p.items():
        assert_uniform(values, slack=2 * SLACK if name == "robust" else SLACK)


@pytest.mark.parametrize("transform", ["km", "rank", "identity", "log"])
def test_proportional_hazards(transform):
    rng = np.random.default_rng(202)
    overall, single = [], []
    for _ in range(RUNS):
        time, event, arm, x = trial(rng, effect=-0.5, prognosis=0.5)
        found = ph_test(cox(time, event, np.column_stack([arm, x])), transform)
        overall.append(found.overall.p)
        single.append(found.covariates["x1"].p)
    assert_uniform(overall, slack=2 * SLACK)
    assert_uniform(single, slack=2 * SLACK)


def test_interaction_by_likelihood_ratio_and_screen():
    rng = np.random.default_rng(203)
    ratio, wald = [], []
    for _ in range(RUNS):
        time, event, arm, x = trial(rng, p=1, effect=-0.5, prognosis=0.7)
        small = cox(time, event, np.column_stack([arm, x]))
        large = cox(time, event, np.column_stack([arm, x, arm[:, None] * x]))
        ratio.append(cox_compare(small, large).p)
        wald.append(cox_screen(x, time, event, arm).p[0])
    assert_uniform(ratio)
    assert_uniform(wald)


def test_firth_likelihood_ratio_with_few_events():
    rng = np.random.default_rng(204)
    p = []
    for _ in range(RUNS // 2):
        time, event, arm, _ = trial(rng, n=60)
        p.append(cox_firth(time, event, arm).likelihood_ratio.p)
    assert_uniform(p, slack=2 * SLACK)


@pytest.mark.parametrize("interaction", [False, True])
def test_familywise_error_of_max_t(interaction):
    rng = np.random.default_rng(205)
    any_call = []
    for _ in range(1000):
        time, event, arm, x = trial(rng, p=60, effect=-0.5, prognosis=0.8 if interaction else 0.0)
        found = max_t(x, time, event, arm if interaction else None, rng=rng, n_permutations=200, threads=1)
        any_call.append(found.global_p <= 0.05)
    share = np.mean(any_call)
    assert 0.02 <= share <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 1000), share


def test_cut_of_the_strongest_interaction():
    rng = np.random.default_rng(206)
    p = []
    for _ in range(600):
        time, event, arm, x = trial(rng, n=200, p=1, effect=-0.5, prognosis=0.7)
        found = interaction_cutpoint(time, event, arm, np.round(x[:, 0], 1), rng=rng, draws=199)
        p.append(found.p)
    share = np.mean(np.array(p) <= 0.05)
    assert 0.015 <= share <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 600), share
