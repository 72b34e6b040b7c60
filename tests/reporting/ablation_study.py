"""A study of ablations with made-up numbers, and no images: what `m3hl evaluate` leaves, and no more."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from m3hl.config.experiment import Config, Run, load_config, parse_config
from m3hl.evaluation.metrics import COLUMNS
from m3hl.reporting.sections import ablation
from m3hl.reporting.study import load_study

ABLATION = Path(__file__).parents[2] / "config" / "ablation.yaml"


def planned_ablation(seeds=(1, 2)):
    """Return config/ablation.yaml with other seeds."""
    config = load_config(ABLATION)
    blocks = tuple(block.model_copy(update={"seed": tuple(seeds)}) for block in config.experiments)
    return config.model_copy(update={"experiments": blocks})


def small(methods, *, kind="la", source="public", labeled=8, seeds=(1,), training=None):
    """Return a study of one data set."""
    dataset = {"kind": kind, "source": source, "path": "x" if source == "public" else None}
    return parse_config(
        {
            "name": "small",
            "datasets": {"d": dataset | ({"training": training} if training else {})},
            "methods": {name: {"method": "m3hl"} | method for name, method in methods.items()},
            "experiments": [
                {"dataset": ["d"], "method": list(methods), "labeled": [labeled], "seed": list(seeds)}
            ],
        }
    )


def ablation_content(folder: Path, config: Config, **numbers):
    """Write made-up numbers of a study and return what the section shows by data set; None: nothing."""
    write_made_up(folder, config, **numbers)
    found = ablation.content(load_study(config, folder))
    return {data["facts"].name: data for data in found["datasets"]} if found else None


def write_made_up(folder: Path, config: Config, dice=None, rule="val", missed=()):
    """Write metrics of every run.

    Args:
        folder: of the results.
        config: the study.
        dice: gives a run's Dice in percent, or None for a run that has not ended.
        rule: how weights were selected.
        missed: methods whose second case has a structure that is missed.
    """
    for run in config.runs():
        value = (dice or made_up_dice)(run)
        if value is not None:
            write_made_up_run(folder, run, value, rule, missed=run.method in missed)


def write_made_up_run(folder: Path, run: Run, dice: float, rule: str, *, missed: bool):
    """Write a record and the metrics of one class: of one case, or of a second one too, in which it is missed."""
    path = folder / run.path
    path.mkdir(parents=True, exist_ok=True)
    numbers = {"dice": dice, "jaccard": dice - 9, "hd95": (100 - dice) / 3, "asd": (100 - dice) / 9}
    row = dict.fromkeys(COLUMNS, 1.0) | {"case": "a", "group": "a", "class": "x"} | numbers
    row |= dict.fromkeys(("missed", "spurious", "absent"), False)
    lost = row | {"case": "b", "missed": True, "dice": 0.0, "jaccard": 0.0, "hd95": np.nan, "asd": np.nan}
    pd.DataFrame([row, lost] if missed else [row])[list(COLUMNS)].to_csv(path / "metrics.csv", index=False)
    (path / "run.json").write_text(json.dumps({"selection": {"rule": rule}}), encoding="utf-8")


def made_up_dice(run: Run) -> float:
    """Return a Dice that depends on data set, method and seed by chance."""
    names = [*run.dataset.encode(), *run.method.encode()]
    return float(
        np.random.default_rng(names).uniform(80, 92) + np.random.default_rng([run.seed, *names]).normal(0, 0.4)
    )
