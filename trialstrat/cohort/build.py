"""From a protocol and its files to the analysis table: read, join, check, select, freeze."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.anonymity import capped_ages
from trialstrat.cohort.attrition import Step, attrition_table
from trialstrat.cohort.batches import uncorrected
from trialstrat.cohort.cohort import Cohort, Everyone, Outcome
from trialstrat.cohort.columns import as_text, column, is_missing, rows
from trialstrat.cohort.derive import Derivation, derive
from trialstrat.cohort.eligibility import apply_criteria
from trialstrat.cohort.enough import too_few
from trialstrat.cohort.events import event_tables
from trialstrat.cohort.fingerprint import data_hash
from trialstrat.cohort.integrate import Joined, join
from trialstrat.cohort.judged import judged_tables
from trialstrat.cohort.language.check import findings_on
from trialstrat.cohort.language.tables import Tables
from trialstrat.cohort.markers import Markers, read_markers
from trialstrat.cohort.needed import endpoint_columns, presence_findings, role_columns
from trialstrat.cohort.outcomes import CNSR, OutcomeRead, read_outcome
from trialstrat.cohort.patients import read_patients
from trialstrat.cohort.published import published_terms
from trialstrat.cohort.records import read_records
from trialstrat.cohort.rivals import with_rivals
from trialstrat.cohort.rules import errors, raise_for, summarised
from trialstrat.cohort.sources import SourcesReader
from trialstrat.cohort.summary import cohort_result
from trialstrat.cohort.validate import validate_table
from trialstrat.cohort.variables import read_arms, read_strata, read_variable
from trialstrat.errors import ProtocolError
from trialstrat.protocol.declared_schema import declared_schema
from trialstrat.protocol.lint import lint
from trialstrat.protocol.lint_columns import criteria_faults
from trialstrat.protocol.load import LoadedProtocol
from trialstrat.protocol.model import Protocol
from trialstrat.results import Finding, Table

__all__ = ["check", "cohort_result", "read_cohort", "read_patients", "without_columns"]

Mask = NDArray[np.bool_]
#: Without an id column nothing can be joined, and every further finding would be a consequence.
_UNREADABLE = ("E-COLUMN-MISSING", "E-ID-UNDECLARED")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Typed:
    """Everything read from the joined table, for every joined row."""

    outcomes: dict[str, OutcomeRead]
    arm: NDArray[np.object_] | None
    strata: NDArray[np.object_] | None
    groups: NDArray[np.object_] | None
    cluster: NDArray[np.object_] | None
    batch: NDArray[np.object_] | None
    frame: pd.DataFrame
    markers: Markers
    published: dict[str, NDArray[np.float64]]
    findings: tuple[Finding, ...]


def read_cohort(loaded: LoadedProtocol, data_root: Path | None = None, *, keep_all: bool = False) -> Cohort:
    """Read, check and select the patients that a protocol describes.

    Parameters
    ----------
    loaded : LoadedProtocol
        The protocol with its file.
    data_root : Path, optional
        Folder of the data files; by default the protocol's folder.
    keep_all : bool
        Keep columns that carry nothing here, as a model that was fitted elsewhere needs them.

    Returns
    -------
    Cohort
        Eligible patients sorted by id. Columns that cannot be analysed (constant, empty, collinear, one level per
        patient) are left out of its ``protocol`` and named in its findings.

    Raises
    ------
    ProtocolError
        When the protocol contradicts itself.
    DataError
        With every fault of every file; nothing is guessed or repaired.
    IntegrityError
        When a file is not the declared one.
    NotEstimableError
        When the data are sound but too few.
    """
    wrong = errors(lint(loaded))
    if wrong:
        raise ProtocolError(*(f"{entry.text()} Nothing written." for entry in wrong))
    cohort, findings = _assemble(loaded, data_root or loaded.folder, keep_all=keep_all)
    raise_for(findings)
    if cohort is None:
        raise ValueError("no cohort and no error finding")
    return cohort


def check(loaded: LoadedProtocol, data_root: Path | None = None) -> tuple[Finding, ...]:
    """Every finding about the data that a protocol names; faults of the data are findings, never exceptions."""
    return _assemble(loaded, data_root or loaded.folder)[1]


def _assemble(
    loaded: LoadedProtocol, root: Path, *, keep_all: bool = False
) -> tuple[Cohort | None, tuple[Finding, ...]]:
    """The cohort, or None with the errors that prevent it: as many as can be seen at once."""
    protocol = loaded.protocol
    reader = SourcesReader(protocol, root)
    molecular = reader.read()
    prepared, findings = reader.prepared, tuple(reader.findings)
    broken = any(fault.severity == "error" for fault in criteria_faults(protocol))
    if any(entry.code in _UNREADABLE for entry in findings) or len(prepared) < len(protocol.sources):
        return None, findings
    joined, steps, sources, join_findings = join(prepared, protocol.disclosure.minimum_cell)
    joined, derived = derive(protocol, joined, molecular)
    join_findings = (*join_findings, *derived.findings)
    typed = _type(protocol, joined)
    long = read_records(protocol, molecular.records)
    events = event_tables(protocol.eligibility, declared_schema(protocol), molecular)
    found = (*join_findings, *presence_findings(protocol, joined), *typed.findings, *long.findings, *events.findings)
    findings = summarised((*findings, *found))
    if errors(findings) or broken:
        return None, findings
    tables = {**long.frames, **events.frames}
    return _select(loaded, joined, typed, tables, steps, sources, derived, findings, keep_all=keep_all)


def _type(protocol: Protocol, joined: Joined) -> _Typed:
    """Read every declared column that is there as what it is declared to be."""
    findings: list[Finding] = []
    present = set(joined.frame.columns)
    readable = [entry for entry in protocol.endpoints if present.issuperset(endpoint_columns(entry))]
    outcomes = {entry.name: read_outcome(entry, joined, protocol.data_cut) for entry in readable}
    for outcome in outcomes.values():
        findings += outcome.findings
    outcomes |= with_rivals(protocol.endpoints, outcomes)
    arm: NDArray[np.object_] | None = None
    strata: NDArray[np.object_] | None = None
    if protocol.arms is not None and protocol.arms.column in present:
        arm, arm_findings = read_arms(protocol.arms, joined)
        findings += arm_findings
    if protocol.arms is not None and present.issuperset(protocol.arms.strata):
        strata, strata_findings = read_strata(protocol.arms.strata, joined)
        findings += strata_findings
    columns: dict[str, pd.Series] = {}
    for variable in protocol.variables:
        if variable.column not in present:
            continue
        columns[variable.column], variable_findings = read_variable(variable, joined)
        findings += variable_findings
    markers, marker_findings = _markers(protocol, joined)
    published, term_findings = published_terms(protocol, joined)
    findings += [*marker_findings, *term_findings]
    cluster, alone = _labels(joined, protocol.analysis.cluster, "E-CLUSTER-MISSING")
    groups, found = _labels(joined, protocol.models.group_by, "E-GROUP-MISSING")
    if cluster is not None:
        held = f"{len(cluster)} rows in {len(set(cluster))} clusters"
        alone = (*alone, joined.about("I-CLUSTER", protocol.analysis.cluster or "", held))
    if groups is None:
        groups = cluster
    elif cluster is not None:
        found = (*found, *joined.rows("E-CLUSTER-SPLIT", protocol.analysis.cluster or "", _split(cluster, groups)))
    effects = protocol.batch_effects
    batch, lost = _labels(joined, None if effects is None else effects.column, "E-BATCH-MISSING")
    findings += [*alone, *found, *lost, *uncorrected(protocol, joined)]
    return _Typed(
        outcomes=outcomes,
        arm=arm,
        strata=strata,
        groups=groups,
        cluster=cluster,
        batch=batch,
        frame=pd.DataFrame(columns, index=joined.frame.index),
        markers=markers,
        published=published,
        findings=tuple(findings),
    )


def _labels(joined: Joined, name: str | None, missing: str) -> tuple[NDArray[np.object_] | None, tuple[Finding, ...]]:
    """The texts of a column that must be complete; None where none is declared or it is absent."""
    if name is None or name not in joined.frame.columns:
        return None, ()
    series = column(joined.frame, name)
    return as_text(series).to_numpy(dtype=object), joined.rows(missing, name, is_missing(series))


def _split(cluster: NDArray[np.object_], groups: NDArray[np.object_]) -> Mask:
    """Rows (n,) of clusters that lie in several groups."""
    count = pd.Series(groups).groupby(cluster).transform("nunique")
    return np.asarray(count, dtype=np.int64) > 1


def _markers(protocol: Protocol, joined: Joined) -> tuple[Markers, list[Finding]]:
    taken = {*role_columns(protocol), CNSR}
    findings: list[Finding] = []
    markers = Markers()
    for block in protocol.marker_blocks:
        more, found = read_markers(block, joined, taken)
        findings += found
        taken = taken | set(more.names)
        markers += more
    return markers, findings


def _select(
    loaded: LoadedProtocol,
    joined: Joined,
    typed: _Typed,
    long: Mapping[str, pd.DataFrame],
    steps: Sequence[Step],
    sources: Table,
    derived: Derivation,
    findings: tuple[Finding, ...],
    *,
    keep_all: bool,
) -> tuple[Cohort | None, tuple[Finding, ...]]:
    """Apply eligibility and the declared drops, look at what is left, and freeze it."""
    protocol = loaded.protocol
    tables = judged_tables(protocol, joined, typed.frame, long)
    keep, criteria_steps, eligibility = apply_criteria(protocol.eligibility, tables)
    drops = (*_armless(protocol, typed.arm), *typed.outcomes[protocol.estimand.endpoint].drops)
    usable, _ = _drop(drops, np.ones(len(keep), dtype=np.bool_))
    keep, drop_steps = _drop(drops, keep)
    all_steps = (*steps, *criteria_steps, *drop_steps)
    findings = (
        *findings,
        *findings_on(protocol.eligibility, tables, next(iter(joined.files.values())), _criteria_lines(loaded)),
        *too_few(protocol, joined, typed.arm, typed.outcomes[protocol.estimand.endpoint].outcome, keep, all_steps),
    )
    if errors(findings):
        return None, findings
    part = joined.take(keep)
    frame = rows(derived.among(typed.frame, keep), keep).set_axis(pd.Index(part.ids, name="id"), axis=0)
    markers = typed.markers.table(np.flatnonzero(keep), frame.index)
    outcomes = {name: _taken(entry.outcome, keep) for name, entry in typed.outcomes.items()}
    frame, aged = capped_ages(protocol, frame)
    validated = validate_table(protocol, part, frame, markers, outcomes[protocol.estimand.endpoint])
    findings = summarised((*findings, *aged, *validated.findings))
    dropped = () if keep_all else validated.dropped
    frame = frame.drop(columns=list(dropped))
    arm = None if typed.arm is None else typed.arm[keep]
    strata = None if typed.strata is None else typed.strata[keep]
    note = f"{len(frame)} patients analysed. Unknown: a value needed to judge the step is missing."
    cohort = Cohort(
        protocol=without_columns(protocol, dropped),
        frame=frame,
        markers=markers,
        arm=arm,
        strata=strata,
        outcomes=outcomes,
        attrition=attrition_table(all_steps, note),
        eligibility=eligibility,
        findings=findings,
        data_hash=data_hash(frame, markers, arm, strata, outcomes),
        groups=None if typed.groups is None else typed.groups[keep],
        cluster=None if typed.cluster is None else typed.cluster[keep],
        sources=sources,
        derived=derived.table(keep),
        batch=None if typed.batch is None else typed.batch[keep],
        signatures={
            name: rows(parts, keep).set_axis(frame.index, axis=0)
            for name, parts in derived.learned.items()
            if name in frame.columns
        },
        published={name: terms[keep] for name, terms in typed.published.items()},
        everyone=_everyone(protocol, joined, replace(typed, frame=derived.among(typed.frame, usable)), tables, usable),
    )
    return cohort, findings


def _criteria_lines(loaded: LoadedProtocol) -> dict[str, int]:
    """The line of every criterion that was read from a file."""
    lines = {entry.id: loaded.line(f"eligibility.{at}") for at, entry in enumerate(loaded.protocol.eligibility)}
    return {name: line for name, line in lines.items() if line is not None}


def _armless(protocol: Protocol, arm: NDArray[np.object_] | None) -> list[tuple[str, str, Mask]]:
    """Patients without an arm, where the protocol says to leave them out."""
    if protocol.arms is None or arm is None or protocol.arms.missing == "refuse":
        return []
    return [("arms.missing", "arm missing, dropped as declared", np.array([name is None for name in arm], dtype=bool))]


def _everyone(protocol: Protocol, joined: Joined, typed: _Typed, tables: Tables, usable: Mask) -> Everyone | None:
    """Patients before eligibility; None where no criterion is applied by a program."""
    if protocol.criteria.rules is None and not any(criterion.when for criterion in protocol.eligibility):
        return None
    part = joined.take(usable)
    # criteria are judged by the ages in ``tables``; whatever is described holds the oldest as 90
    frame, _ = capped_ages(protocol, rows(typed.frame, usable).set_axis(pd.Index(part.ids, name="id"), axis=0))
    nothing = Table(name="cohort.attrition", title="", columns=(), rows=())
    cohort = Cohort(
        protocol=protocol,
        frame=frame,
        markers=frame.iloc[:, :0],
        arm=None if typed.arm is None else typed.arm[usable],
        strata=None if typed.strata is None else typed.strata[usable],
        outcomes={name: _taken(entry.outcome, usable) for name, entry in typed.outcomes.items()},
        attrition=nothing,
        eligibility=nothing,
        findings=(),
        data_hash="",
        groups=None if typed.groups is None else typed.groups[usable],
        cluster=None if typed.cluster is None else typed.cluster[usable],
    )
    patients = rows(tables.patients, usable).set_axis(frame.index, axis=0)
    return Everyone(cohort=cohort, tables=replace(tables, patients=patients))


def _drop(drops: Sequence[tuple[str, str, Mask]], keep: Mask) -> tuple[Mask, list[Step]]:
    """Leave out what the protocol declares to drop, one attrition step each."""
    steps: list[Step] = []
    for step, text, mask in drops:
        before = int(keep.sum())
        keep = keep & ~mask
        after = int(keep.sum())
        steps.append(
            Step(
                step=step, text=text, kind="outcome", before=before, removed=before - after, unknown=0, remaining=after
            )
        )
    return keep, steps


def _taken(outcome: Outcome, keep: Mask) -> Outcome:
    def part(values: NDArray | None) -> NDArray | None:
        return None if values is None else values[keep]

    return Outcome(
        name=outcome.name,
        time=part(outcome.time),
        event=part(outcome.event),
        entry=part(outcome.entry),
        value=part(outcome.value),
    )


def without_columns(protocol: Protocol, dropped: Sequence[str]) -> Protocol:
    """The protocol without some covariates and biomarkers; what refers to them goes with them."""
    if not dropped:
        return protocol
    gone = set(dropped)
    analysis = protocol.analysis.model_copy(
        update={"adjust_for": tuple(name for name in protocol.analysis.adjust_for if name not in gone)}
    )
    arms = protocol.arms and protocol.arms.model_copy(
        update={"confounders": tuple(name for name in protocol.arms.confounders if name not in gone)}
    )
    return protocol.model_copy(
        update={
            "covariates": tuple(entry for entry in protocol.covariates if entry.column not in gone),
            "biomarkers": tuple(entry for entry in protocol.biomarkers if entry.column not in gone),
            "analysis": analysis,
            "arms": arms,
        }
    )
