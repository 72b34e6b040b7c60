"""What a machine has for this pipeline, what is missing, and what to do about it."""

from pathlib import Path

from m3hl.doctor.finding import Finding
from m3hl.doctor.hardware import disk, gpu, memory
from m3hl.doctor.software import image, libraries, programs, python, workflow

DEMO, PAPER = Path("config/config.yaml"), Path("config/paper.yaml")


def examine(config: str | None = None) -> list[Finding]:
    """Return what there is of everything the pipeline can use; nothing is changed.

    Args:
        config: whose data sets (and GPU, if it asks for one) are needed; left out, the demo's are, and those of
            the paper's study are looked for as well.

    Raises:
        UserError: the configuration is wrong.
    """
    data, on_gpu = studies(config)
    machine = [gpu(needed=on_gpu), *programs(), image(), memory(), disk(), workflow()]
    return [python(), *libraries(), *machine, *data]


def studies(config: str | None) -> tuple[list[Finding], bool]:
    """Return what there is of the data sets, and whether one that is needed asks for a GPU."""
    try:
        from m3hl.config.experiment import load_config
        from m3hl.doctor.data import datasets
    except ImportError as error:
        return [Finding("Data", f"unknown without {error.name}")], False
    asked = {config: True} if config else {path: path == DEMO for path in (DEMO, PAPER) if path.is_file()}
    found = [(load_config(source), needed) for source, needed in asked.items()]
    on_gpu = any(needed and one.device == "cuda" for study, needed in found for one in study.datasets.values())
    return [finding for study, needed in found for finding in datasets(study, needed=needed)], on_gpu
