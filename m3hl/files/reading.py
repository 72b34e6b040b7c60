"""Text, JSON and YAML; a file that cannot be read is the user's mistake, and is named."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from m3hl.errors import UserError

MOST_VALUES = 10**6
"""Values of a YAML document; a few aliases of aliases would fill the memory."""


def read_text(path: Path, what: str) -> str:
    """Return the text of `path`; a missing or unreadable file is the user's mistake, named as `what`."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such {what}; check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot read this {what} ({error})") from error


def read_json(path: Path, what: str) -> Any:
    """Return the value of the JSON file `path`."""
    try:
        return json.loads(read_text(path, what))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: this {what} is not valid JSON ({error}); make it again") from error


def parse_yaml(text: str, where: str) -> Any:
    """Return the value of YAML (or JSON) `text`; only plain values are built, never objects."""
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        check_node(node, {})
        return loader.construct_document(node)
    # Not only YAML's own: a date or a number may be none, and lists may lie too deep in each other.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = " ".join(str(error).split())
        raise UserError(f"{where}: this is not valid YAML ({problem})") from error


def check_node(node: yaml.Node, sizes: dict[yaml.Node, int]) -> int:
    """Return how many values a part of a YAML document has once its aliases are written out.

    Raises:
        ValueError: they are absurdly many, a part contains itself, or a key stands in a mapping twice.
    """
    if node in sizes:
        return sizes[node]
    # A part that is met again before its size is known lies in itself.
    sizes[node] = MOST_VALUES
    parts = node.value if isinstance(node, yaml.CollectionNode) else []
    if isinstance(node, yaml.MappingNode):
        keys = [(key.tag, key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = [key for (_, key), count in Counter(keys).items() if count > 1]
        if twice:
            raise ValueError(f"the key {twice[0]} stands there twice")
        parts = [part for pair in node.value for part in pair]
    size = 1 + sum(check_node(part, sizes) for part in parts)
    if size > MOST_VALUES:
        raise ValueError(f"its aliases write out more than {MOST_VALUES} values, or a part lies in itself")
    sizes[node] = size
    return size
