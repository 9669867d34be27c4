"""The final model as files that load without executing code: one JSON and plain arrays."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from trialstrat.errors import IntegrityError
from trialstrat.features import Beside, FeatureSpec
from trialstrat.models.base import Floats, Model
from trialstrat.models.engines import rebuild

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
HEAD = "model.json"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrozenModel:
    """A fitted model with the specification of its features.

    ``name`` is ``<engine>.<feature set>``; times are in ``unit``; ``facts`` say what it was fitted on and how.
    """

    name: str
    label: str
    unit: str
    horizon: float
    spec: FeatureSpec
    model: Model
    facts: Mapping[str, str] = field(default_factory=dict)

    def risk(self, frame: pd.DataFrame, markers: pd.DataFrame | None = None, beside: Beside | None = None) -> Floats:
        """(n,) predicted risk of any patients, higher is worse; ``beside``: the genes of learned signatures."""
        return self.model.risk(self.spec.values(frame, markers, beside))

    def survival(
        self,
        frame: pd.DataFrame,
        times: Floats,
        markers: pd.DataFrame | None = None,
        beside: Beside | None = None,
    ) -> Floats:
        """(n, m) predicted probability of no event up to each of ``times`` (in ``unit``)."""
        return self.model.survival(self.spec.values(frame, markers, beside), np.asarray(times, dtype=np.float64))

    def files(self) -> dict[str, bytes]:
        """The model as named files: ``model.json`` and one ``.npy`` per array; the same model gives the same bytes."""
        meta, arrays = self.model.parts()
        head = {
            "schema": SCHEMA,
            "name": self.name,
            "label": self.label,
            "unit": self.unit,
            "horizon": self.horizon,
            "kind": self.model.kind,
            "model": meta,
            "arrays": {name: {"shape": list(array.shape), "type": str(array.dtype)} for name, array in arrays.items()},
            "features": self.spec.to_dict(),
            "facts": dict(self.facts),
        }
        files = {HEAD: (json.dumps(head, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()}
        return {**files, **{f"{name}.npy": _npy(array) for name, array in sorted(arrays.items())}}

    @classmethod
    def thaw(cls, files: Mapping[str, bytes]) -> Self:
        """Inverse of :meth:`files`.

        Raises
        ------
        IntegrityError
            A file is missing, cannot be read, or does not match what ``model.json`` says about it.
        """
        try:
            head: dict[str, Any] = json.loads(files[HEAD])
            if head["schema"] != SCHEMA:
                raise IntegrityError(f"model.json: schema {head['schema']} is not {SCHEMA}; refit or use its version")
            arrays = {name: _read(files[f"{name}.npy"]) for name in head["arrays"]}
            for name, described in head["arrays"].items():
                if list(arrays[name].shape) != described["shape"] or str(arrays[name].dtype) != described["type"]:
                    raise IntegrityError(f"model: array {name} is not what model.json describes")
            return cls(
                name=head["name"],
                label=head["label"],
                unit=head["unit"],
                horizon=head["horizon"],
                spec=FeatureSpec.from_dict(head["features"]),
                model=rebuild(head["kind"], head["model"], arrays),
                facts=head["facts"],
            )
        except (KeyError, ValueError, TypeError) as problem:
            raise IntegrityError(f"the frozen model cannot be read: {type(problem).__name__} {problem}") from problem


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def _read(data: bytes) -> np.ndarray:
    return np.load(io.BytesIO(data), allow_pickle=False)
