"""How a batch of studies runs."""

from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import pytest

from tests.slicer.conftest import NEEDS_CORE

slicer = pytest.importorskip("slicer", reason=NEEDS_CORE)
pytestmark = pytest.mark.slicer


@pytest.fixture
def folder(tmp_path):
    """Subfolders: two good studies, one damaged, one without a functional image, one empty, one of DICOM."""
    from tests.io import dicom_phantom as phantom
    from upfusion_med.io import save_scalar_nifti

    root = tmp_path / "studies"
    x, y, _ = np.mgrid[0:24, 0:20, 0:6]
    head = np.hypot((x - 12) / 10, (y - 10) / 8) < 1
    for name in ("anna", "bert", "carl"):
        (root / name).mkdir(parents=True)
        mri = np.where(head, 400 + 300 * np.sin(x / 2), 0).astype(np.float32)
        save_scalar_nifti(root / name / "T1w.nii.gz", mri, np.diag([-1.0, 1.0, 3.0, 1.0]))
        pet = np.where(head, 1 + 5.0 * (x > 14), 0).astype(np.float32)
        save_scalar_nifti(root / name / "fdg_pet.nii.gz", pet, np.diag([-1.0, 1.0, 3.0, 1.0]))
    (root / "bert" / "fdg_pet.nii.gz").write_bytes(b"broken")
    (root / "dora").mkdir()
    shutil.copy(root / "anna" / "T1w.nii.gz", root / "dora")
    (root / "empty").mkdir()
    made = phantom.slices(series="m")
    phantom.write(root / "zoe" / "mr", made)
    phantom.write(root / "zoe" / "ct", phantom.slices(sop=phantom.CT, series="c"))
    return root


def run_batch(studies, output, stop_after=None, on_change=lambda _node: None):
    from UPFusionLib.batch import Batch
    from UPFusionLib.interpreter import Interpreter
    from UPFusionLib.logic import UPFusionLogic

    from tests.slicer.standin.event_loop import LOOP

    logic, ended, changes = UPFusionLogic(), [], []

    def changed():
        changes.append([row.status.name for row in batch.rows])
        on_change(node)
        if stop_after is not None and changes[-1].count("DONE") == stop_after:
            batch.cancel()

    node = logic.getParameterNode()
    python = Interpreter(sys.executable, is_slicers=False)
    batch = Batch(logic, node, studies, python, output, changed, lambda: ended.append(True))
    batch.start()
    LOOP.run_until(lambda: bool(ended), 120)
    assert not logic.is_running
    return batch.rows


def test_a_folder_is_fused_study_by_study_and_a_failure_stops_nothing(scene, alpha, folder, tmp_path):
    from UPFusionLib.batch import Status
    from UPFusionLib.studies import studies_in_folder

    rows = {row.study.name: row for row in run_batch(studies_in_folder(folder), tmp_path / "out")}
    status = {name: row.status for name, row in rows.items()}
    assert status == {
        "anna": Status.DONE, "bert": Status.FAILED, "carl": Status.DONE, "dora": Status.SKIPPED,
        "empty": Status.SKIPPED, "zoe": Status.DONE,
    }  # fmt: skip
    assert "fdg_pet.nii.gz" in rows["bert"].text
    assert rows["dora"].text == "No PET, SPECT or CT was recognised."
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["anna", "carl", "zoe"]
    report = json.loads((tmp_path / "out" / "zoe" / "report.json").read_text())
    assert report["modality"] == {"value": "ct", "how": "stated by the file"}
    again = run_batch(studies_in_folder(folder)[:1], tmp_path / "out")
    assert (again[0].status, again[0].text) == (Status.SKIPPED, "A result is there already.")


def test_files_whose_names_begin_alike_are_all_fused(scene, alpha, folder, tmp_path):
    from UPFusionLib.batch import Status
    from UPFusionLib.studies import studies_in_folder

    place = tmp_path / "follow-up" / "anna"
    place.mkdir(parents=True)
    shutil.copy(folder / "anna" / "T1w.nii.gz", place / "sub.T1w.nii.gz")
    for name in ("pet.baseline.nii.gz", "pet.followup.nii.gz", "PET.Followup.nii"):
        shutil.copy(folder / "anna" / "fdg_pet.nii.gz", place / name)
    studies = studies_in_folder(place.parent)
    assert [s.name for s in studies] == ["anna PET.Followup", "anna pet.baseline", "anna pet.followup"]
    (place / "PET.Followup.nii").write_bytes(b"broken")
    rows = run_batch(studies, tmp_path / "out")
    assert [row.status for row in rows] == [Status.FAILED, Status.DONE, Status.DONE]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["anna pet.baseline", "anna pet.followup 2"]
    assert [row.status for row in run_batch(studies[1:2], tmp_path / "out")] == [Status.SKIPPED]


