"""What is measured on: the real data where they lie in data/, else synthetic scans of about their size."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from m3hl.config import methods
from m3hl.config.experiment import Run, parse_config
from m3hl.config.run import RunSettings

FOLDER = Path("build/bench")
SYNTHETIC = {
    "acdc": {"train": 30, "val": 2, "test": 4, "size": [216, 256]},
    "la": {"train": 16, "val": 2, "test": 2, "size": [180, 180, 88]},
}
TINY = {
    "acdc": {"channels": 2, "crop": [32, 32], "labeled_batch": 2, "unlabeled_batch": 2},
    "la": {"channels": 2, "crop": [48, 48, 48], "labeled_batch": 2, "unlabeled_batch": 2},
}
LABELED = {"acdc": 7, "la": 8}


def study(*, tiny: bool) -> dict[str, Any]:
    """Return a configuration of ACDC, LA and every method's first preset, at the published size or tiny."""
    datasets = {}
    for name in LABELED:
        path = Path("data") / name.upper()
        if tiny:
            phantom = {"train": 8, "val": 1, "test": 1, "size": [40, 40, 24][: 2 if name == "acdc" else 3]}
            datasets[name] = {"kind": name, "source": "phantom", "phantom": phantom, "training": TINY[name]}
        # Also where only the store was brought (gpu.sh).
        elif path.is_dir() or (FOLDER / f"{name}-public.h5").exists():
            datasets[name] = {"kind": name, "source": "public", "path": str(path)}
        else:
            datasets[name] = {"kind": name, "source": "phantom", "phantom": SYNTHETIC[name]}
    return {
        "name": "bench",
        "datasets": datasets,
        "methods": {name: {"method": name} for name in methods.names()},
    }


def settings(config: dict[str, Any], dataset: str, method: str = "m3hl") -> RunSettings:
    """Return the settings of a method on a data set."""
    return parse_config(config).settings(Run(dataset, method, LABELED[dataset], 1337))


def make_store(config: dict[str, Any], dataset: str, folder: Path) -> Path:
    """Return a data set's store in `folder`; it is made if it is not there."""
    source = config["datasets"][dataset]["source"]
    path = folder / f"{dataset}-{source}.h5"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        files = path.with_suffix(".csv")
        shared = ["--config", yaml.safe_dump(config), "--dataset", dataset]
        for stage in (
            ["download", *shared, "--out", str(files)],
            ["preprocess", *shared, "--files", str(files), "--out", str(path)],
        ):
            subprocess.run([sys.executable, "-m", "m3hl", *stage], check=True)
    return path
