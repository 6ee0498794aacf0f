"""Crops that look like other modalities, made from infrared-visible pairs only.

No medical picture is used. What medical pictures have and street scenes lack is imitated: large regions of exact zero,
smooth low-resolution uptake, saturated bone, inverted contrast. Each named prompt goes with its own imitation, so that
the text code tells the network what kind of pair it sees.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates, zoom

from upfusion_med.training.pairs import PicturePair

FloatImage = NDArray[np.float32]
#: Prompts a training crop can go with, and how often.
PROMPT_SHARES = {
    "universal": 0.15,
    "infrared_visible": 0.25,
    "mri_pet": 0.2,
    "mri_spect": 0.2,
    "mri_ct": 0.15,
    "gfp_phase_contrast": 0.05,
}
#: How much harder than usual the contrast of imitated MRI is, 0..1: that of an atlas is drawn from many scans.
MRI_CONTRAST = {"mri_pet": 0.8, "mri_spect": 0.3, "mri_ct": 0.3}
#: What a prompt asks for, as the share of the first picture in the similarity terms of the loss.
PROMPT_EMPHASIS = {
    "universal": 0.5,
    "infrared_visible": 0.5,
    "mri_pet": 0.5,
    "mri_spect": 0.5,
    "mri_ct": 0.55,
    "gfp_phase_contrast": 0.65,
}


def random_crop(
    pair: PicturePair, side: int, rng: np.random.Generator, most: float = 1.0
) -> tuple[FloatImage, FloatImage]:
    """The same random square of both pictures, mirrored and turned at random, in 0..1; reflected where too small.

    Args:
        pair: Infrared-visible pair.
        side: Side of the square in pixels.
        rng: Source of all randomness.
        most: A square of 1 to this many times the side, at random and as far as the picture goes, is reduced to it.
    """
    a, b = pair.visible, pair.infrared
    taken = side
    if most > 1:
        taken = max(side, min(round(side * rng.uniform(1.0, most)), *a.shape))
    lack = [max(taken - n, 0) for n in a.shape]
    if any(lack):
        pad = [(0, lack[0]), (0, lack[1])]
        a, b = np.pad(a, pad, mode="reflect"), np.pad(b, pad, mode="reflect")
    y, x = (int(rng.integers(0, n - taken + 1)) for n in a.shape)
    turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
    crops = []
    for image in (a, b):
        crop = np.rot90(image[y : y + taken, x : x + taken], turns)
        crop = crop[:, ::-1] if mirror else crop
        crops.append(_reduced(np.ascontiguousarray(crop).astype(np.float32) / 255.0, side))
    return crops[0], crops[1]


def _reduced(square: FloatImage, side: int) -> FloatImage:
    """A square made as small as ``side``, without aliasing."""
    if len(square) == side:
        return square
    smooth = gaussian_filter(square, 0.4 * len(square) / side)
    return zoom(smooth, side / len(square), order=1, mode="nearest", grid_mode=True).astype(np.float32)


def tone(image: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Random gamma, contrast, sometimes inversion, sometimes coarse quantisation."""
    if rng.random() < 0.5:
        image = image ** np.float32(np.exp(rng.uniform(-0.7, 0.7)))
    if rng.random() < 0.3:
        gain = rng.uniform(0.6, 1.6)
        image = np.clip(image * gain + rng.uniform(-0.15, 0.05), 0, 1)
    if rng.random() < 0.15:
        image = 1.0 - image
    if rng.random() < 0.1:
        levels = int(rng.integers(8, 64))
        image = (np.round(image * levels) / levels).astype(np.float32)
    return image.astype(np.float32)


def random_body(side: int, rng: np.random.Generator) -> tuple[FloatImage, FloatImage]:
    """Masks of a wobbling ellipse and of its inside, 1 there and exactly 0 outside, like a head in air."""
    y, x = np.mgrid[0:side, 0:side] / (side - 1.0) - 0.5
    angle = rng.uniform(0, np.pi)
    cy, cx = rng.uniform(-0.35, 0.35, 2)
    ry, rx = rng.uniform(0.25, 0.65, 2)
    u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
    v = -(x - cx) * np.sin(angle) + (y - cy) * np.cos(angle)
    phi = np.arctan2(v / ry, u / rx)
    wobble = 1 + sum(rng.uniform(-0.06, 0.06) * np.cos(k * phi + rng.uniform(0, 6.3)) for k in (2, 3, 5))
    distance = np.sqrt((u / rx) ** 2 + (v / ry) ** 2) / wobble
    return (distance <= 1).astype(np.float32), (distance <= rng.uniform(0.7, 0.95)).astype(np.float32)


