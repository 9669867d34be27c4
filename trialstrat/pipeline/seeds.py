"""The only place where randomness begins: one child sequence per task, whatever the number of workers."""

from __future__ import annotations

import numpy as np

#: Tasks in the order of their child seeds. Append only: a new entry at the end changes no other task's numbers.
TASKS = (
    "models",
    "enrichment",
    "subgroups",
    "benefit",
    "calibrate",
    "criteria",
    "design",
    "monitor",
    "markers",
    "imputation",
    "validation",
)


def task_seeds(seed: int) -> dict[str, np.random.SeedSequence]:
    """A seed sequence per task, spawned from the study's seed."""
    return dict(zip(TASKS, np.random.SeedSequence(seed).spawn(len(TASKS)), strict=True))


def generator(sequence: np.random.SeedSequence) -> np.random.Generator:
    """A PCG64 generator; the one constructor call of the package."""
    return np.random.default_rng(sequence)
