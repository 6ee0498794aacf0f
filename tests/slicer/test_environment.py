"""Which Python is used, whether it can do the work, and what is installed where."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from tests.slicer.conftest import NEEDS_CORE

slicer = pytest.importorskip("slicer", reason=NEEDS_CORE)
pytestmark = pytest.mark.slicer


def facts(**changes):
    """What a good Python says."""
    names = ("torch", "torchvision", "timm", "safetensors", "onnxruntime", "numpy", "SimpleITK")
    good = {"executable": "/env/python", "python": "3.12.10", "upfusion_med": "0.1.0"}
    return good | {"packages": dict.fromkeys(names, "9.0"), "memory_mib": 16000, "graphics": None} | changes


def levels(plan, given, folder):
    from UPFusionLib.preflight import checks

    return {check.name: (check.level.name, check.text) for check in checks(given, plan, str(folder))}


def test_a_good_machine_is_good_in_everything(scene, tmp_path):
    from UPFusionLib.preflight import Plan, blocking, checks

    found = checks(facts(), Plan(10**6), str(tmp_path))
    assert [check.name for check in found] == ["Python", "upfusion-med", "PyTorch", "Disk", "Memory", "Graphics card"]
    assert {check.level.name for check in found} == {"GOOD"}
    assert blocking(found) == []


@pytest.mark.parametrize(
    ("changes", "plan", "name", "level", "words"),
    [
        ({"python": "3.9.10"}, {}, "Python", "BAD", "3.10 or newer"),
        ({"upfusion_med": None}, {}, "upfusion-med", "BAD", "Press Install"),
        ({"upfusion_med": "0.0.9"}, {}, "upfusion-med", "BAD", "too old"),
        ({"packages": dict.fromkeys(("torch", "torchvision", "safetensors"), "1") | {"timm": None}}, {}, "PyTorch",
         "BAD", "Missing: timm"),
        ({"memory_mib": 500}, {}, "Memory", "WARNING", "500 MiB free, about 1800"),
        ({"memory_mib": 5500}, {"voxels": 512 * 512 * 300}, "Memory", "WARNING", "about 6125"),
        ({"memory_mib": 2100}, {"voxels": 8_700_000}, "Memory", "GOOD", "about 2048"),
        ({"memory_mib": None}, {}, "Memory", "WARNING", "does not say"),
        ({}, {"voxels": 10**13}, "Disk", "BAD", "Free some space"),
        ({}, {"device": "cuda"}, "Graphics card", "BAD", "None with CUDA"),
        ({"graphics": {"name": "A100", "free_mib": 900}}, {}, "Graphics card", "WARNING", "900 MiB free"),
        ({"graphics": {"name": "A100", "free_mib": 9000}}, {"device": "cuda"}, "Graphics card", "GOOD", "A100"),
        ({"graphics": {"error": "libcuda is broken"}}, {}, "Graphics card", "WARNING", "libcuda"),
        ({"graphics": {"error": "libcuda is broken"}}, {"device": "cuda"}, "Graphics card", "BAD", "libcuda"),
        ({}, {"device": "cpu"}, "Graphics card", "GOOD", "Not used"),
    ],
)  # fmt: skip
def test_each_lack_is_named_with_what_to_do(scene, tmp_path, changes, plan, name, level, words):
    from UPFusionLib.preflight import Plan

    found = levels(Plan(**plan), facts(**changes), tmp_path)
    assert found[name][0] == level
    assert words in found[name][1]


def test_the_remedy_is_one_that_the_chosen_python_allows(scene, tmp_path):
    from UPFusionLib.preflight import Plan, checks

    given = facts(upfusion_med=None)
    own, external = (checks(given, Plan(), str(tmp_path), is_slicers)[1].text for is_slicers in (True, False))
    assert own == "Not installed here. Press Install."
    assert external == "Not installed here. Install there: pip install 'upfusion-med[torch]'"


def test_an_exported_model_needs_onnxruntime_and_no_torch(scene, tmp_path):
    from UPFusionLib.preflight import Plan

    packages = dict.fromkeys(("torch", "torchvision", "timm", "safetensors")) | {"onnxruntime": "1.20"}
    (tmp_path / "model.json").touch()
    plan = Plan(model=str(tmp_path))
    assert levels(plan, facts(packages=packages), tmp_path)["onnxruntime"] == ("GOOD", "1.20")
    packages["onnxruntime"] = None
    assert levels(plan, facts(packages=packages), tmp_path)["onnxruntime"][0] == "BAD"


@pytest.mark.parametrize("model", ["", " ", "upfusion"])
def test_a_shipped_model_needs_no_onnxruntime_whatever_lies_where_slicer_was_started(
    scene, tmp_path, monkeypatch, model
):
    from UPFusionLib.preflight import Plan

    (tmp_path / "upfusion").mkdir()
    monkeypatch.chdir(tmp_path)
    packages = dict.fromkeys(("torch", "torchvision", "timm", "safetensors"), "9.0") | {"onnxruntime": None}
    found = levels(Plan(model=model), facts(packages=packages), tmp_path)
    assert found["PyTorch"] == ("GOOD", "9.0")
    assert "onnxruntime" not in found


def test_a_python_that_does_not_start_is_said(scene, tmp_path):
    from UPFusionLib.preflight import Plan, checks

    assert [check.text for check in checks({}, Plan(), str(tmp_path))] == [
        "The chosen Python does not start. Choose another one."
    ]


def test_the_probe_tells_the_truth_about_this_python(scene):
    from UPFusionLib.interpreter import Interpreter
    from UPFusionLib.preflight import Probe

    import upfusion_med

    probe = Probe(Interpreter(sys.executable, is_slicers=False), graphics=False)
    while (told := probe.poll()) is None:
        pass
    assert told["python"] == ".".join(map(str, sys.version_info[:3]))
    assert told["upfusion_med"] == upfusion_med.__version__
    assert told["memory_mib"] > 0
    assert told["graphics"] is None


def test_the_probe_finds_the_answer_among_other_output(scene, tmp_path):
    from UPFusionLib.preflight import Probe

    from tests.slicer.runs import program

    chatty = program(tmp_path, """echo '{"python": "3.12.10"}'; echo '{no json'; echo '{}'""")
    probe = Probe(chatty)
    while (told := probe.poll()) is None:
        pass
    assert told == {"python": "3.12.10"}


def test_slicers_python_gets_the_launchers_environment_and_another_does_not(
    scene, python_slicer, monkeypatch, tmp_path
):
    from UPFusionLib.interpreter import choose_external, chosen_interpreter

    monkeypatch.setenv("SLICER_HOME", "/opt/slicer")
    own = chosen_interpreter()
    assert (own.executable, own.is_slicers) == (str(python_slicer), True)
    assert own.environment()["SLICER_HOME"] == "/opt/slicer"
    environment = tmp_path / "env"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").symlink_to(sys.executable)
    choose_external(str(environment))
    other = chosen_interpreter()
    assert (other.executable, other.is_slicers) == (str(environment / "bin" / "python"), False)
    assert "SLICER_HOME" not in other.environment()
    assert other.environment()["PYTHONUNBUFFERED"] == "1"


def test_where_there_is_no_python_it_is_said(scene, monkeypatch, tmp_path):
    from UPFusionLib.interpreter import NoInterpreterError, choose_external, chosen_interpreter

    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoInterpreterError, match="PythonSlicer"):
        chosen_interpreter()
    choose_external(str(tmp_path))
    with pytest.raises(NoInterpreterError, match="no Python in"):
        chosen_interpreter()


@pytest.fixture
def pip(scene, monkeypatch):
    """Slicer's packaging module and the PyTorch extension, recorded."""
    calls = []

    def ensure(requirements, constraints=None, **options):
        calls.append(("pip", [str(r) for r in requirements], Path(constraints).read_text().split(), options))

    def load(path):
        return [line for line in Path(path).read_text().splitlines() if line and not line.startswith("#")]

    packaging = types.SimpleNamespace(pip_ensure=ensure, load_requirements=load)
    monkeypatch.setattr(slicer, "packaging", packaging, raising=False)
    monkeypatch.setitem(sys.modules, "slicer.packaging", packaging)
    torch = types.SimpleNamespace(
        installed=False,
        torchInstalled=lambda: torch.installed,
        installTorch=lambda **options: calls.append(("torch", options)) or "torch",
    )
    monkeypatch.setitem(sys.modules, "PyTorchUtils", types.SimpleNamespace(PyTorchUtilsLogic=lambda: torch))
    return calls


