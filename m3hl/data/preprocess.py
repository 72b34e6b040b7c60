"""From a list of files to a store: verified, checked, normalised, in the order of the split."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from m3hl.config.dataset import DatasetConfig
from m3hl.config.datasets import describe
from m3hl.config.datasets.description import Description
from m3hl.data import datasets
from m3hl.data.case import Case
from m3hl.data.datasets.files import CaseFiles
from m3hl.data.frame import Frame
from m3hl.data.headers import choose_frame
from m3hl.data.inventory import AGAIN, Inventory, Verifier
from m3hl.data.manifest import has_manifest
from m3hl.data.published import equals_published
from m3hl.data.readers import read_case
from m3hl.data.remarks import Look, remarks
from m3hl.data.resample import resample_case
from m3hl.data.shrink import shrink_case
from m3hl.data.sources import list_cases
from m3hl.data.split import own_split
from m3hl.data.store_writer import write_store
from m3hl.errors import UserError
from m3hl.progress import Progress

log = logging.getLogger(__name__)


def preprocess(config: DatasetConfig, inventory: Inventory, out: Path) -> None:
    """Write the store `out` from the files that `inventory` lists.

    Raises:
        UserError: a file is missing, changed or damaged, a case fails a check, or a split is impossible.
    """
    if (inventory.kind, inventory.source) != (config.kind, config.source):
        raise UserError(
            f"the list of files is of {inventory.kind} from {inventory.source}, but {config.kind} from "
            f"{config.source} is wanted; {AGAIN}"
        )
    cases = list_cases(config, inventory.folder)
    if config.source == "public" and not own_split(inventory.folder):
        log.info("%s: %s", inventory.dataset, datasets.load(config.kind).check_public(cases))
    cases = ordered(hold_out(cases, config.hold_out))
    verifier = Verifier(inventory, inventory.folder)
    verifier.verify(note for case in cases for note in case.notes)
    refuse_shared_images(cases, verifier)
    description = describe(config)
    frame = common_frame(cases, description, verifier)
    odd: list[str] = []
    write_store(
        out,
        kind=config.kind,
        source=config.source,
        description=description,
        shrink=config.shrink,
        frame=frame,
        remarks=odd,
        source_sha256=inventory.digest(),
        cases=read_cases(cases, config, description, frame, verifier, odd),
        labeled_order=labeled_groups(cases),
    )
    counts = ", ".join(f"{sum(c.split == s for c in cases)} {s}" for s in ("train", "val", "test"))
    for remark in odd:
        log.warning("%s: %s", inventory.dataset, remark)
    log.info("%s: %s cases, %.1f MB", out, counts, out.stat().st_size / 1e6)


def common_frame(cases: list[CaseFiles], description: Description, verifier: Verifier) -> Frame:
    """Return the geometry that all cases are brought to: what the training images say of it, if they are asked."""
    if (description.orientation, description.spacing) == ("none", "none"):
        return Frame()
    training = [case for case in cases if case.split == "train"]
    verifier.verify(path for case in training for path in case.image_paths())
    return choose_frame([case.images[0] for case in training], description)


def read_cases(
    cases: list[CaseFiles],
    config: DatasetConfig,
    description: Description,
    frame: Frame,
    verifier: Verifier,
    odd: list[str],
) -> Iterator[Case]:
    """Yield the cases one by one, compared with the published arrays where these are known.

    At the end what is odd in a data set of one's own is added to `odd`.

    Raises:
        UserError: besides what is wrong with a case, that no training label map holds any structure.
    """
    # A crop with margins of our own cannot give the published arrays.
    compare = has_manifest(config.kind) and (
        config.source == "public" or (config.source == "raw" and description.roi is None)
    )
    progress, differing, looks = Progress(f"preprocess {config.kind}", len(cases)), [], []
    for done, files in enumerate(cases, start=1):
        verifier.verify(files.data_paths())
        case = read_case(files, config, description, frame)
        if compare and not equals_published(case, config.kind):
            differing.append(case.name)
            if config.source == "public":
                raise UserError(
                    f"{files.images[0]} ({case.name}): its arrays are not the published ones; "
                    "delete the case's files and get them again"
                )
        if config.source == "folder":
            looks.append(Look.of(case, len(description.classes)))
        yield resample_case(shrink_case(case, config.shrink), frame)
        progress.update(done, case.name)
    if looks:
        require_structures(looks)
        odd += remarks(looks, frame, description)
    if compare:
        log.info("%d of %d cases equal the published arrays bit for bit", len(cases) - len(differing), len(cases))
    if differing:
        log.warning("not equal to the published arrays: %s", ", ".join(differing))


def require_structures(looks: list[Look]) -> None:
    """Raise `UserError` when every training label map is all background."""
    if not any(sum(look.shares) for look in looks if look.split == "train" and look.shares is not None):
        raise UserError("no training label map holds any structure, so nothing can be learned; give labels")


def hold_out(cases: list[CaseFiles], count: int) -> list[CaseFiles]:
    """Return the cases with the last `count` labeled train groups moved to the validation split."""
    if count == 0:
        return cases
    groups = labeled_groups(cases)
    if count >= len(groups):
        raise UserError(f"hold_out: {count} of {len(groups)} labeled training groups leaves none; choose fewer")
    moved = set(groups[-count:])
    return [replace(case, split="val") if case.group in moved else case for case in cases]


def labeled_groups(cases: list[CaseFiles]) -> list[str]:
    """Return the train groups whose every case has a label, in their order."""
    complete: dict[str, bool] = {}
    for case in cases:
        if case.split == "train":
            complete[case.group] = complete.get(case.group, True) and case.labeled
    return [group for group, labeled in complete.items() if labeled]


def ordered(cases: list[CaseFiles]) -> list[CaseFiles]:
    """Return train cases (labeled groups in order, then the others), then val, then test.

    Raises:
        UserError: there is no labeled training group.
    """
    labeled = labeled_groups(cases)
    if not labeled:
        raise UserError("no training case has a label; give some of them labels")
    groups = dict.fromkeys((*labeled, *(case.group for case in cases)))
    rank = {group: number for number, group in enumerate(groups)}
    split = ("train", "val", "test")
    return sorted(cases, key=lambda case: (split.index(case.split), rank[case.group]))


def refuse_shared_images(cases: list[CaseFiles], verifier: Verifier) -> None:
    """Raise `UserError` when an image of one split is also, byte for byte, an image of another."""
    seen: dict[str, CaseFiles] = {}
    for case in cases:
        for path in case.image_paths():
            first = seen.setdefault(verifier.digest(path), case)
            if first.split != case.split:
                raise UserError(
                    f"{path}: the same image is case {first.name} ({first.split}) and case {case.name} "
                    f"({case.split}); leave it in one split"
                )
