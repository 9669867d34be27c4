"""Reference methods of the topic cutpoint: maximally selected rank statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from trialstrat.pipeline.reference.columns import Columns
from trialstrat.pipeline.reference.registry import Answer, reference_method, status_of
from trialstrat.stats.cutpoint import maxstat

_SEED = 20_03


@reference_method("maxstat", required="time event marker min_prop max_prop p_method", optional="draws")
def _maxstat(columns: Columns, args: Mapping[str, Any]) -> Answer:
    options = {"draws": args["draws"], "rng": np.random.default_rng(_SEED)} if "draws" in args else {}
    found = maxstat(
        *(columns.numbers(args[name]) for name in ("time", "event", "marker")),
        min_prop=args["min_prop"],
        max_prop=args["max_prop"],
        p_method=args["p_method"],
        **options,
    )
    return status_of(found) or {"statistic": found.statistic, "cutpoint": found.cutpoint, "p": found.p}
