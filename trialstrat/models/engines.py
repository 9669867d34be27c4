"""The engines by name, and how a frozen model of each kind is rebuilt."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from trialstrat.models.aft import AFT, WeibullModel
from trialstrat.models.base import Engine, Model
from trialstrat.models.boosting import BOOSTING
from trialstrat.models.cox import COX
from trialstrat.models.forest import FOREST, ForestModel
from trialstrat.models.hazards import HazardModel
from trialstrat.models.penalised import PENALISED

ENGINES: dict[str, Engine] = {engine.name: engine for engine in (COX, PENALISED, FOREST, BOOSTING, AFT)}
_KINDS: dict[str, Any] = {kind.kind: kind for kind in (HazardModel, ForestModel, WeibullModel)}


def rebuild(kind: str, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Model:
    """The model whose ``parts()`` these are; KeyError for a kind that does not exist."""
    return _KINDS[kind].from_parts(meta, arrays)
