"""Through a real archive: sent with DICOM's own protocol, filed beside the MRI, and fetched again."""

from __future__ import annotations

import io
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image

from tests.io.dicom import fused_phantom as fused
from upfusion_med.io import Deidentifier, load_volume, read_source_study, save_colour_multiframe, save_colour_series

pytestmark = pytest.mark.slow
_READY_S = 30


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Archive:
    def __init__(self, http: int, dicom: int) -> None:
        self.http, self.dicom = http, dicom

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=30) as answer:
            return answer.read()

    def json(self, path: str):
        return json.loads(self.get(path))

    def store(self, folder) -> None:
        address = ["127.0.0.1", str(self.dicom)]
        command = ["storescu", "-aec", "ORTHANC", *address, "+sd", "+r", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr

    def fetch(self, series: str, folder):
        folder.mkdir(parents=True)
        for number, instance in enumerate(self.json(f"/series/{series}")["Instances"]):
            (folder / f"{number}.dcm").write_bytes(self.get(f"/instances/{instance}/file"))
        return folder


@pytest.fixture
def archive(tmp_path):
    server = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
    if server is None or shutil.which("storescu") is None:
        pytest.skip("Orthanc and storescu (Debian packages orthanc, dcmtk) are not installed")
    made = Archive(free_port(), free_port())
    settings = {
        "StorageDirectory": str(tmp_path / "archive"),
        "IndexDirectory": str(tmp_path / "archive"),
        "HttpPort": made.http,
        "DicomPort": made.dicom,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True,
        "DicomCheckCalledAet": False,
        "Plugins": [],
    }
    (tmp_path / "orthanc.json").write_text(json.dumps(settings))
    with (tmp_path / "orthanc.log").open("w") as log:
        process = subprocess.Popen([server, str(tmp_path / "orthanc.json")], stdout=log, stderr=log)
    try:
        _wait(made, process)
        yield made
    finally:
        process.terminate()
        process.wait(20)


def _wait(archive: Archive, process: subprocess.Popen) -> None:
    for _ in range(_READY_S * 10):
        assert process.poll() is None, "the archive did not start"
        try:
            archive.get("/system")
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    pytest.fail(f"the archive was not ready after {_READY_S} s")


@pytest.mark.parametrize("name", ["oblique descending", "sagittal"])
def test_fused_series_is_filed_beside_the_mri_and_comes_back_unchanged(tmp_path, archive, name):
    mri = load_volume(fused.mri_series(tmp_path / "mri", name))
    study, pet = read_source_study(tmp_path / "mri"), read_source_study(fused.pet_series(tmp_path / "pet"))
    rgb = fused.colours(mri.array.shape)
    common = {"study": study, "functional": pet}
    save_colour_series(tmp_path / "out" / "series", rgb, mri.affine, **common)
    save_colour_multiframe(tmp_path / "out" / "multiframe.dcm", rgb, mri.affine, series_number=9002, **common)
    for folder in ("mri", "pet", "out"):
        archive.store(tmp_path / folder)

    found = archive.json("/statistics")
    assert (found["CountPatients"], found["CountStudies"], found["CountSeries"]) == (1, 1, 4)
    series = {entry["MainDicomTags"]["SeriesNumber"]: entry for entry in archive.json("/series?expand")}
    assert len(series["9001"]["Instances"]) == mri.array.shape[2]
    assert len(series["9002"]["Instances"]) == 1
    for number in ("9001", "9002"):
        entry = series[number]
        assert entry["MainDicomTags"]["SeriesDescription"] == "Fused MR + PT - Not for diagnostic use"
        volume = load_volume(archive.fetch(entry["ID"], tmp_path / "back" / number))
        np.testing.assert_allclose(volume.affine, mri.affine, atol=1e-4)
        np.testing.assert_array_equal(volume.array, rgb)

    first = min(
        archive.json(f"/series/{series['9001']['ID']}")["Instances"],
        key=lambda i: int(archive.json(f"/instances/{i}")["MainDicomTags"]["InstanceNumber"]),
    )
    preview = np.asarray(Image.open(io.BytesIO(archive.get(f"/instances/{first}/preview"))))
    np.testing.assert_array_equal(preview, rgb[:, :, 0].swapaxes(0, 1))


def test_deidentified_series_is_a_patient_of_its_own(tmp_path, archive):
    mri = load_volume(fused.mri_series(tmp_path / "mri", "oblique"))
    study = read_source_study(tmp_path / "mri")
    rgb = fused.colours(mri.array.shape)
    save_colour_series(tmp_path / "out", rgb, mri.affine, study=study, deidentifier=Deidentifier("SUBJECT-07"))
    archive.store(tmp_path / "mri")
    archive.store(tmp_path / "out")
    patients = {p["MainDicomTags"]["PatientID"]: p for p in archive.json("/patients?expand")}
    assert set(patients) == {"SECRETID-42", "SUBJECT-07"}
    assert len(archive.json("/studies")) == 2
    (series,) = archive.json(f"/studies/{patients['SUBJECT-07']['Studies'][0]}")["Series"]
    volume = load_volume(archive.fetch(series, tmp_path / "back"))
    np.testing.assert_array_equal(volume.array, rgb)
    np.testing.assert_allclose(volume.affine, mri.affine, atol=1e-4)
