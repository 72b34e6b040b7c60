"""The configuration: what is accepted, and what is said about the rest."""

import copy

import pytest
import yaml

from m3hl.config.experiment import Run, load_config, parse_config
from m3hl.errors import UserError

STUDY = {
    "name": "study",
    "datasets": {"hearts": {"kind": "acdc", "source": "phantom"}, "atria": {"kind": "la", "source": "phantom"}},
    "methods": {"m3hl": {"method": "m3hl"}, "supervised": {"method": "supervised"}},
    "experiments": [
        {"dataset": ["hearts"], "method": ["m3hl", "supervised"], "labeled": [3, "all"], "seed": [1, 2]}
    ],
}


def changed(path, value):
    """Return the study with the value at a dotted path replaced."""
    study = copy.deepcopy(STUDY)
    *parents, last = path.split(".")
    inner = study
    for key in parents:
        inner = inner[int(key)] if isinstance(inner, list) else inner.setdefault(key, {})
    inner[last] = value
    return study


def test_runs_are_the_product_of_the_lists():
    runs = parse_config(STUDY).runs()
    assert len(runs) == 8
    assert runs[0] == Run("hearts", "m3hl", 3, 1)
    assert str(runs[0].path) == "runs/hearts/m3hl/labeled-3/seed-1"


def test_a_run_that_two_blocks_name_is_run_once():
    assert len(parse_config(STUDY | {"experiments": STUDY["experiments"] * 2}).runs()) == 8


def test_left_out_settings_are_the_published_ones():
    settings = parse_config(STUDY).settings(Run("hearts", "m3hl", 7, 1337))
    assert (settings.crop, settings.labeled_batch, settings.iterations, settings.channels) == (
        (256, 256),
        12,
        30000,
        16,
    )
    assert (settings.preset, settings.options.learning_rate, settings.selection) == ("released", 0.01, "val")


def test_options_go_before_the_preset():
    study = parse_config(
        changed("methods.m3hl", {"method": "m3hl", "preset": "paper", "options": {"mask_ratio": 0.3}})
    )
    options = study.settings(Run("hearts", "m3hl", 7, 1)).options
    assert (options.mask_ratio, options.learning_rate) == (0.3, 0.001)


def test_options_of_a_data_set_go_before_the_others():
    knobs = {"mask_ratio": 0.3, "ema_decay": 0.9}
    study = parse_config(
        changed("methods.m3hl", {"method": "m3hl", "options": knobs, "by_dataset": {"atria": {"mask_ratio": 0.4}}})
    )
    found = {name: study.settings(Run(name, "m3hl", 7, 1)).options for name in study.datasets}
    assert {name: options.mask_ratio for name, options in found.items()} == {"hearts": 0.3, "atria": 0.4}
    assert {options.ema_decay for options in found.values()} == {0.9}


