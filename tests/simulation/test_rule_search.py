"""The promises of the rule search, at its defaults, on trials with known truth (a few minutes; run by ``.ci/run``).

Limits are the promised bars less twice the simulation error of these small numbers of trials, so that a search that
keeps its promise passes nearly always and one that lost a third of its power, or doubled its error, fails.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.simulation.scorer import first_phase, score, summarise
from trialstrat.subgroups.rule_search import RuleOptions

pytestmark = pytest.mark.slow

#: Trials whose claimed rules have their effects corrected, and trials that are searched in all: claims are cheaper.
TRIALS, SEARCHED = 50, 200
NULLS = 150
#: Scenario -> promised power (for ``smooth``: claims). ``spike12`` is ``spike`` with 12 instead of 13% harmed.
POWER = {"spike": 0.92, "spike12": 0.92, "two": 0.45, "pgr40": 0.45, "smooth": 0.85}


@pytest.mark.parametrize("name", ["null07", "null1", "varied"])
def test_a_rule_is_rarely_claimed_where_there_is_none(name):
    options = RuleOptions(permutations=300, worlds=0, resamples=0)
    claimed = sum(first_phase(name, 50_000 + k, options)[0].found.claimed for k in range(NULLS))
    assert claimed / NULLS <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / NULLS)


@pytest.mark.parametrize("name", list(POWER))
def test_true_rules_are_found_and_their_effects_are_honest(name):
    options = RuleOptions(permutations=300, worlds=100, resamples=0)
    scores = [score(name, 60_000 + k, options) for k in range(TRIALS)]
    found = summarise(scores)
    claims_only = replace(options, worlds=0)
    scores += [score(name, 60_000 + k, claims_only) for k in range(TRIALS, SEARCHED)]
    searched = summarise(scores)
    reached = searched["claimed"] if name == "smooth" else searched["power"]
    bar = POWER[name]
    assert reached >= bar - 2 * np.sqrt(bar * (1 - bar) / SEARCHED)
    claims = round(found["claimed"] * TRIALS)
    corrected, naive = found["rule", "corrected"], found["rule", "naive"]
    # the standard error of the mean log error is about a quarter of its limits' width over the root of the claims
    noise = 2 * corrected["width"] / 4 / np.sqrt(claims)
    assert abs(corrected["bias"]) <= 0.10 + noise
    assert abs(found["complement", "corrected"]["bias"]) <= 0.10 + noise
    error = 2 * np.sqrt(0.93 * 0.07 / claims)
    assert corrected["coverage"] >= 0.93 - error
    assert corrected["coverage"] >= naive["coverage"] - error
