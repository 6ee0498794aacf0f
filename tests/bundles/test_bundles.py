"""The two MONAI bundles, run in memory and on files through MONAI's own entry points."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("monai", reason="MONAI is not installed (extra 'monai')")
pytest.importorskip("ignite", reason="pytorch-ignite is not installed (extra 'monai')")

from monai.bundle import ConfigWorkflow, verify_net_in_out
from monai.data import MetaTensor

from upfusion_med.bundle import PairNetwork, save_bundle_weights
from upfusion_med.core import FuseSettings, Modality, UsageError
from upfusion_med.inference import fuse
from upfusion_med.io import load_volume, save_scalar_nifti

BUNDLES = Path(__file__).parents[2] / "bundles"
NAMES = ("upfusion_mri_pet_spect", "upfusion_ivif")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory) -> Path:
    """Copies of the bundles with their weights."""
    root = tmp_path_factory.mktemp("bundles")
    for name in NAMES:
        shutil.copytree(BUNDLES / name, root / name, ignore=shutil.ignore_patterns("models", "eval", "train"))
        save_bundle_weights(root / name / "models" / "model.pt")
    return root


@pytest.fixture
def study(tmp_path) -> tuple[Path, Path]:
    """An oblique MRI and a coarser PET on a flipped grid."""
    x, y, z = np.mgrid[0:40, 0:36, 0:12]
    r = np.hypot((x - 20) / 16, (y - 18) / 14)
    mri = np.where(r < 1, 300 + 400 * (r > 0.8) + 60 * np.sin(x / 3) * np.cos(z), 0)
    angle = np.deg2rad(15)
    affine = np.eye(4)
    affine[:3, :3] = [
        [np.cos(angle), 0, np.sin(angle)],
        [0, 1.1, 0],
        [-np.sin(angle), 0, np.cos(angle)],
    ] @ np.diag([1.0, 1.0, 3.0])
    coarse = affine @ np.diag([2.0, -2.0, 1.0, 1.0])
    coarse[:3, 3] = affine[:3, 3] + affine[:3, :3] @ [0.5, 35.5, 0]
    u, v, _ = np.mgrid[0:20, 0:18, 0:12]
    pet = np.where(np.hypot((u - 10) / 7, (v - 9) / 6) < 1, 1.0, 0) + 8.0 * (np.hypot(u - 12, v - 9) < 2)
    save_scalar_nifti(tmp_path / "t1.nii.gz", mri.astype(np.float32), affine)
    save_scalar_nifti(tmp_path / "pet.nii.gz", pet.astype(np.float32), coarse)
    return tmp_path / "t1.nii.gz", tmp_path / "pet.nii.gz"


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Four small infrared-visible pairs."""
    rng = np.random.default_rng(0)
    for number in range(4):
        y, x = np.mgrid[0:72, 0:80]
        for folder in ("vi", "ir"):
            wave = 127 + 90 * np.sin(x / rng.uniform(4, 12)) * np.cos(y / rng.uniform(4, 12))
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(wave.astype(np.uint8)).save(tmp_path / folder / f"{number}.png")
    return tmp_path


def workflow(bundle: Path, config: str, **overrides) -> ConfigWorkflow:
    kind = "train" if config == "train" else "inference"
    return ConfigWorkflow(
        str(bundle / "configs" / f"{config}.json"),
        meta_file=str(bundle / "configs" / "metadata.json"),
        workflow_type=kind,
        logging_file=False,
        bundle_root=str(bundle),
        **overrides,
    )


@pytest.mark.parametrize("name", NAMES)
def test_metadata_has_what_schema_and_zoo_demand(name, shared):
    import jsonschema

    metadata = json.loads((BUNDLES / name / "configs" / "metadata.json").read_text())
    schema = json.loads((shared / "refs" / "bundle_schema_20240725.json").read_text())
    jsonschema.validate(metadata, schema)
    assert metadata["version"] in metadata["changelog"]


