"""``trialstrat calibrate``: how often this protocol claims a rule where there is none, and what it finds otherwise.

Trials are simulated on the study's own patients: treatment labels exchanged, outcomes drawn from the fitted prognosis
with the same effect in everybody (the world ``null``) or with the effects of a declared alternative.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from trialstrat import store
from trialstrat.cohort.build import read_cohort
from trialstrat.errors import NotEstimableError, OutputError
from trialstrat.pipeline.gates import require_clean
from trialstrat.pipeline.manifest import manifest, now
from trialstrat.pipeline.progress import Progress, Silent
from trialstrat.pipeline.record import study_facts
from trialstrat.pipeline.seeds import generator, task_seeds
from trialstrat.protocol.lint import lint
from trialstrat.protocol.load import load_protocol
from trialstrat.results import StageResult
from trialstrat.subgroups.comparison import clustered
from trialstrat.subgroups.operating import World, null_world, rule_world, simulate_trial, summarise
from trialstrat.subgroups.rule_search import RuleOptions, SearchInput
from trialstrat.subgroups.rule_study import search_inputs, study_markers, study_options
from trialstrat.subgroups.rule_worlds import OutcomeModel, outcome_model

#: Trials that a worker does before it reports; what is lost when the machine stops.
BATCH = 10
TRIALS = "trials.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrateOptions:
    """What the command line may change; only ``seed`` and ``trials`` change numbers."""

    out: Path | None = None
    data: Path | None = None
    trials: int = 500
    jobs: int = 1
    seed: int | None = None
    resume: bool = False
    replace: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrateOutcome:
    """Where the folder is, and the stage "calibration"."""

    out: Path
    result: StageResult

    def headline(self) -> list[str]:
        """One line per world for a terminal."""
        return [
            f"{entry.label}: {entry.value:.1%} ({entry.lower:.1%} to {entry.upper:.1%}) of {entry.n} trials"
            for entry in self.result.estimates
        ]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Bench:
    """Everything a trial needs, made once per process."""

    data: SearchInput
    model: OutcomeModel
    worlds: tuple[World, ...]
    options: RuleOptions


def calibrate(path: Path, options: CalibrateOptions, progress: Progress | None = None) -> CalibrateOutcome:
    """Simulate ``options.trials`` trials of the null world and of every declared alternative, and summarise them.

    Finished trials are appended to a file beside the output folder after every batch; with ``resume`` they are not
    done again. The same protocol, data and seed give the same trials whatever ``jobs`` is. The first treatment is
    compared with the control.

    Raises
    ------
    TrialstratError
        Wrong protocol or data (3), too few events for a search (5), an output folder that cannot be used (7).
    """
    progress = progress or Silent()
    started = now()
    loaded = load_protocol(path)
    out = options.out or Path("reports") / f"{loaded.protocol.id}-calibration"
    with store.lock(out):
        cohort = read_cohort(loaded, options.data)
        require_clean((*lint(loaded), *cohort.findings), strict=False)
        seed = loaded.protocol.seed if options.seed is None else options.seed
        bench = _bench(path, options.data)
        key = {"protocol": loaded.sha256, "data": cohort.data_hash, "seed": seed}
        partial = out.parent / f".{out.name}.{TRIALS}"
        done = _read(partial, key) if options.resume else {}
        _begin(partial, key, done)
        tasks = [
            (world, trial)
            for world in range(len(bench.worlds))
            for trial in range(options.trials)
            if (world, trial) not in done
        ]
        progress.stage("simulating trials", len(tasks))
        batches = [tasks[at : at + BATCH] for at in range(0, len(tasks), BATCH)]
        with partial.open("ab") as file:
            for batch in _run(path, options, seed, batches):
                for at, record in batch:
                    done[at] = record
                _append(file, batch)
                progress.advance(len(batch))
        wanted = sorted(at for at in done if at[1] < options.trials)
        records = [done[at] for at in wanted]
        ratio = cohort.protocol.endpoint.kind != "continuous"
        result = summarise(records, [w.name for w in bench.worlds], ratio=ratio, level=bench.options.level)
        command = f"trialstrat calibrate {path.name} --trials {options.trials} --seed {seed}"
        study = study_facts(loaded, cohort, seed=seed, command=command)
        files = {store.RESULTS: store.results_text(study, [result]).encode()}
        files |= {f"tables/{table.name}.csv": store.csv_text(table).encode() for table in result.tables}
        files[TRIALS] = b"".join(_line({"at": at, **done[at]}) for at in wanted)
        made = manifest(
            command, started=started, protocol_hash=loaded.sha256, data_hash=cohort.data_hash, seed=seed,
            sources=study["provenance"]["data_sha256"],
        )  # fmt: skip
        store.write_run(out, files, made, replace=options.replace)
        partial.unlink(missing_ok=True)
    return CalibrateOutcome(out=out, result=result)


@lru_cache(maxsize=1)
def _bench(path: Path, data: Path | None) -> _Bench:
    """Read the study and fit what outcomes are drawn from."""
    loaded = load_protocol(path)
    cohort = read_cohort(loaded, data)
    markers = study_markers(cohort)
    if not markers:
        raise NotEstimableError(
            "calibrate: no candidate markers are declared; give a biomarker the role predictive, or name columns in "
            "rule_search.markers"
        )
    if reason := clustered(cohort, "the search for rules"):
        raise NotEstimableError(f"calibrate: {reason}")
    inputs = search_inputs(cohort, markers)
    if not inputs:
        raise NotEstimableError(
            "calibrate: the protocol declares no two arms to compare, so there is no rule to search"
        )
    search = inputs[0][1]
    plan = cohort.protocol.rule_search
    model = outcome_model(search)
    frame = cohort.frame.loc[inputs[0][0].rows].reset_index(drop=True)
    ratio = cohort.protocol.endpoint.kind != "continuous"
    worlds = [null_world(model)]
    worlds += [
        rule_world(entry.name, frame, entry.rule, entry.inside, entry.outside, ratio=ratio)
        for entry in plan.alternatives
    ]
    return _Bench(data=search, model=model, worlds=tuple(worlds), options=replace(study_options(cohort), resamples=0))


Task = tuple[int, int]
Done = list[tuple[Task, dict[str, Any]]]


def _run(path: Path, options: CalibrateOptions, seed: int, batches: Sequence[list[Task]]) -> Iterator[Done]:
    """The batches in order, done here or by workers."""
    if options.jobs <= 1:
        for batch in batches:
            yield _batch(path, options.data, seed, batch)
        return
    # spawned, not forked: threads of a compiled library do not survive a fork
    with ProcessPoolExecutor(max_workers=options.jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(
            _worker, [path] * len(batches), [options.data] * len(batches), [seed] * len(batches), batches
        )


def _worker(path: Path, data: Path | None, seed: int, tasks: list[Task]) -> Done:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return _batch(path, data, seed, tasks)


def _batch(path: Path, data: Path | None, seed: int, tasks: list[Task]) -> Done:
    bench = _bench(path, data)
    root = task_seeds(seed)["calibrate"]
    out: Done = []
    for world, trial in tasks:
        sequence = np.random.SeedSequence(entropy=root.entropy, spawn_key=(*root.spawn_key, world, trial))
        record = simulate_trial(bench.data, bench.model, bench.worlds[world], bench.options, rng=generator(sequence))
        out.append(((world, trial), record))
    return out


# -- the file of finished trials -------------------------------------------------------------------------------------


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, allow_nan=False, ensure_ascii=False).encode() + b"\n"


def _begin(path: Path, key: dict[str, Any], done: dict[Task, dict[str, Any]]) -> None:
    """Start the file anew with what is kept: a torn last line is gone."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(".new")
        scratch.write_bytes(_line(key) + b"".join(_line({"at": at, **record}) for at, record in done.items()))
        scratch.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}).") from error


def _append(file: Any, batch: Done) -> None:
    try:
        file.write(b"".join(_line({"at": at, **record}) for at, record in batch))
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        raise OutputError(f"{file.name}: cannot be written ({error.strerror}).") from error


def _read(path: Path, key: dict[str, Any]) -> dict[Task, dict[str, Any]]:
    """Finished trials of the same protocol, data and seed; a torn line ends the reading."""
    if not path.exists():
        return {}
    lines = path.read_bytes().split(b"\n")
    done: dict[Task, dict[str, Any]] = {}
    for number, line in enumerate(lines):
        try:
            value = json.loads(line)
        except ValueError:
            break
        if number == 0:
            if value != key:
                return {}
            continue
        world, trial = value.pop("at")
        done[int(world), int(trial)] = value
    return done