def requirements():
    from tests.slicer.standin.application import MODULE

    return MODULE / "Resources" / "requirements.txt"


def test_nothing_is_installed_without_a_yes(pip):
    from UPFusionLib.install import offer_install

    from tests.slicer.standin.application import DIALOGS

    assert offer_install(requirements()) is False
    assert len(DIALOGS.asked) == 1
    assert "not changed" in DIALOGS.asked[0]
    assert pip == []


def test_torch_comes_through_its_extension_and_slicers_packages_are_held(pip):
    import numpy as np
    from UPFusionLib.install import offer_install

    from tests.slicer.standin.application import DIALOGS

    DIALOGS.answer = True
    assert offer_install(requirements()) is True
    assert [call[0] for call in pip] == ["torch", "pip"]
    assert pip[0][1]["askConfirmation"]
    _, wanted, held, _ = pip[1]
    assert wanted == ["upfusion-med>=0.1", "safetensors>=0.4.3", "timm>=1.0.9"]
    assert f"numpy=={np.__version__}" in held
    assert any(line.startswith("torch==") for line in held)


def test_without_the_torch_extension_nothing_is_installed(pip, monkeypatch):
    from UPFusionLib.install import InstallError, offer_install

    from tests.slicer.standin.application import DIALOGS

    DIALOGS.answer = True
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    with pytest.raises(InstallError, match="extension PyTorch"):
        offer_install(requirements())
    assert pip == []


