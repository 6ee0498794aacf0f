from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from upfusion_med.io import save_picture, save_scalar_nifti


def upfusion(*arguments: object) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-m", "upfusion_med.cli.main", *map(str, arguments)]
    return subprocess.run(call, capture_output=True, text=True, check=False)


@pytest.fixture
def study(tmp_path: Path) -> tuple[Path, Path]:
    x, y, _ = np.mgrid[0:32, 0:28, 0:6]
    head = np.hypot((x - 16) / 13, (y - 14) / 11) < 1
    mri = np.where(head, 400 + 300 * np.sin(x / 2), 0).astype(np.float32)
    pet = np.where(np.hypot(x - 18, y - 14) < 4, 8.0, np.where(head, 1.0, 0.0)).astype(np.float32)
    save_scalar_nifti(tmp_path / "t1.nii.gz", mri, np.diag([-1.0, 1.0, 3.0, 1.0]))
    save_scalar_nifti(tmp_path / "uptake.nii.gz", pet, np.diag([-1.0, 1.0, 3.0, 1.0]))
    return tmp_path / "t1.nii.gz", tmp_path / "uptake.nii.gz"


def test_help_and_version_do_not_wait_for_heavy_imports():
    code = (
        "import sys, upfusion_med.cli.main; "
        "print([m for m in ('torch', 'SimpleITK', 'nibabel', 'pydicom', 'scipy', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    commands = (("fuse",), ("demo",), ("inspect",), ("train",), ("weights", "convert"), ("weights", "export"),
                ("bench", "metrics"), ("benchmark",), ("evaluate",))  # fmt: skip
    for command in ((), *commands):
        shown = upfusion(*command, "--help")
        assert shown.returncode == 0
        assert "Usage" in shown.stdout


