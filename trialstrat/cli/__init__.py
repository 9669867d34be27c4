"""The command line: parses, calls ``trialstrat.pipeline``, prints; nothing else.

Heavy packages are imported inside the commands, so that ``trialstrat --help`` answers at once.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import version as package_version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, ParamSpec, TypeVar

import typer

from trialstrat.cli import signals
from trialstrat.cli.progress import Terminal
from trialstrat.errors import EXIT_BUG, EXIT_SIGINT, TrialstratError, UsageError

if TYPE_CHECKING:
    from trialstrat.pipeline.run import RunOutcome
    from trialstrat.pipeline.validate import ValidateOutcome

P = ParamSpec("P")
R = TypeVar("R")

app = typer.Typer(
    name="trialstrat",
    help="From a trial's cohort to risk strata, honest subgroup effects, enrollment criteria and a report.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)

ProtocolFile = Annotated[Path, typer.Argument(metavar="PROTOCOL.yaml", help="The protocol of the study.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]
Out = Annotated[Path | None, typer.Option("--out", help="Where to write; default reports/<protocol>/.")]
Data = Annotated[Path | None, typer.Option("--data", help="Folder of the tables; default: the protocol's folder.")]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Another seed than the protocol's.")]
Jobs = Annotated[int, typer.Option("--jobs", min=0, help="Worker processes; 0: one per core. Changes no number.")]
Replace = Annotated[bool, typer.Option("--replace", help="Replace a folder that is not a run of trialstrat.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output on standard output.")]
Strict = Annotated[bool, typer.Option("--strict", help="Stop on warnings (exit code 4).")]


def main() -> NoReturn:
    """Entry point of the console script."""
    signals.install()
    app()
    sys.exit(0)


def _tell(outcome: RunOutcome | ValidateOutcome, *, as_json: bool, quiet: bool) -> None:
    """Where the folder is, the warnings, and the few lines that answer."""
    if as_json:
        typer.echo(json.dumps({"out": str(outcome.out), "findings": [f.to_dict() for f in outcome.findings]}))
    elif not quiet:
        for finding in outcome.findings:
            if finding.severity == "warning":
                typer.echo(f"warning: {_visible(finding.text())}", err=True)
        for line in outcome.headline():
            typer.echo(_visible(line))
        typer.echo(f"Report: {outcome.out / 'report.html'}")


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Turn errors into one line per fault on standard error and the exit code of their kind."""

    @functools.wraps(command)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except TrialstratError as error:
            for message in error.messages:
                typer.echo(f"{_visible(message)} [{error.exit_code}]", err=True)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            typer.echo("Interrupted. Nothing written.", err=True)
            raise typer.Exit(EXIT_SIGINT) from None
        except BrokenPipeError:
            # The reader of our output has gone (``| head``): that is no fault of anybody.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except (typer.Exit, typer.Abort):
            raise
        except Exception:
            traceback.print_exc()
            typer.echo(
                "This is a fault of trialstrat, not of your files. Please report it with the text above.", err=True
            )
            raise typer.Exit(EXIT_BUG) from None

    return call


