"""TrialPathfinder's rule files in a run: read, checked against the declared sources, applied to all patients."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trialstrat.cohort.cohort import Everyone
from trialstrat.cohort.language.linked import step_tables
from trialstrat.cohort.named_tables import OWNER, named_tables
from trialstrat.cohort.readers.locate import locate, read_payload
from trialstrat.criteria.search_study import Written
from trialstrat.criteria.trialpathfinder import parse_rules, rule_tables
from trialstrat.criteria.written import judged
from trialstrat.errors import InvalidInputError, ProtocolError
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.model import Linked, walk
from trialstrat.protocol.load import LoadedProtocol
from trialstrat.protocol.model import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFile:
    """The rules of a file, its name and the hash of its bytes."""

    name: str
    sha256: str
    rules: tuple[Criterion, ...]


def read_rules(loaded: LoadedProtocol, given: Path | None, root: Path) -> RuleFile | None:
    """The rule file of the command line, or else the protocol's; None without one.

    Raises
    ------
    TrialstratError
        The file cannot be read, or rules in it; all of them, with their lines.
    """
    declared = loaded.protocol.criteria.rules
    if given is None and declared is None:
        return None
    path = given if given is not None else locate(str(declared), root)
    payload = read_payload(path, path.name)
    try:
        text = payload.data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise InvalidInputError(f"{path.name}: not UTF-8 at byte {fault.start}; save the file as UTF-8") from None
    rules = parse_rules(text, path.name)
    _distinct(loaded.protocol, rules, path.name)
    return RuleFile(name=path.name, sha256=hashlib.sha256(payload.data).hexdigest(), rules=rules)


def _distinct(protocol: Protocol, rules: tuple[Criterion, ...], name: str) -> None:
    written = {criterion.id for criterion in protocol.eligibility}
    twice = [rule.id for rule in rules if rule.id in written]
    if twice:
        raise InvalidInputError(f"{name}: also criteria of the protocol: {', '.join(twice)}; rename one of the two")
    known = written | {rule.id for rule in rules}
    plan = protocol.criteria
    named = [*plan.search.fixed, *plan.costs, *(assay.criterion for assay in plan.assays)]
    unknown = sorted({entry for entry in named if entry not in known})
    if unknown:
        raise ProtocolError(f"criteria: names no criterion and no rule of {name}: {', '.join(unknown)}")


def with_rules(loaded: LoadedProtocol, file: RuleFile | None) -> LoadedProtocol:
    """The protocol knows that there are rules, wherever they were named."""
    if file is None or loaded.protocol.criteria.rules is not None:
        return loaded
    plan = loaded.protocol.criteria.model_copy(update={"rules": file.name})
    return replace(loaded, protocol=loaded.protocol.model_copy(update={"criteria": plan}))


def apply_rules(loaded: LoadedProtocol, file: RuleFile, everyone: Everyone, root: Path) -> tuple[Written, ...]:
    """Every rule applied to all patients.

    Raises
    ------
    TrialstratError
        A table without a source, an unknown column, text where numbers are needed.
    """
    names = [name for rule in file.rules for name in _tables(rule)]
    frames = named_tables(loaded.protocol, root, list(dict.fromkeys(names)))
    tables = rule_tables(file.rules, frames, list(everyone.cohort.frame.index), identifier=OWNER)

    def judge(criterion: Any):
        try:
            return judged(criterion, tables)
        except InvalidInputError as fault:
            raise InvalidInputError(f"{file.name}: rule {criterion.id}: {fault}") from None

    return tuple(Written(criterion=rule, judged=judge(rule), judge=judge) for rule in file.rules)


def _tables(rule: Criterion) -> list[str]:
    linked = [part for node in rule.when for part in walk(node) if isinstance(part, Linked)]
    return [name for node in linked for step in node.linked for name in step_tables(step)]
