"""`m3hl methods`: what a configuration can name under `method:`."""

import json
from dataclasses import asdict
from typing import Any

import click
from pydantic import ValidationError

from m3hl.config import methods
from m3hl.errors import UserError

HEADS = {
    "method": "method",
    "title": "title",
    "dimensions": "data",
    "presets": "presets",
    "stages": "stages",
    "own_network": "own network",
    "cost": "cost",
    "paper": "paper",
    "code_license": "licence of the released code",
}


@click.command()
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="One JSON object per method and line, with where print and code differ (`lineage`).",
)
def command(as_json: bool) -> None:
    """List the project's methods and those of installed packages.

    The first preset is the default. Own network: whether a configuration can name one. Cost: the network's passes
    of a step, of the last stage, in those of supervised training on as many images; further decoders and
    discriminators come on top. No code of others is in here, whatever its licence.
    """
    rows = [row(name) for name in [*methods.names(), *methods.installed()]]
    if as_json:
        for values in rows:
            click.echo(json.dumps(values, ensure_ascii=False))
        return
    lines = [HEADS, *(shown(values) for values in rows)]
    widths = {key: max(len(line[key]) for line in lines) for key in HEADS}
    for line in lines:
        click.echo("  ".join(line[key].ljust(width) for key, width in widths.items()).rstrip())


def row(name: str) -> dict[str, Any]:
    """Return what there is to say of a method; None where it does not say."""
    from m3hl.methods import stages_of
    from m3hl.reporting.lineage import lineage

    known = lineage(name)
    module, stages, able = methods.load(name), stages_of(name), methods.dimensions(name)
    return {
        "method": name,
        "title": getattr(module, "TITLE", name),
        "dimensions": list(able),
        "presets": list(module.PRESETS),
        "stages": [stage.stage for stage in stages if len(stages) > 1],
        "own_network": takes_own_network(name, module.PRESETS[0], able[0]),
        "cost": getattr(module, "COST", None),
        "paper": getattr(module, "PUBLICATION", None),
        "code_license": getattr(module, "CODE_LICENSE", None),
        "lineage": asdict(known) if known else None,
    }


def takes_own_network(name: str, preset: str, dimensions: int) -> bool | None:
    """Return whether a configuration can name a network for a method; None where its preset fits no knobs."""
    try:
        return not methods.load(name).Options(**methods.preset(name, preset, dimensions)).beyond_logits()
    except (ValidationError, UserError):
        return None


def shown(values: dict[str, Any]) -> dict[str, str]:
    """Return the same as a reader sees it."""
    cost = values["cost"]
    return {key: str(values[key] or "–") for key in HEADS} | {
        "dimensions": ", ".join(f"{n}D" for n in values["dimensions"]),
        "presets": ", ".join(values["presets"]),
        "stages": ", ".join(values["stages"]) or "–",
        "own_network": "yes" if values["own_network"] else "–",
        "cost": "–" if cost is None else f"{cost:.2f}",
    }
