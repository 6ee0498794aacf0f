"""Windows keep 0 at 0, are chosen once for a volume, and refuse images without content."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from upfusion_med.core import GREY_LEVELS, InputError, Modality, UsageError, Volume
from upfusion_med.transforms.colour import RELATIVE_LUMA, split_rgb
from upfusion_med.transforms.window import Window, apply_window, robust_window, window_doubt


def _volume(array, **kind):
    return Volume(np.asarray(array, np.float32), np.eye(4), **kind)


def _head(seed=0, tissue=1000.0, noise=10.0):
    """A ball of tissue in air with a little noise and one vessel of ten times the brightness."""
    rng = np.random.default_rng(seed)
    r = np.linalg.norm(np.indices((40, 40, 40)) - 19.5, axis=0)
    array = np.abs(rng.normal(0, noise, r.shape))
    array[r < 15] = rng.uniform(0.6, 1.0, int((r < 15).sum())) * tissue
    array[0, 0, 0] = 0.0
    array[20, 20, 10] = 10 * tissue
    return array


def test_mr_goes_from_zero_to_the_brightest_tissue_and_ignores_one_spike():
    window = robust_window(_volume(_head()), Modality.MR)
    assert window.low == 0
    assert window.high == pytest.approx(1000, rel=0.01)
    assert "foreground" in window.rule


def test_mr_window_does_not_depend_on_how_much_air_there_is():
    head = _head()
    padded = np.zeros((120, 120, 120))
    padded[:40, :40, :40] = head
    tight = robust_window(_volume(head[8:32, 8:32, 8:32]), Modality.MR)
    assert robust_window(_volume(padded), Modality.MR).high == pytest.approx(
        robust_window(_volume(head), Modality.MR).high, rel=0.01
    )
    assert tight.high == pytest.approx(1000, rel=0.02)


def test_mr_with_a_background_that_is_not_zero_starts_above_it():
    window = robust_window(_volume(_head() - 300), Modality.MR)
    assert window.low == pytest.approx(-300, abs=5)
    assert window.high == pytest.approx(700, rel=0.02)


def test_padding_and_undershoot_below_an_air_of_zero_do_not_lift_it():
    head = _head(noise=0)
    clean = robust_window(_volume(head), Modality.MR)
    for depth in (-2000.0, -30.0):
        padded = head.copy()
        padded[:4] = depth
        window = robust_window(_volume(padded), Modality.MR)
        assert window.low == 0
        assert window.high == pytest.approx(clean.high, rel=0.01)
        assert apply_window(padded, window)[padded == 0].max() == 0


def test_mr_scaled_to_a_mean_of_zero_keeps_its_dark_half():
    head = _head(noise=0)
    tissue = head > 0
    head[tissue] = (head[tissue] - head[tissue].mean()) / head[tissue].std()
    window = robust_window(_volume(head), Modality.MR)
    assert window.low < -1


@given(scale=st.floats(1e-3, 1e4))
def test_mr_window_scales_with_the_values(scale):
    once, scaled = (robust_window(_volume(_head() * s), Modality.MR) for s in (1.0, scale))
    assert scaled.high == pytest.approx(once.high * scale, rel=1e-4)


def test_emission_starts_at_zero_and_keeps_the_unit():
    uptake = np.full((50, 50, 50), 1.0)
    uptake[:5, :5, :5] = 8.0  # a lesion of one voxel in a thousand
    window = robust_window(_volume(uptake, units="SUVbw"), Modality.PET)
    assert (window.low, window.units) == (0.0, "SUVbw")
    assert window.high == 8.0
    faint = robust_window(_volume(uptake * 1e-3, units="SUVbw"), Modality.PET)
    assert faint.high == pytest.approx(8e-3)
    mostly_cold = np.zeros((50, 50, 50))
    mostly_cold[:10, :10, :10] = np.linspace(0.1, 2, 1000).reshape(10, 10, 10)
    assert robust_window(_volume(mostly_cold), Modality.PET).high == pytest.approx(2, rel=0.001)
    noisy = uptake.copy()
    noisy[40:] = -1.0  # noise below zero does not count
    assert robust_window(_volume(noisy), Modality.SPECT).low == 0.0


def test_emission_without_uptake_is_refused():
    with pytest.raises(InputError, match="PET holds no value above 0"):
        robust_window(_volume([[[-1.0, 0.0]]]), Modality.PET, name="PET")


def test_ct_shows_bone_bright_tissue_dark_and_air_black():
    hu = np.array([[[-1000.0, -700.0, -100.0, 40.0, 300.0, 1000.0, 2000.0]]])
    window = robust_window(_volume(hu, units="HU"), Modality.CT)
    shown = apply_window(hu, window)[0, 0]
    assert shown[0] == shown[1] == 0
    assert 0 < shown[2] < 0.1  # fat
    assert 0.1 < shown[3] < 0.25  # muscle
    assert 0.3 < shown[4] < 0.6  # spongy bone
    assert shown[5] == shown[6] == 1
    assert window.units == "HU"


def test_display_levels_are_kept_as_they_are():
    levels = _volume(np.linspace(0, 200, 60).reshape(10, 6, 1).round(), is_picture=True, units=GREY_LEVELS)
    for modality in (Modality.MR, Modality.PET, Modality.INFRARED, Modality.VISIBLE, Modality.CT):
        window = robust_window(levels, modality)
        assert (window.low, window.high, window.units) == (0.0, 255.0, GREY_LEVELS)
    ct = _volume(np.linspace(0, 255, 60).reshape(10, 6, 1))
    assert robust_window(ct, Modality.CT).high == 255.0
    np.testing.assert_array_equal(
        np.rint(apply_window(levels.array, robust_window(levels, Modality.MR)) * 255), levels.array
    )


def test_pictures_with_16_bits_or_fractions_are_windowed_by_content():
    deep = _volume(np.linspace(0, 60000, 6000).reshape(100, 60, 1), is_picture=True)
    assert robust_window(deep, Modality.MR).high > 50000
    fractions = _volume(np.linspace(0, 1, 6000).reshape(100, 60, 1), is_picture=True)
    assert robust_window(fractions, Modality.INFRARED).high == pytest.approx(1, abs=0.01)


def test_colour_is_shown_from_0_to_255():
    rgb = Volume(np.random.default_rng(0).uniform(0, 90, (4, 4, 4, 3)).astype(np.float32), np.eye(4))
    assert robust_window(rgb, Modality.PET).high == 255
    for modality in (Modality.PET, Modality.VISIBLE, Modality.MR):
        window = robust_window(split_rgb(rgb)[0], modality)
        assert (window.low, window.high, window.units) == (0.0, 1.0, RELATIVE_LUMA)


def test_constant_image_is_refused_by_name():
    with pytest.raises(InputError, match="MRI is constant: every voxel is 7"):
        robust_window(_volume(np.full((3, 3, 3), 7.0)), Modality.MR, name="MRI")


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(wrong):
    array = np.ones((3, 3, 3))
    array[1, 1, 1] = wrong
    with pytest.raises(InputError, match="not finite"):
        robust_window(_volume(array), Modality.MR)


def test_one_bright_voxel_alone_is_enough():
    array = np.zeros((30, 30, 30))
    array[3, 4, 5] = 2.0
    for modality in (Modality.MR, Modality.PET):
        window = robust_window(_volume(array), modality)
        assert (window.low, window.high) == (0.0, 2.0)


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e4), st.integers(0, 1000))
def test_applied_window_lies_in_0_to_1_and_never_turns_values_round(low, width, seed):
    values = np.sort(np.random.default_rng(seed).normal(low, 2 * width, 50)).astype(np.float32)
    shown = apply_window(values, Window(low, low + width))
    assert shown.dtype == np.float32
    assert shown.min() >= 0 and shown.max() <= 1
    assert (np.diff(shown) >= 0).all()


@given(st.floats(1e-3, 1e5))
def test_zero_stays_exactly_zero_and_the_high_end_is_white(high):
    shown = apply_window(np.array([0.0, high, 2 * high]), Window(0.0, high))
    assert shown[0] == 0
    assert shown[1] == pytest.approx(1, abs=1e-6)
    assert shown[2] == 1


@pytest.mark.parametrize(
    ("low", "high", "doubt"),
    [
        (0, 10, ""),
        (8, 20, ""),
        (-100, 100, ""),
        (9, 20, "shows nothing: the values go from 0 to 9 g/mL"),
        (-9, 5, ""),  # half of the voxels are white
        (-9, 4, "60 % of all voxels are at its top: the values go from 0 to 9 g/mL"),
    ],
)
def test_a_window_that_hardly_fits_the_values_is_doubted(low, high, doubt):
    said = window_doubt(_volume(np.arange(10.0).reshape(10, 1, 1), units="g/mL"), Window(low, high), Modality.MR)
    assert doubt in said and bool(doubt) == bool(said)


@pytest.mark.parametrize(("smallest", "is_hu"), [(-1024.0, True), (-201.0, True), (-199.0, False), (-60.0, False)])
def test_ct_is_in_hounsfield_units_where_it_shows_air(smallest, is_hu):
    window = robust_window(_volume(np.linspace(smallest, 1500, 1000).reshape(10, 10, 10)), Modality.CT)
    assert ((window.low, window.high) == (-150, 1000)) is is_hu


@pytest.mark.parametrize(
    ("zeros", "negatives", "positives", "is_air"),
    [(0.06, 0.1, 0.84, True), (0.04, 0.1, 0.86, False), (0.4, 0.19, 0.41, True), (0.4, 0.22, 0.38, False)],
)
def test_zeros_are_air_where_they_are_many_and_negative_values_are_few(zeros, negatives, positives, is_air):
    counts = [round(5000 * part) for part in (negatives, zeros, positives)]
    values = np.repeat([-10.0, 0.0, 1.0], counts) * np.linspace(1, 2, 5000)
    window = robust_window(_volume(values.reshape(50, 10, 10)), Modality.MR)
    assert (window.low == 0) is is_air
    assert window.low in (0, pytest.approx(-10, abs=2.5))


def test_window_upside_down_is_refused():
    with pytest.raises(UsageError, match="lower one first"):
        Window(5.0, 1.0)


@pytest.mark.shared
def test_real_studies_use_their_range(shared):
    import nibabel

    folder = shared / "data" / "volumes" / "ibsi_sts" / "STS_003"
    for name, modality, lowest, highest in [("MR_T1", Modality.MR, 1000, 1150), ("PET", Modality.PET, 7, 10.3)]:
        image = nibabel.load(folder / f"{name}.nii.gz")
        window = robust_window(_volume(np.asarray(image.dataobj)), modality)
        assert window.low == 0
        assert lowest < window.high < highest
