"""The files of a study's data sets: there or not, and where they can be had."""

from collections.abc import Iterator

from m3hl.config.dataset import DatasetConfig
from m3hl.config.experiment import Config
from m3hl.data.datasets import load
from m3hl.data.sources import list_cases
from m3hl.doctor.finding import Finding
from m3hl.errors import UserError


def datasets(study: Config, *, needed: bool) -> Iterator[Finding]:
    """Yield what there is of each data set that a study's runs use; `needed` says that the study shall be run."""
    for name in dict.fromkeys(run.dataset for run in study.runs()):
        yield dataset(f"Data: {name} ({study.name})", study.dataset(name), needed=needed)


def dataset(what: str, config: DatasetConfig, *, needed: bool) -> Finding:
    """Look for the files of one data set; whether they are the right ones is for the pipeline to check."""
    if config.source == "phantom":
        return Finding(what, "synthetic, drawn by the pipeline")
    folder = config.require_path().absolute()
    try:
        cases = list_cases(config, folder)
    except UserError as error:
        problem = str(error)
        found = problem if config.source == "folder" else problem.partition("; ")[0]
        return missing(what, found, config, needed=needed)
    paths = dict.fromkeys(path for case in cases for path in case.all_paths())
    absent = [path for path in paths if not path.is_file()]
    if not absent:
        return Finding(what, f"{len(cases)} cases, {len(paths)} files in {folder}")
    return missing(what, f"{len(absent)} of {len(paths)} files are missing: {absent[0]}", config, needed=needed)


def missing(what: str, found: str, config: DatasetConfig, *, needed: bool) -> Finding:
    """Return what is said of a data set without its files."""
    if config.source == "folder":
        return Finding(what, found, f"correct {config.path}, or put the file there", needed)
    module = load(config.kind)
    source = module.PUBLIC if config.source == "public" else module.RAW
    if config.download and source.url:
        return Finding(
            what, found, f"nothing to do: the workflow fetches them from {source.page} ({source.terms})"
        )
    by_workflow = " (or add download: true, which accepts their terms)" if source.url else ""
    return Finding(what, found, f"get them from {source.page}{by_workflow}, or correct path", needed)
