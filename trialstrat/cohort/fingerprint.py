"""The hash of an analysis table: the same content gives the same hash, whatever file or row order it came from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.cohort import Outcome
from trialstrat.cohort.columns import column

#: Markers that are hashed at a time.
_TOGETHER = 256


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
    for name in sorted(frame.columns):
        values = column(frame, str(name))
        if isinstance(values.dtype, pd.CategoricalDtype):
            _add_levels(digest, f"covariate {name}", values)
        else:
            _add_numbers(digest, f"covariate {name}", values.to_numpy(dtype=np.float64))
    _add_markers(digest, markers)
    for name, labels in (("arm", arm), ("strata", strata)):
        if labels is not None:
            _add_levels(digest, name, pd.Series(pd.Categorical(labels)))
    for name in sorted(outcomes):
        outcome = outcomes[name]
        for part in ("time", "event", "entry", "value"):
            values = getattr(outcome, part)
            if values is not None:
                _add_numbers(digest, f"{name} {part}", np.asarray(values, dtype=np.float64))
    return digest.hexdigest()


def _add_texts(digest: hashlib._Hash, name: str, values: NDArray[np.object_]) -> None:
    """Lengths beside content, so that no two tables can run together; -1 is the length of a missing value."""
    digest.update(f"\n{len(name)}:{name}:{len(values)}\n".encode())
    missing = pd.isna(values)
    texts = ["" if absent else str(value) for value, absent in zip(values, missing, strict=True)]
    lengths = np.fromiter(map(len, texts), dtype="<i8", count=len(texts))
    lengths[missing] = -1
    digest.update(lengths.tobytes())
    digest.update("".join(texts).encode())


def _add_levels(digest: hashlib._Hash, name: str, values: pd.Series) -> None:
    """Codes into the sorted levels that occur: declared levels that nobody has do not count."""
    used = values.cat.remove_unused_categories()
    names = sorted(str(level) for level in used.cat.categories)
    place = {level: at for at, level in enumerate(names)}
    codes = np.array([*(place[str(level)] for level in used.cat.categories), -1], dtype="<i8")[
        used.cat.codes.to_numpy()
    ]
    _add_texts(digest, name, np.array(names, dtype=object))
    digest.update(codes.tobytes())


def _add_markers(digest: hashlib._Hash, markers: pd.DataFrame) -> None:
    """Every marker as `_add_numbers` adds it, a few hundred at a time: the table is not copied."""
    values = markers.to_numpy(dtype=np.float64)
    names = [str(name) for name in markers.columns]
    order = sorted(range(len(names)), key=names.__getitem__)
    for start in range(0, len(order), _TOGETHER):
        some = order[start : start + _TOGETHER]
        block = np.ascontiguousarray(values[:, some].T, dtype="<f8")
        block += 0.0
        block[np.isnan(block)] = np.nan
        for at, row in zip(some, block, strict=True):
            name = f"marker {names[at]}"
            digest.update(f"\n{len(name)}:{name}:{len(row)}\n".encode())
            digest.update(row)


def _add_numbers(digest: hashlib._Hash, name: str, values: NDArray[np.float64]) -> None:
    """One bit pattern for every nan and for both zeros."""
    digest.update(f"\n{len(name)}:{name}:{len(values)}\n".encode())
    canonical = np.where(np.isnan(values), np.nan, values + 0.0)
    digest.update(np.ascontiguousarray(canonical, dtype="<f8").tobytes())
