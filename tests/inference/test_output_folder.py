"""What an earlier run wrote is replaced; what the user owns is not touched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from upfusion_med.core import Blend, FuseSettings, Modality, OutputFormat, RuntimeFailure, UsageError, Volume
from upfusion_med.inference import fuse
from upfusion_med.inference.output_folder import FILES, FOLDERS, check_output
from upfusion_med.io import save_transform

STACKS = (OutputFormat.NIFTI, OutputFormat.PNG_STACK, OutputFormat.TIFF_STACK)


def fused(settings: FuseSettings):
    x, y, _ = np.mgrid[:20, :18, :5]
    mri, pet = (Volume(a.astype(np.float32), np.diag([1, 1, 3, 1.0])) for a in (x + 1, y + 1))
    return fuse(mri, pet, settings)


@pytest.fixture(scope="module")
def result():
    return fused(FuseSettings(modality=Modality.PET, blend=Blend.ALPHA))


def listed(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("own", ["dicom/MR/0.dcm", "dicom/0001.dcm", "slices_png/note.txt", "fused.png", "report.json"])
def test_what_the_user_owns_is_never_replaced(result, tmp_path, own):
    (tmp_path / own).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / own).write_text("{}")
    before = listed(tmp_path)
    with pytest.raises(UsageError, match="was not written by an earlier run"):
        result.save(tmp_path, tuple(OutputFormat), force=True)
    assert listed(tmp_path) == before


def test_a_file_put_among_written_ones_stops_the_next_run(result, tmp_path):
    result.save(tmp_path, [OutputFormat.PNG_STACK])
    (tmp_path / "slices_png" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"mine\.txt was not written"):
        check_output(tmp_path, force=True)
    assert (tmp_path / "slices_png" / "mine.txt").read_text() == "mine"


def test_a_forced_run_leaves_nothing_of_an_earlier_one(result, tmp_path):
    save_transform(tmp_path / "shift.tfm", np.eye(4))
    settings = FuseSettings(
        modality=Modality.PET, blend=Blend.ALPHA, attribution=True, transform=str(tmp_path / "shift.tfm")
    )
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    fused(settings).save(out, tuple(OutputFormat), force=True)
    written = {path.name for path in out.iterdir()} - {"notes.txt"}
    assert written == (FILES | FOLDERS.keys()) - {"fused.png"}, "fused.png is for pictures"
    assert json.loads((out / "report.json").read_text())["files"] == sorted(written)
    result.save(out, [OutputFormat.NRRD], force=True)
    assert listed(out) == ["fused_luminance.nrrd", "fused_rgb.nrrd", "notes.txt", "report.json"]


def test_an_input_that_would_be_replaced_is_refused(result, tmp_path):
    result.save(tmp_path / "out", [OutputFormat.DICOM])
    for source in (tmp_path / "out" / "dicom", tmp_path / "out" / "dicom" / "0001.dcm"):
        with pytest.raises(UsageError, match="would be replaced"):
            check_output(tmp_path / "out", True, (str(source), object()))
    check_output(tmp_path / "out", True, (tmp_path / "out", tmp_path))


def test_rights_are_asked_of_the_folder_that_is_written(tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != tmp_path)
    check_output(tmp_path / "out", force=False)
    with pytest.raises(RuntimeFailure, match="cannot be written"):
        check_output(tmp_path / "other", force=False)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
@pytest.mark.parametrize("stop", ["slices_png", "fused_rgb.nii.gz", "report.json"])
def test_a_run_that_was_killed_while_it_wrote_leaves_no_report_and_can_be_done_again(result, tmp_path, stop):
    out = tmp_path / "out"
    out.mkdir()
    script = f"""
import os, signal
from pathlib import Path
from tests.inference.test_output_folder import STACKS, FuseSettings, Blend, Modality, fused
real = Path.replace
def replace(self, target):
    if self.name == {stop!r} and Path(target).parent == Path({str(out)!r}):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, target)
Path.replace = replace
fused(FuseSettings(modality=Modality.PET, blend=Blend.ALPHA)).save({str(out)!r}, STACKS)
"""
    root = Path(__file__).parents[2]
    killed = subprocess.run([sys.executable, "-c", script], cwd=root, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == ["out"] and not (out / "report.json").exists()
    result.save(out, [OutputFormat.NRRD])
    assert listed(out) == ["fused_luminance.nrrd", "fused_rgb.nrrd", "report.json"]
