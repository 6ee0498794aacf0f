"""Scene to node to file to the real command and back, on slicer-core, against the same fusion done on arrays."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from tests.slicer.conftest import NEEDS_CORE

slicer = pytest.importorskip("slicer", reason=NEEDS_CORE)
pytestmark = pytest.mark.slicer
SPACINGS = {"usual": (-1.6, -1.8, 3.3), "left-handed": (1.6, -1.8, 3.3), "turned round": (-1.6, 1.8, -3.3)}


@pytest.fixture
def logic(scene):
    from UPFusionLib.interpreter import choose_external
    from UPFusionLib.logic import UPFusionLogic

    choose_external(sys.executable)
    return UPFusionLogic()


@pytest.fixture
def node(logic):
    """The parameter node with the MRI and the PET of a simulated head chosen."""
    from tests.slicer.phantom import add_study

    node = logic.getParameterNode()
    node.mri, node.functional = add_study()
    return node


def run(logic, node):
    from tests.slicer.runs import run_to_end

    outcome, nodes = run_to_end(logic, node)
    assert outcome.failure is None, (outcome.failure.reason, outcome.failure.lines)
    return nodes


def on_arrays(node, functional_affine=None, mri_affine=None, **settings):
    """The result of the package on the voxels of the two nodes, (k, j, i, 3) and luminance (k, j, i)."""
    from UPFusionLib.grid import ijk_to_ras

    from upfusion_med.core import FuseSettings, Modality, Registering, Volume
    from upfusion_med.inference import fuse

    volumes = [
        Volume(
            array=np.ascontiguousarray(slicer.util.arrayFromVolume(volume).T.astype(np.float32)),
            affine=ijk_to_ras(volume) if affine is None else affine,
        )
        for volume, affine in ((node.mri, mri_affine), (node.functional, functional_affine))
    ]
    options = FuseSettings(modality=Modality.PET, register=Registering.NEVER, **settings)
    result = fuse(*volumes, options)
    rgb = np.moveaxis(result.volume.array.astype(np.uint8), (0, 1, 2), (2, 1, 0))
    return rgb, result.luminance.array.astype(np.float32).T


@pytest.mark.parametrize("spacing", SPACINGS.values(), ids=SPACINGS)
def test_voxels_and_geometry_are_exactly_those_of_the_same_fusion_on_arrays(logic, alpha, spacing):
    from UPFusionLib.grid import ijk_to_ras

    from tests.slicer.phantom import add_study
    from upfusion_med.core import Blend

    node = logic.getParameterNode()
    node.mri, node.functional = add_study(spacing)
    before = [slicer.util.arrayFromVolume(volume).copy() for volume in (node.mri, node.functional)]
    nodes = run(logic, node)
    assert (ijk_to_ras(nodes.fused) == ijk_to_ras(node.mri)).all()
    assert (ijk_to_ras(nodes.luminance) == ijk_to_ras(node.mri)).all()
    rgb, luminance = on_arrays(node, blend=Blend.ALPHA)
    assert (slicer.util.arrayFromVolume(nodes.fused) == rgb).all()
    assert (slicer.util.arrayFromVolume(nodes.luminance) == luminance).all()
    for volume, voxels in zip((node.mri, node.functional), before, strict=True):
        assert (slicer.util.arrayFromVolume(volume) == voxels).all()


def test_the_network_fuses_as_it_does_on_arrays_and_the_result_tells_how(logic, node):
    from UPFusionLib.parameters import Palette
    from UPFusionLib.result import report_of

    node.palette, node.window_automatic, node.window_low, node.window_high = Palette.HOT_IRON, False, 0.0, 9.5
    nodes = run(logic, node)
    rgb, luminance = on_arrays(node, lut="hot_iron", functional_window=(0.0, 9.5))
    difference = np.abs(slicer.util.arrayFromVolume(nodes.fused).astype(int) - rgb)
    assert difference.max() <= 1  # the same network in another process may round differently
    assert np.abs(slicer.util.arrayFromVolume(nodes.luminance) - luminance).max() < 1e-3
    report = report_of(nodes.fused)
    assert report["network"]["model"] == "upfusion-tiny"
    assert report["windows"]["functional"]["high"] == 9.5
    assert report["settings"]["lut"] == "hot_iron"
    assert nodes.fused.GetAttribute("UPFusion.Notice") == "Not for diagnostic use"
    assert nodes.fused.GetNodeReference("UPFusion.MRI") is node.mri
    assert (node.fused, node.luminance) == (nodes.fused, nodes.luminance)


def test_the_temporary_folder_is_empty_afterwards(logic, node, alpha):
    run(logic, node)
    from pathlib import Path

    assert [f.name for f in Path(slicer.app.temporaryPath).iterdir()] == ["database"]


def transform_node(matrix, name="transform"):
    from UPFusionLib.grid import as_matrix

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    node.SetMatrixTransformToParent(as_matrix(matrix))
    return node


def moving(angle_deg=12.0, shift=(4.0, -3.0, 2.5)):
    from scipy.spatial.transform import Rotation

    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", (angle_deg, -angle_deg / 2, 5), degrees=True).as_matrix()
    matrix[:3, 3] = shift
    return matrix


def test_volumes_under_transforms_are_fused_where_they_lie_and_the_result_lies_with_the_mri(logic, node, alpha):
    from UPFusionLib.grid import ijk_to_ras

    from upfusion_med.core import Blend

    first, second = moving(12.0), moving(7.0, (2.0, 1.0, 0.5))
    node.mri.SetAndObserveTransformNodeID(transform_node(first).GetID())
    node.functional.SetAndObserveTransformNodeID(transform_node(second).GetID())
    nodes = run(logic, node)
    assert nodes.fused.GetParentTransformNode() is node.mri.GetParentTransformNode()
    assert (ijk_to_ras(nodes.fused) == ijk_to_ras(node.mri)).all()
    affine = np.linalg.inv(first) @ second @ ijk_to_ras(node.functional)
    rgb, _ = on_arrays(node, functional_affine=affine, blend=Blend.ALPHA)
    difference = np.abs(slicer.util.arrayFromVolume(nodes.fused).astype(int) - rgb)
    assert (difference.max(), (difference > 0).mean()) < (2, 1e-3)  # rounding of the positions


def test_a_chosen_transform_moves_the_functional_volume_as_if_it_were_put_on_it(logic, node, alpha):
    from UPFusionLib.parameters import Alignment
    from UPFusionLib.result import mri_to_functional

    matrix = moving()
    node.transform, node.alignment = transform_node(matrix, "functional to MRI"), Alignment.TRANSFORM
    chosen = slicer.util.arrayFromVolume(run(logic, node).fused).astype(int)
    assert np.allclose(mri_to_functional(node.fused), np.linalg.inv(matrix), atol=1e-9)
    node.functional.SetAndObserveTransformNodeID(node.transform.GetID())
    put_on = slicer.util.arrayFromVolume(run(logic, node).fused).astype(int)
    assert (np.abs(chosen - put_on) > 1).mean() < 1e-4
    assert np.allclose(mri_to_functional(node.fused), np.eye(4))  # it was on already, and was not applied twice
    node.functional.SetAndObserveTransformNodeID(None)
    node.alignment = Alignment.NONE
    unmoved = slicer.util.arrayFromVolume(run(logic, node).fused).astype(int)
    assert (np.abs(chosen - unmoved) > 20).mean() > 0.02


def test_a_transform_that_bends_is_applied_by_resampling(logic, node, alpha):
    import vtk
    from UPFusionLib.grid import ijk_to_ras

    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetBasisToR()
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    centre = (ijk_to_ras(node.functional) @ [11.5, 12.5, 6.5, 1.0])[:3]
    for offset in np.array([(0, 0, 0), *np.eye(3) * 60, *-np.eye(3) * 60]):
        source.InsertNextPoint(*(centre + offset))
        target.InsertNextPoint(*(centre + offset + (np.array([6.0, 0, 0]) if not offset.any() else 0)))
    spline.SetSourceLandmarks(source)
    spline.SetTargetLandmarks(target)
    bend = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "bend")
    bend.SetAndObserveTransformToParent(spline)
    straight = slicer.util.arrayFromVolume(run(logic, node).fused).astype(int)
    voxels = slicer.util.arrayFromVolume(node.functional).copy()
    node.functional.SetAndObserveTransformNodeID(bend.GetID())
    bent = slicer.util.arrayFromVolume(run(logic, node).fused).astype(int)
    assert (np.abs(straight - bent) > 20).mean() > 0.005
    assert (slicer.util.arrayFromVolume(node.functional) == voxels).all()
    assert not [n for n in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if "temporary" in n.GetName()]


def test_undo_takes_the_result_away_again(logic, node, alpha):
    slicer.mrmlScene.SetUndoOn()
    name = run(logic, node).fused.GetName()
    assert slicer.mrmlScene.GetFirstNodeByName(name) is not None
    slicer.mrmlScene.Undo()
    assert slicer.mrmlScene.GetFirstNodeByName(name) is None


def test_a_second_run_fills_the_same_nodes(logic, node, alpha):
    first = run(logic, node)
    once = slicer.util.arrayFromVolume(first.fused).copy()
    node.fade_in = True
    second = run(logic, node)
    assert (second.fused, second.luminance) == (first.fused, first.luminance)
    assert len(slicer.util.getNodesByClass("vtkMRMLVectorVolumeNode")) == 1
    assert (slicer.util.arrayFromVolume(second.fused) != once).any()


def test_a_second_study_leaves_the_result_of_the_first_alone(logic, node, alpha):
    from tests.slicer.phantom import add_study

    first = run(logic, node)
    kept = [slicer.util.arrayFromVolume(volume).copy() for volume in (first.fused, first.luminance)]
    mri, node.functional = node.mri, add_study()[1]
    node.functional.SetName("CT")
    second = run(logic, node)
    assert second.fused.GetName() == "T1 + CT fused"
    assert second.luminance.GetName() == "T1 + CT fused luminance"
    assert (node.fused, node.luminance) == (second.fused, second.luminance)
    assert first.fused.GetName() == "T1 + FDG PET fused"
    assert first.fused.GetNodeReference("UPFusion.Functional").GetName() == "FDG PET"
    for volume, voxels in zip((first.fused, first.luminance), kept, strict=True):
        assert (slicer.util.arrayFromVolume(volume) == voxels).all()
    chosen = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "mine")
    node.fused, node.luminance = chosen, mri  # chosen while it runs, an input cannot be refused any more
    third = run(logic, node)
    assert third.fused is chosen
    assert third.luminance is not mri


def test_a_saved_scene_restores_the_choices_and_the_report(logic, node, alpha, tmp_path):
    from UPFusionLib.parameters import CompareMode, Device, Palette, Preset, SliceAxis, UPFusionParameterNode
    from UPFusionLib.result import report_of

    run(logic, node)
    chosen = {
        "palette": Palette.GLACIER, "device": Device.CPU, "axis": SliceAxis.CORONAL, "compare_mode": CompareMode.WIPE,
        "compare_position": 1.25, "window_automatic": False, "window_low": 0.5, "window_high": 7.25,
        "window_units": "Bq/mL", "prompt": 'with "quotes" & <signs>', "preset": Preset.AMYLOID, "fade_in": True,
        "batch_output": tmp_path,
    }  # fmt: skip
    for name, value in chosen.items():
        setattr(node, name, value)
    report = report_of(node.fused)
    slicer.mrmlScene.SetRootDirectory(str(tmp_path))
    slicer.mrmlScene.SetURL(str(tmp_path / "scene.mrml"))
    assert slicer.mrmlScene.Commit()
    other = slicer.vtkMRMLScene()
    other.SetURL(str(tmp_path / "scene.mrml"))
    other.Import()
    restored = UPFusionParameterNode(other.GetSingletonNode("UPFusion", "vtkMRMLScriptedModuleNode"))
    for name, value in chosen.items():
        assert getattr(restored, name) == value, name
    assert restored.mri.GetName() == node.mri.GetName()
    assert restored.fused.GetNodeReference("UPFusion.Functional").GetName() == node.functional.GetName()
    assert report_of(restored.fused) == report
    assert json.loads(restored.fused.GetAttribute("UPFusion.Report"))["notice"] == "Not for diagnostic use"


def test_a_result_on_another_grid_is_refused(logic, node, alpha, tmp_path):
    from UPFusionLib.grid import GridMismatchError
    from UPFusionLib.result import load_result

    job = logic.job_for(node.mri, node.functional, node)
    job.start()
    while job.poll() is None:
        pass
    from UPFusionLib.grid import as_matrix, ijk_to_ras

    moved = ijk_to_ras(node.mri)
    moved[0, 3] += 0.5
    node.mri.SetIJKToRASMatrix(as_matrix(moved))
    with pytest.raises(GridMismatchError):
        load_result(job.output, node.mri, node.functional)
    assert not slicer.util.getNodesByClass("vtkMRMLVectorVolumeNode")
    job.clean()
