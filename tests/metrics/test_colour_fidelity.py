from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.color import deltaE_ciede2000, rgb2lab

from upfusion_med.core import InputError
from upfusion_med.metrics.colour_fidelity import ciede2000, colour_fidelity, coloured_area, lab_from_srgb

#: Pairs 1, 7, 8, 9, 13, 17, 20, 25 of Sharma, Wu and Dalal (2005), table I: hue wrap-around, blue, greys.
SHARMA = (
    ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
    ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
    ((50.0, -1.0, 2.0), (50.0, 0.0, 0.0), 2.3669),
    ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0009), 7.1792),
    ((50.0, -0.001, 2.49), (50.0, 0.0009, -2.49), 4.8045),
    ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
    ((50.0, 2.5, 0.0), (58.0, 24.0, 15.0), 19.4535),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
)


@pytest.mark.parametrize(("first", "second", "expected"), SHARMA)
def test_differences_are_those_of_the_published_pairs(
    first: tuple[float, ...], second: tuple[float, ...], expected: float
) -> None:
    x, y = (torch.tensor(v, dtype=torch.float64).view(1, 3, 1) for v in (first, second))
    assert ciede2000(x, y).item() == pytest.approx(expected, abs=5e-5)


def test_colours_and_differences_equal_scikit_images() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype(float)
    labs = [rgb2lab(p / 255) for p in pictures]
    ours = lab_from_srgb(torch.from_numpy(pictures).permute(0, 3, 1, 2))
    assert np.allclose(ours.permute(0, 2, 3, 1).numpy(), np.stack(labs), atol=2e-2)  # other digits of the matrix
    exact = [torch.from_numpy(lab).permute(2, 0, 1)[None] for lab in labs]
    assert np.allclose(ciede2000(*exact)[0].numpy(), deltaE_ciede2000(*labs), atol=1e-9)


def coloured(level: float = 1.0) -> np.ndarray:
    picture = np.zeros((8, 8, 3))
    picture[2:6, 2:6] = (200 * level, 100 * level, 20 * level)
    return picture


def test_the_same_picture_loses_nothing() -> None:
    scores = colour_fidelity(coloured(), coloured())
    assert {key: value.item() for key, value in scores.items()} == pytest.approx(
        {"ciede2000": 0.0, "ciede2000_chroma": 0.0, "hue_turned": 0.0, "saturation_kept": 1.0}
    )


def test_dimming_changes_neither_hue_nor_saturation() -> None:
    scores = colour_fidelity(coloured(0.5), coloured())
    assert scores["hue_turned"].item() == pytest.approx(0.0, abs=1e-5)
    assert scores["saturation_kept"].item() == pytest.approx(1.0)
    assert scores["ciede2000"].item() > 10


def test_grey_added_keeps_hue_and_halves_saturation() -> None:
    functional = np.tile([150.0, 75.0, 0.0], (4, 4, 1))  # saturation 1
    washed = functional + 75.0  # 225, 150, 75: saturation 2/3
    scores = colour_fidelity(washed, functional)
    assert scores["saturation_kept"].item() == pytest.approx(2 / 3)
    assert scores["hue_turned"].item() == pytest.approx(0.0, abs=1e-5)
    assert scores["ciede2000_chroma"].item() < scores["ciede2000"].item()


def test_opposite_chroma_is_turned_by_half_a_circle() -> None:
    functional = np.tile([160.0, 100.0, 100.0], (4, 4, 1))
    luma = float(functional[0, 0] @ [0.299, 0.587, 0.114])
    assert colour_fidelity(2 * luma - functional, functional)["hue_turned"].item() == pytest.approx(180.0)


def test_only_the_coloured_area_counts() -> None:
    functional, fused = coloured(), coloured()
    fused[0, 0] = (0, 255, 0)
    assert colour_fidelity(fused, functional)["ciede2000"].item() == pytest.approx(0.0, abs=1e-9)
    area = coloured_area(torch.from_numpy(functional).permute(2, 0, 1)[None])
    assert area.sum() == 16


def test_a_grey_functional_picture_has_no_colour_to_lose() -> None:
    grey = np.full((4, 4, 3), 90.0)
    assert all(value.isnan().item() for value in colour_fidelity(grey, grey).values())
    with pytest.raises(InputError, match=r"\(H, W, 3\)"):
        colour_fidelity(grey[..., 0], grey)
    with pytest.raises(InputError, match="one shape"):
        colour_fidelity(grey[:2], grey)
