"""The image sets that fusion papers test on: where their pictures lie, what they show, how colour is treated."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from upfusion_med.core import Modality, UsageError

#: How every set's pictures become the grey images that are fused and measured.
LUMA_PROTOCOL = (
    "colour becomes BT.601 luma, 0.299 R + 0.587 G + 0.114 B, rounded to 8 bits, before fusing and measuring; "
    "the fused image is rounded to 8 bits; metrics are taken on grey images"
)
#: What a layout writes where the folder's name is that of the split.
SPLIT_FIELD = "{split}"


@dataclass(frozen=True)
class PairGroup:
    """Pairs of one kind within a set.

    Attributes:
        name: Name in tables, such as ``"PET-MRI"``.
        modality: Kind of image A, which chooses the network's prompt.
        layouts: Folders of A and of B below the root, in the order in which they are tried. ``{split}`` stands for the
            name of the split; letter case does not matter.
    """

    name: str
    modality: Modality
    layouts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class DataSet:
    """A published image set.

    Attributes:
        name: The word by which it is asked for.
        title: Name in reports.
        a: What image A shows (visible or functional).
        b: What image B shows (infrared or MRI).
        groups: Kinds of pairs; each is reported for itself.
        colour: The colour protocol, with what is particular to this set.
        source: Where it is published.
        case_of: (group, file stem) to the case: pairs of one case are not independent.
        splits: Names of splits; the first is the default. Empty: the set is not split.
        table: A CSV beside the folders with the columns modality, name, case, split, patient, or "".
        slices: Whether names end in the number of a slice (up to three digits) and begin with that of its stack.
    """

    name: str
    title: str
    a: str
    b: str
    groups: tuple[PairGroup, ...]
    colour: str
    source: str
    case_of: Callable[[str, str], str]
    splits: tuple[str, ...] = ()
    table: str = ""
    slices: bool = False


def every_pair_for_itself(group: str, stem: str) -> str:
    """The case of a pair that shares nothing with others."""
    return f"{group}/{stem}"


def camera_of_llvip(_group: str, stem: str) -> str:
    """LLVIP's names begin with two digits for the fixed camera; its frames show one scene."""
    return f"camera {stem[:2]}"


def patient_of_harvard(group: str, stem: str) -> str:
    """The person behind a slice of the Harvard atlas, from the name: leading digits = case, last three = slice.

    PET-MRI 25, 30 and 41 are one person in three planes; CT-MRI and SPECT-MRI cases of one number are one patient;
    ``sa_*`` are one further PET patient; ``cdd_44`` to ``cdd_70`` show case 36 (facts: data README).
    """
    if stem.startswith("sa_"):
        return "PET-D"
    if stem.startswith("cdd_"):
        return "case36"
    digits = re.match(r"\d+", stem)
    if digits is None or len(digits.group()) < 4:
        return every_pair_for_itself(group, stem)
    number = int(digits.group()[:-3])
    return "PET-A" if group == "PET-MRI" and number in (25, 30, 41) else f"case{number:02d}"


def _visible_infrared(name: str, *layouts: tuple[str, str]) -> tuple[PairGroup, ...]:
    return (PairGroup(name, Modality.INFRARED, layouts),)


_VI_IR = (("{split}/vi", "{split}/ir"), ("vi", "ir"), ("visible", "infrared"), ("vis", "ir"))

