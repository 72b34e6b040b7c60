"""Who is in a synthetic study, and the random numbers of each patient."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from m3hl.config.dataset import PhantomConfig
from m3hl.data.datasets.files import Split
from m3hl.data.split import OWN
from m3hl.errors import UserError
from m3hl.files.atomic import write_text

FIRST: dict[Split, int] = {"train": 1, "val": 501, "test": 701}
"""Every split counts from a number of its own, so more training patients leave the test patients as they are."""
LAST: dict[Split, int] = {"train": 500, "val": 700, "test": 999}


def patients(config: PhantomConfig) -> Iterator[tuple[int, Split]]:
    """Yield number and split of every patient; raises `UserError` for more than there are numbers."""
    for split, count in (("train", config.train), ("val", config.val), ("test", config.test)):
        room = LAST[split] - FIRST[split] + 1
        if count > room:
            raise UserError(f"phantom.{split}: {count} patients, at most {room} have numbers; choose fewer")
        yield from ((FIRST[split] + index, split) for index in range(count))


def random_streams(config: PhantomConfig, number: int, count: int) -> list[np.random.Generator]:
    """Return `count` independent generators that depend on the seed and the patient's number alone."""
    sequence = np.random.SeedSequence([config.seed % 2**32, number])
    return [np.random.default_rng(child) for child in sequence.spawn(count)]


def write_split(folder: Path, names: list[tuple[str, Split]]) -> None:
    """Write the study's split file; training patients become labeled in the order of their numbers."""
    write_text(folder / OWN, "group,split\n" + "".join(f"{name},{split}\n" for name, split in names))
