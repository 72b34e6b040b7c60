"""One case in memory: image, label and geometry."""

from dataclasses import dataclass

import numpy as np

from m3hl.data.datasets.files import Split


@dataclass(frozen=True)
class Geometry:
    """Where the voxels of a volume lie in the patient, as SimpleITK tells it.

    Attributes:
        spacing: mm between voxels along the array's axes (array order, not ITK's).
        origin: position of the first voxel in mm, ITK order (x, y, z).
        direction: 3×3 direction cosines, row-major, ITK order.
        axes: the array axis that each ITK axis (x, y, z) became, e.g. (2, 1, 0) for (Z, H, W) arrays.
        offset: voxel of the original image at which the array starts (array order), after a crop.
        size: voxels of the original image (array order).
        flipped: array axes that run against the original's.
    """

    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]
    direction: tuple[float, ...]
    axes: tuple[int, int, int]
    offset: tuple[int, int, int]
    size: tuple[int, int, int]
    flipped: tuple[bool, bool, bool] = (False, False, False)


@dataclass(frozen=True)
class Case:
    """One volume, normalised and checked.

    Attributes:
        name, group, split: as in `CaseFiles`.
        image: float32, (Z, H, W) for 2D data sets (slices along axis 0), (X, Y, Z) for 3D ones; with an axis of
            channels before these where the case has several images.
        label: uint8 of the same shape, without channels, or None for a case without any label.
        geometry: None where the source does not tell it (public HDF5 files).
        notes: what had to be done to its files, one phrase each.
        levels: values that 1, 50 and 99 % of the voxels of an image of one's own stay below, as the file has them;
            channel after channel.
    """

    name: str
    group: str
    split: Split
    image: np.ndarray
    label: np.ndarray | None
    geometry: Geometry | None
    notes: tuple[str, ...] = ()
    levels: tuple[float, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the voxels along each axis."""
        return self.image.shape[-3:]
