"""Studies to fuse one after the other: pairs of volumes in the scene, or of files in a folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from .modality import Role, guess_modality, role_from_name
from .result import KIND
from .result_folder import inputs_in

_ENDINGS = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")


@dataclass(frozen=True)
class PairStudy:
    """An MRI and a functional image that belong together.

    Attributes:
        name: For the list and the folder of the result.
        mri: ID of a node, or a path; empty where the study cannot be fused.
        functional: The same.
        problem: Why it cannot be fused; empty where it can.
    """

    name: str
    mri: str = ""
    functional: str = ""
    problem: str = ""

    @property
    def is_folder(self) -> bool:
        """Whether both images are in one folder of DICOM files."""
        return bool(self.mri) and self.mri == self.functional


def studies_in_scene() -> list[PairStudy]:
    """Every study of the subject hierarchy that holds an MRI and a functional volume."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    groups: dict[int, list] = {}
    for volume in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        if volume.IsA("vtkMRMLVectorVolumeNode") or volume.IsA("vtkMRMLLabelMapVolumeNode"):
            continue
        if volume.GetHideFromEditors() or volume.GetAttribute(KIND):
            continue
        if volume.GetImageData() is None or not volume.GetImageData().GetNumberOfPoints():
            continue
        groups.setdefault(_study_item(hierarchy, hierarchy.GetItemByDataNode(volume)), []).append(volume)
    found: list[PairStudy] = []
    for item, volumes in groups.items():
        name = hierarchy.GetItemName(item) if item != hierarchy.GetSceneItemID() else _("Scene")
        sorted_out = [(volume.GetID(), volume.GetName(), guess_modality(volume).role) for volume in volumes]
        found += _pairs(name, sorted_out)
    return found


def studies_in_folder(folder: Path) -> list[PairStudy]:
    """Every subfolder that holds an MRI and a functional image: NIfTI, NRRD or MetaImage by their names, or DICOM.

    Raises:
        NotADirectoryError: it is no folder.
    """
    found: list[PairStudy] = []
    if not folder.is_dir():
        raise NotADirectoryError(folder)
    for place in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        inputs = list(inputs_in(place))
        files = [path for path in inputs if path.name.lower().endswith(_ENDINGS)]
        if files:
            sorted_out = [(str(path), _stem(path.name), role_from_name(_stem(path.name))) for path in files]
            found += _pairs(place.name, sorted_out)
        elif any(file.is_file() for path in inputs for file in (path, *path.rglob("*"))):
            # A DICOM study: the command itself picks the one MR and the one functional series.
            found.append(PairStudy(place.name, str(place), str(place)))
        else:
            found.append(PairStudy(place.name, problem=_("The folder is empty.")))
    return found


def _stem(name: str) -> str:
    """The name of a file without its ending; other dots in it stay."""
    ending = next(ending for ending in _ENDINGS if name.lower().endswith(ending))
    return name[: -len(ending)]


def _pairs(name: str, volumes: Iterable[tuple[str, str, Role | None]]) -> list[PairStudy]:
    volumes = list(volumes)
    mris = [(key, title) for key, title, role in volumes if role is Role.MRI]
    functionals = [(key, title) for key, title, role in volumes if role is Role.FUNCTIONAL]
    if not mris or not functionals:
        missing = _("No MRI was recognised.") if not mris else _("No PET, SPECT or CT was recognised.")
        return [PairStudy(name, problem=missing)]
    if len(mris) > 1:
        titles = ", ".join(title for _key, title in mris)
        return [PairStudy(name, problem=_("Several MRIs ({names}); fuse this study by hand.").format(names=titles))]
    return [
        PairStudy(name if len(functionals) == 1 else f"{name} {title}", mris[0][0], key) for key, title in functionals
    ]


def _study_item(hierarchy: slicer.vtkMRMLSubjectHierarchyNode, item: int) -> int:
    """The study that an item belongs to; where there is none, its folder."""
    if not item:
        return hierarchy.GetSceneItemID()
    folder = hierarchy.GetItemParent(item)
    place = folder
    while place and place != hierarchy.GetSceneItemID():
        if hierarchy.GetItemLevel(place) == "Study":
            return place
        place = hierarchy.GetItemParent(place)
    return folder or hierarchy.GetSceneItemID()