@pytest.mark.parametrize("name", NAMES)
def test_a_bundle_has_its_files_and_no_logic_in_scripts(name):
    root = BUNDLES / name
    for file in ("LICENSE", "docs/README.md", "docs/data_license.txt", "configs/logging.conf", "configs/metadata.json"):
        assert (root / file).is_file(), file
    assert not list(root.rglob("*.py")) or all("docs" in p.parts for p in root.rglob("*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_the_weights_agree_with_the_shipped_ones(bundles, name):
    from upfusion_med.weights import load_checkpoint

    network = PairNetwork(prompt="mri_pet")
    network.load_state_dict(torch.load(bundles / name / "models" / "model.pt", weights_only=True))
    checkpoint = load_checkpoint("upfusion")
    image = torch.rand(1, 2, 48, 40, generator=torch.Generator().manual_seed(0))
    code = torch.from_numpy(checkpoint.prompts.code("mri_pet"))[None]
    with torch.no_grad():
        expected = checkpoint.network()(image[:, :1], image[:, 1:], code)
        torch.testing.assert_close(network.eval()(image), expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_the_network_has_the_inputs_and_outputs_of_the_metadata(bundles, name):
    configs = bundles / name / "configs"
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(configs / "metadata.json"),
        config_file=str(configs / "inference.json"),
        device="cpu",
        n=2,
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_properties_of_the_inference_workflow_are_complete(bundles, name):
    flow = workflow(bundles / name, "inference")
    flow.initialize()
    assert flow.check_properties() == []


def test_the_properties_of_the_training_workflow_are_complete(bundles, pictures):
    flow = workflow(bundles / "upfusion_ivif", "train", dataset_dir=str(pictures), validation_share=0.5)
    flow.initialize()
    assert flow.check_properties() == []


def test_the_bundle_and_the_package_give_the_same_voxels(bundles, study, tmp_path):
    mri, pet = study
    settings = {"modality": "pet", "functional_window": [0, 9]}
    flow = workflow(
        bundles / NAMES[0],
        "inference",
        mri=str(mri),
        functional=str(pet),
        settings=settings,
        output_dir=str(tmp_path / "out"),
        device="cpu",
    )
    flow.initialize()
    flow.run()
    expected = fuse(mri, pet, FuseSettings(modality=Modality.PET, functional_window=(0, 9)))
    written = load_volume(tmp_path / "out" / "fused_luminance.nii.gz")
    np.testing.assert_array_equal(written.array, expected.luminance.array)
    np.testing.assert_allclose(written.affine, expected.volume.affine, atol=1e-5)
    colours = load_volume(tmp_path / "out" / "fused_rgb.nii.gz")
    np.testing.assert_array_equal(colours.array, expected.volume.array)


def test_studies_in_memory_never_touch_a_file(bundles, study):
    mri, pet = (load_volume(path) for path in study)
    flow = workflow(
        bundles / NAMES[0], "inference", settings={"modality": "pet"}, output_dir=None, device="cpu", redo=True
    )
    flow.initialize()
    images = {
        name: MetaTensor(torch.from_numpy(np.array(v.array))[None], affine=torch.from_numpy(v.affine.copy()))
        for name, v in (("mri", mri), ("functional", pet))
    }
    flow.dataset_data = [images]
    flow.initialize()
    flow.run()
    expected = fuse(mri, pet, FuseSettings(modality=Modality.PET))
    np.testing.assert_array_equal(flow.evaluator.state.output["pred"][0, 0].numpy(), expected.luminance.array)


def test_one_bad_study_does_not_stop_the_others_and_a_second_run_goes_on(bundles, study, tmp_path, capsys):
    mri, pet = study
    listed = [
        {"name": "good", "mri": str(mri), "functional": str(pet)},
        {"name": "lost", "mri": str(mri), "functional": str(tmp_path / "nowhere.nii.gz")},
    ]
    (tmp_path / "list.json").write_text(json.dumps({"testing": listed}))
    options = {
        "datalist": str(tmp_path / "list.json"),
        "settings": {"modality": "pet"},
        "output_dir": str(tmp_path / "many"),
        "formats": ["nifti"],
        "device": "cpu",
    }
    flow = workflow(bundles / NAMES[0], "inference", **options)
    flow.initialize()
    with pytest.raises(SystemExit) as stop:
        flow.run()
    assert stop.value.code == 3
    assert "Failed: lost: The functional image cannot be used." in capsys.readouterr().err
    assert (tmp_path / "many" / "good" / "fused_rgb.nii.gz").is_file()
    table = (tmp_path / "many" / "studies.csv").read_text()
    assert "good,done" in table and "lost,failed" in table
    again = workflow(bundles / NAMES[0], "inference", **options)
    again.initialize()
    assert [s["name"] for s in again.dataset.data] == ["lost"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("no json", "is not JSON"),
        ('{"training": []}', 'no studies under "testing"'),
        ('{"testing": [{"mri": "a"}]}', "study 0 lacks functional"),
        ('{"testing": [{"mri": "a", "functional": "b", "name": "../x"}]}', "no folder name"),
    ],
)
def test_a_wrong_datalist_is_refused_with_its_reason(tmp_path, content, words):
    from upfusion_med.bundle import study_list
    from upfusion_med.core import InputError

    (tmp_path / "list.json").write_text(content)
    with pytest.raises(InputError, match=words):
        study_list(datalist=str(tmp_path / "list.json"))
    with pytest.raises(UsageError, match="One image is missing"):
        study_list(mri="a.nii.gz")


def test_infrared_pictures_are_fused_as_the_package_does(bundles, pictures, tmp_path):
    visible, infrared = pictures / "vi" / "0.png", pictures / "ir" / "0.png"
    flow = workflow(
        bundles / NAMES[1],
        "inference",
        mri=str(visible),
        functional=str(infrared),
        output_dir=str(tmp_path / "out"),
        device="cpu",
    )
    flow.initialize()
    flow.run()
    expected = fuse(visible, infrared, FuseSettings(modality=Modality.INFRARED)).volume.array[:, :, 0]
    written = np.asarray(Image.open(tmp_path / "out" / "fused.png").convert("RGB"))
    np.testing.assert_array_equal(written, np.moveaxis(expected, 0, 1))


def test_evaluation_gives_the_metrics_of_this_package(bundles, pictures, tmp_path):
    from upfusion_med.metrics import compute

    flow = workflow(
        bundles / NAMES[1], "evaluate", dataset_dir=str(pictures), output_dir=str(tmp_path / "eval"), device="cpu"
    )
    flow.initialize()
    flow.run()
    metrics = flow.evaluator.state.metrics
    values = []
    for item in flow.dataset:
        with torch.no_grad():
            fused = flow.network_def(item["image"][None])
        values.append(compute(*(255 * x.numpy() for x in (fused[0, 0], *item["image"])), names=["vif"])["vif"])
    assert metrics["vif"] == pytest.approx(np.mean(values), rel=1e-5)
    assert {"q_p", "q_abf", "ssim", "scd", "vif_a", "vif_b"} <= set(metrics)


def test_training_learns_on_tiny_data_and_its_weights_load(bundles, pictures, tmp_path):
    flow = workflow(
        bundles / NAMES[1],
        "train",
        dataset_dir=str(pictures),
        output_dir=str(tmp_path / "train"),
        device="cpu",
        epochs=2,
        crops_per_epoch=4,
        batch_size=2,
        validation_crops=2,
        validation_share=0.5,
        side=64,
    )
    flow.initialize()
    before = {k: v.clone() for k, v in flow.network_def.state_dict().items()}
    flow.run()
    changed = sum(not torch.equal(before[k], v) for k, v in flow.network_def.state_dict().items())
    assert changed > 50
    trained = torch.load(tmp_path / "train" / "model.pt", weights_only=True)
    PairNetwork().load_state_dict(trained.get("model", trained))


def test_the_traced_network_takes_any_size_that_divides_by_eight():
    network = PairNetwork(prompt="mri_ct").eval()
    with torch.no_grad():
        traced = torch.jit.trace(network, torch.rand(1, 2, 64, 64), check_trace=False)
        for size in ((64, 64), (96, 72)):
            image = torch.rand(1, 2, *size)
            torch.testing.assert_close(traced(image), network(image))
