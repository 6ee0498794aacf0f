"""What the slice views show: one slider from the MRI over the fused image to the functional one.

At 0 there is the MRI, at 1 the fused image, at 2 the functional image. Between them the views blend, or wipe.
"""

from __future__ import annotations

import numpy as np
import slicer

from .curtain import Curtain
from .grid import as_matrix, local_to_world
from .parameters import CompareMode
from .result import FUNCTIONAL_ROLE, MRI_ROLE, mri_to_functional

#: Slice views of the layout with three rows have names that begin so; they show one image each.
ROW_PREFIX = "UPFusion"
_HIDDEN = "UPFusion.Hidden"


class SliceLayers:
    """Puts MRI, functional and fused volume into the layers of the slice views."""

    def __init__(self) -> None:
        self._curtain = Curtain()

    def show(self, fused: slicer.vtkMRMLVectorVolumeNode, mode: CompareMode, position: float) -> None:
        """Show a place between the images.

        Args:
            fused: A result; it knows what it was made of.
            mode: How two images share a view.
            position: 0 (MRI) to 2 (functional image).
        """
        share = position if position <= 1 else 2 - position
        role = MRI_ROLE if position <= 1 else FUNCTIONAL_ROLE
        other = fused.GetNodeReference(role)
        if other is not None and role == FUNCTIONAL_ROLE:
            other = aligned(other, fused)
        if mode is CompareMode.WIPE and 0 < share < 1:
            layer, opacity = self._curtain.drawn(fused, share), 1.0
        else:
            layer, opacity = fused, share
        for view in views():
            # A fully shown image lies in the background, where window, data probe and fitting look first.
            if share >= 1 or other is None:
                view.SetBackgroundVolumeID(fused.GetID())
                view.SetForegroundVolumeID(None if other is None else other.GetID())
                view.SetForegroundOpacity(0.0)
            else:
                view.SetBackgroundVolumeID(other.GetID())
                view.SetForegroundVolumeID(layer.GetID())
                view.SetForegroundOpacity(opacity)

    def forget_removed(self) -> None:
        """Remove what was made for showing volumes that are no longer in the scene."""
        for copy in _copies():
            fused = slicer.mrmlScene.GetNodeByID(copy.GetAttribute(_HIDDEN))
            if fused is None or fused.GetNodeReference(FUNCTIONAL_ROLE) is None:
                _remove(copy)

    def close(self) -> None:
        """Remove what was made for showing."""
        self._curtain.remove()
        for copy in _copies():
            _remove(copy)


def views() -> list[slicer.vtkMRMLSliceCompositeNode]:
    """The slice views whose layers the slider moves."""
    found = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    return [view for view in found if not (view.GetLayoutName() or "").startswith(ROW_PREFIX)]


def link_views() -> None:
    """Scroll, zoom and pan all slice views together."""
    for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        view.SetLinkedControl(True)
        view.SetHotLinkedControl(True)


def aligned(functional: slicer.vtkMRMLScalarVolumeNode, fused: slicer.vtkMRMLVectorVolumeNode):
    """The functional volume where the fusion saw it: itself, or a hidden copy that shares its voxels.

    It stays where it is, too, under a transform that bends: nothing can be put after its parents then.
    """
    matrix, to_world = mri_to_functional(fused), local_to_world(functional)
    if to_world is None or np.allclose(matrix, np.eye(4)):
        return functional
    for copy in _copies():
        if copy.GetAttribute(_HIDDEN) == fused.GetID():
            break
    else:
        copy = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", f"{functional.GetName()} aligned")
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", f"{functional.GetName()} to MRI")
        for node in (copy, transform):
            node.SetHideFromEditors(True)
            node.SetSaveWithScene(False)
        copy.SetAttribute(_HIDDEN, fused.GetID())
        copy.SetAndObserveTransformNodeID(transform.GetID())
    copy.CopyOrientation(functional)
    copy.SetAndObserveImageData(functional.GetImageData())
    copy.SetAndObserveDisplayNodeID(functional.GetDisplayNodeID())
    transform = copy.GetParentTransformNode()
    transform.SetAndObserveTransformNodeID(functional.GetTransformNodeID())
    # In the world the copy is moved by the inverse; its own parents act after it.
    transform.SetMatrixTransformToParent(as_matrix(np.linalg.inv(to_world) @ np.linalg.inv(matrix) @ to_world))
    return copy


def _copies() -> list[slicer.vtkMRMLScalarVolumeNode]:
    """The hidden copies that `aligned` made."""
    return [node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if node.GetAttribute(_HIDDEN)]


def _remove(copy: slicer.vtkMRMLScalarVolumeNode) -> None:
    transform = copy.GetParentTransformNode()
    for node in (copy, transform):
        slicer.mrmlScene.RemoveNode(node)
