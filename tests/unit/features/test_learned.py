"""Signatures are standardised on training rows alone, and a frozen one scores new patients as it did then."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.helpers.cohorts import GBSG2_PROTOCOL, build_cohort, protocol
from trialstrat.cohort.batches import batch_tables
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


BATCH = np.array(["x", "y"], dtype=object)[np.arange(N) % 2]


def batched(markers: np.ndarray, correct: str = "location_scale"):
    blocks = [{"source": "gbsg2", "prefix": "m"}]
    declared = protocol(
        {**GBSG2_PROTOCOL, "arms": None, "covariates": [], "biomarkers": []},
        sources=[{"name": "gbsg2", "dataset": "scikit-survival/gbsg2", "id": "row"}],
        marker_blocks=blocks,
        batch_effects={"column": "plate", "correct": correct},
    )
    table = pd.DataFrame(markers, columns=[f"m{at}" for at in range(markers.shape[1])])
    made = build_cohort(
        declared, pd.DataFrame(index=range(N)), np.arange(1.0, N + 1), np.ones(N, dtype=np.int64), markers=table
    )
    return replace(made, batch=BATCH)


def molecular(made) -> FeatureSpec:
    choice = next(entry for entry in choose_feature_sets(made) if entry.name == "molecular")
    return fit_spec(made, choice, TRAIN, made.outcome.time, made.outcome.event == 1)


def shifted() -> np.ndarray:
    values = np.random.default_rng(5).normal(0, 1, (N, 12))
    values[BATCH == "y"] += 4
    return values


def gap(made) -> float:
    held = np.setdiff1d(np.arange(N), TRAIN)
    values = build(made, molecular(made)).values[held]
    return float(np.abs(values[BATCH[held] == "y"].mean(axis=0) - values[BATCH[held] == "x"].mean(axis=0)).mean())


def test_batches_are_corrected_only_when_declared_and_in_held_out_patients_too():
    assert gap(batched(shifted(), "none")) > 1.5
    assert gap(batched(shifted())) < 0.8


def test_no_held_out_marker_teaches_the_correction():
    other = shifted()
    other[40:] = other[40:] * 50 - 7
    assert json.dumps(molecular(batched(other)).to_dict()) == json.dumps(molecular(batched(shifted())).to_dict())


def test_a_stored_correction_asks_for_the_batch_and_leaves_new_ones_alone():
    made = batched(shifted())
    spec = FeatureSpec.from_dict(json.loads(json.dumps(molecular(made).to_dict())))
    with pytest.raises(InvalidInputError, match="the batch of each patient is needed"):
        spec.values(made.frame, made.markers)
    new = np.full(N, "z", dtype=object)
    plain = replace(spec, variables=tuple(replace(entry, batches=()) for entry in spec.variables))
    np.testing.assert_array_equal(
        spec.values(made.frame, made.markers, Beside(batch=new)), plain.values(made.frame, made.markers)
    )


def test_batches_are_shown_before_any_correction():
    sizes, components = batch_tables(batched(shifted()))
    assert sizes.rows == (("x", 30), ("y", 30))
    first = components.records()[0]
    assert first["explained"] > 0.9
    assert "corrected on training rows" in components.note
    assert batch_tables(cohort()) == []
