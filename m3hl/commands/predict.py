"""`m3hl predict`: label maps of your own images."""

from pathlib import Path

import click

from m3hl import options


@click.command(context_settings={"show_default": True})
@click.argument("images", nargs=-1, required=True, type=options.PATH)
@click.option("--weights", required=True, type=options.PATH, help="A trained run's best.pt.")
@click.option("--out", required=True, type=options.PATH, help="Folder for the label maps (NIfTI).")
@click.option(
    "--stride",
    type=click.IntRange(1),
    nargs=3,
    help="Voxels between windows in 3D.  [default: the data set's, (18, 18, 4) for LA]",
)
@options.device
def command(
    images: tuple[Path, ...],
    weights: Path,
    out: Path,
    stride: tuple[int, int, int] | None,
    device: str | None,
    threads: int | None,
) -> None:
    """Segment IMAGES (NIfTI, NRRD or MHA volumes, or folders with a DICOM series) with a trained run.

    Each label map lies on its image's grid and is called like it, with the ending .nii.gz.
    """
    from m3hl.compute.device import choose_device
    from m3hl.inference.predict import predict
    from m3hl.inference.weights import Weights

    predict(Weights.load(weights), images, out, stride=stride, device=choose_device(device or "auto", threads))
