"""One call for many metrics: images checked once, families computed together, undefined values explained."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from upfusion_med.core import UsageError
from upfusion_med.metrics import (
    exposure_structure,
    feature_information,
    gradient,
    information,
    local_quality,
    perceptual,
    phase_congruency,
    statistics,
    structure,
    visual_information,
)
from upfusion_med.metrics.catalogue import METRICS, metric_spec, resolve_names
from upfusion_med.metrics.colour_fidelity import colour_fidelity
from upfusion_med.metrics.images import (
    ImageLike,
    as_colour_batch,
    is_colour,
    is_constant,
    prepare,
    refuse_unit_scale,
    round_to_levels,
)
from upfusion_med.metrics.spec import ConstantSource, Inputs, MetricSpec

_Family = Callable[..., dict[str, Tensor]]


def _one(key: str, metric: Callable[[Tensor, Tensor, Tensor], Tensor]) -> tuple[tuple[str, ...], _Family]:
    """A family of one key."""
    return (key,), lambda fused, a, b: {key: metric(fused, a, b)}


def _of_fused(key: str, metric: Callable[[Tensor], Tensor]) -> tuple[tuple[str, ...], _Family]:
    """A family of one key that looks at the fused image only."""
    return (key,), lambda fused, _a, _b: {key: metric(fused)}


_fmi = feature_information.feature_mutual_information

#: Keys that one function gives together, in the order of the table; a family runs when one of its keys is asked for.
_FAMILIES: tuple[tuple[tuple[str, ...], _Family], ...] = (
    _one("q_ncie", information.q_ncie),
    (("q_p",), lambda fused, a, b, **options: {"q_p": phase_congruency.q_p(fused, a, b, **options)}),
    (("vif", "vif_sum", "vif_a", "vif_b"), visual_information.vif_family),
    (("ssim", "ssim_a", "ssim_b"), partial(structure.ssim_family, dynamic_range=255.0)),
    (("ssim_l1", "ssim_l1_a", "ssim_l1_b"), partial(structure.ssim_family, dynamic_range=1.0)),
    _one("q_abf", gradient.q_abf),
    _one("q_abf_xydeas", gradient.q_abf_xydeas),
    _of_fused("en", information.entropy),
    _of_fused("sd", statistics.standard_deviation),
    _of_fused("sf", statistics.spatial_frequency),
    (("ag", "ag_mean"), lambda fused, _a, _b: statistics.average_gradient_family(fused)),
    _one("cc", statistics.correlation),
    _one("scd", statistics.sum_of_correlations_of_differences),
    (("psnr", "psnr_unit_mse", "mse", "mse_255"), statistics.error_family),
    _one("q_sf", statistics.zheng_spatial_frequency),
    (("mi", "mi_nats"), information.mutual_information_family),
    _one("nmi", information.normalised_mutual_information),
    (("q_te", "q_te_correct", "q_te_cvejic"), information.tsallis_family),
    _one("fmi", _fmi),
    _one("fmi_gradient", partial(_fmi, feature="gradient")),
    _one("fmi_dct", partial(_fmi, feature="dct")),
    _one("fmi_edge", partial(_fmi, feature="edge")),
    _one("ms_ssim", structure.ms_ssim),
    _one("mef_ssim", exposure_structure.mef_ssim),
    _one("mef_ms_ssim", exposure_structure.mef_ms_ssim),
    (("q_s", "q_w", "q_w_edge", "q_e"), local_quality.piella_family),
    (("q_y", "q_y_completed", "q_c", "q_c_completed"), local_quality.yang_cvejic_family),
    _one("viff", visual_information.viff),
    (("n_abf", "l_abf", "q_abf_kumar"), gradient.edge_transfer),
    _one("q_cb", perceptual.q_cb),
    _one("q_cv", perceptual.q_cv),
    _one("q_m", perceptual.q_m),
)

#: First keys of the families that can run in single precision; of the others it would spoil the value.
_SINGLE_PRECISION = frozenset({"q_p", "vif", "ssim", "ssim_l1"})


@dataclass(frozen=True)
class Score:
    """A metric's value for one pair, and why it is what it is.

    Attributes:
        value: The value; NaN where the metric is undefined.
        left_out: Sources that took no part (``"a"``, ``"b"``), because they are constant.
        note: Empty, or in a sentence: what was left out, or why the value is NaN or infinite.
    """

    value: float
    left_out: tuple[str, ...] = ()
    note: str = ""


def _run(keys: tuple[str, ...], fused: Tensor, a: Tensor, b: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
    """Values of grey metrics, (B,) each; NaN for images smaller than a metric's window."""
    side = min(fused.shape[-2:])
    wanted = {key for key in keys if METRICS[key].smallest_side <= side}
    found: dict[str, Tensor] = {}
    for members, family in _FAMILIES:
        if wanted.intersection(members):
            single = dtype is not torch.float64 and members[0] in _SINGLE_PRECISION
            found |= family(fused, a, b, dtype=dtype) if single else family(fused, a, b)
    missing = fused.new_full((fused.shape[0],), torch.nan)
    return {key: found[key] if key in wanted else missing for key in keys}


