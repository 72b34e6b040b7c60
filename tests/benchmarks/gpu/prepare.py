"""What gpu.sh needs on a machine without a network, made on one that has it and the data.

Run it in the project's folder: python -m tests.benchmarks.gpu.prepare --python 3.12
"""

import platform
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from m3hl.config.experiment import load_config
from m3hl.files.atomic import make_folder, write_text
from m3hl.provenance.origin import commit_name
from tests.benchmarks.gpu.packing import pack
from tests.benchmarks.gpu.pieces import cut
from tests.benchmarks.stores import FOLDER, make_store

PROJECT = Path(__file__).resolve().parents[3]
CARRY = Path("build/carry")
NEEDED = (
    *("annotated-types", "click", "connected-components-3d", "pandas", "pydantic", "pydantic_core"),
    *("python-dateutil", "PyYAML", "typing-inspection", "typing_extensions"),
)
"""What training and evaluation import besides torch, numpy, h5py and scipy, and what that imports."""
GLIBC = range(39, 16, -1)
"""Minor versions of glibc for which wheels may be built; pip wants each named."""


@click.command(context_settings={"show_default": True})
@click.option("--python", default=platform.python_version().rpartition(".")[0], help="The other machine's Python.")
@click.option("--piece-mib", default=40, help="Size of a piece at most.")
@click.option("--dataset", multiple=True, default=("acdc", "la"), help="Data sets of config/paper.yaml.")
def main(python: str, piece_mib: int, dataset: tuple[str, ...]) -> None:
    """Write wheels, the commit and packed data sets into build/carry."""
    make_folder(CARRY)
    write_text(CARRY / "commit", commit_name())
    download_wheels(python)
    config = load_config(PROJECT / "config" / "paper.yaml").model_dump(mode="json", exclude_defaults=True)
    for name in dataset:
        store = make_store(config, name, FOLDER)
        pack_store(store, piece_mib * 2**20, CARRY)


def download_wheels(python: str) -> None:
    """Download the wheels, in the releases that the container pins."""
    shutil.rmtree(CARRY / "wheels", ignore_errors=True)  # maybe for another Python
    pins = (PROJECT / "containers" / "requirements.txt").read_text(encoding="utf-8").split()
    chosen = [pin for pin in pins if pin.partition("==")[0] in NEEDED]
    platforms = [f"manylinux_2_{minor}_{platform.machine()}" for minor in GLIBC]
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"),
            *("--implementation", "cp", "--python-version", python, "--dest", str(CARRY / "wheels")),
            *(
                part
                for name in [*platforms, f"manylinux2014_{platform.machine()}"]
                for part in ("--platform", name)
            ),
            *chosen,
        ],
        check=True,
    )


def pack_store(store: Path, size: int, folder: Path) -> None:
    """Pack a store and cut it into pieces of at most `size` bytes."""
    make_folder(folder)
    with TemporaryDirectory(dir=folder) as scratch:
        whole = Path(scratch) / "whole"
        pack(store, whole)
        cut(whole, folder, f"store-{store.stem}", size)


if __name__ == "__main__":
    main()
