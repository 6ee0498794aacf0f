"""Pairs of pictures, and infrared with visible ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.inference.maximum_backend import MaximumBackend
from upfusion_med.core import FuseSettings, Modality, UsageError, Volume
from upfusion_med.inference import fuse
from upfusion_med.io import save_picture


def test_a_pair_of_pictures_gives_a_picture_of_its_size(tmp_path):
    rng = np.random.default_rng(0)
    save_picture(tmp_path / "mr.png", rng.integers(0, 255, (31, 45), dtype=np.uint8))
    save_picture(tmp_path / "spect.png", rng.integers(0, 255, (31, 45, 3), dtype=np.uint8))
    result = fuse(tmp_path / "mr.png", tmp_path / "spect.png", backend=MaximumBackend())
    files = {f.name for f in result.save(tmp_path / "out")}
    assert files == {"fused.png", "contact_sheet.png", "report.json"}
    assert result.volume.array.shape == (31, 45, 1, 3)
    assert result.report["modality"] == {"value": "spect", "how": "guessed from 'spect' in the file name"}


def test_infrared_keeps_the_colours_of_the_visible_picture(tmp_path):
    visible = np.zeros((32, 32, 3), np.uint8)
    visible[...] = np.linspace(20, 90, 32, dtype=np.uint8)[:, None, None]
    visible[..., 2] += 60
    warm = np.zeros((32, 32), np.uint8)
    warm[10:14, 10:14] = 200
    save_picture(tmp_path / "vi.png", visible)
    save_picture(tmp_path / "ir.png", warm)
    seen = []

    class Watching(MaximumBackend):
        def fuse(self, functional, mri, context):
            seen.append((functional.max(), mri.max()))
            return super().fuse(functional, mri, context)

    settings = FuseSettings(modality=Modality.INFRARED)
    result = fuse(tmp_path / "vi.png", tmp_path / "ir.png", settings, backend=Watching())
    fused = result.volume.array[:, :, 0]
    assert (fused[20, 20, 2] - fused[20, 20, 0]) == pytest.approx(60, abs=3)
    assert result.luminance.array[12, 12, 0] == pytest.approx(200 / 255, abs=0.01)
    assert seen[0][0] < seen[0][1], "the network wants the visible picture first"
    assert result.mri.array[12, 12, 0] == pytest.approx(200 / 255, abs=0.01)
    assert np.array_equal(result.functional.array[:, :, 0], visible)


def infrared_pair() -> tuple[Volume, Volume]:
    """A visible and an infrared volume, columns and rows of different waves."""
    i, j, _ = np.mgrid[0:24, 0:24, 0:3]
    waves = (100 + 80 * np.sin(k).astype(np.float32) for k in (i, j))
    visible, infrared = (Volume(wave, np.eye(4)) for wave in waves)
    return visible, infrared


def test_the_share_of_alpha_blending_is_that_of_the_infrared_picture():
    visible, infrared = infrared_pair()
    part = infrared.with_array(infrared.array[..., :2])
    for share in (0.0, 0.25, 1.0):
        settings = FuseSettings(
            modality="infrared", blend="alpha", alpha=share, mri_window=(0, 255), functional_window=(0, 255)
        )
        shown = fuse(visible, part, settings).volume.array[..., 0]
        expected = (1 - share) * visible.array + share * infrared.array
        expected[..., 2] = visible.array[..., 2]  # beyond the infrared field of view
        np.testing.assert_allclose(shown, expected, atol=1)


def test_the_attribution_of_an_infrared_pair_is_one_where_the_detail_is_visible(monkeypatch):
    visible, infrared = infrared_pair()
    said = []
    monkeypatch.setattr(
        "upfusion_med.inference.result.render_contact_sheet", lambda *_, notes, **__: said.extend(notes)
    )
    for fused, share in ((visible, 1.0), (infrared, 0.0)):

        class Copy(MaximumBackend):
            values = fused.array[None, ..., 0] / 255

            def fuse(self, functional, mri, context):
                return np.repeat(self.values, len(mri), axis=0)

        settings = FuseSettings(modality="infrared", attribution=True)
        result = fuse(visible, infrared, settings, backend=Copy())
        np.testing.assert_allclose(result.attribution.share, share, atol=0.05)
        result.contact_sheet()
    assert (
        said.count("Origin of the detail: blue from the visible, orange from the infrared image, grey from both.") == 2
    )
    with pytest.raises(UsageError, match="an infrared image has none"):
        fuse(visible, infrared, replace(settings, opacity=(0.1, 0.3)), backend=Copy())


def test_pictures_get_no_attribution_and_say_so(tmp_path):
    for name in ("vi", "ir"):
        save_picture(tmp_path / f"{name}.png", np.arange(400, dtype=np.uint8).reshape(20, 20))
    settings = FuseSettings(modality="infrared", attribution=True)
    result = fuse(tmp_path / "vi.png", tmp_path / "ir.png", settings, backend=MaximumBackend())
    assert result.attribution is None
    assert "--attribution had no effect: it is made for volumes." in result.report["warnings"]
