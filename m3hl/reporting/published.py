"""Numbers printed in the paper: Tables 1 and 2 of Liu et al., MICCAI 2025, and what its text says of Fig. 4."""

from dataclasses import dataclass
from math import nan

from m3hl.config import methods

SOURCE = "Liu et al., MICCAI 2025, Table 1"


@dataclass(frozen=True)
class Published:
    """One published row; NaN where the table has a dash.

    Attributes:
        method: as printed; `*`: needs pretraining.
        venue: where the method was published, "" for the supervised baseline.
        dice, jaccard: percent.
        hd95, asd: voxels.
        ours: the method of the project that this row belongs to, or "".
    """

    method: str
    venue: str
    dice: float
    jaccard: float
    hd95: float
    asd: float
    ours: str = ""


LABELED = {"acdc": 7, "la": 8}
"""Labeled patients (ACDC) or scans (LA) of Table 1."""

# method, venue, ACDC (Dice, Jaccard, 95HD, ASD), LA (the same)
ROWS = (
    ("Supervised", "", (79.41, 68.11, 9.35, 2.70), (82.74, 71.72, 13.35, 3.26)),
    ("UA-MT", "MICCAI 2019", (81.65, 70.64, 6.88, 2.02), (86.28, 76.11, 18.71, 4.63)),
    ("SASSNet", "MICCAI 2020", (84.50, 74.34, 5.42, 1.86), (85.22, 75.09, 11.18, 2.89)),
    ("CPS", "CVPR 2021", (86.91, 78.11, 5.72, 1.92), None),
    ("DTC", "AAAI 2021", None, (87.51, 78.17, 8.23, 2.36)),
    ("SS-Net", "MICCAI 2022", (86.78, 77.67, 6.07, 1.40), (88.55, 79.62, 7.49, 1.90)),
    ("PS-MT", "CVPR 2022", (88.91, 80.79, 4.96, 1.83), (89.72, 81.48, 6.94, 1.92)),
    ("BCP*", "CVPR 2023", (88.84, 80.62, 3.98, 1.17), (89.62, 81.31, 6.81, 1.76)),
    ("OMF*", "MICCAI 2024", None, (90.23, 82.34, 5.95, 1.63)),
    ("AD-MT", "ECCV 2024", (89.46, 81.47, 1.51, 0.44), (90.55, 82.79, 5.81, 1.70)),
    ("ABD", "CVPR 2024", (89.81, 81.95, 1.46, 0.49), None),
    ("M³HL", "MICCAI 2025", (90.47, 83.23, 1.43, 0.34), (91.01, 83.43, 5.72, 1.59)),
)
NOTES = {
    "acdc": (),
    "la": (
        "Table 2 of the paper prints 1.51 as the ASD of the supervised V-Net, where Table 1 has 3.26.",
        "The released code picks its LA weights by their Dice on the test scans; whether the printed numbers were "
        "made so is not said.",
    ),
}
"""What a reader of the published numbers of a data set must know."""


def table1(kind: str) -> tuple[Published, ...]:
    """Return the rows of Table 1 for "acdc" or "la", in printed order; dashes are NaN."""
    column = {"acdc": 0, "la": 1}[kind]
    ours = {methods.load(name).TITLE: name for name in methods.names()}
    return tuple(
        Published(title, venue, *(numbers[column] or (nan,) * 4), ours=ours.get(title.rstrip("*"), ""))
        for title, venue, *numbers in ROWS
    )


@dataclass(frozen=True)
class PublishedLosses:
    """One row of Table 2, on LA with the labeled count of Table 1.

    Attributes:
        method: as printed.
        losses: whether L_sup, L_mix and L_HL are on.
        dice, jaccard: percent.
        hd95, asd: voxels, in the printed order; see `TABLE2_NOTES`.
    """

    method: str
    losses: tuple[bool, bool, bool]
    dice: float
    jaccard: float
    hd95: float
    asd: float


TABLE2 = (
    PublishedLosses("VNet", (True, False, False), 82.74, 71.72, 13.35, 1.51),
    PublishedLosses("VNet + M³", (True, True, False), 89.76, 81.51, 6.95, 1.93),
    PublishedLosses("VNet + HL", (True, False, True), 88.69, 80.20, 7.16, 2.03),
    PublishedLosses("VNet + HL + M³", (True, True, True), 90.32, 82.48, 7.06, 1.68),
    PublishedLosses("VNet + M³", (False, True, False), 90.05, 82.39, 7.10, 1.82),
    PublishedLosses("VNet + HL", (False, False, True), 89.40, 81.43, 7.28, 2.02),
    PublishedLosses("M³HL (Ours)", (False, True, True), 91.01, 83.43, 5.72, 1.59),
)
TABLE2_KIND = "la"
TABLE2_NOTES = (
    "The paper heads the last two columns ASD, 95HD but prints 95HD, ASD: its last row is Table 1's. They are "
    "set right here.",
    "The paper prints 1.51 as the ASD of the supervised V-Net, where Table 1 has 3.26.",
)
FIGURE4_KIND = "acdc"
