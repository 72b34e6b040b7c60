"""Which runs a study plans: the workflow leaves its configuration beside the results when it starts."""

from pathlib import Path

from m3hl.config.experiment import Config, load_config
from m3hl.errors import UserError
from m3hl.files.atomic import write_json

STUDY = "study.json"


def write_plan(config: Config, results: Path) -> None:
    """Write the configuration of a study to results/<name>/study.json; no stage reads it."""
    write_json(results / STUDY, config.model_dump(mode="json", exclude_defaults=True))


def read_plan(results: Path, config: str | None = None) -> Config:
    """Return the configuration of a study with runs: a given one, else that of its study.json.

    Raises:
        UserError: the folder is missing, nothing tells the runs, or there are none.
    """
    if not results.is_dir():
        raise UserError(f"{results}: there is no such folder; name a folder results/<name>, or start the workflow")
    file = results / STUDY
    if config is None and not file.is_file():
        raise UserError(
            f"{results}: there is no {STUDY}, which the workflow writes when it starts; "
            "say which configuration these results are of: --config FILE"
        )
    study = load_config(config or file)
    if not study.runs():
        raise UserError(f"{config or file}: there are no experiments, so there are no runs; add a block")
    return study
