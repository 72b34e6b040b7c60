"""What must hold for a case before it enters the store."""

import numpy as np

from m3hl.errors import UserError

ROUNDING = 1e-3
"""Label maps that were stored as float32 and resampled differ from whole numbers a little."""


def check_image(image: np.ndarray, where: str) -> None:
    """Raise `UserError` unless `image` is a volume of finite numbers that are not all equal.

    Args:
        image: (Z, H, W) or (X, Y, Z).
        where: file and case, for the message.
    """
    if image.ndim != 3 or 0 in image.shape:
        raise UserError(f"{where}: the image has shape {image.shape}, expected three axes; give a volume")
    check_finite(image, where)
    if image.min() == image.max():
        raise UserError(f"{where}: every voxel of the image is {image.flat[0]}; get the file again")


def check_finite(voxels: np.ndarray, where: str) -> None:
    """Raise `UserError`, naming `where`, when any of the voxels is NaN or infinite."""
    bad = voxels.size - np.count_nonzero(np.isfinite(voxels))
    if bad:
        raise UserError(f"{where}: {bad} voxels of the image are NaN or infinite; mend or leave out the case")


def check_label(
    label: np.ndarray, shape: tuple[int, ...], values: tuple[int, ...], where: str, *, may_be_empty: bool = False
) -> np.ndarray:
    """Return a label map as uint8 labels 0, 1, 2, ….

    Args:
        label: label map as it was read; what lies within `ROUNDING` of a whole number counts as that number.
        shape: the image's shape, which it must have.
        values: what the file holds for labels 0, 1, 2, ….
        where: file and case, for the message.
        may_be_empty: whether a case may have none of the structures.

    Raises:
        UserError: the shape differs, a value is none of `values`, or there is background only.
    """
    if label.shape != shape:
        raise UserError(f"{where}: the label map has shape {label.shape}, the image {shape}; they must be equal")
    label = whole_numbers(label)
    wrong = [value for value in np.unique(label).tolist() if value not in values]
    if wrong:
        raise UserError(
            f"{where}: the label map holds {', '.join(map(written, wrong[:5]))}, "
            f"expected only {', '.join(map(str, values))}; {remedy(wrong)}"
        )
    labels = np.zeros(shape, np.uint8)
    for number, value in enumerate(values):
        labels[label == value] = number
    if not (may_be_empty or labels.any()):
        raise UserError(f"{where}: the label map is empty (background only); give a label or leave out the case")
    return labels


def map_label(
    label: np.ndarray, mapped: tuple[tuple[int, ...], ...], where: str
) -> tuple[np.ndarray, tuple[int, ...]]:
    """Return a label map as uint8 labels 0, 1, 2, …, and the values that became background, besides 0.

    Args:
        label: label map as it was read; what lies within `ROUNDING` of a whole number counts as that number.
        mapped: what the file holds for labels 1, 2, ….
        where: file and case, for the message.

    Raises:
        UserError: it holds something else than whole numbers.
    """
    label = whole_numbers(label)
    held = np.unique(label).tolist()
    wrong = [value for value in held if not float(value).is_integer()]
    if wrong:
        raise UserError(f"{where}: the label map holds {', '.join(map(written, wrong[:5]))}; {remedy(wrong)}")
    labels = np.zeros(label.shape, np.uint8)
    for number, values in enumerate(mapped, start=1):
        labels[np.isin(label, values)] = number
    known = {0, *(value for values in mapped for value in values)}
    return labels, tuple(int(value) for value in held if value not in known)


def whole_numbers(label: np.ndarray) -> np.ndarray:
    """Return a label map with what lies within `ROUNDING` of whole numbers rounded to them."""
    if label.dtype.kind != "f":
        return label
    rounded = np.rint(label)
    return np.where(np.abs(label - rounded) <= ROUNDING, rounded, label)


def written(value: float) -> str:
    """Return a label's value with all digits that tell it from a whole number.

    >>> written(3.0), written(0.9899999499320984)
    ('3', '0.98999995')
    """
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.8g}"


def remedy(wrong: list[float]) -> str:
    """Return what to do about label values that are none of the classes'."""
    if all(float(value).is_integer() for value in wrong):
        return "mend the label map or the list of classes, or say with labels which value is which class"
    return "values between the classes come from resampling: resample label maps by nearest neighbour"
