"""One-line text: what it says, what it refuses and where; YAML to protocol text and back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from trialstrat import store
from trialstrat.criteria.protocol_text import from_protocol_text, to_protocol_text
from trialstrat.errors import InvalidInputError
from trialstrat.protocol.language.criterion import CriteriaSet, Criterion
from trialstrat.protocol.language.grammar import parse
from trialstrat.protocol.language.model import (
    AllOf,
    Alteration,
    AnyOf,
    Comparison,
    Condition,
    Keep,
    Linked,
    Negation,
    Pick,
    Records,
    Window,
)
from trialstrat.protocol.language.text import write, write_all
from trialstrat.protocol.tree import parse as parse_yaml

# -- any expression ---------------------------------------------------------------------------------------------------

names = st.one_of(
    st.sampled_from(["age", "lab.value", "and", "TP53", "a b", "x`y", "pipe|name", 'quo"te', "semi;colon", "größe"]),
    st.text(min_size=1, max_size=6).filter(lambda text: text.strip() == text and text.isprintable()),
)
texts = st.text(min_size=1, max_size=8).map(str.strip).filter(bool)
bounds = st.floats(allow_nan=False, allow_infinity=False, width=64)
values = st.one_of(texts, st.integers(-(10**9), 10**9), st.booleans(), bounds)
units = st.sampled_from(["", "mg/dL", "mm[Hg]", "10*9/L"])


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    column, unit = draw(names), draw(units)
    kind = draw(st.sampled_from(["range", "equals", "one_of", "none_of", "present"]))
    if kind == "range":
        ends = {}
        ends[draw(st.sampled_from(["at_least", "above"]))] = draw(bounds)
        ends[draw(st.sampled_from(["at_most", "below"]))] = draw(bounds)
        for key in draw(st.sampled_from([(), tuple(ends)[:1], tuple(ends)[1:]])):
            del ends[key]
        return Condition(column=column, unit=unit, **ends)
    if kind == "present":
        return Condition(column=column, present=draw(st.booleans()), unit=unit)
    if kind == "equals":
        return Condition(column=column, equals=draw(values), unit=unit)
    return Condition(column=column, unit=unit, **{kind: tuple(draw(st.lists(values, min_size=1, max_size=3)))})


comparisons = st.builds(
    Comparison,
    left=names,
    operator=st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    right=names,
    times=st.sampled_from([1.0, 2.5, -1.0, 1e-7]),
    plus=st.sampled_from([0.0, 28.0, -28.0, 0.5]),
)
alterations = st.one_of(
    st.builds(
        Alteration,
        event=st.just("mutation"),
        gene=names,
        classes=st.lists(texts, max_size=2).map(tuple),
        protein_change=st.sampled_from(["", "p.L858R"]),
    ),
    st.builds(
        Alteration, event=st.sampled_from(["copy_number", "expression"]), gene=names, at_least=bounds, unit=units
    ),
    st.builds(Alteration, event=st.just("tmb"), above=bounds, below=st.none() | bounds, unit=units),
    st.builds(Alteration, event=st.just("msi"), one_of=st.lists(texts, min_size=1, max_size=2).map(tuple)),
)


def combined(inner: st.SearchStrategy) -> st.SearchStrategy:
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(st.builds(AllOf, all=several), st.builds(AnyOf, any=several), st.builds(Negation, negated=inner))


rows = st.recursive(st.one_of(conditions(), comparisons), combined, max_leaves=4)
windows = st.sampled_from([None, Window(first=-28, last=0), Window(first=-0.5), Window(last=7)])
records = st.one_of(
    st.builds(
        Records,
        records=names,
        where=st.lists(rows, max_size=2).map(tuple),
        window=windows,
        take=st.sampled_from(["any", "every", "nearest", "latest", "earliest"]),
        has=rows,
        absent=st.sampled_from(["unknown", "none"]),
    ),
    st.builds(
        lambda least, more, **fields: Records(
            take="count", at_least=least, at_most=None if more is None else (least or 0) + more, **fields
        ),
        least=st.integers(0, 3),
        more=st.none() | st.integers(0, 3),
        records=names,
        window=windows,
        where=st.lists(rows, max_size=2).map(tuple),
        has=st.none() | rows,
    ),
    st.builds(Records, records=names, take=st.just("count"), at_most=st.integers(0, 3), absent=st.just("none")),
    st.builds(Records, records=names, where=st.lists(rows, max_size=2).map(tuple), window=windows),
)
picks = st.builds(
    Pick, pick=st.sampled_from(["least", "greatest"]), left=names, right=st.none() | names, absolute=st.booleans()
)
linked = st.builds(
    lambda steps, last: Linked(linked=(*steps, last)),
    st.lists(st.one_of(st.builds(Keep, keep=rows), picks), max_size=2),
    st.builds(Keep, keep=rows),
)
expressions = st.recursive(st.one_of(conditions(), comparisons, alterations, records, linked), combined, max_leaves=6)


@settings(max_examples=150, deadline=None)
@given(st.lists(expressions, min_size=1, max_size=3).map(tuple))
def test_text_reads_back_as_the_same_expressions(nodes: tuple) -> None:
    assert parse(write_all(nodes)) == nodes


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["inclusion", "exclusion"]),
            st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc")), max_size=20) | st.just("a | b\nc \\ d"),
            st.lists(expressions, max_size=2).map(tuple),
            st.sampled_from(["met", "not met", "unknown"]),
        ),
        max_size=4,
    ),
)
def test_yaml_to_protocol_text_to_yaml(drawn: list) -> None:
    criteria = CriteriaSet(
        study="S1",
        title="A | title",
        criteria=tuple(
            Criterion(id=f"C{at}", kind=kind, text=text, when=when, missing=missing)
            for at, (kind, text, when, missing) in enumerate(drawn)
        ),
    )
    yaml = yaml_of(criteria)
    held = CriteriaSet.model_validate(parse_yaml(yaml, "criteria.yaml").value)
    assert held == criteria
    text = to_protocol_text(held)
    assert sum(line.startswith("| ") and line[2].isdigit() for line in text.split("\n")) == len(drawn)
    again = from_protocol_text(text)
    assert again == criteria
    assert said(yaml_of(again)) == said(yaml)


def said(yaml: str) -> str:
    """What a file says, whether a whole number is written with a point or without."""

    def whole(text: str) -> float | int:
        return int(float(text)) if float(text).is_integer() else float(text)

    body = json.loads(json.dumps(parse_yaml(yaml, "criteria.yaml").value), parse_float=whole)
    return json.dumps(body)


def yaml_of(criteria: CriteriaSet) -> str:
    return store.yaml_text(criteria.model_dump(mode="json", exclude_defaults=True))


# -- named cases ------------------------------------------------------------------------------------------------------

LAB = '(nearest lab where name is "Platelet count" from day -28 to day 0 has value >= 100 "10*9/L")'


def test_yaml_form_and_text_form_are_the_same_criterion() -> None:
    yaml = """
