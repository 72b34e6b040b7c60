"""Every problem of a data set at once, where the pipeline stops at the first."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from m3hl.config.dataset import DatasetConfig
from m3hl.config.datasets import describe
from m3hl.config.datasets.description import Description
from m3hl.data.case import Case
from m3hl.data.datasets.custom import listed_cases
from m3hl.data.datasets.files import CaseFiles
from m3hl.data.frame import Frame
from m3hl.data.headers import choose_frame, header
from m3hl.data.inventory import file_digest
from m3hl.data.preprocess import hold_out, ordered, refuse_shared_images, require_structures
from m3hl.data.readers import read_case
from m3hl.data.remarks import Look, remarks
from m3hl.data.sources import list_cases
from m3hl.errors import UserError
from m3hl.progress import Progress


@dataclass(frozen=True)
class Problem:
    """Something that was found.

    Attributes:
        case: whose it is, "" for the data set as a whole.
        what: one sentence.
        stops: whether the pipeline would stop there; else it is a warning, or a note of what is put right.
    """

    case: str
    what: str
    stops: bool

    @property
    def mark(self) -> str:
        """✗ stops the pipeline, ○ worth a look."""
        return "✗" if self.stops else "○"


class Digests:
    """Digests of files that are there, each computed once; in the place of a list of files."""

    def digest(self, path: Path) -> str:
        """Return a file's digest, its name where there is no file."""
        return file_digest(path) if path.is_file() else str(path)


def inspect(config: DatasetConfig, name: str, seen: Callable[[Case], None]) -> list[Problem]:
    """Return everything that is wrong or odd in a data set that lies in files.

    Args:
        config: the data set.
        name: what the configuration calls it.
        seen: is given every case that can be read, in its study's orientation.

    Raises:
        UserError: its list of cases cannot be read at all.
    """
    path = config.require_path()
    own = config.source == "folder"
    cases, listing = listed_cases(path) if own else (list_cases(config, path), [])
    found = [Problem("", what, True) for what in listing]
    found += [Problem("", what, True) for what in failures(cases, config)]
    there, absent = present(cases)
    found += absent
    description = describe(config)
    frame = frame_of(there, description)
    looks = []
    progress = Progress(f"check {name}", len(there))
    for done, files in enumerate(there, start=1):
        try:
            case = read_case(files, config, description, frame)
        except UserError as error:
            found.append(Problem(files.name, str(error), True))
        else:
            found += [Problem(case.name, note, False) for note in case.notes]
            seen(case)
            looks += [Look.of(case, len(description.classes))] if own else []
        progress.update(done, files.name)
    if looks:
        found += [Problem("", what, True) for what in said_by(lambda: require_structures(looks))]
        found += [Problem("", what, False) for what in remarks(looks, frame, description)]
    return found


def failures(cases: list[CaseFiles], config: DatasetConfig) -> list[str]:
    """Return what is wrong with the splits: nobody labeled, too many held out, an image in two of them."""
    return [
        *said_by(lambda: ordered(hold_out(cases, config.hold_out))),
        *said_by(lambda: refuse_shared_images(cases, Digests())),
    ]


def said_by(check: Callable[[], object]) -> list[str]:
    """Return the error of a check, nothing where there is none."""
    try:
        check()
    except UserError as error:
        return [str(error)]
    return []


def present(cases: list[CaseFiles]) -> tuple[list[CaseFiles], list[Problem]]:
    """Return the cases whose files are all there, and the files that are not."""
    missing = {case.name: [path for path in case.all_paths() if not path.is_file()] for case in cases}
    found = [
        Problem(name, f"{path}: there is no such file; put it there or correct the path", True)
        for name, paths in missing.items()
        for path in paths
    ]
    return [case for case in cases if not missing[case.name]], found


def frame_of(cases: list[CaseFiles], description: Description) -> Frame:
    """Return the geometry of a study as far as its training images can be read."""
    images = [case.images[0] for case in cases if case.split == "train"]
    if (description.orientation, description.spacing) != ("none", "none"):
        images = [path for path in images if not said_by(lambda path=path: header(path, description.dimensions))]
    if not images:
        as_they_are = replace(description, orientation="none", spacing="none")
        return choose_frame([], as_they_are)
    return choose_frame(images, description)
