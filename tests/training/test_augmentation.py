from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from upfusion_med.training import augmentation
from upfusion_med.training.augmentation import (
    PROMPT_EMPHASIS,
    PROMPT_SHARES,
    akin,
    augment,
    draw_batch,
    equalised,
    hot_uptake,
    painted,
    random_body,
    random_crop,
    shelled,
    smooth_uptake,
    soft_tissue,
)
from upfusion_med.training.pairs import TrainingPair


@pytest.fixture
def pair() -> TrainingPair:
    rng = np.random.default_rng(0)
    return TrainingPair("p", "p", *rng.integers(0, 256, (2, 100, 140), dtype=np.uint8))


@pytest.mark.parametrize("prompt", PROMPT_SHARES)
def test_crops_are_finite_and_in_range_for_every_prompt(pair, prompt):
    for seed in range(15):
        for image in augment(pair, 64, prompt, np.random.default_rng(seed)):
            assert image.shape == (64, 64)
            assert image.dtype == np.float32
            assert np.isfinite(image).all()
            assert image.min() >= 0
            assert image.max() <= 1


def test_medical_prompts_often_have_an_exactly_black_background(pair):
    rng = np.random.default_rng(1)
    both_black = [
        float(((a == 0) & (b == 0)).mean()) > 0.05 for a, b in (augment(pair, 64, "mri_ct", rng) for _ in range(40))
    ]
    assert sum(both_black) > 15


def test_a_picture_smaller_than_the_crop_is_reflected(pair):
    assert augment(pair, 160, "universal", np.random.default_rng(0))[0].shape == (160, 160)


def test_the_same_key_draws_the_same_batch(pair):
    one, two = (draw_batch([pair], 3, 64, np.random.default_rng((5, 0, 9))) for _ in range(2))
    assert np.array_equal(one[0], two[0])
    assert one[2] == two[2]


def test_a_prompt_can_be_heard_with_other_looks_than_its_own(pair, monkeypatch):
    seen = []

    def look(pair, side, prompt, rng):
        seen.append(prompt)
        return np.zeros((2, side, side), np.float32)

    monkeypatch.setattr(augmentation, "augment", look)
    for share, apart in ((0.0, 0.0), (0.5, 0.5), (1.0, 1.0)):
        seen.clear()
        prompts = draw_batch([pair], 2000, 8, np.random.default_rng(0), other_looks=share)[2]
        same_by_chance = sum(p * p for p in PROMPT_SHARES.values())
        differing = np.mean([a != b for a, b in zip(prompts, seen, strict=True)])
        assert differing == pytest.approx(apart * (1 - same_by_chance), abs=0.03)


def test_a_body_has_an_outside_and_a_shell_around_its_inside():
    bodies = [random_body(64, np.random.default_rng(s)) for s in range(10)]
    for body, inside in bodies:
        assert set(np.unique(body)) | set(np.unique(inside)) <= {0.0, 1.0}
        assert (inside <= body).all()
        assert inside.sum() < body.sum()
    assert np.mean([body.mean() for body, _ in bodies]) == pytest.approx(0.45, abs=0.3)


def test_a_shell_is_bone_in_ct_and_without_uptake_in_pet():
    a, b = np.full((2, 8, 8), 0.4, np.float32)
    inside = np.zeros((8, 8), np.float32)
    inside[2:6, 2:6] = 1
    shell = inside == 0
    ct, mri = shelled(a, b, inside, "mri_ct", np.random.default_rng(0))
    assert (ct[shell] >= 0.7).all()
    assert (mri[shell] <= 0.2).all()
    assert (ct[~shell] == 0.4).all()
    assert (mri[~shell] == 0.4).all()
    pet, mri = shelled(a, b, inside, "mri_pet", np.random.default_rng(0))
    assert (pet[shell] == 0).all()
    assert (pet[~shell] == 0.4).all()
    assert (mri == 0.4).all()


def test_equalising_makes_all_levels_equally_frequent(pair):
    image = ((pair.visible / 255.0) ** 4).astype(np.float32)
    even = equalised(image, 1.0)
    assert np.quantile(even, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.03)
    assert np.array_equal(equalised(image, 0.0), image)
    assert (np.diff(even.ravel()[np.argsort(image.ravel())]) >= -1e-6).all()


def test_imitated_tissue_has_more_contrast_than_its_crop_and_uptake_less_detail():
    y, x = np.mgrid[0:96, 0:96]
    scene = (0.3 + 0.05 * np.sin(x / 2.0) + 0.1 * np.sin(y / 30.0)).astype(np.float32)
    for seed in range(10):
        assert soft_tissue(scene, 0.0, np.random.default_rng(seed)).std() > 1.5 * scene.std()
        sharp, blurred = (smooth_uptake(scene, blur, np.random.default_rng(seed)) for blur in (0.5, 4.0))
        assert np.abs(np.diff(blurred)).mean() < 0.5 * np.abs(np.diff(sharp)).mean()


