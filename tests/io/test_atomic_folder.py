from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from upfusion_med.core import RuntimeFailure, UsageError
from upfusion_med.io.atomic_folder import atomic_folder, folder_contents, moved_into


def test_folder_appears_when_all_is_written(tmp_path):
    with atomic_folder(tmp_path / "a" / "b") as beside:
        (beside / "one.txt").write_text("1")
        assert not (tmp_path / "a" / "b").exists()
    assert (tmp_path / "a" / "b" / "one.txt").read_text() == "1"
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b"]


def test_a_folder_that_is_there_is_filled_from_within_as_a_mount_point_must_be(tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    for place in ("../out", "."):
        with atomic_folder(place) as hidden:
            (hidden / "one.txt").write_text("1")
            assert [p.name for p in tmp_path.iterdir()] == ["out"]
            assert [p.name[0] for p in (tmp_path / "out").iterdir()] == ["."]
        assert [p.name for p in (tmp_path / "out").iterdir()] == ["one.txt"]
        (tmp_path / "out" / "one.txt").unlink()


def test_an_error_while_files_are_moved_puts_everything_back(tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    (out / "a").write_text("old")
    (out / "z").write_text("old")
    moves = []
    real = Path.replace

    def interrupted(self, target):
        moves.append(self.name)
        if len(moves) == 4:
            raise KeyboardInterrupt
        return real(self, target)

    with pytest.raises(KeyboardInterrupt), moved_into(out, [out / "z", out / "a"], last="a") as new:
        (new / "a").write_text("new")
        (new / "b").write_text("new")
        monkeypatch.setattr(Path, "replace", interrupted)
    assert moves[:4] == ["a", "z", "b", "a"], "the last goes first and comes last"
    assert sorted((p.name, p.read_text()) for p in out.iterdir()) == [("a", "old"), ("z", "old")]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_what_killed_runs_left_hidden_is_no_content_and_goes(tmp_path):
    out = tmp_path / "out"
    for left in (out / ".out.0123abcd.part", tmp_path / ".out.89abcdef.part"):
        (left / "new").mkdir(parents=True)
        (left / "new" / "image.nii").write_text("patient")
    (tmp_path / ".out.backup.part").mkdir()
    assert folder_contents(out) == []
    with atomic_folder(out) as new:
        (new / "one.txt").write_text("1")
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == [
        ".out.backup.part", "out", "out/one.txt"
    ]  # fmt: skip


def test_of_two_runs_into_one_folder_the_first_is_told_and_never_finishes_with_a_part(tmp_path, monkeypatch):
    out, remove = tmp_path / "out", shutil.rmtree
    first, second = moved_into(out), moved_into(out)
    new = first.__enter__()
    (new / "one.txt").write_text("first")

    def while_the_first_writes(folder, *options, **more):
        for file in Path(folder).rglob("*.txt"):
            file.unlink()
        if new.is_dir():
            (new / "two.txt").write_text("first")  # so what it lies in cannot be removed
        else:
            remove(folder, *options, **more)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", while_the_first_writes)
        (second.__enter__() / "one.txt").write_text("second")
    with pytest.raises(RuntimeFailure, match="is gone: another run writes there"):
        first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert [(p.name, p.read_text()) for p in out.iterdir()] == [("one.txt", "second")]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_nothing_is_left_after_an_error(tmp_path):
    with pytest.raises(RuntimeFailure, match="No space left"), atomic_folder(tmp_path / "out") as beside:
        (beside / "one.txt").write_text("1")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "out"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_kept(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"), atomic_folder(tmp_path / "out"):
        pass
    with pytest.raises(UsageError, match="is a file"), atomic_folder(tmp_path / "out" / "mine.txt"):
        pass
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


def test_rights_are_those_of_any_new_folder(tmp_path):
    (tmp_path / "plain").mkdir()
    with atomic_folder(tmp_path / "out"):
        pass
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "plain").stat().st_mode
