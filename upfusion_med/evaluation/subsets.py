"""Lists of pairs, named or from a file, so that rows measured at different times stand on the same pictures."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from upfusion_med.core import InputError, UsageError
from upfusion_med.evaluation.pairs import PairList
from upfusion_med.evaluation.picture_levels import PICTURE_SUFFIXES

#: List name to group to the names of its pairs, separated by blanks.
_LISTS: dict[str, dict[str, str]] = {
    # Eight evenly spread slices of every test case (fourteen and ten for the two PET people), and eight or fewer
    # evenly spread scenes of each infrared-visible set: the lists on which peer networks were measured.
    "baseline": {
        "CT-MRI": "16004 16006 16008 16010 16013 16015 16017 16019 21005 21007 21009 21011 21013 21015 21017 21019 "
        "41004 41006 41009 41011 41014 41016 41020 41022",
        "PET-MRI": "41023 41031 41039 41047 41051 41054 41062 41074 41082 41089 41094 41098 41106 41114 sa_21 sa_22 "
        "sa_23 sa_24 sa_25 sa_26 sa_27 sa_28 sa_29 sa_30",
        "SPECT-MRI": "21006 21008 21010 21012 21014 21016 21018 21020 36015 36024 36031 36038 cdd_46 cdd_53 cdd_60 "
        "cdd_67 9011 9015 9019 9024 9028 9035 9039 9043",
        "MSRS": "00147D 00319D 00671D 00710N 00858N 01008N 01302N 01531D",
        "RoadScene": "FLIR_04943 FLIR_05857 FLIR_05893 FLIR_06995 FLIR_07190 FLIR_07209 FLIR_07809 FLIR_09465",
        "TNO": "03 16 23 41",
        "FMB": "00360",
        "M3FD": "00118 04053",
        "LLVIP": "190005",
    },
}


def subset_names() -> tuple[str, ...]:
    """Names of the lists there are."""
    return tuple(_LISTS)


def named_subset(name: str, groups: tuple[str, ...]) -> list[tuple[str, str]]:
    """The (group, name) of a list's pairs in some groups.

    Raises:
        UsageError: there is no such list, or it holds nothing of these groups.
    """
    if name not in _LISTS:
        raise UsageError(
            f"There is no list of pairs '{name}'; expected one of {', '.join(_LISTS)}, or the path of a text file with "
            "one pair a line."
        )
    chosen = [(group, pair) for group in groups for pair in _LISTS[name].get(group, "").split()]
    if not chosen:
        raise UsageError(f"The list '{name}' holds no pairs of {', '.join(groups)}; leave --pairs out.")
    return chosen


def choose_pairs(found: PairList, names: Collection[tuple[str, str]], called: str) -> PairList:
    """Only the pairs of a list, which may stand in any split.

    Args:
        found: All pairs of a set.
        names: (group or "", name) of the wanted ones; "" means any group.
        called: What the list is called in reports.

    Raises:
        InputError: a wanted pair is not there; all such names are given.
    """
    wanted = set(names)
    chosen = [p for p in found.pairs if (p.group, p.name) in wanted or ("", p.name) in wanted]
    have = {(p.group, p.name) for p in chosen} | {("", p.name) for p in chosen}
    missing = sorted(f"{g}/{n}".strip("/") for g, n in wanted - have)
    if missing:
        raise InputError(
            f"The list '{called}' names {len(missing)} pairs that are not in the folder: {', '.join(missing[:8])}"
            f"{' …' if len(missing) > 8 else ''}. Expected all {len(wanted)}, of the groups {', '.join(found.groups)}; "
            "add the pictures, or correct the list."
        )
    failures = tuple(f for f in found.failures if (f.group, f.name) in wanted or ("", f.name) in wanted)
    return replace(found, pairs=tuple(chosen), failures=failures, split=f"list '{called}'")


def read_pair_list(path: Path) -> list[tuple[str, str]]:
    """A list of pairs from a text file: one ``name`` or ``group/name`` a line; ``#`` begins a remark.

    Raises:
        InputError: the file cannot be read or is empty.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The list of pairs {path} cannot be read; expected a text file, one name a line.") from error
    names = []
    for line in lines:
        entry = line.split("#")[0].strip()
        if entry:
            group, _, name = entry.rpartition("/")
            suffix = Path(name).suffix
            names.append((group, name.removesuffix(suffix) if suffix.lower() in PICTURE_SUFFIXES else name))
    if not names:
        raise InputError(f"The list of pairs {path} is empty; expected one name a line.")
    return names
