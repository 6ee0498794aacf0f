"""What volumes of a scene are taken for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.slicer.conftest import NEEDS_CORE

slicer = pytest.importorskip("slicer", reason=NEEDS_CORE)
pytestmark = pytest.mark.slicer


@pytest.mark.parametrize(
    ("name", "facts", "modality", "how"),
    [
        ("image", {"DICOM_Modality": "NM"}, "SPECT", "stated by DICOM"),
        ("CT of T1", {"DICOM_Modality": "PT"}, "PET", "stated by DICOM"),
        ("image", {"UPFusion_Modality": "PT"}, "PET", "stated by an attribute of the volume"),
        ("image", {"UPFusion_Units": "{SUVbw}g/ml"}, "PET", "its values are SUV"),
        ("sub-01_T1w", {}, "MR", "guessed from its name"),
        ("brain-SPECT 2", {}, "SPECT", "guessed from its name"),
        ("ct", {}, "CT", "guessed from its name"),
        ("captain", {"low": -1000}, "CT", "guessed from its values"),
        ("pet", {"low": -1000}, "CT", "guessed from its values"),
        ("CT_AC_PET", {"low": -1000}, "CT", "guessed from its values"),
        ("CT_AC_PET", {}, "", "unknown"),
        ("spectacular petal", {}, "", "unknown"),
    ],
)
def test_the_modality_comes_from_the_first_that_says_something(scene, name, facts, modality, how):
    from UPFusionLib.modality import guess_modality

    from tests.slicer.phantom import small_volume

    guess = guess_modality(small_volume(name, **facts))
    assert (guess.modality, guess.how) == (modality, how)


def test_dicom_in_the_hierarchy_and_in_the_database_is_asked(scene, tmp_path):
    from UPFusionLib.modality import ACTIVITY, frames_differ, guess_modality, units_of

    from tests.io import dicom_phantom as phantom
    from tests.slicer.phantom import small_volume

    pet, mri = small_volume("a"), small_volume("b")
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = hierarchy.CreateItem(hierarchy.GetSceneItemID(), mri)
    hierarchy.SetItemAttribute(item, "DICOM.Modality", "MR")
    assert guess_modality(mri).modality == "MR"

    def units(d, _k):
        d.Units = "BQML"

    for node, made in ((pet, phantom.slices(sop=phantom.PT, series="p", tweak=units)), (mri, phantom.slices())):
        folder = phantom.write(tmp_path / node.GetName(), made)
        uids = [slicer.dicomDatabase.add(file) for file in sorted(folder.iterdir())]
        node.SetAttribute("DICOM.instanceUIDs", " ".join(uids))
    assert guess_modality(pet).modality == "PET"
    assert units_of(pet) == ACTIVITY
    assert not frames_differ(pet, mri)
    other = phantom.write(
        tmp_path / "other", phantom.slices(tweak=lambda d, k: setattr(d, "FrameOfReferenceUID", "1.2.3"))
    )
    mri.SetAttribute("DICOM.instanceUIDs", slicer.dicomDatabase.add(next(other.iterdir())))
    assert frames_differ(pet, mri)


def test_only_suv_is_given_to_the_command_as_suv(scene):
    from UPFusionLib.command import options_of
    from UPFusionLib.logic import UPFusionLogic

    from tests.slicer.phantom import small_volume

    node = UPFusionLogic().getParameterNode()
    node.mri, node.functional = small_volume("T1"), small_volume("fdg")
    paths = [Path("m"), Path("f"), Path("o")]
    assert "--quantity" not in options_of(node).of_volume(node.functional).arguments(*paths)
    node.functional.SetAttribute("UPFusion.Units", "SUVbw")
    node.window_automatic, node.window_low, node.window_high = False, 0.0, 8.0
    call = options_of(node).of_volume(node.functional).arguments(*paths)
    assert call[call.index("--quantity") + 1] == "suv"
    assert call[call.index("--window") + 1 :][:2] == ["0.0", "8.0"]
    assert call[call.index("--modality") + 1] == "pet"
    assert call[call.index("--register") + 1] == "never"
