"""Canaries in every kind of source: ids, dates, free text and numbers that only one patient has are found nowhere."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.functional.study import write_study
from tests.functional.test_run import invoke

N = 240
WORD = "CANARYx"
PROTOCOL = """\
trialstrat: 1
id: canaries
title: A trial with a canary in every row of every source
question: Does anything of a patient leave the house?
sources:
  - {name: trial, file: patients.csv, id: patient, dates: {born_into_study: DD.MM.YYYY}}
  - {name: tumours, file: samples.csv, id: patient, layout: samples, sample: barcode, sample_rule: {choose: first}}
  - {name: expression, file: genes.tsv, layout: matrix, samples: tumours}
  - {name: variants, file: calls.maf, layout: variants, samples: tumours, assayed: samples}
  - {name: labs, file: labs.csv, id: patient, layout: records, time: when,
     fields: {when: {kind: date}, test: {kind: text}, value: {kind: number}}}
arms:
  column: arm
  levels: [{name: placebo, value: P, control: true}, {name: drug, value: D}]
endpoints:
  - name: os
    label: Overall survival
    start: start
    end: last_seen
    event: {column: died_on, style: dated}
    unit: days
    zero_time: half_day
estimand: {population: adults, treatment: drug against placebo, endpoint: os}
eligibility:
  - {id: I1, kind: inclusion, text: Adults, when: [{column: age, at_least: 18, unit: a}]}
features:
  - {name: tp53, kind: alteration, genes: [TP53], mutations: variants}
  - {name: score, kind: signature, genes: [G1, G2, G3], source: expression, method: mean_z}
covariates:
  - {column: age, kind: continuous, unit: a}
biomarkers:
  - {column: marker, kind: continuous, role: predictive}
  - {column: tp53, kind: categorical, role: prognostic}
  - {column: score, kind: continuous, role: prognostic}
