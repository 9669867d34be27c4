"""From a declared path to bytes in memory: inside the data folder only, plain files only, bounded, hashed once."""

from __future__ import annotations

import hashlib
import io
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from trialstrat.cohort.readers.table import Payload
from trialstrat.cohort.rules import RefusedError, finding

MOST_BYTES = 1 << 30
#: Unpacked data may be this many times their size on disk once they are larger than ``FREE_BYTES``.
MOST_EXPANSION = 60
FREE_BYTES = 32 << 20
_CHUNK = 1 << 20
_REFUSED_START = ("~", "/", "\\")


def locate(declared: str, root: Path) -> Path:
    """The file a protocol names, which must lie inside ``root``.

    Raises
    ------
    RefusedError
        For absolute paths, ``..``, ``~``, variables, control characters, and links that lead outside.
    """
    parts = declared.replace("\\", "/").split("/")
    odd = any(ord(char) < 32 for char in declared)
    if odd or declared.startswith(_REFUSED_START) or ".." in parts or "$" in declared or ":" in parts[0]:
        raise RefusedError(finding("E-FILE-PATH", source=declared))
    path = root / declared
    try:
        inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError, ValueError) as fault:
        raise RefusedError(finding("E-FILE-READ", source=declared, detail=type(fault).__name__)) from None
    if not inside:
        raise RefusedError(finding("E-FILE-PATH", source=declared, detail="it leads outside the data folder"))
    return path


def is_folder(path: Path) -> bool:
    """Whether a path is a folder; one that cannot be looked at is none, and is refused when it is read."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def read_payload(path: Path, name: str) -> Payload:
    """Read a file once, hash what was read and unpack gzip, zip and zstandard by content.

    Raises
    ------
    RefusedError
        When it is missing, no plain file, too large, damaged, changing, or a decompression bomb.
    """
    data = _read(path, name)
    digest = hashlib.sha256(data).hexdigest()
    return Payload(name=name, data=_unpacked(data, name), sha256=digest)


def _read(path: Path, name: str) -> bytes:
    try:
        before = path.stat()
        if not stat.S_ISREG(before.st_mode):
            raise RefusedError(finding("E-FILE-KIND", source=name))
        if before.st_size > MOST_BYTES:
            raise RefusedError(finding("E-FILE-SIZE", source=name, detail=f"{before.st_size} bytes"))
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
        after = path.stat()
    except FileNotFoundError:
        raise RefusedError(finding("E-FILE-MISSING", source=name)) from None
    except (OSError, ValueError) as fault:
        detail = getattr(fault, "strerror", None) or "not a usable path"
        raise RefusedError(finding("E-FILE-READ", source=name, detail=detail)) from None
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(data) != after.st_size:
        raise RefusedError(finding("E-FILE-CHANGED", source=name))
    return data


def _unpacked(data: bytes, name: str) -> bytes:
    """The content of a compressed file; Excel workbooks are zip archives too and are left alone."""
    if data[:2] == b"\x1f\x8b":
        return _gunzip(data, name)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        stream = pa.CompressedInputStream(pa.BufferReader(data), "zstd")
        return _bounded(lambda: bytes(stream.read(_CHUNK)), len(data), name)
    if data[:4] == b"PK\x03\x04":
        return _unzip(data, name)
    return data


def _gunzip(data: bytes, name: str) -> bytes:
    engine = zlib.decompressobj(wbits=31)
    rest = [data]

    def step() -> bytes:
        out = engine.decompress(rest[0], _CHUNK)
        rest[0] = engine.unconsumed_tail
        return out

    out = _bounded(step, len(data), name)
    if not engine.eof:
        raise RefusedError(finding("E-FILE-DAMAGED", source=name, detail="the compressed data end too early"))
    return out


def _unzip(data: bytes, name: str) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [entry for entry in archive.infolist() if not entry.is_dir()]
            if any(entry.filename == "[Content_Types].xml" for entry in members):
                _limit(sum(entry.file_size for entry in members), len(data), name)
                return data
            names = ", ".join(entry.filename for entry in members[:5])
            plain = all(".." not in entry.filename and not entry.filename.startswith("/") for entry in members)
            if len(members) != 1 or not plain:
                raise RefusedError(finding("E-FILE-MEMBERS", source=name, detail=names or "none found"))
            with archive.open(members[0]) as stream:
                return _bounded(lambda: stream.read(_CHUNK), len(data), name)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as fault:
        raise RefusedError(finding("E-FILE-DAMAGED", source=name, detail=str(fault))) from None


def _bounded(step: Callable[[], bytes], packed: int, name: str) -> bytes:
    """Unpack piece by piece, giving up as soon as the size is out of proportion."""
    pieces: list[bytes] = []
    size = 0
    try:
        while piece := step():
            pieces.append(piece)
            size += len(piece)
            _limit(size, packed, name)
    except (zlib.error, OSError, EOFError, zipfile.BadZipFile) as fault:
        raise RefusedError(finding("E-FILE-DAMAGED", source=name, detail=str(fault)[:80])) from None
    return b"".join(pieces)


def _limit(size: int, packed: int, name: str) -> None:
    if size > MOST_BYTES or (size > FREE_BYTES and size > MOST_EXPANSION * packed):
        detail = f"{packed} bytes on disk, more than {size} unpacked"
        raise RefusedError(finding("E-FILE-BOMB", source=name, detail=detail))
