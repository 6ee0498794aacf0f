"""Training pairs: two folders of registered pictures with equal names, held in memory as 8-bit luminance."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import InputError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class TrainingPair:
    """One registered pair.

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


def read_luminance(path: Path) -> NDArray[np.uint8]:
    """(H, W) uint8 BT.601 luma of a picture file."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("L"))
    except OSError as error:
        raise InputError(f"{path.name} cannot be read as a picture ({error}); remove it or repair it.") from error


def scene_of(name: str, source_scene: str) -> str:
    """The group that a validation split must keep together.

    M3SVD frames of one place share their first two number groups; all LLVIP frames come from one camera.
    """
    if name.startswith("llvip"):
        return "llvip"
    if name.startswith("m3svd"):
        return "_".join(source_scene.split("_")[:3])
    return source_scene


def load_pairs(
    visible: Path, infrared: Path, table: Path | None = None, exclude: tuple[str, ...] = ()
) -> list[TrainingPair]:
    """Read every pair of two folders, matched by file stem.

    Args:
        visible: Folder of visible pictures.
        infrared: Folder of infrared pictures.
        table: CSV with columns ``name, source_scene``; without it every pair is its own scene.
        exclude: Prefixes of names that are left out, such as ``("llvip_",)``.

    Raises:
        InputError: a folder is missing, a picture has no partner, or sizes differ; all such names are listed.
    """
    folders = []
    for folder in (visible, infrared):
        if not folder.is_dir():
            raise InputError(f"There is no folder {folder}; expected a folder of pictures.")
        folders.append({f.stem: f for f in sorted(folder.iterdir()) if f.suffix.lower() in SUFFIXES})
    alone = sorted(set(folders[0]) ^ set(folders[1]))
    if alone:
        raise InputError(f"{len(alone)} pictures have no partner of the same name: {', '.join(alone[:10])}.")
    scenes = {}
    if table is not None:
        with table.open(newline="") as rows:
            scenes = {row["name"]: scene_of(row["name"], row["source_scene"]) for row in csv.DictReader(rows)}
    pairs = []
    for name in sorted(folders[0]):
        if name.startswith(exclude) and exclude:
            continue
        a, b = read_luminance(folders[0][name]), read_luminance(folders[1][name])
        if a.shape != b.shape:
            raise InputError(f"The pair {name} has sizes {a.shape} and {b.shape}; expected equal ones.")
        pairs.append(TrainingPair(name, scenes.get(name, name), a, b))
    if not pairs:
        raise InputError(f"There is no pair of pictures in {visible} and {infrared}.")
    return pairs


def split_by_scene(pairs: list[TrainingPair], share: float, seed: int) -> tuple[list[TrainingPair], list[TrainingPair]]:
    """Training and validation pairs; whole scenes go to one side, about ``share`` of the scenes to validation."""
    scenes = sorted({pair.scene for pair in pairs})
    order = np.random.default_rng(seed).permutation(len(scenes))
    held = {scenes[i] for i in order[: round(share * len(scenes))]}
    return [p for p in pairs if p.scene not in held], [p for p in pairs if p.scene in held]
