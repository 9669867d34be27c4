"""The gate between a run and runs that were given out before: their difference must not show single patients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trialstrat import store
from trialstrat.disclosure.differences import small_differences
from trialstrat.errors import DisclosureError
from trialstrat.results import Finding, StageResult

#: Places that a message names.
_NAMED = 3


def compared(
    against: Sequence[Path], stages: Iterable[StageResult], study: Mapping[str, Any], minimum: int, *, release: bool
) -> tuple[Finding, ...]:
    """A warning for every earlier run whose counts differ by fewer than ``minimum`` from these.

    Runs of another study (another id and no file in common) are other patients, and are only noted.

    Raises
    ------
    DisclosureError
        Under ``release``, when there is such a run. Nothing has been written.
    IntegrityError, OutputError
        An earlier run was changed, or is none.
    """
    own = list(stages)
    found: list[Finding] = []
    for folder in against:
        stored = store.read_run(folder)
        if not _same_patients(study, stored.study):
            message = f"{folder.name}: another study; its counts are not compared"
            found.append(Finding(code="I-RELEASE-OTHER", severity="note", message=message))
            continue
        # the stricter of the two declarations: what one of them hides must stay hidden
        least = max(minimum, int(stored.study.get("minimum_cell") or minimum))
        places = small_differences(own, list(stored.stages.values()), least)
        if places:
            named = ", ".join(places[:_NAMED]) + (f" and {len(places) - _NAMED} more" if len(places) > _NAMED else "")
            message = f"counts differ by 1 to {least - 1} from those of {folder.name}: {named}"
            remedy = "Give out one of the two, or wait until more patients are in between."
            found.append(Finding(code="W-RELEASE-DIFFERENCE", severity="warning", message=message, remedy=remedy))
    close = [entry.text() for entry in found if entry.severity == "warning"]
    if release and close:
        raise DisclosureError(*(f"{text} Nothing written." for text in close))
    return tuple(found)


def _same_patients(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    files = [set(study["provenance"]["data_sha256"].values()) for study in (ours, theirs)]
    return ours["id"] == theirs["id"] or bool(files[0] & files[1])
