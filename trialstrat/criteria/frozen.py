"""Enrollment criteria as they leave a study: frozen, readable by people, executable by ``trialstrat screen``."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from trialstrat.errors import IntegrityError
from trialstrat.protocol.base import Declared, Name
from trialstrat.protocol.declared_schema import declared_schema, variable_columns
from trialstrat.protocol.features_model import Feature, GeneSymbols, SignatureFeature
from trialstrat.protocol.language.criterion import Criterion, distinct
from trialstrat.protocol.language.model import Condition
from trialstrat.protocol.language.names import kinds_asked, long_tables, on_patients, patient_columns
from trialstrat.protocol.language.schema import PATIENTS, Kind, Molecular, Schema, TableSchema
from trialstrat.protocol.model import Protocol, Source, Variable

Origin = Literal["written", "prognostic_enrichment", "predictive_rule"]

HEAD = """Enrollment criteria, frozen by trialstrat. A patient is eligible when every inclusion criterion is met and no
exclusion criterion is. Apply them with: trialstrat screen THIS-FILE new_patients.csv
Do not edit: the fingerprint at the end covers every line; screening refuses a file that does not match."""


class FrozenCriterion(Criterion):
    """A criterion with where it comes from and how well it is supported."""

    origin: Origin = "written"
    evidence: str = ""


class FrozenCriteria(Declared):
    """The content of ``criteria.yaml``."""

    trialstrat_criteria: Literal[1] = 1
    study: Name
    version: str
    title: str
    evidence: Literal["exploratory", "confirmatory"]
    id_column: str
    variables: tuple[Variable, ...]
    tables: dict[str, TableSchema] = Field(default_factory=dict, description="Long tables that criteria look at.")
    time_zero: str = ""
    molecular: Molecular = Molecular()
    features: tuple[Feature, ...] = Field(default=(), description="Columns that can be derived for new patients.")
    sources: tuple[Source, ...] = Field(default=(), description="How files beside the patients are read.")
    gene_symbols: GeneSymbols = Field(
        default=GeneSymbols(), description="How gene symbols are brought together; a file of HGNC stays with the study."
    )
    patients: Source | None = Field(
        default=None, description="How the patients' file is read; its columns are named and in the units said above."
    )
    criteria: tuple[FrozenCriterion, ...]
    fingerprint: str = ""

    @model_validator(mode="after")
    def _distinct(self) -> FrozenCriteria:
        distinct(self.criteria)
        return self

    @property
    def schema_of_data(self) -> Schema:
        """The tables and columns of the patients that the criteria are applied to."""
        patients = TableSchema(columns=variable_columns(self.variables), id=self.id_column)
        tables = {**self.tables, PATIENTS: patients}
        return Schema(tables=tables, time_zero=self.time_zero, molecular=self.molecular)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRule:
    """A rule that an analysis supports: all ``conditions`` together include (or exclude) a patient."""

    conditions: tuple[Condition, ...]
    kind: Literal["inclusion", "exclusion"]
    origin: Origin
    text: str
    evidence: str


def found_ids(count: int, protocol: Protocol, others: Collection[str] = ()) -> tuple[str, ...]:
    """Ids of found rules: R1, R2, ..., without those that written criteria (``others`` too) have already."""
    taken = {criterion.id for criterion in protocol.eligibility} | set(others)
    free = (name for at in itertools.count(1) if (name := f"R{at}") not in taken)
    return tuple(itertools.islice(free, count))


def freeze(protocol: Protocol, rules: tuple[FoundRule, ...], others: Collection[str] = ()) -> FrozenCriteria:
    """Criteria as written plus the rules found in the data, with their fingerprint.

    Each rule becomes one criterion, with the ids of :func:`found_ids`; an unknown value leaves the patient undecided,
    because a rule that was learned on measured values says nothing about unmeasured ones.
    """
    found = tuple(
        FrozenCriterion(
            id=name,
            kind=rule.kind,
            text=rule.text,
            when=rule.conditions,
            origin=rule.origin,
            evidence=rule.evidence,
        )
        for name, rule in zip(found_ids(len(rules), protocol, others), rules, strict=True)
    )
    written = tuple(FrozenCriterion(**criterion.model_dump()) for criterion in protocol.eligibility)
    nodes = [node for entry in (*written, *found) for node in entry.when]
    tables = long_tables(nodes, protocol.molecular)
    zero = protocol.time_zero if tables else ""
    used = [*patient_columns(nodes, protocol.molecular), *([zero] if zero else [])]
    plain = {variable.column: Variable(**variable.model_dump(exclude={"role"})) for variable in protocol.variables}
    asked = kinds_asked(nodes, protocol.molecular)
    unlisted = {name: _undeclared(name, asked.get(name), nodes, protocol.molecular) for name in used}
    schema = declared_schema(protocol)
    features = tuple(entry for entry in protocol.features if entry.name in used and _for_new_patients(entry))
    sources = _sources(protocol, features, tables)
    frozen = FrozenCriteria(
        study=protocol.id,
        version=protocol.version,
        title=protocol.title,
        evidence=protocol.status,
        id_column=protocol.sources[0].id or "id",
        variables=tuple({**unlisted, **plain}[column] for column in sorted(set(used))),
        tables={name: schema.tables[name] for name in tables},
        time_zero=zero,
        molecular=schema.molecular,
        features=features,
        sources=sources,
        gene_symbols=protocol.gene_symbols.model_copy(update={"hgnc": None}) if sources else GeneSymbols(),
        patients=_patients(protocol),
        criteria=(*written, *found),
    )
    return frozen.model_copy(update={"fingerprint": fingerprint(frozen)})


def _for_new_patients(feature: Feature) -> bool:
    """Whether a feature needs nothing but the patient's own data: no standardisation, no list in a file."""
    if not isinstance(feature, SignatureFeature):
        return True
    return feature.method == "rank" and feature.genes_file is None


