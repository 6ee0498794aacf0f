"""Which picture belongs to which: pairs by file name, the cases they belong to, and what has no partner."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from upfusion_med.core import InputError, Modality, UsageError
from upfusion_med.evaluation.datasets import DataSet, PairGroup
from upfusion_med.evaluation.picture_levels import PICTURE_SUFFIXES

#: Names that a note lists at most.
MOST_NAMES = 20
#: Split name for everything there is.
EVERYTHING = "all"


@dataclass(frozen=True)
class Pair:
    """Two registered pictures.

    Attributes:
        group: Kind of pair, such as ``"PET-MRI"``.
        name: File stem, equal in both folders.
        case: What pairs that are not independent share (patient, camera).
        a: File of the visible or functional picture.
        b: File of the infrared picture or the MRI.
        modality: Kind of A.
        functional_colours: In which colours A is drawn (`source_colours.drawn`).
    """

    group: str
    name: str
    case: str
    a: Path
    b: Path
    modality: Modality
    functional_colours: str = "keep"

    @property
    def id(self) -> str:
        """``group/name``, unique within a set."""
        return f"{self.group}/{self.name}"


@dataclass(frozen=True)
class Failure:
    """Something that could not be scored, and why; it is listed in every report.

    Attributes:
        group: Kind of pair.
        name: File stem.
        method: The method that failed, or "" when it concerns all of them.
        reason: What was found, what was expected.
    """

    group: str
    name: str
    method: str
    reason: str


@dataclass(frozen=True)
class PairList:
    """The pairs of one run.

    Attributes:
        data: The set.
        split: Which part of it: a split's name or ``"all"``.
        pairs: In the order of groups, then names.
        failures: Pictures without a partner.
        notes: What a reader should know, such as groups that are not there.
        root: Root folder of the set, or None.
        colours: In which colours A is drawn (`source_colours`).
    """

    data: DataSet
    split: str
    pairs: tuple[Pair, ...]
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()
    root: Path | None = None
    colours: str = "keep"

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups that have pairs, in the order of the set."""
        return tuple(dict.fromkeys(p.group for p in self.pairs))

    @property
    def is_medical(self) -> bool:
        """Whether some A is CT, PET or SPECT, so that the reader's measures apply."""
        return any(p.modality in (Modality.CT, Modality.PET, Modality.SPECT) for p in self.pairs)


def pictures_of(folder: Path) -> dict[str, Path]:
    """File stems to picture files of a folder (not of folders below it), sorted.

    Raises:
        InputError: no such folder, no picture in it, or two pictures of one stem.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}; expected a folder of pictures.")
    found: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() not in PICTURE_SUFFIXES or file.name.startswith(".") or not file.is_file():
            continue
        if file.stem in found:
            raise InputError(
                f"The folder {folder} holds {found[file.stem].name} and {file.name}; expected one picture of each "
                "name, because pairs are matched by name. Remove one of them."
            )
        found[file.stem] = file
    if not found:
        raise InputError(f"The folder {folder} holds no picture ({', '.join(PICTURE_SUFFIXES)}); expected some.")
    return found


def match_folders(a: Path, b: Path, group: PairGroup, data: DataSet) -> tuple[list[Pair], list[Failure]]:
    """Pairs of equal file stem, and what has no partner."""
    of_a, of_b = pictures_of(a), pictures_of(b)
    pairs = [
        Pair(group.name, stem, data.case_of(group.name, stem), of_a[stem], of_b[stem], group.modality)
        for stem in sorted(of_a.keys() & of_b.keys())
    ]
    failures = [
        Failure(group.name, stem, "", f"{have[stem]} has no partner of the same name in {lack}")
        for have, other, lack in ((of_a, of_b, b), (of_b, of_a, a))
        for stem in sorted(have.keys() - other.keys())
    ]
    return pairs, failures


def pairs_of_folders(data: DataSet, a: Path, b: Path) -> PairList:
    """All pairs of two folders.

    Raises:
        InputError: a folder is missing or empty, or no name occurs in both.
        UsageError: both are one folder.
    """
    if a.resolve() == b.resolve():
        raise UsageError(f"Pictures A and pictures B are one folder, {a}; expected two.")
    pairs, failures = match_folders(a, b, data.groups[0], data)
    if not pairs:
        raise InputError(
            f"No name of {a} occurs in {b} (such as {failures[0].name}); expected pictures of equal names. "
            "Rename one side; pairs are never matched by order."
        )
    return PairList(data, EVERYTHING, tuple(pairs), tuple(failures))


def only_with_result(found: PairList, fused: Path) -> PairList:
    """The pairs that have a fused picture; those without are counted and named in the notes.

    A fused picture without sources becomes a failure.

    Raises:
        InputError: no fused picture has the name of a pair.
    """
    results = pictures_of(fused)
    with_result = tuple(p for p in found.pairs if p.name in results)
    if not with_result:
        raise InputError(
            f"No picture of {fused} (such as {next(iter(results))}) has the name of a pair (such as "
            f"{found.pairs[0].name}); expected results named like their sources. Rename them."
        )
    names = {p.name for p in found.pairs} | {f.name for f in found.failures}
    group = found.data.groups[0].name
    alone = [
        Failure(group, stem, "", f"{file} has no sources of the same name")
        for stem, file in results.items()
        if stem not in names
    ]
    without = [p.name for p in found.pairs if p.name not in results]
    named = ", ".join(without[:MOST_NAMES]) + (" and so on" if len(without) > MOST_NAMES else "")
    notes = [f"{len(without)} of {len(found.pairs)} pairs have no result and were not scored: {named}."]
    failures = [f for f in found.failures if f.name in results] + alone
    return replace(
        found, pairs=with_result, failures=tuple(failures), notes=(*found.notes, *(notes if without else ()))
    )