def _visible(text: str) -> str:
    """Control characters of data or file names made visible, so that no text can steer the terminal."""
    return "".join(c if c == "\n" or c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def _jobs(jobs: int) -> int:
    return jobs or os.cpu_count() or 1


def _version(value: bool) -> None:
    if value:
        typer.echo(f"trialstrat {package_version('trialstrat')}")
        raise typer.Exit


@app.callback()
def common(
    _version_shown: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """From a trial's cohort to risk strata, honest subgroup effects, enrollment criteria and a report."""


@app.command()
@guarded
def check(protocol: ProtocolFile, data: Data = None, strict: Strict = False, as_json: AsJson = False) -> None:
    """Look at a protocol and its data together and print every finding at once."""
    from trialstrat.pipeline.check import check as do_check

    outcome = do_check(protocol, data)
    if as_json:
        typer.echo(json.dumps(outcome.to_dict(), ensure_ascii=False))
    else:
        for finding in outcome.findings:
            typer.echo(f"{finding.severity}: {_visible(finding.text())}", err=finding.severity == "error")
        typer.echo(_visible(outcome.summary()))
    raise typer.Exit(outcome.exit_code(strict=strict))


@app.command()
@guarded
def run(
    protocol: ProtocolFile,
    out: Out = None,
    data: Data = None,
    seed: Seed = None,
    jobs: Jobs = 0,
    storage: Annotated[
        str | None, typer.Option("--storage", help="Tuning storage: sqlite:///FILE or postgresql://... (resumable).")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the trials in --storage.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace a folder that is not a run of trialstrat.")
    ] = False,
    strict: Strict = False,
    rules: Annotated[
        Path | None, typer.Option("--rules", help="Criteria to study beside the protocol's: a TrialPathfinder file.")
    ] = None,
    against: Annotated[
        list[Path] | None, typer.Option("--against", help="A run given out before: small differences are warned about.")
    ] = None,
    release: Annotated[
        bool, typer.Option("--release", help="Refuse (exit 6) where a difference from --against shows few patients.")
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run the whole study and write a run folder with report, criteria and results."""
    from trialstrat.pipeline.run import RunOptions
    from trialstrat.pipeline.run import run as do_run

    options = RunOptions(
        out=out,
        data=data,
        seed=seed,
        jobs=_jobs(jobs),
        storage=storage,
        resume=resume,
        strict=strict,
        replace=replace,
        rules=rules,
        against=tuple(against or ()),
        release=release,
    )
    if release and not against:
        raise UsageError("--release compares with runs given out before: name them with --against RUN.")
    with Terminal(quiet=quiet or as_json) as progress:
        outcome = do_run(protocol, options, progress)
    _tell(outcome, as_json=as_json, quiet=quiet)


@app.command()
@guarded
def screen(
    places: Annotated[
        list[Path],
        typer.Argument(metavar="RUN|criteria.yaml DATA", help="A run folder or a criteria file, and new patients."),
    ],
    rules: Annotated[
        Path | None, typer.Option("--rules", help="A rule file of TrialPathfinder, instead of RUN or criteria.yaml.")
    ] = None,
    table: Annotated[
        list[str] | None, typer.Option("--table", metavar="NAME=FILE", help="A long table that criteria look at.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Decisions file, .csv or .json; default DATA.screened.csv.")
    ] = None,
    identifier: Annotated[str | None, typer.Option("--id", help="Column with the patient id.")] = None,
    margin: Annotated[
        float, typer.Option("--margin", min=0, max=1, help="Share of a threshold within which a miss is borderline.")
    ] = 0.1,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Apply criteria to new patients: eligible, not eligible or unknown, with the deciding criterion."""
    from trialstrat.pipeline.screen import ScreenOptions, screen_by_rules
    from trialstrat.pipeline.screen import screen as do_screen

    options = ScreenOptions(tables=_named(table or []), identifier=identifier, out=out, margin=margin)
    if len(places) != (2 if rules is None else 1):
        raise UsageError("screen takes RUN|criteria.yaml and DATA; with --rules FILE only DATA.")
    outcome = do_screen(places[0], places[1], options) if rules is None else screen_by_rules(rules, places[0], options)
    if as_json:
        typer.echo(json.dumps(outcome.to_dict(), ensure_ascii=False))
    elif not quiet:
        for line in outcome.lines():
            typer.echo(_visible(line))


def _named(entries: list[str]) -> dict[str, Path]:
    pairs = [entry.partition("=") for entry in entries]
    if any(not name or not place for name, _, place in pairs):
        raise UsageError("--table takes NAME=FILE, for instance --table lab=lab.csv.")
    return {name: Path(place) for name, _, place in pairs}


@app.command()
@guarded
def validate(
    folder: RunFolder,
    protocol: ProtocolFile,
    out: Out = None,
    data: Data = None,
    training: Annotated[
        Path | None, typer.Option("--training", help="Protocol of RUN: its patients are looked for among these.")
    ] = None,
    training_data: Annotated[
        Path | None, typer.Option("--training-data", help="Folder of its data; default: its own folder.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace a folder that is not a run of trialstrat.")
    ] = False,
    strict: Strict = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Apply the frozen model and rules of a run to another cohort; nothing is fitted again."""
    from trialstrat.pipeline.validate import ValidateOptions
    from trialstrat.pipeline.validate import validate as do_validate

    options = ValidateOptions(
        out=out, data=data, training=training, training_data=training_data, strict=strict, replace=replace
    )
    with Terminal(quiet=quiet or as_json) as progress:
        outcome = do_validate(folder, protocol, options, progress)
    _tell(outcome, as_json=as_json, quiet=quiet)


@app.command()
@guarded
def report(folder: RunFolder, quiet: Quiet = False) -> None:
    """Rebuild the report of a run folder from its stored results, without refitting."""
    from trialstrat.pipeline.rebuild import rebuild

    path = rebuild(folder)
    if not quiet:
        typer.echo(f"Report: {path}")


@app.command()
@guarded
def init(
    data: Annotated[list[Path], typer.Argument(metavar="DATA...", help="Tables of the study.")],
    out: Annotated[Path, typer.Option("--out", help="Where to write the protocol.")],
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite an existing file.")] = False,
    quiet: Quiet = False,
) -> None:
    """Look at the files and propose a protocol: roles guessed, every guess commented, questions where unsure."""
    from trialstrat.pipeline.init import init as do_init

    outcome = do_init(data, out, replace=replace)
    if not quiet:
        for line in outcome.lines():
            typer.echo(_visible(line))


@app.command()
@guarded
def qualify(
    out: Annotated[Path, typer.Option("--out", help="Folder of the qualification report.")] = Path(
        "reports/qualification"
    ),
    cases: Annotated[Path | None, typer.Option("--cases", help="Another folder of reference cases.")] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run the reference cases on this installation and write the evidence: numbers against R, deviations, verdict."""
    from trialstrat.pipeline.qualification import write_qualification

    outcome = write_qualification(out, cases)
    if as_json:
        typer.echo(json.dumps(outcome.to_dict(), ensure_ascii=False))
    elif not quiet:
        for line in outcome.lines():
            typer.echo(line)
    raise typer.Exit(outcome.exit_code())


@app.command()
@guarded
def calibrate(
    protocol: ProtocolFile,
    out: Out = None,
    data: Data = None,
    trials: Annotated[int, typer.Option("--trials", min=1, help="Simulated trials per world.")] = 500,
    seed: Seed = None,
    jobs: Jobs = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the trials of an interrupted run.")] = False,
    replace: Replace = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Operating characteristics of this very protocol: error rate, power, bias and coverage on simulated trials."""
    from trialstrat.pipeline.calibrate import CalibrateOptions
    from trialstrat.pipeline.calibrate import calibrate as do_calibrate

    options = CalibrateOptions(
        out=out, data=data, trials=trials, jobs=_jobs(jobs), seed=seed, resume=resume, replace=replace
    )
    with Terminal(quiet=quiet or as_json) as progress:
        outcome = do_calibrate(protocol, options, progress)
    if as_json:
        typer.echo(json.dumps({"out": str(outcome.out), **outcome.result.to_dict()}))
    elif not quiet:
        for line in outcome.headline():
            typer.echo(_visible(line))
        typer.echo(f"Written: {outcome.out}")


@app.command()
@guarded
def export(
    criteria: Annotated[Path, typer.Argument(metavar="RUN|criteria.yaml", help="A run folder or a criteria file.")],
    to: Annotated[str, typer.Option("--to", help="text, csv, usdm, circe, sql, fhir or ctml.")],
    out: Annotated[Path | None, typer.Option("--out", help="The file; default: beside the run folder.")] = None,
    concepts: Annotated[Path | None, typer.Option("--concepts", help="OMOP concepts of the columns (YAML).")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Write nothing when something cannot be carried.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write the criteria for another system, with the list of what it cannot carry."""
    from trialstrat.pipeline.export import export as do_export

    outcome = do_export(criteria, to, out, strict, concepts=concepts)
    if as_json:
        typer.echo(json.dumps(outcome.to_dict(), ensure_ascii=False))
    elif not quiet:
        for line in outcome.lines():
            typer.echo(_visible(line))
