"""``trialstrat run``: the whole study, from the protocol to the run folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trialstrat import store
from trialstrat.cohort.build import cohort_result, read_cohort
from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.describe import describe_cohort
from trialstrat.cohort.missingness import missing_patterns
from trialstrat.criteria.enrichment import enrich
from trialstrat.criteria.frozen import HEAD, FoundRule, freeze, to_mapping
from trialstrat.criteria.search_study import Written
from trialstrat.disclosure import protect_together
from trialstrat.models.published import published_study
from trialstrat.models.study import ModelStudy, run_models
from trialstrat.pipeline.criteria import criteria_stages
from trialstrat.pipeline.found_rules import prognostic_rule
from trialstrat.pipeline.gates import require_clean
from trialstrat.pipeline.manifest import manifest, now
from trialstrat.pipeline.progress import Progress, Silent
from trialstrat.pipeline.record import headline, record_of, study_facts
from trialstrat.pipeline.release import compared
from trialstrat.pipeline.rule_file import apply_rules, read_rules, with_rules
from trialstrat.pipeline.seeds import generator, task_seeds
from trialstrat.pipeline.stages import side_by_side
from trialstrat.protocol.lint import lint
from trialstrat.protocol.load import LoadedProtocol, load_protocol
from trialstrat.report.build import build_report
from trialstrat.report.render import render
from trialstrat.results import Finding, StageResult
from trialstrat.subgroups.primary import primary_analysis
from trialstrat.subgroups.prognostic import prognostic_study
from trialstrat.subgroups.risk_groups import risk_groups


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What the command line may change about a run; nothing here changes a number except ``seed``.

    ``against`` are runs that were given out before; under ``release`` the run is refused when it and one of them
    together show fewer patients than a cell may.
    """

    out: Path | None = None
    data: Path | None = None
    seed: int | None = None
    jobs: int = 1
    storage: str | None = None
    resume: bool = False
    strict: bool = False
    replace: bool = False
    rules: Path | None = None
    against: tuple[Path, ...] = ()
    release: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """Where the run folder is, and what a terminal should show of it."""

    out: Path
    stages: Mapping[str, StageResult]
    findings: tuple[Finding, ...]

    def headline(self) -> list[str]:
        """The few lines a terminal shows: patients and events, the primary effect, the held-out discrimination."""
        wanted = (
            "cohort.n",
            "cohort.events",
            "baseline.follow_up.median.all",
            "primary.cox.hazard_ratio.",
            "models.best.",
        )
        shown = [
            entry
            for stage in self.stages.values()
            for entry in stage.estimates
            if entry.name.startswith(wanted) and entry.status == "ok"
        ]
        return [headline(entry) for entry in shown]


def run(path: Path, options: RunOptions, progress: Progress | None = None) -> RunOutcome:
    """Run the study that a protocol declares and write its run folder.

    The same protocol, data and seed give the same bytes of ``results.json``, ``criteria.yaml`` and ``report.html``,
    whatever ``options.jobs`` is.

    Raises
    ------
    TrialstratError
        Wrong protocol or data (3), warnings under ``strict`` (4), a question the data cannot bear (5), an output
        folder that cannot be used (7). Nothing is written in any of these cases.
    """
    progress = progress or Silent()
    started = now()
    loaded = load_protocol(path)
    out = options.out or Path("reports") / loaded.protocol.id
    with store.lock(out):
        progress.stage("reading the cohort")
        root = options.data or loaded.folder
        file = read_rules(loaded, options.rules, root)
        loaded = with_rules(loaded, file)
        cohort = read_cohort(loaded, options.data)
        findings = (*lint(loaded), *cohort.findings)
        require_clean(findings, strict=options.strict)
        seed = loaded.protocol.seed if options.seed is None else options.seed
        rules = () if file is None or cohort.everyone is None else apply_rules(loaded, file, cohort.everyone, root)
        stages, artefacts = _analyse(cohort, rules, seed=seed, options=options, progress=progress)
        stages = {"protocol": StageResult(stage="protocol", findings=lint(loaded)), **stages}
        study = study_facts(loaded, cohort, seed=seed, command=_command(loaded, options))
        minimum = cohort.protocol.disclosure.minimum_cell
        beside = compared(options.against, stages.values(), study, minimum, release=options.release)
        stages["protocol"] = replace(stages["protocol"], findings=(*stages["protocol"].findings, *beside))
        findings = (*findings, *beside)
        progress.stage("writing the report")
        if file is not None:
            study["provenance"]["data_sha256"][f"rules: {file.name}"] = file.sha256
        html = render(build_report(record_of(study, stages)))
        files = _files(study, stages, artefacts, html)
        store.write_run(
            out,
            files,
            manifest(
                study["provenance"]["command"],
                started=started,
                protocol_hash=loaded.sha256,
                data_hash=cohort.data_hash,
                seed=seed,
                sources=study["provenance"]["data_sha256"],
            ),
            replace=options.replace,
        )
    return RunOutcome(out=out, stages=stages, findings=findings)


