"""Studies through the inference configurations: as the package does it, in memory and on files."""

from __future__ import annotations

import json
import logging
import runpy

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("monai", reason="MONAI is not installed (extra 'monai')")
pytest.importorskip("ignite", reason="pytorch-ignite is not installed (extra 'monai')")

from ignite.engine import Engine
from monai.bundle import create_workflow
from monai.data import MetaTensor
from pydicom import dcmread

from tests.bundles.conftest import BUNDLES, NAMES
from tests.bundles.workflows import workflow
from tests.io.dicom_phantom import CT, MR, PATIENT_FACTS, slices, write
from upfusion_med.bundle import LoadStudyd, PrepareStudyd
from upfusion_med.core import FuseSettings, InputError, Modality, OutputFormat, Pooling, SliceAxis, Volume
from upfusion_med.inference import fuse
from upfusion_med.inference.fusion import read_study
from upfusion_med.io import SUV_UNITS, load_volume


def run(bundle, **options):
    flow = workflow(bundle, "inference", device="cpu", **options)
    flow.initialize()
    flow.run()
    return flow


@pytest.mark.skipif(torch.cuda.is_available(), reason="a machine without CUDA is meant")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("config", ["inference", "evaluate", "train"])
def test_weights_that_were_trained_on_a_gpu_load_on_a_machine_without_one(bundles, tmp_path, monkeypatch, name, config):
    state = torch.load(bundles / name / "models" / "model.pt", weights_only=True)
    monkeypatch.setattr(torch.serialization, "location_tag", lambda _: "cuda:0")
    torch.save({key: value + 1 for key, value in state.items()}, tmp_path / "trained.pt")
    flow = workflow(bundles / name, config, ckpt_path=str(tmp_path / "trained.pt"))
    flow.initialize()
    loader = flow.parser.get_parsed_content("train#handlers#0" if config == "train" else "handlers#0")
    loader.logger = logging.getLogger()
    loader(Engine(lambda *_: None))
    for key, value in flow.network_def.state_dict().items():
        torch.testing.assert_close(value, state[key] + 1)


@pytest.mark.parametrize("name", NAMES)
def test_the_properties_of_the_inference_workflow_are_complete(bundles, name):
    flow = workflow(bundles / name, "inference")
    flow.initialize()
    assert flow.check_properties() == []


def test_the_bundle_and_the_package_give_the_same_voxels(bundles, study, tmp_path):
    mri, pet = study
    out = tmp_path / "out"
    settings = {"modality": "pet", "functional_window": [0, 9]}
    run(bundles / NAMES[0], mri=str(mri), functional=str(pet), settings=settings, output_dir=str(out))
    expected = fuse(mri, pet, FuseSettings(modality=Modality.PET, functional_window=(0, 9)))
    written = load_volume(out / "fused_luminance.nii.gz")
    np.testing.assert_array_equal(written.array, expected.luminance.array)
    np.testing.assert_allclose(written.affine, expected.volume.affine, atol=1e-5)
    np.testing.assert_array_equal(load_volume(out / "fused_rgb.nii.gz").array, expected.volume.array)
    expected.save(tmp_path / "package")
    assert {f.name for f in out.iterdir()} == {f.name for f in (tmp_path / "package").iterdir()}
    for sheet in ("fused_rgb.nrrd", "fused_luminance.nrrd"):
        np.testing.assert_array_equal(load_volume(out / sheet).array, load_volume(tmp_path / "package" / sheet).array)
    report, of_package = (json.loads((f / "report.json").read_text()) for f in (out, tmp_path / "package"))
    for entry in ("windows", "colour", "alignment", "modality", "mri", "functional", "warnings", "mri_brightness"):
        assert report[entry] == of_package[entry]


def test_settings_that_the_network_sees_reach_it(bundles, study):
    mri, pet = study
    chosen = {"modality": "pet", "pooling": "slice", "prompt": "mri_spect", "axis": "coronal", "lut": "hot_iron"}
    flow = run(bundles / NAMES[0], mri=str(mri), functional=str(pet), settings=chosen, output_dir=None)
    settings = FuseSettings(
        modality=Modality.PET, pooling=Pooling.SLICE, prompt="mri_spect", axis=SliceAxis.CORONAL, lut="hot_iron"
    )
    expected = fuse(mri, pet, settings)
    np.testing.assert_array_equal(flow.evaluator.state.output["pred"][0, 0].numpy(), expected.luminance.array)
    assert flow.evaluator.state.output["fusion"].report["network"]["prompt"] == "mri_spect"


def test_dicom_goes_in_and_out_as_with_the_package(bundles, dicom_study, tmp_path):
    mri, pet = dicom_study
    run(
        bundles / NAMES[0],
        mri=str(mri),
        functional=str(pet),
        output_dir=str(tmp_path / "out"),
        formats=["dicom"],
        deidentify=True,
    )
    expected = fuse(mri, pet)
    assert expected.report["functional"]["units"] == SUV_UNITS
    expected.save(tmp_path / "package", [OutputFormat.DICOM], deidentify=True)
    made, wanted = (
        sorted((dcmread(file) for file in (folder / "dicom").iterdir()), key=lambda d: d.InstanceNumber)
        for folder in (tmp_path / "out", tmp_path / "package")
    )
    assert len(made) == len(wanted) == 5
    for ours, theirs in zip(made, wanted, strict=True):
        np.testing.assert_array_equal(ours.pixel_array, theirs.pixel_array)
        assert ours.ImagePositionPatient == theirs.ImagePositionPatient
        assert ours.SOPClassUID == theirs.SOPClassUID
        assert PATIENT_FACTS[0] not in str(ours.PatientName) and ours.PatientIdentityRemoved == "YES"


