"""The analysis table depends on what the file says, not on how it is written."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trialstrat.cohort.build import read_cohort
from trialstrat.protocol.load import LoadedProtocol
from trialstrat.protocol.model import Protocol

STUDY = {
    "trialstrat": 1,
    "id": "written",
    "title": "t",
    "question": "q",
    "sources": [{"name": "cohort", "file": "cohort.csv", "id": "ID"}],
    "endpoints": [
        {
            "name": "os",
            "label": "OS",
            "time": "T",
            "unit": "days",
            "event": {"column": "E", "events": ["dead"], "censored": ["alive"]},
        }
    ],
    "estimand": {"population": "p", "treatment": "none", "endpoint": "os"},
    "covariates": [
        {"column": "X", "kind": "continuous", "missing_limit": 1},
        {"column": "G, group", "kind": "categorical", "levels": ["a", 'b "quoted"', "c;d"], "missing_limit": 1},
    ],
    "analysis": {"minimum_events": 1},
}

row = st.tuples(
    st.integers(1, 1000).map(lambda n: n / 4),
    st.one_of(st.none(), st.floats(-100, 100).map(lambda x: round(x, 2) + 0.25)),
    st.sampled_from(["a", 'b "quoted"', "c;d", None]),
)


def loaded(folder: Path) -> LoadedProtocol:
    return LoadedProtocol(protocol=Protocol.model_validate(STUDY), path=folder / "p.yaml", sha256="0" * 64, lines={})


@given(
    st.lists(row, min_size=4, max_size=20),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from([0, 1, 2]),
    st.randoms(use_true_random=False),
)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_table_however_it_is_written(tmp_path, rows, delimiter, line_end, encoding, quoting, random):
    events = ["dead", "alive", *random.choices(["dead", "alive"], k=len(rows) - 2)]
    ids = [f"0{at}" for at in range(len(rows))]
    table = pd.DataFrame(
        {
            "ID": ids,
            "T": [entry[0] for entry in rows],
            "E": events,
            "X": [entry[1] for entry in rows],
            "G, group": [entry[2] for entry in rows],
        }
    )
    plain = tmp_path / "plain"
    other = tmp_path / "other"
    for folder in (plain, other):
        folder.mkdir(exist_ok=True)
    (plain / "cohort.csv").write_text(table.to_csv(index=False))
    shuffled = table.sample(frac=1, random_state=random.randrange(1000))
    shuffled = shuffled[random.sample(list(table.columns), k=len(table.columns))]
    text = io.StringIO()
    shuffled.to_csv(text, index=False, sep=delimiter, quoting=quoting, lineterminator="\n")
    written = text.getvalue().rstrip("\n") if random.random() < 0.5 else text.getvalue()
    (other / "cohort.csv").write_bytes(written.replace("\n", line_end).encode(encoding))
    first, second = read_cohort(loaded(plain)), read_cohort(loaded(other))
    assert first.data_hash == second.data_hash
    assert first.frame.equals(second.frame)
    assert first.frame.index.tolist() == sorted(ids)


@given(st.lists(row, min_size=4, max_size=10), st.integers(0, 3))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_changed_value_changes_the_hash(tmp_path, rows, column):
    table = pd.DataFrame(
        {
            "ID": [f"p{at}" for at in range(len(rows))],
            "T": [entry[0] for entry in rows],
            "E": ["dead"] * len(rows),
            "X": [1.5, 2.5, *(entry[1] for entry in rows[2:])],
            "G, group": [entry[2] for entry in rows],
        }
    )
    changed = table.copy()
    if column == 0:
        changed.loc[0, "ID"] = "p99"
    elif column == 1:
        changed.loc[0, "T"] += 0.25
    elif column == 2:
        changed.loc[0, "E"] = "alive"
    else:
        changed.loc[0, "X"] = 12345.0
    hashes = []
    for name, entry in (("before", table), ("after", changed)):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        entry.to_csv(folder / "cohort.csv", index=False)
        cohort = read_cohort(loaded(folder))
        hashes.append(cohort.data_hash)
    assert hashes[0] != hashes[1]