def test_older_slicer_installs_by_pip_with_the_same_constraints(pip, monkeypatch):
    from UPFusionLib.install import offer_install

    from tests.slicer.standin.application import DIALOGS

    DIALOGS.answer = True
    monkeypatch.delattr(slicer, "packaging")
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    given = []
    monkeypatch.setattr(slicer.util, "pip_install", given.append, raising=False)
    assert offer_install(requirements()) is True
    assert given[0][:3] == ["-r", str(requirements()), "-c"]


def test_the_sample_data_is_loaded_only_if_its_checksum_is_right(scene, tmp_path, monkeypatch):
    import numpy as np
    from UPFusionLib import sample_data

    from upfusion_med.io import save_scalar_nifti

    for name in sample_data.FILES:
        save_scalar_nifti(tmp_path / name, np.arange(60, dtype=np.float32).reshape(3, 4, 5), np.eye(4))
    sample_data.register_sample_data(base=tmp_path.as_uri())
    with pytest.raises(RuntimeError, match="could not be loaded"):
        sample_data.load_sample_data()  # other files than the registered ones
    sums = [f"SHA256:{hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}" for name in sample_data.FILES]
    monkeypatch.setattr(sample_data, "CHECKSUMS", tuple(sums))
    sample_data.register_sample_data(base=tmp_path.as_uri())
    mri, pet = sample_data.load_sample_data()
    from UPFusionLib.modality import guess_modality, units_of

    assert (guess_modality(mri).modality, guess_modality(pet).modality) == ("MR", "PET")
    assert units_of(pet) == "simulated SUV"
    assert "simulated" in pet.GetName()


def test_the_command_that_makes_the_sample_data_is_the_documented_one(tmp_path):
    from tests.slicer.standin.application import EXTENSION

    assert "upfusion demo --output demo --inputs sample" in (EXTENSION / "README.md").read_text()
    shown = subprocess.run(
        [sys.executable, "-m", "upfusion_med", "demo", "--help"], capture_output=True, text=True, check=True,
        env=os.environ | {"COLUMNS": "200"},
    )  # fmt: skip
    assert "mri.nii.gz, simulated_pet.nii.gz" in shown.stdout
