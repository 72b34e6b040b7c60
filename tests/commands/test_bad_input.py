"""Hostile, damaged and absurd input of every kind: one line that names it, and no file left behind."""

import io
import json
import os
import pickle
import re
import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import SimpleITK as sitk
import torch

from m3hl.files.digests import sha256_file, sha256_json
from m3hl.files.tensors import load_tensors, save_tensors
from m3hl.training.checkpoint import FORMAT, VERSION

HUGE = 10**12
TRAINING, OPTIONS = "datasets.d.training", "methods.m3hl.options"
TABLE = "case,image,label,split\na,a.nii,a_label.nii,train\nt,t.nii,t_label.nii,test\n"
VOXELS = np.arange(4 * 32 * 32, dtype=np.float32).reshape(4, 32, 32)


class Code:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


class Place:
    """A folder of one's own with a finished study beside it; each method returns a command line on bad input."""

    def __init__(self, folder, hearts):
        self.folder, self.hearts, self.out = folder, hearts, folder / "out"

    def file(self, name, content):
        """Write a file and return its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def train(self, **changes):
        return self.hearts("train", **{"out": self.out} | changes)

    def value(self, path, value, stage="train"):
        return self.hearts(stage, config=self.hearts.config(path, value), out=self.out)

    def phantom(self, **values):
        return self.value("datasets.d.phantom", values, "download")

    def config(self, content):
        return self.train(config=self.file("study.yaml", content))

    def store(self, change):
        path = self.folder / "bad.h5"
        shutil.copyfile(self.hearts.store, path)
        with h5py.File(path, "r+") as file:
            change(file)
        return self.train(store=path)

    def array(self, key="image", case="patient001_frame01", **options):
        """Put another array in the place of one of the store's."""

        def change(file):
            values = file["cases"][case][key][()]
            del file["cases"][case][key]
            known = {"data": values, "chunks": (1, *values.shape[1:]), "compression": "gzip"}
            if "shape" in options:
                del known["data"]
            file["cases"][case].create_dataset(key, **known | options)

        return self.store(change)

    def link(self, link):
        def change(file):
            del file["cases/patient001_frame01/image"]
            file["cases/patient001_frame01/image"] = link

        return self.store(change)

    def attribute(self, name, value, where="/"):
        return self.store(lambda file: file[where].attrs.__setitem__(name, value))

    def store_bytes(self, change):
        return self.train(store=self.file("bad.h5", change(self.hearts.store.read_bytes())))

    def weights(self, change):
        """Change the bytes of best.pt."""
        run = self.folder / "run"
        run.mkdir()
        (run / "best.pt").write_bytes(change((self.hearts.run / "best.pt").read_bytes()))
        return self.hearts("evaluate", run=run)

    def checkpoint(self, content):
        """Leave a checkpoint behind as an interrupted training does."""
        work = self.folder / "work"
        value = json.loads((self.hearts.run / "run.json").read_text())
        identity = {"settings": value["settings"], "store": sha256_file(self.hearts.store), "code": "x"}
        self.file(f"work/{sha256_json(identity)[:12]}/last.pt", content(identity))
        return self.train(work=work)

    def facts(self, **settings):
        """Change settings in a weights file whose digest is right."""

        def change(_):
            value = load_tensors(self.hearts.run / "best.pt", "file")
            facts = json.loads(value["facts"])
            facts["settings"] |= settings
            save_tensors(self.folder / "made.pt", value | {"facts": json.dumps(facts)})
            return (self.folder / "made.pt").read_bytes()

        return self.weights(change)

    def predict(self, *images):
        return ["predict", "--weights", self.hearts.run / "best.pt", "--out", self.out, *images]

    def image(self, name, change=lambda data: data, voxels=VOXELS):
        path = self.folder / name
        sitk.WriteImage(sitk.GetImageFromArray(voxels), str(path))
        path.write_bytes(change(path.read_bytes()))
        return self.predict(path)

    def archive(self, *members):
        """Put an archive of the challenge where a download would be."""
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as file:
            for member, content in members:
                file.writestr(member, content)
        return self.archive_bytes(data.getvalue())

    def archive_bytes(self, data):
        self.file("data/acdc.zip", data)
        dataset = {"kind": "acdc", "source": "raw", "path": str(self.folder / "data"), "download": True}
        return self.value("datasets.d", dataset, "download")

    def own(self, table=TABLE, **dataset):
        """List own images in a CSV."""
        self.file("cases.csv", table)
        custom = {"kind": "custom", "source": "folder", "dimensions": 2, "classes": ["x"]}
        dataset = custom | {"path": str(self.folder / "cases.csv")} | dataset
        return self.value("datasets.d", dataset, "download")

    def files(self, content):
        return self.hearts("preprocess", files=self.file("list.json", content), out=self.out)

    def loop(self, name="loop"):
        """Return a link to itself."""
        (self.folder / name).symlink_to(self.folder / name)
        return self.folder / name


