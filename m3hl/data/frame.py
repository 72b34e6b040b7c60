"""The one geometry that a study's volumes are brought to."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Frame:
    """To where the axes of a study's volumes point, and how far apart voxels are.

    Attributes:
        orientation: letters of the file's axes x, y, z, e.g. "LPS": to the left, posterior, superior; None: each
            volume is as its file has it.
        spacing: mm along each axis of arrays (X, Y, Z); None: each volume has its file's.
    """

    orientation: str | None = None
    spacing: tuple[float, ...] | None = None

    def described(self) -> str:
        """Return the geometry in words.

        >>> Frame("LPS", (1.0, 1.0, 2.5)).described()
        'orientation LPS, spacing 1×1×2.5 mm'
        """
        spacing = f"{listed(self.spacing)} mm" if self.spacing else "of each file"
        return f"orientation {self.orientation or 'of each file'}, spacing {spacing}"

    def shape(self, shape: tuple[int, ...], spacing: tuple[float, ...]) -> tuple[int, ...]:
        """Return the voxels that a volume of a shape and spacing has in this geometry.

        The volume's extent stays, so its spacing becomes the wanted one up to half a voxel in all. A volume with
        as many voxels before as after stays as it is.

        >>> Frame(spacing=(1.0, 1.0, 2.0)).shape((64, 64, 8), (1.0, 1.001, 8.0))
        (64, 64, 32)
        """
        if self.spacing is None:
            return shape
        wanted = zip(shape, spacing, self.spacing, strict=True)
        return tuple(max(1, round(n * ours / theirs)) for n, ours, theirs in wanted)


def listed(values: tuple[float, ...]) -> str:
    """Return numbers of each axis as one reads them.

    >>> listed((1.0, 0.703125, 8))
    '1×0.703×8'
    """
    return "×".join(str(value) if isinstance(value, int) else f"{value:.3g}" for value in values)
