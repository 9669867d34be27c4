"""Protocols on molecular and submission data: patients, events and published figures of the data's own descriptions.

The data are not shipped; the tests look for them beside the repository.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from trialstrat.cli import app
from trialstrat.cohort.build import check, read_cohort
from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.derive import derive
from trialstrat.cohort.events import event_tables
from trialstrat.cohort.integrate import join
from trialstrat.cohort.language.evaluate import state_of
from trialstrat.cohort.language.tables import Tables
from trialstrat.cohort.sources import SourcesReader
from trialstrat.protocol.declared_schema import declared_schema
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.model import Alteration
from trialstrat.protocol.lint import lint
from trialstrat.protocol.load import LoadedProtocol, load_protocol
from trialstrat.stats.cox import cox
from trialstrat.subgroups.primary import primary_analysis

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
NEEDED = {
    "cdisc-pilot": "cdisc_pilot/adam_xpt",
    "laml": "tcga_laml_maf/tcga_laml",
    "study-es-0": "cbioportal_study_es_0",
    "scanb": "scanb_400/samples.csv",
    "retinopathy": "diabetic_retinopathy/retinopathy.csv",
    "mgus2": "mgus2_competing/mgus2.csv",
    "pbc": "pbc/pbc.csv",
}
FOLDERS = {name: place.split("/")[0] for name, place in NEEDED.items()}


def loaded(name: str) -> LoadedProtocol:
    if not (DATA / FOLDERS[name]).exists():
        pytest.skip(f"{FOLDERS[name]} is not beside the repository")
    return load_protocol(ROOT / "protocols" / f"{name}.yaml")


def cohort_of(name: str) -> Cohort:
    return read_cohort(loaded(name), DATA)


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_protocols_lint_check_and_name_what_they_need(name: str) -> None:
    protocol = loaded(name)
    assert [entry.text() for entry in lint(protocol) if entry.severity != "note"] == []
    assert [entry.text() for entry in check(protocol, DATA) if entry.severity == "error"] == []
    assert NEEDED[name] in protocol.path.read_text(encoding="utf-8")


def test_cdisc_pilot() -> None:
    """254 patients, 152 events (29, 62 and 61); hazard ratios 4.1 and 5.0 (joint model), log-rank p 8e-14."""
    cohort = cohort_of("cdisc-pilot")
    assert cohort.n == 254
    result = primary_analysis(cohort)
    events = {arm: result.estimate(f"primary.km.median.{arm}").events for arm in ("placebo", "low", "high")}
    assert events == {"placebo": 29, "low": 62, "high": 61}
    assert result.estimate("primary.cox.hazard_ratio.low_vs_placebo").value == pytest.approx(4.1, abs=0.05)
    assert result.estimate("primary.logrank.p.all").value == pytest.approx(8e-14, rel=0.05)
    arms = np.column_stack([cohort.arm == "low", cohort.arm == "high"]).astype(float)
    joint = cox(cohort.outcome.time, cohort.outcome.event, arms)
    assert np.exp(joint.coef[1]) == pytest.approx(5.0, abs=0.05)


def test_laml() -> None:
    """193 samples with mutations, FLT3 52, DNMT3A 48, NPM1 33 (maftools); 122 deaths among 188; DNMT3A HR 1.92."""
    protocol = loaded("laml")
    cohort = read_cohort(protocol, DATA)
    outcome = cohort.outcome
    assert (cohort.n, int(outcome.event.sum())) == (188, 122)
    fit = cox(outcome.time, outcome.event, (cohort.frame["DNMT3A"] == "altered").to_numpy(float))
    half = 1.959964 * float(np.sqrt(fit.covariance[0, 0]))
    found = np.exp([fit.coef[0], fit.coef[0] - half, fit.coef[0] + half])
    np.testing.assert_allclose(found, [1.92, 1.28, 2.86], atol=0.011)
    rows = {row["source"]: row for row in cohort.sources.records()}  # type: ignore[union-attr]
    assert (rows["mutations"]["rows"], rows["mutations"]["patients"]) == (2207, 200)


def test_laml_counts_among_everybody_sequenced() -> None:
    """The seven patients without a variant are wild type: nobody is unknown."""
    protocol = loaded("laml").protocol
    reader = SourcesReader(protocol, DATA)
    molecular = reader.read()
    joined, derived = derive(protocol, join(reader.prepared, 5)[0], molecular)
    assert len(joined.ids) == 200
    states = {name: entry.values for name, entry in derived.made.items()}
    counts = {gene: int((states[gene] == "altered").sum()) for gene in ("FLT3", "DNMT3A", "NPM1")}
    assert counts == {"FLT3": 52, "DNMT3A": 48, "NPM1": 33}
    assert not any(value is None for value in states["FLT3"])
    assert round(float(states["tmb"].sum()) * 38) == 1732
    assert len(set(molecular.variants["mutations"].patient.tolist())) == 193


def test_study_folder() -> None:
    """841 patients, 845 samples, 87 deaths; who was not profiled is missing."""
    cohort = cohort_of("study-es-0")
    rows = {row["source"]: row for row in cohort.sources.records()}  # type: ignore[union-attr]
    assert (rows["patients"]["patients"], rows["samples"]["rows"]) == (841, 845)
    assert int(cohort.outcome.event.sum()) == 87
    derived = {row["feature"]: row for row in cohort.derived.records()}  # type: ignore[union-attr]
    assert int(derived["tp53"]["unknown"]) > 700  # type: ignore[arg-type]
    assert cohort.n - int(derived["ercc5"]["unknown"]) == int(cohort.frame["ercc5"].notna().sum())  # type: ignore[arg-type]


def test_scanb() -> None:
    """400 patients, 48 deaths, 10,000 genes; ESR1 against ER status AUC 0.976, ERBB2 against HER2 0.908."""
    cohort = cohort_of("scanb")
    assert (cohort.n, int(cohort.outcome.event.sum()), cohort.markers.shape[1]) == (400, 48, 10_000)
    er = (cohort.frame["er_status"].astype(str) == "1").to_numpy()
    assert roc_auc_score(er, cohort.frame["esr1"]) == pytest.approx(0.976, abs=0.0006)
    her2 = cohort.frame["her2_status"]
    known = her2.notna().to_numpy()
    positive = (her2.astype(str) == "1").to_numpy()[known]
    assert roc_auc_score(positive, cohort.frame["erbb2"][known]) == pytest.approx(0.908, abs=0.0006)
    assert roc_auc_score(er, cohort.frame["estrogen_rank"]) > 0.9
    outcome = cohort.outcome
    some = cohort.frame["pam50_subtype"].isin(["LumA", "Basal"]).to_numpy()
    luminal = (cohort.frame["pam50_subtype"] == "LumA").to_numpy(float)[some]
    fit = cox(outcome.time[some], outcome.event[some], luminal)
    assert np.exp(fit.coef[0]) == pytest.approx(0.42, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cdisc-pilot", "laml", "study-es-0"])
def test_the_whole_study_runs(name: str, tmp_path: Path) -> None:
    protocol = loaded(name)
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["run", str(protocol.path), "--data", str(DATA), "--out", str(out), "--jobs", "1"])
    assert result.exit_code == 0, result.output
    page = (out / "report.html").read_text(encoding="utf-8")
    assert ("Derived features" in page) == bool(protocol.protocol.features)


@pytest.mark.parametrize(("name", "gene", "feature"), [("laml", "FLT3", "FLT3"), ("study-es-0", "TP53", "tp53")])
def test_a_criterion_about_a_mutation_is_the_feature_about_it(name: str, gene: str, feature: str) -> None:
    """Met where the feature says altered, not met where not altered, unknown where nobody looked."""
    held = loaded(name).protocol
    criterion = Criterion(id="I1", kind="inclusion", when=(Alteration(event="mutation", gene=gene),))
    protocol = held.model_copy(
        update={"eligibility": (criterion,), "molecular": held.molecular.model_copy(update={"mutations": "mutations"})}
    )
    reader = SourcesReader(protocol, DATA)
    molecular = reader.read()
    joined, _, _, _ = join(reader.prepared, 5)
    joined, _ = derive(protocol, joined, molecular)
    schema = declared_schema(protocol)
    events = event_tables(protocol.eligibility, schema, molecular)
    assert not [entry for entry in events.findings if entry.severity == "error"]
    tables = Tables(
        patients=joined.frame.set_axis(pd.Index(joined.ids, dtype=object), axis=0), long=events.frames, schema=schema
    )
    expected = joined.frame[feature].map({"altered": 1, "not altered": 0}).fillna(-1).to_numpy(dtype=int)
    state = state_of(criterion, tables)
    assert state.tolist() == expected.tolist()
    assert {0, 1} <= set(state.tolist())
