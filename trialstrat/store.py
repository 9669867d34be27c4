"""Writes and reads run folders. A folder is complete or absent: it is built beside its place and renamed into it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import shutil
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trialstrat.errors import IntegrityError, OutputError
from trialstrat.results import Cell, Finding, StageResult, Table

SCHEMA = 1
MANIFEST = "manifest.json"
RESULTS = "results.json"
CRITERIA = "criteria.yaml"
REPORT = "report.html"
#: Leading characters that a spreadsheet would run as a formula (OWASP ASVS 1.2.10).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """What a run folder holds: the study's declaration, every stage's result, and the manifest."""

    study: Mapping[str, Any]
    stages: Mapping[str, StageResult]
    manifest: Mapping[str, Any]


def sha256_bytes(data: bytes) -> str:
    """SHA-256 of bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def json_text(value: Any) -> str:
    """Canonical JSON: sorted by construction, two-space indent, no nan, a newline at the end."""
    return json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def results_text(study: Mapping[str, Any], stages: Sequence[StageResult]) -> str:
    """The text of ``results.json``: flat lists for machines, and ``stages`` to rebuild the report from."""
    findings: list[dict[str, Any]] = []
    index: dict[str, Any] = {}
    for stage in stages:
        own = [finding.to_dict() for finding in stage.findings]
        index[stage.stage] = {
            "estimates": [estimate.name for estimate in stage.estimates],
            "tables": [table.name for table in stage.tables],
            "findings": list(range(len(findings), len(findings) + len(own))),
            "facts": dict(stage.facts),
            "provenance": stage.provenance.to_dict(),
        }
        findings.extend(own)
    body = {
        "schema": SCHEMA,
        "study": dict(study),
        "estimates": [estimate.to_dict() for stage in stages for estimate in stage.estimates],
        "tables": {table.name: table.to_dict() for stage in stages for table in stage.tables},
        "findings": findings,
        "stages": index,
    }
    return json_text(body)


def parse_results(text: str, source: str) -> tuple[dict[str, Any], dict[str, StageResult]]:
    """Inverse of :func:`results_text`: the study and its stages by name."""
    try:
        body = json.loads(text)
        if body["schema"] != SCHEMA:
            raise IntegrityError(f"{source}: schema {body['schema']}, this version reads {SCHEMA}. Rebuild the run.")
        estimates = {entry["id"]: entry for entry in body["estimates"]}
        stages = {
            name: StageResult.from_dict(
                {
                    "stage": name,
                    "estimates": [estimates[key] for key in entry["estimates"]],
                    "tables": [body["tables"][key] for key in entry["tables"]],
                    "findings": [body["findings"][at] for at in entry["findings"]],
                    "facts": entry["facts"],
                    "provenance": entry["provenance"],
                }
            )
            for name, entry in body["stages"].items()
        }
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise IntegrityError(f"{source}: not a results file of trialstrat ({type(error).__name__})") from error
    return body["study"], stages


def csv_text(table: Table) -> str:
    """A table as CSV with the column keys as heads; cells that a spreadsheet would run are defused."""
    return rows_to_csv([column.key for column in table.columns], table.rows)


def rows_to_csv(head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Rows as CSV (RFC 4180, LF). Missing cells are empty; text that starts like a formula gets a leading quote."""
    import csv

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_safe_cell(cell) for cell in head])
    writer.writerows([[_safe_cell(cell) for cell in row] for row in rows])
    return out.getvalue()


def _safe_cell(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return repr(cell)
    text = str(cell)
    return f"'{text}" if isinstance(cell, str) and text.startswith(FORMULA_STARTS) else text


def yaml_text(value: Mapping[str, Any], head: str = "") -> str:
    """A mapping as YAML 1.2 (block style, keys in order), with an optional comment in front."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt", pure=True)
    yaml.default_flow_style = False
    yaml.width = 110
    yaml.allow_unicode = True
    out = io.StringIO()
    yaml.dump(dict(value), out)
    comment = "".join(f"# {line}\n" for line in head.splitlines())
    return comment + out.getvalue()


