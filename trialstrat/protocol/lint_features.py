"""Lint rules about sources and derived features: what refers to what, and what may not be learned."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from trialstrat.protocol.features_model import SignatureFeature
from trialstrat.protocol.language.names import patient_columns
from trialstrat.protocol.model import Protocol
from trialstrat.protocol.remark import Remark
from trialstrat.protocol.ucum import known


def source_rules(protocol: Protocol) -> Iterator[Remark]:
    """The first source has the patients; samples are named before they are used; units are known."""
    before: dict[str, str] = {}
    for at, source in enumerate(protocol.sources):
        path = f"sources.{at}"
        if at == 0 and not source.joins:
            text = f"layout: {source.layout} cannot be the first source: it has no row per patient"
            yield Remark("P-SOURCE-FIRST", "error", path, text, "Put the table of patients first.")
        if source.samples is not None and before.get(source.samples) != "samples":
            text = f"samples: {source.samples} is no earlier source with layout: samples"
            yield Remark("P-SOURCE-SAMPLES", "error", path, text, _mend(source.samples, before))
        for name, rule in source.units.items():
            codes = [rule.to, *([rule.unit] if rule.unit else []), *rule.codes.values()]
            unknown = [code for code in codes if not known(code)]
            if unknown:
                text = f"{', '.join(unknown)}: no UCUM unit that is known here"
                yield Remark("P-UNIT", "error", f"{path}.units.{name}", text, "Use UCUM codes, as mg/dL or 10*9/L.")
        before[source.name] = source.layout
    yield from _blocks(protocol, before)


def _blocks(protocol: Protocol, layouts: dict[str, str]) -> Iterator[Remark]:
    for at, block in enumerate(protocol.marker_blocks):
        if layouts.get(block.source) in ("records", "variants"):
            text = f"source {block.source} has no column per marker (layout: {layouts[block.source]})"
            yield Remark("P-BLOCK-SOURCE", "error", f"marker_blocks.{at}", text, "Declare features: of it instead.")


_FOUND_IN = {
    "mutations": ("variants", "records"),
    "copy_number": ("matrix", "records"),
    "expression": ("matrix", "records"),
}


def molecular_rules(protocol: Protocol) -> Iterator[Remark]:
    """What ``molecular:`` names is a source in which such events can be found."""
    layouts = {source.name: source.layout for source in protocol.sources}
    for key, wanted in _FOUND_IN.items():
        name = getattr(protocol.molecular, key)
        if not name:
            continue
        found = layouts.get(name)
        if found is None:
            text = f"{key}: {name} is no source"
            yield Remark("P-MOLECULAR-SOURCE", "error", f"molecular.{key}", text, _mend(name, layouts))
        elif found not in wanted:
            text = f"{key}: {name} has layout: {found}, such events are found in {' or '.join(wanted)}"
            yield Remark("P-MOLECULAR-SOURCE", "error", f"molecular.{key}", text, "Name a source with that layout.")


def feature_rules(protocol: Protocol) -> Iterator[Remark]:
    """Features read sources of the right layout, and a learned one cannot select patients."""
    layouts = {source.name: source.layout for source in protocol.sources}
    learned = set()
    for at, feature in enumerate(protocol.features):
        path = f"features.{at}"
        for key, (name, layout) in feature.reads().items():
            found = layouts.get(name)
            if found is None:
                yield Remark("P-FEATURE-SOURCE", "error", path, f"{key}: {name} is no source", _mend(name, layouts))
            elif found != layout:
                text = f"{key}: {name} has layout: {found}, this feature needs {layout}"
                yield Remark("P-FEATURE-SOURCE", "error", path, text, "Name a source with that layout.")
        if isinstance(feature, SignatureFeature) and feature.method == "mean_z":
            learned.add(feature.name)
    yield from _selecting(protocol, learned)
    yield from _unused(protocol)


def _selecting(protocol: Protocol, learned: set[str]) -> Iterator[Remark]:
    for at, criterion in enumerate(protocol.eligibility):
        names = sorted(set(patient_columns(criterion.when, protocol.molecular)) & learned)
        if names:
            text = f"{', '.join(names)} is standardised among the patients analysed: it cannot select them"
            yield Remark("P-FEATURE-LEARNED", "error", f"eligibility.{at}", text, "Use method: rank, or one gene.")


def _unused(protocol: Protocol) -> Iterator[Remark]:
    used = {variable.column for variable in protocol.variables}
    used |= {name for entry in protocol.eligibility for name in patient_columns(entry.when, protocol.molecular)}
    if protocol.arms is not None:
        used |= {protocol.arms.column, *protocol.arms.strata, *protocol.arms.confounders}
    for at, feature in enumerate(protocol.features):
        if feature.name not in used:
            text = f"{feature.name} is derived and used nowhere"
            yield Remark("P-FEATURE-UNUSED", "note", f"features.{at}", text, "Name it in covariates: or biomarkers:.")


def _mend(name: str, names: dict[str, str]) -> str:
    near = difflib.get_close_matches(name, list(names), n=1)
    return f"Did you mean {near[0]}?" if near else f"Sources: {', '.join(names) or 'none before it'}."
