"""Files that hold several tables: databases (an OMOP CDM among them) and AnnData."""

from __future__ import annotations

from pathlib import Path

from trialstrat.cohort.proposal.link import Seen
from trialstrat.cohort.proposal.molecular import SeenMatrix
from trialstrat.cohort.readers import duckdb_file, h5ad
from trialstrat.cohort.readers.registry import read_file, read_matrix
from trialstrat.cohort.readers.table import Payload, RawTable
from trialstrat.protocol.model import Source

#: Tables of the OMOP common data model with one row per person; the others have several or are no data of persons.
_OF_PERSONS = ("person", "observation_period", "death")
_NO_PERSONS = (
    "concept concept_ancestor concept_class concept_relationship concept_synonym vocabulary domain relationship"
    " drug_strength source_to_concept_map cdm_source metadata location care_site provider cohort_definition"
)
_VOCABULARY = frozenset(_NO_PERSONS.split())
#: Rows above which a table is not read only to be looked at.
MOST_ROWS = 2_000_000


def tables_of(path: Path, payload: Payload) -> tuple[list[Seen], list[tuple[str, str]]]:
    """The tables of a database that may be of patients, and the others with the reason."""
    counts = duckdb_file.table_names(payload)
    omop = {"person", "observation_period"} <= {name.casefold() for name in counts}
    found: list[Seen] = []
    skipped: list[tuple[str, str]] = []
    for name, rows in counts.items():
        plain = name.rsplit(".", 1)[-1].casefold()
        reason = ""
        if not rows:
            reason = "no rows"
        elif omop and plain in _VOCABULARY:
            reason = "vocabulary, no data of patients"
        elif omop and plain not in _OF_PERSONS:
            reason = "several rows per person: declare it with layout: records to ask criteria of it"
        elif rows > MOST_ROWS:
            reason = f"{rows} rows: declare it as a source of its own to use it"
        if reason:
            skipped.append((f"{path.name}:{name}", reason))
        else:
            raw = read_file(path, Source(name="table", file=path.name, table=name))
            found.append(Seen(path=path, raw=raw, declared={"table": name}))
    return sorted(found, key=lambda seen: _rank(seen.declared["table"])), skipped


def _rank(name: str) -> int:
    plain = name.rsplit(".", 1)[-1].casefold()
    return _OF_PERSONS.index(plain) if plain in _OF_PERSONS else len(_OF_PERSONS)


def is_person(raw: RawTable) -> bool:
    """Whether a table is PERSON of the OMOP common data model."""
    return {"person_id", "gender_concept_id", "year_of_birth"} <= {str(name).casefold() for name in raw.frame.columns}


def parts_of(path: Path, payload: Payload) -> tuple[list[Seen], SeenMatrix]:
    """An AnnData file: what it knows of its samples, where that is more than their names, and its matrix."""
    matrix = read_matrix(Source(name="matrix", file=path.name, layout="matrix"), path.parent)
    obs = h5ad.read_obs(payload)
    tables = [Seen(path=path, raw=obs, declared={"table": "obs"})] if obs.frame.shape[1] > 1 else []
    return tables, SeenMatrix(path=path, matrix=matrix)
