"""What every engine gives back: predictions from plain arrays, never an object of another library.

A *path* holds several fits of one engine that share most of their work (penalties of one Cox path, stages of one
boosting run): tuning scores all of them at once. A *model* is one fit. Both predict from numpy arrays alone, so the
model that was evaluated, the one that is frozen and the one that is loaded years later are the same code and numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Model(Protocol):
    """One fitted model."""

    kind: ClassVar[str]

    def risk(self, X: Floats) -> Floats:
        """(n,) predicted risk; higher is worse."""
        ...

    def survival(self, X: Floats, times: Floats) -> Floats:
        """(n, m) predicted probability of no event up to each of ``times``."""
        ...

    def parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Everything needed to rebuild the model: JSON values and arrays."""
        ...


class Path(Protocol):
    """Several fits of one engine, in the order of ``points``."""

    @property
    def points(self) -> tuple[float, ...]:
        """What tells the fits apart (relative penalty, stages...)."""
        ...

    def survival(self, X: Floats, times: Floats) -> Floats:
        """(k, n, m) predicted survival of every fit."""
        ...

    def pick(self, at: int) -> Model:
        """One of the fits."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SinglePath:
    """The path of an engine without one: a single fit."""

    model: Model

    @property
    def points(self) -> tuple[float, ...]:
        """One nameless point."""
        return (0.0,)

    def survival(self, X: Floats, times: Floats) -> Floats:
        """(1, n, m) predicted survival."""
        return self.model.survival(X, times)[None]

    def pick(self, at: int) -> Model:
        """The fit itself."""
        if at != 0:
            raise IndexError(at)
        return self.model


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """One searched setting: an integer or a real number between bounds, on a log scale where declared."""

    kind: Literal["int", "float"]
    low: float
    high: float
    log: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Training:
    """What an engine learns from: scaled features, outcome, and the settings that are not tuned.

    ``settings`` may hold ``trees`` and ``time_grid`` (see the forest).
    """

    X: Floats
    time: Floats
    event: Bools
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """How one kind of model is fitted, and what is searched.

    ``path(training, params, seed)`` fits every point; ``refit(training, params, point, seed)`` only the one at position
    ``point``, with the same result as picking it. ``final`` fits the model of an outer fold where that is another
    program for the same model (None: ``refit``). ``floor(p)`` is the smallest number of training events at which the
    engine is used with p features. ``point_name`` says what the points of the path are, empty without a path.
    """

    name: str
    label: str
    space: Mapping[str, Range]
    path: Callable[[Training, Mapping[str, float], int], Path]
    refit: Callable[[Training, Mapping[str, float], int, int], Model]
    floor: Callable[[int], int]
    final: Callable[[Training, Mapping[str, float], int, int], Model] | None = None
    point_name: str = ""


class EngineFailureError(Exception):
    """An engine could not fit these data; ``str`` of it is the reason, in words for the report."""


def step_values(at: Floats, steps: Floats, values: Floats, before: float) -> Floats:
    """Right-continuous step functions along the last axis of ``values``: the value at the last step <= t.

    ``before`` is the value to the left of the first step.
    """
    position = np.searchsorted(steps, at, side="right")
    padded = np.concatenate([np.full((*values.shape[:-1], 1), before), values], axis=-1)
    return padded[..., position]


def pick(path: Path, point: int) -> Model:
    """The fit at a tuned point, or the last one of a path that stopped before it."""
    return path.pick(min(point, len(path.points) - 1))
