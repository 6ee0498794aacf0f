"""What the slice views show, taken from Slicer's own pipeline without a window."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.slicer.conftest import NEEDS_CORE

slicer = pytest.importorskip("slicer", reason=NEEDS_CORE)
pytestmark = pytest.mark.slicer
SIZE = 64


@pytest.fixture
def result(scene):
    """A fused volume of known colours on an axial grid of 1 mm, its MRI (grey 100) and its PET (on another grid)."""
    from UPFusionLib.result import FUNCTIONAL_ROLE, MRI_ROLE, REPORT, show_as_it_is

    from tests.slicer.phantom import add_volume

    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    affine[:3, 3] = (SIZE / 2, SIZE / 2, 0.0)
    mri = add_volume(np.full((5, SIZE, SIZE), 100, np.uint8), affine, "MRI")
    pet = add_volume(np.full((5, SIZE // 2, SIZE // 2), 30, np.uint8), affine @ np.diag([2.0, 2, 1, 1]), "PET")
    for volume in (mri, pet):
        volume.GetDisplayNode().SetAutoWindowLevel(False)
        volume.GetDisplayNode().SetWindowLevelMinMax(0, 255)
    colours = np.empty((5, SIZE, SIZE, 3), np.uint8)
    colours[:] = (50, 150, 90)  # neither black nor white: an automatic window would stretch them
    fused = add_volume(colours, affine, "fused", "vtkMRMLVectorVolumeNode")
    show_as_it_is(fused)
    fused.SetNodeReferenceID(MRI_ROLE, mri.GetID())
    fused.SetNodeReferenceID(FUNCTIONAL_ROLE, pet.GetID())
    fused.SetAttribute(REPORT, "{}")
    return fused


def picture(name="Red"):
    """(height, width, 3) of a view that shows all of its slice, first row at the top."""
    from tests.slicer.views import picture_of

    logic = slicer.app.manager.slices[name]
    logic.FitSliceToAll()
    return picture_of(logic)


def colours_at(*shares, name="Red"):
    """Colours along the middle row of a view, at shares of its width."""
    pixels = picture(name)
    row = pixels[pixels.shape[0] // 2]
    return [tuple(int(v) for v in row[int(share * len(row))]) for share in shares]


FUSED, MRI, PET = (50, 150, 90), (100, 100, 100), (30, 30, 30)


def test_the_fused_colours_are_shown_as_they_are(result):
    from UPFusionLib.parameters import CompareMode
    from UPFusionLib.slice_layers import SliceLayers

    SliceLayers().show(result, CompareMode.BLEND, 1.0)
    assert colours_at(0.3, 0.7) == [FUSED, FUSED]
    assert slicer.app.manager.slices["Red"].GetSliceCompositeNode().GetBackgroundVolumeID() == result.GetID()


@pytest.mark.parametrize(("position", "expected"), [(0.0, MRI), (2.0, PET), (0.5, None), (1.5, None)])
def test_the_slider_blends_from_the_mri_over_the_fused_to_the_functional_image(result, position, expected):
    from UPFusionLib.parameters import CompareMode
    from UPFusionLib.slice_layers import SliceLayers

    SliceLayers().show(result, CompareMode.BLEND, position)
    other = MRI if position < 1 else PET
    mixed = tuple((a + b) / 2 for a, b in zip(FUSED, other, strict=True))
    for colour in colours_at(0.3, 0.7):
        assert np.abs(np.subtract(colour, expected or mixed)).max() <= 1


@pytest.mark.parametrize(("position", "other"), [(0.4, MRI), (1.6, PET)])
def test_a_wipe_shows_the_fused_image_on_the_patients_right_and_the_other_beyond(result, position, other):
    from UPFusionLib.parameters import CompareMode
    from UPFusionLib.slice_layers import SliceLayers

    layers = SliceLayers()
    layers.show(result, CompareMode.WIPE, position)
    assert colours_at(0.15, 0.36, 0.45, 0.8) == [FUSED, FUSED, other, other]
    layers.show(result, CompareMode.WIPE, 0.7)
    assert colours_at(0.15, 0.6, 0.78) == [FUSED, FUSED, MRI]
    layers.close()
    assert len(slicer.util.getNodesByClass("vtkMRMLVectorVolumeNode")) == 1


@pytest.mark.parametrize("sign", [-1, 1], ids=["stored from the right", "stored from the left"])
def test_a_wipe_begins_at_the_patients_right_however_the_volume_is_stored(result, sign):
    from UPFusionLib.curtain import Curtain
    from UPFusionLib.grid import as_matrix, ijk_to_ras

    matrix = ijk_to_ras(result)
    matrix[0, 0] = sign
    matrix[0, 3] = -sign * (SIZE - 1) / 2
    result.SetIJKToRASMatrix(as_matrix(matrix))
    alpha = slicer.util.arrayFromVolume(Curtain().drawn(result, 0.25))[..., 3]
    rights = matrix[0, 0] * np.arange(SIZE) + matrix[0, 3]
    shown = alpha[2, 5] == 255
    assert shown.sum() == SIZE // 4
    assert rights[shown].min() > rights[~shown].max()


def test_what_is_made_for_showing_is_hidden_and_not_saved(result):
    from UPFusionLib.curtain import Curtain

    node = Curtain().drawn(result, 0.5)
    assert node.GetHideFromEditors()
    assert not node.GetSaveWithScene()


def test_a_functional_volume_that_was_registered_is_shown_where_the_fusion_saw_it(result):
    import json

    from UPFusionLib.grid import as_matrix
    from UPFusionLib.readout import read_at, value_at
    from UPFusionLib.result import ALIGNMENT, FUNCTIONAL_ROLE
    from UPFusionLib.slice_layers import aligned

    from tests.slicer.phantom import affine

    pet = result.GetNodeReference(FUNCTIONAL_ROLE)
    slicer.util.arrayFromVolume(pet)[2, 10, 10] = 200
    assert aligned(pet, result) is pet
    place = np.array([SIZE / 2 - 20.0, SIZE / 2 - 20.0, 2.0, 1.0])
    assert value_at(pet, tuple(place[:3])) == 200
    matrix = np.eye(4)
    matrix[:3, 3] = (6.0, 0.0, 0.0)  # from the MRI to the functional image
    result.SetAttribute(ALIGNMENT, json.dumps(matrix.tolist()))
    copy = aligned(pet, result)
    assert copy is not pet
    seen = tuple((np.linalg.inv(matrix) @ place)[:3])
    assert value_at(copy, seen) == 200
    assert read_at(seen, result).functional == 200
    assert aligned(pet, result) is copy
    assert pet.GetParentTransformNode() is None
    assert copy.GetHideFromEditors()
    parent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    turn = affine((1, 1, 1), (3.0, -2.0, 1.0))
    parent.SetMatrixTransformToParent(as_matrix(turn))
    pet.SetAndObserveTransformNodeID(parent.GetID())
    seen = tuple((np.linalg.inv(matrix) @ turn @ place)[:3])
    assert value_at(aligned(pet, result), seen) == 200
    assert read_at(seen, result).functional == 200


def test_three_rows_show_one_image_each_at_one_place(result):
    from UPFusionLib.compare_layout import LAYOUT_ID, leave_rows, show_rows
    from UPFusionLib.parameters import CompareMode
    from UPFusionLib.slice_layers import SliceLayers

    show_rows(result)
    assert slicer.app.manager.layout == LAYOUT_ID
    for row, colour in (("MRI", MRI), ("Functional", PET), ("Fused", FUSED)):
        for plane in ("Axial", "Coronal", "Sagittal"):
            name = f"UPFusion{row}{plane}"
            assert slicer.app.manager.slices[name].GetSliceNode().GetOrientationString() == plane
            assert colours_at(0.5, name=name) == [colour]
    views = [slicer.app.manager.slices[f"UPFusion{row}Axial"].GetSliceNode() for row in ("MRI", "Functional", "Fused")]
    SliceLayers().show(result, CompareMode.BLEND, 0.0)  # the slider leaves the rows alone
    assert colours_at(0.5, name="UPFusionFusedAxial") == [FUSED]
    assert len({view.GetViewGroup() for view in views}) == 1
    leave_rows()
    assert slicer.app.manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView


def test_a_value_is_read_through_the_transforms_of_its_volume(scene):
    from UPFusionLib.grid import as_matrix
    from UPFusionLib.readout import value_at

    from tests.slicer.phantom import add_volume, affine

    matrix = affine((-1.5, 2.0, 3.0))
    voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    volume = add_volume(voxels, matrix, "v")
    assert value_at(volume, tuple((matrix @ [4.3, 2.7, 1.2, 1.0])[:3])) == voxels[1, 3, 4]
    assert value_at(volume, tuple((matrix @ [4.6, 2.0, 1.0, 1.0])[:3])) is None
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    move = affine((1, 1, 1), origin=(3.0, 4.0, 5.0))
    transform.SetMatrixTransformToParent(as_matrix(move))
    volume.SetAndObserveTransformNodeID(transform.GetID())
    assert value_at(volume, tuple((move @ matrix @ [0.0, 1.0, 2.0, 1.0])[:3])) == voxels[2, 1, 0]


def test_a_wipe_goes_where_the_result_is_moved(result):
    from UPFusionLib.curtain import Curtain
    from UPFusionLib.grid import as_matrix, ijk_to_ras

    curtain = Curtain()
    curtain.drawn(result, 0.5)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    result.SetAndObserveTransformNodeID(transform.GetID())
    result.SetIJKToRASMatrix(as_matrix(np.diag([-1.0, -1.0, 3.0, 1.0])))
    node = curtain.drawn(result, 0.6)
    assert node.GetTransformNodeID() == transform.GetID()
    np.testing.assert_array_equal(ijk_to_ras(node), ijk_to_ras(result))


def test_a_wipe_after_the_scene_was_closed_leaves_the_volumes_of_the_next_one_alone(result):
    from UPFusionLib.curtain import Curtain

    curtain = Curtain()
    own = curtain.drawn(result, 0.5).GetID()
    slicer.mrmlScene.Clear(0)
    colours = np.full((2, 3, 4, 3), 20, np.uint8)
    one, two = (slicer.util.addVolumeFromArray(colours, nodeClassName="vtkMRMLVectorVolumeNode") for _ in range(2))
    assert own in (one.GetID(), two.GetID())
    assert curtain.drawn(one, 0.5).GetHideFromEditors()
    for volume in (one, two):
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(volume), colours)


@pytest.mark.parametrize("removed", ["fused", "functional"])
def test_what_was_made_for_showing_goes_with_the_volume_that_it_shows(panel, result, removed):
    from UPFusionLib.parameters import CompareMode
    from UPFusionLib.result import ALIGNMENT, FUNCTIONAL_ROLE, REPORT

    def nodes():
        kinds = ("vtkMRMLVolumeNode", "vtkMRMLTransformNode")
        return {node.GetName() for kind in kinds for node in slicer.util.getNodesByClass(kind)} - views

    views = {node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLTransformNode")}

    result.SetAttribute(REPORT, json.dumps({"modality": {}}))
    matrix = np.eye(4)
    matrix[0, 3] = 6.0
    result.SetAttribute(ALIGNMENT, json.dumps(matrix.tolist()))
    node = panel.logic.getParameterNode()
    node.fused, node.functional = result, result.GetNodeReference(FUNCTIONAL_ROLE)
    node.compare_mode, node.compare_position = CompareMode.WIPE, 1.5
    assert nodes() == {"MRI", "PET", "fused", "PET aligned", "PET to MRI", "UPFusion wipe"}
    slicer.mrmlScene.RemoveNode(getattr(node, removed))
    assert nodes() == ({"MRI", "PET"} if removed == "fused" else {"MRI", "fused", "UPFusion wipe"})
