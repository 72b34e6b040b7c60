"""The files of weights that a training leaves."""

from pathlib import Path

from m3hl.config.dataset import DatasetConfig
from m3hl.config.run import RunSettings
from m3hl.data.seen import Seen
from m3hl.data.store import Store
from m3hl.inference.weights import Weights, members
from m3hl.training.selection import Selection
from m3hl.training.state import Training


def save_weights(
    training: Training, folder: Path, settings: RunSettings, dataset: DatasetConfig, store: Store
) -> list[Path]:
    """Write what was selected (best.pt) and the result's last iteration (last.pt), and return the files.

    Further networks, each selected by its own validation, are in best.pt beside the result.
    """
    networks = training.method.results()

    def weights(name: str, selection: Selection) -> Weights:
        return Weights.build(settings, dataset, selection.weights, selection.summary(), members(networks[name]))

    result, *others = networks
    best = weights(result, training.selection)
    best.others = {name: weights(name, training.selections[name]) for name in others}
    last = Selection("last", result)
    last.offer(networks[result], training.iteration, None)
    files = {folder / "best.pt": best, folder / "last.pt": weights(result, last)}
    for path, value in files.items():
        value.frame, value.seen = store.frame, Seen.of(store.cases("train"))
        value.save(path)
    return list(files)
