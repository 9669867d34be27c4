"""The hash of an analysis table: the same content gives the same hash, whatever file or row order it came from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.cohort import Outcome


def data_hash(
    frame: pd.DataFrame,
    markers: pd.DataFrame,
    arm: NDArray[np.object_] | None,
    strata: NDArray[np.object_] | None,
    outcomes: Mapping[str, Outcome],
) -> str:
    """SHA-256 over ids, typed columns (sorted by name), arms, strata and outcomes of rows sorted by id."""
    digest = hashlib.sha256(b"trialstrat cohort 1")
    _add_texts(digest, "id", frame.index.to_numpy(dtype=object))
    for kind, table in (("covariate", frame), ("marker", markers)):
        for name in sorted(table.columns):
            values = table[name]
            if isinstance(values.dtype, pd.CategoricalDtype):
                _add_texts(digest, f"{kind} {name}", values.astype(object).to_numpy(dtype=object))
            else:
                _add_numbers(digest, f"{kind} {name}", values.to_numpy(dtype=np.float64))
    for name, labels in (("arm", arm), ("strata", strata)):
        if labels is not None:
            _add_texts(digest, name, labels)
    for name in sorted(outcomes):
        outcome = outcomes[name]
        for part in ("time", "event", "entry", "value"):
            values = getattr(outcome, part)
            if values is not None:
                _add_numbers(digest, f"{name} {part}", np.asarray(values, dtype=np.float64))
    return digest.hexdigest()


def _add_texts(digest: hashlib._Hash, name: str, values: NDArray[np.object_]) -> None:
    """Length before content, so that no two tables can run together."""
    digest.update(f"\n{len(name)}:{name}:{len(values)}\n".encode())
    for value in values:
        text = b"" if value is None or value != value else str(value).encode()
        digest.update(b"-" if value is None or value != value else f"{len(text)}:".encode() + text)


def _add_numbers(digest: hashlib._Hash, name: str, values: NDArray[np.float64]) -> None:
    """One bit pattern for every nan and for both zeros."""
    digest.update(f"\n{len(name)}:{name}:{len(values)}\n".encode())
    canonical = np.where(np.isnan(values), np.nan, values + 0.0)
    digest.update(np.ascontiguousarray(canonical, dtype="<f8").tobytes())