def nested(depth):
    return "name: " + "[" * depth + "]" * depth + "\n"


def bomb(merge=""):
    levels = ["a0: &a0 {x: 1}"] + [
        f"a{n}: &a{n} {{{merge}k: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 12)
    ]
    return "\n".join(levels) + "\nname: *a11\n"


def merges():
    levels = ["a0: &a0 {x: 1}"] + [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 12)]
    return "\n".join(levels) + "\n"


def symlink_member(name):
    member = zipfile.ZipInfo(name)
    member.create_system, member.external_attr = 3, 0o120777 << 16
    return member


def half(data):
    return data[: len(data) // 2]


def header(field, kind, value):
    """Return a change of a number in a NIfTI header."""

    def change(data):
        packed = np.array(value, kind).tobytes()
        return data[:field] + packed + data[field + len(packed) :]

    return change


PATIENT = "ACDC/database/training/patient001/"
CASE = "cases/patient001_frame01"
CASES = {
    # The command line.
    "no stage like this": (lambda p: ["trian"], "No such command 'trian'"),
    "no option at all": (lambda p: ["train"], "Missing option '--config'"),
    "no store": (lambda p: ["evaluate", "--config", "x.yaml", "--dataset", "d"], "Missing option '--store'"),
    "no images": (lambda p: p.predict(), "give either IMAGES or --list"),
    "negative threads": (lambda p: p.train(threads=-1), "'--threads': -1 is not in the range"),
    "threads by the billion": (lambda p: p.train(threads=10**9), "'--threads': 1000000000 is not in the range"),
    "threads beyond int": (lambda p: p.train(threads=10**30), "'--threads'"),
    "fraction of a seed": (lambda p: p.train(seed=1.5), "'--seed': '1.5' is not a valid integer"),
    "negative image memory": (lambda p: p.train(**{"image-memory": -1}), "'--image-memory': -1"),
    "exponent of labeled": (lambda p: p.train(labeled="1e3"), "--labeled: '1e3' is neither"),
    "superscript of labeled": (lambda p: p.train(labeled="²"), "--labeled: '²' is neither"),
    "thousand digits of labeled": (lambda p: p.train(labeled="9" * 5000), "--labeled"),
    "NaN of labeled": (lambda p: p.train(labeled="nan"), "--labeled: 'nan' is neither"),
    "out in a loop": (lambda p: p.train(out=p.loop()), "loop: cannot create the folder"),
    "out is a file": (lambda p: p.train(out=p.file("x", "")), "x: cannot create the folder"),
    "path of 5000 letters": (lambda p: p.train(out=p.folder / ("x" * 5000)), "cannot create the folder"),
    # The configuration as text.
    "config is a folder": (lambda p: p.train(config=p.folder), "cannot read this config"),
    "config in a loop": (lambda p: p.train(config=p.loop("l.yaml")), "l.yaml: cannot read this config"),
    "binary config": (lambda p: p.config(bytes(range(256))), "study.yaml: cannot read this config"),
    "control characters": (lambda p: p.config(b"name: \x00\x01\n"), "study.yaml: this is not valid YAML"),
    "empty config": (lambda p: p.config(""), "study.yaml: this is no configuration"),
    "number for config": (lambda p: p.config("7\n"), "study.yaml: this is no configuration"),
    "code in YAML": (
        lambda p: p.config(f"name: !!python/object/apply:os.system ['touch {p.folder}/boom']\n"),
        "study.yaml: this is not valid YAML (could not determine a constructor",
    ),
    "class in YAML": (lambda p: p.config("name: !!python/name:os.system\n"), "could not determine a constructor"),
    "bomb of aliases": (lambda p: p.config(bomb()), "study.yaml: this is not valid YAML (its aliases"),
    "bomb of merges": (lambda p: p.config(merges()), "study.yaml: this is not valid YAML (its aliases"),
    "alias in itself": (lambda p: p.config("name: &a [*a]\n"), "study.yaml: this is not valid YAML"),
    "options in themselves": (
        lambda p: p.config("name: x\ndatasets: &a {d: *a}\n"),
        "study.yaml: this is not valid YAML",
    ),
    "very deep YAML": (lambda p: p.config(nested(20_000)), "study.yaml: this is not valid YAML"),
    "two documents": (lambda p: p.config("name: x\n---\nname: y\n"), "expected a single document"),
    "key twice": (lambda p: p.config("name: x\nname: y\n"), "study.yaml: this is not valid YAML (the key name"),
    "JSON key twice": (lambda p: p.train(config='{"name": "x", "name": "y"}'), "the key name stands there twice"),
    "key of a list": (lambda p: p.config("? [a, b]\n: x\n"), "study.yaml: this is not valid YAML"),
    "key of a number": (lambda p: p.config("1: x\n"), "study.yaml: "),
    "no date": (lambda p: p.config("name: 2025-99-99\n"), "study.yaml: this is not valid YAML"),
    "number of 5000 digits": (lambda p: p.config(f"name: {'9' * 5000}\n"), "study.yaml: this is not valid YAML"),
    # The configuration's values.
    "absurd crop": (lambda p: p.value(f"{TRAINING}.crop", [16 * 10**8] * 2), "training.crop.0"),
    "absurd batch": (
        lambda p: p.value(TRAINING, {"labeled_batch": HUGE, "unlabeled_batch": HUGE}),
        "training.labeled_batch",
    ),
    "absurd channels": (lambda p: p.value(f"{TRAINING}.channels", HUGE), "training.channels"),
    "absurd stride": (lambda p: p.value("datasets.d.evaluation", {"stride": [HUGE] * 2}, "train"), "stride"),
    "NaN learning rate": (lambda p: p.value(OPTIONS, {"learning_rate": float("nan")}), "options.learning_rate"),
    "infinite decay": (lambda p: p.value(OPTIONS, {"weight_decay": float("inf")}), "options.weight_decay"),
    "negative momentum": (lambda p: p.value(OPTIONS, {"momentum": -0.5}), "options.momentum"),
    "infinite iterations": (lambda p: p.value(f"{TRAINING}.iterations", float("inf")), "training.iterations"),
    "negative crop": (lambda p: p.value(f"{TRAINING}.crop", [-32, 32]), "training.crop.0"),
    "no crop": (lambda p: p.value(f"{TRAINING}.crop", []), "training.crop"),
    "name with a slash": (lambda p: p.value("name", "../x"), "name: '../x' cannot name a folder"),
    "name with a line break": (lambda p: p.value("name", "x\n"), "name: 'x\\n' cannot name a folder"),
    "message for a list": (
        lambda p: p.value("experiments", [{"dataset": {"x": ["y"] * 1000}, "method": ["m3hl"], "labeled": [1]}]),
        "experiments.0.dataset: must be a list",
    ),
    "runs without end": (
        lambda p: p.value(
            "experiments",
            [{"dataset": ["d"] * 999, "method": ["m3hl"] * 999, "labeled": [1] * 999, "seed": [1] * 999}],
        ),
        "experiments",
    ),
    "zero in a path": (
        lambda p: p.value("datasets.d", {"kind": "acdc", "source": "raw", "path": "a\0b"}, "download"),
        "b: there is no such folder; check path",
    ),
    "absurd phantom": (lambda p: p.phantom(size=[10**9, 10**9]), "phantom.size.0"),
    "phantoms by the million": (lambda p: p.phantom(train=10**6), "phantom.train: 1000000 patients, at most 500"),
    "negative phantom": (lambda p: p.phantom(size=[-64, 64]), "phantom.size.0"),
    "fraction of a patient": (lambda p: p.phantom(train=1.5), "phantom.train"),
    # Stores.
    "empty store": (lambda p: p.store_bytes(lambda data: b""), "bad.h5: this is no whole HDF5 file"),
    "half a store": (lambda p: p.store_bytes(half), "bad.h5: this is no whole HDF5 file"),
    "store is a folder": (lambda p: p.train(store=p.folder), "there is no such store"),
    "store in a loop": (lambda p: p.train(store=p.loop("l.h5")), "l.h5: there is no such store"),
    "external link": (
        lambda p: p.link(h5py.ExternalLink(str(p.hearts.store), f"/{CASE}/image")),
        "bad.h5: the image of patient001_frame01",
    ),
    "external link to nothing": (
        lambda p: p.link(h5py.ExternalLink("/none.h5", "/x")),
        "bad.h5: the image of patient001_frame01",
    ),
    "soft link to nothing": (lambda p: p.link(h5py.SoftLink("/none")), "bad.h5: the image of patient001_frame01"),
    "soft link to itself": (
        lambda p: p.link(h5py.SoftLink(f"/{CASE}/image")),
        "bad.h5: the image of patient001_frame01",
    ),
    "soft link to a group": (lambda p: p.link(h5py.SoftLink("/cases")), "the image of patient001_frame01"),
    "virtual image": (
        lambda p: p.store(lambda file: virtual(file, p.hearts.store)),
        "bad.h5: the image of patient001_frame01",
    ),
    "values in another file": (
        lambda p: p.array(
            compression=None,
            chunks=None,
            external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)],
            shape=(2, 16, 16),
            dtype="f4",
        ),
        "bad.h5: the image of patient001_frame01",
    ),
    "image of text": (
        lambda p: p.array(data=np.full((2, 8, 8), b"x"), chunks=(1, 8, 8)),
        "the image of patient001_frame01",
    ),
    "image of float64": (lambda p: p.array(dtype="f8"), "the image of patient001_frame01"),
    "label of float32": (lambda p: p.array("label", dtype="f4"), "the label of patient001_frame01"),
    "image without chunks": (lambda p: p.array(chunks=None, compression=None), "the image of patient001_frame01"),
    "image of another filter": (lambda p: p.array(shuffle=True), "the image of patient001_frame01"),
    "flat image": (
        lambda p: p.array(data=np.zeros((8, 8), "f4"), chunks=(1, 8)),
        "the image of patient001_frame01",
    ),
    "absurd shape": (
        lambda p: p.array(shape=(HUGE, 64, 64), chunks=(1, 64, 64), dtype="f4"),
        "the image of patient001_frame01",
    ),
    "absurd chunk": (
        lambda p: p.array(shape=(10**5, 10**5, 10**5), chunks=(1, 30000, 30000), dtype="f4"),
        "the image of patient001_frame01",
    ),
    "label of another shape": (
        lambda p: p.array("label", data=np.zeros((2, 8, 8), "u1"), chunks=(1, 8, 8)),
        "the label of patient001_frame01",
    ),
    "cases in an array": (
        lambda p: p.store(lambda f: (f.__delitem__("cases"), f.__setitem__("cases", [1]))),
        "bad.h5: this store lacks cases",
    ),
    "case in an array": (
        lambda p: p.store(lambda f: (f.__delitem__(CASE), f.__setitem__(CASE, [1]))),
        "patient001_frame01 lacks",
    ),
    "classes by number": (lambda p: p.attribute("classes", 3), "bad.h5: classes"),
    "dimensions in words": (lambda p: p.attribute("dimensions", "two"), "bad.h5: dimensions"),
    "seven dimensions": (lambda p: p.attribute("dimensions", 7), "bad.h5: dimensions"),
    "order of nobody": (lambda p: p.attribute("labeled_order", ["x", "y"]), "bad.h5: labeled_order"),
    "split of numbers": (lambda p: p.attribute("split", [1, 2], CASE), "patient001_frame01"),
    "unknown split": (lambda p: p.attribute("split", "holdout", CASE), "patient001_frame01"),
    "geometry of text": (lambda p: p.attribute("spacing", "x", CASE.replace("001", "701")), "patient701_frame01"),
    "NaN in an image": (lambda p: p.store(poison), "the loss is nan at iteration"),
    # Weights.
    "empty weights": (lambda p: p.weights(lambda data: b""), "best.pt: this weights file is damaged"),
    "half of the weights": (lambda p: p.weights(half), "best.pt: this weights file is damaged"),
    "code in weights": (
        lambda p: p.weights(lambda _: pickle.dumps({"format": Code(p.folder / "boom")})),
        "best.pt: this weights file is damaged",
    ),
    "code in weights of torch": (
        lambda p: p.weights(lambda _: torch_bytes({"network": Code(p.folder / "boom")})),
        "best.pt: this weights file is damaged",
    ),
    "weights are a folder": (
        lambda p: p.hearts("evaluate", run=p.file("run/best.pt/x", "").parents[1]),
        "best.pt: there is no such weights file",
    ),
    "weights of a huge network": (lambda p: p.facts(channels=10**9), "best.pt: the weights do not fit"),
    "weights of a large network": (lambda p: p.facts(channels=256), "best.pt: the weights do not fit"),
    "weights of a million classes": (lambda p: p.facts(classes=["x"] * 10**6), "best.pt: the weights do not fit"),
    "NaN of channels": (lambda p: p.facts(channels=float("nan")), "best.pt: the weights do not fit"),
    "checkpoint of nothing": (
        lambda p: p.checkpoint(lambda identity: checkpoint_bytes(p.folder)),
        "last.pt: this checkpoint does not fit the run; delete it",
    ),
    "checkpoint without weights": (
        lambda p: p.checkpoint(lambda identity: checkpoint_bytes(p.folder, **whole(identity))),
        "last.pt: this checkpoint does not fit the run; delete it",
    ),
    "checkpoint of odd random numbers": (
        lambda p: p.checkpoint(
            lambda identity: checkpoint_bytes(p.folder, **whole(identity) | {"random": {"cpu": torch.zeros(3)}})
        ),
        "last.pt: this checkpoint does not fit the run; delete it",
    ),
    # Images.
    "empty image": (lambda p: p.image("i.nii.gz", lambda data: b""), "i.nii.gz: cannot read this image"),
    "half a NIfTI": (lambda p: p.image("i.nii", half), "i.nii: "),
    "half a NIfTI, compressed": (lambda p: p.image("i.nii.gz", half), "i.nii.gz: "),
    "half an NRRD": (lambda p: p.image("i.nrrd", half), "i.nrrd: cannot read this image"),
    "absurd NIfTI": (lambda p: p.image("i.nii", header(42, "<i2", [32767] * 3)), "i.nii: "),
    "negative NIfTI": (lambda p: p.image("i.nii", header(42, "<i2", [-4] * 3)), "i.nii: "),
    "NIfTI that begins nowhere": (lambda p: p.image("i.nii", header(108, "<f4", [np.nan])), "i.nii: "),
    "NIfTI that begins before": (lambda p: p.image("i.nii", header(108, "<f4", [-1e9])), "i.nii: "),
    "NIfTI without a spacing": (lambda p: p.image("i.nii", header(80, "<f4", [np.nan] * 3)), "i.nii: "),
    "absurd NRRD": (
        lambda p: p.image("i.nrrd", lambda data: re.sub(rb"sizes: .*", b"sizes: 99999999 9999999 9999999", data)),
        "i.nrrd: cannot read this image",
    ),
    "NRRD of another file": (
        lambda p: p.image("i.nrrd", lambda _: nrrd_of(p.file("secret", bytes(4 * 8 * 8 * 8)))),
        "i.nrrd: ",
    ),
    "image is a folder": (lambda p: p.predict(p.folder), "this folder holds no image"),
    "image in a loop": (lambda p: p.predict(p.loop("l.nii")), "l.nii: "),
    "label maps in a loop": (
        lambda p: [*p.image("i.nii")[:3], "--out", p.loop(), p.folder / "i.nii"],
        "loop: cannot create the folder",
    ),
    # Archives.
    "member above": (lambda p: p.archive(("../evil", "x")), "the member ../evil leads outside of the folder"),
    "absolute member": (lambda p: p.archive(("/tmp/evil", "x")), "the member /tmp/evil leads outside"),
    "member by backslash": (lambda p: p.archive(("..\\evil", "x")), "leads outside of the folder"),
    "member above within": (
        lambda p: p.archive((f"{PATIENT}../../../../../patient001/Info.cfg", "x")),
        "leads outside of the folder",
    ),
    "member is a link": (
        lambda p: p.archive((symlink_member(f"{PATIENT}Info.cfg"), "/etc/passwd")),
        "the member ACDC/database/training/patient001/Info.cfg is a link",
    ),
    "empty archive": (lambda p: p.archive_bytes(b""), "acdc.zip: the archive is damaged"),
    "archive of nothing": (lambda p: p.archive(), "acdc.zip: holds none of the files"),
    "archive of text": (lambda p: p.archive_bytes(b"PK\x03\x04" + b"x" * 99), "acdc.zip: the archive is damaged"),
    "encrypted member": (lambda p: p.archive_bytes(encrypted()), "acdc.zip: the archive is damaged"),
    # Lists.
    "table of another kind": (lambda p: p.own("a,b\n1,2\n"), "cases.csv: this list of cases has no column"),
    "empty table": (lambda p: p.own(""), "cases.csv: this list of cases has no column"),
    "binary table": (lambda p: p.own(bytes(range(256))), "cases.csv: cannot read this list of cases"),
    "table with a huge value": (lambda p: p.own(TABLE + "x" * 200_000 + ",,,\n"), "cases.csv, line 4"),
    "table with a zero": (lambda p: p.own(TABLE.replace("t.nii", "\0.nii")), "cases.csv"),
    "table is a folder": (lambda p: p.own(path=str(p.folder)), "cannot read this list of cases"),
    "case that leads outside": (lambda p: p.own(TABLE.replace("a,a", "../a,a")), "'../a' cannot name a case"),
    "case of a line break": (lambda p: p.own(TABLE.replace("a,a", '"a\nb",a')), "cannot name a case"),
    "files as text": (lambda p: p.files("x"), "list.json: this list of files is not valid JSON"),
    "files as a number": (lambda p: p.files("7"), "list.json: this is no list of files"),
    "files of 5000 digits": (lambda p: p.files("9" * 5000), "list.json: this list of files is not valid JSON"),
    "very deep list": (lambda p: p.files("[" * 10**5), "list.json: this list of files is not valid JSON"),
    "binary list": (lambda p: p.files(b"\xff\xfe"), "list.json: cannot read this list of files"),
}