def test_a_result_in_the_folder_of_its_dicom_study_is_no_input(tmp_path):
    from UPFusionLib.result_folder import fingerprint
    from UPFusionLib.studies import studies_in_folder

    place = tmp_path / "anna"
    (place / "series").mkdir(parents=True)
    (place / "series" / "1.dcm").write_bytes(b"image")
    before = studies_in_folder(tmp_path)
    assert before[0].is_folder
    inputs = fingerprint(before[0])
    (place / "dicom").mkdir()
    (place / "dicom" / "0001.dcm").write_bytes(b"fused")
    for name in ("fused_rgb.nii.gz", "inputs.sha256"):
        (place / name).write_bytes(b"fused")
    (place / "report.json").write_text(json.dumps({"files": ["dicom", "fused_rgb.nii.gz", "report.json"]}))
    assert studies_in_folder(tmp_path) == before
    assert fingerprint(before[0]) == inputs
    (place / "series" / "2.dcm").write_bytes(b"image")
    assert fingerprint(before[0]) != inputs


def test_a_result_of_other_files_is_neither_taken_for_ones_own_nor_overwritten(scene, alpha, folder, tmp_path):
    from UPFusionLib.batch import Status
    from UPFusionLib.studies import PairStudy

    def study(name):
        return PairStudy("anna", str(folder / name / "T1w.nii.gz"), str(folder / name / "fdg_pet.nii.gz"))

    run_batch([study("anna")], tmp_path / "out")
    files = {path: path.read_bytes() for path in (tmp_path / "out" / "anna").iterdir()}
    assert not any(b"anna" in content or b"T1w" in content for path, content in files.items() if "sha256" in path.name)
    rows = run_batch([study("carl")], tmp_path / "out")
    assert rows[0].status is Status.FAILED
    assert "holds the result of other files" in rows[0].text
    assert "choose another folder" in rows[0].text
    assert {path: path.read_bytes() for path in (tmp_path / "out" / "anna").iterdir()} == files


def test_choices_that_are_changed_during_a_batch_do_not_change_it(scene, alpha, folder, tmp_path):
    from UPFusionLib.parameters import Palette
    from UPFusionLib.studies import studies_in_folder

    def change(node):
        node.palette, node.window_automatic, node.window_high = Palette.GLACIER, False, 4.0

    studies = [s for s in studies_in_folder(folder) if s.name in ("anna", "carl")]
    run_batch(studies, tmp_path / "out", on_change=change)
    reports = [json.loads((tmp_path / "out" / name / "report.json").read_text()) for name in ("anna", "carl")]
    assert reports[0]["settings"]["lut"] == reports[1]["settings"]["lut"]
    assert reports[0]["windows"]["functional"] == reports[1]["windows"]["functional"]


def test_a_batch_that_is_cancelled_keeps_what_is_done(scene, alpha, folder, tmp_path):
    from UPFusionLib.batch import Status
    from UPFusionLib.studies import studies_in_folder

    rows = run_batch([s for s in studies_in_folder(folder) if s.name in ("anna", "carl")], tmp_path / "out", 1)
    assert [row.status for row in rows] == [Status.DONE, Status.CANCELLED]
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["anna"]


def test_a_window_is_not_applied_to_values_in_another_unit(scene, alpha):
    from UPFusionLib.batch import Status
    from UPFusionLib.logic import UPFusionLogic
    from UPFusionLib.studies import PairStudy

    from tests.slicer.phantom import add_study

    mri, pet = add_study()
    node = UPFusionLogic().getParameterNode()
    node.window_automatic, node.window_high, node.window_units = False, 8.0, "SUVbw"
    rows = run_batch([PairStudy("one", mri.GetID(), pet.GetID())], None)
    assert rows[0].status is Status.FAILED
    reason = "The window was set for values in SUVbw; those of this image are in an unknown unit."
    assert rows[0].text == f"{reason} Choose a window from the values."


