"""Provenance: what made this report, and the command that makes it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trialstrat.report import format as fmt
from trialstrat.report.context import Context
from trialstrat.report.page import Block, Section, Snippet, Terms

NAMED = {
    "trialstrat": "trialstrat",
    "generated": "Generated",
    "seed": "Seed",
    "protocol_sha256": "Protocol, SHA-256",
}


def build(context: Context) -> Section | None:
    """The section."""
    manifest = context.record.manifest
    items = [(label, str(manifest[key])) for key, label in NAMED.items() if manifest.get(key) not in (None, "")]
    items += _flat(manifest.get("data_sha256"), "Data, SHA-256")
    shown = {*NAMED, "data_sha256", "versions", "command"}
    rest = {key: value for key, value in manifest.items() if key not in shown}
    for key, value in rest.items():
        items += _flat(value, key.replace("_", " ").capitalize())
    blocks: list[Block] = []
    if items:
        blocks.append(Terms(items=tuple(items), code=True))
    versions = _flat(manifest.get("versions"), "")
    if versions:
        blocks.append(Terms(heading="Versions", items=tuple(versions), code=True))
    command = str(manifest.get("command") or "")
    if command:
        blocks.append(Snippet(key="command", heading="The command that makes this report again", text=command))
    lead = "The same protocol, data, seed and versions give the same numbers, whatever the number of workers."
    return Section(key="provenance", title="Provenance", lead=lead, blocks=tuple(blocks))


def _flat(value: Any, label: str) -> list[tuple[str, str]]:
    """A mapping becomes one line per key; anything else one line."""
    if value in (None, "", {}, [], ()):
        return []
    if isinstance(value, Mapping):
        lines: list[tuple[str, str]] = []
        for key, entry in value.items():
            lines += _flat(entry, f"{label} ({key})" if label else str(key))
        return lines
    if isinstance(value, (list, tuple)):
        return [(label, fmt.listing([str(entry) for entry in value]))]
    return [(label, str(value))]
