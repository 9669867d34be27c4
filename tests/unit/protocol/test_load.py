"""Protocol files: every fault at once, with line, guess and mend; text stays text; nothing is executed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from trialstrat.errors import ProtocolError
from trialstrat.protocol.load import load_protocol
from trialstrat.protocol.model import Protocol

NASTY = Path(__file__).resolve().parents[3].parent / "shared" / "nasty" / "files"

GOOD = """\
trialstrat: 1
id: study
title: A study
question: Does it work?
sources:
  - {name: cohort, file: cohort.csv, id: ID}
endpoints:
  - name: os
    label: Overall survival
    time: T
    unit: months
    event: {column: E, events: [1], censored: [0]}
estimand: {population: all, treatment: none, endpoint: os}
covariates:
  - {column: AGE, kind: continuous}
"""


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "study.yaml") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def messages(path: Path) -> list[str]:
    with pytest.raises(ProtocolError) as raised:
        load_protocol(path)
    assert raised.value.exit_code == 3
    return list(raised.value.messages)


def test_a_good_file_is_loaded_with_hash_and_lines(write):
    path = write(GOOD)
    loaded = load_protocol(path)
    assert isinstance(loaded.protocol, Protocol)
    assert loaded.sha256 == hashlib.sha256(GOOD.encode()).hexdigest()
    assert loaded.line("id") == 2
    assert loaded.line("endpoints.0.event.column") == 12
    assert loaded.line("covariates.0.levels") == 15  # the nearest entry that was written
    assert loaded.line("seed") is None
    assert loaded.folder == path.parent


def test_a_byte_order_mark_and_crlf_are_fine(write):
    loaded = load_protocol(write("\ufeff" + GOOD.replace("\n", "\r\n")))
    assert loaded.protocol.id == "study"
    assert loaded.line("endpoints.0.event.column") == 12


def test_all_faults_come_at_once_in_file_order(write):
    text = GOOD.replace("time: T", "tme: T").replace("unit: months", "unit: month")
    text = text.replace("kind: continuous", "kind: continuos").replace("question: Does it work?\n", "")
    found = messages(write(text))
    assert found == [
        "study.yaml:1: question: required key 'question' is missing. Add it.",
        "study.yaml:9: endpoints.0.tme: unknown key, did you mean time? Rename or remove it.",
        "study.yaml:10: endpoints.0.unit: 'month' is not one of 'days', 'weeks', 'months' or 'years', did you mean months?",  # noqa: E501
        "study.yaml:14: covariates.0.kind: 'continuos' is not one of 'continuous', 'categorical' or 'ordinal', did you mean continuous?",  # noqa: E501
    ]


def test_rules_between_keys_name_the_entry(write):
    found = messages(write(GOOD.replace("events: [1], ", "")))
    assert found == [
        "study.yaml:12: endpoints.0.event: declare events: (the values that are events) or causes:, or a style."
    ]


@pytest.mark.parametrize(
    ("typed", "text"),
    [("NO", "NO"), ("010", "010"), ("1", "1"), ("2020-01-01", "2020-01-01"), ("true", "true"), ("1.10", "1.10")],
)
def test_column_names_keep_what_was_typed(write, typed, text):
    loaded = load_protocol(write(GOOD.replace("column: AGE", f"column: {typed}")))
    assert loaded.protocol.covariates[0].column == text


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("1", 1),
        ("-3", -3),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("true", True),
        ("NO", "NO"),
        ("010", "010"),
        ("1_0", "1_0"),
        ('"1"', "1"),
        ("0o17", "0o17"),
    ],
)
def test_values_are_numbers_only_when_they_look_exactly_like_one(write, typed, value):
    loaded = load_protocol(write(GOOD.replace("events: [1]", f"events: [{typed}]")))
    (event,) = loaded.protocol.endpoints[0].event.events
    assert event == value
    assert type(event) is type(value)


def test_version_keeps_its_last_zero(write):
    assert load_protocol(write(GOOD + "version: 1.10\n")).protocol.version == "1.10"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("seed: 1_0\n", "seed: must be a whole number, found '1_0'"),
        ("seed: '7'\n", "seed: must be a whole number, found '7'"),
        ("seed: 1.5\n", "seed: must be a whole number"),
        ("seed: -1\n", "seed: input should be greater than or equal to 0"),
        ("analysis: {alpha: .inf}\n", "analysis.alpha: must be a number, found '.inf'"),
        ("limits: none\n", "limits: must be a list"),
        ("disclosure: 5\n", "disclosure: must be a mapping"),
        ("id: again\n", "key 'id' stands twice"),
        ("limits: !!python/object/apply:os.system [x]\n", "tag !!python/object/apply:os.system is refused"),
        ("limits: !!set {a: null}\n", "is refused"),
        ("<<: {seed: 3}\n", "is refused"),
        ("? [a, b]\n: 1\n", "a key must be plain text"),
        ("limits: [a\n", "not YAML"),
        ("---\nid: other\n", "not YAML"),
        ("limits: [*nobody]\n", "not YAML"),
    ],
)
def test_refused_with_line_and_words(write, change, words):
    found = messages(write(GOOD + change))
    assert len(found) == 1
    assert words in found[0]
    assert found[0].startswith("study.yaml:1")  # lines 16 and on


def test_aliases_are_fine_until_they_are_a_bomb(write):
    shared = (
        GOOD.replace("events: [1], censored: [0]", "events: &one [1], censored: [0]")
        + "limits: &l [a, b]\nreferences: *l\n"
    )
    assert load_protocol(write(shared)).protocol.references == ("a", "b")
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert "once aliases are expanded" in messages(write(bomb))[0]


def test_an_alias_to_itself_ends(write):
    assert "nested deeper" in messages(write(GOOD + "limits: &a [*a]\n"))[0]


def test_deep_nesting_is_refused(write):
    assert "nested deeper" in messages(write(GOOD + "limits: " + "[" * 5000 + "]" * 5000 + "\n"))[0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"# nothing\n", "the file is empty"),
        (b"- a\n- b\n", "a protocol is a mapping"),
        (b"just text\n", "a protocol is a mapping"),
        (b"title: caf\xe9\n", "not UTF-8 at byte 10"),
        (b"title: \x07\n", "not YAML"),
        (b"#" * ((1 << 20) + 1), "larger than 1048576 bytes"),
    ],
)
def test_files_that_are_no_protocol(write, content, words):
    (found,) = messages(write(content))
    assert words in found


def test_missing_file_folder_and_impossible_path(tmp_path):
    assert "does not exist" in messages(tmp_path / "none.yaml")[0]
    assert "not a plain file" in messages(tmp_path)[0]
    assert (
        "cannot be read" in messages(tmp_path / ("x" * 5000))[0]
        or "does not exist" in messages(tmp_path / ("x" * 5000))[0]
    )


@pytest.mark.skipif(not NASTY.is_dir(), reason="the shared nasty files are not beside this checkout")
@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("65_config_evil.yaml", "tag !!python/object/apply:os.system is refused"),
        ("65b_config_bomb.yaml", "once aliases are expanded"),
        ("65c_config_norway.yaml", "arms: must be a mapping"),
    ],
)
def test_nasty_configurations(file, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert any(words in message for message in messages(NASTY / file))
    assert list(tmp_path.iterdir()) == []
