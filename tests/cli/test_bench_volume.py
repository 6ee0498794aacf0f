from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from upfusion_med.cli.bench import app
from upfusion_med.core import Modality, UsageError, Volume
from upfusion_med.evaluation.volume_ways import Way
from upfusion_med.inference import demo_study as demo
from upfusion_med.io import save_scalar_nifti

runner = CliRunner()


def small_study() -> demo.DemoStudy:
    y, x, z = np.mgrid[:48, :48, :6] - 24.0
    body = x * x + y * y < 20**2
    mri = (100 + 50 * np.sin(x / 2 + z / 4) * np.cos(y / 3)) * body
    uptake = np.exp(-((x - 5) ** 2 + y * y) / 60) * body
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    return demo.DemoStudy(
        Volume(mri.astype(np.float32), affine, modality=Modality.MR),
        Volume(uptake.astype(np.float32), affine, units="SUV", modality=Modality.PET),
        "small",
    )


def test_the_phantom_is_measured_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "demo_study", small_study)
    result = runner.invoke(app, ["volume", "-q", "-o", str(tmp_path / "run")], env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    assert "…" not in result.output, "the tables fit a narrow window"
    assert all(head in result.output for head in ("flicker", "largest", "Q_P", "one-sided?"))
    assert "48x48x6 voxels" in result.output
    ways = {row["way"]: row for row in csv.DictReader((tmp_path / "run" / "ways.csv").open())}
    assert {w.value for w in Way} < set(ways)
    once, alone = (float(ways[w.value]["flicker"]) for w in (Way.VOLUME, Way.SLICES))
    assert once < 1e-4
    assert alone > 0.01
    assert len((tmp_path / "run" / "slices.csv").read_text().splitlines()) == 1 + 6 * len(ways)
    with Image.open(tmp_path / "run" / "cuts.png") as picture:
        assert picture.size[0] > 600


def test_files_are_measured(tmp_path: Path) -> None:
    study = small_study()
    for name, volume in (("mri", study.mri), ("pet", study.functional)):
        save_scalar_nifti(tmp_path / f"{name}.nii.gz", np.array(volume.array), volume.affine)
    call = ["volume", str(tmp_path / "mri.nii.gz"), str(tmp_path / "pet.nii.gz"), "-q", "--every", "5"]
    result = runner.invoke(app, call, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    assert "mri.nii.gz + pet.nii.gz" in result.output
    assert "2 of them scored" in result.output


@pytest.mark.parametrize("call", [["volume", "mri.nii.gz"], ["volume", "--every", "0"]])
def test_half_a_study_and_no_slice_are_refused(call: list[str]) -> None:
    assert isinstance(runner.invoke(app, call).exception, UsageError)
