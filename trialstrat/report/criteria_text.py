"""Criteria as a protocol would print them."""

from __future__ import annotations

from trialstrat.report import sentences
from trialstrat.report.context import Context


def criteria_text(context: Context) -> str:
    """Criteria as they would be pasted into a protocol: as written first, then the proposed ones."""
    lines = []
    written = context.record.table("criteria.written")
    entries = written.records() if written else list(context.study.get("eligibility") or ())
    for kind, head in (("inclusion", "Inclusion criteria"), ("exclusion", "Exclusion criteria")):
        mine = [entry for entry in entries if entry["kind"] == kind]
        rule = (
            context.record.table("criteria.rule") if kind == "inclusion" and sentences.rule_proposed(context) else None
        )
        if not mine and not rule:
            continue
        lines.append(head)
        lines += [f"{number}. {entry['text']}" for number, entry in enumerate(mine, start=1)]
        added = rule.records() if rule else []
        lines += [
            f"{number}. {entry['text']} (proposed: prognostic enrichment)"
            for number, entry in enumerate(added, start=len(mine) + 1)
        ]
    return "\n".join(lines)