id: I4
kind: inclusion
missing: met
when:
- records: lab
  take: nearest
  where: [{column: name, equals: Platelet count}]
  window: {first: -28, last: 0}
  has: {column: value, at_least: 100, unit: 10*9/L}
"""
    criterion = Criterion.model_validate(parse_yaml(yaml, "criteria.yaml").value)
    assert write_all(criterion.when) == LAB
    assert parse(LAB) == criterion.when
    assert "nearest" in store.yaml_text(criterion.model_dump(mode="json", exclude_defaults=True))


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("age >= 18", Condition(column="age", at_least=18)),
        ('18 <= age < 75 "a"', Condition(column="age", at_least=18, below=75, unit="a")),
        ("ecog in (0, 1)", Condition(column="ecog", one_of=(0, 1))),
        ("brain_metastases is known", Condition(column="brain_metastases", present=True)),
        ("alt <= 2.5 * uln", Comparison(left="alt", operator="<=", right="uln", times=2.5)),
        (
            'not mutation of EGFR class ("Missense_Mutation")',
            Negation(negated=Alteration(event="mutation", gene="EGFR", classes=("Missense_Mutation",))),
        ),
        ('tmb >= 10 "{mutations}/1"', Alteration(event="tmb", at_least=10, unit="{mutations}/1")),
    ],
)
def test_what_a_line_means(text: str, node: object) -> None:
    assert parse(text) == (node,)
    assert parse(write(node)) == (node,)


def test_and_binds_tighter_than_or() -> None:
    (node,) = parse("a is known or b is known and c is known")
    assert isinstance(node, AnyOf)
    assert isinstance(node.any[1], AllOf)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("age >= ", "character 7: expected a name"),
        ("age >= 18 and", "character 14: expected a name"),
        ("age ~ 3", "character 5: nothing that starts with '~'"),
        ("age == 3", "character 1: write 'is'"),
        ("(age >= 18", "character 11: expected ')'"),
        ("age >= 18)", "character 10: expected 'and', 'or'"),
        ("and >= 18", "character 1: expected a name"),
        ("(every lab)", "character 2"),
        ("(any lab from day 3 to day 1)", "character 2"),
        ("copy_number of ERBB2 is known", "character 22"),
        ("__import__('os')", "character 12"),
        ("(" * 3000 + "a is known" + ")" * 3000, "nested more than 20"),
        ("not " * 3000 + "a is known", "nested more than 20"),
        ("x" * 30_000, "too long"),
    ],
)
def test_what_is_refused_is_refused_at_its_place(text: str, place: str) -> None:
    with pytest.raises(InvalidInputError, match=place.replace("(", r"\(").replace(")", r"\)")):
        parse(text)


def test_deep_nesting_is_refused_in_yaml_too() -> None:
    node: dict = {"column": "a", "present": True}
    for _ in range(25):
        node = {"negated": node}
    with pytest.raises(ValidationError, match="nested more than 20"):
        Criterion.model_validate({"id": "a", "kind": "inclusion", "when": [node]})


def test_rows_of_protocol_text_that_cannot_be_read_are_all_named() -> None:
    rows = ("| 1 | I1 | age | age >= | unknown |", "| 2 | I2 | x |", "| 3 | I3 | x | a is 1 | maybe |")
    text = "\n".join(("## 5.2 Inclusion Criteria", *rows))
    with pytest.raises(InvalidInputError) as caught:
        from_protocol_text(text, "p.md")
    assert [message[:7] for message in caught.value.messages] == ["p.md:2:", "p.md:3:", "p.md:4:"]


@pytest.mark.parametrize(("kind", "missing"), [("inclusion", "met"), ("exclusion", "not met")])
def test_the_earlier_key_for_missing_values(kind: str, missing: str) -> None:
    fields = {"id": "a", "kind": kind, "when": [{"column": "x", "at_least": 1}]}
    assert Criterion.model_validate({**fields, "unknown": "include"}).missing == missing
    assert Criterion.model_validate({**fields, "unknown": "exclude"}) == Criterion.model_validate(fields)
    with pytest.raises(ValueError, match="remove unknown"):
        Criterion.model_validate({**fields, "unknown": "include", "missing": "met"})
    with pytest.raises(ValueError, match="include or exclude"):
        Criterion.model_validate({**fields, "unknown": "perhaps"})


def test_text_stands_for_the_list_or_for_an_entry_of_it() -> None:
    text = 'age >= 18 "a"; sex is "F" or bmi < 30 "kg/m2"'
    whole = Criterion(id="a", kind="inclusion", when=text)
    assert whole.when == parse(text)
    assert Criterion(id="a", kind="inclusion", when=text.split("; ")).when == whole.when
    assert Criterion(id="a", kind="inclusion", when=[text]).when == (AllOf(all=parse(text)),)
    with pytest.raises(ValueError, match="character 5: expected"):
        Criterion(id="a", kind="inclusion", when="age __import__")


pieces = st.sampled_from(
    ["age", "lab", "`a b`", '"x"', '"\\ud800"', "1", "-2.5", "1e999", "and", "or", "not", "(", ")", "any", "count",
     "where", "has", "from day", "to day", ">=", "<", "==", "is", "in", "linked", "keep", "pick", "least", ";", ",",
     "known", "mutation of", "tmb", "msi", "+", "-", "*"]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(pieces, max_size=12).map(" ".join) | st.text(max_size=20))
def test_any_text_is_a_criterion_or_a_fault_with_a_place(text: str) -> None:
    nodes, message = (), ""
    try:
        nodes = parse(text)
    except InvalidInputError as error:
        message = str(error)
    assert message.startswith("character ") if message else parse(write_all(nodes)) == nodes