@pytest.mark.parametrize(
    ("units", "modality", "study", "quantity"),
    [
        ("SUVbw", "AUTO", ("a/T1.nii", "a/pet.nii"), None),
        ("SUVbw", "AUTO", ("a", "a"), "suv"),
        ("HU", "CT", ("a", "a"), None),
        ("HU", "AUTO", ("a/T1.nii", "a/ct.nii"), None),
        ("Bq/mL", "AUTO", ("a", "a"), "refused"),
        ("Bq/mL", "PET", ("a/T1.nii", "a/pet.nii"), "refused"),
        ("SUVbw", "CT", ("a", "a"), "refused"),
        ("SUVbw", "AUTO", ("a/T1.nii", "a/ct.nii"), "refused"),
        ("HU", "AUTO", ("a CT", "a CT"), "refused"),
        ("", "AUTO", ("a", "a"), "refused"),
    ],
)
def test_a_window_is_used_for_files_only_in_the_unit_that_they_are_read_in(
    scene, tmp_path, monkeypatch, units, modality, study, quantity
):
    from UPFusionLib.batch import Batch
    from UPFusionLib.job import Job
    from UPFusionLib.logic import UPFusionLogic
    from UPFusionLib.parameters import FunctionalModality
    from UPFusionLib.studies import PairStudy

    from tests.slicer.runs import program

    logic, calls = UPFusionLogic(), []
    monkeypatch.setattr(Job, "start", lambda self: calls.append(self._arguments))
    monkeypatch.setattr("UPFusionLib.logic.Poller", lambda *_: None)
    node = logic.getParameterNode()
    node.modality = FunctionalModality[modality]
    node.window_automatic, node.window_high, node.window_units = False, 8.0, units
    places = [tmp_path / name for name in study]
    for place in places:
        place.parent.mkdir(exist_ok=True)
        place.touch() if place.suffix else place.mkdir(exist_ok=True)
    studies, python = [PairStudy("one", *map(str, places))], program(tmp_path, "exit 0")
    batch = Batch(logic, node, studies, python, tmp_path / "out", lambda: None, lambda: None)
    batch.start()
    if quantity == "refused":
        assert not calls
        assert "The window was set for values in" in batch.rows[0].text
        return
    assert calls[0][calls[0].index("--window") + 1 :][:2] == ["0.0", "8.0"]
    assert ("--quantity suv" in " ".join(calls[0])) == (quantity == "suv")


def test_a_window_without_a_volume_is_typed_in_the_unit_of_the_batch(scene):
    from UPFusionLib.logic import UPFusionLogic
    from UPFusionLib.parameters import BatchSource
    from UPFusionLib.window_units import follow_units

    from tests.slicer.phantom import small_volume

    node = UPFusionLogic().getParameterNode()
    assert follow_units(node) == ""
    assert node.window_units == ""
    node.batch_source = BatchSource.FOLDER
    assert follow_units(node) == ""
    assert node.window_units == "SUVbw"
    node.window_automatic, node.functional = False, small_volume("PET", UPFusion_Units="Bq/mL")
    assert "set for values in SUVbw; now they are in Bq/mL" in follow_units(node)
    assert node.window_automatic


def test_a_batch_of_the_scene_brings_its_results_into_the_studies(scene, alpha):
    from UPFusionLib.batch import Status
    from UPFusionLib.studies import studies_in_scene

    from tests.slicer.phantom import add_study, study_item

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    study_item(hierarchy, "one", *add_study())
    rows = run_batch(studies_in_scene(), None)
    assert [row.status for row in rows] == [Status.DONE]
    fused = slicer.util.getNodesByClass("vtkMRMLVectorVolumeNode")
    assert [node.GetName() for node in fused] == ["T1 + FDG PET fused"]
    assert [study.functional for study in studies_in_scene()] == [rows[0].study.functional]


def test_a_study_that_cannot_be_written_does_not_stop_a_batch(scene, alpha):
    from UPFusionLib.batch import Status
    from UPFusionLib.grid import as_matrix
    from UPFusionLib.studies import PairStudy

    from tests.slicer.phantom import add_study

    (flat, pet), (mri, other) = add_study(), add_study()
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(as_matrix(np.diag([0.0, 1, 1, 1])))
    flat.SetAndObserveTransformNodeID(transform.GetID())
    studies = [PairStudy("flat", flat.GetID(), pet.GetID()), PairStudy("good", mri.GetID(), other.GetID())]
    rows = run_batch(studies, None)
    assert [row.status for row in rows] == [Status.FAILED, Status.DONE]
    assert rows[0].text == "The computation could not be started: Singular matrix."
