"""Reference method of the topic cutpoint: the cut with the strongest treatment interaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trialstrat.pipeline.reference.columns import Columns
from trialstrat.pipeline.reference.registry import Answer, reference_method, status_of
from trialstrat.stats.interaction_cut import interaction_cutpoint


@reference_method("interaction_cutpoint", required="time event arm marker min_prop max_prop")
def _interaction_cutpoint(columns: Columns, args: Mapping[str, Any]) -> Answer:
    found = interaction_cutpoint(
        *(columns.numbers(args[name]) for name in ("time", "event", "arm", "marker")),
        min_prop=args["min_prop"],
        max_prop=args["max_prop"],
    )
    return status_of(found) or {
        "cutpoint": found.cutpoint,
        "statistic": found.statistic,
        "scan": {"cuts": found.cuts, "statistics": found.statistics},
    }
