"""`m3hl predict`: label maps of your own images."""

from pathlib import Path

import click

from m3hl import options


@click.command(context_settings={"show_default": True})
@click.argument("images", nargs=-1, type=options.PATH)
@click.option(
    "--list",
    "table",
    type=options.PATH,
    help="A CSV of scans instead of IMAGES, with the columns case and image, or image_1, image_2, … where the run "
    "was trained on several images of each case; others are ignored.",
)
@click.option(
    "--weights",
    required=True,
    multiple=True,
    type=options.PATH,
    help="A trained run's best.pt. Given several times, the mean of the runs' probabilities decides.",
)
@click.option(
    "--network",
    "networks",
    multiple=True,
    help="A network of your own that weights are of, as a configuration names it: its code is run.",
)
@click.option("--out", required=True, type=options.PATH, help="Folder for the label maps (NIfTI).")
@click.option(
    "--stride",
    type=click.IntRange(1),
    nargs=3,
    help="Voxels between windows in 3D.  [default: the data set's, (18, 18, 4) for LA]",
)
@click.option("--probabilities", is_flag=True, help="Also write IMAGE-probability-CLASS.nii.gz for each class.")
@options.device
def command(
    images: tuple[Path, ...],
    table: Path | None,
    weights: tuple[Path, ...],
    networks: tuple[str, ...],
    out: Path,
    stride: tuple[int, int, int] | None,
    probabilities: bool,
    device: str | None,
    threads: int | None,
) -> None:
    """Segment IMAGES with a trained run: NIfTI, NRRD or MHA files, folders of these or of DICOM, or patterns.

    All are checked before the first is segmented, and what is unlike the training images gets a warning. Each
    label map lies on its image's grid and is called like it (or like its case), with the ending .nii.gz.
    """
    if bool(images) == bool(table):
        raise click.UsageError("give either IMAGES or --list")

    from m3hl.compute.device import choose_device
    from m3hl.inference.inputs import find_scans, listed_scans
    from m3hl.inference.predict import predict
    from m3hl.inference.weights import Weights

    predict(
        [Weights.load(path, networks) for path in weights],
        listed_scans(table) if table else find_scans(images),
        out,
        stride=stride,
        device=choose_device(device or "auto", threads),
        probabilities=probabilities,
    )