DATA_SETS: tuple[DataSet, ...] = (
    DataSet(
        name="harvard",
        title="Harvard Whole Brain Atlas, CT/PET/SPECT-MRI",
        a="CT, PET or SPECT",
        b="MRI",
        groups=(
            PairGroup("CT-MRI", Modality.CT, (("CT-MRI/CT", "CT-MRI/MRI"), ("MRI-CT/CT", "MRI-CT/MRI"))),
            PairGroup("PET-MRI", Modality.PET, (("PET-MRI/PET", "PET-MRI/MRI"), ("MRI-PET/PET", "MRI-PET/MRI"))),
            PairGroup(
                "SPECT-MRI",
                Modality.SPECT,
                (("SPECT-MRI/SPECT", "SPECT-MRI/MRI"), ("MRI-SPECT/SPECT", "MRI-SPECT/MRI")),
            ),
        ),
        colour=f"{LUMA_PROTOCOL}. PET and SPECT are pseudo-colour: their luma is not uptake.",
        source="AANLIB (Johnson and Becker); folders as in xianming-gu/Havard-Medical-Image-Fusion-Datasets",
        case_of=patient_of_harvard,
        splits=("test", "dev"),
        table="splits.csv",
        slices=True,
    ),
    DataSet(
        name="msrs",
        title="MSRS",
        a="visible",
        b="infrared",
        groups=_visible_infrared("MSRS", *_VI_IR),
        colour=f"{LUMA_PROTOCOL}.",
        source="Linfeng-Tang/MSRS",
        case_of=every_pair_for_itself,
        splits=("test", "train"),
    ),
    DataSet(
        name="llvip",
        title="LLVIP",
        a="visible",
        b="infrared",
        groups=_visible_infrared("LLVIP", ("visible/{split}", "infrared/{split}"), *_VI_IR),
        colour=f"{LUMA_PROTOCOL}. The infrared JPEG has three nearly equal channels; its luma is taken too.",
        source="bupt-ai-cz/LLVIP (non-commercial terms)",
        case_of=camera_of_llvip,
        splits=("test", "train"),
    ),
    DataSet(
        name="m3fd",
        title="M3FD",
        a="visible",
        b="infrared",
        groups=_visible_infrared(
            "M3FD", ("Vis", "Ir"), ("M3FD_Fusion/Vis", "M3FD_Fusion/Ir"), ("M3FD_Detection/Vis", "M3FD_Detection/Ir"),
            *_VI_IR,
        ),
        colour=f"{LUMA_PROTOCOL}.",
        source="JinyuanLiu-CV/TarDAL",
        case_of=every_pair_for_itself,
        splits=("test", "train"),
    ),
    DataSet(
        name="roadscene",
        title="RoadScene",
        a="visible",
        b="infrared",
        groups=_visible_infrared("RoadScene", ("crop_LR_visible", "cropinfrared"), *_VI_IR),
        colour=f"{LUMA_PROTOCOL}.",
        source="hanna-xu/RoadScene (FLIR video)",
        case_of=every_pair_for_itself,
        splits=("test", "train"),
    ),
    DataSet(
        name="tno",
        title="TNO",
        a="visible",
        b="infrared",
        groups=_visible_infrared("TNO", *_VI_IR),
        colour=f"{LUMA_PROTOCOL}. Most visible pictures are grey already.",
        source="TNO Image Fusion Dataset (Toet), figshare",
        case_of=every_pair_for_itself,
        splits=("test", "train"),
    ),
    DataSet(
        name="fmb",
        title="FMB",
        a="visible",
        b="infrared",
        groups=_visible_infrared("FMB", ("{split}/Visible", "{split}/Infrared"), *_VI_IR),
        colour=f"{LUMA_PROTOCOL}.",
        source="JinyuanLiu-CV/SegMiF",
        case_of=every_pair_for_itself,
        splits=("test", "train"),
    ),
    DataSet(
        name="gfp-pc",
        title="GFP-PC",
        a="green fluorescent protein",
        b="phase contrast",
        groups=(PairGroup("GFP-PC", Modality.UNKNOWN, (("GFP", "PC"), ("{split}/GFP", "{split}/PC"))),),
        colour=f"{LUMA_PROTOCOL}. GFP is pure green: its luma is 0.587 G.",
        source="John Innes Centre",
        case_of=every_pair_for_itself,
        splits=("test", "train"),
    ),
)  # fmt: skip


def data_set_names() -> tuple[str, ...]:
    """All names that `get_data_set` knows."""
    return tuple(s.name for s in DATA_SETS)


def get_data_set(name: str) -> DataSet:
    """The set of that name; letter case, hyphens and underscores do not matter.

    Raises:
        UsageError: there is no such set; the message lists those there are.
    """
    key = name.strip().lower().replace("_", "-")
    found = next((s for s in DATA_SETS if s.name in (key, f"{key}-pc")), None)
    if found is None:
        raise UsageError(
            f"There is no data set '{name}'; expected one of {', '.join(data_set_names())}, or 'folders' for any two "
            "folders of pictures (with --a and --b)."
        )
    return found


def folder_pair(title: str, modality: Modality = Modality.INFRARED, *, slices: bool = False) -> DataSet:
    """The set that consists of any two folders; its one group is called ``title``; for ``slices`` see `DataSet`."""
    return DataSet(
        name="folders",
        title=title,
        a="folder A",
        b="folder B",
        groups=(PairGroup(title, modality, ()),),
        colour=f"{LUMA_PROTOCOL}.",
        source="two folders",
        case_of=every_pair_for_itself,
        slices=slices,
    )
