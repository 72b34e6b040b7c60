"""What ran where: code, versions, machine, time, memory, and which cases were labeled."""

from typing import Any

from m3hl.reporting.records import Provenance
from m3hl.reporting.study import RunResult, Study

TITLE = "What ran where"
SHARED = {
    "m3hl": "m3hl",
    "commit": "commit",
    "python": "Python",
    "torch": "PyTorch",
    "numpy": "NumPy",
    "scipy": "SciPy",
    "cuda": "CUDA",
    "device": "device",
    "device_name": "GPU",
    "cpu": "processor",
    "threads": "threads",
    "container": "container",
    "image_sha256": "image (SHA-256)",
    "host": "host",
    "method_source": "methods from outside",
    "network_source": "networks from outside",
}
"""Provenance that most runs have in common, and what the page calls it."""


def content(study: Study) -> dict[str, Any]:
    """Return what all runs share, one line per run, and the labeled cases."""
    records = [r for result in study.results for r in provenances(result)]
    return {
        "shared": [(label, values) for key, label in SHARED.items() if (values := distinct(records, key))],
        "runs": [run_content(study, result) for result in study.results],
        "labeled": labeled_groups(study),
        "stores": stores(study),
        "verify": f"m3hl verify results/{study.name}",
    }


def provenances(result: RunResult) -> list[Provenance]:
    """Return the provenance of training and evaluation, as far as they are there."""
    return [record.provenance for record in (result.record, result.evaluation) if record]


def distinct(records: list[Provenance], key: str) -> list[str]:
    """Return the different values of a key, in order of appearance."""
    values = [shown(key, record) for record in records]
    return list(dict.fromkeys(value for value in values if value))


def shown(key: str, record: Provenance) -> str:
    """Return one value of a provenance as text, "" where it is not told."""
    value = getattr(record, key)
    if key == "container":
        return f"{value}, package of the {record.package}" if value else "none"
    if value is None:
        return ""
    if key in ("method_source", "network_source"):
        return ", ".join(value.values())
    return f"{value} with uncommitted changes" if key == "commit" and record.dirty else str(value)


def run_content(study: Study, result: RunResult) -> dict[str, Any]:
    """Return one run's line."""
    training = result.record.provenance if result.record else Provenance()
    return {
        "run": result.run,
        "again": again(study, result),
        "method": study.methods[result.run.method].label,
        "gaps": result.gaps,
        "selection": result.record.selection if result.record else None,
        "test_selected": result.test_selected,
        "train_seconds": result.record.seconds if result.record else None,
        "evaluate_seconds": result.evaluation.provenance.seconds if result.evaluation else None,
        "memory": training.peak_memory_mib,
        "gpu_memory": training.peak_gpu_memory_mib,
        "threads": training.threads,
        "device": training.device_name or training.device,
        "commit": (training.commit or "")[:7] + ("*" if training.dirty else ""),
    }


def again(study: Study, result: RunResult) -> str:
    """Return the command that trains and tests one run once more, in the project's folder."""
    folder = f"results/{study.name}"
    return (
        f"snakemake --cores all --configfile {folder}/study.json --forcerun train "
        f"-- {folder}/{result.run.path}/metrics.csv"
    )


def labeled_groups(study: Study) -> list[dict[str, Any]]:
    """Return the labeled patients or scans of every data set and labeled count, each different list once."""
    found: dict[tuple, None] = {}
    for result in study.results:
        groups = result.record.labeled_groups if result.record else ()
        if groups:
            found[result.run.dataset, result.run.labeled, groups] = None
    return [
        {"facts": study.datasets[dataset], "labeled": labeled, "groups": groups}
        for dataset, labeled, groups in found
    ]


def stores(study: Study) -> list[tuple[str, list[str]]]:
    """Return the digests of each data set's store that its runs have seen; more than one is a warning."""
    return [
        (name, digests)
        for name in study.datasets
        if (
            digests := distinct(
                [p for r in study.results if r.run.dataset == name for p in provenances(r)], "store_sha256"
            )
        )
    ]
