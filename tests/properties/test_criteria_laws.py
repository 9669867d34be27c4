"""Laws of the evaluator and of ``screen`` for any criteria on patients, long tables and molecular events."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.cohort.language.test_evaluate import COPIES, LAB, LINES, MUTATIONS, PATIENTS, SCHEMA, tables
from trialstrat.cohort.language.evaluate import admitted, expression_state
from trialstrat.cohort.language.states import MET, NOT_MET, UNKNOWN
from trialstrat.cohort.language.tables import Tables
from trialstrat.criteria.screening import DECISIONS, screen
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.grammar import parse
from trialstrat.protocol.language.model import AllOf, AnyOf, Negation

#: The values in the order in which more is met.
RANK = {NOT_MET: 0, UNKNOWN: 1, MET: 2}
ABOUT_ABSENCE = ["age is unknown", '(any lab where name is "HGB" absent none)', "(count lab <= 1 absent none)"]
positive = st.sampled_from(LINES).map(lambda line: parse(line)[0])


def joined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return several.map(lambda nodes: AllOf(all=nodes)) | several.map(lambda nodes: AnyOf(any=nodes))


leaves = st.sampled_from([*LINES, *ABOUT_ABSENCE]).map(lambda line: parse(line)[0])
expressions = st.recursive(
    leaves, lambda inner: joined(inner) | inner.map(lambda node: Negation(negated=node)), max_leaves=5
)
kinds = st.sampled_from(["inclusion", "exclusion"])
policies = st.sampled_from(["met", "not met", "unknown"])


@st.composite
def several(draw: st.DrawFn) -> list[Criterion]:
    return [
        Criterion(id=f"C{at}", kind=draw(kinds), when=(draw(expressions),), missing=draw(policies))
        for at in range(draw(st.integers(0, 3)))
    ]


def ranks(node: Any, data: Tables) -> np.ndarray:
    return np.array([RANK[int(value)] for value in expression_state(node, data)])


def eligible(criteria: list[Criterion], data: Tables) -> np.ndarray:
    return np.array([DECISIONS[code] == "eligible" for code in screen(criteria, data).decision])


@settings(max_examples=100, deadline=None)
@given(tables(), st.lists(expressions, min_size=2, max_size=3).map(tuple))
def test_and_is_the_least_and_or_the_greatest_of_its_parts(data: Tables, parts: tuple) -> None:
    found = np.stack([ranks(part, data) for part in parts])
    assert np.array_equal(ranks(AllOf(all=parts), data), found.min(axis=0))
    assert np.array_equal(ranks(AnyOf(any=parts), data), found.max(axis=0))


@settings(max_examples=100, deadline=None)
@given(tables(), expressions)
def test_not_turns_the_order_round_and_twice_is_nothing(data: Tables, node: Any) -> None:
    once = Negation(negated=node)
    assert np.array_equal(ranks(once, data), 2 - ranks(node, data))
    assert np.array_equal(expression_state(Negation(negated=once), data), expression_state(node, data))


@settings(max_examples=100, deadline=None)
@given(tables(), st.lists(expressions, min_size=2, max_size=3).map(tuple))
def test_de_morgan_in_three_values(data: Tables, parts: tuple) -> None:
    turned = tuple(Negation(negated=part) for part in parts)
    for whole, other in ((AllOf(all=parts), AnyOf(any=turned)), (AnyOf(any=parts), AllOf(all=turned))):
        assert np.array_equal(expression_state(Negation(negated=whole), data), expression_state(other, data))


@settings(max_examples=100, deadline=None)
@given(tables(), several(), kinds, policies, expressions, expressions)
def test_and_never_enlarges_and_or_never_shrinks_an_inclusion_and_the_reverse_for_an_exclusion(
    data: Tables, others: list[Criterion], kind: str, missing: str, node: Any, more: Any
) -> None:
    def found(when: tuple[Any, ...]) -> np.ndarray:
        return eligible([*others, Criterion(id="X", kind=kind, when=when, missing=missing)], data)

    plain, narrower, wider = found((node,)), found((node, more)), found((AnyOf(any=(node, more)),))
    less, most = (narrower, wider) if kind == "inclusion" else (wider, narrower)
    assert not (less & ~plain).any()
    assert not (plain & ~most).any()


@settings(max_examples=100, deadline=None)
@given(tables(), several(), several())
def test_a_further_criterion_never_makes_anybody_eligible(data: Tables, some: list, more: list) -> None:
    renamed = [entry.model_copy(update={"id": f"M{entry.id}"}) for entry in more]
    before, after = eligible(some, data), eligible([*some, *renamed], data)
    assert not (after & ~before).any()
    assert np.array_equal(after, eligible([*renamed, *some], data))
    assert np.array_equal(after, admitted([*some, *renamed], data))


EMPTY = Tables(
    patients=pd.DataFrame({name: [None] for name in PATIENTS}, index=["nobody"]).astype({"age": float, "TMB": float}),
    long={"lab": LAB.iloc[:0], "mutations": MUTATIONS.iloc[:0], "copies": COPIES.iloc[:0]},
    schema=SCHEMA,
)


@settings(max_examples=100, deadline=None)
@given(st.recursive(positive, joined, max_leaves=5), st.sampled_from(["not met", "unknown"]))
def test_an_empty_record_satisfies_no_inclusion(node: Any, missing: str) -> None:
    criterion = Criterion(id="C", kind="inclusion", when=(node,), missing=missing)
    (decision,) = screen([criterion], EMPTY).decision
    assert DECISIONS[decision] == ("not eligible" if missing == "not met" else "unknown")


@settings(max_examples=100, deadline=None)
@given(st.recursive(positive, joined, max_leaves=5))
def test_an_empty_record_is_excluded_by_nothing_and_admitted_by_nothing(node: Any) -> None:
    criterion = Criterion(id="C", kind="exclusion", when=(node,))
    (decision,) = screen([criterion], EMPTY).decision
    assert DECISIONS[decision] == "unknown"
