"""What each stage of the pipeline reads: keys of the configuration, and source files."""

import hashlib
import json
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

from m3hl.config import methods, networks, outside
from m3hl.config.datasets import describe
from m3hl.config.experiment import Config
from m3hl.files.digests import sha256_file
from m3hl.provenance.fingerprint import fingerprint, sources

IDENTITY = {"kind", "source", "dimensions", "classes", "labels", "normalization", "shrink"}
DATA = IDENTITY | {"path", "download", "phantom", "crop_around", "hold_out"}
KEYS = {
    "download": DATA - {"shrink"},
    "preprocess": DATA | {"orientation", "spacing"},
    "train": IDENTITY | {"device", "training"},
    "evaluate": IDENTITY | {"device", "evaluation"},
}
"""The keys of a data set that each stage reads."""


def excerpt(config: Config, stage: str, dataset: str, method: str | None = None) -> str:
    """Return what a stage reads of a configuration, as JSON text that is a configuration itself.

    Args:
        config: the whole.
        stage: "download", "preprocess", "train" or "evaluate".
        dataset: the only data set of the excerpt.
        method: the only method of the excerpt, where the stage reads one.
    """
    read = config.dataset(dataset).model_dump(mode="json", include=KEYS[stage], exclude_defaults=True)
    values: dict[str, object] = {"name": config.name, "datasets": {dataset: read}}
    if method is not None:
        values["methods"] = {
            method: config.method_on(method, dataset).model_dump(mode="json", exclude_defaults=True)
        }
    return json.dumps(values, sort_keys=True)


def code(config: Config, stage: str, dataset: str | None = None, method: str | None = None) -> str:
    """Return the digest of the source that a stage runs for a data set and a method (None: for all)."""
    return fingerprint(modules(config, stage, dataset, method))


def modules(config: Config, stage: str, dataset: str | None = None, method: str | None = None) -> list[str]:
    """Return the modules that a stage starts from for a data set and a method (None: for all)."""
    used = [config.dataset(dataset)] if dataset else list(config.datasets.values())
    found = [f"m3hl.commands.{stage}"]
    for one in used:
        dimensions = describe(one).dimensions
        found.append(f"m3hl.config.datasets.{one.kind}")
        if stage in ("download", "preprocess"):
            found.append(f"m3hl.data.datasets.{one.kind}")
        if stage == "download" and one.source == "phantom":
            found.append(f"m3hl.data.phantom.{one.kind}")
        if stage in ("train", "evaluate"):
            found.append("m3hl.nets.unet" if dimensions == 2 else "m3hl.nets.vnet")
    for name in read_methods(config, stage, method):
        if methods.is_ours(name) or stage != "evaluate":
            # What is evaluated is read without the code of a user's own.
            found.append(methods.module_path(name))
        if methods.is_ours(name) and stage == "train":
            found.append(f"m3hl.methods.{methods.module_name(name)}")
    if stage in ("train", "evaluate"):
        found += [networks.module_path(name) for name in own_networks(config, method)]
    return found


def own_networks(config: Config, method: str | None = None) -> list[str]:
    """Return the networks of a user's own that a method of a configuration names (None: all that are named)."""
    used = [config.method(method)] if method is not None else config.methods.values()
    return sorted({one.network for one in used if one.network is not None})


def read_methods(config: Config, stage: str, method: str | None) -> set[str]:
    """Return the methods whose options a stage reads: data are the same for all."""
    if stage in ("download", "preprocess"):
        return set()
    if method is not None:
        return {config.method(method).method}
    used = {m.method for m in config.methods.values()}
    # The report names every method that the paper's table has a row for.
    return used | set(methods.names()) if stage == "report" else used


def source_of(method: str) -> dict[str, dict[str, str]]:
    """Return which file or package a method from outside is of; nothing for one of the project's."""
    if methods.is_ours(method):
        return {}
    if outside.is_path(method):
        return {"method_source": {"file": method, "sha256": sha256_file(Path(method))}}
    (entry,) = methods.installed()[method]
    return {"method_source": methods.package_of(entry) | {"module": entry.module}}


def network_source(network: str | None) -> dict[str, dict[str, str]]:
    """Return which file or package a network of a user's own is of; nothing for one of the project's."""
    if network is None:
        return {}
    where, _ = networks.place(network)
    if outside.is_path(where):
        return {"network_source": {"file": network, "sha256": sha256_file(Path(where))}}
    package = packages_distributions().get(where.partition(".")[0], [where])[0]
    try:
        return {"network_source": {"package": package, "version": version(package), "module": network}}
    except PackageNotFoundError:
        # Importable without being installed, by PYTHONPATH for one: its source says which it is.
        return {"network_source": {"module": network, "sha256": network_digest(network)}}


def network_digest(network: str | None) -> str | None:
    """Return the digest of what lies outside of this package of a network's source, wherever; None: it is ours."""
    if network is None:
        return None
    found = sources([networks.module_path(network)])
    lines = sorted(digest for name, digest in found.items() if outside.is_label(name))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