def poison(file):
    """Turn every training image into NaN, as a store that is right in form may hold it."""
    for name, case in file["cases"].items():
        if name < "patient5":
            case["image"][...] = np.nan


def virtual(file, source):
    """Put a virtual image in the place of a case's own."""
    shape = file[CASE]["image"].shape
    layout = h5py.VirtualLayout(shape, "f4")
    layout[:] = h5py.VirtualSource(str(source), f"{CASE}/image", shape)
    del file[CASE]["image"]
    file[CASE].create_virtual_dataset("image", layout)


def torch_bytes(value):
    data = io.BytesIO()
    torch.save(value, data)
    return data.getvalue()


def checkpoint_bytes(folder, **values):
    """Return a checkpoint whose digest is right."""
    save_tensors(folder / "made.pt", {"format": FORMAT, "version": VERSION} | values)
    return (folder / "made.pt").read_bytes()


def whole(identity):
    """Return all of a checkpoint but the training's state."""
    return {"identity": identity, "arithmetic": {}, "random": {"cpu": torch.get_rng_state(), "cuda": None}}


def nrrd_of(path):
    """Return an NRRD header whose values are in another file, which is too short."""
    return (
        f"NRRD0004\ntype: float\ndimension: 3\nsizes: 9 9 99\nencoding: raw\nendian: little\ndata file: {path}\n"
    ).encode()


