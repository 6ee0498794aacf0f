from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from upfusion_med.core import Device, FuseSettings, InputError, Modality, UsageError
from upfusion_med.inference.backends.choice import backend_for
from upfusion_med.networks import create
from upfusion_med.weights import PromptTable, read_checkpoint, write_checkpoint

pytest.importorskip("onnx", reason="needs the extra 'export'")
pytest.importorskip("onnxruntime", reason="needs the extra 'onnx'")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return export(tmp_path_factory.mktemp("onnx"))


def export(folder, **overrides):
    from upfusion_med.weights.onnx_export import export_onnx

    torch.manual_seed(0)
    network = create("upfusion-tiny", **overrides)
    for parameter in network.parameters():
        parameter.data.mul_(1.3)
    rng = np.random.default_rng(0)
    codes = {name: rng.standard_normal(512).astype(np.float32) for name in ("universal", "mri_pet")}
    prompts = PromptTable("minilm_512", {name: name for name in codes}, codes)
    write_checkpoint(
        folder / "w.safetensors",
        model="upfusion-tiny",
        state=network.state_dict(),
        prompts=prompts,
        card={},
        overrides=overrides,
        half=False,
    )
    checkpoint = read_checkpoint(folder / "w.safetensors")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        export_onnx(checkpoint, folder / "exported")
    assert [str(warning.message) for warning in told] == []
    return checkpoint, folder / "exported"


@pytest.mark.parametrize("size", [(64, 48), (37, 51)])
def test_both_runtimes_fuse_alike_with_and_without_a_context(exported, size):
    from upfusion_med.inference.backends.onnx import OnnxBackend
    from upfusion_med.inference.backends.torch import TorchBackend

    checkpoint, folder = exported
    ours = TorchBackend(checkpoint, Device.CPU, None, Modality.PET)
    other = OnnxBackend(folder, Device.CPU, None, Modality.PET)
    rng = np.random.default_rng(1)
    a, b = rng.random((2, 5, *size), dtype=np.float32)
    a[:, :9], b[:, :9] = 0, 0
    assert np.allclose(ours.fuse(a, b, None), other.fuse(a, b, None), atol=1e-4)
    in_context = other.fuse(a, b, other.decide(a[:3], b[:3]))
    assert np.allclose(ours.fuse(a, b, ours.decide(a[:3], b[:3])), in_context, atol=1e-4)
    assert in_context.shape == a.shape
    assert not in_context[:, :9].any()
    assert ours.describe()["weights_sha256"] == other.describe()["weights_sha256"]
    assert other.describe()["prompt"] == "mri_pet"


def test_a_network_without_global_statistics_is_exported_too(tmp_path):
    from upfusion_med.inference.backends.onnx import OnnxBackend
    from upfusion_med.inference.backends.torch import TorchBackend

    checkpoint, folder = export(tmp_path, scpm=False)
    ours, other = TorchBackend(checkpoint, Device.CPU), OnnxBackend(folder, Device.CPU)
    a, b = np.random.default_rng(1).random((2, 3, 37, 51), dtype=np.float32)
    for context in (other.decide(a, b), None):
        np.testing.assert_allclose(other.fuse(a, b, context), ours.fuse(a, b, None), atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"model": None}, "damaged.*model"), ({"format_version": 1}, "format 1"), ({"codes": []}, "damaged")],
)
def test_a_card_that_lacks_something_or_is_of_another_format_is_refused(exported, tmp_path, changes, words):
    from upfusion_med.inference.backends.onnx import OnnxBackend

    shutil.copytree(exported[1], tmp_path / "copy")
    card = json.loads((exported[1] / "model.json").read_text()) | changes
    (tmp_path / "copy" / "model.json").write_text(json.dumps({k: v for k, v in card.items() if v is not None}))
    with pytest.raises(InputError, match=words):
        OnnxBackend(tmp_path / "copy", Device.CPU)


def test_a_folder_that_lacks_a_graph_is_no_model(exported, tmp_path):
    shutil.copytree(exported[1], tmp_path / "copy")
    (tmp_path / "copy" / "fuse.onnx").unlink()
    with pytest.raises(InputError, match=r"is a folder.*holds decide\.onnx, fuse\.onnx, model\.json"):
        backend_for(FuseSettings(model=str(tmp_path / "copy")), Modality.PET)


def test_an_exported_model_runs_where_torch_is_absent(exported, tmp_path):
    code = f"""
import sys
sys.modules["torch"] = None
import numpy as np
from pathlib import Path
from upfusion_med.core import FuseSettings, Modality, Volume
from upfusion_med.inference import fuse
mri = np.random.default_rng(0).random((24, 20, 6)).astype(np.float32)
pet = mri[::-1].copy()
result = fuse(Volume(mri, np.eye(4)), Volume(pet, np.eye(4)), FuseSettings(Modality.PET, {str(exported[1])!r}))
result.save({str(tmp_path / "out")!r})
print(result.report["network"]["backend"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "onnxruntime", done.stderr
    assert (tmp_path / "out" / "fused_rgb.nii.gz").is_file()


def test_a_folder_that_is_no_model_and_a_wrong_prompt_are_named(exported, tmp_path):
    from upfusion_med.inference.backends.onnx import OnnxBackend

    with pytest.raises(InputError, match=r"fuse\.onnx"):
        OnnxBackend(tmp_path)
    with pytest.raises(UsageError, match="mri_pet"):
        OnnxBackend(exported[1], prompt="mri_pett")


def test_an_existing_model_is_replaced_only_when_forced_and_other_files_never(exported, tmp_path, monkeypatch):
    from upfusion_med.weights.onnx_export import export_onnx

    with pytest.raises(UsageError, match="exists"):
        export_onnx(exported[0], exported[1])
    assert len(export_onnx(exported[0], exported[1], force=True)) == 3
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "thesis.txt").write_text("mine")
    for folder in (tmp_path, Path()):
        with pytest.raises(UsageError, match="holds sub"):
            export_onnx(exported[0], folder, force=True)
    assert [path.name for path in tmp_path.rglob("*")] == ["sub", "thesis.txt"]
    monkeypatch.chdir(tmp_path / "sub")
    (tmp_path / "sub" / "thesis.txt").unlink()
    export_onnx(exported[0], Path())
    assert sorted(path.name for path in Path().iterdir()) == ["decide.onnx", "fuse.onnx", "model.json"]