def _analyse(
    cohort: Cohort, file_rules: tuple[Written, ...], *, seed: int, options: RunOptions, progress: Progress
) -> tuple[dict[str, StageResult], dict[str, bytes]]:
    """Every stage in study order, each protected against small cells before anything sees it; and further files."""
    seeds = task_seeds(seed)
    minimum = cohort.protocol.disclosure.minimum_cell
    results: list[StageResult] = []
    progress.stage("describing the cohort")
    results.append(cohort_result(cohort))
    results.append(describe_cohort(cohort))
    missing = missing_patterns(cohort)
    results += [] if missing is None else [missing]
    progress.stage("primary analysis")
    results.append(primary_analysis(cohort))
    prognosis = prognostic_study(cohort)
    results += [] if prognosis is None else [prognosis]
    published = published_study(cohort)
    results += [] if published is None else [published]
    study = run_models(
        cohort,
        seeds=seeds["models"],
        jobs=options.jobs,
        storage=options.storage,
        resume=options.resume,
        progress=progress,
    )
    results.append(study.result)
    files: dict[str, bytes] = {}
    rules: list[FoundRule] = []
    if study.out_of_fold and study.chosen:
        progress.stage("risk groups and enrichment")
        results.append(risk_groups(cohort, study.out_of_fold[study.chosen]))
        enrichment = enrich(cohort, study.out_of_fold[study.chosen], rng=generator(seeds["enrichment"]))
        results.append(enrichment.result)
        rules += prognostic_rule(enrichment)
        files.update(_model_files(study))
    for answer in side_by_side(cohort, seeds, jobs=options.jobs, progress=progress):
        results += answer.results
        rules += answer.rules
    progress.stage("impact of the criteria")
    results += criteria_stages(cohort, file_rules, tuple(rules), rng=generator(seeds["criteria"]), jobs=options.jobs)
    frozen = freeze(cohort.protocol, tuple(rules), [entry.judged.id for entry in file_rules])
    files[store.CRITERIA] = store.yaml_text(to_mapping(frozen), HEAD).encode()
    stages = {result.stage: result for result in protect_together(results, minimum)}
    return stages, files


def _model_files(study: ModelStudy) -> dict[str, bytes]:
    return {f"model/{name}": data for name, data in study.frozen.files().items()} if study.frozen else {}


def _files(
    study: Mapping[str, Any], stages: Mapping[str, StageResult], extra: Mapping[str, bytes], html: str
) -> dict[str, bytes]:
    files = {store.RESULTS: store.results_text(study, list(stages.values())).encode(), **extra}
    for stage in stages.values():
        for table in stage.tables:
            files[f"tables/{table.name}.csv"] = store.csv_text(table).encode()
    files[store.REPORT] = html.encode()
    return files


def _command(loaded: LoadedProtocol, options: RunOptions) -> str:
    """The command that gives the same numbers again: places and number of workers are left out, they change none."""
    seed = "" if options.seed is None else f" --seed {options.seed}"
    rules = "" if options.rules is None else f" --rules {options.rules.name}"
    return f"trialstrat run {loaded.path.name}{seed}{rules}"
