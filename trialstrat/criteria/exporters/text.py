"""For people: criteria as Markdown in the wording of ICH M11 and as CSV with one row per criterion."""

from __future__ import annotations

import csv
import io

from trialstrat.criteria.exporters.base import Export, Exportable
from trialstrat.criteria.protocol_text import to_protocol_text
from trialstrat.protocol.language.criterion import CriteriaSet
from trialstrat.protocol.language.text import write_all

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def markdown(source: Exportable) -> Export:
    """Sections 5.2 and 5.3, one criterion per row."""
    written = CriteriaSet(study=source.study, title=source.title, criteria=source.criteria)
    return Export(content=to_protocol_text(written), suffix="md", notes=_manual(source))


def table(source: Exportable) -> Export:
    """CSV (RFC 4180), one row per criterion; cells that a spreadsheet would run are defused."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("id", "kind", "text", "condition", "missing", "evidence"))
    for entry in source.criteria:
        row = (
            entry.id,
            entry.kind,
            entry.text,
            write_all(entry.when),
            entry.missing,
            source.evidence.get(entry.id, ""),
        )
        writer.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in row])
    return Export(content=out.getvalue(), suffix="csv", notes=_manual(source))


def _manual(source: Exportable) -> tuple[str, ...]:
    names = [entry.id for entry in source.criteria if not entry.when]
    return (f"A person must check {', '.join(names)}: there is no condition a program can apply.",) if names else ()
