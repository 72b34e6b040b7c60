"""The geometry of a study from its training images' headers."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from m3hl.config.datasets.description import Description
from m3hl.data.frame import Frame
from m3hl.data.grids import letters
from m3hl.data.scans import read_scan


def choose_frame(images: Iterable[Path], description: Description) -> Frame:
    """Return the geometry that a study's volumes are brought to.

    Args:
        images: the training images' files or DICOM folders; read only where they are asked.
        description: "common" as orientation is the most frequent one, "median" as spacing the median of each axis.

    Raises:
        UserError: an image cannot be read.
    """
    orientation, spacing = description.orientation, description.spacing
    if orientation != "common" and spacing != "median":
        headers = []
    else:
        headers = [header(path, description.dimensions) for path in images]
    if orientation == "common":
        orientation = Counter(map(letters, headers)).most_common(1)[0][0]
    turned = None if orientation == "none" else orientation
    if spacing == "median":
        spacings = [(sitk.DICOMOrient(one, turned) if turned else one).GetSpacing() for one in headers]
        spacing = tuple(float(value) for value in np.median(spacings, axis=0))
    return Frame(turned, None if spacing == "none" else tuple(spacing))


def header(path: Path, dimensions: int) -> sitk.Image:
    """Return a volume of one voxel with an image's spacing and direction."""
    found = quick_header(path)
    if found is None or found.GetDimension() != 3:
        found = read_scan(path, dimensions, [])
    voxel = sitk.Image([1, 1, 1], sitk.sitkUInt8)
    voxel.SetSpacing(found.GetSpacing())
    voxel.SetDirection(found.GetDirection())
    return voxel


def quick_header(path: Path) -> sitk.ImageFileReader | None:
    """Return what a file's header says without its voxels; None for a folder, or a header that needs mending."""
    # Asked for a folder, ITK's reader of HDF5 writes its complaints to the terminal.
    if path.is_dir():
        return None
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return None
    return reader