def encrypted():
    """Return an archive whose needed member is marked as encrypted."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr(f"{PATIENT}Info.cfg", "ED: 1")
    content = bytearray(data.getvalue())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


@pytest.fixture
def place(tmp_path, hearts, monkeypatch):
    """Return a folder to put bad input into, on a machine without a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("m3hl.commands.train.code", lambda *_: "x")
    monkeypatch.chdir(tmp_path)
    return Place(tmp_path, hearts)


def listing(folder):
    """Return every file below a folder but the curves of a training that began."""
    return sorted(str(p) for p in folder.rglob("*") if not p.is_dir() and "tensorboard" not in p.parts)


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_line(place, program, case):
    build, message = CASES[case]
    arguments = build(place)
    before = listing(place.folder)
    code, _, err = program(*arguments)
    assert code in (1, 2), err
    assert "Traceback" not in err
    (line,) = (line for line in err.splitlines() if line.startswith("m3hl: error: " if code == 1 else "Error: "))
    assert line == err.splitlines()[-1]
    assert message in line
    assert listing(place.folder) == before


@pytest.mark.parametrize(
    "content",
    [lambda path: pickle.dumps(Code(path)), lambda path: torch_bytes({"method": Code(path)}), lambda _: b""],
)
def test_a_checkpoint_that_is_none_is_put_aside(place, m3hl, content):
    arguments = place.checkpoint(lambda _: content(place.folder / "boom"))
    assert m3hl(*arguments) is None
    assert not (place.folder / "boom").exists()
    assert len(list(place.folder.glob("work/*/damaged.pt"))) == 1


