"""Whatever bytes or values a reader is given, it reads them or says what is wrong with them."""

import copy
import json
import shutil
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import SimpleITK as sitk
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from m3hl import nets
from m3hl.config.dataset import DatasetConfig
from m3hl.config.datasets import describe
from m3hl.config.experiment import load_config, parse_config
from m3hl.data.case import Case, Geometry
from m3hl.data.images import read_volume
from m3hl.data.store import Store
from m3hl.data.store_writer import write_store
from m3hl.errors import UserError
from m3hl.files.reading import read_json
from m3hl.files.tensors import load_tensors, save_tensors
from m3hl.inference.weights import Weights
from m3hl.training.checkpoint import Checkpoints

GEOMETRY = Geometry(
    (8.0, 1.5, 1.25), (-3.0, 2.5, 0.0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1), (2, 1, 0), (0, 0, 0), (3, 16, 16)
)
STUDY = {
    "name": "study",
    "datasets": {
        "hearts": {
            "kind": "acdc",
            "source": "phantom",
            "phantom": {"train": 3, "size": [32, 32]},
            "training": {"crop": [32, 32], "labeled_batch": 2, "unlabeled_batch": 2, "channels": 4},
        },
        "atria": {"kind": "la", "source": "raw", "path": "la", "evaluation": {"stride": [18, 18, 4]}},
    },
    "methods": {"m3hl": {"method": "m3hl", "preset": "paper", "options": {"mask_ratio": 0.5}}},
    "experiments": [{"dataset": ["hearts"], "method": ["m3hl"], "labeled": [3, "all"], "seed": [1, 2]}],
}
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from([10**30, "all"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


def bounded(examples):
    """Return settings of a test with so many examples, the same ones each time."""
    # The files that are spoilt are made once and never changed.
    shared = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=examples, derandomize=True, suppress_health_check=shared)


@st.composite
def spoiled(draw, data):
    """Return bytes with some of them changed, left out, put in or cut off."""
    data = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        # Headers lie in front.
        at = draw(st.integers(0, len(data)) | st.integers(0, min(len(data), 400)))
        count = draw(st.integers(1, 16))
        match draw(st.sampled_from(["flip", "set", "delete", "insert", "cut"])):
            case "flip" if at < len(data):
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "set":
                data[at : at + count] = draw(st.sampled_from([b"\0", b"\xff", b"\x7f"])) * count
            case "delete":
                del data[at : at + count]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=16))
            case "cut":
                del data[at:]
    return bytes(data)


@st.composite
def changed(draw, value):
    """Return nested values with one of them, at any depth, replaced or left out."""
    value = copy.deepcopy(value)
    inner, path = value, []
    while isinstance(inner, dict | list) and inner and (not path or draw(st.booleans())):
        path.append(draw(st.sampled_from(list(inner) if isinstance(inner, dict) else range(len(inner)))))
        parent, inner = inner, inner[path[-1]]
    if draw(st.booleans()) and isinstance(parent, dict):
        del parent[path[-1]]
    else:
        parent[path[-1]] = draw(VALUES)
    return value


def read_or_refused(read):
    """Call a function that may fail with `UserError`, in one line, and with nothing else."""
    line = ""
    try:
        read()
    except UserError as error:
        line = str(error)
    assert "\n" not in line


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """Return a store of one labeled and one unlabeled case."""
    path = tmp_path_factory.mktemp("fuzz") / "store.h5"
    image = np.random.default_rng(0).random((3, 16, 16)).astype(np.float32)
    label = (image > 0.5).astype(np.uint8)
    write_store(
        path,
        kind="acdc",
        source="raw",
        description=describe(DatasetConfig(kind="acdc", source="raw", path="x")),
        source_sha256="0" * 64,
        cases=[Case("a", "a", "train", image, label, GEOMETRY), Case("b", "b", "test", image, None, None)],
        labeled_order=["a"],
    )
    return path


def use_store(path):
    """Read all that a store holds."""
    with Store(path) as store:
        for split in ("train", "val", "test"):
            for case in store.cases(split):
                store.image(case.name)
                store.label(case.name)
                for key in ("image", "label") if case.labeled else ("image",):
                    store.planes(case.name, key, 0, case.shape[0])
        store.verify()


@bounded(400)
@given(st.data())
def test_a_spoiled_store(store, data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "s.h5")
        path.write_bytes(data.draw(spoiled(store.read_bytes())))
        read_or_refused(lambda: use_store(path))


ARRAYS = st.sampled_from(
    [3, -1, 2.5, "x", b"\xff", [], [1, 2], ["x"], [[1.0] * 3] * 3, np.float32("nan"), np.zeros((0, 3)), 2**62]
)


