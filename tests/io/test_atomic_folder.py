from __future__ import annotations

import errno

import pytest

from upfusion_med.core import RuntimeFailure, UsageError
from upfusion_med.io.atomic_folder import atomic_folder


def test_folder_appears_when_all_is_written(tmp_path):
    with atomic_folder(tmp_path / "a" / "b") as beside:
        (beside / "one.txt").write_text("1")
        assert not (tmp_path / "a" / "b").exists()
    assert (tmp_path / "a" / "b" / "one.txt").read_text() == "1"
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b"]


def test_empty_folder_is_filled(tmp_path):
    (tmp_path / "out").mkdir()
    with atomic_folder(tmp_path / "out") as beside:
        (beside / "one.txt").write_text("1")
    assert (tmp_path / "out" / "one.txt").exists()


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
