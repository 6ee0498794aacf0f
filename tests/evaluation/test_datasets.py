from __future__ import annotations

import re
from pathlib import Path

import pytest

from upfusion_med.core import InputError, UsageError
from upfusion_med.evaluation.datasets import DATA_SETS, camera_of_llvip, get_data_set, patient_of_harvard
from upfusion_med.evaluation.pair_search import find_pairs

from .conftest import disc, save


@pytest.mark.parametrize(
    ("group", "stem", "case"),
    [
        ("CT-MRI", "16009", "case16"),
        ("CT-MRI", "2004", "case02"),
        ("SPECT-MRI", "cdd_44", "case36"),
        ("PET-MRI", "25011", "PET-A"),
        ("PET-MRI", "41023", "PET-A"),
        ("CT-MRI", "41023", "case41"),
        ("PET-MRI", "sa_21", "PET-D"),
        ("CT-MRI", "phantom", "CT-MRI/phantom"),
    ],
)
def test_slices_of_one_person_share_a_case(group: str, stem: str, case: str) -> None:
    assert patient_of_harvard(group, stem) == case


def test_frames_of_one_llvip_camera_share_a_case() -> None:
    assert (
        camera_of_llvip("LLVIP", "190001") == camera_of_llvip("LLVIP", "190345") != camera_of_llvip("LLVIP", "260001")
    )


def test_an_unknown_set_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="harvard, msrs, llvip, m3fd, roadscene, tno, fmb, gfp-pc"):
        get_data_set("nosuch")


def test_spelling_of_a_set_does_not_matter() -> None:
    assert get_data_set("GFP_PC") is get_data_set("gfp") is get_data_set("gfp-pc")


@pytest.mark.parametrize(
    ("name", "a", "b"),
    [
        ("msrs", "test/vi", "test/ir"),
        ("msrs", "vi", "ir"),
        ("llvip", "visible/test", "infrared/test"),
        ("m3fd", "M3FD_Fusion/Vis", "M3FD_Fusion/Ir"),
        ("roadscene", "crop_LR_visible", "cropinfrared"),
        ("tno", "vi", "ir"),
        ("tno", "VIS", "IR"),
        ("fmb", "test/Visible", "test/Infrared"),
        ("gfp-pc", "GFP", "PC"),
        ("harvard", "SPECT-MRI/SPECT", "SPECT-MRI/MRI"),
    ],
)
def test_folders_are_found_as_people_download_them(tmp_path: Path, name: str, a: str, b: str) -> None:
    save(tmp_path / a / "x1.png", disc(0))
    save(tmp_path / b / "x1.png", disc(1))
    (pair,) = find_pairs(get_data_set(name), tmp_path).pairs
    assert (pair.a, pair.b) == (tmp_path / a / "x1.png", tmp_path / b / "x1.png")


@pytest.mark.parametrize("data", DATA_SETS, ids=lambda d: d.name)
def test_a_folder_of_something_else_is_refused_with_what_was_expected(tmp_path: Path, data) -> None:
    (tmp_path / "notes").mkdir()
    with pytest.raises(InputError, match=f"does not look like {data.title}; expected the folders") as told:
        find_pairs(data, tmp_path)
    assert "{" not in str(told.value)


def test_one_side_alone_is_named(tmp_path: Path) -> None:
    save(tmp_path / "test" / "vi" / "1.png", disc(0))
    with pytest.raises(InputError, match="test/vi is there, but not its partner test/ir"):
        find_pairs(get_data_set("msrs"), tmp_path)


def test_the_split_of_the_atlas_can_be_written_as_the_page_says(tmp_path: Path, monkeypatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "benchmark.md").read_text(encoding="utf-8")
    names = {"CT": ("16009", "2004"), "PET": ("41050", "25040", "sa_21"), "SPECT": ("9010", "36011", "3005", "cdd_44")}
    for kind, pictures in names.items():
        for k, name in enumerate(pictures):
            for side in (kind, "MRI"):
                save(tmp_path / "harvard" / f"{kind}-MRI" / side / f"{name}.png", disc(k))
    monkeypatch.chdir(tmp_path)
    exec(next(code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "splits.csv" in code), {})
    found = find_pairs(get_data_set("harvard"), tmp_path / "harvard", "test")
    assert [p.name for p in found.pairs] == ["16009", "41050", "sa_21", "36011", "9010", "cdd_44"]
    assert not found.failures and not found.notes
