"""The presets: each choice where the paper and the released code differ is a key, set as either has it."""

import pytest

from m3hl.config.experiment import Run, parse_config
from m3hl.methods.parts.optimization import learning_rate

PAPER = {
    "learning_rate": 1e-3,
    "learning_rate_decay_every": None,
    "mask_keeps": ("unlabeled", "unlabeled"),
    "labeled_weight": 0.5,
    "unlabeled_weight": 1.0,
    "reduction": "sum",
    "low_features": "first_down",
    "high_features": "bottleneck",
}
RELEASED = {
    "learning_rate": 1e-2,
    "labeled_weight": 1.0,
    "unlabeled_weight": 0.5,
    "reduction": "mean",
    "low_features": "last_decoder",
}
RELEASED_ACDC = {
    "learning_rate_decay_every": None,
    "mask_keeps": ("unlabeled", "labeled"),
    "high_features": "bottleneck",
}
RELEASED_LA = {
    "learning_rate_decay_every": 2500,
    "learning_rate_decay": 0.1,
    "mask_keeps": ("labeled", "unlabeled"),
    "high_features": "pooled_bottleneck",
}
# Where the paper is silent, both do what the released code does.
ACDC = {"dice": "squared", "ema_buffers": True}
LA = {"dice": "plain", "ema_buffers": False}
BOTH = {
    "mask_patch_size": None,
    "mask_ratio": 0.5,
    "mix": True,
    "consistency_weight": 0.5,
    "mix_loss": True,
    "consistency_loss": True,
    "supervised_loss": False,
    "ema_decay": 0.99,
    "forward": "separate",
    "momentum": 0.9,
    "weight_decay": 1e-4,
}
TABLE = {
    ("paper", "acdc"): PAPER | ACDC,
    ("paper", "la"): PAPER | LA,
    ("released", "acdc"): RELEASED | RELEASED_ACDC | ACDC,
    ("released", "la"): RELEASED | RELEASED_LA | LA,
}


def settings_of(method, preset, kind, options):
    study = {
        "name": "study",
        "datasets": {"data": {"kind": kind, "source": "phantom"}},
        "methods": {"method": {"method": method, "preset": preset, "options": options}},
        "experiments": [{"dataset": ["data"], "method": ["method"], "labeled": [3]}],
    }
    config = parse_config(study)
    assert config.runs() == [Run("data", "method", 3, seed=1337)]
    return config.settings(config.runs()[0])


@pytest.mark.parametrize(("preset", "kind"), TABLE)
def test_presets_are_as_the_table_says(preset, kind):
    options = settings_of("m3hl", preset, kind, {}).options.model_dump()
    expected = BOTH | TABLE[preset, kind]
    assert {key: options.pop(key) for key in expected} == expected
    # Any other key would be a choice that the table does not know.
    assert options.pop("learning_rate_power") is None
    assert set(options) <= {"learning_rate_decay", "learning_rate_lag"}


@pytest.mark.parametrize("kind", ["acdc", "la"])
def test_every_knob_of_the_table_can_be_turned(kind):
    released = {**TABLE["released", kind], "mix": False, "forward": "joint"}
    options = settings_of("m3hl", "paper", kind, released).options.model_dump()
    assert {key: options[key] for key in released} == released


@pytest.mark.parametrize("preset", ["paper", "released"])
@pytest.mark.parametrize(("kind", "selection"), [("acdc", "val"), ("la", "last")])
def test_no_preset_lets_the_test_set_select(preset, kind, selection):
    settings = settings_of("m3hl", preset, kind, {})
    assert (settings.selection, settings.validate_every) == (selection, 200)


def test_released_is_the_default():
    assert settings_of("m3hl", None, "la", {}).preset == "released"


@pytest.mark.parametrize(
    ("kind", "rates"), [("acdc", [1e-2] * 5), ("la", [1e-2, 1e-2, 1e-3, 1e-3, 1e-2 * 0.1**5])]
)
def test_released_learning_rate(kind, rates):
    for method in ("m3hl", "supervised"):
        options = settings_of(method, None, kind, {}).options
        got = [learning_rate(options, iteration, 15_000) for iteration in (0, 2499, 2500, 4999, 14999)]
        assert got == pytest.approx(rates)


def test_the_baseline_has_the_released_losses_and_optimiser():
    for kind, dice in (("acdc", "squared"), ("la", "plain")):
        options = settings_of("supervised", None, kind, {}).options
        assert (options.dice, options.reduction, options.learning_rate) == (dice, "mean", 1e-2)
