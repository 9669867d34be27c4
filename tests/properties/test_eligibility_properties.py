"""Invariants of eligibility that hold for any table and any criteria."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from trialstrat.cohort.eligibility import apply_criteria as apply_to
from trialstrat.cohort.language.evaluate import admitted as admitted_by
from trialstrat.cohort.language.evaluate import state_of
from trialstrat.cohort.language.states import MET, NOT_MET, UNKNOWN, State, conjunction
from trialstrat.cohort.language.tables import Tables
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.schema import Schema
from trialstrat.protocol.model import Condition

LEVELS = ("I", "II", "III")


def patients(frame: pd.DataFrame) -> Tables:
    return Tables(patients=frame, schema=Schema(tables={}))


def evaluate_criterion(criterion: Criterion, frame: pd.DataFrame) -> State:
    return state_of(criterion, patients(frame))


def admitted(criterion: Criterion, frame: pd.DataFrame) -> np.ndarray:
    return admitted_by([criterion], patients(frame))


def apply_criteria(some, frame):
    return apply_to(some, patients(frame))


numbers = st.one_of(st.none(), st.integers(-5, 5), st.floats(-5, 5).map(lambda x: round(x, 2)))
cells = st.one_of(st.none(), st.sampled_from(LEVELS))


@st.composite
def tables(draw) -> pd.DataFrame:
    n = draw(st.integers(1, 20))
    ages = draw(st.lists(numbers, min_size=n, max_size=n))
    stages = draw(st.lists(cells, min_size=n, max_size=n))
    text = [None if age is None else str(age) for age in ages]
    return pd.DataFrame({"AGE": text, "STAGE": stages}, dtype=object)


@st.composite
def conditions(draw, known: bool = False) -> Condition:
    kind = draw(st.sampled_from(["range", "equals", "one_of", "none_of", *([] if known else ["present"])]))
    bound = st.integers(-5, 5)
    choice: dict[str, Any] = {
        "range": {"column": "AGE", draw(st.sampled_from(["at_least", "at_most", "above", "below"])): draw(bound)},
        "equals": {"column": "STAGE", "equals": draw(st.sampled_from(LEVELS))},
        "one_of": {"column": "STAGE", "one_of": draw(st.lists(st.sampled_from(LEVELS), min_size=1, unique=True))},
        "none_of": {"column": "STAGE", "none_of": draw(st.lists(st.sampled_from(LEVELS), min_size=1, unique=True))},
        "present": {"column": draw(st.sampled_from(["AGE", "STAGE"])), "present": draw(st.booleans())},
    }[kind]
    return Condition.model_validate(choice)


@st.composite
def criteria(draw, kind: str | None = None, known: bool = False) -> Criterion:
    when = draw(st.lists(conditions(known=known), min_size=1, max_size=3))
    return Criterion(
        id="C",
        kind=kind or draw(st.sampled_from(["inclusion", "exclusion"])),
        text="x",
        when=tuple(when),
        unknown=draw(st.sampled_from(["include", "exclude"])),
    )


@given(tables(), criteria(kind="inclusion"), conditions())
@settings(max_examples=200, deadline=None)
def test_a_further_condition_of_an_inclusion_never_admits_more(table, criterion, condition):
    stricter = criterion.model_copy(update={"when": (*criterion.when, condition)})
    before = admitted(criterion, table)
    after = admitted(stricter, table)
    assert not (after & ~before).any()


@given(tables(), st.lists(criteria(), max_size=4), criteria())
@settings(max_examples=200, deadline=None)
def test_a_further_criterion_never_enlarges_the_cohort(table, some, other):
    before, _, _ = apply_criteria(some, table)
    after, _, _ = apply_criteria([*some, other], table)
    assert not (after & ~before).any()


@given(criteria(known=True))
@settings(max_examples=200, deadline=None)
def test_a_record_without_values_meets_no_criterion(criterion):
    nothing = pd.DataFrame({"AGE": [None, ""], "STAGE": [None, " "]}, dtype=object)
    assert (evaluate_criterion(criterion, nothing) == UNKNOWN).all()


@given(criteria(kind="inclusion"))
@settings(max_examples=100, deadline=None)
def test_a_record_without_values_is_not_included_unless_declared(criterion):
    nothing = pd.DataFrame({"AGE": [None], "STAGE": [None]}, dtype=object)
    strict = criterion.model_copy(update={"missing": "unknown"})
    asks_for_absence = all(condition.present is False for condition in criterion.when)
    assert admitted(strict, nothing).tolist() == [asks_for_absence]


@given(tables(), st.lists(criteria(), min_size=1, max_size=5), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_who_is_eligible_does_not_depend_on_the_order_of_criteria(table, some, random):
    shuffled = list(some)
    random.shuffle(shuffled)
    assert np.array_equal(apply_criteria(some, table)[0], apply_criteria(shuffled, table)[0])


@given(tables(), st.lists(criteria(), min_size=1, max_size=5))
@settings(max_examples=100, deadline=None)
def test_attrition_adds_up(table, some):
    eligible, steps, alone = apply_criteria(some, table)
    assert steps[0].before == len(table)
    assert steps[-1].remaining == eligible.sum()
    for step in steps:
        assert step.before - step.removed == step.remaining
        assert 0 <= step.unknown <= step.before
    for row in alone.records():
        assert sum(int(row[key] or 0) for key in ("met", "not_met", "unknown")) == len(table)


@given(st.lists(st.lists(st.sampled_from([MET, NOT_MET, UNKNOWN]), min_size=4, max_size=4), min_size=1, max_size=4))
def test_conjunction_is_the_smallest_part(parts):
    # not met < unknown < met
    order = {NOT_MET: 0, UNKNOWN: 1, MET: 2}
    states = conjunction([np.array(part, dtype=np.int8) for part in parts])
    assert [order[int(state)] for state in states] == [min(order[part[at]] for part in parts) for at in range(4)]


@given(tables(), criteria())
@settings(max_examples=100, deadline=None)
def test_typed_and_untyped_columns_agree(table, criterion):
    typed = pd.DataFrame(
        {"AGE": table["AGE"].astype(float), "STAGE": pd.Categorical(table["STAGE"], categories=LEVELS)}
    )
    assert np.array_equal(evaluate_criterion(criterion, table), evaluate_criterion(criterion, typed))
