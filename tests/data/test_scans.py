"""Files that are not as a format's book has them: read where that is sound, and told what is wrong where not."""

import gzip

import numpy as np
import pytest
import SimpleITK as sitk

from m3hl.data.grids import letters
from m3hl.data.headers import header
from m3hl.data.images import read_pair, read_volume
from m3hl.errors import UserError
from tests.scans import shear, write_dicom, write_structures

SHAPE = (6, 8, 10)


@pytest.fixture
def voxels(rng):
    """Return a volume of random numbers."""
    return rng.integers(-900, 900, SHAPE).astype(np.int16)


def write(path, array, **header):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(header.get("spacing", (1.0, 1.5, 2.0)))
    image.SetOrigin(header.get("origin", (3.0, -4.0, 5.0)))
    image.SetDirection(header.get("direction", (1.0, 0, 0, 0, 1, 0, 0, 0, 1)))
    sitk.WriteImage(image, str(path))
    return path


def test_a_dicom_series_is_a_volume(tmp_path, voxels):
    folder, notes = write_dicom(tmp_path / "scan", voxels), []
    array, geometry = read_volume(folder, 2, notes=notes)
    np.testing.assert_array_equal(array, voxels)
    np.testing.assert_allclose(geometry.spacing, (3.0, 0.9, 0.8))
    np.testing.assert_allclose(geometry.origin, (-10, 20, 5))
    assert notes == []


def test_a_dicom_label_map_may_be_a_file(tmp_path, voxels):
    folder = write_dicom(tmp_path / "scan", voxels)
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    label = sitk.Cast(image > 0, sitk.sitkUInt8)
    sitk.WriteImage(label, str(tmp_path / "l.nii.gz"))
    _, classes, _ = read_pair(folder, tmp_path / "l.nii.gz", 2)
    np.testing.assert_array_equal(classes, voxels > 0)


def test_several_dicom_series_are_named(tmp_path, voxels):
    write_dicom(tmp_path / "scan", voxels, series="1", description="T1 axial", name="a")
    write_dicom(tmp_path / "scan", voxels[:4], series="2", description="localizer", name="b")
    with pytest.raises(UserError, match=r"scan: .* holds 2 DICOM series: T1 axial \(6 files\), localizer \(4"):
        read_volume(tmp_path / "scan", 3)


def test_a_dicom_series_with_a_missing_slice_is_refused(tmp_path, voxels):
    folder = write_dicom(tmp_path / "scan", voxels)
    next(path for path in folder.iterdir() if path.name.endswith("3.dcm")).unlink()
    with pytest.raises(UserError, match=r"slices 3 and 4 .* are 6\.00 mm apart, the others 3\.00"):
        read_volume(folder, 3)


def test_the_slices_of_a_tilted_gantry_are_refused(tmp_path, voxels):
    read_volume(write_dicom(tmp_path / "straight", voxels, tilt=0.01), 3)
    with pytest.raises(UserError, match=r"tilted by 18\.4° against the stack"):
        read_volume(write_dicom(tmp_path / "tilted", voxels, tilt=1.0), 3)


def test_a_folder_without_dicom_is_refused(tmp_path):
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan" / "notes.txt").write_text("x")
    with pytest.raises(UserError, match="scan: this folder holds no DICOM series"):
        read_volume(tmp_path / "scan", 3)


def test_where_a_series_lies_deeper_is_told(tmp_path, voxels):
    write_dicom(tmp_path / "export" / "study" / "series", voxels)
    with pytest.raises(
        UserError, match=r"export: .* no DICOM series; give the one that you mean \(.*export/study/series\)"
    ):
        read_volume(tmp_path / "export", 3)


def test_one_slice_of_a_series_is_no_volume(tmp_path, voxels):
    path = write_dicom(tmp_path / "scan", voxels) / "IM0000.dcm"
    with pytest.raises(
        UserError, match=r"IM0000\.dcm: this is one of 6 slices of a DICOM series; give their folder"
    ):
        read_volume(path, 3)
    np.testing.assert_array_equal(read_volume(path, 2)[0], voxels[:1])
    lone = write_dicom(tmp_path / "lone", voxels[:1]) / "IM0000.dcm"
    assert read_volume(lone, 3)[0].shape == (10, 8, 1)


@pytest.mark.parametrize(
    ("kind", "said"),
    [("66.4", r"segmentation \(SEG\)"), ("66.7", r"\(SEG\)"), ("481.3", r"contours \(RTSTRUCT\)")],
)
def test_dicoms_own_label_maps_are_told_with_how_to_convert_them(tmp_path, voxels, kind, said):
    path = write_structures(tmp_path / "seg.dcm", kind)
    folder = write_dicom(tmp_path / "scan", voxels)
    with pytest.raises(UserError, match=rf"seg\.dcm: this is a DICOM .*{said}.*; save it as a NIfTI label map"):
        read_pair(folder, path, 3)


def test_a_dicom_segmentation_in_a_folder_is_told_too(tmp_path):
    (tmp_path / "labels").mkdir()
    path = write_structures(tmp_path / "labels" / "s.dcm")
    # Without the check ITK takes it for a stack of slices without a place.
    assert sitk.ReadImage(str(path)).GetSize() == (8, 8, 2)
    with pytest.raises(UserError, match=r"s\.dcm: this is a DICOM segmentation"):
        read_volume(tmp_path / "labels", 3)


def test_headers_of_dicom_folders_are_read_without_a_word(tmp_path, voxels, capfd):
    folder = write_dicom(tmp_path / "scan", voxels)
    assert header(folder, 3).GetSpacing() == pytest.approx((0.8, 0.9, 3.0))
    assert capfd.readouterr() == ("", "")


