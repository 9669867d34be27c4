"""Reference methods of the topic multiplicity: adjusted p-values, closed tests, graphical procedures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from trialstrat.pipeline.reference.columns import Columns
from trialstrat.pipeline.reference.registry import Answer, reference_method
from trialstrat.stats.multiplicity import MultipleTest, closed_test, graphical, p_adjust


@reference_method("p_adjust", required="p method")
def _p_adjust(_: Columns, args: Mapping[str, Any]) -> Answer:
    return {"adjusted": p_adjust(_p_values(args), args["method"])}


@reference_method("closed_test", required="p kind alpha", optional="weights")
def _closed_test(_: Columns, args: Mapping[str, Any]) -> Answer:
    found = closed_test(_p_values(args), kind=args["kind"], alpha=args["alpha"], weights=args.get("weights"))
    return _answer(found)


@reference_method("graphical", required="p weights transitions alpha")
def _graphical(_: Columns, args: Mapping[str, Any]) -> Answer:
    found = graphical(_p_values(args), weights=args["weights"], transitions=args["transitions"], alpha=args["alpha"])
    return _answer(found)


def _p_values(args: Mapping[str, Any]) -> Any:
    return np.array([np.nan if value == "NA" else value for value in args["p"]], dtype=np.float64)


def _answer(found: MultipleTest) -> Answer:
    return {"adjusted": found.adjusted, "rejected": found.rejected.tolist()}
