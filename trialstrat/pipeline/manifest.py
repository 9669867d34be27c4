"""What a run folder says about its own making."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = (
    "trialstrat",
    "numpy",
    "scipy",
    "pandas",
    "statsmodels",
    "lifelines",
    "scikit-survival",
    "scikit-learn",
    "optuna",
    "numba",
    "altair",
    "vl-convert-python",
)


@cache
def versions() -> Mapping[str, str]:
    """Versions of Python and of the packages that numbers and pictures come from."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def now() -> str:
    """The present moment in UTC to the second; SOURCE_DATE_EPOCH overrides it for reproducible folders."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.fromtimestamp(int(epoch), UTC) if epoch and epoch.isdigit() else datetime.now(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def manifest(
    command: str, *, started: str, protocol_hash: str, data_hash: str, seed: int | None, sources: Mapping[str, str]
) -> dict[str, Any]:
    """The manifest of a run: tool, command, times, hashes of protocol and inputs, versions, seed, machine.

    Hashes of the folder's own files are added by ``store.write_run``.
    """
    return {
        "tool": "trialstrat",
        "schema": 1,
        "command": command,
        "started": started,
        "finished": now(),
        "protocol_sha256": protocol_hash,
        "data_sha256": data_hash,
        "sources": dict(sources),
        "seed": seed,
        "versions": dict(versions()),
        "machine": {"system": platform.system(), "architecture": platform.machine()},
    }
