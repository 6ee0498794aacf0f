from __future__ import annotations

import numpy as np
import pytest

from upfusion_med.cli import demo, fuse
from upfusion_med.core import UsageError
from upfusion_med.inference.demo_study import demo_study
from upfusion_med.io import load_volume


def test_the_inputs_of_the_demonstration_can_be_kept_and_are_the_same_every_time(tmp_path, monkeypatch):
    monkeypatch.setattr(fuse, "run", lambda *_: None)
    for name in ("first", "second"):
        demo.demo(output=tmp_path / "out", inputs=tmp_path / name, quiet=True)
    study = demo_study()
    for file, volume in (("mri.nii.gz", study.mri), ("simulated_pet.nii.gz", study.functional)):
        kept = load_volume(tmp_path / "first" / file)
        assert (kept.array == volume.array).all()
        assert np.allclose(kept.affine, volume.affine, atol=1e-5)
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()


def test_files_of_the_user_are_replaced_by_the_inputs_only_when_forced(tmp_path, monkeypatch):
    (tmp_path / "st").mkdir()
    mine = tmp_path / "st" / "mri.nii.gz"
    mine.write_text("mine")
    place = {"output": tmp_path / "out", "inputs": tmp_path / "st", "quiet": True}
    with pytest.raises(UsageError, match="exists"):
        demo.demo(**place)
    with pytest.raises(UsageError, match="nonexistent"):
        demo.demo(**place, force=True, model="nonexistent")
    assert mine.read_text() == "mine" and not (tmp_path / "out").exists()
    monkeypatch.setattr(fuse, "run", lambda *_: None)
    demo.demo(**place, force=True)
    assert load_volume(mine).array.ndim == 3
