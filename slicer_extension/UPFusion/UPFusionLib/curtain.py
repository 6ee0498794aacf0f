"""The fused image on one side of a plane across the patient, nothing on the other: the foreground of a wipe."""

from __future__ import annotations

import numpy as np
import slicer

from .grid import ijk_to_ras
from .result import show_as_it_is


class Curtain:
    """A hidden volume with the colours of a fused one and an opacity that ends at a plane.

    The plane stands across the patient's right-left axis and moves from the left edge of an axial or coronal view (the
    patient's right) to the right one. A sagittal view lies wholly on one side of it.
    """

    def __init__(self) -> None:
        self._node: slicer.vtkMRMLVectorVolumeNode | None = None
        self._made_from: tuple[str, int] | None = None

    def drawn(self, fused: slicer.vtkMRMLVectorVolumeNode, share: float) -> slicer.vtkMRMLVectorVolumeNode:
        """The volume with the first ``share`` (0..1) of its width shown."""
        node = self._filled(fused)
        voxels = slicer.util.arrayFromVolume(node)
        axis, from_end = _across(fused)
        alpha = np.moveaxis(voxels[..., 3], 2 - axis, 0)
        count = round(share * alpha.shape[0])
        alpha[:] = 0
        alpha[slice(alpha.shape[0] - count, None) if from_end else slice(count)] = 255
        slicer.util.arrayFromVolumeModified(node)
        return node

    def remove(self) -> None:
        """Take the volume out of the scene."""
        if self._is_in_scene():
            slicer.mrmlScene.RemoveNode(self._node)
        self._node = self._made_from = None

    def _is_in_scene(self) -> bool:
        """Whether the volume is still there: a scene that was closed gives its ID to another one."""
        return self._node is not None and self._node.GetScene() is slicer.mrmlScene

    def _filled(self, fused: slicer.vtkMRMLVectorVolumeNode) -> slicer.vtkMRMLVectorVolumeNode:
        node = self._node
        state = (fused.GetID(), fused.GetImageData().GetMTime())
        if not self._is_in_scene():
            node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "UPFusion wipe")
            node.SetHideFromEditors(True)
            node.SetSaveWithScene(False)
            self._node, self._made_from = node, None
        if self._made_from != state:
            colours = slicer.util.arrayFromVolume(fused)
            slicer.util.updateVolumeFromArray(node, np.concatenate([colours, np.zeros_like(colours[..., :1])], axis=-1))
            node.CreateDefaultDisplayNodes()
            show_as_it_is(node)
            self._made_from = state
        node.CopyOrientation(fused)
        node.SetAndObserveTransformNodeID(fused.GetTransformNodeID())
        return node


def _across(fused: slicer.vtkMRMLVectorVolumeNode) -> tuple[int, bool]:
    """Array axis (of i, j, k) that runs right-left, and whether the patient's right is at its end."""
    right = ijk_to_ras(fused)[0, :3]
    axis = int(np.argmax(np.abs(right)))
    return axis, bool(right[axis] > 0)