marker_blocks: [{source: expression, exclude: [G1, G2, G3]}]
models: {engines: [clinical_cox, penalised_cox, boosting], outer_folds: 3, inner_folds: 2, trials: 2, bootstrap: 10}
analysis: {minimum_events: 5}
disclosure: {minimum_cell: 5}
seed: 11
"""


def write(folder: Path) -> tuple[Path, set[str], set[float]]:
    """The study, its texts that must be found nowhere, and its numbers."""
    rng = np.random.default_rng(21)
    texts: set[str] = set()
    numbers: set[float] = set()

    def rare(value: float) -> str:
        numbers.add(round(float(value), 6))
        return f"{value:.6f}"

    first = dt.date(2001, 3, 7)
    start = [first + dt.timedelta(int(day)) for day in rng.integers(0, 2500, N)]
    marker, arm = rng.normal(size=N), rng.permutation(np.arange(N) % 2)
    length = 20 + rng.exponential(500 * np.exp(-0.8 * marker + 0.5 * arm))
    end = [day + dt.timedelta(int(more)) for day, more in zip(start, length, strict=True)]
    died = rng.random(N) < 0.7
    rows = ["patient,arm,start,last_seen,died_on,age,marker,remark,born_into_study"]
    for at in range(N):
        remark = f"{WORD}note{at:04d} seen by nurse"
        texts |= {start[at].isoformat(), end[at].isoformat(), f"{WORD}note{at:04d}"}
        day = f"{start[at]:%d.%m.%Y}"
        rows.append(
            f"{WORD}{at:04d},{'PD'[arm[at]]},{start[at]},{end[at]},{end[at] if died[at] else ''},"
            f"{rng.integers(20, 85)},{rare(marker[at])},{remark},{day}"
        )
    protocol = write_study(folder, PROTOCOL)
    (folder / "patients.csv").write_text("\n".join(rows) + "\n")
    barcodes = [f"{WORD}tissue{at:04d}" for at in range(N)]
    lines = [f"{WORD}{at:04d},{barcodes[at]},{WORD}block" for at in range(N)]
    (folder / "samples.csv").write_text("patient,barcode,block\n" + "\n".join(lines) + "\n")
    genes = [f"# {WORD}comment", "gene\tDescription\t" + "\t".join(barcodes)]
    genes += [
        f"G{gene}\t{WORD}text\t" + "\t".join(rare(value) for value in rng.normal(5, 1, N)) for gene in range(1, 13)
    ]
    (folder / "genes.tsv").write_text("\n".join(genes) + "\n")
    calls = ["Hugo_Symbol\tVariant_Classification\tTumor_Sample_Barcode\tMutation_Status\tnote"]
    calls += [f"TP53\tMissense_Mutation\t{barcodes[at]}\tSomatic\t{WORD}call{at}" for at in range(0, N, 3)]
    (folder / "calls.maf").write_text(f"#{WORD}version\n" + "\n".join(calls) + "\n")
    labs = [
        f"{WORD}{at:04d},{start[at] - dt.timedelta(int(rng.integers(1, 20)))},ldh,{rare(rng.lognormal(5, 0.3))}"
        for at in range(N)
    ]
    (folder / "labs.csv").write_text("patient,when,test,value\n" + "\n".join(labs) + "\n")
    return protocol, {*texts, WORD, *barcodes}, numbers


def layers(data: bytes) -> Iterator[bytes]:
    """The bytes themselves, and what base64 and zlib hide in them."""
    yield data
    for piece in re.findall(rb"[A-Za-z0-9+/]{40,}={0,2}", data):
        try:
            decoded = base64.b64decode(piece + b"=" * (-len(piece) % 4))
        except (binascii.Error, ValueError):
            continue
        yield decoded
        try:
            yield zlib.decompress(decoded)
        except zlib.error:
            continue


def found_in(data: bytes, texts: set[str], numbers: set[float]) -> list[str]:
    """Canaries in some output, whatever way a number is written there."""
    hits: list[str] = []
    for layer in layers(data):
        hits += [text for text in texts if text.encode() in layer]
        figures = {float(figure) for figure in re.findall(rb"-?\d+\.\d{4,}", layer)}
        hits += [str(figure) for figure in figures if round(figure, 6) in numbers]
    if data.startswith(b"\x93NUMPY"):
        array = np.load(io.BytesIO(data), allow_pickle=False).astype(np.float64).ravel()
        hits += [str(value) for value in array if round(float(value), 6) in numbers]
    return hits


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, set[str], set[float]]:
    folder = tmp_path_factory.mktemp("canaries")
    protocol, texts, numbers = write(folder)
    said = ""
    for command in (("check", protocol), ("run", protocol, "--out", folder / "run", "--jobs", "1")):
        code, output = invoke(*command)
        assert code == 0, output
        said += output
    return folder, said, texts, numbers


def test_the_canaries_can_be_found(finished: tuple) -> None:
    """The search finds what it looks for: in the sources every kind of canary is there."""
    folder, _, texts, numbers = finished
    assert len(numbers) > 3000
    assert len(found_in((folder / "patients.csv").read_bytes(), texts, numbers)) > 2 * N
    packed = base64.b64encode(zlib.compress((folder / "labs.csv").read_bytes()))
    assert found_in(b"data:" + packed, texts, numbers)


def test_no_canary_is_in_any_stored_file(finished: tuple) -> None:
    folder, _, texts, numbers = finished
    files = [path for path in (folder / "run").rglob("*") if path.is_file()]
    assert {"report.html", "results.json", "criteria.yaml", "manifest.json"} <= {path.name for path in files}
    hits = {path.name: found_in(path.read_bytes(), texts, numbers)[:3] for path in files}
    assert {name: found for name, found in hits.items() if found} == {}
    left = {path.name for path in folder.iterdir()}
    assert left == {"patients.csv", "samples.csv", "genes.tsv", "calls.maf", "labs.csv", "small.yaml", "run"}


def test_no_canary_is_said(finished: tuple) -> None:
    _, said, texts, numbers = finished
    assert found_in(said.encode(), texts, numbers) == []


FAULTS = {
    "an id twice": ("patients.csv", f"{WORD}0001,", f"{WORD}0000,"),
    "a date that is none": ("patients.csv", "2001-", "2001/"),
    "text for a number": ("labs.csv", "ldh,1", f"ldh,{WORD}"),
    "an unknown sample": ("genes.tsv", f"{WORD}tissue0003", f"{WORD}elsewhere"),
    "a cell of the matrix": ("genes.tsv", "\t5.", f"\t{WORD}."),
    "a level": ("patients.csv", ",P,", f",{WORD}arm,"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_messages_about_faults_hold_no_canary(name: str, finished: tuple, tmp_path: Path) -> None:
    _, _, texts, numbers = finished
    protocol, _, _ = write(tmp_path)
    file, old, new = FAULTS[name]
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new, 3))
    for command in ("check", "run"):
        _, output = invoke(command, protocol, *(["--out", tmp_path / "run", "--jobs", "1"] if command == "run" else []))
        assert found_in(output.encode(), texts, numbers) == []
    assert file in output