def test_text_and_file_are_the_same(tmp_path):
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY))
    assert load_config(tmp_path / "study.yaml") == load_config(yaml.safe_dump(STUDY)) == parse_config(STUDY)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("nmae", "x", r"nmae: there is no such key; check the spelling"),
        ("datasets.hearts.trainign", {}, r"datasets\.hearts\.trainign: there is no such key"),
        (
            "datasets.hearts.training",
            {"iteration": 3},
            r"datasets\.hearts\.training\.iteration: there is no such key",
        ),
        (
            "methods.m3hl.options",
            {"mask_raito": 0.5},
            r"m3hl on hearts: options\.mask_raito: there is no such key",
        ),
        ("datasets.hearts.kind", "brats", r"unknown dataset kind 'brats'; there are acdc, custom, la"),
        ("methods.m3hl.method", "unet", r"unknown method 'unet'; there are .*cutmix.*m3hl.*supervised"),
        ("methods.m3hl.preset", "best", r"unknown preset 'best' of method m3hl; there are released, paper"),
        ("methods.m3hl.by_dataset", {"lungs": {}}, r"unknown dataset 'lungs'; the config has hearts, atria"),
        ("methods.supervised.preset", "x", r"unknown preset 'x' of method supervised"),
        ("experiments.0.dataset", ["lungs"], r"unknown dataset 'lungs'; the config has hearts, atria"),
        ("experiments.0.method", ["bcp"], r"unknown method 'bcp'; the config has m3hl, supervised"),
        ("experiments.0.labeled", 3, r"experiments\.0\.labeled: must be a list; write \[3\]"),
        ("experiments.0.labeled", [0], r"experiments\.0\.labeled"),
        ("experiments.0.seed", [-1], r"experiments\.0\.seed"),
        ("name", "../elsewhere", r"name"),
        ("name", "a b", r"name: 'a b' cannot name a folder; use letters, digits, dots and dashes"),
        (
            "methods.m3hl.options",
            {"mask_patch_size": 60},
            r"crop \[256, 256\] must be a multiple of mask_patch_size \[60, 60\]",
        ),
        ("datasets.hearts.training", {"crop": [250, 256]}, r"crop \[250, 256\] must be a multiple of 16"),
        ("datasets.hearts.training", {"crop": [64, 64, 64]}, r"crop \[64, 64, 64\] has 3 axes, the data 2"),
        ("datasets.hearts.training", {"labeled_batch": 3, "unlabeled_batch": 3}, r"must be equal and even"),
        ("datasets.hearts.training", {"labeled_batch": 4}, r"must be equal and even"),
        (
            "datasets.hearts.training",
            {"crop": [16, 16], "labeled_batch": 2, "unlabeled_batch": 2},
            r"crop \[16, 16\] with 1 sample in one pass leaves one value per channel",
        ),
        ("datasets.hearts", {"kind": "acdc", "source": "public"}, r"source: public needs a path"),
        ("datasets.hearts.shrink", [2, 2, 2], r"shrink is for volumes; slices are resized to the crop"),
        ("datasets.hearts.shrink", [2, 2], r"shrink"),
        ("datasets.hearts.shrink", [0, 2, 2], r"shrink"),
        ("methods.m3hl.options", {"learning_rate_lag": True}, r"learning_rate_lag is for learning_rate_power"),
        (
            "datasets.hearts",
            {"kind": "acdc", "source": "folder", "path": "x"},
            r"source: folder needs kind: custom",
        ),
        ("datasets.hearts", {"kind": "custom", "source": "folder", "path": "x"}, r"kind: custom needs dimensions"),
        ("datasets.hearts.normalization", "zscore", r"normalization: fixed for kind: acdc; leave out"),
        ("datasets.hearts.crop_around", "center", r"crop_around is for kind: la with source: raw only"),
        ("datasets.hearts.evaluation", {"stride": [8, 8]}, r"stride \[8, 8\] is for 3D"),
        ("methods.m3hl.options", {"mix_loss": False, "consistency_loss": False}, r"are all off; turn one on"),
        ("methods.m3hl.options", {"mask_ratio": 1.5}, r"options\.mask_ratio"),
        ("methods.m3hl.options", {"learning_rate": float("nan")}, r"options\.learning_rate"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(path, value, message):
    with pytest.raises(UserError, match=message) as error:
        parse_config(changed(path, value))
    assert "\n" not in str(error.value)


def test_pooled_features_need_a_large_crop():
    training = {"crop": [32, 32, 32]}
    study = changed("datasets.atria.training", training) | {
        "experiments": [{"dataset": ["atria"], "method": ["m3hl"], "labeled": [3]}]
    }
    with pytest.raises(UserError, match="needs a 3D crop of at least 48 voxels"):
        parse_config(study)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [\n", "not valid YAML"),
        ("!!python/object/apply:os.system [ls]\n", "not valid YAML"),
        ("- a\n- b\n", "this is no configuration"),
        ("missing.yaml", "missing.yaml: there is no such config"),
    ],
)
def test_what_is_no_configuration_is_refused(text, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        load_config(text)
