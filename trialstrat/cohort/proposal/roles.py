"""What each column of the patients seems to be: arm, covariate, marker, or nothing that a model may use."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import rankdata

from trialstrat.cohort.proposal.endpoints import TIMES, EndpointGuess, eventlike, timelike
from trialstrat.cohort.proposal.facts import MOST_LEVELS, Facts
from trialstrat.cohort.validate import leak

Role = Literal["continuous", "categorical", "left out"]

_ARM_NAMES = (
    "trt01p", "trt01a", "actarm", "arm", "arms", "rx", "tx", "trt", "treat", "treatment", "horth", "hormon",
    "randomised", "randomized", "therapy", "studienarm", "behandlung", "therapie", "group", "dose", "drug",
)  # fmt: skip
#: Names of arms that are names of much else too: not an arm where some patients have none.
_ARM_PERHAPS = {"group", "dose", "drug", "therapy"}
#: Other names of the arm where one was found.
_ARM_TWINS = {*_ARM_NAMES, "trtp", "trta", "trt02p", "trt02a", "armcd", "actarmcd"} - _ARM_PERHAPS
_SITE = re.compile(r"(site|invest|invid|centre|center|country)\w*", re.IGNORECASE)
_CONTROL = re.compile(r"^(placebo|control|ctrl|no|none|obs\w*|standard\w*|soc|0|0\.0|false|p)$", re.IGNORECASE)
_MOST_ARMS = 6
#: Words of names that stand for a measured marker.
_MARKERS = {
    "tmb", "btmb", "msi", "pdl1", "pd", "her2", "erbb2", "er", "pr", "pgr", "esr1", "estrec", "progrec", "ki67",
    "mki67", "egfr", "kras", "nras", "braf", "tp53", "brca1", "brca2", "pten", "pik3ca", "flt3", "npm1", "dnmt3a",
    "idh1", "idh2", "mutation", "mutations", "expression", "genotype", "genotypes", "cd4", "cd8", "cd40",
    "cd80", "mspike", "psa", "crp", "ldh", "nlr", "pam50", "hla", "hed", "vkorc1", "cyp2c9", "oncotype", "ca125",
}  # fmt: skip
#: A gene symbol, in a table whose other names are not all in capitals.
_GENE = re.compile(r"[A-Z]{2,}[A-Z0-9-]*\d[A-Z0-9]*")
_IDS = {"id", "ids", "barcode", "subjid", "usubjid", "patient", "pid", "sample", "title", "name", "mrn"}
_LATER = {"off", "offtrt", "postbaseline", "discontinued", "followup", "wk", "week", "response", "orr", "recist"}
#: Columns of ADSL that hold what happened after the start, and numeric twins of its texts.
_ADSL_LATER = re.compile(r"(DC|DISC|COMP\d|TRTDUR|CUMDOSE|AVGDD|EOS|DTH|VISNUM|LSTALV|RFEND|TRTE|RFX).*")
_AFTER = re.compile(r"(?:os|pfs|dfs|rfs)\d", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """What one column seems to be, and why."""

    column: str
    role: Role
    evidence: str
    levels: tuple[str, ...] = ()
    label: str = ""
    marker: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmGuess:
    """The column of the arms; ``control`` is None where no level names itself one."""

    column: str
    levels: tuple[str, ...]
    control: str | None
    evidence: str
    missing: int = 0


def arm_column(columns: Sequence[Facts]) -> ArmGuess | None:
    """The column that is named most like an arm, with two to six levels."""
    found: list[tuple[int, Facts]] = []
    for facts in columns:
        name = re.sub(r"[^a-z0-9]", "", facts.name.lower())
        sure = name not in _ARM_PERHAPS or not facts.missing.any()
        if name in _ARM_NAMES and sure and 2 <= len(facts.levels) <= _MOST_ARMS:
            found.append((_ARM_NAMES.index(name), facts))
    if not found:
        return None
    facts = min(found, key=lambda entry: entry[0])[1]
    controls = [level for level in facts.levels if _CONTROL.match(level)]
    return ArmGuess(
        column=facts.name,
        levels=facts.levels,
        control=controls[0] if len(controls) == 1 else None,
        evidence=f"named like an arm: {facts.held()}",
        missing=int(facts.missing.sum()),
    )


def guess_role(
    facts: Facts,
    others: Sequence[Facts],
    arm: Facts | None,
    outcomes: Sequence[tuple[EndpointGuess, Facts, Facts]],
    *,
    compared: bool = False,
) -> Guess:
    """The role of a column that is no id, arm or outcome.

    ``others`` are all columns of its table, ``arm`` that of the arms where it stands in the same table; ``compared``:
    there are arms at all.
    """
    reason = _unusable(facts, others) or _late(facts, others) or _tells(facts, compared, arm, outcomes)
    if reason:
        return Guess(column=facts.name, role="left out", evidence=reason, label=facts.label)
    mixed = any(not other.name.isupper() for other in others)
    marker = bool(set(facts.words) & _MARKERS) or (mixed and _GENE.fullmatch(facts.name) is not None)
    few = len(facts.levels) <= MOST_LEVELS
    known = facts.values[np.isfinite(facts.values)]
    measured = facts.numeric and len(known) > 0
    spread = measured and (not facts.whole or float(np.ptp(known)) > MOST_LEVELS)
    if measured and len(np.unique(known)) > 2 and (not few or spread):
        evidence = f"numbers, {len(np.unique(known))} distinct"
        return Guess(
            column=facts.name, role="continuous", evidence=evidence + _gaps(facts), label=facts.label, marker=marker
        )
    if few:
        levels = () if facts.spelled_twice else tuple(level for level in facts.levels if level not in facts.codes)
        evidence = f"{len(facts.levels)} levels{', some of them spelled in two ways' if not levels else ''}"
        return Guess(
            column=facts.name,
            role="categorical",
            evidence=evidence + _gaps(facts),
            levels=levels,
            label=facts.label,
            marker=marker,
        )
    return Guess(column=facts.name, role="left out", evidence=f"text with {len(facts.levels)} distinct values")


def _gaps(facts: Facts) -> str:
    return f", {facts.share_missing:.0%} missing" if facts.unknown.any() else ""


def _unusable(facts: Facts, others: Sequence[Facts]) -> str:
    """Why a column carries nothing for a model, or must not be in one."""
    rows = len(facts.missing)
    twin = next((other for other in others if f"{other.name}N" == facts.name), None)
    if twin is not None and facts.numeric and facts.told_by(twin):
        return f"the numbers of {twin.name}"
    if len(facts.levels) <= 1:
        return "one value only" if facts.levels else "no value"
    if facts.dates:
        return "dates: only times from time zero are used"
    if set(facts.words) & _IDS and len(facts.levels) > 0.9 * rows:
        return "an identifier"
    if facts.calendar:
        return "calendar years"
    if _SITE.fullmatch(facts.words[0] if facts.words else ""):
        return "a site: models.group_by keeps sites together in the folds"
    if facts.share_missing > 0.5:
        return f"{facts.share_missing:.0%} missing, above the limit of 50%"
    return ""


def _late(facts: Facts, others: Sequence[Facts]) -> str:
    """Why a column seems to be known only after time zero."""
    if eventlike(facts) == 2 or (timelike(facts) == 2 and set(facts.words) & TIMES) or _AFTER.match(facts.name):
        return "named like another outcome: known only after time zero?"
    capitals = all(other.name.upper() == other.name for other in others)
    if capitals and _ADSL_LATER.fullmatch(facts.name):
        return "of ADSL: known only after time zero?"
    if set(facts.words) & _LATER:
        return "named like something that happened after time zero?"
    series = re.fullmatch(r"(.*?)(\d+)", facts.name)
    names = {other.name for other in others}
    for cut in range(1, len(series[2]) + 1) if series else ():
        stem, week = facts.name[:-cut], facts.name[-cut:]
        if int(week) > 0 and week[0] != "0" and f"{stem}0" in names:
            return f"named like {stem}0 at a later time ({week})?"
    return ""


def _tells(
    facts: Facts, compared: bool, arm: Facts | None, outcomes: Sequence[tuple[EndpointGuess, Facts, Facts]]
) -> str:
    """Why a column repeats the arm or gives an outcome away."""
    if compared and re.sub(r"[^a-z0-9]", "", facts.name.lower()) in _ARM_TWINS:
        return "named like the arm"
    few = len(facts.levels) <= MOST_LEVELS
    if arm is not None and few and facts.told_by(arm):
        return f"told by {arm.name}"
    for _, time, event in outcomes:
        common = max(event.counts.values(), default=0) / max(1, sum(event.counts.values()))
        if few and common < 0.95 and event.told_by(facts):
            return f"gives {event.name} away"
        both = np.isfinite(time.values) & np.isfinite(facts.values) & ~event.unknown
        if not facts.numeric or not both.any():
            continue
        ranks, target = rankdata(facts.values[both]), rankdata(time.values[both])
        if detail := leak(ranks, target, event.text[both] == event.levels[0]):
            return f"gives the outcome away: {detail}"
    return ""