@bounded(200)
@given(st.data())
def test_a_store_of_another_structure(store, data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "s.h5")
        shutil.copyfile(store, path)
        with h5py.File(path, "r+") as file:
            for _ in range(data.draw(st.integers(1, 3))):
                # Not what an external link leads to: that is the store that is copied.
                nodes = (file.get(name) for name in ("/", "cases", "cases/a", "cases/b", "cases/a/image"))
                node = data.draw(st.sampled_from([n for n in nodes if n and n.file == file]))
                members = list(node) if isinstance(node, h5py.Group) else []
                attributes = list(node.attrs)
                match data.draw(st.sampled_from(["attribute", "no attribute", "member", "no member", "link"])):
                    case "attribute":
                        name = data.draw(st.sampled_from([*attributes, "spacing", "size", "x"]))
                        node.attrs[name] = data.draw(ARRAYS)
                    case "no attribute" if attributes:
                        del node.attrs[data.draw(st.sampled_from(attributes))]
                    case "no member" if members:
                        del node[data.draw(st.sampled_from(members))]
                    case "member" if members:
                        name = data.draw(st.sampled_from(members))
                        del node[name]
                        node[name] = data.draw(ARRAYS)
                    case "link" if members:
                        name = data.draw(st.sampled_from(members))
                        del node[name]
                        node[name] = data.draw(
                            st.sampled_from(
                                [
                                    h5py.SoftLink("/none"),
                                    h5py.SoftLink("/"),
                                    h5py.ExternalLink(str(store), "/cases"),
                                ]
                            )
                        )
        read_or_refused(lambda: use_store(path))


@pytest.fixture(scope="session")
def weights(tmp_path_factory, store):
    """Return the weights file of a small network."""
    config = parse_config(STUDY)
    run = config.runs()[0]
    chosen = config.settings(run)
    network = nets.build(2, 4, chosen.channels)
    path = tmp_path_factory.mktemp("fuzz") / "best.pt"
    Weights.build(chosen, config.dataset(run.dataset), network.state_dict(), {"rule": "last"}).save(path)
    return path


@bounded(150)
@given(st.data())
def test_spoiled_weights(weights, data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "best.pt")
        path.write_bytes(data.draw(spoiled(weights.read_bytes())))
        read_or_refused(lambda: Weights.load(path))


@bounded(150)
@given(st.data())
def test_weights_of_other_values(weights, data):
    value = load_tensors(weights, "file")
    if data.draw(st.booleans()):
        value["facts"] = json.dumps(data.draw(changed(json.loads(value["facts"]))))
    else:
        value = data.draw(changed(value))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "best.pt")
        save_tensors(path, value)
        read_or_refused(lambda: Weights.load(path))


def saved(folder):
    """Return checkpoints in a folder, with one of them saved."""
    checkpoints = Checkpoints(Path(folder), {"settings": {"seed": 1}, "code": "x"}, {"threads": 1})
    checkpoints.save({"iteration": 3, "method": {"weight": torch.zeros(3)}})
    return checkpoints


@bounded(100)
@given(st.data())
def test_a_spoiled_checkpoint(data):
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = saved(folder)
        checkpoints.last.write_bytes(data.draw(spoiled(checkpoints.last.read_bytes())))
        read_or_refused(checkpoints.load)


@bounded(100)
@given(st.data())
def test_a_checkpoint_of_other_values(data):
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = saved(folder)
        save_tensors(checkpoints.last, data.draw(changed(load_tensors(checkpoints.last, "checkpoint"))))
        read_or_refused(checkpoints.load)


@bounded(300)
@given(VALUES)
def test_any_values_for_a_configuration(value):
    read_or_refused(lambda: parse_config(value))
    read_or_refused(lambda: load_config(yaml.safe_dump(value) + "\n"))


def resolve(text):
    """Read a configuration and settle every run."""
    config = load_config(text)
    for run in config.runs():
        config.settings(run)


@bounded(500)
@given(changed(STUDY))
def test_a_configuration_with_another_value(value):
    read_or_refused(lambda: resolve(yaml.safe_dump(value) + "\n"))
    read_or_refused(lambda: resolve(" " + json.dumps(value) + "\n"))


@bounded(500)
@given(spoiled(yaml.safe_dump(STUDY).encode()))
def test_a_spoiled_configuration(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "study.yaml")
        path.write_bytes(data)
        read_or_refused(lambda: resolve(path))


@bounded(100)
@given(st.binary(max_size=60) | spoiled(json.dumps(STUDY).encode()))
def test_a_spoiled_json_file(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.json")
        path.write_bytes(data)
        read_or_refused(lambda: read_json(path, "record"))


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """Return the bytes of a volume by its file's ending."""
    folder = tmp_path_factory.mktemp("fuzz")
    volume = sitk.GetImageFromArray(np.random.default_rng(1).random((3, 8, 8)).astype(np.float32))
    for ending in ("nii", "nii.gz", "nrrd", "mha"):
        sitk.WriteImage(volume, str(folder / f"i.{ending}"))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["i.nii", "i.nii.gz", "i.nrrd", "i.mha"])
@bounded(150)
@given(st.data())
def test_a_spoiled_image(images, name, data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(data.draw(spoiled(images[name])))
        read_or_refused(lambda: read_volume(path, data.draw(st.sampled_from([2, 3]))))