@pytest.mark.parametrize("command", ["fuse", "benchmark", "train", "ablate"])
def test_help_fills_the_lines_of_a_terminal(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = upfusion(command, "--help").stdout.split("Arguments")[0].splitlines()[3:]
    for line, following in pairwise(lines):
        is_prose = line[1:2].strip() and following[1:2].strip() and not line.endswith(":")
        assert not is_prose or len(line.rstrip()) + len(following.split()[0]) >= 79, line


def test_fuse_writes_the_result_and_says_what_was_done(study, tmp_path):
    done = upfusion("fuse", *study, "--output", tmp_path / "out", "--window", 0, 8, "--modality", "pet")
    assert done.returncode == 0, done.stderr
    assert "PET fused onto the MRI (stated by the caller)" in done.stdout
    assert "Not for diagnostic use" in done.stdout
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["windows"]["functional"]["high"] == 8
    assert report["network"]["model"] == "upfusion-tiny"
    assert len(report["network"]["weights_sha256"]) == 64
    assert str(tmp_path) not in json.dumps(report)


def test_pictures_are_spoken_of_as_what_they_are(tmp_path):
    pair = [tmp_path / name for name in ("visible.png", "infrared.png")]
    for k, path in enumerate(pair):
        save_picture(path, np.roll(np.arange(1024, dtype=np.uint8), k).reshape(32, 32))
    done = upfusion("fuse", *pair, "--output", tmp_path / "out", "--modality", "infrared", "--blend", "alpha")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Infrared fused onto the visible picture (stated by the caller)" in done.stdout
    assert "pixel on pixel; not registered" in done.stdout
    assert "MRI" not in done.stdout


def test_a_path_that_the_terminal_cannot_show_does_not_end_a_run_that_is_done(tmp_path, monkeypatch):
    pair, out = [tmp_path / name for name in ("visible.png", "infrared.png")], tmp_path / "\u6771"
    for path, step in zip(pair, (1, -1), strict=True):
        save_picture(path, np.arange(1024, dtype=np.uint8)[::step].reshape(32, 32))
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252:strict")
    done = upfusion("fuse", *pair, "--output", out, "--modality", "infrared", "--blend", "alpha")
    assert (done.returncode, done.stderr) == (0, "")
    assert rf"\u6771{os.sep}fused.png" in done.stdout and (out / "report.json").is_file()


def test_swapped_images_and_a_ct_called_pet_are_warned_of(study, tmp_path):
    pet, ct = tmp_path / "pet.nii.gz", tmp_path / "bone.nii.gz"
    pet.write_bytes(study[1].read_bytes())
    save_scalar_nifti(ct, np.linspace(-1000, 1200, 512, dtype=np.float32).reshape(8, 8, 8), np.eye(4))
    swapped = upfusion("fuse", pet, study[0], "-o", tmp_path / "a", "--blend", "alpha")
    assert "'pet' in the file name; check that the two are not swapped" in swapped.stderr
    called = upfusion("fuse", study[0], ct, "-o", tmp_path / "b", "--blend", "alpha", "--modality", "pet")
    assert "its values, -1000 to 1200, look like Hounsfield units; check --modality" in called.stderr


def test_alpha_blending_needs_no_network_and_says_so(study, tmp_path):
    done = upfusion("fuse", *study, "--output", tmp_path / "out", "--modality", "pet", "--blend", "alpha")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Network: none: alpha blending, 0.5 functional." in done.stdout


@pytest.mark.parametrize("progress", ["none", "json"])
def test_options_without_an_effect_are_told(study, tmp_path, progress):
    options = ("--modality", "pet", "--blend", "alpha", "--mri-brightness", 0.5, "--deidentify", "--progress", progress)
    done = upfusion("fuse", *study, "--output", tmp_path / "out", *options)
    said = done.stdout if progress == "json" else done.stderr
    assert "--mri-brightness had no effect" in said
    assert "--deidentify had no effect: no DICOM was written." in said


def test_quiet_says_nothing(study, tmp_path):
    done = upfusion("fuse", *study, "--output", tmp_path / "out", "--quiet", "--format", "nrrd")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {f.name for f in (tmp_path / "out").iterdir()} == {"fused_rgb.nrrd", "fused_luminance.nrrd", "report.json"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--lut", "rainbowish"), 2, "hot_iron"),
        (("--model", "upfusion-huge"), 2, "upfusion-tiny"),
        (("--prompt", "mri_pett"), 2, "mri_pet"),
        (("--format", "gif"), 2, "nifti,nrrd,dicom"),
        (("--window", "5", "5"), 2, "low < high"),
        (("--batch-size", "0"), 2, "batch size"),
        (("--modality", "mrs"), 2, "modality"),
        (("--device", "cuda"), 2, "CUDA"),
    ],
)
def test_a_wrong_call_is_refused_and_leaves_nothing(study, tmp_path, arguments, code, words):
    import torch

    if "cuda" in arguments and torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    done = upfusion("fuse", *study, "--output", tmp_path / "out", *arguments)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_wrong_input_is_refused_and_leaves_nothing(study, tmp_path):
    mri, pet = study
    truncated = tmp_path / "truncated.nii.gz"
    truncated.write_bytes(pet.read_bytes()[:200])
    constant = tmp_path / "constant.nii.gz"
    save_scalar_nifti(constant, np.ones((4, 4, 4), np.float32), np.eye(4))
    picture = tmp_path / "picture.png"
    save_picture(picture, np.arange(1024, dtype=np.uint8).reshape(32, 32))
    empty = tmp_path / "empty"
    empty.mkdir()
    text = tmp_path / "text.nii"
    text.write_text("hello")
    for wrong in (truncated, constant, picture, empty, text, tmp_path / "missing.nii.gz"):
        done = upfusion("fuse", mri, wrong, "--output", tmp_path / "out")
        assert done.returncode == 3, (wrong, done.stderr)
        assert done.stderr.startswith("Error: ")
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "out").exists()


def test_an_output_folder_in_use_is_left_alone_unless_forced(study, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    refused = upfusion("fuse", *study, "--output", out)
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert [f.name for f in out.iterdir()] == ["mine.txt"]
    assert upfusion("fuse", *study, "--output", out, "--force", "--quiet").returncode == 0
    assert (out / "mine.txt").read_text() == "mine"
    assert (out / "contact_sheet.png").is_file()


def test_debug_shows_the_traceback(study, tmp_path):
    done = upfusion("--debug", "fuse", *study, "--output", tmp_path / "out", "--lut", "rainbowish")
    assert "Traceback" in done.stderr


def test_info_names_models_prompts_and_tables():
    done = upfusion("info")
    assert done.returncode == 0
    for word in ("upfusion-tiny", "upfusion-paper", "mri_spect", "hot_iron", "ember", "minilm_512", "torch"):
        assert word in done.stdout
