"""The committed schema and manual are those of the models."""

import json

import jsonschema
import pytest
import yaml

from m3hl.config import manual
from m3hl.config.experiment import load_config

CONFIGS = sorted((manual.ROOT / "config").glob("*.yaml"))


def test_the_committed_schema_is_the_models():
    assert manual.SCHEMA.read_text(encoding="utf-8") == manual.schema(), "run make docs"


def test_the_committed_manual_is_the_models():
    text = manual.MANUAL.read_text(encoding="utf-8")
    assert text == manual.manual(text), "run make docs"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_committed_configuration_is_valid(path):
    assert load_config(path).runs()
    jsonschema.validate(yaml.safe_load(path.read_text()), json.loads(manual.schema()))


def test_the_schema_refuses_a_misspelt_option():
    study = yaml.safe_load((manual.ROOT / "config" / "config.yaml").read_text())
    study["methods"]["m3hl"]["options"] = {"mask_raito": 0.5}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(study, json.loads(manual.schema()))
