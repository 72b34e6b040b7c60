"""Runs of M³HL that belong together: their settings agree in every option but the ones that an ablation varies."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from m3hl.config.methods import m3hl
from m3hl.config.run import RunSettings
from m3hl.reporting.facts import DatasetFacts, plain
from m3hl.reporting.tables import Line
from m3hl.reporting.text import given_labels

Options = dict[str, Any]


@dataclass(frozen=True)
class Family:
    """Lines of one data set and labeled count.

    Attributes:
        labeled: the labeled count.
        base: the options that all of them share.
        members: every line with the options in which it may differ from the others; each choice once.
    """

    labeled: int | str
    base: Options
    members: tuple[tuple[Options, Line], ...]

    @property
    def settings(self) -> RunSettings:
        """The settings of one member."""
        return self.members[0][1].row.settings

    def agrees(self, preset: str) -> bool:
        """Return whether the shared options are those of a preset."""
        options = preset_options(preset, self.settings)
        return all(options[key] == value for key, value in self.base.items())

    @property
    def base_name(self) -> str:
        """The shared options in words: the nearest preset, unless both are as near, and what is set otherwise."""
        others = {}
        for name in m3hl.PRESETS:
            options = preset_options(name, self.settings)
            others[name] = [f"{key} {plain(value)}" for key, value in self.base.items() if value != options[key]]
        nearest, other = sorted(others, key=lambda name: len(others[name]))
        preset = [f"preset {nearest}"] if len(others[nearest]) < len(others[other]) else []
        return "; ".join(preset + others[nearest])

    @property
    def slug(self) -> str:
        """The labeled count and the shared options as a part of a file's name."""
        words = f"{self.labeled} {self.base_name.removeprefix('preset ')}".strip()
        return re.sub(r"[^A-Za-z0-9.]+", "-", words)

    def title(self, facts: DatasetFacts) -> str:
        """Return data set, labeled count and shared options, as a caption begins."""
        parts = [facts.name, given_labels(self.labeled, facts.group), self.base_name]
        return ", ".join(part for part in parts if part)


def families(lines: list[Line], varied: Callable[[Options], set[str]]) -> list[Family]:
    """Return the families of two members or more.

    Of lines with the same settings the one with most ended runs is the member.

    Args:
        lines: those of one data set.
        varied: the options, of those of a line, in which it may differ from the others of its family.
    """
    groups: dict[tuple, dict[frozenset, Line]] = {}
    for line in m3hl_lines(lines):
        options = resolved(line.row.settings)
        chosen = frozenset((key, options[key]) for key in varied(options))
        base = tuple(item for item in options.items() if item not in chosen)
        members = groups.setdefault((line.row.labeled, base), {})
        members[chosen] = max(members.get(chosen, line), line, key=lambda line: len(line.row.ended))
    return [
        Family(labeled, dict(base), tuple((dict(chosen), line) for chosen, line in members.items()))
        for (labeled, base), members in groups.items()
        if len(members) > 1
    ]


def m3hl_lines(lines: list[Line]) -> list[Line]:
    """Return the lines of M³HL with the network that it is published with."""
    return [x for x in lines if (x.row.settings.method, x.row.settings.network) == ("m3hl", None)]


def resolved(settings: RunSettings) -> Options:
    """Return the options of a run of M³HL, with the mask patch in voxels where it was left out."""
    return with_patch(settings.options, settings)


def preset_options(name: str, settings: RunSettings) -> Options:
    """Return the options that preset `name` has on the data of a run."""
    return with_patch(m3hl.Options(**m3hl.preset(name, settings.dimensions)), settings)


def with_patch(options: m3hl.Options, settings: RunSettings) -> Options:
    """Return options as a dictionary, with the mask patch in voxels of a run's crop."""
    return options.model_dump() | {"mask_patch_size": options.mask_patch(settings.crop)}
