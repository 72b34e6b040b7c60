"""Medical image files in and out: array order, geometry, and files that are none."""

import gzip
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from m3hl.data.checks import check_image
from m3hl.data.images import read_pair, read_volume, write_map
from m3hl.errors import UserError

SPACING, ORIGIN = (0.7, 1.25, 8.0), (-12.5, 30.0, 4.25)
TURNED = (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)


def write(path, array, spacing=SPACING, origin=ORIGIN, direction=TURNED):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(direction)
    sitk.WriteImage(image, str(path), useCompression=True)
    return path


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_arrays_and_geometry(tmp_path, rng, ending, dimensions):
    voxels = rng.integers(-500, 500, (4, 5, 6)).astype(np.int16)
    array, geometry = read_volume(write(tmp_path / f"i{ending}", voxels), dimensions)
    expected = voxels if dimensions == 2 else voxels.transpose(2, 1, 0)
    np.testing.assert_array_equal(array, expected)
    assert array.dtype == np.int16
    assert geometry.axes == ((2, 1, 0) if dimensions == 2 else (0, 1, 2))
    np.testing.assert_allclose(geometry.spacing, SPACING[::-1] if dimensions == 2 else SPACING, rtol=1e-6)
    np.testing.assert_allclose(geometry.origin, ORIGIN, rtol=1e-6)
    np.testing.assert_allclose(geometry.direction, TURNED, atol=1e-6)
    assert (geometry.offset, geometry.size) == ((0, 0, 0), array.shape)


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_label_map_comes_back_on_the_images_grid(tmp_path, rng, ending, dimensions):
    source = write(tmp_path / f"i{ending}", rng.random((6, 7, 8)).astype(np.float32))
    _, geometry = read_volume(source, dimensions)
    label = rng.integers(0, 4, geometry.size).astype(np.uint8)
    write_map(tmp_path / f"l{ending}", label, geometry)
    _, again, _ = read_pair(source, tmp_path / f"l{ending}", dimensions)
    np.testing.assert_array_equal(again, label)
    assert {p.name for p in tmp_path.iterdir()} == {f"i{ending}", f"l{ending}"}


def test_a_cropped_label_map_goes_back_to_its_place(tmp_path, rng):
    _, geometry = read_volume(write(tmp_path / "i.nrrd", rng.random((6, 7, 8))), 3)
    label = np.ones((3, 2, 6), np.uint8)
    write_map(tmp_path / "l.nrrd", label, replace(geometry, offset=(4, 5, 0)))
    whole, _ = read_volume(tmp_path / "l.nrrd", 3)
    expected = np.zeros((8, 7, 6), np.uint8)
    expected[4:7, 5:7, :] = 1
    np.testing.assert_array_equal(whole, expected)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"spacing": (0.7, 1.25, 9.0)}, "the label map's spacing is"),
        ({"origin": (0.0, 30.0, 4.25)}, "the label map's origin is"),
        ({"direction": (1.0, 0, 0, 0, 1, 0, 0, 0, 1)}, "the label map's direction is"),
    ],
)
def test_another_geometry_is_refused(tmp_path, other, message):
    image = write(tmp_path / "i.nii.gz", np.zeros((2, 3, 4)))
    label = write(tmp_path / "l.nii.gz", np.zeros((2, 3, 4), np.uint8), **other)
    with pytest.raises(UserError, match=message):
        read_pair(image, label, 2)


def test_another_shape_is_refused(tmp_path):
    image = write(tmp_path / "i.nii.gz", np.zeros((2, 3, 4)))
    label = write(tmp_path / "l.nii.gz", np.zeros((2, 4, 3), np.uint8))
    with pytest.raises(UserError, match=r"l\.nii\.gz: the label map has shape \(2, 4, 3\), its image \(2, 3, 4\)"):
        read_pair(image, label, 2)


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha", ".nii"])
def test_a_truncated_file_is_refused(tmp_path, rng, ending):
    path = write(tmp_path / f"i{ending}", rng.integers(0, 999, (8, 30, 30)).astype(np.int16))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=r"cannot read this image|truncated|but its header promises"):
        read_volume(path, 2)


def test_a_flipped_bit_in_a_compressed_nifti_is_found(tmp_path, rng):
    path = write(tmp_path / "i.nii.gz", rng.integers(0, 999, (8, 30, 30)).astype(np.int16))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"cannot read this image|damaged"):
        read_volume(path, 2)


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd"])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_is_found_also_where_itk_hides_it(tmp_path, rng, ending, kind, value):
    voxels = rng.random((3, 4, 5)).astype(kind)
    path = write(tmp_path / f"i{ending}", voxels)
    check_image(read_volume(path, 2)[0], "i")
    voxels[1, 2, 3] = value
    write(path, voxels)
    with pytest.raises(UserError, match=r"1 voxels .*are NaN or infinite; mend or leave out the case"):
        check_image(read_volume(path, 2)[0], "i")


def test_what_is_no_volume_is_refused(tmp_path):
    colour = tmp_path / "colour.mha"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5, 6, 3)), isVector=True), str(colour))
    (tmp_path / "text.nii.gz").write_bytes(gzip.compress(b"no image"))
    for name, message in [
        ("colour.mha", "3 axes and 3 values"),
        ("text.nii.gz", "cannot read this image"),
        ("none.nii.gz", "there is no such image"),
    ]:
        with pytest.raises(UserError, match=message) as error:
            read_volume(tmp_path / name, 2)
        assert "\n" not in str(error.value)


def test_an_ending_that_no_format_has_is_refused(tmp_path):
    _, geometry = read_volume(write(tmp_path / "i.nrrd", np.zeros((2, 3, 4))), 3)
    with pytest.raises(UserError, match="check its ending"):
        write_map(tmp_path / "l.xyz", np.zeros((4, 3, 2), np.uint8), geometry)
    assert [p.name for p in tmp_path.iterdir()] == ["i.nrrd"]
