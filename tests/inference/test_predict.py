"""A scan in any orientation and spacing: the same label map, on the scan's own grid."""

from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from torch import nn

from m3hl.config.experiment import Run, parse_config
from m3hl.data.frame import Frame
from m3hl.inference.inputs import find_scans
from m3hl.inference.predict import predict
from m3hl.inference.weights import Weights
from m3hl.nets.output import Output

ORIENTATIONS = ["".join(letters) for axes in permutations(["LR", "PA", "SI"]) for letters in product(*axes)]


assert len(set(ORIENTATIONS)) == 48


class Threshold(nn.Module):
    """A network that calls voxels above 0.5 a structure, up to some voxel of the first axis only.

    So it knows left from right, as a trained one does.
    """

    def __init__(self, last=1000):
        super().__init__()
        self.last = last

    def forward(self, image):
        score = 20 * (image - 0.5)
        score[:, :, self.last :] = -10
        logits = torch.cat([-score, score], 1)
        return Output(logits, logits, logits, logits, logits)


@pytest.fixture
def weights():
    """Return weights of a study in LPS at 1×1×2 mm."""
    values = {
        "name": "mine",
        "datasets": {
            "d": {
                "kind": "custom",
                "source": "folder",
                "path": "x.csv",
                "dimensions": 3,
                "classes": ["ball"],
                "normalization": "minmax",
                "training": {"crop": [16, 16, 16]},
            }
        },
        "methods": {"supervised": {"method": "supervised"}},
    }
    config = parse_config(values)
    found = Weights(config.settings(Run("d", "supervised", "all", 1)), config.dataset("d"), Threshold(), {})
    found.frame = Frame("LPS", (1.0, 1.0, 2.0))
    return found


def ball(shape, spacing):
    """Return a bright ball that is not in the middle, on a grid of a shape (X, Y, Z) and a spacing in mm."""
    places = np.meshgrid(*((np.arange(n) + 0.5) * s for n, s in zip(shape, spacing, strict=True)), indexing="ij")
    distance = np.sqrt(sum((p - c) ** 2 for p, c in zip(places, (7, 9, 13), strict=True)))
    return (1000 / (1 + np.exp((distance - 5) / 0.8))).astype(np.float32)


def scan(shape=(16, 16, 16), spacing=(1.0, 1.0, 2.0)):
    image = sitk.GetImageFromArray(ball(shape, spacing).transpose())
    image.SetSpacing(spacing)
    image.SetOrigin((3.0, -4.5, 10.25))
    return image


def segment(weights, image, folder, name="i.nrrd"):
    sitk.WriteImage(image, str(folder / name))
    predict(
        [weights], find_scans([folder / name]), folder / "out", stride=(16, 16, 16), device=torch.device("cpu")
    )
    return sitk.ReadImage(str(folder / "out" / f"{name.partition('.')[0]}.nii.gz"))


def same_header(one, other):
    return one.GetSize() == other.GetSize() and all(
        np.allclose(getattr(one, get)(), getattr(other, get)(), atol=1e-5)
        for get in ("GetSpacing", "GetOrigin", "GetDirection")
    )


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_scan_in_any_orientation_gets_the_same_label_on_its_grid(weights, tmp_path, orientation):
    weights.network.last = 8
    image = scan()
    expected = segment(weights, image, tmp_path, "straight.nrrd")
    assert 0 < sitk.GetArrayFromImage(expected).sum() < (sitk.GetArrayFromImage(image) > 500).sum()
    turned = sitk.DICOMOrient(image, orientation)
    label = segment(weights, turned, tmp_path)
    assert same_header(label, turned)
    back = sitk.DICOMOrient(label, "LPS")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(expected))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 8.0), (0.5, 0.5, 2.0), (2.0, 1.3, 1.0), (0.7, 0.9, 4.1)])
@pytest.mark.parametrize("orientation", ["LPS", "RSA", "IPR"])
def test_a_scan_of_any_spacing_gets_its_label_on_its_grid(weights, tmp_path, spacing, orientation):
    shape = tuple(round(n / s) for n, s in zip((16, 16, 32), spacing, strict=True))
    image = sitk.DICOMOrient(scan(shape, spacing), orientation)
    label = segment(weights, image, tmp_path)
    assert same_header(label, image)
    found, truth = (sitk.GetArrayFromImage(one) > 0 for one in (label, image > 500))
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > (0.9 if max(spacing) < 8 else 0.75)
