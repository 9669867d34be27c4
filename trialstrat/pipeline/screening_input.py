"""What a screening reads: criteria in any of their forms, patients, and the long tables beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trialstrat import store
from trialstrat.cohort.judged import completed
from trialstrat.cohort.language.tables import Tables
from trialstrat.cohort.new_events import is_rows, read_events
from trialstrat.cohort.new_features import columns_of, derived_columns
from trialstrat.cohort.patients import read_long_table, read_patients, read_plain
from trialstrat.criteria.frozen import from_mapping
from trialstrat.criteria.trialpathfinder import parse_rules, rule_tables
from trialstrat.errors import DataError, ProtocolError, UsageError
from trialstrat.protocol.features_model import Feature, GeneSymbols
from trialstrat.protocol.language.check import faults, finding
from trialstrat.protocol.language.criterion import CriteriaSet, Criterion
from trialstrat.protocol.language.names import kinds_asked, long_tables, patient_columns
from trialstrat.protocol.language.schema import PATIENTS, ColumnSchema, Kind, Schema, TableSchema
from trialstrat.protocol.load import load_criteria
from trialstrat.protocol.model import Source, Variable


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Criteria with the tables they are asked of, the file they came from and the line of each by its id.

    ``features`` are columns that may be derived where the patients' file does not have them; ``sources`` say how the
    files beside it are read, ``patients`` how itself, ``gene_symbols`` how genes are called.
    """

    criteria: tuple[Criterion, ...]
    schema: Schema
    variables: tuple[Variable, ...]
    source: str
    lines: Mapping[str, int]
    features: tuple[Feature, ...] = ()
    sources: tuple[Source, ...] = ()
    patients: Source | None = None
    gene_symbols: GeneSymbols | None = None


def read_criteria(path: Path) -> Written:
    """The criteria of a run folder, of its frozen file, or of a file in the language by itself."""
    file = path / store.CRITERIA if path.is_dir() else path
    if "trialstrat_criteria" in _head(file):
        frozen = from_mapping(store.read_yaml(file), str(file))
        return Written(
            criteria=frozen.criteria,
            schema=frozen.schema_of_data,
            variables=frozen.variables,
            source=file.name,
            lines={},
            features=frozen.features,
            gene_symbols=frozen.gene_symbols,
            sources=frozen.sources,
            patients=frozen.patients,
        )
    return _own_file(file)


def _head(file: Path) -> str:
    """The start of a file, enough to tell what it is; read problems are left to the reader proper."""
    try:
        with file.open("rb") as stream:
            return stream.read(4096).decode("utf-8", errors="replace")
    except OSError:
        return "trialstrat_criteria"


def _own_file(file: Path) -> Written:
    held, places = load_criteria(file)
    lines = {
        name: line
        for at, entry in enumerate(held.criteria)
        for name, line in (
            (entry.id, places.get(f"criteria.{at}")),
            *((f"{entry.id}.{k}", places.get(f"criteria.{at}.when.{k}")) for k in range(len(entry.when))),
        )
        if line is not None
    }
    schema = _schema(held)
    found = faults(held.criteria, schema, complete=False)
    wrong = [finding(entry, held.criteria, file.name, lines) for entry in found if entry.severity == "error"]
    if wrong:
        raise ProtocolError(*(f"{entry.text()} Nothing written." for entry in wrong))
    known = schema.tables[PATIENTS].columns
    named = patient_columns([node for entry in held.criteria for node in entry.when], held.molecular)
    variables = tuple(
        Variable(column=name, kind="continuous" if name in known and known[name].kind == "number" else "categorical")
        for name in dict.fromkeys((*known, *named))
    )
    sources = tuple(
        Source(name=name, file=name, layout=table.holds, id_rules=table.id_rules, assayed=table.assayed)
        if table.holds == "variants"
        else Source(name=name, file=name, layout="matrix", id_rules=table.id_rules)
        for name, table in held.tables.items()
        if table.holds != "rows"
    )
    return Written(
        criteria=held.criteria, schema=schema, variables=variables, source=file.name, lines=lines, sources=sources
    )


def _schema(held: CriteriaSet) -> Schema:
    """The declared tables; an undeclared column of the patients is what the criteria take it for.

    Columns that are only compared with one another are left out where they are not declared: their cells tell.
    """
    nodes = [node for entry in held.criteria for node in entry.when]
    asked: dict[str, Kind] = kinds_asked(nodes, held.molecular)
    if held.time_zero and long_tables(nodes, held.molecular):
        asked[held.time_zero] = "date"
    named = [*patient_columns(nodes, held.molecular), *asked]
    columns = {name: ColumnSchema(kind=kind) for name, kind in asked.items()}
    columns |= {name: entry for name, entry in held.columns.items() if name in named}
    patients = TableSchema(columns=columns, id=held.id)
    return Schema(tables={**held.tables, PATIENTS: patients}, time_zero=held.time_zero, molecular=held.molecular)