def test_two_patients_and_a_tilt_are_told_and_taken_as_by_the_package(tmp_path):
    mri = write(tmp_path / "mr", slices(sop=MR, series="a", step=(0, 0, 2.5)))
    other = {"series": "b", "step": (0, 0.8, 3.0), "tweak": lambda d, _: setattr(d, "PatientID", "SOMEBODY-ELSE")}
    ct = write(tmp_path / "ct", slices(sop=CT, **other))
    pair = {"mri": str(mri), "functional": str(ct)}
    with pytest.raises(InputError, match="tilted stack"):
        LoadStudyd()(pair)
    settings = {"accept_tilt": True}
    study = PrepareStudyd(settings)(LoadStudyd(settings)(pair))["study"]
    of_package = read_study(mri, ct, FuseSettings(accept_tilt=True))
    assert study.prepared.facts["warnings"] == of_package.prepared.facts["warnings"]
    assert "are of different patients by Patient ID" in study.prepared.facts["warnings"][-1]
    with pytest.raises(InputError, match="Choose other formats"):
        PrepareStudyd(settings, "nifti,dicom")(LoadStudyd(settings)(pair))
    np.testing.assert_allclose(study.prepared.functional, of_package.prepared.functional, atol=1e-6)


def test_infrared_pictures_are_fused_as_the_package_does(bundles, pictures, tmp_path):
    visible, infrared = pictures / "vi" / "0.png", pictures / "ir" / "0.png"
    run(bundles / NAMES[1], mri=str(visible), functional=str(infrared), output_dir=str(tmp_path / "out"))
    expected = fuse(visible, infrared, FuseSettings(modality=Modality.INFRARED)).volume.array[:, :, 0]
    written = np.asarray(Image.open(tmp_path / "out" / "fused.png").convert("RGB"))
    np.testing.assert_array_equal(written, np.moveaxis(expected, 0, 1))


def test_studies_in_memory_never_touch_a_file(bundles, study, tmp_path, monkeypatch):
    mri, pet = (load_volume(path) for path in study)
    bundle = bundles / NAMES[0]
    monkeypatch.chdir(tmp_path)
    before = sorted([*tmp_path.rglob("*"), *bundle.rglob("*")])
    flow = create_workflow(
        config_file=str(bundle / "configs" / "inference.json"),
        workflow_type="inference",
        logging_file=False,
        bundle_root=str(bundle),
        settings={"modality": "pet"},
        output_dir="",
        device="cpu",
    )
    images = {
        name: MetaTensor(torch.from_numpy(np.array(v.array))[None], affine=torch.from_numpy(v.affine.copy()))
        for name, v in (("mri", mri), ("functional", pet))
    }
    flow.dataset_data = [images]
    flow.initialize()
    flow.run()
    expected = fuse(mri, pet, FuseSettings(modality=Modality.PET))
    np.testing.assert_array_equal(flow.evaluator.state.output["pred"][0, 0].numpy(), expected.luminance.array)
    assert sorted([*tmp_path.rglob("*"), *bundle.rglob("*")]) == before


def test_a_process_that_reads_ahead_changes_nothing(bundles, study, tmp_path):
    mri, pet = study
    entries = [{"name": name, "mri": mri.name, "functional": pet.name} for name in ("a", "b")]
    (tmp_path / "list.json").write_text(json.dumps({"testing": entries}))
    run(
        bundles / NAMES[0],
        datalist=str(tmp_path / "list.json"),
        dataset_dir=str(tmp_path),
        settings={"modality": "pet"},
        output_dir=str(tmp_path / "many"),
        formats="nifti",
        workers=1,
    )
    expected = fuse(mri, pet, FuseSettings(modality=Modality.PET)).volume.array
    for name in ("a", "b"):
        np.testing.assert_array_equal(load_volume(tmp_path / "many" / name / "fused_rgb.nii.gz").array, expected)


def test_a_setting_that_the_configuration_does_not_name_can_be_given(bundles):
    flow = workflow(bundles / NAMES[0], "inference", **{"settings#lut": "viridis", "settings#opacity": [0.1, 0.4]})
    flow.initialize()
    for step in flow.preprocessing.transforms:
        assert step.settings == {"modality": None, "lut": "viridis", "opacity": [0.1, 0.4]}


def test_the_example_in_memory_agrees_with_itself_and_with_the_package(bundles, capsys):
    example = runpy.run_path(str(BUNDLES / NAMES[0] / "docs" / "in_memory.py"))
    example["main"](bundles / NAMES[0])
    said = capsys.readouterr().out
    assert "properties that are missing: []" in said and "both ways agree: True" in said
    study = example["simulated_study"]()
    mri, pet = (Volume(study[k].numpy()[0], np.asarray(study[k].affine)) for k in ("mri", "functional"))
    expected = fuse(mri, pet, FuseSettings(modality=Modality.PET, functional_window=(0, 8))).luminance.array
    found = example["with_configuration"](bundles / NAMES[0], [study])
    np.testing.assert_array_equal(found[0, 0].numpy(), expected)
