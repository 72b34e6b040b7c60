"""The files of weights that a training leaves."""

from pathlib import Path

from m3hl.config.dataset import DatasetConfig
from m3hl.config.run import RunSettings
from m3hl.inference.weights import Weights, members
from m3hl.training.selection import Selection
from m3hl.training.state import Training


def save_weights(training: Training, folder: Path, settings: RunSettings, dataset: DatasetConfig) -> list[Path]:
    """Write what was selected, and the last iteration's weights of the result, and return the files.

    best.pt and last.pt are the result's; a further network that was selected by itself is best-NAME.pt.
    """
    networks = training.method.results()
    result, *others = networks
    last = Selection("last", result)
    last.offer(networks[result], training.iteration, None)
    chosen = {"best": (result, training.selection), "last": (result, last)}
    chosen |= {f"best-{name}": (name, training.selections[name]) for name in others}
    for stale in folder.glob("best-*.pt"):
        stale.unlink()
    paths = []
    for file, (name, selection) in chosen.items():
        paths.append(folder / f"{file}.pt")
        count = members(networks[name])
        Weights.build(settings, dataset, selection.weights, selection.summary(), count).save(paths[-1])
    return paths
