"""Batches of cases with several images: the same place of each channel, whatever was drawn."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch

from m3hl.config.datasets import describe
from m3hl.data.batches import Batches
from m3hl.data.channels import names
from m3hl.data.placement import Budget
from m3hl.data.store import Store
from m3hl.data.store_writer import write_store
from m3hl.errors import UserError
from m3hl.testing import small
from tests.small_runs import study

CPU = torch.device("cpu")


def store_of(path, dimensions, images, **changes):
    """Write cases whose image k is k times the first one, and return the path."""

    def several(case):
        channels = [case.image * k for k in range(1, images + 1)]
        return replace(case, image=np.stack(channels) if images > 1 else channels[0])

    write_store(
        path,
        kind="custom",
        source="folder",
        description=describe(study(dimensions).dataset("d")),
        source_sha256="0" * 64,
        cases=map(several, small.cases(dimensions)),
        labeled_order=[f"train{n}" for n in range(4)],
        **changes,
    )
    return path


@pytest.mark.parametrize(
    "budget", [Budget(10**9, 10**9), Budget(0, 10**9), Budget(0, 0)], ids=["device", "host", "store"]
)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_all_channels_have_the_draw_of_the_one_image(tmp_path, dimensions, budget):
    drawn = []
    for images in (1, 3):
        settings = small.settings("m3hl", dimensions, {"high_features": "bottleneck"}).on(names(images))
        with Store(store_of(tmp_path / f"{images}.h5", dimensions, images)) as store:
            batches = Batches.load(store, settings, CPU, (2, 2), budget)
            drawn.append([batches.draw(iteration) for iteration in range(4)])
            batches.close()
    for one, three in zip(*drawn, strict=True):
        assert torch.equal(one.labels, three.labels)
        for image, channels in (
            (one.labeled_images, three.labeled_images),
            (one.unlabeled_images, three.unlabeled_images),
        ):
            assert channels.shape == (2, 3, *settings.crop)
            for k in range(3):
                assert torch.equal(channels[:, k], image[:, 0] * (k + 1))


def test_one_image_says_nothing_and_keeps_the_digest():
    settings = small.settings("supervised", 2)
    assert "images" not in settings.model_dump(mode="json")
    two = settings.on(names(2))
    assert (two.inputs, two.model_dump(mode="json")["images"]) == (2, ["image_1", "image_2"])
    assert two.digest != settings.digest == settings.on(()).digest


def test_a_store_with_other_images_is_refused(tmp_path):
    settings = small.settings("supervised", 2)
    with Store(store_of(tmp_path / "s.h5", 2, 2)) as store:
        with pytest.raises(UserError, match="has images image_1, image_2, the run wants one image"):
            Batches.load(store, settings, CPU, (2, 0), Budget(0, 0))
        Batches.load(store, settings.on(store.images), CPU, (2, 0), Budget(0, 0)).close()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda f: f.attrs.__setitem__("images", ["image_1", "image_3"]), "images of this store cannot be"),
        (lambda f: f.attrs.__delitem__("images"), "lacks image_sha256"),
        (lambda f: f["cases/train1"].pop("image_2"), "train1 lacks its image_2"),
    ],
)
def test_a_store_that_lacks_images_is_refused(tmp_path, damage, said):
    path = store_of(tmp_path / "s.h5", 2, 2)
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(UserError, match=said):
        Store(path)