def test_a_damaged_dicom_slice_is_refused(tmp_path, voxels):
    folder = write_dicom(tmp_path / "scan", voxels)
    path = sorted(folder.iterdir())[2]
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(UserError, match="scan: "):
        read_volume(folder, 3)


def test_an_uncompressed_file_may_be_called_gz(tmp_path, voxels):
    path = write(tmp_path / "i.nii", voxels)
    array, _ = read_volume(path.rename(tmp_path / "i.nii.gz"), 2)
    np.testing.assert_array_equal(array, voxels)


def test_a_compressed_file_without_its_ending_is_told(tmp_path, voxels):
    path = write(tmp_path / "i.nii", voxels)
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(UserError, match=r"i\.nii: this file is compressed with gzip; call it \.nii\.gz"):
        read_volume(path, 2)


def test_a_fourth_axis_of_one_is_none(tmp_path, voxels):
    sitk.WriteImage(sitk.JoinSeries(sitk.GetImageFromArray(voxels)), str(tmp_path / "i.nrrd"))
    np.testing.assert_array_equal(read_volume(tmp_path / "i.nrrd", 2)[0], voxels)


def test_a_slice_is_a_volume_of_one_where_slices_are_segmented(tmp_path, voxels):
    sitk.WriteImage(sitk.GetImageFromArray((voxels[0] + 900).astype(np.uint16)), str(tmp_path / "i.png"))
    array, _ = read_volume(tmp_path / "i.png", 2)
    np.testing.assert_array_equal(array, voxels[:1] + 900)
    with pytest.raises(UserError, match="2 axes and 1 values"):
        read_volume(tmp_path / "i.png", 3)


def test_a_sheared_sform_gives_way_to_the_qform(tmp_path, voxels):
    path = write(tmp_path / "i.nii", voxels)
    _, straight = read_volume(path, 3)
    notes = []
    array, geometry = read_volume(shear(path, 0.3, qform=True), 3, notes=notes)
    np.testing.assert_array_equal(array, voxels.transpose())
    assert geometry == straight
    assert notes == ["axes of its sform meet at 101.31°: placed by its qform"]


def test_a_little_shear_is_straightened(tmp_path, voxels):
    notes = []
    path = shear(write(tmp_path / "i.nii", voxels), 0.02, qform=False)
    _, geometry = read_volume(path, 3, notes=notes)
    assert np.linalg.det(np.reshape(geometry.direction, (3, 3))) == pytest.approx(1)
    assert notes == ["axes of its sform meet at 90.76°: straightened, which moves voxels by at most 0.24 voxels"]


def test_much_shear_is_told_with_its_numbers(tmp_path, voxels):
    path = shear(write(tmp_path / "i.nii", voxels), 0.8, qform=False)
    with pytest.raises(UserError, match=r"i\.nii: axes of its sform meet at .*°, not at 90°, .* set its qform"):
        read_volume(path, 3)


@pytest.mark.parametrize("away", [0.01, 0.09])
def test_a_label_map_may_lie_a_tenth_of_a_voxel_beside_its_image(tmp_path, voxels, away):
    image = write(tmp_path / "i.nii.gz", voxels)
    label = write(tmp_path / "l.nii.gz", (voxels > 0).astype(np.uint8), origin=(3.0 + away, -4.0, 5.0))
    notes = []
    _, classes, _ = read_pair(image, label, 2, notes=notes)
    np.testing.assert_array_equal(classes, voxels > 0)
    assert notes == [f"label map: {away:.2g} voxels from its image's grid, taken as lying on it"]


@pytest.mark.parametrize(
    "header", [{"origin": (3.0, -4.0, 5.3)}, {"origin": (3.12, -4.0, 5.0)}, {"spacing": (1.0, 1.5, 2.1)}]
)
def test_a_label_map_farther_away_is_refused(tmp_path, voxels, header):
    image = write(tmp_path / "i.nii.gz", voxels)
    label = write(tmp_path / "l.nii.gz", (voxels > 0).astype(np.uint8), **header)
    with pytest.raises(UserError, match=r"l\.nii\.gz: the label map's .* voxels apart \(at most 0\.1"):
        read_pair(image, label, 2)


@pytest.mark.parametrize(("away", "lies"), [(0.09, True), (0.12, False)])
def test_a_further_image_lies_as_near_as_a_label_map(tmp_path, voxels, away, lies):
    first = write(tmp_path / "i.nii.gz", voxels)
    second = write(tmp_path / "j.nii.gz", voxels[::-1], origin=(3.0 + away, -4.0, 5.0))
    notes = []
    if not lies:
        with pytest.raises(
            UserError, match=r"j\.nii\.gz: image_2's origin is .*, image_1's .* resample image_2 to"
        ):
            read_pair(first, None, 2, notes=notes, others=[second])
        return
    channels, _, _ = read_pair(first, None, 2, notes=notes, others=[second])
    np.testing.assert_array_equal(channels, [voxels, voxels[::-1]])
    assert notes == [f"image_2: {away} voxels from image_1's grid, taken as lying on it"]


def test_a_label_map_in_another_orientation_is_turned(tmp_path, voxels):
    image = write(tmp_path / "i.nii.gz", voxels)
    label = sitk.ReadImage(str(image)) > 0
    turned = sitk.DICOMOrient(label, "SAR")
    assert letters(turned) == "SAR"
    sitk.WriteImage(turned, str(tmp_path / "l.nii.gz"))
    notes = []
    _, classes, _ = read_pair(image, tmp_path / "l.nii.gz", 2, notes=notes)
    np.testing.assert_array_equal(classes, voxels > 0)
    assert notes == ["label map: turned from SAR to its image's LPS"]