def equalised(image: FloatImage, share: float) -> FloatImage:
    """The picture, drawn towards the one in which all levels are equally frequent."""
    levels = np.quantile(image, np.linspace(0, 1, 33))
    flat = np.interp(image, levels, np.linspace(levels[0], levels[-1], 33))
    return (image + share * (flat - image)).astype(np.float32)


def stretched(image: FloatImage, low: float, high: float) -> FloatImage:
    """From the quantile ``low`` at 0 to the quantile ``high`` at 1, clipped."""
    bottom, top = np.quantile(image, [low, high])
    return np.clip((image - bottom) / max(top - bottom, 0.05), 0, 1).astype(np.float32)


def soft_tissue(image: FloatImage, hardness: float, rng: np.random.Generator) -> FloatImage:
    """Strong contrast down to fine structure, as MRI shows tissue: details enlarged, the range used evenly.

    Args:
        image: Picture in 0..1.
        hardness: 0..1; 1 enlarges details e times as much as 0.
        rng: Source of all randomness.
    """
    smooth = gaussian_filter(image, rng.uniform(0.3, 0.8))
    base = gaussian_filter(smooth, rng.uniform(4.0, 12.0))
    strong = base + np.float32(np.exp(rng.uniform(hardness, 1.5 + hardness))) * (smooth - base)
    even = equalised(strong, rng.uniform(0.5 * hardness, 0.8))
    clipped = 0.05 * hardness
    light = stretched(even, rng.uniform(0.0, 0.1), rng.uniform(0.95 - 2 * clipped, 1.0 - clipped))
    return light * np.float32(rng.uniform(0.6 + 0.3 * hardness, 1.0))


def akin(a: FloatImage, b: FloatImage, rng: np.random.Generator) -> FloatImage:
    """The first picture with a share of the second's structure, as two pictures of one body have."""
    share = np.float32(rng.uniform(0.2, 0.7))
    return (1 - share) * a + share * b


def smooth_uptake(image: FloatImage, blur: float, rng: np.random.Generator) -> FloatImage:
    """Low-resolution uptake: blurred (sigma in pixels), its darkest part taken as nothing, stretched."""
    even = equalised(gaussian_filter(image, blur), rng.uniform(0.0, 0.8))
    return stretched(even, rng.uniform(0.0, 0.5), rng.uniform(0.97, 1.0)) * np.float32(rng.uniform(0.4, 1.0))


