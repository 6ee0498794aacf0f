"""The original values under the cursor: a fused image is for looking, measure on the originals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from .grid import ijk_to_ras
from .modality import units_of
from .result import FUNCTIONAL_ROLE, MRI_ROLE, mri_to_functional


@dataclass(frozen=True)
class Reading:
    """The values at one place.

    Attributes:
        mri: Value of the MRI's nearest voxel, or None: outside.
        functional: The same of the functional image, where the fusion saw it.
        units: Of the functional value; empty where unknown.
    """

    mri: float | None
    functional: float | None
    units: str = ""

    def text(self) -> str:
        """Both values in words."""
        words = [_number(value) for value in (self.mri, self.functional)]
        units = f" {self.units}" if self.units and self.functional is not None else ""
        return _("MRI {mri}   functional {functional}{units}").format(mri=words[0], functional=words[1], units=units)


def read_at(ras: tuple[float, float, float], fused: slicer.vtkMRMLVectorVolumeNode) -> Reading:
    """The original values under a place in the world, in millimetres."""
    mri, functional = (fused.GetNodeReference(role) for role in (MRI_ROLE, FUNCTIONAL_ROLE))
    moved = (mri_to_functional(fused) @ np.array([*ras, 1.0]))[:3]
    return Reading(
        None if mri is None else value_at(mri, ras),
        None if functional is None else value_at(functional, tuple(moved)),
        "" if functional is None else units_of(functional),
    )


def value_at(volume: slicer.vtkMRMLScalarVolumeNode, ras: tuple[float, float, float]) -> float | None:
    """Value of the voxel that holds a place in the world; None outside of the volume."""
    local = list(ras)
    if volume.GetParentTransformNode() is not None:
        from_world = vtk.vtkGeneralTransform()
        volume.GetParentTransformNode().GetTransformFromWorld(from_world)
        local = from_world.TransformPoint(local)
    index = np.linalg.solve(ijk_to_ras(volume), [*local, 1.0])[:3]
    i, j, k = (int(v) for v in np.floor(index + 0.5))
    size = volume.GetImageData().GetDimensions()
    if not all(0 <= v < n for v, n in zip((i, j, k), size, strict=True)):
        return None
    return float(volume.GetImageData().GetScalarComponentAsDouble(i, j, k, 0))


class CursorReadout:
    """Tells the reading whenever the mouse moves over a slice view.

    Args:
        on_reading: Called with the reading, or None where the mouse left the views.
    """

    def __init__(self, on_reading: Callable[[Reading | None], None]) -> None:
        self._on_reading = on_reading
        self._fused_id: str | None = None
        self._crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
        self._tag = None
        if self._crosshair is not None:
            self._tag = self._crosshair.AddObserver(
                slicer.vtkMRMLCrosshairNode.CursorPositionModifiedEvent, lambda *_: self._moved()
            )

    def watch(self, fused: slicer.vtkMRMLVectorVolumeNode | None) -> None:
        """Read from the originals of this result."""
        self._fused_id = fused.GetID() if fused is not None else None

    def close(self) -> None:
        """Stop."""
        if self._tag is not None:
            self._crosshair.RemoveObserver(self._tag)
            self._tag = None

    def _moved(self) -> None:
        fused = slicer.mrmlScene.GetNodeByID(self._fused_id) if self._fused_id else None
        ras = [0.0, 0.0, 0.0]
        if fused is None or not self._crosshair.GetCursorPositionRAS(ras):
            self._on_reading(None)
        else:
            self._on_reading(read_at(tuple(ras), fused))


def _number(value: float | None) -> str:
    if value is None:
        return _("outside")
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.4g}"
