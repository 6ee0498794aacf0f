from __future__ import annotations

import numpy as np
import pytest
import torch

from upfusion_med.core import InputError
from upfusion_med.metrics.images import (
    as_batch,
    flatten_constant,
    is_constant,
    luminance,
    mean_over_sources,
    prepare,
    refuse_unit_scale,
    round_to_levels,
    stretch,
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_luminance_of_whole_levels_is_exact(dtype: torch.dtype) -> None:
    red, green = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
    for blue in range(0, 256, 4):
        colours = torch.stack([red, green, torch.full_like(red, blue)])
        exact = (299 * red + 587 * green + 114 * blue + 500) // 1000
        assert torch.equal(luminance(colours[None].to(dtype))[0, 0].long(), exact)


def test_every_accepted_shape_becomes_a_batch_of_doubles() -> None:
    for image in (
        np.zeros((4, 5), dtype=np.uint8),
        np.zeros((4, 5, 3), dtype=np.float32),
        np.zeros((1, 1, 4, 5)),
        torch.zeros(4, 5, dtype=torch.uint8),
        torch.zeros(1, 3, 4, 5),
    ):
        batch = as_batch(image)
        assert batch.shape == (1, 1, 4, 5)
        assert batch.dtype is torch.float64


def test_colour_becomes_luma_rounded_half_up() -> None:
    picture = np.array([[[10.0, 20.0, 30.0], [255.0, 255.0, 255.0]]])
    assert as_batch(picture).flatten().tolist() == [np.floor(0.299 * 10 + 0.587 * 20 + 0.114 * 30 + 0.5), 255.0]


def test_views_of_any_layout_are_read_right() -> None:
    image = np.arange(20.0).reshape(4, 5)
    frozen = image.copy()
    frozen.setflags(write=False)
    for view, expected in (
        (image[::-1], image[::-1]),
        (image.T, image.T),
        (frozen, image),
        (image.astype(">f8"), image),
    ):
        assert np.array_equal(as_batch(view)[0, 0].numpy(), expected)


@pytest.mark.parametrize("bad", [np.zeros(4), np.zeros((2, 2, 4)), np.zeros((0, 4)), torch.zeros(1, 2, 4, 4)])
def test_other_shapes_are_refused(bad: object) -> None:
    with pytest.raises(InputError, match="expected"):
        as_batch(bad)


def test_values_that_are_not_finite_are_refused_with_their_image() -> None:
    good, bad = np.zeros((4, 4)), np.zeros((4, 4))
    bad[1, 2] = np.nan
    with pytest.raises(InputError, match="source b, 1 of 16 values are not finite"):
        prepare(good, good, bad)
    bad[1, 2] = np.inf
    with pytest.raises(InputError, match="not finite"):
        prepare(bad, good, good)


def test_images_of_two_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="expected one shape"):
        prepare(np.zeros((4, 4)), np.zeros((4, 5)), np.zeros((4, 4)))


def test_pictures_on_the_unit_scale_are_refused() -> None:
    unit = torch.rand(1, 1, 4, 4)
    with pytest.raises(InputError, match="multiply by 255"):
        refuse_unit_scale(unit, unit)
    refuse_unit_scale(torch.zeros(1, 1, 4, 4))
    refuse_unit_scale((torch.rand(1, 1, 4, 4) > 0.5).double())  # a binary picture of 0 and 1 is possible
    with pytest.raises(InputError, match=r"0\.\.255"):
        refuse_unit_scale(torch.full((1, 1, 4, 4), 300.0))


def test_one_picture_on_the_unit_scale_among_others_is_refused_by_name() -> None:
    unit, levels = torch.rand(1, 1, 4, 4), torch.full((1, 1, 4, 4), 90.0)
    with pytest.raises(InputError, match=r"of the fused image is 0\.\d+: it seems to be on the scale 0\.\.1"):
        refuse_unit_scale(unit, levels, levels)
    with pytest.raises(InputError, match="of source b is"):
        refuse_unit_scale(levels, levels, unit)


def test_constant_images_are_found_one_by_one() -> None:
    images = torch.zeros(4, 1, 20, 20, dtype=torch.float64)
    images[1] = 7.0
    images[2, 0, 19, 19] = 1.0
    images[3, 0, 3, 4] = 1.0
    assert is_constant(images).tolist() == [True, True, False, False]
    assert flatten_constant(images)[1].abs().max() == 0
    assert torch.equal(flatten_constant(images)[2], images[2])


def test_stretching_reaches_both_ends_and_makes_constant_images_zero() -> None:
    images = torch.tensor([[[[10.0, 20.0, 30.0]]], [[[9.0, 9.0, 9.0]]]], dtype=torch.float64)
    assert stretch(images).flatten().tolist() == [0.0, 128.0, 255.0, 0.0, 0.0, 0.0]


def test_rounding_is_half_up() -> None:
    assert round_to_levels(torch.tensor([0.49, 0.5, 1.5, 254.5])).tolist() == [0.0, 1.0, 2.0, 255.0]


def test_a_constant_source_takes_no_part_in_the_mean() -> None:
    varied = torch.arange(12.0).view(1, 1, 3, 4).repeat(3, 1, 1, 1)
    a, b = varied.clone(), varied.clone()
    a[1:] = 5.0
    b[2] = 0.0
    mean = mean_over_sources(torch.tensor([0.2, 9.0, 9.0]), torch.tensor([0.4, 0.4, 9.0]), a, b)
    assert mean[:2].tolist() == pytest.approx([0.3, 0.4])
    assert mean[2].isnan()
