"""Data sets that installed packages ship, found without importing the packages."""

from __future__ import annotations

import difflib
import importlib.util
from pathlib import Path

from trialstrat.cohort.rules import RefusedError, finding

#: ``package/name`` -> (import name, path inside the package). Names are those of the packages' own loaders.
DATASETS: dict[str, tuple[str, str]] = {
    **{
        f"scikit-survival/{name}": ("sksurv", f"datasets/data/{file}.arff")
        for name, file in {
            "actg320": "actg320",
            "aids": "actg320",
            "bmt": "bmt",
            "breast_cancer": "breast_cancer_GSE7390-metastasis",
            "cgvhd": "cgvhd",
            "flchain": "flchain",
            "gbsg2": "GBSG2",
            "veterans_lung_cancer": "veteran",
            "whas500": "whas500",
        }.items()
    },
    **{
        f"lifelines/{name}": ("lifelines", f"datasets/{name}.csv")
        for name in (
            "canadian_senators",
            "dd",
            "g3",
            "gbsg2",
            "kidney_transplant",
            "larynx",
            "lung",
            "lymph_node",
            "lymphoma",
            "merrell1955",
            "psychiatric_patients",
            "recur",
            "regression",
            "rossi",
            "stanford_heart",
        )
    },
}


def find_dataset(name: str) -> Path:
    """The file of a packaged data set.

    Raises
    ------
    RefusedError
        When no such data set is known, or its package or file is not installed.
    """
    key = name.strip().lower()
    if key not in DATASETS:
        near = difflib.get_close_matches(key, DATASETS, n=1, cutoff=0.5)
        detail = f"did you mean {near[0]}?" if near else f"known: {', '.join(DATASETS)}"
        raise RefusedError(finding("E-DATASET", source=name, detail=detail))
    package, inside = DATASETS[key]
    # the location of a package is known from its specification; importing it would cost a second
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    path = next((Path(folder) / inside for folder in folders if (Path(folder) / inside).is_file()), None)
    if path is None:
        raise RefusedError(finding("E-DATASET", source=name, detail=f"{key.split('/')[0]} is not installed"))
    return path
