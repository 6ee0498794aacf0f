"""Settings without an effect say so, and those with one do not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.inference.maximum_backend import MaximumBackend
from upfusion_med.core import Blend, FuseSettings, Modality, UsageError, Volume
from upfusion_med.inference import fuse
from upfusion_med.transforms.pseudo_colour import get_palette

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
RAMP = np.broadcast_to(np.linspace(0, 1, 24)[:, None, None], (24, 20, 4))


def image(kind: str, *, is_picture: bool = False) -> Volume:
    size = (24, 20, 1 if is_picture else 4)
    ramp = np.ascontiguousarray(RAMP[:, :, : size[2]])
    if kind == "palette":
        colours = get_palette("rainbow").colours
        return Volume(
            colours[np.rint(ramp * (len(colours) - 1)).astype(int)].astype(np.float32),
            AFFINE,
            "RGB",
            is_picture=is_picture,
        )
    values = np.random.default_rng(len(kind)).uniform(1, 200, size).astype(np.float32)
    return Volume(
        values,
        AFFINE,
        is_picture=is_picture,
        notes={"dicom": {}} if kind == "pet" else {},
        modality=Modality.PET if kind == "pet" else Modality.UNKNOWN,
    )


def told(functional: Volume, **settings: object) -> list[str]:
    settings = {"modality": Modality.PET, **settings}
    mri = image("mri", is_picture=functional.is_picture)
    result = fuse(mri, functional, FuseSettings(**settings), backend=MaximumBackend())
    return [warning for warning in result.report["warnings"] if "had no effect" in warning]


@pytest.mark.parametrize(
    ("functional", "settings", "option"),
    [
        (image("uptake"), {"alpha": 0.7}, "--alpha"),
        (image("uptake"), {"blend": Blend.ALPHA, "mri_brightness": 0.5}, "--mri-brightness"),
        (image("uptake"), {"blend": Blend.ALPHA, "prompt": "mri_pet"}, "--prompt"),
        (image("palette"), {"functional_colours": "keep", "lut": "hot_iron"}, "--lut"),
        (image("palette"), {"functional_colours": "keep", "functional_window": (0.0, 0.5)}, "--window"),
        (image("uptake"), {"functional_colours": "rainbow"}, "--functional-colours"),
        (image("uptake"), {"quantity": "raw"}, "--quantity"),
        (image("uptake", is_picture=True), {"attribution": True}, "--attribution"),
        (image("heat", is_picture=True), {"modality": Modality.INFRARED, "bias_correction": True}, "--bias-correction"),
        (image("heat", is_picture=True), {"modality": Modality.INFRARED, "lut": "ember"}, "--lut"),
    ],
)
def test_a_setting_without_an_effect_is_named(functional, settings, option):
    assert [warning.split()[0] for warning in told(functional, **settings)] == [option]


@pytest.mark.parametrize(
    ("functional", "settings"),
    [
        (image("uptake"), {"blend": Blend.ALPHA, "alpha": 0.7, "lut": "hot_iron", "functional_window": (0.0, 100.0)}),
        (image("uptake"), {"mri_brightness": 0.5, "attribution": True, "functional_colours": "keep"}),
        (image("palette"), {"lut": "hot_iron", "functional_window": (0.0, 0.5), "functional_colours": "rainbow"}),
        (image("pet"), {"quantity": "raw"}),
        (image("heat", is_picture=True), {"modality": Modality.INFRARED, "functional_window": (0.0, 100.0)}),
    ],
)  # fmt: skip
def test_a_setting_with_an_effect_is_not(functional, settings):
    assert told(functional, **settings) == []


def test_options_of_saving_without_an_effect_are_named():
    settings = FuseSettings(modality=Modality.PET)
    volume = fuse(image("mri"), image("uptake"), settings, backend=MaximumBackend())
    assert volume.idle_options("nifti,dicom", deidentify=True, burn_in_note=True) == []
    assert [t.split()[0] for t in volume.idle_options("nifti", deidentify=True)] == ["--deidentify"]
    assert [t.split()[0] for t in volume.idle_options("parametric-map", burn_in_note=True)] == ["--burn-in-note"]
    pair = (image("mri", is_picture=True), image("uptake", is_picture=True))
    picture = fuse(*pair, settings, backend=MaximumBackend())
    assert picture.idle_options("nifti,nrrd,png") == []
    assert [t.split(" had")[0] for t in picture.idle_options("dicom,png")] == ["--format dicom"]


def test_an_opacity_for_an_infrared_picture_is_refused_for_what_it_is():
    settings = FuseSettings(modality=Modality.INFRARED, opacity=(0.0, 0.3))
    pair = (image("mri", is_picture=True), image("heat", is_picture=True))
    with pytest.raises(UsageError, match="an infrared image has none"):
        fuse(*pair, settings, backend=MaximumBackend())