def patients_and_tables(written: Written, data: Path, tables: Mapping[str, Path], identifier: str | None) -> Tables:
    """Patients of one file and the long tables that the criteria need, read as declared and typed.

    A declared feature is a column of the file; where it is none, it is derived from the files of its sources.
    """
    nodes = [node for entry in written.criteria for node in entry.when]
    asked = long_tables(nodes, written.schema.molecular)
    features = _to_derive(written, data)
    read = {name for feature in features for name, _ in feature.reads().values()}
    events = [name for name in asked if _molecular(written, name, tables)]
    needed = list(dict.fromkeys((*asked, *sorted(read), *_samples(written, {*read, *events}))))
    absent = [name for name in needed if name not in tables]
    if absent:
        told = " ".join(f"--table {name}=FILE" for name in absent)
        columns = ", ".join(feature.name for feature in features)
        instead = f" (or columns of {data.name}: {columns})" if features else ""
        raise DataError(f"criteria need tables beside {data.name}: {', '.join(absent)}{instead}. Add {told}.")
    stray = [name for name in tables if name not in needed]
    if stray:
        raise UsageError(f"--table {stray[0]}: no criterion looks at it. Tables needed: {', '.join(needed) or 'none'}.")
    name = identifier or written.schema.tables[PATIENTS].id
    derived = {feature.name for feature in features}
    first = (written.patients or Source(name="patients", file=data.name)).model_copy(
        update={"file": data.name, "id": name}
    )
    patients = read_patients(data, [entry for entry in written.variables if entry.column not in derived], name, first)
    if features:
        columns = derived_columns(features, _sources_of(written, read), data, first, tables, written.gene_symbols)
        columns = columns.reindex(patients.index.astype(str))
        patients = patients.assign(**{str(key): columns[key].array for key in columns.columns})
    long = {
        entry: read_events(
            entry,
            written.criteria,
            written.schema,
            _sources_of(written, {entry}),
            (data, first),
            tables,
            written.gene_symbols,
        )
        if entry in events
        else read_long_table(tables[entry], written.schema.tables[entry], _plain_source(written, entry))
        for entry in asked
    }
    return Tables(patients=patients, long=long, schema=completed(written.schema, nodes, patients))


def _to_derive(written: Written, data: Path) -> tuple[Feature, ...]:
    """The features that the patients' file does not have."""
    if not written.features:
        return ()
    there = columns_of(data)
    return tuple(feature for feature in written.features if feature.name not in there)


def _molecular(written: Written, name: str, tables: Mapping[str, Path]) -> bool:
    """Whether a table is read from variants or a matrix, not from rows that are events already."""
    declared = written.schema.tables[name]
    return declared.holds != "rows" and not (name in tables and is_rows(tables[name], declared))


def _samples(written: Written, names: set[str]) -> list[str]:
    """The sources of the samples of these sources."""
    return [source.samples for source in written.sources if source.name in names and source.samples]


def _sources_of(written: Written, names: set[str]) -> tuple[Source, ...]:
    """These sources and those of their samples, in declared order."""
    wanted = {*names, *_samples(written, names)}
    return tuple(source for source in written.sources if source.name in wanted)


def _plain_source(written: Written, name: str) -> Source | None:
    """What was declared of a table of rows; events that are rows already are as they are described."""
    if written.schema.tables[name].holds != "rows":
        return None
    return next((source for source in written.sources if source.name == name), None)


def read_rules(path: Path) -> Written:
    """A rule file of TrialPathfinder, unchanged."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path.name}: cannot be read as UTF-8 text ({type(error).__name__}). Check the file."
        ) from None
    schema = Schema(tables={PATIENTS: TableSchema(columns={})})
    return Written(criteria=parse_rules(text, path.name), schema=schema, variables=(), source=path.name, lines={})


def rule_data(written: Written, data: Path, tables: Mapping[str, Path], identifier: str | None) -> Tables:
    """The tables that rules name: ``data`` by the name of its file, the others as given."""
    name = identifier or "PatientID"
    places = {data.stem.lower(): data, **{key.lower(): place for key, place in tables.items()}}
    needed = long_tables([node for rule in written.criteria for node in rule.when], written.schema.molecular)
    absent = [entry for entry in needed if entry not in places]
    if absent:
        told = " ".join(f"--table {entry}=FILE" for entry in absent)
        raise DataError(f"{written.source}: rules name tables that are not there: {', '.join(absent)}. Add {told}.")
    frames = {key: read_plain(place, name) for key, place in places.items()}
    patients = list(dict.fromkeys(frames[data.stem.lower()][name]))
    return rule_tables(written.criteria, frames, sorted(patients), identifier=name)
