"""A sheet of pictures: of every case its middle slices with the outlines of its label map.

Of a case with several images every one is shown, one below the other.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from skimage.segmentation import find_boundaries

from m3hl.data.case import Case
from m3hl.data.channels import apart, names
from m3hl.files.atomic import atomic
from m3hl.reporting.figures.pictures import grey

SIDE, LINE = 192, 16
"""Pixels of a picture, and of the line of text above it."""
COLORS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167))
"""Of labels 1, 2, …, then again from the first."""
VIEWS = {2: (0,), 3: (2, 1, 0)}
"""Axes of the array along which one looks, by dimension."""
COLUMNS = {2: 6, 3: 2}
"""Cases beside each other."""


class Sheet:
    """Pictures of cases, kept as pixels only.

    Args:
        dimensions: 2 for arrays (Z, H, W), 3 for (X, Y, Z).
    """

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions
        self.tiles: list[Image.Image] = []

    def add(self, case: Case) -> None:
        """Add a case: slices through the middle of its structures, or of the volume where there are none."""
        views = VIEWS[self.dimensions]
        channels = apart(case.image)
        tile = Image.new("RGB", (SIDE * len(views), (SIDE + LINE) * len(channels)), "black")
        label = np.zeros(case.shape, np.uint8) if case.label is None else case.label
        spacing = case.geometry.spacing if case.geometry else (1.0, 1.0, 1.0)
        for row, image in enumerate(channels):
            for number, axis in enumerate(views):
                picture = view(image, label, spacing, axis, self.dimensions)
                tile.paste(picture, (number * SIDE, LINE + row * (SIDE + LINE)))
        shown = f"{case.name} ({case.split}{'' if case.label is not None else ', no label'})"
        # The font that Pillow always has knows Latin letters only.
        text = shown.encode("latin-1", "replace").decode("latin-1")
        for row, name in enumerate(names(len(channels)) or ("",)):
            ImageDraw.Draw(tile).text((3, 2 + row * (SIDE + LINE)), f"{text}  {name}", fill="white")
        self.tiles.append(tile)

    def save(self, path: Path) -> None:
        """Write the sheet as a PNG file."""
        columns = min(COLUMNS[self.dimensions], max(len(self.tiles), 1))
        width, height = self.tiles[0].size if self.tiles else (SIDE, SIDE)
        sheet = Image.new("RGB", (columns * width, -(-max(len(self.tiles), 1) // columns) * height), "black")
        for number, tile in enumerate(self.tiles):
            sheet.paste(tile, (number % columns * width, number // columns * height))
        with atomic(path) as part:
            sheet.save(part, "png")


def view(
    image: np.ndarray, label: np.ndarray, spacing: tuple[float, ...], axis: int, dimensions: int
) -> Image.Image:
    """Return a square picture of the slice in the middle along an axis, in the volume's proportions."""
    places = np.flatnonzero(label.any(axis=tuple(other for other in range(3) if other != axis)))
    at = int(places[len(places) // 2]) if places.size else image.shape[axis] // 2
    plane, outlined = np.take(image, at, axis), np.take(label, at, axis)
    mm = [s for other, s in enumerate(spacing) if other != axis]
    if dimensions == 3:
        # x to the right, y or z downwards.
        plane, outlined, mm = plane.T, outlined.T, mm[::-1]
    extent = [n * s for n, s in zip(plane.shape, mm, strict=True)]
    height, width = (max(1, round(SIDE * e / max(extent))) for e in extent)
    pixels = np.array(Image.fromarray(grey(plane)).convert("RGB").resize((width, height)))
    classes = np.array(Image.fromarray(outlined).resize((width, height), Image.Resampling.NEAREST))
    for value in np.unique(classes[classes > 0]):
        pixels[find_boundaries(classes == value, mode="inner")] = COLORS[(int(value) - 1) % len(COLORS)]
    square = Image.new("RGB", (SIDE, SIDE), "black")
    square.paste(Image.fromarray(pixels), ((SIDE - width) // 2, (SIDE - height) // 2))
    return square