def _checked(
    fused: ImageLike, a: ImageLike, b: ImageLike, names: str | Iterable[str] | None, round_levels: bool
) -> tuple[tuple[str, ...], tuple[Tensor, ...]]:
    """Keys to compute and grey images (fused, a, b)."""
    keys = resolve_names(names)
    colour = is_colour(fused) and is_colour(a)
    if names is None and colour:
        keys = resolve_names(("default", "colour"))
    for key in keys:
        spec = metric_spec(key)
        if spec.inputs is Inputs.READER:
            raise UsageError(
                f"The metric {key!r} needs more than the three images; call upfusion_med.metrics.{spec.function}."
            )
        if spec.inputs is Inputs.COLOUR and not colour:
            raise UsageError(f"The metric {key!r} compares colours; the fused image and source a must be colour.")
    images = prepare(fused, a, b)
    # The luminance of a colour picture is rounded, so the scale of that is seen in its channels only.
    refuse_unit_scale(*(as_colour_batch(x) if is_colour(x) else y for x, y in zip((fused, a, b), images, strict=True)))
    return keys, tuple(round_to_levels(x) for x in images) if round_levels else images


def compute_batch(
    fused: ImageLike,
    a: ImageLike,
    b: ImageLike,
    names: str | Iterable[str] | None = None,
    *,
    round_levels: bool = True,
    dtype: torch.dtype = torch.float64,
) -> dict[str, Tensor]:
    """Metrics of a batch of pairs.

    Args:
        fused: (B, 1, H, W) or (B, 3, H, W) in 0..255; colour is judged by its luminance.
        a: The visible or functional images, as ``fused``.
        b: The infrared images or MRI, as ``fused``.
        names: Keys and groups (``paper``, ``default``, ``all``, ``colour``); by default ``default``, with ``colour``
            where the fused image and ``a`` are colour.
        round_levels: Judge what a saved 8-bit image would hold, as published values do.
        dtype: float32 runs all of Q_P, VIF and SSIM in single precision (error up to 1e-4): for training logs, not
            for tables.

    Returns:
        Key → (B,) float64, NaN where a metric is undefined (`compute_detailed` says why).

    Raises:
        InputError: shapes differ, values are not finite, outside 0..255 or on the scale 0..1.
        UsageError: an unknown name, or a metric that needs other inputs.
    """
    keys, (grey_fused, grey_a, grey_b) = _checked(fused, a, b, names, round_levels)
    grey = tuple(key for key in keys if METRICS[key].inputs is not Inputs.COLOUR)
    found = _run(grey, grey_fused, grey_a, grey_b, dtype)
    if len(grey) < len(keys):
        found |= colour_fidelity(fused, a)
    return {key: found[key] for key in keys}


def compute(
    fused: ImageLike,
    a: ImageLike,
    b: ImageLike,
    names: str | Iterable[str] | None = None,
    *,
    round_levels: bool = True,
    dtype: torch.dtype = torch.float64,
) -> dict[str, float]:
    """Metrics of one pair.

    Args:
        fused: (H, W), (H, W, 3) or (1, 1, H, W) in 0..255.
        a: The visible or functional image.
        b: The infrared image or the MRI.
        names: See `compute_batch`.
        round_levels: See `compute_batch`.
        dtype: See `compute_batch`.

    Returns:
        Key → value; NaN where a metric is undefined. A constant source is left out of means over the sources;
        `compute_detailed` says where that happened and why a value is NaN.

    Raises:
        InputError: see `compute_batch`.
        UsageError: see `compute_batch`; more than one pair.
    """
    values = compute_batch(fused, a, b, names, round_levels=round_levels, dtype=dtype)
    if any(len(value) != 1 for value in values.values()):
        raise UsageError("The images are a batch of several pairs; use compute_batch for it.")
    return {key: float(value[0]) for key, value in values.items()}


def _explain(spec: MetricSpec, value: float, images: tuple[Tensor, ...]) -> Score:
    """The value with what was left out and why."""
    fused, *sources = images
    constant = tuple(name for name, source in zip("ab", sources, strict=True) if bool(is_constant(source)))
    concerned = tuple(name for name in constant if name in spec.judged)
    if spec.inputs is not Inputs.SOURCES:
        concerned = ()
    weightless = spec.constant_source in (ConstantSource.LEFT_OUT, ConstantSource.NO_WEIGHT)
    if math.isfinite(value):
        if concerned and weightless:
            return Score(
                value, concerned, f"Source {' and '.join(concerned)} is constant: {spec.constant_source.value}."
            )
        return Score(value)
    if math.isinf(value):
        return Score(value, (), "All images are equal: infinite.")
    height, width = fused.shape[-2:]
    if min(height, width) < spec.smallest_side:
        return Score(value, (), f"The images are {height}×{width}; this metric needs sides of {spec.smallest_side}.")
    if len(concerned) == len(spec.judged) and concerned:
        return Score(value, concerned, f"Source {' and '.join(concerned)} is constant: nothing there to keep.")
    if concerned and spec.constant_source is ConstantSource.UNDEFINED:
        return Score(value, concerned, f"Source {concerned[0]} is constant: undefined.")
    if bool(is_constant(fused)) and spec.fused_constant == "undefined":
        return Score(value, (), "The fused image is constant: undefined.")
    if spec.fused_is_source == "undefined":
        for name, source in zip("ab", sources, strict=True):
            if bool(is_constant(fused - source)):
                return Score(value, (), f"The fused image equals source {name} up to a constant: 0/0.")
    return Score(value, (), f"Undefined: {spec.undefined or 'its definition gives 0/0 here'}.")


def compute_detailed(
    fused: ImageLike,
    a: ImageLike,
    b: ImageLike,
    names: str | Iterable[str] | None = None,
    *,
    round_levels: bool = True,
) -> dict[str, Score]:
    """As `compute`, with what was left out and why a value is NaN or infinite.

    Returns:
        Key → `Score`.
    """
    values = compute(fused, a, b, names, round_levels=round_levels)
    _, images = _checked(fused, a, b, tuple(values), round_levels)
    return {key: _explain(METRICS[key], value, images) for key, value in values.items()}
