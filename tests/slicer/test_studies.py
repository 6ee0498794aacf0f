"""Which studies of a scene are found."""

from __future__ import annotations

import pytest

from tests.slicer.conftest import NEEDS_CORE

slicer = pytest.importorskip("slicer", reason=NEEDS_CORE)
pytestmark = pytest.mark.slicer


def test_studies_of_the_scene_are_pairs_within_one_study(scene):
    from UPFusionLib.studies import studies_in_scene

    from tests.slicer.phantom import small_volume, study_item

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    a, b, c = small_volume("T1"), small_volume("FDG PET"), small_volume("CT")
    study_item(hierarchy, "one", a, b, c)
    study_item(hierarchy, "two", small_volume("T1"), small_volume("T2"), small_volume("PET"))
    study_item(hierarchy, "three", small_volume("PET"))
    study_item(hierarchy, "five", small_volume("T1"), small_volume("PET 2.5 min"), small_volume("PET 2.9 min"))
    fused = small_volume("PET fused luminance", UPFusion_Kind="fused")
    study_item(hierarchy, "four", fused)
    found = {study.name: study for study in studies_in_scene()}
    assert sorted(found) == ["five PET 2.5 min", "five PET 2.9 min", "one CT", "one FDG PET", "three", "two"]
    assert (found["one FDG PET"].mri, found["one FDG PET"].functional) == (a.GetID(), b.GetID())
    assert found["one CT"].functional == c.GetID()
    assert "Several MRIs (T1, T2)" in found["two"].problem
    assert found["three"].problem == "No MRI was recognised."


def test_a_volume_without_voxels_is_no_image_of_a_study(scene):
    from UPFusionLib.studies import studies_in_scene

    from tests.slicer.phantom import add_study

    mri, pet = add_study()
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "T1 output")  # as an output selector makes it
    (found,) = studies_in_scene()
    assert (found.mri, found.functional, found.problem) == (mri.GetID(), pet.GetID(), "")