def _sources(protocol: Protocol, features: Sequence[Feature], tables: Sequence[str]) -> tuple[Source, ...]:
    """The sources of tables and features and those of their samples, without what holds for the study's files alone."""
    named = {*tables, *(name for feature in features for name, _ in feature.reads().values())}
    named |= {source.samples for source in protocol.sources if source.name in named and source.samples}
    plain = {"rows": None, "sha256": None, "define": None}
    return tuple(source.model_copy(update=plain) for source in protocol.sources if source.name in named)


def _patients(protocol: Protocol) -> Source | None:
    """What was declared of reading the patients' file and holds for any: missing codes, ids, units of each row.

    Names and units of the columns are those of ``variables``, so nothing is renamed or converted from a fixed unit.
    """
    first = protocol.sources[0]
    if first.layout != "patients":
        return None
    own = {"where": {}, "rename": {}, "columns": (), "rows": None, "sha256": None, "define": None, "table": None}
    units = {name: rule for name, rule in first.units.items() if rule.unit_column is not None}
    kept = first.model_copy(update={**own, "file": first.name, "dataset": None, "units": units})
    return None if kept == Source(name=first.name, file=first.name, id=first.id) else kept


def _undeclared(column: str, kind: Kind | None, nodes: Sequence[Any], layout: Molecular) -> Variable:
    """A column that only eligibility uses: a number when a range is asked of it, text otherwise."""
    asked = [node for node in on_patients(nodes, layout) if isinstance(node, Condition) and node.column == column]
    unit = next((node.unit for node in asked if node.unit), "")
    return Variable(column=column, kind="continuous" if kind == "number" else "categorical", unit=unit)


def fingerprint(criteria: FrozenCriteria) -> str:
    """SHA-256 over the canonical content without the fingerprint itself; what is at its default is not content."""
    body = criteria.model_dump(mode="json", exclude_defaults=True, exclude={"fingerprint"})
    text = json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def to_mapping(criteria: FrozenCriteria) -> dict[str, Any]:
    """Plain data for the YAML file: what is at its default is left out, so that people can read it."""
    body = criteria.model_dump(mode="json", exclude_defaults=True)
    return {"trialstrat_criteria": criteria.trialstrat_criteria, **body}


def from_mapping(data: Any, source: str) -> FrozenCriteria:
    """Inverse of :func:`to_mapping`; the fingerprint must match.

    Raises
    ------
    IntegrityError
        The file is not a criteria file, is of another version, or was edited.
    """
    if not isinstance(data, Mapping) or "trialstrat_criteria" not in data:
        raise IntegrityError(f"{source}: not a criteria file of trialstrat (no trialstrat_criteria: line).")
    try:
        criteria = FrozenCriteria.model_validate(data)
    except ValidationError as error:
        faults = "; ".join(".".join(map(str, fault["loc"])) + ": " + fault["msg"] for fault in error.errors())
        raise IntegrityError(f"{source}: not a valid criteria file: {faults}") from error
    if fingerprint(criteria) != criteria.fingerprint:
        raise IntegrityError(
            f"{source}: was edited after it was frozen (the fingerprint does not match). Change the protocol and run "
            "again, or use the file as it was written."
        )
    return criteria
