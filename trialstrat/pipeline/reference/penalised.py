"""Reference method of the topic penalised: the elastic-net Cox model, judged by its objective and optimality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from trialstrat.pipeline.reference.columns import Columns
from trialstrat.pipeline.reference.registry import Answer, reference_method, status_of
from trialstrat.stats.penalised import penalised_cox


@reference_method(
    "penalised_cox",
    required="time event covariates lambda alpha standardize",
    optional="strata weights entry penalty_factor",
)
def _penalised_cox(columns: Columns, args: Mapping[str, Any]) -> Answer:
    path = penalised_cox(
        columns.numbers(args["time"]),
        columns.numbers(args["event"]),
        columns.matrix(args["covariates"]),
        lambdas=args["lambda"],
        alpha=args["alpha"],
        standardize=args["standardize"],
        penalty_factor=args.get("penalty_factor"),
        strata=columns.strata(args.get("strata")),
        weights=columns.optional(args.get("weights")),
        entry=columns.optional(args.get("entry")),
    )
    return status_of(path) or {
        "objective": path.objective,
        "kkt_violation_max": float(np.max(path.kkt_violation)),
        "coef": path.coef,
    }
