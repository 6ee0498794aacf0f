from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from upfusion_med.core import InputError, UsageError
from upfusion_med.evaluation.picture_levels import read_levels
from upfusion_med.training.configuration import read_config
from upfusion_med.training.pairs import PairOnDisk, TrainingPair, find_pairs, held_in_memory, read_luminance
from upfusion_med.training.trainer import Trainer

RECIPES = Path(__file__).resolve().parents[2] / "docs" / "recipes"


@pytest.fixture
def llvip(tmp_path: Path) -> Path:
    """The layout in which LLVIP is downloaded: colour JPEG of both, names that begin with the camera."""
    rng = np.random.default_rng(0)
    for kind in ("visible", "infrared"):
        folder = tmp_path / "LLVIP" / kind / "train"
        folder.mkdir(parents=True)
        for name in ("010001", "010002", "020001", "030001"):
            Image.fromarray(rng.integers(0, 255, (24, 32, 3), dtype=np.uint8)).resize((96, 72)).save(
                folder / f"{name}.jpg"
            )
    return tmp_path


def test_frames_of_one_llvip_camera_are_one_scene(llvip):
    found = find_pairs(llvip / "LLVIP/visible/train", llvip / "LLVIP/infrared/train", scene_prefix=2)
    assert [p.scene for p in found] == ["01", "01", "02", "03"]


def test_files_that_a_mac_adds_are_no_pictures(llvip):
    for kind in ("visible", "infrared"):
        (llvip / "LLVIP" / kind / "train" / "._010001.jpg").write_bytes(b"Mac OS X")
    names = [p.name for p in find_pairs(llvip / "LLVIP/visible/train", llvip / "LLVIP/infrared/train", scene_prefix=2)]
    assert names == ["010001", "010002", "020001", "030001"]


def test_one_folder_for_both_kinds_of_pictures_is_refused(llvip):
    folder = llvip / "LLVIP" / "visible" / "train"
    with pytest.raises(UsageError, match="are one folder"):
        find_pairs(folder, folder / ".." / "train")


@pytest.mark.parametrize("recipe", ["paper-llvip", "released-llvip"])
def test_published_recipes_run_on_llvip_as_it_is_downloaded(llvip, config, recipe, monkeypatch):
    monkeypatch.chdir(llvip)
    small = {
        "dim": 8, "blocks": (1, 1, 1, 1), "refinement_blocks": 1, "heads": (1, 1, 1, 1),
        "convnext_widths": (8, 8, 8, 8), "convnext_blocks": (1, 1, 1, 1),
    }  # fmt: skip
    read = replace(
        read_config(RECIPES / f"{recipe}.json"), text_codes=config.text_codes, backbone_weights=None, overrides=small,
        epochs=1, side=64, device="cpu", workers=0, validation_share=0.3, validation_pairs=0,
    )  # fmt: skip
    trainer = Trainer(read)
    assert len(trainer.training) + len(trainer.validation) == 4
    before = [p.detach().clone() for p in trainer.learned]
    trainer.run()
    assert trainer.step == trainer.length == 1
    assert any(not torch.equal(a, b) for a, b in zip(before, trainer.learned, strict=True))
    assert all(torch.isfinite(p).all() for p in trainer.learned)


def test_what_does_not_fit_into_memory_is_read_again_and_is_the_same(config):
    found = find_pairs(Path(config.visible), Path(config.infrared))
    held = held_in_memory(found, 2.5 * 2 * 96 * 80 / 2**30)
    assert [type(p) for p in held] == [TrainingPair, TrainingPair, TrainingPair, PairOnDisk]
    everything = held_in_memory(found, 1.0)
    assert all(np.array_equal(a.visible, b.visible) for a, b in zip(held, everything, strict=True))


def test_pairs_of_two_sizes_and_unreadable_pictures_are_named(config):
    Image.new("L", (10, 10)).save(Path(config.infrared) / "street_1.png")
    with pytest.raises(InputError, match="street_1"):
        find_pairs(Path(config.visible), Path(config.infrared))
    (Path(config.infrared) / "street_1.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="street_1"):
        find_pairs(Path(config.visible), Path(config.infrared))


def test_two_pictures_of_one_name_are_told(config):
    Image.new("L", (64, 64)).save(Path(config.visible) / "street_1.bmp")
    with pytest.raises(InputError, match=r"holds street_1\.bmp and street_1\.png"):
        find_pairs(Path(config.visible), Path(config.infrared))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_keep_their_structure_and_are_the_levels_that_are_scored(tmp_path, suffix):
    file = tmp_path / f"thermal.{suffix}"
    Image.fromarray(np.linspace(20000, 40000, 96 * 80).reshape(80, 96).astype(np.uint16)).save(file)
    found = read_luminance(file)
    assert (found.min(), found.max()) == (78, 156)
    assert np.array_equal(found, read_levels(file))


@pytest.mark.parametrize("value", [-1.0, 300.0, np.nan])
def test_values_that_are_no_levels_are_refused(tmp_path, value):
    Image.fromarray(np.full((20, 20), value, np.float32)).save(tmp_path / "kelvin.tif")
    with pytest.raises(InputError, match="kelvin"):
        read_luminance(tmp_path / "kelvin.tif")


def test_a_table_without_its_columns_is_told(config, tmp_path):
    (tmp_path / "t.csv").write_text("file,scene\nstreet_0,a\n")
    with pytest.raises(InputError, match="name"):
        find_pairs(Path(config.visible), Path(config.infrared), tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (b"street_0,a\nstreet_1,a\nstreet_2,b\n", "lacks 1 of 4 pairs: street_3"),
        (b"street_0.png,a\nstreet_1.png,a\nstreet_2.png,b\nstreet_3.png,b\n", "without suffix"),
        (b"street_0,a\nstreet_1,a\nstreet_2\nstreet_3,b\n", "no source_scene for street_2"),
        (b"street_0,caf\xe9\n", "UTF-8"),
    ],
)
def test_a_table_that_leaves_scenes_unknown_is_told(config, tmp_path, rows, words):
    (tmp_path / "t.csv").write_bytes(b"name,source_scene\n" + rows)
    with pytest.raises(InputError, match=words):
        find_pairs(Path(config.visible), Path(config.infrared), tmp_path / "t.csv")


def test_a_table_saved_by_a_spreadsheet_is_read(config, tmp_path):
    rows = "".join(f"street_{i},place_{i % 2}\r\n" for i in range(4))
    (tmp_path / "t.csv").write_text("name,source_scene\r\n" + rows, encoding="utf-8-sig")
    found = find_pairs(Path(config.visible), Path(config.infrared), tmp_path / "t.csv")
    assert [p.scene for p in found] == ["place_0", "place_1", "place_0", "place_1"]
