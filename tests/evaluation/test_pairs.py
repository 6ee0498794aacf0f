from __future__ import annotations

from pathlib import Path

import pytest

from upfusion_med.core import InputError, UsageError
from upfusion_med.evaluation.datasets import folder_pair, get_data_set
from upfusion_med.evaluation.pair_search import find_pairs
from upfusion_med.evaluation.pairs import only_with_result, pairs_of_folders, pictures_of
from upfusion_med.evaluation.subsets import choose_pairs, named_subset, read_pair_list

from .conftest import disc, save

ANY = folder_pair("pairs")
HARVARD_GROUPS = ("CT-MRI", "PET-MRI", "SPECT-MRI")
HARVARD = get_data_set("harvard")


def test_pairs_match_by_name_and_never_by_order(folders, tmp_path: Path) -> None:
    a, b = folders("1", "2", "3")
    (a / "1.png").unlink()
    (b / "3.png").unlink()
    found = pairs_of_folders(ANY, a, b)
    assert [(p.a.name, p.b.name) for p in found.pairs] == [("2.png", "2.png")]
    assert {(f.name, "has no partner of the same name" in f.reason) for f in found.failures} == {
        ("1", True),
        ("3", True),
    }


def test_suffixes_may_differ(folders, tmp_path: Path) -> None:
    a, b = folders("1")
    save(b / "1.bmp", disc(5))
    (b / "1.png").unlink()
    assert pairs_of_folders(ANY, a, b).pairs[0].b.name == "1.bmp"


def test_folders_without_a_common_name_are_refused(folders, tmp_path: Path) -> None:
    a, b = folders("1", "2")
    for file in b.iterdir():
        file.rename(file.with_name(f"ir{file.name}"))
    with pytest.raises(InputError, match="never matched by order"):
        pairs_of_folders(ANY, a, b)


def test_two_pictures_of_one_name_are_refused(folders) -> None:
    a, b = folders("1")
    save(a / "1.bmp", disc(3))
    with pytest.raises(InputError, match=r"1\.bmp and 1\.png"):
        pairs_of_folders(ANY, a, b)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no picture"):
        pictures_of(tmp_path)
    with pytest.raises(InputError, match="There is no folder"):
        pictures_of(tmp_path / "nowhere")


def test_the_table_of_the_atlas_gives_splits_and_patients(atlas: Path) -> None:
    found = find_pairs(HARVARD, atlas)
    assert found.split == "test"
    assert [p.name for p in found.pairs] == ["1001", "1002", "2001", "41001", "41002", "sa_21"]
    assert [p.case for p in found.pairs] == ["case01", "case01", "case02", "PET-A", "PET-A", "PET-D"]
    assert [p.name for p in find_pairs(HARVARD, atlas, "dev").pairs] == ["3001"]
    assert len(find_pairs(HARVARD, atlas, "all").pairs) == 7
    assert found.groups == ("CT-MRI", "PET-MRI")
    assert "SPECT-MRI: no folders" in found.notes[0]


def test_a_picture_that_the_table_lists_and_the_folder_lacks_is_a_failure(atlas: Path) -> None:
    (atlas / "CT-MRI" / "CT" / "2001.png").unlink()
    (atlas / "CT-MRI" / "MRI" / "2001.png").unlink()
    (atlas / "CT-MRI" / "CT" / "1002.png").unlink()
    found = find_pairs(HARVARD, atlas)
    assert {(f.group, f.name) for f in found.failures} == {("CT-MRI", "2001"), ("CT-MRI", "1002")}
    assert not find_pairs(HARVARD, atlas, "dev").failures


def test_a_split_is_refused_where_nothing_marks_it(atlas: Path) -> None:
    (atlas / "splits.csv").unlink()
    assert find_pairs(HARVARD, atlas).split == "all"
    with pytest.raises(UsageError, match="does not say which pairs belong to the split 'test'"):
        find_pairs(HARVARD, atlas, "test")
    with pytest.raises(UsageError, match="has no split 'nosuch'; expected one of test, dev, all"):
        find_pairs(HARVARD, atlas, "nosuch")


def test_a_table_without_its_columns_is_refused(atlas: Path) -> None:
    (atlas / "splits.csv").write_text("file,part\nx,y\n")
    with pytest.raises(InputError, match="has the columns file, part"):
        find_pairs(HARVARD, atlas)


def test_lists_and_tables_saved_with_a_byte_order_mark_are_read(atlas: Path, tmp_path: Path) -> None:
    table = atlas / "splits.csv"
    table.write_text(table.read_text(), encoding="utf-8-sig")
    assert find_pairs(HARVARD, atlas).split == "test"
    (tmp_path / "list.txt").write_text("sa_21\n", encoding="utf-8-sig")
    assert read_pair_list(tmp_path / "list.txt") == [("", "sa_21")]


@pytest.mark.parametrize("row", [b"CT-MRI\n", "CT-MRI,1001,1,test,Müller\n".encode("latin-1")])
def test_a_table_that_is_cut_short_or_not_in_utf_8_is_refused(atlas: Path, row: bytes) -> None:
    table = atlas / "splits.csv"
    table.write_bytes(table.read_bytes() + row)
    with pytest.raises(InputError, match=r"splits\.csv cannot be read"):
        find_pairs(HARVARD, atlas)


