"""A layout of three rows: MRI, functional image, fused image, each axial, coronal and sagittal."""

from __future__ import annotations

import slicer

from .result import FUNCTIONAL_ROLE, MRI_ROLE
from .slice_layers import ROW_PREFIX, aligned

#: Any number above those of Slicer's own layouts.
LAYOUT_ID = 16517
ROWS = ("MRI", "Functional", "Fused")
_COLUMNS = {"Axial": "#F34A33", "Coronal": "#6EB04B", "Sagittal": "#EDD54C"}


def layout_xml() -> str:
    """The description for Slicer's layout manager."""
    rows = "".join(
        '<item><layout type="horizontal">'
        + "".join(
            f'<item><view class="vtkMRMLSliceNode" singletontag="{ROW_PREFIX}{row}{plane}">'
            f'<property name="orientation" action="default">{plane}</property>'
            f'<property name="viewlabel" action="default">{row[0]}{plane[0]}</property>'
            f'<property name="viewcolor" action="default">{colour}</property>'
            "</view></item>"
            for plane, colour in _COLUMNS.items()
        )
        + "</layout></item>"
        for row in ROWS
    )
    return f'<layout type="vertical" split="true">{rows}</layout>'


def register_layout() -> None:
    """Make the layout known: Slicer has no view at all for a saved scene whose layout it does not know."""
    manager = slicer.app.layoutManager()
    if manager is None:  # there is no main window
        return
    node = manager.layoutLogic().GetLayoutNode()
    if not node.IsLayoutDescription(LAYOUT_ID):
        node.AddLayoutDescription(LAYOUT_ID, layout_xml())


def show_rows(fused: slicer.vtkMRMLVectorVolumeNode) -> None:
    """Switch to the layout and put one image into each row."""
    register_layout()
    manager = slicer.app.layoutManager()
    manager.setLayout(LAYOUT_ID)
    fill_rows(fused)
    manager.resetSliceViews()
    match_views()


def leave_rows() -> None:
    """Back to Slicer's four views."""
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)


def fill_rows(fused: slicer.vtkMRMLVectorVolumeNode) -> None:
    """Put each image into the views of its row."""
    functional = fused.GetNodeReference(FUNCTIONAL_ROLE)
    shown = {
        "MRI": fused.GetNodeReference(MRI_ROLE),
        "Functional": None if functional is None else aligned(functional, fused),
        "Fused": fused,
    }
    for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        name = view.GetLayoutName() or ""
        for row, volume in shown.items():
            if name.startswith(ROW_PREFIX + row):
                view.SetBackgroundVolumeID(None if volume is None else volume.GetID())
                view.SetForegroundVolumeID(None)


def match_views() -> None:
    """Give every view of a column the place and zoom of the fused one; linked, they keep it."""
    slices = {node.GetLayoutName(): node for node in slicer.util.getNodesByClass("vtkMRMLSliceNode")}
    for plane in _COLUMNS:
        leader = slices.get(f"{ROW_PREFIX}Fused{plane}")
        for row in ROWS[:2]:
            follower = slices.get(f"{ROW_PREFIX}{row}{plane}")
            if leader is not None and follower is not None:
                follower.GetSliceToRAS().DeepCopy(leader.GetSliceToRAS())
                follower.SetFieldOfView(*leader.GetFieldOfView())
                follower.SetXYZOrigin(*leader.GetXYZOrigin())
                follower.UpdateMatrices()
