"""``trialstrat validate``: the frozen model and rules of a run on a new cohort, nothing refitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trialstrat import store
from trialstrat.cohort.build import cohort_result, read_cohort
from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.describe import describe_cohort
from trialstrat.cohort.rules import finding, raise_for
from trialstrat.criteria.frozen import FrozenCriteria, from_mapping
from trialstrat.criteria.validated import rule_columns, validate_rules
from trialstrat.disclosure import protect_together
from trialstrat.errors import NotEstimableError
from trialstrat.models.compatible import mismatches
from trialstrat.models.external import METHODS, validate_model
from trialstrat.models.frozen import HEAD, FrozenModel
from trialstrat.pipeline.gates import require_clean
from trialstrat.pipeline.manifest import manifest, now
from trialstrat.pipeline.progress import Progress, Silent
from trialstrat.pipeline.record import headline, record_of, study_facts
from trialstrat.pipeline.seeds import generator, task_seeds
from trialstrat.protocol.lint import lint
from trialstrat.protocol.load import load_protocol
from trialstrat.report.build import build_report
from trialstrat.report.render import render
from trialstrat.results import Finding, StageResult

MODEL = "model/"


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidateOptions:
    """What the command line may say. ``training`` is the protocol of the run, to compare patients with."""

    out: Path | None = None
    data: Path | None = None
    training: Path | None = None
    training_data: Path | None = None
    strict: bool = False
    replace: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidateOutcome:
    """Where the folder is, the stage "validation", and every finding."""

    out: Path
    result: StageResult
    findings: tuple[Finding, ...]

    def headline(self) -> list[str]:
        """A line for each estimate, also for those that cannot be given."""
        return [headline(entry) for entry in self.result.estimates]


def validate(folder: Path, path: Path, options: ValidateOptions, progress: Progress | None = None) -> ValidateOutcome:
    """Apply the frozen model and the found rules of the run in ``folder`` to the cohort of the protocol ``path``.

    Raises
    ------
    TrialstratError
        A run that was changed (8) or froze neither model nor rule (5); wrong protocol or data, columns, units or
        levels that are not the model's, patients of the run among these (3); warnings under ``strict`` (4); an
        output folder that cannot be used (7). Nothing is written in any of these cases.
    """
    progress = progress or Silent()
    started = now()
    stored = store.read_run(folder)
    frozen, criteria = _frozen_model(folder, stored), _criteria(folder)
    if frozen is None and not (criteria and rule_columns(criteria)):
        raise NotEstimableError(f"{folder.name}: the run froze neither a model nor a rule. Nothing can be validated.")
    loaded = load_protocol(path)
    out = options.out or Path("reports") / f"{loaded.protocol.id}-validation"
    with store.lock(out):
        progress.stage("reading the cohort")
        cohort = read_cohort(loaded, options.data, keep_all=True)
        found = (*_faults(cohort, stored, folder, frozen, criteria), *_overlap(cohort, stored, folder, options))
        raise_for(found)
        findings = (*lint(loaded), *cohort.findings, *found)
        require_clean(findings, strict=options.strict)
        progress.stage("applying what was frozen")
        result = replace(_validated(cohort, stored, frozen, criteria), findings=found)
        stages = {
            entry.stage: entry
            for entry in protect_together(
                [cohort_result(cohort), describe_cohort(cohort), result], cohort.protocol.disclosure.minimum_cell
            )
        }
        study = study_facts(
            loaded, cohort, seed=loaded.protocol.seed, command=f"trialstrat validate {folder.name} {path.name}"
        )
        study["provenance"]["data_sha256"][f"results of {folder.name}"] = _hash_of(stored)
        files = _files(study, stages)
        store.write_run(
            out,
            files,
            manifest(
                study["provenance"]["command"],
                started=started,
                protocol_hash=loaded.sha256,
                data_hash=cohort.data_hash,
                seed=loaded.protocol.seed,
                sources=study["provenance"]["data_sha256"],
            ),
            replace=options.replace,
        )
    return ValidateOutcome(out=out, result=stages["validation"], findings=findings)


def _frozen_model(folder: Path, stored: store.StoredRun) -> FrozenModel | None:
    names = [name for name in stored.manifest.get("files", {}) if name.startswith(MODEL)]
    if MODEL + HEAD not in names:
        return None
    return FrozenModel.thaw({name.removeprefix(MODEL): (folder / name).read_bytes() for name in names})


def _criteria(folder: Path) -> FrozenCriteria | None:
    path = folder / store.CRITERIA
    return from_mapping(store.read_yaml(path), path.name) if path.is_file() else None


def _faults(
    cohort: Cohort,
    stored: store.StoredRun,
    folder: Path,
    frozen: FrozenModel | None,
    criteria: FrozenCriteria | None,
) -> list[Finding]:
    """Everything that forbids to apply the model or a rule here."""
    declared = {str(entry["column"]): entry for key in ("covariates", "biomarkers") for entry in stored.study[key]}
    place = (_files_of(cohort_result(cohort)), f"{folder.name} ({_files_of(stored.stages['cohort'])})")
    kind = str(stored.study["endpoint"]["kind"])
    found: list[Finding] = []
    if kind != cohort.protocol.endpoint.kind:
        detail = f"{cohort.protocol.endpoint.kind} here, {kind} in {place[1]}"
        found.append(finding("E-VALID-ENDPOINT", source=place[0], detail=detail))
    if frozen is not None:
        found += mismatches(cohort, frozen, declared, place)
    seen = {entry.column for entry in found}
    absent = [name for name in (rule_columns(criteria) if criteria else ()) if name not in cohort.frame]
    found += [
        finding("E-VALID-COLUMN", source=place[0], column=name, detail=f"a rule of {place[1]} looks at it")
        for name in absent
        if name not in seen
    ]
    return found


def _files_of(stage: StageResult) -> str:
    table = next((entry for entry in stage.tables if entry.name == "cohort.sources"), None)
    names = [] if table is None else [str(row["origin"]).split(" ", 1)[-1] for row in table.records()]
    return ", ".join(names)


def _overlap(cohort: Cohort, stored: store.StoredRun, folder: Path, options: ValidateOptions) -> list[Finding]:
    """Patients of the run among these: by the ids where its protocol is named, else by the files alone."""
    here = _files_of(cohort_result(cohort))
    if options.training is not None:
        training = load_protocol(options.training)
        if training.sha256 != stored.manifest.get("protocol_sha256"):
            detail = f"{options.training.name} is not the protocol of {folder.name}"
            return [finding("E-VALID-TRAINING", source=options.training.name, detail=detail)]
        before = read_cohort(training, options.training_data)
        both = int(cohort.frame.index.isin(before.frame.index).sum())
        if not both:
            return []
        detail = f"{both} of {cohort.n} ids in both, compared with {options.training.name}"
        return [finding("E-VALID-OVERLAP", source=here, detail=detail, bad=both, total=cohort.n)]
    known = set(stored.manifest.get("sources", {}).values())
    table = cohort.sources
    same = [] if table is None else [str(row["origin"]) for row in table.records() if row["sha256"] in known]
    if same:
        detail = f"{', '.join(same)} was read by {folder.name} too"
        return [finding("E-VALID-OVERLAP", source=here, detail=detail)]
    return [finding("W-VALID-OVERLAP", source=here, detail=f"{folder.name} holds no ids")]


def _validated(
    cohort: Cohort, stored: store.StoredRun, frozen: FrozenModel | None, criteria: FrozenCriteria | None
) -> StageResult:
    result = StageResult(stage="validation")
    if frozen is not None:
        known = {entry.name: entry for stage in stored.stages.values() for entry in stage.estimates}
        before = {metric: known.get(f"models.{frozen.name}.{metric}") for metric in METHODS}
        rng = generator(task_seeds(cohort.protocol.seed)["validation"])
        result = validate_model(
            cohort,
            frozen,
            {metric: entry for metric, entry in before.items() if entry is not None},
            seed=int(rng.integers(2**31)),
            draws=cohort.protocol.models.bootstrap,
        )
    if criteria is None:
        return result
    estimates, tables = validate_rules(cohort, criteria)
    return replace(result, estimates=(*result.estimates, *estimates), tables=(*result.tables, *tables))


def _hash_of(stored: store.StoredRun) -> str:
    return str(stored.manifest.get("files", {}).get(store.RESULTS, ""))


def _files(study: Mapping[str, Any], stages: Mapping[str, StageResult]) -> dict[str, bytes]:
    files = {store.RESULTS: store.results_text(study, list(stages.values())).encode()}
    for stage in stages.values():
        files |= {f"tables/{table.name}.csv": store.csv_text(table).encode() for table in stage.tables}
    files[store.REPORT] = render(build_report(record_of(study, stages))).encode()
    return files
