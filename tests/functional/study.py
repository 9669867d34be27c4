"""A small two-arm trial as files: quick to run, with a canary in every patient's row."""

from __future__ import annotations

from pathlib import Path

import numpy as np

CANARY = "CANARYx"

PROTOCOL = """\
trialstrat: 1
id: small
title: A small trial
question: Does the drug help, and who carries the risk?
sources:
  - {name: trial, file: patients.csv, id: patient}
arms:
  column: arm
  levels:
    - {name: placebo, value: P, label: Placebo, control: true}
    - {name: drug, value: D, label: Drug}
endpoints:
  - name: os
    label: Overall survival
    time: months
    event: {column: died, events: ["yes"], censored: ["no"]}
    unit: months
    horizon: 12
estimand:
  population: adults
  treatment: drug against placebo
  endpoint: os
  intercurrent_events:
    - {event: stopping the drug, strategy: treatment_policy}
eligibility:
  - {id: I1, kind: inclusion, text: Adults, when: [{column: age, at_least: 18, unit: a}]}
  - {id: E1, kind: exclusion, text: Previous malignancy, when: [{column: malignancy, equals: "yes"}]}
  - {id: I2, kind: inclusion, text: Able to give consent}
covariates:
  - {column: age, kind: continuous, unit: a, label: Age}
  - {column: stage, kind: ordinal, levels: [I, II, III], label: Stage}
biomarkers:
  - {column: marker, kind: continuous, unit: ng/mL, role: prognostic, label: Marker}
models:
  engines: [clinical_cox, penalised_cox, boosting]
  outer_folds: 3
  inner_folds: 2
  trials: 3
  bootstrap: 20
disclosure: {minimum_cell: 5}
seed: 7
"""

HEAD = "patient,arm,months,died,age,stage,marker,malignancy,site\n"


def rows(n: int = 260, seed: int = 3) -> list[str]:
    """CSV rows of a trial with a strong prognostic marker; ids carry the canary."""
    rng = np.random.default_rng(seed)
    age = rng.integers(16, 84, n)
    stage = rng.integers(0, 3, n)
    marker = rng.normal(size=n)
    arm = rng.permutation(np.arange(n) % 2)
    hazard = 0.05 * np.exp(0.9 * marker + 0.4 * (stage - 1) - 0.4 * arm)
    death, censoring = rng.exponential(1 / hazard), rng.uniform(3, 36, n)
    time, died = np.minimum(death, censoring), death <= censoring
    return [
        f"{CANARY}{i:04d},{'PD'[arm[i]]},{time[i]:.3f},{'yes' if died[i] else 'no'},{age[i]},"
        f"{['I', 'II', 'III'][stage[i]]},{marker[i]:.4f},{'yes' if i % 29 == 0 else 'no'},{CANARY}site{i % 7}"
        for i in range(n)
    ]


def write_study(folder: Path, protocol: str = PROTOCOL, lines: list[str] | None = None) -> Path:
    """Protocol and data in ``folder``; the path of the protocol."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "patients.csv").write_text(HEAD + "\n".join(lines or rows()) + "\n", encoding="utf-8")
    path = folder / "small.yaml"
    path.write_text(protocol, encoding="utf-8")
    return path