@pytest.mark.parametrize("log", ["x/log", "."])
def test_a_log_that_cannot_be_written(place, m3hl, log):
    place.file("x", "")
    assert f"{log}: cannot write the log" in m3hl("--log", log, *place.train())
    assert listing(place.folder) == [str(place.folder / "x")]


@pytest.mark.parametrize("name", ["bad.h5", "study.yaml", "folder"])
def test_what_may_not_be_read_or_written(place, program, name):
    path = place.folder / name
    build = {
        "bad.h5": lambda: place.store_bytes(lambda data: data),
        "study.yaml": lambda: place.config(place.hearts.config()),
        "folder": lambda: place.train(out=path / "out"),
    }
    if name == "folder":
        path.mkdir()
    arguments = build[name]()
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    code, _, err = program(*arguments)
    path.chmod(0o700)
    assert code == 1
    (line,) = err.splitlines()
    assert name in line


@pytest.mark.parametrize("name", ["mit Leerzeichen", "Ærø-心臓-🫀", "a'b\"c$(d);#", "-x", "back\\slash", "%s{0}"])
def test_unusual_names_work(place, m3hl, name):
    folder = place.folder / name
    folder.mkdir()
    for copied in (place.hearts.store, place.hearts.run / "best.pt"):
        shutil.copy(copied, folder)
    config = folder / "study.yaml"
    config.write_text(place.hearts.config())
    assert (
        m3hl("--log", folder / "log", *place.train(config=config, store=folder / "d.h5", out=folder / "out"))
        is None
    )
    assert m3hl(*place.hearts("evaluate", config=config, store=folder / "d.h5", run=folder)) is None
    place.image("i.nii.gz")
    image = (place.folder / "i.nii.gz").rename(folder / f"{name}.nii.gz")
    assert m3hl("predict", "--weights", folder / "best.pt", "--out", folder / "maps", image) is None
    assert (folder / "maps" / image.name).is_file()


def test_a_name_that_is_no_unicode_is_said(place, m3hl):
    path = os.fsdecode(b"\xff.h5")
    assert "there is no such store" in m3hl("--log", "log", *place.train(store=path))
