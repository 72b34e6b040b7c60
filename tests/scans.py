"""Files as hospitals have them: sheared NIfTI, folders of DICOM slices, DICOM's own label maps."""

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


def write_structures(path, kind="66.4", frames=2):
    """Write the least that makes a DICOM segmentation (or another kind of structures) of empty frames."""
    kind = f"1.2.840.10008.5.1.4.1.1.{kind}"
    meta = (
        element(2, 2, b"UI", kind) + element(2, 3, b"UI", "1.2.3.4") + element(2, 16, b"UI", "1.2.840.10008.1.2.1")
    )
    content = element(8, 0x16, b"UI", kind) + element(8, 0x18, b"UI", "1.2.3.4") + element(8, 0x60, b"CS", "SEG")
    content += element(0x20, 0xD, b"UI", "1.2.5") + element(0x20, 0xE, b"UI", "1.2.6")
    content += element(0x28, 2, b"US", 1) + element(0x28, 4, b"CS", "MONOCHROME2")
    content += element(0x28, 8, b"IS", str(frames)) + element(0x28, 0x10, b"US", 8) + element(0x28, 0x11, b"US", 8)
    content += element(0x28, 0x100, b"US", 1) + element(0x28, 0x101, b"US", 1) + element(0x28, 0x102, b"US", 0)
    content += element(0x28, 0x103, b"US", 0) + struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OW", 0, 8 * frames)
    length = struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(meta))
    path.write_bytes(bytes(128) + b"DICM" + length + meta + content + bytes(8 * frames))
    return path


def element(group, number, kind, value):
    """Return an element of a DICOM file, explicit and little-endian."""
    content = struct.pack("<H", value) if kind == b"US" else value.encode()
    content += (b"\0" if kind == b"UI" else b" ") * (len(content) % 2)
    return struct.pack("<HH2sH", group, number, kind, len(content)) + content
