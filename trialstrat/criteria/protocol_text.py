"""Criteria as sections 5.2 and 5.3 of a protocol, one per row, and back.

References
----------
ICH M11 Clinical electronic Structured Harmonised Protocol (2025), sections 5.2 (Inclusion Criteria) and 5.3 (Exclusion
Criteria): each criterion with its own identifier.
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError

from trialstrat.errors import InvalidInputError
from trialstrat.protocol.language.criterion import CriteriaSet, Criterion
from trialstrat.protocol.language.grammar import parse
from trialstrat.protocol.language.text import write_all

_SECTIONS = {"inclusion": "## 5.2 Inclusion Criteria", "exclusion": "## 5.3 Exclusion Criteria"}
_LEADS = {
    "inclusion": "An individual must meet all of the following inclusion criteria to be eligible to participate.",
    "exclusion": "An individual who meets any of the following exclusion criteria is not eligible to participate.",
}
_HEAD = "| No. | Id | Criterion | Condition | When a value is missing |"
_RULE = "|---|---|---|---|---|"
_ESCAPE = re.compile(r"\\(.)")
_SIGNS = {"n": "\n", "r": "\r"}


def to_protocol_text(criteria: CriteriaSet) -> str:
    """Both sections in Markdown; the number keeps the order across them, the condition is the one-line text."""
    out = [f"# {_escaped(criteria.title)}", "", f"Study: {_escaped(criteria.study)}", ""]
    for kind, head in _SECTIONS.items():
        out += [head, "", _LEADS[kind], "", _HEAD, _RULE]
        for at, entry in enumerate(criteria.criteria, start=1):
            if entry.kind == kind:
                cells = (str(at), entry.id, entry.text, write_all(entry.when), entry.missing)
                out.append("| " + " | ".join(_escaped(cell) for cell in cells) + " |")
        out.append("")
    return "\n".join(out)


def from_protocol_text(text: str, source: str = "protocol text") -> CriteriaSet:
    """Inverse of :func:`to_protocol_text`.

    Raises
    ------
    InvalidInputError
        All rows that cannot be read, each with its line and what was expected there.
    """
    rows: list[tuple[int, Criterion]] = []
    faults: list[str] = []
    kind, title, study = "", "", ""
    for at, line in enumerate(text.split("\n"), start=1):
        kind = next((name for name, head in _SECTIONS.items() if line.strip() == head), kind)
        if line.startswith("# "):
            title = _plain(line[2:].strip())
        elif line.startswith("Study:") and not kind:
            study = _plain(line.removeprefix("Study:").strip())
        elif line.startswith("|") and line.strip() not in (_HEAD, _RULE):
            try:
                rows.append(_row(line.strip(), kind))
            except InvalidInputError as error:
                faults.append(f"{source}:{at}: {error}")
    if faults:
        raise InvalidInputError(*faults)
    rows.sort(key=lambda row: row[0])
    try:
        return CriteriaSet(study=study, title=title, criteria=tuple(entry for _, entry in rows))
    except ValidationError as error:
        raise InvalidInputError(f"{source}: {error.errors()[0]['msg']}") from None


def _row(line: str, kind: str) -> tuple[int, Criterion]:
    cells = _cells(line)
    if not kind or len(cells) != 5:
        raise InvalidInputError(
            f"a criterion is a row of five cells below a heading 5.2 or 5.3; this one has {len(cells)}"
        )
    number, identifier, sentence, condition, missing = cells
    if not number.isdigit():
        raise InvalidInputError("the first cell is the criterion's number")
    fields: dict[str, Any] = {"id": identifier, "kind": kind, "text": sentence, "missing": missing}
    try:
        return int(number), Criterion(**fields, when=parse(condition) if condition else ())
    except ValidationError as error:
        fault = error.errors()[0]
        raise InvalidInputError(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}") from None


def _cells(line: str) -> list[str]:
    out, current, escaped = [], "", False
    for sign in line[1:]:
        if sign == "|" and not escaped:
            out.append(_plain(current.strip()))
            current = ""
        else:
            current += sign
        escaped = sign == "\\" and not escaped
    return out


def _escaped(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("\n", "\\n").replace("\r", "\\r")


def _plain(cell: str) -> str:
    return _ESCAPE.sub(lambda found: _SIGNS.get(found.group(1), found.group(1)), cell)
