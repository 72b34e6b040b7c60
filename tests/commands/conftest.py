"""The command line in this process, and two small studies that have gone through the pipeline."""

import copy
import json
import logging
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from m3hl.cli import cli, main
from m3hl.data.store import Store
from m3hl.errors import UserError
from m3hl.inference.weights import Weights

HEARTS = {
    "kind": "acdc",
    "phantom": {"train": 3, "val": 1, "test": 2, "size": [32, 32]},
    "training": {"crop": [32, 32], "iterations": 10, "validate_every": 5},
}
ATRIA = {
    "kind": "la",
    "phantom": {"train": 2, "val": 0, "test": 1, "size": [144, 32, 24]},
    "training": {"crop": [32, 32, 32], "iterations": 3, "validate_every": 3},
    "evaluation": {"stride": [24, 32, 32]},
}


@contextmanager
def own_logging():
    """Put the handlers back that the command line replaces."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


def invoke(*arguments):
    """Run a command line; return the error line, None when all went well."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    if result.exception is None:
        return None
    if not isinstance(result.exception, UserError):
        raise AssertionError(result.output) from result.exception
    line = str(result.exception)
    assert "\n" not in line
    return line


@pytest.fixture
def m3hl():
    """Return a function that runs a command line; it returns the error line, None when all went well."""
    with own_logging():
        yield invoke


@pytest.fixture
def program(monkeypatch, capsys):
    """Return a function that runs a command line as a shell does; it returns exit code, output and errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["m3hl", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, *capsys.readouterr()

    with own_logging():
        yield run


@pytest.fixture
def mistake(program):
    """Return a function that runs a command line which must fail with one line; it returns code and line."""

    def run(*arguments):
        code, out, err = program(*arguments)
        assert "Traceback" not in err
        assert out == ""
        if code == 2:
            # Usage, a hint at --help, and the mistake.
            return code, err.splitlines()[-1]
        (line,) = err.splitlines()
        assert line.startswith("m3hl: error: ")
        return code, line

    return run


class Study:
    """A study with one data set, called d, and where the pipeline puts its files.

    Calling it returns the command line of a stage; options that are given go before the study's own.
    """

    def __init__(self, folder, dataset):
        training = {"channels": 4, "labeled_batch": 2, "unlabeled_batch": 2} | dataset["training"]
        m3hl = {"method": "m3hl", "options": {"high_features": "bottleneck"}}
        self.values = {
            "name": "tiny",
            "datasets": {"d": {"source": "phantom", **dataset, "training": training}},
            "methods": {"m3hl": m3hl, "supervised": {"method": "supervised"}},
        }
        self.files, self.raw, self.store = folder / "d.json", folder / "d", folder / "d.h5"
        self.run, self.nifti = folder / "run", folder / "nifti"

    def config(self, path=None, value=None):
        """Return the configuration as text, with the value at a dotted path replaced."""
        values = copy.deepcopy(self.values)
        if path:
            *parents, last = path.split(".")
            inner = values
            for key in parents:
                inner = inner.setdefault(key, {})
            inner[last] = value
        return json.dumps(values)

    def __call__(self, stage, **changes):
        known = {
            "download": {"out": self.files},
            "preprocess": {"files": self.files, "out": self.store},
            "train": {"method": "m3hl", "labeled": 2, "seed": 1, "store": self.store, "out": self.run},
            "evaluate": {"store": self.store, "run": self.run},
        }
        options = {"config": self.config(), "dataset": "d"} | known[stage] | changes
        return [stage, *(str(part) for name, value in options.items() for part in (f"--{name}", value))]


def finished(folder, dataset, labeled):
    """Return a study that has gone through the whole pipeline, with label maps as NIfTI too."""
    study = Study(folder, dataset)
    with own_logging():
        for arguments in (study("download"), study("preprocess"), study("train", labeled=labeled)):
            assert invoke(*arguments) is None
        let_every_class_win(study)
        assert invoke(*study("evaluate", nifti=study.nifti)) is None
    return study


def let_every_class_win(study):
    """Move the last bias so that all classes are equally likely: a few iterations predict background only."""
    weights = Weights.load(study.run / "best.pt")
    with Store(study.store) as store, torch.no_grad():
        image = store.image(store.cases("test")[0].name)
        images = image if store.dimensions == 2 else image[None]
        padded = np.pad(images, [(0, 0), *((0, -n % 16) for n in images.shape[1:])])
        logits = weights.network(torch.from_numpy(padded)[:, None]).logits
        weights.network.decoder.head.bias -= logits.transpose(0, 1).flatten(1).mean(1)
    weights.save(study.run / "best.pt")


@pytest.fixture(scope="session")
def hearts(tmp_path_factory):
    """Return a finished 2D study of three training, one validation and two test patients; not to be changed."""
    return finished(tmp_path_factory.mktemp("hearts"), HEARTS, labeled=2)


@pytest.fixture(scope="session")
def atria(tmp_path_factory):
    """Return a finished 3D study of two training scans and a test scan, all cropped; not to be changed."""
    return finished(tmp_path_factory.mktemp("atria"), ATRIA, labeled=1)


@pytest.fixture(params=["hearts", "atria"])
def study(request):
    """Return the 2D and the 3D study in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def raw_image():
    """Return a function that gives the raw image of a case of the store."""

    def find(study, name):
        if study.values["datasets"]["d"]["kind"] == "la":
            return study.raw / name / "lgemri.nrrd"
        patient, frame = name.split("_frame")
        images = sorted(p for p in Path(study.raw / patient).glob("*_frame*.nii.gz") if "_gt" not in p.name)
        return images[int(frame) - 1]

    return find
