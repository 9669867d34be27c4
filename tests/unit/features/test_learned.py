"""Signatures are standardised on training rows alone, and a frozen one scores new patients as it did then."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.helpers.cohorts import GBSG2_PROTOCOL, build_cohort, protocol
from trialstrat.cohort.derive_matrix import standardised_mean
from trialstrat.errors import InvalidInputError
from trialstrat.features import Beside, FeatureSpec, build, choose_feature_sets, fit_spec

N, TRAIN = 60, np.arange(40)
RNG = np.random.default_rng(7)
GENES = pd.DataFrame(RNG.normal(5, 2, (N, 4)), columns=["A", "B", "C", "D"])
GENES.loc[3, "A"] = np.nan


def cohort(genes: pd.DataFrame = GENES):
    variables = [{"column": "sig", "kind": "continuous"}, {"column": "age", "kind": "continuous"}]
    declared = protocol({**GBSG2_PROTOCOL, "arms": None, "covariates": variables, "biomarkers": []})
    frame = pd.DataFrame({"sig": standardised_mean(genes.to_numpy()), "age": np.linspace(40, 70, N)})
    made = build_cohort(declared, frame, np.arange(1.0, N + 1), np.ones(N, dtype=np.int64))
    return replace(made, signatures={"sig": genes.set_axis(made.frame.index, axis=0)})


def fitted(made) -> FeatureSpec:
    choice = next(entry for entry in choose_feature_sets(made) if entry.name == "clinical")
    return fit_spec(made, choice, TRAIN, made.outcome.time, made.outcome.event == 1)


def by_hand(genes: pd.DataFrame) -> np.ndarray:
    train = genes.iloc[TRAIN]
    score = ((genes - train.mean()) / train.std(ddof=0)).mean(axis=1).to_numpy()
    return (score - score[TRAIN].mean()) / score[TRAIN].std()


def test_the_score_is_that_of_the_training_rows():
    made = cohort()
    matrix = build(made, fitted(made))
    np.testing.assert_allclose(matrix.values[:, matrix.names.index("sig")], by_hand(GENES), rtol=1e-12)


def test_held_out_rows_change_nothing_that_is_learned():
    other = GENES.copy()
    other.iloc[40:] = other.iloc[40:] * 100 + 3
    assert json.dumps(fitted(cohort(other)).to_dict()) == json.dumps(fitted(cohort()).to_dict())


def test_a_stored_specification_scores_as_before_and_asks_for_its_genes():
    made = cohort()
    spec = fitted(made)
    again = FeatureSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
    beside = Beside(signatures=made.signatures)
    np.testing.assert_array_equal(again.values(made.frame, None, beside), spec.values(made.frame, None, beside))
    with pytest.raises(InvalidInputError, match="needs the genes of signature 'sig'"):
        spec.values(made.frame)
    with pytest.raises(InvalidInputError, match="genes of a signature are missing: B"):
        spec.values(made.frame, None, Beside(signatures={"sig": GENES.drop(columns="B")}))
