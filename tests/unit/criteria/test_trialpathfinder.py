"""TrialPathfinder's own rule files: its tutorial's counts exactly, the ten published trials completely."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialstrat import store
from trialstrat.cohort.language.evaluate import admitted, evaluate
from trialstrat.cohort.language.tables import Tables
from trialstrat.criteria.protocol_text import from_protocol_text, to_protocol_text
from trialstrat.criteria.trialpathfinder import parse_rules, rule_tables
from trialstrat.errors import InvalidInputError
from trialstrat.protocol.language.criterion import CriteriaSet, Criterion
from trialstrat.protocol.language.grammar import parse
from trialstrat.protocol.language.model import Comparison, Keep, Linked, Negation, Pick, walk
from trialstrat.protocol.language.names import step_columns
from trialstrat.protocol.language.text import write_all
from trialstrat.protocol.load import load_criteria
from trialstrat.protocol.model import Condition

TUTORIAL = Path(__file__).parents[3].parent / "shared" / "data" / "trialpathfinder_tutorial"
needs_tutorial = pytest.mark.skipif(not TUTORIAL.exists(), reason="the tutorial's tables are not beside the project")
#: Rules per file, counted by hand from the published files.
TRIALS = {
    "AZ_FLAURA": 10,
    "BI_LUX8": 11,
    "BMS_Checkmate017": 17,
    "BMS_Checkmate057": 19,
    "BMS_Checkmate078": 18,
    "Merck_Keynote010": 13,
    "Merck_Keynote189": 15,
    "Merck_Keynote407": 13,
    "Roche_BEYOND": 12,
    "Roche_OAK": 18,
}


@pytest.fixture(scope="module")
def tutorial():
    rules = parse_rules((TUTORIAL / "criteria.csv").read_text(encoding="utf-8"))
    tables = {name: pd.read_csv(TUTORIAL / f"{name}.csv") for name in ("features", "demographics", "lab")}
    patients = tables["features"]["PatientID"]
    return rules, rule_tables(rules, tables, patients.tolist(), identifier="PatientID")


@needs_tutorial
def test_each_rule_excludes_as_many_as_the_peer(tutorial) -> None:
    rules, tables = tutorial
    removed = {rule.id: int((~admitted([rule], tables)).sum()) for rule in rules}
    assert removed == {"Age": 0, "Histology_Squamous": 2020, "ECOG": 1797, "Platelets": 1943, "Bilirubin": 2316}


@needs_tutorial
def test_cohorts_of_the_peer(tutorial) -> None:
    rules, tables = tutorial
    assert int(admitted([], tables).sum()) == 4000
    assert int(admitted(rules, tables).sum()) == 223
    assert int(admitted([rule for rule in rules if rule.id in ("ECOG", "Bilirubin")], tables).sum()) == 1053


@needs_tutorial
@pytest.mark.parametrize("trial", TRIALS)
def test_published_rules_parse_completely_and_survive_as_text(trial: str) -> None:
    rules = parse_rules((TUTORIAL / "nsclc_rules" / f"{trial}.csv").read_text(encoding="utf-8"), trial)
    assert len(rules) == TRIALS[trial]
    for rule in rules:
        assert parse(write_all(rule.when)) == rule.when


DEFINITIONS = TUTORIAL.parent / "eligibility_definitions" / "trialpathfinder"


def made_up(rules: tuple[Criterion, ...], rng: np.random.Generator) -> Tables:
    """Tables with every column that the rules name: a constant of theirs, a number near one, or a date."""
    steps = [step for rule in rules for node in rule.when for part in walk(node) if isinstance(part, Linked)
             for step in part.linked]  # fmt: skip
    parts = [part for step in steps if isinstance(step, Keep) for part in walk(step.keep)]
    constants: dict[str, list] = {}
    for part in (part for part in parts if isinstance(part, Condition)):
        ends = [end + by for end in (part.at_least, part.at_most, part.above, part.below) if end is not None
                for by in (-1, 0, 1)]  # fmt: skip
        equal = [] if part.equals is None else [part.equals]
        constants.setdefault(part.column, []).extend([*ends, *equal, *part.one_of, *part.none_of])
    timed = {name for step in steps for name in step_columns(step)} - set(constants)
    frames: dict[str, pd.DataFrame] = {}
    for name in sorted({*constants, *timed}):
        table, _, entry = name.partition(".")
        frame = frames.setdefault(table, pd.DataFrame({"PatientID": rng.integers(1, 40, 120)}))
        if name in constants:
            text = any(isinstance(value, str) for value in constants[name])
            pool = [str(value) if text else value for value in constants[name]] + ["other" if text else np.nan]
            frame[entry] = [pool[at] for at in rng.integers(0, len(pool), len(frame))]
        elif "value" in entry or "norm" in entry:
            frame[entry] = rng.choice([0.5, 1.0, 40.0, 100.0], len(frame))
        elif "year" in entry:
            frame[entry] = rng.integers(1940, 2005, len(frame))
        else:
            days = pd.Timestamp("2020-03-01") + pd.to_timedelta(rng.integers(-40, 10, len(frame)), "D")
            frame[entry] = days.strftime("%Y-%m-%d")
    return rule_tables(rules, frames, range(1, 41), identifier="PatientID")


@pytest.mark.skipif(not DEFINITIONS.exists(), reason="the published rules are not beside the project")
def test_the_146_published_rules_are_the_same_criteria_after_our_yaml_and_our_text(tmp_path: Path) -> None:
    parsed = {trial: parse_rules((DEFINITIONS / f"{trial}.csv").read_text(encoding="utf-8"), trial) for trial in TRIALS}
    assert sum(map(len, parsed.values())) == 146
    decided = set()
    for at, (trial, rules) in enumerate(parsed.items()):
        file = tmp_path / f"{trial}.yaml"
        written = CriteriaSet(study=trial, title=trial, criteria=rules)
        file.write_text(store.yaml_text(written.model_dump(mode="json", exclude_defaults=True)), encoding="utf-8")
        held, _ = load_criteria(file)
        text = from_protocol_text(to_protocol_text(held))
        data = made_up(rules, np.random.default_rng(at))
        for rule, ours, back in zip(rules, held.criteria, text.criteria, strict=True):
            expected = evaluate(rule, data)
            assert np.array_equal(evaluate(ours, data), expected)
            assert np.array_equal(evaluate(back, data), expected)
            decided.add((trial, len(set(expected.tolist())) > 1))
    # the made-up patients are told apart in every trial
    assert {trial for trial, both in decided if both} == set(TRIALS)


# -- small tables ----------------------------------------------------------------------------------------------------

TABLES = {
    "Features": pd.DataFrame({"ID": [1, 2, 3, 4], "Start": ["2020-03-01"] * 4, "Birth": [1950, 2003, 1980, 1990]}),
    "Lab": pd.DataFrame(
        {
            "ID": [1, 1, 1, 2, 3, 3],
            "Name": ["ALT"] * 5 + ["AST"],
            "Value": [90.0, 200.0, 20.0, 80.0, 10.0, 500.0],
            "Norm": [40.0] * 6,
            "Date": ["2020-02-20", "2020-02-25", "2020-03-02", "2020-02-28", "2019-12-01", "2020-02-28"],
        }
    ),
}


def states(body: str) -> list[int]:
    rules = parse_rules(f'"Rule\n{body}"')
    return evaluate(rules[0], rule_tables(rules, TABLES, [1, 2, 3, 4], identifier="ID")).tolist()


WINDOW = """#Inclusion
Lab['Name'] == 'ALT'
(Lab['Date'] >= Features['Start'] - @DAYS(28)) AND (Lab['Date'] <= Features['Start'])
MIN(ABS(Lab['Date'] - Features['Start']))
Lab['Value'] <= 2.5 * Lab['Norm']"""


def test_nearest_row_in_the_window_decides_and_absence_admits() -> None:
    assert states(WINDOW) == [0, 1, 1, 1]


def test_missing_exclude_turns_absence_away() -> None:
    assert states(WINDOW.replace("#Inclusion", "#Inclusion, missing exclude")) == [0, 1, 0, 0]


def test_an_exclusion_that_cannot_be_read_excludes_nobody() -> None:
    assert states(WINDOW.replace("#Inclusion", "#Exclusion")) == [0, 1, 0, 0]


def test_years_are_365_days_and_a_year_is_its_first_day() -> None:
    # 2003-01-01 plus 18 x 365 days is 2020-12-27, after the start
    assert states("#Inclusion\nFeatures['Start'] >= Features['Birth'] + @YEARS(18)") == [1, 0, 1, 1]


def test_both_alternatives_see_all_joined_rows() -> None:
    body = "Lab['Date'] <= Features['Start']\n(Lab['Name'] == 'AST') OR (Lab['Value'] >= 200)"
    assert states(f"#Inclusion\n{body}") == [1, 0, 1, 1]


def test_typographic_quotes_and_arithmetic_brackets() -> None:
    rules = parse_rules("\"R\n#exclusion\n(lab[‘d’] < (f[‘s’] - @DAYS(14))) AND (lab['n'] != 'x’)\"")
    (node,) = rules[0].when
    (step,) = node.linked
    assert step.keep.all == (
        Comparison(left="lab.d", operator="<", right="f.s", plus=-14),
        Condition(column="lab.n", none_of=("x",)),
    )


def test_two_blocks_are_one_criterion() -> None:
    rules = parse_rules("\"R\n#Inclusion\na['x'] == 1\n#Exclusion\nMAX(a['t'])\n3 < a['y']\"")
    first, second = rules[0].when
    assert isinstance(first, Linked)
    assert isinstance(second, Negation)
    assert second.negated.linked == (Pick(pick="greatest", left="a.t"), Keep(keep=Condition(column="a.y", above=3)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\"R\n#Inclusion\na['x'] >= \"", "line 3: rule R: character 10: expected Table"),
        ("\"R\n#Maybe\na['x'] >= 1\"", "a block is #Inclusion"),
        ("\"R\na['x'] >= 1\"", "starts with #Inclusion"),
        ('"R"', "needs #Inclusion"),
        ("\"R\n#Inclusion\nMIN(a['x'])\"", "last step"),
        ("\"R\n#Inclusion\na['x'] >= 'text'\"", "text only with =="),
        ('"R\n#Inclusion\n1 >= 2"', "one column or two"),
        ("\"R\n#Inclusion\na['x'] >= __import__('os')\"", "character 11: nothing known starts with '_'"),
        ('"R\n#Inclusion\n' + "(" * 3000 + "a['x'] >= 1" + ")" * 3000 + '"', "nested"),
        ("\"R\n#Inclusion\na['x'] >= 1\"\n\"R\n#Inclusion\na['x'] >= 1\"", "written twice"),
    ],
)
def test_rules_that_cannot_be_read_say_where(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        parse_rules(text)


pieces = st.sampled_from(
    ["a['x']", "b['y']", "'t'", "1", "1e999", "2.5 *", "@DAYS(3)", "@DAYS(x)", "MIN(", "ABS(", "AND", "OR", "True",
     "(", ")", "<", "==", "!=", "+", "-", "#Inclusion", "\n", '"', ",", "\x00"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(pieces, max_size=12).map(" ".join) | st.text(max_size=20))
def test_any_text_is_a_rule_or_a_fault_with_a_message(line: str) -> None:
    for text in (line, f'"R\n#Inclusion\n{line}"'):
        messages: tuple[str, ...] = ()
        try:
            parse_rules(text)
        except InvalidInputError as error:
            messages = error.messages
        assert all(message.startswith("criteria.csv: ") for message in messages)


def test_a_cell_beyond_the_limit_of_csv_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="line 1: not a CSV file"):
        parse_rules('"' + "x" * 200_000 + '"')