def test_hot_uptake_is_bright_in_much_of_the_picture_and_nothing_in_much_of_it(pair):
    for seed in range(10):
        hot = hot_uptake(pair.visible / np.float32(255), np.random.default_rng(seed))
        assert (hot == 0).mean() > 0.15
        assert (hot > 0.95 * hot.max()).mean() > 0.02
        assert 0.7 <= hot.max() <= 1


def test_painted_uptake_is_somewhere_darker_where_it_is_hotter_and_black_stays_black():
    uptake = np.linspace(0, 1, 400, dtype=np.float32)[None].repeat(4, 0)
    falls = 0
    for seed in range(20):
        colours = painted(uptake, np.random.default_rng(seed))
        assert (colours[:, 0] == 0).all()
        assert 0 <= colours.min() <= colours.max() <= 1
        falls += bool((np.diff(colours[0]) < 0).any())
    assert falls >= 18


def test_a_crop_may_cover_more_than_its_side_but_not_more_than_the_picture(pair):
    ramp = np.tile(np.arange(140, dtype=np.uint8), (100, 1))
    wide = TrainingPair("ramp", "ramp", ramp, ramp.copy())

    def covered(most, seed):
        a, b = random_crop(wide, 40, np.random.default_rng(seed), most)
        assert a.shape == b.shape == (40, 40)
        assert np.allclose(a, b)
        return 255 * (a.max() - a.min())

    assert {round(covered(1.0, s)) for s in range(5)} == {39}
    reach = [covered(5.0, s) for s in range(20)]
    assert 39 <= min(reach) < 60
    assert 80 < max(reach) < 100


def test_every_prompt_has_an_emphasis():
    assert set(PROMPT_EMPHASIS) == set(PROMPT_SHARES)
    assert sum(PROMPT_SHARES.values()) == pytest.approx(1)


def test_a_twin_is_nearly_its_pair_and_keeps_its_prompt():
    y, x = np.mgrid[0:100, 0:140]
    waves = [(127 + 100 * np.sin(x / p) * np.cos(y / p)).astype(np.uint8) for p in (9, 14)]
    first, second, prompts = draw_batch(
        [TrainingPair("smooth", "smooth", *waves)], 6, 64, np.random.default_rng(3), twins=2
    )
    assert len(first) == len(second) == len(prompts) == 6
    assert prompts[4:] == prompts[:2]
    for images in (first, second):
        change = np.abs(images[4:] - images[:2])
        assert 0 < change.mean() < 0.1
        assert images.min() >= 0
        assert images.max() <= 1


def test_uptake_follows_the_mri_and_bone_avoids_it():
    rng = np.random.default_rng(0)
    scene = [gaussian_filter(x, 3) for x in rng.uniform(0, 1, (2, 200, 200))]
    pair = TrainingPair("p", "p", *(np.uint8(255 * (x - x.min()) / np.ptp(x)) for x in scene))

    def correlation(prompt):
        found = []
        for a, b in (augment(pair, 64, prompt, rng) for _ in range(60)):
            both = (a > 0) & (b > 0)
            if both.sum() > 500 and a[both].std() > 0 and b[both].std() > 0:
                found.append(np.corrcoef(a[both], b[both])[0, 1])
        return np.mean(found)

    assert correlation("mri_spect") > 0.1
    assert correlation("mri_ct") < -0.1
    assert abs(correlation("infrared_visible")) < 0.1


def test_pictures_are_more_akin_than_before_and_stay_in_range(pair):
    rng = np.random.default_rng(0)
    a, b = (x.astype(np.float32) / 255 for x in (pair.visible, pair.infrared))
    for _ in range(10):
        mixed = akin(a, b, rng)
        assert np.corrcoef(mixed.ravel(), b.ravel())[0, 1] > np.corrcoef(a.ravel(), b.ravel())[0, 1]
        assert mixed.dtype == np.float32
        assert 0 <= mixed.min() <= mixed.max() <= 1


def test_harder_contrast_has_stronger_edges():
    scene = gaussian_filter(np.random.default_rng(0).uniform(0, 1, (128, 128)), 2).astype(np.float32)

    def edges(hardness):
        made = [soft_tissue(scene, hardness, np.random.default_rng(s)) for s in range(10)]
        return np.mean([np.abs(np.diff(x, axis=0)).mean() for x in made])

    assert edges(0.8) > 1.2 * edges(0.0)
