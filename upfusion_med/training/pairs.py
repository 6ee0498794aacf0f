"""Training pairs: two folders of registered pictures with equal names, as 8-bit luminance in memory or on disk."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import InputError, UsageError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


class PicturePair(Protocol):
    """One registered pair, wherever its pictures are; attributes as in `TrainingPair`."""

    @property
    def name(self) -> str:
        """See `TrainingPair`."""

    @property
    def scene(self) -> str:
        """See `TrainingPair`."""

    @property
    def visible(self) -> NDArray[np.uint8]:
        """See `TrainingPair`."""

    @property
    def infrared(self) -> NDArray[np.uint8]:
        """See `TrainingPair`."""


@dataclass(frozen=True)
class TrainingPair:
    """One registered pair in memory.

    Attributes:
        name: File stem, equal in both folders.
        scene: What the picture shows; pairs of one scene never stand on both sides of a split.
        visible: (H, W) uint8 luminance.
        infrared: (H, W) uint8 luminance.
    """

    name: str
    scene: str
    visible: NDArray[np.uint8]
    infrared: NDArray[np.uint8]


@dataclass(frozen=True)
class PairOnDisk:
    """One registered pair whose pictures are read at each use.

    Attributes:
        name: File stem, equal in both folders.
        scene: See `TrainingPair`.
        visible_file: Picture file.
        infrared_file: Picture file.
    """

    name: str
    scene: str
    visible_file: Path
    infrared_file: Path

    @property
    def visible(self) -> NDArray[np.uint8]:
        """(H, W) uint8 luminance."""
        return read_luminance(self.visible_file)

    @property
    def infrared(self) -> NDArray[np.uint8]:
        """(H, W) uint8 luminance."""
        return read_luminance(self.infrared_file)


AnyPair = TypeVar("AnyPair", bound=PicturePair)


def read_luminance(path: Path) -> NDArray[np.uint8]:
    """(H, W) uint8 BT.601 luma of a picture file; 16 bits are scaled from their full range, as for benchmarks.

    Raises:
        InputError: it cannot be read, or holds values that are not levels of 8 or 16 bits.
    """
    from PIL import Image

    try:
        with Image.open(path) as picture:
            top = 255 if picture.mode == "F" else 65535
            if picture.mode[0] not in "FI":
                return np.asarray(picture.convert("L"))
            values = np.asarray(picture, np.float64)
    except OSError as error:
        raise InputError(f"{path.name} cannot be read as a picture ({error}); remove it or repair it.") from error
    if not (values.min() >= 0 and values.max() <= top):
        raise InputError(
            f"{path.name} holds values from {values.min():g} to {values.max():g}; expected grey levels of 8 or 16 "
            "bits. Window it to 0..255 and save it as PNG."
        )
    return np.rint(values * (255 / top)).astype(np.uint8)


def scene_of(name: str, source_scene: str) -> str:
    """The group that a validation split must keep together.

    M3SVD frames of one place share their first two number groups; all LLVIP frames come from one camera.
    """
    if name.startswith("llvip"):
        return "llvip"
    if name.startswith("m3svd"):
        return "_".join(source_scene.split("_")[:3])
    return source_scene


def match_names(visible: Path, infrared: Path) -> dict[str, tuple[Path, Path]]:
    """File stem to the two pictures of a pair, sorted.

    Raises:
        InputError: a folder is missing or has two pictures of one stem, or a picture has no partner; all such names
            are listed.
        UsageError: both are one folder.
    """
    if visible.resolve() == infrared.resolve():
        raise UsageError(f"Visible and infrared pictures are one folder, {visible}; expected two.")
    folders = []
    for folder in (visible, infrared):
        if not folder.is_dir():
            raise InputError(f"There is no folder {folder}; expected a folder of pictures.")
        found: dict[str, Path] = {}
        for file in sorted(f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES and not f.name.startswith(".")):
            other = found.setdefault(file.stem, file)
            if other is not file:
                raise InputError(f"{folder} holds {other.name} and {file.name}; expected one picture of a name.")
        folders.append(found)
    alone = sorted(set(folders[0]) ^ set(folders[1]))
    if alone:
        raise InputError(f"{len(alone)} pictures have no partner of the same name: {', '.join(alone[:10])}.")
    return {name: (folders[0][name], folders[1][name]) for name in sorted(folders[0])}


def read_scenes(table: Path | None) -> dict[str, str]:
    """Name to scene, from a CSV with columns ``name, source_scene``.

    Raises:
        InputError: the file cannot be read, lacks a column, or has a row without a scene.
    """
    if table is None:
        return {}
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = {row["name"]: row["source_scene"] for row in csv.DictReader(file)}
    except OSError as error:
        raise InputError(f"The table of scenes {table} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"The table of scenes {table} is not text in UTF-8; save it in that encoding.") from error
    except KeyError as error:
        raise InputError(f"The table of scenes {table} has no column {error}; expected name, source_scene.") from error
    if without := [name for name, scene in rows.items() if not scene]:
        raise InputError(f"The table of scenes {table} has no source_scene for {', '.join(without[:10])}.")
    return {name: scene_of(name, scene) for name, scene in rows.items()}


def find_pairs(
    visible: Path,
    infrared: Path,
    table: Path | None = None,
    exclude: tuple[str, ...] = (),
    scene_prefix: int = 0,
) -> list[PairOnDisk]:
    """Every pair of two folders; only the heads of the files are read.

    Args:
        visible: Folder of visible pictures.
        infrared: Folder of infrared pictures.
        table: CSV with columns ``name, source_scene``; without it every pair is its own scene.
        exclude: Prefixes of names that are left out.
        scene_prefix: Without a table: how many first characters of a name tell the scene; 0: all.

    Raises:
        InputError: a folder is missing, a picture has no partner or no row in the table, or sizes differ; the names
            are listed.
    """
    scenes = read_scenes(table)
    found = {n: files for n, files in match_names(visible, infrared).items() if not n.startswith(exclude)}
    if not found:
        raise InputError(f"There is no pair of pictures in {visible} and {infrared}.")
    if table is not None and (unlisted := [name for name in found if name not in scenes]):
        raise InputError(
            f"The table of scenes {table} lacks {len(unlisted)} of {len(found)} pairs: {', '.join(unlisted[:10])}. "
            "Expected every name, without suffix: one scene must not stand on both sides of the split."
        )
    pairs = []
    for name, (a, b) in found.items():
        sizes = [_size(path) for path in (a, b)]
        if sizes[0] != sizes[1]:
            raise InputError(f"The pair {name} has sizes {sizes[0]} and {sizes[1]}; expected equal ones.")
        pairs.append(PairOnDisk(name, scenes.get(name, name[:scene_prefix] if scene_prefix else name), a, b))
    return pairs


def _size(path: Path) -> tuple[int, int]:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return picture.height, picture.width
    except OSError as error:
        raise InputError(f"{path.name} cannot be read as a picture ({error}); remove it or repair it.") from error


def held_in_memory(pairs: Sequence[PairOnDisk], gib: float) -> list[PicturePair]:
    """The same pairs, the first of them read into memory until it holds ``gib``; the others stay on disk."""
    room, held = gib * 2**30, list[PicturePair]()
    for pair in pairs:
        if room <= 0:
            held.append(pair)
            continue
        a, b = pair.visible, pair.infrared
        room -= a.nbytes + b.nbytes
        held.append(TrainingPair(pair.name, pair.scene, a, b))
    return held


def split_by_scene(pairs: Sequence[AnyPair], share: float, seed: int) -> tuple[list[AnyPair], list[AnyPair]]:
    """Training and validation pairs; whole scenes go to one side, about ``share`` of the scenes to validation."""
    scenes = sorted({pair.scene for pair in pairs})
    order = np.random.default_rng(seed).permutation(len(scenes))
    held = {scenes[i] for i in order[: round(share * len(scenes))]}
    return [p for p in pairs if p.scene not in held], [p for p in pairs if p.scene in held]