def test_a_list_chooses_pairs_of_any_split(atlas: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("# chosen\nCT-MRI/3001.png  # a dev pair\nsa_21\n")
    chosen = choose_pairs(find_pairs(HARVARD, atlas, "all"), read_pair_list(tmp_path / "list.txt"), "mine")
    assert [p.id for p in chosen.pairs] == ["CT-MRI/3001", "PET-MRI/sa_21"]
    assert chosen.split == "list 'mine'"


@pytest.mark.parametrize(
    ("name", "folders"),
    [
        ("msrs", ("{split}/vi", "{split}/ir")),
        ("llvip", ("visible/{split}", "infrared/{split}")),
        ("fmb", ("{split}/Visible", "{split}/Infrared")),
    ],
)
def test_all_pairs_of_a_set_are_those_of_the_folders_of_all_splits(
    tmp_path: Path, name: str, folders: tuple[str, str]
) -> None:
    for folder in folders:
        save(tmp_path / folder.format(split="test") / "2.png", disc(0))
        save(tmp_path / folder.format(split="train") / "1.png", disc(0))
    found = find_pairs(get_data_set(name), tmp_path, "all")
    assert ([p.name for p in found.pairs], found.split) == (["2", "1"], "all")
    group = found.groups[0]
    assert [p.name for p in choose_pairs(found, [(group, "2")], "mine").pairs] == ["2"]
    assert [p.name for p in find_pairs(get_data_set(name), tmp_path).pairs] == ["2"]


def test_a_name_in_two_splits_is_refused_where_both_are_asked_for(tmp_path: Path) -> None:
    for folder in ("test/vi", "test/ir", "train/vi", "train/ir"):
        save(tmp_path / folder / "1.png", disc(0))
    with pytest.raises(InputError, match=r"MSRS/1 is in two splits .*test/vi/1\.png and .*train/vi/1\.png"):
        find_pairs(get_data_set("msrs"), tmp_path, "all")


def test_half_a_split_is_named_where_all_are_asked_for(tmp_path: Path) -> None:
    for folder in ("test/vi", "test/ir", "train/vi"):
        save(tmp_path / folder / "1.png", disc(0))
    with pytest.raises(InputError, match="train/vi is there, but not its partner train/ir"):
        find_pairs(get_data_set("msrs"), tmp_path, "all")


@pytest.mark.parametrize("absent", [("CT-MRI", "9999"), ("Ct-MRI", "2001")])
def test_a_list_with_a_pair_that_is_not_there_names_it(atlas: Path, absent: tuple[str, str]) -> None:
    with pytest.raises(InputError, match=rf"1 pairs that are not in the folder: {'/'.join(absent)}\. .* CT-MRI, "):
        choose_pairs(find_pairs(HARVARD, atlas, "all"), [absent, ("CT-MRI", "1001")], "mine")


def test_results_lead_where_only_they_are_scored(folders, tmp_path: Path) -> None:
    a, b = folders("1", "2", "3")
    for name in ("1", "2", "stray"):
        save(tmp_path / "fused" / f"{name}.png", disc(7))
    found = only_with_result(pairs_of_folders(ANY, a, b), tmp_path / "fused")
    assert [p.name for p in found.pairs] == ["1", "2"]
    assert [f.name for f in found.failures] == ["stray"]
    assert "1 of 3 pairs have no result and were not scored: 3." in found.notes[0]


def test_results_of_other_names_are_refused(folders, tmp_path: Path) -> None:
    a, b = folders("1")
    save(tmp_path / "fused" / "one.png", disc(7))
    with pytest.raises(InputError, match="Rename them"):
        only_with_result(pairs_of_folders(ANY, a, b), tmp_path / "fused")


@pytest.mark.shared
def test_the_real_atlas_has_its_known_test_pairs(shared: Path) -> None:
    found = find_pairs(HARVARD, shared / "data" / "harvard")
    counts = {g: sum(p.group == g for p in found.pairs) for g in found.groups}
    assert counts == {"CT-MRI": 55, "PET-MRI": 103, "SPECT-MRI": 108}
    assert not found.failures
    assert all(p.case == HARVARD.case_of(p.group, p.name) for p in find_pairs(HARVARD, found.root, "all").pairs)


@pytest.mark.shared
def test_the_baseline_list_is_there_and_in_the_test_split(shared: Path) -> None:
    root = shared / "data" / "harvard"
    chosen = choose_pairs(find_pairs(HARVARD, root, "all"), named_subset("baseline", HARVARD_GROUPS), "baseline")
    assert len(chosen.pairs) == 72
    assert {p.id for p in chosen.pairs} <= {p.id for p in find_pairs(HARVARD, root, "test").pairs}


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "count"), [("msrs", 8), ("roadscene", 8), ("tno", 4), ("fmb", 1), ("m3fd", 2), ("llvip", 1)]
)
def test_the_baseline_list_of_infrared_sets_is_there(shared: Path, name: str, count: int) -> None:
    data = get_data_set(name)
    found = find_pairs(data, shared / "data" / "ivif" / "test" / name)
    assert len(choose_pairs(found, named_subset("baseline", found.groups), "baseline").pairs) == count