def hot_uptake(image: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Uptake in a narrow window, as PET of the brain is shown: little blur, much of it bright, much of it nothing."""
    return saturated_window(gaussian_filter(image, rng.uniform(0.3, 1.5)), rng) * np.float32(rng.uniform(0.7, 1.0))


def painted(uptake: FloatImage, rng: np.random.Generator) -> FloatImage:
    """The luminance of uptake in a rainbow of colours: it rises and falls, with sharp contours between."""
    stops = np.linspace(0, 1, int(rng.integers(5, 9)))
    levels = np.concatenate([[0.0], rng.uniform(0.15, 1.0, len(stops) - 1)])
    return np.interp(uptake, stops, levels).astype(np.float32)


def saturated_window(image: FloatImage, rng: np.random.Generator) -> FloatImage:
    """A narrow display window: much of the picture black, its brightest part saturated, like bone in a CT window."""
    return stretched(image, rng.uniform(0.2, 0.6), rng.uniform(0.8, 0.97))


def augment(pair: PicturePair, side: int, prompt: str, rng: np.random.Generator) -> tuple[FloatImage, FloatImage]:
    """One training crop for one prompt.

    Args:
        pair: Infrared-visible pair.
        side: Side of the square crop in pixels.
        prompt: Key of ``PROMPT_SHARES`` whose imitation the first picture becomes.
        rng: Source of all randomness.

    Returns:
        First (visible or functional) and second (infrared or MRI) picture, (side, side) float32 in 0..1.
    """
    medical = prompt.startswith("mri")
    a, b = random_crop(pair, side, rng, most=2.0 if medical else 1.0)
    if rng.random() < 0.5:
        a, b = b, a
    a, b = tone(a, rng), tone(b, rng)
    if medical and rng.random() < 0.75:  # uptake is where the MRI is bright, bone where it is dark
        a = akin(a, 1 - b if prompt == "mri_ct" else b, rng)
    if medical and rng.random() < 0.85:
        b = soft_tissue(b, MRI_CONTRAST[prompt], rng)
    if prompt == "mri_pet":
        a = hot_uptake(a, rng) if rng.random() < 0.4 else smooth_uptake(a, rng.uniform(0.5, 4.0), rng)
        a = painted(a, rng) if rng.random() < 0.5 else a
    elif prompt == "mri_spect":
        a = smooth_uptake(a, rng.uniform(1.0, 4.0), rng)
    elif prompt == "mri_ct":
        a = saturated_window(a, rng)
    elif prompt == "gfp_phase_contrast":
        a = saturated_window(gaussian_filter(a, 0.7), rng)
    elif rng.random() < 0.15:
        a = gaussian_filter(a, rng.uniform(0.5, 3.0))
    draw = rng.random()
    if draw < (0.7 if medical else 0.1):
        body, inside = random_body(side, rng)
        if medical and rng.random() < 0.5:
            a, b = shelled(a, b, inside, prompt, rng)
        a, b = a * body, b * body
    elif draw < (0.85 if medical else 0.2):
        body, _ = random_body(side, rng)
        a, b = (a * body, b) if rng.random() < 0.5 else (a, b * body)
    return a.astype(np.float32), b.astype(np.float32)


def shelled(
    a: FloatImage, b: FloatImage, inside: FloatImage, prompt: str, rng: np.random.Generator
) -> tuple[FloatImage, FloatImage]:
    """The shell of a body: bone in CT, bright where the MRI is dark; without uptake in PET and SPECT."""
    if prompt == "mri_ct":
        dim = np.float32(rng.uniform(0.0, 0.5))
        return np.where(inside > 0, a, np.float32(rng.uniform(0.7, 1.0))), np.where(inside > 0, b, dim * b)
    return a * inside, b


def neighbour(crop: tuple[FloatImage, FloatImage], rng: np.random.Generator) -> tuple[FloatImage, FloatImage]:
    """The pair as the next slice might show it: slightly moved and stretched, gains that drift, a little noise."""
    side = crop[0].shape[0]
    shift = [gaussian_filter(rng.standard_normal((side, side)), side / 8) for _ in range(2)]
    rows, columns = np.mgrid[0:side, 0:side].astype(np.float64)
    reach = rng.uniform(0.3, 4.0)
    rows += reach * shift[0] / (np.abs(shift[0]).max() + 1e-9)
    columns += reach * shift[1] / (np.abs(shift[1]).max() + 1e-9)
    changed = []
    for image in crop:
        moved = map_coordinates(image, [rows, columns], order=1, mode="nearest")
        drift = gaussian_filter(rng.standard_normal((side, side)), side / 6)
        gain = 1 + rng.uniform(0, 0.15) * drift / (np.abs(drift).max() + 1e-9)
        noisy = moved * gain + rng.uniform(0, 0.02) * rng.standard_normal((side, side)) * (moved > 0)
        changed.append(np.clip(noisy, 0, 1).astype(np.float32))
    return changed[0], changed[1]


def draw_batch(
    pairs: Sequence[PicturePair],
    batch: int,
    side: int,
    rng: np.random.Generator,
    twins: int = 0,
    other_looks: float = 0.0,
) -> tuple[FloatImage, FloatImage, list[str]]:
    """A batch of augmented crops.

    Args:
        pairs: What crops are taken from.
        batch: Number of crops.
        side: Side of a crop in pixels.
        rng: Source of all randomness.
        twins: How many of them, the last ones, are slightly changed copies of the first ones.
        other_looks: Share of crops whose look is drawn by itself, so that a prompt is not heard with its own imitation
            alone; 0..1.

    Returns:
        Two (batch, 1, side, side) arrays and the prompt of each crop.
    """
    fresh = batch - twins
    prompts = _draw_prompts(fresh, rng)
    chosen = rng.integers(0, len(pairs), fresh)
    looks = prompts
    if other_looks:
        others = _draw_prompts(fresh, rng)
        looks = [o if rng.random() < other_looks else p for o, p in zip(others, prompts, strict=True)]
    crops = [augment(pairs[int(i)], side, look, rng) for i, look in zip(chosen, looks, strict=True)]
    crops += [neighbour(crop, rng) for crop in crops[:twins]]
    prompts += prompts[:twins]
    first = np.stack([a for a, _ in crops])[:, None]
    second = np.stack([b for _, b in crops])[:, None]
    return first, second, prompts


def _draw_prompts(count: int, rng: np.random.Generator) -> list[str]:
    drawn: list[str] = rng.choice(list(PROMPT_SHARES), size=count, p=list(PROMPT_SHARES.values())).tolist()
    return drawn
