"""AnnData files (.h5ad): the matrix X with its samples (obs) and genes (var), dense or sparse, through h5py alone.

References
----------
Virshup I, et al. anndata: Access and store annotated data matrices. J Open Source Softw 2024;9:4371 (on-disk format:
encoding-type, ``_index``, csr_matrix and csc_matrix groups).
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.readers.beside import Beside, of_columns
from trialstrat.cohort.readers.expression import Expression, Kind, checked_expression
from trialstrat.cohort.readers.table import MOST_CELLS, Payload, RawTable, checked_names, number_text, text_frame
from trialstrat.cohort.rules import RefusedError, finding

_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def is_hdf5(data: bytes) -> bool:
    """Whether the bytes start as an HDF5 file."""
    return data.startswith(_SIGNATURE)


def read_h5ad(payload: Payload, kind: Kind = "other") -> Expression:
    """The matrix ``X`` (samples, genes) with the names of both.

    Raises
    ------
    RefusedError
        When the package h5py is absent, the file is damaged or no AnnData, too large, or holds impossible values.
    """
    try:
        import h5py
    except ModuleNotFoundError:
        raise RefusedError(finding("E-FORMAT-EXTRA", source=payload.name, detail="h5py, extra 'omics'")) from None
    try:
        with h5py.File(io.BytesIO(payload.data), "r") as file:
            if not {"X", "obs", "var"} <= set(file):
                detail = "an HDF5 file without X, obs and var: no AnnData"
                raise RefusedError(finding("E-FILE-FORMAT", source=payload.name, detail=detail))
            samples, genes = _names(file["obs"]), _names(file["var"])
            if len(samples) * len(genes) > MOST_CELLS:
                detail = f"{len(samples)} samples x {len(genes)} genes"
                raise RefusedError(finding("E-FILE-SIZE", source=payload.name, detail=detail))
            values = _matrix(file["X"], (len(samples), len(genes)))
            beside = _beside(file, len(samples))
    except (OSError, KeyError, ValueError, RuntimeError, TypeError, IndexError) as fault:
        raise RefusedError(finding("E-FILE-DAMAGED", source=payload.name, detail=str(fault)[:80])) from None
    if values.shape != (len(samples), len(genes)):
        detail = f"X is {values.shape[0]} x {values.shape[1]}, obs and var are {len(samples)} and {len(genes)}"
        raise RefusedError(finding("E-FILE-DAMAGED", source=payload.name, detail=detail))
    return checked_expression(values, samples, genes, payload, kind=kind, format_="AnnData", beside=beside)


def read_obs(payload: Payload) -> RawTable:
    """What the file knows of its samples (``obs``) as a table, the names of the samples in the first column.

    Raises
    ------
    RefusedError
        When the package h5py is absent, or the file is damaged or no AnnData.
    """
    try:
        import h5py
    except ModuleNotFoundError:
        raise RefusedError(finding("E-FORMAT-EXTRA", source=payload.name, detail="h5py, extra 'omics'")) from None
    try:
        with h5py.File(io.BytesIO(payload.data), "r") as file:
            if "obs" not in file:
                detail = "an HDF5 file without X, obs and var: no AnnData"
                raise RefusedError(finding("E-FILE-FORMAT", source=payload.name, detail=detail))
            group: Any = file["obs"]
            names = _names(group)
            index = str(group.attrs.get("_index", "_index"))
            columns = {"sample" if index == "_index" else index: names}
            for name in (str(entry) for entry in group if entry != index):
                cells = _texts(group[name])
                if cells is not None and len(cells) == len(names):
                    columns[name] = cells
    except (OSError, KeyError, ValueError, RuntimeError, TypeError, IndexError) as fault:
        raise RefusedError(finding("E-FILE-DAMAGED", source=payload.name, detail=str(fault)[:80])) from None
    file_name = f"{payload.name}:obs"
    if not names:
        raise RefusedError(finding("E-ROWS-NONE", source=file_name, detail="0 rows"))
    return RawTable(
        frame=text_frame(checked_names(list(columns), file_name), list(columns.values())),
        file=file_name,
        lines=np.arange(1, len(names) + 1, dtype=np.int64),
        sha256=payload.sha256,
        format="h5ad",
        findings=(finding("I-FILE-FORMAT", source=file_name, detail="AnnData, obs; lines are sample numbers"),),
    )


def _beside(file: Any, samples: int) -> Beside:
    """Texts about the samples (``obs``) and about the whole (``uns``)."""
    columns = {str(name): cells for name in file["obs"] if (cells := _texts(file["obs"][name])) is not None}
    columns = {name: cells for name, cells in columns.items() if len(cells) == samples}
    said = [_texts(file["uns"][name]) for name in file.get("uns", ())]
    frame, lines = of_columns(columns, np.arange(1, samples + 1, dtype=np.int64))
    return Beside(
        comments=tuple(enumerate((text for cells in said for text in cells or ()), start=1)),
        frame=frame,
        lines=lines,
        id_column=str(file["obs"].attrs.get("_index", "_index")),
    )


def _texts(node: Any) -> list[str] | None:
    """The texts of a data set, one for each sample of a categorical; None for anything deeper."""
    import h5py

    if isinstance(node, h5py.Group):
        if not {"categories", "codes"} <= set(node):
            return None
        parts: Any = node
        names = _texts(parts["categories"]) or []
        return ["" if code < 0 else names[code] for code in parts["codes"][()]]
    cells = np.atleast_1d(node[()])
    if cells.ndim != 1 or cells.dtype.names is not None:
        return None
    if cells.dtype.kind == "f":
        return [number_text(cell) or "" for cell in cells]
    return [cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell) for cell in cells]


def _names(group: Any) -> list[str]:
    index = group.attrs.get("_index", "_index")
    return [cell.decode("utf-8") if isinstance(cell, bytes) else str(cell) for cell in group[index][()]]


def _matrix(node: Any, shape: tuple[int, int]) -> NDArray[np.float64]:
    kind = node.attrs.get("encoding-type", "")
    if kind not in ("csr_matrix", "csc_matrix"):
        return np.asarray(node[()], dtype=np.float64)
    data = np.asarray(node["data"][()], dtype=np.float64)
    at, starts = np.asarray(node["indices"][()], dtype=np.int64), np.asarray(node["indptr"][()], dtype=np.int64)
    out = np.zeros(shape)
    major = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    if kind == "csr_matrix":
        out[major, at] = data
    else:
        out[at, major] = data
    return out
