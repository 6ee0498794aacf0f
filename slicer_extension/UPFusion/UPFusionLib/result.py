"""The result of a run as nodes of the scene."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import slicer

from .grid import as_matrix, ijk_to_ras, local_to_world, reordered
from .volume_file import file_space, read_transform, read_volume

REPORT = "UPFusion.Report"
NOTICE = "Not for diagnostic use"
KIND = "UPFusion.Kind"
MRI_ROLE, FUNCTIONAL_ROLE = "UPFusion.MRI", "UPFusion.Functional"
#: Attribute of the fused volume: (4, 4) in world space from the MRI to where the functional image was taken.
ALIGNMENT = "UPFusion.MRIToFunctional"


@dataclass(frozen=True, eq=False)
class FusionNodes:
    """The nodes of one result.

    Attributes:
        fused: Colours, 3 x uint8.
        luminance: Fused luminance, 0..1.
    """

    fused: slicer.vtkMRMLVectorVolumeNode
    luminance: slicer.vtkMRMLScalarVolumeNode


def load_result(
    folder: Path,
    mri: slicer.vtkMRMLScalarVolumeNode,
    functional: slicer.vtkMRMLScalarVolumeNode,
    fused: slicer.vtkMRMLVectorVolumeNode | None = None,
    luminance: slicer.vtkMRMLScalarVolumeNode | None = None,
) -> FusionNodes:
    """Bring a result into the scene, on the grid of the MRI and under its transform; one step of undo.

    Args:
        folder: What the command wrote.
        mri: Gives the geometry.
        functional: The other input.
        fused: Node to fill; None, or one that holds the result of other volumes: a new one.
        luminance: The same for the luminance.

    Raises:
        FileNotFoundError: a file is missing.
        GridMismatchError: the result is not on the MRI's grid.
    """
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    colours, scalars = (
        _on_grid_of(mri, folder / name, kind)
        for name, kind in (
            ("fused_rgb.nrrd", "vtkMRMLVectorVolumeNode"),
            ("fused_luminance.nrrd", "vtkMRMLScalarVolumeNode"),
        )
    )
    slicer.mrmlScene.SaveStateForUndo()
    name = f"{mri.GetName()} + {functional.GetName()}"
    if not _may_hold(fused, mri, functional):
        fused = _new_node("vtkMRMLVectorVolumeNode", f"{name} fused")
    if not _may_hold(luminance, mri, functional):
        luminance = _new_node("vtkMRMLScalarVolumeNode", f"{name} fused luminance")
    for node, voxels in ((fused, colours), (luminance, scalars)):
        _fill(node, voxels, mri)
    show_as_it_is(fused)
    luminance.GetDisplayNode().SetAutoWindowLevel(False)
    luminance.GetDisplayNode().SetWindowLevelMinMax(0.0, 1.0)
    for node in (fused, luminance):
        node.SetNodeReferenceID(MRI_ROLE, mri.GetID())
        node.SetNodeReferenceID(FUNCTIONAL_ROLE, functional.GetID())
        node.SetAttribute("UPFusion.Notice", NOTICE)
        node.SetAttribute(KIND, "fused")
    fused.SetAttribute(REPORT, json.dumps(report))
    _note_alignment(fused, folder / "mri_to_functional.tfm", mri)
    _beside_in_hierarchy(mri, (fused, luminance))
    return FusionNodes(fused, luminance)


def report_of(fused: slicer.vtkMRMLVectorVolumeNode | None) -> dict:
    """The report that a fused volume carries; empty where there is none."""
    text = fused.GetAttribute(REPORT) if fused is not None else None
    return json.loads(text) if text else {}


def mri_to_functional(fused: slicer.vtkMRMLVectorVolumeNode | None) -> np.ndarray:
    """(4, 4), world, from a point of the MRI to where the functional image was taken; the identity otherwise."""
    text = fused.GetAttribute(ALIGNMENT) if fused is not None else None
    return np.array(json.loads(text)) if text else np.eye(4)


def show_as_it_is(fused: slicer.vtkMRMLVectorVolumeNode) -> None:
    """Colours 0 to 255 as they are: Slicer's automatic window would stretch them."""
    display = fused.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(0, 255)


def _on_grid_of(mri: slicer.vtkMRMLScalarVolumeNode, path: Path, kind: str) -> np.ndarray:
    array, affine = read_volume(path, kind)
    return reordered(array, affine, ijk_to_ras(mri), mri.GetImageData().GetDimensions())


def _may_hold(
    node: slicer.vtkMRMLVolumeNode | None,
    mri: slicer.vtkMRMLScalarVolumeNode,
    functional: slicer.vtkMRMLScalarVolumeNode,
) -> bool:
    """Whether a node may be filled: it is no input, and holds no result yet, or one of these two volumes."""
    if node is None or node in (mri, functional):
        return False
    made_of = [node.GetNodeReferenceID(role) for role in (MRI_ROLE, FUNCTIONAL_ROLE)]
    return not node.GetAttribute(KIND) or made_of == [mri.GetID(), functional.GetID()]


def _new_node(kind: str, name: str):
    node = slicer.mrmlScene.AddNewNodeByClass(kind, slicer.mrmlScene.GenerateUniqueName(name))
    node.SetUndoEnabled(True)
    return node


def _fill(node: slicer.vtkMRMLVolumeNode, voxels: np.ndarray, mri: slicer.vtkMRMLScalarVolumeNode) -> None:
    slicer.util.updateVolumeFromArray(node, voxels)
    node.SetIJKToRASMatrix(as_matrix(ijk_to_ras(mri)))
    linear = local_to_world(mri) is not None
    node.SetAndObserveTransformNodeID(mri.GetTransformNodeID() if linear else None)
    node.CreateDefaultDisplayNodes()


def _note_alignment(
    fused: slicer.vtkMRMLVectorVolumeNode, transform: Path, mri: slicer.vtkMRMLScalarVolumeNode
) -> None:
    if not transform.is_file():
        fused.RemoveAttribute(ALIGNMENT)
        return
    from_world = file_space(mri)
    matrix = np.linalg.inv(from_world) @ read_transform(transform) @ from_world
    fused.SetAttribute(ALIGNMENT, json.dumps(matrix.tolist()))


def _beside_in_hierarchy(mri: slicer.vtkMRMLScalarVolumeNode, nodes) -> None:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    if hierarchy is None or not hierarchy.GetItemByDataNode(mri):
        return
    parent = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(mri))
    for node in nodes:
        item = hierarchy.GetItemByDataNode(node)
        if item:
            hierarchy.SetItemParent(item, parent)
