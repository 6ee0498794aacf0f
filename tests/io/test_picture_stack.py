from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.io.dicom.fused_phantom import colours
from upfusion_med.core import InputError, SliceAxis, UsageError
from upfusion_med.io import save_cine, save_picture_stack
from upfusion_med.io.picture_stack import slice_pictures


def with_world_colours(codes: str):
    """A volume whose channels grow to the patient's right, front and head, stored along ``codes``; 2 mm along z."""
    from nibabel.orientations import axcodes2ornt

    order, signs = axcodes2ornt(tuple(codes)).T
    spacing = np.array([1.0, 1.0, 2.0])
    affine = np.eye(4)
    affine[:3, :3] = 0
    for index, (world, sign) in enumerate(zip(order.astype(int), signs, strict=True)):
        affine[world, index] = sign * spacing[world]
    size = np.array([8, 10, 6])
    shape = [int(size[int(world)]) for world in order]
    index = np.stack(np.indices(shape)).reshape(3, -1)
    places = affine[:3, :3] @ index
    levels = (places - places.min(axis=1, keepdims=True)) / spacing[:, None] * 20
    return levels.T.reshape(*shape, 3).astype(np.uint8), affine


@pytest.mark.parametrize("codes", ["RAS", "LPS", "LAS", "PSR", "ILA"])
def test_pictures_show_right_and_front_on_the_left_and_front_or_head_at_the_top(codes):
    rgb, affine = with_world_colours(codes)
    axial = slice_pictures(rgb, affine, SliceAxis.AXIAL)
    coronal = slice_pictures(rgb, affine, SliceAxis.CORONAL)
    sagittal = slice_pictures(rgb, affine, SliceAxis.SAGITTAL)
    assert axial.shape == (6, 10, 8, 3)
    assert coronal.shape == (10, 12, 8, 3), "2 mm along the head axis is shown as two pixels"
    assert sagittal.shape == (8, 12, 10, 3)
    right, front, head = 0, 1, 2
    assert axial[0, 0, 0, right] > axial[0, 0, -1, right]
    assert axial[0, 0, 0, front] > axial[0, -1, 0, front]
    assert coronal[0, 0, 0, right] > coronal[0, 0, -1, right]
    assert coronal[0, 0, 0, head] > coronal[0, -1, 0, head]
    assert sagittal[0, 0, 0, front] > sagittal[0, 0, -1, front]
    assert sagittal[0, 0, 0, head] > sagittal[0, -1, 0, head]
    assert axial[0, 0, 0, head] > axial[-1, 0, 0, head]
    assert coronal[0, 0, 0, front] > coronal[-1, 0, 0, front]
    assert sagittal[0, 0, 0, right] > sagittal[-1, 0, 0, right]


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_pictures_of_square_pixels_keep_their_bytes(tmp_path, suffix):
    rgb = colours((7, 5, 3))
    files = save_picture_stack(tmp_path / "out", rgb, np.diag([-1.0, -1.0, 3.0, 1.0]), suffix=suffix)
    assert [f.name for f in files] == [f"axial_000{n}{suffix}" for n in (1, 2, 3)]
    for k, file in enumerate(files):
        np.testing.assert_array_equal(np.asarray(Image.open(file)), rgb[:, :, 2 - k].swapaxes(0, 1))


def test_cine_shows_every_slice(tmp_path):
    rgb = np.zeros((20, 10, 4, 3), np.uint8)
    for k in range(4):
        rgb[:, :, k] = (0, 60 * k, 0)
    file = save_cine(tmp_path / "c.gif", rgb, np.diag([-1.0, -2.0, 3.0, 1.0]), frames_per_second=20)
    picture = Image.open(file)
    assert picture.n_frames == 4
    assert picture.size == (20, 20)
    assert picture.info["duration"] == 50
    shown = []
    for k in range(4):
        picture.seek(k)
        shown.append(np.asarray(picture.convert("RGB"))[5, 5].tolist())
    assert shown == [[0, 180, 0], [0, 120, 0], [0, 60, 0], [0, 0, 0]]


def test_wrong_calls_are_refused(tmp_path):
    rgb = colours((4, 5, 6))
    with pytest.raises(UsageError, match=r"\.jpg"):
        save_picture_stack(tmp_path / "out", rgb, np.eye(4), suffix=".jpg")
    with pytest.raises(UsageError, match="float64"):
        save_picture_stack(tmp_path / "out", rgb / 255, np.eye(4))
    with pytest.raises(UsageError, match="0 pictures a second"):
        save_cine(tmp_path / "c.gif", rgb, np.eye(4), frames_per_second=0)
    sheared = np.eye(4)
    sheared[0, 1] = 0.5
    with pytest.raises(InputError, match="sheared"):
        save_cine(tmp_path / "c.gif", rgb, sheared)
    assert list(tmp_path.iterdir()) == []