def read_yaml(path: Path) -> Any:
    """A YAML file that this program wrote (plain data, no tags)."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise OutputError(f"{path}: no such file. Name a run folder or its {CRITERIA}.") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise IntegrityError(f"{path}: not a readable YAML file. Write it again with trialstrat run.") from error


def write_run(out: Path, files: Mapping[str, bytes], manifest: Mapping[str, Any], *, replace: bool = False) -> None:
    """Put a complete run folder at ``out``, or change nothing.

    ``files`` maps relative paths to contents; the manifest gains the hash of each of them. An existing folder is
    replaced only when it is a run folder of trialstrat (or ``replace`` is set), and only after the new one is whole.

    Raises
    ------
    OutputError
        The place is taken by something else, is not writable, or the disk is full.
    """
    out = Path(os.path.abspath(out))  # noqa: PTH100 - resolve() would follow a link out of the chosen place
    _check_place(out, replace)
    body = {**manifest, "files": {name: sha256_bytes(data) for name, data in sorted(files.items())}}
    scratch = out.parent / f".trialstrat-{out.name}-{os.getpid()}"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        for name, data in files.items():
            _write_synced(scratch / name, data)
        _write_synced(scratch / MANIFEST, json_text(body).encode())
        _swap(scratch, out)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written ({error.strerror}). Nothing was changed.") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _swap(scratch: Path, out: Path) -> None:
    """Rename the finished folder into place; an old one is moved aside first and removed last."""
    with _signals_held():
        if out.exists():
            old = out.parent / f".trialstrat-{out.name}-old-{os.getpid()}"
            shutil.rmtree(old, ignore_errors=True)
            out.rename(old)
            try:
                scratch.rename(out)
            except OSError:
                old.rename(out)
                raise
            shutil.rmtree(old, ignore_errors=True)
        else:
            scratch.rename(out)
    _sync_folder(out.parent)


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Hold back interrupts for the two renames, so that no moment exists in which neither folder is in place."""
    held = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _check_place(out: Path, replace: bool) -> None:
    if out.is_symlink():
        raise OutputError(f"{out}: is a link; name the folder itself. Nothing was changed.")
    if not out.exists():
        return
    if not out.is_dir():
        raise OutputError(f"{out}: exists and is not a folder. Choose another --out. Nothing was changed.")
    if replace or not any(out.iterdir()):
        return
    if not is_run(out):
        raise OutputError(
            f"{out}: holds files that are not a run of trialstrat. Choose another --out or add --replace. "
            "Nothing was changed."
        )


def is_run(folder: Path) -> bool:
    """Whether a folder is a run folder of this program."""
    try:
        return json.loads((folder / MANIFEST).read_text(encoding="utf-8")).get("tool") == "trialstrat"
    except (OSError, ValueError, AttributeError):
        return False


def _write_synced(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, text: str) -> None:
    """Write one file whole or not at all (temporary file beside it, fsync, rename)."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_synced(scratch, text.encode())
        scratch.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}). Nothing was changed.") from error
    finally:
        scratch.unlink(missing_ok=True)


def read_run(folder: Path) -> StoredRun:
    """Read a run folder and check every file against the manifest.

    Raises
    ------
    IntegrityError
        A file is missing, was changed after the run, or is of another schema.
    """
    manifest = read_manifest(folder)
    for name, digest in manifest.get("files", {}).items():
        path = folder / name
        if not path.is_file():
            raise IntegrityError(f"{path}: missing from the run folder. Run again.")
        if name != REPORT and sha256_bytes(path.read_bytes()) != digest:
            raise IntegrityError(f"{path}: changed since the run (its hash differs from {MANIFEST}). Run again.")
    study, stages = parse_results((folder / RESULTS).read_text(encoding="utf-8"), str(folder / RESULTS))
    return StoredRun(study=study, stages=stages, manifest=manifest)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a run folder."""
    if not folder.is_dir():
        raise OutputError(f"{folder}: no such run folder. Name the folder that trialstrat run wrote.")
    if not is_run(folder):
        raise IntegrityError(f"{folder}: not a run folder of trialstrat (no readable {MANIFEST}).")
    return json.loads((folder / MANIFEST).read_text(encoding="utf-8"))


def replace_report(folder: Path, html: str) -> None:
    """Put a rebuilt report into a run folder and its hash into the manifest."""
    manifest = read_manifest(folder)
    manifest["files"][REPORT] = sha256_bytes(html.encode())
    write_file(folder / REPORT, html)
    write_file(folder / MANIFEST, json_text(manifest))


def findings_from(stages: Mapping[str, StageResult]) -> tuple[Finding, ...]:
    """The findings of every stage, in order."""
    return tuple(finding for stage in stages.values() for finding in stage.findings)


@contextlib.contextmanager
def lock(out: Path) -> Iterator[None]:
    """Only one run at a time works for a folder. The kernel drops the lock of a process that died, so none is stale.

    Raises
    ------
    OutputError
        Another live process holds the lock; it is named by pid and host.
    """
    path = out.parent / f".trialstrat-{out.name}.lock"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        handle = _locked_file(path)
    except OSError as error:
        raise OutputError(f"{out.parent}: cannot be written ({error.strerror}). Nothing was changed.") from error
    try:
        handle.truncate(0)
        handle.write(f"pid {os.getpid()} on {socket.gethostname()}")
        handle.flush()
        yield
    finally:
        path.unlink(missing_ok=True)
        handle.close()


def _locked_file(path: Path) -> io.TextIOWrapper:
    while True:
        handle = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            holder = handle.read() or "just started"
            handle.close()
            raise OutputError(
                f"{path.parent}: another run works here ({holder}). Wait for it or choose another --out. "
                "Nothing was changed."
            ) from None
        # The holder before us may have removed the file between our open and our lock: then ours locks nothing.
        if path.exists() and os.path.samestat(path.stat(), os.fstat(handle.fileno())):
            return handle
        handle.close()
