"""Files as hospitals have them: sheared NIfTI, folders of DICOM slices."""

import locale
import struct

import numpy as np
import SimpleITK as sitk


def write_dicom(folder, array, *, spacing=(0.8, 0.9, 3.0), tilt=0, series="1", description="T1", name="IM"):
    """Write a volume (Z, H, W) of int16 as a DICOM series, one file per slice, in another order than in space.

    Each slice lies `tilt` mm further along y than the one before.
    """
    folder.mkdir(parents=True, exist_ok=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    characters = locale.setlocale(locale.LC_CTYPE)
    for number, plane in enumerate(array):
        image = sitk.GetImageFromArray(np.asarray(plane, np.int16))
        image.SetSpacing(spacing[:2])
        tags = {
            "0008|0008": "DERIVED\\SECONDARY",
            "0008|0060": "MR",
            "0008|103e": description,
            "0010|0020": "patient",
            "0020|000d": "1.2.826.0.1.1",
            "0020|000e": f"1.2.826.0.1.2.{series}",
            "0020|0013": str(number),
            "0020|0032": f"-10\\{20 + number * tilt}\\{5 + number * spacing[2]}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0008|0018": f"1.2.826.0.1.3.{series}.{number}",
            "0018|0050": str(spacing[2]),
        }
        for key, value in tags.items():
            image.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{name}{(number * 7) % len(array):03}{number}.dcm"))
        writer.Execute(image)
    # GDCM leaves another one, in which Python reads texts as ASCII.
    locale.setlocale(locale.LC_CTYPE, characters)
    return folder


def shear(path, by, *, qform):
    """Let the y axis of an uncompressed NIfTI file lean by so many mm per voxel; without a qform if so wanted."""
    content = bytearray(path.read_bytes())
    affine = np.array(struct.unpack_from("<12f", content, 280)).reshape(3, 4)
    affine[0, 1] += by
    struct.pack_into("<12f", content, 280, *affine.ravel())
    if not qform:
        struct.pack_into("<h", content, 252, 0)
    path.write_bytes(content)
    return path
