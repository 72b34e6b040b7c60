"""The configuration's JSON schema and manual, made from the typed models: `python -m m3hl.config.manual`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from m3hl.config import datasets, methods
from m3hl.config.dataset import DatasetConfig, EvaluationConfig, PhantomConfig, TrainingConfig
from m3hl.config.experiment import Config, ExperimentConfig, MethodConfig
from m3hl.files.atomic import write_text

ROOT = Path(__file__).parents[2]
SCHEMA, MANUAL = ROOT / "workflow" / "schemas" / "config.schema.json", ROOT / "config" / "README.md"
GENERATED = "<!-- From here on written by `make docs`, from the typed models in m3hl/config. -->\n"
SECTIONS: dict[str, type[BaseModel]] = {
    "The whole file": Config,
    "`datasets.<name>`": DatasetConfig,
    "`datasets.<name>.phantom`": PhantomConfig,
    "`datasets.<name>.training`": TrainingConfig,
    "`datasets.<name>.evaluation`": EvaluationConfig,
    "`methods.<name>`": MethodConfig,
    "`experiments`, a list of blocks": ExperimentConfig,
}


def main() -> None:
    """Write both files into the project."""
    write_text(SCHEMA, schema())
    write_text(MANUAL, manual(MANUAL.read_text(encoding="utf-8")))


def schema() -> str:
    """Return the JSON schema that editors use for completion and checks."""
    value = Config.model_json_schema()
    value["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    value["$defs"]["DatasetConfig"]["properties"]["kind"]["enum"] = datasets.names()
    for name in methods.names():
        value["$defs"][f"options-{name}"] = methods.load(name).Options.model_json_schema()
    value["$defs"]["MethodConfig"]["allOf"] = [method_schema(name) for name in methods.names()]
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def method_schema(name: str) -> dict[str, Any]:
    """Return what holds for the options and presets of one method."""
    options = {"$ref": f"#/$defs/options-{name}"}
    presets = {"enum": [*methods.load(name).PRESETS, None]}
    properties = {"options": options, "by_dataset": {"additionalProperties": options}, "preset": presets}
    return {"if": {"properties": {"method": {"const": name}}}, "then": {"properties": properties}}


def manual(text: str) -> str:
    """Return the manual: the part written by hand, and a table for each section."""
    head = text.partition(GENERATED)[0]
    parts = [GENERATED]
    for title, model in SECTIONS.items():
        parts.append(f"\n## {title}\n\n" + table(("key", "default", "meaning"), keys(model)))
    for name in methods.names():
        parts.append(f"\n## Options of `method: {name}`\n\n" + options_table(name))
    return head + "".join(parts)


def keys(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    """Yield key, default and meaning of each field."""
    for key, field in model.model_fields.items():
        nested = isinstance(field.default, BaseModel)
        default = "see below" if nested else shown(field.default)
        yield f"`{key}`", default, " ".join((field.description or "").split())


def options_table(name: str) -> str:
    """Return the table of a method's knobs, with what each preset sets them to."""
    module = methods.load(name)
    presets = {
        f"{preset} {dimensions}D": module.Options(**module.preset(preset, dimensions)).model_dump()
        for preset in module.PRESETS
        for dimensions in methods.dimensions(name)
    }
    rows = (
        (
            f"`{key}`",
            *(shown(values[key]) for values in presets.values()),
            " ".join((field.description or "").split()),
        )
        for key, field in module.Options.model_fields.items()
    )
    return table(("key", *presets, "meaning"), rows)


def shown(value: object) -> str:
    """Return a default as YAML writes it."""
    if value is PydanticUndefined:
        return "required"
    if value is None or value in ({}, ()):
        return "–"
    return f"`{json.dumps(value)}`"


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


if __name__ == "__main__":
    main()
