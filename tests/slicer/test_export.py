"""The fused volume goes into the DICOM database and comes back as it was, read by Slicer's own reader."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from scipy.spatial.transform import Rotation

from tests.io import dicom_phantom as dicom
from tests.slicer.conftest import NEEDS_CORE

slicer = pytest.importorskip("slicer", reason=NEEDS_CORE)
pytestmark = pytest.mark.slicer
OBLIQUE = (0.9553364891, 0.0, -0.2955202067, 0.0587108016, 0.9800665778, 0.1897960955)


@pytest.fixture
def fused(scene, tmp_path):
    """A fused volume on the grid of an oblique MRI that came from the database."""
    from UPFusionLib.grid import ijk_to_ras
    from UPFusionLib.result import MRI_ROLE, REPORT, show_as_it_is

    from tests.slicer.phantom import add_volume
    from tests.slicer.standin.application import load_volume

    normal = np.cross(OBLIQUE[:3], OBLIQUE[3:])
    folder = dicom.write(tmp_path / "mri", dicom.slices(orientation=OBLIQUE, step=tuple(3.0 * normal)))
    uids = [slicer.dicomDatabase.add(file) for file in sorted(folder.iterdir())]
    mri = load_volume(sorted(folder.iterdir())[0], "MRI")
    assert mri.GetImageData().GetDimensions() == (dicom.COLUMNS, dicom.ROWS, dicom.SLICES)
    mri.SetAttribute("DICOM.instanceUIDs", " ".join(uids))
    shape = (dicom.SLICES, dicom.ROWS, dicom.COLUMNS, 3)
    colours = np.random.default_rng(5).integers(0, 256, shape, dtype=np.uint8)
    node = add_volume(colours, ijk_to_ras(mri), "fused", "vtkMRMLVectorVolumeNode")
    show_as_it_is(node)
    node.SetNodeReferenceID(MRI_ROLE, mri.GetID())
    node.SetAttribute(
        REPORT, '{"modality": {"value": "pet"}, "network": {"model": "upfusion-tiny"}, "colour": "ember"}'
    )
    return node


def exported(fused, **options):
    from UPFusionLib.export import ExportJob, import_series
    from UPFusionLib.interpreter import Interpreter
    from UPFusionLib.logic import UPFusionLogic

    from tests.slicer.standin.event_loop import LOOP

    job, ended = ExportJob(fused, Interpreter(sys.executable, is_slicers=False), **options), []
    before = set(slicer.dicomDatabase.files)
    UPFusionLogic().run(job, lambda _job: None, ended.append)
    LOOP.run_until(lambda: bool(ended))
    assert ended[0].failure is None, ended[0].failure
    import_series(job.series)
    job.clean()
    new = sorted(Path(slicer.dicomDatabase.files[uid]) for uid in set(slicer.dicomDatabase.files) - before)
    assert len(new) == dicom.SLICES
    return job, new


def test_the_series_joins_the_study_and_slicers_reader_gives_the_same_voxels_in_the_same_place(fused):
    from UPFusionLib.grid import ijk_to_ras, reordered

    from tests.slicer.standin.application import load_volume

    job, files = exported(fused)
    assert job.is_in_study
    back = load_volume(files[0], "back", "vtkMRMLVectorVolumeNode")
    voxels = reordered(
        slicer.util.arrayFromVolume(back), ijk_to_ras(back), ijk_to_ras(fused), fused.GetImageData().GetDimensions()
    )
    assert (voxels == slicer.util.arrayFromVolume(fused)).all()
    assert np.abs(ijk_to_ras(back) - ijk_to_ras(fused)).max() < 1e-4
    first = pydicom.dcmread(files[0])
    mri = pydicom.dcmread(next(iter(slicer.dicomDatabase.files.values())))
    assert first.StudyInstanceUID == mri.StudyInstanceUID
    assert first.PatientID == mri.PatientID
    assert first.FrameOfReferenceUID == mri.FrameOfReferenceUID
    assert first.Modality not in ("US", "XA", "RF", "ES")  # Slicer would read these as a two-dimensional sequence


def test_a_fused_ct_is_exported_although_its_colours_are_all_grey(fused):
    from tests.slicer.standin.application import load_volume

    colours = slicer.util.arrayFromVolume(fused)
    colours[..., 1:] = colours[..., :1]
    slicer.util.arrayFromVolumeModified(fused)
    _, files = exported(fused)
    back = slicer.util.arrayFromVolume(load_volume(files[0], "back", "vtkMRMLVectorVolumeNode"))
    assert np.sort(back, axis=None).tolist() == np.sort(colours, axis=None).tolist()
    assert (back[..., 1:] == back[..., :1]).all()


def test_a_transform_on_the_mri_does_not_move_the_files(fused):
    from UPFusionLib.grid import as_matrix
    from UPFusionLib.result import MRI_ROLE

    from tests.slicer.phantom import affine

    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(as_matrix(affine((1, 1, 1), (5.0, 6.0, 7.0))))
    for node in (fused, fused.GetNodeReference(MRI_ROLE)):
        node.SetAndObserveTransformNodeID(transform.GetID())
    job, files = exported(fused)
    assert job.is_in_study
    places = {tuple(float(v) for v in pydicom.dcmread(file).ImagePositionPatient) for file in files}
    sources = [file for file in slicer.dicomDatabase.files.values() if Path(file).parent.name == "mri"]
    originals = [tuple(float(v) for v in pydicom.dcmread(file).ImagePositionPatient) for file in sources]
    for place in places:
        assert min(np.abs(np.subtract(place, original)).max() for original in originals) < 1e-3


def moved(matrix):
    matrix[:3, 3] += (1.3, 0.4, 0.2)


def moved_by_whole_voxels(matrix):
    matrix[:3, 3] += 3 * matrix[:3, 0]


def turned_about_the_first_voxel(matrix):
    matrix[:3, :3] = Rotation.from_euler("z", 20, degrees=True).as_matrix() @ matrix[:3, :3]


def finer(matrix):
    matrix[:3, 1] /= 2


@pytest.mark.parametrize("change", [moved, moved_by_whole_voxels, turned_about_the_first_voxel, finer])
def test_a_grid_that_is_not_that_of_the_files_does_not_give_their_study_away(fused, change):
    from UPFusionLib.grid import as_matrix, ijk_to_ras

    matrix = ijk_to_ras(fused)
    change(matrix)
    fused.SetIJKToRASMatrix(as_matrix(matrix))
    job, files = exported(fused)
    assert not job.is_in_study
    assert pydicom.dcmread(files[0]).PatientID == ""


@pytest.mark.parametrize("of_mri", [False, True], ids=["the fused volume", "the MRI"])
def test_under_a_transform_that_bends_it_is_a_study_of_its_own(fused, of_mri):
    import vtk
    from UPFusionLib.result import MRI_ROLE

    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetBasisToR()
    landmarks = vtk.vtkPoints(), vtk.vtkPoints()
    for offset in np.array([(0, 0, 0), *np.eye(3) * 60, *-np.eye(3) * 60]):
        landmarks[0].InsertNextPoint(*offset)
        landmarks[1].InsertNextPoint(*(offset + (0 if offset.any() else np.array([2.0, 0, 0]))))
    spline.SetSourceLandmarks(landmarks[0])
    spline.SetTargetLandmarks(landmarks[1])
    bend = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "bend")
    bend.SetAndObserveTransformToParent(spline)
    (fused.GetNodeReference(MRI_ROLE) if of_mri else fused).SetAndObserveTransformNodeID(bend.GetID())
    job, files = exported(fused)
    assert not job.is_in_study
    assert pydicom.dcmread(files[0]).PatientID == ""


def test_a_part_of_the_mri_stays_in_its_study(fused):
    from UPFusionLib.grid import as_matrix, ijk_to_ras

    matrix = ijk_to_ras(fused)
    matrix[:3, 3] += 2 * matrix[:3, 0]
    slicer.util.updateVolumeFromArray(fused, slicer.util.arrayFromVolume(fused)[:, :, 2:6].copy())
    fused.SetIJKToRASMatrix(as_matrix(matrix))
    job, files = exported(fused)
    assert job.is_in_study
    assert pydicom.dcmread(files[0]).Columns == 4


def test_without_the_patient_nothing_of_the_patient_is_left(fused):
    _, files = exported(fused, deidentify=True)
    for file in files:
        text = file.read_bytes()
        for fact in dicom.PATIENT_FACTS:
            assert fact.encode() not in text


def test_closing_the_module_during_an_export_leaves_no_file_of_the_patient(fused, tmp_path):
    from UPFusionLib.export import ExportJob
    from UPFusionLib.logic import UPFusionLogic

    from tests.slicer.runs import program

    logic, job = UPFusionLogic(), ExportJob(fused, program(tmp_path, "exec sleep 300"))
    logic.run(job, lambda _job: None, lambda _outcome: None)
    assert list((job.folder / "study").glob("*.dcm"))
    logic.stop()
    assert [f.name for f in Path(slicer.app.temporaryPath).iterdir()] == ["database"]


def test_without_a_database_it_is_said(fused, tmp_path, monkeypatch):
    from UPFusionLib.export import import_series

    slicer.dicomDatabase.isOpen = False
    with pytest.raises(RuntimeError, match="no DICOM database"):
        import_series(tmp_path)
    monkeypatch.delattr(slicer, "dicomDatabase")  # as where Slicer's DICOM modules are switched off
    monkeypatch.setitem(sys.modules, "DICOMLib", None)
    with pytest.raises(RuntimeError, match="no DICOM database"):
        import_series(tmp_path)
