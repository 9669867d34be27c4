"""Declared features of new patients, derived from the files beside them as the study derived them from its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from trialstrat.cohort.columns import column
from trialstrat.cohort.derive import derive
from trialstrat.cohort.integrate import Joined, join
from trialstrat.cohort.molecular import Molecular
from trialstrat.cohort.needed import columns_needed
from trialstrat.cohort.prepare import prepare
from trialstrat.cohort.readers.registry import read_file
from trialstrat.cohort.rules import raise_for
from trialstrat.cohort.sources import SourcesReader
from trialstrat.protocol.features_model import Feature, GeneSymbols
from trialstrat.protocol.model import Protocol, Source

#: Labels of levels are named in messages from this many rows on.
_MINIMUM_CELL = 11


def columns_of(path: Path) -> tuple[str, ...]:
    """The columns of a table.

    Raises
    ------
    DataError
        When the file cannot be read.
    """
    table = read_file(path, Source(name="patients", file=path.name))
    return tuple(str(name) for name in table.frame.columns)


def read_beside(
    sources: Sequence[Source],
    features: Sequence[Feature],
    patients: Path,
    first: Source,
    files: Mapping[str, Path],
    symbols: GeneSymbols | None = None,
) -> tuple[Protocol, Joined, Molecular]:
    """New patients, and what stands beside them, read as the study declared it.

    Parameters
    ----------
    sources : sequence of Source
        As declared, sources of samples before those that name them.
    features : sequence of Feature
        Features to be derived; they say which columns of the patients are needed.
    patients : Path
        The table of new patients.
    first : Source
        How it is read; ``id`` is its column of the patient id, or ``row``.
    files : mapping of str to Path
        The file of every source.
    symbols : GeneSymbols, optional
        How the study brought gene symbols together.

    Returns
    -------
    tuple
        The declarations as a plan, the patients, and the molecular sources and records.

    Raises
    ------
    DataError
        A file that cannot be read as declared.
    """
    placed = tuple(source.model_copy(update={"file": files[source.name].name, "dataset": None}) for source in sources)
    # only what is read is declared here: there is no outcome among new patients
    plan = Protocol.model_construct(
        sources=placed, features=tuple(features), endpoints=(), gene_symbols=symbols or GeneSymbols()
    )
    ready = prepare(first, read_file(patients, first), columns_needed(plan), {})
    reader = SourcesReader(plan, patients.parent, {name: path.parent for name, path in files.items()})
    reader.prepared.append(ready)
    molecular = reader.read()
    raise_for((*ready.findings, *reader.findings))
    joined, _, _, found = join(reader.prepared, _MINIMUM_CELL)
    raise_for(found)
    return plan, joined, molecular


def derived_columns(
    features: Sequence[Feature],
    sources: Sequence[Source],
    patients: Path,
    first: Source,
    files: Mapping[str, Path],
    symbols: GeneSymbols | None = None,
) -> pd.DataFrame:
    """One column per feature, by patient; none of the features is learned from other patients.

    Raises
    ------
    DataError
        A file that cannot be read as declared, or a feature that cannot be derived.
    """
    plan, joined, molecular = read_beside(sources, features, patients, first, files, symbols)
    made, derivation = derive(plan, joined, molecular)
    raise_for(derivation.findings)
    columns = {feature.name: column(made.frame, feature.name) for feature in features}
    return pd.DataFrame(columns).set_axis(pd.Index([str(entry) for entry in made.ids]), axis=0)
