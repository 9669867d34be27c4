"""Which columns a protocol uses, and whether the data have them in a usable form."""

from __future__ import annotations

from trialstrat.cohort.columns import column, numbers
from trialstrat.cohort.integrate import Joined
from trialstrat.cohort.outcomes import CNSR
from trialstrat.cohort.prepare import missing_column
from trialstrat.cohort.published import published_columns
from trialstrat.protocol.features_model import InstabilityFeature, MeasurementFeature
from trialstrat.protocol.language.names import kinds_asked, long_tables, patient_columns
from trialstrat.protocol.model import Endpoint, Protocol
from trialstrat.results import Finding


def endpoint_columns(endpoint: Endpoint) -> list[str]:
    """The columns that an endpoint is read from."""
    event = endpoint.event.column if endpoint.event is not None else None
    names = (endpoint.time, endpoint.start, endpoint.end, event, endpoint.value, endpoint.entry)
    return [name for name in names if name is not None]


def role_columns(protocol: Protocol) -> list[str]:
    """Columns with a role of their own: arm, strata, outcome, covariate, biomarker, group, cluster."""
    names: list[str] = []
    if protocol.arms is not None:
        names += [protocol.arms.column, *protocol.arms.strata, *protocol.arms.confounders]
    for endpoint in protocol.endpoints:
        names += endpoint_columns(endpoint)
    names += [variable.column for variable in protocol.variables]
    names += [*protocol.analysis.adjust_for, *([protocol.models.group_by] if protocol.models.group_by else [])]
    names += [protocol.batch_effects.column] if protocol.batch_effects is not None else []
    names += [protocol.analysis.cluster] if protocol.analysis.cluster is not None else []
    return list(dict.fromkeys(names))


def criteria_columns(protocol: Protocol) -> list[str]:
    """Columns of the patients that only criteria may name, time zero of the long tables among them."""
    nodes = [node for entry in protocol.eligibility for node in entry.when]
    zero = [protocol.time_zero] if protocol.time_zero and long_tables(nodes, protocol.molecular) else []
    return [*patient_columns(nodes, protocol.molecular), *zero]


def declared_columns(protocol: Protocol) -> list[str]:
    """Every column that the protocol names, once: with a role, of criteria, of published models."""
    return list(dict.fromkeys([*role_columns(protocol), *criteria_columns(protocol), *published_columns(protocol)]))


def columns_needed(protocol: Protocol) -> set[str]:
    """Columns to keep while joining: the declared ones but for features, what features read, and CNSR.

    CNSR is compared with a declared event column.
    """
    read = {entry.column for entry in protocol.features if isinstance(entry, InstabilityFeature)}
    read |= {entry.zero for entry in protocol.features if isinstance(entry, MeasurementFeature) and entry.zero}
    return ({*declared_columns(protocol), CNSR} - {entry.name for entry in protocol.features}) | read


def block_sources(protocol: Protocol) -> set[str]:
    """Sources of which every column may be a marker."""
    return {block.source for block in protocol.marker_blocks}


def presence_findings(protocol: Protocol, joined: Joined) -> tuple[Finding, ...]:
    """Declared columns that no source has, and ranges asked of columns that are not numeric."""
    file = ", ".join(dict.fromkeys(joined.files.values()))
    absent = [name for name in declared_columns(protocol) if name not in joined.frame]
    found = [missing_column(name, joined.found, file) for name in absent]
    nodes = [node for entry in protocol.eligibility for node in entry.when]
    numeric = {name for name, kind in kinds_asked(nodes, protocol.molecular).items() if kind == "number"}
    continuous = {variable.column for variable in protocol.variables if variable.kind == "continuous"}
    for name in sorted(name for name in numeric - continuous if name in joined.frame):
        _, bad = numbers(column(joined.frame, name))
        found += joined.rows("E-VALUE-TEXT", name, bad, "a criterion compares it with a number")
    return tuple(found)
